//! Values bound to parameters, held within a budget of bytes: they lie outside the memory of queries and live long.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use meshgate_model::Fingerprint;
use parking_lot::Mutex;

use crate::Error;

/// The bytes that all bindings may take; one owner may have a quarter.
#[derive(Debug)]
pub(crate) struct Budget {
    bytes_max: usize,
    held: Mutex<HashMap<Fingerprint, usize>>,
}

/// Values that are bound. Their bytes are given back when nobody needs them any more.
#[derive(Debug)]
pub(crate) struct Bound {
    batch: RecordBatch,
    owner: Fingerprint,
    bytes: usize,
    budget: Arc<Budget>,
}

impl Budget {
    pub(crate) fn new(bytes_max: usize) -> Arc<Self> {
        Arc::new(Self { bytes_max, held: Mutex::default() })
    }

    /// Takes the values in, if they fit.
    pub(crate) fn bind(self: &Arc<Self>, owner: Fingerprint, batch: RecordBatch) -> Result<Arc<Bound>, Error> {
        let bytes = batch.get_array_memory_size();
        let mut held = self.held.lock();
        let all: usize = held.values().sum();
        let own = held.get(&owner).copied().unwrap_or_default();
        let share = self.bytes_max.div_ceil(4);
        if own.saturating_add(bytes) > share || all.saturating_add(bytes) > self.bytes_max {
            return Err(Error::TooLarge { limit_bytes: share });
        }
        held.insert(owner, own + bytes);
        Ok(Arc::new(Bound { batch, owner, bytes, budget: self.clone() }))
    }
}

impl Bound {
    /// The values, one row for each run.
    pub(crate) fn batch(&self) -> &RecordBatch {
        &self.batch
    }
}

impl Drop for Bound {
    fn drop(&mut self) {
        let mut held = self.budget.held.lock();
        if let Some(bytes) = held.get_mut(&self.owner) {
            *bytes = bytes.saturating_sub(self.bytes);
            if *bytes == 0 {
                held.remove(&self.owner);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int64Array, RecordBatch};
    use meshgate_model::Fingerprint;

    use super::Budget;

    #[test]
    fn an_owner_has_its_share_and_gets_it_back() {
        let (ana, ben) = (Fingerprint([1; 32]), Fingerprint([2; 32]));
        let values = Arc::new(Int64Array::from_iter_values(0..1_000)) as ArrayRef;
        let batch = RecordBatch::try_from_iter([("0", values)]).expect("one column");
        let budget = Budget::new(batch.get_array_memory_size() * 8);
        let first = budget.bind(ana, batch.clone()).expect("fits");
        let _second = budget.bind(ana, batch.clone()).expect("fits");
        assert!(budget.bind(ana, batch.clone()).is_err(), "a quarter is two");
        assert!(budget.bind(ben, batch.clone()).is_ok(), "another's share is another's");
        drop(first);
        assert!(budget.bind(ana, batch).is_ok(), "room again");
    }
}

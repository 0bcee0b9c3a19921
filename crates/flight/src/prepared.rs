//! Prepared statements: kept here, found again by a sealed handle.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use bytes::Bytes;
use meshgate_gateway::{Description, SessionOptions};
use meshgate_model::{Entropy, Fingerprint};
use parking_lot::Mutex;

use crate::binding::{Bound, Budget};
use crate::seal::{Purpose, Sealer};
use crate::shelf::{Shelf, fresh_id};
use crate::ticket::Parameters;
use crate::transaction::Transaction;
use crate::{Error, Settings, handle};

/// Parameters up to this size travel in tickets; larger ones stay here.
const INLINE_BYTES_MAX: usize = 64 * 1024;

/// A prepared statement.
#[derive(Debug)]
pub(crate) struct Prepared {
    /// Its text.
    pub(crate) sql: String,
    /// The options under which its names were resolved.
    pub(crate) options: SessionOptions,
    /// What it is.
    pub(crate) description: Description,
    /// The transaction in which it was prepared.
    pub(crate) transaction: Option<Arc<Transaction>>,
    /// What was bound last. It belongs to the handle: clients execute the handle they got first, whatever a binding
    /// returned.
    bound: Mutex<Option<Arc<Bound>>>,
}

/// All prepared statements, and the bindings that are too large for tickets.
#[derive(Debug)]
pub(crate) struct PreparedStatements {
    statements: Shelf<Arc<Prepared>>,
    bindings: Shelf<Arc<Bound>>,
    budget: Arc<Budget>,
    entropy: Arc<dyn Entropy>,
}

impl Prepared {
    /// Nothing is bound yet.
    pub(crate) fn new(
        sql: String,
        options: SessionOptions,
        description: Description,
        transaction: Option<Arc<Transaction>>,
    ) -> Self {
        Self { sql, options, description, transaction, bound: Mutex::default() }
    }

    /// What is bound.
    pub(crate) fn bound(&self) -> Option<Arc<Bound>> {
        self.bound.lock().clone()
    }
}

impl PreparedStatements {
    /// With the limits of the settings.
    pub(crate) fn new(settings: &Settings) -> Self {
        let shelf = |clock| Shelf::new(settings.handles_max, settings.handle_ttl_s, clock);
        let bindings = Shelf::new(settings.handles_max.div_ceil(16), settings.ticket_ttl_s, settings.clock.clone());
        Self {
            statements: shelf(settings.clock.clone()),
            bindings,
            budget: Budget::new(settings.bindings_bytes_max),
            entropy: settings.entropy.clone(),
        }
    }

    /// Replaces what is bound to a statement.
    pub(crate) fn bind(
        &self,
        owner: Fingerprint,
        prepared: &Prepared,
        parameters: Option<RecordBatch>,
    ) -> Result<(), Error> {
        // What was bound before makes room first.
        *prepared.bound.lock() = None;
        *prepared.bound.lock() = parameters.map(|parameters| self.budget.bind(owner, parameters)).transpose()?;
        Ok(())
    }

    /// Keeps a statement and makes its handle. Equal statements share nothing.
    pub(crate) fn keep(&self, sealer: &Sealer, owner: Fingerprint, prepared: Prepared) -> Bytes {
        let id = fresh_id(self.entropy.as_ref());
        self.statements.put(owner, id, Arc::new(prepared));
        handle::seal(sealer, Purpose::Handle, owner, id)
    }

    /// The statement of a handle.
    pub(crate) fn find(&self, sealer: &Sealer, owner: Fingerprint, handle: &[u8]) -> Result<Arc<Prepared>, Error> {
        let id = handle::open(sealer, Purpose::Handle, owner, handle).ok_or(Error::Gone)?;
        self.statements.get(owner, &id).ok_or(Error::Gone)
    }

    /// Forgets the statement of a handle, if there is one.
    pub(crate) fn close(&self, sealer: &Sealer, owner: Fingerprint, handle: &[u8]) {
        if let Some(id) = handle::open(sealer, Purpose::Handle, owner, handle) {
            self.statements.take(owner, &id);
        }
    }

    /// Makes parameters fit to travel with a ticket.
    pub(crate) fn pack(&self, owner: Fingerprint, bound: Option<Arc<Bound>>) -> Result<Parameters, Error> {
        let Some(bound) = bound else { return Ok(Parameters::None) };
        let batch = bound.batch();
        let mut writer = StreamWriter::try_new(Vec::new(), &batch.schema())?;
        writer.write(batch)?;
        let bytes = writer.into_inner()?;
        if bytes.len() <= INLINE_BYTES_MAX {
            return Ok(Parameters::Inline(bytes.into()));
        }
        let id = fresh_id(self.entropy.as_ref());
        self.bindings.put(owner, id, bound);
        Ok(Parameters::Kept(id))
    }

    /// The parameters that a ticket came with.
    pub(crate) fn unpack(&self, owner: Fingerprint, packed: &Parameters) -> Result<Option<RecordBatch>, Error> {
        match packed {
            Parameters::None => Ok(None),
            Parameters::Inline(bytes) => Ok(StreamReader::try_new(bytes.as_ref(), None)?.next().transpose()?),
            Parameters::Kept(id) => {
                let bound = self.bindings.get(owner, id).ok_or(Error::Gone)?;
                Ok(Some(bound.batch().clone()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::Ordering;

    use arrow::array::{Int64Array, RecordBatch, StringArray};
    use arrow::datatypes::Schema;
    use meshgate_gateway::{Description, SessionOptions, StatementKind};
    use meshgate_model::Fingerprint;

    use super::{Prepared, PreparedStatements};
    use crate::Settings;
    use crate::seal::{Sealer, tests::Counting};
    use crate::shelf::tests::Hand;
    use crate::ticket::Parameters;

    const ANA: Fingerprint = Fingerprint([1; 32]);
    const BEN: Fingerprint = Fingerprint([2; 32]);

    fn prepared() -> Prepared {
        let empty = Arc::new(Schema::empty());
        let description = Description { kind: StatementKind::Query, schema: empty.clone(), parameters: empty };
        Prepared::new("SELECT ?".to_owned(), SessionOptions::default(), description, None)
    }

    fn batch(value: i64) -> RecordBatch {
        let column = Arc::new(Int64Array::from(vec![value])) as _;
        RecordBatch::try_from_iter([("0", column)]).expect("one column")
    }

    #[test]
    fn handles_lead_their_owner_to_one_statement_each() {
        let (clock, entropy) = (Arc::new(Hand::default()), Arc::new(Counting::default()));
        let settings = Settings::new([3; 32], clock.clone(), entropy.clone());
        let (all, sealer) = (PreparedStatements::new(&settings), Sealer::new(&settings.seal_key, entropy));
        let handles = [0, 1].map(|_| all.keep(&sealer, ANA, prepared()));
        let found = |handle| all.find(&sealer, ANA, handle).expect("kept");
        let bound = |handle| found(handle).bound().map(|bound| bound.batch().clone());
        all.bind(ANA, &found(&handles[0]), Some(batch(1))).expect("fits");
        assert_eq!(bound(&handles[0]), Some(batch(1)), "by the same handle");
        assert_eq!(bound(&handles[1]), None, "nothing is shared");
        all.bind(ANA, &found(&handles[0]), Some(batch(2))).expect("fits");
        assert_eq!(bound(&handles[0]), Some(batch(2)), "rebinding replaces");
        assert!(all.find(&sealer, BEN, &handles[0]).is_err());
        all.close(&sealer, BEN, &handles[0]);
        assert!(all.find(&sealer, ANA, &handles[0]).is_ok(), "not closed by somebody else");
        all.close(&sealer, ANA, &handles[0]);
        all.close(&sealer, ANA, &handles[0]);
        assert!(all.find(&sealer, ANA, &handles[0]).is_err());
        clock.0.store(i64::from(settings.handle_ttl_s) + 1, Ordering::Relaxed);
        assert!(all.find(&sealer, ANA, &handles[1]).is_err(), "expired");
    }

    #[test]
    fn parameters_travel_or_stay() {
        let settings = Settings::new([3; 32], Arc::new(Hand::default()), Arc::new(Counting::default()));
        let all = PreparedStatements::new(&settings);
        let large = Arc::new(StringArray::from(vec!["x".repeat(100_000)])) as _;
        let large = RecordBatch::try_from_iter([("0", large)]).expect("one column");
        for (given, stays) in [(None, false), (Some(batch(5)), false), (Some(large), true)] {
            let bound = given.clone().map(|given: RecordBatch| all.budget.bind(ANA, given).expect("fits"));
            let packed = all.pack(ANA, bound).expect("packs");
            assert_eq!(matches!(packed, Parameters::Kept(_)), stays);
            assert_eq!(all.unpack(ANA, &packed).expect("unpacks"), given);
            assert_eq!(all.unpack(BEN, &packed).is_err(), stays, "what stays is its owner's");
        }
    }
}

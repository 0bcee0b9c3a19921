//! Batches that wait for whoever reads them.

use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::DataType;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool, MemoryReservation};

/// A batch, counted for as long as this lives.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) batch: RecordBatch,
    reservation: MemoryReservation,
}

impl Held {
    /// Counts a batch, even if there is no room for it: it is there already, and others have to take less.
    pub(crate) fn new(batch: RecordBatch, pool: &Arc<dyn MemoryPool>) -> Self {
        let reservation = MemoryConsumer::new("Result").register(pool);
        reservation.grow(held_bytes(&batch));
        Self { batch, reservation }
    }

    /// Counts it twice from now on: whoever reads it makes messages of it.
    pub(crate) fn is_read(&self) {
        self.reservation.grow(self.reservation.size());
    }
}

/// The bytes of a batch's own values. Several batches may be parts of one buffer, which each of them keeps.
pub(super) fn held_bytes(batch: &RecordBatch) -> usize {
    batch.columns().iter().map(|column| bytes(column.as_ref())).sum()
}

fn bytes(array: &dyn Array) -> usize {
    match array.data_type() {
        DataType::Utf8View => array.len() * 16 + array.as_string_view().total_buffer_bytes_used(),
        DataType::BinaryView => array.len() * 16 + array.as_binary_view().total_buffer_bytes_used(),
        _ => {
            let own = array.to_data().get_slice_memory_size();
            own.unwrap_or_else(|_| array.get_array_memory_size())
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, StringViewArray};
    use datafusion::execution::memory_pool::{GreedyMemoryPool, MemoryPool};

    use super::{Held, held_bytes};

    fn batch() -> RecordBatch {
        let text = || (0..1000).map(|_| Some("a text of more than twelve bytes"));
        let columns: [(&str, ArrayRef); 3] = [
            ("n", Arc::new(Int64Array::from_iter_values(0..1000))),
            ("text", Arc::new(text().collect::<StringArray>())),
            ("view", Arc::new(text().collect::<StringViewArray>())),
        ];
        RecordBatch::try_from_iter(columns).expect("a batch")
    }

    #[test]
    fn a_part_counts_as_a_part() {
        let whole = held_bytes(&batch());
        assert!(((8 + 36 + 48) * 1000..100_000).contains(&whole), "{whole}");
        let part = held_bytes(&batch().slice(500, 100));
        assert!(whole / 11 < part && part < whole / 9, "{part} of {whole}");
    }

    #[test]
    fn counted_while_it_lives() {
        let pool: Arc<dyn MemoryPool> = Arc::new(GreedyMemoryPool::new(150_000));
        let held = Held::new(batch(), &pool);
        assert_eq!(pool.reserved(), held_bytes(&held.batch));
        held.is_read();
        assert_eq!(pool.reserved(), 2 * held_bytes(&held.batch));
        drop(held);
        assert_eq!(pool.reserved(), 0);
    }
}

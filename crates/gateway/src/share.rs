//! One part of a result that is executed in several.

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::error::ArrowError;

use crate::Part;

/// Rows that go to the same part, one after the other.
const BLOCK_ROWS: u64 = 4096;

/// Takes one part's rows out of all: blocks of rows in turn. Every part runs the same plan over the same versions, which
/// gives the rows in the same order.
pub(crate) struct Share {
    part: Part,
    seen: u64,
}

impl Share {
    pub(crate) fn new(part: Part) -> Self {
        Self { part, seen: 0 }
    }

    /// Those of the next rows that are this part's.
    pub(crate) fn of(&mut self, batch: RecordBatch) -> Result<RecordBatch, ArrowError> {
        if self.part.of <= 1 {
            return Ok(batch);
        }
        let (start, rows) = (self.seen, batch.num_rows() as u64);
        self.seen += rows;
        let mut mine = Vec::new();
        let mut at = start;
        while at < self.seen {
            let end = ((at / BLOCK_ROWS + 1) * BLOCK_ROWS).min(self.seen);
            if at / BLOCK_ROWS % u64::from(self.part.of) == u64::from(self.part.index) {
                mine.push(batch.slice((at - start) as usize, (end - at) as usize));
            }
            at = end;
        }
        match mine.as_slice() {
            [only] => Ok(only.clone()),
            several => concat_batches(&batch.schema(), several),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, AsArray, Int32Array, RecordBatch};
    use arrow::datatypes::Int32Type;

    use super::Share;
    use crate::Part;

    #[test]
    fn parts_make_a_whole_however_batches_are_cut() {
        let all: ArrayRef = Arc::new(Int32Array::from_iter_values(0..30_000));
        let all = RecordBatch::try_from_iter([("n", all)]).expect("one column");
        let of = 3;
        let mut found = Vec::new();
        for (index, cut) in [(0, 8192), (1, 1000), (2, 30_000)] {
            let mut share = Share::new(Part { index, of });
            for at in (0..all.num_rows()).step_by(cut) {
                let batch = all.slice(at, cut.min(all.num_rows() - at));
                let mine = share.of(batch).expect("slices");
                found.extend(mine.column(0).as_primitive::<Int32Type>().values().iter().copied());
            }
        }
        found.sort_unstable();
        assert_eq!(found, (0..30_000).collect::<Vec<_>>());
        assert_eq!(Share::new(Part::WHOLE).of(all.clone()).expect("all"), all);
    }
}

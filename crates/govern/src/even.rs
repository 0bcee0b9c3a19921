//! Rows cut into batches of one size.

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::compute::BatchCoalescer;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;

/// SECURITY: how many rows of a stored batch are left after a policy's filter tells how many were hidden, and some
/// functions and limits look at batches. So the rows that are left go on in batches of one size, but for the last.
pub(crate) struct Even {
    schema: SchemaRef,
    size: usize,
    /// `None` for rows without columns.
    columns: Option<BatchCoalescer>,
    /// Rows without columns that wait.
    rows: usize,
}

impl Even {
    pub(crate) fn new(schema: SchemaRef, size: usize) -> Self {
        let size = size.max(1);
        let columns = (!schema.fields().is_empty()).then(|| BatchCoalescer::new(schema.clone(), size));
        Self { schema, size, columns, rows: 0 }
    }

    pub(crate) fn push(&mut self, batch: RecordBatch) -> Result<(), ArrowError> {
        match &mut self.columns {
            Some(columns) => columns.push_batch(batch),
            None => {
                self.rows += batch.num_rows();
                Ok(())
            }
        }
    }

    /// No more rows come.
    pub(crate) fn finish(&mut self) -> Result<(), ArrowError> {
        self.size = self.size.min(self.rows.max(1));
        self.columns.as_mut().map_or(Ok(()), BatchCoalescer::finish_buffered_batch)
    }

    /// A batch that is complete.
    pub(crate) fn next(&mut self) -> Result<Option<RecordBatch>, ArrowError> {
        if let Some(columns) = &mut self.columns {
            return Ok(columns.next_completed_batch());
        }
        if self.rows < self.size {
            return Ok(None);
        }
        self.rows -= self.size;
        let options = RecordBatchOptions::new().with_row_count(Some(self.size));
        RecordBatch::try_new_with_options(self.schema.clone(), Vec::new(), &options).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int32Array, RecordBatch};

    use super::Even;

    #[test]
    fn sizes_do_not_depend_on_how_the_rows_came() {
        let numbers: ArrayRef = Arc::new(Int32Array::from_iter_values(0..25));
        let all = RecordBatch::try_from_iter([("n", numbers)]).expect("one column");
        for columns in [vec![0], vec![]] {
            let all = all.project(&columns).expect("a projection");
            for cut in [1, 3, 10, 24, 25] {
                let mut even = Even::new(all.schema(), 10);
                let mut sizes = Vec::new();
                let mut drain = |even: &mut Even| {
                    while let Some(batch) = even.next().expect("a batch") {
                        sizes.push(batch.num_rows());
                    }
                };
                for at in (0..25).step_by(cut) {
                    even.push(all.slice(at, cut.min(25 - at))).expect("rows");
                    drain(&mut even);
                }
                even.finish().expect("the rest");
                drain(&mut even);
                assert_eq!(sizes, [10, 10, 5], "{columns:?} {cut}");
            }
        }
    }
}

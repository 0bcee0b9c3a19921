//! What the barrier lets the planner know.
//!
//! SECURITY: where rows are filtered nothing is told that was counted below, where hidden rows are. The planner computes
//! with bounds, and fails where they do not fit; and by row counts, inexact ones too, it decides which side of a join is
//! read first, so that a fallible expression on one side is evaluated or not. Both tell of hidden values. Of masked columns
//! there is nothing at all. Where nothing is hidden, everything is as usual.

use arrow::datatypes::Schema;
use datafusion::common::stats::Precision;
use datafusion::common::{ColumnStatistics, Statistics};
use meshgate_model::mutant;

/// How many rows a filtered table is taken to have: the same for all, so that it tells nothing, and enough that products of
/// several tables are read after, not before, one of them.
const ROWS_ASSUMED: usize = 1_000_000;

/// The statistics above, from those below; `below[i]` is the column below that serves output column `i` as stored.
pub(crate) fn above(input: &Statistics, below: &[Option<usize>], filtered: bool, schema: &Schema) -> Statistics {
    debug_assert_eq!(below.len(), schema.fields().len(), "one entry for each column");
    if filtered && !mutant("bounds of filtered rows are told") {
        let assumed = Precision::Inexact(ROWS_ASSUMED);
        let num_rows = if mutant("filtered rows are counted") { input.num_rows.to_inexact() } else { assumed };
        return Statistics { num_rows, ..Statistics::new_unknown(schema) };
    }
    let of_column = |index: &Option<usize>| index.and_then(|index| input.column_statistics.get(index)).cloned();
    let column_statistics =
        below.iter().map(|index| of_column(index).unwrap_or_else(ColumnStatistics::new_unknown)).collect();
    let told = Statistics { num_rows: input.num_rows, total_byte_size: Precision::Absent, column_statistics };
    if filtered { told.to_inexact() } else { told }
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::{DataType, Field, Schema};
    use datafusion::common::stats::Precision;
    use datafusion::common::{ColumnStatistics, ScalarValue, Statistics};

    use super::{ROWS_ASSUMED, above};

    #[test]
    fn nothing_of_filtered_rows_and_nothing_of_masked_columns() {
        let column = ColumnStatistics {
            null_count: Precision::Exact(3),
            max_value: Precision::Exact(ScalarValue::from(20_i64)),
            ..ColumnStatistics::new_unknown()
        };
        let input = Statistics {
            num_rows: Precision::Exact(100),
            total_byte_size: Precision::Exact(800),
            column_statistics: vec![column.clone(), column],
        };
        let schema =
            Schema::new(vec![Field::new("plain", DataType::Int64, true), Field::new("masked", DataType::Int64, true)]);
        let seen = above(&input, &[Some(0), None], true, &schema);
        assert_eq!(seen, Statistics { num_rows: Precision::Inexact(ROWS_ASSUMED), ..Statistics::new_unknown(&schema) });
        let open = above(&input, &[Some(0), None], false, &schema);
        assert_eq!(open.num_rows, Precision::Exact(100));
        assert_eq!(open.column_statistics[1], ColumnStatistics::new_unknown());
    }
}

//! What the barrier lets the planner know.
//!
//! SECURITY: where rows are filtered no figure is exact, so that none can answer a query, and no bound of a column is told:
//! the planner computes with bounds, and fails where they do not fit, which tells of hidden values. Of masked columns there is
//! nothing at all. Where nothing is hidden, everything is as usual.

use arrow::datatypes::Schema;
use datafusion::common::stats::Precision;
use datafusion::common::{ColumnStatistics, Statistics};
use meshgate_model::mutant;

/// The statistics above, from those below; `below[i]` is the column below that serves output column `i` as stored.
pub(crate) fn above(input: &Statistics, below: &[Option<usize>], filtered: bool, schema: &Schema) -> Statistics {
    debug_assert_eq!(below.len(), schema.fields().len(), "one entry for each column");
    let column_statistics = below
        .iter()
        .map(|index| {
            let known = index.and_then(|index| input.column_statistics.get(index));
            match known {
                Some(known) if filtered && mutant("bounds of filtered rows are told") => known.clone().to_inexact(),
                Some(known) if filtered => ColumnStatistics {
                    null_count: known.null_count.to_inexact(),
                    distinct_count: known.distinct_count.to_inexact(),
                    ..ColumnStatistics::new_unknown()
                },
                Some(known) => known.clone(),
                None => ColumnStatistics::new_unknown(),
            }
        })
        .collect();
    let num_rows = if filtered { input.num_rows.to_inexact() } else { input.num_rows };
    Statistics { num_rows, total_byte_size: Precision::Absent, column_statistics }
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::{DataType, Field, Schema};
    use datafusion::common::stats::Precision;
    use datafusion::common::{ColumnStatistics, ScalarValue, Statistics};

    use super::above;

    #[test]
    fn nothing_exact_of_filtered_rows_and_nothing_of_masked_columns() {
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
        assert_eq!(seen.num_rows, Precision::Inexact(100));
        assert_eq!(seen.total_byte_size, Precision::Absent);
        assert_eq!(seen.column_statistics[0].max_value, Precision::Absent);
        assert_eq!(seen.column_statistics[0].null_count, Precision::Inexact(3));
        assert_eq!(seen.column_statistics[1], ColumnStatistics::new_unknown());
        let open = above(&input, &[Some(0), None], false, &schema);
        assert_eq!(open.num_rows, Precision::Exact(100));
        assert_eq!(open.column_statistics[1], ColumnStatistics::new_unknown());
    }
}

//! Policy expressions that cannot fail.
//!
//! A row filter or a `sql:` mask may hold a cast or a division, which fails on some values. SECURITY: such a failure would
//! tell every reader of one value in a row or column that is hidden from most. So where an expression fails its value is
//! NULL: a row whose filter fails is hidden, a value whose mask fails is not shown.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, new_null_array};
use arrow::compute::concat;
use arrow::datatypes::{DataType, FieldRef, Schema};
use datafusion::catalog::Session;
use datafusion::common::DFSchema;
use datafusion::error::Result;
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{ColumnarValue, Expr};
use datafusion::physical_expr::PhysicalExpr;

use meshgate_model::mutant;

use crate::leakproof::is_leakproof;

/// The parts of a row filter, all of which must be true, as physical expressions that never fail.
pub(crate) fn conjuncts(session: &dyn Session, filter: &Expr, schema: &DFSchema) -> Result<Vec<Arc<dyn PhysicalExpr>>> {
    let parts = split_conjunction(filter).into_iter().cloned();
    let total = |part: Expr| {
        let cannot_fail = is_leakproof(&part, &|_| true) || mutant("row filters may fail");
        let part = session.create_physical_expr(part, schema)?;
        Ok(if cannot_fail { part } else { Total::of(part) })
    };
    parts.map(total).collect()
}

/// The parts of a row filter by which files may be chosen: those that do not fail on the bounds of a file either.
pub(crate) fn pruning(filter: &Expr) -> impl Iterator<Item = Expr> {
    split_conjunction(filter).into_iter().filter(|part| is_leakproof(part, &|_| true)).cloned()
}

/// An expression whose value is NULL for every row on which it fails, whatever rows come with that one.
#[derive(Debug, Eq)]
pub(crate) struct Total(Arc<dyn PhysicalExpr>);

impl Total {
    pub(crate) fn of(expr: Arc<dyn PhysicalExpr>) -> Arc<dyn PhysicalExpr> {
        Arc::new(Self(expr))
    }

    fn values(&self, batch: &RecordBatch) -> Result<ArrayRef> {
        let rows = batch.num_rows();
        let values = self.0.evaluate(batch).and_then(|value| value.into_array(rows));
        match values {
            Ok(values) => Ok(values),
            Err(error) if rows <= 1 => {
                tracing::debug!(%error, "a policy expression that cannot be computed is NULL");
                Ok(new_null_array(&self.0.data_type(batch.schema_ref())?, rows))
            }
            // One of the rows fails, or all of them are too many: each by itself in the end.
            Err(_) => {
                let half = rows / 2;
                let (left, right) =
                    (self.values(&batch.slice(0, half))?, self.values(&batch.slice(half, rows - half))?);
                Ok(concat(&[&left, &right])?)
            }
        }
    }
}

// By hand: derived, comparing trait objects would move them.
impl PartialEq for Total {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq(&other.0)
    }
}

impl Hash for Total {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl fmt::Display for Total {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl PhysicalExpr for Total {
    fn return_field(&self, input: &Schema) -> Result<FieldRef> {
        Ok(Arc::new(self.0.return_field(input)?.as_ref().clone().with_nullable(true)))
    }

    fn data_type(&self, input: &Schema) -> Result<DataType> {
        self.0.data_type(input)
    }

    fn nullable(&self, _: &Schema) -> Result<bool> {
        Ok(true)
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        Ok(ColumnarValue::Array(self.values(batch)?))
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.0]
    }

    fn with_new_children(self: Arc<Self>, mut children: Vec<Arc<dyn PhysicalExpr>>) -> Result<Arc<dyn PhysicalExpr>> {
        Ok(Self::of(children.swap_remove(0)))
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt_sql(f)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, AsArray, RecordBatch, StringArray};
    use arrow::datatypes::{DataType, Int32Type};
    use datafusion::common::DFSchema;
    use datafusion::logical_expr::{cast, col};
    use datafusion::physical_expr::create_physical_expr;

    use super::Total;

    #[test]
    fn is_null_where_it_fails_and_nowhere_else() {
        let texts = (0..1000).map(|n| if n % 333 == 7 { "x9".to_owned() } else { n.to_string() });
        let texts: ArrayRef = Arc::new(StringArray::from_iter_values(texts));
        let batch = RecordBatch::try_from_iter([("s", texts)]).expect("one column");
        let schema = DFSchema::try_from(batch.schema().as_ref().clone()).expect("one column");
        let context = datafusion::execution::context::ExecutionProps::new();
        let number = cast(col("s"), DataType::Int32);
        let number = create_physical_expr(&number, &schema, &context, &Default::default()).expect("a cast");
        assert!(number.evaluate(&batch).is_err());
        for batch in [batch.clone(), batch.slice(7, 1), batch.slice(300, 41), batch.slice(0, 0)] {
            let values = Total::of(number.clone()).evaluate(&batch).expect("it never fails");
            let values = values.into_array(batch.num_rows()).expect("an array");
            let texts = batch.column(0).as_string::<i32>().iter();
            let expected = texts.map(|text| text.and_then(|text| text.parse().ok())).collect::<Vec<Option<i32>>>();
            assert_eq!(values.as_primitive::<Int32Type>().iter().collect::<Vec<_>>(), expected);
        }
    }
}

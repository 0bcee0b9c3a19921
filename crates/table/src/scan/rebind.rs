//! Rebuilding nested columns of a file in the shape of the table.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, MapArray, StructArray, new_null_array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, FieldRef, Schema};
use arrow::record_batch::RecordBatch;
use datafusion::common::{DataFusionError, Result};
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_expr::PhysicalExpr;

use super::plan::Plan;

/// A column of the table, made from a column of the file.
#[derive(Debug, Clone, Eq)]
pub(crate) struct Rebound {
    column: Arc<dyn PhysicalExpr>,
    field: FieldRef,
    plan: Plan,
}

impl Rebound {
    /// Follows the plan over the file's column.
    pub(crate) fn new(column: Arc<dyn PhysicalExpr>, field: FieldRef, plan: Plan) -> Self {
        Self { column, field, plan }
    }
}

// By hand: derived, comparing trait objects would move them.
impl PartialEq for Rebound {
    fn eq(&self, other: &Self) -> bool {
        self.column.eq(&other.column) && self.field == other.field && self.plan == other.plan
    }
}

impl Hash for Rebound {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.column.hash(state);
        self.field.hash(state);
        self.plan.hash(state);
    }
}

impl PhysicalExpr for Rebound {
    fn data_type(&self, _: &Schema) -> Result<DataType> {
        Ok(self.field.data_type().clone())
    }

    fn nullable(&self, _: &Schema) -> Result<bool> {
        Ok(self.field.is_nullable())
    }

    fn return_field(&self, _: &Schema) -> Result<FieldRef> {
        Ok(self.field.clone())
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        let array = self.column.evaluate(batch)?.into_array(batch.num_rows())?;
        Ok(ColumnarValue::Array(rebuild(&array, &self.plan)?))
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.column]
    }

    fn with_new_children(self: Arc<Self>, mut children: Vec<Arc<dyn PhysicalExpr>>) -> Result<Arc<dyn PhysicalExpr>> {
        Ok(Arc::new(Self::new(children.swap_remove(0), self.field.clone(), self.plan.clone())))
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.column.fmt_sql(f)
    }
}

impl fmt::Display for Rebound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} as {}", self.column, self.field.name())
    }
}

fn rebuild(array: &ArrayRef, plan: &Plan) -> Result<ArrayRef> {
    match plan {
        Plan::Keep => Ok(array.clone()),
        Plan::Cast(to) => Ok(cast(array, to)?),
        Plan::Struct(fields, from) => {
            let array = array.as_struct_opt().ok_or_else(changed)?;
            let columns = fields.iter().zip(from).map(|(field, from)| match from {
                Some((index, plan)) => rebuild(array.column(*index), plan),
                None => Ok(new_null_array(field.data_type(), array.len())),
            });
            let columns = columns.collect::<Result<Vec<_>>>()?;
            if fields.is_empty() {
                return Ok(Arc::new(StructArray::new_empty_fields(array.len(), array.nulls().cloned())));
            }
            Ok(Arc::new(StructArray::try_new(fields.clone(), columns, array.nulls().cloned())?))
        }
        Plan::List(field, element) => {
            let narrow;
            let array = match array.data_type() {
                DataType::LargeList(found) => {
                    narrow = cast(array, &DataType::List(found.clone()))?;
                    &narrow
                }
                _ => array,
            };
            let array = array.as_list_opt::<i32>().ok_or_else(changed)?;
            let values = rebuild(array.values(), element)?;
            let (offsets, nulls) = (array.offsets().clone(), array.nulls().cloned());
            Ok(Arc::new(ListArray::try_new(field.clone(), offsets, values, nulls)?))
        }
        Plan::Map(entries, key, value) => {
            let array = array.as_map_opt().ok_or_else(changed)?;
            let DataType::Struct(fields) = entries.data_type() else { return Err(changed()) };
            let columns = vec![rebuild(array.keys(), key)?, rebuild(array.values(), value)?];
            let rebuilt = StructArray::try_new(fields.clone(), columns, None)?;
            let (offsets, nulls) = (array.offsets().clone(), array.nulls().cloned());
            Ok(Arc::new(MapArray::try_new(entries.clone(), offsets, rebuilt, nulls, false)?))
        }
    }
}

fn changed() -> DataFusionError {
    DataFusionError::Internal("a file's column is not of the type its schema says".to_owned())
}

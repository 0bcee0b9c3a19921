//! Parameters: their types for who prepares, their values for who executes.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::metadata::ScalarAndMetadata;
use datafusion::common::{ParamValues, ScalarValue};
use datafusion::logical_expr::LogicalPlan;

use crate::Error;
use crate::fault::planning;

/// One nullable field for each parameter, in order; type Null if nothing is known of it.
pub(crate) fn schema(plan: &LogicalPlan, count: usize) -> Result<SchemaRef, Error> {
    let types = plan.get_parameter_types().map_err(planning)?;
    let fields = (1..=count).map(|number| {
        let name = format!("${number}");
        let data_type = types.get(&name).cloned().flatten().unwrap_or(DataType::Null);
        Field::new(name, data_type, true)
    });
    Ok(Arc::new(Schema::new(fields.collect::<Vec<_>>())))
}

/// The plan for each row of values, bound by position.
pub(crate) fn bind(plan: LogicalPlan, count: usize, rows: Option<&RecordBatch>) -> Result<Vec<LogicalPlan>, Error> {
    let Some(rows) = rows.filter(|rows| rows.num_columns() > 0 || count > 0) else {
        return if count == 0 {
            Ok(vec![plan])
        } else {
            Err(Error::invalid(format!("the statement has {count} parameters and no values were bound")))
        };
    };
    if rows.num_columns() != count {
        return Err(Error::invalid(format!(
            "the statement has {count} parameters, and {} values were bound",
            rows.num_columns()
        )));
    }
    let wanted = schema(&plan, count)?;
    let strict = CastOptions { safe: false, ..CastOptions::default() };
    let columns = rows
        .columns()
        .iter()
        .zip(wanted.fields())
        .map(|(column, field)| match field.data_type() {
            DataType::Null => Ok(column.clone()),
            wanted => cast_with_options(column, wanted, &strict)
                .map_err(|_| Error::invalid(format!("the value of {} cannot be read as {wanted}", field.name()))),
        })
        .collect::<Result<Vec<_>, _>>()?;
    (0..rows.num_rows())
        .map(|row| {
            let values = columns
                .iter()
                .map(|column| Ok(ScalarAndMetadata::from(ScalarValue::try_from_array(column, row)?)))
                .collect::<Result<Vec<_>, _>>()
                .map_err(planning)?;
            plan.clone().with_param_values(ParamValues::List(values)).map_err(planning)
        })
        .collect()
}

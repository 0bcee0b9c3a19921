//! Parameters: their types for who prepares, their values for who executes.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, UInt32Array};
use arrow::compute::{CastOptions, cast_with_options, take};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::metadata::ScalarAndMetadata;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{DataFusionError, ParamValues, ScalarValue};
use datafusion::logical_expr::expr::{Cast, Placeholder};
use datafusion::logical_expr::{Expr, LogicalPlan};
use meshgate_model::PublicText;

use crate::fault::planning;
use crate::{Error, Options, Request};

/// Each row of parameters is planned on its own, which costs as much as this many words and signs, if not more.
const ROW_TOKENS_MIN: usize = 100;
/// Plans hold the values several times: the part of a query's memory that may be bound.
const MEMORY_SHARE: usize = 4;

/// One nullable field for each parameter, in order; type Null if nothing is known of it.
pub(crate) fn schema(plan: &LogicalPlan, count: usize) -> Result<SchemaRef, Error> {
    let types = plan.get_parameter_types().map_err(planning)?;
    let casts = casts(plan).map_err(planning)?;
    let fields = (1..=count).map(|number| {
        let name = format!("${number}");
        let data_type = types.get(&name).cloned().flatten().or_else(|| casts.get(&name).cloned().flatten());
        let data_type = data_type.unwrap_or(DataType::Null);
        Field::new(name, data_type, true)
    });
    Ok(Arc::new(Schema::new(fields.collect::<Vec<_>>())))
}

/// The types of parameters that stand in a cast wherever they stand, always of the same type, and of those that limit rows. JDBC
/// can bind nothing but NULL to a parameter of which it is told nothing, so a cast is how its user says what a parameter is.
fn casts(plan: &LogicalPlan) -> Result<HashMap<String, Option<DataType>>, DataFusionError> {
    let mut found: HashMap<String, Option<DataType>> = HashMap::new();
    let mut stands = |id: &String, wanted: Option<&DataType>| {
        let known = found.entry(id.clone()).or_insert_with(|| wanted.cloned());
        if known.as_ref() != wanted {
            *known = None;
        }
    };
    plan.apply_with_subqueries(|plan| {
        let limits = matches!(plan, LogicalPlan::Limit(_)).then_some(&DataType::Int64);
        plan.apply_expressions(|expr| {
            expr.apply(|expr| {
                match expr {
                    Expr::Cast(Cast { expr, field }) => {
                        if let Expr::Placeholder(Placeholder { id, .. }) = expr.as_ref() {
                            stands(id, Some(field.data_type()));
                            return Ok(TreeNodeRecursion::Jump);
                        }
                    }
                    Expr::Placeholder(Placeholder { id, .. }) => stands(id, limits),
                    _ => {}
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    Ok(found)
}

/// The plan for each row of values, bound by position.
pub(crate) fn bind(
    plan: LogicalPlan,
    request: &Request,
    rows: Option<&RecordBatch>,
    options: &Options,
) -> Result<Vec<LogicalPlan>, Error> {
    let count = request.parameters;
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
    check_size(rows, request, options)?;
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

/// SECURITY: a few bytes can stand for any number of rows, and a value that is sent once can be meant by all of them. So
/// both are counted before anything is made of them.
fn check_size(rows: &RecordBatch, request: &Request, options: &Options) -> Result<(), Error> {
    let limited = |text: String| Error::Limited { text: PublicText::new(text).hint("bind fewer rows of parameters") };
    let (tokens, most) = (request.tokens.max(ROW_TOKENS_MIN), options.sql_tokens_max);
    if rows.num_rows().saturating_mul(tokens) > most {
        let most = most / tokens;
        return Err(limited(format!("the statement can be run for {most} rows of parameters at once")));
    }
    let bytes_max = options.memory_bytes_per_query / MEMORY_SHARE;
    let mut bytes = 0_usize;
    for row in 0..rows.num_rows() {
        for column in rows.columns() {
            bytes = bytes.saturating_add(bytes_alone(column, row).map_err(planning)?);
            if bytes > bytes_max {
                return Err(limited(format!("the parameters take more than {bytes_max} bytes")));
            }
        }
    }
    Ok(())
}

/// What a value takes that shares nothing with the others.
fn bytes_alone(column: &ArrayRef, row: usize) -> Result<usize, DataFusionError> {
    let row = u32::try_from(row).map_err(|error| DataFusionError::External(Box::new(error)))?;
    let alone = take(column, &UInt32Array::from(vec![row]), None)?;
    Ok(alone.to_data().get_slice_memory_size()?)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, DictionaryArray, Int32Array, NullArray, RecordBatch, RunArray, StringArray};
    use arrow::datatypes::{DataType, Int32Type};
    use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder, cast, try_cast};
    use datafusion::prelude::{Expr, placeholder};
    use meshgate_model::{Failure, Fault};

    use super::{bind, schema};
    use crate::{Options, Request};

    fn plan() -> LogicalPlan {
        let select: [Expr; 1] = [placeholder("$1").alias("a")];
        LogicalPlanBuilder::empty(true).project(select).and_then(LogicalPlanBuilder::build).expect("a plan")
    }

    fn bound(sql: &str, column: ArrayRef, options: &Options) -> Result<usize, String> {
        let rows = RecordBatch::try_from_iter([("0", column)]).expect("one column");
        let request = Request::read(sql, options).expect("a statement");
        bind(plan(), &request, Some(&rows), options).map(|plans| plans.len()).map_err(|error| {
            assert_eq!(error.fault(), Fault::Limited, "{error}");
            error.public().to_string()
        })
    }

    #[test]
    fn rows_count_as_often_as_they_are_planned() {
        let options = Options { sql_tokens_max: 1_000, ..Options::default() };
        let numbers = |count| Arc::new(Int32Array::from_iter_values(0..count)) as ArrayRef;
        assert_eq!(bound("SELECT ?", numbers(10), &options), Ok(10));
        assert!(bound("SELECT ?", numbers(11), &options).expect_err("too many").contains("10 rows"));
        let long = format!("SELECT ?{}", ", 1".repeat(100));
        assert_eq!(bound(&long, numbers(3), &options), Ok(3));
        assert!(bound(&long, numbers(4), &options).expect_err("too many").contains("3 rows"));
        // A few bytes are any number of rows.
        assert!(bound("SELECT ?", Arc::new(NullArray::new(usize::MAX >> 1)), &options).is_err());
        let runs = RunArray::<Int32Type>::try_new(&Int32Array::from(vec![i32::MAX]), &StringArray::from(vec!["a"]));
        assert!(bound("SELECT ?", Arc::new(runs.expect("one run")), &options).is_err());
    }

    #[test]
    fn a_cast_tells_the_type_of_what_is_cast() {
        let types = |select: Vec<Expr>, count| {
            let plan = LogicalPlanBuilder::empty(true).project(select).and_then(LogicalPlanBuilder::build);
            let schema = schema(&plan.expect("a plan"), count).expect("types");
            schema.fields().iter().map(|field| field.data_type().clone()).collect::<Vec<_>>()
        };
        let (one, two) = (|| placeholder("$1"), || placeholder("$2"));
        let day = cast(one(), DataType::Date32);
        assert_eq!(types(vec![day.clone(), two()], 2), [DataType::Date32, DataType::Null]);
        assert_eq!(types(vec![day.clone(), day.clone().is_null().alias("b")], 1), [DataType::Date32]);
        // What is said twice and differently, or once and then left open, is not known.
        assert_eq!(types(vec![day.clone(), cast(one(), DataType::Utf8).alias("b")], 1), [DataType::Null]);
        assert_eq!(types(vec![day.clone(), one().alias("b")], 1), [DataType::Null]);
        assert_eq!(types(vec![one().alias("b"), day], 1), [DataType::Null]);
        let plan = LogicalPlanBuilder::empty(true).limit_by_expr(Some(two()), Some(one()));
        let limits = schema(&plan.and_then(LogicalPlanBuilder::build).expect("a plan"), 2).expect("types");
        assert!(limits.fields().iter().all(|field| field.data_type() == &DataType::Int64));
        // Any value may be tried.
        assert_eq!(types(vec![try_cast(one(), DataType::Date32)], 1), [DataType::Null]);
    }

    #[test]
    fn a_value_that_rows_share_counts_for_each() {
        let options = Options { memory_bytes_per_query: 1 << 20, ..Options::default() };
        let shared = |rows| {
            let values = Arc::new(StringArray::from(vec!["x".repeat(50_000)]));
            Arc::new(DictionaryArray::<Int32Type>::new(Int32Array::from(vec![0; rows]), values)) as ArrayRef
        };
        assert_eq!(bound("SELECT ?", shared(5), &options), Ok(5));
        assert!(bound("SELECT ?", shared(6), &options).expect_err("too large").contains("bytes"));
    }
}

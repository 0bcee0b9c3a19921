//! EXPLAIN: the logical plan over governed tables, which neither policy nor statistics shape; and for owners the physical
//! one.

use std::sync::Arc;

use arrow::array::{RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::tree_node::Transformed;
use datafusion::error::Result;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::{ExecutionPlan, displayable};
use meshgate_govern::GovernedTable;
use meshgate_model::mutant;

use crate::twins;

/// `plan_type`, `plan`, as DataFusion's own EXPLAIN. SECURITY: the physical plan shows policies, files and statistics: it
/// is for who owns every table of the statement.
pub(crate) fn of(plan: &LogicalPlan, physical: Option<&dyn ExecutionPlan>) -> Result<RecordBatch> {
    let logical = ("logical_plan", twins::without_marks(&told(plan)?.display_indent().to_string()));
    let physical = physical.map(|plan| ("physical_plan", displayable(plan).indent(false).to_string()));
    let (kinds, plans): (Vec<_>, Vec<_>) = std::iter::once(logical).chain(physical).unzip();
    let (kinds, plans) = (StringArray::from(kinds), StringArray::from(plans));
    Ok(RecordBatch::try_new(schema(), vec![Arc::new(kinds), Arc::new(plans)])?)
}

/// The plan without the filters that its scans were given: each still stands above its scan. SECURITY: that a filter is not
/// given to a scan tells that something inside its column is hidden.
fn told(plan: &LogicalPlan) -> Result<LogicalPlan> {
    let told = plan.clone().transform_up_with_subqueries(|node| {
        Ok(match node {
            LogicalPlan::TableScan(mut scan) if !mutant("plans tell the filters of scans") => {
                scan.filters.clear();
                Transformed::yes(LogicalPlan::TableScan(scan))
            }
            node => Transformed::no(node),
        })
    })?;
    Ok(told.data)
}

fn schema() -> SchemaRef {
    let text = |name: &str| Field::new(name, DataType::Utf8, true);
    Arc::new(Schema::new(vec![text("plan_type"), text("plan")]))
}

/// `column_name`, `data_type`, `is_nullable`.
pub(crate) fn columns(table: &GovernedTable) -> Result<RecordBatch> {
    use datafusion::catalog::TableProvider;

    let served = table.schema();
    let names = served.fields().iter().map(|field| Some(field.name().as_str()));
    let types = served.fields().iter().map(|field| Some(field.data_type().to_string()));
    let nullable = served.fields().iter().map(|field| Some(if field.is_nullable() { "YES" } else { "NO" }));
    let text = |name: &str| Field::new(name, DataType::Utf8, true);
    let schema = Arc::new(Schema::new(vec![text("column_name"), text("data_type"), text("is_nullable")]));
    Ok(RecordBatch::try_new(
        schema,
        vec![
            Arc::new(names.collect::<StringArray>()),
            Arc::new(types.collect::<StringArray>()),
            Arc::new(nullable.collect::<StringArray>()),
        ],
    )?)
}

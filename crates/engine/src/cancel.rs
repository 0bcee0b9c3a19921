//! Joins that stop when they are told to.
//!
//! Dropping a stream does not stop a cross join or a nested-loop join for tens of seconds: the loop inside one poll never
//! yields. Two passes over the physical plan mend it: every join is wrapped so that it takes part in cooperative
//! scheduling, and a nested-loop join's filter begins with a conjunct that fails once the query is cancelled. So does every
//! request for memory (see [`crate::memory`]), and the functions of windows ([`windows`]).

#[cfg(test)]
mod tests;
pub(crate) mod windows;

use std::any::Any;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::datatypes::{DataType, Schema};
use datafusion::common::ScalarValue;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{
    ColumnarValue, Operator, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::physical_expr::expressions::BinaryExpr;
use datafusion::physical_expr::{PhysicalExpr, ScalarFunctionExpr};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::joins::utils::JoinFilter;
use datafusion::physical_plan::joins::{NestedLoopJoinExec, NestedLoopJoinExecBuilder};
use tokio_util::sync::CancellationToken;

/// Both passes.
pub(crate) fn cancellable(
    plan: Arc<dyn ExecutionPlan>,
    cancelled: &CancellationToken,
    config: &Arc<ConfigOptions>,
) -> Result<Arc<dyn ExecutionPlan>> {
    let plan = check_in_loops(plan, cancelled, config)?;
    cooperate_in_joins(plan)
}

/// Fails once the query is cancelled.
pub(crate) fn check(cancelled: &CancellationToken) -> Result<()> {
    if cancelled.is_cancelled() { Err(DataFusionError::Execution("cancelled".to_owned())) } else { Ok(()) }
}

fn check_in_loops(
    plan: Arc<dyn ExecutionPlan>,
    cancelled: &CancellationToken,
    config: &Arc<ConfigOptions>,
) -> Result<Arc<dyn ExecutionPlan>> {
    let checked = plan.transform_up(|node| {
        let Some(join) = node.downcast_ref::<NestedLoopJoinExec>() else { return Ok(Transformed::no(node)) };
        let Some(filter) = join.filter() else { return Ok(Transformed::no(node)) };
        let check = CancelCheck::expression(cancelled, filter.schema(), config)?;
        let both = Arc::new(BinaryExpr::new(check, Operator::And, filter.expression().clone()));
        let filter = JoinFilter::new(both, filter.column_indices().to_vec(), filter.schema().clone());
        let join = NestedLoopJoinExecBuilder::new(join.left().clone(), join.right().clone(), *join.join_type())
            .with_filter(Some(filter))
            .with_projection_ref(join.projection().clone())
            .build()?;
        Ok(Transformed::yes(Arc::new(join) as Arc<dyn ExecutionPlan>))
    })?;
    Ok(checked.data)
}

fn cooperate_in_joins(plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    let wrapped = plan.transform_up(|node| {
        if node.name().ends_with("JoinExec") {
            return Ok(Transformed::yes(Arc::new(CooperativeExec::new(node)) as Arc<dyn ExecutionPlan>));
        }
        Ok(Transformed::no(node))
    })?;
    Ok(wrapped.data)
}

/// True, until the query is cancelled; then an error.
#[derive(Debug)]
struct CancelCheck {
    cancelled: CancellationToken,
    signature: Signature,
}

impl CancelCheck {
    fn expression(
        cancelled: &CancellationToken,
        schema: &Schema,
        config: &Arc<ConfigOptions>,
    ) -> Result<Arc<dyn PhysicalExpr>> {
        let check = Self { cancelled: cancelled.clone(), signature: Signature::nullary(Volatility::Volatile) };
        let function = Arc::new(ScalarUDF::new_from_impl(check));
        Ok(Arc::new(ScalarFunctionExpr::try_new(function, Vec::new(), schema, config.clone())?))
    }
}

impl PartialEq for CancelCheck {
    fn eq(&self, _: &Self) -> bool {
        false
    }
}

impl Eq for CancelCheck {}

impl Hash for CancelCheck {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.type_id().hash(state);
    }
}

impl ScalarUDFImpl for CancelCheck {
    fn name(&self) -> &str {
        "not_cancelled"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> Result<ColumnarValue> {
        check(&self.cancelled)?;
        Ok(ColumnarValue::Scalar(ScalarValue::Boolean(Some(true))))
    }
}

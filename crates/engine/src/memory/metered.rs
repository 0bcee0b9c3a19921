//! Operators that keep all of their input, which the library does not count, or not all of it.

use std::fmt;
use std::sync::Arc;

use arrow::array::RecordBatch;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::error::Result;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::aggregates::AggregateExec;
use datafusion::physical_plan::execution_plan::ReplaceChildrenOptions;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::windows::WindowAggExec;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use futures::StreamExt;

use super::held::held_bytes;
use crate::recursion::RECOMPUTED;

/// Of a window: the batches that came, all of them in one, and that one with the window's columns.
const WINDOW_COPIES: usize = 3;
/// Of an array: the batches that came, all of them in one, that one in a result, and in the messages made of it.
const ARRAY_COPIES: usize = 4;

/// Counts the input of such operators.
pub(crate) fn metered(plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    let metered = plan.transform_up(|node| {
        let Some(copies) = copies(node.as_ref()) else { return Ok(Transformed::no(node)) };
        let meter = |input: &Arc<dyn ExecutionPlan>| Arc::new(MeterExec { input: input.clone(), copies }) as _;
        let inputs = node.children().into_iter().map(meter).collect();
        node.replace_children(inputs, RECOMPUTED).map(Transformed::yes)
    })?;
    Ok(metered.data)
}

/// How many times an operator has its input in memory, if it keeps all of it.
fn copies(node: &dyn ExecutionPlan) -> Option<usize> {
    if node.downcast_ref::<WindowAggExec>().is_some() {
        return Some(WINDOW_COPIES);
    }
    // Text is kept as views, whose bytes are not counted. Distinct values are kept apart, and counted.
    let aggregations = node.downcast_ref::<AggregateExec>()?.aggr_expr();
    let gathers = aggregations.iter().any(|function| function.fun().name() == "array_agg" && !function.is_distinct());
    gathers.then_some(ARRAY_COPIES)
}

/// Passes everything on, and counts it as kept until the end.
#[derive(Debug)]
struct MeterExec {
    input: Arc<dyn ExecutionPlan>,
    copies: usize,
}

impl DisplayAs for MeterExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MeterExec")
    }
}

impl ExecutionPlan for MeterExec {
    fn name(&self) -> &str {
        "MeterExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.input.properties()
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(Self { input: children.swap_remove(0), copies: self.copies }))
    }

    fn with_new_children(self: Arc<Self>, mut children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(Self { input: children.swap_remove(0), copies: self.copies }))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let (input, copies) = (self.input.execute(partition, context.clone())?, self.copies);
        let kept = MemoryConsumer::new(format!("KeptInput[{partition}]")).register(context.memory_pool());
        let schema = input.schema();
        // The reservation lives as long as the stream, which the operator keeps.
        let counted = input.map(move |batch| count(batch?, copies, &kept));
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, counted)))
    }
}

fn count(batch: RecordBatch, copies: usize, kept: &MemoryReservation) -> Result<RecordBatch> {
    kept.try_grow(held_bytes(&batch).saturating_mul(copies))?;
    Ok(batch)
}

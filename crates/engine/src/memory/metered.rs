//! Windows that keep all of their input, which the library does not count.

use std::fmt;
use std::sync::Arc;

use arrow::array::RecordBatch;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::error::Result;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::execution_plan::ReplaceChildrenOptions;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::windows::WindowAggExec;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use futures::StreamExt;

use super::held::held_bytes;
use crate::recursion::RECOMPUTED;

/// The batches that came, all of them in one, and that one with the window's columns.
const COPIES: usize = 3;

/// Counts the input of such windows.
pub(crate) fn metered(plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    let metered = plan.transform_up(|node| {
        if node.downcast_ref::<WindowAggExec>().is_none() {
            return Ok(Transformed::no(node));
        }
        let inputs = node.children().into_iter().map(|input| Arc::new(MeterExec(input.clone())) as _).collect();
        node.replace_children(inputs, RECOMPUTED).map(Transformed::yes)
    })?;
    Ok(metered.data)
}

/// Passes everything on, and counts it as kept until the end.
#[derive(Debug)]
struct MeterExec(Arc<dyn ExecutionPlan>);

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
        self.0.properties()
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.0]
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
        Ok(Arc::new(Self(children.swap_remove(0))))
    }

    fn with_new_children(self: Arc<Self>, mut children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(Self(children.swap_remove(0))))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let input = self.0.execute(partition, context.clone())?;
        let kept = MemoryConsumer::new(format!("WindowInput[{partition}]")).register(context.memory_pool());
        let schema = input.schema();
        // The reservation lives as long as the stream, which the window keeps.
        let counted = input.map(move |batch| count(batch?, &kept));
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, counted)))
    }
}

fn count(batch: RecordBatch, kept: &MemoryReservation) -> Result<RecordBatch> {
    kept.try_grow(held_bytes(&batch).saturating_mul(COPIES))?;
    Ok(batch)
}

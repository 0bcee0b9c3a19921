//! Recursive queries within a number of rows.
//!
//! A recursive query can double what it has with every step, and batches without columns take memory that no pool
//! counts, nor does any count what a batch of two rows takes beside them. So the recursive part is wrapped in a node that counts
//! its rows over all steps, and makes few batches of them.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::array::RecordBatch;
use arrow::compute::BatchCoalescer;
use arrow::datatypes::SchemaRef;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::execution_plan::{ChildrenPropertiesMode, ReplaceChildrenOptions};
use datafusion::physical_plan::recursive_query::RecursiveQueryExec;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt, stream};
use meshgate_model::PublicText;

use crate::Error;

pub(crate) const RECOMPUTED: ReplaceChildrenOptions = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute);

/// Every recursive query of the plan within the number of rows.
pub(crate) fn bounded(plan: Arc<dyn ExecutionPlan>, rows_max: usize) -> Result<Arc<dyn ExecutionPlan>> {
    let bounded = plan.transform_up(|node| {
        if !node.is::<RecursiveQueryExec>() {
            return Ok(Transformed::no(node));
        }
        let children = node.children().into_iter().enumerate();
        let children = children.map(|(place, child)| match place {
            0 => child.clone(),
            _ => Arc::new(CountedExec { input: child.clone(), rows: Arc::default(), rows_max }) as _,
        });
        let children = children.collect();
        Ok(Transformed::yes(node.replace_children(children, RECOMPUTED)?))
    })?;
    Ok(bounded.data)
}

/// Passes its input on until it has given too many rows. INVARIANT: copies of it count together: the recursive part is
/// made anew for each step.
#[derive(Debug)]
struct CountedExec {
    input: Arc<dyn ExecutionPlan>,
    rows: Arc<AtomicUsize>,
    rows_max: usize,
}

impl DisplayAs for CountedExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CountedExec")
    }
}

impl ExecutionPlan for CountedExec {
    fn name(&self) -> &str {
        "CountedExec"
    }

    fn schema(&self) -> SchemaRef {
        self.input.schema()
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.input.properties()
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
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
        Ok(Arc::new(Self { input: children.swap_remove(0), rows: self.rows.clone(), rows_max: self.rows_max }))
    }

    fn with_new_children(self: Arc<Self>, mut children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(Self { input: children.swap_remove(0), rows: self.rows.clone(), rows_max: self.rows_max }))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let (rows, rows_max, batch_size) = (self.rows.clone(), self.rows_max, context.session_config().batch_size());
        let counted = self.input.execute(partition, context)?.map(move |batch| {
            let batch = batch?;
            if rows.fetch_add(batch.num_rows(), Ordering::Relaxed) + batch.num_rows() > rows_max {
                let text = PublicText::new(format!("the steps of a recursive query make more than {rows_max} rows"))
                    .hint("let its recursive part end earlier");
                return Err(DataFusionError::External(Box::new(Error::Limited { text })));
            }
            Ok(batch)
        });
        let batches = coalesced(counted.boxed(), self.schema(), batch_size);
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), batches)))
    }
}

/// The same rows in batches of one size.
fn coalesced(
    input: BoxStream<'static, Result<RecordBatch>>,
    schema: SchemaRef,
    batch_size: usize,
) -> BoxStream<'static, Result<RecordBatch>> {
    if schema.fields().is_empty() {
        return input;
    }
    let waiting = BatchCoalescer::new(schema, batch_size);
    let batches = stream::try_unfold((input, waiting, false), |(mut input, mut waiting, mut ended)| async move {
        loop {
            if let Some(batch) = waiting.next_completed_batch() {
                return Ok(Some((batch, (input, waiting, ended))));
            }
            if ended {
                return Ok(None);
            }
            match input.try_next().await? {
                Some(batch) => waiting.push_batch(batch)?,
                None => {
                    ended = true;
                    waiting.finish_buffered_batch()?;
                }
            }
        }
    });
    batches.boxed()
}

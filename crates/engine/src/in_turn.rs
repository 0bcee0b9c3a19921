//! Partitions that were dealt their batches in turn give them back in turn.
//!
//! A table that hides something is read in order, and its batches are dealt to the partitions like cards. Who is first with
//! a row or with an error would be chance, and chance depends on how long hidden bytes take. Collected in turn, the rows of
//! a query that only filters and computes come in the order of the files, and the rows before an error are always the same.

use std::fmt;
use std::sync::Arc;

use arrow::array::RecordBatch;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, Partitioning, PhysicalExpr};
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateMode};
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::common::spawn_buffered;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::execution_plan::{EmissionType, ReplaceChildrenOptions};
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::limit::LocalLimitExec;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::unnest::UnnestExec;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, PlanProperties};
use futures::{StreamExt, stream};
use meshgate_model::mutant;

/// Batches that a partition makes while another one has its turn: no query is charged for them.
const AHEAD_LEN: usize = 1;

/// Wherever partitions that were dealt their batches are collected, and at the top, they are collected in turn.
pub(crate) fn in_turn(plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    if mutant("partitions are collected as they come") {
        return Ok(plan);
    }
    let collected = plan.transform_up(|node| {
        Ok(match node.downcast_ref::<CoalescePartitionsExec>() {
            Some(collect) if is_dealt(collect.input().as_ref()) => {
                Transformed::yes(InTurnExec::over(collect.input().clone(), collect.fetch()))
            }
            _ => Transformed::no(node),
        })
    })?;
    let plan = collected.data;
    Ok(if is_dealt(plan.as_ref()) { InTurnExec::over(plan, None) } else { plan })
}

/// Whether what each partition gives depends on nothing but its share of the batches of one partition, and that one on
/// nothing but one table. What makes many rows of one does not count: a partition could have much to give before its turn.
fn is_dealt(node: &dyn ExecutionPlan) -> bool {
    if let Some(deal) = node.downcast_ref::<RepartitionExec>() {
        let from = deal.input().output_partitioning().partition_count();
        let even = from == 1 && matches!(deal.partitioning(), Partitioning::RoundRobinBatch(_));
        return even && is_of_one_table(deal.input().as_ref());
    }
    let passes = node.is::<FilterExec>()
        || node.is::<ProjectionExec>()
        || node.is::<LocalLimitExec>()
        || node.is::<CooperativeExec>()
        || node.downcast_ref::<AggregateExec>().is_some_and(|node| *node.mode() == AggregateMode::Partial);
    passes && node.children().first().is_some_and(|input| is_dealt(input.as_ref()))
}

fn is_of_one_table(node: &dyn ExecutionPlan) -> bool {
    match node.children().as_slice() {
        [] => true,
        [input] => !node.is::<UnnestExec>() && is_of_one_table(input.as_ref()),
        _ => false,
    }
}

/// One batch of each partition of the input, again and again.
#[derive(Debug)]
struct InTurnExec {
    input: Arc<dyn ExecutionPlan>,
    /// How many rows are wanted, if not all.
    fetch: Option<usize>,
    properties: Arc<PlanProperties>,
}

impl InTurnExec {
    fn over(input: Arc<dyn ExecutionPlan>, fetch: Option<usize>) -> Arc<dyn ExecutionPlan> {
        let properties = Arc::new(PlanProperties::new(
            EquivalenceProperties::new(input.schema()),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Incremental,
            input.boundedness(),
        ));
        Arc::new(Self { input, fetch, properties })
    }
}

/// The partitions that have not ended, and whose turn it is.
struct Turns {
    partitions: Vec<SendableRecordBatchStream>,
    turn: usize,
    /// Rows still wanted.
    wanted: usize,
}

impl Turns {
    async fn next(mut self) -> Option<(Result<RecordBatch>, Self)> {
        while self.wanted > 0 && !self.partitions.is_empty() {
            self.turn %= self.partitions.len();
            match self.partitions[self.turn].next().await {
                None => drop(self.partitions.remove(self.turn)),
                Some(Err(error)) => {
                    self.partitions.clear();
                    return Some((Err(error), self));
                }
                Some(Ok(batch)) => {
                    self.turn += 1;
                    let batch = if batch.num_rows() > self.wanted { batch.slice(0, self.wanted) } else { batch };
                    self.wanted -= batch.num_rows();
                    return Some((Ok(batch), self));
                }
            }
        }
        None
    }
}

impl DisplayAs for InTurnExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InTurnExec")
    }
}

impl ExecutionPlan for InTurnExec {
    fn name(&self) -> &str {
        "InTurnExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
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
        Ok(Self::over(children.swap_remove(0), self.fetch))
    }

    fn with_new_children(self: Arc<Self>, mut children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(Self::over(children.swap_remove(0), self.fetch))
    }

    fn fetch(&self) -> Option<usize> {
        self.fetch
    }

    fn execute(&self, _: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let partitions = (0..self.input.output_partitioning().partition_count())
            .map(|partition| Ok(spawn_buffered(self.input.execute(partition, context.clone())?, AHEAD_LEN)))
            .collect::<Result<Vec<_>>>()?;
        let turns = Turns { partitions, turn: 0, wanted: self.fetch.unwrap_or(usize::MAX) };
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), stream::unfold(turns, Turns::next))))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int64Array, RecordBatch};
    use datafusion::common::cast::as_int64_array;
    use datafusion::datasource::memory::MemorySourceConfig;
    use datafusion::error::Result;
    use datafusion::execution::TaskContext;
    use datafusion::physical_expr::Partitioning;
    use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
    use datafusion::physical_plan::repartition::RepartitionExec;
    use datafusion::physical_plan::{ExecutionPlan, execute_stream};
    use datafusion::prelude::SessionConfig;
    use futures::TryStreamExt;

    use super::in_turn;

    const BATCHES: i64 = 100;

    /// Batches of three rows, dealt to so many partitions.
    fn dealt(partitions: usize) -> Result<Arc<dyn ExecutionPlan>> {
        let batches = (0..BATCHES).map(|n| {
            let rows = Arc::new(Int64Array::from_iter_values(n * 3..n * 3 + 3)) as ArrayRef;
            RecordBatch::try_from_iter([("n", rows)])
        });
        let batches = batches.collect::<Result<Vec<_>, _>>()?;
        let schema = batches[0].schema();
        let source = MemorySourceConfig::try_new_exec(&[batches], schema, None)?;
        Ok(Arc::new(RepartitionExec::try_new(source, Partitioning::RoundRobinBatch(partitions))?))
    }

    async fn numbers(plan: Arc<dyn ExecutionPlan>) -> Result<Vec<i64>> {
        let config = SessionConfig::new().with_batch_size(3);
        let rows = execute_stream(plan, Arc::new(TaskContext::default().with_session_config(config)))?;
        let batches: Vec<RecordBatch> = rows.try_collect().await?;
        let mut numbers = Vec::new();
        for batch in &batches {
            numbers.extend(as_int64_array(batch.column(0))?.values());
        }
        Ok(numbers)
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_was_dealt_comes_in_order() -> Result<()> {
        for partitions in 2..6 {
            let all = (0..BATCHES * 3).collect::<Vec<_>>();
            assert_eq!(numbers(in_turn(dealt(partitions)?)?).await?, all);
            for fetch in [0, 1, 3, 10, 299, 301] {
                let collect = CoalescePartitionsExec::new(dealt(partitions)?).with_fetch(Some(fetch));
                let first = numbers(in_turn(Arc::new(collect))?).await?;
                assert_eq!(first, all[..fetch.min(all.len())], "{fetch} of {partitions}");
            }
        }
        Ok(())
    }
}

//! The node of a table's scan in a physical plan.

use std::collections::{HashSet, VecDeque};
use std::fmt;
use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, Result, Statistics};
use datafusion::config::ConfigOptions;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, Partitioning, PhysicalExpr};
use datafusion::physical_plan::execution_plan::EmissionType;
use datafusion::physical_plan::filter_pushdown::{
    ChildFilterDescription, ChildPushdownResult, FilterDescription, FilterPushdownPhase, FilterPushdownPropagation,
};
use datafusion::physical_plan::statistics::{ChildStats, StatisticsArgs};
use datafusion::physical_plan::stream::{RecordBatchReceiverStream, RecordBatchStreamAdapter};
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, PlanProperties, ReplaceChildrenOptions,
};
use futures::{StreamExt, TryStreamExt, stream};
use object_store::memory::InMemory;

use super::NOWHERE;
use super::frozen::Frozen;

/// Batches that a task reads ahead of the rows that are wanted: few, as no query is charged for them.
const AHEAD_LEN: usize = 4;

/// Passes through what the Parquet source beneath it reads, and filters the other way. The one node to look for when a
/// plan has to be known to read a table.
#[derive(Debug, Clone)]
pub struct LakeScanExec {
    input: Arc<dyn ExecutionPlan>,
    in_order: Option<InOrder>,
    properties: Arc<PlanProperties>,
}

/// What [`super::Delivery::InOrder`] takes.
#[derive(Debug, Clone)]
struct InOrder {
    /// How many pieces are read at once.
    tasks: usize,
    frozen: Arc<Frozen>,
}

impl LakeScanExec {
    pub(crate) fn divided(input: Arc<dyn ExecutionPlan>) -> Self {
        Self { properties: input.properties().clone(), input, in_order: None }
    }

    /// Reads the partitions of the input as one, in their order, so many of them at once.
    pub(crate) fn in_order(input: Arc<dyn ExecutionPlan>, tasks: usize) -> Self {
        Self::ordered(input, InOrder { tasks: tasks.max(1), frozen: Arc::default() })
    }

    fn ordered(input: Arc<dyn ExecutionPlan>, in_order: InOrder) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(input.schema()),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Incremental,
            input.boundedness(),
        );
        Self { input, in_order: Some(in_order), properties: Arc::new(properties) }
    }

    fn with_input(&self, input: Arc<dyn ExecutionPlan>) -> Self {
        match &self.in_order {
            None => Self::divided(input),
            Some(in_order) => Self::ordered(input, in_order.clone()),
        }
    }
}

/// Partitions that are read one after the other, and ahead.
struct Ahead {
    input: Arc<dyn ExecutionPlan>,
    context: Arc<TaskContext>,
    tasks: usize,
    next: usize,
    begun: VecDeque<SendableRecordBatchStream>,
}

impl Ahead {
    async fn next(&mut self) -> Option<Result<RecordBatch>> {
        let partitions = self.input.output_partitioning().partition_count();
        loop {
            while self.begun.len() < self.tasks && self.next < partitions {
                self.begun.push_back(self.begin(self.next));
                self.next += 1;
            }
            match self.begun.front_mut()?.next().await {
                Some(batch) => return Some(batch),
                None => drop(self.begun.pop_front()),
            }
        }
    }

    fn begin(&self, partition: usize) -> SendableRecordBatchStream {
        let mut ahead = RecordBatchReceiverStream::builder(self.input.schema(), AHEAD_LEN);
        let (input, context, rows) = (self.input.clone(), self.context.clone(), ahead.tx());
        ahead.spawn(async move {
            let mut batches = input.execute(partition, context)?;
            while let Some(batch) = batches.next().await {
                if rows.send(batch).await.is_err() {
                    break;
                }
            }
            Ok(())
        });
        ahead.build()
    }
}

impl DisplayAs for LakeScanExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LakeScanExec")
    }
}

impl ExecutionPlan for LakeScanExec {
    fn name(&self) -> &'static str {
        "LakeScanExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
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
        Ok(Arc::new(self.with_input(children.swap_remove(0))))
    }

    fn with_new_children(self: Arc<Self>, mut children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(self.with_input(children.swap_remove(0))))
    }

    fn repartitioned(
        &self,
        target_partitions: usize,
        config: &ConfigOptions,
    ) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        if self.in_order.is_some() {
            return Ok(None);
        }
        let input = self.input.repartitioned(target_partitions, config)?;
        Ok(input.map(|input| Arc::new(Self::divided(input)) as _))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        // The source asks for a store before it asks our readers; the one it finds is empty.
        context.runtime_env().register_object_store(NOWHERE.as_ref(), Arc::new(InMemory::new()));
        let Some(in_order) = self.in_order.clone() else { return self.input.execute(partition, context) };
        let ahead =
            Ahead { input: self.input.clone(), context, tasks: in_order.tasks, next: 0, begun: VecDeque::new() };
        // Not before the first row is wanted: what the other side of a join tells is known then.
        let rows = stream::once(async move {
            in_order.frozen.begin()?;
            Ok::<_, DataFusionError>(stream::unfold(
                ahead,
                |mut ahead| async move { Some((ahead.next().await?, ahead)) },
            ))
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), rows.try_flatten())))
    }

    fn child_stats_requests(&self, partition: Option<usize>) -> Vec<ChildStats> {
        vec![ChildStats::At(partition.filter(|_| self.in_order.is_none()))]
    }

    fn statistics_from_inputs(&self, inputs: &[Arc<Statistics>], _: &StatisticsArgs) -> Result<Arc<Statistics>> {
        Ok(inputs[0].clone())
    }

    fn supports_limit_pushdown(&self) -> bool {
        self.in_order.is_none()
    }

    fn with_fetch(&self, limit: Option<usize>) -> Option<Arc<dyn ExecutionPlan>> {
        // Each piece would have the limit for itself.
        if self.in_order.is_some() {
            return None;
        }
        Some(Arc::new(Self::divided(self.input.with_fetch(limit)?)))
    }

    fn fetch(&self) -> Option<usize> {
        self.input.fetch()
    }

    fn gather_filters_for_pushdown(
        &self,
        _: FilterPushdownPhase,
        parent_filters: Vec<Arc<dyn PhysicalExpr>>,
        _: &ConfigOptions,
    ) -> Result<FilterDescription> {
        // SECURITY: the source promises to apply a filter when it is planned and builds it when a file is opened; over
        // columns that have to be rebuilt from a file's older shape it could not, and would drop it. Filters over nested
        // columns stay above.
        let flat: HashSet<usize> = self
            .schema()
            .fields()
            .iter()
            .enumerate()
            .filter(|(_, field)| !field.data_type().is_nested())
            .map(|(index, _)| index)
            .collect();
        let filters = match &self.in_order {
            None => parent_filters,
            Some(in_order) => {
                parent_filters.iter().map(|filter| in_order.frozen.still(filter)).collect::<Result<_>>()?
            }
        };
        let child = ChildFilterDescription::from_child_with_allowed_indices(&filters, flat, &self.input)?;
        Ok(FilterDescription::new().with_child(child))
    }

    fn handle_child_pushdown_result(
        &self,
        _: FilterPushdownPhase,
        result: ChildPushdownResult,
        _: &ConfigOptions,
    ) -> Result<FilterPushdownPropagation<Arc<dyn ExecutionPlan>>> {
        Ok(FilterPushdownPropagation::if_all(result))
    }
}

//! The operator at the top of every governed scan: policy filter, masks, barrier and compaction in one.
//!
//! It is one operator and not a filter and a projection under a pass-through node, because DataFusion's rules move projections and
//! filters through each other; nothing moves through this.

use std::fmt;
use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{FieldRef, SchemaRef};
use datafusion::common::Statistics;
use datafusion::common::cast::as_boolean_array;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{EquivalenceProperties, Partitioning, PhysicalExpr, conjunction};
use datafusion::physical_plan::execution_plan::{CardinalityEffect, EmissionType, ReplaceChildrenOptions};
use datafusion::physical_plan::filter_pushdown::{
    ChildFilterDescription, ChildPushdownResult, FilterDescription, FilterPushdownPhase, FilterPushdownPropagation,
    PushedDown,
};
use datafusion::physical_plan::statistics::{ChildStats, StatisticsArgs};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, PlanProperties};
use futures::{StreamExt, stream};
use meshgate_model::mutant;

use crate::compact::compact;
use crate::even::Even;
use crate::retype::retyped;
use crate::{leakproof, statistics};

/// See the module.
#[derive(Debug)]
pub(crate) struct GovernedExec {
    input: Arc<dyn ExecutionPlan>,
    /// The parts of the policy filter that the reader of the files does not apply, and the leakproof filters of the query
    /// by which it only chooses what to read of a table that hides something.
    filters: Vec<Arc<dyn PhysicalExpr>>,
    exprs: Vec<Arc<dyn PhysicalExpr>>,
    /// For each output column the input column that it is, unchanged.
    below: Vec<Option<usize>>,
    /// Whether rows or parts of values are hidden, so that buffers may carry what must not be seen.
    hides: Hides,
    properties: Arc<PlanProperties>,
}

/// What of the table beneath the operator is hidden.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Hides {
    /// Rows: by a policy filter, or as deleted.
    pub(crate) rows: bool,
    /// Columns, fields, and values behind masks.
    pub(crate) values: bool,
}

impl Hides {
    /// Whether how the table's bytes lie tells of what is hidden.
    pub(crate) fn anything(self) -> bool {
        (self.rows || self.values) && !mutant("batches are as they are stored")
    }
}

impl GovernedExec {
    pub(crate) fn new(
        input: Arc<dyn ExecutionPlan>,
        filters: Vec<Arc<dyn PhysicalExpr>>,
        exprs: Vec<Arc<dyn PhysicalExpr>>,
        schema: SchemaRef,
        hides: Hides,
    ) -> Self {
        let below = exprs.iter().map(|expr| expr.downcast_ref::<Column>().map(Column::index)).collect::<Vec<_>>();
        // SECURITY: orderings, constants and equivalences below come from the policy filter and the layout of hidden
        // rows; none is passed on.
        let properties = Arc::new(PlanProperties::new(
            EquivalenceProperties::new(schema),
            Partitioning::UnknownPartitioning(input.output_partitioning().partition_count()),
            EmissionType::Incremental,
            input.boundedness(),
        ));
        Self { input, filters, exprs, below, hides, properties }
    }

    fn with(&self, input: Arc<dyn ExecutionPlan>, filters: Vec<Arc<dyn PhysicalExpr>>) -> Self {
        Self::new(input, filters, self.exprs.clone(), self.schema(), self.hides)
    }
}

impl DisplayAs for GovernedExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GovernedExec")?;
        let filters = self.filters.iter().map(ToString::to_string).collect::<Vec<_>>();
        if filters.is_empty() { Ok(()) } else { write!(f, ": filter={}", filters.join(" AND ")) }
    }
}

impl ExecutionPlan for GovernedExec {
    fn name(&self) -> &str {
        "GovernedExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        for expr in self.filters.iter().chain(&self.exprs) {
            if f(expr)? == TreeNodeRecursion::Stop {
                return Ok(TreeNodeRecursion::Stop);
            }
        }
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(self.with(children.swap_remove(0), self.filters.clone())))
    }

    fn with_new_children(self: Arc<Self>, mut children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(self.with(children.swap_remove(0), self.filters.clone())))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let size = context.session_config().batch_size();
        let input = self.input.execute(partition, context)?;
        let work = Work {
            filter: (!self.filters.is_empty()).then(|| conjunction(self.filters.iter().cloned())),
            exprs: self.exprs.clone(),
            schema: self.schema(),
            hides: self.hides,
        };
        if !self.hides.anything() {
            let batches = input.map(move |batch| work.compacted(work.shown(batch?)?));
            return Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), batches)));
        }
        let cut = Cut { input: Some(input), even: Even::new(self.schema(), size), work };
        let batches = stream::try_unfold(cut, |mut cut| async move { Ok(cut.next().await?.map(|batch| (batch, cut))) });
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), batches)))
    }

    fn child_stats_requests(&self, partition: Option<usize>) -> Vec<ChildStats> {
        vec![ChildStats::At(partition)]
    }

    fn statistics_from_inputs(&self, input: &[Arc<Statistics>], _: &StatisticsArgs) -> Result<Arc<Statistics>> {
        Ok(Arc::new(statistics::above(&input[0], &self.below, self.hides.rows, &self.schema())))
    }

    fn cardinality_effect(&self) -> CardinalityEffect {
        CardinalityEffect::Equal
    }

    fn supports_limit_pushdown(&self) -> bool {
        // SECURITY: a limit below a filter would count hidden rows.
        false
    }

    fn gather_filters_for_pushdown(
        &self,
        phase: FilterPushdownPhase,
        parents: Vec<Arc<dyn PhysicalExpr>>,
        _: &ConfigOptions,
    ) -> Result<FilterDescription> {
        // SECURITY: every filter of the query stays above, and so is evaluated on visible rows only. Leakproof ones
        // are handed down as copies, to read less. Where rows are hidden, how much less tells of them: rows that are read
        // and do not fulfil a copy must not reach what is above, where another filter may fail on them.
        let input = self.input.schema();
        // The policy's own filter goes down as it is: the reader of the files may apply it in the operator's place.
        let mut copies = if phase == FilterPushdownPhase::Pre { self.filters.clone() } else { Vec::new() };
        for filter in &parents {
            let copy = leakproof::pass_below(filter, &self.below, &input)?;
            copies.extend(copy.filter(|copy| !self.filters.contains(copy)));
        }
        let child = ChildFilterDescription::all_unsupported(&parents).with_self_filters(copies);
        Ok(FilterDescription::new().with_child(child))
    }

    fn handle_child_pushdown_result(
        &self,
        phase: FilterPushdownPhase,
        result: ChildPushdownResult,
        _: &ConfigOptions,
    ) -> Result<FilterPushdownPropagation<Arc<dyn ExecutionPlan>>> {
        let answers = result.self_filters.first().into_iter().flatten();
        let applied_here = match phase {
            FilterPushdownPhase::Pre if self.hides.anything() && !mutant("what is read less by is not applied") => {
                usize::MAX
            }
            FilterPushdownPhase::Pre => self.filters.len(),
            FilterPushdownPhase::Post => 0,
        };
        let left = answers.take(applied_here).filter(|answer| matches!(answer.discriminant, PushedDown::No));
        let left = left.map(|answer| answer.predicate.clone()).collect::<Vec<_>>();
        let propagation = FilterPushdownPropagation::all_unsupported(result);
        if applied_here == 0 {
            return Ok(propagation);
        }
        Ok(propagation.with_updated_node(Arc::new(self.with(self.input.clone(), left)) as Arc<dyn ExecutionPlan>))
    }
}

/// What is done to rows.
struct Work {
    filter: Option<Arc<dyn PhysicalExpr>>,
    exprs: Vec<Arc<dyn PhysicalExpr>>,
    schema: SchemaRef,
    hides: Hides,
}

impl Work {
    /// The visible rows as they are shown.
    fn shown(&self, batch: RecordBatch) -> Result<RecordBatch> {
        let batch = match &self.filter {
            None => batch,
            Some(filter) => {
                let kept = filter.evaluate(&batch)?.into_array(batch.num_rows())?;
                filter_record_batch(&batch, as_boolean_array(&kept)?)?
            }
        };
        let rows = batch.num_rows();
        let column = |(expr, field): (&Arc<dyn PhysicalExpr>, &FieldRef)| {
            Ok(retyped(&expr.evaluate(&batch)?.into_array(rows)?, field.data_type())?)
        };
        let columns = self.exprs.iter().zip(self.schema.fields()).map(column).collect::<Result<Vec<_>>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        Ok(RecordBatch::try_new_with_options(self.schema.clone(), columns, &options)?)
    }

    /// The same rows in buffers of their own. SECURITY: filtered views keep the buffers of hidden rows, rebuilt structs
    /// those of hidden fields.
    fn compacted(&self, batch: RecordBatch) -> Result<RecordBatch> {
        if !(self.hides.rows || self.hides.values) || mutant("buffers are not compacted") {
            return Ok(batch);
        }
        let columns = batch.columns().iter().map(compact).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        Ok(RecordBatch::try_new_with_options(self.schema.clone(), columns, &options)?)
    }
}

/// Rows on their way, cut evenly.
struct Cut {
    /// `None` once it has ended.
    input: Option<SendableRecordBatchStream>,
    even: Even,
    work: Work,
}

impl Cut {
    async fn next(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            if let Some(batch) = self.even.next()? {
                return self.work.compacted(batch).map(Some);
            }
            let Some(input) = &mut self.input else { return Ok(None) };
            match input.next().await {
                Some(batch) => self.even.push(self.work.shown(batch?)?)?,
                None => {
                    self.input = None;
                    self.even.finish()?;
                }
            }
        }
    }
}

//! The operator at the top of every governed scan: masks, barrier and compaction in one.
//!
//! It is one operator and not a projection under a pass-through node, because DataFusion's rules move projections and
//! filters through each other; nothing moves through this.

use std::fmt;
use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::SchemaRef;
use datafusion::common::Statistics;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{EquivalenceProperties, Partitioning, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{CardinalityEffect, EmissionType, ReplaceChildrenOptions};
use datafusion::physical_plan::filter_pushdown::{
    ChildFilterDescription, ChildPushdownResult, FilterDescription, FilterPushdownPhase, FilterPushdownPropagation,
};
use datafusion::physical_plan::statistics::{ChildStats, StatisticsArgs};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, PlanProperties};
use futures::StreamExt;
use meshgate_model::mutant;

use crate::compact::compact;
use crate::retype::retyped;
use crate::{leakproof, statistics};

/// See the module.
#[derive(Debug)]
pub(crate) struct GovernedExec {
    input: Arc<dyn ExecutionPlan>,
    exprs: Vec<Arc<dyn PhysicalExpr>>,
    /// For each output column the input column that it is, unchanged.
    below: Vec<Option<usize>>,
    /// Whether rows or parts of values are hidden, so that buffers may carry what must not be seen.
    hides: Hides,
    properties: Arc<PlanProperties>,
}

/// What is hidden beneath the operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Hides {
    /// Rows: by a policy filter, or as deleted.
    pub(crate) rows: bool,
    /// Parts of values: masks, fields.
    pub(crate) values: bool,
}

impl GovernedExec {
    pub(crate) fn new(
        input: Arc<dyn ExecutionPlan>,
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
        Self { input, exprs, below, hides, properties }
    }

    fn with_input(&self, input: Arc<dyn ExecutionPlan>) -> Self {
        Self::new(input, self.exprs.clone(), self.schema(), self.hides)
    }
}

impl DisplayAs for GovernedExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GovernedExec")
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
        vec![self.hides.rows || self.hides.values]
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        for expr in &self.exprs {
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
        Ok(Arc::new(self.with_input(children.swap_remove(0))))
    }

    fn with_new_children(self: Arc<Self>, mut children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(self.with_input(children.swap_remove(0))))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let input = self.input.execute(partition, context)?;
        let (exprs, schema, hides) = (self.exprs.clone(), self.schema(), self.hides);
        let batches = input.map(move |batch| govern(&exprs, &schema, hides, &batch?));
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
        _: FilterPushdownPhase,
        parents: Vec<Arc<dyn PhysicalExpr>>,
        _: &ConfigOptions,
    ) -> Result<FilterDescription> {
        // SECURITY: every filter of the query stays above, and so is evaluated on visible rows only. Leakproof ones
        // are handed down as copies, to read less.
        let input = self.input.schema();
        let mut copies = Vec::new();
        for filter in &parents {
            copies.extend(leakproof::pass_below(filter, &self.below, &input)?);
        }
        let child = ChildFilterDescription::all_unsupported(&parents).with_self_filters(copies);
        Ok(FilterDescription::new().with_child(child))
    }

    fn handle_child_pushdown_result(
        &self,
        _: FilterPushdownPhase,
        result: ChildPushdownResult,
        _: &ConfigOptions,
    ) -> Result<FilterPushdownPropagation<Arc<dyn ExecutionPlan>>> {
        Ok(FilterPushdownPropagation::all_unsupported(result))
    }
}

fn govern(
    exprs: &[Arc<dyn PhysicalExpr>],
    schema: &SchemaRef,
    hides: Hides,
    batch: &RecordBatch,
) -> Result<RecordBatch> {
    let rows = batch.num_rows();
    let columns = exprs
        .iter()
        .zip(schema.fields())
        .map(|(expr, field)| {
            let array = retyped(&expr.evaluate(batch)?.into_array(rows)?, field.data_type())?;
            // SECURITY: filtered views keep the buffers of hidden rows, rebuilt structs those of hidden fields.
            Ok(if (hides.rows || hides.values) && !mutant("buffers are not compacted") {
                compact(&array)
            } else {
                array
            })
        })
        .collect::<Result<Vec<_>>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    Ok(RecordBatch::try_new_with_options(schema.clone(), columns, &options)?)
}

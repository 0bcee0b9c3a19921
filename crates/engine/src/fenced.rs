//! No filter is pushed into a part of a plan that has several columns of one name.
//!
//! DataFusion 55 finds columns by their names alone when it pushes physical filters. Below a join whose sides have a name in
//! common, a filter so ends on the wrong column, and rows are lost. While filters are pushed, such parts are fenced.
//!
//! Filters that a query has from the start rule out files, row groups and pages, and are applied to the rows above the reader:
//! to read column after column for them takes longer than to read all of them at once. What only a running query knows,
//! such as the keys of a join, leaves so few rows that the reader applies it.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;
use datafusion::physical_plan::execution_plan::ReplaceChildrenOptions;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};

type Rule = Arc<dyn PhysicalOptimizerRule + Send + Sync>;

/// The rule that pushes filters which a query makes while it runs.
const WHILE_RUNNING: &str = "FilterPushdown(Post)";

/// DataFusion's rules, those that push filters within fences.
pub(crate) fn rules() -> Vec<Rule> {
    let rules = PhysicalOptimizer::new().rules.into_iter();
    rules
        .map(|rule| if rule.name().starts_with("FilterPushdown") { Arc::new(Fenced(rule)) as Rule } else { rule })
        .collect()
}

/// A rule that does not see into parts with several columns of one name.
#[derive(Debug)]
struct Fenced(Rule);

impl PhysicalOptimizerRule for Fenced {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, config: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        let fenced = plan.transform_up(|node| {
            Ok(if is_ambiguous(node.as_ref()) {
                Transformed::yes(Arc::new(FenceExec(node)) as Arc<dyn ExecutionPlan>)
            } else {
                Transformed::no(node)
            })
        })?;
        let pushed = if self.name() == WHILE_RUNNING {
            let mut config = config.clone();
            config.execution.parquet.pushdown_filters = true;
            self.0.optimize(fenced.data, &config)?
        } else {
            self.0.optimize(fenced.data, config)?
        };
        let open = pushed.transform_up(|node| {
            Ok(match node.downcast_ref::<FenceExec>() {
                Some(fence) => Transformed::yes(fence.0.clone()),
                None => Transformed::no(node),
            })
        })?;
        Ok(open.data)
    }

    fn name(&self) -> &str {
        self.0.name()
    }

    fn schema_check(&self) -> bool {
        self.0.schema_check()
    }
}

fn is_ambiguous(node: &dyn ExecutionPlan) -> bool {
    let (schema, mut names) = (node.schema(), HashSet::new());
    !schema.fields().iter().all(|field| names.insert(field.name().as_str()))
}

/// Passes no filter on: what a node does that says nothing of filters. It is never executed.
#[derive(Debug)]
struct FenceExec(Arc<dyn ExecutionPlan>);

impl DisplayAs for FenceExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FenceExec")
    }
}

impl ExecutionPlan for FenceExec {
    fn name(&self) -> &str {
        "FenceExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.0.properties()
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.0]
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
        self.0.execute(partition, context)
    }
}

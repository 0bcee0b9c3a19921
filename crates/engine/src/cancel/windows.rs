//! Window functions that stop when they are told to.
//!
//! A window is computed row by row, over all rows of a partition in one go: minutes within one poll. Its functions are called
//! for every row, so they look whether the query is cancelled.

use std::hash::{Hash, Hasher};
use std::ops::Range;
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::ScalarValue;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::error::Result;
use datafusion::logical_expr::expr::{WindowFunction, WindowFunctionParams};
use datafusion::logical_expr::function::{
    AccumulatorArgs, ExpressionArgs, PartitionEvaluatorArgs, StateFieldsArgs, WindowUDFFieldArgs,
};
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::window_state::WindowAggState;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Expr, LimitEffect, LogicalPlan, PartitionEvaluator, ReversedUDAF,
    ReversedUDWF, SetMonotonicity, Signature, Window, WindowFunctionDefinition, WindowUDF, WindowUDFImpl,
};
use datafusion::physical_expr::PhysicalExpr;
use tokio_util::sync::CancellationToken;

use super::check;

/// Calls of a function between two looks: one costs as much as adding up a few rows.
const CALLS_BETWEEN: u32 = 16;

/// The plan with such functions in its windows, under the same names.
pub(crate) fn cancellable(plan: LogicalPlan, cancelled: &CancellationToken) -> Result<LogicalPlan> {
    let checked = plan.transform_up_with_subqueries(|node| {
        let LogicalPlan::Window(window) = node else { return Ok(Transformed::no(node)) };
        let expressions = window.window_expr.into_iter().map(|expression| wrapped(expression, cancelled));
        let window_expr = expressions.collect::<Result<_>>()?;
        Ok(Transformed::yes(LogicalPlan::Window(Window { window_expr, ..window })))
    })?;
    Ok(checked.data)
}

fn wrapped(expression: Expr, cancelled: &CancellationToken) -> Result<Expr> {
    let wrapped = expression.transform_up(|expression| {
        let Expr::WindowFunction(function) = expression else { return Ok(Transformed::no(expression)) };
        let WindowFunction { fun, params } = *function;
        let fun = match fun {
            WindowFunctionDefinition::AggregateUDF(inner) => {
                WindowFunctionDefinition::AggregateUDF(Cancellable::new(inner, cancelled).aggregate())
            }
            WindowFunctionDefinition::WindowUDF(inner) => {
                WindowFunctionDefinition::WindowUDF(Cancellable::new(inner, cancelled).window())
            }
        };
        Ok(Transformed::yes(Expr::WindowFunction(Box::new(WindowFunction { fun, params }))))
    })?;
    Ok(wrapped.data)
}

/// A function, or what computes its values, that looks at `cancelled` now and then.
#[derive(Debug)]
struct Cancellable<F> {
    inner: F,
    cancelled: CancellationToken,
    calls: u32,
}

impl<F> Cancellable<F> {
    fn new(inner: F, cancelled: &CancellationToken) -> Self {
        Self { inner, cancelled: cancelled.clone(), calls: 0 }
    }

    /// Something else for the same query.
    fn with<G>(&self, inner: G) -> Cancellable<G> {
        Cancellable::new(inner, &self.cancelled)
    }

    fn look(&mut self) -> Result<()> {
        self.calls = self.calls.wrapping_add(1);
        if self.calls.is_multiple_of(CALLS_BETWEEN) { check(&self.cancelled) } else { Ok(()) }
    }
}

impl Cancellable<Arc<AggregateUDF>> {
    fn aggregate(self) -> Arc<AggregateUDF> {
        Arc::new(AggregateUDF::new_from_impl(self))
    }
}

impl Cancellable<Arc<WindowUDF>> {
    fn window(self) -> Arc<WindowUDF> {
        Arc::new(WindowUDF::new_from_impl(self))
    }
}

impl<F: PartialEq> PartialEq for Cancellable<F> {
    fn eq(&self, other: &Self) -> bool {
        self.inner == other.inner
    }
}

impl<F: Eq> Eq for Cancellable<F> {}

impl<F: Hash> Hash for Cancellable<F> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.inner.hash(state);
    }
}

/// What is asked of an aggregate function in a window once its plan is optimised.
impl AggregateUDFImpl for Cancellable<Arc<AggregateUDF>> {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn window_function_schema_name(&self, params: &WindowFunctionParams) -> Result<String> {
        self.inner.window_function_schema_name(params)
    }

    fn window_function_display_name(&self, params: &WindowFunctionParams) -> Result<String> {
        self.inner.window_function_display_name(params)
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.coerce_types(types)
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.inner.return_type(types)
    }

    fn return_field(&self, fields: &[FieldRef]) -> Result<FieldRef> {
        self.inner.return_field(fields)
    }

    fn is_nullable(&self) -> bool {
        self.inner.is_nullable()
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(self.with(self.inner.accumulator(args)?)))
    }

    fn create_sliding_accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(self.with(self.inner.create_sliding_accumulator(args)?)))
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        self.inner.state_fields(args)
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        self.inner.order_sensitivity()
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        match self.inner.reverse_udf() {
            ReversedUDAF::Reversed(reversed) => ReversedUDAF::Reversed(self.with(reversed).aggregate()),
            same => same,
        }
    }

    fn is_descending(&self) -> Option<bool> {
        self.inner.is_descending()
    }

    fn default_value(&self, data_type: &DataType) -> Result<ScalarValue> {
        self.inner.default_value(data_type)
    }

    fn supports_null_handling_clause(&self) -> bool {
        self.inner.supports_null_handling_clause()
    }

    fn supports_within_group_clause(&self) -> bool {
        self.inner.supports_within_group_clause()
    }

    fn set_monotonicity(&self, data_type: &DataType) -> SetMonotonicity {
        self.inner.inner().set_monotonicity(data_type)
    }
}

impl Accumulator for Cancellable<Box<dyn Accumulator>> {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.look()?;
        self.inner.update_batch(values)
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.inner.retract_batch(values)
    }

    fn supports_retract_batch(&self) -> bool {
        self.inner.supports_retract_batch()
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        self.look()?;
        self.inner.evaluate()
    }

    fn size(&self) -> usize {
        self.inner.size()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        self.inner.state()
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.inner.merge_batch(states)
    }
}

impl WindowUDFImpl for Cancellable<Arc<WindowUDF>> {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn expressions(&self, args: ExpressionArgs<'_>) -> Vec<Arc<dyn PhysicalExpr>> {
        self.inner.expressions(args)
    }

    fn partition_evaluator(&self, args: PartitionEvaluatorArgs<'_>) -> Result<Box<dyn PartitionEvaluator>> {
        Ok(Box::new(self.with(self.inner.partition_evaluator_factory(args)?)))
    }

    fn field(&self, args: WindowUDFFieldArgs<'_>) -> Result<FieldRef> {
        self.inner.field(args)
    }

    fn sort_options(&self) -> Option<arrow::compute::SortOptions> {
        self.inner.sort_options()
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.coerce_types(types)
    }

    fn reverse_expr(&self) -> ReversedUDWF {
        match self.inner.reverse_expr() {
            ReversedUDWF::Reversed(reversed) => ReversedUDWF::Reversed(self.with(reversed).window()),
            same => same,
        }
    }

    fn limit_effect(&self, args: &[Arc<dyn PhysicalExpr>]) -> LimitEffect {
        self.inner.inner().limit_effect(args)
    }
}

impl PartitionEvaluator for Cancellable<Box<dyn PartitionEvaluator>> {
    fn memoize(&mut self, state: &mut WindowAggState) -> Result<()> {
        self.inner.memoize(state)
    }

    fn get_range(&self, row: usize, rows: usize) -> Result<Range<usize>> {
        self.inner.get_range(row, rows)
    }

    fn is_causal(&self) -> bool {
        self.inner.is_causal()
    }

    fn evaluate_all(&mut self, values: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
        check(&self.cancelled)?;
        self.inner.evaluate_all(values, rows)
    }

    fn evaluate(&mut self, values: &[ArrayRef], range: &Range<usize>) -> Result<ScalarValue> {
        self.look()?;
        self.inner.evaluate(values, range)
    }

    fn evaluate_all_with_rank(&self, rows: usize, ranks: &[Range<usize>]) -> Result<ArrayRef> {
        check(&self.cancelled)?;
        self.inner.evaluate_all_with_rank(rows, ranks)
    }

    fn supports_bounded_execution(&self) -> bool {
        self.inner.supports_bounded_execution()
    }

    fn uses_window_frame(&self) -> bool {
        self.inner.uses_window_frame()
    }

    fn include_rank(&self) -> bool {
        self.inner.include_rank()
    }
}

//! DataFusion's planners of SQL's own syntax, fenced: what they plan is made of listed functions, with their limits.
//!
//! They name functions directly, past any registry: `a || b` would be the unbounded `array_concat`.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, Result, ScalarValue, TableReference, plan_err};
use datafusion::execution::SessionStateDefaults;
use datafusion::logical_expr::expr::{ScalarFunction, WindowFunctionDefinition};
use datafusion::logical_expr::planner::{
    ExprPlanner, PlannerResult, RawAggregateExpr, RawBinaryExpr, RawDictionaryExpr, RawFieldAccessExpr, RawWindowExpr,
};
use datafusion::logical_expr::{Expr, ExprSchemable, ScalarUDF};
use datafusion::sql::sqlparser::ast::BinaryOperator;

use super::limits::SKETCH_LEN_MAX;
use super::{bounded, text_concat};

/// All planners, in DataFusion's order, then ours for `||` on texts.
pub(super) fn planners() -> Vec<Arc<dyn ExprPlanner>> {
    let functions = super::scalar_functions().into_iter().map(|function| (function.name().to_owned(), function));
    let functions: Arc<HashMap<_, _>> = Arc::new(functions.collect());
    let fenced = SessionStateDefaults::default_expr_planners()
        .into_iter()
        .map(|planner| Arc::new(Fenced { planner, functions: Arc::clone(&functions) }) as Arc<dyn ExprPlanner>);
    let texts: Arc<dyn ExprPlanner> = Arc::new(Texts { concat: bounded::bounded(text_concat::text_concat()) });
    // Before the others, for theirs leave sketches alone and take what they know.
    std::iter::once(Arc::new(Sketches) as Arc<dyn ExprPlanner>).chain(fenced).chain([texts]).collect()
}

#[derive(Debug)]
struct Fenced {
    planner: Arc<dyn ExprPlanner>,
    functions: Arc<HashMap<String, Arc<ScalarUDF>>>,
}

impl Fenced {
    fn fence<T>(&self, result: PlannerResult<T>) -> Result<PlannerResult<T>> {
        let PlannerResult::Planned(expr) = result else { return Ok(result) };
        let fenced = expr.transform_down(|expr| {
            let Expr::ScalarFunction(call) = expr else { return Ok(Transformed::no(expr)) };
            match self.functions.get(call.func.name()) {
                Some(listed) => {
                    Ok(Transformed::yes(Expr::ScalarFunction(ScalarFunction::new_udf(Arc::clone(listed), call.args))))
                }
                None if super::refused(call.func.name()).is_some() => plan_err!("this syntax is not available"),
                // A function of the engine's own, within the arguments.
                None => Ok(Transformed::no(Expr::ScalarFunction(call))),
            }
        })?;
        Ok(PlannerResult::Planned(fenced.data))
    }
}

impl ExprPlanner for Fenced {
    fn plan_binary_op(&self, expr: RawBinaryExpr, schema: &DFSchema) -> Result<PlannerResult<RawBinaryExpr>> {
        self.fence(self.planner.plan_binary_op(expr, schema)?)
    }

    fn plan_field_access(
        &self,
        expr: RawFieldAccessExpr,
        schema: &DFSchema,
    ) -> Result<PlannerResult<RawFieldAccessExpr>> {
        self.fence(self.planner.plan_field_access(expr, schema)?)
    }

    fn plan_array_literal(&self, exprs: Vec<Expr>, schema: &DFSchema) -> Result<PlannerResult<Vec<Expr>>> {
        self.fence(self.planner.plan_array_literal(exprs, schema)?)
    }

    fn plan_position(&self, args: Vec<Expr>) -> Result<PlannerResult<Vec<Expr>>> {
        self.fence(self.planner.plan_position(args)?)
    }

    fn plan_dictionary_literal(
        &self,
        expr: RawDictionaryExpr,
        schema: &DFSchema,
    ) -> Result<PlannerResult<RawDictionaryExpr>> {
        self.fence(self.planner.plan_dictionary_literal(expr, schema)?)
    }

    fn plan_extract(&self, args: Vec<Expr>) -> Result<PlannerResult<Vec<Expr>>> {
        self.fence(self.planner.plan_extract(args)?)
    }

    fn plan_substring(&self, args: Vec<Expr>) -> Result<PlannerResult<Vec<Expr>>> {
        self.fence(self.planner.plan_substring(args)?)
    }

    fn plan_struct_literal(&self, args: Vec<Expr>, is_named_struct: bool) -> Result<PlannerResult<Vec<Expr>>> {
        self.fence(self.planner.plan_struct_literal(args, is_named_struct)?)
    }

    fn plan_overlay(&self, args: Vec<Expr>) -> Result<PlannerResult<Vec<Expr>>> {
        self.fence(self.planner.plan_overlay(args)?)
    }

    fn plan_make_map(&self, args: Vec<Expr>) -> Result<PlannerResult<Vec<Expr>>> {
        self.fence(self.planner.plan_make_map(args)?)
    }

    fn plan_compound_identifier(
        &self,
        field: &Field,
        qualifier: Option<&TableReference>,
        nested_names: &[String],
    ) -> Result<PlannerResult<Vec<Expr>>> {
        self.fence(self.planner.plan_compound_identifier(field, qualifier, nested_names)?)
    }

    fn plan_aggregate(&self, expr: RawAggregateExpr) -> Result<PlannerResult<RawAggregateExpr>> {
        self.fence(self.planner.plan_aggregate(expr)?)
    }

    fn plan_window(&self, expr: RawWindowExpr) -> Result<PlannerResult<RawWindowExpr>> {
        self.fence(self.planner.plan_window(expr)?)
    }
}

/// `||` on texts.
#[derive(Debug)]
struct Texts {
    concat: Arc<ScalarUDF>,
}

impl ExprPlanner for Texts {
    fn plan_binary_op(&self, expr: RawBinaryExpr, schema: &DFSchema) -> Result<PlannerResult<RawBinaryExpr>> {
        if expr.op != BinaryOperator::StringConcat {
            return Ok(PlannerResult::Original(expr));
        }
        // A parameter without a type gets it from the operator, so it stays one.
        let (Ok(left), Ok(right)) = (expr.left.get_type(schema), expr.right.get_type(schema)) else {
            return Ok(PlannerResult::Original(expr));
        };
        if text_concat::text_type(&left, &right).is_none() {
            return Ok(PlannerResult::Original(expr));
        }
        Ok(PlannerResult::Planned(self.concat.call(vec![expr.left, expr.right])))
    }
}

/// Approximate percentiles set memory aside for as many centroids as the query names.
#[derive(Debug)]
struct Sketches;

impl ExprPlanner for Sketches {
    fn plan_aggregate(&self, expr: RawAggregateExpr) -> Result<PlannerResult<RawAggregateExpr>> {
        sketch(expr.func.name(), &expr.args)?;
        Ok(PlannerResult::Original(expr))
    }

    fn plan_window(&self, expr: RawWindowExpr) -> Result<PlannerResult<RawWindowExpr>> {
        if let WindowFunctionDefinition::AggregateUDF(function) = &expr.func_def {
            sketch(function.name(), &expr.args)?;
        }
        Ok(PlannerResult::Original(expr))
    }
}

/// The position of the argument that names the number of centroids.
fn sketch(function: &str, args: &[Expr]) -> Result<()> {
    let at = match function {
        "approx_percentile_cont" => 2,
        "approx_percentile_cont_with_weight" => 3,
        _ => return Ok(()),
    };
    let Some(centroids) = args.get(at) else { return Ok(()) };
    let named = match centroids {
        Expr::Literal(value, _) => value.cast_to(&DataType::UInt64).ok(),
        _ => None,
    };
    match named {
        Some(ScalarValue::UInt64(Some(centroids))) if centroids <= SKETCH_LEN_MAX => Ok(()),
        _ => plan_err!("`{function}` is limited to {SKETCH_LEN_MAX} centroids"),
    }
}

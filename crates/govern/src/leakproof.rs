//! Which of a query's filters may be evaluated below the barrier, on rows that the principal may not see.
//!
//! SECURITY: an allow-list. Such a filter must neither fail nor have any effect but true, false or NULL: otherwise its
//! failure would tell of hidden rows. No arithmetic, no casts, no functions; only plain, unmasked columns.

use std::sync::Arc;

use arrow::datatypes::Schema;
use datafusion::common::ScalarValue;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, Operator};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{
    BinaryExpr, CastExpr, Column, DynamicFilterPhysicalExpr, InListExpr, IsNotNullExpr, IsNullExpr, LikeExpr, Literal,
    NotExpr,
};
use meshgate_model::mutant;

/// Whether a logical filter over the governed columns may go below; `is_plain` says whether a column is served as
/// stored.
pub(crate) fn is_leakproof(filter: &Expr, is_plain: &dyn Fn(&str) -> bool) -> bool {
    let inside = |expr: &Expr| is_leakproof(expr, is_plain);
    match filter {
        Expr::Column(column) => is_plain(&column.name),
        Expr::Literal(..) => true,
        Expr::Not(inner)
        | Expr::IsNull(inner)
        | Expr::IsNotNull(inner)
        | Expr::IsTrue(inner)
        | Expr::IsFalse(inner) => inside(inner),
        Expr::BinaryExpr(binary) => is_comparison(&binary.op) && inside(&binary.left) && inside(&binary.right),
        Expr::Between(between) => inside(&between.expr) && inside(&between.low) && inside(&between.high),
        Expr::InList(list) => {
            let is_literal = |item: &Expr| matches!(item, Expr::Literal(..)) || mutant("lists are leakproof");
            inside(&list.expr) && list.list.iter().all(is_literal)
        }
        Expr::Like(like) => {
            let pattern = matches!(&*like.pattern, Expr::Literal(value, _) if is_prefix_pattern(value));
            inside(&like.expr) && pattern && like.escape_char.is_none() && !like.case_insensitive
        }
        _ => false,
    }
}

/// The same for a physical filter over the output of the barrier: rewritten to the columns below it (`below[i]` is the
/// column below that serves output column `i` as stored), or `None` if it must stay above.
pub(crate) fn pass_below(
    filter: &Arc<dyn PhysicalExpr>,
    below: &[Option<usize>],
    input: &Schema,
) -> Result<Option<Arc<dyn PhysicalExpr>>> {
    if !is_leakproof_physical(filter, below)? && !mutant("every filter goes below the barrier") {
        return Ok(None);
    }
    let rewritten = Arc::clone(filter).transform(|expr| {
        let Some(column) = expr.downcast_ref::<Column>() else { return Ok(Transformed::no(expr)) };
        let Some(Some(index)) = below.get(column.index()) else { return Ok(Transformed::no(expr)) };
        Ok(Transformed::yes(Arc::new(Column::new(input.field(*index).name(), *index)) as Arc<dyn PhysicalExpr>))
    })?;
    Ok(Some(rewritten.data))
}

fn is_leakproof_physical(filter: &Arc<dyn PhysicalExpr>, below: &[Option<usize>]) -> Result<bool> {
    let children = |expr: &Arc<dyn PhysicalExpr>| -> Result<bool> {
        expr.children().into_iter().try_fold(true, |so_far, child| Ok(so_far && is_leakproof_physical(child, below)?))
    };
    if let Some(column) = filter.downcast_ref::<Column>() {
        return Ok(below.get(column.index()).is_some_and(Option::is_some));
    }
    if filter.is::<Literal>() {
        return Ok(true);
    }
    if let Some(list) = filter.downcast_ref::<InListExpr>() {
        return Ok(list.list().iter().all(|item| item.is::<Literal>()) && children(filter)?);
    }
    // A dynamic filter compares its children with values of the other side of a join or with a heap's threshold; what it
    // holds is made of rows that the query sees, and what it computes is of the shapes allowed here.
    if filter.is::<DynamicFilterPhysicalExpr>()
        || filter.is::<IsNullExpr>()
        || filter.is::<IsNotNullExpr>()
        || filter.is::<NotExpr>()
    {
        return children(filter);
    }
    if mutant("casts are leakproof") && filter.is::<CastExpr>() {
        return children(filter);
    }
    if let Some(binary) = filter.downcast_ref::<BinaryExpr>() {
        return Ok((is_comparison(binary.op()) || mutant("arithmetic is leakproof")) && children(filter)?);
    }
    if let Some(like) = filter.downcast_ref::<LikeExpr>() {
        let pattern =
            like.pattern().downcast_ref::<Literal>().is_some_and(|literal| is_prefix_pattern(literal.value()));
        return Ok(pattern && !like.case_insensitive() && children(filter)?);
    }
    Ok(false)
}

fn is_comparison(operator: &Operator) -> bool {
    matches!(
        operator,
        Operator::Eq
            | Operator::NotEq
            | Operator::Lt
            | Operator::LtEq
            | Operator::Gt
            | Operator::GtEq
            | Operator::IsDistinctFrom
            | Operator::IsNotDistinctFrom
            | Operator::And
            | Operator::Or
    )
}

/// `abc%`: compared as bytes. Any other pattern becomes a regular expression, which can be too large to compile.
fn is_prefix_pattern(value: &ScalarValue) -> bool {
    let Some(Some(text)) = value.try_as_str() else { return false };
    if mutant("every pattern is leakproof") {
        return true;
    }
    text.strip_suffix('%').is_some_and(|prefix| !prefix.contains(['%', '_', '\\']))
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::{DataType, Field, Schema};
    use datafusion::common::DFSchema;
    use datafusion::logical_expr::{cast, col, lit};
    use datafusion::physical_expr::create_physical_expr;

    use super::{is_leakproof, pass_below};

    #[test]
    fn the_list_is_short() {
        let plain = |name: &str| name != "masked";
        for good in [
            col("x").gt(lit(5)),
            col("x").is_null().or(col("x").between(lit(1), lit(2))),
            col("x").in_list(vec![lit(1), lit(2)], false),
            col("s").like(lit("abc%")),
        ] {
            assert!(is_leakproof(&good, &plain), "{good}");
        }
        for bad in [
            col("masked").gt(lit(5)),
            (lit(1) / (col("x") - lit(5))).gt(lit(0)),
            cast(col("s"), DataType::Int32).gt(lit(0)),
            col("x").in_list(vec![lit(1) / col("x")], false),
            col("s").like(lit("%abc")),
            col("s").like(col("s")),
            col("s").ilike(lit("abc%")),
        ] {
            assert!(!is_leakproof(&bad, &plain), "{bad}");
        }
    }

    #[test]
    fn the_same_list_holds_for_physical_filters() {
        let schema = Schema::new(vec![Field::new("s", DataType::Utf8, true), Field::new("m", DataType::Utf8, true)]);
        let known = DFSchema::try_from(schema.clone()).expect("two columns");
        let context = datafusion::execution::context::ExecutionProps::new();
        for (filter, passes) in [
            (col("s").eq(lit("a")), true),
            (col("s").like(lit("abc%")), true),
            (col("s").like(lit("_".repeat(200_000))), false),
            (col("s").ilike(lit("abc%")), false),
            (col("m").like(lit("abc%")), false),
            (cast(col("s"), DataType::Int32).gt(lit(0)), false),
        ] {
            let physical = create_physical_expr(&filter, &known, &context, &Default::default()).expect("a filter");
            let passed = pass_below(&physical, &[Some(0), None], &schema).expect("an answer");
            assert_eq!(passed.is_some(), passes, "{filter}");
        }
    }
}

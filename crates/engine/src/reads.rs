//! What a plan may hold, whatever was parsed: reads only, and no value that is huge by its type alone.

use arrow::datatypes::DataType;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::{Expr, LogicalPlan};

use crate::Error;
use crate::fault::planning;

/// SECURITY: the second lock behind the allow-list of statements: whatever was parsed, a plan only reads. There is no
/// catch-all arm: a new kind of node does not compile until it is listed.
pub(crate) fn only_reads(plan: &LogicalPlan) -> Result<(), Error> {
    let mut refused = None;
    let walked = plan.apply_with_subqueries(|node| {
        let writes = match node {
            LogicalPlan::Dml(_) => Some("a write"),
            LogicalPlan::Ddl(_) => Some("a definition"),
            LogicalPlan::Copy(_) => Some("COPY"),
            LogicalPlan::Statement(_) => Some("a session statement"),
            LogicalPlan::Analyze(_) => Some("EXPLAIN ANALYZE"),
            LogicalPlan::Explain(_) | LogicalPlan::DescribeTable(_) => Some("a nested EXPLAIN"),
            LogicalPlan::Extension(_) => Some("an extension"),
            LogicalPlan::Projection(_)
            | LogicalPlan::Filter(_)
            | LogicalPlan::Window(_)
            | LogicalPlan::Aggregate(_)
            | LogicalPlan::Sort(_)
            | LogicalPlan::Join(_)
            | LogicalPlan::Repartition(_)
            | LogicalPlan::Union(_)
            | LogicalPlan::TableScan(_)
            | LogicalPlan::EmptyRelation(_)
            | LogicalPlan::Subquery(_)
            | LogicalPlan::SubqueryAlias(_)
            | LogicalPlan::Limit(_)
            | LogicalPlan::Values(_)
            | LogicalPlan::Distinct(_)
            | LogicalPlan::Unnest(_)
            | LogicalPlan::RecursiveQuery(_) => None,
        };
        refused = refused.or(writes);
        Ok(if refused.is_some() { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    });
    walked.map_err(planning)?;
    match refused {
        None => Ok(()),
        Some(what) => Err(Error::Statement { what: what.to_owned() }),
    }
}

/// The most elements that a fixed-size type in a cast may have, with those inside: each value holds them all, NULL too.
const FIXED_LEN_MAX: i32 = 10_000;

/// Refuses casts to types whose every value is huge.
pub(crate) fn bounded_casts(plan: &LogicalPlan) -> Result<(), Error> {
    let mut huge = false;
    let walked = plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            expr.apply(|part| {
                huge |= match part {
                    Expr::Cast(cast) => is_huge(cast.field.data_type()),
                    Expr::TryCast(cast) => is_huge(cast.field.data_type()),
                    _ => false,
                };
                Ok(TreeNodeRecursion::Continue)
            })
        })
    });
    walked.map_err(planning)?;
    if huge {
        let text = format!("a type of more than {FIXED_LEN_MAX} elements per value cannot be cast to");
        return Err(Error::invalid(text));
    }
    Ok(())
}

fn is_huge(data_type: &DataType) -> bool {
    elements(data_type) > i64::from(FIXED_LEN_MAX)
}

/// How many elements a value of a type has whatever it is, NULL too: those of fixed sizes inside each other, multiplied.
fn elements(data_type: &DataType) -> i64 {
    match data_type {
        DataType::FixedSizeList(item, length) => i64::from(*length).saturating_mul(elements(item.data_type())),
        DataType::FixedSizeBinary(length) => i64::from(*length),
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::ListView(item)
        | DataType::LargeListView(item)
        | DataType::Map(item, _) => elements(item.data_type()),
        DataType::Struct(fields) => {
            fields.iter().map(|field| elements(field.data_type())).fold(0, i64::saturating_add).max(1)
        }
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::datatypes::{DataType, Field};

    use super::is_huge;

    #[test]
    fn fixed_sizes_inside_each_other_multiply() {
        let list =
            |item: DataType, length: i32| DataType::FixedSizeList(Arc::new(Field::new("item", item, true)), length);
        for (data_type, huge) in [
            (list(DataType::Int64, 10_000), false),
            (list(DataType::Int64, 10_001), true),
            (list(list(DataType::Int64, 100), 100), false),
            (list(list(DataType::Int64, 1_000), 11), true),
            (DataType::new_list(list(list(DataType::Int64, 1_000), 11), true), true),
            (DataType::FixedSizeBinary(10_001), true),
            (list(DataType::FixedSizeBinary(1_000), 11), true),
        ] {
            assert_eq!(is_huge(&data_type), huge, "{data_type}");
        }
    }
}

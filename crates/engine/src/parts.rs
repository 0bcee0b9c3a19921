//! Which results can be executed in parts, each by itself and perhaps by another gateway.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::{Expr, LogicalPlan, Volatility};
use meshgate_govern::GovernedTable;
use meshgate_model::mutant;

use crate::{Options, TableName};

/// Whether planning the statement again gives the same rows in the same order, as long as it reads the same version of its
/// table: rows of one stored table, one by one, without order, grouping or anything that depends on chance or time.
///
/// SECURITY: tables of which rows are hidden or values masked are read whole. Their rules may depend on the time, masks on
/// a salt of each query; and how a result is parted must not depend on what is hidden.
pub(crate) fn can_be_parted(
    plans: &[LogicalPlan],
    tables: &HashMap<TableName, Arc<GovernedTable>>,
    options: &Options,
) -> bool {
    let [plan] = plans else { return false };
    let mut lineages = tables.values().map(|table| table.lineage());
    let (Some(Some(lineage)), None) = (lineages.next(), lineages.next()) else { return false };
    // The limit is on the rows of all parts together, and a part does not know of the others.
    let shows_all = lineage.filters.is_empty() && lineage.masked.is_empty();
    options.result_rows_max == 0
        && (shows_all || mutant("results of tables that hide something are parted"))
        && is_row_by_row(plan)
}

fn is_row_by_row(plan: &LogicalPlan) -> bool {
    let mut scans = 0;
    let mut row_by_row = true;
    let visited = plan.apply(|node| {
        match node {
            LogicalPlan::Projection(_) | LogicalPlan::Filter(_) | LogicalPlan::SubqueryAlias(_) => {}
            LogicalPlan::TableScan(scan) if scan.fetch.is_none() => scans += 1,
            _ => row_by_row = false,
        }
        row_by_row = row_by_row && node.expressions().iter().all(is_fixed);
        Ok(if row_by_row { TreeNodeRecursion::Continue } else { TreeNodeRecursion::Stop })
    });
    visited.is_ok() && row_by_row && scans == 1
}

/// Whether an expression gives the same for the same row, whenever it is evaluated.
fn is_fixed(expr: &Expr) -> bool {
    let varies = expr.exists(|expr| {
        Ok(match expr {
            Expr::ScalarFunction(call) => call.func.signature().volatility != Volatility::Immutable,
            Expr::ScalarSubquery(_) | Expr::InSubquery(_) | Expr::Exists(_) | Expr::ScalarVariable(..) => true,
            _ => false,
        })
    });
    matches!(varies, Ok(false))
}

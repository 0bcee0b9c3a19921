//! Row filters and masks on the tables they can come to be used on.

use std::collections::BTreeSet;
use std::sync::Arc;

use meshgate_model::{Finding, Severity};
use meshgate_product::{LogicalType, Table};

use super::reach::{Reach, TableReach};
use crate::rule::ColumnUse;
use crate::{Use, Used, path, shape};

pub(super) fn check(reaches: &[Reach<'_>], findings: &mut Vec<Finding>) -> Vec<Use> {
    let mut uses = Vec::new();
    for reach in reaches {
        if let Some(rows) = &reach.rule.rows {
            unknown_columns(reach, &rows.columns, |table| table.rows, "row filter", findings);
            not_boolean(reach, findings);
            let expr = Arc::new(rows.expr.clone());
            for reached in reach.tables.iter().filter(|reached| reached.rows) {
                uses.push(a_use(reach, reached.table, rows.place.clone(), Used::Rows(Arc::clone(&expr))));
            }
        }
        if let Some(note) = &reach.rule.mask {
            unknown_columns(reach, &note.columns, |table| !table.masked.is_empty(), "mask", findings);
            let mask = Arc::new(note.mask.clone());
            for reached in &reach.tables {
                for (column, _) in &reached.masked {
                    let what = Used::Mask { column: column.clone(), mask: Arc::clone(&mask) };
                    uses.push(a_use(reach, reached.table, note.place.clone(), what));
                }
            }
        }
    }
    conflicts(reaches, findings);
    uses
}

fn a_use(reach: &Reach<'_>, table: &Table, place: meshgate_model::Place, what: Used) -> Use {
    let scope = Reach::product_scope(table);
    Use { policy: reach.rule.id.clone(), scope, place, table: table.address.clone(), what }
}

/// A column that no table has is the policy's mistake. A column that some tables have is missing in the others, and
/// those cannot be served under the policy: the products are out, and the policy stays in force elsewhere.
fn unknown_columns(
    reach: &Reach<'_>,
    columns: &[ColumnUse],
    relevant: impl Fn(&TableReach<'_>) -> bool,
    what: &str,
    findings: &mut Vec<Finding>,
) {
    let tables: Vec<_> = reach.tables.iter().filter(|reached| relevant(reached)).map(|reached| reached.table).collect();
    let mut seen = BTreeSet::new();
    for column in columns {
        if !seen.insert(&column.path) {
            continue;
        }
        let missing = |table: &&&Table| path::find(&table.columns, &column.path).is_none();
        let without: Vec<_> = tables.iter().filter(missing).collect();
        let nowhere = without.len() == tables.len();
        for table in without.iter().take(if nowhere { 1 } else { without.len() }) {
            let scope = if nowhere { reach.rule.scope.clone() } else { Reach::product_scope(table) };
            let message = format!(
                "the {what} of `{}` names the column `{}`, which {} does not have",
                reach.rule.id,
                column.path.join("."),
                table.address,
            );
            let hint = path::hint(&table.columns, &column.path).unwrap_or_else(|| {
                "limit the policy by its resource, such as `resource in Product::\"..\"`".to_owned()
            });
            let place = column.place.clone();
            findings.push(Finding::new(Severity::Error, scope, place, "unknown-column", message).hint(hint));
        }
    }
}

fn not_boolean(reach: &Reach<'_>, findings: &mut Vec<Finding>) {
    let Some(rows) = &reach.rule.rows else { return };
    for reached in reach.tables.iter().filter(|reached| reached.rows) {
        let table = reached.table;
        let other_type = |column: &[String]| {
            let kind = path::find(&table.columns, column).and_then(|column| column.logical_type);
            kind.is_some_and(|kind| kind != LogicalType::Boolean)
        };
        if let Some(why) = shape::not_boolean(&rows.expr, &other_type) {
            let message = format!("a row filter is true or false of a row, but in {} {why}", table.address);
            let scope = Reach::product_scope(table);
            findings.push(Finding::new(Severity::Error, scope, rows.place.clone(), "row-filter", message));
        }
    }
}

/// Two masks that can meet on one column.
fn conflicts(reaches: &[Reach<'_>], findings: &mut Vec<Finding>) {
    let mut warned = BTreeSet::new();
    let masks: Vec<_> = reaches.iter().filter_map(|reach| Some((reach, reach.rule.mask.as_ref()?))).collect();
    for (at, (first, first_mask)) in masks.iter().enumerate() {
        for (second, second_mask) in &masks[at + 1..] {
            if first_mask.mask == second_mask.mask {
                continue;
            }
            if let Some(column) = meeting(first, second)
                && warned.insert((&first.rule.id, &second.rule.id))
            {
                let message = format!(
                    "`{}` and `{}` can both mask {column}, differently: who is under both reads NULL",
                    first.rule.id, second.rule.id
                );
                let (scope, place) = (second.rule.scope.clone(), second_mask.place.clone());
                findings.push(Finding::new(Severity::Warning, scope, place, "mask-conflict", message));
            }
        }
    }
}

fn meeting(first: &Reach<'_>, second: &Reach<'_>) -> Option<String> {
    for reached in &first.tables {
        let same = |other: &&TableReach<'_>| other.table.address == reached.table.address;
        let Some(other) = second.tables.iter().find(same) else { continue };
        let columns: BTreeSet<_> = other.masked.iter().map(|(path, _)| path).collect();
        if let Some((path, _)) = reached.masked.iter().find(|(path, _)| columns.contains(path)) {
            return Some(format!("{}.{}", reached.table.address.policy_id(), path.join(".")));
        }
    }
    None
}

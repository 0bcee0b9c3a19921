//! Row filters and masks on the tables they can come to be used on.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use meshgate_model::{Finding, ProductAddress, Scope, Severity, TableAddress};
use meshgate_product::Table;

use super::reach::Reach;
use crate::rule::ColumnUse;
use crate::{Use, Used, path, shape};

/// Tables that an annotation does not fit. INVARIANT: there is an error about each, so nothing more need be said of it.
type Unfit<'a> = BTreeSet<&'a TableAddress>;

pub(super) fn check(reaches: &[Reach<'_>], findings: &mut Vec<Finding>) -> Vec<Use> {
    let mut uses = Vec::new();
    for reach in reaches {
        if let Some(rows) = &reach.rule.rows {
            let tables = reach.tables.iter().filter(|reached| reached.rows).map(|reached| reached.table).collect();
            let note = Note { reach, what: "row filter", columns: &rows.columns, lost: &rows.lost, tables };
            let mut unfit = note.unfit(findings);
            unfit.extend(not_boolean(reach, findings));
            let expr = Arc::new(rows.expr.clone());
            for table in note.tables.iter().filter(|table| !unfit.contains(&table.address)) {
                uses.push(a_use(reach, table, rows.place.clone(), Used::Rows(Arc::clone(&expr))));
            }
        }
        if let Some(mask) = &reach.rule.mask {
            let masked = || reach.tables.iter().filter(|reached| !reached.masked.is_empty());
            let tables = masked().map(|reached| reached.table).collect();
            let note = Note { reach, what: "mask", columns: &mask.columns, lost: &mask.lost, tables };
            let unfit = note.unfit(findings);
            let shared = Arc::new(mask.mask.clone());
            for reached in masked().filter(|reached| !unfit.contains(&reached.table.address)) {
                for (column, _) in &reached.masked {
                    let what = Used::Mask { column: column.clone(), mask: Arc::clone(&shared) };
                    uses.push(a_use(reach, reached.table, mask.place.clone(), what));
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

/// A row filter or mask with the tables that it is about.
struct Note<'a> {
    reach: &'a Reach<'a>,
    what: &'static str,
    columns: &'a [ColumnUse],
    lost: &'a [Finding],
    tables: Vec<&'a Table>,
}

impl<'a> Note<'a> {
    fn unfit(&self, findings: &mut Vec<Finding>) -> Unfit<'a> {
        let mut unfit = self.unknown_columns(findings);
        if !self.lost.is_empty() {
            self.say_lost(findings);
            unfit.extend(self.tables.iter().map(|table| &table.address));
        }
        unfit
    }

    fn products(&self) -> BTreeSet<&'a ProductAddress> {
        self.tables.iter().map(|table| &table.address.product).collect()
    }

    /// An entitlement that cannot be read: nothing that it would limit can be served.
    fn say_lost(&self, findings: &mut Vec<Finding>) {
        let products = self.products();
        for lost in self.lost {
            if products.is_empty() {
                findings.push(Finding { severity: Severity::Warning, ..lost.clone() });
            }
            let scopes = products.iter().map(|product| Scope::Product((*product).clone()));
            findings.extend(scopes.map(|scope| Finding { scope, ..lost.clone() }));
        }
    }

    /// Tables without a column cannot be served under a policy that names it: their products are out, and the policy
    /// stays in force elsewhere. SECURITY: no document of one product may be an error of the policy's own, wider scope;
    /// that is certain only of a policy about everything, in a column that no product has.
    fn unknown_columns(&self, findings: &mut Vec<Finding>) -> Unfit<'a> {
        let mut unfit = Unfit::new();
        let mut seen = BTreeSet::new();
        for column in self.columns.iter().filter(|column| seen.insert(&column.path)) {
            let missing = |table: &&Table| path::find(&table.columns, &column.path).is_none();
            let without: Vec<_> = self.tables.iter().copied().filter(missing).collect();
            unfit.extend(without.iter().map(|table| &table.address));
            if without.len() < self.tables.len() {
                findings.extend(without.iter().map(|table| self.no_column(table, column, Reach::product_scope(table))));
                continue;
            }
            // Misspelt, it seems: no need to say so of every table.
            if self.reach.everywhere && self.products().len() > 1 {
                let scope = self.reach.rule.scope.clone();
                findings.extend(without.first().map(|table| self.no_column(table, column, scope)));
                continue;
            }
            let mut told = BTreeSet::new();
            let first_of_each = without.iter().filter(|table| told.insert(&table.address.product));
            findings.extend(first_of_each.map(|table| self.no_column(table, column, Reach::product_scope(table))));
        }
        unfit
    }

    fn no_column(&self, table: &Table, column: &ColumnUse, scope: Scope) -> Finding {
        let message = format!(
            "the {} of `{}` names the column `{}`, which {} does not have",
            self.what,
            self.reach.rule.id,
            column.path.join("."),
            table.address,
        );
        let hint = path::hint(&table.columns, &column.path)
            .unwrap_or_else(|| "limit the policy by its resource, such as `resource in Product::\"..\"`".to_owned());
        Finding::new(Severity::Error, scope, column.place.clone(), "unknown-column", message).hint(hint)
    }
}

fn not_boolean<'a>(reach: &'a Reach<'_>, findings: &mut Vec<Finding>) -> Unfit<'a> {
    let Some(rows) = &reach.rule.rows else { return Unfit::new() };
    let mut unfit = Unfit::new();
    for reached in reach.tables.iter().filter(|reached| reached.rows) {
        let table = reached.table;
        if let Some(why) = shape::not_boolean(&rows.expr, &|column| shape::is_other_type(&table.columns, column)) {
            let message = format!("a row filter is true or false of a row, but in {} {why}", table.address);
            let scope = Reach::product_scope(table);
            findings.push(Finding::new(Severity::Error, scope, rows.place.clone(), "row-filter", message));
            unfit.insert(&table.address);
        }
    }
    unfit
}

/// Masks that can meet on one column.
fn conflicts(reaches: &[Reach<'_>], findings: &mut Vec<Finding>) {
    let masks: Vec<_> = reaches.iter().filter_map(|reach| Some((reach, reach.rule.mask.as_ref()?))).collect();
    // The masks on each column, and the columns in the order in which they are met.
    let mut columns: Vec<(&TableAddress, &[String])> = Vec::new();
    let mut on: HashMap<(&TableAddress, &[String]), Vec<usize>> = HashMap::new();
    for (number, (reach, _)) in masks.iter().enumerate() {
        for reached in &reach.tables {
            for (path, _) in &reached.masked {
                let column = (&reached.table.address, path.as_slice());
                let met = on.entry(column).or_default();
                if met.is_empty() {
                    columns.push(column);
                }
                met.push(number);
            }
        }
    }
    // Most columns are under the same masks as others, of which everything was said.
    let mut seen = HashSet::new();
    let mut warned = BTreeSet::new();
    let mut warnings = Vec::new();
    for column in columns {
        let Some(met) = on.get(&column).filter(|met| seen.insert(met.as_slice())) else { continue };
        for (at, first) in met.iter().enumerate() {
            for second in &met[at + 1..] {
                let ((one, one_mask), (other, other_mask)) = (masks[*first], masks[*second]);
                if one_mask.mask != other_mask.mask && warned.insert((*first, *second)) {
                    let message = format!(
                        "`{}` and `{}` can both mask {}.{}, differently: who is under both reads NULL",
                        one.rule.id,
                        other.rule.id,
                        column.0.policy_id(),
                        column.1.join(".")
                    );
                    let (scope, place) = (other.rule.scope.clone(), other_mask.place.clone());
                    let finding = Finding::new(Severity::Warning, scope, place, "mask-conflict", message);
                    warnings.push(((*first, *second), finding));
                }
            }
        }
    }
    warnings.sort_by_key(|(pair, _)| *pair);
    findings.extend(warnings.into_iter().map(|(_, finding)| finding));
}

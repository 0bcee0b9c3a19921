//! Which tables and columns a policy can ever be about, whoever asks: its scope, its resource constraint, and those of
//! its conditions that look at nothing but the resource.

use std::collections::HashMap;
use std::sync::Arc;

use cedar_policy::{
    Authorizer, Context, Decision, Entities, EntityUid, Policy, PolicySet, Request, ResourceConstraint,
};
use meshgate_model::{Scope, TableAddress};
use meshgate_product::{Column, Product, Release, Table, Version};
use serde_json::{Value, json};

use super::tables_in;
use crate::entities::{self, ColumnEntity, Likeness};
use crate::rule::Rule;
use crate::schema::Kind;

/// A rule with annotations, and where they can come to bear.
pub(super) struct Reach<'a> {
    pub(super) rule: &'a Arc<Rule>,
    pub(super) tables: Vec<TableReach<'a>>,
    /// Whether the rule is about everything in its scope, whatever documents say.
    pub(super) everywhere: bool,
}

/// A table that a rule can be about.
pub(super) struct TableReach<'a> {
    pub(super) table: &'a Table,
    /// Whether its rows can be limited by the rule.
    pub(super) rows: bool,
    /// The columns and fields that the rule can mask, by path.
    pub(super) masked: Vec<(Vec<String>, &'a Column)>,
}

/// The reach of every rule that has annotations.
pub(super) fn of_rules<'a>(release: &'a Release, rules: &'a [Arc<Rule>]) -> Vec<Reach<'a>> {
    let mut known = Known(HashMap::new());
    let noted = rules.iter().filter(|rule| rule.rows.is_some() || rule.mask.is_some());
    noted.map(|rule| known.reach(release, rule)).collect()
}

/// The entities of tables that were looked at.
struct Known(HashMap<TableAddress, Option<Entities>>);

impl Known {
    fn reach<'a>(&mut self, release: &'a Release, rule: &'a Arc<Rule>) -> Reach<'a> {
        let residue = Residue::of(rule);
        let mut tables = Vec::new();
        for (product, version, table) in tables_in(release, &rule.scope) {
            let entities = self.entities(product, version, table);
            let possible = |resource: EntityUid, action| match (&residue, entities) {
                (Some(residue), Some(entities)) => residue.holds(entities, resource, action),
                // Not knowing better: everything.
                _ => true,
            };
            let rows = rule.rows.is_some() && possible(Kind::Table.uid(table.address.policy_id()), "query");
            let mut masked = Vec::new();
            if rule.mask.is_some() {
                let mut all = Vec::new();
                for column in &table.columns {
                    inside(&ColumnEntity::of_table(&table.address, column), &[], column, &mut all);
                }
                // A wide table has many columns that the rule cannot tell apart.
                let mut known: HashMap<Likeness<'_>, bool> = HashMap::new();
                let mut reaches = |entity: &ColumnEntity<'a>| {
                    let uid = entity.uid();
                    if rule.distinctions.apart(&uid) {
                        return possible(uid, "read");
                    }
                    *known.entry(entity.likeness()).or_insert_with(|| possible(uid, "read"))
                };
                let reached = all.into_iter().filter(|(entity, _, _)| reaches(entity));
                masked = reached.map(|(_, path, column)| (path, column)).collect();
                masked.dedup_by(|a, b| a.0 == b.0);
            }
            if rows || !masked.is_empty() {
                tables.push(TableReach { table, rows, masked });
            }
        }
        let everywhere = matches!(residue, Some(Residue(None)));
        Reach { rule, tables, everywhere }
    }

    fn entities(&mut self, product: &Product, version: &Version, table: &Table) -> Option<&Entities> {
        let made = self.0.entry(table.address.clone()).or_insert_with(|| {
            let entities = entities::of_table(product, version, table, &|_| true).ok()?;
            Entities::from_entities(entities, None).ok()
        });
        made.as_ref()
    }
}

type Inside<'a> = Vec<(ColumnEntity<'a>, Vec<String>, &'a Column)>;

/// A column, the elements of a list (which are masked as the list is) and the fields inside.
fn inside<'a>(entity: &ColumnEntity<'a>, above: &[String], column: &'a Column, into: &mut Inside<'a>) {
    let path: Vec<String> = above.iter().chain([&column.name]).cloned().collect();
    into.push((entity.clone(), path.clone(), column));
    let mut element = entity.element();
    while let Some(inner) = element {
        element = inner.element();
        into.push((inner, path.clone(), column));
    }
    for (field, column) in entity.fields().zip(crate::path::fields(column)) {
        inside(&field, &path, column, into);
    }
}

/// What is left of a policy without everything that depends on who asks, and when; nothing, if that is no condition.
struct Residue(Option<PolicySet>);

impl Residue {
    fn of(rule: &Rule) -> Option<Self> {
        let json = rule.json.as_ref()?;
        let conditions = json.get("conditions").and_then(Value::as_array).into_iter().flatten();
        let mut kept = Vec::new();
        for condition in conditions {
            let kind = condition.get("kind")?.as_str()?;
            // `when { a && b }` needs both; `unless { a || b }` needs neither.
            let joint = if kind == "when" { "&&" } else { "||" };
            parts(condition.get("body")?, joint, &mut |part| {
                if !asks(part) {
                    kept.push(json!({ "kind": kind, "body": part }));
                }
            });
        }
        if kept.is_empty() && rule.policy.resource_constraint() == ResourceConstraint::Any {
            return Some(Self(None));
        }
        let residue = json!({
            "effect": "permit", "principal": { "op": "All" }, "action": { "op": "All" },
            "resource": json.get("resource")?, "conditions": kept,
        });
        let policy = Policy::from_json(None, residue).ok()?;
        PolicySet::from_policies([policy]).ok().map(|policies| Self(Some(policies)))
    }

    fn holds(&self, entities: &Entities, resource: EntityUid, action: &str) -> bool {
        let Some(policies) = &self.0 else { return true };
        let (principal, action) = (Kind::User.uid(""), Kind::Action.uid(action));
        let Ok(request) = Request::new(principal, action, resource, Context::empty(), None) else { return true };
        let response = Authorizer::new().is_authorized(&request, policies, entities);
        response.decision() == Decision::Allow || response.diagnostics().errors().next().is_some()
    }
}

fn parts(body: &Value, joint: &str, visit: &mut impl FnMut(&Value)) {
    match body.get(joint) {
        Some(both) => {
            for side in ["left", "right"] {
                if let Some(side) = both.get(side) {
                    parts(side, joint, visit);
                }
            }
        }
        None => visit(body),
    }
}

/// Whether a condition looks at anything but the resource.
fn asks(json: &Value) -> bool {
    match json {
        Value::Object(fields) => fields.iter().any(|(name, value)| match value {
            Value::String(variable) if name == "Var" => variable != "resource",
            _ => asks(value),
        }),
        Value::Array(values) => values.iter().any(asks),
        _ => false,
    }
}

impl Reach<'_> {
    /// What an error on one table takes out of service: that table's product. The policy stays in force elsewhere.
    pub(super) fn product_scope(table: &Table) -> Scope {
        Scope::Product(table.address.product.clone())
    }
}

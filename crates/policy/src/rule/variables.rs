//! How the conditions of a policy use `principal` and `resource`: what two of them must have in common so that the policy
//! cannot tell them apart.

use std::collections::HashSet;

use cedar_policy::{EntityUid, Policy};
use serde_json::Value;

use crate::schema::Kind;

/// Which columns policies can tell from their siblings, other than by what a column says of itself: its type,
/// classification, tags and whether it is critical.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Distinctions {
    /// Any: a policy looks at more than that, or it is not known at what.
    all: bool,
    /// Those that are named.
    named: HashSet<EntityUid>,
}

impl Distinctions {
    pub(super) fn of(policy: &Policy, json: Option<&Value>) -> Self {
        let own = |attribute: &str| matches!(attribute, "tags" | "classification" | "logicalType" | "critical");
        let columns = |uid: &EntityUid| Kind::of(uid.type_name()) == Some(Kind::Column);
        Self {
            // SECURITY: in doubt every column is asked about by itself.
            all: json.is_none_or(|json| otherwise_used(json, "resource", &own)),
            named: policy.entity_literals().into_iter().filter(columns).collect(),
        }
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.all |= other.all;
        self.named.extend(other.named.iter().cloned());
    }

    /// Whether a column may be told from its siblings that say the same of themselves.
    pub(crate) fn apart(&self, column: &EntityUid) -> bool {
        self.all || self.named.contains(column)
    }
}

/// Whether a policy can tell principals of the same kind, groups and attributes from each other.
pub(super) fn knows_principals(policy: &Policy, json: &Value) -> bool {
    let principal = |uid: &EntityUid| matches!(Kind::of(uid.type_name()), Some(Kind::User | Kind::Service));
    policy.entity_literals().iter().any(principal) || otherwise_used(json, "principal", &|_| true)
}

/// Whether a variable stands anywhere but before one of these attributes, or before `in`, `==`, `!=` and `is` with entities
/// that are written out.
fn otherwise_used(json: &Value, variable: &str, attribute: &dyn Fn(&str) -> bool) -> bool {
    let inside = |json: &Value| otherwise_used(json, variable, attribute);
    let before = |sides: &Value| sides.get("left").is_some_and(|left| is_variable(left, variable));
    match single(json) {
        _ if is_variable(json, variable) => true,
        Some(("." | "has", access)) if before(access) => {
            !access.get("attr").and_then(Value::as_str).is_some_and(attribute)
        }
        Some(("in" | "==" | "!=", sides)) if before(sides) => !sides.get("right").is_some_and(is_entities),
        Some(("is", sides)) if before(sides) => sides.get("in").is_some_and(|above| !is_entities(above)),
        _ => match json {
            Value::Object(fields) => fields.values().any(inside),
            Value::Array(values) => values.iter().any(inside),
            _ => false,
        },
    }
}

/// An entity that is written out, or a set of such.
fn is_entities(json: &Value) -> bool {
    match single(json) {
        Some(("Value", value)) => matches!(single(value), Some(("__entity", _))),
        Some(("Set", Value::Array(elements))) => elements.iter().all(is_entities),
        _ => false,
    }
}

pub(super) fn is_variable(json: &Value, variable: &str) -> bool {
    matches!(single(json), Some(("Var", Value::String(name))) if name == variable)
}

/// The name and value of an object with one field.
pub(super) fn single(json: &Value) -> Option<(&str, &Value)> {
    let fields = json.as_object()?;
    let (name, value) = fields.iter().next()?;
    (fields.len() == 1).then_some((name.as_str(), value))
}

#[cfg(test)]
mod tests {
    use cedar_policy::Policy;

    use super::{Distinctions, Kind, knows_principals};

    fn read(scope: &str, condition: &str) -> (Policy, serde_json::Value) {
        let policy = Policy::parse(None, format!("permit ({scope}) when {{ {condition} }};")).expect("a policy");
        let json = policy.to_json().expect("its JSON");
        (policy, json)
    }

    #[test]
    fn finds_how_columns_are_told_apart() {
        let column = Kind::Column.uid("d.p.t.c");
        for (scope, condition, all, named) in [
            ("principal, action, resource", "true", false, false),
            ("principal, action, resource in Table::\"d.p.t\"", "resource.tags.contains(\"pii\")", false, false),
            ("principal, action, resource == Column::\"d.p.t.c\"", "true", false, true),
            ("principal, action, resource is Column in Column::\"d.p.t.c\"", "true", false, true),
            ("principal, action, resource", "resource[\"critical\"] && resource.logicalType == \"date\"", false, false),
            ("principal, action, resource", "resource has classification", false, false),
            ("principal, action, resource", "resource in [Table::\"d.p.t\", Column::\"d.p.t.c\"]", false, true),
            ("principal, action, resource", "resource != Column::\"d.p.t.c\"", false, true),
            ("principal, action, resource", "resource is Column in Column::\"d.p.t.c\"", false, true),
            ("principal, action, resource", "resource is Column && !(resource == Table::\"x\")", false, false),
            ("principal, action, resource", "Column::\"d.p.t.c\".critical == resource.critical", false, true),
            ("principal, action, resource", "resource.name like \"*_id\"", true, false),
            (
                "principal, action, resource",
                "resource.tags.contains(\"a\") || resource[\"name\"] == \"b\"",
                true,
                false,
            ),
            ("principal, action, resource", "Column::\"d.p.t.c\" in resource", true, true),
            ("principal, action, resource", "principal == resource", true, false),
            ("principal, action, resource", "[resource].contains(Table::\"x\")", true, false),
            ("principal, action, resource", "{\"in\": resource} == {\"in\": Table::\"x\"}", true, false),
            ("principal, action, resource", "resource in [Table::\"x\", context.above]", true, false),
            ("principal, action, resource", "(if true then resource else resource) == Table::\"x\"", true, false),
        ] {
            let (policy, json) = read(scope, condition);
            let found = Distinctions::of(&policy, Some(&json));
            assert_eq!((found.all, found.named.contains(&column)), (all, named), "{scope} {condition}");
            assert!(Distinctions::of(&policy, None).all);
        }
    }

    #[test]
    fn finds_how_principals_are_told_apart() {
        for (scope, condition, knows) in [
            ("principal, action, resource", "true", false),
            ("principal in Group::\"g\", action, resource", "principal.region == \"x\"", false),
            ("principal is Service in Group::\"g\", action, resource", "principal has region", false),
            ("principal, action, resource", "principal in [Group::\"g\", Group::\"h\"]", false),
            ("principal == User::\"eve\", action, resource", "true", true),
            ("principal, action, resource", "principal == Service::\"robot\"", true),
            ("principal, action, resource", "[User::\"eve\"].contains(principal)", true),
            ("principal, action, resource", "[principal].contains(principal)", true),
            ("principal, action, resource", "principal == resource", true),
            ("principal, action, resource", "principal in resource.readers", true),
        ] {
            let (policy, json) = read(scope, condition);
            assert_eq!(knows_principals(&policy, &json), knows, "{scope} {condition}");
        }
    }
}

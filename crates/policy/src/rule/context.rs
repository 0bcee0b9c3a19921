//! What a policy asks of the request itself, so that decisions can be kept for requests that are alike.

use cedar_policy::Policy;
use serde_json::Value;

use crate::{Expr, Parameter};

/// The parts of a request that can change what a policy says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Mentions {
    pub(crate) purpose: bool,
    pub(crate) client_ip: bool,
    pub(crate) now: bool,
}

impl Mentions {
    const ALL: Self = Self { purpose: true, client_ip: true, now: true };

    pub(crate) fn union(self, other: Self) -> Self {
        Self {
            purpose: self.purpose || other.purpose,
            client_ip: self.client_ip || other.client_ip,
            now: self.now || other.now,
        }
    }

    /// Adds the parameters of an expression. `$now` stays a parameter in a decision, so it does not count.
    pub(super) fn add(&mut self, expr: &Expr) {
        expr.visit(&mut |part| self.purpose |= matches!(part, Expr::Parameter(Parameter::Purpose)));
    }
}

/// What the policy's conditions read of `context`.
pub(super) fn mentions(policy: &Policy) -> Mentions {
    match policy.to_json() {
        Ok(json) => {
            let mut found = Mentions::default();
            collect(&json, &mut found);
            found
        }
        Err(_) => Mentions::ALL,
    }
}

fn collect(json: &Value, found: &mut Mentions) {
    match json {
        Value::Object(fields) => {
            if let Some((".", access) | ("has", access)) = single(json)
                && access.get("left").is_some_and(is_context)
            {
                match access.get("attr").and_then(Value::as_str) {
                    Some("purpose") => found.purpose = true,
                    Some("clientIp") => found.client_ip = true,
                    Some("now") => found.now = true,
                    // In the fingerprint of the principal.
                    Some("authentication") => {}
                    _ => *found = Mentions::ALL,
                }
            } else if is_context(json) {
                *found = Mentions::ALL;
            } else {
                fields.values().for_each(|value| collect(value, found));
            }
        }
        Value::Array(values) => values.iter().for_each(|value| collect(value, found)),
        _ => {}
    }
}

fn is_context(json: &Value) -> bool {
    matches!(single(json), Some(("Var", Value::String(name))) if name == "context")
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

    use super::{Mentions, mentions};

    #[test]
    fn finds_what_is_read_of_the_request() {
        let none = Mentions::default();
        for (condition, expected) in [
            ("true", none),
            ("context.authentication == \"token\"", none),
            ("context has purpose && context.purpose == \"x\"", Mentions { purpose: true, ..none }),
            ("context[\"now\"] < datetime(\"2026-01-01\")", Mentions { now: true, ..none }),
            ("[context.clientIp].contains(ip(\"10.0.0.1\"))", Mentions { client_ip: true, ..none }),
            ("context == {\"purpose\": \"x\"}", Mentions::ALL),
            ("\"context.now\" == principal.name", none),
            ("context has purpose.x", Mentions::ALL),
        ] {
            let text = format!("permit (principal, action, resource) when {{ {condition} }};");
            let policy = Policy::parse(None, text).expect("a policy");
            assert_eq!(mentions(&policy), expected, "{condition}");
        }
    }
}

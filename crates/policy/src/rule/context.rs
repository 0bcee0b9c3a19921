//! What a policy asks of the request and its principal, so that decisions can be kept for requests that are alike.

use cedar_policy::Policy;
use serde_json::Value;

use super::variables::{is_variable, knows_principals, single};
use crate::{Expr, Parameter};

/// The parts of a request that can change what a policy says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Mentions {
    /// Its principal's name, other than as something that all alike have.
    pub(crate) user: bool,
    pub(crate) purpose: bool,
    pub(crate) client_ip: bool,
    pub(crate) now: bool,
}

impl Mentions {
    const ALL: Self = Self { user: true, ..Self::REQUEST };
    const REQUEST: Self = Self { user: false, purpose: true, client_ip: true, now: true };

    pub(crate) fn union(self, other: Self) -> Self {
        Self {
            user: self.user || other.user,
            purpose: self.purpose || other.purpose,
            client_ip: self.client_ip || other.client_ip,
            now: self.now || other.now,
        }
    }

    /// Adds the parameters of an expression. `$now` stays a parameter in a decision, so it does not count.
    pub(super) fn add(&mut self, expr: &Expr) {
        expr.visit(&mut |part| {
            self.user |= matches!(part, Expr::Parameter(Parameter::User));
            self.purpose |= matches!(part, Expr::Parameter(Parameter::Purpose));
        });
    }
}

/// What the policy reads of `context`, and whether it knows principals by name.
pub(super) fn mentions(policy: &Policy, json: Option<&Value>) -> Mentions {
    // SECURITY: in doubt nothing is kept for anybody else.
    let Some(json) = json else { return Mentions::ALL };
    let mut found = Mentions { user: knows_principals(policy, json), ..Mentions::default() };
    collect(json, &mut found);
    found
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
                    // Decisions are kept for one way of authentication.
                    Some("authentication") => {}
                    _ => *found = found.union(Mentions::REQUEST),
                }
            } else if is_context(json) {
                *found = found.union(Mentions::REQUEST);
            } else {
                fields.values().for_each(|value| collect(value, found));
            }
        }
        Value::Array(values) => values.iter().for_each(|value| collect(value, found)),
        _ => {}
    }
}

fn is_context(json: &Value) -> bool {
    is_variable(json, "context")
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
            ("context == {\"purpose\": \"x\"}", Mentions::REQUEST),
            ("\"context.now\" == principal.name", none),
            ("context has purpose.x", Mentions::REQUEST),
        ] {
            let text = format!("permit (principal, action, resource) when {{ {condition} }};");
            let policy = Policy::parse(None, text).expect("a policy");
            let json = policy.to_json().expect("its JSON");
            assert_eq!(mentions(&policy, Some(&json)), expected, "{condition}");
            assert_eq!(mentions(&policy, None), Mentions::ALL);
        }
    }
}

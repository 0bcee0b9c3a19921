//! Cedar's own opinion of a statement: does it parse, does it fit the schema.

use cedar_policy::{ActionConstraint, Effect, Policy, PolicyId, PolicySet, ValidationMode, ValidationWarning};
use meshgate_model::{Finding, Place, Severity};
use miette::Diagnostic;

use super::Setting;
use crate::source::Statement;

pub(super) fn parse(
    setting: Setting<'_>,
    statement: &Statement<'_>,
    default_id: &str,
    findings: &mut Vec<Finding>,
) -> Option<Policy> {
    let policy = match Policy::parse(Some(PolicyId::new(default_id)), statement.text) {
        Ok(policy) => policy,
        Err(errors) => {
            for error in errors.iter() {
                let place = place(setting, statement, error);
                findings.push(explained(setting.error(place, "policy-syntax", error.to_string()), error));
            }
            return None;
        }
    };
    match policy.annotation("id") {
        Some("") => {
            let place = setting.document.place(statement.offset);
            findings.push(setting.error(place, "policy-id", "`@id` is empty"));
            None
        }
        Some(id) => Some(policy.new_id(PolicyId::new(id))),
        None => Some(policy),
    }
}

pub(super) fn validate(setting: Setting<'_>, statement: &Statement<'_>, policy: &Policy, findings: &mut Vec<Finding>) {
    let Ok(set) = PolicySet::from_policies([policy.clone()]) else { return };
    let result = setting.validator.validate(&set, ValidationMode::Strict);
    for error in result.validation_errors() {
        let place = place(setting, statement, error);
        findings.push(explained(setting.error(place, "policy-type", sentence(error)), error));
    }
    let wrong = result.validation_errors().next().is_some();
    let mut dead = None;
    for warning in result.validation_warnings() {
        match warning {
            // A consequence of what is wrong.
            ValidationWarning::ImpossiblePolicy(_) | ValidationWarning::InvalidActionApplication(_) if wrong => {}
            ValidationWarning::ImpossiblePolicy(_) => dead = dead.or(Some("it asks for what can never be")),
            ValidationWarning::InvalidActionApplication(_) => {
                dead = Some("none of its actions is about its principals and resources");
            }
            _ => {
                let place = place(setting, statement, warning);
                let finding = setting.finding(Severity::Warning, place, "policy-type", sentence(warning));
                findings.push(explained(finding, warning));
            }
        }
    }
    if let Some(why) = dead {
        // SECURITY: a permit that never applies gives nothing; a forbid that never applies is a protection that its
        // author believes in and nobody has.
        let severity = if policy.effect() == Effect::Forbid { Severity::Error } else { Severity::Warning };
        let place = setting.document.place(statement.offset);
        let finding = setting.finding(severity, place, "policy-type", format!("this policy never applies: {why}"));
        let group =
            matches!(policy.action_constraint(), ActionConstraint::Eq(action) if action.id().unescaped() == "access");
        findings.push(if group { finding.hint("write `action in Action::\"access\"`") } else { finding });
    }
}

/// Cedar's messages begin with ``for policy `id`, ``, which the place says better.
fn sentence(diagnostic: &dyn Diagnostic) -> String {
    let text = diagnostic.to_string();
    match text.strip_prefix("for policy `").and_then(|rest| rest.split_once("`, ")) {
        Some((_, rest)) => rest.to_owned(),
        None => text,
    }
}

/// Adds what Cedar has to say beyond the message.
fn explained(finding: Finding, diagnostic: &dyn Diagnostic) -> Finding {
    let label = diagnostic.labels().and_then(|mut labels| labels.find_map(|label| label.label().map(str::to_owned)));
    match diagnostic.help().map(|help| help.to_string()).or(label) {
        Some(help) => finding.hint(help),
        None => finding,
    }
}

fn place(setting: Setting<'_>, statement: &Statement<'_>, diagnostic: &dyn Diagnostic) -> Place {
    let within = diagnostic.labels().and_then(|mut labels| labels.next()).map_or(0, |label| label.offset());
    setting.document.place(statement.offset + within.min(statement.text.len()))
}

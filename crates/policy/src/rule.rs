//! One policy, read from its statement: what Cedar decides, and what its annotations add.

mod annotations;
mod cedar;
mod context;
mod variables;

use cedar_policy::{ActionConstraint, Effect, Policy, PolicyId, Validator};
use meshgate_model::{AttributeTypes, Finding, Place, Scope, Severity};
use meshgate_product::Release;
use serde_json::Value;

pub(crate) use context::Mentions;
pub(crate) use variables::Distinctions;

use crate::source::{Document, Statement};
use crate::{Expr, Mask, PolicyRef};

/// A policy of a mesh.
#[derive(Debug, Clone)]
pub(crate) struct Rule {
    pub(crate) id: PolicyRef,
    pub(crate) scope: Scope,
    pub(crate) place: Place,
    pub(crate) policy: Policy,
    /// The policy as data: Cedar keeps it as text, and reads that again whenever it is asked for its data.
    pub(crate) json: Option<Value>,
    pub(crate) effect: Effect,
    pub(crate) covers: Covers,
    pub(crate) rows: Option<RowsNote>,
    pub(crate) mask: Option<MaskNote>,
    pub(crate) mentions: Mentions,
    pub(crate) distinctions: Distinctions,
}

/// `@rows`. What `lost` says is missing in the mesh's documents, for as long as which `expr` is NULL: an error of the
/// tables that the policy comes to bear on, not of the policy.
#[derive(Debug, Clone)]
pub(crate) struct RowsNote {
    pub(crate) expr: Expr,
    pub(crate) columns: Vec<ColumnUse>,
    pub(crate) lost: Vec<Finding>,
    pub(crate) place: Place,
}

/// `@mask`, likewise.
#[derive(Debug, Clone)]
pub(crate) struct MaskNote {
    pub(crate) mask: Mask,
    pub(crate) columns: Vec<ColumnUse>,
    pub(crate) lost: Vec<Finding>,
    pub(crate) place: Place,
}

/// A column that an annotation names.
#[derive(Debug, Clone)]
pub(crate) struct ColumnUse {
    pub(crate) path: Vec<String>,
    pub(crate) place: Place,
}

/// The actions that a policy is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Covers {
    pub(crate) query: bool,
    pub(crate) read: bool,
    pub(crate) discover: bool,
    pub(crate) manage: bool,
}

impl Covers {
    fn of(policy: &Policy) -> Self {
        let named = match policy.action_constraint() {
            ActionConstraint::Any => return Self { query: true, read: true, discover: true, manage: true },
            // `action == Action::"access"` is true of the group itself, which nobody asks for.
            ActionConstraint::Eq(action) if action.id().unescaped() == "access" => Vec::new(),
            ActionConstraint::Eq(action) => vec![action],
            ActionConstraint::In(actions) => actions,
        };
        let names = |word: &str| named.iter().any(|action| action.id().unescaped() == word);
        Self {
            query: names("query") || names("access"),
            read: names("read") || names("access"),
            discover: names("discover"),
            manage: names("manage"),
        }
    }
}

/// Everything a statement is read with.
#[derive(Clone, Copy)]
pub(crate) struct Setting<'a> {
    pub(crate) release: &'a Release,
    pub(crate) validator: &'a Validator,
    pub(crate) attributes: &'a AttributeTypes,
    pub(crate) scope: &'a Scope,
    pub(crate) document: &'a Document<'a>,
}

impl Setting<'_> {
    fn finding(&self, severity: Severity, place: Place, code: &'static str, message: impl Into<String>) -> Finding {
        Finding::new(severity, self.scope.clone(), place, code, message)
    }

    fn error(&self, place: Place, code: &'static str, message: impl Into<String>) -> Finding {
        self.finding(Severity::Error, place, code, message)
    }
}

/// Reads one statement. `default_id` names it unless it has an `@id`. Without a rule, at least one finding is an error.
pub(crate) fn read(
    setting: Setting<'_>,
    statement: &Statement<'_>,
    default_id: String,
) -> (Option<Rule>, Vec<Finding>) {
    let mut findings = Vec::new();
    let Some(policy) = cedar::parse(setting, statement, &default_id, &mut findings) else {
        return (None, findings);
    };
    cedar::validate(setting, statement, &policy, &mut findings);
    let covers = Covers::of(&policy);
    let notes = annotations::read(setting, statement, &policy, covers, &mut findings);
    if findings.iter().any(|finding| finding.severity == Severity::Error) {
        return (None, findings);
    }
    let json = policy.to_json().ok();
    let mut mentions = context::mentions(&policy, json.as_ref());
    let exprs = notes.rows.iter().map(|rows| &rows.expr).chain(notes.mask.iter().filter_map(|note| match &note.mask {
        Mask::Sql(expr) => Some(expr),
        _ => None,
    }));
    exprs.for_each(|expr| mentions.add(expr));
    let distinctions = Distinctions::of(&policy, json.as_ref());
    let id = policy.id().to_string();
    let rule = Rule {
        scope: setting.scope.clone(),
        place: setting.document.place(statement.offset),
        effect: policy.effect(),
        // Cedar's ids are of the whole mesh, those of policies are of their scope.
        policy: policy.new_id(PolicyId::new(format!("{}/{id}", setting.scope))),
        id: PolicyRef { id },
        covers,
        rows: notes.rows,
        mask: notes.mask,
        mentions,
        distinctions,
        json,
    };
    (Some(rule), findings)
}

//! Why somebody sees what they see of a table.

use meshgate_identity::Principal;
use meshgate_model::TableAddress;
use meshgate_product::Release;

use crate::{Access, ColumnVerdict, Decision, Policies, PolicyRef, Reading, RequestContext, Rows};

/// A decision in words, for owners and for `meshgate access explain`. Not for those whom it is about: it names hidden
/// columns and the policies that hide them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// The table.
    pub table: TableAddress,
    /// Whether it exists for the principal.
    pub visible: bool,
    /// If not, why.
    pub reason: Option<String>,
    /// The row filter as SQL, with values for parameters; none if all rows are visible, or the table is not.
    pub rows: Option<String>,
    /// Each column and, where they differ from it, the fields inside, as paths.
    pub columns: Vec<ExplainedColumn>,
    /// The policies that decided about the table and its rows.
    pub policies: Vec<PolicyRef>,
}

/// How one column or field is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExplainedColumn {
    /// `column`, or `column.field`.
    pub path: String,
    /// `plain`, `hidden`, or the mask as it stands in the policy.
    pub reading: String,
    /// The policies that decided.
    pub policies: Vec<PolicyRef>,
}

impl Policies {
    /// Explains what [`Policies::decide`] answers.
    pub fn explain(
        &self,
        principal: &Principal,
        release: &Release,
        table: &TableAddress,
        request: &RequestContext,
    ) -> Explanation {
        match self.evaluate(principal, release, table, request) {
            Ok(decision) => visible(table, &decision),
            Err(refusal) => Explanation {
                table: table.clone(),
                visible: false,
                reason: Some(refusal.to_string()),
                rows: None,
                columns: Vec::new(),
                policies: refusal.policies(),
            },
        }
    }
}

fn visible(table: &TableAddress, decision: &Decision) -> Explanation {
    let mut explained = Explanation {
        table: table.clone(),
        visible: decision.is_visible(),
        reason: None,
        rows: None,
        columns: Vec::new(),
        policies: decision.determining.clone(),
    };
    if let Access::Visible { rows, columns } = decision.access() {
        explained.rows = match rows {
            Rows::All => None,
            Rows::Where(filter) => Some(filter.to_string()),
        };
        columns.iter().for_each(|column| collect(column, "", &mut explained.columns));
    }
    explained
}

fn collect(verdict: &ColumnVerdict, above: &str, into: &mut Vec<ExplainedColumn>) {
    let path = if above.is_empty() { verdict.name.clone() } else { format!("{above}.{}", verdict.name) };
    let reading = verdict.reading.to_string();
    into.push(ExplainedColumn { path: path.clone(), reading, policies: verdict.determining.clone() });
    verdict.fields.iter().for_each(|field| collect(field, &path, into));
}

impl std::fmt::Display for Reading {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Plain => f.write_str("plain"),
            Self::Hidden => f.write_str("hidden"),
            Self::Masked(mask) => mask.fmt(f),
        }
    }
}

//! What is expected of a decision, and how the decision differs from it.

use meshgate_identity::Principal;
use meshgate_model::TableAddress;
use meshgate_product::Release;

use crate::{Access, ColumnVerdict, Expr, Policies, Reading, RequestContext, Rows};

/// A question with the answer that is expected.
pub(crate) struct Case {
    pub(crate) principal: Principal,
    pub(crate) request: RequestContext,
    pub(crate) table: TableAddress,
    pub(crate) expected: Expected,
}

/// The answer.
pub(crate) struct Expected {
    pub(crate) visible: bool,
    /// Not said; all; these.
    pub(crate) rows: Option<Option<Expr>>,
    /// Paths with `plain`, `hidden` or a mask.
    pub(crate) columns: Vec<(String, String)>,
}

pub(crate) fn failures(case: &Case, release: &Release, policies: &Policies) -> Vec<String> {
    let decision = policies.decide(&case.principal, release, &case.table, &case.request);
    match (decision.access(), case.expected.visible) {
        (Access::Absent, false) => Vec::new(),
        (Access::Absent, true) => {
            let why = policies.explain(&case.principal, release, &case.table, &case.request).reason;
            vec![format!("the table is not visible: {}", why.unwrap_or_default())]
        }
        (Access::Visible { .. }, false) => {
            let by: Vec<_> = decision.determining().iter().map(ToString::to_string).collect();
            vec![format!("the table is visible, by {}", by.join(", "))]
        }
        (Access::Visible { rows, columns }, true) => {
            let expected = case.expected.columns.iter();
            let columns = expected.filter_map(|(path, reading)| column(columns, path, reading));
            wrong_rows(case, rows).into_iter().chain(columns).collect()
        }
    }
}

fn wrong_rows(case: &Case, rows: &Rows) -> Option<String> {
    let expected = case.expected.rows.as_ref()?;
    let bound = expected.as_ref().map(|expr| Policies::bound(expr, &case.principal, &case.request));
    let (expected, actual) = (bound.map_or(Rows::All, Rows::Where), rows);
    let text = |rows: &Rows| match rows {
        Rows::All => "all".to_owned(),
        Rows::Where(filter) => filter.to_string(),
    };
    // Texts, because a literal that a test spells out is the same as a parameter that has this value.
    let (expected, actual) = (text(&expected), text(actual));
    (expected != actual).then(|| format!("rows: expected {expected}, but they are {actual}"))
}

fn column(columns: &[ColumnVerdict], path: &str, expected: &str) -> Option<String> {
    let names: Vec<&str> = path.split('.').collect();
    let Some(actual) = reading(columns, &names) else {
        return Some(format!("the contract has no column `{path}`"));
    };
    (actual != expected).then(|| format!("column {path}: expected {expected}, but it is {actual}"))
}

/// How a column or field is read; one without a verdict of its own is read as what holds it.
fn reading(columns: &[ColumnVerdict], path: &[&str]) -> Option<String> {
    let (first, rest) = path.split_first()?;
    let verdict = columns.iter().find(|column| column.name == *first)?;
    if rest.is_empty() || verdict.fields.is_empty() || verdict.reading != Reading::Plain {
        Some(verdict.reading.to_string())
    } else {
        reading(&verdict.fields, rest)
    }
}

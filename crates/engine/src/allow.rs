//! What a query may be made of, whatever parses.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{ObjectName, Query, Select, SetExpr, Statement, TableFactor, Visit, Visitor};

use crate::Error;
use crate::request::refused;
use crate::text::PIN_MARK;

/// Refuses what hides inside a query: writes in CTEs, SELECT INTO, locks, table functions; and clauses that the planner
/// would silently leave out, so that more rows came back than were asked for. `pins` is how many AS OF were written.
pub(crate) fn allow_query(statement: &Statement, pins: usize) -> Result<(), Error> {
    let mut inspector = Inspector { pinned: 0 };
    match statement.visit(&mut inspector) {
        // INVARIANT: an AS OF that is no table's would be left out.
        ControlFlow::Continue(()) if inspector.pinned != pins => Err(refused(STRAY_PIN)),
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(what) => Err(refused(what)),
    }
}

/// What is said of an AS OF that follows anything else.
pub(crate) const STRAY_PIN: &str = "AS OF anywhere but after a table's name";

/// Whether a table's name carries a pin.
pub(crate) fn is_pinned(name: &ObjectName) -> bool {
    name.0.last().and_then(|part| part.as_ident()).is_some_and(|last| last.value.contains(PIN_MARK))
}

struct Inspector {
    pinned: usize,
}

impl Visitor for Inspector {
    type Break = &'static str;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<Self::Break> {
        first([
            (!query.locks.is_empty(), "SELECT FOR UPDATE"),
            (query.for_clause.is_some(), "FOR XML, FOR JSON and FOR BROWSE"),
            (query.settings.is_some(), "SETTINGS"),
            (query.format_clause.is_some(), "FORMAT"),
        ])?;
        body(&query.body)
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<Self::Break> {
        first([
            (select.into.is_some(), "SELECT INTO"),
            (select.prewhere.is_some(), "PREWHERE"),
            (!select.connect_by.is_empty(), "CONNECT BY"),
            (!select.distribute_by.is_empty(), "DISTRIBUTE BY"),
            (select.value_table_mode.is_some(), "SELECT AS STRUCT and AS VALUE"),
            (select.select_modifiers.is_some(), "this form of SELECT"),
            (select.exclude.is_some(), "EXCLUDE anywhere but after `*`"),
        ])
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<Self::Break> {
        if let TableFactor::Table { name, .. } = factor {
            self.pinned += usize::from(is_pinned(name));
        }
        match factor {
            TableFactor::Table { args: Some(_), .. }
            | TableFactor::TableFunction { .. }
            | TableFactor::Function { .. } => ControlFlow::Break("a table function"),
            TableFactor::Table { version: Some(_), .. } => ControlFlow::Break("this form of time travel"),
            TableFactor::Table { sample: Some(_), .. } | TableFactor::Derived { sample: Some(_), .. } => {
                ControlFlow::Break("TABLESAMPLE")
            }
            TableFactor::Table { partitions, json_path, with_hints, index_hints, .. } => first([
                (!partitions.is_empty(), "PARTITION after a table's name"),
                (json_path.is_some(), "a path after a table's name"),
                (!with_hints.is_empty() || !index_hints.is_empty(), "hints after a table's name"),
            ]),
            _ => ControlFlow::Continue(()),
        }
    }
}

fn body(body: &SetExpr) -> ControlFlow<&'static str> {
    match body {
        SetExpr::Select(_) | SetExpr::Values(_) | SetExpr::Query(_) | SetExpr::Table(_) => ControlFlow::Continue(()),
        SetExpr::SetOperation { left, right, .. } => {
            self::body(left)?;
            self::body(right)
        }
        SetExpr::Insert(_) => ControlFlow::Break("INSERT"),
        SetExpr::Update(_) => ControlFlow::Break("UPDATE"),
        SetExpr::Delete(_) => ControlFlow::Break("DELETE"),
        SetExpr::Merge(_) => ControlFlow::Break("MERGE"),
    }
}

fn first<const N: usize>(checks: [(bool, &'static str); N]) -> ControlFlow<&'static str> {
    match checks.into_iter().find(|(found, _)| *found) {
        Some((_, what)) => ControlFlow::Break(what),
        None => ControlFlow::Continue(()),
    }
}

//! What a query may be made of, whatever parses.

use std::collections::HashMap;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, ObjectName, Query, Select, SetExpr, Statement, TableFactor, Visit, Visitor,
};

use crate::{Error, Options};
use meshgate_model::{PublicText, mutant};

use crate::request::refused;
use crate::text::PIN_MARK;

/// Refuses what hides inside a query: writes in CTEs, SELECT INTO, locks, table functions; and clauses that the planner
/// would silently leave out, so that more rows came back than were asked for. `pins` is how many AS OF were written.
pub(crate) fn allow_query(statement: &Statement, pins: usize, options: &Options) -> Result<(), Error> {
    let mut inspector = Inspector::default();
    let visited = statement.visit(&mut inspector);
    if inspector.relations > options.sql_relations_max {
        let most = options.sql_relations_max;
        let text = PublicText::new(format!("the statement reads more than {most} tables"))
            .hint("a WITH query counts as often as it is read; break the statement up");
        return Err(Error::Limited { text });
    }
    if inspector.depth > options.sql_depth_max {
        let text = PublicText::new(format!("the statement's queries lie more than {} deep", options.sql_depth_max))
            .hint("WITH queries that build on each other count; break the statement up");
        return Err(Error::Limited { text });
    }
    match visited {
        // INVARIANT: an AS OF that is no table's would be left out.
        ControlFlow::Continue(()) if inspector.pinned != pins && !mutant("a stray AS OF is left out") => {
            Err(refused(STRAY_PIN))
        }
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

#[derive(Default)]
struct Inspector {
    pinned: usize,
    /// How many relations the statement reads once every WITH query is put where it is read, which is what planning does.
    relations: usize,
    /// How many columns stand in CUBE: each doubles the sets that rows are grouped by.
    cubed: usize,
    /// How many queries deep the deepest of them lies.
    depth: usize,
    /// Both of each WITH query, by name.
    of_ctes: HashMap<String, (usize, usize)>,
    /// The names of WITH queries that are still to be seen, by where they stand.
    names: HashMap<*const Query, String>,
    /// Both of the queries around this one, as far as they were seen before it.
    outside: Vec<(usize, usize)>,
}

impl Inspector {
    fn reads(&mut self, (relations, depth): (usize, usize)) {
        self.relations = self.relations.saturating_add(relations);
        self.depth = self.depth.max(depth);
    }
}

impl Visitor for Inspector {
    type Break = &'static str;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<Self::Break> {
        for cte in query.with.iter().flat_map(|with| &with.cte_tables) {
            self.names.insert(&raw const *cte.query, cte.alias.name.value.to_lowercase());
        }
        self.outside.push((std::mem::take(&mut self.relations), std::mem::take(&mut self.depth)));
        first([
            (!query.locks.is_empty(), "SELECT FOR UPDATE"),
            (query.for_clause.is_some(), "FOR XML, FOR JSON and FOR BROWSE"),
            (query.settings.is_some(), "SETTINGS"),
            (query.format_clause.is_some(), "FORMAT"),
        ])?;
        body(&query.body)
    }

    fn post_visit_query(&mut self, query: &Query) -> ControlFlow<Self::Break> {
        // A query that reads no table is put where it is read all the same.
        let inside = (self.relations.max(1), self.depth + 1);
        (self.relations, self.depth) = self.outside.pop().unwrap_or_default();
        match self.names.remove(&(&raw const *query)) {
            Some(name) => {
                self.of_ctes.insert(name, inside);
            }
            None => self.reads(inside),
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<Self::Break> {
        first([
            (select.into.is_some() && !mutant("SELECT INTO is left out"), "SELECT INTO"),
            (select.prewhere.is_some() && !mutant("PREWHERE is left out"), "PREWHERE"),
            (!select.connect_by.is_empty(), "CONNECT BY"),
            (!select.distribute_by.is_empty(), "DISTRIBUTE BY"),
            (select.value_table_mode.is_some(), "SELECT AS STRUCT and AS VALUE"),
            (select.select_modifiers.is_some(), "this form of SELECT"),
            (select.exclude.is_some(), "EXCLUDE anywhere but after `*`"),
        ])
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<Self::Break> {
        if let Expr::Cube(columns) = expr {
            self.cubed += columns.len();
        }
        first([(self.cubed > CUBED_MAX, "CUBE of more than 12 columns")])
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<Self::Break> {
        if let TableFactor::Table { name, .. } = factor {
            self.pinned += usize::from(is_pinned(name));
            let cte = match name.0.as_slice() {
                [only] => only.as_ident().and_then(|name| self.of_ctes.get(&name.value.to_lowercase())),
                _ => None,
            };
            self.reads(cte.copied().unwrap_or((1, 0)));
        }
        match factor {
            TableFactor::Table { args: Some(_), .. }
            | TableFactor::TableFunction { .. }
            | TableFactor::Function { .. }
                if !mutant("table functions are served") =>
            {
                ControlFlow::Break("a table function")
            }
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

/// The most columns in CUBE.
const CUBED_MAX: usize = 12;

fn body(body: &SetExpr) -> ControlFlow<&'static str> {
    match body {
        SetExpr::Select(_) | SetExpr::Values(_) | SetExpr::Query(_) | SetExpr::Table(_) => ControlFlow::Continue(()),
        SetExpr::SetOperation { left, right, .. } => {
            self::body(left)?;
            self::body(right)
        }
        _ if mutant("writes inside queries are served") => ControlFlow::Continue(()),
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

#[cfg(test)]
mod tests {
    use meshgate_model::{Failure, Fault};

    use crate::{Options, Request};

    #[test]
    fn relations_are_counted_as_often_as_they_are_read() {
        let doubling = |times: usize| {
            let parts =
                (1..=times).map(|n| format!("c{n} AS (SELECT * FROM c{m} UNION ALL SELECT * FROM c{m})", m = n - 1));
            format!("WITH c0 AS (SELECT * FROM t), {} SELECT * FROM C{times}", parts.collect::<Vec<_>>().join(", "))
        };
        let chain = |length: usize| {
            let parts = (1..length).map(|n| format!("c{n} AS (SELECT * FROM c{})", n - 1));
            format!("WITH c0 AS (SELECT 1), {} SELECT * FROM c{}", parts.collect::<Vec<_>>().join(", "), length - 1)
        };
        let joins = |count: usize| format!("SELECT 1 FROM t{}", " JOIN t USING (a)".repeat(count - 1));
        let options = Options { sql_relations_max: 16, ..Options::default() };
        for (sql, fits) in [
            (doubling(4), true),
            (doubling(5), false),
            (doubling(39), false),
            (format!("SELECT * FROM ({}) x", doubling(5)), false),
            (format!("SELECT 1 WHERE 1 IN ({})", doubling(5)), false),
            (doubling(39).replace("SELECT * FROM t", "SELECT 1"), false),
            (chain(40), true),
            (chain(2_000), false),
            (joins(16), true),
            (joins(17), false),
            ("WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n FROM r) SELECT * FROM r".to_owned(), true),
        ] {
            let fault = Request::read(&sql, &options).map(drop).map_err(|error| error.fault());
            assert_eq!(fault, if fits { Ok(()) } else { Err(Fault::Limited) }, "{sql}");
        }
    }
}

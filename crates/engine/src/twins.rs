//! Result columns of one name, which SQL allows and DataFusion's projections do not.
//!
//! Only a statement that cannot be planned for this reason is touched: the later of two columns gets a name that no
//! statement can write, and the result's schema gives it back the one that was asked for.

use std::collections::HashSet;
use std::ops::ControlFlow;

use datafusion::error::DataFusionError;
use datafusion::sql::sqlparser::ast::{
    Expr, Ident, Query, Select, SelectItem, SetExpr, Statement, VisitMut, VisitorMut,
};

/// Stands between a column's name and its number among those of one name. No statement may contain it.
pub(crate) const TWIN_MARK: char = '\u{2}';

/// Whether planning failed because two columns have one name.
pub(crate) fn caused(error: &DataFusionError) -> bool {
    matches!(error.find_root(), DataFusionError::Plan(text) if text.contains("require unique expression names"))
}

/// The statement with columns that can be told apart.
pub(crate) fn told_apart(statement: &Statement) -> Statement {
    struct Renamer;
    impl VisitorMut for Renamer {
        type Break = ();

        fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
            rename(&mut select.projection);
            ControlFlow::Continue(())
        }
    }
    let mut statement = statement.clone();
    if let Statement::Query(query) = &mut statement {
        beside_wildcards(query);
    }
    let _ = statement.visit(&mut Renamer);
    statement
}

/// Text with the names as they were asked for.
pub(crate) fn without_marks(text: &str) -> String {
    let mut parts = text.split(TWIN_MARK);
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + part.trim_start_matches(|digit: char| digit.is_ascii_digit()))
}

/// Which columns a wildcard stands for is not known here. Nothing outside refers to the names of the outermost SELECT,
/// so there all columns beside one are renamed.
fn beside_wildcards(query: &mut Query) {
    let SetExpr::Select(select) = query.body.as_mut() else { return };
    let wild = |item: &SelectItem| matches!(item, SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..));
    if !select.projection.iter().any(wild) {
        return;
    }
    for (number, item) in select.projection.iter_mut().enumerate() {
        if matches!(
            item,
            SelectItem::UnnamedExpr(Expr::Identifier(_) | Expr::CompoundIdentifier(_))
                | SelectItem::ExprWithAlias { .. }
        ) {
            number_off(item, number);
        }
    }
}

fn rename(projection: &mut [SelectItem]) {
    let mut known = HashSet::new();
    for (number, item) in projection.iter_mut().enumerate() {
        if let Some(name) = name_of(item)
            && !known.insert(name.value)
        {
            number_off(item, number);
        }
    }
}

fn number_off(item: &mut SelectItem, number: usize) {
    let Some(name) = name_of(item) else { return };
    let alias = Ident::with_quote('"', format!("{}{TWIN_MARK}{number}", name.value));
    *item = match item {
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => {
            SelectItem::ExprWithAlias { expr: expr.clone(), alias }
        }
        _ => return,
    };
}

/// The name of a column: of an expression, its text.
fn name_of(item: &SelectItem) -> Option<Ident> {
    let named = match item {
        SelectItem::ExprWithAlias { alias, .. } => alias.clone(),
        SelectItem::UnnamedExpr(Expr::Identifier(name)) => name.clone(),
        SelectItem::UnnamedExpr(Expr::CompoundIdentifier(names)) => names.last()?.clone(),
        SelectItem::UnnamedExpr(expr) => return Some(Ident::new(expr.to_string())),
        _ => return None,
    };
    Some(if named.quote_style.is_some() { named } else { Ident::new(named.value.to_lowercase()) })
}

#[cfg(test)]
mod tests {
    use datafusion::sql::sqlparser::dialect::GenericDialect;
    use datafusion::sql::sqlparser::parser::Parser;

    use super::{TWIN_MARK, told_apart, without_marks};

    #[test]
    fn later_columns_of_a_name_are_numbered() {
        for (sql, expected) in [
            ("SELECT 1, 1", "SELECT 1, 1 AS \"1@1\""),
            ("SELECT a, A, t.a, b FROM t", "SELECT a, A AS \"a@1\", t.a AS \"a@2\", b FROM t"),
            ("SELECT 1 AS x, 2 AS x", "SELECT 1 AS x, 2 AS \"x@1\""),
            ("SELECT *, a FROM t", "SELECT *, a AS \"a@1\" FROM t"),
            (
                "SELECT a FROM (SELECT *, a FROM (SELECT a, a FROM t) AS u) AS v",
                "SELECT a FROM (SELECT *, a FROM (SELECT a, a AS \"a@1\" FROM t) AS u) AS v",
            ),
        ] {
            let statement = Parser::parse_sql(&GenericDialect {}, sql).expect(sql).remove(0);
            assert_eq!(told_apart(&statement).to_string().replace(TWIN_MARK, "@"), expected);
        }
        assert_eq!(without_marks("Projection: t.a AS a\u{2}12, t.b"), "Projection: t.a AS a, t.b");
    }
}

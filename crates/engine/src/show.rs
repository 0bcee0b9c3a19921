//! SHOW statements, as queries over `information_schema` and the gateway's own tables.

use datafusion::sql::sqlparser::ast::{
    ObjectName, ShowStatementFilter, ShowStatementFilterPosition, ShowStatementOptions, Statement,
};

use crate::Error;

/// What a SHOW statement stands for.
pub(crate) enum Shown {
    /// A query.
    Sql(String),
    /// The description of a table.
    Table(ObjectName),
}

/// The query that a SHOW statement stands for; `None` if it is none that is served.
pub(crate) fn as_query(statement: &Statement) -> Result<Option<Shown>, Error> {
    let sql = match statement {
        Statement::ShowTables { show_options, .. } => {
            let within = within(show_options).map(|name| match name.split_once('.') {
                Some((catalog, schema)) => {
                    format!("table_catalog = {} AND table_schema = {}", quoted(catalog), quoted(schema))
                }
                None => format!("(table_schema = {0} OR table_catalog = {0})", quoted(&name)),
            });
            let filter = conditions([within, like("table_name", filter_of(show_options))?]);
            format!(
                "SELECT table_catalog, table_schema, table_name, table_type FROM information_schema.tables{filter} \
                 ORDER BY 1, 2, 3"
            )
        }
        Statement::ShowColumns { show_options, .. } => {
            let name = show_options.show_in.as_ref().and_then(|within| within.parent_name.clone());
            return match name {
                Some(name) => Ok(Some(Shown::Table(name))),
                None => Err(Error::invalid("SHOW COLUMNS needs FROM and a table's name")),
            };
        }
        Statement::ShowCatalogs { show_options, .. } | Statement::ShowDatabases { show_options, .. } => {
            let filter = conditions([like("catalog_name", filter_of(show_options))?]);
            format!("SELECT DISTINCT catalog_name FROM information_schema.schemata{filter} ORDER BY 1")
        }
        Statement::ShowSchemas { show_options, .. } => {
            let within = within(show_options).map(|name| format!("catalog_name = {}", quoted(&name)));
            let filter = conditions([within, like("schema_name", filter_of(show_options))?]);
            format!("SELECT catalog_name, schema_name FROM information_schema.schemata{filter} ORDER BY 1, 2")
        }
        Statement::ShowFunctions { filter } => {
            let filter = conditions([like("routine_name", filter.as_ref())?]);
            format!("SELECT routine_name, routine_type FROM information_schema.routines{filter} ORDER BY 1, 2")
        }
        Statement::ShowVariable { variable } => {
            let name = variable.iter().map(|part| part.value.to_lowercase()).collect::<Vec<_>>().join(".");
            let name = name.strip_prefix("meshgate.").unwrap_or(&name).to_owned();
            match name.as_str() {
                // What is no single word is some other SHOW, whose words the parser takes for a name.
                name if name.contains('.') => return Ok(None),
                "all" => "SELECT name, value FROM meshgate.access.session ORDER BY 1".to_owned(),
                name => format!("SELECT name, value FROM meshgate.access.session WHERE name = {}", quoted(name)),
            }
        }
        _ => return Ok(None),
    };
    Ok(Some(Shown::Sql(sql)))
}

fn within(options: &ShowStatementOptions) -> Option<String> {
    let name = options.show_in.as_ref()?.parent_name.as_ref()?;
    let parts = name.0.iter().filter_map(|part| part.as_ident()).map(|ident| ident.value.to_lowercase());
    Some(parts.collect::<Vec<_>>().join("."))
}

fn filter_of(options: &ShowStatementOptions) -> Option<&ShowStatementFilter> {
    match options.filter_position.as_ref()? {
        ShowStatementFilterPosition::Infix(filter) | ShowStatementFilterPosition::Suffix(filter) => Some(filter),
    }
}

fn like(column: &str, filter: Option<&ShowStatementFilter>) -> Result<Option<String>, Error> {
    match filter {
        None => Ok(None),
        Some(ShowStatementFilter::Like(pattern) | ShowStatementFilter::NoKeyword(pattern)) => {
            Ok(Some(format!("{column} LIKE {}", quoted(pattern))))
        }
        Some(ShowStatementFilter::ILike(pattern)) => Ok(Some(format!("{column} ILIKE {}", quoted(pattern)))),
        Some(ShowStatementFilter::Where(_)) => {
            Err(Error::invalid("SHOW takes LIKE; for WHERE, query information_schema itself"))
        }
    }
}

fn conditions<const N: usize>(parts: [Option<String>; N]) -> String {
    let parts = parts.into_iter().flatten().collect::<Vec<_>>();
    if parts.is_empty() { String::new() } else { format!(" WHERE {}", parts.join(" AND ")) }
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

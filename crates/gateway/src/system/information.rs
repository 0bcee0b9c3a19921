//! `information_schema`, the same in every catalog.

use std::collections::BTreeSet;

use super::{CATALOG, Listed, Row, listed, text, type_of};
use crate::caller::View;

/// `(table, columns)` of everything in it.
pub(super) const TABLES: &[(&str, &[&str])] = &[
    (
        "columns",
        &["table_catalog", "table_schema", "table_name", "column_name", "ordinal_position", "is_nullable", "data_type"],
    ),
    (
        "key_column_usage",
        &[
            "constraint_catalog",
            "constraint_schema",
            "constraint_name",
            "table_catalog",
            "table_schema",
            "table_name",
            "column_name",
            "ordinal_position",
        ],
    ),
    ("routines", &["routine_name", "routine_type"]),
    ("schemata", &["catalog_name", "schema_name"]),
    (
        "table_constraints",
        &[
            "constraint_catalog",
            "constraint_schema",
            "constraint_name",
            "table_catalog",
            "table_schema",
            "table_name",
            "constraint_type",
        ],
    ),
    ("tables", &["table_catalog", "table_schema", "table_name", "table_type"]),
    ("views", &["table_catalog", "table_schema", "table_name", "definition"]),
];

/// The rows of one of them.
pub(super) fn rows(view: &View, table: &str) -> Vec<Row> {
    match table {
        "tables" => tables(view),
        "schemata" => schemata(view).into_iter().map(|(catalog, schema)| vec![Some(catalog), Some(schema)]).collect(),
        "columns" => columns(view),
        "routines" => routines(),
        "table_constraints" => keys(view)
            .into_iter()
            .map(|(entry, name)| {
                let mut row = constraint(&entry, &name);
                row.push(text("PRIMARY KEY"));
                row
            })
            .collect(),
        "key_column_usage" => keys(view)
            .into_iter()
            .flat_map(|(entry, name)| {
                let columns = entry.table.primary_key.clone();
                columns.into_iter().enumerate().map(move |(position, column)| {
                    let mut row = constraint(&entry, &name);
                    row.extend([Some(column), text(position + 1)]);
                    row
                })
            })
            .collect(),
        _ => Vec::new(),
    }
}

/// `(catalog, schema)` of everything that can be queried.
pub(crate) fn schemata(view: &View) -> BTreeSet<(String, String)> {
    let own = super::TABLES.iter().map(|(schema, ..)| (CATALOG.to_owned(), (*schema).to_owned()));
    own.chain(listed(view).into_iter().map(|entry| (entry.catalog, entry.schema))).collect()
}

fn tables(view: &View) -> Vec<Row> {
    let own = super::TABLES
        .iter()
        .map(|(schema, table, _)| vec![text(CATALOG), text(schema), text(table), text("SYSTEM TABLE")]);
    let products = listed(view)
        .into_iter()
        .map(|entry| vec![Some(entry.catalog), Some(entry.schema), text(&entry.table.name), text("BASE TABLE")]);
    products.chain(own).collect()
}

fn columns(view: &View) -> Vec<Row> {
    let mut rows = Vec::new();
    for entry in listed(view) {
        for (position, (column, _, data_type)) in entry.typed_columns().enumerate() {
            rows.push(vec![
                text(&entry.catalog),
                text(&entry.schema),
                text(&entry.table.name),
                text(&column.name),
                text(position + 1),
                text("YES"),
                text(data_type),
            ]);
        }
    }
    for (schema, table, columns) in super::TABLES {
        for (position, column) in columns.iter().enumerate() {
            rows.push(vec![
                text(CATALOG),
                text(schema),
                text(table),
                text(column),
                text(position + 1),
                text("YES"),
                text(type_of(column)),
            ]);
        }
    }
    rows
}

fn routines() -> Vec<Row> {
    let named =
        |names: Vec<String>, kind: &'static str| names.into_iter().map(move |name| vec![Some(name), text(kind)]);
    let scalar = meshgate_govern::functions::scalar_functions();
    let aggregate = meshgate_govern::functions::aggregate_functions();
    let window = meshgate_govern::functions::window_functions();
    let mut rows = named(scalar.iter().map(|f| f.name().to_owned()).collect(), "FUNCTION")
        .chain(named(aggregate.iter().map(|f| f.name().to_owned()).collect(), "AGGREGATE"))
        .chain(named(window.iter().map(|f| f.name().to_owned()).collect(), "WINDOW"))
        .collect::<Vec<_>>();
    rows.sort();
    rows
}

/// The tables whose whole primary key is visible, with the name of its constraint.
fn keys(view: &View) -> Vec<(Listed<'_>, String)> {
    let visible = |entry: &Listed<'_>| {
        let key = &entry.table.primary_key;
        !key.is_empty() && key.iter().all(|name| entry.columns().any(|(column, _)| &column.name == name))
    };
    listed(view)
        .into_iter()
        .filter(visible)
        .map(|entry| {
            let name = format!("{}_pk", entry.table.name);
            (entry, name)
        })
        .collect()
}

fn constraint(entry: &Listed<'_>, name: &str) -> Row {
    vec![
        text(&entry.catalog),
        text(&entry.schema),
        text(name),
        text(&entry.catalog),
        text(&entry.schema),
        text(&entry.table.name),
    ]
}

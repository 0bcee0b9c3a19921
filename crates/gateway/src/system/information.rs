//! `information_schema`, the same in every catalog.

use std::collections::BTreeSet;

use super::{CATALOG, Listed, Row, foreign_keys, listed, primary_key, text, type_of};
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
            "position_in_unique_constraint",
        ],
    ),
    (
        "referential_constraints",
        &[
            "constraint_catalog",
            "constraint_schema",
            "constraint_name",
            "unique_constraint_catalog",
            "unique_constraint_schema",
            "unique_constraint_name",
            "match_option",
            "update_rule",
            "delete_rule",
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
        "table_constraints" => table_constraints(view),
        "key_column_usage" => key_column_usage(view),
        "referential_constraints" => referential_constraints(view),
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

fn table_constraints(view: &View) -> Vec<Row> {
    let listed = listed(view);
    let row = |entry: &Listed<'_>, name: &str, kind: &str| {
        let mut row = constraint(entry, name);
        row.push(text(kind));
        row
    };
    let mut rows = Vec::new();
    for entry in listed.iter().filter(|entry| !primary_key(entry).is_empty()) {
        rows.push(row(entry, &primary_name(entry), "PRIMARY KEY"));
    }
    rows.extend(foreign_keys(&listed).iter().map(|key| row(key.from, &key.name(), "FOREIGN KEY")));
    rows
}

fn key_column_usage(view: &View) -> Vec<Row> {
    let listed = listed(view);
    let mut rows = Vec::new();
    for entry in &listed {
        for (position, column) in primary_key(entry).iter().enumerate() {
            let mut row = constraint(entry, &primary_name(entry));
            row.extend([text(column), text(position + 1), None]);
            rows.push(row);
        }
    }
    for key in foreign_keys(&listed) {
        for (position, (from, to)) in key.columns.iter().enumerate() {
            let in_unique = primary_key(key.to).iter().position(|column| column == to);
            let mut row = constraint(key.from, &key.name());
            row.extend([text(from), text(position + 1), in_unique.and_then(|position| text(position + 1))]);
            rows.push(row);
        }
    }
    rows
}

/// Foreign keys whose other end is a primary key: constraints that have a name to refer to.
fn referential_constraints(view: &View) -> Vec<Row> {
    let listed = listed(view);
    let mut rows = Vec::new();
    for key in foreign_keys(&listed) {
        let to = key.columns.iter().map(|(_, to)| *to).collect::<BTreeSet<_>>();
        if to != primary_key(key.to).iter().map(String::as_str).collect() {
            continue;
        }
        rows.push(vec![
            text(&key.from.catalog),
            text(&key.from.schema),
            text(key.name()),
            text(&key.to.catalog),
            text(&key.to.schema),
            text(primary_name(key.to)),
            text("NONE"),
            text("NO ACTION"),
            text("NO ACTION"),
        ]);
    }
    rows
}

fn primary_name(entry: &Listed<'_>) -> String {
    format!("{}_pk", entry.table.name)
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

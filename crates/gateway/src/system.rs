//! The gateway's own tables: `meshgate.catalog.*`, `meshgate.access.*` and `information_schema`. They are made for one
//! principal and hold only what it may know, so there is nothing left to filter.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use meshgate_engine::TableName;
use meshgate_model::Urn;
use meshgate_policy::{Access, ColumnVerdict, Reading};
use meshgate_product::{Column, Product, Status, Table, Version};

use crate::SessionOptions;
use crate::caller::View;

/// The catalog of the gateway's own tables.
pub(crate) const CATALOG: &str = "meshgate";
const INFORMATION_SCHEMA: &str = "information_schema";

/// `(schema, table, columns)` of everything that is listed under [`CATALOG`].
pub(crate) const TABLES: &[(&str, &str, &[&str])] = &[
    ("access", "mine", &["table_catalog", "table_schema", "table_name", "column_name", "reading", "rows"]),
    ("access", "session", &["name", "value"]),
    (
        "catalog",
        "columns",
        &[
            "domain",
            "product",
            "table_name",
            "column_name",
            "position",
            "data_type",
            "logical_type",
            "classification",
            "tags",
            "description",
        ],
    ),
    ("catalog", "domains", &["domain", "title", "description", "owners"]),
    (
        "catalog",
        "products",
        &["domain", "product", "version", "status", "title", "description", "tags", "sla", "urn", "contract_id"],
    ),
    (
        "catalog",
        "tables",
        &["domain", "product", "table_name", "version", "business_name", "description", "tags", "urn"],
    ),
];

const INFORMATION: &[(&str, &[&str])] = &[
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

type Row = Vec<Option<String>>;

/// The rows of a system table for one principal; `None` if there is no such table.
pub(crate) fn table(view: &View, options: &SessionOptions, name: &TableName) -> Option<RecordBatch> {
    if name.schema == INFORMATION_SCHEMA {
        let (_, columns) = INFORMATION.iter().find(|(known, _)| *known == name.table)?;
        return batch(columns, information(view, &name.table));
    }
    if name.catalog != CATALOG {
        return None;
    }
    let (schema, table, columns) =
        TABLES.iter().find(|(schema, table, _)| *schema == name.schema && *table == name.table)?;
    let rows = match (*schema, *table) {
        ("access", "mine") => mine(view),
        ("access", _) => session(options),
        ("catalog", "domains") => domains(view),
        ("catalog", "products") => products(view),
        ("catalog", "tables") => tables(view),
        _ => columns_of_tables(view),
    };
    batch(columns, rows)
}

fn batch(columns: &[&str], rows: Vec<Row>) -> Option<RecordBatch> {
    let fields = columns.iter().map(|name| Field::new(*name, type_of(name), true)).collect::<Vec<_>>();
    let arrays = fields.iter().enumerate().map(|(index, field)| {
        let text = rows.iter().map(|row| row[index].as_deref()).collect::<StringArray>();
        match field.data_type() {
            DataType::Utf8 => Arc::new(text) as ArrayRef,
            other => {
                arrow::compute::cast(&text, other).unwrap_or_else(|_| arrow::array::new_null_array(other, text.len()))
            }
        }
    });
    let arrays = arrays.collect::<Vec<_>>();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).ok()
}

pub(crate) fn type_of(column: &str) -> DataType {
    match column {
        "position" | "ordinal_position" => DataType::Int32,
        _ => DataType::Utf8,
    }
}

/// A table that the principal may query, under the names by which it is listed.
pub(crate) struct Listed<'a> {
    pub(crate) catalog: String,
    pub(crate) schema: String,
    pub(crate) table: &'a Table,
    pub(crate) verdicts: Vec<ColumnVerdict>,
    pub(crate) filtered: bool,
}

impl Listed<'_> {
    /// The columns that exist for the principal, with their verdicts.
    pub(crate) fn columns(&self) -> impl Iterator<Item = (&Column, &ColumnVerdict)> {
        let all = self.table.columns.iter().zip(&self.verdicts);
        all.filter(|(_, verdict)| verdict.reading != Reading::Hidden)
    }
}

/// Every table that the principal may query, sorted by its listed names. Opens nothing.
pub(crate) fn listed(view: &View) -> Vec<Listed<'_>> {
    let mut found = Vec::new();
    for (domain, _, version, schema) in view.mesh.versions() {
        for table in &version.tables {
            let Some(decision) = view.visible(&table.address) else { continue };
            let Access::Visible { rows, columns } = decision.access() else { continue };
            found.push(Listed {
                catalog: domain.name.to_string(),
                schema: schema.clone(),
                table,
                verdicts: columns.clone(),
                filtered: *rows != meshgate_policy::Rows::All,
            });
        }
    }
    found.sort_by(|a, b| (&a.catalog, &a.schema, &a.table.name).cmp(&(&b.catalog, &b.schema, &b.table.name)));
    found
}

fn text(value: impl ToString) -> Option<String> {
    Some(value.to_string())
}

fn joined(values: &[String]) -> Option<String> {
    Some(values.join(", "))
}

fn mine(view: &View) -> Vec<Row> {
    let mut rows = Vec::new();
    for entry in listed(view) {
        for (column, verdict) in entry.columns() {
            let reading = match &verdict.reading {
                Reading::Masked(_) => "masked",
                Reading::Plain | Reading::Hidden => "plain",
            };
            let filter = if entry.filtered { "filtered" } else { "all" };
            rows.push(vec![
                text(&entry.catalog),
                text(&entry.schema),
                text(&entry.table.name),
                text(&column.name),
                text(reading),
                text(filter),
            ]);
        }
    }
    rows
}

fn session(options: &SessionOptions) -> Vec<Row> {
    SessionOptions::NAMES.iter().map(|name| vec![text(name), options.get(name)]).collect()
}

/// Whether the principal may see a product in the catalog: it may query something of it, or discover it.
fn sees_product(view: &View, product: &Product, version: &Version) -> bool {
    view.mesh.policies.discover_product(&view.principal, &view.mesh.release, &product.address, &view.request)
        || version.tables.iter().any(|table| view.visible(&table.address).is_some())
}

fn sees_table(view: &View, table: &Table) -> bool {
    view.visible(&table.address).is_some()
        || view.mesh.policies.discover_table(&view.principal, &view.mesh.release, &table.address, &view.request)
}

fn domains(view: &View) -> Vec<Row> {
    let mut seen = BTreeSet::new();
    let mut rows = Vec::new();
    for (domain, product, version, _) in view.mesh.versions() {
        if !seen.contains(&domain.name) && sees_product(view, product, version) {
            seen.insert(&domain.name);
            rows.push(vec![
                text(&domain.name),
                domain.title.clone(),
                domain.description.clone(),
                joined(&domain.owners),
            ]);
        }
    }
    rows
}

fn products(view: &View) -> Vec<Row> {
    let mesh = &view.mesh.release.mesh().name;
    let versions = view.mesh.versions().filter(|(_, product, version, _)| sees_product(view, product, version));
    versions
        .map(|(domain, product, version, schema)| {
            let sla = version.sla.iter().map(|(property, value)| format!("{property}: {value}")).collect::<Vec<_>>();
            vec![
                text(&domain.name),
                text(schema),
                text(&version.version),
                text(status(version.status)),
                product.title.clone(),
                product.description.clone(),
                joined(&product.tags),
                joined(&sla),
                text(Urn::product(mesh, &product.address, version.major)),
                joined(&version.contract_ids),
            ]
        })
        .collect()
}

fn tables(view: &View) -> Vec<Row> {
    let mesh = &view.mesh.release.mesh().name;
    let mut rows = Vec::new();
    for (domain, _, version, schema) in view.mesh.versions() {
        for table in version.tables.iter().filter(|table| sees_table(view, table)) {
            rows.push(vec![
                text(&domain.name),
                text(&schema),
                text(&table.name),
                text(&table.version),
                table.business_name.clone(),
                table.description.clone(),
                joined(&table.tags),
                text(table.address.urn(mesh)),
            ]);
        }
    }
    rows
}

fn columns_of_tables(view: &View) -> Vec<Row> {
    let mut rows = Vec::new();
    for entry in listed(view) {
        for (position, (column, _)) in entry.columns().enumerate() {
            rows.push(vec![
                text(&entry.catalog),
                text(&entry.schema),
                text(&entry.table.name),
                text(&column.name),
                text(position + 1),
                data_type(entry.table, column),
                column.logical_type.map(|logical| logical.as_str().to_owned()),
                column.classification.clone(),
                joined(&column.tags),
                column.description.clone(),
            ]);
        }
    }
    rows
}

fn data_type(table: &Table, column: &Column) -> Option<String> {
    let promised = meshgate_govern::promised_schema(table);
    promised.field_with_name(&column.name).ok().map(|field| field.data_type().to_string())
}

fn status(status: Status) -> &'static str {
    match status {
        Status::Proposed => "proposed",
        Status::Draft => "draft",
        Status::Active => "active",
        Status::Deprecated => "deprecated",
        Status::Retired => "retired",
    }
}

fn information(view: &View, table: &str) -> Vec<Row> {
    match table {
        "tables" => information_tables(view),
        "schemata" => schemata(view).into_iter().map(|(catalog, schema)| vec![Some(catalog), Some(schema)]).collect(),
        "columns" => information_columns(view),
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
    let own = TABLES.iter().map(|(schema, ..)| (CATALOG.to_owned(), (*schema).to_owned()));
    own.chain(listed(view).into_iter().map(|entry| (entry.catalog, entry.schema))).collect()
}

fn information_tables(view: &View) -> Vec<Row> {
    let own =
        TABLES.iter().map(|(schema, table, _)| vec![text(CATALOG), text(schema), text(table), text("SYSTEM TABLE")]);
    let products = listed(view)
        .into_iter()
        .map(|entry| vec![Some(entry.catalog), Some(entry.schema), text(&entry.table.name), text("BASE TABLE")]);
    products.chain(own).collect()
}

fn information_columns(view: &View) -> Vec<Row> {
    let mut rows = Vec::new();
    for entry in listed(view) {
        for (position, (column, _)) in entry.columns().enumerate() {
            rows.push(vec![
                text(&entry.catalog),
                text(&entry.schema),
                text(&entry.table.name),
                text(&column.name),
                text(position + 1),
                text("YES"),
                data_type(entry.table, column),
            ]);
        }
    }
    for (schema, table, columns) in TABLES {
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

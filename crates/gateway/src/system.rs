//! The gateway's own tables: `meshgate.catalog.*`, `meshgate.access.*` and `information_schema`. They are made for one
//! principal and hold only what it may know, so there is nothing left to filter.

mod information;
mod keys;
mod snapshots;

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use meshgate_engine::TableName;
use meshgate_model::{Urn, mutant};
use meshgate_policy::{Access, ColumnVerdict, Reading};
use meshgate_product::{Column, Domain, Product, Status, Table, Version};

use crate::SessionOptions;
use crate::caller::View;

pub(crate) use information::schemata;
pub(crate) use keys::{foreign_keys, primary_key};
pub(crate) use snapshots::Versions;

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
            "business_name",
            "examples",
            "critical",
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
        "snapshots",
        &["domain", "product", "table_name", "snapshot", "made_at", "operation", "names", "is_current"],
    ),
    (
        "catalog",
        "tables",
        &["domain", "product", "table_name", "version", "business_name", "description", "tags", "urn"],
    ),
];

type Row = Vec<Option<String>>;

/// The rows of a system table for one principal; `None` if there is no such table.
pub(crate) fn table(view: &View, options: &SessionOptions, name: &TableName) -> Option<RecordBatch> {
    if name.schema == INFORMATION_SCHEMA {
        let (_, columns) = information::TABLES.iter().find(|(known, _)| *known == name.table)?;
        return batch(columns, information::rows(view, &name.table));
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
        // Made when it is read: see [`Versions`].
        ("catalog", "snapshots") => return None,
        _ => columns_of_tables(view),
    };
    batch(columns, rows)
}

fn schema(columns: &[&str]) -> SchemaRef {
    Arc::new(Schema::new(columns.iter().map(|name| Field::new(*name, type_of(name), true)).collect::<Vec<_>>()))
}

fn batch(columns: &[&str], rows: Vec<Row>) -> Option<RecordBatch> {
    let schema = schema(columns);
    let arrays = schema.fields().iter().enumerate().map(|(index, field)| {
        let text = rows.iter().map(|row| row[index].as_deref()).collect::<StringArray>();
        match field.data_type() {
            DataType::Utf8 => Arc::new(text) as ArrayRef,
            other => {
                arrow::compute::cast(&text, other).unwrap_or_else(|_| arrow::array::new_null_array(other, text.len()))
            }
        }
    });
    let arrays = arrays.collect::<Vec<_>>();
    RecordBatch::try_new(schema, arrays).ok()
}

pub(crate) fn type_of(column: &str) -> DataType {
    match column {
        "position" | "ordinal_position" | "position_in_unique_constraint" => DataType::Int32,
        "critical" | "is_current" => DataType::Boolean,
        "made_at" => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
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
        all.filter(|(_, verdict)| verdict.reading != Reading::Hidden || mutant("the catalog lists hidden columns"))
    }

    /// The same, each with the type that the contract promises of what may be read of it.
    pub(crate) fn typed_columns(&self) -> impl Iterator<Item = (&Column, &ColumnVerdict, DataType)> {
        self.columns().map(|(column, verdict)| {
            let data_type = if verdict.fields.is_empty() {
                meshgate_govern::promised_type(column)
            } else {
                meshgate_govern::promised_type(&readable(column, &verdict.fields))
            };
            (column, verdict, data_type)
        })
    }
}

/// A column without the fields that are hidden inside it.
fn readable(column: &Column, inside: &[ColumnVerdict]) -> Column {
    let mut left = column.clone();
    if mutant("types name hidden fields") {
        return left;
    }
    if let Some(item) = &column.items {
        left.items = Some(Box::new(readable(item, inside)));
        return left;
    }
    // SECURITY: a hidden field does not exist, in the words of a type neither. One without a verdict counts as hidden.
    left.fields = column
        .fields
        .iter()
        .filter_map(|field| {
            let verdict = inside.iter().find(|verdict| verdict.name == field.name)?;
            match verdict.reading {
                Reading::Hidden => None,
                _ if verdict.fields.is_empty() => Some(field.clone()),
                _ => Some(readable(field, &verdict.fields)),
            }
        })
        .collect();
    left
}

/// Every table that the principal may query, sorted by its listed names. Opens nothing.
pub(crate) fn listed(view: &View) -> Vec<Listed<'_>> {
    listed_if(view, &|_, _, _| true)
}

/// Those of them that `wanted` takes, called with catalog, schema and table. About others nothing is decided.
pub(crate) fn listed_if<'a>(view: &'a View, wanted: &dyn Fn(&str, &str, &str) -> bool) -> Vec<Listed<'a>> {
    let mut found = Vec::new();
    for (domain, _, version, schema) in view.mesh.versions() {
        for table in &version.tables {
            if !wanted(domain.name.as_str(), &schema, &table.name) {
                continue;
            }
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

fn once(list: &mut Vec<String>, value: String) {
    if !list.contains(&value) {
        list.push(value);
    }
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

/// Whether the principal may see a version of a product in the catalog: it may query something of it, or discover it.
fn sees_product(view: &View, domain: &Domain, product: &Product, version: &Version) -> bool {
    // SECURITY: policy answers for the product as a whole; which of its versions are out is told here.
    if mutant("the catalog lists all products") {
        return true;
    }
    let out = matches!(version.status, Status::Active | Status::Deprecated) || owns(view, domain);
    let policies = &view.mesh.policies;
    out && policies.discover_product(&view.principal, &view.mesh.release, &product.address, &view.request)
        || version.tables.iter().any(|table| view.visible(&table.address).is_some())
}

fn owns(view: &View, domain: &Domain) -> bool {
    domain.owners.iter().any(|group| view.principal.groups().contains(group))
}

fn sees_table(view: &View, table: &Table) -> bool {
    if mutant("the catalog lists all tables") {
        return true;
    }
    view.visible(&table.address).is_some()
        || view.mesh.policies.discover_table(&view.principal, &view.mesh.release, &table.address, &view.request)
}

fn domains(view: &View) -> Vec<Row> {
    let mut seen = BTreeSet::new();
    let mut rows = Vec::new();
    for (domain, product, version, _) in view.mesh.versions() {
        if !seen.contains(&domain.name) && sees_product(view, domain, product, version) {
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
    let versions =
        view.mesh.versions().filter(|(domain, product, version, _)| sees_product(view, domain, product, version));
    versions
        .map(|(domain, product, version, schema)| {
            // SECURITY: a contract whose tables are all hidden is not there, nor is what it promises.
            let (mut contracts, mut sla) = (Vec::new(), Vec::new());
            for table in version.tables.iter().filter(|table| sees_table(view, table)) {
                once(&mut contracts, table.contract_id.clone());
                for (property, value) in &table.sla {
                    once(&mut sla, format!("{property}: {value}"));
                }
            }
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
                joined(&contracts),
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
        for (position, (column, verdict, data_type)) in entry.typed_columns().enumerate() {
            // SECURITY: examples are values; who reads a column masked, or not all rows, is not told them either.
            let plain = verdict.reading == Reading::Plain && verdict.fields.is_empty() && !entry.filtered;
            rows.push(vec![
                text(&entry.catalog),
                text(&entry.schema),
                text(&entry.table.name),
                text(&column.name),
                text(position + 1),
                text(data_type),
                column.logical_type.map(|logical| logical.as_str().to_owned()),
                column.classification.clone(),
                joined(&column.tags),
                column.description.clone(),
                column.business_name.clone(),
                joined(&column.examples).filter(|_| plain && !column.examples.is_empty()),
                text(column.critical),
            ]);
        }
    }
    rows
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

#[cfg(test)]
mod tests;

//! Catalogs, schemas, tables and their types.

use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryArray, RecordBatch, StringArray};
use arrow::datatypes::SchemaRef;
use arrow::datatypes::{DataType, Field, Schema};
use arrow_flight::sql::metadata::{GetCatalogsBuilder, GetDbSchemasBuilder, GetTablesBuilder};
use arrow_flight::sql::{CommandGetCatalogs, CommandGetDbSchemas, CommandGetTables};
use meshgate_gateway::TableEntry;

use super::Asker;
use super::column::table_schema;
use super::pattern::Pattern;
use crate::Error;
use crate::wire::encode::schema_bytes;

/// The types of tables there are, sorted.
const TABLE_TYPES: [&str; 2] = ["SYSTEM TABLE", "TABLE"];
/// What some clients call a plain table.
const BASE_TABLE: &str = "BASE TABLE";

pub(super) fn catalogs_schema() -> SchemaRef {
    GetCatalogsBuilder::from(CommandGetCatalogs {}).schema()
}

pub(super) fn schemas_schema() -> SchemaRef {
    GetDbSchemasBuilder::from(CommandGetDbSchemas::default()).schema()
}

pub(super) fn tables_schema(include_schema: bool) -> SchemaRef {
    GetTablesBuilder::from(CommandGetTables { include_schema, ..Default::default() }).schema()
}

pub(super) fn table_types_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("table_type", DataType::Utf8, false)]))
}

pub(super) fn catalogs(asker: &Asker<'_>) -> Result<RecordBatch, Error> {
    let mut names = asker.gateway.catalogs(asker.caller, asker.options)?;
    names.sort();
    batch(catalogs_schema(), vec![Arc::new(StringArray::from(names))])
}

pub(super) fn schemas(asker: &Asker<'_>, command: &CommandGetDbSchemas) -> Result<RecordBatch, Error> {
    let schema_pattern = command.db_schema_filter_pattern.as_deref().map(Pattern::parse);
    let mut pairs = asker.gateway.schemas(asker.caller, asker.options)?;
    pairs.retain(|(catalog, schema)| {
        command.catalog.as_ref().is_none_or(|wanted| wanted == catalog)
            && schema_pattern.as_ref().is_none_or(|pattern| pattern.matches(schema))
    });
    pairs.sort();
    let (catalogs, schemas): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
    batch(schemas_schema(), vec![Arc::new(StringArray::from(catalogs)), Arc::new(StringArray::from(schemas))])
}

pub(super) fn tables(asker: &Asker<'_>, command: &CommandGetTables) -> Result<RecordBatch, Error> {
    let schema_pattern = command.db_schema_filter_pattern.as_deref().map(Pattern::parse);
    let table_pattern = command.table_name_filter_pattern.as_deref().map(Pattern::parse);
    let mut entries = asker.gateway.tables(asker.caller, asker.options, &|catalog, schema, table| {
        command.catalog.as_ref().is_none_or(|wanted| wanted == catalog)
            && schema_pattern.as_ref().is_none_or(|pattern| pattern.matches(schema))
            && table_pattern.as_ref().is_none_or(|pattern| pattern.matches(table))
    })?;
    entries.retain(|entry| is_of_type(entry.kind, &command.table_types));
    sort(&mut entries, command.table_name_filter_pattern.as_deref());
    let texts =
        |of: fn(&TableEntry) -> &str| Arc::new(StringArray::from_iter_values(entries.iter().map(of))) as ArrayRef;
    let mut columns = vec![
        texts(|entry| &entry.catalog),
        texts(|entry| &entry.schema),
        texts(|entry| &entry.name),
        texts(|entry| entry.kind),
    ];
    if command.include_schema {
        let schemas = entries.iter().map(|entry| schema_bytes(&table_schema(entry, asker.options.wire_types)));
        let schemas = schemas.collect::<Result<Vec<_>, _>>()?;
        columns.push(Arc::new(BinaryArray::from_iter_values(schemas)));
    }
    batch(tables_schema(command.include_schema), columns)
}

pub(super) fn table_types() -> Result<RecordBatch, Error> {
    batch(table_types_schema(), vec![Arc::new(StringArray::from(TABLE_TYPES.to_vec()))])
}

/// An absent filter takes all. Clients differ in case and in what they call a table.
fn is_of_type(kind: &str, wanted: &[String]) -> bool {
    let is = |wanted: &String| {
        wanted.eq_ignore_ascii_case(kind) || (kind == "TABLE" && wanted.eq_ignore_ascii_case(BASE_TABLE))
    };
    wanted.is_empty() || wanted.iter().any(is)
}

/// Sorted as specified, but for tables whose name is the pattern to the letter: clients that ask for `order_lines`
/// and take the first row do not mean `orderXlines`.
fn sort(entries: &mut [TableEntry], pattern: Option<&str>) {
    fn key<'a>(entry: &'a TableEntry, pattern: Option<&str>) -> (bool, [&'a str; 4]) {
        let TableEntry { catalog, schema, name, kind, .. } = entry;
        (pattern != Some(name), [catalog, schema, name, kind])
    }
    entries.sort_by(|a, b| key(a, pattern).cmp(&key(b, pattern)));
}

fn batch(schema: SchemaRef, columns: Vec<ArrayRef>) -> Result<RecordBatch, Error> {
    Ok(RecordBatch::try_new(schema, columns)?)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::datatypes::{DataType, Field, Schema};
    use meshgate_gateway::TableEntry;

    use super::{catalogs_schema, is_of_type, schemas_schema, sort, table_types, tables_schema};

    fn entry(catalog: &str, name: &str) -> TableEntry {
        TableEntry {
            catalog: catalog.to_owned(),
            schema: "orders".to_owned(),
            name: name.to_owned(),
            kind: "TABLE",
            remarks: None,
            columns: Arc::new(Schema::empty()),
        }
    }

    #[test]
    fn schemas_are_those_of_the_specification() {
        let field = |name: &str, nullable| Field::new(name, DataType::Utf8, nullable);
        assert_eq!(*catalogs_schema(), Schema::new(vec![field("catalog_name", false)]));
        assert_eq!(*schemas_schema(), Schema::new(vec![field("catalog_name", true), field("db_schema_name", false)]));
        let mut fields = vec![
            field("catalog_name", true),
            field("db_schema_name", true),
            field("table_name", false),
            field("table_type", false),
        ];
        assert_eq!(*tables_schema(false), Schema::new(fields.clone()));
        fields.push(Field::new("table_schema", DataType::Binary, false));
        assert_eq!(*tables_schema(true), Schema::new(fields));
        assert_eq!(table_types().expect("builds").num_rows(), 2);
    }

    #[test]
    fn an_exact_name_comes_first() {
        let mut entries = ["b.a_b", "a.aXb", "a.a_b"].map(|name| name.split_once('.').expect("two parts"));
        let sorted = |pattern: Option<&str>| {
            let mut entries = entries.map(|(catalog, name)| entry(catalog, name));
            sort(&mut entries, pattern);
            entries.map(|entry| format!("{}.{}", entry.catalog, entry.name))
        };
        assert_eq!(sorted(None), ["a.aXb", "a.a_b", "b.a_b"]);
        assert_eq!(sorted(Some("a_b")), ["a.a_b", "b.a_b", "a.aXb"]);
        assert_eq!(sorted(Some("%")), ["a.aXb", "a.a_b", "b.a_b"]);
        entries.reverse();
    }

    #[test]
    fn table_types_filter_as_clients_mean_it() {
        let wanted = |types: &[&str]| types.iter().map(|t| (*t).to_owned()).collect::<Vec<_>>();
        for (kind, types, expected) in [
            ("TABLE", vec![], true),
            ("TABLE", vec!["TABLE"], true),
            ("TABLE", vec!["VIEW"], false),
            ("TABLE", vec!["BASE TABLE", "table"], true),
            ("SYSTEM TABLE", vec!["BASE TABLE", "table"], false),
            ("SYSTEM TABLE", vec!["system table"], true),
        ] {
            assert_eq!(is_of_type(kind, &wanted(&types)), expected, "{kind} in {types:?}");
        }
    }
}

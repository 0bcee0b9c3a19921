//! Short commands for people, answered from Flight SQL's metadata calls.

use std::io::Write;

use arrow::array::{AsArray, BinaryArray, RecordBatch, StringArray};
use arrow::datatypes::Schema;
use arrow_flight::error::FlightError;
use arrow_flight::sql::{CommandGetDbSchemas, CommandGetTables};
use arrow_flight::{FlightInfo, IpcMessage};
use futures::TryStreamExt;
use tokio::runtime::Runtime;

use super::client::{Client, refused};
use crate::output;
use crate::trouble::{Outcome, Trouble};

const HELP: &str = "\
\\d             tables
\\d NAME        columns of a table: table, product.table or domain.product.table
\\l             domains (catalogs)
\\dn            products (schemas)
\\timing        show how long statements take, or stop to
\\?             this help
\\q             leave (as does Ctrl-D)
Statements end with `;`. Ctrl-C cancels a running statement, or throws away what was typed.";

/// What comes next.
pub(super) enum Said {
    Done,
    Leave,
}

/// Runs one short command.
pub(super) fn run(runtime: &Runtime, client: &mut Client, line: &str, timing: &mut bool) -> Outcome<Said> {
    let mut words = line.trim_end_matches(';').split_whitespace();
    let command = words.next().unwrap_or_default();
    let argument = words.next();
    match (command, argument) {
        ("\\q", None) => return Ok(Said::Leave),
        ("\\?" | "\\h", None) => output::line(HELP)?,
        ("\\timing", None) => {
            *timing = !*timing;
            output::line(if *timing { "Timing is on." } else { "Timing is off." })?;
        }
        ("\\l", None) => runtime.block_on(catalogs(client))?,
        ("\\dn", None) => runtime.block_on(schemas(client))?,
        ("\\d" | "\\dt", None) => runtime.block_on(tables(client))?,
        ("\\d", Some(name)) => runtime.block_on(describe(client, name))?,
        _ => {
            let unknown = Trouble::usage(format!("`{line}` is no command")).hint("\\? shows what there is");
            return Err(unknown);
        }
    }
    Ok(Said::Done)
}

async fn catalogs(client: &mut Client) -> Outcome {
    let info = client.flight.get_catalogs().await;
    for batch in fetch(client, info).await? {
        texts(&batch, "catalog_name")?.iter().flatten().try_for_each(output::line)?;
    }
    Ok(())
}

async fn schemas(client: &mut Client) -> Outcome {
    let request = CommandGetDbSchemas { catalog: None, db_schema_filter_pattern: None };
    let info = client.flight.get_db_schemas(request).await;
    for batch in fetch(client, info).await? {
        let (catalog, schema) = (texts(&batch, "catalog_name")?, texts(&batch, "db_schema_name")?);
        for row in 0..batch.num_rows() {
            output::line(format!("{}.{}", catalog.value(row), schema.value(row)))?;
        }
    }
    Ok(())
}

async fn tables(client: &mut Client) -> Outcome {
    let request = listing(None, None, None, false);
    let info = client.flight.get_tables(request).await;
    for batch in fetch(client, info).await? {
        let columns = ["catalog_name", "db_schema_name", "table_name"].map(|name| texts(&batch, name));
        let [catalog, schema, table] = columns;
        let (catalog, schema, table) = (catalog?, schema?, table?);
        for row in 0..batch.num_rows() {
            output::line(format!("{}.{}.{}", catalog.value(row), schema.value(row), table.value(row)))?;
        }
    }
    Ok(())
}

async fn describe(client: &mut Client, name: &str) -> Outcome {
    let parts: Vec<&str> = name.split('.').map(|part| part.trim_matches('"')).collect();
    let (catalog, schema, table) = match parts.as_slice() {
        [table] => (None, None, *table),
        [schema, table] => (None, Some(*schema), *table),
        [catalog, schema, table] => (Some(*catalog), Some(*schema), *table),
        _ => return Err(Trouble::usage(format!("`{name}` is no table's name")).hint("domain.product.table")),
    };
    let info = client.flight.get_tables(listing(catalog, schema, Some(table), true)).await;
    let mut found = false;
    for batch in fetch(client, info).await? {
        let (catalog, schema, tables) =
            (texts(&batch, "catalog_name")?, texts(&batch, "db_schema_name")?, texts(&batch, "table_name")?);
        let schemas: &BinaryArray = batch
            .column_by_name("table_schema")
            .and_then(|column| column.as_binary_opt())
            .ok_or_else(|| unexpected("table_schema"))?;
        for row in (0..batch.num_rows()).filter(|row| tables.value(*row) == table) {
            found = true;
            output::line(format!("{}.{}.{}", catalog.value(row), schema.value(row), tables.value(row)))?;
            let columns = Schema::try_from(IpcMessage(schemas.value(row).to_vec().into()));
            print_columns(&columns.map_err(|error| unexpected("table_schema").because(&error))?)?;
        }
    }
    if found { Ok(()) } else { Err(Trouble::failure(format!("there is no table `{name}`")).hint("\\d lists tables")) }
}

fn print_columns(schema: &Schema) -> Outcome {
    let width = schema.fields().iter().map(|field| field.name().chars().count()).max().unwrap_or_default();
    let mut text = Vec::new();
    for field in schema.fields() {
        let metadata = field.metadata();
        let kind = metadata.get("ARROW:FLIGHT:SQL:TYPE_NAME").cloned().unwrap_or_else(|| field.data_type().to_string());
        let remark = metadata.get("ARROW:FLIGHT:SQL:REMARKS").map(|text| format!("  -- {text}")).unwrap_or_default();
        let required = if field.is_nullable() { "" } else { " NOT NULL" };
        writeln!(text, "  {:width$}  {kind}{required}{remark}", field.name())
            .map_err(|error| output::broken(&error))?;
    }
    output::text(String::from_utf8_lossy(&text))
}

fn listing(catalog: Option<&str>, schema: Option<&str>, table: Option<&str>, columns: bool) -> CommandGetTables {
    let pattern = |name: &str| name.replace('\\', "\\\\").replace('_', "\\_").replace('%', "\\%");
    CommandGetTables {
        catalog: catalog.map(str::to_owned),
        db_schema_filter_pattern: schema.map(pattern),
        table_name_filter_pattern: table.map(pattern),
        table_types: Vec::new(),
        include_schema: columns,
    }
}

async fn fetch(client: &mut Client, info: Result<FlightInfo, FlightError>) -> Outcome<Vec<RecordBatch>> {
    let wrong = |error: FlightError| refused("the catalog cannot be listed", &error);
    let mut batches = Vec::new();
    for stream in client.streams(&info.map_err(wrong)?).await? {
        batches.extend(stream.try_collect::<Vec<_>>().await.map_err(wrong)?);
    }
    Ok(batches)
}

fn texts<'b>(batch: &'b RecordBatch, name: &str) -> Outcome<&'b StringArray> {
    batch.column_by_name(name).and_then(|column| column.as_string_opt()).ok_or_else(|| unexpected(name))
}

fn unexpected(column: &str) -> Trouble {
    Trouble::failure("the gateway answered with something unexpected")
        .why(format!("the column {column} is not readable"))
}

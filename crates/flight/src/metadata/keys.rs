//! Primary and foreign keys, from the contracts. There is always an answer, if only an empty one.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array, RecordBatch, StringArray, UInt8Array, new_null_array};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow_flight::sql::{
    CommandGetCrossReference, CommandGetExportedKeys, CommandGetImportedKeys, CommandGetPrimaryKeys, UpdateDeleteRules,
};
use meshgate_gateway::ForeignKeyEntry;

use super::Asker;
use crate::Error;

pub(super) fn primary_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        text("catalog_name", true),
        text("db_schema_name", true),
        text("table_name", false),
        text("column_name", false),
        text("key_name", true),
        Field::new("key_sequence", DataType::Int32, false),
    ]))
}

pub(super) fn foreign_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        text("pk_catalog_name", true),
        text("pk_db_schema_name", true),
        text("pk_table_name", false),
        text("pk_column_name", false),
        text("fk_catalog_name", true),
        text("fk_db_schema_name", true),
        text("fk_table_name", false),
        text("fk_column_name", false),
        Field::new("key_sequence", DataType::Int32, false),
        text("fk_key_name", true),
        text("pk_key_name", true),
        Field::new("update_rule", DataType::UInt8, false),
        Field::new("delete_rule", DataType::UInt8, false),
    ]))
}

pub(super) fn primary(asker: &Asker<'_>, command: &CommandGetPrimaryKeys) -> Result<RecordBatch, Error> {
    let place = [command.catalog.as_deref(), command.db_schema.as_deref()];
    let mut keys = asker.gateway.primary_keys(asker.caller, asker.options, place, &command.table)?;
    keys.sort_by(|a, b| {
        (&a.catalog, &a.schema, &a.table, a.position).cmp(&(&b.catalog, &b.schema, &b.table, b.position))
    });
    let columns = vec![
        texts(keys.iter().map(|key| &key.catalog)),
        texts(keys.iter().map(|key| &key.schema)),
        texts(keys.iter().map(|key| &key.table)),
        texts(keys.iter().map(|key| &key.column)),
        no_names(keys.len()),
        Arc::new(Int32Array::from_iter_values(keys.iter().map(|key| key.position))),
    ];
    Ok(RecordBatch::try_new(primary_schema(), columns)?)
}

/// The foreign keys that point to a table.
pub(super) fn exported(asker: &Asker<'_>, command: &CommandGetExportedKeys) -> Result<RecordBatch, Error> {
    let wanted = Table(&command.catalog, &command.db_schema, &command.table);
    foreign(asker, |key| wanted.is(&key.primary), |key| &key.foreign)
}

/// The foreign keys of a table.
pub(super) fn imported(asker: &Asker<'_>, command: &CommandGetImportedKeys) -> Result<RecordBatch, Error> {
    let wanted = Table(&command.catalog, &command.db_schema, &command.table);
    foreign(asker, |key| wanted.is(&key.foreign), |key| &key.primary)
}

/// The foreign keys of one table that point to another.
pub(super) fn cross_reference(asker: &Asker<'_>, command: &CommandGetCrossReference) -> Result<RecordBatch, Error> {
    let primary = Table(&command.pk_catalog, &command.pk_db_schema, &command.pk_table);
    let foreign_table = Table(&command.fk_catalog, &command.fk_db_schema, &command.fk_table);
    foreign(asker, |key| primary.is(&key.primary) && foreign_table.is(&key.foreign), |key| &key.foreign)
}

/// A table by name; what is not given is not asked for.
struct Table<'a>(&'a Option<String>, &'a Option<String>, &'a str);

impl Table<'_> {
    fn is(&self, [catalog, schema, table, _]: &[String; 4]) -> bool {
        self.0.as_ref().is_none_or(|wanted| wanted == catalog)
            && self.1.as_ref().is_none_or(|wanted| wanted == schema)
            && self.2 == table
    }
}

fn foreign(
    asker: &Asker<'_>,
    wanted: impl Fn(&ForeignKeyEntry) -> bool,
    order: impl Fn(&ForeignKeyEntry) -> &[String; 4],
) -> Result<RecordBatch, Error> {
    let mut keys = asker.gateway.foreign_keys(asker.caller, asker.options)?;
    keys.retain(wanted);
    keys.sort_by(|a, b| (&order(a)[..3], a.position).cmp(&(&order(b)[..3], b.position)));
    foreign_rows(&keys)
}

fn foreign_rows(keys: &[ForeignKeyEntry]) -> Result<RecordBatch, Error> {
    let rule = || Arc::new(UInt8Array::from(vec![UpdateDeleteRules::NoAction as u8; keys.len()])) as ArrayRef;
    let mut columns = Vec::new();
    columns.extend((0..4).map(|part| texts(keys.iter().map(|key| &key.primary[part]))));
    columns.extend((0..4).map(|part| texts(keys.iter().map(|key| &key.foreign[part]))));
    columns.push(Arc::new(Int32Array::from_iter_values(keys.iter().map(|key| key.position))));
    columns.extend([no_names(keys.len()), no_names(keys.len()), rule(), rule()]);
    Ok(RecordBatch::try_new(foreign_schema(), columns)?)
}

fn text(name: &str, nullable: bool) -> Field {
    Field::new(name, DataType::Utf8, nullable)
}

fn texts<'a>(values: impl Iterator<Item = &'a String>) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(values))
}

/// Contracts do not name their keys.
fn no_names(rows: usize) -> ArrayRef {
    new_null_array(&DataType::Utf8, rows)
}

#[cfg(test)]
mod tests {
    use arrow::array::AsArray;
    use meshgate_gateway::ForeignKeyEntry;

    use super::{Table, foreign_rows};

    #[test]
    fn rows_fit_their_schema() {
        let parts = |text: &str| text.split('.').map(str::to_owned).collect::<Vec<_>>().try_into().expect("four parts");
        let key = ForeignKeyEntry { primary: parts("a.b.c.d"), foreign: parts("e.f.g.h"), position: 1 };
        let rows = foreign_rows(std::slice::from_ref(&key)).expect("builds");
        let row: Vec<_> = (0..8).map(|column| rows.column(column).as_string::<i32>().value(0)).collect();
        assert_eq!(row, ["a", "b", "c", "d", "e", "f", "g", "h"]);
        assert_eq!(foreign_rows(&[]).expect("builds").num_rows(), 0);
        let some = |text: &str| Some(text.to_owned());
        assert!(Table(&None, &some("b"), "c").is(&key.primary));
        assert!(!Table(&some(""), &None, "c").is(&key.primary), "none is without a catalog");
        assert!(!Table(&None, &None, "g").is(&key.primary));
    }
}

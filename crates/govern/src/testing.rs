//! Columns and schemas for tests.

use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use meshgate_model::Place;
use meshgate_product::{Column, LogicalType, Table};

use crate::promise::promised_field;

/// A column with what is inside it, and nothing else said of it.
pub(crate) fn column(name: &str, logical_type: Option<LogicalType>, fields: Vec<Column>) -> Column {
    Column {
        name: name.to_owned(),
        physical_name: name.to_owned(),
        logical_type,
        physical_type: None,
        format: None,
        timezone: false,
        required: false,
        unique: false,
        classification: None,
        tags: Vec::new(),
        critical: false,
        business_name: None,
        description: None,
        examples: Vec::new(),
        fields,
        items: None,
        place: Place::file("c.odcs.yaml"),
    }
}

/// What a contract promises, as if it were stored so.
pub(crate) fn promised_schema(table: &Table) -> SchemaRef {
    Arc::new(Schema::new(table.columns.iter().map(promised_field).collect::<Vec<_>>()))
}

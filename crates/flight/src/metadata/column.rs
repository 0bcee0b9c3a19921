//! What table schemas say of their columns, in field metadata that drivers read.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, IntervalUnit, Schema, SchemaRef};
use meshgate_gateway::{TableEntry, WireTypes};

use crate::wire::types::wire_schema;

/// Where the gateway puts descriptions.
const REMARKS: &str = "remarks";

/// A table's columns in the wire's types, every one with metadata: some drivers read it without looking whether it is
/// there.
pub(super) fn table_schema(entry: &TableEntry, types: WireTypes) -> SchemaRef {
    let wire = wire_schema(&entry.columns, types);
    let fields = wire.fields().iter().zip(entry.columns.fields()).map(|(field, column)| {
        let remarks = column.metadata().get(REMARKS);
        let mut metadata = describe(entry, field, remarks);
        metadata.extend(field.metadata().clone());
        field.as_ref().clone().with_metadata(metadata)
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

fn describe(entry: &TableEntry, field: &Field, remarks: Option<&String>) -> HashMap<String, String> {
    let (precision, scale) = size(field.data_type());
    let texts = [
        ("CATALOG_NAME", Some(entry.catalog.clone())),
        ("SCHEMA_NAME", Some(entry.schema.clone())),
        ("TABLE_NAME", Some(entry.name.clone())),
        ("TYPE_NAME", Some(type_name(field.data_type()).to_owned())),
        ("PRECISION", precision.map(|n| n.to_string())),
        ("SCALE", scale.map(|n| n.to_string())),
        ("IS_AUTO_INCREMENT", Some("0".to_owned())),
        ("IS_CASE_SENSITIVE", Some("1".to_owned())),
        ("IS_READ_ONLY", Some("1".to_owned())),
        ("IS_SEARCHABLE", Some("1".to_owned())),
        ("REMARKS", remarks.cloned()),
    ];
    let texts = texts.into_iter().filter_map(|(key, value)| Some((format!("ARROW:FLIGHT:SQL:{key}"), value?)));
    texts.collect()
}

/// The SQL name of a type: one of those that `xdbc` lists, or a nested type.
pub(super) fn type_name(data_type: &DataType) -> &'static str {
    match data_type {
        DataType::Null => "NULL",
        DataType::Boolean => "BOOLEAN",
        DataType::Int8 => "TINYINT",
        DataType::Int16 => "SMALLINT",
        DataType::Int32 => "INTEGER",
        DataType::Int64 => "BIGINT",
        DataType::UInt8 => "TINYINT UNSIGNED",
        DataType::UInt16 => "SMALLINT UNSIGNED",
        DataType::UInt32 => "INTEGER UNSIGNED",
        DataType::UInt64 => "BIGINT UNSIGNED",
        DataType::Float16 | DataType::Float32 => "REAL",
        DataType::Float64 => "DOUBLE",
        DataType::Decimal32(_, _)
        | DataType::Decimal64(_, _)
        | DataType::Decimal128(_, _)
        | DataType::Decimal256(_, _) => "DECIMAL",
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "VARCHAR",
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => "VARBINARY",
        DataType::Date32 | DataType::Date64 => "DATE",
        DataType::Time32(_) | DataType::Time64(_) => "TIME",
        DataType::Timestamp(_, None) => "TIMESTAMP",
        DataType::Timestamp(_, Some(_)) => "TIMESTAMP WITH TIME ZONE",
        DataType::Duration(_) | DataType::Interval(IntervalUnit::DayTime | IntervalUnit::MonthDayNano) => "INTERVAL",
        DataType::Interval(IntervalUnit::YearMonth) => "INTERVAL YEAR TO MONTH",
        DataType::List(_)
        | DataType::LargeList(_)
        | DataType::ListView(_)
        | DataType::LargeListView(_)
        | DataType::FixedSizeList(_, _) => "ARRAY",
        DataType::Struct(_) => "STRUCT",
        DataType::Map(_, _) => "MAP",
        DataType::Union(_, _) => "UNION",
        DataType::Dictionary(_, values) => type_name(values),
        DataType::RunEndEncoded(_, values) => type_name(values.data_type()),
    }
}

/// Precision and scale, where a type has them.
fn size(data_type: &DataType) -> (Option<i32>, Option<i32>) {
    match data_type {
        DataType::Int8 | DataType::UInt8 => (Some(3), Some(0)),
        DataType::Int16 | DataType::UInt16 => (Some(5), Some(0)),
        DataType::Int32 | DataType::UInt32 => (Some(10), Some(0)),
        DataType::Int64 => (Some(19), Some(0)),
        DataType::UInt64 => (Some(20), Some(0)),
        DataType::Float16 | DataType::Float32 => (Some(7), None),
        DataType::Float64 => (Some(15), None),
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale)
        | DataType::Decimal256(precision, scale) => (Some(i32::from(*precision)), Some(i32::from(*scale))),
        _ => (None, None),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::sync::Arc;

    use arrow::datatypes::{DataType, Field, Schema};
    use meshgate_gateway::{TableEntry, WireTypes};

    use super::table_schema;

    #[test]
    fn every_column_is_described_and_nothing_else_leaves() {
        let note =
            HashMap::from([("remarks".to_owned(), "the sum".to_owned()), ("delta.path".to_owned(), "s3".to_owned())]);
        let columns = vec![
            Field::new("total", DataType::Decimal64(12, 2), false).with_metadata(note),
            Field::new("tags", DataType::LargeListView(Arc::new(Field::new("item", DataType::Utf8View, true))), true),
        ];
        let entry = TableEntry {
            catalog: "sales".to_owned(),
            schema: "orders".to_owned(),
            name: "lines".to_owned(),
            kind: "TABLE",
            remarks: None,
            columns: Arc::new(Schema::new(columns)),
        };
        let schema = table_schema(&entry, WireTypes::Compatible);
        let said = |column: usize, key: &str| {
            schema.field(column).metadata().get(&format!("ARROW:FLIGHT:SQL:{key}")).map(String::as_str)
        };
        assert_eq!(schema.field(0).data_type(), &DataType::Decimal128(12, 2));
        let expected = [("TYPE_NAME", "DECIMAL"), ("PRECISION", "12"), ("SCALE", "2"), ("REMARKS", "the sum")];
        for (key, value) in expected.into_iter().chain([("TABLE_NAME", "lines"), ("CATALOG_NAME", "sales")]) {
            assert_eq!(said(0, key), Some(value), "{key}");
        }
        assert_eq!((said(1, "TYPE_NAME"), said(1, "PRECISION"), said(1, "REMARKS")), (Some("ARRAY"), None, None));
        assert!(schema.fields().iter().all(|field| !field.metadata().contains_key("delta.path")));
    }
}

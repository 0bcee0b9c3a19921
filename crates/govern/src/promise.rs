//! What a contract promises, as Arrow types.
//!
//! ODCS `physicalType` is free text; SQL's usual words are understood. Without one, `logicalTypeOptions` may say how wide
//! a number is or that a timestamp is an instant; without that, the widest usual type of the `logicalType` stands for it.
//! Rows come as they are stored, whatever is said here: only a contract that tells the type is listed to the letter.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Fields, TimeUnit};
use meshgate_product::{Column, LogicalType};

pub(crate) fn promised_field(column: &Column) -> Field {
    Field::new(&column.name, promised_type(column), true)
}

/// The type a column promises; nothing is opened for it.
pub fn promised_type(column: &Column) -> DataType {
    if let Some(item) = &column.items {
        return DataType::List(Arc::new(Field::new("item", promised_type(item), true)));
    }
    match (column.logical_type, column.fields.as_slice()) {
        (Some(LogicalType::Map), [key, value]) => return map(promised_type(key), promised_type(value)),
        (Some(LogicalType::Map), _) | (_, []) => {}
        (_, fields) => return DataType::Struct(fields.iter().map(promised_field).collect::<Fields>()),
    }
    told(column).or_else(|| column.logical_type.map(logical_default)).unwrap_or(DataType::Utf8View)
}

/// The type of a column, if its contract names it: a `logicalType` alone has many.
pub fn told_type(column: &Column) -> Option<DataType> {
    if column.items.is_some() || !column.fields.is_empty() { None } else { told(column) }
}

fn told(column: &Column) -> Option<DataType> {
    let written = column.physical_type.as_deref().and_then(sql_type);
    written.or_else(|| optional(column, column.logical_type?))
}

/// What the options of a logical type tell of it.
fn optional(column: &Column, logical: LogicalType) -> Option<DataType> {
    match (logical, column.format.as_deref()) {
        (LogicalType::Integer, Some("i8")) => Some(DataType::Int8),
        (LogicalType::Integer, Some("i16")) => Some(DataType::Int16),
        (LogicalType::Integer, Some("i32")) => Some(DataType::Int32),
        (LogicalType::Integer, Some("u8")) => Some(DataType::UInt8),
        (LogicalType::Integer, Some("u16")) => Some(DataType::UInt16),
        (LogicalType::Integer, Some("u32")) => Some(DataType::UInt32),
        (LogicalType::Integer, Some("u64")) => Some(DataType::UInt64),
        (LogicalType::Integer, Some("i128" | "u128")) => Some(DataType::Decimal128(38, 0)),
        (LogicalType::Number, Some("f32")) => Some(DataType::Float32),
        (LogicalType::Timestamp, _) if column.timezone => {
            Some(DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())))
        }
        _ => None,
    }
}

fn logical_default(logical: LogicalType) -> DataType {
    match logical {
        LogicalType::String => DataType::Utf8View,
        LogicalType::Date => DataType::Date32,
        LogicalType::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, None),
        LogicalType::Time => DataType::Time64(TimeUnit::Microsecond),
        LogicalType::Number => DataType::Float64,
        LogicalType::Integer => DataType::Int64,
        LogicalType::Boolean => DataType::Boolean,
        LogicalType::Object => DataType::Struct(Fields::empty()),
        LogicalType::Array => DataType::List(Arc::new(Field::new("item", DataType::Utf8View, true))),
        LogicalType::Vector => DataType::List(Arc::new(Field::new("item", DataType::Float32, true))),
        LogicalType::Map => map(DataType::Utf8View, DataType::Utf8View),
    }
}

fn map(key: DataType, value: DataType) -> DataType {
    let entry = vec![Field::new("key", key, false), Field::new("value", value, true)];
    DataType::Map(Arc::new(Field::new("entries", DataType::Struct(entry.into()), false)), false)
}

/// SQL's words for scalar types, with parameters where the type has them.
pub(crate) fn sql_type(text: &str) -> Option<DataType> {
    let text = text.trim().to_ascii_lowercase();
    let (word, arguments) = match text.split_once('(') {
        Some((word, rest)) => (word.trim(), rest.split_once(')')?.0),
        None => (text.as_str(), ""),
    };
    let suffix = text.split_once(')').map_or("", |(_, suffix)| suffix.trim());
    Some(match word {
        "boolean" | "bool" => DataType::Boolean,
        "tinyint" | "byte" | "int8" => DataType::Int8,
        "smallint" | "short" | "int16" | "int2" => DataType::Int16,
        "int" | "integer" | "int32" | "int4" => DataType::Int32,
        "bigint" | "long" | "int64" => DataType::Int64,
        "real" | "float" | "float4" | "float32" => DataType::Float32,
        "double" | "double precision" | "float8" | "float64" => DataType::Float64,
        "decimal" | "numeric" | "number" | "dec" => {
            let mut numbers = arguments.split(',').map(str::trim).filter(|text| !text.is_empty());
            let precision: u8 = numbers.next().map_or(Some(38), |text| text.parse().ok())?;
            let scale: i8 = numbers.next().map_or(Some(0), |text| text.parse().ok())?;
            match precision {
                1..=38 => DataType::Decimal128(precision, scale),
                39..=76 => DataType::Decimal256(precision, scale),
                _ => return None,
            }
        }
        "string" | "varchar" | "char" | "text" | "character varying" | "character" | "nvarchar" | "nchar" | "clob"
        | "utf8" => DataType::Utf8View,
        "binary" | "varbinary" | "bytes" | "blob" | "bytea" => DataType::BinaryView,
        "date" | "date32" => DataType::Date32,
        "time" => DataType::Time64(TimeUnit::Microsecond),
        "timestamp" | "timestamp_ntz" | "timestampntz" | "datetime" | "timestamp without time zone"
            if suffix != "with time zone" =>
        {
            DataType::Timestamp(TimeUnit::Microsecond, None)
        }
        "timestamp" | "timestamptz" | "timestamp_tz" | "timestamp_ltz" | "timestamp with time zone" => {
            DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::{DataType, TimeUnit};
    use meshgate_product::LogicalType;

    use super::{promised_type, sql_type};
    use crate::testing::column;

    #[test]
    fn reads_the_usual_words() {
        for (text, expected) in [
            ("BIGINT", Some(DataType::Int64)),
            ("decimal(15, 2)", Some(DataType::Decimal128(15, 2))),
            ("NUMERIC(50,10)", Some(DataType::Decimal256(50, 10))),
            ("varchar(10)", Some(DataType::Utf8View)),
            ("timestamp(6) with time zone", Some(DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())))),
            ("timestamp", Some(DataType::Timestamp(TimeUnit::Microsecond, None))),
            ("decimal(x)", None),
            ("geometry", None),
        ] {
            assert_eq!(sql_type(text), expected, "{text}");
        }
    }

    #[test]
    fn options_tell_the_type_where_the_contract_names_none() {
        let instant = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        for (logical, physical, format, timezone, expected) in [
            (LogicalType::Integer, None, None, false, DataType::Int64),
            (LogicalType::Integer, None, Some("i32"), false, DataType::Int32),
            (LogicalType::Integer, None, Some("u64"), false, DataType::UInt64),
            (LogicalType::Integer, Some("smallint"), Some("i32"), false, DataType::Int16),
            (LogicalType::Integer, Some("whole"), Some("i32"), false, DataType::Int32),
            (LogicalType::Number, None, Some("f32"), false, DataType::Float32),
            (LogicalType::String, None, Some("i32"), false, DataType::Utf8View),
            (LogicalType::Timestamp, None, None, false, DataType::Timestamp(TimeUnit::Microsecond, None)),
            (LogicalType::Timestamp, None, Some("yyyy"), true, instant),
        ] {
            let mut column = column("c", Some(logical), Vec::new());
            (column.physical_type, column.format) = (physical.map(str::to_owned), format.map(str::to_owned));
            column.timezone = timezone;
            assert_eq!(promised_type(&column), expected, "{logical:?} {physical:?} {format:?}");
        }
    }

    #[test]
    fn a_map_is_no_struct() {
        let number = column("value", Some(LogicalType::Integer), Vec::new());
        let pair = || vec![column("key", Some(LogicalType::String), Vec::new()), number.clone()];
        let DataType::Map(entries, false) = promised_type(&column("m", Some(LogicalType::Map), pair())) else {
            panic!("a map")
        };
        let DataType::Struct(entry) = entries.data_type() else { panic!("keys with values") };
        let types: Vec<_> = entry.iter().map(|field| (field.data_type().clone(), field.is_nullable())).collect();
        assert_eq!(types, [(DataType::Utf8View, false), (DataType::Int64, true)]);
        assert!(matches!(promised_type(&column("o", Some(LogicalType::Object), pair())), DataType::Struct(_)));
        assert!(matches!(promised_type(&column("m", Some(LogicalType::Map), Vec::new())), DataType::Map(..)));
    }
}

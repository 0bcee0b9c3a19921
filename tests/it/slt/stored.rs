//! What a Delta table can hold of a table of DataFusion, in the types that the gateway reads it with.

use std::sync::Arc;

use arrow::array::{Array, AsArray, Int64Array, RecordBatch};
use arrow::compute::{CastOptions, cast_with_options, take};
use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, TimeUnit, TimestampNanosecondType};

use super::local::Contents;

/// The same rows in types of Delta, and whether these are others; an error says what cannot be held.
pub(super) fn stored(contents: &Contents) -> Result<(Contents, bool), String> {
    if contents.schema.fields().is_empty() {
        return Err("no columns".to_owned());
    }
    let mut changed = false;
    let mut fields = Vec::new();
    let mut columns = Vec::new();
    for (field, column) in contents.schema.fields().iter().zip(contents.rows.columns()) {
        let data_type = delta(field.data_type(), &mut changed)?;
        whole_micros(column)?;
        let options = CastOptions { safe: false, ..CastOptions::default() };
        let cast = cast_with_options(column, &data_type, &options).map_err(|error| error.to_string())?;
        // A file has nothing where a list is NULL; an array may have anything there.
        let every = Int64Array::from_iter_values(0..i64::try_from(cast.len()).unwrap_or_default());
        columns.push(take(cast.as_ref(), &every, None).map_err(|error| error.to_string())?);
        fields.push(Field::new(field.name(), data_type, field.is_nullable()));
    }
    let schema = Arc::new(Schema::new(fields));
    let rows = RecordBatch::try_new(schema.clone(), columns).map_err(|error| error.to_string())?;
    Ok((Contents { schema, rows }, changed))
}

/// The nearest type that the gateway reads from Delta.
fn delta(data_type: &DataType, changed: &mut bool) -> Result<DataType, String> {
    let mut other = |data_type: DataType| {
        *changed = true;
        Ok(data_type)
    };
    match data_type {
        DataType::Boolean
        | DataType::Int8
        | DataType::Int16
        | DataType::Int32
        | DataType::Int64
        | DataType::Float32
        | DataType::Float64
        | DataType::Date32
        | DataType::Utf8View
        | DataType::BinaryView
        | DataType::Timestamp(TimeUnit::Microsecond, None) => Ok(data_type.clone()),
        DataType::Timestamp(TimeUnit::Microsecond, Some(zone)) if zone.as_ref() == "UTC" => Ok(data_type.clone()),
        DataType::Decimal128(_, scale) if *scale >= 0 => Ok(data_type.clone()),
        DataType::Utf8 | DataType::LargeUtf8 => other(DataType::Utf8View),
        DataType::Binary | DataType::LargeBinary | DataType::FixedSizeBinary(_) => other(DataType::BinaryView),
        DataType::UInt8 => other(DataType::Int16),
        DataType::UInt16 => other(DataType::Int32),
        DataType::UInt32 => other(DataType::Int64),
        DataType::UInt64 => other(DataType::Decimal128(20, 0)),
        DataType::Float16 => other(DataType::Float32),
        DataType::Date64 => other(DataType::Timestamp(TimeUnit::Microsecond, None)),
        DataType::Timestamp(_, zone) => {
            other(DataType::Timestamp(TimeUnit::Microsecond, zone.as_ref().map(|_| "UTC".into())))
        }
        DataType::Decimal32(digits, scale) | DataType::Decimal64(digits, scale) if *scale >= 0 => {
            other(DataType::Decimal128(*digits, *scale))
        }
        DataType::Decimal256(digits, scale) if *scale >= 0 && *digits <= 38 => {
            other(DataType::Decimal128(*digits, *scale))
        }
        DataType::Dictionary(_, value) => {
            *changed = true;
            delta(value, changed)
        }
        DataType::RunEndEncoded(_, value) => {
            *changed = true;
            delta(value.data_type(), changed)
        }
        DataType::List(item) => Ok(DataType::List(inner(item, changed)?)),
        DataType::LargeList(item)
        | DataType::FixedSizeList(item, _)
        | DataType::ListView(item)
        | DataType::LargeListView(item) => {
            *changed = true;
            Ok(DataType::List(inner(item, changed)?))
        }
        DataType::Struct(fields) if !fields.is_empty() => {
            let fields = fields.iter().map(|field| inner(field, changed));
            Ok(DataType::Struct(fields.collect::<Result<Fields, _>>()?))
        }
        DataType::Map(entries, sorted) => Ok(DataType::Map(inner(entries, changed)?, *sorted)),
        other => Err(format!("the type {other}")),
    }
}

fn inner(field: &FieldRef, changed: &mut bool) -> Result<FieldRef, String> {
    let data_type = delta(field.data_type(), changed)?;
    Ok(Arc::new(Field::new(field.name(), data_type, field.is_nullable())))
}

/// Delta counts microseconds.
fn whole_micros(column: &dyn Array) -> Result<(), String> {
    if !matches!(column.data_type(), DataType::Timestamp(TimeUnit::Nanosecond, _)) {
        return Ok(());
    }
    let nanos = column.as_primitive::<TimestampNanosecondType>();
    if nanos.iter().flatten().any(|nanos| nanos % 1_000 != 0) {
        Err("parts of microseconds".to_owned())
    } else {
        Ok(())
    }
}

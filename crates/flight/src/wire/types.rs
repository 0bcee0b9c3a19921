//! Schemas as clients get them: compatible types, recursively, and no field metadata but what is listed.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef, TimeUnit, UnionFields};
use meshgate_gateway::WireTypes;

/// Field metadata that may leave. SECURITY: everything else may say things about tables that nobody decided to show.
const FIELD_METADATA: [&str; 2] = ["ARROW:extension:name", "ARROW:extension:metadata"];
const PRECISION: &str = "ARROW:FLIGHT:SQL:PRECISION";
const SCALE: &str = "ARROW:FLIGHT:SQL:SCALE";
/// Schema metadata that may leave begins with this: the gateway's own words about the query.
const SCHEMA_METADATA: &str = "meshgate";
/// The widest decimal of 128 bits.
const DECIMAL128_PRECISION_MAX: u8 = 38;

/// The schema of the engine's rows as it goes on the wire. FlightInfo, DoGet, prepared statements and table schemas all
/// use this function, so that they agree.
pub(crate) fn wire_schema(schema: &Schema, types: WireTypes) -> SchemaRef {
    let fields: Vec<_> = schema.fields().iter().map(|field| sized(wire_field(field, types))).collect();
    let metadata = schema.metadata().iter().filter(|(key, _)| key.starts_with(SCHEMA_METADATA));
    let metadata = metadata.map(|(key, value)| (key.clone(), value.clone())).collect();
    Arc::new(Schema::new_with_metadata(fields, metadata))
}

/// The types of parameters as clients are told of them. JDBC sends milliseconds as the digits of whatever unit it is told of, so
/// it is told of milliseconds. Values are cast to what the statement wants from whatever type they come in.
pub(crate) fn parameter_schema(schema: &Schema, types: WireTypes) -> SchemaRef {
    let wire = wire_schema(schema, types);
    if types == WireTypes::Native {
        return wire;
    }
    let fields = wire.fields().iter().map(|field| {
        let data_type = match field.data_type() {
            DataType::Timestamp(_, zone) => DataType::Timestamp(TimeUnit::Millisecond, zone.clone()),
            DataType::Time32(_) | DataType::Time64(_) => DataType::Time32(TimeUnit::Millisecond),
            _ => return field.clone(),
        };
        Arc::new(field.as_ref().clone().with_data_type(data_type))
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// JDBC knows how many digits a decimal column of a result has from its metadata alone, and else says 0.
fn sized(field: FieldRef) -> FieldRef {
    let (DataType::Decimal32(precision, scale)
    | DataType::Decimal64(precision, scale)
    | DataType::Decimal128(precision, scale)
    | DataType::Decimal256(precision, scale)) = field.data_type()
    else {
        return field;
    };
    let mut metadata = field.metadata().clone();
    metadata.insert(PRECISION.to_owned(), precision.to_string());
    metadata.insert(SCALE.to_owned(), scale.to_string());
    Arc::new(field.as_ref().clone().with_metadata(metadata))
}

fn wire_field(field: &FieldRef, types: WireTypes) -> FieldRef {
    let nullable = field.is_nullable()
        || match field.data_type() {
            // The nulls of run-end encoded columns are those of their values.
            DataType::RunEndEncoded(_, values) => types != WireTypes::Native && values.is_nullable(),
            _ => false,
        };
    let metadata =
        FIELD_METADATA.iter().filter_map(|key| Some(((*key).to_owned(), field.metadata().get(*key)?.clone())));
    let data_type = wire_type(field.data_type(), types);
    Arc::new(Field::new(field.name(), data_type, nullable).with_metadata(metadata.collect()))
}

/// The type of a column on the wire. What it turns a type into, it leaves alone.
pub(crate) fn wire_type(data_type: &DataType, types: WireTypes) -> DataType {
    let nested = |field: &FieldRef| wire_field(field, types);
    // Formats and libraries call the items of lists differently, and a contract does not say: all the same to clients.
    let item = |field: &FieldRef| match types {
        WireTypes::Native => nested(field),
        _ => Arc::new(nested(field).as_ref().clone().with_name("item")),
    };
    match data_type {
        DataType::List(field) => DataType::List(item(field)),
        DataType::FixedSizeList(field, size) => DataType::FixedSizeList(item(field), *size),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(nested).collect()),
        DataType::Map(entries, sorted) => DataType::Map(nested(entries), *sorted),
        DataType::Union(fields, mode) => {
            DataType::Union(fields.iter().map(|(id, field)| (id, nested(field))).collect::<UnionFields>(), *mode)
        }
        other => match types {
            WireTypes::Compatible => compatible_type(other, types, item),
            WireTypes::Grafana => grafana_type(compatible_type(other, types, item)),
            WireTypes::Native => native_type(other, nested),
        },
    }
}

fn compatible_type(data_type: &DataType, types: WireTypes, nested: impl Fn(&FieldRef) -> FieldRef) -> DataType {
    match data_type {
        DataType::Utf8View | DataType::LargeUtf8 => DataType::Utf8,
        DataType::BinaryView | DataType::LargeBinary => DataType::Binary,
        DataType::LargeList(item) | DataType::ListView(item) | DataType::LargeListView(item) => {
            DataType::List(nested(item))
        }
        DataType::Dictionary(_, values) => wire_type(values, types),
        DataType::RunEndEncoded(_, values) => wire_type(values.data_type(), types),
        DataType::Decimal32(precision, scale) | DataType::Decimal64(precision, scale) => {
            DataType::Decimal128(*precision, *scale)
        }
        DataType::Decimal256(precision, scale) if *precision <= DECIMAL128_PRECISION_MAX => {
            DataType::Decimal128(*precision, *scale)
        }
        DataType::Decimal256(_, _) => DataType::Utf8,
        DataType::Float16 => DataType::Float32,
        // The engine's clock literals are in nanoseconds, the columns of tables in microseconds; a value that does not
        // fit is refused when it comes (see `adapt`).
        DataType::Time64(TimeUnit::Nanosecond) => DataType::Time64(TimeUnit::Microsecond),
        other => other.clone(),
    }
}

/// What the Flight SQL plugin of Grafana shows as it is: it reads every timestamp as nanoseconds and knows no dates, times,
/// intervals or decimals. A date that is no count of nanoseconds is refused when it comes (see `adapt`).
fn grafana_type(compatible: DataType) -> DataType {
    match compatible {
        DataType::Timestamp(_, zone) => DataType::Timestamp(TimeUnit::Nanosecond, zone),
        DataType::Date32 | DataType::Date64 => DataType::Timestamp(TimeUnit::Nanosecond, None),
        DataType::Decimal128(_, _) => DataType::Float64,
        DataType::Time32(_) | DataType::Time64(_) | DataType::Interval(_) => DataType::Utf8,
        other => other,
    }
}

fn native_type(data_type: &DataType, nested: impl Fn(&FieldRef) -> FieldRef) -> DataType {
    match data_type {
        DataType::LargeList(item) => DataType::LargeList(nested(item)),
        DataType::ListView(item) => DataType::ListView(nested(item)),
        DataType::LargeListView(item) => DataType::LargeListView(nested(item)),
        DataType::Dictionary(keys, values) => {
            DataType::Dictionary(keys.clone(), Box::new(wire_type(values, WireTypes::Native)))
        }
        DataType::RunEndEncoded(ends, values) => DataType::RunEndEncoded(ends.clone(), nested(values)),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests;

//! The table's columns as `meshgate-table` wants them.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, SchemaRef, TimeUnit};
use iceberg::spec::{
    DEFAULT_SCHEMA_NAME_MAPPING, MappedField, NameMapping as IcebergNames, NestedField, PrimitiveType, TableMetadata,
    Type,
};
use meshgate_table::{Binding, Error, FIELD_ID, NameMapping};

use crate::values::scalar;

/// The schema with views inside and ids in the metadata.
pub(crate) fn convert(schema: &iceberg::spec::Schema) -> Result<SchemaRef, Error> {
    let fields = schema.as_struct().fields().iter().map(|field| convert_field(field));
    Ok(Arc::new(Schema::new(fields.collect::<Result<Vec<_>, Error>>()?)))
}

/// How columns of files are found, and what stands for those that files lack.
pub(crate) fn binding(
    schema: &iceberg::spec::Schema,
    arrow: &Schema,
    metadata: &TableMetadata,
) -> Result<Binding, Error> {
    let mut defaults = HashMap::new();
    for (field, converted) in schema.as_struct().fields().iter().zip(arrow.fields()) {
        refuse_nested_defaults(&field.field_type)?;
        let Some(default) = &field.initial_default else { continue };
        let value = default.as_primitive_literal().and_then(|value| scalar(&value, converted.data_type()));
        let value = value.ok_or_else(|| Error::unsupported("default values of nested columns"))?;
        defaults.insert(field.id, value);
    }
    Ok(Binding::FieldId { names: names(metadata)?, defaults })
}

/// Which ids columns of files without ids have.
pub(crate) fn names(metadata: &TableMetadata) -> Result<Option<NameMapping>, Error> {
    let Some(text) = metadata.properties().get(DEFAULT_SCHEMA_NAME_MAPPING) else { return Ok(None) };
    let names: IcebergNames =
        serde_json::from_str(text).map_err(|error| Error::format("reading an Iceberg name mapping", error))?;
    Ok(Some(mapping(names.fields().iter())))
}

fn mapping<'a>(fields: impl Iterator<Item = &'a MappedField>) -> NameMapping {
    let mut mapped = NameMapping::default();
    for field in fields {
        let below = mapping(field.fields().iter().map(AsRef::as_ref));
        for name in field.names() {
            mapped.fields.insert(name.clone(), (field.field_id(), below.clone()));
        }
    }
    mapped
}

fn refuse_nested_defaults(field_type: &Type) -> Result<(), Error> {
    let check = |field: &NestedField| match field.initial_default {
        Some(_) => Err(Error::unsupported("default values of nested columns")),
        None => refuse_nested_defaults(&field.field_type),
    };
    match field_type {
        Type::Primitive(_) => Ok(()),
        Type::Struct(inner) => inner.fields().iter().try_for_each(|field| check(field)),
        Type::List(list) => check(&list.element_field),
        Type::Map(map) => check(&map.key_field).and_then(|()| check(&map.value_field)),
    }
}

/// A column with its id.
pub(crate) fn convert_field(field: &NestedField) -> Result<FieldRef, Error> {
    named(&field.name, field)
}

fn named(name: &str, field: &NestedField) -> Result<FieldRef, Error> {
    let metadata = HashMap::from([(FIELD_ID.to_owned(), field.id.to_string())]);
    Ok(Arc::new(Field::new(name, convert_type(&field.field_type)?, !field.required).with_metadata(metadata)))
}

fn convert_type(field_type: &Type) -> Result<DataType, Error> {
    Ok(match field_type {
        Type::Primitive(primitive) => convert_primitive(primitive)?,
        Type::Struct(inner) => {
            let fields = inner.fields().iter().map(|field| convert_field(field));
            DataType::Struct(fields.collect::<Result<Fields, Error>>()?)
        }
        Type::List(list) => DataType::List(named("element", &list.element_field)?),
        Type::Map(map) => {
            let entries = Fields::from(vec![named("key", &map.key_field)?, named("value", &map.value_field)?]);
            DataType::Map(Arc::new(Field::new("key_value", DataType::Struct(entries), false)), false)
        }
    })
}

fn convert_primitive(primitive: &PrimitiveType) -> Result<DataType, Error> {
    let utc = || Some(Arc::from("UTC"));
    let length = |length: u64| i32::try_from(length).map_err(|_| Error::malformed("a fixed type that is too long"));
    Ok(match primitive {
        PrimitiveType::Boolean => DataType::Boolean,
        PrimitiveType::Int => DataType::Int32,
        PrimitiveType::Long => DataType::Int64,
        PrimitiveType::Float => DataType::Float32,
        PrimitiveType::Double => DataType::Float64,
        PrimitiveType::Decimal { precision, scale } => {
            let out_of_range = |_| Error::malformed("a decimal type that is out of range");
            DataType::Decimal128(
                u8::try_from(*precision).map_err(out_of_range)?,
                i8::try_from(*scale).map_err(out_of_range)?,
            )
        }
        PrimitiveType::Date => DataType::Date32,
        PrimitiveType::Time => DataType::Time64(TimeUnit::Microsecond),
        PrimitiveType::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, None),
        PrimitiveType::Timestamptz => DataType::Timestamp(TimeUnit::Microsecond, utc()),
        PrimitiveType::TimestampNs => DataType::Timestamp(TimeUnit::Nanosecond, None),
        PrimitiveType::TimestamptzNs => DataType::Timestamp(TimeUnit::Nanosecond, utc()),
        PrimitiveType::String => DataType::Utf8View,
        PrimitiveType::Uuid => DataType::FixedSizeBinary(16),
        PrimitiveType::Fixed(bytes) => DataType::FixedSizeBinary(length(*bytes)?),
        PrimitiveType::Binary => DataType::BinaryView,
    })
}

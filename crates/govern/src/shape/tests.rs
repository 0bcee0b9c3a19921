//! Nested columns taken apart: what is listed and may be read is served, and nothing else.

use std::sync::Arc;

use arrow::array::builder::{Int32Builder, MapBuilder, StringBuilder};
use arrow::array::{Array, ArrayRef, AsArray, Int32Array, StringArray, StructArray};
use arrow::datatypes::{DataType, Field, Fields, Int32Type};
use datafusion::common::config::ConfigOptions;
use meshgate_policy::{ColumnVerdict, Mask, Reading};
use meshgate_product::{Column, LogicalType};

use super::Shape;
use crate::masks::MaskKeys;
use crate::testing::column;

const KEYS: MaskKeys = MaskKeys { query_salt: [0; 32], mesh_key: [0; 32] };

fn verdict(name: &str, reading: Reading) -> ColumnVerdict {
    ColumnVerdict { name: name.to_owned(), reading, fields: Vec::new(), determining: Vec::new() }
}

/// A map whose value has these fields.
fn promised(value: Vec<Column>) -> Column {
    let kind = if value.is_empty() { LogicalType::String } else { LogicalType::Object };
    let pair = vec![column("key", Some(LogicalType::String), Vec::new()), column("value", Some(kind), value)];
    column("m", Some(LogicalType::Map), pair)
}

fn field(name: &str) -> Column {
    column(name, Some(LogicalType::String), Vec::new())
}

fn structure(names: &[&str]) -> DataType {
    DataType::Struct(names.iter().map(|name| Field::new(*name, DataType::Utf8, true)).collect::<Fields>())
}

fn map_of(value: DataType) -> DataType {
    let pair = vec![Field::new("k", DataType::Utf8, false), Field::new("v", value, true)];
    DataType::Map(Arc::new(Field::new("key_value", DataType::Struct(pair.into()), false)), false)
}

#[test]
fn what_cannot_be_taken_apart_is_refused() {
    let object = |fields| column("o", Some(LogicalType::Object), fields);
    let list = |of: DataType| DataType::List(Arc::new(Field::new("item", of, true)));
    let fixed = |of: DataType| DataType::FixedSizeList(Arc::new(Field::new("item", of, true)), 2);
    let of_lists = |item| Column { items: Some(Box::new(item)), ..column("l", Some(LogicalType::Array), Vec::new()) };
    let hidden = |name: &str| vec![verdict(name, Reading::Hidden)];
    let cases = [
        ("a map as it is stored", promised(Vec::new()), vec![], map_of(DataType::Utf8), true),
        ("fields of values, all listed", promised(vec![field("a")]), vec![], map_of(structure(&["a"])), true),
        ("a map stored as a list", promised(vec![field("a")]), vec![], list(structure(&["a", "b"])), false),
        ("fields of a struct stored as a map", object(vec![field("a")]), vec![], map_of(structure(&["b"])), false),
        ("fields of a struct stored as a list", object(vec![field("a")]), vec![], list(structure(&["a", "b"])), false),
        ("a hidden field of one", object(vec![field("a")]), hidden("a"), list(structure(&["a"])), false),
        ("a list of fixed length", of_lists(object(vec![field("a")])), vec![], fixed(structure(&["a", "b"])), false),
        ("one of numbers", of_lists(field("x")), vec![], fixed(DataType::Utf8), true),
        ("hidden keys", promised(Vec::new()), hidden("key"), map_of(DataType::Utf8), false),
        ("no verdict on keys", promised(Vec::new()), hidden("value"), map_of(DataType::Utf8), false),
        (
            "masked keys",
            promised(Vec::new()),
            vec![verdict("key", Reading::Masked(Mask::ShowLast4)), verdict("value", Reading::Plain)],
            map_of(DataType::Utf8),
            false,
        ),
        (
            "hidden values",
            promised(Vec::new()),
            vec![verdict("key", Reading::Plain), verdict("value", Reading::Hidden)],
            map_of(DataType::Utf8),
            false,
        ),
    ];
    for (what, column, verdicts, stored, served) in cases {
        let shape = Shape::plain(&column, &verdicts, &stored, &KEYS);
        assert_eq!(shape.is_ok(), served, "{what}: {shape:?}");
    }
}

fn applied(shape: &Shape, array: &ArrayRef) -> ArrayRef {
    let result = shape.apply(array, &Arc::new(ConfigOptions::default())).expect("applied");
    assert_eq!(result.data_type(), &shape.output(array.data_type()), "the type that was told");
    result
}

#[test]
fn unlisted_fields_of_map_values_are_not_served() {
    let stored_value = || {
        let both = structure(&["a", "b"]);
        let DataType::Struct(fields) = &both else { unreachable!("a struct") };
        let column = |text: &str| Arc::new(StringArray::from(vec![text, text])) as ArrayRef;
        StructArray::new(fields.clone(), vec![column("listed"), column("unlisted")], None)
    };
    let keys = StringArray::from(vec!["x", "y"]);
    let data_type = map_of(structure(&["a", "b"]));
    let DataType::Map(entries, _) = &data_type else { unreachable!("a map") };
    let DataType::Struct(pair) = entries.data_type() else { unreachable!("a pair") };
    let inner = StructArray::new(pair.clone(), vec![Arc::new(keys), Arc::new(stored_value())], None);
    let offsets = arrow::buffer::OffsetBuffer::from_lengths([1, 0, 1]);
    let array: ArrayRef = Arc::new(arrow::array::MapArray::new(entries.clone(), offsets, inner, None, false));

    let shape = Shape::plain(&promised(vec![field("a")]), &[], &data_type, &KEYS).expect("a shape");
    let result = applied(&shape, &array);
    let values = result.as_map().values().as_struct();
    assert_eq!(values.column_names(), ["a"]);
    assert_eq!((result.len(), result.as_map().value_length(1)), (3, 0));
    assert_eq!(result.as_map().keys().as_string::<i32>().value(1), "y");
}

#[test]
fn a_mask_on_map_values_is_applied() {
    let mut builder = MapBuilder::new(None, StringBuilder::new(), Int32Builder::new());
    builder.keys().append_value("x");
    builder.values().append_value(7);
    builder.append(true).expect("a row");
    builder.append(false).expect("a row without a map");
    let array: ArrayRef = Arc::new(builder.finish());
    let verdicts = [verdict("key", Reading::Plain), verdict("value", Reading::Masked(Mask::ReplaceWithNull))];
    let shape = Shape::plain(&promised(Vec::new()), &verdicts, array.data_type(), &KEYS).expect("a shape");
    let result = applied(&shape, &array);
    assert_eq!(result.as_map().values().as_primitive::<Int32Type>(), &Int32Array::from(vec![None]));
    assert!(result.is_null(1) && result.is_valid(0));
}

//! Every type, at the top and nested.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Fields, Schema, TimeUnit, UnionFields, UnionMode};
use meshgate_gateway::WireTypes;

use super::{parameter_schema, wire_schema, wire_type};

fn item(data_type: DataType) -> Arc<Field> {
    Arc::new(Field::new("item", data_type, true))
}

/// What the engine may have, and what goes out.
fn pairs() -> Vec<(DataType, DataType)> {
    let dictionary = |values| DataType::Dictionary(Box::new(DataType::Int32), Box::new(values));
    let runs = |values| DataType::RunEndEncoded(Arc::new(Field::new("run_ends", DataType::Int32, false)), item(values));
    vec![
        (DataType::Utf8View, DataType::Utf8),
        (DataType::LargeUtf8, DataType::Utf8),
        (DataType::BinaryView, DataType::Binary),
        (DataType::LargeBinary, DataType::Binary),
        (dictionary(DataType::Utf8View), DataType::Utf8),
        (dictionary(dictionary(DataType::LargeBinary)), DataType::Binary),
        (runs(DataType::Float16), DataType::Float32),
        (DataType::LargeList(item(DataType::Utf8View)), DataType::List(item(DataType::Utf8))),
        (DataType::ListView(item(DataType::Int8)), DataType::List(item(DataType::Int8))),
        (DataType::LargeListView(item(DataType::LargeUtf8)), DataType::List(item(DataType::Utf8))),
        (DataType::Decimal32(7, 2), DataType::Decimal128(7, 2)),
        (DataType::Decimal64(17, 2), DataType::Decimal128(17, 2)),
        (DataType::Decimal256(38, 2), DataType::Decimal128(38, 2)),
        (DataType::Decimal256(39, 2), DataType::Utf8),
        (DataType::Float16, DataType::Float32),
        (DataType::Time64(TimeUnit::Nanosecond), DataType::Time64(TimeUnit::Microsecond)),
        (DataType::Int64, DataType::Int64),
        (DataType::Null, DataType::Null),
        (DataType::Decimal128(38, 10), DataType::Decimal128(38, 10)),
        (DataType::FixedSizeBinary(16), DataType::FixedSizeBinary(16)),
        (
            DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into())),
            DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into())),
        ),
    ]
}

#[test]
fn grafana_gets_what_it_shows() {
    let stamp = |unit, zone: Option<&str>| DataType::Timestamp(unit, zone.map(Into::into));
    let dictionary = DataType::Dictionary(Box::new(DataType::Int8), Box::new(DataType::Date32));
    for (from, to) in [
        (DataType::Date32, stamp(TimeUnit::Nanosecond, None)),
        (DataType::Date64, stamp(TimeUnit::Nanosecond, None)),
        (stamp(TimeUnit::Microsecond, Some("UTC")), stamp(TimeUnit::Nanosecond, Some("UTC"))),
        (DataType::Decimal128(38, 10), DataType::Float64),
        (DataType::Decimal64(9, 2), DataType::Float64),
        (DataType::Time64(TimeUnit::Nanosecond), DataType::Utf8),
        (DataType::Utf8View, DataType::Utf8),
        (DataType::List(item(DataType::Date32)), DataType::List(item(stamp(TimeUnit::Nanosecond, None)))),
        (dictionary, stamp(TimeUnit::Nanosecond, None)),
        (DataType::Int64, DataType::Int64),
    ] {
        assert_eq!(wire_type(&from, WireTypes::Grafana), to, "{from}");
        assert_eq!(wire_type(&to, WireTypes::Grafana), to, "{to} stays");
    }
}

#[test]
fn maps_every_type_at_any_depth() {
    for (from, to) in pairs() {
        assert_eq!(wire_type(&from, WireTypes::Compatible), to, "{from}");
        let nestings: [fn(DataType) -> DataType; 5] = [
            |inner| DataType::List(item(inner)),
            |inner| DataType::FixedSizeList(item(inner), 2),
            |inner| DataType::Struct(Fields::from(vec![Field::new("a", inner, true)])),
            |inner| {
                let entries = vec![Field::new("keys", DataType::Int8, false), Field::new("values", inner, true)];
                DataType::Map(Arc::new(Field::new("entries", DataType::Struct(entries.into()), false)), false)
            },
            |inner| DataType::Union([(3_i8, item(inner))].into_iter().collect::<UnionFields>(), UnionMode::Dense),
        ];
        for outer in nestings {
            for outermost in nestings {
                let nest = |inner| outermost(outer(inner));
                assert_eq!(wire_type(&nest(from.clone()), WireTypes::Compatible), nest(to.clone()), "{from}");
                assert_eq!(wire_type(&nest(from.clone()), WireTypes::Native), nest(from.clone()), "{from}");
            }
        }
    }
}

#[test]
fn keeps_nullability_and_listed_metadata_only() {
    let metadata =
        |keys: &[&str]| keys.iter().map(|key| ((*key).to_owned(), "x".to_owned())).collect::<HashMap<_, _>>();
    let inner = Field::new("b", DataType::Utf8View, false).with_metadata(metadata(&["delta.path", "PARQUET:field_id"]));
    let outer = Field::new("a", DataType::Struct(vec![inner].into()), true)
        .with_metadata(metadata(&["remarks", "ARROW:extension:name"]));
    let schema = Schema::new_with_metadata(vec![outer], metadata(&["meshgate.query", "pandas", "path"]));
    for types in [WireTypes::Compatible, WireTypes::Native] {
        let wire = wire_schema(&schema, types);
        assert_eq!(*wire.metadata(), metadata(&["meshgate.query"]));
        let outer = wire.field(0);
        assert!(outer.is_nullable());
        assert_eq!(*outer.metadata(), metadata(&["ARROW:extension:name"]));
        let DataType::Struct(fields) = outer.data_type() else { panic!("still a struct") };
        assert!(!fields[0].is_nullable());
        assert!(fields[0].metadata().is_empty());
        assert_eq!(wire_schema(&wire, types), wire, "a fixed point");
    }
}

#[test]
fn items_of_lists_are_called_alike() {
    let element = |inner| DataType::List(Arc::new(Field::new("element", inner, true)));
    let nested = element(element(DataType::Int64));
    let expected = DataType::List(item(DataType::List(item(DataType::Int64))));
    assert_eq!(wire_type(&nested, WireTypes::Compatible), expected);
    assert_eq!(wire_type(&nested, WireTypes::Native), nested);
}

#[test]
fn decimals_of_a_result_say_their_digits() {
    let fields = vec![
        Field::new("narrow", DataType::Decimal64(12, 2), false),
        Field::new("wide", DataType::Decimal256(50, 0), true),
        Field::new("other", DataType::Int64, true),
        Field::new("inner", DataType::List(item(DataType::Decimal128(9, 2))), true),
    ];
    for types in [WireTypes::Compatible, WireTypes::Native] {
        let wire = wire_schema(&Schema::new(fields.clone()), types);
        let said = |column: usize, key: &str| wire.field(column).metadata().get(key).map(String::as_str);
        let digits = |column| (said(column, "ARROW:FLIGHT:SQL:PRECISION"), said(column, "ARROW:FLIGHT:SQL:SCALE"));
        assert_eq!(digits(0), (Some("12"), Some("2")));
        // What does not fit goes as text, which has no digits to tell.
        let kept = types == WireTypes::Native;
        assert_eq!(digits(1), if kept { (Some("50"), Some("0")) } else { (None, None) });
        assert_eq!((digits(2), digits(3)), ((None, None), (None, None)));
        assert_eq!(wire_schema(&wire, types), wire, "a fixed point");
    }
}

#[test]
fn times_are_bound_in_milliseconds() {
    let zone = Some("UTC".into());
    let pairs = [
        (DataType::Timestamp(TimeUnit::Nanosecond, None), DataType::Timestamp(TimeUnit::Millisecond, None)),
        (DataType::Timestamp(TimeUnit::Second, zone.clone()), DataType::Timestamp(TimeUnit::Millisecond, zone)),
        (DataType::Time64(TimeUnit::Nanosecond), DataType::Time32(TimeUnit::Millisecond)),
        (DataType::Date32, DataType::Date32),
        (DataType::Utf8View, DataType::Utf8),
        (DataType::Null, DataType::Null),
    ];
    for (wanted, told) in pairs {
        let schema = Schema::new(vec![Field::new("$1", wanted.clone(), true)]);
        let types = |types| parameter_schema(&schema, types).field(0).data_type().clone();
        assert_eq!((types(WireTypes::Compatible), types(WireTypes::Native)), (told, wanted));
    }
}

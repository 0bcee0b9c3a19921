//! Every type's values arrive unchanged, at the top, nested, sliced and with nulls.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryViewArray, Date32Array, Decimal32Array, Decimal256Array, DictionaryArray,
    FixedSizeListArray, Float32Array, Int32Array, Int64Array, LargeBinaryArray, LargeListArray, LargeStringArray,
    ListArray, ListViewArray, MapArray, RecordBatch, RunArray, StringArray, StringViewArray, StructArray,
    Time64NanosecondArray, TimestampMicrosecondArray, TimestampNanosecondArray, UnionArray, new_empty_array,
};
use arrow::buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::compute::{cast, concat};
use arrow::datatypes::{DataType, Field, Int32Type, Schema, TimeUnit, UnionFields, i256};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use meshgate_gateway::WireTypes;

use super::{adapt, adapt_batch};
use crate::Error;
use crate::wire::types::{wire_schema, wire_type};

/// Four values of every type that is changed, one of them null where that can be.
fn arrays() -> Vec<ArrayRef> {
    let texts = [Some("a"), None, Some("a text that is too long for a view"), Some("")];
    let bytes = texts.map(|text| text.map(str::as_bytes));
    let strings: ArrayRef = Arc::new(StringViewArray::from(texts.to_vec()));
    let item = Arc::new(Field::new("item", DataType::Utf8View, true));
    let lists = || OffsetBuffer::<i64>::from_lengths([1, 0, 2, 1]);
    let nulls = Some(NullBuffer::from(vec![true, false, true, true]));
    let half = cast(&Float32Array::from(vec![Some(1.5), None, Some(-3.25), Some(0.5)]), &DataType::Float16);
    vec![
        strings.clone(),
        Arc::new(LargeStringArray::from(texts.to_vec())),
        Arc::new(BinaryViewArray::from(bytes.to_vec())),
        Arc::new(LargeBinaryArray::from(bytes.to_vec())),
        Arc::new(DictionaryArray::<Int32Type>::new(
            Int32Array::from(vec![Some(2), None, Some(0), Some(1)]),
            strings.clone(),
        )),
        Arc::new(
            RunArray::try_new(
                &Int32Array::from(vec![1, 2, 4]),
                &StringViewArray::from(vec![Some("x"), None, Some("y")]),
            )
            .expect("runs"),
        ),
        Arc::new(LargeListArray::new(item.clone(), lists(), strings.clone(), nulls.clone())),
        Arc::new(ListArray::new(
            item.clone(),
            OffsetBuffer::from_lengths([1, 0, 2, 1]),
            strings.clone(),
            nulls.clone(),
        )),
        Arc::new(ListViewArray::new(
            item,
            ScalarBuffer::from(vec![2, 0, 1, 0]),
            ScalarBuffer::from(vec![2, 0, 1, 4]),
            strings.clone(),
            nulls.clone(),
        )),
        Arc::new(
            Decimal32Array::from(vec![Some(123), None, Some(-5), Some(0)])
                .with_precision_and_scale(9, 2)
                .expect("fits"),
        ),
        Arc::new(decimal256(38)),
        Arc::new(decimal256(50)),
        half.expect("exact"),
        Arc::new(Time64NanosecondArray::from(vec![Some(1_000), None, Some(86_399_999_999_000), Some(0)])),
        Arc::new(Int64Array::from(vec![Some(1), None, Some(3), Some(4)])),
    ]
}

fn decimal256(precision: u8) -> Decimal256Array {
    let values = [Some(12_345), None, Some(-1), Some(0)].map(|value| value.map(i256::from_i128));
    Decimal256Array::from(values.to_vec()).with_precision_and_scale(precision, 3).expect("fits")
}

/// All nestings of four values in four values.
fn nested(array: &ArrayRef) -> Vec<ArrayRef> {
    let data_type = array.data_type().clone();
    let field = Arc::new(Field::new("item", data_type.clone(), true));
    let twice = concat(&[array, array]).expect("same type");
    let structs = StructArray::new(vec![field.clone()].into(), vec![array.clone()], None);
    let keys: ArrayRef = Arc::new(StringArray::from(vec!["k"; 4]));
    let entries = vec![Field::new("keys", DataType::Utf8, false), Field::new("values", data_type.clone(), true)];
    let entries = StructArray::new(entries.into(), vec![keys, array.clone()], None);
    let entry = Arc::new(Field::new("entries", entries.data_type().clone(), false));
    let union = UnionArray::try_new(
        [(2_i8, field.clone())].into_iter().collect::<UnionFields>(),
        ScalarBuffer::from(vec![2_i8; 4]),
        Some(ScalarBuffer::from(vec![3, 1, 2, 0])),
        vec![array.clone()],
    );
    vec![
        Arc::new(ListArray::new(field.clone(), OffsetBuffer::from_lengths([2, 1, 0, 1]), array.clone(), None)),
        Arc::new(FixedSizeListArray::new(field, 2, twice, None)),
        Arc::new(structs),
        Arc::new(MapArray::new(entry, OffsetBuffer::from_lengths([1, 1, 0, 2]), entries, None, false)),
        Arc::new(union.expect("a union")),
    ]
}

/// Values as text: numbers of all widths and texts of all layouts look the same.
fn shown(array: &dyn Array) -> Vec<String> {
    let options = FormatOptions::new().with_null("NULL");
    let format = ArrayFormatter::try_new(array, &options).expect("printable");
    (0..array.len()).map(|row| format.value(row).to_string()).collect()
}

#[test]
fn values_arrive_unchanged() {
    let arrays = arrays();
    let once: Vec<ArrayRef> = arrays.iter().flat_map(nested).collect();
    let twice: Vec<ArrayRef> = once.iter().flat_map(nested).collect();
    for array in arrays.iter().chain(&once).chain(&twice) {
        let to = wire_type(array.data_type(), WireTypes::Compatible);
        let empty = adapt(&new_empty_array(array.data_type()), &to).expect("an empty array fits");
        assert_eq!((empty.data_type(), empty.len()), (&to, 0));
        for (from, len) in [(0, 4), (1, 2), (3, 1), (0, 0)] {
            let slice = array.slice(from, len);
            let adapted = adapt(&slice, &to).unwrap_or_else(|error| panic!("{} to {to}: {error:?}", slice.data_type()));
            assert_eq!(adapted.data_type(), &to);
            assert_eq!(shown(&adapted), shown(&slice), "{} from {from}", slice.data_type());
        }
        assert_eq!(
            &adapt(array, &wire_type(array.data_type(), WireTypes::Native)).expect("native").to_data(),
            &array.to_data()
        );
    }
}

#[test]
fn what_would_lose_something_is_refused() {
    let times: ArrayRef = Arc::new(Time64NanosecondArray::from(vec![1_000, 1_001]));
    let to = wire_type(times.data_type(), WireTypes::Compatible);
    assert!(matches!(adapt(&times, &to), Err(Error::Inexact { .. })));
    assert!(adapt(&times.slice(0, 1), &to).is_ok());
}

#[test]
fn slices_take_only_their_own_children() {
    let values: ArrayRef =
        Arc::new(StringViewArray::from_iter_values((0..1000).map(|n| format!("value number {n:04}"))));
    let field = Arc::new(Field::new("item", DataType::Utf8View, true));
    let lists: ArrayRef = Arc::new(ListArray::new(field, OffsetBuffer::from_lengths([10; 100]), values, None));
    let to = wire_type(lists.data_type(), WireTypes::Compatible);
    let adapted = adapt(&lists.slice(50, 2), &to).expect("adapts");
    assert_eq!(adapted.as_list::<i32>().values().len(), 20);
}

#[test]
fn batches_keep_rows_without_columns() {
    let schema = Arc::new(Schema::empty());
    let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(3));
    let batch = RecordBatch::try_new_with_options(schema.clone(), vec![], &options).expect("three rows");
    assert_eq!(adapt_batch(&batch, &wire_schema(&schema, WireTypes::Compatible)).expect("adapts").num_rows(), 3);
}

#[test]
fn nanoseconds_are_exact_or_an_error() {
    let stamp = |unit| DataType::Timestamp(unit, None);
    let nanos = stamp(TimeUnit::Nanosecond);
    let day: i64 = 86_400_000_000_000;
    let good: [ArrayRef; 2] = [
        Arc::new(Date32Array::from(vec![Some(1), None, Some(-1)])),
        Arc::new(TimestampMicrosecondArray::from(vec![Some(day / 1000), None, Some(-day / 1000)])),
    ];
    for given in good {
        let adapted = adapt(&given, &nanos).expect("within the years of nanoseconds");
        let expected = TimestampNanosecondArray::from(vec![Some(day), None, Some(-day)]);
        assert_eq!(adapted.as_ref(), &expected as &dyn Array, "{}", given.data_type());
    }
    let far: [ArrayRef; 2] = [
        // 9999-12-31, as much data has it for "never".
        Arc::new(Date32Array::from(vec![2_932_896])),
        Arc::new(TimestampMicrosecondArray::from(vec![253_402_214_400_000_000])),
    ];
    for given in far {
        assert!(matches!(adapt(&given, &nanos), Err(Error::Inexact { .. })), "{}", given.data_type());
    }
}

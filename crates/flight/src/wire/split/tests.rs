//! No message of 4 MiB or more, whatever the rows look like.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryViewArray, DictionaryArray, Int32Array, Int64Array, ListArray, RecordBatch, RunArray, StringArray,
    StringViewArray, StructArray, UInt8Array,
};
use arrow::buffer::OffsetBuffer;
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Field, Int32Type};
use meshgate_gateway::WireTypes;
use proptest::prelude::*;

use super::{TARGET_BYTES, split};
use crate::wire::adapt::adapt_batch;
use crate::wire::encode::encode_now;
use crate::wire::types::wire_schema;

const MIB: usize = 1024 * 1024;

fn batch(columns: Vec<ArrayRef>) -> RecordBatch {
    let named = columns.into_iter().enumerate().map(|(at, column)| (at.to_string(), column));
    RecordBatch::try_from_iter(named).expect("equal lengths")
}

/// Rows of these lengths, in every layout that has lengths.
fn layouts(lengths: &[usize]) -> Vec<RecordBatch> {
    let texts: Vec<String> = lengths.iter().map(|length| "x".repeat(*length)).collect();
    let total = lengths.iter().sum();
    let bytes: ArrayRef = Arc::new(UInt8Array::from(vec![7; total]));
    let item = Arc::new(Field::new("item", DataType::UInt8, false));
    let lists = Arc::new(ListArray::new(item, OffsetBuffer::from_lengths(lengths.iter().copied()), bytes, None));
    let strings: ArrayRef = Arc::new(StringArray::from_iter_values(&texts));
    let field = Arc::new(Field::new("a", DataType::Utf8, false));
    let structs = Arc::new(StructArray::new(vec![field].into(), vec![strings.clone()], None));
    let keys = Int32Array::from_iter_values(0..lengths.len() as i32);
    let ends = Int32Array::from_iter_values(1..=lengths.len() as i32);
    vec![
        batch(vec![strings.clone()]),
        batch(vec![Arc::new(StringViewArray::from_iter_values(&texts))]),
        batch(vec![
            Arc::new(BinaryViewArray::from_iter_values(&texts)),
            Arc::new(Int64Array::from(vec![1; lengths.len()])),
        ]),
        batch(vec![lists]),
        batch(vec![structs]),
        batch(vec![Arc::new(DictionaryArray::<Int32Type>::new(keys, strings.clone()))]),
        batch(vec![Arc::new(RunArray::try_new(&ends, strings.as_ref()).expect("runs"))]),
    ]
}

/// The largest message and how many there are.
fn sizes(parts: &[RecordBatch]) -> Vec<usize> {
    parts
        .iter()
        .map(|part| {
            let wire = adapt_batch(part, &wire_schema(&part.schema(), WireTypes::Compatible)).expect("adapts");
            let messages = encode_now(&wire).expect("encodes");
            assert_eq!(messages.len(), 2, "no further cut");
            prost::Message::encoded_len(&messages[1])
        })
        .collect()
}

#[test]
fn skewed_rows_are_cut_by_their_bytes() {
    let mut skewed = vec![10; 8192];
    skewed[4000..4004].fill(MIB);
    let mut growing: Vec<usize> = (0..4096).map(|row| row / 4).collect();
    growing.extend([3 * MIB, 1, 1, 5 * MIB, 1]);
    for lengths in [vec![0; 8192], vec![1000; 8192], skewed, growing, vec![MIB; 5]] {
        for whole in layouts(&lengths) {
            let parts = split(&whole, TARGET_BYTES);
            assert_eq!(parts.iter().map(RecordBatch::num_rows).sum::<usize>(), lengths.len());
            for (part, bytes) in parts.iter().zip(sizes(&parts)) {
                assert!(bytes < 4 * MIB || part.num_rows() == 1, "{bytes} bytes for {} rows", part.num_rows());
                assert!(bytes < 2 * MIB || part.num_rows() == 1, "{bytes} bytes are above what is good");
            }
        }
    }
}

#[test]
fn messages_are_not_needlessly_small() {
    for whole in layouts(&vec![1000; 16_384]) {
        let sizes = sizes(&split(&whole, TARGET_BYTES));
        assert!(sizes.iter().rev().skip(1).all(|bytes| *bytes > MIB), "{sizes:?}");
    }
    let numbers = batch(vec![Arc::new(Int64Array::from(vec![5; 1_000_000]))]);
    let sizes = sizes(&split(&numbers, TARGET_BYTES));
    assert!(sizes.len() <= 6 && sizes.iter().all(|bytes| *bytes < 2 * MIB), "{sizes:?}");
}

#[test]
fn dictionaries_without_values_have_a_size() {
    let nulls = DictionaryArray::<Int32Type>::from_iter([None::<&str>; 3]);
    let whole = batch(vec![Arc::new(nulls)]);
    assert_eq!(split(&whole, TARGET_BYTES), [whole]);
}

#[test]
fn small_and_empty_batches_stay_whole() {
    for rows in [0, 1, 100] {
        let whole = batch(vec![Arc::new(Int64Array::from(vec![1; rows]))]);
        assert_eq!(split(&whole, TARGET_BYTES), [whole]);
    }
    assert_eq!(split(&layouts(&[])[0], TARGET_BYTES).len(), 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn parts_are_the_whole_and_within_bounds(
        lengths in proptest::collection::vec(prop_oneof![4 => 0..50_usize, 1 => 0..3000_usize], 0..200),
        target in 64..4096_usize,
    ) {
        for whole in layouts(&lengths) {
            let parts = split(&whole, target);
            prop_assert_eq!(&concat_batches(&whole.schema(), &parts).expect("same schema"), &whole);
            for part in &parts {
                prop_assert!(part.num_rows() > 0 || lengths.is_empty());
            }
        }
        // The bytes of texts alone, which the estimate must cover.
        let whole = &layouts(&lengths)[0];
        let mut from = 0;
        for part in split(whole, target) {
            let bytes: usize = lengths[from..from + part.num_rows()].iter().sum();
            prop_assert!(bytes <= target || part.num_rows() == 1);
            from += part.num_rows();
        }
    }
}

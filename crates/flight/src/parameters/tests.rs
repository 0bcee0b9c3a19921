//! What is taken as parameters, and what only looks like it.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Decimal128Array, DictionaryArray, FixedSizeBinaryArray, Float64Array,
    Int32Array, Int64Array, ListArray, NullArray, RecordBatch, RunArray, StringArray, StringViewArray, StructArray,
};
use arrow::datatypes::{Field, Int32Type};
use arrow::ipc::CompressionType;
use arrow::ipc::writer::IpcWriteOptions;
use arrow_flight::FlightData;
use arrow_flight::encode::FlightDataEncoderBuilder;
use futures::executor::block_on;
use futures::{StreamExt, TryStreamExt};
use meshgate_fuzzing::Fuzz;
use prost::Message;

use super::read;
use crate::Error;

const LIMIT_BYTES: usize = 1 << 20;

/// A stream of messages as one, so that what changes messages can change it.
#[derive(Clone, PartialEq, Message)]
struct Messages {
    #[prost(message, repeated, tag = "1")]
    all: Vec<FlightData>,
}

fn messages(batches: Vec<RecordBatch>, compression: Option<CompressionType>) -> Messages {
    let options = IpcWriteOptions::default().try_with_compression(compression).expect("a codec");
    let stream = FlightDataEncoderBuilder::new()
        .with_options(options)
        .with_dictionary_handling(arrow_flight::encode::DictionaryHandling::Resend)
        .build(futures::stream::iter(batches.into_iter().map(Ok)));
    Messages { all: block_on(stream.try_collect()).expect("encodes") }
}

fn decoded(messages: Messages) -> Result<Option<RecordBatch>, Error> {
    block_on(read(futures::stream::iter(messages.all).map(Ok), LIMIT_BYTES))
}

/// One batch for each way in which values are laid out.
fn batches() -> Vec<RecordBatch> {
    let strings = || StringArray::from(vec![Some("ana"), None, Some("a text of more than twelve bytes")]);
    let numbers = || Int32Array::from(vec![1, 2, 3]);
    let lists = ListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(1), None]), None, Some(vec![])]);
    let structs = StructArray::from(vec![
        (Arc::new(Field::new("a", arrow::datatypes::DataType::Int32, true)), Arc::new(numbers()) as ArrayRef),
        (Arc::new(Field::new("b", arrow::datatypes::DataType::Utf8, true)), Arc::new(strings())),
    ]);
    let dictionary: DictionaryArray<Int32Type> = ["a", "b", "a"].into_iter().collect();
    let runs = RunArray::<Int32Type>::try_new(&Int32Array::from(vec![1, 3]), &StringArray::from(vec!["a", "b"]));
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from(vec![Some(1), None, Some(i64::MAX)])),
        Arc::new(Float64Array::from(vec![1.5, f64::NAN, 0.0])),
        Arc::new(BooleanArray::from(vec![true, false, true])),
        Arc::new(strings()),
        Arc::new(StringViewArray::from_iter(strings().iter())),
        Arc::new(BinaryArray::from(vec![b"x".as_slice(), b"", b"yy"])),
        Arc::new(FixedSizeBinaryArray::try_from_iter([[1_u8; 4]; 3].iter()).expect("equal sizes")),
        Arc::new(Decimal128Array::from(vec![1, 2, 3])),
        Arc::new(lists),
        Arc::new(structs),
        Arc::new(dictionary),
        Arc::new(runs.expect("runs")),
        Arc::new(NullArray::new(3)),
    ];
    let one = |column: &ArrayRef| RecordBatch::try_from_iter([("0", column.clone())]).expect("one column");
    let mut batches: Vec<_> = columns.iter().map(one).collect();
    let all = columns.iter().enumerate().map(|(number, column)| (number.to_string(), column.clone()));
    batches.push(RecordBatch::try_from_iter(all).expect("equal lengths"));
    batches
}

#[test]
fn every_layout_is_read_and_rows_come_together() {
    for batch in batches() {
        assert_eq!(decoded(messages(vec![batch.clone()], None)).expect("reads"), Some(batch.clone()));
        let twice = decoded(messages(vec![batch.clone(), batch.clone()], None)).expect("reads").expect("columns");
        assert_eq!(twice.num_rows(), 2 * batch.num_rows());
    }
    assert_eq!(decoded(Messages::default()).expect("nothing"), None);
}

#[test]
fn bombs_are_refused_before_they_are_unpacked() {
    let zeros = Arc::new(Int64Array::from(vec![0; 60_000])) as ArrayRef;
    let zeros = RecordBatch::try_from_iter([("0", zeros)]).expect("one column");
    for codec in [CompressionType::LZ4_FRAME, CompressionType::ZSTD] {
        let mut packed = messages(vec![zeros.clone()], Some(codec));
        let body = packed.all[1].data_body.to_vec();
        assert!(body.len() < 10_000, "{codec:?}: {}", body.len());
        for declared in [zeros.num_rows() as i64 * 8, 1 << 46, i64::MAX, -2, 0] {
            packed.all[1].data_body = [&declared.to_le_bytes(), &body[8..]].concat().into();
            assert!(matches!(decoded(packed.clone()), Err(Error::Malformed(_))), "{codec:?}, {declared}");
        }
    }
    let large = messages(vec![zeros.clone(), zeros.clone(), zeros], None);
    assert!(matches!(decoded(large), Err(Error::TooLarge { .. })));
}

#[test]
fn fuzz_parameters() {
    let plain = batches().into_iter().map(|batch| messages(vec![batch], None));
    let twice = |batch: &RecordBatch, codec| messages(vec![batch.clone(), batch.clone()], codec);
    let several = [twice(&batches()[10], None), twice(&batches()[3], Some(CompressionType::ZSTD))];
    let inputs = plain.chain(several).map(|messages| messages.encode_to_vec());
    // Nothing is unpacked, so nothing takes much more than was sent.
    Fuzz::message("parameters").all(inputs).inputs(20_000).bytes_max(16 * 1024).held_max(4 << 20).run(|input| {
        let Ok(messages) = Messages::decode(input) else { return Ok("no messages".to_owned()) };
        match decoded(messages) {
            Ok(Some(_)) => Ok("rows".to_owned()),
            Ok(None) => Ok("nothing".to_owned()),
            Err(Error::Parameters(error)) => Ok(error.to_string()),
            Err(error @ (Error::Malformed(_) | Error::TooLarge { .. })) => Ok(error.to_string()),
            Err(other) => Err(format!("{other:?}")),
        }
    });
}

//! What a client decodes is what was sent, and dropping or failing does what it should.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow::array::{
    Array, ArrayRef, DictionaryArray, Int64Array, ListArray, RecordBatch, StringArray, StringViewArray, StructArray,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, Int32Type, Schema};
use arrow::ipc::CompressionType;
use arrow::ipc::writer::IpcWriteOptions;
use arrow_flight::decode::FlightRecordBatchStream;
use arrow_flight::error::FlightError;
use futures::{StreamExt, TryStreamExt};
use meshgate_gateway::WireTypes;
use meshgate_model::{Fingerprint, QueryId};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tonic::Code;

use super::{Messages, encode_stream};
use crate::running::Running;
use crate::seal::tests::Counting;
use crate::shelf::tests::Hand;
use crate::wire::types::wire_schema;
use crate::{Error, Settings};

const ANA: Fingerprint = Fingerprint([1; 32]);

fn running() -> (watch::Sender<bool>, Running) {
    let (stop, stops) = watch::channel(false);
    let settings = Settings::new([0; 32], Arc::new(Hand::default()), Arc::new(Counting::default()));
    (stop, Running::new(&settings, stops))
}

fn rows() -> RecordBatch {
    let texts = ["a text that is too long for a view", "b", "b"];
    let dictionary: DictionaryArray<Int32Type> = texts.into_iter().collect();
    let columns: [(&str, ArrayRef); 3] = [
        ("n", Arc::new(Int64Array::from(vec![1, 2, 3]))),
        ("t", Arc::new(StringViewArray::from(texts.to_vec()))),
        ("d", Arc::new(dictionary)),
    ];
    RecordBatch::try_from_iter(columns).expect("equal lengths")
}

fn messages(running: &Running, batches: Vec<Result<RecordBatch, Error>>, types: WireTypes) -> Messages {
    let schema = wire_schema(&rows().schema(), types);
    let batches = futures::stream::iter(batches).boxed();
    encode_stream(
        batches,
        schema,
        IpcWriteOptions::default(),
        running.begin(QueryId(1), ANA).expect("not cancelled"),
        CancellationToken::new(),
    )
}

#[tokio::test]
async fn clients_decode_what_was_sent() {
    let (_stop, running) = running();
    for types in [WireTypes::Compatible, WireTypes::Native] {
        for batches in [0, 1, 3] {
            let sent = messages(&running, (0..batches).map(|_| Ok(rows())).collect(), types);
            let mut decoded = FlightRecordBatchStream::new_from_flight_data(sent.map_err(FlightError::from));
            let mut received = Vec::new();
            while let Some(batch) = decoded.try_next().await.expect("decodes") {
                received.push(batch);
            }
            let schema = wire_schema(&rows().schema(), types);
            assert_eq!(decoded.schema(), Some(&schema), "the schema comes even without rows");
            assert_eq!(received.len(), batches);
            for batch in received {
                assert_eq!(batch.schema(), schema);
                let texts = arrow::compute::cast(batch.column(1), &DataType::Utf8).expect("text");
                let expected: ArrayRef =
                    Arc::new(StringArray::from(vec!["a text that is too long for a view", "b", "b"]));
                assert_eq!(&texts, &expected);
                assert_eq!(&arrow::compute::cast(batch.column(2), &DataType::Utf8).expect("text"), &expected);
            }
        }
    }
}

#[tokio::test]
async fn compresses_if_asked() {
    let (_stop, running) = running();
    let zeros: ArrayRef = Arc::new(Int64Array::from(vec![0; 10_000]));
    let batch = RecordBatch::try_from_iter([("n", zeros)]).expect("one column");
    for codec in [CompressionType::LZ4_FRAME, CompressionType::ZSTD] {
        let options = IpcWriteOptions::default().try_with_compression(Some(codec)).expect("built in");
        let one = futures::stream::iter([Ok(batch.clone())]).boxed();
        let sent = encode_stream(
            one,
            batch.schema(),
            options,
            running.begin(QueryId(1), ANA).expect("not cancelled"),
            CancellationToken::new(),
        );
        let messages: Vec<_> = sent.try_collect().await.expect("encodes");
        assert!(messages[1].data_body.len() < 10_000, "{codec:?}");
        let stream = futures::stream::iter(messages.into_iter().map(Ok));
        let decoded: Vec<_> =
            FlightRecordBatchStream::new_from_flight_data(stream).try_collect().await.expect("decodes");
        assert_eq!(decoded, std::slice::from_ref(&batch));
    }
}

#[tokio::test]
async fn what_waits_when_rights_end_is_not_sent() {
    let (_stop, running) = running();
    let revoked = CancellationToken::new();
    let schema = wire_schema(&rows().schema(), WireTypes::Compatible);
    let batches = futures::stream::repeat_with(|| Ok(rows())).boxed();
    let options = IpcWriteOptions::default();
    let mut sent = encode_stream(
        batches,
        schema,
        options,
        running.begin(QueryId(1), ANA).expect("not cancelled"),
        revoked.clone(),
    );
    assert!(sent.next().await.is_some_and(|message| message.is_ok()), "the schema");
    // The task has filled the channel once it is seen to wait.
    while sent.receiver.len() < super::MESSAGES_WAITING_MAX {
        tokio::task::yield_now().await;
    }
    revoked.cancel();
    let end = sent.next().await.expect("an end").expect_err("no row after the end of rights");
    assert_eq!(end.code(), Code::PermissionDenied);
    assert!(sent.next().await.is_none());
}

#[tokio::test]
async fn failures_end_the_stream_with_a_status() {
    let (_stop, running) = running();
    let sent = messages(&running, vec![Ok(rows()), Err(Error::Gone), Ok(rows())], WireTypes::Compatible);
    let received: Vec<_> = sent.collect().await;
    assert_eq!(received.len(), 3, "schema, rows, failure");
    let failure = received[2].as_ref().expect_err("the failure");
    assert_eq!(failure.code(), Code::NotFound);
    assert_eq!(
        failure.metadata().get(crate::status::QUERY_ID).and_then(|id| id.to_str().ok()),
        Some(&*QueryId(1).to_string())
    );

    let panics = futures::stream::once(async { panic!("a fault of ours") }).boxed();
    let schema = wire_schema(&rows().schema(), WireTypes::Compatible);
    let sent = encode_stream(
        panics,
        schema,
        IpcWriteOptions::default(),
        running.begin(QueryId(1), ANA).expect("not cancelled"),
        CancellationToken::new(),
    );
    let received: Vec<_> = sent.collect().await;
    let failure = received.last().and_then(|last| last.as_ref().err()).expect("not the end of the rows");
    assert_eq!(failure.code(), Code::Internal);
}

#[tokio::test]
async fn a_value_that_contradicts_the_schema_is_a_failure() {
    let (_stop, running) = running();
    let nulls: ArrayRef = Arc::new(Int64Array::from(vec![None::<i64>]));
    let batch = RecordBatch::try_from_iter([("n", nulls)]).expect("one column");
    let promised = Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, false)]));
    let one = futures::stream::iter([Ok(batch)]).boxed();
    let sent = encode_stream(
        one,
        promised,
        IpcWriteOptions::default(),
        running.begin(QueryId(1), ANA).expect("not cancelled"),
        CancellationToken::new(),
    );
    let received: Vec<_> = sent.collect().await;
    assert_eq!(received[1].as_ref().expect_err("a failure").code(), Code::Internal);
}

/// Says when it is dropped.
struct Tell(Arc<AtomicBool>);

impl Drop for Tell {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn dropping_or_stopping_ends_the_execution() {
    for cancel in [false, true] {
        let (_stop, running) = running();
        let dropped = Arc::new(AtomicBool::new(false));
        let tell = Tell(dropped.clone());
        let endless = futures::stream::unfold(tell, |tell| async move {
            tokio::task::yield_now().await;
            Some((Ok(rows()), tell))
        });
        let schema = wire_schema(&rows().schema(), WireTypes::Compatible);
        let stop = running.begin(QueryId(1), ANA).expect("not cancelled");
        let mut sent =
            encode_stream(endless.boxed(), schema, IpcWriteOptions::default(), stop, CancellationToken::new());
        assert!(sent.next().await.expect("a message").is_ok());
        if cancel {
            running.cancel(QueryId(1), ANA);
            let last = sent.by_ref().filter_map(|message| std::future::ready(message.err())).next().await;
            assert_eq!(last.expect("it ends").code(), Code::Cancelled);
        } else {
            drop(sent);
        }
        let gone = async {
            while !dropped.load(Ordering::SeqCst) {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(1), gone).await.expect("within a second");
        assert!(!running.streams(QueryId(1)), "off the list");
    }
}

#[tokio::test]
async fn what_nested_views_point_to_is_cut_with_the_rows() {
    let (_stop, running) = running();
    let texts = StringViewArray::from_iter_values((0..200).map(|n| format!("{n:03}").repeat(20_000)));
    let nested =
        StructArray::from(vec![(Arc::new(Field::new("t", DataType::Utf8View, true)), Arc::new(texts) as ArrayRef)]);
    let lists = ListArray::new(
        Arc::new(Field::new_list_field(nested.data_type().clone(), true)),
        OffsetBuffer::from_lengths(std::iter::repeat_n(1, 200)),
        Arc::new(nested),
        None,
    );
    let batch = RecordBatch::try_from_iter([("l", Arc::new(lists) as ArrayRef)]).expect("one column");
    let (schema, one) = (batch.schema(), futures::stream::iter([Ok(batch.clone())]).boxed());
    let stop = running.begin(QueryId(1), ANA).expect("not cancelled");
    let sent = encode_stream(one, schema, IpcWriteOptions::default(), stop, CancellationToken::new());
    let sent: Vec<_> = sent.try_collect().await.expect("encodes");
    assert!(sent.len() > 5, "{} messages", sent.len());
    assert!(sent.iter().all(|message| message.data_body.len() < 4 << 20));
    let sent = futures::stream::iter(sent.into_iter().map(Ok::<_, FlightError>));
    let received: Vec<_> = FlightRecordBatchStream::new_from_flight_data(sent).try_collect().await.expect("decodes");
    assert_eq!(arrow::compute::concat_batches(&batch.schema(), &received).expect("one schema"), batch);
}

#[tokio::test]
async fn nothing_leaves_after_the_right_is_lost() {
    let (_stop, running) = running();
    let wide = StringArray::from_iter_values((0..64).map(|_| "x".repeat(1 << 20)));
    let batch = RecordBatch::try_from_iter([("t", Arc::new(wide) as ArrayRef)]).expect("one column");
    let revoked = CancellationToken::new();
    let one = futures::stream::iter([Ok(batch.clone())]).boxed();
    let stop = running.begin(QueryId(1), ANA).expect("not cancelled");
    let mut sent = encode_stream(one, batch.schema(), IpcWriteOptions::default(), stop, revoked.clone());
    sent.next().await.expect("the schema").expect("encodes");
    revoked.cancel();
    let rest = sent.collect::<Vec<_>>().await;
    assert!(rest.len() < 8, "{} more messages of one batch", rest.len());
    let end = rest.last().expect("an end").as_ref().expect_err("a refusal");
    assert_eq!(end.code(), Code::PermissionDenied);
}

//! Batches as messages, encoded on a task of its own so that executing, encoding and sending overlap.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, UInt32Array, make_array};
use arrow::compute::{cast, take};
use arrow::datatypes::{DataType, SchemaRef};
use arrow::ipc::writer::{DictionaryTracker, IpcDataGenerator, IpcWriteContext, IpcWriteOptions};
use arrow_flight::{FlightData, IpcMessage, SchemaAsIpc};
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{Stream, StreamExt};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use super::adapt::adapt_batch;
use super::split::{TARGET_BYTES, split};
use crate::Error;
use crate::running::Stop;
use crate::status::status;

/// Messages that may wait for the connection: few, as each is large.
const MESSAGES_WAITING_MAX: usize = 2;

/// A schema as FlightInfo and others carry it.
pub(crate) fn schema_bytes(schema: &SchemaRef) -> Result<Bytes, Error> {
    let IpcMessage(bytes) = SchemaAsIpc::new(schema, &IpcWriteOptions::default()).try_into()?;
    Ok(bytes)
}

/// A small result, encoded at once: the schema and the rows.
pub(crate) fn encode_now(batch: &RecordBatch) -> Result<Vec<FlightData>, Error> {
    let mut encoder = Encoder::new(batch.schema(), IpcWriteOptions::default());
    let mut messages = vec![encoder.schema_message()];
    for part in split(batch, TARGET_BYTES) {
        messages.extend(encoder.encode(&part)?);
    }
    Ok(messages)
}

/// A stream of rows as messages. Dropping it stops the rows' stream. Once the rights are revoked nothing more is sent, not
/// even of a batch that was read before.
pub(crate) fn encode_stream(
    rows: BoxStream<'static, Result<RecordBatch, Error>>,
    schema: SchemaRef,
    options: IpcWriteOptions,
    stop: Stop,
    revoked: CancellationToken,
) -> Messages {
    let (sender, receiver) = mpsc::channel(MESSAGES_WAITING_MAX);
    let mut task = JoinSet::new();
    let lost = revoked.clone();
    task.spawn(async move {
        let end = tokio::select! {
            biased;
            why = stop.stopped() => Err(Error::Stopped(why)),
            () = lost.cancelled() => Err(Error::Gateway(meshgate_gateway::Error::Revoked)),
            end = pump(rows, Encoder::new(schema, options), &sender) => end,
        };
        if let Err(error) = end {
            let error = Error::in_query(stop.id())(error);
            // Nobody is left to be told if this fails.
            sender.send(Err(status(&error))).await.ok();
        }
    });
    Messages { receiver, revoked, task }
}

async fn pump(
    mut rows: BoxStream<'static, Result<RecordBatch, Error>>,
    mut encoder: Encoder,
    sender: &mpsc::Sender<Result<FlightData, Status>>,
) -> Result<(), Error> {
    const LEFT: Error = Error::Stopped("the client went away");
    sender.send(Ok(encoder.schema_message())).await.map_err(|_| LEFT)?;
    while let Some(batch) = rows.next().await.transpose()? {
        if batch.num_rows() == 0 {
            continue;
        }
        for part in split(&batch, TARGET_BYTES) {
            for message in encoder.encode(&part)? {
                sender.send(Ok(message)).await.map_err(|_| LEFT)?;
            }
        }
    }
    Ok(())
}

/// The messages of a running query.
pub(crate) struct Messages {
    receiver: mpsc::Receiver<Result<FlightData, Status>>,
    revoked: CancellationToken,
    /// INVARIANT: dropped with the stream, which aborts the task and with it the execution.
    task: JoinSet<()>,
}

impl Stream for Messages {
    type Item = Result<FlightData, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        while let Some(message) = ready!(self.receiver.poll_recv(context)) {
            // What waited for a slow client when its rights ended is not sent either; why is what comes last.
            if message.is_err() || !self.revoked.is_cancelled() {
                return Poll::Ready(Some(message));
            }
        }
        // A task that panicked must not look like the end of the rows.
        let ended = ready!(self.task.poll_join_next(context));
        Poll::Ready(ended.and_then(Result::err).map(|error| Err(status(&Error::Task(error)))))
    }
}

struct Encoder {
    schema: SchemaRef,
    generator: IpcDataGenerator,
    dictionaries: DictionaryTracker,
    options: IpcWriteOptions,
    context: IpcWriteContext,
}

impl Encoder {
    fn new(schema: SchemaRef, options: IpcWriteOptions) -> Self {
        let (generator, context) = (IpcDataGenerator::default(), IpcWriteContext::default());
        Self { schema, generator, dictionaries: DictionaryTracker::new(false), options, context }
    }

    fn schema_message(&mut self) -> FlightData {
        let Self { schema, generator, dictionaries, options, .. } = self;
        generator.schema_to_bytes_with_dictionary_tracker(schema, dictionaries, options).into()
    }

    fn encode(&mut self, batch: &RecordBatch) -> Result<Vec<FlightData>, Error> {
        let batch = compact(&adapt_batch(batch, &self.schema)?)?;
        let Self { generator, dictionaries, options, context, .. } = self;
        let (dictionaries, batch) = generator.encode(&batch, dictionaries, options, context)?;
        Ok(dictionaries.into_iter().chain([batch]).map(FlightData::from).collect())
    }
}

/// Native types that point into buffers carry them whole, however few of their rows are left: copy what is pointed to.
fn compact(batch: &RecordBatch) -> Result<RecordBatch, Error> {
    if !batch.columns().iter().any(|column| points(column.data_type())) {
        return Ok(batch.clone());
    }
    let columns = batch.columns().iter().map(compact_array);
    Ok(RecordBatch::try_new(batch.schema(), columns.collect::<Result<_, _>>()?)?)
}

/// Whether values of the type are, or hold, pointers into buffers.
fn points(data_type: &DataType) -> bool {
    match data_type {
        DataType::Utf8View | DataType::BinaryView | DataType::ListView(_) | DataType::LargeListView(_) => true,
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::FixedSizeList(item, _)
        | DataType::Map(item, _) => points(item.data_type()),
        DataType::Struct(fields) => fields.iter().any(|field| points(field.data_type())),
        DataType::Dictionary(_, values) => points(values),
        _ => false,
    }
}

fn compact_array(array: &ArrayRef) -> Result<ArrayRef, Error> {
    if !points(array.data_type()) {
        return Ok(array.clone());
    }
    Ok(match array.data_type() {
        DataType::Utf8View => Arc::new(array.as_string_view().gc()),
        DataType::BinaryView => Arc::new(array.as_binary_view().gc()),
        DataType::ListView(item) => {
            let list = compact_array(&cast(array, &DataType::List(item.clone()))?)?;
            cast(&list, array.data_type())?
        }
        DataType::LargeListView(item) => {
            let list = compact_array(&cast(array, &DataType::LargeList(item.clone()))?)?;
            cast(&list, array.data_type())?
        }
        _ => {
            // Taking every row leaves out what a slice of lists does not point to.
            let rows = u32::try_from(array.len()).map_err(|_| Error::Malformed("a batch of too many rows"))?;
            let data = take(array, &UInt32Array::from_iter_values(0..rows), None)?.to_data();
            let children =
                data.child_data().iter().map(|child| Ok(compact_array(&make_array(child.clone()))?.to_data()));
            let children = children.collect::<Result<Vec<_>, Error>>()?;
            make_array(data.into_builder().child_data(children).build()?)
        }
    })
}

#[cfg(test)]
mod tests;

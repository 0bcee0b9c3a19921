//! Values that clients bind to parameters: Arrow data of strangers, decoded within limits.

use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::ipc::root_as_message;
use arrow_flight::FlightData;
use arrow_flight::decode::FlightRecordBatchStream;
use arrow_flight::error::FlightError;
use futures::{FutureExt, Stream, StreamExt, TryStreamExt};

use crate::Error;

/// All rows of parameters, as one batch; nothing if there is no column.
pub(crate) async fn read(
    messages: impl Stream<Item = Result<FlightData, FlightError>> + Send + 'static,
    limit_bytes: usize,
) -> Result<Option<RecordBatch>, Error> {
    // SECURITY: the decoder believes what it is told of offsets, types and numbers of buffers, and panics where that is
    // wrong. Nothing outlives the panic: the stream, the decoder and what they hold are of this call.
    let decoded = AssertUnwindSafe(decode(messages, limit_bytes)).catch_unwind().await;
    decoded.unwrap_or_else(|_| Err(Error::Parameters("the decoder gave up".into())))
}

async fn decode(
    messages: impl Stream<Item = Result<FlightData, FlightError>> + Send + 'static,
    limit_bytes: usize,
) -> Result<Option<RecordBatch>, Error> {
    let taken = AtomicUsize::new(0);
    let messages = messages.map(move |message| {
        let message = message?;
        let bytes = message.data_body.len() + message.data_header.len();
        if taken.fetch_add(bytes, Ordering::Relaxed) + bytes > limit_bytes {
            return Err(FlightError::from_external_error(Box::new(Error::TooLarge { limit_bytes })));
        }
        if is_compressed(&message) {
            let error = Error::Malformed("parameters must not be compressed");
            return Err(FlightError::from_external_error(Box::new(error)));
        }
        Ok(message)
    });
    let mut batches = FlightRecordBatchStream::new_from_flight_data(messages);
    let mut parts = Vec::new();
    while let Some(part) = batches.try_next().await.map_err(|error| unreadable(error, limit_bytes))? {
        parts.push(part);
    }
    let Some(schema) = parts.first().map(RecordBatch::schema).or_else(|| batches.schema().cloned()) else {
        return Ok(None);
    };
    if schema.fields().is_empty() {
        return Ok(None);
    }
    concat_batches(&schema, &parts).map(Some).map_err(|error| Error::Parameters(Box::new(error)))
}

/// SECURITY: the decoder reserves as much as a compressed buffer says it will hold, and unpacks more than it says.
fn is_compressed(message: &FlightData) -> bool {
    let Ok(message) = root_as_message(&message.data_header) else { return false };
    let dictionary = message.header_as_dictionary_batch().and_then(|dictionary| dictionary.data());
    message.header_as_record_batch().or(dictionary).is_some_and(|batch| batch.compression().is_some())
}

/// What decoding failed of: our limit, the client's stream, or what it sent.
fn unreadable(error: FlightError, limit_bytes: usize) -> Error {
    match error {
        FlightError::ExternalError(error) => match error.downcast::<Error>() {
            Ok(error) => *error,
            Err(error) => Error::Parameters(error),
        },
        FlightError::Tonic(status) => Error::of_stream(*status, limit_bytes),
        other => Error::Parameters(Box::new(other)),
    }
}

#[cfg(test)]
mod tests;

//! Flight SQL as it travels, line by line of the checklist: the letters and numbers of the tests are those of the lines.
//! The client here is as raw as can be, so that headers, trailers, messages and exact bytes can be looked at.
//!
//! * `auth`: A, who calls.
//! * `queries`, `types`, `errors`: B, rows, in which types, and what is said when there are none.
//! * `prepared`: C. `metadata`: D. `sessions`: E, and what is not supported.
//! * `should`: S, in part in `transactions` and `endpoints`.
//! * `drivers`: the sequences of calls of the JDBC and ODBC drivers, as strict as they are.

mod auth;
mod drivers;
mod endpoints;
mod errors;
mod metadata;
mod prepared;
mod queries;
mod sessions;
mod shop;
mod should;
mod transactions;
mod types;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow_flight::decode::FlightRecordBatchStream;
use arrow_flight::error::FlightError;
use arrow_flight::flight_service_client::FlightServiceClient;
use arrow_flight::sql::{Any, CommandStatementQuery, ProstMessageExt};
use arrow_flight::{
    Action, FlightData, FlightDescriptor, FlightInfo, HandshakeRequest, HandshakeResponse, IpcMessage, PollInfo,
    PutResult, SchemaResult, Ticket,
};
use bytes::Bytes;
use futures::TryStreamExt;
use meshgate_model::{Clock, Instant, Secret};
use meshgate_testkit::{Wire, rows_text};
use prost::Message;
use tonic::metadata::{MetadataKey, MetadataMap, MetadataValue};
use tonic::transport::Channel;
use tonic::{Request, Response, Status, Streaming};

/// A client that adds nothing by itself.
#[derive(Clone)]
pub(crate) struct Raw {
    pub(crate) service: FlightServiceClient<Channel>,
    headers: Vec<(String, String)>,
}

/// What DoGet gave.
#[derive(Debug)]
pub(crate) struct Got {
    pub(crate) messages: Vec<FlightData>,
    pub(crate) schema: SchemaRef,
    pub(crate) batches: Vec<RecordBatch>,
}

/// A clock that goes on by itself and can be put forward.
#[derive(Debug, Default)]
pub(crate) struct Ahead(AtomicI64);

impl Ahead {
    pub(crate) fn by(&self, seconds: i64) {
        self.0.store(seconds, Ordering::SeqCst);
    }
}

impl Clock for Ahead {
    fn now(&self) -> Instant {
        let since = std::time::UNIX_EPOCH.elapsed().expect("after 1970");
        Instant(i64::try_from(since.as_micros()).expect("not for long")).plus_seconds(self.0.load(Ordering::SeqCst))
    }
}

impl Raw {
    /// A connection of its own, without a credential.
    pub(crate) async fn connect(wire: &Wire) -> Self {
        let endpoint = Channel::from_shared(format!("http://{}", wire.flight)).expect("a URL");
        let channel = endpoint.http2_max_header_list_size(1 << 20).connect().await.expect("the listener answers");
        Self { service: FlightServiceClient::new(channel).max_decoding_message_size(usize::MAX), headers: Vec::new() }
    }

    /// The same connection with one more header on every call.
    pub(crate) fn with(&self, name: &str, value: &str) -> Self {
        let mut other = self.clone();
        other.headers.push((name.to_owned(), value.to_owned()));
        other
    }

    pub(crate) fn bearer(&self, token: &Secret) -> Self {
        self.with("authorization", &format!("Bearer {}", token.expose()))
    }

    pub(crate) fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        for (name, value) in &self.headers {
            if name.ends_with("-bin") {
                let key = MetadataKey::from_bytes(name.as_bytes()).expect("a header's name");
                request.metadata_mut().append_bin(key, MetadataValue::from_bytes(value.as_bytes()));
                continue;
            }
            let key: MetadataKey<tonic::metadata::Ascii> = name.parse().expect("a header's name");
            request.metadata_mut().append(key, value.parse().expect("ASCII"));
        }
        request
    }

    pub(crate) async fn handshake(&self, sent: Vec<HandshakeRequest>) -> Result<(MetadataMap, usize), Status> {
        let response = self.service.clone().handshake(self.request(futures::stream::iter(sent))).await?;
        let headers = response.metadata().clone();
        let answers: Vec<HandshakeResponse> = response.into_inner().try_collect().await?;
        Ok((headers, answers.len()))
    }

    pub(crate) async fn info(&self, command: &impl ProstMessageExt) -> Result<Response<FlightInfo>, Status> {
        self.service.clone().get_flight_info(self.request(descriptor(command))).await
    }

    pub(crate) async fn poll(&self, command: &impl ProstMessageExt) -> Result<PollInfo, Status> {
        Ok(self.service.clone().poll_flight_info(self.request(descriptor(command))).await?.into_inner())
    }

    /// The schema that GetSchema gives.
    pub(crate) async fn schema(&self, command: &impl ProstMessageExt) -> Result<SchemaRef, Status> {
        let found: SchemaResult =
            self.service.clone().get_schema(self.request(descriptor(command))).await?.into_inner();
        Ok(decoded(&found.schema))
    }

    pub(crate) async fn open(&self, ticket: Ticket) -> Result<Response<Streaming<FlightData>>, Status> {
        self.service.clone().do_get(self.request(ticket)).await
    }

    pub(crate) async fn get(&self, ticket: Ticket) -> Result<Got, Status> {
        let response = self.open(ticket).await?;
        let messages: Vec<FlightData> = response.into_inner().try_collect().await?;
        let given = futures::stream::iter(messages.clone().into_iter().map(Ok::<_, FlightError>));
        let mut rows = FlightRecordBatchStream::new_from_flight_data(given);
        let mut batches = Vec::new();
        while let Some(batch) = rows.try_next().await.expect("what is sent can be decoded") {
            batches.push(batch);
        }
        let schema = rows.schema().cloned().expect("a schema comes first");
        Ok(Got { messages, schema, batches })
    }

    /// GetFlightInfo, then DoGet of its only endpoint.
    pub(crate) async fn run(&self, command: &impl ProstMessageExt) -> Result<Got, Status> {
        let info = self.info(command).await?.into_inner();
        assert_eq!(info.endpoint.len(), 1);
        self.get(info.endpoint[0].ticket.clone().expect("a ticket")).await
    }

    pub(crate) async fn query(&self, sql: &str) -> Result<Got, Status> {
        self.run(&statement(sql)).await
    }

    /// The rows of a query as text, or its error's code.
    pub(crate) async fn text(&self, sql: &str) -> Vec<String> {
        match self.query(sql).await {
            Ok(got) => rows_text(&got.batches),
            Err(status) => vec![format!("{:?}", status.code())],
        }
    }

    pub(crate) async fn act(&self, name: &str, body: Vec<u8>) -> Result<(MetadataMap, Vec<Bytes>), Status> {
        let action = Action { r#type: name.to_owned(), body: body.into() };
        let response = self.service.clone().do_action(self.request(action)).await?;
        let headers = response.metadata().clone();
        let results: Vec<arrow_flight::Result> = response.into_inner().try_collect().await?;
        Ok((headers, results.into_iter().map(|result| result.body).collect()))
    }

    /// An action of Flight SQL: its one result, unwrapped.
    pub(crate) async fn sql_action<R: ProstMessageExt>(
        &self,
        name: &str,
        request: &impl ProstMessageExt,
    ) -> Result<R, Status> {
        let (_, results) = self.act(name, request.as_any().encode_to_vec()).await?;
        assert_eq!(results.len(), 1, "{name} has one result");
        let any = Any::decode(results[0].clone()).expect("an Any");
        Ok(any.unpack().expect("the message it says").expect("the message it should be"))
    }

    pub(crate) async fn put(&self, messages: Vec<FlightData>) -> Result<Vec<PutResult>, Status> {
        let response = self.service.clone().do_put(self.request(futures::stream::iter(messages))).await?;
        response.into_inner().try_collect().await
    }
}

pub(crate) fn descriptor(command: &impl ProstMessageExt) -> FlightDescriptor {
    FlightDescriptor::new_cmd(command.as_any().encode_to_vec())
}

pub(crate) fn statement(sql: &str) -> CommandStatementQuery {
    CommandStatementQuery { query: sql.to_owned(), transaction_id: None }
}

/// The first message of a DoPut: a command and no data.
pub(crate) fn first(command: &impl ProstMessageExt) -> FlightData {
    FlightData { flight_descriptor: Some(descriptor(command)), ..FlightData::default() }
}

/// A schema as it stands in FlightInfo and others: an encapsulated IPC message.
pub(crate) fn decoded(bytes: &Bytes) -> SchemaRef {
    Arc::new(arrow::datatypes::Schema::try_from(IpcMessage(bytes.clone())).expect("an IPC schema"))
}

pub(crate) fn ticket(info: &FlightInfo) -> Ticket {
    info.endpoint[0].ticket.clone().expect("a ticket")
}

/// Waits until something holds, for a while.
pub(crate) async fn eventually(what: &str, within: Duration, mut holds: impl FnMut() -> bool) {
    let mut every = tokio::time::interval(Duration::from_millis(10));
    let waiting = async {
        while !holds() {
            every.tick().await;
        }
    };
    assert!(tokio::time::timeout(within, waiting).await.is_ok(), "{what} within {within:?}");
}

/// Ten thousand million rows, the first of which come at once.
pub(crate) const ENDLESS: &str = "SELECT a.n + b.n + c.n AS n FROM (SELECT unnest(range(0, 1000)) AS n) a \
    CROSS JOIN (SELECT unnest(range(0, 1000)) AS n) b CROSS JOIN (SELECT unnest(range(0, 10000)) AS n) c";

/// A row that comes after as many.
pub(crate) const SLOW: &str = "SELECT count(*) FROM (SELECT unnest(range(0, 1000)) AS n) a \
    CROSS JOIN (SELECT unnest(range(0, 1000)) AS n) b CROSS JOIN (SELECT unnest(range(0, 10000)) AS n) c \
    WHERE a.n * b.n * c.n = -1";

/// Numbers from 0 to a multiple of a thousand.
pub(crate) fn numbers(thousands: usize) -> String {
    format!(
        "SELECT a.n * 1000 + b.n AS n FROM (SELECT unnest(range(0, {thousands})) AS n) a \
         CROSS JOIN (SELECT unnest(range(0, 1000)) AS n) b"
    )
}

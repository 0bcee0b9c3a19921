//! A gateway on real sockets, and a client that keeps every byte it is given.

use std::net::SocketAddr;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow_flight::decode::FlightRecordBatchStream;
use arrow_flight::error::FlightError;
use arrow_flight::flight_service_client::FlightServiceClient;
use arrow_flight::sql::{
    ActionCreatePreparedStatementRequest, ActionCreatePreparedStatementResult, Any, CommandPreparedStatementQuery,
    CommandStatementQuery, ProstMessageExt,
};
use arrow_flight::{Action, Empty, FlightData, FlightDescriptor, FlightInfo, SchemaResult, Ticket};
use futures::{StreamExt, TryStreamExt};
use meshgate_flight::Settings;
use meshgate_model::Secret;
use prost::Message;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tonic::metadata::{KeyAndValueRef, MetadataMap, MetadataValue};
use tonic::transport::Channel;
use tonic::{Code, Request, Status};

use crate::World;
use crate::ambient::{Counter, WallClock};

/// The listeners of a gateway, on free ports of the loopback interface. They close when this is dropped.
pub struct Wire {
    /// Flight SQL.
    pub flight: SocketAddr,
    /// HTTP.
    pub http: SocketAddr,
    stop: watch::Sender<bool>,
    _tasks: JoinSet<()>,
}

impl Wire {
    /// Serves a world.
    pub async fn open(world: &World) -> Self {
        Self::open_with(world, |_| {}).await
    }

    /// Serves a world with other settings.
    pub async fn open_with(world: &World, change: impl FnOnce(&mut Settings)) -> Self {
        let (stop, stopped) = watch::channel(false);
        let told = |mut stopped: watch::Receiver<bool>| async move {
            stopped.wait_for(|stop| *stop).await.ok();
        };
        let mut settings =
            Settings::new([9; 32], std::sync::Arc::new(WallClock), std::sync::Arc::new(Counter::default()));
        change(&mut settings);
        let (flight, http) = (listener().await, listener().await);
        let address = |listener: &TcpListener| listener.local_addr().expect("a bound listener");
        let (flight_address, http_address) = (address(&flight), address(&http));
        let mut tasks = JoinSet::new();
        let served = meshgate_flight::serve(flight, world.gateway.clone(), settings, None, told(stopped.clone()));
        tasks.spawn(async { served.await.expect("the Flight listener") });
        let served = meshgate_http::serve(http, world.gateway.clone(), told(stopped));
        tasks.spawn(async { served.await.expect("the HTTP listener") });
        Self { flight: flight_address, http: http_address, stop, _tasks: tasks }
    }

    /// Begins to drain.
    pub fn shut_down(&self) {
        self.stop.send_replace(true);
    }

    /// A client with a connection of its own; without a token it says nothing of who it is.
    pub async fn client(&self, token: Option<&Secret>) -> Client {
        let channel = Channel::from_shared(format!("http://{}", self.flight)).expect("a URL").connect().await;
        let service = FlightServiceClient::new(channel.expect("the listener answers"));
        Client {
            service: service.max_decoding_message_size(usize::MAX),
            authorization: token.map(bearer),
            headers: Vec::new(),
        }
    }
}

fn bearer(token: &Secret) -> MetadataValue<tonic::metadata::Ascii> {
    MetadataValue::try_from(format!("Bearer {}", token.expose())).expect("a token is ASCII")
}

async fn listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.expect("a free port")
}

/// A Flight SQL client by hand.
#[derive(Clone)]
pub struct Client {
    service: FlightServiceClient<Channel>,
    authorization: Option<MetadataValue<tonic::metadata::Ascii>>,
    headers: Vec<(&'static str, &'static str)>,
}

/// Everything that came back for one request.
#[derive(Debug, Default)]
pub struct Reply {
    /// What GetFlightInfo said.
    pub info: Option<FlightInfo>,
    /// The schema of the rows, as decoded from the stream.
    pub schema: Option<SchemaRef>,
    /// The rows.
    pub batches: Vec<RecordBatch>,
    /// How the request failed, if it did.
    pub failure: Option<Status>,
    /// The sizes of the bodies of the messages with rows.
    pub frames: Vec<usize>,
    /// Every message, header and trailer, as bytes.
    pub received: Vec<Vec<u8>>,
}

impl Reply {
    /// How it ended.
    pub fn code(&self) -> Code {
        self.failure.as_ref().map_or(Code::Ok, Status::code)
    }

    fn keep(&mut self, bytes: impl Into<Vec<u8>>) {
        self.received.push(bytes.into());
    }

    fn keep_headers(&mut self, headers: &MetadataMap) {
        for header in headers.iter() {
            let (name, value) = match header {
                KeyAndValueRef::Ascii(name, value) => (name.as_str(), value.as_encoded_bytes()),
                KeyAndValueRef::Binary(name, value) => (name.as_str(), value.as_encoded_bytes()),
            };
            self.keep([name.as_bytes(), b": ", value].concat());
        }
    }

    fn fail(&mut self, status: Status) {
        self.keep(status.message().as_bytes());
        self.keep(status.details());
        self.keep_headers(status.metadata());
        self.failure = Some(status);
    }
}

impl Client {
    /// Somebody else over the same connection.
    pub fn with_token(&self, token: &Secret) -> Self {
        Self { authorization: Some(bearer(token)), ..self.clone() }
    }

    /// The same with a header on every call.
    pub fn with_header(mut self, name: &'static str, value: &'static str) -> Self {
        self.headers.push((name, value));
        self
    }

    /// Plans and fetches a statement.
    pub async fn query(&self, sql: &str) -> Reply {
        self.run(CommandStatementQuery { query: sql.to_owned(), transaction_id: None }.as_any()).await
    }

    /// Prepares a statement without parameters, plans it by its handle and fetches it.
    pub async fn prepared(&self, sql: &str) -> Reply {
        let mut reply = Reply::default();
        match self.create(sql).await {
            Err(failed) => failed,
            Ok(made) => {
                // Handles are sealed with a nonce: equal requests have different ones, so this one is not kept.
                reply.keep(made.dataset_schema);
                reply.keep(made.parameter_schema);
                let rest = self.execute(&made.prepared_statement_handle).await;
                Reply { received: reply.received.into_iter().chain(rest.received).collect(), ..rest }
            }
        }
    }

    /// The handle of a prepared statement.
    pub async fn prepare(&self, sql: &str) -> Result<Vec<u8>, Box<Status>> {
        match self.create(sql).await {
            Ok(made) => Ok(made.prepared_statement_handle.to_vec()),
            Err(failed) => Err(Box::new(failed.failure.expect("why not"))),
        }
    }

    async fn create(&self, sql: &str) -> Result<ActionCreatePreparedStatementResult, Reply> {
        let request = ActionCreatePreparedStatementRequest { query: sql.to_owned(), transaction_id: None };
        let reply = self.action("CreatePreparedStatement", request.as_any().encode_to_vec()).await;
        if reply.failure.is_some() {
            return Err(reply);
        }
        let made = reply.received.last().and_then(|body| Any::decode(body.as_slice()).ok()).expect("an Any");
        Ok(made.unpack().expect("a result").expect("a prepared statement"))
    }

    /// Plans a prepared statement by its handle and fetches it.
    pub async fn execute(&self, handle: &[u8]) -> Reply {
        let handle = handle.to_vec().into();
        self.run(CommandPreparedStatementQuery { prepared_statement_handle: handle }.as_any()).await
    }

    /// What a command gives: GetFlightInfo, then DoGet of its first endpoint.
    pub async fn run(&self, command: Any) -> Reply {
        let mut reply = self.info(command).await;
        let endpoint = reply.info.as_ref().and_then(|info| info.endpoint.first());
        let Some(ticket) = endpoint.and_then(|endpoint| endpoint.ticket.clone()) else { return reply };
        self.fetch(ticket, &mut reply).await;
        reply
    }

    /// GetFlightInfo.
    pub async fn info(&self, command: Any) -> Reply {
        let mut reply = Reply::default();
        let descriptor = FlightDescriptor::new_cmd(command.encode_to_vec());
        match self.service.clone().get_flight_info(self.request(descriptor)).await {
            Ok(response) => {
                reply.keep_headers(response.metadata());
                let info = response.into_inner();
                reply.keep(info.schema.to_vec());
                reply.keep(info.app_metadata.to_vec());
                reply.info = Some(info);
            }
            Err(status) => reply.fail(status),
        }
        reply
    }

    /// GetSchema.
    pub async fn schema(&self, command: Any) -> Result<SchemaResult, Status> {
        let descriptor = FlightDescriptor::new_cmd(command.encode_to_vec());
        Ok(self.service.clone().get_schema(self.request(descriptor)).await?.into_inner())
    }

    /// DoGet.
    pub async fn fetch(&self, ticket: Ticket, reply: &mut Reply) {
        let response = match self.service.clone().do_get(self.request(ticket)).await {
            Ok(response) => response,
            Err(status) => return reply.fail(status),
        };
        reply.keep_headers(response.metadata());
        let mut messages = Vec::new();
        let mut stream = response.into_inner();
        loop {
            match stream.message().await {
                Ok(Some(message)) => {
                    reply.frames.push(message.data_body.len());
                    reply.keep(message.data_header.to_vec());
                    reply.keep(message.data_body.to_vec());
                    reply.keep(message.app_metadata.to_vec());
                    messages.push(message);
                }
                Ok(None) => break,
                Err(status) => {
                    reply.fail(status);
                    break;
                }
            }
        }
        if let Ok(Some(trailers)) = stream.trailers().await {
            reply.keep_headers(&trailers);
        }
        let mut rows = FlightRecordBatchStream::new_from_flight_data(
            futures::stream::iter(messages).map(Ok::<FlightData, FlightError>),
        );
        while let Some(batch) = rows.try_next().await.expect("what the gateway sends can be decoded") {
            reply.batches.push(batch);
        }
        reply.schema = rows.schema().cloned();
    }

    /// DoPut of one message without data.
    pub async fn put(&self, command: Any) -> Reply {
        let mut reply = Reply::default();
        let descriptor = FlightDescriptor::new_cmd(command.encode_to_vec());
        let message = FlightData { flight_descriptor: Some(descriptor), ..FlightData::default() };
        let answer = self.service.clone().do_put(self.request(futures::stream::iter([message]))).await;
        match answer {
            Ok(response) => match response.into_inner().try_collect::<Vec<_>>().await {
                Ok(results) => results.into_iter().for_each(|result| reply.keep(result.app_metadata)),
                Err(status) => reply.fail(status),
            },
            Err(status) => reply.fail(status),
        }
        reply
    }

    /// DoAction; the bodies of its results.
    pub async fn action(&self, name: &str, body: Vec<u8>) -> Reply {
        let mut reply = Reply::default();
        let action = Action { r#type: name.to_owned(), body: body.into() };
        match self.service.clone().do_action(self.request(action)).await {
            Ok(response) => {
                reply.keep_headers(response.metadata());
                match response.into_inner().try_collect::<Vec<_>>().await {
                    Ok(results) => results.into_iter().for_each(|result| reply.keep(result.body)),
                    Err(status) => reply.fail(status),
                }
            }
            Err(status) => reply.fail(status),
        }
        reply
    }

    /// The names of the actions that are offered.
    pub async fn list_actions(&self) -> Vec<String> {
        let listed = self.service.clone().list_actions(self.request(Empty {})).await.expect("a listing");
        let actions: Vec<_> = listed.into_inner().try_collect().await.expect("a whole listing");
        actions.into_iter().map(|action| action.r#type).collect()
    }

    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        if let Some(authorization) = &self.authorization {
            request.metadata_mut().insert("authorization", authorization.clone());
        }
        for (name, value) in &self.headers {
            request.metadata_mut().insert(*name, MetadataValue::from_static(value));
        }
        request
    }
}

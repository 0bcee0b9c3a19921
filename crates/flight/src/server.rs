//! The Flight service: each call identifies its caller, then goes to the file for its kind.
//!
//! * `identify`: who calls, in which session, with which options; the handshake.
//! * `info`: GetFlightInfo, GetSchema, PollFlightInfo: what a command will give.
//! * `fetch`: DoGet: the rows.
//! * `put`: DoPut: bindings of parameters, and statements that change the session.
//! * `action`: DoAction: prepared statements, transactions, sessions, cancellation.

use std::sync::Arc;

use arrow_flight::flight_service_server::{FlightService, FlightServiceServer};
use arrow_flight::sql::{Any, Command};
use arrow_flight::{
    Action, ActionType, Criteria, Empty, FlightData, FlightDescriptor, FlightInfo, HandshakeRequest, HandshakeResponse,
    PollInfo, PutResult, SchemaResult, Ticket,
};
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use meshgate_gateway::{Gateway, Snapshots, Statement, StatementKind};
use prost::Message;
use tokio::sync::watch;
use tonic::{Request, Response, Status, Streaming};

use crate::metadata::{Asker, Metadata};
use crate::prepared::PreparedStatements;
use crate::running::Running;
use crate::seal::Sealer;
use crate::session::Sessions;
use crate::status::status;
use crate::transaction::Transactions;
use crate::{Error, Settings};

mod action;
mod fetch;
mod identify;
mod info;
mod put;

use identify::Call;

/// The Flight SQL service over a gateway.
#[derive(Clone, Debug)]
pub struct FlightServer {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    gateway: Arc<Gateway>,
    settings: Settings,
    sealer: Sealer,
    sessions: Sessions,
    prepared: PreparedStatements,
    running: Running,
    transactions: Transactions,
    metadata: Metadata,
}

/// The service, to be mounted on a tonic server. [`crate::serve()`] does it with everything around.
pub fn service(gateway: Arc<Gateway>, settings: Settings) -> Result<FlightServiceServer<FlightServer>, Error> {
    // Nobody stops the streams of a service that somebody else serves.
    let (_, gateway_stops) = watch::channel(false);
    FlightServer::new(gateway, settings, gateway_stops).map(FlightServer::into_service)
}

impl FlightServer {
    /// A service whose streams end once the watched value is true.
    pub(crate) fn new(
        gateway: Arc<Gateway>,
        settings: Settings,
        gateway_stops: watch::Receiver<bool>,
    ) -> Result<Self, Error> {
        let inner = Inner {
            gateway,
            sealer: Sealer::new(&settings.seal_key, settings.entropy.clone()),
            sessions: Sessions::new(&settings),
            prepared: PreparedStatements::new(&settings),
            running: Running::new(&settings, gateway_stops),
            transactions: Transactions::new(&settings),
            metadata: Metadata::new(&settings)?,
            settings,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// With the limit on messages.
    pub(crate) fn into_service(self) -> FlightServiceServer<Self> {
        let max_message_bytes = self.inner.settings.max_message_bytes;
        FlightServiceServer::new(self).max_decoding_message_size(max_message_bytes)
    }

    /// Forgets what only a connection led to.
    pub(crate) fn connection_closed(&self, connection: u64) {
        self.inner.sessions.connection_closed(connection);
    }
}

impl Inner {
    /// Runs SET, RESET or USE, and keeps the result in the call's session.
    async fn change_session(&self, call: &Call, sql: &str) -> Result<(), Error> {
        let mut options = self.sessions.options(&call.keys);
        self.gateway.change_session(&call.caller, &mut options, sql).await?;
        call.new_cookie(self.sessions.keep(&call.keys, options));
        Ok(())
    }

    /// Whether a statement changes the session. Only what begins like one is asked for, so that queries are planned once.
    async fn is_session_statement(&self, call: &Call, statement: &Statement) -> Result<bool, Error> {
        if !begins_like_session_statement(&statement.sql) {
            return Ok(false);
        }
        let description = self.gateway.describe(&call.caller, &call.options, statement).await?;
        Ok(description.kind == StatementKind::Session)
    }

    /// The versions that a statement of a transaction reads; nothing is settled for one without.
    fn snapshots(&self, call: &Call, transaction_id: Option<&Bytes>) -> Result<Option<Arc<Snapshots>>, Error> {
        let transaction = self.transactions.find(&self.sealer, call.caller.fingerprint(), transaction_id)?;
        Ok(transaction.map(|transaction| transaction.snapshots()))
    }

    fn asker<'a>(&'a self, call: &'a Call) -> Asker<'a> {
        Asker { gateway: &self.gateway, caller: &call.caller, options: &call.options }
    }
}

#[tonic::async_trait]
impl FlightService for FlightServer {
    type HandshakeStream = BoxStream<'static, Result<HandshakeResponse, Status>>;
    type ListFlightsStream = BoxStream<'static, Result<FlightInfo, Status>>;
    type DoGetStream = BoxStream<'static, Result<FlightData, Status>>;
    type DoPutStream = BoxStream<'static, Result<PutResult, Status>>;
    type DoActionStream = BoxStream<'static, Result<arrow_flight::Result, Status>>;
    type ListActionsStream = BoxStream<'static, Result<ActionType, Status>>;
    type DoExchangeStream = BoxStream<'static, Result<FlightData, Status>>;

    async fn handshake(
        &self,
        request: Request<Streaming<HandshakeRequest>>,
    ) -> Result<Response<Self::HandshakeStream>, Status> {
        self.inner.handshake(request).await.map_err(|error| status(&error))
    }

    async fn get_flight_info(&self, request: Request<FlightDescriptor>) -> Result<Response<FlightInfo>, Status> {
        let call = self.inner.identify(&request).await?;
        let info = self.inner.flight_info(&call, request.into_inner()).await;
        call.respond(info)
    }

    async fn poll_flight_info(&self, request: Request<FlightDescriptor>) -> Result<Response<PollInfo>, Status> {
        let call = self.inner.identify(&request).await?;
        let info = self.inner.flight_info(&call, request.into_inner()).await;
        // Planning is all there is to wait for: without a descriptor the client knows that it need not poll again.
        let poll = info.and_then(|info| Ok(PollInfo::new().with_info(info).try_with_progress(1.0)?));
        call.respond(poll)
    }

    async fn get_schema(&self, request: Request<FlightDescriptor>) -> Result<Response<SchemaResult>, Status> {
        let call = self.inner.identify(&request).await?;
        let schema = self.inner.schema(&call, &request.into_inner()).await;
        call.respond(schema)
    }

    async fn do_get(&self, request: Request<Ticket>) -> Result<Response<Self::DoGetStream>, Status> {
        let call = self.inner.identify(&request).await?;
        let rows = self.inner.fetch(&call, &request.into_inner().ticket).await;
        call.respond(rows)
    }

    async fn do_put(&self, request: Request<Streaming<FlightData>>) -> Result<Response<Self::DoPutStream>, Status> {
        let call = self.inner.identify(&request).await?;
        let results = self.inner.put(&call, request.into_inner()).await;
        call.respond(results)
    }

    async fn do_action(&self, request: Request<Action>) -> Result<Response<Self::DoActionStream>, Status> {
        let call = self.inner.identify(&request).await?;
        let results = self.inner.act(&call, request.into_inner()).await;
        call.respond(results.map(|results| futures::stream::iter(results.into_iter().map(Ok)).boxed()))
    }

    async fn list_actions(&self, request: Request<Empty>) -> Result<Response<Self::ListActionsStream>, Status> {
        let call = self.inner.identify(&request).await?;
        call.respond(Ok(futures::stream::iter(action::all().into_iter().map(Ok)).boxed()))
    }

    async fn list_flights(&self, _: Request<Criteria>) -> Result<Response<Self::ListFlightsStream>, Status> {
        Err(status(&Error::Unsupported("ListFlights")))
    }

    async fn do_exchange(&self, _: Request<Streaming<FlightData>>) -> Result<Response<Self::DoExchangeStream>, Status> {
        Err(status(&Error::Unsupported("DoExchange")))
    }
}

/// The Flight SQL command in a descriptor.
pub(crate) fn command(bytes: &[u8]) -> Result<Command, Error> {
    const NO_COMMAND: Error = Error::Malformed("the descriptor holds no Flight SQL command");
    let any = Any::decode(bytes).map_err(|_| NO_COMMAND)?;
    Command::try_from(any).map_err(|_| NO_COMMAND)
}

/// What of Flight SQL is not built, refused by what it would do.
fn refuse(command: &Command) -> Error {
    Error::Unsupported(match command {
        Command::CommandStatementIngest(_) => "ingestion",
        Command::CommandStatementSubstraitPlan(_) | Command::ActionCreatePreparedSubstraitPlanRequest(_) => "Substrait",
        _ => "this command",
    })
}

/// Looks at the first word, past blanks and comments. Only a hint: the engine decides what a statement is.
fn begins_like_session_statement(sql: &str) -> bool {
    let mut rest = sql.trim_start();
    loop {
        rest = if let Some(comment) = rest.strip_prefix("--") {
            comment.split_once('\n').map_or("", |(_, rest)| rest)
        } else if let Some(comment) = rest.strip_prefix("/*") {
            comment.split_once("*/").map_or("", |(_, rest)| rest)
        } else {
            break;
        }
        .trim_start();
    }
    let word = rest.split(|c: char| !c.is_ascii_alphabetic()).next().unwrap_or_default();
    ["SET", "RESET", "USE"].iter().any(|keyword| word.eq_ignore_ascii_case(keyword))
}

#[cfg(test)]
mod tests {
    use super::begins_like_session_statement;

    #[test]
    fn session_statements_are_told_by_their_first_word() {
        for (sql, expected) in [
            ("SET meshgate.catalog = 'a'", true),
            ("  use sales", true),
            ("-- why\n/* and how */ reset\tall", true),
            ("SELECT 1", false),
            ("settle", false),
            ("-- SET", false),
            ("/* SET", false),
            ("", false),
            ("(SET)", false),
        ] {
            assert_eq!(begins_like_session_statement(sql), expected, "{sql}");
        }
    }
}

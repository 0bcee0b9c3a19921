//! DoPut: parameters for prepared statements, and statements that change the session.

use arrow_flight::error::FlightError;
use arrow_flight::sql::{Command, DoPutPreparedStatementResult, DoPutUpdateResult};
use arrow_flight::{FlightData, PutResult};
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use meshgate_gateway::{Statement, StatementKind};
use prost::Message;
use tonic::{Status, Streaming};

use super::identify::Call;
use super::{Inner, command, refuse};
use crate::{Error, parameters};

/// Messages that are read past what is needed, so that well-behaved clients see their stream end as they expect.
const MESSAGES_IGNORED_MAX: usize = 16;

/// The messages of an answer.
pub(super) type Results = BoxStream<'static, Result<PutResult, Status>>;

impl Inner {
    /// Does what the first message says. What is not offered is refused before the rest is read.
    pub(super) async fn put(&self, call: &Call, mut stream: Streaming<FlightData>) -> Result<Results, Error> {
        let limit_bytes = self.settings.max_message_bytes;
        let first = stream.message().await.map_err(|status| Error::of_stream(status, limit_bytes))?;
        let first = first.ok_or(Error::Malformed("the stream is empty"))?;
        let descriptor = first.flight_descriptor.as_ref();
        let descriptor = descriptor.ok_or(Error::Malformed("the first message has no descriptor"))?;
        match command(&descriptor.cmd)? {
            Command::CommandStatementUpdate(update) => {
                let snapshots = self.snapshots(call, update.transaction_id.as_ref())?;
                let statement = Statement { sql: update.query.clone(), snapshots, ..Statement::default() };
                let description = self.gateway.describe(&call.caller, &call.options, &statement).await?;
                self.update(call, description.kind, &update.query).await?;
                Ok(results(updated(), Some(stream)))
            }
            Command::CommandPreparedStatementUpdate(update) => {
                let owner = call.caller.fingerprint();
                let prepared = self.prepared.find(&self.sealer, owner, &update.prepared_statement_handle)?;
                self.update(call, prepared.description.kind, &prepared.sql).await?;
                Ok(results(updated(), Some(stream)))
            }
            Command::CommandPreparedStatementQuery(query) => {
                let handle = query.prepared_statement_handle;
                let prepared = self.prepared.find(&self.sealer, call.caller.fingerprint(), &handle)?;
                let messages = futures::stream::iter([Ok(first)]).chain(stream.map_err(FlightError::from));
                let parameters = parameters::read(messages, self.settings.max_message_bytes).await?;
                self.prepared.bind(call.caller.fingerprint(), &prepared, parameters)?;
                // The handle stays what it was: some clients go on with it, others with what they get here.
                let result = DoPutPreparedStatementResult { prepared_statement_handle: Some(handle) };
                Ok(results(PutResult { app_metadata: result.encode_to_vec().into() }, None))
            }
            other => Err(refuse(&other)),
        }
    }

    async fn update(&self, call: &Call, kind: StatementKind, sql: &str) -> Result<(), Error> {
        match kind {
            StatementKind::Session => self.change_session(call, sql).await,
            StatementKind::Query => Err(Error::NotAnUpdate),
        }
    }
}

/// How many rows a session statement changed: none.
fn updated() -> PutResult {
    PutResult { app_metadata: DoPutUpdateResult { record_count: 0 }.encode_to_vec().into() }
}

/// The result at once, then the end when the client has ended too: some clients read the result before they close their
/// side, others are surprised by an end before they have.
fn results(result: PutResult, rest: Option<Streaming<FlightData>>) -> Results {
    let rest = futures::stream::iter(rest).flatten().take(MESSAGES_IGNORED_MAX);
    let rest = rest.filter_map(|_| std::future::ready(None));
    futures::stream::iter([Ok(result)]).chain(rest).boxed()
}

//! What a command will give: GetFlightInfo, PollFlightInfo and GetSchema.

use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use arrow_flight::sql::{Any, Command, ProstMessageExt, TicketStatementQuery};
use arrow_flight::{FlightDescriptor, FlightEndpoint, FlightInfo, SchemaResult, Ticket as FlightTicket};
use bytes::Bytes;
use meshgate_gateway::{Part, SessionOptions, Statement, StatementKind};
use meshgate_model::{Instant, mutant};
use prost::Message;
use prost_types::Timestamp;

use super::identify::Call;
use super::{Inner, command, refuse};
use crate::Error;
use crate::binding::Bound;
use crate::ticket::{Content, QueryTicket, Ticket};
use crate::wire::encode::schema_bytes;
use crate::wire::types::wire_schema;

impl Inner {
    /// Plans a query, changes the session, or promises metadata.
    pub(super) async fn flight_info(&self, call: &Call, descriptor: FlightDescriptor) -> Result<FlightInfo, Error> {
        let command = command(&descriptor.cmd)?;
        let info = match &command {
            Command::CommandStatementQuery(query) => {
                let snapshots = self.snapshots(call, query.transaction_id.as_ref())?;
                let statement = Statement { sql: query.query.clone(), snapshots, ..Statement::default() };
                if self.is_session_statement(call, &statement).await? {
                    self.change_session(call, &statement.sql).await?;
                    self.nothing_info(call)?
                } else {
                    self.query_info(call, &call.options, statement, None).await?
                }
            }
            Command::CommandPreparedStatementQuery(query) => {
                let owner = call.caller.fingerprint();
                let prepared = self.prepared.find(&self.sealer, owner, &query.prepared_statement_handle)?;
                match prepared.description.kind {
                    StatementKind::Session => {
                        self.change_session(call, &prepared.sql).await?;
                        self.nothing_info(call)?
                    }
                    StatementKind::Query => {
                        let bound = prepared.bound();
                        let parameters = bound.as_ref().map(|bound| bound.batch().clone());
                        let snapshots = self.transactions.snapshots(owner, prepared.transaction.as_ref())?;
                        let sql = prepared.sql.clone();
                        let statement = Statement { sql, parameters, snapshots, ..Statement::default() };
                        self.query_info(call, &prepared.options, statement, bound).await?
                    }
                }
            }
            metadata => {
                let schema = self.metadata.schema(metadata).ok_or_else(|| refuse(metadata))?;
                // The command itself is the ticket: whoever redeems it sees what that caller may see.
                info(&schema, [FlightEndpoint::new().with_ticket(FlightTicket::new(descriptor.cmd.clone()))])?
            }
        };
        Ok(info.with_descriptor(descriptor))
    }

    /// The schema of what a command would give, without planning to give it.
    pub(super) async fn schema(&self, call: &Call, descriptor: &FlightDescriptor) -> Result<SchemaResult, Error> {
        let command = command(&descriptor.cmd)?;
        let schema = match &command {
            Command::CommandStatementQuery(query) => {
                let snapshots = self.snapshots(call, query.transaction_id.as_ref())?;
                let statement = Statement { sql: query.query.clone(), snapshots, ..Statement::default() };
                let description = self.gateway.describe(&call.caller, &call.options, &statement).await?;
                wire_schema(&description.schema, call.options.wire_types)
            }
            Command::CommandPreparedStatementQuery(query) => {
                let owner = call.caller.fingerprint();
                let prepared = self.prepared.find(&self.sealer, owner, &query.prepared_statement_handle)?;
                // SECURITY: authorised again on use: rules may have changed since it was prepared.
                let snapshots = self.transactions.snapshots(owner, prepared.transaction.as_ref())?;
                let statement = Statement { sql: prepared.sql.clone(), snapshots, ..Statement::default() };
                let description = self.gateway.describe(&call.caller, &prepared.options, &statement).await?;
                wire_schema(&description.schema, prepared.options.wire_types)
            }
            metadata => self.metadata.schema(metadata).ok_or_else(|| refuse(metadata))?,
        };
        Ok(SchemaResult { schema: schema_bytes(&schema)? })
    }

    async fn query_info(
        &self,
        call: &Call,
        options: &SessionOptions,
        statement: Statement,
        bound: Option<Arc<Bound>>,
    ) -> Result<FlightInfo, Error> {
        let planned = self.gateway.plan(&call.caller, options, &statement).await?;
        let in_query = Error::in_query(planned.id);
        let parameters = self.prepared.pack(call.caller.fingerprint(), bound).map_err(&in_query)?;
        let endpoints = (0..planned.parts).map(|index| {
            let content = Content::Query(Box::new(QueryTicket {
                id: planned.id,
                epoch: planned.epoch,
                sql: statement.sql.clone(),
                options: options.clone(),
                parameters: parameters.clone(),
                snapshots: planned.snapshots.clone(),
                part: Part { index, of: planned.parts },
            }));
            self.endpoint(call, content)
        });
        let schema = wire_schema(&planned.schema, options.wire_types);
        let info = info(&schema, endpoints).map_err(&in_query)?;
        Ok(info.with_app_metadata(planned.app_metadata))
    }

    /// What a statement gives that has been carried out already.
    fn nothing_info(&self, call: &Call) -> Result<FlightInfo, Error> {
        info(&Arc::new(Schema::empty()), [self.endpoint(call, Content::Nothing)])
    }

    fn endpoint(&self, call: &Call, content: Content) -> FlightEndpoint {
        let until = self.settings.clock.now().plus_seconds(i64::from(self.settings.ticket_ttl_s));
        let ticket = Ticket { owner: call.caller.fingerprint(), until, content };
        endpoint(ticket.seal(&self.sealer), until)
    }
}

/// An endpoint that is redeemed here: an empty list of locations is what every client understands.
pub(super) fn endpoint(sealed: Bytes, until: Instant) -> FlightEndpoint {
    let ticket: Any = TicketStatementQuery { statement_handle: sealed }.as_any();
    let micros = until.micros();
    let expiration = Timestamp {
        seconds: micros.div_euclid(1_000_000),
        nanos: i32::try_from(micros.rem_euclid(1_000_000) * 1000).unwrap_or(0),
    };
    FlightEndpoint::new().with_ticket(FlightTicket::new(ticket.encode_to_vec())).with_expiration_time(expiration)
}

/// SECURITY: totals stay -1. How many rows there are is data.
fn info(schema: &SchemaRef, endpoints: impl IntoIterator<Item = FlightEndpoint>) -> Result<FlightInfo, Error> {
    let mut info =
        FlightInfo::new().with_total_records(if mutant("totals are told") { 1 } else { -1 }).with_total_bytes(-1);
    info.schema = schema_bytes(schema)?;
    info.endpoint = endpoints.into_iter().collect();
    Ok(info)
}

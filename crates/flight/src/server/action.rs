//! DoAction: prepared statements, transactions, sessions, cancellation, renewal.

use arrow::datatypes::Schema;
use arrow_flight::sql::{
    ActionBeginTransactionRequest, ActionBeginTransactionResult, ActionCancelQueryRequest, ActionCancelQueryResult,
    ActionClosePreparedStatementRequest, ActionCreatePreparedStatementRequest, ActionCreatePreparedStatementResult,
    ActionEndTransactionRequest, Any, Command, EndTransaction, ProstMessageExt, TicketStatementQuery,
};
use arrow_flight::{
    Action, ActionType, CancelFlightInfoRequest, CancelFlightInfoResult, CancelStatus, FlightEndpoint, FlightInfo,
    RenewFlightEndpointRequest,
};
use meshgate_gateway::{SessionOptions, Statement, StatementKind};
use prost::Message;

use super::identify::Call;
use super::{Inner, command, info};
use crate::Error;
use crate::prepared::Prepared;
use crate::session::messages::{
    CloseSessionResult, CloseSessionStatus, CreatePreparedStatementResult, GetSessionOptionsResult, OptionError,
    OptionErrorValue, SessionOptionValue, SetSessionOptionsRequest, SetSessionOptionsResult,
};
use crate::ticket::{Content, Ticket};
use crate::wire::encode::schema_bytes;
use crate::wire::types::{parameter_schema, wire_schema};

/// The values of `ActionCancelQueryResult.result`.
const CANCEL_RESULT_CANCELLED: i32 = 1;
const CANCEL_RESULT_NOT_CANCELLABLE: i32 = 3;

const CREATE_PREPARED: &str = "CreatePreparedStatement";
const CLOSE_PREPARED: &str = "ClosePreparedStatement";
const BEGIN_TRANSACTION: &str = "BeginTransaction";
const END_TRANSACTION: &str = "EndTransaction";
const CANCEL_QUERY: &str = "CancelQuery";
const CANCEL_FLIGHT_INFO: &str = "CancelFlightInfo";
const RENEW_ENDPOINT: &str = "RenewFlightEndpoint";
const SET_SESSION_OPTIONS: &str = "SetSessionOptions";
const GET_SESSION_OPTIONS: &str = "GetSessionOptions";
const CLOSE_SESSION: &str = "CloseSession";

/// The actions that are offered.
pub(super) fn all() -> Vec<ActionType> {
    let action =
        |name: &str, description: &str| ActionType { r#type: name.to_owned(), description: description.to_owned() };
    vec![
        action(CREATE_PREPARED, "Prepares a statement: ActionCreatePreparedStatementRequest"),
        action(CLOSE_PREPARED, "Closes a prepared statement: ActionClosePreparedStatementRequest"),
        action(BEGIN_TRANSACTION, "Begins a read-only transaction: ActionBeginTransactionRequest"),
        action(END_TRANSACTION, "Ends a transaction: ActionEndTransactionRequest"),
        action(CANCEL_QUERY, "Cancels a query: ActionCancelQueryRequest"),
        action(CANCEL_FLIGHT_INFO, "Cancels a query: CancelFlightInfoRequest"),
        action(RENEW_ENDPOINT, "Extends the life of a ticket: RenewFlightEndpointRequest"),
        action(SET_SESSION_OPTIONS, "Sets or erases options of the session: SetSessionOptionsRequest"),
        action(GET_SESSION_OPTIONS, "Lists the options of the session: GetSessionOptionsRequest"),
        action(CLOSE_SESSION, "Forgets the session: CloseSessionRequest"),
    ]
}

impl Inner {
    /// Does an action; its results.
    pub(super) async fn act(&self, call: &Call, action: Action) -> Result<Vec<arrow_flight::Result>, Error> {
        let body = action.body.as_ref();
        match action.r#type.as_str() {
            CREATE_PREPARED => self.create_prepared(call, unpack(body)?).await.map(one),
            CLOSE_PREPARED => {
                let request: ActionClosePreparedStatementRequest = unpack(body)?;
                let handle = &request.prepared_statement_handle;
                self.prepared.close(&self.sealer, call.caller.fingerprint(), handle);
                Ok(Vec::new())
            }
            BEGIN_TRANSACTION => {
                let ActionBeginTransactionRequest {} = unpack(body)?;
                let transaction_id = self.transactions.begin(&self.sealer, call.caller.fingerprint());
                Ok(one(ActionBeginTransactionResult { transaction_id }.as_any().encode_to_vec()))
            }
            END_TRANSACTION => {
                let request: ActionEndTransactionRequest = unpack(body)?;
                if request.action() == EndTransaction::Unspecified {
                    return Err(Error::Malformed("a transaction ends with COMMIT or ROLLBACK"));
                }
                self.transactions.end(&self.sealer, call.caller.fingerprint(), &request.transaction_id)?;
                Ok(Vec::new())
            }
            CANCEL_QUERY => {
                let request: ActionCancelQueryRequest = unpack(body)?;
                let cancelled = self.cancel(call, &decode::<FlightInfo>(&request.info)?)?;
                let result = if cancelled { CANCEL_RESULT_CANCELLED } else { CANCEL_RESULT_NOT_CANCELLABLE };
                Ok(one(ActionCancelQueryResult { result }.as_any().encode_to_vec()))
            }
            CANCEL_FLIGHT_INFO => {
                let request: CancelFlightInfoRequest = decode(body)?;
                let cancelled = self.cancel(call, &request.info.unwrap_or_default())?;
                let status = if cancelled { CancelStatus::Cancelled } else { CancelStatus::NotCancellable };
                Ok(one(CancelFlightInfoResult::new(status).encode_to_vec()))
            }
            RENEW_ENDPOINT => {
                let request: RenewFlightEndpointRequest = decode(body)?;
                let renewed = self.renew(call, &request.endpoint.unwrap_or_default())?;
                Ok(one(renewed.encode_to_vec()))
            }
            SET_SESSION_OPTIONS => {
                let result = self.set_options(call, &decode(body)?);
                Ok(one(result.encode_to_vec()))
            }
            GET_SESSION_OPTIONS => {
                let result = GetSessionOptionsResult { session_options: options(&call.options) };
                Ok(one(result.encode_to_vec()))
            }
            CLOSE_SESSION => {
                self.sessions.close(&call.keys);
                call.no_cookie();
                Ok(one(CloseSessionResult { status: CloseSessionStatus::Closed as i32 }.encode_to_vec()))
            }
            "BeginSavepoint" | "EndSavepoint" => Err(Error::Unsupported("a savepoint")),
            "CreatePreparedSubstraitPlan" => Err(Error::Unsupported("Substrait")),
            _ => Err(Error::Unsupported("this action")),
        }
    }

    async fn create_prepared(
        &self,
        call: &Call,
        request: ActionCreatePreparedStatementRequest,
    ) -> Result<Vec<u8>, Error> {
        let owner = call.caller.fingerprint();
        let transaction = self.transactions.find(&self.sealer, owner, request.transaction_id.as_ref())?;
        let snapshots = transaction.as_ref().map(|transaction| transaction.snapshots());
        let statement = Statement { sql: request.query.clone(), snapshots, ..Statement::default() };
        let description = self.gateway.describe(&call.caller, &call.options, &statement).await?;
        // Drivers tell an update by its empty schema, and newer ones by the flag.
        let is_update = description.kind == StatementKind::Session;
        let types = call.options.wire_types;
        let rows = if is_update { Schema::empty() } else { description.schema.as_ref().clone() };
        let result = CreatePreparedStatementResult {
            dataset_schema: schema_bytes(&wire_schema(&rows, types))?,
            parameter_schema: schema_bytes(&parameter_schema(&description.parameters, types))?,
            is_update: Some(is_update),
            prepared_statement_handle: self.prepared.keep(
                &self.sealer,
                owner,
                Prepared::new(request.query, call.options.clone(), description, transaction),
            ),
        };
        let type_url = ActionCreatePreparedStatementResult::type_url().to_owned();
        Ok(Any { type_url, value: result.encode_to_vec().into() }.encode_to_vec())
    }

    /// Ends the query of a FlightInfo of the caller's: what is streamed of it stops, and what was not fetched yet is not
    /// to be had any more. Says whether there was a query: metadata is made when it is asked for.
    fn cancel(&self, call: &Call, info: &FlightInfo) -> Result<bool, Error> {
        let mut cancelled = false;
        for endpoint in &info.endpoint {
            let ticket = endpoint.ticket.as_ref().ok_or(Error::Gone)?;
            if command(&ticket.ticket).is_ok_and(|command| self.metadata.schema(&command).is_some()) {
                continue;
            }
            if let Content::Query(query) = self.open(call, endpoint)?.content {
                self.gateway.forget(&call.caller, query.id);
                self.running.cancel(query.id, call.caller.fingerprint());
                cancelled = true;
            }
        }
        Ok(cancelled)
    }

    /// The same ticket, good for longer.
    fn renew(&self, call: &Call, endpoint: &FlightEndpoint) -> Result<FlightEndpoint, Error> {
        let ticket = self.open(call, endpoint)?;
        if let Content::Query(query) = &ticket.content {
            self.running.check(query.id, ticket.owner)?;
        }
        let until = self.settings.clock.now().plus_seconds(i64::from(self.settings.ticket_ttl_s));
        Ok(info::endpoint(Ticket { until, ..ticket }.seal(&self.sealer), until))
    }

    fn open(&self, call: &Call, endpoint: &FlightEndpoint) -> Result<Ticket, Error> {
        let ticket = endpoint.ticket.as_ref().ok_or(Error::Gone)?;
        let Ok(Command::TicketStatementQuery(TicketStatementQuery { statement_handle })) = command(&ticket.ticket)
        else {
            return Err(Error::Gone);
        };
        Ticket::open(&self.sealer, &statement_handle, call.caller.fingerprint(), self.settings.clock.now())
    }

    /// Sets what can be set, and says what could not.
    fn set_options(&self, call: &Call, request: &SetSessionOptionsRequest) -> SetSessionOptionsResult {
        let mut options = self.sessions.options(&call.keys);
        let failed = request.session_options.iter().filter_map(|(name, value)| {
            let mut changed = options.clone();
            let set = changed.set(name, value.to_text().as_deref());
            let value = match set.and_then(|()| self.gateway.check_options(&call.caller, &changed)) {
                Ok(()) => {
                    options = changed;
                    return None;
                }
                Err(_) if !SessionOptions::NAMES.contains(&name.as_str()) => OptionErrorValue::InvalidName,
                Err(_) => OptionErrorValue::InvalidValue,
            };
            Some((name.clone(), OptionError { value: value as i32 }))
        });
        let errors = failed.collect();
        call.new_cookie(self.sessions.keep(&call.keys, options));
        SetSessionOptionsResult { errors }
    }
}

/// The options that are set.
fn options(options: &SessionOptions) -> std::collections::HashMap<String, SessionOptionValue> {
    let set = SessionOptions::NAMES.iter().filter_map(|name| {
        let value = options.get(name).filter(|value| !value.is_empty())?;
        Some(((*name).to_owned(), SessionOptionValue::text(value)))
    });
    set.collect()
}

fn one(body: Vec<u8>) -> Vec<arrow_flight::Result> {
    vec![arrow_flight::Result { body: body.into() }]
}

/// The body of a Flight SQL action: a message in an Any.
fn unpack<M: ProstMessageExt>(body: &[u8]) -> Result<M, Error> {
    const OTHER: Error = Error::Malformed("the action's body is not the message that belongs to it");
    Any::decode(body).ok().and_then(|any| any.unpack().ok().flatten()).ok_or(OTHER)
}

/// The body of a Flight action: a message as such.
fn decode<M: Message + Default>(body: &[u8]) -> Result<M, Error> {
    M::decode(body).map_err(|_| Error::Malformed("the action's body is not the message that belongs to it"))
}

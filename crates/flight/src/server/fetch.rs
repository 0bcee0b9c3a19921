//! The rows: DoGet.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use arrow::ipc::writer::IpcWriteOptions;
use arrow_flight::FlightData;
use arrow_flight::sql::Command;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use meshgate_gateway::Statement;
use tonic::Status;

use super::identify::Call;
use super::{Inner, command};
use crate::Error;
use crate::ticket::{Content, QueryTicket, Ticket};
use crate::wire::encode::{encode_now, encode_stream};
use crate::wire::types::wire_schema;

impl Inner {
    /// Redeems a ticket.
    pub(super) async fn fetch(
        &self,
        call: &Call,
        ticket: &[u8],
    ) -> Result<BoxStream<'static, Result<FlightData, Status>>, Error> {
        let batch = match command(ticket).map_err(|_| Error::Gone)? {
            Command::TicketStatementQuery(query) => {
                let (owner, now) = (call.caller.fingerprint(), self.settings.clock.now());
                match Ticket::open(&self.sealer, &query.statement_handle, owner, now)?.content {
                    Content::Query(ticket) => {
                        let id = ticket.id;
                        return self.run(call, *ticket).await.map_err(Error::in_query(id));
                    }
                    Content::Nothing => RecordBatch::new_empty(Arc::new(Schema::empty())),
                }
            }
            metadata => self.metadata.rows(&self.asker(call), &metadata)?.ok_or(Error::Gone)?,
        };
        Ok(futures::stream::iter(encode_now(&batch)?.into_iter().map(Ok)).boxed())
    }

    async fn run(
        &self,
        call: &Call,
        ticket: QueryTicket,
    ) -> Result<BoxStream<'static, Result<FlightData, Status>>, Error> {
        let owner = call.caller.fingerprint();
        let parameters = self.prepared.unpack(owner, &ticket.parameters)?;
        let statement = Statement { sql: ticket.sql, parameters };
        tracing::debug!(query = %ticket.id, epoch = %ticket.epoch, "redeeming a ticket");
        let stream = self.gateway.execute(&call.caller, &ticket.options, ticket.id, &statement).await?;
        let schema = wire_schema(&stream.schema, ticket.options.wire_types);
        let ipc = IpcWriteOptions::default().try_with_compression(call.compression)?;
        let rows = stream.batches.map_err(Error::Gateway).boxed();
        let stop = self.running.begin(ticket.id, owner);
        Ok(encode_stream(rows, schema, ipc, stop, stream.revoked).boxed())
    }
}

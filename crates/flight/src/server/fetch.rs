//! The rows: DoGet.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use arrow::ipc::CompressionType;
use arrow::ipc::writer::IpcWriteOptions;
use arrow_flight::FlightData;
use arrow_flight::sql::Command;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use meshgate_gateway::{Compression, Snapshots, Statement};
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
        // SECURITY: the ticket says which versions are read; who may read what of them is decided anew.
        let snapshots = Some(Snapshots::of(ticket.snapshots));
        let statement = Statement { sql: ticket.sql, parameters, snapshots, part: ticket.part };
        tracing::debug!(query = %ticket.id, epoch = %ticket.epoch, "redeeming a ticket");
        // From here on it can be cancelled, while it waits for its turn too.
        let stop = self.running.begin(ticket.id, owner)?;
        let stream = tokio::select! {
            biased;
            why = stop.stopped() => return Err(Error::Stopped(why)),
            stream = self.gateway.execute(&call.caller, &ticket.options, ticket.id, &statement) => stream?,
        };
        let schema = wire_schema(&stream.schema, ticket.options.wire_types);
        let compression = match call.compression.unwrap_or(ticket.options.ipc_compression) {
            Compression::None => None,
            Compression::Lz4 => Some(CompressionType::LZ4_FRAME),
            Compression::Zstd => Some(CompressionType::ZSTD),
        };
        let ipc = IpcWriteOptions::default().try_with_compression(compression)?;
        let rows = stream.batches.map_err(Error::Gateway).boxed();
        Ok(encode_stream(rows, schema, ipc, stop, stream.revoked).boxed())
    }
}

//! The rows of a running query on their way to the wire.

use arrow::array::RecordBatch;
use futures::StreamExt;
use futures::stream::BoxStream;
use meshgate_engine::Rows;
use meshgate_ledger::End;
use meshgate_model::{Failure, Fault};

use crate::record::Metered;
use crate::running::Registered;
use crate::share::Share;
use crate::{Error, Part};

/// The rows, counted, until the end, an error or a lost right.
pub(crate) fn stream(
    rows: Rows,
    part: Part,
    metered: Metered,
    registered: Registered,
) -> BoxStream<'static, Result<RecordBatch, Error>> {
    struct Flow {
        rows: Rows,
        share: Share,
        metered: Metered,
        registered: Registered,
    }
    let flow = Flow { rows, share: Share::new(part), metered, registered };
    futures::stream::unfold(Some(flow), |flow| async move {
        let mut flow = flow?;
        let next = flow.rows.next().await;
        if flow.registered.revoked.is_cancelled() {
            flow.metered.finish(End::Revoked);
            return Some((Err(Error::Revoked), None));
        }
        match next {
            Some(Ok(batch)) => {
                let batch = flow.share.of(batch).map_err(|error| Error::Internal { what: error.to_string() });
                let batch = match batch {
                    Ok(batch) => batch,
                    Err(error) => {
                        flow.metered.finish(End::Failed { fault: error.fault() });
                        return Some((Err(error), None));
                    }
                };
                flow.metered.count(batch.num_rows(), batch.get_array_memory_size());
                Some((Ok(batch), Some(flow)))
            }
            Some(Err(error)) => {
                tracing::info!(%error, source = ?std::error::Error::source(&error), "query failed");
                let end = match error.fault() {
                    Fault::Cancelled => End::Cancelled,
                    fault => End::Failed { fault },
                };
                flow.metered.finish(end);
                Some((Err(Error::below(error)), None))
            }
            None => {
                flow.metered.finish(End::Completed);
                None
            }
        }
    })
    .boxed()
}

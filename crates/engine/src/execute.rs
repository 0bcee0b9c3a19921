//! Execution: rows flow through a small channel from the query threads to whoever reads, within limits.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::compute::{BatchCoalescer, CastOptions, cast_with_options};
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use datafusion::execution::memory_pool::MemoryPool;
use datafusion::physical_plan::execute_stream;
use futures::{Stream, StreamExt};
use meshgate_model::PublicText;
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinHandle};
use tokio_util::sync::CancellationToken;

use crate::admission::Ticket;
use crate::fault::executing;
use crate::memory::Held;
use crate::{Engine, Error, Plan};

/// Batches that wait between the query threads and the reader.
const CHANNEL_LEN: usize = 2;

/// Who runs a query and for how long.
#[derive(Debug, Clone)]
pub struct QueryLimits {
    /// Whose queries are counted.
    pub principal: String,
    /// Seconds it may take; the engine's default without it, and never above its maximum.
    pub deadline_s: Option<u32>,
}

/// The rows of a running query. Dropping it stops the query and frees its memory.
#[derive(Debug)]
pub struct Rows {
    schema: SchemaRef,
    batches: mpsc::Receiver<Result<Held, Error>>,
    /// The batch that was read last: its messages are being made.
    read: Option<Held>,
    /// `None` once its end was seen.
    worker: Option<JoinHandle<()>>,
    deadline: tokio::time::Instant,
    deadline_s: u32,
    running: Running,
}

#[derive(Debug)]
struct Running {
    cancelled: CancellationToken,
    tasks: [AbortHandle; 2],
    _ticket: Ticket,
}

impl Engine {
    /// Waits for a turn and starts a plan.
    pub async fn execute(self: &Arc<Self>, plan: Plan, limits: QueryLimits) -> Result<Rows, Error> {
        let deadline_s = self.options.deadline_s(&limits);
        let deadline = Duration::from_secs(deadline_s.into());
        let started = tokio::time::Instant::now();
        let ticket = tokio::time::timeout(deadline, self.admission.enter(&limits.principal))
            .await
            .map_err(|_| Error::DeadlineExceeded { seconds: deadline_s })??;
        let (sender, batches) = mpsc::channel(CHANNEL_LEN);
        let cancelled = plan.cancelled.clone();
        let schema = plan.schema.clone();
        let worker = self.handle()?.spawn(run(plan, self.options.result_rows_max, sender.clone()));
        // The watch runs on the caller's threads: those of a query may all be busy.
        let watch = tokio::runtime::Handle::current().spawn(watch(
            started + deadline,
            cancelled.clone(),
            worker.abort_handle(),
        ));
        drop(sender);
        let tasks = [worker.abort_handle(), watch.abort_handle()];
        let running = Running { cancelled, tasks, _ticket: ticket };
        Ok(Rows {
            schema,
            batches,
            read: None,
            worker: Some(worker),
            deadline: started + deadline,
            deadline_s,
            running,
        })
    }
}

/// Executes the plans one after the other.
async fn run(plan: Plan, rows_max: u64, sender: mpsc::Sender<Result<Held, Error>>) {
    let Plan { schema, plans, context, lineage, .. } = plan;
    let is_filtered = lineage.iter().any(|lineage| !lineage.filters.is_empty());
    let even = is_filtered.then(|| BatchCoalescer::new(schema.clone(), context.session_config().batch_size()));
    let pool = context.memory_pool().clone();
    let mut out = Out { schema, rows: 0, rows_max, even, pool, sender };
    for plan in plans {
        let mut stream = match execute_stream(plan, context.clone()) {
            Ok(stream) => stream,
            Err(error) => return out.fail(executing(error)).await,
        };
        while let Some(batch) = stream.next().await {
            let pushed = match batch {
                Ok(batch) => out.push(&batch).await,
                Err(error) => Err(executing(error)),
            };
            match pushed {
                Ok(Some(())) => {}
                // The reader is gone.
                Ok(None) => return,
                Err(error) => return out.fail(error).await,
            }
        }
    }
    if let Err(error) = out.finish().await {
        out.fail(error).await;
    }
}

/// Where a query's rows go: typed, counted, and cut evenly where rows are hidden.
struct Out {
    schema: SchemaRef,
    rows: u64,
    rows_max: u64,
    /// SECURITY: how many rows of a stored batch are left after a policy's filter tells how many were hidden.
    even: Option<BatchCoalescer>,
    /// What waits for the reader counts as the query's memory.
    pool: Arc<dyn MemoryPool>,
    sender: mpsc::Sender<Result<Held, Error>>,
}

impl Out {
    /// Passes a batch on; `None` if nobody reads any more.
    async fn push(&mut self, batch: &RecordBatch) -> Result<Option<()>, Error> {
        let batch = typed(&self.schema, batch)?;
        self.rows += batch.num_rows() as u64;
        if self.rows_max > 0 && self.rows > self.rows_max {
            let text = PublicText::new(format!("the result has more than {} rows", self.rows_max))
                .hint("filter, aggregate or LIMIT it");
            return Err(Error::Limited { text });
        }
        match &mut self.even {
            _ if batch.num_rows() == 0 => Ok(Some(())),
            None => self.send(batch).await,
            Some(even) => {
                even.push_batch(batch).map_err(uneven)?;
                self.completed().await
            }
        }
    }

    async fn finish(&mut self) -> Result<Option<()>, Error> {
        if let Some(even) = &mut self.even {
            even.finish_buffered_batch().map_err(uneven)?;
        }
        self.completed().await
    }

    async fn completed(&mut self) -> Result<Option<()>, Error> {
        while let Some(batch) = self.even.as_mut().and_then(BatchCoalescer::next_completed_batch) {
            if self.send(batch).await?.is_none() {
                return Ok(None);
            }
        }
        Ok(Some(()))
    }

    async fn send(&self, batch: RecordBatch) -> Result<Option<()>, Error> {
        Ok(self.sender.send(Ok(Held::new(batch, &self.pool))).await.ok())
    }

    async fn fail(&self, error: Error) {
        // Nobody is left to be told if this fails.
        self.sender.send(Err(error)).await.ok();
    }
}

fn uneven(error: ArrowError) -> Error {
    Error::Internal { what: format!("batches cannot be cut evenly: {error}") }
}

/// Ends the query when its deadline passes, wherever it is.
async fn watch(deadline: tokio::time::Instant, cancelled: CancellationToken, worker: AbortHandle) {
    tokio::time::sleep_until(deadline).await;
    cancelled.cancel();
    worker.abort();
}

/// The batch under the result's schema, which differs in nullability and metadata only.
fn typed(schema: &SchemaRef, batch: &RecordBatch) -> Result<RecordBatch, Error> {
    let columns = batch
        .columns()
        .iter()
        .zip(schema.fields())
        .map(|(column, field)| {
            if column.data_type() == field.data_type() {
                return Ok(column.clone());
            }
            // INVARIANT: a value is never changed to fit; what does not fit is an error.
            let strict = CastOptions { safe: false, ..CastOptions::default() };
            cast_with_options(column, field.data_type(), &strict)
                .map_err(|error| Error::Internal { what: format!("a result's type changed: {error}") })
        })
        .collect::<Result<Vec<_>, _>>()?;
    let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(schema.clone(), columns, &options)
        .map_err(|error| Error::Internal { what: format!("a result's schema changed: {error}") })
}

impl Rows {
    /// The schema of every batch.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Stops the query from elsewhere.
    pub fn cancellation(&self) -> CancellationToken {
        self.running.cancelled.clone()
    }
}

impl Rows {
    /// What an early end means: time is up, or somebody cancelled.
    fn ended(&self) -> Error {
        if tokio::time::Instant::now() >= self.deadline {
            Error::DeadlineExceeded { seconds: self.deadline_s }
        } else {
            Error::Cancelled
        }
    }
}

impl Stream for Rows {
    type Item = Result<RecordBatch, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        match std::task::ready!(self.batches.poll_recv(context)) {
            Some(Err(Error::Cancelled)) => Poll::Ready(Some(Err(self.ended()))),
            Some(Err(error)) => Poll::Ready(Some(Err(error))),
            Some(Ok(held)) => {
                held.is_read();
                let batch = held.batch.clone();
                self.read = Some(held);
                Poll::Ready(Some(Ok(batch)))
            }
            // INVARIANT: a result never ends early without an error: the worker's own end says how it was.
            None => {
                let Some(worker) = self.worker.as_mut() else { return Poll::Ready(None) };
                let end = std::task::ready!(Pin::new(worker).poll(context));
                self.worker = None;
                match end {
                    Ok(()) => Poll::Ready(None),
                    Err(error) if error.is_cancelled() => Poll::Ready(Some(Err(self.ended()))),
                    Err(error) => Poll::Ready(Some(Err(Error::Internal { what: format!("a query thread: {error}") }))),
                }
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.cancelled.cancel();
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

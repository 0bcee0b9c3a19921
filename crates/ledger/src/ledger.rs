//! The writer's side of the trail.

use std::fmt;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use chrono::{DateTime, SecondsFormat};
use meshgate_model::{Clock, Instant};
use parking_lot::Mutex;
use serde::Serialize;
use tokio::sync::oneshot;

use crate::chain::Hash;
use crate::queue::{Item, Queue};
use crate::trail::Trail;
use crate::{Error, Record, recover};

/// The longest record, in bytes as JSON.
const RECORD_BYTES_MAX: usize = 32 * 1024 * 1024;

/// The format that this program writes.
const FORMAT: u32 = 1;

/// How to keep the trail.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Options {
    /// Whether a record counts as written only when it would survive a crash of the machine.
    pub fsync: bool,
    /// A new segment begins when one has grown to this size.
    pub segment_bytes_max: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self { fsync: true, segment_bytes_max: 64 * 1024 * 1024 }
    }
}

/// Says that a record is on disk, and where in the trail.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Receipt {
    /// The record's number.
    pub seq: u64,
    /// The record's hash.
    pub hash: Hash,
}

/// The one writer of an audit directory. All records go through one thread that writes whatever has come in meanwhile
/// at once, so that many queries share one fsync.
pub struct Ledger {
    dir: PathBuf,
    queue: Arc<Queue>,
    clock: Arc<dyn Clock>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl Ledger {
    /// Opens the trail in a directory and makes both if they do not exist. What a crash left unfinished at the end is
    /// put aside and noted; a trail that was tampered with where its head vouches for it is refused.
    pub fn open(dir: &Path, options: Options, clock: Arc<dyn Clock>) -> Result<Self, Error> {
        let stamp = clock.clone();
        let segment_record = move |number| {
            let record = Record::Segment { number, format: FORMAT };
            encode(&record, stamp.now()).unwrap_or_else(|_| b"{\"kind\":\"segment\"}".to_vec())
        };
        let recovered = recover::open(dir, options, Box::new(segment_record))?;
        let queue = Arc::new(Queue::default());
        let ledger = Self { dir: dir.to_owned(), queue: queue.clone(), clock, writer: Mutex::default() };
        if let Some(torn) = recovered.torn {
            ledger.append_lazy(Record::Recovered { torn_bytes: torn.bytes, kept_in: torn.kept_in });
        }
        let trail = recovered.trail;
        let spawned =
            std::thread::Builder::new().name("meshgate-ledger".to_owned()).spawn(move || write(trail, &queue));
        *ledger.writer.lock() = Some(spawned.map_err(Error::file("start a writer for", dir))?);
        Ok(ledger)
    }

    /// Records something that must be on disk before anything else happens. The record is on its way when this returns,
    /// whether or not the future is awaited; the future is ready when it is safe.
    pub fn append<R: Into<Record>>(&self, record: R) -> impl Future<Output = Result<Receipt, Error>> + Send + use<R> {
        self.submit(encode(&record.into(), self.clock.now()).map(Some))
    }

    /// Records something that nobody waits for. It is written soon, and again and again until that succeeds; while it
    /// does not, [`Self::append`] fails too.
    pub fn append_lazy(&self, record: impl Into<Record>) {
        let encoded = encode(&record.into(), self.clock.now());
        let pushed = encoded.and_then(|json| self.queue.push(Item { json: Some(json), reply: None }));
        if let Err(error) = pushed {
            tracing::error!(%error, dir = %self.dir.display(), "an audit record is lost");
        }
    }

    /// Ready when everything appended before is on disk.
    pub fn flush(&self) -> impl Future<Output = Result<(), Error>> + Send + use<> {
        let flushed = self.submit(Ok(None));
        async move { flushed.await.map(drop) }
    }

    /// Whether records can be written at the moment.
    pub fn is_healthy(&self) -> bool {
        !self.queue.is_failing() && self.writer.lock().as_ref().is_some_and(|writer| !writer.is_finished())
    }

    /// Writes what is left and ends. Waits for the disk, so not for an async thread.
    pub fn close(&self) {
        self.queue.close();
        let writer = self.writer.lock().take();
        if writer.is_some_and(|writer| writer.join().is_err()) {
            tracing::error!(dir = %self.dir.display(), "the audit trail's writer died");
        }
    }

    fn submit(
        &self,
        encoded: Result<Option<Vec<u8>>, Error>,
    ) -> impl Future<Output = Result<Receipt, Error>> + Send + use<> {
        let (reply, answer) = oneshot::channel();
        let pushed = encoded.and_then(|json| self.queue.push(Item { json, reply: Some(reply) }));
        async move {
            pushed?;
            answer.await.unwrap_or(Err(Error::Closed))
        }
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        self.close();
    }
}

impl fmt::Debug for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ledger").field("dir", &self.dir).finish_non_exhaustive()
    }
}

/// The writer's life.
fn write(mut trail: Trail, queue: &Queue) {
    // If this thread dies nobody waits in vain.
    let _abandon = Abandon(queue);
    let mut failures = 0_u32;
    while let Some(batch) = queue.next_batch() {
        match write_batch(&mut trail, batch, queue) {
            Ok(()) => failures = 0,
            Err(()) if queue.is_closing() && failures > 0 => break,
            Err(()) => failures += 1,
        }
    }
    if let Err(error) = trail.update_head().and_then(|()| trail.sync_head()) {
        tracing::error!(%error, dir = %trail.dir.display(), "cannot write the head of the audit trail");
    }
}

fn write_batch(trail: &mut Trail, batch: Vec<Item>, queue: &Queue) -> Result<(), ()> {
    let before = trail.link;
    let is_rest = batch.is_empty();
    let committed = trail.commit(batch.iter().filter_map(|item| item.json.as_deref()));
    let head = committed.is_ok().then(|| trail.update_head());
    let head = if is_rest { head.map(|updated| updated.and_then(|()| trail.sync_head())) } else { head };
    match committed {
        Ok(links) => {
            let head_failed = head.and_then(Result::err);
            let is_failing = head_failed.is_some();
            if queue.set_failing(is_failing) != is_failing {
                tracing::warn!(is_failing, error = head_failed.map(tracing::field::display), dir = %trail.dir.display(),
                    "the audit trail's state changed");
            }
            let mut links = links.into_iter();
            let mut last = before;
            for item in batch {
                if item.json.is_some() {
                    last = links.next().unwrap_or(last);
                }
                item.answer(Ok(last));
            }
            Ok(())
        }
        Err(error) => {
            if !queue.set_failing(true) {
                tracing::error!(%error, dir = %trail.dir.display(), "the audit trail cannot be written; queries are refused");
            }
            let error = Error::file("write the audit trail in", &trail.dir)(error);
            let (waited_for, lazy): (Vec<_>, Vec<_>) = batch.into_iter().partition(|item| item.reply.is_some());
            waited_for.into_iter().for_each(|item| item.answer(Err(error.clone())));
            queue.put_back(lazy);
            Err(())
        }
    }
}

struct Abandon<'a>(&'a Queue);

impl Drop for Abandon<'_> {
    fn drop(&mut self) {
        let lost = self.0.abandon();
        if lost > 0 {
            tracing::error!(lost, "audit records are lost: they could not be written before the end");
        }
    }
}

/// A record with its time, as it stands on disk.
#[derive(Serialize)]
struct Stamped<'a> {
    time: String,
    #[serde(flatten)]
    record: &'a Record,
}

fn encode(record: &Record, at: Instant) -> Result<Vec<u8>, Error> {
    let time = DateTime::from_timestamp_micros(at.micros()).unwrap_or_default();
    let time = time.to_rfc3339_opts(SecondsFormat::Micros, true);
    let json = serde_json::to_vec(&Stamped { time, record }).map_err(|error| Error::Encode(Arc::new(error)))?;
    // INVARIANT: every line that is written can be read again.
    if json.len() > RECORD_BYTES_MAX { Err(Error::TooLarge { bytes: json.len() }) } else { Ok(json) }
}

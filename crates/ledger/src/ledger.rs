//! The writer's side of the trail.

use std::fmt;
use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat};
use meshgate_model::{Clock, Instant, mutant};
use parking_lot::Mutex;
use serde::Serialize;
use tokio::sync::oneshot;

use crate::anchors::{Anchor, Anchorer, Anchoring};
use crate::chain::{Hash, Link};
use crate::disk::Disk;
use crate::queue::{Item, Queue, Unrecorded};
use crate::trail::Trail;
use crate::{Error, Record, anchors, recover};

/// The longest record, in bytes as JSON.
const RECORD_BYTES_MAX: usize = 32 * 1024 * 1024;

/// A write that takes longer than this makes the ledger unhealthy: whoever waits for it waits for a disk that may never
/// answer.
const STALLED_AFTER_MICROS: i64 = 10_000_000;

/// How often the end of the writer is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// The format that this program writes.
const FORMAT: u32 = 1;

/// How to keep the trail.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Options {
    /// Whether a record counts as written only when it would survive a crash of the machine.
    pub fsync: bool,
    /// A new segment begins when one has grown to this size.
    pub segment_bytes_max: u64,
    /// While more bytes than this wait for the disk, nothing is taken that somebody waits for.
    pub waiting_bytes_max: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { fsync: true, segment_bytes_max: 64 * 1024 * 1024, waiting_bytes_max: 64 * 1024 * 1024 }
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
    busy: Arc<Busy>,
    anchorer: Option<Arc<Anchorer>>,
    writer: Mutex<Option<Thread>>,
}

/// The writer, and who is told when it ends.
struct Thread {
    handle: JoinHandle<()>,
    ended: mpsc::Receiver<()>,
}

/// Since when the writer has been waiting for the disk.
#[derive(Default)]
struct Busy(AtomicI64);

impl Ledger {
    /// Opens the trail in a directory and makes both if they do not exist. What a crash left unfinished at the end is
    /// put aside and noted; a trail that was tampered with where its head vouches for it is refused.
    pub fn open(dir: &Path, options: Options, clock: Arc<dyn Clock>) -> Result<Self, Error> {
        Self::open_on(Disk::system(), dir, options, None, clock)
    }

    /// Opens the trail and anchors it in another directory. A trail that is not the one anchored there is refused, and so
    /// is a directory that cannot be written; should it fail later, the trail goes on.
    pub fn open_anchored(
        dir: &Path,
        options: Options,
        anchoring: Anchoring,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, Error> {
        Self::open_on(Disk::system(), dir, options, Some(anchoring), clock)
    }

    pub(crate) fn open_on(
        disk: Disk,
        dir: &Path,
        options: Options,
        anchoring: Option<Anchoring>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, Error> {
        let stamp = clock.clone();
        let segment_record = move |number| {
            let record = Record::Segment { number, format: FORMAT };
            encode(&record, stamp.now()).unwrap_or_else(|_| b"{\"kind\":\"segment\"}".to_vec())
        };
        let newest = anchoring.as_ref().map(anchors::newest).transpose()?.flatten();
        let vouched = |segments: &[u64]| match (&anchoring, &newest) {
            (Some(anchoring), Some(anchor)) => vouched(dir, segments, anchoring, anchor),
            _ => Ok(()),
        };
        let recovered = recover::open(dir, options, Box::new(segment_record), disk, vouched)?;
        let reached = recovered.trail.link;
        let anchorer = anchoring.map(|anchoring| Anchorer::start(anchoring, newest, reached, clock.clone()));
        let anchorer = anchorer.transpose()?.map(Arc::new);
        let queue = Arc::new(Queue::new(options.waiting_bytes_max));
        let busy = Arc::new(Busy::default());
        let ledger = Self {
            dir: dir.to_owned(),
            queue: queue.clone(),
            clock: clock.clone(),
            busy: busy.clone(),
            anchorer: anchorer.clone(),
            writer: Mutex::default(),
        };
        if let Some(torn) = recovered.torn.filter(|_| !mutant("a torn tail is accepted silently")) {
            ledger.append_lazy(Record::Recovered { torn_bytes: torn.bytes, kept_in: torn.kept_in });
        }
        let writer = Writer { trail: recovered.trail, queue, clock, busy, anchorer, failing_since: None };
        let (ends, ended) = mpsc::channel();
        let spawned = std::thread::Builder::new().name("meshgate-ledger".to_owned()).spawn(move || {
            writer.run();
            drop(ends);
        });
        let handle = spawned.map_err(Error::file("start a writer for", dir))?;
        *ledger.writer.lock() = Some(Thread { handle, ended });
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

    /// Whether records can be written at the moment, and in good time.
    pub fn is_healthy(&self) -> bool {
        let is_alive = || self.writer.lock().as_ref().is_some_and(|writer| !writer.handle.is_finished());
        !self.queue.is_failing() && !self.is_stalled() && is_alive()
    }

    fn is_stalled(&self) -> bool {
        self.busy.micros(self.clock.now()) > STALLED_AFTER_MICROS
    }

    /// Whether anchors can be written at the moment, if there are to be any.
    pub fn is_anchored(&self) -> bool {
        self.anchorer.as_ref().is_none_or(|anchorer| !anchorer.is_failing())
    }

    /// Writes what is left and ends. Waits for the disk, so not for an async thread; but not for one that does not answer.
    pub fn close(&self) {
        self.queue.close();
        let writer = self.writer.lock().take();
        if let Some(Thread { handle, ended }) = writer {
            while ended.recv_timeout(LOOK_EVERY) == Err(mpsc::RecvTimeoutError::Timeout) {
                if self.is_stalled() {
                    tracing::error!(dir = %self.dir.display(), "the disk of the audit trail does not answer; what waits for it \
                        is lost");
                    return;
                }
            }
            if handle.join().is_err() {
                tracing::error!(dir = %self.dir.display(), "the audit trail's writer died");
            }
        }
        if let Some(anchorer) = &self.anchorer {
            anchorer.close();
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

/// SECURITY: a trail that was set back is not built upon: soon it would look as whole as before.
fn vouched(dir: &Path, segments: &[u64], anchoring: &Anchoring, anchor: &Anchor) -> Result<(), Error> {
    if recover::has_record(dir, segments, anchor.link).map_err(Error::file("read", dir))?
        || mutant("a trail that was set back is built upon")
    {
        return Ok(());
    }
    Err(Error::Unanchored {
        dir: dir.to_owned(),
        anchors: anchors::path(&anchoring.dir, anchoring.key.public()),
        why: format!("record {}, anchored at {}, is not in it", anchor.link.seq, anchor.time),
    })
}

impl Busy {
    fn begin(&self, now: Instant) {
        self.0.store(now.micros().max(1), Ordering::SeqCst);
    }

    fn end(&self) {
        self.0.store(0, Ordering::SeqCst);
    }

    /// For how long; 0 while there is nothing to wait for.
    fn micros(&self, now: Instant) -> i64 {
        match self.0.load(Ordering::SeqCst) {
            0 => 0,
            since => now.micros().saturating_sub(since),
        }
    }
}

/// The one thread that writes.
struct Writer {
    trail: Trail,
    queue: Arc<Queue>,
    clock: Arc<dyn Clock>,
    busy: Arc<Busy>,
    anchorer: Option<Arc<Anchorer>>,
    failing_since: Option<Instant>,
}

impl Writer {
    fn run(mut self) {
        let queue = self.queue.clone();
        // If this thread dies nobody waits in vain.
        let _abandon = Abandon(&queue);
        let mut failures = 0_u32;
        while let Some(batch) = queue.next_batch() {
            self.busy.begin(self.clock.now());
            let written = self.write(batch);
            self.busy.end();
            match written {
                Ok(()) => failures = 0,
                Err(()) if queue.is_closing() && failures > 0 => break,
                Err(()) => failures += 1,
            }
        }
        self.busy.begin(self.clock.now());
        let Self { trail, .. } = &mut self;
        if let Err(error) = trail.update_head().and_then(|()| trail.sync_head()) {
            tracing::error!(%error, dir = %trail.dir.display(), "cannot write the head of the audit trail");
        }
    }

    fn write(&mut self, batch: Vec<Item>) -> Result<(), ()> {
        let is_rest = batch.is_empty();
        // After an outage the trail says so first; without anything else to write that shows whether it is over.
        let unrecorded = self.queue.unrecorded();
        let outage = self.outage(unrecorded);
        let records = outage.iter().map(Vec::as_slice).chain(batch.iter().filter_map(|item| item.json.as_deref()));
        if mutant("a receipt comes before its record is on disk") {
            let links = self.trail.commit(records).unwrap_or_default();
            return self.written(batch, links.into_iter().skip(outage.iter().len()), None);
        }
        let committed = self.trail.commit(records);
        let head = committed.is_ok().then(|| self.trail.update_head());
        let head = if is_rest { head.map(|updated| updated.and_then(|()| self.trail.sync_head())) } else { head };
        match committed {
            Ok(links) => {
                self.queue.recorded(unrecorded);
                self.written(batch, links.into_iter().skip(outage.iter().len()), head.and_then(Result::err))
            }
            Err(error) => self.failed(batch, error),
        }
    }

    /// The record that says what could not be recorded.
    fn outage(&self, unrecorded: Unrecorded) -> Option<Vec<u8>> {
        if self.failing_since.is_none() && unrecorded.is_nothing() {
            return None;
        }
        let now = self.clock.now();
        let Unrecorded { refused, lost } = unrecorded;
        let since = rfc3339(self.failing_since.unwrap_or(now));
        encode(&Record::Interrupted { since, refused, lost }, now).ok()
    }

    fn written(
        &mut self,
        batch: Vec<Item>,
        mut links: impl Iterator<Item = Link>,
        head_failed: Option<io::Error>,
    ) -> Result<(), ()> {
        self.failing_since = None;
        if let Some(anchorer) = &self.anchorer {
            anchorer.reached(self.trail.link);
        }
        let is_failing = head_failed.is_some();
        if self.queue.set_failing(is_failing) != is_failing {
            tracing::warn!(is_failing, error = head_failed.map(tracing::field::display), dir = %self.trail.dir.display(),
                "the audit trail's state changed");
        }
        let mut last = self.trail.link;
        for item in batch {
            if item.json.is_some() {
                last = links.next().unwrap_or(last);
            }
            item.answer(Ok(last));
        }
        Ok(())
    }

    fn failed(&mut self, batch: Vec<Item>, error: io::Error) -> Result<(), ()> {
        self.failing_since.get_or_insert_with(|| self.clock.now());
        if !self.queue.set_failing(true) {
            tracing::error!(%error, dir = %self.trail.dir.display(), "the audit trail cannot be written; queries are refused");
        }
        let error = Error::file("write the audit trail in", &self.trail.dir)(error);
        let (waited_for, lazy): (Vec<_>, Vec<_>) = batch.into_iter().partition(|item| item.reply.is_some());
        self.queue.refuse(waited_for.iter().filter(|item| item.json.is_some()).count() as u64);
        waited_for.into_iter().for_each(|item| item.answer(Err(error.clone())));
        if !mutant("what nobody waits for is dropped when writing fails") {
            self.queue.put_back(lazy);
        }
        Err(())
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
    let json =
        serde_json::to_vec(&Stamped { time: rfc3339(at), record }).map_err(|error| Error::Encode(Arc::new(error)))?;
    // INVARIANT: every line that is written can be read again.
    if json.len() > RECORD_BYTES_MAX { Err(Error::TooLarge { bytes: json.len() }) } else { Ok(json) }
}

/// A time as it is written.
pub(crate) fn rfc3339(at: Instant) -> String {
    DateTime::from_timestamp_micros(at.micros()).unwrap_or_default().to_rfc3339_opts(SecondsFormat::Micros, true)
}

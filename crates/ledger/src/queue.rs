//! What waits for the disk: filled by everybody, emptied by the one writer.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use meshgate_model::mutant;
use parking_lot::{Condvar, Mutex};
use tokio::sync::oneshot;

use crate::chain::Link;
use crate::{Error, Receipt};

/// The writer takes up to this much at once.
const BATCH_BYTES_MAX: usize = 4 * 1024 * 1024;
/// A record that nobody waits for finds room so many times as long as others. Beyond, it is lost, which the log and later
/// the trail say: memory must not run out because a disk is full.
const LAZY_FACTOR: usize = 4;
/// How long the writer rests when nothing comes: then it tidies up, and tries again what failed.
const REST: Duration = Duration::from_secs(1);

/// One record, or none where somebody only waits for those before.
#[derive(Debug)]
pub(crate) struct Item {
    pub(crate) json: Option<Vec<u8>>,
    pub(crate) reply: Option<oneshot::Sender<Result<Receipt, Error>>>,
}

/// Shared by the ledger's handle and its writer.
#[derive(Debug)]
pub(crate) struct Queue {
    /// More waiting bytes than this, and nobody who waits for an answer may join.
    bytes_max: usize,
    waiting: Mutex<Waiting>,
    wake: Condvar,
    is_failing: AtomicBool,
    /// Records that were refused, and those that were lost, since the trail last said so.
    refused: AtomicU64,
    lost: AtomicU64,
}

/// What could not be recorded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Unrecorded {
    pub(crate) refused: u64,
    pub(crate) lost: u64,
}

#[derive(Debug, Default)]
struct Waiting {
    items: VecDeque<Item>,
    bytes: usize,
    is_closing: bool,
    /// Whether what stands in front was tried in vain, so that only somebody new or a rest leads to the next try.
    is_resting: bool,
}

impl Queue {
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self {
            bytes_max,
            waiting: Mutex::default(),
            wake: Condvar::new(),
            is_failing: AtomicBool::default(),
            refused: AtomicU64::default(),
            lost: AtomicU64::default(),
        }
    }

    /// Lines up an item. Where nobody waits for an answer it is taken for much longer: such records follow others that were
    /// taken.
    pub(crate) fn push(&self, item: Item) -> Result<(), Error> {
        let mut waiting = self.waiting.lock();
        if waiting.is_closing {
            return Err(Error::Closed);
        }
        if item.reply.is_some() {
            if item.json.is_some() && waiting.bytes > self.bytes_max && !mutant("the queue has no bound") {
                self.refused.fetch_add(1, Ordering::SeqCst);
                return Err(Error::Behind(waiting.bytes));
            }
            waiting.is_resting = false;
        } else if waiting.bytes > self.bytes_max.saturating_mul(LAZY_FACTOR) {
            self.lost.fetch_add(1, Ordering::SeqCst);
            return Err(Error::Behind(waiting.bytes));
        }
        waiting.bytes += item.len();
        waiting.items.push_back(item);
        drop(waiting);
        self.wake.notify_one();
        Ok(())
    }

    /// The next items to write; none after a rest without any; `None` when the ledger is closed and all is taken.
    pub(crate) fn next_batch(&self) -> Option<Vec<Item>> {
        let mut waiting = self.waiting.lock();
        if !waiting.has_work() && !waiting.is_closing {
            let is_idle = |waiting: &mut Waiting| !waiting.has_work() && !waiting.is_closing;
            let rested = self.wake.wait_while_for(&mut waiting, is_idle, REST);
            if rested.timed_out() {
                waiting.is_resting = false;
            }
        }
        if waiting.items.is_empty() && waiting.is_closing {
            return None;
        }
        let mut batch = Vec::new();
        let mut bytes = 0;
        while bytes < BATCH_BYTES_MAX
            && let Some(item) = waiting.items.pop_front()
        {
            bytes += item.len();
            batch.push(item);
        }
        waiting.bytes -= bytes;
        Some(batch)
    }

    /// Puts back in front what could not be written and nobody was told about.
    pub(crate) fn put_back(&self, items: Vec<Item>) {
        let mut waiting = self.waiting.lock();
        for item in items.into_iter().rev() {
            waiting.bytes += item.len();
            waiting.items.push_front(item);
        }
        // Somebody who came meanwhile waits for an answer, and gets a try of their own.
        waiting.is_resting = waiting.items.iter().all(|item| item.reply.is_none());
    }

    /// Takes no more; the writer ends when all is written.
    pub(crate) fn close(&self) {
        self.waiting.lock().is_closing = true;
        self.wake.notify_all();
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.waiting.lock().is_closing
    }

    /// Throws away what is left and answers those who wait. Returns how many records were lost.
    pub(crate) fn abandon(&self) -> usize {
        let mut waiting = self.waiting.lock();
        waiting.is_closing = true;
        let left = std::mem::take(&mut waiting.items);
        let lost = left.iter().filter(|item| item.json.is_some()).count();
        drop(waiting);
        left.into_iter().for_each(|item| item.answer(Err(Error::Closed)));
        lost
    }

    /// Counts records whose writers were told that they are not written.
    pub(crate) fn refuse(&self, records: u64) {
        self.refused.fetch_add(records, Ordering::SeqCst);
    }

    /// What the trail does not say yet.
    pub(crate) fn unrecorded(&self) -> Unrecorded {
        let count = |count: &AtomicU64| count.load(Ordering::SeqCst);
        Unrecorded { refused: count(&self.refused), lost: count(&self.lost) }
    }

    /// The trail has said so.
    pub(crate) fn recorded(&self, told: Unrecorded) {
        self.refused.fetch_sub(told.refused, Ordering::SeqCst);
        self.lost.fetch_sub(told.lost, Ordering::SeqCst);
    }

    pub(crate) fn set_failing(&self, is_failing: bool) -> bool {
        self.is_failing.swap(is_failing, Ordering::SeqCst)
    }

    pub(crate) fn is_failing(&self) -> bool {
        self.is_failing.load(Ordering::SeqCst)
    }
}

impl Unrecorded {
    pub(crate) fn is_nothing(self) -> bool {
        self == Self { refused: 0, lost: 0 }
    }
}

impl Waiting {
    fn has_work(&self) -> bool {
        !self.items.is_empty() && !self.is_resting
    }
}

impl Item {
    fn len(&self) -> usize {
        self.json.as_ref().map_or(0, Vec::len)
    }

    /// Answers whoever still waits.
    pub(crate) fn answer(self, answer: Result<Link, Error>) {
        if let Some(reply) = self.reply {
            let receipt = answer.map(|link| Receipt { seq: link.seq, hash: link.hash });
            // Whoever went away meanwhile does not want to know.
            let _ = reply.send(receipt);
        }
    }
}

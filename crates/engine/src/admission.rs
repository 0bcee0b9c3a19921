//! Who may run now, who waits, and who is turned away.
//!
//! Queries take turns, but whose only query it is does not wait behind the many of others, who may be slow to read: as many
//! places as there are for all are kept for these.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use meshgate_model::PublicText;
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{Error, Options};

/// Counts queries, in total and per principal.
#[derive(Debug)]
pub(crate) struct Admission {
    running: Arc<Semaphore>,
    /// For principals of whom nothing else runs or waits.
    only: Arc<Semaphore>,
    waiting: AtomicUsize,
    queue_len_max: usize,
    per_principal_max: usize,
    per_principal: Arc<Mutex<HashMap<String, usize>>>,
}

/// The right to run one query; dropping it makes room.
#[derive(Debug)]
pub(crate) struct Ticket {
    _running: OwnedSemaphorePermit,
    _counted: Counted,
}

#[derive(Debug)]
struct Counted {
    principal: String,
    counts: Arc<Mutex<HashMap<String, usize>>>,
}

impl Admission {
    pub(crate) fn new(options: &Options) -> Self {
        Self {
            running: Arc::new(Semaphore::new(options.queries_max)),
            only: Arc::new(Semaphore::new(options.queries_max)),
            waiting: AtomicUsize::new(0),
            queue_len_max: options.queue_len_max,
            per_principal_max: options.queries_per_principal_max,
            per_principal: Arc::default(),
        }
    }

    /// Waits for a turn, or says why there is none.
    pub(crate) async fn enter(&self, principal: &str) -> Result<Ticket, Error> {
        let (counted, running) = self.count(principal)?;
        let kept = (running == 1).then_some(&self.only);
        let permit =
            [Some(&self.running), kept].into_iter().flatten().find_map(|from| from.clone().try_acquire_owned().ok());
        if let Some(permit) = permit {
            return Ok(Ticket { _running: permit, _counted: counted });
        }
        let _place = Place::take(&self.waiting, self.queue_len_max)
            .ok_or_else(|| limit("too many queries are waiting already", "try again in a moment"))?;
        let permit = self
            .running
            .clone()
            .acquire_owned()
            .await
            .map_err(|_| Error::Internal { what: "the admission semaphore was closed".to_owned() })?;
        Ok(Ticket { _running: permit, _counted: counted })
    }

    /// Counts one more of a principal, and says how many there are.
    fn count(&self, principal: &str) -> Result<(Counted, usize), Error> {
        let mut counts = self.per_principal.lock();
        let count = counts.entry(principal.to_owned()).or_default();
        if *count >= self.per_principal_max {
            let text = format!("{} of your queries run or wait already", self.per_principal_max);
            return Err(limit(&text, "wait for one to end, or cancel one"));
        }
        *count += 1;
        Ok((Counted { principal: principal.to_owned(), counts: self.per_principal.clone() }, *count))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut counts = self.counts.lock();
        if let Some(count) = counts.get_mut(&self.principal) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.principal);
            }
        }
    }
}

/// A place in the queue.
struct Place<'a>(&'a AtomicUsize);

impl<'a> Place<'a> {
    fn take(waiting: &'a AtomicUsize, max: usize) -> Option<Self> {
        if waiting.fetch_add(1, Ordering::SeqCst) >= max {
            waiting.fetch_sub(1, Ordering::SeqCst);
            return None;
        }
        Some(Self(waiting))
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

fn limit(text: &str, hint: &str) -> Error {
    Error::Limited { text: PublicText::new(text).hint(hint) }
}

#[cfg(test)]
mod tests {
    use super::Admission;
    use crate::Options;

    #[tokio::test]
    async fn limits_hold_and_room_is_made() {
        let options = Options { queries_max: 2, queries_per_principal_max: 3, queue_len_max: 0, ..Options::default() };
        let admission = Admission::new(&options);
        let first = admission.enter("a").await.expect("room");
        let _second = admission.enter("a").await.expect("room");
        assert!(admission.enter("a").await.is_err(), "no room, no queue");
        let _only = admission.enter("b").await.expect("room for whom nothing runs");
        assert!(admission.enter("b").await.is_err(), "it is one");
        let _other = admission.enter("c").await.expect("and for another one");
        assert!(admission.enter("d").await.is_err(), "there are as many such places as others");
        drop(first);
        let _third = admission.enter("b").await.expect("room again");
        assert!(admission.enter("a").await.is_err(), "it was the last");
    }

    #[tokio::test]
    async fn one_principal_has_a_limit() {
        let options = Options { queries_max: 9, queries_per_principal_max: 2, ..Options::default() };
        let admission = Admission::new(&options);
        let _queries = [admission.enter("a").await.expect("room"), admission.enter("a").await.expect("room")];
        assert!(admission.enter("a").await.is_err(), "two run");
    }
}

//! Queries that run now, so that a lost right ends them.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use meshgate_model::{Instant, QueryId, TableAddress, mutant};
use meshgate_policy::{Decision, RequestContext};
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use crate::Caller;
use crate::caller::{View, same_rights};
use crate::mesh::Mesh;

/// Seconds that a query goes on while nobody can say whether its credential is still valid.
const UNCONFIRMED_MAX_S: i64 = 30;

/// All running queries.
#[derive(Default)]
pub(crate) struct Running {
    queries: Arc<Mutex<HashMap<QueryId, Vec<Listed>>>>,
    runs: AtomicU64,
}

/// A query that is redeemed twice runs twice.
struct Listed {
    run: u64,
    entry: Entry,
}

/// What a running query's rights rest on.
#[derive(Clone)]
pub(crate) struct Entry {
    pub(crate) caller: Caller,
    pub(crate) view: View,
    pub(crate) rights: Vec<(TableAddress, Arc<Decision>)>,
    pub(crate) stop: CancellationToken,
    pub(crate) revoked: CancellationToken,
    /// When the credential was last known to be valid, in microseconds.
    pub(crate) confirmed: Arc<AtomicI64>,
}

/// One running query; dropping it takes it off the list.
pub(crate) struct Registered {
    id: QueryId,
    run: u64,
    queries: Arc<Mutex<HashMap<QueryId, Vec<Listed>>>>,
    pub(crate) revoked: CancellationToken,
}

impl Running {
    pub(crate) fn register(&self, id: QueryId, entry: Entry) -> Registered {
        let revoked = entry.revoked.clone();
        let run = self.runs.fetch_add(1, Ordering::Relaxed);
        self.queries.lock().entry(id).or_default().push(Listed { run, entry });
        Registered { id, run, queries: self.queries.clone(), revoked }
    }

    pub(crate) fn len(&self) -> usize {
        self.queries.lock().values().map(Vec::len).sum()
    }

    pub(crate) fn entries(&self) -> Vec<Entry> {
        self.queries.lock().values().flatten().map(|listed| listed.entry.clone()).collect()
    }

    /// Ends every query whose principal has other rights under the mesh in force, at this time.
    pub(crate) fn recheck(&self, mesh: &Arc<Mesh>, at: Instant) {
        for entry in self.entries() {
            if mutant("running queries keep lost rights") {
                continue;
            }
            let request = RequestContext { now: at, ..entry.view.request.clone() };
            let now = View { mesh: mesh.clone(), request, ..entry.view.clone() };
            let unchanged = |(address, before): &(TableAddress, Arc<Decision>)| {
                mesh.is_serving(&address.product) && same_rights(before, &now.decide(address))
            };
            if !entry.rights.iter().all(unchanged) {
                entry.revoke();
            }
        }
    }

    pub(crate) fn stop_all(&self) {
        self.entries().iter().for_each(|entry| entry.stop.cancel());
    }
}

impl Entry {
    /// Notes that the credential is valid.
    pub(crate) fn confirm(&self, now: Instant) {
        self.confirmed.store(now.micros(), Ordering::Relaxed);
    }

    /// Whether it is too long ago that the credential was known to be valid.
    pub(crate) fn is_unconfirmed(&self, now: Instant) -> bool {
        Instant(self.confirmed.load(Ordering::Relaxed)).plus_seconds(UNCONFIRMED_MAX_S) <= now
    }

    /// Ends the query as one whose principal lost the right.
    pub(crate) fn revoke(&self) {
        self.revoked.cancel();
        self.stop.cancel();
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        let mut queries = self.queries.lock();
        if let Some(entries) = queries.get_mut(&self.id) {
            entries.retain(|entry| entry.run != self.run);
            if entries.is_empty() {
                queries.remove(&self.id);
            }
        }
    }
}

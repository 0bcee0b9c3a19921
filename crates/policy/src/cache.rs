//! Decisions that were made already.

use std::net::IpAddr;
use std::sync::Arc;

use meshgate_identity::Principal;
use meshgate_model::{Fingerprint, TableAddress};

use crate::rule::Mentions;
use crate::{Access, ColumnVerdict, Decision, RequestContext};

/// The most that is kept, counted in column verdicts.
const WEIGHT_MAX: u64 = 2_000_000;

/// Bounded; belongs to the policies of one release, so nothing in it can outlive them.
#[derive(Debug)]
pub(crate) struct Cache(moka::sync::Cache<Key, Arc<Decision>>);

/// Everything a decision can depend on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    fingerprint: Fingerprint,
    table: TableAddress,
    purpose: Option<String>,
    client_ip: Option<IpAddr>,
}

impl Key {
    /// `None` if the decision depends on the time, and cannot be kept.
    pub(crate) fn new(
        principal: &Principal,
        table: &TableAddress,
        request: &RequestContext,
        mentions: Mentions,
    ) -> Option<Self> {
        (!mentions.now).then(|| Self {
            fingerprint: principal.fingerprint(),
            table: table.clone(),
            purpose: request.purpose.clone().filter(|_| mentions.purpose),
            client_ip: request.client_ip.filter(|_| mentions.client_ip),
        })
    }
}

impl Cache {
    pub(crate) fn get(&self, key: &Key) -> Option<Arc<Decision>> {
        self.0.get(key)
    }

    pub(crate) fn insert(&self, key: Key, decision: Arc<Decision>) {
        self.0.insert(key, decision);
    }
}

impl Default for Cache {
    fn default() -> Self {
        let weigher = |_: &Key, decision: &Arc<Decision>| match decision.access() {
            Access::Absent => 1,
            Access::Visible { columns, .. } => 1 + columns.iter().map(weight).sum::<u32>(),
        };
        Self(moka::sync::Cache::builder().max_capacity(WEIGHT_MAX).weigher(weigher).build())
    }
}

fn weight(column: &ColumnVerdict) -> u32 {
    1 + column.fields.iter().map(weight).sum::<u32>()
}

//! Decisions that were made already.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use meshgate_identity::{Authentication, Principal, PrincipalKind};
use meshgate_model::{AttributeValue, TableAddress, mutant};

use crate::rule::Mentions;
use crate::{Access, ColumnVerdict, Decision, RequestContext};

/// The most that is kept, counted in column verdicts, groups and attributes.
const WEIGHT_MAX: u64 = 2_000_000;

/// Bounded; belongs to the policies of one release, so nothing in it can outlive them.
#[derive(Debug)]
pub(crate) struct Cache(moka::sync::Cache<Key, Arc<Decision>>);

/// Everything a decision can depend on. Principals who are alike in this share it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    kind: PrincipalKind,
    /// SECURITY: none only if no policy that has a say can know it.
    user: Option<String>,
    groups: BTreeSet<String>,
    attributes: BTreeMap<String, AttributeValue>,
    authentication: Authentication,
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
        (!mentions.now || mutant("decisions outlive the time they were made for")).then(|| Self {
            kind: principal.kind(),
            user: (mentions.user && !mutant("decisions are shared between users")).then(|| principal.name().to_owned()),
            groups: if mutant("decisions are shared between groups") {
                BTreeSet::new()
            } else {
                principal.groups().clone()
            },
            attributes: if mutant("decisions are shared between attributes") {
                BTreeMap::new()
            } else {
                principal.attributes().clone()
            },
            authentication: principal.authentication(),
            table: table.clone(),
            purpose: request
                .purpose
                .clone()
                .filter(|_| mentions.purpose && !mutant("decisions are shared between purposes")),
            client_ip: request
                .client_ip
                .filter(|_| mentions.client_ip && !mutant("decisions are shared between addresses")),
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
        let weigher = |key: &Key, decision: &Arc<Decision>| {
            let who = u32::try_from(1 + key.groups.len() + key.attributes.len()).unwrap_or(u32::MAX);
            who.saturating_add(match decision.access() {
                Access::Absent => 0,
                Access::Visible { columns, .. } => columns.iter().map(weight).sum::<u32>(),
            })
        };
        Self(moka::sync::Cache::builder().max_capacity(WEIGHT_MAX).weigher(weigher).build())
    }
}

fn weight(column: &ColumnVerdict) -> u32 {
    1 + column.fields.iter().map(weight).sum::<u32>()
}

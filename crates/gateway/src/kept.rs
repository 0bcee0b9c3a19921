//! Plans between FlightInfo and DoGet: few, for a short time, each for one principal.

use std::collections::HashMap;
use std::sync::Arc;

use meshgate_engine::Plan;
use meshgate_model::{Clock, Epoch, Instant, QueryId};
use parking_lot::Mutex;

use crate::caller::{View, same_rights};
use crate::{Caller, SessionOptions, StrangerLimits};

/// Limits of what is kept between two calls.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Plans that wait for their execution.
    pub plans_max: usize,
    /// Seconds a plan waits; after that it is made again from its statement.
    pub plan_ttl_s: i64,
    /// Endpoints of one result: each executes the query for its part of the rows.
    pub endpoints_max: u32,
    /// Refused credentials in the audit trail.
    pub strangers: StrangerLimits,
    /// Bytes of a statement in the audit trail; of a longer one the beginning is kept, and its SHA-256.
    pub statement_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            plans_max: 1_000,
            plan_ttl_s: 60,
            endpoints_max: 16,
            strangers: StrangerLimits::default(),
            statement_bytes_max: 64 * 1024,
        }
    }
}

/// A plan that waits.
pub(crate) struct KeptPlan {
    pub(crate) id: QueryId,
    pub(crate) epoch: Epoch,
    pub(crate) options: SessionOptions,
    pub(crate) view: View,
    pub(crate) plan: Plan,
}

impl KeptPlan {
    /// Whether the plan's tables are seen now as they were when it was made.
    pub(crate) fn has_rights_of(&self, now: &View) -> bool {
        let mut tables = self.plan.touched().iter().map(|lineage| &lineage.table);
        tables.all(|table| same_rights(&self.view.decide(table), &now.decide(table)))
    }
}

/// All plans that wait.
pub(crate) struct Kept {
    limits: Limits,
    clock: Arc<dyn Clock>,
    plans: Mutex<HashMap<QueryId, (Instant, KeptPlan)>>,
}

impl Kept {
    pub(crate) fn new(limits: Limits, clock: Arc<dyn Clock>) -> Self {
        Self { limits, clock, plans: Mutex::default() }
    }

    pub(crate) fn put(&self, plan: KeptPlan) {
        let now = self.clock.now();
        let mut plans = self.plans.lock();
        plans.retain(|_, (expires, _)| *expires > now);
        if plans.len() >= self.limits.plans_max {
            let oldest = plans.iter().min_by_key(|(_, (expires, _))| *expires).map(|(id, _)| *id);
            oldest.map(|id| plans.remove(&id));
        }
        plans.insert(plan.id, (now.plus_seconds(self.limits.plan_ttl_s), plan));
    }

    /// The plan, if it is still there and means the same for this caller under the rules in force.
    pub(crate) fn take(
        &self,
        id: QueryId,
        caller: &Caller,
        options: &SessionOptions,
        epoch: Epoch,
    ) -> Option<KeptPlan> {
        let (expires, plan) = self.plans.lock().remove(&id)?;
        // SECURITY: a plan is made of one principal's rights and never runs under another's, nor under old rules.
        let same = plan.view.fingerprint() == caller.fingerprint()
            && plan.view.request.client_ip == caller.client.address
            && plan.options == *options
            && plan.epoch == epoch;
        (same && expires > self.clock.now()).then_some(plan)
    }

    /// Forgets a caller's plan, if there is one.
    pub(crate) fn forget(&self, id: QueryId, caller: &Caller) {
        let mut plans = self.plans.lock();
        if plans.get(&id).is_some_and(|(_, plan)| plan.view.fingerprint() == caller.fingerprint()) {
            plans.remove(&id);
        }
    }

    /// The most endpoints of a result.
    pub(crate) fn endpoints_max(&self) -> u32 {
        self.limits.endpoints_max
    }

    pub(crate) fn clear(&self) {
        self.plans.lock().clear();
    }
}

//! Refused credentials in the audit trail: the first few of an address one by one, the rest of the minute as a number.
//! So nobody without a credential can fill the disk, and no attempt goes unmentioned.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use meshgate_ledger::{Denial, Ledger};
use meshgate_model::{Clock, Instant};
use parking_lot::Mutex;

/// How much of the trail strangers may have.
#[derive(Debug, Clone, Copy)]
pub struct StrangerLimits {
    /// Records of one address in one window; what comes after them is counted.
    pub records_max: u32,
    /// Seconds of a window.
    pub window_s: i64,
    /// Addresses that are told apart in one window; all others share one.
    pub addresses_max: usize,
}

impl Default for StrangerLimits {
    fn default() -> Self {
        Self { records_max: 20, window_s: 60, addresses_max: 1_000 }
    }
}

/// Writes down whom the gate did not let in.
pub(crate) struct Strangers {
    ledger: Arc<Ledger>,
    clock: Arc<dyn Clock>,
    limits: StrangerLimits,
    windows: Mutex<HashMap<Option<IpAddr>, Window>>,
}

struct Window {
    ends: Instant,
    records: u32,
    counted: Option<Denial>,
}

impl Strangers {
    pub(crate) fn new(ledger: Arc<Ledger>, clock: Arc<dyn Clock>, limits: StrangerLimits) -> Self {
        Self { ledger, clock, limits, windows: Mutex::default() }
    }

    /// Records a refusal, or counts it.
    pub(crate) fn refused(&self, mut denial: Denial) {
        self.sweep();
        let ends = self.clock.now().plus_seconds(self.limits.window_s);
        let mut windows = self.windows.lock();
        let address = denial.client.address;
        if address.is_some() && !windows.contains_key(&address) && windows.len() >= self.limits.addresses_max {
            denial.client.address = None;
        }
        let fresh = || Window { ends, records: 0, counted: None };
        let window = windows.entry(denial.client.address).or_insert_with(fresh);
        if window.records < self.limits.records_max {
            window.records += 1;
            self.ledger.append_lazy(denial);
        } else {
            match &mut window.counted {
                Some(counted) => counted.times += denial.times,
                counted @ None => *counted = Some(denial),
            }
        }
    }

    /// Writes the numbers of windows that are over.
    pub(crate) fn sweep(&self) {
        let now = self.clock.now();
        self.close(|window| window.ends <= now);
    }

    /// Writes all numbers.
    pub(crate) fn finish(&self) {
        self.close(|_| true);
    }

    fn close(&self, over: impl Fn(&Window) -> bool) {
        let closed = self.windows.lock().extract_if(|_, window| over(window)).collect::<Vec<_>>();
        for counted in closed.into_iter().filter_map(|(_, window)| window.counted) {
            self.ledger.append_lazy(counted);
        }
    }
}

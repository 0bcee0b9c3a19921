//! The guard against guessing passwords.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};

use meshgate_model::Instant;
use parking_lot::Mutex;

use crate::ClientInfo;

/// How failures turn into waiting time: some are free, then each one doubles the delay.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Backoff {
    /// Failures without consequence.
    pub free: u32,
    /// The delay after the first failure that is not free.
    pub delay_s_first: u64,
    /// The longest delay.
    pub delay_s_max: u64,
}

/// The guard's limits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct GuardLimits {
    /// For one user name tried from one address.
    pub user_and_address: Backoff,
    /// For one address, whatever names it tries.
    pub address: Backoff,
    /// Failures are forgotten this long after the last one.
    pub forget_s: u64,
    /// How many names and addresses are remembered at most.
    pub entries_max: usize,
}

impl Default for GuardLimits {
    fn default() -> Self {
        Self {
            user_and_address: Backoff { free: 5, delay_s_first: 1, delay_s_max: 300 },
            address: Backoff { free: 50, delay_s_first: 1, delay_s_max: 60 },
            forget_s: 900,
            entries_max: 20_000,
        }
    }
}

impl Backoff {
    fn delay_s(self, failures: u32) -> u64 {
        match failures.checked_sub(self.free + 1) {
            None => 0,
            Some(doublings) => self
                .delay_s_first
                .saturating_mul(1_u64.checked_shl(doublings).unwrap_or(u64::MAX))
                .min(self.delay_s_max),
        }
    }
}

/// Counts failures per user and address.
#[derive(Debug)]
pub(crate) struct Guard {
    limits: GuardLimits,
    entries: Mutex<HashMap<Key, Entry>>,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
enum Key {
    UserAndAddress(String, Option<IpAddr>),
    Address(Option<IpAddr>),
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    failures: u32,
    last: Instant,
    until: Instant,
}

impl Guard {
    pub(crate) fn new(limits: GuardLimits) -> Self {
        Self { limits, entries: Mutex::default() }
    }

    /// Whether an attempt is looked at now; if not, in how many seconds it would be.
    ///
    /// SECURITY: knows only what was tried, never whether the user exists.
    pub(crate) fn admit(&self, user: &str, client: &ClientInfo, now: Instant) -> Result<(), u64> {
        let entries = self.entries.lock();
        let until = keys(user, client).iter().filter_map(|key| entries.get(key)).map(|entry| entry.until).max();
        match until {
            Some(until) if until > now => Err((until.micros() - now.micros()).unsigned_abs().div_ceil(1_000_000)),
            _ => Ok(()),
        }
    }

    /// Counts a wrong password.
    pub(crate) fn failed(&self, user: &str, client: &ClientInfo, now: Instant) {
        let mut entries = self.entries.lock();
        for (key, backoff) in keys(user, client).into_iter().zip([self.limits.user_and_address, self.limits.address]) {
            if !entries.contains_key(&key) {
                self.make_room(&mut entries, now);
            }
            let entry = entries.entry(key).or_insert(Entry { failures: 0, last: now, until: now });
            if self.is_stale(entry, now) {
                entry.failures = 0;
            }
            entry.failures = entry.failures.saturating_add(1);
            entry.last = now;
            entry.until = now.plus_seconds(i64::try_from(backoff.delay_s(entry.failures)).unwrap_or(i64::MAX));
        }
    }

    /// Forgets the failures of this user from there. Those of the address stay: who owns one account must not be able
    /// to wipe the slate after each guess at another.
    pub(crate) fn succeeded(&self, user: &str, client: &ClientInfo) {
        let [user_and_address, _] = keys(user, client);
        self.entries.lock().remove(&user_and_address);
    }

    fn is_stale(&self, entry: &Entry, now: Instant) -> bool {
        entry.last.plus_seconds(i64::try_from(self.limits.forget_s).unwrap_or(i64::MAX)) < now
    }

    /// Bounds the memory: stale entries go first, then the one with the fewest failures, so that spraying names does
    /// not push out the entry that holds an attacker back.
    fn make_room(&self, entries: &mut HashMap<Key, Entry>, now: Instant) {
        if entries.len() < self.limits.entries_max {
            return;
        }
        entries.retain(|_, entry| !self.is_stale(entry, now));
        while entries.len() >= self.limits.entries_max {
            let least =
                entries.iter().min_by_key(|(_, entry)| (entry.failures, entry.last)).map(|(key, _)| key.clone());
            match least {
                Some(key) => entries.remove(&key),
                None => break,
            };
        }
    }
}

/// The pair first, the address second. Of IPv6 the network counts: one host owns all of a /64.
fn keys(user: &str, client: &ClientInfo) -> [Key; 2] {
    let address = client.address.map(|address| match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX))),
        v4 @ IpAddr::V4(_) => v4,
    });
    // Names longer than any real one share an entry per prefix: the memory of an entry is bounded, too.
    let user = user.chars().take(256).collect();
    [Key::UserAndAddress(user, address), Key::Address(address)]
}

#[cfg(test)]
mod tests {
    use super::{Backoff, Guard, GuardLimits};
    use crate::ClientInfo;
    use meshgate_model::Instant;

    fn from(address: &str) -> ClientInfo {
        ClientInfo { address: Some(address.parse().expect("an address")), user_agent: None }
    }

    const START: Instant = Instant(1_000_000_000);

    fn limits() -> GuardLimits {
        let user_and_address = Backoff { free: 2, delay_s_first: 1, delay_s_max: 8 };
        GuardLimits { user_and_address, entries_max: 6, forget_s: 60, ..GuardLimits::default() }
    }

    #[test]
    fn delays_double_up_to_the_maximum_and_are_forgotten() {
        let (guard, client) = (Guard::new(limits()), from("10.0.0.1"));
        let mut delays = Vec::new();
        let mut now = START;
        for _ in 0..8 {
            guard.failed("ana", &client, now);
            let delay = guard.admit("ana", &client, now).err().unwrap_or(0);
            delays.push(delay);
            now = now.plus_seconds(i64::try_from(delay).expect("small"));
            assert_eq!(guard.admit("ana", &client, now), Ok(()), "admitted when the delay is over");
        }
        assert_eq!(delays, [0, 0, 1, 2, 4, 8, 8, 8]);
        let later = now.plus_seconds(100);
        guard.failed("ana", &client, later);
        assert_eq!(guard.admit("ana", &client, later), Ok(()));
    }

    #[test]
    fn one_address_does_not_lock_out_another_but_is_held_back_itself() {
        let guard = Guard::new(GuardLimits::default());
        for n in 0..60 {
            guard.failed(&format!("user{n}"), &from("10.0.0.1"), START);
        }
        assert!(guard.admit("somebody new", &from("10.0.0.1"), START).is_err());
        assert!(guard.admit("user1", &from("10.0.0.2"), START).is_ok());
        guard.succeeded("somebody new", &from("10.0.0.1"));
        assert!(guard.admit("somebody new", &from("10.0.0.1"), START).is_err());
    }

    #[test]
    fn a_network_of_ipv6_counts_as_one_address() {
        let guard = Guard::new(limits());
        for n in 1..6 {
            guard.failed("ana", &from(&format!("2001:db8::{n}")), START);
        }
        assert!(guard.admit("ana", &from("2001:db8::ffff"), START).is_err());
        assert!(guard.admit("ana", &from("2001:db8:0:1::1"), START).is_ok());
    }

    #[test]
    fn memory_is_bounded_and_spraying_does_not_free_the_held_back() {
        let guard = Guard::new(limits());
        for _ in 0..6 {
            guard.failed("ana", &from("10.0.0.1"), START);
        }
        for n in 0..100 {
            guard.failed(&format!("user{n}"), &from(&format!("10.0.1.{n}")), START);
        }
        assert!(guard.entries.lock().len() <= 6);
        assert!(guard.admit("ana", &from("10.0.0.1"), START).is_err());
    }
}

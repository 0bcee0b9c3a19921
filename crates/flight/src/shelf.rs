//! A bounded place for what belongs to principals: found by id and owner, forgotten when unused.

use std::collections::HashMap;
use std::sync::Arc;

use meshgate_model::{Clock, Entropy, Fingerprint, Instant, mutant};
use parking_lot::Mutex;

/// A random id.
pub(crate) type Id = [u8; 16];

/// A new random id.
pub(crate) fn fresh_id(entropy: &dyn Entropy) -> Id {
    let mut id = Id::default();
    entropy.fill(&mut id);
    id
}

/// A bounded map whose entries only their owner finds.
pub(crate) struct Shelf<V> {
    entries: Mutex<HashMap<Id, Entry<V>>>,
    capacity: usize,
    idle_s: u32,
    clock: Arc<dyn Clock>,
}

struct Entry<V> {
    owner: Fingerprint,
    used: Instant,
    value: V,
}

impl<V: Clone> Shelf<V> {
    /// Room for so many entries; an entry unused for that long is gone.
    pub(crate) fn new(capacity: usize, idle_s: u32, clock: Arc<dyn Clock>) -> Self {
        Self { entries: Mutex::default(), capacity: capacity.max(1), idle_s, clock }
    }

    /// Keeps a value. An owner beyond its share (a quarter) loses what it has not used for longest; so does everybody
    /// when the shelf is full.
    pub(crate) fn put(&self, owner: Fingerprint, id: Id, value: V) {
        let now = self.clock.now();
        let mut entries = self.entries.lock();
        entries.retain(|_, entry| !self.is_idle(entry.used, now));
        let share = self.capacity.div_ceil(4);
        if let Some(entry) = entries.get_mut(&id).filter(|entry| entry.owner == owner) {
            (entry.used, entry.value) = (now, value);
            return;
        }
        if entries.values().filter(|entry| entry.owner == owner).count() >= share {
            Self::evict(&mut entries, |entry| entry.owner == owner);
        }
        if entries.len() >= self.capacity {
            Self::evict(&mut entries, |_| true);
        }
        entries.insert(id, Entry { owner, used: now, value });
    }

    /// The owner's value, which counts as used.
    pub(crate) fn get(&self, owner: Fingerprint, id: &Id) -> Option<V> {
        let now = self.clock.now();
        let mut entries = self.entries.lock();
        // SECURITY: somebody else's entry is as absent as one that never was.
        let entry = entries.get_mut(id).filter(|entry| {
            (entry.owner == owner || mutant("a handle is anybody's")) && !self.is_idle(entry.used, now)
        })?;
        entry.used = now;
        Some(entry.value.clone())
    }

    /// Takes the owner's value away.
    pub(crate) fn take(&self, owner: Fingerprint, id: &Id) -> Option<V> {
        let mut entries = self.entries.lock();
        entries.get(id).filter(|entry| entry.owner == owner || mutant("anybody may take a handle away"))?;
        entries.remove(id).map(|entry| entry.value)
    }

    fn is_idle(&self, used: Instant, now: Instant) -> bool {
        used.plus_seconds(i64::from(self.idle_s)) <= now
    }

    fn evict(entries: &mut HashMap<Id, Entry<V>>, among: impl Fn(&Entry<V>) -> bool) {
        let oldest = entries.iter().filter(|(_, entry)| among(entry)).min_by_key(|(_, entry)| entry.used);
        if let Some(id) = oldest.map(|(id, _)| *id) {
            entries.remove(&id);
        }
    }
}

impl<V> std::fmt::Debug for Shelf<V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Shelf({} of {})", self.entries.lock().len(), self.capacity)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicI64, Ordering};

    use meshgate_model::{Clock, Fingerprint, Instant};

    use super::Shelf;

    /// A clock that is set by hand, in seconds.
    #[derive(Debug, Default)]
    pub(crate) struct Hand(pub(crate) AtomicI64);

    impl Clock for Hand {
        fn now(&self) -> Instant {
            Instant::default().plus_seconds(self.0.load(Ordering::Relaxed))
        }
    }

    const ANA: Fingerprint = Fingerprint([1; 32]);
    const BEN: Fingerprint = Fingerprint([2; 32]);

    #[test]
    fn keeps_for_the_owner_and_for_a_while() {
        let clock = Arc::new(Hand::default());
        let shelf = Shelf::new(8, 10, clock.clone());
        shelf.put(ANA, [1; 16], "a");
        assert_eq!(shelf.get(ANA, &[1; 16]), Some("a"));
        assert_eq!(shelf.get(BEN, &[1; 16]), None);
        assert_eq!(shelf.take(BEN, &[1; 16]), None);
        clock.0.store(9, Ordering::Relaxed);
        assert_eq!(shelf.get(ANA, &[1; 16]), Some("a"), "still used");
        clock.0.store(18, Ordering::Relaxed);
        assert_eq!(shelf.get(ANA, &[1; 16]), Some("a"), "because it was used");
        clock.0.store(28, Ordering::Relaxed);
        assert_eq!(shelf.get(ANA, &[1; 16]), None, "idle");
        shelf.put(ANA, [2; 16], "b");
        assert_eq!((shelf.take(ANA, &[2; 16]), shelf.take(ANA, &[2; 16])), (Some("b"), None));
    }

    #[test]
    fn one_owner_cannot_push_the_others_out() {
        let clock = Arc::new(Hand::default());
        let shelf = Shelf::new(8, 1000, clock.clone());
        shelf.put(BEN, [99; 16], 99);
        for n in 0..50_u8 {
            clock.0.store(i64::from(n) + 1, Ordering::Relaxed);
            shelf.put(ANA, [n; 16], n);
        }
        assert_eq!(shelf.get(BEN, &[99; 16]), Some(99));
        let kept: Vec<_> = (0..50).filter(|n| shelf.get(ANA, &[*n; 16]).is_some()).collect();
        assert_eq!(kept, [48, 49]);
    }
}

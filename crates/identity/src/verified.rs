//! Passwords that were right a moment ago.
//!
//! Basic credentials come with every call, and argon2 takes tens of milliseconds. For a few seconds a password that was
//! verified is known again by a keyed digest, as long as the stored record still has the same version.

use std::collections::HashMap;

use hmac::{Hmac, Mac};
use meshgate_model::{Instant, Secret, mutant};
use parking_lot::Mutex;
use sha2::Sha256;

const ENTRIES_MAX: usize = 4096;
const LIFE_S: i64 = 15;

/// Remembers verified passwords, never the passwords themselves.
#[derive(Debug)]
pub(crate) struct Verified {
    entries: Mutex<HashMap<Digest, Entry>>,
    key: Key,
}

type Digest = [u8; 32];

struct Key([u8; 32]);

#[derive(Debug)]
struct Entry {
    version: [u8; 16],
    until: Instant,
}

impl Verified {
    /// With a key that lives as long as the process, so that a digest is worth nothing elsewhere.
    pub(crate) fn new(key: [u8; 32]) -> Self {
        Self { entries: Mutex::default(), key: Key(key) }
    }

    pub(crate) fn holds(&self, user: &str, password: &Secret, version: [u8; 16], now: Instant) -> bool {
        let digest = self.digest(user, password);
        self.entries.lock().get(&digest).is_some_and(|entry| {
            (entry.version == version || mutant("a changed password stays good")) && entry.until > now
        })
    }

    pub(crate) fn remember(&self, user: &str, password: &Secret, version: [u8; 16], now: Instant) {
        let digest = self.digest(user, password);
        let mut entries = self.entries.lock();
        if entries.len() >= ENTRIES_MAX {
            entries.retain(|_, entry| entry.until > now);
        }
        if entries.len() < ENTRIES_MAX {
            entries.insert(digest, Entry { version, until: now.plus_seconds(LIFE_S) });
        }
    }

    fn digest(&self, user: &str, password: &Secret) -> Digest {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key.0).expect("HMAC takes keys of any length");
        mac.update(&(user.len() as u64).to_le_bytes());
        mac.update(user.as_bytes());
        mac.update(password.expose().as_bytes());
        mac.finalize().into_bytes().into()
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::{LIFE_S, Verified};
    use meshgate_model::{Instant, Secret};

    #[test]
    fn knows_exactly_what_was_verified_and_only_for_seconds() {
        let verified = Verified::new([7; 32]);
        let (now, version) = (Instant(0), [1; 16]);
        verified.remember("ana", &Secret::new("pw"), version, now);
        assert!(verified.holds("ana", &Secret::new("pw"), version, now));
        assert!(!verified.holds("ana", &Secret::new("pw2"), version, now));
        assert!(
            !verified.holds("anap", &Secret::new("w"), version, now),
            "the border between name and password counts"
        );
        assert!(!verified.holds("ana", &Secret::new("pw"), [2; 16], now), "another version of the record");
        assert!(!verified.holds("ana", &Secret::new("pw"), version, now.plus_seconds(LIFE_S)));
    }
}

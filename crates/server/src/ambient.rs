//! The real clock and the real source of randomness, which the crates below are handed.

use std::time::{SystemTime, UNIX_EPOCH};

use meshgate_model::{Clock, Entropy, Instant};

/// The machine's clock.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SystemClock;

/// The operating system's randomness.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SystemEntropy;

impl Clock for SystemClock {
    fn now(&self) -> Instant {
        let micros = match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(after) => i64::try_from(after.as_micros()).unwrap_or(i64::MAX),
            Err(before) => i64::try_from(before.duration().as_micros()).map_or(i64::MIN, |micros| -micros),
        };
        Instant(micros)
    }
}

impl Entropy for SystemEntropy {
    fn fill(&self, buffer: &mut [u8]) {
        // SECURITY: no token, key or salt may be made from anything weaker, so there is nothing to fall back to.
        getrandom::fill(buffer).expect("the operating system has randomness");
    }
}

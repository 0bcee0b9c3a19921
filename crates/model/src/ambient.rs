//! The outside world as seen by the crates: a clock and a source of randomness. The binary passes real ones in, tests
//! pass their own; nothing else reads either.

use std::fmt::Debug;

/// Microseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Instant(pub i64);

impl Instant {
    /// This instant moved by a number of seconds, saturating.
    pub fn plus_seconds(self, seconds: i64) -> Self {
        Self(self.0.saturating_add(seconds.saturating_mul(1_000_000)))
    }

    /// Whole microseconds since the epoch.
    pub fn micros(self) -> i64 {
        self.0
    }

    /// Whole milliseconds since the epoch.
    pub fn millis(self) -> i64 {
        self.0.div_euclid(1_000)
    }
}

/// Tells the time.
pub trait Clock: Send + Sync + Debug {
    /// Now, in UTC.
    fn now(&self) -> Instant;
}

/// Fills buffers with bytes nobody can guess.
pub trait Entropy: Send + Sync + Debug {
    /// Fills the whole buffer.
    fn fill(&self, buffer: &mut [u8]);
}

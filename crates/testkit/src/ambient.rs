//! The outside world of tests.

use std::sync::atomic::{AtomicU64, Ordering};

use meshgate_model::{Clock, Entropy, Instant};

/// The machine's own time.
#[derive(Debug, Clone, Copy, Default)]
pub struct WallClock;

impl Clock for WallClock {
    fn now(&self) -> Instant {
        let since = std::time::UNIX_EPOCH.elapsed().unwrap_or_default();
        Instant(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
    }
}

/// Bytes that never repeat within a process, and are the same in every run.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Entropy for Counter {
    fn fill(&self, buffer: &mut [u8]) {
        for chunk in buffer.chunks_mut(8) {
            let mut mixed = self.0.fetch_add(1, Ordering::Relaxed).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            chunk.copy_from_slice(&mixed.to_le_bytes()[..chunk.len()]);
        }
    }
}

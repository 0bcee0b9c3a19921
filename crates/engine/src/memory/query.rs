//! One query's part of the memory that all share.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use datafusion::error::{DataFusionError, Result};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryLimit, MemoryPool, MemoryReservation};
use tokio_util::sync::CancellationToken;

use crate::cancel;

/// A pool that passes everything on to a shared one and keeps one query below its own limit. A cancelled query gets no more:
/// sorting and merging what is in memory already goes on for as long as it takes, without ever yielding, but asks for memory
/// all the time.
#[derive(Debug)]
pub(crate) struct QueryPool {
    shared: Arc<dyn MemoryPool>,
    used: AtomicUsize,
    limit_bytes: usize,
    cancelled: CancellationToken,
}

impl QueryPool {
    pub(crate) fn new(shared: Arc<dyn MemoryPool>, limit_bytes: usize, cancelled: CancellationToken) -> Self {
        Self { shared, used: AtomicUsize::new(0), limit_bytes, cancelled }
    }
}

impl fmt::Display for QueryPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "query({} of {})", self.used.load(Ordering::Relaxed), self.limit_bytes)
    }
}

impl MemoryPool for QueryPool {
    fn name(&self) -> &str {
        "query"
    }

    fn register(&self, consumer: &MemoryConsumer) {
        self.shared.register(consumer);
    }

    fn unregister(&self, consumer: &MemoryConsumer) {
        self.shared.unregister(consumer);
    }

    fn grow(&self, reservation: &MemoryReservation, additional: usize) {
        self.used.fetch_add(additional, Ordering::Relaxed);
        self.shared.grow(reservation, additional);
    }

    fn shrink(&self, reservation: &MemoryReservation, shrink: usize) {
        self.used.fetch_sub(shrink, Ordering::Relaxed);
        self.shared.shrink(reservation, shrink);
    }

    fn try_grow(&self, reservation: &MemoryReservation, additional: usize) -> Result<()> {
        cancel::check(&self.cancelled)?;
        let before = self.used.fetch_add(additional, Ordering::Relaxed);
        let result = if before.saturating_add(additional) > self.limit_bytes {
            Err(DataFusionError::ResourcesExhausted("the query's own memory limit".to_owned()))
        } else {
            self.shared.try_grow(reservation, additional)
        };
        if result.is_err() {
            self.used.fetch_sub(additional, Ordering::Relaxed);
        }
        result
    }

    fn reserved(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    fn memory_limit(&self) -> MemoryLimit {
        MemoryLimit::Finite(self.limit_bytes)
    }
}

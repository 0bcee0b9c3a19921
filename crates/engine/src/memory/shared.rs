//! The memory that all queries have together, shared fairly between those that can spill.

use std::fmt;

use datafusion::error::{DataFusionError, Result};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryLimit, MemoryPool, MemoryReservation};
use parking_lot::Mutex;

/// A pool that gives those who can spill an even part of what the others leave, as DataFusion's fair pool does, and that
/// counts for some consumers more than they ask for: what they really take.
#[derive(Debug)]
pub(crate) struct SharedPool {
    limit_bytes: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Consumers that can spill.
    spillers: usize,
    spillable_bytes: usize,
    other_bytes: usize,
}

impl SharedPool {
    pub(crate) fn new(limit_bytes: usize) -> Self {
        Self { limit_bytes, state: Mutex::default() }
    }
}

/// How many bytes a consumer takes for each one that it asks for. An aggregation counts its state after it has grown; while a
/// hash table grows, or the result is made of it, both are there. One without groups may be a text, which grows to the double
/// each time.
fn weight(consumer: &MemoryConsumer) -> usize {
    match consumer.name() {
        name if name.starts_with("AggregateStream") => 4,
        name if name.contains("AggregateStream") => 2,
        _ => 1,
    }
}

impl fmt::Display for SharedPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "shared({} of {})", self.reserved(), self.limit_bytes)
    }
}

impl MemoryPool for SharedPool {
    fn name(&self) -> &str {
        "shared"
    }

    fn register(&self, consumer: &MemoryConsumer) {
        self.state.lock().spillers += usize::from(consumer.can_spill());
    }

    fn unregister(&self, consumer: &MemoryConsumer) {
        let mut state = self.state.lock();
        state.spillers = state.spillers.saturating_sub(usize::from(consumer.can_spill()));
    }

    fn grow(&self, reservation: &MemoryReservation, additional: usize) {
        let (consumer, mut state) = (reservation.consumer(), self.state.lock());
        let bytes = additional.saturating_mul(weight(consumer));
        let used = if consumer.can_spill() { &mut state.spillable_bytes } else { &mut state.other_bytes };
        *used = used.saturating_add(bytes);
    }

    fn shrink(&self, reservation: &MemoryReservation, shrink: usize) {
        let (consumer, mut state) = (reservation.consumer(), self.state.lock());
        let bytes = shrink.saturating_mul(weight(consumer));
        let used = if consumer.can_spill() { &mut state.spillable_bytes } else { &mut state.other_bytes };
        *used = used.saturating_sub(bytes);
    }

    fn try_grow(&self, reservation: &MemoryReservation, additional: usize) -> Result<()> {
        let (consumer, mut state) = (reservation.consumer(), self.state.lock());
        let bytes = additional.saturating_mul(weight(consumer));
        let available = if consumer.can_spill() {
            let part = self.limit_bytes.saturating_sub(state.other_bytes) / state.spillers.max(1);
            let all = self.limit_bytes.saturating_sub(state.other_bytes).saturating_sub(state.spillable_bytes);
            part.saturating_sub(reservation.size().saturating_mul(weight(consumer))).min(all)
        } else {
            self.limit_bytes.saturating_sub(state.other_bytes).saturating_sub(state.spillable_bytes)
        };
        if bytes > available {
            return Err(DataFusionError::ResourcesExhausted(format!(
                "{} needs {bytes} bytes more and can have {available}",
                consumer.name()
            )));
        }
        let used = if consumer.can_spill() { &mut state.spillable_bytes } else { &mut state.other_bytes };
        *used = used.saturating_add(bytes);
        Ok(())
    }

    fn reserved(&self) -> usize {
        let state = self.state.lock();
        state.spillable_bytes.saturating_add(state.other_bytes)
    }

    fn memory_limit(&self) -> MemoryLimit {
        MemoryLimit::Finite(self.limit_bytes)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool};

    use super::SharedPool;

    #[test]
    fn spillers_share_what_others_leave_and_aggregations_weigh_more() {
        let pool: Arc<dyn MemoryPool> = Arc::new(SharedPool::new(1000));
        let sort = MemoryConsumer::new("ExternalSorter[0]").with_can_spill(true).register(&pool);
        let other = MemoryConsumer::new("ExternalSorter[1]").with_can_spill(true).register(&pool);
        let join = MemoryConsumer::new("HashJoinInput").register(&pool);
        assert!(join.try_grow(200).is_ok());
        assert!(sort.try_grow(401).is_err(), "more than its part");
        assert!(sort.try_grow(400).is_ok() && other.try_grow(400).is_ok());
        assert!(join.try_grow(1).is_err(), "nothing is left");
        assert_eq!(pool.reserved(), 1000);
        drop((sort, other, join));
        assert_eq!(pool.reserved(), 0);

        let aggregation = MemoryConsumer::new("AggregateStream[0]").register(&pool);
        assert!(aggregation.try_grow(251).is_err());
        assert!(aggregation.try_grow(250).is_ok());
        assert_eq!((pool.reserved(), aggregation.size()), (1000, 250));
        aggregation.shrink(50);
        assert_eq!(pool.reserved(), 800);
        let groups = MemoryConsumer::new("FinalHashAggregateStream[0]").with_can_spill(true).register(&pool);
        assert!(groups.try_grow(101).is_err() && groups.try_grow(100).is_ok());
        assert!(groups.try_grow(1).is_err());
    }

    #[test]
    fn a_spiller_gets_no_more_than_there_is() {
        let pool: Arc<dyn MemoryPool> = Arc::new(SharedPool::new(1000));
        let first = MemoryConsumer::new("ExternalSorter[0]").with_can_spill(true).register(&pool);
        assert!(first.try_grow(900).is_ok(), "alone it may have all");
        let second = MemoryConsumer::new("ExternalSorter[1]").with_can_spill(true).register(&pool);
        assert!(second.try_grow(101).is_err() && second.try_grow(100).is_ok());
    }
}

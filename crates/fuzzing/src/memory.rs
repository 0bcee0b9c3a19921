//! How much a thread allocates.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    /// Bytes that this thread allocated and not freed; below zero if it frees what others allocated.
    static HELD: Cell<isize> = const { Cell::new(0) };
    /// The most it was since somebody began to look.
    static MOST: Cell<isize> = const { Cell::new(0) };
}

/// The system's allocator, which also counts what each thread holds. A test binary that has it as its global allocator
/// notices targets that allocate much.
#[derive(Debug, Clone, Copy, Default)]
pub struct Counting;

fn count(bytes: usize, sign: isize) {
    let change = isize::try_from(bytes).unwrap_or(isize::MAX).saturating_mul(sign);
    // A thread that is ending has no counters any more.
    HELD.try_with(|held| {
        held.set(held.get().saturating_add(change));
        MOST.try_with(|most| most.set(most.get().max(held.get()))).ok();
    })
    .ok();
}

#[expect(unsafe_code, reason = "an allocator cannot be written without")]
// SAFETY: the system's allocator does all the work; counting neither allocates nor unwinds.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 1);
        // SAFETY: the caller's promises are handed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 1);
        // SAFETY: the caller's promises are handed on.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size, 1);
        count(layout.size(), -1);
        // SAFETY: the caller's promises are handed on.
        unsafe { System.realloc(memory, layout, size) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        count(layout.size(), -1);
        // SAFETY: the caller's promises are handed on.
        unsafe { System.dealloc(memory, layout) }
    }
}

/// The most bytes that a piece of work held at once, in this thread; zero without [`Counting`].
pub(crate) fn most_held<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let before = HELD.get();
    MOST.set(before);
    let result = work();
    (result, usize::try_from(MOST.get().saturating_sub(before)).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::{Counting, most_held};

    #[global_allocator]
    static ALLOCATOR: Counting = Counting;

    #[test]
    fn the_most_at_once_counts() {
        let (_, most) = most_held(|| {
            for _ in 0..10 {
                drop(vec![1_u8; 1_000_000]);
            }
        });
        assert!((1_000_000..1_100_000).contains(&most), "{most}");
        let (kept, most) = most_held(|| vec![0_u8; 2_000_000]);
        assert!(most >= kept.len(), "{most}");
    }
}

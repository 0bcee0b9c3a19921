//! The same done to many things at once.

use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// The most threads at once. More would take the cores of a gateway that is busy while it loads.
const THREADS_MAX: usize = 4;

/// The results in the order of the items.
pub(super) fn each<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let worker = || {
        let mut done = Vec::new();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(at) else { return done };
            done.push((at, work(item)));
        }
    };
    let mut done = thread::scope(|scope| {
        let helpers: Vec<_> = (1..items.len().min(THREADS_MAX)).map(|_| scope.spawn(worker)).collect();
        let mut done = worker();
        for helper in helpers {
            done.extend(helper.join().unwrap_or_else(|panic| resume_unwind(panic)));
        }
        done
    });
    done.sort_unstable_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::sync::Barrier;
    use std::thread;

    use super::{THREADS_MAX, each};

    #[test]
    fn results_keep_their_order_and_are_made_on_several_threads() {
        assert_eq!(each(&[0; 0], |n| *n), [0; 0]);
        let together = Barrier::new(THREADS_MAX);
        let items: Vec<usize> = (0..THREADS_MAX * 100).collect();
        let made = each(&items, |item| {
            // The first of each thread wait for each other, so nobody does all the work.
            if *item < THREADS_MAX {
                together.wait();
            }
            (*item, thread::current().id())
        });
        assert_eq!(made.iter().map(|(item, _)| *item).collect::<Vec<_>>(), items);
        assert_eq!(made.iter().map(|(_, thread)| *thread).collect::<HashSet<_>>().len(), THREADS_MAX);
    }
}

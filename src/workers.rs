//! Independent pieces of work on all threads, one piece a thread at a time.
//!
//! A piece runs inside a rayon pool of a single thread, so that what it calls does not split its work
//! further: small tensor operations are faster whole, and a thread that waits never starts another
//! piece. A piece that divides its own work does its parts one after the other. What a piece computes does not
//! depend on the number of threads.

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock};

use rayon::{ThreadPool, ThreadPoolBuilder};

static POOLS: OnceLock<Vec<ThreadPool>> = OnceLock::new();

thread_local! {
    /// Whether this thread is working on a piece.
    static IN_PIECE: Cell<bool> = const { Cell::new(false) };
}

/// One pool of one thread for each thread of the global rayon pool (`RAYON_NUM_THREADS`).
fn pools() -> &'static [ThreadPool] {
    POOLS.get_or_init(|| {
        (0..rayon::current_num_threads())
            .filter_map(|index| {
                ThreadPoolBuilder::new()
                    .num_threads(1)
                    .thread_name(move |_| format!("piece-{index}"))
                    .build()
                    .ok()
            })
            .collect()
    })
}

/// `work(0), …, work(pieces − 1)` on all threads; results in order.
pub fn map<T: Send>(pieces: usize, work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    map_at_most(usize::MAX, pieces, work)
}

/// [`map`] with no more than `most` pieces at work.
pub fn map_at_most<T: Send>(
    most: usize,
    pieces: usize,
    work: impl Fn(usize) -> T + Sync,
) -> Vec<T> {
    let pools = pools();
    // waiting for the other pools from inside a piece could wait for itself
    if pools.is_empty() || IN_PIECE.get() {
        return (0..pieces).map(work).collect();
    }
    let next = AtomicUsize::new(0);
    let results: Vec<Mutex<Option<T>>> = (0..pieces).map(|_| Mutex::new(None)).collect();
    on_each(&pools[..pools.len().min(pieces).min(most)], &|| {
        loop {
            let piece = next.fetch_add(1, Ordering::Relaxed);
            if piece >= pieces {
                break;
            }
            let result = {
                let _inside = Inside::enter();
                work(piece)
            };
            *results[piece]
                .lock()
                .expect("only this piece locks its result") = Some(result);
        }
    });
    results
        .into_iter()
        .map(|slot| {
            slot.into_inner()
                .expect("a panic in a piece has already ended the call")
                .expect("every piece was taken and finished")
        })
        .collect()
}

/// Marks its thread as working on a piece while it lives, also when the piece panics.
struct Inside;

impl Inside {
    fn enter() -> Self {
        IN_PIECE.set(true);
        Self
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        IN_PIECE.set(false);
    }
}

/// Runs `job` once on every pool, at the same time.
fn on_each(pools: &[ThreadPool], job: &(dyn Fn() + Sync)) {
    if let Some((first, rest)) = pools.split_first() {
        first.in_place_scope(|scope| {
            scope.spawn(|_| job());
            on_each(rest, job);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_keep_their_order() {
        assert_eq!(
            map(100, |piece| piece * piece),
            (0..100).map(|piece| piece * piece).collect::<Vec<_>>()
        );
        assert!(map(0, |piece| piece).is_empty());
    }

    #[test]
    fn no_more_than_asked_are_at_work() {
        let (at_work, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        map_at_most(1, 20, |_| {
            let now = at_work.fetch_add(1, Ordering::SeqCst) + 1;
            most.fetch_max(now, Ordering::SeqCst);
            std::thread::sleep(std::time::Duration::from_millis(1));
            at_work.fetch_sub(1, Ordering::SeqCst);
        });
        assert_eq!(most.into_inner(), 1);
    }

    #[test]
    fn pieces_of_pieces_are_done_in_place() {
        let found = map(16, |outer| {
            let thread = std::thread::current().id();
            map(5, |inner| {
                (outer * 5 + inner, std::thread::current().id() == thread)
            })
        });
        let flat: Vec<_> = found.into_iter().flatten().collect();
        assert_eq!(flat, (0..80).map(|index| (index, true)).collect::<Vec<_>>());
    }

    #[test]
    fn a_piece_sees_one_thread() {
        assert_eq!(map(1, |_| rayon::current_num_threads()), [1]);
        assert!(
            map(8, |_| rayon::current_num_threads())
                .into_iter()
                .all(|threads| threads == 1)
        );
    }
}

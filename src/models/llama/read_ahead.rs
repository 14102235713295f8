//! Items that are read one after another, such as layers that do not fit into memory together: while one is at work, another
//! thread reads the next.

use std::fmt;
use std::panic::resume_unwind;
use std::sync::{Arc, Mutex};
use std::thread::{JoinHandle, spawn};

/// What [`ReadAhead::fetch`] expects.
const HELD: &str = "no reading has failed before";

/// The item that was asked for last and the one that is read next, and no other: together with what a caller still holds of
/// an earlier one they are all that is in memory.
pub struct ReadAhead<T> {
    read: Arc<dyn Fn(usize) -> T + Send + Sync>,
    state: Mutex<State<T>>,
}

struct State<T> {
    current: Option<(usize, T)>,
    next: Option<(usize, JoinHandle<T>)>,
}

impl<T> State<T> {
    /// The one that is being read, once it is there.
    fn joined(&mut self) -> Option<(usize, T)> {
        let (index, thread) = self.next.take()?;
        let item = thread.join().unwrap_or_else(|panic| resume_unwind(panic));
        Some((index, item))
    }
}

impl<T: Clone + Send + 'static> ReadAhead<T> {
    /// Of items that `read` makes; a panic of it is a panic of the [`Self::fetch`] that needs the item.
    pub fn new(read: impl Fn(usize) -> T + Send + Sync + 'static) -> Self {
        Self {
            read: Arc::new(read),
            state: Mutex::new(State {
                current: None,
                next: None,
            }),
        }
    }

    /// An item; `next` is read meanwhile.
    pub fn fetch(&self, index: usize, next: Option<usize>) -> T {
        let mut state = self.state.lock().expect(HELD);
        let current = state.current.take().filter(|(there, _)| *there == index);
        let found = current.or_else(|| state.joined().filter(|(read, _)| *read == index));
        let item = found.map_or_else(|| (self.read)(index), |(_, item)| item);
        state.current = Some((index, item.clone()));
        let is_pending = state.next.as_ref().map(|(pending, _)| *pending) == next;
        if let Some(next) = next.filter(|_| !is_pending) {
            // there is no room for a third: what nobody asked for after all is read to its end and dropped
            drop(state.joined());
            let read = self.read.clone();
            state.next = Some((next, spawn(move || read(next))));
        }
        item
    }
}

impl<T> fmt::Debug for ReadAhead<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadAhead").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc::{Receiver, channel};
    use std::time::Duration;

    use super::*;

    /// An item in memory, from the beginning of its reading.
    struct Item {
        index: usize,
        all: Arc<AtomicUsize>,
    }

    impl Drop for Item {
        fn drop(&mut self) {
            self.all.fetch_sub(1, Ordering::SeqCst);
        }
    }

    /// Items; which are being read, and which have been; and how many are in memory.
    struct Watched {
        items: ReadAhead<Arc<Item>>,
        begun: Receiver<usize>,
        done: Receiver<usize>,
        all: Arc<AtomicUsize>,
    }

    impl Watched {
        fn new() -> Self {
            let ((begin, begun), (end, done)) = (channel(), channel());
            let all = Arc::new(AtomicUsize::new(0));
            let counted = all.clone();
            let items = ReadAhead::new(move |index| {
                let now = counted.fetch_add(1, Ordering::SeqCst) + 1;
                assert!(now <= 2, "{now} items in memory");
                begin.send(index).unwrap();
                let all = counted.clone();
                end.send(index).unwrap();
                Arc::new(Item { index, all })
            });
            Self {
                items,
                begun,
                done,
                all,
            }
        }

        /// One pass; `at_work` is called while an item is held.
        fn pass(&self, order: &[usize], at_work: impl Fn(Option<usize>)) {
            for (place, &index) in order.iter().enumerate() {
                let next = order.get(place + 1).copied();
                let item = self.items.fetch(index, next);
                assert_eq!(item.index, index);
                at_work(next);
                assert!(self.all.load(Ordering::SeqCst) <= 2);
            }
        }

        fn read(&self) -> Vec<usize> {
            self.begun.try_iter().collect()
        }
    }

    /// What a reading that never comes would take.
    const LONG: Duration = Duration::from_secs(20);

    #[test]
    fn the_next_is_read_while_the_present_one_is_at_work() {
        let watched = Watched::new();
        watched.pass(&[0, 1, 2, 3], |next| {
            let Some(next) = next else { return };
            let read = || watched.done.recv_timeout(LONG);
            while read().expect("the next is read meanwhile") != next {}
            assert_eq!(watched.all.load(Ordering::SeqCst), 2);
        });
    }

    #[test]
    fn every_item_is_read_once_a_pass_and_the_last_is_there_for_the_way_back() {
        let watched = Watched::new();
        let forward = [0, 1, 2, 3];
        for _ in 0..2 {
            watched.pass(&forward, |_| ());
            assert_eq!(watched.read(), forward);
            watched.pass(&[3, 2, 1, 0], |_| ());
            assert_eq!(watched.read(), [2, 1, 0]);
            // item 0 is there, too
            watched.pass(&forward, |_| ());
            assert_eq!(watched.read(), [1, 2, 3]);
            // another pass begins below
            watched.pass(&[2], |_| ());
            assert_eq!(watched.read(), [2]);
        }
    }

    #[test]
    fn what_was_read_in_vain_is_no_third() {
        let watched = Watched::new();
        for (index, next) in [(0, 1), (4, 5), (4, 6), (2, 3), (3, 2), (0, 0), (1, 2)] {
            let item = watched.items.fetch(index, Some(next));
            assert_eq!(item.index, index);
        }
        assert_eq!(watched.items.fetch(2, None).index, 2);
        drop(watched.items);
        assert_eq!(watched.all.load(Ordering::SeqCst), 0);
    }

    #[test]
    #[should_panic(expected = "item 1 cannot be read")]
    fn a_reading_that_fails_says_why() {
        let items = ReadAhead::new(|index| {
            assert!(index == 0, "item {index} cannot be read");
            index
        });
        assert_eq!(items.fetch(0, Some(1)), 0);
        items.fetch(1, None);
    }
}

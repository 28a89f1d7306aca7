//! Waits with a deadline, without a runtime: the sender's timer wakes those whose time is over.

use ottla_time::{Time, points};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Waker};

/// The deadlines of all futures that wait now. A future takes its entry out when it is done or dropped, so there are
/// never more entries than waiting futures.
#[derive(Debug, Default)]
pub(crate) struct Waits {
    by_deadline: Mutex<BTreeMap<(Time, u64), Waker>>,
    next: AtomicU64,
}

impl Waits {
    /// The next deadline.
    pub(crate) fn next_deadline(&self) -> Option<Time> {
        points::reach("the deadlines are looked at");
        self.by_deadline
            .lock()
            .first_key_value()
            .map(|(&(deadline, _), _)| deadline)
    }

    /// Wakes everybody: something happened that ends all waits.
    pub(crate) fn wake_all(&self) {
        let waits = std::mem::take(&mut *self.by_deadline.lock());
        waits.into_values().for_each(Waker::wake);
    }

    /// Wakes those whose deadline is over.
    pub(crate) fn wake_due(&self, now: Time) {
        points::reach("those whose deadline is over are woken");
        let mut waits = self.by_deadline.lock();
        let later = waits.split_off(&(now + std::time::Duration::from_nanos(1), 0));
        let due = std::mem::replace(&mut *waits, later);
        drop(waits);
        for waker in due.into_values() {
            waker.wake();
        }
    }
}

/// One future's deadline.
#[derive(Debug)]
pub(crate) struct Deadline {
    waits: Arc<Waits>,
    at: Time,
    id: u64,
}

impl Deadline {
    pub(crate) fn new(waits: Arc<Waits>, at: Time) -> Deadline {
        let id = waits.next.fetch_add(1, Ordering::Relaxed);
        Deadline { waits, at, id }
    }

    pub(crate) fn at(&self) -> Time {
        self.at
    }

    /// Sees to it that the task is woken when the deadline is over. True if it is now the first of all deadlines, so
    /// that the driver has to be told.
    pub(crate) fn register(&self, cx: &mut Context<'_>) -> bool {
        let mut waits = self.waits.by_deadline.lock();
        let key = (self.at, self.id);
        let replaced = waits.insert(key, cx.waker().clone());
        let is_first = waits.first_key_value().is_some_and(|(&first, _)| first == key);
        drop(waits);
        drop(replaced);
        is_first
    }
}

impl Drop for Deadline {
    fn drop(&mut self) {
        // Dropped outside the lock: a waker may be the last holder of a task that waits here too.
        let waker = self.waits.by_deadline.lock().remove(&(self.at, self.id));
        drop(waker);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;
    use std::task::Wake;

    #[derive(Default)]
    struct CountWakes(AtomicUsize);

    impl Wake for CountWakes {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn the_due_are_woken_and_the_dropped_forgotten() {
        let waits = Arc::new(Waits::default());
        let wakes = Arc::new(CountWakes::default());
        let waker = Waker::from(Arc::clone(&wakes));
        let mut cx = Context::from_waker(&waker);
        let late = Deadline::new(Arc::clone(&waits), Time::from_millis(20));
        let early = Deadline::new(Arc::clone(&waits), Time::from_millis(10));
        let dropped = Deadline::new(Arc::clone(&waits), Time::from_millis(5));
        assert!(late.register(&mut cx) && early.register(&mut cx) && dropped.register(&mut cx));
        assert!(!late.register(&mut cx), "the early one comes first");
        drop(dropped);
        assert_eq!(waits.next_deadline(), Some(early.at()));
        waits.wake_due(Time::from_millis(10));
        assert_eq!(wakes.0.load(Ordering::Relaxed), 1);
        assert_eq!(waits.next_deadline(), Some(late.at()));
        drop((early, late));
        assert_eq!(waits.next_deadline(), None);
    }
}

//! Which sockets have something to do.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Wake, Waker};

/// The slots that were woken since the driver last looked, and how to wake the driver.
#[derive(Debug, Default)]
pub(super) struct ReadySet {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    slots: Vec<usize>,
    /// The driver's task, until it is woken: it registers again at its next poll.
    driver: Option<Waker>,
}

impl ReadySet {
    /// The driver is being polled by this task.
    pub(super) fn register(&self, cx: &Context<'_>) {
        let mut inner = self.lock();
        if !inner
            .driver
            .as_ref()
            .is_some_and(|waker| waker.will_wake(cx.waker()))
        {
            inner.driver = Some(cx.waker().clone());
        }
    }

    /// Moves what was woken to the end of `slots`.
    pub(super) fn take(&self, slots: &mut Vec<usize>) {
        slots.append(&mut self.lock().slots);
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Nothing panics while it is held; a list of slots would be whole even so.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The waker of one slot: whatever is polled for the slot gets it.
#[derive(Debug)]
pub(super) struct SlotWaker {
    slot: usize,
    /// Whether the slot is in a list already, the shared one or the driver's own.
    is_listed: AtomicBool,
    set: Arc<ReadySet>,
}

impl SlotWaker {
    pub(super) fn new(slot: usize, set: &Arc<ReadySet>) -> SlotWaker {
        SlotWaker {
            slot,
            is_listed: AtomicBool::new(false),
            set: Arc::clone(set),
        }
    }

    /// Claims the right to list the slot: false if it is listed.
    pub(super) fn claim(&self) -> bool {
        !self.is_listed.swap(true, Ordering::AcqRel)
    }

    /// The slot was taken from its list and gets its turn: what happens from now on lists it again.
    pub(super) fn release(&self) {
        self.is_listed.store(false, Ordering::Release);
    }
}

impl Wake for SlotWaker {
    fn wake(self: Arc<SlotWaker>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<SlotWaker>) {
        if self.claim() {
            let driver = {
                let mut inner = self.set.lock();
                inner.slots.push(self.slot);
                inner.driver.take()
            };
            // Outside the lock, because an executor may poll from within.
            if let Some(driver) = driver {
                driver.wake();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Count>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn a_slot_is_listed_once_and_the_driver_woken_once() {
        let set = Arc::new(ReadySet::default());
        let slots: Vec<_> = (0..2).map(|slot| Arc::new(SlotWaker::new(slot, &set))).collect();
        let count = Arc::new(Count::default());
        let waker = Waker::from(Arc::clone(&count));
        set.register(&Context::from_waker(&waker));
        for slot in [1, 0, 1, 1] {
            Waker::from(Arc::clone(&slots[slot])).wake_by_ref();
        }
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
        let mut listed = Vec::new();
        set.take(&mut listed);
        assert_eq!(listed, [1, 0]);

        // Woken before its turn is over: listed again, and the driver woken again.
        set.register(&Context::from_waker(&waker));
        slots[1].release();
        Waker::from(Arc::clone(&slots[1])).wake();
        Waker::from(Arc::clone(&slots[0])).wake();
        listed.clear();
        set.take(&mut listed);
        assert_eq!((listed, count.0.load(Ordering::Relaxed)), (vec![1], 2));
    }
}

//! A lock for what is held for some ten nanoseconds, a hundred million times.

use spin::mutex::{SpinMutex, SpinMutexGuard};
use std::hint::spin_loop;
use std::thread;
use std::time::Duration;

/// How often a thread looks before it lets others run: about a microsecond, many times as long as the lock is held by who
/// is running.
const LOOKS: u32 = 64;
/// How often it does that before it sleeps.
const TURNS: u32 = 32;
/// How long it sleeps. Only where the holder was suspended and does not get the turns that are given away, because it has
/// a lower priority.
const NAP: Duration = Duration::from_micros(50);

/// A mutual exclusion that is given back by a plain store.
///
/// A lock that can wake whoever waits for it must look for them when it is given back, in one step with that: a locked
/// operation, which takes a tenth of a record on some processors, as taking the lock does. Here nobody is woken: who finds
/// it taken looks again for a moment, then lets others run, then sleeps between two looks. So it is only for what is held
/// for a moment, and where two rarely meet.
#[derive(Debug, Default)]
pub(crate) struct ShortLock<T>(SpinMutex<T>);

impl<T> ShortLock<T> {
    /// Takes it if it is free.
    #[inline]
    pub(crate) fn try_lock(&self) -> Option<SpinMutexGuard<'_, T>> {
        self.0.try_lock()
    }

    /// Takes it when it is free.
    #[inline]
    pub(crate) fn lock(&self) -> SpinMutexGuard<'_, T> {
        match self.0.try_lock() {
            Some(guard) => guard,
            None => self.lock_patiently(),
        }
    }

    #[cold]
    #[allow(
        clippy::disallowed_methods,
        reason = "any lock blocks its thread; this one has nobody to wake it"
    )]
    fn lock_patiently(&self) -> SpinMutexGuard<'_, T> {
        let mut looks: u32 = 0;
        loop {
            // To look costs the holder less than to try.
            if !self.0.is_locked()
                && let Some(guard) = self.0.try_lock()
            {
                return guard;
            }
            if looks < LOOKS {
                spin_loop();
            } else if looks < LOOKS + TURNS {
                thread::yield_now();
            } else {
                thread::sleep(NAP);
            }
            looks = looks.saturating_add(1);
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn two_threads_never_hold_it_together() {
        const EACH: u64 = 100_000;
        let lock = ShortLock::<[u64; 2]>::default();
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..EACH {
                        let mut both = lock.lock();
                        assert_eq!(both[0], both[1]);
                        both[0] += 1;
                        both[1] += 1;
                    }
                });
            }
        });
        assert_eq!(*lock.lock(), [4 * EACH; 2]);
    }

    #[test]
    fn who_waits_for_long_gets_it_in_the_end() {
        let lock = ShortLock::<u32>::default();
        let (taken, is_taken) = mpsc::channel();
        thread::scope(|scope| {
            let guard = lock.lock();
            assert!(lock.try_lock().is_none());
            scope.spawn(|| {
                taken.send(()).expect("the other end waits");
                *lock.lock() += 1;
            });
            is_taken.recv().expect("the thread runs");
            // Beyond all looks and turns, as far as they can be counted from here: what is left is to sleep.
            (0..100 * (LOOKS + TURNS)).for_each(|_| thread::yield_now());
            drop(guard);
        });
        assert_eq!(*lock.lock(), 1);
    }
}

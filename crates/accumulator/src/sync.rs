//! The locks and cells of what several threads share: loom's under `cfg(loom)`, which tries every interleaving.

#[cfg(not(loom))]
pub(crate) use parking_lot::Mutex;
#[cfg(not(loom))]
pub(crate) use std::sync::OnceLock as Once;

#[cfg(loom)]
pub(crate) use modelled::{Mutex, Once};

#[cfg(loom)]
mod modelled {
    use loom::sync::MutexGuard;
    use loom::sync::atomic::{AtomicBool, Ordering};
    use std::sync::OnceLock;

    /// loom's, with the interface of parking_lot's.
    #[derive(Debug)]
    pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Mutex<T> {
            Mutex(loom::sync::Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
            // Poisoned only by a panic, which ends the model.
            self.0.lock().expect("no holder panics")
        }
    }

    impl<T: Default> Default for Mutex<T> {
        fn default() -> Mutex<T> {
            Mutex::new(T::default())
        }
    }

    /// A cell that is set once; loom has none. What was written before the set is seen after the get, and no more.
    #[derive(Debug)]
    pub(crate) struct Once<T> {
        is_set: AtomicBool,
        value: OnceLock<T>,
    }

    impl<T> Once<T> {
        pub(crate) fn new() -> Once<T> {
            Once {
                is_set: AtomicBool::new(false),
                value: OnceLock::new(),
            }
        }

        pub(crate) fn set(&self, value: T) -> Result<(), T> {
            let result = self.value.set(value);
            if result.is_ok() {
                self.is_set.store(true, Ordering::Release);
            }
            result
        }

        pub(crate) fn get(&self) -> Option<&T> {
            self.is_set
                .load(Ordering::Acquire)
                .then(|| self.value.get())
                .flatten()
        }
    }
}

//! Those who wait until something is so in the cluster.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::sync::futures::Notified;

/// Tells of every change, if there is anybody to tell.
#[derive(Debug, Default)]
pub(super) struct Watch {
    watchers: AtomicUsize,
    tasks: Notify,
    threads: Condvar,
}

/// Somebody watches while this lives.
pub(super) struct Watching<'a>(&'a Watch);

impl Watch {
    /// From now on changes are told. To be called before the first look.
    pub(super) fn begin(&self) -> Watching<'_> {
        self.watchers.fetch_add(1, Ordering::SeqCst);
        Watching(self)
    }

    /// Something may have changed. Called under the cluster's lock.
    pub(super) fn tell(&self) {
        // Who begins to watch looks under the lock after that: either it is seen here, or it sees the change.
        if self.watchers.load(Ordering::SeqCst) > 0 {
            self.tasks.notify_waiters();
            self.threads.notify_all();
        }
    }

    /// The next change, for a task.
    pub(super) fn changed(&self) -> Notified<'_> {
        self.tasks.notified()
    }

    /// Releases the lock until the next change, or until `timeout` is over.
    pub(super) fn wait<'a, T>(&self, guard: MutexGuard<'a, T>, timeout: Duration) -> MutexGuard<'a, T> {
        let waited = self.threads.wait_timeout(guard, timeout);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

impl Drop for Watching<'_> {
    fn drop(&mut self) {
        self.0.watchers.fetch_sub(1, Ordering::SeqCst);
    }
}

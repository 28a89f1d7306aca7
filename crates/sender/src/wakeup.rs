//! Waking the driver, once.

use parking_lot::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Waker};

/// Wakes the one driver. Further wake-ups until it looks cost a load.
#[derive(Debug, Default)]
pub struct Wakeup {
    pending: AtomicBool,
    driver: Mutex<Option<Waker>>,
}

impl Wakeup {
    /// Tells the driver that there is news.
    #[inline]
    pub fn notify(&self) {
        // A pending wake-up will see this news too: it was published under a lock that the driver takes after its swap.
        if !self.pending.load(Ordering::SeqCst) && !self.pending.swap(true, Ordering::SeqCst) {
            let driver = self.driver.lock().take();
            if let Some(driver) = driver {
                driver.wake();
            }
        }
    }

    /// True if there is news; the driver must then take a turn. If not, it is woken when there is.
    pub fn take(&self, cx: &mut Context<'_>) -> bool {
        *self.driver.lock() = Some(cx.waker().clone());
        self.pending.swap(false, Ordering::SeqCst)
    }
}

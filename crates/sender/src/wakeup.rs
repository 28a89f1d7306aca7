//! Waking the driver, once.

use ottla_time::points;
use parking_lot::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Waker};

/// Wakes the one driver. Further wake-ups until it looks cost a load.
#[derive(Debug, Default)]
pub struct Wakeup {
    pending: AtomicBool,
    /// Whether the driver will look soon by itself.
    held: AtomicBool,
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

    /// Tells the driver of what can wait for as long as it has said with [`Wakeup::hold`].
    #[inline]
    pub fn notify_soon(&self) {
        // Published under a lock too: who sees a hold that is over already published before the driver looked.
        if !self.held.load(Ordering::SeqCst) {
            self.notify();
        }
    }

    /// The driver takes its next turn before long in any case: until then only what is urgent wakes it.
    pub fn hold(&self) {
        self.held.store(true, Ordering::SeqCst);
    }

    /// True if there may be news; the driver must then take a turn. If not, it is woken when there is.
    pub fn take(&self, cx: &mut Context<'_>) -> bool {
        let mut driver = self.driver.lock();
        if !driver.as_ref().is_some_and(|driver| driver.will_wake(cx.waker())) {
            *driver = Some(cx.waker().clone());
        }
        drop(driver);
        points::reach("a wake-up is taken");
        let held = self.held.swap(false, Ordering::SeqCst);
        points::reach("the driver holds no wake-ups any more");
        self.pending.swap(false, Ordering::SeqCst) || held
    }
}

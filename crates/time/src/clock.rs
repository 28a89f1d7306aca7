//! Clocks as a parameter.

use crate::Time;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

/// Where lazily needed time comes from: the caller's thread reads it only when a record needs it.
///
/// The facade implements it over the operating system, tests and the simulation over [`ManualClock`].
pub trait Clock: Send + Sync + 'static {
    /// Monotonic time since the origin of this clock.
    fn now(&self) -> Time;

    /// Wall-clock time in milliseconds since the Unix epoch. It may be up to 5 ms stale, and it may jump.
    fn wall_ms(&self) -> i64;
}

/// A clock that stands still until it is moved.
#[derive(Debug, Default)]
pub struct ManualClock {
    nanos: AtomicU64,
    wall_ms_at_origin: AtomicI64,
}

impl ManualClock {
    /// A clock at [`Time::ZERO`], when the wall shows `wall_ms`.
    pub fn new(wall_ms: i64) -> ManualClock {
        ManualClock {
            nanos: AtomicU64::new(0),
            wall_ms_at_origin: AtomicI64::new(wall_ms),
        }
    }

    /// Moves both clocks on.
    pub fn advance(&self, by: Duration) {
        let now = self.now() + by;
        self.nanos.store(now.as_nanos(), Ordering::Relaxed);
    }

    /// Moves the monotonic clock to `now` and the wall clock with it; going back is ignored.
    pub fn advance_to(&self, now: Time) {
        self.nanos.fetch_max(now.as_nanos(), Ordering::Relaxed);
    }

    /// Lets the wall clock jump, while monotonic time stands still.
    pub fn jump_wall_ms(&self, by_ms: i64) {
        self.wall_ms_at_origin.fetch_add(by_ms, Ordering::Relaxed);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Time {
        Time::from_nanos(self.nanos.load(Ordering::Relaxed))
    }

    fn wall_ms(&self) -> i64 {
        let elapsed_ms = i64::try_from(self.now().as_millis()).unwrap_or(i64::MAX);
        self.wall_ms_at_origin
            .load(Ordering::Relaxed)
            .saturating_add(elapsed_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wall_follows_and_jumps() {
        let clock = ManualClock::new(1_000);
        clock.advance(Duration::from_millis(5));
        assert_eq!((clock.now(), clock.wall_ms()), (Time::from_millis(5), 1_005));
        clock.jump_wall_ms(-3_600_000);
        assert_eq!(
            (clock.now(), clock.wall_ms()),
            (Time::from_millis(5), 1_005 - 3_600_000)
        );
        clock.advance_to(Time::ZERO);
        assert_eq!(clock.now(), Time::from_millis(5));
    }
}

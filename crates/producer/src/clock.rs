//! The operating system's clocks.

use ottla_time::{Clock, Time};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Monotonic time since this clock was made, and the wall clock.
#[derive(Debug)]
pub(crate) struct SystemClock {
    origin: Instant,
    /// Whether the kernel's coarse clock is fine enough: it costs a tenth of the exact one, and every record without a
    /// timestamp reads it.
    coarse: bool,
}

impl SystemClock {
    pub(crate) fn new() -> SystemClock {
        SystemClock {
            origin: Instant::now(),
            coarse: coarse::is_fine_enough(),
        }
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Time {
        Time::ZERO + self.origin.elapsed()
    }

    fn wall_ms(&self) -> i64 {
        if self.coarse {
            coarse::wall_ms()
        } else {
            exact_wall_ms()
        }
    }
}

fn exact_wall_ms() -> i64 {
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
        // A machine whose clock stands before 1970 has no timestamp that Kafka would take.
        Err(_) => 0,
    }
}

#[cfg(target_os = "linux")]
mod coarse {
    use rustix::time::{ClockId, clock_getres, clock_gettime};

    /// A record's timestamp may be this stale at most.
    const STALE_MAX_NANOS: i64 = 5_000_000;

    /// It ticks with the kernel: every 1 to 4 ms on usual kernels, 10 ms on some.
    pub(super) fn is_fine_enough() -> bool {
        let resolution = clock_getres(ClockId::RealtimeCoarse);
        resolution.tv_sec == 0 && resolution.tv_nsec <= STALE_MAX_NANOS
    }

    pub(super) fn wall_ms() -> i64 {
        let now = clock_gettime(ClockId::RealtimeCoarse);
        now.tv_sec
            .saturating_mul(1_000)
            .saturating_add(now.tv_nsec / 1_000_000)
    }
}

#[cfg(not(target_os = "linux"))]
mod coarse {
    pub(super) fn is_fine_enough() -> bool {
        false
    }

    pub(super) fn wall_ms() -> i64 {
        super::exact_wall_ms()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How stale the coarse clock is when the kernel's tick is late is the kernel's affair; that it never runs ahead,
    /// and counts in the right unit, is ours.
    #[test]
    fn the_wall_clock_is_milliseconds_and_never_ahead() {
        let clock = SystemClock::new();
        for _ in 0..1_000 {
            let wall = clock.wall_ms();
            let exact = exact_wall_ms();
            assert!(wall <= exact && exact - wall < 60_000, "{wall} {exact}");
        }
    }
}

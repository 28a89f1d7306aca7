//! The timers of a node.

use ottla_time::Time;

/// Everything that may end by time passing. Each node has each of them at most once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Timer {
    /// The wait before the next attempt to connect is over. Set while waiting.
    Backoff = 0,
    /// Resolving and dialing took too long. Set from the start of an attempt until ApiVersions is queued.
    Setup = 1,
    /// The broker did not answer ApiVersions. Set from there until the node is ready.
    Negotiation = 2,
    /// The earliest deadline among the outstanding requests, or before it: an answer does not move this timer, and
    /// when it fires it is set to the earliest deadline that remains.
    Request = 3,
    /// The connection may have been idle for long enough. Set while ready; traffic does not move it, and when it fires
    /// it is set by the last traffic.
    Idle = 4,
}

impl Timer {
    /// In the order in which they are looked at.
    pub(crate) const ALL: [Timer; 5] = [
        Timer::Backoff,
        Timer::Setup,
        Timer::Negotiation,
        Timer::Request,
        Timer::Idle,
    ];
}

/// When each timer fires; [`Time::MAX`] is never.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timers([Time; Timer::ALL.len()]);

impl Timers {
    pub(crate) fn new() -> Timers {
        Timers([Time::MAX; Timer::ALL.len()])
    }

    pub(crate) fn set(&mut self, timer: Timer, at: Time) {
        self.0[timer as usize] = at;
    }

    pub(crate) fn clear(&mut self, timer: Timer) {
        self.set(timer, Time::MAX);
    }

    pub(crate) fn at(&self, timer: Timer) -> Time {
        self.0[timer as usize]
    }

    /// The earliest of all.
    pub(crate) fn next(&self) -> Time {
        self.0.iter().copied().min().unwrap_or(Time::MAX)
    }

    /// Clears and returns a timer that is due.
    pub(crate) fn take_due(&mut self, now: Time) -> Option<Timer> {
        let due = Timer::ALL
            .into_iter()
            .find(|&timer| self.at(timer) <= now && self.at(timer) != Time::MAX)?;
        self.clear(due);
        Some(due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn due_timers_fire_once() {
        let mut timers = Timers::new();
        assert_eq!((timers.next(), timers.take_due(Time::MAX)), (Time::MAX, None));
        timers.set(Timer::Idle, Time::from_millis(5));
        timers.set(Timer::Request, Time::from_millis(3));
        assert_eq!(timers.next(), Time::from_millis(3));
        assert_eq!(timers.take_due(Time::from_millis(2)), None);
        assert_eq!(timers.take_due(Time::from_millis(5)), Some(Timer::Request));
        assert_eq!(timers.take_due(Time::from_millis(5)), Some(Timer::Idle));
        assert_eq!(timers.take_due(Time::from_millis(5)), None);
    }
}

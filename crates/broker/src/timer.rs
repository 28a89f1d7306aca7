//! What the cluster does by itself at a later time.

use crate::cluster::ConnectionId;
use crate::topic::TopicKey;
use ottla_time::Time;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Why time is waited for. Sessions of groups and timeouts of transactions keep their own deadlines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Timer {
    /// A request that was held back is carried out.
    Execute(ConnectionId),
    /// An answer that was held back is sent.
    Flush(ConnectionId),
    /// A request that waits for replication or for records is answered as it stands.
    Wait(u64),
    /// The followers of a partition have caught up with an append.
    Replicate(TopicKey, i32),
    /// The markers of a decided transaction are written.
    Markers(Arc<str>),
    /// A partition without a leader gets one.
    Elect(TopicKey, i32),
    /// A frozen broker's session ends, unless it was thawed (and perhaps frozen again) since.
    Fence { broker: i32, freeze: u64 },
    /// A connection may have been idle for too long.
    Idle(ConnectionId),
}

/// Timers in the order of their moments; those of one moment in the order in which they were set.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    timers: BTreeMap<(Time, u64), Timer>,
    next_number: u64,
}

impl Timers {
    pub(crate) fn set(&mut self, at: Time, timer: Timer) -> TimerId {
        let id = (at, self.next_number);
        self.next_number += 1;
        if at != Time::MAX {
            self.timers.insert(id, timer);
        }
        TimerId(id)
    }

    pub(crate) fn cancel(&mut self, id: TimerId) {
        self.timers.remove(&id.0);
    }

    pub(crate) fn next_deadline(&self) -> Option<Time> {
        self.timers.first_key_value().map(|(&(at, _), _)| at)
    }

    /// The next timer that is due.
    pub(crate) fn pop_due(&mut self, now: Time) -> Option<Timer> {
        let entry = self.timers.first_entry()?;
        (entry.key().0 <= now).then(|| entry.remove())
    }
}

/// A timer that can be cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TimerId((Time, u64));

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timers_run_in_order_and_can_be_cancelled() {
        let mut timers = Timers::default();
        timers.set(Time::from_millis(2), Timer::Wait(2));
        timers.set(Time::from_millis(1), Timer::Wait(1));
        let cancelled = timers.set(Time::from_millis(1), Timer::Wait(9));
        timers.set(Time::from_millis(1), Timer::Wait(3));
        timers.set(Time::MAX, Timer::Wait(4));
        timers.cancel(cancelled);
        assert_eq!(timers.next_deadline(), Some(Time::from_millis(1)));
        assert_eq!(timers.pop_due(Time::ZERO), None);
        let mut due = Vec::new();
        while let Some(timer) = timers.pop_due(Time::from_millis(5)) {
            due.push(timer);
        }
        assert_eq!(due, [Timer::Wait(1), Timer::Wait(3), Timer::Wait(2)]);
        assert_eq!(timers.next_deadline(), None, "never is not waited for");
    }
}

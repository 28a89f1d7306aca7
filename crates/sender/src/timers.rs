//! The timers of partitions: a heap with at most a few entries for each.

use ottla_time::Time;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// What a partition can be waiting for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Timer {
    /// The end of a linger or of a retry's backoff.
    Due(usize),
    /// The delivery timeout of the oldest batch.
    Expiry(usize),
}

/// Timers by time. An entry that was armed again for an earlier time, or is no longer needed, fires in vain: who is
/// woken looks at what is really due. So arming costs nothing while an earlier entry stands, and the heap stays small
/// although batches come by the thousand.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    heap: BinaryHeap<Reverse<(Time, Timer)>>,
}

impl Timers {
    pub(crate) fn arm(&mut self, at: Time, timer: Timer) {
        self.heap.push(Reverse((at, timer)));
    }

    pub(crate) fn next(&self) -> Option<Time> {
        self.heap.peek().map(|Reverse((at, _))| *at)
    }

    pub(crate) fn pop_due(&mut self, now: Time) -> Option<(Time, Timer)> {
        if self.next()? > now {
            return None;
        }
        self.heap.pop().map(|Reverse(entry)| entry)
    }
}

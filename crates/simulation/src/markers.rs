//! How long a transactional producer lets the markers of a transaction be written, before it begins the next on the wire.

use crate::call::Call;
use crate::counters::Counters;
use crate::wire::End;
use ottla_time::Time;
use std::collections::BTreeMap;
use std::time::Duration;

/// It waits twice as long as EndTxn took, and no longer than this.
const HOLD_MAX: Duration = Duration::from_millis(5);
/// It does not wait where EndTxn took so long.
const TOO_FAR: Duration = Duration::from_millis(20);

/// What the wire shows of it.
#[derive(Debug, Default)]
pub(crate) struct Markers {
    /// When each EndTxn in flight was sent.
    asked: BTreeMap<u64, Time>,
    /// When the first request of the next transaction goes out, if it is ready before that.
    held_until: Option<Time>,
}

impl Markers {
    /// A request goes out: Produce, or another one of a transaction.
    pub(crate) fn sent(&mut self, now: Time, id: u64, call: Option<Call>, counters: &mut Counters) {
        if call.is_some_and(Call::ends) {
            self.asked.insert(id, now);
        } else if let Some(until) = self.held_until.take() {
            // Who was ready later goes at any other moment.
            counters.held += u64::from(now == until);
        }
    }

    /// A request ended.
    pub(crate) fn ended(&mut self, now: Time, id: u64, end: &End<'_>) {
        let (Some(sent), End::Answered(_)) = (self.asked.remove(&id), end) else {
            return;
        };
        let took = now.since(sent);
        self.held_until = (took < TOO_FAR).then(|| now + (took * 2).min(HOLD_MAX));
    }
}

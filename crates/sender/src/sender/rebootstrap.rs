//! Beginning again at the bootstrap servers (KIP-899, KIP-1102).
//!
//! A cluster can move while a client is away, or be replaced behind the same bootstrap name: then no node that the
//! client knows is worth asking. It begins again in three cases:
//! - no node that it knows can be reached ([`Sender::metadata_source`] asks the bootstrap servers, too);
//! - metadata has been wanted for `metadata.recovery.rebootstrap.trigger.ms`, and nobody gave any;
//! - a broker says so (REBOOTSTRAP_REQUIRED).
//!
//! In the latter two, all connections are closed, and leaders are unknown until a bootstrap server has answered. Records,
//! numbering and deadlines stay as they are.

use super::Sender;
use crate::Action;
use crate::node::Link;
use ottla_time::Time;

impl Sender {
    /// Begins again if nobody has given metadata for too long. True if connections have to end first.
    pub(super) fn rebootstrap_if_overdue(&mut self, now: Time) -> bool {
        match self.rebootstrap_due() {
            Some(due) if now >= due => self.rebootstrap(now),
            _ => false,
        }
    }

    /// When nobody will have given metadata for too long.
    pub(super) fn rebootstrap_due(&self) -> Option<Time> {
        let trigger = self.shared.config.rebootstrap_trigger?;
        let metadata = &self.metadata;
        // Before the first answer, and while it begins anew, it asks nobody else anyway.
        let can = metadata.known && !metadata.rebootstrapping && !metadata.paused;
        let since = metadata.wanted_since.filter(|_| can)?;
        // Later than that, as in Java: with a trigger of 0 a request has a moment for its answer.
        Some(since + trigger + std::time::Duration::from_millis(1))
    }

    /// Forgets who leads what, and asks the bootstrap servers from now on until one answers. True if connections have to
    /// end first.
    pub(super) fn rebootstrap(&mut self, now: Time) -> bool {
        self.metadata.rebootstrapping = true;
        self.metadata.wanted = true;
        self.metadata.wanted_since = Some(now);
        self.metadata.not_before = now;
        for slot in 0..self.partitions.len() {
            // Another cluster counts epochs from its own beginning.
            self.set_leader(slot, None, -1, now);
        }
        let mut closing = false;
        for (&node, state) in &mut self.nodes {
            state.failed = node >= 0;
            if state.link != Link::Idle {
                self.actions.push_back(Action::Disconnect { node });
                closing = true;
            }
        }
        closing
    }
}

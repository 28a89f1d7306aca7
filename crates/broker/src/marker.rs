//! The end of a transaction in the partitions and groups that take part in it.

use crate::append::Marker;
use crate::cluster::Cluster;
use crate::event::EventKind;
use crate::node::Node;
use crate::timer::Timer;
use crate::topic::TopicKey;
use crate::transaction::{Participant, Protocol, State};
use ottla_protocol::ErrorCode;
use std::sync::Arc;

impl Cluster {
    /// Adds partitions or groups to the transaction of a producer.
    pub(crate) fn add_to_transaction(
        &mut self,
        id: &str,
        identity: (i64, i16),
        participants: Vec<Participant>,
        protocol: Protocol,
    ) -> Result<(), ErrorCode> {
        let was_open = self
            .transactions
            .find(id)
            .is_some_and(|transaction| transaction.state == State::Ongoing);
        self.transactions
            .add(id, identity, participants, protocol, self.now)?;
        if !was_open {
            self.transaction_event(id);
        }
        Ok(())
    }

    /// A transaction was decided: its markers are written, now or a little later.
    pub(crate) fn transaction_decided(&mut self, id: &str) {
        self.transaction_event(id);
        if self.config.marker_delay.is_zero() {
            self.write_markers(id);
        } else {
            let at = self.now + self.config.marker_delay;
            self.timers.set(at, Timer::Markers(Arc::from(id)));
        }
    }

    /// Writes the markers of a decided transaction wherever there is a leader; the rest follows when there is one.
    pub(crate) fn write_markers(&mut self, id: &str) {
        let Some(transaction) = self.transactions.find(id) else {
            return;
        };
        let committed = match transaction.state {
            State::PrepareCommit => true,
            State::PrepareAbort => false,
            _ => return,
        };
        let marker = Marker {
            producer_id: transaction.producer_id,
            epoch: transaction.epoch,
            committed,
        };
        let participants: Vec<Participant> = transaction.participants.iter().cloned().collect();
        let mut completed = self.transactions.complete_if_done(id);
        for participant in &participants {
            if self.end_in(id, participant, marker) {
                completed |= self.transactions.marker_written(id, participant);
            }
        }
        if completed {
            self.transaction_event(id);
        }
    }

    /// Ends a transaction in one participant; false if that has to wait.
    fn end_in(&mut self, id: &str, participant: &Participant, marker: Marker) -> bool {
        match participant {
            Participant::Partition(topic, index) => self.end_in_partition(id, (*topic, *index), marker),
            Participant::Group(group) => {
                let Marker {
                    producer_id,
                    committed,
                    ..
                } = marker;
                self.groups.with(group, |group| {
                    group.offsets.end_transaction(producer_id, committed)
                });
                true
            }
        }
    }

    /// Writes a marker, unless it stands in the log already and its followers are waited for.
    fn end_in_partition(&mut self, id: &str, (topic, index): (TopicKey, i32), marker: Marker) -> bool {
        let Some(partition) = self.topics.partition(topic, index) else {
            // The topic was deleted.
            return true;
        };
        let can_write = self
            .nodes
            .get(&partition.leader)
            .is_some_and(|node| node.is_alive() && !node.is_frozen());
        if !can_write || partition.markers.iter().any(|(_, waiting)| **waiting == *id) {
            return false;
        }
        let Ok(offset) = self.append_marker(topic, index, marker) else {
            // A log that has gone on to a newer epoch refuses the marker, and would refuse it for ever.
            return true;
        };
        let Some(partition) = self.topics.partition_mut(topic, index) else {
            return true;
        };
        let is_replicated = offset < partition.log.high_watermark();
        if !is_replicated {
            partition.markers.push_back((offset, Arc::from(id)));
        }
        is_replicated
    }

    /// The high watermark of a partition has moved: the markers below it cannot be lost any more.
    pub(crate) fn markers_replicated(&mut self, topic: TopicKey, index: i32) {
        loop {
            let Some(partition) = self.topics.partition_mut(topic, index) else {
                return;
            };
            let high_watermark = partition.log.high_watermark();
            if partition
                .markers
                .front()
                .is_none_or(|&(offset, _)| offset >= high_watermark)
            {
                return;
            }
            let Some((_, id)) = partition.markers.pop_front() else {
                return;
            };
            if self
                .transactions
                .marker_written(&id, &Participant::Partition(topic, index))
            {
                self.transaction_event(&id);
            }
        }
    }

    /// A partition has a leader again: the markers that wait for it are written.
    pub(crate) fn write_delayed_markers(&mut self, topic: TopicKey, index: i32) {
        let participant = Participant::Partition(topic, index);
        self.write_markers_where(|participants| participants.contains(&participant));
    }

    /// Writes what markers can be written.
    pub(crate) fn write_all_markers(&mut self) {
        self.write_markers_where(|_| true);
    }

    fn write_markers_where(&mut self, matches: impl Fn(&std::collections::BTreeSet<Participant>) -> bool) {
        let waiting: Vec<Arc<str>> = self
            .transactions
            .iter()
            .filter(|(_, transaction)| {
                matches!(transaction.state, State::PrepareCommit | State::PrepareAbort)
            })
            .filter(|(_, transaction)| matches(&transaction.participants))
            .map(|(id, _)| Arc::clone(id))
            .collect();
        for id in waiting {
            self.write_markers(&id);
        }
    }

    /// Records the state of a transactional id.
    pub(crate) fn transaction_event(&mut self, id: &str) {
        let Some(transaction) = self.transactions.find(id) else {
            return;
        };
        let (producer_id, producer_epoch, state) =
            (transaction.producer_id, transaction.epoch, transaction.state);
        self.events.record(self.now, || EventKind::Transaction {
            id: Arc::from(id),
            producer_id,
            producer_epoch,
            state: state.name(),
        });
    }

    /// The broker that coordinates a transactional id or group: by the hash of the key, as the partitions of Kafka's
    /// internal topics would be spread, and the next broker where that one is dead.
    pub(crate) fn coordinator_of(&self, key: &str) -> Option<i32> {
        let alive = |id: &i32| self.nodes.get(id).is_some_and(Node::is_alive);
        if let Some(moved) = self.moved_coordinators.get(key).filter(|id| alive(id)) {
            return Some(*moved);
        }
        let partition = internal_partition(key);
        let brokers = self.config.brokers;
        (0..brokers)
            .map(|step| (partition % brokers + step) % brokers + 1)
            .find(alive)
    }

    /// The error of a request for a transactional id or group that another broker coordinates.
    pub(crate) fn check_coordinator(&self, key: &str, broker: i32) -> Result<(), ErrorCode> {
        if self.coordinator_of(key) == Some(broker) {
            Ok(())
        } else {
            Err(ErrorCode::NOT_COORDINATOR)
        }
    }
}

/// `offsets.topic.num.partitions` and `transaction.state.log.num.partitions`.
const INTERNAL_PARTITIONS: i32 = 50;

/// The partition of an internal topic that a group or transactional id belongs to.
pub(crate) fn internal_partition(key: &str) -> i32 {
    (java_hash(key) & i32::MAX) % INTERNAL_PARTITIONS
}

/// `String.hashCode`.
fn java_hash(text: &str) -> i32 {
    text.encode_utf16().fold(0_i32, |hash, unit| {
        hash.wrapping_mul(31).wrapping_add(i32::from(unit))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_javas() {
        // Printed by Java 17.
        for (text, hash) in [
            ("", 0),
            ("a", 97),
            ("my-transactional-id", -959_806_496),
            ("gr\u{fc}n", 3_185_949),
        ] {
            assert_eq!(java_hash(text), hash, "{text}");
        }
    }
}

//! Leaders, followers and the high watermark.
//!
//! A partition has one log, which all of its replicas share; what a follower has not got yet is the part beyond the high
//! watermark. That is enough for what a producer can see: acks=all waits, and a new leader has lost the rest.

use crate::cluster::Cluster;
use crate::event::EventKind;
use crate::node::Node;
use crate::timer::Timer;
use crate::topic::{NO_LEADER, TopicKey};
use std::sync::Arc;

impl Cluster {
    /// A partition's log has grown: sooner or later its followers have that, too.
    pub(crate) fn grown(&mut self, topic: TopicKey, index: i32) {
        let delay = self.config.replication_delay;
        let stalled = self.is_stalled(topic, index);
        let Some(partition) = self.topics.partition_mut(topic, index) else {
            return;
        };
        let end = partition.log.log_end();
        if partition.isr.len() <= 1 || (delay.is_zero() && !stalled) {
            partition.log.advance_high_watermark(end);
            self.high_watermark_moved(topic, index);
            return;
        }
        let at = self.now + delay;
        partition.replicating.push_back((at, end));
        self.timers.set(at, Timer::Replicate(topic, index));
    }

    /// Whether a follower in sync does not fetch.
    fn is_stalled(&self, topic: TopicKey, index: i32) -> bool {
        let partition = self.topics.partition(topic, index);
        partition.is_some_and(|partition| {
            let mut followers = partition.isr.iter().filter(|&&id| id != partition.leader);
            followers.any(|id| self.nodes.get(id).is_some_and(Node::is_frozen))
        })
    }

    /// Followers may have caught up.
    pub(crate) fn replicated(&mut self, topic: TopicKey, index: i32) {
        if self.is_stalled(topic, index) {
            return;
        }
        let now = self.now;
        let Some(partition) = self.topics.partition_mut(topic, index) else {
            return;
        };
        let mut reached = None;
        while let Some(&(at, end)) = partition.replicating.front() {
            if at > now {
                break;
            }
            reached = Some(end);
            partition.replicating.pop_front();
        }
        if let Some(end) = reached {
            partition.log.advance_high_watermark(end);
            self.high_watermark_moved(topic, index);
        }
    }

    /// The followers that are left have everything: the in-sync replicas shrank to those that fetch.
    fn catch_up(&mut self, topic: TopicKey, index: i32) {
        let alone = self
            .topics
            .partition(topic, index)
            .is_some_and(|partition| partition.isr.len() <= 1);
        if let Some(partition) = self.topics.partition_mut(topic, index).filter(|_| alone) {
            partition.replicating.clear();
            let end = partition.log.log_end();
            partition.log.advance_high_watermark(end);
            self.high_watermark_moved(topic, index);
        } else {
            self.replicated(topic, index);
        }
    }

    /// Makes a broker the leader of a partition. What the old leader had not replicated is lost if `unclean`, as when
    /// it died; otherwise the new leader has it all.
    pub(crate) fn set_leader(&mut self, topic: TopicKey, index: i32, leader: i32, unclean: bool) {
        let producers_max = self.config.limits.producers_per_partition_max;
        let Some(state) = self.topics.topic_mut(topic) else {
            return;
        };
        let name = Arc::clone(&state.name);
        let Some(partition) = state.partition_mut(index) else {
            return;
        };
        partition.leader = leader;
        partition.leader_epoch = partition.leader_epoch.saturating_add(1);
        let leader_epoch = partition.leader_epoch;
        let mut freed = 0;
        let mut cut = None;
        if unclean {
            let from = partition.log.log_end();
            let before = partition.log.bytes();
            let lost = partition.log.truncate_to_high_watermark();
            freed = before - partition.log.bytes();
            if !lost.is_empty() {
                cut = Some((from, partition.log.log_end()));
                partition
                    .producers
                    .truncated(&lost, partition.log.batches(), producers_max);
            }
        } else {
            let end = partition.log.log_end();
            partition.log.advance_high_watermark(end);
        }
        partition.replicating.clear();
        state.bytes -= freed;
        self.log_bytes -= freed;
        self.events.record(self.now, || EventKind::Leader {
            topic: Arc::clone(&name),
            partition: index,
            leader,
            leader_epoch,
        });
        if let Some((from, to)) = cut {
            self.events.record(self.now, || EventKind::Truncated {
                topic: name,
                partition: index,
                from,
                to,
            });
        }
        self.leader_changed(topic, index);
        if leader != NO_LEADER {
            self.write_delayed_markers(topic, index);
        }
    }

    /// A broker stopped being alive (it died, or its session ended): it is in sync nowhere, and leads nothing that
    /// another could lead.
    pub(crate) fn broker_lost(&mut self, broker: i32, died: bool) {
        for topic in self.topics.keys() {
            let count = self.topics.topic(topic).map_or(0, |state| state.partitions.len());
            for index in 0..i32::try_from(count).unwrap_or(i32::MAX) {
                self.replica_lost(topic, index, broker, died);
            }
        }
    }

    fn replica_lost(&mut self, topic: TopicKey, index: i32, broker: i32, died: bool) {
        let Some(partition) = self.topics.partition_mut(topic, index) else {
            return;
        };
        // The last replica in sync stays the one that may lead again: it has the records.
        if partition.isr.len() > 1 {
            partition.isr.retain(|&id| id != broker);
        }
        if partition.leader != broker {
            self.catch_up(topic, index);
            return;
        }
        if self.config.election_delay.is_zero() {
            let next = self.next_leader(topic, index);
            self.set_leader(topic, index, next, died);
        } else {
            self.set_leader(topic, index, NO_LEADER, died);
            self.timers
                .set(self.now + self.config.election_delay, Timer::Elect(topic, index));
        }
        self.catch_up(topic, index);
    }

    /// A partition without a leader gets one, if a replica in sync is alive.
    pub(crate) fn elect(&mut self, topic: TopicKey, index: i32) {
        let leaderless = self
            .topics
            .partition(topic, index)
            .is_some_and(|partition| partition.leader == NO_LEADER);
        let next = self.next_leader(topic, index);
        if leaderless && next != NO_LEADER {
            self.set_leader(topic, index, next, false);
        }
    }

    fn next_leader(&self, topic: TopicKey, index: i32) -> i32 {
        let alive = |id: &&i32| self.nodes.get(id).is_some_and(Node::is_alive);
        let partition = self.topics.partition(topic, index);
        partition
            .and_then(|partition| partition.isr.iter().find(alive))
            .copied()
            .unwrap_or(NO_LEADER)
    }

    /// A broker is alive again: it is in sync with whatever it holds, and leads what nobody leads.
    pub(crate) fn broker_back(&mut self, broker: i32) {
        for topic in self.topics.keys() {
            let count = self.topics.topic(topic).map_or(0, |state| state.partitions.len());
            for index in 0..i32::try_from(count).unwrap_or(i32::MAX) {
                let Some(partition) = self.topics.partition_mut(topic, index) else {
                    continue;
                };
                // Only a replica in sync may bring an offline partition back; the others follow then.
                let offline = partition.leader == NO_LEADER;
                if offline && partition.isr.contains(&broker) {
                    self.set_leader(topic, index, broker, false);
                } else {
                    self.replicated(topic, index);
                }
                self.rejoin(topic, index);
            }
        }
    }

    /// Every replica that is alive follows a partition that has a leader.
    fn rejoin(&mut self, topic: TopicKey, index: i32) {
        let Some(state) = self.topics.topic_mut(topic) else {
            return;
        };
        let Some(partition) = state.partition_mut(index) else {
            return;
        };
        if partition.leader != NO_LEADER {
            let alive = |id: &i32| self.nodes.get(id).is_some_and(Node::is_alive);
            let back = |id: &i32| alive(id) || partition.isr.contains(id);
            partition.isr = partition.replicas.iter().copied().filter(back).collect();
        }
    }
}

//! Leaders, followers and the high watermark.
//!
//! A partition has one log, which all of its replicas share, and an offset up to which every replica in sync has it. That
//! is enough for what a producer can see: acks=all waits, and a new leader has lost the rest, unless it is the old one.

use crate::cluster::Cluster;
use crate::config::Pose;
use crate::event::EventKind;
use crate::node::Node;
use crate::timer::Timer;
use crate::topic::{NO_LEADER, TopicKey};
use std::sync::Arc;

/// Kafka 3.7 and later do not move the high watermark while too few replicas are in sync (KIP-966): acks=all times out
/// then, where older brokers say NOT_ENOUGH_REPLICAS_AFTER_APPEND.
const HIGH_WATERMARK_WAITS_SINCE: Pose = Pose::V3_9;

/// Why a partition gets another leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LeaderChange {
    /// The new leader has all that the old one has.
    Clean,
    /// The old leader is gone: the new one has what it fetched.
    LeaderLost,
    /// The new leader has nothing beyond the high watermark.
    Unclean,
}

impl Cluster {
    /// A partition's log has grown: sooner or later its followers have that, too.
    pub(crate) fn grown(&mut self, topic: TopicKey, index: i32) {
        let delay = self.config.replication_delay;
        let stalled = self.is_stalled(topic, index);
        let Some(partition) = self.topics.partition_mut(topic, index) else {
            return;
        };
        let end = partition.log.log_end();
        if partition.isr.len() <= 1 || (delay.is_zero() && !stalled && partition.replicating.is_empty()) {
            partition.replicated = end;
            self.advance(topic, index);
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
            followers.any(|id| partition.held || self.nodes.get(id).is_some_and(Node::is_frozen))
        })
    }

    /// Followers may have caught up, or fewer of them may be waited for.
    pub(crate) fn replicated(&mut self, topic: TopicKey, index: i32) {
        let stalled = self.is_stalled(topic, index);
        let now = self.now;
        let Some(partition) = self.topics.partition_mut(topic, index) else {
            return;
        };
        if partition.leader == NO_LEADER {
            return;
        }
        if partition.isr.len() <= 1 {
            // Nobody is left who could lack anything.
            partition.replicating.clear();
            partition.replicated = partition.log.log_end();
        } else if stalled {
            return;
        }
        while let Some(&(at, end)) = partition.replicating.front() {
            if at > now {
                break;
            }
            partition.replicated = end;
            partition.replicating.pop_front();
        }
        self.advance(topic, index);
    }

    /// The high watermark follows what is replicated.
    fn advance(&mut self, topic: TopicKey, index: i32) {
        let waits = self.config.pose >= HIGH_WATERMARK_WAITS_SINCE;
        let Some(state) = self.topics.topic_mut(topic) else {
            return;
        };
        let min_insync_replicas = state.config.min_insync_replicas;
        let Some(partition) = state.partition_mut(index) else {
            return;
        };
        if !(waits && partition.is_under_min_isr(min_insync_replicas)) {
            partition.log.advance_high_watermark(partition.replicated);
        }
        self.markers_replicated(topic, index);
        // Also where it did not move: the replicas in sync may be others.
        self.high_watermark_moved(topic, index);
    }

    /// Makes a broker the leader of a partition, or takes it away from its leader ([`NO_LEADER`]).
    pub(crate) fn set_leader(&mut self, topic: TopicKey, index: i32, leader: i32, change: LeaderChange) {
        let Some(state) = self.topics.topic_mut(topic) else {
            return;
        };
        let name = Arc::clone(&state.name);
        let Some(partition) = state.partition_mut(index) else {
            return;
        };
        let old = std::mem::replace(&mut partition.leader, leader);
        partition.leader_epoch = partition.leader_epoch.saturating_add(1);
        let leader_epoch = partition.leader_epoch;
        if change == LeaderChange::LeaderLost && old != NO_LEADER {
            partition.lost_leader = Some(old);
        }
        // Nothing is lost before somebody else leads: a broker that comes back has its log.
        let keeps = match change {
            _ if leader == NO_LEADER || leader == old => None,
            LeaderChange::Unclean => Some(partition.log.high_watermark()),
            LeaderChange::Clean | LeaderChange::LeaderLost => {
                let lost = partition.lost_leader.is_some_and(|lost| lost != leader);
                lost.then_some(partition.replicated)
            }
        };
        if leader != NO_LEADER {
            partition.lost_leader = None;
        }
        self.events.record(self.now, || EventKind::Leader {
            topic: name,
            partition: index,
            leader,
            leader_epoch,
        });
        if let Some(offset) = keeps {
            self.truncate(topic, index, offset);
        }
        if old == NO_LEADER {
            // Whoever came back while nobody led could not follow anybody.
            self.rejoin(topic, index);
        }
        self.refetch(topic, index);
        self.leader_changed(topic, index);
        if leader != NO_LEADER {
            self.write_delayed_markers(topic, index);
        }
    }

    /// A new leader has not got what stands at or after an offset.
    fn truncate(&mut self, topic: TopicKey, index: i32, offset: i64) {
        let producers_max = self.config.limits.producers_per_partition_max;
        let Some(state) = self.topics.topic_mut(topic) else {
            return;
        };
        let name = Arc::clone(&state.name);
        let Some(partition) = state.partition_mut(index) else {
            return;
        };
        let (from, bytes) = (partition.log.log_end(), partition.log.bytes());
        let lost = partition.log.truncate(offset);
        let freed = bytes - partition.log.bytes();
        partition
            .producers
            .truncated(&lost, partition.log.batches(), producers_max);
        let to = partition.log.log_end();
        partition.replicated = partition.replicated.min(to);
        partition.markers.retain(|&(offset, _)| offset < to);
        state.bytes -= freed;
        self.log_bytes -= freed;
        if !lost.is_empty() {
            self.events.record(self.now, || EventKind::Truncated {
                topic: name,
                partition: index,
                from,
                to,
            });
        }
    }

    /// The followers fetch from a new leader what they lack.
    fn refetch(&mut self, topic: TopicKey, index: i32) {
        let Some(partition) = self.topics.partition_mut(topic, index) else {
            return;
        };
        partition.replicating.clear();
        if partition.leader == NO_LEADER {
            return;
        }
        if partition.replicated < partition.log.log_end() {
            self.grown(topic, index);
        } else {
            // More replicas may be in sync than before.
            self.advance(topic, index);
        }
    }

    /// A broker stopped being alive (it died, or its session ended): it is in sync nowhere, and leads nothing that
    /// another could lead.
    pub(crate) fn broker_lost(&mut self, broker: i32) {
        for topic in self.topics.keys() {
            let count = self.topics.topic(topic).map_or(0, |state| state.partitions.len());
            for index in 0..i32::try_from(count).unwrap_or(i32::MAX) {
                self.replica_lost(topic, index, broker);
            }
        }
    }

    fn replica_lost(&mut self, topic: TopicKey, index: i32, broker: i32) {
        let Some(partition) = self.topics.partition_mut(topic, index) else {
            return;
        };
        // The last replica in sync stays the one that may lead again: it has the records.
        if partition.isr.len() > 1 {
            partition.isr.retain(|&id| id != broker);
        }
        if partition.leader != broker {
            self.replicated(topic, index);
            return;
        }
        if self.config.election_delay.is_zero() {
            let next = self.next_leader(topic, index);
            self.set_leader(topic, index, next, LeaderChange::LeaderLost);
        } else {
            self.set_leader(topic, index, NO_LEADER, LeaderChange::LeaderLost);
            self.timers
                .set(self.now + self.config.election_delay, Timer::Elect(topic, index));
        }
    }

    /// A partition without a leader gets one, if a replica in sync is alive.
    pub(crate) fn elect(&mut self, topic: TopicKey, index: i32) {
        let leaderless = self
            .topics
            .partition(topic, index)
            .is_some_and(|partition| partition.leader == NO_LEADER);
        let next = self.next_leader(topic, index);
        if leaderless && next != NO_LEADER {
            self.set_leader(topic, index, next, LeaderChange::Clean);
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
                    self.set_leader(topic, index, broker, LeaderChange::Clean);
                }
                self.rejoin(topic, index);
                self.replicated(topic, index);
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

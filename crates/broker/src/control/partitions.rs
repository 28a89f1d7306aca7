//! Partitions: leaders, followers, and what they lose.

use super::Unknown;
use crate::cluster::Cluster;
use crate::event::EventKind;
use crate::node::Node;
use crate::producer_state::ProducerStates;
use crate::replication::LeaderChange;
use crate::topic::{NO_LEADER, Partition, TopicKey};
use std::sync::Arc;
use std::time::Duration;

impl Cluster {
    /// Makes a broker the leader of a partition, with all that was written (a clean move), or with what the followers
    /// have (`unclean`).
    ///
    /// # Errors
    ///
    /// A partition or broker that the cluster has not got.
    pub fn move_leader(
        &mut self,
        topic: &str,
        partition: i32,
        to: i32,
        unclean: bool,
    ) -> Result<(), Unknown> {
        if !self.nodes.contains_key(&to) {
            return Err(Unknown::broker(to));
        }
        let unknown = || Unknown::partition(topic, partition);
        let key = self.topics.key_of(topic).ok_or_else(unknown)?;
        let state = self.topics.partition_mut(key, partition).ok_or_else(unknown)?;
        if !state.replicas.contains(&to) {
            state.replicas.push(to);
        }
        if !state.isr.contains(&to) {
            state.isr.push(to);
        }
        let change = if unclean {
            LeaderChange::Unclean
        } else {
            LeaderChange::Clean
        };
        self.set_leader(key, partition, to, change);
        Ok(())
    }

    /// Takes a follower out of sync, or back in, as when it is slow. The leader is always in sync, what is dead or holds no
    /// replica never is, and nothing changes while nobody leads.
    ///
    /// # Errors
    ///
    /// A partition that the cluster has not got.
    pub fn set_in_sync(
        &mut self,
        topic: &str,
        partition: i32,
        broker: i32,
        in_sync: bool,
    ) -> Result<(), Unknown> {
        let alive = self.nodes.get(&broker).is_some_and(Node::is_alive);
        let (key, state) = self.named_partition(topic, partition)?;
        if state.leader != broker && state.leader != NO_LEADER {
            state.isr.retain(|&id| id != broker);
            if in_sync && alive && state.replicas.contains(&broker) {
                state.isr.push(broker);
            }
            let in_sync = state.isr.clone();
            self.events.record(self.now, || EventKind::InSync {
                topic: topic.into(),
                partition,
                in_sync,
            });
            self.replicated(key, partition);
        }
        Ok(())
    }

    /// Changes how long after an append the followers have it
    /// ([`replication_delay`](crate::ClusterConfig::replication_delay)), for what is appended from now on.
    pub fn set_replication_delay(&mut self, delay: Duration) {
        self.config.replication_delay = delay;
    }

    /// Lets the followers of a partition fetch nothing more (`true`), so that acks=all times out and what is appended is
    /// lost with the leader; or lets them fetch again. They stay in sync meanwhile.
    ///
    /// # Errors
    ///
    /// A partition that the cluster has not got.
    pub fn hold_replication(&mut self, topic: &str, partition: i32, held: bool) -> Result<(), Unknown> {
        let (key, state) = self.named_partition(topic, partition)?;
        state.held = held;
        self.events.record(self.now, || EventKind::Replication {
            topic: topic.into(),
            partition,
            held,
        });
        self.replicated(key, partition);
        Ok(())
    }

    /// Makes a partition forget the epochs and sequences of all producers, as when `producer.id.expiration.ms` has passed:
    /// it takes whatever comes next from each for a beginning. Open transactions stay open.
    ///
    /// # Errors
    ///
    /// A partition that the cluster has not got.
    pub fn forget_producers(&mut self, topic: &str, partition: i32) -> Result<(), Unknown> {
        let (_, state) = self.named_partition(topic, partition)?;
        state.producers = ProducerStates::default();
        Ok(())
    }

    fn named_partition(
        &mut self,
        topic: &str,
        partition: i32,
    ) -> Result<(TopicKey, &mut Partition), Unknown> {
        let unknown = || Unknown::partition(topic, partition);
        let key = self.topics.key_of(topic).ok_or_else(unknown)?;
        let state = self.topics.partition_mut(key, partition).ok_or_else(unknown)?;
        Ok((key, state))
    }

    /// Makes everything of a partition below `offset` unreadable, as retention does; returns the new log start.
    ///
    /// # Errors
    ///
    /// A partition that the cluster has not got.
    pub fn delete_records(&mut self, topic: &str, partition: i32, offset: i64) -> Result<i64, Unknown> {
        let unknown = || Unknown::partition(topic, partition);
        let key = self.topics.key_of(topic).ok_or_else(unknown)?;
        self.delete_before(key, partition, offset).ok_or_else(unknown)
    }

    pub(crate) fn delete_before(&mut self, key: TopicKey, partition: i32, offset: i64) -> Option<i64> {
        let topic = self.topics.topic_mut(key)?;
        let name = Arc::clone(&topic.name);
        let state = topic.partition_mut(partition)?;
        let from = state.log.log_start();
        let freed = state.log.delete_before(offset);
        let to = state.log.log_start();
        topic.bytes -= freed;
        self.log_bytes -= freed;
        self.log_start_moved(&name, partition, from, to);
        Some(to)
    }

    /// Notes that the beginning of a log is gone.
    pub(crate) fn log_start_moved(&mut self, topic: &Arc<str>, partition: i32, from: i64, to: i64) {
        if from < to {
            self.events.record(self.now, || EventKind::LogStart {
                topic: Arc::clone(topic),
                partition,
                from,
                to,
            });
        }
    }
}

//! Topics: created, configured, deleted.

use super::{TopicError, Unknown};
use crate::cluster::Cluster;
use crate::config::{BROKERS_MAX, TopicConfig, TopicSpec};
use crate::event::EventKind;
use crate::topic::{self, NO_LEADER, TopicKey};
use ottla_protocol::ErrorCode;
use ottla_protocol::wire::Uuid;
use std::sync::Arc;

impl Cluster {
    /// Creates a topic.
    ///
    /// # Errors
    ///
    /// A name that exists or cannot be one, or numbers that cannot be.
    pub fn create_topic(&mut self, spec: &TopicSpec) -> Result<Uuid, TopicError> {
        self.check_new_topic(spec)?;
        let factor = spec
            .replication_factor
            .unwrap_or_else(|| self.config.effective_replication_factor());
        // Leaders begin at another broker for every topic, so that topics with one partition spread, too.
        let shift = i32::try_from(self.topics.len()).unwrap_or(0);
        let assignment = topic::spread(0, spec.partitions, factor, self.config.brokers, shift);
        Ok(self.create_assigned(spec, assignment))
    }

    pub(crate) fn check_new_topic(&self, spec: &TopicSpec) -> Result<(), TopicError> {
        let fail = |code, what: String| Err(TopicError::new(code, what));
        if let Some(what) = topic::name_error(&spec.name) {
            return fail(ErrorCode::INVALID_TOPIC_EXCEPTION, what.to_owned());
        }
        if self.topics.key_of(&spec.name).is_some() {
            return fail(
                ErrorCode::TOPIC_ALREADY_EXISTS,
                format!("Topic '{}' already exists.", spec.name),
            );
        }
        if spec.partitions < 1 {
            return fail(
                ErrorCode::INVALID_PARTITIONS,
                "Number of partitions was set to an invalid non-positive value.".into(),
            );
        }
        let limits = &self.config.limits;
        let partitions = usize::try_from(spec.partitions).unwrap_or(usize::MAX);
        if self.topics.len() >= limits.topics_max
            || self.topics.partitions_len().saturating_add(partitions) > limits.partitions_max
        {
            return fail(
                ErrorCode::POLICY_VIOLATION,
                "the limit of topics or partitions of this cluster is reached".into(),
            );
        }
        let brokers = self.config.brokers.min(BROKERS_MAX);
        match spec.replication_factor {
            Some(factor) if factor < 1 => fail(
                ErrorCode::INVALID_REPLICATION_FACTOR,
                "Replication factor must be larger than 0.".into(),
            ),
            Some(factor) if i32::from(factor) > brokers => fail(
                ErrorCode::INVALID_REPLICATION_FACTOR,
                format!(
                    "The target replication factor of {factor} cannot be reached because only {brokers} broker(s) are registered."
                ),
            ),
            _ => Ok(()),
        }
    }

    /// Creates a topic that was checked, with a leader for every partition that can have one.
    pub(crate) fn create_assigned(&mut self, spec: &TopicSpec, assignment: Vec<Vec<i32>>) -> Uuid {
        let id = self.new_topic_id();
        let partitions = i32::try_from(assignment.len()).unwrap_or(i32::MAX);
        let key = self
            .topics
            .create(&spec.name, id, assignment, spec.config.clone());
        self.settle_new_partitions(key, 0);
        self.events.record(self.now, || EventKind::TopicCreated {
            topic: spec.name.as_str().into(),
            partitions,
        });
        id
    }

    /// An id that no topic has.
    pub(crate) fn new_topic_id(&mut self) -> Uuid {
        // The version and variant bits of a random UUID, as Kafka's have; it is never one of the reserved ids then.
        let high = (self.random.u64(..) & !0xf000) | 0x4000;
        let low = (self.random.u64(..) >> 2) | 1 << 63;
        Uuid::from_halves(high, low)
    }

    /// Brokers that are down neither lead a new partition nor are in sync with it.
    pub(crate) fn settle_new_partitions(&mut self, key: TopicKey, from: usize) {
        let dead: Vec<i32> = self
            .nodes
            .iter()
            .filter(|(_, node)| !node.is_alive())
            .map(|(&id, _)| id)
            .collect();
        let Some(topic) = self.topics.topic_mut(key) else {
            return;
        };
        for partition in topic.partitions.iter_mut().skip(from) {
            let alive: Vec<i32> = partition
                .isr
                .iter()
                .copied()
                .filter(|id| !dead.contains(id))
                .collect();
            if !alive.is_empty() {
                partition.leader = alive[0];
                partition.isr = alive;
            } else {
                partition.leader = NO_LEADER;
            }
        }
    }

    /// Deletes a topic; whoever waits for it is told that it is gone.
    pub fn delete_topic(&mut self, name: &str) -> bool {
        let Some(key) = self.topics.key_of(name) else {
            return false;
        };
        let Some(deleted) = self.topics.delete(key) else {
            return false;
        };
        self.log_bytes -= deleted.bytes;
        self.events.record(self.now, || EventKind::TopicDeleted {
            topic: Arc::clone(&deleted.name),
        });
        self.groups.forget_topic(name);
        let waiting: std::collections::BTreeSet<u64> = deleted
            .partitions
            .iter()
            .flat_map(|partition| partition.waiting.iter().copied())
            .collect();
        for ticket in waiting {
            self.look_again(ticket);
        }
        // No transaction waits for a marker in it.
        self.write_all_markers();
        true
    }

    /// Changes the configuration of a topic. It counts from the next request on.
    ///
    /// # Errors
    ///
    /// A topic that the cluster has not got.
    pub fn configure_topic(
        &mut self,
        topic: &str,
        change: impl FnOnce(&mut TopicConfig),
    ) -> Result<(), Unknown> {
        let unknown = || Unknown::topic(topic);
        let key = self.topics.key_of(topic).ok_or_else(unknown)?;
        let state = self.topics.topic_mut(key).ok_or_else(unknown)?;
        change(&mut state.config);
        let count = i32::try_from(state.partitions.len()).unwrap_or(i32::MAX);
        for index in 0..count {
            // More or fewer replicas in sync may be enough now.
            self.replicated(key, index);
        }
        Ok(())
    }
}

//! What a test does to the cluster: topics, faults, brokers, leaders.

use crate::cluster::{Cluster, ConnectionId};
use crate::config::{BROKERS_MAX, TopicConfig, TopicSpec};
use crate::event::{Event, EventKind};
use crate::fault::Fault;
use crate::node::{Node, NodeState};
use crate::producer_state::ProducerStates;
use crate::replication::LeaderChange;
use crate::timer::Timer;
use crate::topic::{self, NO_LEADER, Partition, TopicKey};
use ottla_protocol::ErrorCode;
use ottla_protocol::wire::Uuid;
use std::fmt;
use std::time::Duration;

/// A topic that cannot be created or changed as asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicError {
    code: ErrorCode,
    what: String,
}

impl TopicError {
    pub(crate) fn new(code: ErrorCode, what: impl Into<String>) -> TopicError {
        TopicError {
            code,
            what: what.into(),
        }
    }

    /// The error that a client is told.
    pub fn code(&self) -> ErrorCode {
        self.code
    }
}

impl fmt::Display for TopicError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for TopicError {}

/// A broker, topic or partition that the cluster has not got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unknown {
    what: String,
}

impl Unknown {
    fn broker(id: i32) -> Unknown {
        Unknown {
            what: format!("the cluster has no broker {id}"),
        }
    }

    pub(crate) fn partition(topic: &str, partition: i32) -> Unknown {
        Unknown {
            what: format!("the cluster has no partition {partition} of topic '{topic}'"),
        }
    }

    fn topic(topic: &str) -> Unknown {
        Unknown {
            what: format!("the cluster has no topic '{topic}'"),
        }
    }

    fn transaction(id: &str) -> Unknown {
        Unknown {
            what: format!("the cluster has no transactional id '{id}'"),
        }
    }
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for Unknown {}

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
        let key = self
            .topics
            .create(&spec.name, id, assignment, spec.config.clone());
        self.settle_new_partitions(key, 0);
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

    /// Adds a rule; returns its number, which stands in the events when it strikes.
    pub fn add_fault(&mut self, fault: Fault) -> u64 {
        self.faults.add(fault)
    }

    /// Removes a rule that has not struck for the last time yet.
    pub fn remove_fault(&mut self, number: u64) -> bool {
        self.faults.remove(number).is_some()
    }

    /// Removes all rules.
    pub fn clear_faults(&mut self) {
        self.faults.clear();
    }

    /// The events that are remembered, oldest first.
    pub fn events(&self) -> impl DoubleEndedIterator<Item = &Event> {
        self.events.iter()
    }

    /// Forgets the events so far; their numbers go on.
    pub fn clear_events(&mut self) {
        self.events.clear();
    }

    /// How many events there were in all, those included that were forgotten or not recorded.
    pub fn events_count(&self) -> u64 {
        self.events.count()
    }

    /// The ids of all brokers.
    pub fn broker_ids(&self) -> Vec<i32> {
        self.nodes.keys().copied().collect()
    }

    /// Where clients are told that a broker is.
    pub fn set_address(&mut self, broker: i32, host: &str, port: u16) {
        if let Some(node) = self.nodes.get_mut(&broker) {
            host.clone_into(&mut node.host);
            node.port = i32::from(port);
        }
    }

    /// `host:port` of every broker, separated by commas.
    pub fn bootstrap_servers(&self) -> String {
        let addresses: Vec<String> = self
            .nodes
            .values()
            .map(|node| format!("{}:{}", node.host, node.port))
            .collect();
        addresses.join(",")
    }

    /// A broker dies: its connections break off, what its followers have not got is lost, and others lead.
    ///
    /// # Errors
    ///
    /// A broker that the cluster has not got.
    pub fn kill_broker(&mut self, broker: i32) -> Result<(), Unknown> {
        let node = self
            .nodes
            .get_mut(&broker)
            .ok_or_else(|| Unknown::broker(broker))?;
        if node.state == NodeState::Down {
            return Ok(());
        }
        node.state = NodeState::Down;
        node.stale = None;
        self.events.record(self.now, || EventKind::Broker {
            broker,
            state: "down",
        });
        let on_broker =
            |(_, connection): &(&ConnectionId, &crate::connection::Connection)| connection.broker == broker;
        let ids: Vec<ConnectionId> = self
            .connections
            .iter()
            .filter(on_broker)
            .map(|(&id, _)| id)
            .collect();
        for id in ids {
            self.reset(id, "the broker died");
        }
        self.broker_lost(broker);
        Ok(())
    }

    /// A broker that was killed or frozen works again, with the log that it had.
    ///
    /// # Errors
    ///
    /// A broker that the cluster has not got.
    pub fn start_broker(&mut self, broker: i32) -> Result<(), Unknown> {
        let node = self
            .nodes
            .get_mut(&broker)
            .ok_or_else(|| Unknown::broker(broker))?;
        if node.state == NodeState::Up {
            return Ok(());
        }
        node.state = NodeState::Up;
        node.fenced = false;
        self.events
            .record(self.now, || EventKind::Broker { broker, state: "up" });
        self.broker_back(broker);
        let on_broker =
            |(_, connection): &(&ConnectionId, &crate::connection::Connection)| connection.broker == broker;
        let ids: Vec<ConnectionId> = self
            .connections
            .iter()
            .filter(on_broker)
            .map(|(&id, _)| id)
            .collect();
        for id in ids {
            self.flush(id);
            self.go_on(id);
        }
        self.write_all_markers();
        Ok(())
    }

    /// A broker stops doing anything, and its sockets stay open, as under SIGSTOP. When its session is over
    /// ([`session_timeout`](crate::ClusterConfig::session_timeout)), others lead. [`Cluster::start_broker`] thaws it.
    ///
    /// # Errors
    ///
    /// A broker that the cluster has not got.
    pub fn freeze_broker(&mut self, broker: i32) -> Result<(), Unknown> {
        let node = self
            .nodes
            .get_mut(&broker)
            .ok_or_else(|| Unknown::broker(broker))?;
        if node.state != NodeState::Up {
            return Ok(());
        }
        node.state = NodeState::Frozen;
        node.freezes += 1;
        let freeze = node.freezes;
        self.events.record(self.now, || EventKind::Broker {
            broker,
            state: "frozen",
        });
        self.timers.set(
            self.now + self.config.session_timeout,
            Timer::Fence { broker, freeze },
        );
        Ok(())
    }

    /// The session of a frozen broker is over.
    pub(crate) fn fence(&mut self, broker: i32, freeze: u64) {
        let Some(node) = self.nodes.get_mut(&broker) else {
            return;
        };
        if node.state != NodeState::Frozen || node.freezes != freeze {
            return;
        }
        node.fenced = true;
        self.events.record(self.now, || EventKind::Broker {
            broker,
            state: "fenced",
        });
        self.broker_lost(broker);
    }

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

    /// Moves the coordinator of a transactional id or group to a broker; requests to another one are answered with
    /// NOT_COORDINATOR from then on.
    ///
    /// # Errors
    ///
    /// A broker that the cluster has not got.
    pub fn move_coordinator(&mut self, key: &str, to: i32) -> Result<(), Unknown> {
        if !self.nodes.contains_key(&to) {
            return Err(Unknown::broker(to));
        }
        self.moved_coordinators.insert(key.to_owned(), to);
        Ok(())
    }

    /// From now on a broker tells its clients what the cluster looks like now, whatever happens (`true`); or the truth
    /// again (`false`).
    ///
    /// # Errors
    ///
    /// A broker that the cluster has not got.
    pub fn set_stale_metadata(&mut self, broker: i32, stale: bool) -> Result<(), Unknown> {
        let view = stale.then(|| self.view());
        self.nodes
            .get_mut(&broker)
            .ok_or_else(|| Unknown::broker(broker))?
            .stale = view;
        Ok(())
    }

    /// Every answer of a broker is so long under way. Requests are carried out when they arrive, so that what is
    /// pipelined pays once.
    ///
    /// # Errors
    ///
    /// A broker that the cluster has not got.
    pub fn set_round_trip(&mut self, broker: i32, round_trip: Duration) -> Result<(), Unknown> {
        self.nodes
            .get_mut(&broker)
            .ok_or_else(|| Unknown::broker(broker))?
            .round_trip = round_trip;
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

    /// Closes every connection, or those to one broker.
    pub fn close_connections(&mut self, broker: Option<i32>) {
        let matches =
            |connection: &crate::connection::Connection| broker.is_none_or(|id| connection.broker == id);
        let ids: Vec<ConnectionId> = self
            .connections
            .iter()
            .filter(|(_, connection)| matches(connection))
            .map(|(&id, _)| id)
            .collect();
        for id in ids {
            self.reset(id, "closed by the test");
        }
    }

    /// Sets the epoch of a transactional id's producer, so that a test gets to where epochs are used up.
    ///
    /// # Errors
    ///
    /// An id that the cluster has not got.
    pub fn set_transactional_epoch(&mut self, id: &str, epoch: i16) -> Result<(), Unknown> {
        let transaction = self
            .transactions
            .find_mut(id)
            .ok_or_else(|| Unknown::transaction(id))?;
        transaction.epoch = epoch;
        Ok(())
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
        let state = topic.partition_mut(partition)?;
        let freed = state.log.delete_before(offset);
        let start = state.log.log_start();
        topic.bytes -= freed;
        self.log_bytes -= freed;
        Some(start)
    }
}

//! The cluster: one state machine for all of its brokers, without I/O and without a clock.

mod requests;
mod sending;

use crate::config::{ClusterConfig, ConfigError};
use crate::connection::Connection;
use crate::event::{EventKind, EventLog};
use crate::fault::FaultPlan;
use crate::group::Groups;
use crate::node::Node;
pub(crate) use crate::output::{ConnectionId, Output, Refused};
use crate::request::Held;
use crate::telemetry::Telemetry;
use crate::timer::{Timer, Timers};
use crate::topic::Topics;
use crate::transaction::Transactions;
use crate::wait::Waiter;
use bytes::Bytes;
use ottla_protocol::compression::Decompressor;
use ottla_protocol::wire::Uuid;
use ottla_time::Time;
use std::collections::{BTreeMap, VecDeque};

/// A cluster of brokers.
///
/// Bytes and time go in: [`accept`](Cluster::accept), [`handle_frame`](Cluster::handle_frame),
/// [`handle_closed`](Cluster::handle_closed), [`handle_timeout`](Cluster::handle_timeout). After each of them (and after
/// each change that a test makes) [`poll_output`](Cluster::poll_output) is called until it returns `None`, and
/// [`poll_timeout`](Cluster::poll_timeout) says when `handle_timeout` is due. Time must not go back; wall-clock time may.
///
/// The same configuration and the same inputs give the same outputs.
#[derive(Debug)]
pub struct Cluster {
    pub(crate) config: ClusterConfig,
    pub(crate) cluster_id: String,
    pub(crate) nodes: BTreeMap<i32, Node>,
    pub(crate) topics: Topics,
    pub(crate) transactions: Transactions,
    pub(crate) groups: Groups,
    pub(crate) faults: FaultPlan,
    pub(crate) events: EventLog,
    pub(crate) timers: Timers,
    pub(crate) waiters: BTreeMap<u64, Waiter>,
    pub(crate) connections: BTreeMap<ConnectionId, Connection>,
    outputs: VecDeque<Output>,
    /// Connections whose wait is over: they go on when the input that ended it is done with, so that one wait that ends
    /// another does not nest.
    ready: VecDeque<ConnectionId>,
    pub(crate) decompressor: Decompressor,
    pub(crate) random: fastrand::Rng,
    pub(crate) telemetry: Telemetry,
    /// How much memory the batches of all topics are charged with, in bytes.
    pub(crate) log_bytes: usize,
    /// Where coordinators were moved to by hand: key → broker.
    pub(crate) moved_coordinators: BTreeMap<String, i32>,
    next_connection: u64,
    next_ticket: u64,
    pub(crate) now: Time,
    pub(crate) wall_ms: i64,
}

impl Cluster {
    /// A cluster whose brokers are all up and lead their share of the partitions.
    ///
    /// # Errors
    ///
    /// Numbers that contradict each other, and topics that cannot be.
    pub fn new(config: ClusterConfig) -> Result<Cluster, ConfigError> {
        config.check()?;
        let mut random = fastrand::Rng::with_seed(config.seed);
        let limits = &config.limits;
        let mut cluster = Cluster {
            cluster_id: Uuid::from_halves(random.u64(..), random.u64(..)).to_string(),
            nodes: (1..=config.brokers).map(|id| (id, Node::new())).collect(),
            topics: Topics::default(),
            transactions: Transactions::new(
                (config.first_producer_id, config.first_producer_epoch),
                limits.transactional_ids_max,
            ),
            groups: Groups::new(limits.groups_max),
            faults: FaultPlan::default(),
            events: EventLog::new(limits.events_max),
            timers: Timers::default(),
            waiters: BTreeMap::new(),
            connections: BTreeMap::new(),
            outputs: VecDeque::new(),
            ready: VecDeque::new(),
            decompressor: Decompressor::new(),
            random,
            telemetry: Telemetry::new(config.telemetry.clone()),
            log_bytes: 0,
            moved_coordinators: BTreeMap::new(),
            next_connection: 0,
            next_ticket: 0,
            now: Time::ZERO,
            wall_ms: 0,
            config,
        };
        for spec in cluster.config.topics.clone() {
            cluster
                .create_topic(&spec)
                .map_err(|error| ConfigError::new(format!("topic '{}': {error}", spec.name)))?;
        }
        Ok(cluster)
    }

    /// The configuration that the cluster was built with.
    pub fn config(&self) -> &ClusterConfig {
        &self.config
    }

    /// Tells the cluster what time it is, without letting anything happen.
    pub fn set_time(&mut self, now: Time, wall_ms: i64) {
        self.now = self.now.max(now);
        self.wall_ms = wall_ms;
    }

    /// A client connects to a broker.
    ///
    /// # Errors
    ///
    /// A broker that is not there or not up, or too many connections.
    pub fn accept(&mut self, broker: i32, client_host: &str, now: Time) -> Result<ConnectionId, Refused> {
        self.now = self.now.max(now);
        let node = self.nodes.get(&broker).ok_or(Refused::UnknownBroker)?;
        if !node.is_up() {
            return Err(Refused::BrokerIsDown);
        }
        if self.connections.len() >= self.config.limits.connections_max {
            return Err(Refused::TooManyConnections);
        }
        let id = ConnectionId(self.next_connection);
        self.next_connection += 1;
        self.connections
            .insert(id, Connection::new(broker, client_host, self.now));
        self.events.record(self.now, || EventKind::Accepted {
            connection: id.0,
            broker,
        });
        if let Some(idle) = self.config.connections_max_idle {
            self.timers.set(self.now + idle, Timer::Idle(id));
        }
        Ok(id)
    }

    /// A whole frame has arrived, without its length field. Frames of a connection that is gone are ignored.
    pub fn handle_frame(&mut self, id: ConnectionId, frame: Bytes, now: Time, wall_ms: i64) {
        self.set_time(now, wall_ms);
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        connection.last_active = self.now;
        if frame.len() > self.config.limits.frame_bytes_max {
            self.close(id, "the frame is too large");
            return;
        }
        // One more than the limit lets a front that polls `is_reading` hand over what it had already read.
        if connection.queue.len() >= self.config.limits.queued_requests_max.saturating_mul(2).max(16) {
            self.close(id, "too many requests wait");
            return;
        }
        connection.queue.push_back(frame);
        self.pump(id);
        if !self.is_reading(id)
            && let Some(connection) = self.connections.get_mut(&id)
        {
            connection.paused = true;
        }
    }

    /// A connection has ended.
    pub fn handle_closed(&mut self, id: ConnectionId, now: Time) {
        self.now = self.now.max(now);
        if self.connections.remove(&id).is_some() {
            self.forget_waiters_of(id);
            self.events.record(self.now, || EventKind::Closed {
                connection: id.0,
                reason: "closed by the client",
            });
        }
    }

    /// Lets everything happen that is due.
    pub fn handle_timeout(&mut self, now: Time, wall_ms: i64) {
        self.set_time(now, wall_ms);
        while let Some(timer) = self.timers.pop_due(self.now) {
            self.handle_timer(timer);
        }
        for id in self.transactions.time_out(self.now) {
            self.transaction_decided(&id);
        }
        self.groups.handle_timeout(self.now);
        self.answer_group_waiters();
    }

    fn handle_timer(&mut self, timer: Timer) {
        match timer {
            Timer::Execute(id) => {
                let held = self
                    .connections
                    .get_mut(&id)
                    .and_then(|connection| connection.held.take());
                if let Some(Held { context, body }) = held {
                    self.execute(context, body);
                    self.ready.push_back(id);
                }
            }
            Timer::Flush(id) => self.flush(id),
            Timer::Wait(ticket) => self.wait_is_over(ticket),
            Timer::Replicate(topic, partition) => self.replicated(topic, partition),
            Timer::Markers(id) => self.write_markers(&id),
            Timer::Elect(topic, partition) => self.elect(topic, partition),
            Timer::Fence { broker, freeze } => self.fence(broker, freeze),
            Timer::Idle(id) => self.close_if_idle(id),
        }
    }

    /// When [`handle_timeout`](Cluster::handle_timeout) is due.
    pub fn poll_timeout(&self) -> Option<Time> {
        let own = self.timers.next_deadline();
        own.into_iter()
            .chain(self.transactions.next_deadline())
            .chain(self.groups.next_deadline())
            .min()
    }

    /// What is to be done next.
    pub fn poll_output(&mut self) -> Option<Output> {
        while let Some(id) = self.ready.pop_front() {
            self.pump(id);
        }
        self.outputs.pop_front()
    }

    /// Whether a connection is to be read. A client whose requests wait is not, so that they pile up with it and not
    /// here; [`Output::Resume`] says when it is again.
    pub fn is_reading(&self, id: ConnectionId) -> bool {
        let Some(connection) = self.connections.get(&id) else {
            return true;
        };
        let max = self.config.limits.queued_requests_max.max(1);
        connection.queue.len() < max && connection.outgoing.len() < max
    }

    /// Takes up what waits on a connection, until one request has to wait.
    pub(crate) fn pump(&mut self, id: ConnectionId) {
        loop {
            let Some(connection) = self.connections.get_mut(&id) else {
                return;
            };
            let frozen = self.nodes.get(&connection.broker).is_none_or(Node::is_frozen);
            // As many answers may be under way as requests may wait.
            let full = connection.outgoing.len() >= self.config.limits.queued_requests_max.max(1);
            if connection.busy || frozen || full {
                return;
            }
            let Some(frame) = connection.queue.pop_front() else {
                break;
            };
            self.begin(id, frame);
        }
        if let Some(connection) = self.connections.get_mut(&id)
            && std::mem::take(&mut connection.paused)
        {
            self.outputs.push_back(Output::Resume { connection: id });
        }
    }

    /// Lets a connection take up what waits, once the present input is done with.
    pub(crate) fn go_on(&mut self, id: ConnectionId) {
        self.ready.push_back(id);
    }
}

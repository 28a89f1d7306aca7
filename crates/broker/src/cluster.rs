//! The cluster: one state machine for all of its brokers, without I/O and without a clock.

use crate::api;
use crate::config::{ClusterConfig, ConfigError};
use crate::connection::{Connection, Outgoing};
use crate::event::{EventKind, EventLog};
use crate::fault::{FaultAction, FaultPlan, RequestFacts};
use crate::group::Groups;
use crate::node::Node;
use crate::request::{Held, Outcome, RequestContext};
use crate::telemetry::Telemetry;
use crate::timer::{Timer, Timers};
use crate::topic::Topics;
use crate::transaction::Transactions;
use crate::versions;
use crate::wait::Waiter;
use bytes::{Bytes, BytesMut};
use ottla_protocol::ApiKey;
use ottla_protocol::compression::Decompressor;
use ottla_protocol::wire::Reader;
use ottla_protocol::wire::Uuid;
use ottla_time::Time;
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::time::Duration;

/// A connection's number: counts up over the life of the cluster, and stands in the events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub(crate) u64);

impl ConnectionId {
    /// The number.
    pub const fn number(self) -> u64 {
        self.0
    }
}

/// What the cluster wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Output {
    /// Bytes go to a client: usually one whole frame.
    Send {
        /// To which.
        connection: ConnectionId,
        /// What.
        bytes: Bytes,
    },
    /// A connection is to be closed.
    Close {
        /// Which.
        connection: ConnectionId,
        /// Without sending what still waits to be written, as when a broker dies.
        at_once: bool,
    },
    /// A connection that was not [read](Cluster::is_reading) is to be read again.
    Resume {
        /// Which.
        connection: ConnectionId,
    },
}

/// A connection that is not taken up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refused {
    /// The cluster has no broker of this id.
    UnknownBroker,
    /// The broker is dead.
    BrokerIsDown,
    /// As many connections as may be are open.
    TooManyConnections,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Refused::UnknownBroker => "the cluster has no broker of this id",
            Refused::BrokerIsDown => "the broker is down",
            Refused::TooManyConnections => "as many connections as may be are open",
        })
    }
}

impl std::error::Error for Refused {}

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

    /// Reads the header of a request, and asks the faults what becomes of it.
    fn begin(&mut self, id: ConnectionId, frame: Bytes) {
        let Some(connection) = self.connections.get(&id) else {
            return;
        };
        let broker = connection.broker;
        if self.take_bare_sasl(id, &frame) {
            return;
        }
        let (mut context, body) = match api::parse_header(id, broker, &frame) {
            Ok(parsed) => parsed,
            Err(reason) => return self.close(id, reason),
        };
        let api = context.api;
        self.events.record(self.now, || EventKind::Request {
            connection: id.0,
            broker,
            api,
            version: context.version,
            correlation_id: context.correlation_id,
        });
        if let Some(objection) = self.sasl_objection(id, api) {
            return self.close(id, objection);
        }
        let is_spoken = versions::is_supported(self.config.pose, api, context.version) && self.offers(api);
        if !is_spoken && api != ApiKey::API_VERSIONS {
            // As a broker does: only ApiVersions has an answer to a version that is not spoken (KIP-511).
            return self.close(id, "the API or its version is not supported");
        }
        if !self.faults.is_empty() {
            let partitions = if self.faults.needs_partitions() {
                self.named_partitions(&context, &body)
            } else {
                Vec::new()
            };
            let facts = RequestFacts {
                api,
                broker,
                connection: id.0,
                partitions: &partitions,
            };
            context.strikes = self.faults.strike(&facts);
            for (rule, _) in &context.strikes.rules {
                self.events.record(self.now, || EventKind::Fault {
                    connection: id.0,
                    rule: *rule,
                    api,
                });
            }
        }
        let delay = context.strikes.delay();
        if delay.is_zero() {
            self.execute(context, body);
            return;
        }
        self.timers.set(self.now + delay, Timer::Execute(id));
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.busy = true;
            connection.held = Some(Held { context, body });
        }
    }

    /// Carries a request out.
    fn execute(&mut self, context: RequestContext, body: Bytes) {
        let id = context.connection;
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.busy = false;
        }
        match context.strikes.before() {
            Some(FaultAction::DropRequest) => return,
            Some(_) => return self.close(id, "a fault"),
            None => {}
        }
        let mut reader = Reader::from_bytes(&body);
        let outcome = api::dispatch(self, &context, &mut reader);
        self.finish(&context, outcome);
        self.answer_group_waiters();
    }

    /// Does what came of a request.
    pub(crate) fn finish(&mut self, context: &RequestContext, outcome: Outcome) {
        let id = context.connection;
        match outcome {
            Outcome::Answer(frame) => self.answer(context, frame),
            Outcome::AnswerAndClose(frame, reason) => {
                self.answer(context, frame);
                self.enqueue(id, context.strikes.response_delay(), Outgoing::Close(reason));
            }
            Outcome::Nothing => {}
            Outcome::Wait => {
                if let Some(connection) = self.connections.get_mut(&id) {
                    connection.busy = true;
                }
            }
            Outcome::Close(reason) => self.close(id, reason),
        }
    }

    /// Sends an answer, spoiled if a fault wants that.
    fn answer(&mut self, context: &RequestContext, frame: Bytes) {
        let id = context.connection;
        let Some(spoil) = context.strikes.spoil() else {
            return self.send(context, frame);
        };
        match spoil {
            FaultAction::DisconnectAfter => self.close(id, "a fault"),
            FaultAction::CloseAtByte(bytes) => {
                let cut = frame.slice(..(*bytes).min(frame.len()));
                self.send(context, cut);
                self.enqueue(id, context.strikes.response_delay(), Outgoing::Close("a fault"));
            }
            FaultAction::Partial(bytes) => {
                let cut = frame.slice(..(*bytes).min(frame.len()));
                self.send(context, cut);
                if let Some(connection) = self.connections.get_mut(&id) {
                    connection.silent = true;
                }
            }
            FaultAction::Garbage(bytes) => self.send(context, bytes.clone()),
            FaultAction::GarbageBody(bytes) => {
                let mut spoiled = BytesMut::with_capacity(8 + bytes.len());
                let length = i32::try_from(bytes.len().saturating_add(4)).unwrap_or(i32::MAX);
                spoiled.extend_from_slice(&length.to_be_bytes());
                spoiled.extend_from_slice(&context.correlation_id.to_be_bytes());
                spoiled.extend_from_slice(bytes);
                self.send(context, spoiled.freeze());
            }
            FaultAction::WrongCorrelationId(by) => {
                let mut spoiled = BytesMut::from(&frame[..]);
                let wrong = context.correlation_id.wrapping_add(*by);
                if let Some(field) = spoiled.get_mut(4..8) {
                    field.copy_from_slice(&wrong.to_be_bytes());
                }
                self.send(context, spoiled.freeze());
            }
            // DropResponse: the client waits in vain.
            _ => {}
        }
    }

    fn send(&mut self, context: &RequestContext, bytes: Bytes) {
        self.enqueue(
            context.connection,
            context.strikes.response_delay(),
            Outgoing::Bytes(bytes),
        );
    }

    /// Sends a message of SASL that has no header.
    pub(crate) fn send_bare(&mut self, id: ConnectionId, bytes: Bytes) {
        self.enqueue(id, Duration::ZERO, Outgoing::Bytes(bytes));
    }

    /// Puts something on its way, behind what is on its way already.
    fn enqueue(&mut self, id: ConnectionId, delay: Duration, outgoing: Outgoing) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        if connection.silent {
            return;
        }
        let round_trip = self
            .nodes
            .get(&connection.broker)
            .map_or(Duration::ZERO, |node| node.round_trip);
        let arrival = self.now + round_trip.saturating_add(delay);
        let last = connection.outgoing.back().map_or(Time::ZERO, |&(at, _)| at);
        let arrival = arrival.max(last);
        connection.outgoing.push_back((arrival, outgoing));
        if arrival > self.now {
            self.timers.set(arrival, Timer::Flush(id));
        } else {
            self.flush(id);
        }
    }

    /// Hands over what has arrived by now.
    pub(crate) fn flush(&mut self, id: ConnectionId) {
        loop {
            let Some(connection) = self.connections.get_mut(&id) else {
                return;
            };
            if self.nodes.get(&connection.broker).is_none_or(Node::is_frozen) {
                return;
            }
            if connection.outgoing.front().is_none_or(|&(at, _)| at > self.now) {
                return;
            }
            match connection.outgoing.pop_front() {
                Some((_, Outgoing::Bytes(bytes))) => {
                    let max = self.config.limits.queued_requests_max.max(1);
                    if connection.outgoing.len() + 1 == max {
                        self.ready.push_back(id);
                    }
                    self.outputs.push_back(Output::Send {
                        connection: id,
                        bytes,
                    });
                }
                Some((_, Outgoing::Close(reason))) => self.close(id, reason),
                None => return,
            }
        }
    }

    /// Ends a connection; what was answered before is still sent.
    pub(crate) fn close(&mut self, id: ConnectionId, reason: &'static str) {
        self.end_connection(id, reason, false);
    }

    /// Ends a connection as a broker does that dies.
    pub(crate) fn reset(&mut self, id: ConnectionId, reason: &'static str) {
        self.end_connection(id, reason, true);
    }

    fn end_connection(&mut self, id: ConnectionId, reason: &'static str, at_once: bool) {
        if self.connections.remove(&id).is_some() {
            self.forget_waiters_of(id);
            self.events.record(self.now, || EventKind::Closed {
                connection: id.0,
                reason,
            });
            self.outputs.push_back(Output::Close {
                connection: id,
                at_once,
            });
        }
    }

    fn close_if_idle(&mut self, id: ConnectionId) {
        let Some(idle) = self.config.connections_max_idle else {
            return;
        };
        let Some(connection) = self.connections.get(&id) else {
            return;
        };
        let deadline = connection.last_active + idle;
        if connection.busy || deadline > self.now {
            let next = if connection.busy {
                self.now + idle
            } else {
                deadline
            };
            self.timers.set(next, Timer::Idle(id));
        } else {
            self.close(id, "idle for too long");
        }
    }

    /// Lets a connection take up what waits, once the present input is done with.
    pub(crate) fn go_on(&mut self, id: ConnectionId) {
        self.ready.push_back(id);
    }

    /// The number of a request that is going to wait.
    pub(crate) fn new_ticket(&mut self) -> u64 {
        self.next_ticket += 1;
        self.next_ticket
    }

    /// Ends the wait of a request with its answer, and lets its connection go on.
    pub(crate) fn finish_waiter(&mut self, context: &RequestContext, outcome: Outcome) {
        let id = context.connection;
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.busy = false;
        }
        self.finish(context, outcome);
        self.ready.push_back(id);
    }
}

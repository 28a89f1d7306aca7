//! The state machine.

mod dispatch;
mod identity;
mod load;
mod measure;
mod metadata;
mod outcome;
mod rebootstrap;
mod telemetry;
mod transaction;

use crate::metadata::{Metadata, TopicState};
use crate::node::{Link, Node};
use crate::partition::{PartitionState, Pending};
use crate::shared::{Command, Shared};
use crate::timers::{Timer, Timers};
use crate::topic::Refusal;
use crate::{Action, ApiRange, Disconnect, DisconnectClass, Handle, Sealed, SenderConfig, Wakeup};
use ottla_accumulator::{Accumulator, AccumulatorConfig, DeliveryFailure, FailureKind, Persistence, Sealer};
use ottla_partitioning::{LoadTable, Partitioner};
use ottla_protocol::ApiKey;
use ottla_protocol::compression::Compression;
use ottla_protocol::wire::Uuid;
use ottla_time::{Clock, ExponentialBackoff, Time, mutant};
use smallvec::SmallVec;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// The sender: owned and driven by one driver; see the crate's page for how.
///
/// Order of calls: any number of `handle_*`, then [`Sender::turn`], then [`Sender::poll_action`] until it is `None`.
pub struct Sender {
    shared: Arc<Shared>,
    nodes: BTreeMap<i32, Node>,
    partitions: Vec<PartitionState>,
    metadata: Metadata,
    in_flight: BTreeMap<u64, InFlight>,
    next_request: u64,
    /// How often a connection was asked for.
    connects: u64,
    timers: Timers,
    /// Slots of partitions that only wait for their linger: what a flush or a shortage of memory makes due.
    lingering: Vec<usize>,
    /// Whether nothing may linger in this turn.
    hurried: bool,
    /// Whether the metadata that is due waits for a connection, so that time alone changes nothing.
    metadata_blocked: bool,
    actions: VecDeque<Action>,
    retry_backoff: ExponentialBackoff,
    /// Topics of which an answer moved a leader, to be published when all of it is read.
    moved: BTreeSet<usize>,
    /// Topics whose load has to be weighed.
    loads_changed: Vec<usize>,
    load_table: LoadTable,
    producer_id: identity::ProducerId,
    transaction: transaction::TransactionProgress,
    telemetry: telemetry::Telemetry,
    random: fastrand::Rng,
    sealer: Sealer,
    /// The deadline of a close.
    closing: Option<Time>,
    finished: bool,
    /// Whether records came since the turn before the last one.
    fed: bool,
}

/// How long full batches wait at most before the driver is told, see [`Sender::may_hold`].
const HOLD_MAX: Duration = Duration::from_millis(1);
/// Who lets records linger for less wants them to be sent at once.
const HOLD_LINGER_MIN: Duration = Duration::from_millis(2);

/// A request without an answer.
#[derive(Debug)]
enum InFlight {
    Produce {
        node: i32,
        version: i16,
        /// When it was handed to the connection.
        sent: Time,
        /// Where topics go by their ids: what each id stood for. The same name may have another id by the time of the
        /// answer.
        topics: SmallVec<[(Uuid, usize); 2]>,
        batches: Vec<(usize, Pending)>,
    },
    Metadata {
        node: i32,
        version: i16,
    },
    ProducerId {
        node: i32,
        version: i16,
    },
    /// The one request of the transaction manager.
    Transaction {
        node: i32,
    },
    Telemetry {
        node: i32,
        api: ApiKey,
    },
}

impl Sender {
    /// A sender and its handle. `buffer_memory` and `batch_size` are bytes; everything random follows from `seed`.
    pub fn new(
        config: SenderConfig,
        accumulator: AccumulatorConfig,
        partitioner: Box<dyn Partitioner>,
        clock: Arc<dyn Clock>,
        seed: u64,
    ) -> (Sender, Handle) {
        let retry_backoff = ExponentialBackoff::new(config.retry_backoff.0, config.retry_backoff.1);
        let metadata = Metadata::new(seed);
        // Ids of bootstrap servers are negative, as in Java: -1, -2 …
        let bootstrap = (1..)
            .zip(&config.bootstrap)
            .map(|(id, address): (i32, _)| (-id, Node::new(address.clone())));
        let nodes = bootstrap.collect();
        let transactional_id = config.transactions.as_ref();
        let telemetry = telemetry::Telemetry::new(
            config.telemetry,
            clock.wall_ms(),
            transactional_id.map(|transactions| transactions.transactional_id.as_str()),
        );
        let shared = Shared::new(config, Accumulator::new(accumulator), clock, partitioner, seed);
        let shared = Arc::new(shared);
        // The codec "none" is always there.
        let Ok(sealer) = Sealer::new(Compression::None) else {
            unreachable!("no codec is needed")
        };
        let sender = Sender {
            shared: Arc::clone(&shared),
            nodes,
            partitions: Vec::new(),
            metadata,
            in_flight: BTreeMap::new(),
            next_request: 0,
            connects: 0,
            timers: Timers::default(),
            lingering: Vec::new(),
            hurried: false,
            metadata_blocked: false,
            actions: VecDeque::new(),
            retry_backoff,
            moved: BTreeSet::new(),
            loads_changed: Vec::new(),
            load_table: LoadTable::new(),
            producer_id: identity::ProducerId::default(),
            transaction: transaction::TransactionProgress::default(),
            telemetry,
            random: fastrand::Rng::with_seed(seed),
            sealer,
            closing: None,
            finished: false,
            fed: false,
        };
        (sender, Handle::new(shared))
    }

    /// What wakes the driver.
    pub fn wakeup(&self) -> &Wakeup {
        &self.shared.wakeup
    }

    /// Does everything that is due at `now`.
    pub fn turn(&mut self, now: Time) {
        if self.finished {
            return;
        }
        self.shared.waits.wake_due(now);
        for node in self.nodes.values_mut().filter(|node| node.throttled_until <= now) {
            node.throttled_until = Time::ZERO;
        }
        let flushed = self.take_commands(now);
        self.hurried = self.closing.is_some() || self.shared.accumulator.memory().take_pressure();
        let told = self.shared.accumulator.take_told();
        self.fed = !told.is_empty();
        for partition in told {
            if let Some(state) = self.partitions.get(partition.slot()) {
                self.metadata.topics[state.topic].used = now;
            }
            self.look(partition.slot(), now);
        }
        if flushed || self.hurried {
            for slot in self.lingering.clone() {
                self.evaluate(slot, now);
            }
        }
        while let Some((at, timer)) = self.timers.pop_due(now) {
            self.fire(at, timer, now);
        }
        self.refresh_metadata(now);
        self.refresh_producer_id(now);
        self.turn_transactions(now);
        self.dispatch(now);
        self.turn_telemetry(now);
        self.weigh_loads(now);
        if self.shared.accumulator.flushes().has_failed() {
            self.shared.measure_failed(now);
        }
        self.finish_if_done(now);
    }

    /// The next thing to do, after a turn.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// Until when the driver may [hold](Wakeup::hold) wake-ups, if it may.
    ///
    /// While records come fast and an answer is awaited, which wakes the driver anyway, telling it of every full batch
    /// would make it send them one by one: a switch between threads, a request and a write for each. A millisecond later
    /// there are several to send together. That is no more than they might linger, so it is not done where `linger.ms` is
    /// less than two.
    pub fn may_hold(&self, now: Time) -> Option<Time> {
        let awaited = || {
            let mut requests = self.in_flight.values();
            requests.any(|request| matches!(request, InFlight::Produce { .. }))
        };
        let may = self.fed && self.closing.is_none() && self.shared.config.linger >= HOLD_LINGER_MIN;
        (may && awaited()).then(|| now + HOLD_MAX)
    }

    /// When the next turn is due, if nothing happens before.
    pub fn poll_timeout(&self) -> Option<Time> {
        if self.finished {
            return None;
        }
        let metadata = self
            .metadata
            .due(self.shared.config.metadata_max_age)
            .filter(|_| !self.metadata_blocked);
        // Time::ZERO is "not throttled": then it is not time that the node, or what asks it, waits for.
        let asks = self.metadata_blocked
            || self.producer_id_blocked()
            || self.transaction_blocked()
            || self.telemetry_blocked();
        let in_flight_max = self.shared.config.max_in_flight;
        let waits_for_time = |node: &&Node| {
            let sends = !node.ready.is_empty() && node.in_flight < in_flight_max;
            node.throttled_until > Time::ZERO && node.versions().is_some() && (asks || sends)
        };
        let throttled = self
            .nodes
            .values()
            .filter(waits_for_time)
            .map(|node| node.throttled_until)
            .min();
        [
            self.timers.next(),
            self.producer_id_timeout(),
            self.transaction_timeout(),
            self.telemetry.timeout(),
            metadata,
            self.rebootstrap_due(),
            throttled,
            self.closing,
            self.shared.waits.next_deadline(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// The node takes requests; it speaks these versions.
    pub fn handle_ready(&mut self, node: i32, versions: impl IntoIterator<Item = ApiRange>, _now: Time) {
        let Some(state) = self.nodes.get_mut(&node) else {
            return;
        };
        state.apis = versions.into_iter().collect();
        state.link = Link::Ready(dispatch::negotiate(state.apis.iter().copied()));
        state.failed = false;
        state.in_flight = 0;
        self.metadata.paused = false;
    }

    /// The connection to the node ended, or could not be made. Its requests were failed before this.
    pub fn handle_disconnected<'a>(&mut self, node: i32, why: impl Into<Disconnect<'a>>, now: Time) {
        let why = why.into();
        let cause: Arc<str> = why.cause.into();
        let is_final = self.tell_waiting(node, why.class, &cause);
        if self.transaction_disconnected(node, &cause, is_final, now) {
            self.metadata.paused = false;
        }
        let Some(state) = self.nodes.get_mut(&node) else {
            return;
        };
        state.failed = state.link == Link::Connecting || state.failed;
        state.link = Link::Idle;
        state.in_flight = 0;
        state.error = Some(cause);
        self.metadata.wanted = true;
        // What stands there since before its leader moved is no reason to connect again.
        let partitions = &self.partitions;
        state
            .ready
            .retain(|&slot| partitions[slot].in_ready_queue == Some(node));
        if !state.ready.is_empty() {
            self.connect(node);
        }
    }

    /// Tells the sends that wait for metadata what stands in the way. Where waiting is vain they fail with it, and no
    /// further attempt is made for them. True if it is vain.
    fn tell_waiting(&mut self, node: i32, class: DisconnectClass, cause: &Arc<str>) -> bool {
        let mut others = self.nodes.iter().filter(|(id, _)| **id != node);
        let is_final = class.is_final() && !others.any(|(_, other)| other.versions().is_some());
        for topic in &self.metadata.topics {
            if is_final {
                topic.shared.refuse(Refusal::Connection(class, Arc::clone(cause)));
            } else {
                topic.shared.delay(Arc::clone(cause));
            }
        }
        // What is queued still hopes for its deadline: the cluster may take this client again.
        self.metadata.paused = is_final && !self.partitions.iter().any(PartitionState::has_work);
        is_final
    }

    /// A batch was sealed.
    pub fn handle_sealed(&mut self, sealed: Sealed, now: Time) {
        let Some(state) = self.partitions.get_mut(sealed.slot) else {
            return;
        };
        state.sealing = None;
        state.pending.extend(sealed.batch.map(Pending::new));
        self.evaluate(sealed.slot, now);
    }

    /// Asks for a connection, unless there is one.
    fn connect(&mut self, node: i32) {
        let Some(state) = self.nodes.get_mut(&node) else {
            return;
        };
        if state.link == Link::Idle {
            state.link = Link::Connecting;
            self.connects += 1;
            state.tried = self.connects;
            self.actions.push_back(Action::Connect {
                node,
                address: state.address.clone(),
            });
        }
    }

    /// True if a flush has begun.
    fn take_commands(&mut self, now: Time) -> bool {
        let mut flushed = false;
        for command in self.shared.take_commands() {
            match command {
                Command::Want(topic) => self.want(&topic, now),
                Command::Flush => flushed = true,
                Command::Close(deadline) => {
                    self.closing = Some(self.closing.map_or(deadline, |earlier| earlier.min(deadline)));
                    self.look_at_everything(now);
                }
            }
        }
        flushed
    }

    fn want(&mut self, topic: &Arc<crate::Topic>, now: Time) {
        let known = self.metadata.topic(topic.name());
        let idle = known.is_some_and(|index| {
            let state = &mut self.metadata.topics[index];
            state.used = now;
            std::mem::take(&mut state.idle)
        });
        if known.is_none() {
            self.metadata.add(TopicState {
                shared: Arc::clone(topic),
                accumulator: self.shared.accumulator.topic(Arc::clone(topic.name())),
                id: ottla_protocol::wire::Uuid::ZERO,
                partitions: Vec::new(),
                existing: 0,
                used: now,
                idle: false,
                load_changed: false,
                load_weighed: Time::ZERO,
            });
        }
        if known.is_none() || idle {
            // A new topic clears the wait, as in Java: its first record should not pay for another topic's failures.
            self.metadata.not_before = Time::ZERO;
            self.metadata.grown = true;
        }
        self.metadata.wanted = true;
        self.metadata.paused = false;
    }

    /// Looks into the accumulator: only the partitions that reported are looked at otherwise.
    fn look_at_everything(&mut self, now: Time) {
        for slot in 0..self.partitions.len() {
            self.look(slot, now);
        }
    }

    fn look(&mut self, slot: usize, now: Time) {
        let Some(state) = self.partitions.get_mut(slot) else {
            return;
        };
        state.queued = state.queue.inspect(&self.shared.accumulator);
        let topic = state.topic;
        self.load_changed(topic);
        self.evaluate(slot, now);
    }

    /// Decides what a partition does next: nothing, linger, back off, or stand in its leader's queue.
    fn evaluate(&mut self, slot: usize, now: Time) {
        self.expire(slot, now);
        self.seal_ahead(slot);
        if !self.is_numbered(slot, now) {
            return self.stop_lingering(slot);
        }
        let state = &self.partitions[slot];
        let window = state.window(self.shared.config.idempotent);
        let wait_until =
            if !state.has_work() || state.in_flight.len() >= window || state.in_ready_queue.is_some() {
                None
            } else if let Some(first) = state.pending.front() {
                Some(first.not_before)
            } else if state.sealing.is_some() {
                None
            } else {
                Some(self.linger_ends(slot))
            };
        let Some(wait_until) = wait_until else {
            return self.stop_lingering(slot);
        };
        if wait_until > now {
            self.arm_due(slot, wait_until);
            return if self.partitions[slot].pending.is_empty() {
                self.linger(slot)
            } else {
                self.stop_lingering(slot)
            };
        }
        self.stop_lingering(slot);
        match self.partitions[slot].leader {
            Some(leader) => self.make_ready(slot, leader),
            // Without a leader only metadata helps; the records wait until their deadline.
            None => self.metadata.wanted = true,
        }
    }

    fn make_ready(&mut self, slot: usize, leader: i32) {
        let Some(node) = self.nodes.get_mut(&leader) else {
            // Forgotten, because an answer did not list it: only metadata helps.
            self.metadata.wanted = true;
            return;
        };
        node.ready.push_back(slot);
        self.partitions[slot].in_ready_queue = Some(leader);
        self.connect(leader);
    }

    /// When the oldest queued batch need not wait any longer for more records.
    fn linger_ends(&self, slot: usize) -> Time {
        let queued = &self.partitions[slot].queued;
        let flushed = queued.generation < self.shared.accumulator.flushes().current();
        if queued.full || flushed || self.hurried {
            return Time::ZERO;
        }
        if mutant!("linger never ends") {
            return Time::MAX;
        }
        queued
            .oldest
            .map_or(Time::MAX, |created| created + self.shared.config.linger)
    }

    fn linger(&mut self, slot: usize) {
        if self.partitions[slot].lingering_at.is_none() {
            self.partitions[slot].lingering_at = Some(self.lingering.len());
            self.lingering.push(slot);
        }
    }

    fn stop_lingering(&mut self, slot: usize) {
        if let Some(at) = self.partitions[slot].lingering_at.take() {
            self.lingering.swap_remove(at);
            if let Some(&moved) = self.lingering.get(at) {
                self.partitions[moved].lingering_at = Some(at);
            }
        }
    }

    /// Arms the timer unless an earlier one stands: that one will look and arm again.
    fn arm_due(&mut self, slot: usize, at: Time) {
        let state = &mut self.partitions[slot];
        if at < state.due_armed {
            state.due_armed = at;
            self.timers.arm(at, Timer::Due(slot));
        }
    }

    fn arm_expiry(&mut self, slot: usize, at: Time) {
        let state = &mut self.partitions[slot];
        if at < state.expiry_armed {
            state.expiry_armed = at;
            self.timers.arm(at, Timer::Expiry(slot));
        }
    }

    fn fire(&mut self, at: Time, timer: Timer, now: Time) {
        let (Timer::Due(slot) | Timer::Expiry(slot)) = timer;
        let state = &mut self.partitions[slot];
        let armed = match timer {
            Timer::Due(_) => &mut state.due_armed,
            Timer::Expiry(_) => &mut state.expiry_armed,
        };
        // An entry that an earlier one replaced fires in vain.
        if *armed == at {
            *armed = Time::MAX;
            self.look(slot, now);
        }
    }

    /// Fails what is older than `delivery.timeout.ms`, and sees to it that the rest is looked at in time.
    fn expire(&mut self, slot: usize, now: Time) {
        let timeout = self.shared.config.delivery_timeout;
        let deadline = now - timeout;
        let state = &mut self.partitions[slot];
        // Subtraction saturates at the origin: in the first moments nothing is old enough.
        let is_old = |created: Time| {
            created <= deadline && created + timeout <= now && !mutant!("nothing ever expires")
        };
        let mut oldest = None;
        let mut lets_go = false;
        for carried in &state.in_flight {
            if !is_old(carried.created) {
                oldest = earlier(oldest, Some(carried.created));
                continue;
            }
            let Some(InFlight::Produce { batches, .. }) = self.in_flight.get(&carried.request) else {
                continue;
            };
            let Some((_, pending)) = batches.iter().find(|(other, _)| *other == slot) else {
                continue;
            };
            // It lives on without its deliveries until the connection is done with its bytes.
            if !pending.batch.is_complete() {
                let persistence = match mutant!("what expires in flight is told as not persisted") {
                    true => Persistence::NotPersisted,
                    false => Persistence::PossiblyPersisted,
                };
                pending.batch.fail(expired(pending, persistence));
                lets_go = mutant!("a batch that expires in flight is let go");
            }
        }
        if lets_go {
            let carried = std::mem::take(&mut state.in_flight);
            carried
                .iter()
                .for_each(|carried| drop(self.in_flight.remove(&carried.request)));
        }
        while let Some(first) = state
            .pending
            .front()
            .filter(|first| is_old(first.batch.created()))
        {
            if !mutant!("expiry drops") {
                first.batch.fail(expired(first, first.persistence()));
            }
            if let (Some(sequences), Some(stamp)) = (&mut state.sequences, &first.stamp)
                && !mutant!("expiry forgets the gap in the numbering")
            {
                sequences.give_up(stamp);
            }
            state.pending.pop_front();
        }
        if state.queued.oldest.is_some_and(is_old) {
            let mut failure = DeliveryFailure::new(FailureKind::Timeout, Persistence::NotPersisted);
            let leader = state.leader.and_then(|leader| self.nodes.get(&leader));
            failure.detail = leader.map_or(Some("the partition has no leader".into()), |leader| {
                leader.error.clone()
            });
            while let Some(batch) = state.queue.take_created_by(deadline) {
                batch.fail(failure.clone());
            }
            state.queued = state.queue.inspect(&self.shared.accumulator);
        }
        oldest = earlier(oldest, state.oldest_waiting());
        if let Some(oldest) = oldest {
            self.arm_expiry(slot, oldest + timeout);
        }
    }

    fn finish_if_done(&mut self, now: Time) {
        let Some(deadline) = self.closing else { return };
        if self.shared.accumulator.flushes().incomplete() > 0 || self.in_transaction() {
            if now < deadline {
                return;
            }
            self.fail_everything();
        } else if self.says_goodbye(deadline, now) {
            return;
        }
        self.finished = true;
        self.shared.finish();
        self.actions.push_back(Action::Finished);
    }

    /// Resolves all that is left as closed.
    fn fail_everything(&mut self) {
        let closed = |persistence| DeliveryFailure::new(FailureKind::Closed, persistence);
        for (_, request) in std::mem::take(&mut self.in_flight) {
            if let InFlight::Produce { batches, .. } = request {
                for (_, pending) in batches {
                    pending.batch.fail(closed(Persistence::PossiblyPersisted));
                }
            }
        }
        for state in &mut self.partitions {
            if let Some(batch) = state
                .sealing
                .take()
                .filter(|_| !mutant!("close forgets what is being compressed"))
            {
                batch.fail(closed(Persistence::NotPersisted));
            }
            for pending in state.pending.drain(..) {
                pending.batch.fail(closed(pending.persistence()));
            }
            while let Some(batch) = state.queue.take() {
                batch.fail(closed(Persistence::NotPersisted));
            }
        }
        self.measure_in_flight();
    }
}

/// The earlier of two times, either of which may be missing.
fn earlier(one: Option<Time>, other: Option<Time>) -> Option<Time> {
    one.into_iter().chain(other).min()
}

/// The failure of a batch whose time is over.
fn expired(pending: &Pending, persistence: Persistence) -> DeliveryFailure {
    let mut failure = DeliveryFailure::new(FailureKind::Timeout, persistence);
    failure.detail = pending.last_error.clone();
    failure
}

impl Drop for Sender {
    /// A driver that stops, for whatever reason, leaves nobody waiting.
    fn drop(&mut self) {
        self.shared.accumulator.close();
        // Appends that were under way when the flag was set are in the queues now: each holds its partition's lock.
        self.fail_everything();
        self.shared.finish();
    }
}

impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender")
            .field("nodes", &self.nodes.len())
            .field("partitions", &self.partitions.len())
            .field("in_flight", &self.in_flight.len())
            .field("closing", &self.closing)
            .finish_non_exhaustive()
    }
}

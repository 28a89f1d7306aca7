//! The state machine: which request comes next, and what its answer means.

mod answers;
mod calls;
mod requests;

#[cfg(test)]
mod tests;

use crate::ProducerIdentity;
use crate::error::{Call, TransactionError, TransactionErrorKind};
use crate::offsets::{GroupMetadata, GroupOffset};
use crate::reaction::Rpc;
use crate::request::Protocol;
use crate::state::{Event, State};
use ottla_time::{ExponentialBackoff, Time, mutant};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// The first delay after CONCURRENT_TRANSACTIONS: the markers of the transaction before are being written, which takes
/// milliseconds (Java: at most 20 ms).
const CONCURRENT_BACKOFF: Duration = Duration::from_millis(20);

/// The longest that a transaction is held back for the markers of the one before.
const HOLD_MAX: Duration = Duration::from_millis(5);

/// The level of the feature `transaction.version` from which on [`Protocol::V2`] is spoken.
const V2_FROM_LEVEL: i16 = 2;

/// The settings of a transactional producer. Names are Java's.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TransactionConfig {
    /// `transactional.id`.
    pub transactional_id: String,
    /// `transaction.timeout.ms`: the coordinator aborts a transaction that is open for longer.
    pub transaction_timeout: Duration,
    /// `retry.backoff.ms` and `retry.backoff.max.ms`.
    pub retry_backoff: (Duration, Duration),
}

impl TransactionConfig {
    /// A producer of this `transactional.id`, with Java's defaults: 60 s, and 100 ms to 1 s.
    pub fn new(transactional_id: impl Into<String>) -> TransactionConfig {
        TransactionConfig {
            transactional_id: transactional_id.into(),
            transaction_timeout: Duration::from_millis(60_000),
            retry_backoff: (Duration::from_millis(100), Duration::from_millis(1_000)),
        }
    }
}

/// Where a request has to go.
///
/// Exhaustive on purpose: there is no third place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// To any broker.
    Any,
    /// To this one. If it cannot be reached, say so: [`TransactionManager::handle_unreachable`].
    Node(i32),
}

/// A coordinator and where it listens.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Coordinator {
    /// The broker.
    pub node: i32,
    /// Its host.
    pub host: String,
    /// Its port.
    pub port: i32,
}

/// A transactional producer's side of the protocol, without I/O and without a clock.
///
/// ```text
///   calls: init, begin, send_offsets, commit, abort ──►┌────────────────────┐──► poll_target, take_request
///   the batches: want_partition, handle_written,       │ TransactionManager │
///   handle_delivery_failed, handle_drained ───────────►│  (see State)       │◄── handle_answer, handle_no_answer,
///   poll_outcome ◄─────────────────────────────────────└────────────────────┘    handle_unreachable
/// ```
///
/// # Order of calls
/// Calls and `handle_*` in any order. Then, as long as [`poll_target`](Self::poll_target) names one, send
/// [`take_request`](Self::take_request) there: one request is under way at a time, and each ends with exactly one of
/// `handle_answer`, `handle_no_answer` and `handle_not_sent`. [`poll_timeout`](Self::poll_timeout) says when to look again.
///
/// A call that takes requests (init, commit, abort, send_offsets) is begun by its method, and
/// [`poll_outcome`](Self::poll_outcome) has its outcome when there is one. Who gives up waiting loses nothing: the call
/// goes on, and repeating it attaches to it.
#[derive(Debug)]
pub struct TransactionManager {
    config: TransactionConfig,
    backoff: ExponentialBackoff,
    concurrent_backoff: ExponentialBackoff,
    random: fastrand::Rng,
    state: State,
    identity: Option<ProducerIdentity>,
    protocol: Protocol,
    /// The epoch of the newest features, and their transaction.version.
    features: (i64, i16),
    /// Whether the coordinator renews an epoch on request (KIP-360: InitProducerId 3).
    can_renew: bool,
    /// Of the transaction that is open, or was last.
    number: u64,
    /// Whether the coordinator knows, or may know, of this transaction: then it has to be ended there.
    started: bool,
    /// Whether everything of the transaction is resolved, so that it can be ended.
    drained: bool,
    /// Whether the numbering of a partition is broken, so that the next transaction needs a new epoch.
    broken: bool,
    /// Whether a request about this transaction ended without an answer: it may still be on its way.
    unanswered: bool,
    /// Whether that was EndTxn.
    end_unanswered: bool,
    /// Whether EndTxn was sent, with no proof that it changed nothing.
    maybe_ended: bool,
    /// Partitions that take part, under protocol 1.
    added: BTreeMap<Arc<str>, BTreeSet<i32>>,
    /// Partitions that are to take part, and were not asked for.
    wanted: BTreeMap<Arc<str>, BTreeSet<i32>>,
    /// Partitions that were asked for, with no definite answer yet.
    asked: BTreeMap<Arc<str>, BTreeSet<i32>>,
    /// Groups' offsets, in the order of the calls.
    offsets: VecDeque<OffsetsCall>,
    /// What became of them, until somebody asks. Emptied when the next transaction begins.
    offsets_outcomes: BTreeMap<u64, Result<(), TransactionError>>,
    next_offsets: u64,
    /// The call that init, commit or abort stands for, and its outcome until somebody has learnt it.
    pending: Option<PendingCall>,
    /// Why the transaction must be aborted, or the producer is at its end.
    trouble: Option<TransactionError>,
    coordinator: Option<i32>,
    group_coordinator: Option<(String, i32)>,
    discovered: Option<Coordinator>,
    in_flight: Option<InFlight>,
    not_before: Time,
    /// When the markers of the transaction before are written, most likely.
    held_until: Time,
    failures: u32,
    /// Whether something has changed that somebody may wait for.
    news: bool,
}

#[derive(Debug)]
struct PendingCall {
    call: Call,
    outcome: Option<Result<(), TransactionError>>,
    /// Whether somebody has learnt the outcome.
    learnt: bool,
}

/// One call of send_offsets.
#[derive(Debug)]
struct OffsetsCall {
    number: u64,
    group: GroupMetadata,
    offsets: Vec<GroupOffset>,
    /// Whether the group takes part, under protocol 1.
    added: bool,
    /// Whether it was asked to, with no definite answer yet.
    asked: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct InFlight {
    rpc: Rpc,
    version: i16,
    sent: Time,
    /// The group that FindCoordinator asks for.
    group: Option<String>,
}

/// Names one call of [`TransactionManager::send_offsets`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OffsetsTicket(u64);

impl TransactionManager {
    /// A producer that is not initialised. Everything random follows from `seed`.
    pub fn new(config: TransactionConfig, seed: u64) -> TransactionManager {
        let (initial, max) = config.retry_backoff;
        TransactionManager {
            backoff: ExponentialBackoff::new(initial, max),
            concurrent_backoff: ExponentialBackoff::new(initial.min(CONCURRENT_BACKOFF), max),
            config,
            random: fastrand::Rng::with_seed(seed),
            state: State::Uninitialized,
            identity: None,
            protocol: Protocol::V1,
            features: (-1, 0),
            can_renew: false,
            number: 0,
            started: false,
            drained: false,
            broken: false,
            unanswered: false,
            end_unanswered: false,
            maybe_ended: false,
            added: BTreeMap::new(),
            wanted: BTreeMap::new(),
            asked: BTreeMap::new(),
            offsets: VecDeque::new(),
            offsets_outcomes: BTreeMap::new(),
            next_offsets: 0,
            pending: None,
            trouble: None,
            coordinator: None,
            group_coordinator: None,
            discovered: None,
            in_flight: None,
            not_before: Time::ZERO,
            held_until: Time::ZERO,
            failures: 0,
            news: false,
        }
    }

    /// The settings.
    pub fn config(&self) -> &TransactionConfig {
        &self.config
    }

    /// Where the producer stands.
    pub fn state(&self) -> State {
        self.state
    }

    /// The identity that batches carry now, once the producer is initialised.
    pub fn identity(&self) -> Option<ProducerIdentity> {
        self.identity
    }

    /// The protocol of the current transaction.
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// The number of the transaction that is open, or was last; the first is 1.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Why the transaction must be aborted, or the producer is at its end.
    pub fn trouble(&self) -> Option<&TransactionError> {
        self.trouble.as_ref()
    }

    /// Whether the coordinator gives a new epoch on request (KIP-360). Known once initialised.
    pub fn can_renew(&self) -> bool {
        self.can_renew || self.protocol == Protocol::V2
    }

    /// True, once, if something has changed that a caller may wait for.
    pub fn take_news(&mut self) -> bool {
        std::mem::take(&mut self.news)
    }

    /// What a broker said of the cluster's features: the epoch of its answer (-1 if it has none), and the level of
    /// `transaction.version`. The newest holds from the next transaction on.
    pub fn handle_features(&mut self, epoch: i64, transaction_version: i16) {
        if epoch >= self.features.0 {
            self.features = (epoch, transaction_version);
        }
    }

    /// A batch for this partition waits: under protocol 1 the partition has to be added before. True if the batch may be
    /// sent now.
    pub fn want_partition(&mut self, topic: &Arc<str>, partition: i32) -> bool {
        // Once it is drained there is no batch of it.
        if !matches!(self.state, State::Open | State::Committing) || self.drained {
            return false;
        }
        if self.protocol == Protocol::V2 || mutant!("no AddPartitionsToTxn under protocol 1") {
            return true;
        }
        let has = |partitions: &BTreeMap<Arc<str>, BTreeSet<i32>>| {
            partitions
                .get(topic)
                .is_some_and(|of_topic| of_topic.contains(&partition))
        };
        if has(&self.added) {
            return true;
        }
        if !has(&self.asked) {
            self.wanted
                .entry(Arc::clone(topic))
                .or_default()
                .insert(partition);
        }
        false
    }

    /// Until when the first batches of a transaction are better held back, though they may be sent at any time.
    ///
    /// A coordinator answers EndTxn before it writes the markers. Batches of the next transaction that come meanwhile make a
    /// broker of Kafka 4 wait for 20 ms (`add.partitions.to.txn.retry.backoff.ms`) before it looks again; under protocol 1
    /// the same befalls AddPartitionsToTxn, by the client's backoff. The markers take another two writes to logs, where
    /// EndTxn took one and the way there and back: so they get twice the time that EndTxn took, and at most 5 ms. Nothing is
    /// held where EndTxn took 20 ms or more: what comes over such a line comes late enough.
    ///
    /// The manager's own requests keep to it; see [`poll_timeout`](Self::poll_timeout).
    pub fn held_until(&self) -> Time {
        self.held_until
    }

    /// EndTxn was answered, so long after it was sent.
    fn hold_for_markers(&mut self, took: Duration, now: Time) {
        self.held_until = match took < CONCURRENT_BACKOFF {
            true => now + (took * 2).min(HOLD_MAX),
            false => Time::ZERO,
        };
    }

    /// A batch of the transaction is sent: under protocol 2 that begins it at the coordinator.
    pub fn handle_written(&mut self) {
        self.started |= self.state.is_in_transaction();
    }

    /// A record of the transaction will not be delivered, so the transaction cannot be committed. `code` is what a
    /// broker said, if one did.
    pub fn handle_delivery_failed(&mut self, code: Option<ottla_protocol::ErrorCode>, detail: &str) {
        let fatal = code.is_some_and(ottla_protocol::ErrorCode::is_fatal_to_producer);
        let kind = if fatal {
            TransactionErrorKind::Fatal
        } else {
            TransactionErrorKind::Abortable
        };
        let error = match code {
            Some(code) => TransactionError::answered(kind, code),
            None => TransactionError::new(kind),
        };
        let error = error.with_detail(format!("a record was not delivered: {detail}"));
        match self.state {
            State::Open | State::Committing | State::Aborting | State::MustAbort if fatal => self.kill(error),
            _ => self.fail(error),
        }
    }

    /// The transaction is being ended, and nothing of it is queued or under way any more. `broken` says whether the
    /// numbering of some partition has a gap.
    pub fn handle_drained(&mut self, broken: bool) {
        if matches!(self.state, State::Committing | State::Aborting) {
            self.drained = true;
            self.broken |= broken;
            self.end_if_empty();
        }
    }

    /// Whether somebody has to see to it that the transaction is drained: [`handle_drained`](Self::handle_drained).
    pub fn wants_drain(&self) -> bool {
        matches!(self.state, State::Committing | State::Aborting) && !self.drained
    }

    /// The producer is closed: who still waits for an outcome is told so, and that it is unknown where it is.
    pub fn close(&mut self) {
        let asked = self
            .in_flight
            .as_ref()
            .is_some_and(|request| request.rpc == Rpc::EndCommit);
        self.maybe_ended |= asked;
        self.kill(TransactionError::new(TransactionErrorKind::Closed));
    }

    /// The transaction can only be aborted from now on.
    fn fail(&mut self, error: TransactionError) {
        let Some(next) = self.state.after(Event::Failed) else {
            return;
        };
        if next == self.state {
            return;
        }
        if self.maybe_ended && !mutant!("abort after a commit that may be done") {
            // It may be committed, so nobody may be told to abort it.
            return self.kill(error);
        }
        self.state = next;
        // The abort will ask for it again.
        self.drained = false;
        self.trouble = Some(error.clone());
        self.resolve(Err(error.clone()));
        self.drop_unasked(&error);
    }

    /// The producer is at its end.
    fn kill(&mut self, error: TransactionError) {
        if self.state == State::Fatal {
            return;
        }
        let committing = self
            .pending
            .as_ref()
            .is_some_and(|pending| pending.call == Call::Commit);
        let kind = match error.kind {
            TransactionErrorKind::Closed => TransactionErrorKind::Closed,
            _ => TransactionErrorKind::Fatal,
        };
        let error = TransactionError {
            kind,
            outcome_unknown: committing && self.state == State::Committing && self.maybe_ended,
            ..error
        };
        if let Some(next) = self.state.after(Event::Killed) {
            self.state = next;
        }
        self.trouble = Some(TransactionError {
            outcome_unknown: false,
            ..error.clone()
        });
        self.resolve(Err(error.clone()));
        self.asked.clear();
        for call in self.offsets.drain(..) {
            self.offsets_outcomes.insert(call.number, Err(error.clone()));
        }
        self.wanted.clear();
    }

    /// Forgets what the coordinator was not asked for yet.
    fn drop_unasked(&mut self, error: &TransactionError) {
        self.news = true;
        self.wanted.clear();
        for mut call in std::mem::take(&mut self.offsets) {
            self.offsets_outcomes.insert(call.number, Err(error.clone()));
            // Whether the group takes part has to be known before the transaction is ended.
            if call.asked {
                call.offsets.clear();
                self.offsets.push_back(call);
            }
        }
    }

    /// Gives the pending call its outcome, if it has none yet.
    fn resolve(&mut self, outcome: Result<(), TransactionError>) {
        self.news = true;
        if let Some(pending) = &mut self.pending
            && pending.outcome.is_none()
        {
            pending.outcome = Some(outcome);
        }
    }

    /// A transaction of which the coordinator knows nothing ends here, without a request.
    fn end_if_empty(&mut self) {
        let ending = matches!(self.state, State::Committing | State::Aborting);
        let nothing = self.wanted.is_empty() && self.asked.is_empty() && self.offsets.is_empty();
        if ending && self.drained && nothing && !self.started && self.in_flight.is_none() {
            self.ended();
        }
    }

    /// The transaction has ended as was asked for.
    fn ended(&mut self) {
        let upgrades =
            self.protocol == Protocol::V1 && self.started && self.wanted_protocol() == Protocol::V2;
        // Under protocol 1 the next transaction has the same epoch: a request that is still on its way, EndTxn above all,
        // would be taken for one of the next transaction. A new epoch fences it off. Where there is none to be had, only
        // EndTxn is worth the producer: nothing else that comes late can end what it does not belong to.
        let may_come = match self.can_renew() {
            true => self.unanswered,
            false => self.end_unanswered,
        };
        let fences_late = self.protocol == Protocol::V1 && may_come;
        let fences_late = fences_late && !mutant!("late EndTxn ends the next transaction");
        let broken = self.broken && !mutant!("no new epoch after a gap");
        let renews = broken || upgrades || fences_late;
        let event = if renews { Event::EndedRenew } else { Event::Ended };
        if renews && !self.can_renew() {
            // The verdict stands; only what comes after it is impossible.
            self.resolve(Ok(()));
            return self.kill(TransactionError::new(TransactionErrorKind::Fatal).with_detail(
                "the brokers are too old to give a new epoch after a lost record, or after an end of a transaction that may \
                 still be on its way (KIP-360, Kafka 2.5)",
            ));
        }
        let Some(next) = self.state.after(event) else {
            return;
        };
        self.state = next;
        self.resolve(Ok(()));
        self.forget_transaction();
        if next == State::Ready {
            self.protocol = self.wanted_protocol();
        }
    }

    fn forget_transaction(&mut self) {
        self.trouble = None;
        self.started = false;
        self.drained = false;
        self.broken = false;
        self.unanswered = false;
        self.end_unanswered = false;
        self.maybe_ended = false;
        self.added.clear();
        self.wanted.clear();
        self.asked.clear();
    }

    /// What the newest features ask for.
    fn wanted_protocol(&self) -> Protocol {
        if self.features.1 >= V2_FROM_LEVEL {
            Protocol::V2
        } else {
            Protocol::V1
        }
    }
}

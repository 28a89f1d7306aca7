//! One transactional id: its producer, its epoch and the state of its transaction.

use crate::topic::TopicKey;
use ottla_protocol::ErrorCode;
use ottla_time::Time;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// No producer id, as it stands on the wire.
pub(crate) const NO_PRODUCER_ID: i64 = -1;
/// No producer epoch, as it stands on the wire.
pub(crate) const NO_PRODUCER_EPOCH: i16 = -1;

/// Where a transaction stands.
///
/// ```text
///          add                 end                     markers written
///  Empty ───────► Ongoing ──────────────► PrepareCommit ─────────────► CompleteCommit
///    │              │  ▲                                                    │
///    │ abort (v2)   │  └──────────────────── add ───────────────────────────┤
///    │              │ abort, timeout, fence                                 │ abort (v2)
///    └──────────────┴───────────────────► PrepareAbort ◄────────────────────┘
///                                               │ markers written
///                                               ▼
///                                         CompleteAbort ── add ──► Ongoing
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// A producer is known, and no transaction of it yet.
    Empty,
    /// Partitions or groups take part.
    Ongoing,
    /// Committed for certain; the markers are not all written.
    PrepareCommit,
    /// Aborted for certain; the markers are not all written.
    PrepareAbort,
    /// Every marker of the commit is written.
    CompleteCommit,
    /// Every marker of the abort is written.
    CompleteAbort,
}

impl State {
    /// The name that Kafka's tools show.
    pub(crate) fn name(self) -> &'static str {
        match self {
            State::Empty => "Empty",
            State::Ongoing => "Ongoing",
            State::PrepareCommit => "PrepareCommit",
            State::PrepareAbort => "PrepareAbort",
            State::CompleteCommit => "CompleteCommit",
            State::CompleteAbort => "CompleteAbort",
        }
    }
}

/// How a transaction ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    Commit,
    Abort,
}

/// Which transaction protocol a request belongs to: its version says it (EndTxn 5, Produce 12, TxnOffsetCommit 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    V1,
    V2,
}

/// What takes part in a transaction and gets a marker.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Participant {
    /// A partition of a topic.
    Partition(TopicKey, i32),
    /// A consumer group, whose offsets the transaction commits.
    Group(Arc<str>),
}

/// One transactional id.
#[derive(Debug)]
pub(crate) struct Transaction {
    pub(crate) producer_id: i64,
    /// The producer id before the last rotation: a retry may still name it.
    pub(crate) previous_producer_id: i64,
    /// -1 until the first InitProducerId is answered.
    pub(crate) epoch: i16,
    /// The epoch before the last bump that its own producer asked for; -1 where another producer caused it.
    pub(crate) last_epoch: i16,
    /// Drawn when the epoch was exhausted as the transaction ended: takes over once the markers are written.
    pub(crate) next_producer_id: i64,
    pub(crate) timeout: Duration,
    pub(crate) state: State,
    pub(crate) participants: BTreeSet<Participant>,
    /// When the transaction began; it is aborted when `timeout` is over.
    pub(crate) started: Time,
    /// The protocol of the client's last request that says so.
    pub(crate) protocol: Protocol,
}

impl Transaction {
    pub(crate) fn new(producer_id: i64, timeout: Duration) -> Transaction {
        Transaction {
            producer_id,
            previous_producer_id: NO_PRODUCER_ID,
            epoch: NO_PRODUCER_EPOCH,
            last_epoch: NO_PRODUCER_EPOCH,
            next_producer_id: NO_PRODUCER_ID,
            timeout,
            state: State::Empty,
            participants: BTreeSet::new(),
            started: Time::ZERO,
            protocol: Protocol::V1,
        }
    }

    /// The last epoch is kept for fencing, so that a producer id ends one before it.
    pub(crate) fn is_epoch_exhausted(&self) -> bool {
        self.epoch >= i16::MAX - 1
    }

    /// The next epoch for a producer that initialises itself (`prepareIncrementProducerEpoch`).
    pub(crate) fn increment_epoch(&mut self, expected: Option<i16>) -> Result<(), ErrorCode> {
        let bumped = self.epoch.saturating_add(1);
        match expected {
            None => {
                self.last_epoch = NO_PRODUCER_EPOCH;
                self.epoch = bumped;
            }
            Some(expected) if self.epoch == NO_PRODUCER_EPOCH || expected == self.epoch => {
                self.last_epoch = self.epoch;
                self.epoch = bumped;
            }
            // The answer to an earlier call was lost: nobody else came between, or the last epoch would be -1.
            Some(expected) if expected == self.last_epoch => {}
            Some(_) => return Err(ErrorCode::PRODUCER_FENCED),
        }
        Ok(())
    }

    /// A new producer id in place of one whose epochs are used up (`prepareProducerIdRotation`).
    pub(crate) fn rotate(&mut self, producer_id: i64, keep_last_epoch: bool) {
        self.previous_producer_id = self.producer_id;
        self.producer_id = producer_id;
        self.last_epoch = if keep_last_epoch {
            self.epoch
        } else {
            NO_PRODUCER_EPOCH
        };
        self.epoch = 0;
    }

    /// Adds participants, and begins the transaction with the first.
    pub(crate) fn add(
        &mut self,
        participants: impl IntoIterator<Item = Participant>,
        protocol: Protocol,
        now: Time,
    ) {
        if self.state != State::Ongoing {
            self.started = now;
            self.state = State::Ongoing;
        }
        self.participants.extend(participants);
        self.protocol = protocol;
    }

    /// Decides how the transaction ends (`prepareAbortOrCommit`); under protocol 2 the epoch is bumped with it.
    pub(crate) fn decide(&mut self, decision: Decision, protocol: Protocol, next_producer_id: Option<i64>) {
        if protocol == Protocol::V2 {
            self.last_epoch = self.epoch;
            self.epoch = self.epoch.saturating_add(1);
        }
        self.next_producer_id = next_producer_id.unwrap_or(NO_PRODUCER_ID);
        self.protocol = protocol;
        self.state = match decision {
            Decision::Commit => State::PrepareCommit,
            Decision::Abort => State::PrepareAbort,
        };
    }

    /// Every marker is written (`prepareComplete`).
    pub(crate) fn complete(&mut self) {
        self.participants.clear();
        self.state = match self.state {
            State::PrepareCommit => State::CompleteCommit,
            _ => State::CompleteAbort,
        };
        if self.protocol == Protocol::V2 && self.next_producer_id != NO_PRODUCER_ID {
            self.previous_producer_id = self.producer_id;
            self.producer_id = self.next_producer_id;
            self.last_epoch = self.epoch;
            self.epoch = 0;
        }
        self.next_producer_id = NO_PRODUCER_ID;
    }

    /// Whether this is the identity that EndTxn v5 has answered, and that counts once the markers are written: until then
    /// its owner is asked to come again (`pendingTransitionInProgress`, which the coordinator looks at first).
    pub(crate) fn is_pending(&self, identity: (i64, i16)) -> bool {
        let prepared = matches!(self.state, State::PrepareCommit | State::PrepareAbort);
        prepared && self.next_producer_id != NO_PRODUCER_ID && identity == self.next_identity()
    }

    /// The identity that the next transaction has, as EndTxn v5 answers it.
    pub(crate) fn next_identity(&self) -> (i64, i16) {
        if self.next_producer_id == NO_PRODUCER_ID {
            (self.producer_id, self.epoch)
        } else {
            (self.next_producer_id, 0)
        }
    }
}

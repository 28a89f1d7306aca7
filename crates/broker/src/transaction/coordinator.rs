//! Every transactional id of the cluster, and what each request does to one.

use super::state::{NO_PRODUCER_EPOCH, Transaction};
use super::{Decision, Participant, Protocol, State};
use ottla_protocol::ErrorCode;
use ottla_time::Time;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// What InitProducerId is answered with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InitOutcome {
    /// The producer's identity.
    Ready { producer_id: i64, epoch: i16 },
    /// A transaction of the predecessor was still open: it is fenced and aborted first, and the client asks again.
    /// The markers are to be written.
    Fenced,
}

/// What EndTxn is answered with, and what remains to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EndOutcome {
    /// The identity of the next transaction; only protocol 2 tells it.
    pub(crate) next: (i64, i16),
    /// Whether markers are to be written; not so when a repeated request finds its work done.
    pub(crate) decided: bool,
}

/// The coordinator of all transactional ids, and the source of producer ids.
#[derive(Debug)]
pub(crate) struct Transactions {
    by_id: BTreeMap<Arc<str>, Transaction>,
    /// When the transactions that are open end: (deadline, id), so that a timer finds the first.
    deadlines: std::collections::BTreeSet<(Time, Arc<str>)>,
    next_producer_id: i64,
    first_epoch: i16,
    ids_max: usize,
}

impl Transactions {
    pub(crate) fn new((first_producer_id, first_epoch): (i64, i16), ids_max: usize) -> Transactions {
        Transactions {
            by_id: BTreeMap::new(),
            deadlines: std::collections::BTreeSet::new(),
            next_producer_id: first_producer_id,
            first_epoch,
            ids_max,
        }
    }

    /// A producer id that nobody had before.
    pub(crate) fn allocate_producer_id(&mut self) -> i64 {
        let producer_id = self.next_producer_id;
        self.next_producer_id = self.next_producer_id.saturating_add(1);
        producer_id
    }

    /// The transaction of an id, if the id is known.
    pub(crate) fn find(&self, id: &str) -> Option<&Transaction> {
        self.by_id.get(id)
    }

    /// Every transactional id.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &Transaction)> {
        self.by_id.iter()
    }

    /// Changes a transaction from outside the protocol: a test wants another epoch or producer id.
    pub(crate) fn find_mut(&mut self, id: &str) -> Option<&mut Transaction> {
        self.by_id.get_mut(id)
    }

    /// The first moment at which a transaction times out.
    pub(crate) fn next_deadline(&self) -> Option<Time> {
        self.deadlines.first().map(|&(deadline, _)| deadline)
    }

    /// InitProducerId for a transactional id; `expected` is the identity that the producer says it has (KIP-360).
    pub(crate) fn init(
        &mut self,
        id: &str,
        timeout: Duration,
        expected: Option<(i64, i16)>,
    ) -> Result<InitOutcome, ErrorCode> {
        if !self.by_id.contains_key(id) {
            if self.by_id.len() >= self.ids_max {
                return Err(ErrorCode::COORDINATOR_NOT_AVAILABLE);
            }
            let producer_id = self.allocate_producer_id();
            self.by_id
                .insert(Arc::from(id), Transaction::new(producer_id, timeout));
        }
        let transaction = self.by_id.get_mut(id).ok_or(ErrorCode::UNKNOWN_SERVER_ERROR)?;
        let pending = expected.is_some_and(|expected| transaction.is_pending(expected));
        if expected.is_some_and(|expected| !may_claim(transaction, expected)) && !pending {
            return Err(ErrorCode::PRODUCER_FENCED);
        }
        match transaction.state {
            State::PrepareCommit | State::PrepareAbort => return Err(ErrorCode::CONCURRENT_TRANSACTIONS),
            State::Ongoing => {
                self.fence(id);
                return Ok(InitOutcome::Fenced);
            }
            State::Empty | State::CompleteCommit | State::CompleteAbort => {}
        }
        let matches = expected.is_none_or(|(_, epoch)| epoch == transaction.epoch);
        if transaction.is_epoch_exhausted() && matches {
            let producer_id = self.allocate_producer_id();
            let transaction = self.by_id.get_mut(id).ok_or(ErrorCode::UNKNOWN_SERVER_ERROR)?;
            transaction.rotate(producer_id, expected.is_some());
        } else {
            let is_first = transaction.epoch == NO_PRODUCER_EPOCH;
            transaction.increment_epoch(expected.map(|(_, epoch)| epoch))?;
            if is_first {
                transaction.epoch += self.first_epoch;
            }
        }
        let transaction = self.by_id.get_mut(id).ok_or(ErrorCode::UNKNOWN_SERVER_ERROR)?;
        transaction.timeout = timeout;
        // The new producer has no transaction yet, whatever its predecessor ended with.
        transaction.state = State::Empty;
        Ok(InitOutcome::Ready {
            producer_id: transaction.producer_id,
            epoch: transaction.epoch,
        })
    }

    /// Adds partitions or a group to the transaction of a producer.
    pub(crate) fn add(
        &mut self,
        id: &str,
        identity: (i64, i16),
        participants: Vec<Participant>,
        protocol: Protocol,
        now: Time,
    ) -> Result<(), ErrorCode> {
        if id.is_empty() {
            return Err(ErrorCode::INVALID_REQUEST);
        }
        let Some((id, transaction)) = entry(&mut self.by_id, id) else {
            return Err(ErrorCode::INVALID_PRODUCER_ID_MAPPING);
        };
        if transaction.is_pending(identity) {
            return Err(ErrorCode::CONCURRENT_TRANSACTIONS);
        }
        check_identity(transaction, identity)?;
        match transaction.state {
            State::PrepareCommit | State::PrepareAbort => return Err(ErrorCode::CONCURRENT_TRANSACTIONS),
            State::Ongoing => {}
            State::Empty | State::CompleteCommit | State::CompleteAbort => {
                self.deadlines.insert((now + transaction.timeout, id));
            }
        }
        transaction.add(participants, protocol, now);
        Ok(())
    }

    /// Whether a participant belongs to the open transaction of a producer: what a partition's leader asks before it
    /// takes the first batch of a transaction under protocol 1.
    pub(crate) fn verify(
        &self,
        id: &str,
        identity: (i64, i16),
        participant: &Participant,
    ) -> Result<(), ErrorCode> {
        let transaction = self.by_id.get(id).ok_or(ErrorCode::INVALID_PRODUCER_ID_MAPPING)?;
        check_identity(transaction, identity)?;
        match transaction.state {
            State::PrepareCommit | State::PrepareAbort => Err(ErrorCode::CONCURRENT_TRANSACTIONS),
            _ if transaction.participants.contains(participant) => Ok(()),
            _ => Err(ErrorCode::TRANSACTION_ABORTABLE),
        }
    }

    /// EndTxn of a client.
    pub(crate) fn end(
        &mut self,
        id: &str,
        identity: (i64, i16),
        decision: Decision,
        protocol: Protocol,
    ) -> Result<EndOutcome, ErrorCode> {
        if id.is_empty() {
            return Err(ErrorCode::INVALID_REQUEST);
        }
        let transaction = self.by_id.get(id).ok_or(ErrorCode::INVALID_PRODUCER_ID_MAPPING)?;
        let step = match protocol {
            Protocol::V1 => end_v1(transaction, identity, decision)?,
            Protocol::V2 => end_v2(transaction, identity, decision)?,
        };
        let decided = step == EndStep::Decide;
        if decided {
            let exhausted = protocol == Protocol::V2 && transaction.is_epoch_exhausted();
            self.decide(id, decision, protocol, exhausted);
        }
        let transaction = self.by_id.get(id).ok_or(ErrorCode::UNKNOWN_SERVER_ERROR)?;
        Ok(EndOutcome {
            next: transaction.next_identity(),
            decided,
        })
    }

    /// Ids whose transactions timed out by `now`; each is fenced and aborted, and its markers are to be written.
    pub(crate) fn time_out(&mut self, now: Time) -> Vec<Arc<str>> {
        let mut timed_out = Vec::new();
        while let Some((deadline, id)) = self.deadlines.first().cloned() {
            if deadline > now {
                break;
            }
            self.deadlines.pop_first();
            if self.time_out_one(&id) {
                timed_out.push(id);
            }
        }
        timed_out
    }

    /// Fences and aborts this transaction if it is open; its markers are to be written.
    pub(crate) fn time_out_one(&mut self, id: &str) -> bool {
        let open = self
            .by_id
            .get(id)
            .is_some_and(|transaction| transaction.state == State::Ongoing);
        if open {
            self.fence(id);
        }
        open
    }

    /// One participant has its marker; true when it was the last, and the transaction is complete.
    pub(crate) fn marker_written(&mut self, id: &str, participant: &Participant) -> bool {
        let Some(transaction) = self.by_id.get_mut(id) else {
            return false;
        };
        transaction.participants.remove(participant);
        self.complete_if_done(id)
    }

    /// Completes a transaction that was decided and has no participant without its marker.
    pub(crate) fn complete_if_done(&mut self, id: &str) -> bool {
        let Some(transaction) = self.by_id.get_mut(id) else {
            return false;
        };
        let prepared = matches!(transaction.state, State::PrepareCommit | State::PrepareAbort);
        if !prepared || !transaction.participants.is_empty() {
            return false;
        }
        transaction.complete();
        true
    }

    /// Locks the producer of an open transaction out by an epoch of its own, and aborts the transaction. (Under protocol
    /// 2 every end bumps the epoch.) Its own producer, if it is the one that asks, may still claim the new epoch.
    fn fence(&mut self, id: &str) {
        let Some(transaction) = self.by_id.get_mut(id) else {
            return;
        };
        let protocol = transaction.protocol;
        if protocol == Protocol::V1 {
            transaction.last_epoch = transaction.epoch;
            transaction.epoch = transaction.epoch.saturating_add(1);
        }
        self.decide(id, Decision::Abort, protocol, false);
    }

    fn decide(&mut self, id: &str, decision: Decision, protocol: Protocol, exhausted: bool) {
        let next = exhausted.then(|| self.allocate_producer_id());
        if let Some((id, transaction)) = entry(&mut self.by_id, id) {
            self.deadlines
                .remove(&(transaction.started + transaction.timeout, id));
            transaction.decide(decision, protocol, next);
        }
    }
}

fn entry<'a>(
    by_id: &'a mut BTreeMap<Arc<str>, Transaction>,
    id: &str,
) -> Option<(Arc<str>, &'a mut Transaction)> {
    let (key, _) = by_id.get_key_value(id)?;
    let key = Arc::clone(key);
    let transaction = by_id.get_mut(id)?;
    Some((key, transaction))
}

/// Whether a producer that says it has this identity may initialise the id (`isValidProducerId`).
fn may_claim(transaction: &Transaction, (producer_id, epoch): (i64, i16)) -> bool {
    transaction.epoch == NO_PRODUCER_EPOCH
        || producer_id == transaction.producer_id
        || (producer_id == transaction.previous_producer_id && epoch >= i16::MAX - 1)
}

fn check_identity(transaction: &Transaction, (producer_id, epoch): (i64, i16)) -> Result<(), ErrorCode> {
    if transaction.producer_id != producer_id {
        Err(ErrorCode::INVALID_PRODUCER_ID_MAPPING)
    } else if transaction.epoch != epoch {
        Err(ErrorCode::PRODUCER_FENCED)
    } else {
        Ok(())
    }
}

/// What EndTxn does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum EndStep {
    /// The transaction ends now.
    Decide,
    /// It had ended so before: the request is a repetition.
    Repeat,
}

/// EndTxn up to version 4 (`endTransactionWithTV1`).
fn end_v1(transaction: &Transaction, identity: (i64, i16), decision: Decision) -> Result<EndStep, ErrorCode> {
    check_identity(transaction, identity)?;
    match (transaction.state, decision) {
        (State::Ongoing, _) => Ok(EndStep::Decide),
        (State::CompleteCommit, Decision::Commit) | (State::CompleteAbort, Decision::Abort) => {
            Ok(EndStep::Repeat)
        }
        (State::PrepareCommit, Decision::Commit) | (State::PrepareAbort, Decision::Abort) => {
            Err(ErrorCode::CONCURRENT_TRANSACTIONS)
        }
        _ => Err(ErrorCode::INVALID_TXN_STATE),
    }
}

/// EndTxn from version 5 (`endTransaction`): the epoch tells a repetition from the next transaction's end.
fn end_v2(
    transaction: &Transaction,
    (producer_id, epoch): (i64, i16),
    decision: Decision,
) -> Result<EndStep, ErrorCode> {
    if transaction.is_pending((producer_id, epoch)) {
        return Err(ErrorCode::CONCURRENT_TRANSACTIONS);
    }
    let overflowed =
        transaction.previous_producer_id == producer_id && epoch == i16::MAX - 1 && transaction.epoch == 0;
    let bumped = epoch.checked_add(1) == Some(transaction.epoch);
    if !overflowed && transaction.producer_id != producer_id {
        return Err(ErrorCode::INVALID_PRODUCER_ID_MAPPING);
    }
    let repeated = bumped || overflowed;
    let valid = match transaction.state {
        State::Ongoing | State::Empty => epoch == transaction.epoch,
        State::PrepareCommit | State::PrepareAbort => bumped,
        State::CompleteCommit | State::CompleteAbort => repeated || epoch == transaction.epoch,
    };
    if !valid {
        return Err(ErrorCode::PRODUCER_FENCED);
    }
    match (transaction.state, decision) {
        (State::Ongoing, _) | (State::Empty, Decision::Abort) => Ok(EndStep::Decide),
        (State::CompleteCommit, Decision::Commit) | (State::CompleteAbort, Decision::Abort) if repeated => {
            Ok(EndStep::Repeat)
        }
        // A transaction without partitions is known to nobody but its producer: aborting it bumps the epoch alone.
        (State::CompleteCommit | State::CompleteAbort, Decision::Abort) if !repeated => Ok(EndStep::Decide),
        (State::PrepareCommit, Decision::Commit) | (State::PrepareAbort, Decision::Abort) => {
            Err(ErrorCode::CONCURRENT_TRANSACTIONS)
        }
        _ => Err(ErrorCode::INVALID_TXN_STATE),
    }
}

//! Transactions: who sends in them, and what a reader of committed records has to see.

use crate::desk::{Desk, GRACE, Manner};
use crate::ledger::{Entry, State};
use crate::scenario::RECORDS_MIN;
use ottla_sender::{
    Call, GroupMetadata, GroupOffset, Persistence, SendRecord, TransactionError, TransactionErrorKind,
};
use ottla_time::Time;
use std::collections::BTreeSet;
use std::future::{Future, poll_fn};
use std::ops::Range;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

/// What became of a transaction, as the producer said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Committed,
    Aborted,
    /// Its commit was sent, and nobody knows.
    Unknown,
}

/// A transaction, with the numbers of its records.
#[derive(Clone, Debug)]
pub(crate) struct Transaction {
    pub(crate) records: Range<u32>,
    pub(crate) verdict: Verdict,
    /// The group's offset that was sent with it.
    pub(crate) offset: Option<i64>,
    pub(crate) begun_at: Time,
    /// How many producers there were before the one that began it.
    pub(crate) generation: u32,
}

/// What follows a transaction.
enum Next {
    Another,
    /// The one that counts is committed.
    Done,
    /// The producer is at its end.
    End,
}

/// The consumer group whose offsets go with the transactions: of the first partition of the first topic.
pub(crate) const GROUP: &str = "simulated-group";

/// Transaction after transaction until `end` and until there were enough records, and then one that has to be committed. A
/// producer that can do no more is followed by another one, as a process is that starts again.
pub(crate) async fn conduct(desk: Rc<Desk>, end: Time) {
    while !conduct_producer(&desk, end).await {
        at_its_end(&desk);
        let patience = Duration::from_millis(desk.random.borrow_mut().u64(0..500));
        if desk.closing.get() || !desk.restart(patience).await {
            break;
        }
    }
    desk.done.set(true);
}

/// The transactions of one producer. True if the last one is committed, or the users close; false if it is at its end.
async fn conduct_producer(desk: &Rc<Desk>, end: Time) -> bool {
    if repeat(desk, Call::Init).await.is_err() {
        return false;
    }
    while !desk.closing.get() {
        match conduct_one(desk, end).await {
            Next::Another if is_behind(desk, end) => {}
            Next::Another => pause(desk).await,
            Next::Done => {
                desk.last_committed.set(true);
                return true;
            }
            Next::End => return false,
        }
    }
    true
}

/// Whether there is too little time for all the records at the pace so far.
fn is_behind(desk: &Desk, end: Time) -> bool {
    let gone = desk.now().since(Time::ZERO).as_secs_f64() / end.since(Time::ZERO).as_secs_f64();
    (desk.records() as f64) < RECORDS_MIN as f64 * gone * AHEAD
}

/// More than what is needed is sent in time, if all goes well.
const AHEAD: f64 = 1.3;

async fn conduct_one(desk: &Rc<Desk>, end: Time) -> Next {
    let last = desk.now() >= end && desk.records() >= RECORDS_MIN;
    let behind = is_behind(desk, end);
    if repeat(desk, Call::Begin).await.is_err() {
        return Next::End;
    }
    desk.begun.set(desk.begun.get() + 1);
    desk.breathe().await;
    let begun_at = desk.now();
    let first = desk.ledger.borrow().next_number();
    let (count, commits, has_offset) = {
        let mut random = desk.random.borrow_mut();
        let commits = last || random.u32(..100) < 80;
        let count = random.u32(0..if behind { 80 } else { 40 });
        (count, commits, random.u32(..100) < 30)
    };
    // The last one need not be large; a send may wait for max.block.ms.
    let count = if last { count.min(3) } else { count };
    for _ in 0..count {
        send(desk).await;
        desk.breathe().await;
        if !last && desk.now() >= end && desk.records() >= RECORDS_MIN {
            break;
        }
    }
    let offset = if has_offset { send_offset(desk).await } else { None };
    let records = first..desk.ledger.borrow().next_number();
    let mut verdict = Verdict::Aborted;
    // What is not to be committed is to be aborted.
    let mut outcome = Err(TransactionError::new(TransactionErrorKind::Abortable));
    if commits {
        outcome = commit(desk).await;
        match &outcome {
            Ok(()) => verdict = Verdict::Committed,
            // Who is asked to repeat the call, and closes, does not know either.
            Err(error) if error.outcome_unknown || error.is_retriable() => verdict = Verdict::Unknown,
            Err(error) => check_cause(desk, error, records.clone(), offset),
        }
    }
    if records.is_empty() && offset.is_none() {
        desk.counters.borrow_mut().empty_transactions += 1;
    }
    desk.transactions.borrow_mut().push(Transaction {
        records,
        verdict,
        offset,
        begun_at,
        generation: desk.generation.get(),
    });
    count_verdict(desk, verdict);
    if outcome.as_ref().is_err_and(TransactionError::is_abortable) {
        outcome = repeat(desk, Call::Abort).await;
    }
    match outcome {
        Err(_) => Next::End,
        Ok(()) if last && verdict == Verdict::Committed => Next::Done,
        Ok(()) => Next::Another,
    }
}

/// Sends the group's next offset with the transaction. The commit waits for it, whatever becomes of this call.
async fn send_offset(desk: &Rc<Desk>) -> Option<i64> {
    let offset = desk.transactions.borrow().len() as i64 + 1;
    let topic = desk.topics[0].0.clone();
    let offsets = vec![GroupOffset::new(topic.as_str(), 0, offset)];
    let group = GroupMetadata::new(GROUP);
    let handle = desk.handle();
    let sending = handle.send_offsets_to_transaction(offsets, group);
    let start = desk.now();
    if desk
        .until(start + desk.max_block + GRACE, sending)
        .await
        .is_none()
    {
        desk.fail(format!("offsets of {start} still wait after max.block.ms"));
    }
    desk.counters.borrow_mut().offsets_sent += 1;
    Some(offset)
}

/// Commits. While that is under way no record may get into the transaction.
async fn commit(desk: &Rc<Desk>) -> Result<(), TransactionError> {
    let mut committing = pin!(repeat(desk, Call::Commit));
    let first = poll_fn(|cx| Poll::Ready(committing.as_mut().poll(cx))).await;
    if let Poll::Ready(outcome) = first {
        return outcome;
    }
    let record = SendRecord {
        partition: Some(0),
        ..SendRecord::default()
    };
    if desk.handle().try_send(&desk.topic(0), &record).is_ok() {
        desk.fail("a record was taken into a transaction that is being committed".to_owned());
    }
    committing.await
}

/// Who is told to abort because a record was not delivered has such a record.
fn check_cause(desk: &Desk, error: &TransactionError, records: Range<u32>, offset: Option<i64>) {
    if !error.is_abortable() || error.code.is_some() || offset.is_some() {
        return;
    }
    let ledger = desk.ledger.borrow();
    let failed = |number: u32| {
        let entry = &ledger.entries[number as usize];
        let outcome = entry.delivery.as_ref().and_then(ottla_sender::Delivery::outcome);
        let told = matches!(entry.state, State::Failed { .. } | State::Unwatched);
        told || outcome.is_some_and(|outcome| outcome.is_err())
    };
    if !records.clone().any(failed) {
        desk.fail(format!("a commit fails, and none of its records did: {error}"));
    }
}

/// A producer that was fenced, or closed, does no more.
fn at_its_end(desk: &Desk) {
    desk.counters.borrow_mut().transactional_ends += 1;
    desk.ended_by_itself.set(!desk.closing.get());
}

fn count_verdict(desk: &Desk, verdict: Verdict) {
    let mut counters = desk.counters.borrow_mut();
    match verdict {
        Verdict::Committed => counters.committed += 1,
        Verdict::Aborted => counters.aborted += 1,
        Verdict::Unknown => {}
    }
}

async fn send(desk: &Rc<Desk>) {
    let manner = {
        let mut random = desk.random.borrow_mut();
        let topic = random.usize(..desk.topics.len());
        Manner {
            topic,
            partition: (random.u32(..100) < 30).then(|| random.i32(0..desk.topics[topic].1)),
            keyed: random.u32(..100) < 30,
            value_len: random.usize(10..=600),
            tries: random.u32(..100) < 10,
            cancels: 5,
            drops: 5,
        }
    };
    desk.send(manner).await;
    let hurries = desk.meanwhile.get();
    if desk.random.borrow_mut().u32(..100) < 10 && !hurries {
        pause(desk).await;
    }
}

async fn pause(desk: &Desk) {
    let micros = desk.random.borrow_mut().u64(..200_000);
    desk.sleep_until(desk.now() + Duration::from_micros(micros)).await;
}

/// Calls, again and again while that is what the error asks for. No call may take longer than `max.block.ms`.
async fn repeat(desk: &Desk, call: Call) -> Result<(), TransactionError> {
    loop {
        let start = desk.now();
        let handle = desk.handle();
        let calling = async {
            match call {
                Call::Init => handle.init_transactions().await,
                Call::Begin => handle.begin_transaction().await.map(drop),
                Call::Commit => handle.commit_transaction().await,
                _ => handle.abort_transaction().await,
            }
        };
        // Some stop to wait, and call again: the call goes on meanwhile.
        let impatient = desk.random.borrow_mut().u32(..100) < 10;
        let patience = if impatient {
            desk.max_block / 50
        } else {
            desk.max_block + GRACE
        };
        match desk.until(start + patience, calling).await {
            None if impatient => {}
            None => {
                desk.fail(format!("{call} of {start} still waits after max.block.ms"));
                return Err(TransactionError::new(TransactionErrorKind::Closed));
            }
            Some(Err(error)) if error.is_retriable() && !desk.closing.get() => {}
            Some(outcome) => return outcome,
        }
        if desk.closing.get() {
            let mut error = TransactionError::new(TransactionErrorKind::Closed);
            error.outcome_unknown = true;
            return Err(error);
        }
    }
}

/// The group has the offset of the last transaction that was committed, or of one after it that may be.
pub(crate) fn check_offset(transactions: &[Transaction], found: Option<i64>) -> Result<(), String> {
    let mut possible = vec![None];
    for transaction in transactions
        .iter()
        .filter(|transaction| transaction.offset.is_some())
    {
        match transaction.verdict {
            Verdict::Committed => possible = vec![transaction.offset],
            Verdict::Unknown => possible.push(transaction.offset),
            Verdict::Aborted => {}
        }
    }
    if possible.contains(&found) {
        return Ok(());
    }
    Err(format!("the group has offset {found:?}, not one of {possible:?}"))
}

/// Who was fenced commits nothing that it begins after that.
pub(crate) fn check_fenced(
    entries: &[Entry],
    transactions: &[Transaction],
    (fenced_at, generation): (Time, u32),
) -> Result<(), String> {
    let is_empty = |transaction: &Transaction| {
        let mut records = transaction.records.clone();
        let none = |record: u32| entries[record as usize].state == State::NeverQueued;
        transaction.offset.is_none() && records.all(none)
    };
    let late = transactions.iter().find(|transaction| {
        let committed = transaction.verdict == Verdict::Committed && !is_empty(transaction);
        committed && transaction.begun_at > fenced_at && transaction.generation == generation
    });
    match late {
        Some(transaction) => Err(format!(
            "it was fenced at {fenced_at}, and committed {transaction:?}"
        )),
        None => Ok(()),
    }
}

/// All of what was committed is seen, none of what was aborted, and all or nothing of what is unknown. `seen` has the
/// numbers of the records that a reader of committed records finds, each once. With `may_mix` a late batch of an aborted transaction may be among another's.
pub(crate) fn check(
    entries: &[Entry],
    transactions: &[Transaction],
    seen: &BTreeSet<u32>,
    may_mix: bool,
) -> Result<(), String> {
    let comes_late = |record: &u32| {
        let state = &entries[*record as usize].state;
        let persistence = Persistence::PossiblyPersisted;
        may_mix && (*state == State::Unwatched || *state == State::Failed { persistence })
    };
    let mut of_transactions = BTreeSet::new();
    for (number, transaction) in transactions.iter().enumerate() {
        let records = || transaction.records.clone();
        let queued = records().filter(|&record| {
            let entry = &entries[record as usize];
            entry.state != State::NeverQueued && !entry.payload.is_nameless()
        });
        let queued: Vec<u32> = queued.collect();
        let found: Vec<u32> = queued
            .iter()
            .copied()
            .filter(|record| seen.contains(record))
            .collect();
        let (all, none) = (found.len() == queued.len(), found.is_empty());
        let holds = match transaction.verdict {
            Verdict::Committed => all,
            Verdict::Aborted => none || found.iter().all(comes_late),
            Verdict::Unknown => all || none || found.iter().all(comes_late),
        };
        if !holds {
            return Err(format!(
                "transaction {number} ({transaction:?}): {} of {} records are seen",
                found.len(),
                queued.len()
            ));
        }
        if transaction.verdict == Verdict::Committed {
            let failed =
                records().find(|&record| matches!(entries[record as usize].state, State::Failed { .. }));
            if let Some(record) = failed {
                return Err(format!(
                    "transaction {number} is committed, and record {record} failed"
                ));
            }
        }
        of_transactions.extend(found);
    }
    match seen.difference(&of_transactions).next() {
        Some(record) => Err(format!(
            "record {record} is seen, and belongs to no transaction that ended"
        )),
        None => Ok(()),
    }
}

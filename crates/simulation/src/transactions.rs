//! Transactions: who sends in them, and what a reader of committed records has to see.

use crate::desk::{Desk, GRACE, Manner};
use crate::ledger::{Entry, State};
use ottla_sender::{Call, TransactionError, TransactionErrorKind};
use ottla_time::Time;
use std::collections::BTreeSet;
use std::ops::Range;
use std::rc::Rc;

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
}

/// Transaction after transaction until `end`, and then one that has to be committed unless the producer is at its end.
pub(crate) async fn conduct(desk: Rc<Desk>, end: Time) {
    if repeat(&desk, Call::Init).await.is_err() {
        return at_its_end(&desk);
    }
    while !desk.closing.get() {
        let last = desk.now() >= end;
        if repeat(&desk, Call::Begin).await.is_err() {
            return at_its_end(&desk);
        }
        let first = desk.ledger.borrow().next_number();
        let (count, commits) = {
            let mut random = desk.random.borrow_mut();
            (random.u32(0..40), last || random.u32(..100) < 80)
        };
        // The last one need not be large; a send may wait for max.block.ms.
        let count = if last { count.min(3) } else { count };
        for _ in 0..count {
            send(&desk).await;
            if !last && desk.now() >= end {
                break;
            }
        }
        let records = first..desk.ledger.borrow().next_number();
        let mut verdict = Verdict::Aborted;
        // What is not to be committed is to be aborted.
        let mut outcome = Err(TransactionError::new(TransactionErrorKind::Abortable));
        if commits {
            outcome = repeat(&desk, Call::Commit).await;
            match &outcome {
                Ok(()) => verdict = Verdict::Committed,
                Err(error) if error.outcome_unknown => verdict = Verdict::Unknown,
                Err(_) => {}
            }
        }
        desk.transactions
            .borrow_mut()
            .push(Transaction { records, verdict });
        count_verdict(&desk, verdict);
        if outcome.as_ref().is_err_and(TransactionError::is_abortable) {
            outcome = repeat(&desk, Call::Abort).await;
        }
        if outcome.is_err() {
            return at_its_end(&desk);
        }
        if last && verdict == Verdict::Committed {
            desk.last_committed.set(true);
            return;
        }
        pause(&desk).await;
    }
}

/// A producer that was fenced, or closed, does no more.
fn at_its_end(desk: &Desk) {
    desk.counters.borrow_mut().transactional_ends += 1;
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
            partition: (random.u32(..100) < 30).then(|| random.i32(..desk.topics[topic].1)),
            keyed: random.u32(..100) < 30,
            value_len: random.usize(10..=600),
            tries: random.u32(..100) < 10,
            cancels: 5,
            drops: 5,
        }
    };
    desk.send(manner).await;
    if desk.random.borrow_mut().u32(..100) < 10 {
        pause(desk).await;
    }
}

async fn pause(desk: &Desk) {
    let micros = desk.random.borrow_mut().u64(..200_000);
    desk.sleep_until(desk.now() + std::time::Duration::from_micros(micros))
        .await;
}

/// Calls, again and again while that is what the error asks for. No call may take longer than `max.block.ms`.
async fn repeat(desk: &Desk, call: Call) -> Result<(), TransactionError> {
    loop {
        let start = desk.now();
        let handle = &desk.handle;
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
            return Err(TransactionError {
                outcome_unknown: true,
                ..TransactionError::new(TransactionErrorKind::Closed)
            });
        }
    }
}

/// All of what was committed is seen, none of what was aborted, and all or nothing of what is unknown. `seen` has the
/// numbers of the records that a reader of committed records finds, each once.
pub(crate) fn check(
    entries: &[Entry],
    transactions: &[Transaction],
    seen: &BTreeSet<u32>,
) -> Result<(), String> {
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
            Verdict::Aborted => none,
            Verdict::Unknown => all || none,
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

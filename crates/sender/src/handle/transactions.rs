//! The calls on transactions.

use super::Handle;
use crate::shared::Command;
use crate::transactions::{Locked, Transactions};
use crate::waits::Deadline;
use ottla_metrics::ClientSensor;
use ottla_transactions::{
    Call, GroupMetadata, GroupOffset, State, TransactionError, TransactionErrorKind, TransactionManager,
};
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

impl Handle {
    /// Gets the producer id from the cluster, and ends what a predecessor of the same `transactional.id` left open; it
    /// can do no more from then on. To be called once, before the first transaction.
    ///
    /// Waits up to `max.block.ms`; the call goes on after that, or if this future is dropped, and repeating it attaches
    /// to it. So do [`Handle::commit_transaction`] and [`Handle::abort_transaction`].
    pub async fn init_transactions(&self) -> Result<(), TransactionError> {
        let transactions = self.transactions(Call::Init)?;
        let _timed = self.time(ClientSensor::TransactionInit);
        transactions.lock().init()?;
        self.shared.wakeup.notify();
        self.wait(transactions, Call::Init, |manager| {
            manager.poll_outcome(Call::Init)
        })
        .await
    }

    /// Begins a transaction; records that are sent from now on belong to it. Its number comes back. Waits, up to
    /// `max.block.ms`, if an abort is under way.
    ///
    /// Cancel safe: when this future is dropped before it is ready, no transaction was begun.
    pub async fn begin_transaction(&self) -> Result<u64, TransactionError> {
        let transactions = self.transactions(Call::Begin)?;
        let _timed = self.time(ClientSensor::TransactionBegin);
        if self.is_closed() {
            return Err(TransactionError::new(TransactionErrorKind::Closed));
        }
        self.wait(transactions, Call::Begin, |manager| {
            match manager.begin() {
                // Nobody need ask what became of an abort: it ends by itself.
                Err(TransactionError {
                    kind: TransactionErrorKind::Unresolved { call: Call::Abort },
                    ..
                }) => None,
                begun => {
                    // What failed before has been dealt with, and nothing is queued or under way.
                    let _ = begun
                        .is_ok()
                        .then(|| self.shared.accumulator.flushes().take_failure());
                    Some(begun)
                }
            }
        })
        .await
    }

    /// Commits a consumer group's offsets together with the transaction. Waits up to `max.block.ms` until the group has
    /// taken them; the commit waits for them in any case.
    pub async fn send_offsets_to_transaction(
        &self,
        offsets: Vec<GroupOffset>,
        group: GroupMetadata,
    ) -> Result<(), TransactionError> {
        let transactions = self.transactions(Call::SendOffsets)?;
        let _timed = self.time(ClientSensor::TransactionSendOffsets);
        let ticket = transactions.lock().send_offsets(offsets, group)?;
        let Some(ticket) = ticket else { return Ok(()) };
        self.shared.wakeup.notify();
        self.wait(transactions, Call::SendOffsets, |manager| {
            manager.poll_offsets(ticket)
        })
        .await
    }

    /// Sends what is queued, and commits. If a record was not delivered, it fails, and the transaction has to be aborted.
    ///
    /// Until its outcome is known, and this has told it, the transaction can neither be aborted nor followed by another.
    pub async fn commit_transaction(&self) -> Result<(), TransactionError> {
        let transactions = self.transactions(Call::Commit)?;
        let _timed = self.time(ClientSensor::TransactionCommit);
        transactions.lock().commit()?;
        // Nothing lingers any more: the flush stands whoever waits for it.
        drop(self.shared.accumulator.flushes().begin());
        self.shared.command(Command::Flush);
        self.wait(transactions, Call::Commit, |manager| {
            manager.poll_outcome(Call::Commit)
        })
        .await
    }

    /// Aborts: what was not sent yet is dropped, what was will not be seen by who reads committed records only.
    pub async fn abort_transaction(&self) -> Result<(), TransactionError> {
        let transactions = self.transactions(Call::Abort)?;
        let _timed = self.time(ClientSensor::TransactionAbort);
        transactions.lock().abort()?;
        self.shared.wakeup.notify();
        self.wait(transactions, Call::Abort, |manager| {
            manager.poll_outcome(Call::Abort)
        })
        .await
    }

    /// Has the transaction of this number aborted, if it is the one that is open, without waiting for it.
    pub fn schedule_abort(&self, number: u64) {
        let Some(transactions) = &self.shared.transactions else {
            return;
        };
        let mut manager = transactions.lock();
        if manager.number() == number && matches!(manager.state(), State::Open | State::MustAbort) {
            // Legal in both states; a commit that nobody has learnt of is not there, or it were not open.
            let _ = manager.abort();
        }
        drop(manager);
        self.shared.wakeup.notify();
    }

    /// The number of the transaction that takes records now.
    pub fn open_transaction(&self) -> Option<u64> {
        self.shared.transactions.as_ref()?.open_number().ok()
    }

    /// Where the producer's transactions stand; `None` without `transactional.id`.
    pub fn transaction_state(&self) -> Option<State> {
        Some(self.shared.transactions.as_ref()?.lock().state())
    }

    fn transactions(&self, call: Call) -> Result<&Arc<Transactions>, TransactionError> {
        self.shared.transactions.as_ref().ok_or_else(|| {
            let state = State::Uninitialized;
            TransactionError::new(TransactionErrorKind::Illegal { call, state })
                .with_detail("transactional.id is not set")
        })
    }

    /// Waits until `poll` has something, up to `max.block.ms`.
    async fn wait<T>(
        &self,
        transactions: &Transactions,
        call: Call,
        mut poll: impl FnMut(&mut TransactionManager) -> Option<Result<T, TransactionError>>,
    ) -> Result<T, TransactionError> {
        let deadline: Deadline = self.deadline();
        poll_fn(|cx| {
            let mut manager: Locked<'_> = transactions.lock();
            if let Some(outcome) = poll(&mut manager) {
                return Poll::Ready(outcome);
            }
            if self.shared.is_finished() {
                return Poll::Ready(Err(TransactionError::new(TransactionErrorKind::Closed)));
            }
            if self.shared.clock.now() >= deadline.at() {
                let mut error = TransactionError::new(TransactionErrorKind::TimedOut { call });
                error.outcome_unknown = call == Call::Commit && manager.may_have_committed();
                return Poll::Ready(Err(match manager.cause() {
                    Some(cause) => error.with_detail(format!("the last trouble with a connection: {cause}")),
                    None => error,
                }));
            }
            manager.register(cx);
            drop(manager);
            if deadline.register(cx) {
                self.shared.wakeup.notify();
            }
            Poll::Pending
        })
        .await
    }
}

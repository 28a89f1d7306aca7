//! The calls of the application.

use super::{OffsetsCall, OffsetsTicket, PendingCall, TransactionManager};
use crate::error::{Call, TransactionError, TransactionErrorKind};
use crate::offsets::{GroupMetadata, GroupOffset};
use crate::reaction::Rpc;
use crate::request::Protocol;
use crate::state::{Event, State};
use ottla_time::mutant;

impl TransactionManager {
    /// Asks for the producer id, or attaches to the asking; [`poll_outcome`](Self::poll_outcome) of [`Call::Init`]
    /// tells when it is there.
    pub fn init(&mut self) -> Result<(), TransactionError> {
        self.start(Call::Init, Event::Init)
    }

    /// Begins a transaction; its number comes back. Before that somebody has to have learnt what became of a commit.
    pub fn begin(&mut self) -> Result<u64, TransactionError> {
        if let Some(pending) = &self.pending {
            let unknown = pending.outcome.is_none() || (pending.call == Call::Commit && !pending.learnt);
            if unknown && self.state != State::Fatal {
                let kind = TransactionErrorKind::Unresolved { call: pending.call };
                return Err(TransactionError::new(kind));
            }
        }
        self.state = self.check(Call::Begin, Event::Begin)?;
        self.pending = None;
        self.offsets_outcomes.clear();
        self.forget_transaction();
        self.number += 1;
        Ok(self.number)
    }

    /// Commits, or attaches to the commit. What is queued is sent first. Until the outcome is known, and somebody has
    /// learnt it, the transaction can neither be aborted nor followed by another.
    pub fn commit(&mut self) -> Result<(), TransactionError> {
        self.start(Call::Commit, Event::Commit)
    }

    /// Aborts, or attaches to the abort. What was not sent is dropped.
    pub fn abort(&mut self) -> Result<(), TransactionError> {
        let fresh = self.state != State::Aborting;
        self.start(Call::Abort, Event::Abort)?;
        if fresh && self.state == State::Aborting {
            let error =
                TransactionError::new(TransactionErrorKind::Abortable).with_detail("it is being aborted");
            self.drop_unasked(&error);
        }
        Ok(())
    }

    /// Commits a group's offsets with the transaction. `None` if there is nothing to do.
    pub fn send_offsets(
        &mut self,
        offsets: Vec<GroupOffset>,
        group: GroupMetadata,
    ) -> Result<Option<OffsetsTicket>, TransactionError> {
        self.check_open(Call::SendOffsets)?;
        if !group.is_consistent() {
            let illegal = TransactionErrorKind::Illegal {
                call: Call::SendOffsets,
                state: self.state,
            };
            return Err(TransactionError::new(illegal).with_detail("a generation needs a member id"));
        }
        if offsets.is_empty() {
            return Ok(None);
        }
        let number = self.next_offsets;
        self.next_offsets += 1;
        self.offsets.push_back(OffsetsCall {
            number,
            group,
            offsets,
            added: self.protocol == Protocol::V2 || mutant!("offsets outside of the transaction"),
            asked: false,
        });
        Ok(Some(OffsetsTicket(number)))
    }

    /// Whether a record can be sent, or why not.
    pub fn check_open(&self, call: Call) -> Result<(), TransactionError> {
        match self.state {
            State::Open => Ok(()),
            _ => Err(self.refusal(call)),
        }
    }

    /// The outcome of the last init, commit or abort, if it stands. With this somebody has learnt it.
    pub fn poll_outcome(&mut self, call: Call) -> Option<Result<(), TransactionError>> {
        match &mut self.pending {
            Some(pending) if pending.call == call => {
                pending.learnt |= pending.outcome.is_some();
                pending.outcome.clone()
            }
            // Another call came after it: all that can be told is where the producer stands.
            _ => Some(Err(self.refusal(call))),
        }
    }

    /// The outcome of a [`send_offsets`](Self::send_offsets), if it stands. It is told once.
    pub fn poll_offsets(&mut self, ticket: OffsetsTicket) -> Option<Result<(), TransactionError>> {
        if let Some(outcome) = self.offsets_outcomes.remove(&ticket.0) {
            return Some(outcome);
        }
        let known = self.offsets.iter().any(|call| call.number == ticket.0);
        // Forgotten, because another transaction has begun since.
        (!known).then(|| Err(self.refusal(Call::SendOffsets)))
    }

    /// Whether a commit that is under way may be done already: its verdict was sent, and no answer says what became of it.
    pub fn may_have_committed(&self) -> bool {
        let asks = |request: &super::InFlight| request.rpc == Rpc::EndCommit;
        self.state == State::Committing && (self.maybe_ended || self.in_flight.as_ref().is_some_and(asks))
    }

    fn start(&mut self, call: Call, event: Event) -> Result<(), TransactionError> {
        if let Some(pending) = self.pending.as_ref().filter(|pending| !pending.learnt) {
            // The same call again: its outcome is there, or will be.
            if pending.call == call {
                return Ok(());
            }
            if pending.call == Call::Commit && matches!(pending.outcome, Some(Ok(()))) {
                let kind = TransactionErrorKind::Unresolved { call: Call::Commit };
                return Err(TransactionError::new(kind));
            }
        }
        self.state = self.check(call, event)?;
        self.pending = Some(PendingCall {
            call,
            outcome: None,
            learnt: false,
        });
        Ok(())
    }

    fn check(&self, call: Call, event: Event) -> Result<State, TransactionError> {
        self.state.after(event).ok_or_else(|| self.refusal(call))
    }

    /// Why a call has no place now.
    pub(super) fn refusal(&self, call: Call) -> TransactionError {
        let unresolved = |call| TransactionError::new(TransactionErrorKind::Unresolved { call });
        match (self.state, &self.trouble) {
            (State::MustAbort | State::Fatal, Some(trouble)) => trouble.clone(),
            (State::Initializing, _) => unresolved(Call::Init),
            (State::Committing, _) => unresolved(Call::Commit),
            (State::Aborting | State::Recovering, _) => unresolved(Call::Abort),
            (state, _) => TransactionError::new(TransactionErrorKind::Illegal { call, state }),
        }
    }
}

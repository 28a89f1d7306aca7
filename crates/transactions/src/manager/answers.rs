//! What an answer means.

use super::{Coordinator, InFlight, TransactionManager};
use crate::ProducerIdentity;
use crate::error::{TransactionError, TransactionErrorKind};
use crate::reaction::{Reaction, Rpc, proves_not_ended, reaction};
use crate::request::Protocol;
use crate::state::Event;
use bytes::Bytes;
use ottla_protocol::messages::{
    AddOffsetsToTxnResponse, AddPartitionsToTxnResponse, EndTxnResponse, FindCoordinatorResponse,
    InitProducerIdResponse, TxnOffsetCommitResponse,
};
use ottla_protocol::wire::Reader;
use ottla_protocol::{ErrorCode, Message};
use ottla_time::{Time, mutant};

impl TransactionManager {
    /// The request was answered; `body` is what follows the response's header. How long the broker asks this client to
    /// send nothing more to it comes back, in milliseconds.
    pub fn handle_answer(&mut self, body: &Bytes, now: Time) -> i32 {
        let Some(InFlight {
            rpc,
            version,
            sent,
            group,
        }) = self.in_flight.clone()
        else {
            return 0;
        };
        match rpc {
            Rpc::FindCoordinator => self.with(body, version, now, |manager, answer, now| {
                manager.found(answer, group, now)
            }),
            Rpc::InitProducerId => self.with(body, version, now, Self::identified),
            Rpc::AddPartitions => self.with(body, version, now, Self::partitions_added),
            Rpc::AddOffsets => self.with(body, version, now, Self::group_added),
            Rpc::CommitOffsets => self.with(body, version, now, Self::offsets_committed),
            Rpc::EndCommit | Rpc::EndAbort => self.with(body, version, now, |manager, answer, now| {
                manager.end_answered(rpc, answer, sent, now)
            }),
        }
    }

    /// The request ended without an answer: it may have been carried out or not.
    pub fn handle_no_answer(&mut self, now: Time) {
        let Some(in_flight) = self.in_flight.take() else {
            return;
        };
        self.unanswered |= !matches!(in_flight.rpc, Rpc::FindCoordinator | Rpc::InitProducerId);
        self.end_unanswered |= matches!(in_flight.rpc, Rpc::EndCommit | Rpc::EndAbort);
        match in_flight.rpc {
            Rpc::FindCoordinator => {}
            Rpc::CommitOffsets => self.group_coordinator = None,
            Rpc::EndCommit if mutant!("a commit without an answer is told as failed") => {
                self.fail(TransactionError::new(TransactionErrorKind::Abortable));
            }
            Rpc::EndCommit => {
                self.maybe_ended = true;
                self.coordinator = None;
            }
            Rpc::InitProducerId | Rpc::AddPartitions | Rpc::AddOffsets | Rpc::EndAbort => {
                self.coordinator = None
            }
        }
        self.back_off(None, now);
        self.end_if_empty();
    }

    /// The request was given up before a byte of it was written: nobody will carry it out.
    pub fn handle_not_sent(&mut self, now: Time) {
        let Some(in_flight) = self.in_flight.take() else {
            return;
        };
        match in_flight.rpc {
            Rpc::FindCoordinator => {}
            Rpc::CommitOffsets => self.group_coordinator = None,
            _ => self.coordinator = None,
        }
        self.back_off(None, now);
        self.end_if_empty();
    }

    /// This broker cannot be reached. If it is a coordinator, it is looked for anew.
    pub fn handle_unreachable(&mut self, node: i32, now: Time) {
        let mut lost = false;
        if self.coordinator == Some(node) {
            self.coordinator = None;
            lost = true;
        }
        if self
            .group_coordinator
            .as_ref()
            .is_some_and(|(_, group_node)| *group_node == node)
        {
            self.group_coordinator = None;
            lost = true;
        }
        // An idle connection that ends costs nothing; one that is needed now may be gone for longer.
        if lost && self.poll_timeout().is_some() {
            self.back_off(None, now);
        }
    }

    /// No broker takes this client as it is: its credentials are wrong, or what listens is no broker. Who initialises is
    /// told so; a producer that was accepted before hopes to be accepted again.
    pub fn handle_refused(&mut self, cause: &str) {
        if let Some(next) = self.state.after(Event::Refused) {
            self.state = next;
            let error = TransactionError::new(TransactionErrorKind::Refused);
            self.resolve(Err(error.with_detail(cause)));
        }
    }

    /// The coordinator that was found last: connect to it there.
    pub fn take_discovered(&mut self) -> Option<Coordinator> {
        self.discovered.take()
    }

    /// Decodes, and hands on. What cannot be read tells nothing.
    fn with<M: Answer>(
        &mut self,
        body: &Bytes,
        version: i16,
        now: Time,
        handle: impl FnOnce(&mut Self, M, Time),
    ) -> i32 {
        let Ok(answer) = M::decode(&mut Reader::from_bytes(body), version) else {
            self.handle_no_answer(now);
            return 0;
        };
        self.in_flight = None;
        let throttle_ms = answer.throttle_ms();
        handle(self, answer, now);
        self.end_if_empty();
        throttle_ms
    }

    fn found(&mut self, answer: FindCoordinatorResponse, group: Option<String>, now: Time) {
        let (code, node, host, port) = match answer.coordinators.into_iter().next() {
            Some(found) => (found.error_code, found.node_id, found.host, found.port),
            None => (answer.error_code, answer.node_id, answer.host, answer.port),
        };
        let code = ErrorCode::from(code);
        // A broker that knows no error and no coordinator has told nothing.
        let code = if code.is_none() && node < 0 {
            ErrorCode::COORDINATOR_NOT_AVAILABLE
        } else {
            code
        };
        if self.react(Rpc::FindCoordinator, code, now) {
            self.discovered = Some(Coordinator { node, host, port });
            match group {
                Some(group) => self.group_coordinator = Some((group, node)),
                None => self.coordinator = Some(node),
            }
        }
    }

    fn identified(&mut self, answer: InitProducerIdResponse, now: Time) {
        let mut code = ErrorCode::from(answer.error_code);
        if code.is_none() && (answer.producer_id < 0 || answer.producer_epoch < 0) {
            code = ErrorCode::COORDINATOR_NOT_AVAILABLE;
        }
        if !self.react(Rpc::InitProducerId, code, now) {
            return;
        }
        let Some(next) = self.state.after(Event::Identified) else {
            return;
        };
        self.identity = Some(ProducerIdentity {
            producer_id: answer.producer_id,
            producer_epoch: answer.producer_epoch,
        });
        self.state = next;
        self.protocol = self.wanted_protocol();
        self.resolve(Ok(()));
    }

    fn partitions_added(&mut self, answer: AddPartitionsToTxnResponse, now: Time) {
        let results = answer.results_by_topic_v3_and_below;
        let codes = results.iter().flat_map(|topic| {
            let codes = topic.results_by_partition.iter();
            codes.map(|partition| ErrorCode::from(partition.partition_error_code))
        });
        // The coordinator adds all or nothing; that it did not try one is due to another.
        let worst = codes
            .filter(|code| *code != ErrorCode::OPERATION_NOT_ATTEMPTED)
            .max_by_key(|&code| reaction(Rpc::AddPartitions, code));
        let left_out = self.asked.iter().any(|(name, partitions)| {
            let told = |partition: &i32| {
                results.iter().any(|topic| {
                    topic.name == **name
                        && (topic.results_by_partition.iter()).any(|result| {
                            result.partition_index == *partition && result.partition_error_code == 0
                        })
                })
            };
            !partitions.iter().all(told)
        });
        let code = match worst {
            // An answer that leaves a partition out has told nothing about it.
            None | Some(ErrorCode::NONE) if left_out => ErrorCode::COORDINATOR_LOAD_IN_PROGRESS,
            Some(code) => code,
            None => ErrorCode::NONE,
        };
        // Whatever the reaction, unless it is to ask again: the answer is definite.
        let asks_again = matches!(
            reaction(Rpc::AddPartitions, code),
            Reaction::Retry | Reaction::FindCoordinator
        );
        if !asks_again {
            let asked = std::mem::take(&mut self.asked);
            if code.is_none() {
                self.started = true;
                for (topic, partitions) in asked {
                    self.added.entry(topic).or_default().extend(partitions);
                }
                self.news = true;
            }
        }
        self.react(Rpc::AddPartitions, code, now);
    }

    fn group_added(&mut self, answer: AddOffsetsToTxnResponse, now: Time) {
        let code = ErrorCode::from(answer.error_code);
        let asks_again = matches!(
            reaction(Rpc::AddOffsets, code),
            Reaction::Retry | Reaction::FindCoordinator
        );
        if !asks_again && let Some(call) = self.offsets.front_mut() {
            call.asked = false;
            call.added = code.is_none();
            self.started |= call.added;
            // The transaction is being aborted: this was only to know whether the group takes part.
            if call.offsets.is_empty() {
                self.offsets.pop_front();
            }
        }
        self.react(Rpc::AddOffsets, code, now);
    }

    fn offsets_committed(&mut self, answer: TxnOffsetCommitResponse, now: Time) {
        let Some(call) = self.offsets.front_mut() else {
            return;
        };
        let code_of = |topic: &str, partition: i32| {
            let topic = answer.topics.iter().find(|told| told.name == topic)?;
            let told = topic
                .partitions
                .iter()
                .find(|told| told.partition_index == partition)?;
            Some(ErrorCode::from(told.error_code))
        };
        let mut worst = ErrorCode::NONE;
        call.offsets.retain(|offset| {
            // What an answer leaves out is asked again.
            let code =
                code_of(&offset.topic, offset.partition).unwrap_or(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS);
            if reaction(Rpc::CommitOffsets, code) > reaction(Rpc::CommitOffsets, worst) {
                worst = code;
            }
            !code.is_none()
        });
        if call.offsets.is_empty() {
            self.offsets_outcomes.insert(call.number, Ok(()));
            self.offsets.pop_front();
            self.news = true;
        }
        self.react(Rpc::CommitOffsets, worst, now);
    }

    fn end_answered(&mut self, rpc: Rpc, answer: EndTxnResponse, sent: Time, now: Time) {
        let code = ErrorCode::from(answer.error_code);
        if rpc == Rpc::EndCommit {
            self.maybe_ended |= !proves_not_ended(code);
        }
        let fenced = matches!(
            code,
            ErrorCode::PRODUCER_FENCED | ErrorCode::INVALID_PRODUCER_EPOCH | ErrorCode::UNKNOWN_PRODUCER_ID
        );
        let asks = !mutant!("fencing by a timeout ends the producer");
        if rpc == Rpc::EndAbort && fenced && self.can_renew() && self.identity.is_some() && asks {
            // Either another producer has the id now, or the coordinator has aborted for us because of the timeout
            // (KIP-588). Asking for a renewed epoch tells: it is refused to who was replaced.
            self.broken = true;
            return self.ended();
        }
        if !self.react(rpc, code, now) {
            return;
        }
        self.hold_for_markers(now.since(sent), now);
        let told = answer.producer_id >= 0 && answer.producer_epoch >= 0;
        if self.protocol == Protocol::V2 && told && !mutant!("the epoch of EndTxn is not taken") {
            self.identity = Some(ProducerIdentity {
                producer_id: answer.producer_id,
                producer_epoch: answer.producer_epoch,
            });
            // The numbering begins anew with it.
            self.broken = false;
        }
        self.ended();
    }

    /// Does what the table says. True if the request is done.
    fn react(&mut self, rpc: Rpc, code: ErrorCode, now: Time) -> bool {
        let abortable = || TransactionError::answered(TransactionErrorKind::Abortable, code);
        let fatal = || TransactionError::answered(TransactionErrorKind::Fatal, code);
        match reaction(rpc, code) {
            Reaction::Done => {
                self.failures = 0;
                self.not_before = Time::ZERO;
                return true;
            }
            Reaction::Retry => self.back_off(Some(code), now),
            Reaction::FindCoordinator => {
                match rpc {
                    Rpc::CommitOffsets => self.group_coordinator = None,
                    _ => self.coordinator = None,
                }
                self.back_off(Some(code), now);
            }
            Reaction::Abort => self.fail(abortable()),
            Reaction::AbortIfRenewable if self.can_renew() => {
                self.broken = true;
                self.fail(abortable());
            }
            Reaction::AbortIfRenewable | Reaction::Fatal => self.kill(fatal()),
            Reaction::Refused => self.refused(code),
        }
        // A reaction that has no place in this state, so that the same is asked again: not in a loop.
        if self.not_before <= now && self.next_rpc() == Some(rpc) {
            self.back_off(Some(code), now);
        }
        false
    }

    /// The coordinator gives no identity as things are.
    fn refused(&mut self, code: ErrorCode) {
        match self.state.after(Event::Refused) {
            Some(next) => {
                self.state = next;
                self.resolve(Err(TransactionError::answered(
                    TransactionErrorKind::Refused,
                    code,
                )));
            }
            // A producer that had one, and does not get the next: there is nobody who would ask again.
            None => self.kill(TransactionError::answered(TransactionErrorKind::Fatal, code)),
        }
    }

    fn back_off(&mut self, code: Option<ErrorCode>, now: Time) {
        let backoff = match code {
            Some(ErrorCode::CONCURRENT_TRANSACTIONS) => &self.concurrent_backoff,
            _ => &self.backoff,
        };
        self.not_before = now + backoff.delay(self.failures, &mut self.random);
        self.failures = self.failures.saturating_add(1);
    }
}

/// The responses of coordinators.
trait Answer: Message {
    fn throttle_ms(&self) -> i32;
}

macro_rules! answers {
    ($($message:ty),*) => {
        $(impl Answer for $message {
            fn throttle_ms(&self) -> i32 {
                self.throttle_time_ms
            }
        })*
    };
}

answers!(
    FindCoordinatorResponse,
    InitProducerIdResponse,
    AddPartitionsToTxnResponse,
    AddOffsetsToTxnResponse,
    TxnOffsetCommitResponse,
    EndTxnResponse
);

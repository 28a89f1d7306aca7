//! Which request comes next.

use super::{InFlight, Target, TransactionManager};
use crate::error::{TransactionError, TransactionErrorKind};
use crate::reaction::Rpc;
use crate::request::{self, OutgoingRequest, RENEWS_FROM, Unsendable, Versions};
use crate::state::State;
use ottla_protocol::{ApiKey, VersionRange};
use ottla_time::{Time, mutant};

impl TransactionManager {
    /// Where the next request has to go, if one is due now.
    pub fn poll_target(&self, now: Time) -> Option<Target> {
        let rpc = self.next_rpc()?;
        if now < self.due() {
            return None;
        }
        Some(match rpc {
            Rpc::FindCoordinator => Target::Any,
            Rpc::CommitOffsets => self
                .group_coordinator
                .as_ref()
                .map_or(Target::Any, |(_, node)| Target::Node(*node)),
            _ => self.coordinator.map_or(Target::Any, Target::Node),
        })
    }

    /// When [`poll_target`](Self::poll_target) will name one, if that is a question of time.
    pub fn poll_timeout(&self) -> Option<Time> {
        self.next_rpc().map(|_| self.due())
    }

    /// When the next request is due.
    fn due(&self) -> Time {
        self.not_before.max(self.held_until)
    }

    /// The request for the broker that [`poll_target`](Self::poll_target) named, which speaks `versions`, to be sent at
    /// once. `None` if it cannot be made: then the producer is at its end, or the transaction must be aborted.
    pub fn take_request(
        &mut self,
        now: Time,
        versions: impl Fn(ApiKey) -> Option<VersionRange>,
    ) -> Option<OutgoingRequest> {
        let rpc = self.next_rpc()?;
        match self.make(rpc, &versions) {
            Ok((request, group)) => {
                self.note_sent(rpc, request.api_version);
                self.in_flight = Some(InFlight {
                    rpc,
                    version: request.api_version,
                    sent: now,
                    group,
                });
                Some(request)
            }
            Err(unsendable) => {
                self.handle_unsendable(rpc, unsendable);
                None
            }
        }
    }

    /// The next request, whatever the time: the one place that knows their order.
    pub(super) fn next_rpc(&self) -> Option<Rpc> {
        if self.in_flight.is_some() {
            return None;
        }
        let rpc = match self.state {
            State::Initializing | State::Recovering => Rpc::InitProducerId,
            State::Open | State::Committing | State::MustAbort | State::Aborting => {
                self.next_in_transaction()?
            }
            State::Uninitialized | State::Ready | State::Fatal => return None,
        };
        let known = match rpc {
            Rpc::CommitOffsets => self.offsets.front().is_some_and(|call| {
                self.group_coordinator
                    .as_ref()
                    .is_some_and(|(group, _)| *group == call.group.group_id)
            }),
            _ => self.coordinator.is_some(),
        };
        Some(if known { rpc } else { Rpc::FindCoordinator })
    }

    fn next_in_transaction(&self) -> Option<Rpc> {
        // What was asked for and may have been done is settled first, even before an abort: a coordinator that has
        // heard of no partition refuses to end the transaction under protocol 1, and one that has must be told.
        if !self.asked.is_empty() {
            return Some(Rpc::AddPartitions);
        }
        if let Some(call) = self.offsets.front().filter(|call| call.asked) {
            debug_assert!(!call.added);
            return Some(Rpc::AddOffsets);
        }
        if matches!(self.state, State::Open | State::Committing) {
            if !self.wanted.is_empty() {
                return Some(Rpc::AddPartitions);
            }
            if let Some(call) = self.offsets.front() {
                return Some(if call.added {
                    Rpc::CommitOffsets
                } else {
                    Rpc::AddOffsets
                });
            }
        }
        match self.state {
            State::Committing if self.drained && self.started => Some(Rpc::EndCommit),
            State::Aborting if self.drained && self.started => Some(Rpc::EndAbort),
            _ => None,
        }
    }

    fn make(
        &mut self,
        rpc: Rpc,
        versions: Versions<'_>,
    ) -> Result<(OutgoingRequest, Option<String>), Unsendable> {
        let id = self.config.transactional_id.as_str();
        // A transaction is only open once there is an identity.
        let identity = self.identity.unwrap_or(crate::ProducerIdentity {
            producer_id: -1,
            producer_epoch: -1,
        });
        let request = match rpc {
            Rpc::FindCoordinator => return self.make_find_coordinator(versions),
            Rpc::InitProducerId => {
                let timeout_ms =
                    i32::try_from(self.config.transaction_timeout.as_millis()).unwrap_or(i32::MAX);
                let renews = self.identity.filter(|_| self.state == State::Recovering);
                let renews = renews.filter(|_| !mutant!("a fenced producer takes its id back"));
                request::init_producer_id(versions, id, timeout_ms, renews)
            }
            Rpc::AddPartitions => {
                let partitions = if self.asked.is_empty() {
                    &self.wanted
                } else {
                    &self.asked
                };
                request::add_partitions(versions, id, identity, partitions)
            }
            Rpc::AddOffsets => {
                let group = self.offsets.front().map_or("", |call| &call.group.group_id);
                request::add_offsets(versions, id, identity, group)
            }
            Rpc::CommitOffsets => match self.offsets.front() {
                Some(call) => {
                    request::commit_offsets(versions, self.protocol, id, identity, &call.group, &call.offsets)
                }
                None => Err(Unsendable::Version(ApiKey::TXN_OFFSET_COMMIT)),
            },
            Rpc::EndCommit => request::end(versions, self.protocol, id, identity, true),
            Rpc::EndAbort => request::end(versions, self.protocol, id, identity, false),
        };
        request.map(|request| (request, None))
    }

    fn make_find_coordinator(
        &self,
        versions: Versions<'_>,
    ) -> Result<(OutgoingRequest, Option<String>), Unsendable> {
        // The transaction's own coordinator is needed first; a group's only for its offsets.
        if self.coordinator.is_none() {
            let id = &self.config.transactional_id;
            let request = request::find_coordinator(versions, request::KEY_TYPE_TRANSACTION, id)?;
            return Ok((request, None));
        }
        let group = self.offsets.front().map(|call| call.group.group_id.clone());
        let group = group.unwrap_or_default();
        let request = request::find_coordinator(versions, request::KEY_TYPE_GROUP, &group)?;
        Ok((request, Some(group)))
    }

    /// From now on the coordinator may have done it.
    fn note_sent(&mut self, rpc: Rpc, version: i16) {
        match rpc {
            Rpc::InitProducerId => self.can_renew = version >= RENEWS_FROM,
            Rpc::AddPartitions if self.asked.is_empty() => self.asked = std::mem::take(&mut self.wanted),
            Rpc::AddOffsets => {
                if let Some(call) = self.offsets.front_mut() {
                    call.asked = true;
                }
            }
            // Under protocol 2 this adds the group.
            Rpc::CommitOffsets => self.started = true,
            _ => {}
        }
    }

    fn handle_unsendable(&mut self, rpc: Rpc, unsendable: Unsendable) {
        let (detail, of_offsets) = match unsendable {
            Unsendable::Version(api) => (
                format!("the broker speaks no version of {api} that transactions need"),
                false,
            ),
            Unsendable::Encode(error) => (error, true),
        };
        let offsets = matches!(rpc, Rpc::AddOffsets | Rpc::CommitOffsets)
            || (rpc == Rpc::FindCoordinator && self.coordinator.is_some());
        if of_offsets && offsets {
            let error = TransactionError::new(TransactionErrorKind::Abortable).with_detail(detail);
            if let Some(call) = self.offsets.front_mut() {
                call.asked = false;
            }
            self.fail(error);
        } else {
            self.kill(TransactionError::new(TransactionErrorKind::Fatal).with_detail(detail));
        }
    }
}

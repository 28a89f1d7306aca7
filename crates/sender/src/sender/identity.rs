//! The producer id, and the numbering of partitions.

use super::{InFlight, Sender};
use crate::{Request, partition::Pending};
use bytes::Bytes;
use ottla_accumulator::{DeliveryFailure, FailureKind, Persistence};
use ottla_protocol::messages::{InitProducerIdRequest, InitProducerIdResponse};
use ottla_protocol::wire::{Reader, Writer};
use ottla_protocol::{ApiKey, Message};
use ottla_time::{Time, mutant};
use ottla_transactions::{NextRequest, ProducerIdRequest, Sequences};

/// Asking for the producer id, with its backoff.
#[derive(Debug, Default)]
pub(super) struct ProducerId {
    request: ProducerIdRequest,
    not_before: Time,
    failures: u32,
    /// Whether no node can be asked, so that time alone changes nothing.
    blocked: bool,
}

impl Sender {
    /// When to ask for a producer id, if that is a question of time.
    pub(super) fn producer_id_timeout(&self) -> Option<Time> {
        let asks = self.shared.config.idempotent
            && self.shared.transactions.is_none()
            && self.producer_id.request.is_wanted()
            && !self.producer_id.blocked;
        asks.then_some(self.producer_id.not_before)
    }

    /// Whether a producer id is wanted and no node can be asked.
    pub(super) fn producer_id_blocked(&self) -> bool {
        self.producer_id.blocked
    }

    /// Asks any node for a producer id as soon as there is one to ask: the first records should not wait for it.
    pub(super) fn refresh_producer_id(&mut self, now: Time) {
        self.producer_id.blocked = false;
        if self.producer_id_timeout().is_none_or(|due| due > now) {
            return;
        }
        let able = self.nodes.iter().filter_map(|(&id, node)| {
            let version = node.versions()?.init_producer_id?;
            (now >= node.throttled_until).then_some((node.in_flight, id, version))
        });
        // Without a connection nothing can be asked; metadata sees to it that there is one.
        let Some((_, node, version)) = able.min() else {
            self.producer_id.blocked = true;
            return;
        };
        let Some(NextRequest::InitProducerId(body)) = self.producer_id.request.next_request() else {
            return;
        };
        let mut writer = Writer::default();
        if body.encode(&mut writer, version).is_err() {
            unreachable!("an InitProducerId without transactional id encodes at every version");
        }
        let request = Request {
            id: self.next_request,
            api_key: ApiKey::INIT_PRODUCER_ID.0,
            api_version: version,
            flexible: InitProducerIdRequest::is_flexible(version),
            body: vec![writer.into_bytes()],
            expects_response: true,
            timeout: self.shared.config.request_timeout,
        };
        self.in_flight
            .insert(request.id, InFlight::ProducerId { node, version });
        self.send(node, request);
    }

    pub(super) fn handle_producer_id(&mut self, node: i32, version: i16, body: &Bytes, now: Time) {
        let answer = InitProducerIdResponse::decode(&mut Reader::from_bytes(body), version);
        if let Ok(answer) = &answer {
            self.throttle(node, answer.throttle_time_ms, now);
        }
        match answer {
            Ok(answer) if self.producer_id.request.handle_answer(&answer) => {
                self.producer_id.failures = 0;
                for slot in 0..self.partitions.len() {
                    if self.partitions[slot].has_work() {
                        self.evaluate(slot, now);
                    }
                }
            }
            Ok(_) => self.back_off_producer_id(now),
            Err(_) => self.producer_id_failed(now),
        }
    }

    pub(super) fn producer_id_failed(&mut self, now: Time) {
        self.producer_id.request.handle_failure();
        self.back_off_producer_id(now);
    }

    fn back_off_producer_id(&mut self, now: Time) {
        self.producer_id.not_before = now
            + self
                .retry_backoff
                .delay(self.producer_id.failures, &mut self.random);
        self.producer_id.failures = self.producer_id.failures.saturating_add(1);
    }

    /// Whether the partition's next batch can be numbered, or needs no number. Sees to it that it can as soon as that
    /// is possible.
    pub(super) fn is_numbered(&mut self, slot: usize, now: Time) -> bool {
        if !self.shared.config.idempotent || !self.partitions[slot].has_work() {
            return true;
        }
        if let Some(transactions) = self.shared.transactions.clone() {
            return self.is_in_transaction(slot, &transactions, now);
        }
        if let Some(refused) = self.producer_id.request.refused() {
            let failure = DeliveryFailure::new(FailureKind::Broker(refused.code), Persistence::NotPersisted);
            let failure = failure.with_detail(refused.to_string());
            self.fail_queued(slot, &failure);
            return false;
        }
        if self.partitions[slot]
            .sequences
            .as_ref()
            .is_some_and(Sequences::is_broken)
        {
            return self.repair(slot);
        }
        if self.partitions[slot].sequences.is_none() {
            self.partitions[slot].sequences = self.first_sequences();
        }
        self.partitions[slot].sequences.is_some()
    }

    /// A numbering under the producer id, if it is known.
    fn first_sequences(&self) -> Option<Sequences> {
        let first = self.shared.config.first_sequence;
        let identity = self.producer_id.request.identity()?;
        Some(Sequences::starting_at(identity, first))
    }

    /// A batch was given up, and nothing that is numbered after it will be appended. True if something can be sent now.
    fn repair(&mut self, slot: usize) -> bool {
        let state = &mut self.partitions[slot];
        // Answers may still prove that there is no gap.
        if !state.in_flight.is_empty() && !mutant!("new epoch while the old one is in flight") {
            return false;
        }
        // Of a batch that may have been appended the broker can still be asked, by sending it again as it was.
        let first = state.pending.front();
        let renumbers_all = mutant!("what may be in the log is numbered anew");
        if first.is_some_and(|first| first.stamp.is_some() && first.maybe_persisted) && !renumbers_all {
            return true;
        }
        let Some(sequences) = &mut state.sequences else {
            return false;
        };
        if sequences.restart().is_err() {
            state.sequences = None;
            self.producer_id.request.renew();
        }
        // What is certainly not in the log is numbered anew. What may be is not sent again under another identity.
        let unknown =
            |pending: &Pending| pending.stamp.is_some() && pending.maybe_persisted && !renumbers_all;
        let detail =
            "the numbering of its partition had to begin anew, and an earlier attempt may have been appended";
        for pending in state.pending.iter().filter(|pending| unknown(pending)) {
            let failure = DeliveryFailure::new(FailureKind::Timeout, Persistence::PossiblyPersisted);
            pending.batch.fail(failure.with_detail(detail));
        }
        state.pending.retain(|pending| !unknown(pending));
        for pending in &mut state.pending {
            pending.stamp = None;
        }
        if state.sequences.is_none() {
            self.partitions[slot].sequences = self.first_sequences();
        }
        self.partitions[slot].sequences.is_some()
    }

    /// Fails everything of the partition that is not in flight.
    fn fail_queued(&mut self, slot: usize, failure: &DeliveryFailure) {
        let state = &mut self.partitions[slot];
        for pending in state.pending.drain(..) {
            let persistence = pending.persistence();
            pending.batch.fail(failure.clone().with_persistence(persistence));
        }
        while let Some(batch) = state.queue.take() {
            batch.fail(failure.clone());
        }
        state.queued = state.queue.inspect(&self.shared.accumulator);
    }
}

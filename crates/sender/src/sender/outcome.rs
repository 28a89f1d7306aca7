//! What became of requests.

use super::{InFlight, Sender};
use crate::Action;
use crate::partition::Pending;
use crate::verdict::{advice, proves_not_appended};
use bytes::Bytes;
use ottla_accumulator::{DeliveryFailure, FailureKind, Sealer, SplitPart};
use ottla_protocol::messages::ProduceResponse;
use ottla_protocol::messages::produce::{NodeEndpoint, PartitionProduceResponse};
use ottla_protocol::wire::{Reader, Uuid};
use ottla_protocol::{ErrorCode, Message};
use ottla_time::{Time, mutant};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Why an attempt failed.
enum Trouble {
    /// A broker's answer for this batch.
    Answer {
        code: ErrorCode,
        message: Option<String>,
    },
    /// No answer. `written` says whether a byte of it may have reached the broker.
    NoAnswer { error: Arc<str>, written: bool },
}

impl Sender {
    /// A node answered a request; `body` is what follows the response's header.
    pub fn handle_response(&mut self, node: i32, id: u64, body: Bytes, now: Time) {
        let Some(request) = self.take_request(node, id) else {
            return;
        };
        match request {
            InFlight::Metadata { version, .. } => self.handle_metadata(node, version, &body, now),
            InFlight::ProducerId { node, version } => self.handle_producer_id(node, version, &body, now),
            InFlight::Transaction { .. } => self.handle_transaction_answer(node, &body, now),
            InFlight::Telemetry { api, .. } => self.handle_telemetry(node, api, &body, now),
            InFlight::Produce {
                version,
                sent,
                topics,
                batches,
                ..
            } => {
                self.measure_latency(node, sent, now);
                let answer = ProduceResponse::decode(&mut Reader::from_bytes(&body), version);
                match answer {
                    Ok(answer) => self.handle_produced(node, id, answer, &topics, batches, now),
                    Err(error) => {
                        let error: Arc<str> =
                            format!("the broker's answer to Produce makes no sense: {error}").into();
                        self.no_answer(id, batches, &error, true, now);
                    }
                }
            }
        }
    }

    /// A request that expects no answer (acks=0) was written.
    pub fn handle_written(&mut self, node: i32, id: u64, now: Time) {
        let Some(InFlight::Produce { batches, .. }) = self.take_request(node, id) else {
            return;
        };
        for (slot, pending) in batches {
            pending.batch.complete(-1, -1);
            self.settle(slot, id, now);
        }
    }

    /// A request ended without an answer. `written` says whether a byte of it may have reached the broker.
    pub fn handle_failed(&mut self, node: i32, id: u64, error: &str, written: bool, now: Time) {
        let Some(request) = self.take_request(node, id) else {
            return;
        };
        match request {
            InFlight::Metadata { .. } => self.metadata_failed(now),
            InFlight::ProducerId { .. } => self.producer_id_failed(now),
            InFlight::Transaction { .. } => self.handle_transaction_failed(written, now),
            InFlight::Telemetry { .. } => self.telemetry_failed(written, now),
            InFlight::Produce { batches, .. } => self.no_answer(id, batches, &error.into(), written, now),
        }
    }

    fn take_request(&mut self, node: i32, id: u64) -> Option<InFlight> {
        let request = self.in_flight.remove(&id)?;
        let (InFlight::Produce { node: sent_to, .. }
        | InFlight::Metadata { node: sent_to, .. }
        | InFlight::ProducerId { node: sent_to, .. }
        | InFlight::Transaction { node: sent_to }
        | InFlight::Telemetry { node: sent_to, .. }) = &request;
        debug_assert_eq!(*sent_to, node, "request {id} came back from another node");
        if let Some(node) = self.nodes.get_mut(sent_to) {
            node.in_flight = node.in_flight.saturating_sub(1);
        }
        self.measure_in_flight();
        Some(request)
    }

    pub(super) fn throttle(&mut self, id: i32, throttle_ms: i32, now: Time) {
        self.measure_throttle(throttle_ms, now);
        if let (Ok(ms @ 1..), Some(node)) = (u64::try_from(throttle_ms), self.nodes.get_mut(&id)) {
            let by = Duration::from_millis(ms);
            node.throttled_until = node.throttled_until.max(now + by);
            // As Java's `InFlightRequests.incrementThrottleTime`: since KIP-219 a broker answers at once, and reads nothing
            // more of the connection until the time is over.
            if node.in_flight > 0 {
                self.actions.push_back(Action::Extend { node: id, by });
            }
        }
    }

    fn handle_produced(
        &mut self,
        node: i32,
        id: u64,
        answer: ProduceResponse,
        sent_as: &[(Uuid, usize)],
        batches: Vec<(usize, Pending)>,
        now: Time,
    ) {
        self.throttle(node, answer.throttle_time_ms, now);
        let mut waiting: BTreeMap<(usize, i32), (usize, Pending)> = BTreeMap::new();
        for (slot, pending) in batches {
            let state = &self.partitions[slot];
            waiting.insert((state.topic, state.queue.number()), (slot, pending));
        }
        for topic in answer.responses {
            let Some(index) = self.topic_of(&topic.name, topic.topic_id, sent_as) else {
                continue;
            };
            for partition in topic.partition_responses {
                let mut place = (index, partition.index);
                if mutant!("the answer of another partition is taken") {
                    place = waiting.keys().next().copied().unwrap_or(place);
                }
                if let Some((slot, pending)) = waiting.remove(&place) {
                    self.handle_partition(slot, id, pending, partition, &answer.node_endpoints, now);
                }
            }
        }
        for topic in std::mem::take(&mut self.moved) {
            self.publish(topic);
        }
        // A broker that leaves a partition out has told nothing about it.
        if mutant!("what an answer leaves out is taken for acked") {
            for (slot, pending) in std::mem::take(&mut waiting).into_values() {
                pending.batch.complete(-1, -1);
                self.acked(slot, id, &pending, now);
            }
        }
        let left_out = waiting.into_values().collect();
        self.no_answer(
            id,
            left_out,
            &"the broker's answer leaves the partition out".into(),
            true,
            now,
        );
    }

    /// The topic that an answer is about. From version 13 on it goes by the id that was sent, whatever the topic's id is
    /// now.
    fn topic_of(&self, name: &str, id: Uuid, sent_as: &[(Uuid, usize)]) -> Option<usize> {
        if id == Uuid::ZERO {
            return self.metadata.topic(name);
        }
        let found = sent_as.iter().find(|(sent, _)| *sent == id);
        found.map(|&(_, index)| index)
    }

    fn handle_partition(
        &mut self,
        slot: usize,
        id: u64,
        pending: Pending,
        answer: PartitionProduceResponse,
        endpoints: &[NodeEndpoint],
        now: Time,
    ) {
        let code = ErrorCode::from(answer.error_code);
        match code {
            ErrorCode::REQUEST_TIMED_OUT if mutant!("a broker's timeout is taken for an ack") => {
                pending.batch.complete(answer.base_offset, -1);
                return self.acked(slot, id, &pending, now);
            }
            ErrorCode::NONE => {
                pending
                    .batch
                    .complete(answer.base_offset, answer.log_append_time_ms);
                return self.acked(slot, id, &pending, now);
            }
            // It was appended before: the offset is not known any more.
            ErrorCode::DUPLICATE_SEQUENCE_NUMBER => {
                pending.batch.complete(-1, -1);
                return self.acked(slot, id, &pending, now);
            }
            ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER
            | ErrorCode::UNKNOWN_PRODUCER_ID
            | ErrorCode::INVALID_PRODUCER_EPOCH
                if pending.stamp.is_some() =>
            {
                return self.out_of_order(slot, id, pending, code, now);
            }
            ErrorCode::MESSAGE_TOO_LARGE if pending.batch.record_count() > 1 => {
                return self.split(slot, id, pending, answer.error_message, now);
            }
            _ => {}
        }
        let mut moved = false;
        // KIP-951: the old leader may say who leads now.
        if matches!(
            code,
            ErrorCode::NOT_LEADER_OR_FOLLOWER | ErrorCode::FENCED_LEADER_EPOCH
        ) {
            let hint = &answer.current_leader;
            // Of all brokers that the answer may list only this one is of use: an answer must not fill the memory.
            if let Some(leader) = endpoints
                .iter()
                .find(|endpoint| endpoint.node_id == hint.leader_id)
            {
                self.learn_node(leader.node_id, &leader.host, leader.port);
            }
            moved = self.learn_leader(slot, hint.leader_id, hint.leader_epoch, now);
        }
        if !code.is_retriable() && !answer.record_errors.is_empty() {
            self.reject(slot, id, pending, code, answer, now);
        } else {
            let message = answer.error_message;
            self.attempt_failed(slot, id, pending, Trouble::Answer { code, message }, now);
        }
        if moved {
            // It need not back off before it tries the new leader.
            if let Some(first) = self.partitions[slot].pending.front_mut() {
                first.not_before = now;
            }
            self.evaluate(slot, now);
            self.moved.insert(self.partitions[slot].topic);
        }
    }

    /// KIP-467: some records are to blame, the others of the batch fail with them.
    fn reject(
        &mut self,
        slot: usize,
        id: u64,
        mut pending: Pending,
        code: ErrorCode,
        answer: PartitionProduceResponse,
        now: Time,
    ) {
        pending.maybe_persisted |= !proves_not_appended(code, self.shared.config.acks);
        let failure = DeliveryFailure::new(FailureKind::Broker(code), pending.persistence());
        let because = |text: Option<&String>| match text.or(answer.error_message.as_ref()) {
            Some(text) => failure.clone().with_detail(escape(text)),
            None => failure.clone(),
        };
        let culprits = answer.record_errors.iter().filter_map(|error| {
            let index = u32::try_from(error.batch_index).ok()?;
            Some((index, because(error.batch_index_error_message.as_ref())))
        });
        let culprits: Vec<_> = culprits.collect();
        let others = match culprits.len() {
            // An answer that names none of them means all.
            0 => because(None),
            count => DeliveryFailure::new(FailureKind::Neighbours(code), pending.persistence())
                .with_detail(format!("{count} of them; this one may be sent again")),
        };
        pending.batch.reject(culprits, others);
        self.give_up(slot, &pending);
        self.settle(slot, id, now);
    }

    /// The broker takes no batch of this size: its records go on in two, which may be split again, down to the single
    /// record that is too large. They keep the batch's numbers between them, so what is numbered after it stays as it is
    /// (as in Java).
    fn split(&mut self, slot: usize, id: u64, mut pending: Pending, message: Option<String>, now: Time) {
        let state = &mut self.partitions[slot];
        let accumulator = &self.shared.accumulator;
        let split = match Sealer::new(self.shared.config.codec) {
            Ok(mut sealer) => sealer.split(pending.batch, state.queue.compression_ratio(), accumulator),
            Err(_) => Err(Box::new(pending.batch)),
        };
        let parts = match split {
            Ok(parts) => parts,
            Err(batch) => {
                pending.batch = *batch;
                let code = ErrorCode::MESSAGE_TOO_LARGE;
                return self.attempt_failed(slot, id, pending, Trouble::Answer { code, message }, now);
            }
        };
        self.measure_split(now);
        let mut parts = parts;
        if mutant!("split reorders") {
            parts.reverse();
        }
        let mut stamp = pending.stamp;
        let mut at = 0;
        for SplitPart {
            record_count, batch, ..
        } in parts
        {
            let part = stamp.as_mut().map(|rest| rest.take_front(record_count));
            let Some(batch) = batch else {
                // Its codec failed, and its deliveries know; what follows it in the numbering cannot be appended.
                if let (Some(sequences), Some(stamp)) = (&mut self.partitions[slot].sequences, &part) {
                    sequences.give_up(stamp);
                }
                continue;
            };
            let part = Pending {
                stamp: part,
                maybe_persisted: pending.maybe_persisted,
                ..Pending::new(batch)
            };
            if part.stamp.is_some() {
                self.put_back(slot, part);
            } else {
                // Without numbers nothing else of the partition is in flight: they go first, in order.
                self.partitions[slot].pending.insert(at, part);
                at += 1;
            }
        }
        self.settle(slot, id, now);
    }

    fn acked(&mut self, slot: usize, id: u64, pending: &Pending, now: Time) {
        if let (Some(sequences), Some(stamp)) = (&mut self.partitions[slot].sequences, &pending.stamp) {
            sequences.acked(stamp);
        }
        self.settle(slot, id, now);
    }

    /// The batch will not be sent again: what is numbered after it may be refused for that.
    fn give_up(&mut self, slot: usize, pending: &Pending) {
        if let (Some(sequences), Some(stamp)) = (&mut self.partitions[slot].sequences, &pending.stamp) {
            sequences.give_up(stamp);
        }
    }

    /// The broker says that something before this batch is missing, or that it does not know the producer.
    ///
    /// That it was not appended in this attempt is certain. If something before it is only late, it is sent again. If
    /// nothing is, or the numbering is broken, it goes on under a new epoch, unless an earlier attempt may have reached
    /// the log: then nobody can know, and sending it under a new identity might duplicate it (Java does).
    fn out_of_order(&mut self, slot: usize, id: u64, mut pending: Pending, code: ErrorCode, now: Time) {
        let state = &mut self.partitions[slot];
        if let (Some(sequences), Some(stamp)) = (&mut state.sequences, &pending.stamp)
            && (sequences.is_expected(stamp) || mutant!("new epoch although an earlier batch is only late"))
        {
            sequences.lose(stamp);
        }
        let intact = state
            .sequences
            .as_ref()
            .is_some_and(|sequences| !sequences.is_broken());
        // The coordinator alone gives a transaction's epoch: nothing can go on under another one.
        let hopeless = self.shared.transactions.is_some()
            && (!intact || code != ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER);
        pending.last_error = Some(code.to_string().into());
        if pending.batch.is_complete() {
            self.give_up(slot, &pending);
        } else if hopeless || pending.attempts > self.shared.config.retries {
            pending.batch.fail(DeliveryFailure::new(
                FailureKind::Broker(code),
                pending.persistence(),
            ));
            self.give_up(slot, &pending);
        } else if !intact && pending.maybe_persisted {
            let failure = DeliveryFailure::new(FailureKind::Broker(code), pending.persistence());
            pending
                .batch
                .fail(failure.with_detail("an earlier attempt may have been appended"));
            self.give_up(slot, &pending);
        } else {
            // The first time a new epoch may begin at once; a broker that refuses that too is not asked in a loop.
            if intact || pending.attempts > 1 {
                pending.not_before = now + self.retry_backoff.delay(pending.attempts - 1, &mut self.random);
            }
            self.measure_retry(slot, &pending, now);
            self.put_back(slot, pending);
        }
        self.settle(slot, id, now);
    }

    /// To be sent again: from now on one batch at a time, until the broker takes one.
    fn put_back(&mut self, slot: usize, pending: Pending) {
        let state = &mut self.partitions[slot];
        if let Some(sequences) = &mut state.sequences {
            sequences.probe();
        }
        state.put_back(pending);
    }

    fn no_answer(
        &mut self,
        id: u64,
        batches: Vec<(usize, Pending)>,
        error: &Arc<str>,
        written: bool,
        now: Time,
    ) {
        for (slot, pending) in batches {
            let trouble = Trouble::NoAnswer {
                error: Arc::clone(error),
                written,
            };
            self.attempt_failed(slot, id, pending, trouble, now);
        }
    }

    /// Sends the batch again later, or fails it.
    fn attempt_failed(&mut self, slot: usize, id: u64, mut pending: Pending, trouble: Trouble, now: Time) {
        let config = &self.shared.config;
        let (retriable, kind, refresh) = match &trouble {
            Trouble::Answer { code, .. } => {
                pending.maybe_persisted |= !proves_not_appended(*code, config.acks);
                (
                    code.is_retriable(),
                    FailureKind::Broker(*code),
                    code.refreshes_metadata(),
                )
            }
            Trouble::NoAnswer { written, .. } => {
                pending.maybe_persisted |= *written;
                (true, FailureKind::Network, true)
            }
        };
        pending.last_error = Some(trouble.describe());
        self.metadata.wanted |= refresh;
        let too_old = pending.batch.created() + config.delivery_timeout <= now;
        if pending.batch.is_complete() {
            // It expired while it was in flight; its deliveries know.
            self.give_up(slot, &pending);
        } else if !retriable || pending.attempts > config.retries {
            let mut failure = DeliveryFailure::new(kind, pending.persistence());
            failure.detail = trouble.detail();
            pending.batch.fail(failure);
            self.give_up(slot, &pending);
        } else if too_old {
            pending
                .batch
                .fail(super::expired(&pending, pending.persistence()));
            self.give_up(slot, &pending);
        } else {
            let mut backoff = self.retry_backoff.delay(pending.attempts - 1, &mut self.random);
            if matches!(&trouble, Trouble::Answer { code, .. } if *code == ErrorCode::CONCURRENT_TRANSACTIONS)
            {
                backoff = backoff.min(super::transaction::CONCURRENT_BACKOFF_MAX);
            }
            self.measure_retry(slot, &pending, now);
            pending.not_before = if mutant!("retry without backoff") {
                now
            } else {
                now + backoff
            };
            pending.stamp = pending.stamp.filter(|_| !mutant!("retry under new numbers"));
            self.put_back(slot, pending);
        }
        self.settle(slot, id, now);
    }

    /// The request carries nothing of the partition any more.
    fn settle(&mut self, slot: usize, id: u64, now: Time) {
        self.partitions[slot].settle(id);
        self.look(slot, now);
    }
}

impl Trouble {
    /// For the error at the deadline, in which a code is named too.
    fn describe(&self) -> Arc<str> {
        match self {
            Trouble::Answer {
                code,
                message: Some(message),
            } => format!("{code}: {}", escape(message)).into(),
            Trouble::Answer { code, message: None } => code.to_string().into(),
            Trouble::NoAnswer { error, .. } => Arc::clone(error),
        }
    }

    /// For an error that names the code already.
    fn detail(&self) -> Option<Arc<str>> {
        match self {
            Trouble::Answer { code, message } => {
                let message = message.as_deref().map(escape);
                match (message, advice(*code)) {
                    (Some(message), Some(advice)) => Some(format!("{message}; {advice}").into()),
                    (Some(message), None) => Some(message.into()),
                    (None, advice) => advice.map(Into::into),
                }
            }
            Trouble::NoAnswer { error, .. } => Some(Arc::clone(error)),
        }
    }
}

/// A broker's text may end in a log: no control characters, and not without end.
fn escape(text: &str) -> String {
    const LEN_MAX: usize = 500;
    let mut escaped: String = text.chars().take(LEN_MAX).flat_map(char::escape_debug).collect();
    if text.chars().nth(LEN_MAX).is_some() {
        escaped.push('…');
    }
    escaped
}

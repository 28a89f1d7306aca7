//! Others who talk to the cluster: a twin with the same `transactional.id`, and somebody who adds partitions.

use super::{Event, World};
use bytes::{BufMut, Bytes, BytesMut};
use ottla_protocol::messages::create_partitions::CreatePartitionsTopic;
use ottla_protocol::messages::{CreatePartitionsRequest, InitProducerIdRequest};
use ottla_protocol::wire::Writer;
use ottla_protocol::{ApiKey, Message};
use ottla_sender::TransactionState;
use ottla_time::Clock;
use std::time::Duration;

/// The transactional id of the simulated producer.
pub(crate) const TRANSACTIONAL_ID: &str = "simulated";
/// The twin asks again so often until it is answered.
const TWIN_EVERY: Duration = Duration::from_millis(40);
/// So many times at most.
const TWIN_ATTEMPTS_MAX: u32 = 200;
/// The length, the correlation id and the throttle time stand before the error code of InitProducerId 1.
const ERROR_CODE_AT: usize = 12;

impl World {
    /// A twin initialises itself, unless the producer has not: then it would be the twin that is fenced.
    pub(super) fn twin(&mut self, attempt: u32) {
        let state = self.desk.handle().transaction_state();
        let unsure = matches!(
            state,
            None | Some(TransactionState::Uninitialized | TransactionState::Initializing)
        );
        if self.twin_since.is_some() || attempt > TWIN_ATTEMPTS_MAX || self.finished_at.is_some() {
            return;
        }
        self.queue.push(self.now + TWIN_EVERY, Event::Twin(attempt + 1));
        let coordinator = self.cluster.coordinator(TRANSACTIONAL_ID);
        let (false, Some(coordinator)) = (unsure, coordinator) else {
            return;
        };
        let Ok(connection) = self.cluster.accept(coordinator, "10.0.0.8", self.now) else {
            return;
        };
        let request = InitProducerIdRequest {
            transactional_id: Some(TRANSACTIONAL_ID.to_owned()),
            transaction_timeout_ms: 10_000,
            ..InitProducerIdRequest::default()
        };
        self.twin_connections.insert(connection);
        let generation = self.desk.generation.get();
        self.twin_unsure |= self.twin_of.is_some_and(|of| of != generation);
        self.twin_of = Some(generation);
        let frame = frame(ApiKey::INIT_PRODUCER_ID, 1, &request);
        self.cluster
            .handle_frame(connection, frame, self.now, self.clock.wall_ms());
    }

    /// The twin is answered: if it has its identity, the producer is fenced.
    pub(super) fn twin_answered(&mut self, answer: &[u8]) {
        let code = answer.get(ERROR_CODE_AT..ERROR_CODE_AT + 2);
        if code == Some(&[0, 0]) && self.twin_since.is_none() {
            let generation = self.desk.generation.get();
            self.twin_since = Some((self.now, self.twin_of.unwrap_or(generation)));
            self.twin_unsure |= self.twin_of != Some(generation);
            self.desk.counters.borrow_mut().twins += 1;
            self.trace.note(self.now, "twin", [0, 0], "");
        }
    }

    /// A topic gets another partition.
    pub(super) fn grow(&mut self) {
        let Some(topic) = self.random.choice(0..self.scenario.topics.len()) else {
            return;
        };
        let name = self.scenario.topics[topic].0.clone();
        let broker = self.random.i32(1..=crate::scenario::BROKERS);
        let (Some(count), Ok(connection)) = (
            self.cluster.partition_count(&name),
            self.cluster.accept(broker, "10.0.0.8", self.now),
        ) else {
            return;
        };
        let request = CreatePartitionsRequest {
            topics: vec![CreatePartitionsTopic {
                name: name.clone(),
                count: count + 1,
                assignments: None,
                ..CreatePartitionsTopic::default()
            }],
            timeout_ms: 1_000,
            ..CreatePartitionsRequest::default()
        };
        let frame = frame(ApiKey::CREATE_PARTITIONS, 1, &request);
        self.cluster
            .handle_frame(connection, frame, self.now, self.clock.wall_ms());
    }

    /// Notes which topics have more partitions now: the broker that was asked may have been slow.
    pub(super) fn note_growth(&mut self) {
        for (index, topic) in self.scenario.topics.iter_mut().enumerate() {
            if let Some(count) = self.cluster.partition_count(&topic.0)
                && count != topic.1
            {
                topic.1 = count;
                self.desk.counters.borrow_mut().partitions_grown += 1;
                self.desk.grow(index, count);
            }
        }
    }
}

/// A request with the header of version 1.
fn frame<M: Message>(key: ApiKey, version: i16, request: &M) -> Bytes {
    let mut writer = Writer::default();
    let encoded = request.encode(&mut writer, version);
    debug_assert!(encoded.is_ok(), "every field fits");
    let mut frame = BytesMut::new();
    frame.put_i16(key.0);
    frame.put_i16(version);
    frame.put_i32(7);
    // No client id.
    frame.put_i16(-1);
    frame.extend_from_slice(&writer.into_bytes());
    frame.freeze()
}

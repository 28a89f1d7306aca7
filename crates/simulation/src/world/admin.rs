//! Others who talk to the cluster: a twin with the same `transactional.id`, and somebody who adds partitions.

use super::{Event, World};
use bytes::{BufMut, Bytes, BytesMut};
use ottla_protocol::messages::create_partitions::CreatePartitionsTopic;
use ottla_protocol::messages::{CreatePartitionsRequest, InitProducerIdRequest};
use ottla_protocol::wire::Writer;
use ottla_protocol::{ApiKey, Message};
use ottla_sender::TransactionState;
use ottla_time::{Clock, Time};
use std::time::Duration;

/// The transactional id of the simulated producer.
pub(crate) const TRANSACTIONAL_ID: &str = "simulated";
/// The twin asks again so often until it is answered.
const TWIN_EVERY: Duration = Duration::from_millis(40);
/// So many times at most.
const TWIN_ATTEMPTS_MAX: u32 = 200;
/// How often is looked for a request in flight, when a topic is to be deleted, and how many times.
const DELETE_EVERY: Duration = Duration::from_micros(700);
const DELETE_ATTEMPTS_MAX: u32 = 4_000;
/// A topic is away no longer than this.
const AWAY_MAX: Duration = Duration::from_millis(600);
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

    /// Deletes a topic under a Produce request that names it by its id; if there is none, a little later.
    pub(super) fn delete(&mut self, attempt: u32) -> Result<(), String> {
        let latest = Time::ZERO + self.scenario.trouble.saturating_sub(2 * AWAY_MAX);
        if self.finished_at.is_some() || self.now >= latest || attempt > DELETE_ATTEMPTS_MAX {
            return Ok(());
        }
        if attempt == 0 && self.random.u32(..100) < 70 {
            // Where nothing arrives, what is sent now waits, while other brokers tell of the new topic.
            let broker = self.random.usize(..self.weather.len());
            let until = self.now + Duration::from_millis(self.random.u64(500..2_500));
            self.weather[broker].stalled.0 = self.weather[broker].stalled.0.max(until);
            let soon = Duration::from_millis(self.random.u64(20..400));
            self.queue.push(self.now + soon, Event::Delete(1));
            return Ok(());
        }
        let flies = |&topic: &usize| {
            self.cluster.topic_id(&self.scenario.topics[topic].0).is_some() && self.wire.flies_by_id(topic)
        };
        let Some(topic) = (0..self.scenario.topics.len()).find(flies) else {
            self.queue
                .push(self.now + DELETE_EVERY, Event::Delete(attempt + 1));
            return Ok(());
        };
        let mut buried = std::mem::take(&mut self.buried);
        self.read_topic(topic, &mut buried)?;
        self.buried = buried;
        self.cluster.delete_topic(&self.scenario.topics[topic].0);
        self.desk.counters.borrow_mut().topics_recreated += 1;
        let away = Duration::from_micros(self.random.u64(..AWAY_MAX.as_micros() as u64));
        let away = if self.random.bool() { away } else { Duration::ZERO };
        self.queue.push(self.now + away, Event::Create(topic));
        Ok(())
    }

    pub(super) fn create(&mut self, topic: usize) -> Result<(), String> {
        let spec = self.scenario.cluster.topics[topic].clone();
        let id = self
            .cluster
            .create_topic(&spec)
            .map_err(|error| error.to_string())?;
        self.wire.recreated(topic, id);
        if self.random.bool() {
            // Who loses a connection asks for metadata, and hears of the new topic.
            let broker = self.random.i32(1..=crate::scenario::BROKERS);
            self.cluster.close_connections(Some(broker));
        }
        Ok(())
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

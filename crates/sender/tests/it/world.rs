//! A driver for tests: it carries out the sender's actions by noting them.

use bytes::Bytes;
use ottla_accumulator::AccumulatorConfig;
use ottla_partitioning::DefaultPartitioner;
use ottla_protocol::compression::Decompressor;
use ottla_protocol::messages::metadata::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use ottla_protocol::messages::produce::{PartitionProduceResponse, TopicProduceResponse};
use ottla_protocol::messages::{InitProducerIdResponse, MetadataResponse, ProduceRequest, ProduceResponse};
use ottla_protocol::records::RecordBatch;
use ottla_protocol::wire::{Reader, Uuid, Writer};
use ottla_protocol::{ApiKey, ErrorCode, Message};
use ottla_sender::{
    Action, Address, ApiRange, Delivery, Handle, Request, Sealer, SendRecord, Sender, SenderConfig,
};
use ottla_time::{Clock, ManualClock, Time};
use std::collections::VecDeque;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

pub(crate) const TOPIC: &str = "orders";
/// Below 13, so that topics go by name; above 9, so that everything is flexible.
const PRODUCE_VERSION: i16 = 12;
/// The first that can say REBOOTSTRAP_REQUIRED.
const METADATA_VERSION: i16 = 13;
pub(crate) const PRODUCER_ID: i64 = 4_000;

pub(crate) struct World {
    pub(crate) sender: Sender,
    pub(crate) handle: Handle,
    pub(crate) clock: Arc<ManualClock>,
    /// Requests that were not answered yet.
    pub(crate) requests: VecDeque<(i32, Request)>,
    pub(crate) connects: Vec<(i32, Address)>,
    /// The nodes whose connections the sender ended.
    pub(crate) disconnects: Vec<i32>,
    /// The nodes that got more time for what is under way, and how much.
    pub(crate) extended: Vec<(i32, Duration)>,
    pub(crate) finished: bool,
    sealer: Sealer,
    /// Whether a connection is ready as soon as it is asked for.
    pub(crate) reachable: bool,
    /// The highest version of Produce that brokers speak, from when they are ready next.
    pub(crate) produce_version: i16,
}

impl World {
    pub(crate) fn new(change: impl FnOnce(&mut SenderConfig, &mut AccumulatorConfig)) -> World {
        let mut config = SenderConfig::default();
        config.bootstrap = vec![Address {
            host: "bootstrap".into(),
            port: 1,
        }];
        let mut accumulator = AccumulatorConfig::default();
        // Most tests are about something else; those about it switch it on.
        config.idempotent = false;
        change(&mut config, &mut accumulator);
        let sealer = Sealer::new(config.codec).expect("compiled in");
        accumulator.compression = config.codec.compression();
        let clock = Arc::new(ManualClock::new(1_700_000_000_000));
        let partitioner = Box::new(DefaultPartitioner::new());
        let (sender, handle) = Sender::new(config, accumulator, partitioner, clock.clone(), 7);
        let requests = VecDeque::new();
        World {
            sender,
            handle,
            clock,
            requests,
            connects: Vec::new(),
            disconnects: Vec::new(),
            extended: Vec::new(),
            finished: false,
            sealer,
            reachable: true,
            produce_version: PRODUCE_VERSION,
        }
    }

    /// A world whose topic has `partitions` partitions, led in turn by nodes 1 and 2.
    pub(crate) fn with_topic(
        partitions: i32,
        change: impl FnOnce(&mut SenderConfig, &mut AccumulatorConfig),
    ) -> World {
        let mut world = World::new(change);
        let topic = world.handle.topic(TOPIC);
        assert!(
            world.handle.try_send(&topic, &SendRecord::default()).is_err(),
            "no metadata yet"
        );
        world.turn();
        let leaders: Vec<i32> = (0..partitions).map(|partition| 1 + partition % 2).collect();
        world.answer_metadata(&leaders);
        // The first metadata was asked for before the topic was known.
        while let Some((_, request)) = world.requests.front() {
            if request.api_key == ApiKey::INIT_PRODUCER_ID.0 {
                world.answer_producer_id(ErrorCode::NONE);
            } else {
                world.answer_metadata(&leaders);
            }
        }
        assert_eq!(topic.partition_count(), Some(leaders.len()));
        world
    }

    pub(crate) fn now(&self) -> Time {
        self.clock.now()
    }

    pub(crate) fn turn(&mut self) {
        let now = self.now();
        // As a driver would: looking takes the wake-up.
        let _ = self.sender.wakeup().take(&mut Context::from_waker(Waker::noop()));
        self.sender.turn(now);
        let mut again = false;
        while let Some(action) = self.sender.poll_action() {
            match action {
                Action::Connect { node, address } => {
                    self.connects.push((node, address));
                    if self.reachable {
                        self.ready(node);
                        again = true;
                    }
                }
                Action::Disconnect { node } => {
                    self.disconnect(node);
                    again = true;
                }
                Action::Send { node, request } => self.requests.push_back((node, request)),
                Action::Seal(job) => {
                    let sealed = job.run(&mut self.sealer);
                    self.sender.handle_sealed(sealed, now);
                    again = true;
                }
                Action::Extend { node, by } => self.extended.push((node, by)),
                Action::Finished => self.finished = true,
                other => panic!("an action that the tests do not know: {other:?}"),
            }
        }
        if again {
            self.turn();
        }
    }

    /// Ends a connection because the sender wants it: what is under way fails.
    fn disconnect(&mut self, node: i32) {
        self.disconnects.push(node);
        let now = self.now();
        let (lost, kept) = std::mem::take(&mut self.requests)
            .into_iter()
            .partition(|(other, _)| *other == node);
        self.requests = kept;
        let lost: VecDeque<(i32, Request)> = lost;
        for (_, request) in lost {
            self.sender
                .handle_failed(node, request.id, "closed by this client", true, now);
        }
        self.sender
            .handle_disconnected(node, "closed by this client", now);
    }

    pub(crate) fn ready(&mut self, node: i32) {
        let range = |key: ApiKey, max| ApiRange {
            key: key.0,
            min: 0,
            max,
        };
        let versions = [
            range(ApiKey::PRODUCE, self.produce_version),
            range(ApiKey::METADATA, METADATA_VERSION),
            range(ApiKey::INIT_PRODUCER_ID, 5),
            range(ApiKey::FIND_COORDINATOR, 6),
            range(ApiKey::ADD_PARTITIONS_TO_TXN, 5),
            range(ApiKey::END_TXN, 5),
            range(ApiKey::GET_TELEMETRY_SUBSCRIPTIONS, 0),
            range(ApiKey::PUSH_TELEMETRY, 0),
        ];
        self.sender.handle_ready(node, versions, self.now());
    }

    pub(crate) fn advance(&mut self, by: Duration) {
        self.clock.advance(by);
        self.turn();
    }

    /// Lets time pass until `until`, with a turn at each timeout of the sender. Returns how many turns that took.
    pub(crate) fn run_until(&mut self, until: Time) -> usize {
        let mut turns = 0;
        // What the handle asked for has woken the driver.
        self.turn();
        while let Some(at) = self.sender.poll_timeout().filter(|&at| at <= until) {
            assert!(
                at > self.now() || turns < 100_000,
                "the sender spins at {}",
                self.now()
            );
            self.clock.advance_to(at);
            self.turn();
            turns += 1;
        }
        self.clock.advance_to(until);
        turns
    }

    pub(crate) fn try_send(&mut self, record: &SendRecord<'_>) -> Delivery {
        let topic = self.handle.topic(TOPIC);
        self.handle
            .try_send(&topic, record)
            .expect("metadata and memory are there")
    }

    pub(crate) fn send_to(&mut self, partition: i32, value: &str) -> Delivery {
        self.try_send(&SendRecord {
            value: Some(value.as_bytes()),
            partition: Some(partition),
            ..SendRecord::default()
        })
    }

    /// The next request, which must be of this API.
    pub(crate) fn next_request(&mut self, api: ApiKey) -> (i32, Request) {
        let (node, request) = self.requests.pop_front().expect("a request");
        assert_eq!(request.api_key, api.0);
        (node, request)
    }

    pub(crate) fn answer_metadata(&mut self, leaders: &[i32]) {
        self.answer_metadata_with(ErrorCode::NONE, leaders, 0);
    }

    /// Answers with the topic led so; a leader of -1 is none.
    pub(crate) fn answer_metadata_with(&mut self, code: ErrorCode, leaders: &[i32], epoch: i32) {
        self.answer_metadata_of(Uuid::ZERO, code, leaders, epoch);
    }

    pub(crate) fn answer_metadata_of(
        &mut self,
        topic_id: Uuid,
        code: ErrorCode,
        leaders: &[i32],
        epoch: i32,
    ) {
        let (node, request) = self.next_request(ApiKey::METADATA);
        let partition = |(index, &leader_id): (i32, &i32)| MetadataResponsePartition {
            partition_index: index,
            leader_id,
            leader_epoch: epoch,
            ..MetadataResponsePartition::default()
        };
        let broker = |node_id: i32| MetadataResponseBroker {
            node_id,
            host: format!("broker-{node_id}"),
            port: 9092,
            ..MetadataResponseBroker::default()
        };
        let answer = MetadataResponse {
            brokers: vec![broker(1), broker(2)],
            topics: vec![MetadataResponseTopic {
                error_code: code.0,
                name: Some(TOPIC.into()),
                topic_id,
                partitions: (0..).zip(leaders).map(partition).collect(),
                ..MetadataResponseTopic::default()
            }],
            ..MetadataResponse::default()
        };
        self.respond(node, &request, &answer);
    }

    pub(crate) fn respond(&mut self, node: i32, request: &Request, answer: &impl Message) {
        let mut writer = Writer::default();
        answer.encode(&mut writer, request.api_version).expect("encodes");
        let now = self.now();
        self.sender
            .handle_response(node, request.id, writer.into_bytes(), now);
        self.turn();
    }

    pub(crate) fn answer_producer_id(&mut self, code: ErrorCode) {
        let (node, request) = self.next_request(ApiKey::INIT_PRODUCER_ID);
        let granted = code == ErrorCode::NONE;
        let answer = InitProducerIdResponse {
            error_code: code.0,
            producer_id: if granted { PRODUCER_ID } else { -1 },
            producer_epoch: if granted { 0 } else { -1 },
            ..InitProducerIdResponse::default()
        };
        self.respond(node, &request, &answer);
    }

    /// Answers metadata requests until a Produce request is next, with time going on between them.
    pub(crate) fn until_produce(&mut self, leaders: &[i32]) {
        self.turn();
        for _ in 0..100 {
            match self.requests.front() {
                Some((_, request)) if request.api_key == ApiKey::PRODUCE.0 => return,
                Some(_) => self.answer_metadata(leaders),
                None => {
                    let next = self.sender.poll_timeout().expect("something is due");
                    self.clock.advance_to(next);
                    self.turn();
                }
            }
        }
        panic!("no Produce request comes");
    }

    /// Lets time go on until there is a request to answer.
    pub(crate) fn until_request(&mut self) {
        self.turn();
        while self.requests.is_empty() {
            let next = self.sender.poll_timeout().expect("something is due");
            self.clock.advance_to(next);
            self.turn();
        }
    }

    /// Lets time pass until `until`; whenever metadata is asked for, these are the leaders.
    pub(crate) fn run_answering_metadata(&mut self, leaders: &[i32], until: Time) {
        self.run_answering(until, |world| world.answer_metadata(leaders));
    }

    /// Lets time pass until `until`; `answer` answers the next request, whenever there is one.
    pub(crate) fn run_answering(&mut self, until: Time, mut answer: impl FnMut(&mut World)) {
        self.turn();
        loop {
            while !self.requests.is_empty() {
                answer(self);
            }
            let Some(at) = self.sender.poll_timeout().filter(|&at| at <= until) else {
                break;
            };
            self.clock.advance_to(at);
            self.turn();
        }
        self.clock.advance_to(until);
    }

    /// Answers the next Produce request: each partition with the code, and with `base_offset` if there is none.
    pub(crate) fn answer_produce(&mut self, code: ErrorCode, base_offset: i64) -> Vec<Sent> {
        let (node, request) = self.next_request(ApiKey::PRODUCE);
        let sent = sent(&request);
        let partition_responses = sent.iter().map(|sent| PartitionProduceResponse {
            index: sent.partition,
            error_code: code.0,
            base_offset: if code == ErrorCode::NONE { base_offset } else { -1 },
            ..PartitionProduceResponse::default()
        });
        let topic = TopicProduceResponse {
            name: TOPIC.into(),
            partition_responses: partition_responses.collect(),
            ..TopicProduceResponse::default()
        };
        let answer = ProduceResponse {
            responses: vec![topic],
            ..ProduceResponse::default()
        };
        self.respond(node, &request, &answer);
        sent
    }

    /// Ends the next request and its connection without an answer.
    pub(crate) fn lose(&mut self, written: bool) -> Vec<Sent> {
        let (node, request) = self.requests.pop_front().expect("a request");
        let now = self.now();
        self.sender
            .handle_failed(node, request.id, "connection reset", written, now);
        self.sender.handle_disconnected(node, "connection reset", now);
        self.turn();
        if request.api_key == ApiKey::PRODUCE.0 {
            sent(&request)
        } else {
            Vec::new()
        }
    }

    /// Polls a future once.
    pub(crate) fn poll<F: Future>(future: F) -> Option<F::Output> {
        match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(output) => Some(output),
            Poll::Pending => None,
        }
    }
}

/// A batch as it went over the wire.
#[derive(Debug, PartialEq, Eq, Clone)]
pub(crate) struct Sent {
    pub(crate) partition: i32,
    pub(crate) values: Vec<String>,
    /// Producer id, epoch and base sequence.
    pub(crate) identity: (i64, i16, i32),
    pub(crate) bytes: Bytes,
}

/// Decodes a Produce request with the generated type: what the hand-written encoder wrote is pinned by it.
pub(crate) fn sent(request: &Request) -> Vec<Sent> {
    let body = Bytes::from(request.body.concat());
    let mut reader = Reader::from_bytes(&body);
    let decoded = ProduceRequest::decode(&mut reader, request.api_version).expect("a Produce request");
    reader.finish().expect("nothing behind it");
    let topics = decoded.topic_data.into_iter();
    topics
        .flat_map(|topic| {
            assert_eq!(topic.name, TOPIC);
            topic.partition_data
        })
        .map(|partition| {
            let bytes = partition.records.expect("records");
            let batch = RecordBatch::decode(bytes.clone()).expect("a batch");
            batch.check_crc().expect("its checksum");
            let header = *batch.header();
            let value = |record: ottla_protocol::records::Record| {
                String::from_utf8(record.value.unwrap_or_default().to_vec()).expect("text")
            };
            let records = batch
                .records(&mut Decompressor::new(), 1 << 20)
                .expect("readable");
            let values = records.map(|record| value(record.expect("a record"))).collect();
            Sent {
                partition: partition.index,
                identity: (header.producer_id, header.producer_epoch, header.base_sequence),
                values,
                bytes,
            }
        })
        .collect()
}

//! Work for valgrind to count the instructions of: `instructions CASE COUNT` does it `COUNT` times and prints nothing;
//! without arguments the cases are listed.
//!
//! Everything is on one thread and without a clock or a socket, so that the count is the same again and again. `cargo
//! xtask bench --instructions` runs each case with two counts: the difference is what the work takes, without what it
//! takes to begin.

use std::collections::VecDeque;
use std::error::Error;
use std::hint::black_box;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

use bytes::Bytes;
use ottla_accumulator::AccumulatorConfig;
use ottla_partitioning::{DefaultPartitioner, murmur2};
use ottla_protocol::messages::metadata::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use ottla_protocol::messages::produce::{PartitionProduceResponse, TopicProduceResponse};
use ottla_protocol::messages::{InitProducerIdResponse, MetadataResponse, ProduceRequest, ProduceResponse};
use ottla_protocol::records::BatchBuilder;
use ottla_protocol::wire::{Reader, Writer};
use ottla_protocol::{ApiKey, Message};
use ottla_sender::{
    Action, Address, ApiRange, Delivery, Handle, Request, SendRecord, Sender, SenderConfig, Topic,
};
use ottla_time::{Clock, ManualClock};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Does something so many times.
type Work = fn(u64) -> Result<()>;

/// The cases: a name, how many repetitions tell enough, and the work. Once is one record, one message or one key.
const CASES: &[(&str, u64, Work)] = &[
    ("send-dropped", 20_000, |count| {
        Core::new(16 << 10)?.send(count, false, false)
    }),
    ("send-kept", 20_000, |count| {
        Core::new(16 << 10)?.send(count, false, true)
    }),
    ("send-keyed", 20_000, |count| {
        Core::new(16 << 10)?.send(count, true, false)
    }),
    ("send-large-batches", 50_000, |count| {
        Core::new(1 << 20)?.send(count, false, false)
    }),
    ("build-batch", 50_000, build_batches),
    ("decode-metadata", 200, decode_metadata),
    ("encode-metadata", 200, encode_metadata),
    ("hash-key", 100_000, hash_keys),
];

const NAME: &str = "a-topic-of-usual-length";
const NODE: i32 = 1;
const PARTITIONS: i32 = 6;
const VALUE: [u8; 100] = [0x5a; 100];
const WALL_MS: i64 = 1_700_000_000_000;
/// Names in these versions, not ids: a Produce request and its answer are read without the metadata.
const PRODUCE_VERSION: i16 = 12;
const METADATA_VERSION: i16 = 12;
/// How many records are sent between two turns of the sender: a little less than fill one default batch.
const TURN_INTERVAL: u64 = 128;

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let Some(name) = arguments.next() else {
        for (name, repetitions, _) in CASES {
            println!("{name} {repetitions}");
        }
        return Ok(());
    };
    let count = arguments
        .next()
        .ok_or("usage: instructions CASE COUNT")?
        .parse()?;
    let (.., work) = CASES
        .iter()
        .find(|case| case.0 == name)
        .ok_or("there is no such case")?;
    work(count)
}

/// The core of a producer, with a broker that acknowledges everything at once.
struct Core {
    sender: Sender,
    handle: Handle,
    clock: Arc<ManualClock>,
    topic: Arc<Topic>,
    requests: VecDeque<(i32, Request)>,
    next_offset: i64,
}

impl Core {
    fn new(batch_size: usize) -> Result<Core> {
        let mut config = SenderConfig::default();
        config.bootstrap = vec![Address {
            host: "broker".into(),
            port: 9092,
        }];
        config.max_request_size = 8 << 20;
        let mut accumulator = AccumulatorConfig::default();
        accumulator.batch_size = batch_size;
        let clock = Arc::new(ManualClock::new(WALL_MS));
        let partitioner = Box::new(DefaultPartitioner::new());
        let (sender, handle) = Sender::new(config, accumulator, partitioner, clock.clone(), 7);
        let topic = handle.topic(NAME);
        let mut core = Core {
            sender,
            handle,
            clock,
            topic,
            requests: VecDeque::new(),
            next_offset: 0,
        };
        // It asks for metadata and a producer id, and is answered.
        for _ in 0..100 {
            if let Ok(delivery) = core.handle.try_send(&core.topic, &SendRecord::default()) {
                drop(delivery);
                return Ok(core);
            }
            core.clock.advance(Duration::from_millis(10));
            core.turn()?;
        }
        Err("the metadata does not come".into())
    }

    /// Sends records, and drops their deliveries at once or keeps them until their outcomes stand.
    fn send(mut self, count: u64, keyed: bool, keep: bool) -> Result<()> {
        let mut kept: VecDeque<Delivery> = VecDeque::new();
        for number in 0..count {
            let key = number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes();
            let record = SendRecord {
                key: keyed.then_some(&key[..]),
                value: Some(black_box(&VALUE)),
                ..SendRecord::default()
            };
            let delivery = self.handle.try_send(&self.topic, &record)?;
            if keep {
                kept.push_back(delivery);
            }
            if number % TURN_INTERVAL == 0 {
                self.clock.advance(Duration::from_millis(1));
                self.turn()?;
                while kept.front().is_some_and(Delivery::is_resolved) {
                    let outcome = kept.pop_front().and_then(|delivery| delivery.outcome());
                    outcome.ok_or("it is resolved")??;
                }
            }
        }
        Ok(())
    }

    /// Lets the sender do what is due, and answers what it asks.
    fn turn(&mut self) -> Result<()> {
        loop {
            let now = self.clock.now();
            // As a driver would: looking takes the wake-up.
            let _ = self.sender.wakeup().take(&mut Context::from_waker(Waker::noop()));
            self.sender.turn(now);
            while let Some(action) = self.sender.poll_action() {
                match action {
                    Action::Connect { node, .. } => {
                        let range = |key: ApiKey, max| ApiRange {
                            key: key.0,
                            min: 0,
                            max,
                        };
                        let ranges = [
                            range(ApiKey::PRODUCE, PRODUCE_VERSION),
                            range(ApiKey::METADATA, METADATA_VERSION),
                            range(ApiKey::INIT_PRODUCER_ID, 5),
                        ];
                        self.sender.handle_ready(node, ranges, now);
                    }
                    Action::Send { node, request } => self.requests.push_back((node, request)),
                    other => return Err(format!("not expected: {other:?}").into()),
                }
            }
            if self.requests.is_empty() {
                return Ok(());
            }
            while let Some((node, request)) = self.requests.pop_front() {
                let body = self.answer(&request)?;
                self.sender.handle_response(node, request.id, body, now);
            }
        }
    }

    fn answer(&mut self, request: &Request) -> Result<Bytes> {
        let version = request.api_version;
        if request.api_key == ApiKey::PRODUCE.0 {
            let body = Bytes::from(request.body.concat());
            let produce = ProduceRequest::decode(&mut Reader::from_bytes(&body), version)?;
            return bytes(&self.acknowledgement(&produce), version);
        }
        if request.api_key == ApiKey::METADATA.0 {
            return bytes(&metadata(1, PARTITIONS), version);
        }
        let granted = InitProducerIdResponse {
            producer_id: 4_000,
            ..InitProducerIdResponse::default()
        };
        bytes(&granted, version)
    }

    fn acknowledgement(&mut self, request: &ProduceRequest) -> ProduceResponse {
        let responses = request.topic_data.iter().map(|topic| TopicProduceResponse {
            name: topic.name.clone(),
            partition_responses: topic
                .partition_data
                .iter()
                .map(|partition| {
                    // Any offset will do, as long as they go up.
                    self.next_offset += 1_000_000;
                    PartitionProduceResponse {
                        index: partition.index,
                        base_offset: self.next_offset,
                        ..PartitionProduceResponse::default()
                    }
                })
                .collect(),
            ..TopicProduceResponse::default()
        });
        ProduceResponse {
            responses: responses.collect(),
            ..ProduceResponse::default()
        }
    }
}

fn bytes(message: &impl Message, version: i16) -> Result<Bytes> {
    let mut writer = Writer::default();
    message.encode(&mut writer, version)?;
    Ok(writer.into_bytes())
}

fn metadata(topics: usize, partitions: i32) -> MetadataResponse {
    let partition = |partition_index| MetadataResponsePartition {
        partition_index,
        leader_id: NODE,
        replica_nodes: vec![NODE],
        isr_nodes: vec![NODE],
        ..MetadataResponsePartition::default()
    };
    let topic = |number: usize| MetadataResponseTopic {
        // The first has the name that is asked for.
        name: Some(format!("{NAME}{}", "-other".repeat(number.min(1)))),
        partitions: (0..partitions).map(partition).collect(),
        ..MetadataResponseTopic::default()
    };
    MetadataResponse {
        brokers: vec![MetadataResponseBroker {
            node_id: NODE,
            host: "broker".into(),
            port: 9092,
            ..MetadataResponseBroker::default()
        }],
        topics: (0..topics).map(topic).collect(),
        ..MetadataResponse::default()
    }
}

/// One record at a time into batches of 16 KiB, which are finished with their checksum.
fn build_batches(count: u64) -> Result<()> {
    let mut builder = BatchBuilder::with_buffer(Vec::new(), 16 << 10);
    for _ in 0..count {
        if builder
            .append(WALL_MS, None, Some(black_box(&VALUE)), &[])
            .is_err()
        {
            let spare = builder.finish().try_into_mut().map(Vec::from).unwrap_or_default();
            builder = BatchBuilder::with_buffer(spare, 16 << 10);
        }
    }
    black_box(builder.finish());
    Ok(())
}

fn decode_metadata(count: u64) -> Result<()> {
    let encoded = bytes(&metadata(10, 20), METADATA_VERSION)?;
    for _ in 0..count {
        let mut reader = Reader::from_bytes(black_box(&encoded));
        black_box(MetadataResponse::decode(&mut reader, METADATA_VERSION)?);
    }
    Ok(())
}

fn encode_metadata(count: u64) -> Result<()> {
    let message = metadata(10, 20);
    let mut writer = Writer::default();
    for _ in 0..count {
        writer.clear();
        black_box(&message).encode(&mut writer, METADATA_VERSION)?;
    }
    Ok(())
}

fn hash_keys(count: u64) -> Result<()> {
    for number in 0..count {
        let key = [number.to_be_bytes(), [7; 8]];
        black_box(murmur2(black_box(key.as_flattened())));
    }
    Ok(())
}

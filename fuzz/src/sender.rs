//! Any events into the sender, in any order that a driver could bring them: answers with any error, answers that make no
//! sense, failures, disconnects, time.
//!
//! It never panics or spins, keeps to its limits, and once the events stop every delivery resolves by its deadline.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

use arbitrary::{Arbitrary as _, Result, Unstructured};
use bytes::Bytes;
use ottla_accumulator::AccumulatorConfig;
use ottla_partitioning::DefaultPartitioner;
use ottla_protocol::compression::{Codec, Compression};
use ottla_protocol::messages::metadata::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use ottla_protocol::messages::produce::{LeaderIdAndEpoch, PartitionProduceResponse, TopicProduceResponse};
use ottla_protocol::messages::{InitProducerIdResponse, MetadataResponse, ProduceRequest, ProduceResponse};
use ottla_protocol::wire::{Reader, Writer};
use ottla_protocol::{ApiKey, Message};
use ottla_sender::{
    Acks, Action, Address, ApiRange, Delivery, Handle, Request, Sealer, SendRecord, Sender, SenderConfig,
};
use ottla_time::{Clock as _, ManualClock, Time};

const DELIVERY_TIMEOUT: Duration = Duration::from_secs(20);
const NODES: i32 = 3;
const PRODUCE_VERSION: i16 = 12;
const METADATA_VERSION: i16 = 9;
/// Turns without time passing: more than any input can cause in earnest.
const TURNS_MAX: usize = 10_000;

/// One input: what [`Unstructured`] makes of it.
pub fn run(input: &[u8]) {
    // Too short an input is none.
    let _ = events(&mut Unstructured::new(input));
}

struct World {
    sender: Sender,
    handle: Handle,
    clock: Arc<ManualClock>,
    /// Nodes that asked for a connection and have none, and those that have one.
    asked: Vec<i32>,
    ready: Vec<i32>,
    requests: VecDeque<(i32, Request)>,
    deliveries: Vec<(Time, Delivery)>,
    sealer: Sealer,
    in_flight_max: usize,
    acks: Acks,
    finished: bool,
}

fn events(input: &mut Unstructured<'_>) -> Result<()> {
    let idempotent = bool::arbitrary(input)?;
    let acks = if idempotent {
        Acks::All
    } else {
        *input.choose(&[Acks::None, Acks::Leader, Acks::All])?
    };
    let codec = Codec::new(*input.choose(&[Compression::None, Compression::Lz4])?);
    let in_flight_max = input.int_in_range(1..=5)?;
    let mut config = SenderConfig::default();
    config.bootstrap = vec![Address {
        host: "bootstrap".into(),
        port: 1,
    }];
    config.acks = acks;
    config.idempotent = idempotent;
    config.codec = codec;
    config.linger = Duration::from_millis(u64::from(u8::arbitrary(input)?));
    config.retries = *input.choose(&[0, 1, 3, u32::MAX])?;
    config.delivery_timeout = DELIVERY_TIMEOUT;
    config.request_timeout = Duration::from_secs(5);
    config.max_in_flight = in_flight_max;
    let mut accumulator = AccumulatorConfig::default();
    accumulator.batch_size = usize::from(u8::arbitrary(input)?) * 4;
    accumulator.buffer_memory = 100_000;
    accumulator.compression = codec.compression();
    let clock = Arc::new(ManualClock::new(1_700_000_000_000));
    let (sender, handle) = Sender::new(
        config,
        accumulator,
        Box::new(DefaultPartitioner::new()),
        clock.clone(),
        3,
    );
    let mut world = World {
        sender,
        handle,
        clock,
        asked: Vec::new(),
        ready: Vec::new(),
        requests: VecDeque::new(),
        deliveries: Vec::new(),
        sealer: Sealer::new(codec).expect("compiled in"),
        in_flight_max,
        acks,
        finished: false,
    };
    let result = world.play(input);
    world.end();
    result
}

impl World {
    fn play(&mut self, input: &mut Unstructured<'_>) -> Result<()> {
        while !input.is_empty() && !self.finished {
            match input.int_in_range(0..=12)? {
                0..=2 => self.send(input)?,
                3 | 4 => self.connect(input)?,
                5..=8 => self.answer(input)?,
                9 => self.fail(input)?,
                10 => {
                    let millis = u64::from(u16::arbitrary(input)? % 3_000);
                    self.run_until(self.clock.now() + Duration::from_millis(millis));
                }
                11 => drop(self.handle.flush()),
                _ if input.ratio(1, 50)? => {
                    drop(
                        self.handle
                            .close(Duration::from_millis(u64::from(u16::arbitrary(input)?))),
                    );
                }
                _ => {}
            }
            self.turn();
        }
        Ok(())
    }

    fn send(&mut self, input: &mut Unstructured<'_>) -> Result<()> {
        let topic = self.handle.topic(input.choose(&["a", "b"])?);
        let key = [u8::arbitrary(input)?];
        let value = vec![1; usize::from(u16::arbitrary(input)? % 1_500)];
        let record = SendRecord {
            key: bool::arbitrary(input)?.then_some(&key[..]),
            value: Some(&value),
            partition: input.ratio(1, 4)?.then_some(i32::from(i8::arbitrary(input)? % 4)),
            ..SendRecord::default()
        };
        if let Ok(delivery) = self.handle.try_send(&topic, &record) {
            self.deliveries.push((self.clock.now(), delivery));
        }
        Ok(())
    }

    /// A connection that was asked for is made, or cannot be; or one that stood ends.
    fn connect(&mut self, input: &mut Unstructured<'_>) -> Result<()> {
        let now = self.clock.now();
        if !self.asked.is_empty() && input.ratio(7, 8)? {
            let at = usize::from(u8::arbitrary(input)?) % self.asked.len();
            let node = self.asked.swap_remove(at);
            if input.ratio(1, 8)? {
                self.sender.handle_disconnected(node, "refused", now);
                return Ok(());
            }
            let versions = [
                (ApiKey::PRODUCE, PRODUCE_VERSION),
                (ApiKey::METADATA, METADATA_VERSION),
                (ApiKey::INIT_PRODUCER_ID, 4),
            ];
            let range = |(key, max): (ApiKey, i16)| ApiRange {
                key: key.0,
                min: 0,
                max,
            };
            self.sender.handle_ready(node, versions.map(range), now);
            self.ready.push(node);
        } else if !self.ready.is_empty() {
            let at = usize::from(u8::arbitrary(input)?) % self.ready.len();
            self.disconnect(self.ready[at], bool::arbitrary(input)?);
        }
        Ok(())
    }

    fn disconnect(&mut self, node: i32, written: bool) {
        let now = self.clock.now();
        self.ready.retain(|other| *other != node);
        let (lost, kept) = std::mem::take(&mut self.requests)
            .into_iter()
            .partition(|(other, _)| *other == node);
        self.requests = kept;
        let lost: VecDeque<(i32, Request)> = lost;
        for (_, request) in lost {
            self.sender.handle_failed(node, request.id, "reset", written, now);
        }
        self.sender.handle_disconnected(node, "reset", now);
    }

    fn answer(&mut self, input: &mut Unstructured<'_>) -> Result<()> {
        if self.requests.is_empty() {
            return Ok(());
        }
        // A broker answers in order; between brokers anything goes.
        let node = self.requests[usize::from(u8::arbitrary(input)?) % self.requests.len()].0;
        let Some(at) = self.requests.iter().position(|(other, _)| *other == node) else {
            return Ok(());
        };
        let Some((_, request)) = self.requests.remove(at) else {
            return Ok(());
        };
        let now = self.clock.now();
        if !request.expects_response {
            self.sender.handle_written(node, request.id, now);
            return Ok(());
        }
        let body = if input.ratio(1, 16)? {
            let length = usize::from(u8::arbitrary(input)?).min(input.len());
            Bytes::copy_from_slice(input.bytes(length)?)
        } else {
            body(&request, input)?
        };
        self.sender.handle_response(node, request.id, body, now);
        Ok(())
    }

    fn fail(&mut self, input: &mut Unstructured<'_>) -> Result<()> {
        if let Some((node, request)) = self.requests.pop_front() {
            let written = bool::arbitrary(input)?;
            self.sender
                .handle_failed(node, request.id, "timed out", written, self.clock.now());
        }
        Ok(())
    }

    fn turn(&mut self) {
        for _ in 0..TURNS_MAX {
            let now = self.clock.now();
            let _ = self.sender.wakeup().take(&mut Context::from_waker(Waker::noop()));
            self.sender.turn(now);
            let (mut again, mut replaced) = (false, Vec::new());
            while let Some(action) = self.sender.poll_action() {
                match action {
                    Action::Connect { node, .. } => {
                        // To another address: the connection is replaced.
                        if self.ready.contains(&node) {
                            self.disconnect(node, true);
                            replaced.push(node);
                            again = true;
                        }
                        if !self.asked.contains(&node) {
                            self.asked.push(node);
                        }
                    }
                    Action::Disconnect { node } => {
                        self.disconnect(node, true);
                        replaced.push(node);
                        again = true;
                    }
                    Action::Send { node, request } if !self.ready.contains(&node) => {
                        // It was meant for the connection that has just been replaced.
                        assert!(replaced.contains(&node), "a request to a node without connection");
                        self.sender
                            .handle_failed(node, request.id, "replaced", false, now);
                        again = true;
                    }
                    Action::Send { node, request } => {
                        self.requests.push_back((node, request));
                        let to_node = self.requests.iter().filter(|(other, _)| *other == node).count();
                        // Produce is limited; what asks for metadata or an id comes on top, once each.
                        assert!(to_node <= self.in_flight_max + 2, "{to_node} in flight");
                    }
                    Action::Seal(job) => {
                        let sealed = job.run(&mut self.sealer);
                        self.sender.handle_sealed(sealed, now);
                        again = true;
                    }
                    Action::Finished => {
                        self.finished = true;
                        return;
                    }
                    _ => {}
                }
            }
            if !again {
                return;
            }
        }
        panic!("the sender spins");
    }

    /// Lets time pass, with a turn at each timeout. Requests that wait for too long fail, as the network would have it.
    fn run_until(&mut self, until: Time) {
        let mut turns = 0;
        while !self.finished
            && let Some(at) = self.sender.poll_timeout().filter(|&at| at <= until)
        {
            turns += 1;
            assert!(turns < TURNS_MAX, "the sender is woken without end at {at}");
            self.clock.advance_to(at);
            self.turn();
        }
        self.clock.advance_to(until);
    }

    /// The cluster is gone for good: every delivery has its outcome by its deadline.
    fn end(mut self) {
        self.turn();
        let nodes: Vec<i32> = self.ready.clone();
        for node in nodes {
            self.disconnect(node, true);
        }
        let step = Duration::from_millis(500);
        let until = self.clock.now() + DELIVERY_TIMEOUT + Duration::from_secs(1);
        while self.clock.now() < until && !self.finished {
            self.run_until(self.clock.now() + step);
            for node in std::mem::take(&mut self.asked) {
                let now = self.clock.now();
                self.sender.handle_disconnected(node, "gone", now);
            }
            self.turn();
        }
        for (sent, delivery) in &self.deliveries {
            assert!(
                delivery.is_resolved(),
                "sent at {sent}, and it is {} now",
                self.clock.now()
            );
        }
        if self.acks != Acks::None && !self.finished {
            assert_eq!(self.handle.memory_used(), 0);
        }
        let mut closing = pin!(self.handle.close(Duration::ZERO));
        self.turn();
        assert!(
            closing
                .as_mut()
                .poll(&mut Context::from_waker(Waker::noop()))
                .is_ready()
                || self.finished
        );
    }
}

/// An answer that makes sense, mostly of success.
fn body(request: &Request, input: &mut Unstructured<'_>) -> Result<Bytes> {
    let code = |input: &mut Unstructured<'_>| -> Result<i16> {
        Ok(match input.int_in_range(0..=9)? {
            0..=5 => 0,
            6 => *input.choose(&[3, 5, 6, 7, 10, 19, 20, 45, 46, 47, 59, 100])?,
            7 => i16::arbitrary(input)?,
            _ => i16::from(u8::arbitrary(input)? % 130),
        })
    };
    let mut writer = Writer::default();
    let version = request.api_version;
    let encoded = if request.api_key == ApiKey::PRODUCE.0 {
        produced(request, input, code)?.encode(&mut writer, version)
    } else if request.api_key == ApiKey::METADATA.0 {
        metadata(input, code)?.encode(&mut writer, version)
    } else {
        let answer = InitProducerIdResponse {
            throttle_time_ms: i32::from(u8::arbitrary(input)?),
            error_code: code(input)?,
            producer_id: i64::from(i8::arbitrary(input)?),
            producer_epoch: i16::from(i8::arbitrary(input)?),
            ..InitProducerIdResponse::default()
        };
        answer.encode(&mut writer, version)
    };
    encoded.expect("only what the version has is set");
    Ok(writer.into_bytes())
}

type Code = fn(&mut Unstructured<'_>) -> Result<i16>;

fn produced(request: &Request, input: &mut Unstructured<'_>, code: Code) -> Result<ProduceResponse> {
    let body = Bytes::from(request.body.concat());
    let sent = ProduceRequest::decode(&mut Reader::from_bytes(&body), request.api_version);
    let sent = sent.expect("the sender writes what can be read");
    let mut answer = ProduceResponse {
        throttle_time_ms: if input.ratio(1, 10)? {
            i32::arbitrary(input)?
        } else {
            0
        },
        ..ProduceResponse::default()
    };
    for topic in sent.topic_data {
        let mut responses = Vec::new();
        for partition in topic.partition_data {
            if input.ratio(1, 20)? {
                continue;
            }
            responses.push(PartitionProduceResponse {
                index: partition.index,
                error_code: code(input)?,
                base_offset: i64::from(i16::arbitrary(input)?),
                current_leader: LeaderIdAndEpoch {
                    leader_id: i32::from(i8::arbitrary(input)? % (NODES as i8 + 2)),
                    leader_epoch: i32::from(i8::arbitrary(input)?),
                    ..LeaderIdAndEpoch::default()
                },
                ..PartitionProduceResponse::default()
            });
        }
        answer.responses.push(TopicProduceResponse {
            name: topic.name,
            partition_responses: responses,
            ..TopicProduceResponse::default()
        });
    }
    Ok(answer)
}

fn metadata(input: &mut Unstructured<'_>, code: Code) -> Result<MetadataResponse> {
    let brokers = (1..=NODES).filter(|_| input.ratio(7, 8).unwrap_or(true));
    let brokers: Vec<i32> = brokers.collect();
    let moved = u16::from(input.ratio(1, 8)?);
    let broker = |&node_id: &i32| MetadataResponseBroker {
        node_id,
        host: format!("broker-{node_id}"),
        port: i32::from(9_000 + moved),
        ..MetadataResponseBroker::default()
    };
    let mut topics = Vec::new();
    for name in ["a", "b"] {
        let count = input.int_in_range(0..=4)?;
        let mut partitions = Vec::new();
        for partition_index in 0..count {
            partitions.push(MetadataResponsePartition {
                error_code: if input.ratio(1, 8)? { code(input)? } else { 0 },
                partition_index,
                leader_id: input.int_in_range(-1..=NODES)?,
                leader_epoch: i32::from(i8::arbitrary(input)?),
                ..MetadataResponsePartition::default()
            });
        }
        topics.push(MetadataResponseTopic {
            error_code: if input.ratio(1, 8)? { code(input)? } else { 0 },
            name: Some(name.to_owned()),
            partitions,
            ..MetadataResponseTopic::default()
        });
    }
    Ok(MetadataResponse {
        brokers: brokers.iter().map(broker).collect(),
        topics,
        ..MetadataResponse::default()
    })
}

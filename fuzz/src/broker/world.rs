//! A cluster, and the clients that talk to it.

use std::collections::VecDeque;
use std::time::Duration;

use arbitrary::{Arbitrary as _, Result, Unstructured};
use bytes::Bytes;
use ottla_broker::{Cluster, ClusterConfig, ConnectionId, Fault, Output, Pose, TopicConfig, TopicSpec};
use ottla_protocol::messages::add_partitions_to_txn::AddPartitionsToTxnTopic;
use ottla_protocol::messages::fetch::{FetchPartition, FetchTopic};
use ottla_protocol::messages::produce::{PartitionProduceData, ProduceResponse, TopicProduceData};
use ottla_protocol::messages::txn_offset_commit::{
    TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use ottla_protocol::messages::{
    AddPartitionsToTxnRequest, EndTxnRequest, EndTxnResponse, FetchRequest, InitProducerIdRequest,
    InitProducerIdResponse, MetadataRequest, ProduceRequest, TxnOffsetCommitRequest,
};
use ottla_protocol::records::BatchBuilder;
use ottla_protocol::wire::Uuid;
use ottla_protocol::{Request, frame};
use ottla_time::Time;

use super::operation::{BROKERS, Identity, Operation, PARTITIONS, PRODUCERS, Produce, Sequence};

pub(super) const TOPIC: &str = "t";
const GROUP: &str = "g";
/// Longer than a transaction may last, and than anything is delayed.
const HEALING: Duration = Duration::from_secs(3_600);
pub(super) const TOPIC_BYTES_MAX: usize = 24 * 1024;

/// A producer, as it sees itself.
#[derive(Debug)]
struct Producer {
    transactional_id: Option<&'static str>,
    identity: (i64, i16),
    next: [i32; PARTITIONS as usize],
    /// The last batch of each partition: sequence and records.
    last: [(i32, u8); PARTITIONS as usize],
}

/// A batch that was acknowledged by all replicas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Acked {
    pub(super) topic_id: Uuid,
    pub(super) partition: i32,
    pub(super) base_offset: i64,
    pub(super) identity: (i64, i16),
    pub(super) sequence: i32,
}

/// What an answer is for.
#[derive(Clone, Copy, Debug)]
enum Expected {
    Produced(Acked),
    Identity(usize),
    Ended(usize),
    Anything,
}

/// A request without its answer.
#[derive(Debug)]
struct Open {
    correlation_id: i32,
    version: i16,
    expected: Expected,
    /// Panics if the answer is none.
    read: fn(&Bytes, i16),
}

/// One client's connection to one broker.
#[derive(Debug, Default)]
struct Link {
    id: Option<ConnectionId>,
    open: VecDeque<Open>,
    /// Bytes went over it that may be a request which waits for days.
    is_garbled: bool,
}

#[derive(Debug)]
pub(super) struct World {
    pub(super) cluster: Cluster,
    pub(super) pose: Pose,
    pub(super) acked: Vec<Acked>,
    /// How many events were looked at.
    pub(super) events_seen: u64,
    /// Whether the transaction that a producer id has decided was committed.
    pub(super) decided: std::collections::BTreeMap<i64, bool>,
    now: Time,
    links: [Link; BROKERS as usize],
    producers: [Producer; PRODUCERS],
    next_correlation_id: i32,
}

impl World {
    pub(super) fn arbitrary(input: &mut Unstructured<'_>) -> Result<World> {
        let mut config = ClusterConfig::default();
        config.brokers = BROKERS;
        config.pose = *input.choose(&[
            Pose::V4_3,
            Pose::V4_3,
            Pose::V4_0,
            Pose::V3_9,
            Pose::V2_8,
            Pose::V2_1,
        ])?;
        config.replication_delay = Duration::from_millis(input.int_in_range(0..=20)?);
        config.election_delay = Duration::from_millis(*input.choose(&[0, 0, 100])?);
        config.marker_delay = Duration::from_millis(*input.choose(&[0, 0, 10])?);
        config.topics = vec![topic_spec()];
        config.seed = u64::from(u8::arbitrary(input)?);
        let limits = &mut config.limits;
        limits.frame_bytes_max = 64 * 1024;
        limits.queued_requests_max = 8;
        limits.connections_max = 16;
        limits.topics_max = 8;
        limits.partitions_max = 32;
        limits.topic_bytes_max = TOPIC_BYTES_MAX;
        limits.log_bytes_max = 4 * TOPIC_BYTES_MAX;
        limits.transactional_ids_max = 8;
        limits.groups_max = 8;
        limits.group_members_max = 8;
        limits.group_metadata_bytes_max = 1_024;
        limits.events_max = 512;
        let pose = config.pose;
        let mut world = World {
            cluster: Cluster::new(config).expect("a good configuration"),
            pose,
            acked: Vec::new(),
            events_seen: 0,
            decided: std::collections::BTreeMap::new(),
            now: Time::ZERO,
            links: Default::default(),
            producers: [Some("x"), Some("y"), None, None].map(Producer::new),
            next_correlation_id: 0,
        };
        for producer in 0..PRODUCERS {
            world.run(&Operation::Init {
                producer,
                version: 1,
                known: false,
            });
        }
        Ok(world)
    }

    pub(super) fn run(&mut self, operation: &Operation<'_>) {
        match operation {
            Operation::Produce(produce) => self.produce(produce),
            Operation::Init {
                producer,
                version,
                known,
            } => self.init(*producer, *version, *known),
            Operation::AddPartitions { .. } | Operation::CommitOffset { .. } | Operation::End { .. } => {
                self.transact(operation);
            }
            Operation::Fetch {
                partition,
                offset,
                committed,
                wait_ms,
            } => self.fetch(*partition, *offset, *committed, *wait_ms),
            Operation::Frame {
                broker,
                api,
                version,
                body,
            } => {
                let header = [
                    api.to_be_bytes(),
                    version.to_be_bytes(),
                    [0; 2],
                    [0; 2],
                    [0xff; 2],
                ]
                .concat();
                // Nobody waits for the answer: its correlation id is 0.
                self.garble(*broker, Bytes::from([&header, *body].concat()));
            }
            Operation::Bytes(broker, bytes) => self.garble(*broker, Bytes::copy_from_slice(bytes)),
            other => self.control(other),
        }
        self.drain();
    }

    /// What happens beside the clients. A broker or partition that is not there is an error, and that is all.
    fn control(&mut self, operation: &Operation<'_>) {
        let cluster = &mut self.cluster;
        match operation {
            Operation::CreateTopic => drop(cluster.create_topic(&topic_spec())),
            Operation::DeleteTopic => drop(cluster.delete_topic(TOPIC)),
            Operation::DeleteRecords { partition, offset } => {
                drop(cluster.delete_records(TOPIC, *partition, *offset));
            }
            Operation::MinInsyncReplicas(count) => {
                drop(cluster.configure_topic(TOPIC, |topic| topic.min_insync_replicas = *count));
            }
            Operation::Fault { action, skip, times } => {
                cluster.add_fault(Fault::new(action.clone()).skip(*skip).times(*times));
            }
            Operation::ClearFaults => cluster.clear_faults(),
            Operation::Advance(by) => self.advance(*by),
            Operation::Kill(broker) => drop(cluster.kill_broker(*broker)),
            Operation::Start(broker) => drop(cluster.start_broker(*broker)),
            Operation::Freeze(broker) => drop(cluster.freeze_broker(*broker)),
            Operation::MoveLeader {
                partition,
                to,
                unclean,
            } => drop(cluster.move_leader(TOPIC, *partition, *to, *unclean)),
            Operation::MoveCoordinator { producer, to } => {
                let key = self.producers[*producer].transactional_id.unwrap_or(GROUP);
                drop(cluster.move_coordinator(key, *to));
            }
            Operation::InSync {
                partition,
                broker,
                in_sync,
            } => drop(cluster.set_in_sync(TOPIC, *partition, *broker, *in_sync)),
            Operation::Hold { partition, held } => {
                drop(cluster.hold_replication(TOPIC, *partition, *held));
            }
            Operation::ReplicationDelay(delay) => cluster.set_replication_delay(*delay),
            Operation::Stale(broker, stale) => drop(cluster.set_stale_metadata(*broker, *stale)),
            Operation::CloseConnections(broker) => cluster.close_connections(Some(*broker)),
            _ => unreachable!("requests are made elsewhere"),
        }
    }

    fn produce(&mut self, produce: &Produce) {
        let place = usize::try_from(produce.partition % PARTITIONS).unwrap_or(0);
        let identity = self.identity(produce.producer, produce.identity);
        let producer = &self.producers[produce.producer];
        let (last, last_records) = producer.last[place];
        let next = producer.next[place];
        let (sequence, records) = match produce.sequence {
            Sequence::Next => (next, produce.records),
            Sequence::Again => (last, last_records),
            Sequence::Beside(by) => (next.wrapping_add(by.into()), produce.records),
            Sequence::Any(sequence) => (sequence, produce.records),
        };
        let transactional = produce
            .transactional
            .then_some(producer.transactional_id)
            .flatten();
        let mut batch = build(identity, sequence, records, transactional.is_some());
        if let Some((at, by)) = produce.damage {
            let mut bytes = batch.to_vec();
            let at = usize::from(at) % bytes.len();
            bytes[at] = bytes[at].wrapping_add(by);
            batch = Bytes::from(bytes);
        } else {
            let producer = &mut self.producers[produce.producer];
            producer.last[place] = (sequence, records);
            producer.next[place] = sequence.wrapping_add(records.into()) & i32::MAX;
        }
        let version = produce.version.min(produce_version_max(self.pose));
        let topic_id = self.cluster.topic_id(TOPIC).unwrap_or(Uuid::ZERO);
        let request = ProduceRequest {
            transactional_id: transactional.map(str::to_owned),
            acks: produce.acks,
            timeout_ms: 1_500,
            topic_data: vec![TopicProduceData {
                name: if version < 13 {
                    TOPIC.to_owned()
                } else {
                    String::new()
                },
                topic_id: if version < 13 { Uuid::ZERO } else { topic_id },
                partition_data: vec![PartitionProduceData {
                    index: produce.partition,
                    records: Some(batch),
                    ..PartitionProduceData::default()
                }],
                ..TopicProduceData::default()
            }],
            ..ProduceRequest::default()
        };
        let leader = self
            .cluster
            .partition_state(TOPIC, produce.partition)
            .map_or(1, |state| state.leader.max(1));
        let broker = if produce.astray {
            leader % BROKERS + 1
        } else {
            leader
        };
        let expected = if produce.acks == -1 && produce.damage.is_none() {
            Expected::Produced(Acked {
                topic_id,
                partition: produce.partition,
                base_offset: -1,
                identity,
                sequence,
            })
        } else {
            Expected::Anything
        };
        self.call(broker, &request, version, expected, produce.acks != 0);
    }

    fn init(&mut self, producer: usize, version: i16, known: bool) {
        let transactional_id = self.producers[producer].transactional_id;
        let mut request = InitProducerIdRequest {
            transactional_id: transactional_id.map(str::to_owned),
            transaction_timeout_ms: 30_000,
            ..InitProducerIdRequest::default()
        };
        if known && version >= 3 {
            (request.producer_id, request.producer_epoch) = self.producers[producer].identity;
        }
        let broker = self.coordinator(transactional_id.unwrap_or(GROUP));
        self.call(broker, &request, version, Expected::Identity(producer), true);
    }

    fn transact(&mut self, operation: &Operation<'_>) {
        match *operation {
            Operation::AddPartitions {
                producer,
                identity,
                partition,
                version,
            } => {
                let Some(id) = self.producers[producer].transactional_id else {
                    return;
                };
                let (producer_id, epoch) = self.identity(producer, identity);
                let request = AddPartitionsToTxnRequest {
                    v3_and_below_transactional_id: id.to_owned(),
                    v3_and_below_producer_id: producer_id,
                    v3_and_below_producer_epoch: epoch,
                    v3_and_below_topics: vec![AddPartitionsToTxnTopic {
                        name: TOPIC.to_owned(),
                        partitions: vec![partition],
                        ..AddPartitionsToTxnTopic::default()
                    }],
                    ..AddPartitionsToTxnRequest::default()
                };
                self.call(self.coordinator(id), &request, version, Expected::Anything, true);
            }
            Operation::CommitOffset {
                producer,
                identity,
                version,
            } => {
                let Some(id) = self.producers[producer].transactional_id else {
                    return;
                };
                let (producer_id, producer_epoch) = self.identity(producer, identity);
                let request = TxnOffsetCommitRequest {
                    transactional_id: id.to_owned(),
                    group_id: GROUP.to_owned(),
                    producer_id,
                    producer_epoch,
                    topics: vec![TxnOffsetCommitRequestTopic {
                        name: TOPIC.to_owned(),
                        partitions: vec![TxnOffsetCommitRequestPartition {
                            committed_offset: 3,
                            ..TxnOffsetCommitRequestPartition::default()
                        }],
                        ..TxnOffsetCommitRequestTopic::default()
                    }],
                    ..TxnOffsetCommitRequest::default()
                };
                self.call(
                    self.coordinator(GROUP),
                    &request,
                    version,
                    Expected::Anything,
                    true,
                );
            }
            Operation::End {
                producer,
                identity,
                commit,
                version,
            } => {
                let Some(id) = self.producers[producer].transactional_id else {
                    return;
                };
                let (producer_id, producer_epoch) = self.identity(producer, identity);
                let request = EndTxnRequest {
                    transactional_id: id.to_owned(),
                    producer_id,
                    producer_epoch,
                    committed: commit,
                    ..EndTxnRequest::default()
                };
                self.call(
                    self.coordinator(id),
                    &request,
                    version,
                    Expected::Ended(producer),
                    true,
                );
            }
            _ => unreachable!("not a transaction's request"),
        }
    }

    fn fetch(&mut self, partition: i32, offset: i64, committed: bool, max_wait_ms: i32) {
        let request = FetchRequest {
            replica_id: -1,
            max_wait_ms,
            min_bytes: 1,
            max_bytes: 10_000,
            isolation_level: i8::from(committed),
            session_epoch: -1,
            topics: vec![FetchTopic {
                topic: TOPIC.to_owned(),
                partitions: vec![FetchPartition {
                    partition,
                    fetch_offset: offset,
                    partition_max_bytes: 10_000,
                    current_leader_epoch: -1,
                    ..FetchPartition::default()
                }],
                ..FetchTopic::default()
            }],
            ..FetchRequest::default()
        };
        let leader = self
            .cluster
            .partition_state(TOPIC, partition)
            .map_or(1, |state| state.leader.max(1));
        self.call(leader, &request, 10, Expected::Anything, true);
    }

    fn identity(&self, producer: usize, identity: Identity) -> (i64, i16) {
        let (id, epoch) = self.producers[producer].identity;
        match identity {
            Identity::Own => (id, epoch),
            Identity::Epoch(by) => (id, epoch.wrapping_add(by)),
            Identity::Of(other) => self.producers[other].identity,
        }
    }

    /// The broker that coordinates a key, as far as a client would find out.
    fn coordinator(&self, key: &str) -> i32 {
        self.cluster.coordinator(key).unwrap_or(1)
    }

    fn call<R: Request>(
        &mut self,
        broker: i32,
        request: &R,
        version: i16,
        expected: Expected,
        answered: bool,
    ) {
        self.next_correlation_id += 1;
        let Ok(frame) = frame::encode_request(request, version, self.next_correlation_id, None) else {
            return;
        };
        if answered && self.connect(broker).is_some() {
            let open = Open {
                correlation_id: self.next_correlation_id,
                version,
                expected,
                read: |frame, version| {
                    frame::decode_response::<R>(frame, version).expect("an answer that can be read");
                },
            };
            self.links[index(broker)].open.push_back(open);
        }
        self.submit(broker, frame.slice(frame::SIZE_BYTES..));
    }

    fn connect(&mut self, broker: i32) -> Option<ConnectionId> {
        let link = &mut self.links[index(broker)];
        if link.id.is_none() {
            link.open.clear();
            link.id = self.cluster.accept(broker, "fuzz", self.now).ok();
        }
        link.id
    }

    fn submit(&mut self, broker: i32, frame: Bytes) {
        if let Some(id) = self.connect(broker) {
            self.cluster.handle_frame(id, frame, self.now, self.wall_ms());
        }
    }

    fn garble(&mut self, broker: i32, frame: Bytes) {
        self.submit(broker, frame);
        self.links[index(broker)].is_garbled = true;
    }

    fn drain(&mut self) {
        while let Some(output) = self.cluster.poll_output() {
            match output {
                Output::Send { connection, bytes } => self.answered(connection, &bytes),
                Output::Close { connection, .. } => {
                    for link in &mut self.links {
                        if link.id == Some(connection) {
                            *link = Link::default();
                        }
                    }
                }
                _ => {}
            }
        }
    }

    fn answered(&mut self, connection: ConnectionId, bytes: &Bytes) {
        let (size, frame) = bytes.split_first_chunk().expect("a size");
        assert_eq!(
            usize::try_from(i32::from_be_bytes(*size)),
            Ok(frame.len()),
            "a whole frame"
        );
        let correlation_id = i32::from_be_bytes(*frame.first_chunk().expect("a correlation id"));
        let link = self.links.iter_mut().find(|link| link.id == Some(connection));
        let Some(link) = link.filter(|_| correlation_id != 0) else {
            return;
        };
        // Those before it were lost on purpose; none comes twice or too early.
        let place = link
            .open
            .iter()
            .position(|open| open.correlation_id == correlation_id);
        let place = place.expect("an answer to a request that waits for it");
        let open = link.open.drain(..=place).next_back().expect("what was found");
        let frame = bytes.slice(frame::SIZE_BYTES..);
        (open.read)(&frame, open.version);
        match open.expected {
            Expected::Produced(acked) => {
                self.produced(acked, &decode::<ProduceRequest>(&frame, open.version))
            }
            Expected::Identity(producer) => {
                let answer: InitProducerIdResponse = decode::<InitProducerIdRequest>(&frame, open.version);
                if answer.error_code == 0 {
                    self.producers[producer].adopt((answer.producer_id, answer.producer_epoch));
                }
            }
            Expected::Ended(producer) => {
                let answer: EndTxnResponse = decode::<EndTxnRequest>(&frame, open.version);
                if answer.error_code == 0 && open.version >= 5 && answer.producer_id >= 0 {
                    self.producers[producer].adopt((answer.producer_id, answer.producer_epoch));
                }
            }
            Expected::Anything => {}
        }
    }

    fn produced(&mut self, acked: Acked, answer: &ProduceResponse) {
        let partition = answer
            .responses
            .first()
            .and_then(|topic| topic.partition_responses.first());
        if let Some(partition) = partition.filter(|partition| partition.error_code == 0) {
            self.acked.push(Acked {
                base_offset: partition.base_offset,
                ..acked
            });
        }
    }

    fn advance(&mut self, by: Duration) {
        let until = self.now + by;
        while let Some(due) = self.cluster.poll_timeout().filter(|due| *due <= until) {
            self.now = self.now.max(due);
            self.cluster.handle_timeout(self.now, self.wall_ms());
            self.drain();
        }
        self.now = until;
        self.cluster.handle_timeout(self.now, self.wall_ms());
        self.drain();
    }

    /// Everything works again, and enough time passes.
    pub(super) fn heal(&mut self) {
        self.cluster.clear_faults();
        for broker in 1..=BROKERS {
            self.run(&Operation::Start(broker));
        }
        for partition in 0..self.cluster.partition_count(TOPIC).unwrap_or(0) {
            self.run(&Operation::Hold {
                partition,
                held: false,
            });
            for broker in 1..=BROKERS {
                self.run(&Operation::InSync {
                    partition,
                    broker,
                    in_sync: true,
                });
            }
        }
        self.advance(HEALING);
        for broker in 1..=BROKERS {
            let link = &mut self.links[index(broker)];
            if let Some(id) = link.id.filter(|_| link.is_garbled) {
                *link = Link::default();
                self.cluster.handle_closed(id, self.now);
            }
            let request = MetadataRequest::default();
            self.call(broker, &request, 4, Expected::Anything, true);
        }
        self.advance(Duration::from_secs(1));
    }

    /// How many requests have no answer. One that was lost on purpose is taken for answered when a later one is.
    pub(super) fn open_requests(&self) -> usize {
        self.links.iter().map(|link| link.open.len()).sum()
    }

    fn wall_ms(&self) -> i64 {
        1_700_000_000_000 + i64::try_from(self.now.as_millis()).unwrap_or(0)
    }
}

impl Producer {
    fn new(transactional_id: Option<&'static str>) -> Producer {
        Producer {
            transactional_id,
            identity: (-1, -1),
            next: [0; PARTITIONS as usize],
            last: [(0, 1); PARTITIONS as usize],
        }
    }

    fn adopt(&mut self, identity: (i64, i16)) {
        if self.identity != identity {
            *self = Producer {
                identity,
                ..Producer::new(self.transactional_id)
            };
        }
    }
}

fn topic_spec() -> TopicSpec {
    let mut topic = TopicConfig::default();
    topic.max_message_bytes = 2_000;
    TopicSpec::new(TOPIC, PARTITIONS)
        .config(topic)
        .replication_factor(3)
}

/// The newest Produce that a release speaks.
fn produce_version_max(pose: Pose) -> i16 {
    match pose {
        Pose::V2_1 => 7,
        Pose::V2_8 => 9,
        Pose::V3_9 => 11,
        Pose::V4_0 => 12,
        _ => 13,
    }
}

fn index(broker: i32) -> usize {
    usize::try_from(broker - 1).expect("brokers begin at 1")
}

fn decode<R: Request>(frame: &Bytes, version: i16) -> R::Response {
    frame::decode_response::<R>(frame, version)
        .expect("it was read before")
        .1
}

fn build((producer_id, epoch): (i64, i16), sequence: i32, records: u8, transactional: bool) -> Bytes {
    let mut builder = BatchBuilder::new(usize::MAX);
    for record in 0..records {
        builder
            .append(1_700_000_000_000, None, Some(&[record; 40]), &[])
            .expect("no limit");
    }
    builder.set_producer(producer_id, epoch, sequence);
    builder.set_transactional(transactional);
    builder.finish()
}

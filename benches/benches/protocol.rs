//! Encoding and decoding of what a producer sends and reads most, and building a batch: beside kafka-protocol, on the
//! same work. That both do the same is asserted: each pair of encoders has to give the same bytes.
//!
//! Buffers are reused for all, so that the allocator is not what is measured. kafka-protocol's strings and ours differ:
//! its are slices of the input, ours are owned.

use std::hint::black_box;

use bytes::{Bytes, BytesMut};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use kafka_protocol::messages as peer;
use kafka_protocol::protocol::{Decodable, Encodable};
use kafka_protocol::records as peer_records;
use ottla_protocol::Message;
use ottla_protocol::messages as ours;
use ottla_protocol::records::BatchBuilder;
use ottla_protocol::wire::{Reader, Uuid, Writer};

const PARTITIONS: i32 = 6;
const BATCH_BYTES: usize = 16 * 1024;
const RECORD_BYTES: usize = 100;

const BROKERS: i32 = 3;
const TOPICS: i32 = 50;
const PARTITIONS_OF_TOPIC: i32 = 20;

/// Versions before and after topic ids took the place of names.
const PRODUCE_VERSIONS: [i16; 2] = [11, 13];
const METADATA_VERSIONS: [i16; 2] = [12, 13];

/// The bytes of a topic's id, the same for both.
fn topic_id(topic: i32) -> [u8; 16] {
    let mut id = [7; 16];
    id[..4].copy_from_slice(&topic.to_be_bytes());
    id
}

fn produce_request(version: i16) -> ours::ProduceRequest {
    use ours::produce::{PartitionProduceData, TopicProduceData};
    let records = Bytes::from(vec![0x5a; BATCH_BYTES]);
    let partition = |index| PartitionProduceData {
        index,
        records: Some(records.clone()),
        ..PartitionProduceData::default()
    };
    let mut topic = TopicProduceData {
        partition_data: (0..PARTITIONS).map(partition).collect(),
        ..TopicProduceData::default()
    };
    if version >= 13 {
        topic.topic_id = Uuid::from_bytes(topic_id(0));
    } else {
        topic.name = "a-topic-of-usual-length".into();
    }
    ours::ProduceRequest {
        acks: -1,
        timeout_ms: 30_000,
        topic_data: vec![topic],
        ..ours::ProduceRequest::default()
    }
}

fn metadata_response() -> ours::MetadataResponse {
    use ours::metadata::{MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic};
    let broker = |node_id| MetadataResponseBroker {
        node_id,
        host: format!("broker-{node_id}.kafka.example.com"),
        port: 9092,
        rack: Some(format!("rack-{node_id}")),
        ..MetadataResponseBroker::default()
    };
    let partition = |partition_index| MetadataResponsePartition {
        partition_index,
        leader_id: partition_index % BROKERS,
        leader_epoch: 17,
        replica_nodes: (0..BROKERS).collect(),
        isr_nodes: (0..BROKERS).collect(),
        ..MetadataResponsePartition::default()
    };
    let topic = |topic| MetadataResponseTopic {
        name: Some(format!("a-topic-of-usual-length-{topic}")),
        topic_id: Uuid::from_bytes(topic_id(topic)),
        partitions: (0..PARTITIONS_OF_TOPIC).map(partition).collect(),
        ..MetadataResponseTopic::default()
    };
    ours::MetadataResponse {
        brokers: (0..BROKERS).map(broker).collect(),
        cluster_id: Some("a-cluster".into()),
        controller_id: 1,
        topics: (0..TOPICS).map(topic).collect(),
        ..ours::MetadataResponse::default()
    }
}

fn encode<M: Message>(message: &M, version: i16, writer: &mut Writer) {
    writer.clear();
    message
        .encode(writer, version)
        .expect("the version has these fields");
}

fn decode<M: Message>(bytes: &Bytes, version: i16) -> M {
    let mut reader = Reader::from_bytes(bytes);
    let message = M::decode(&mut reader, version).expect("it was encoded in this version");
    assert_eq!(reader.remaining(), 0);
    message
}

/// Benchmarks one message in one version: both libraries' encoding and decoding.
fn message<M, P>(criterion: &mut Criterion, name: &str, message: &M, version: i16)
where
    M: Message,
    P: Encodable + Decodable,
{
    let mut writer = Writer::new();
    encode(message, version, &mut writer);
    let bytes = Bytes::copy_from_slice(writer.as_slice());
    let same = P::decode(&mut bytes.clone(), version).expect("the peer reads our bytes");
    let mut buffer = BytesMut::new();
    same.encode(&mut buffer, version)
        .expect("the peer writes what it read");
    assert_eq!(buffer, bytes, "both write the same");
    assert_eq!(&decode::<M>(&bytes, version), message);

    let mut group = criterion.benchmark_group(format!("{name} v{version}"));
    group.throughput(Throughput::Bytes(bytes.len() as u64));
    group.bench_function("encode/ottla", |bencher| {
        bencher.iter(|| encode(black_box(message), version, black_box(&mut writer)));
    });
    group.bench_function("encode/kafka-protocol", |bencher| {
        bencher.iter(|| {
            buffer.clear();
            black_box(&same)
                .encode(black_box(&mut buffer), version)
                .expect("as before");
        });
    });
    group.bench_function("decode/ottla", |bencher| {
        bencher.iter(|| decode::<M>(black_box(&bytes), version))
    });
    group.bench_function("decode/kafka-protocol", |bencher| {
        bencher.iter(|| P::decode(&mut black_box(&bytes).clone(), version).expect("as before"));
    });
    group.finish();
}

fn messages(criterion: &mut Criterion) {
    for version in PRODUCE_VERSIONS {
        let request = produce_request(version);
        message::<_, peer::ProduceRequest>(criterion, "produce request", &request, version);
    }
    for version in METADATA_VERSIONS {
        let response = metadata_response();
        message::<_, peer::MetadataResponse>(criterion, "metadata response", &response, version);
    }
}

const FIRST_TIMESTAMP: i64 = 1_700_000_000_000;

fn peer_record(index: usize, value: &[u8]) -> peer_records::Record {
    peer_records::Record {
        transactional: false,
        control: false,
        delete_horizon: false,
        partition_leader_epoch: peer_records::NO_PARTITION_LEADER_EPOCH,
        producer_id: peer_records::NO_PRODUCER_ID,
        producer_epoch: peer_records::NO_PRODUCER_EPOCH,
        timestamp_type: peer_records::TimestampType::Creation,
        offset: index as i64,
        // A batch of its starts where sequence and offset stop going side by side.
        sequence: index as i32 + peer_records::NO_SEQUENCE,
        timestamp: FIRST_TIMESTAMP + index as i64 / 8,
        key: None,
        value: Some(Bytes::copy_from_slice(value)),
        headers: Default::default(),
    }
}

/// A batch from values to its end, checksum included. The peer's records are made outside of what is measured.
fn batch(criterion: &mut Criterion) {
    let value = [0x5a; RECORD_BYTES];
    let build = |buffer: Vec<u8>| {
        let mut builder = BatchBuilder::with_buffer(buffer, BATCH_BYTES);
        let mut index = 0;
        while builder
            .append(FIRST_TIMESTAMP + index / 8, None, Some(black_box(&value)), &[])
            .is_ok()
        {
            index += 1;
        }
        (builder.record_count(), builder.finish())
    };
    let (count, bytes) = build(Vec::new());
    let records: Vec<_> = (0..count).map(|index| peer_record(index, &value)).collect();
    let options = peer_records::RecordEncodeOptions {
        version: 2,
        compression: peer_records::Compression::None,
    };
    let mut buffer = BytesMut::new();
    peer_records::RecordBatchEncoder::encode(&mut buffer, &records, &options)
        .expect("the peer builds the batch");
    assert_eq!(buffer, bytes, "both build the same");

    let mut group = criterion.benchmark_group(format!("batch of {count} records of {RECORD_BYTES} bytes"));
    group.throughput(Throughput::Elements(count as u64));
    let mut spare = Vec::with_capacity(BATCH_BYTES);
    group.bench_function("build/ottla", |bencher| {
        bencher.iter(|| {
            let (_, bytes) = build(std::mem::take(&mut spare));
            // Its memory, to build the next in.
            spare = bytes.try_into_mut().map(Vec::from).unwrap_or_default();
        });
    });
    group.bench_function("build/kafka-protocol", |bencher| {
        bencher.iter(|| {
            buffer.clear();
            peer_records::RecordBatchEncoder::encode(&mut buffer, black_box(&records), &options)
                .expect("as before");
        });
    });
    group.finish();
}

criterion_group!(benches, messages, batch);
criterion_main!(benches);

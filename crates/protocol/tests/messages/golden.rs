//! Bytes that kafka-clients 4.3.1 wrote, one message for each thing that is easily got wrong.

use bytes::Bytes;
use ottla_protocol::Message;
use ottla_protocol::messages::{
    ApiVersionsRequest, DescribeTopicPartitionsRequest, FetchResponse, MetadataRequest, ProduceResponse,
    RequestHeader, describe_topic_partitions, fetch, produce,
};
use ottla_protocol::wire::{Reader, Uuid, Writer};

#[track_caller]
fn check<M: Message>(message: &M, version: i16, hex: &str) {
    let mut writer = Writer::new();
    message.encode(&mut writer, version).unwrap();
    let written: String = writer
        .as_slice()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    assert_eq!(written, hex);
    let bytes = writer.into_bytes();
    let mut reader = Reader::from_bytes(&bytes);
    assert_eq!(&M::decode(&mut reader, version).unwrap(), message);
    reader.finish().unwrap();
}

#[test]
fn strings_are_compact_in_flexible_versions() {
    let request = ApiVersionsRequest {
        client_software_name: "ottla".into(),
        client_software_version: "0.1".into(),
        ..ApiVersionsRequest::default()
    };
    check(&request, 3, "066f74746c6104302e3100");
}

#[test]
fn the_client_id_is_never_compact() {
    let header = RequestHeader {
        request_api_key: 18,
        request_api_version: 3,
        correlation_id: 7,
        client_id: Some("me".into()),
        ..RequestHeader::default()
    };
    check(&header, 1, "001200030000000700026d65");
    check(&header, 2, "001200030000000700026d6500");
}

#[test]
fn no_topics_and_all_topics_differ() {
    check(&MetadataRequest::default(), 1, "00000000");
    let all = MetadataRequest {
        topics: None,
        ..MetadataRequest::default()
    };
    check(&all, 1, "ffffffff");
    // Automatic creation of topics is on by default.
    check(&all, 12, "00010000");
}

#[test]
fn a_structure_that_can_be_null_has_a_byte_before_it() {
    let mut request = DescribeTopicPartitionsRequest::default();
    check(&request, 0, "01000007d0ff00");
    request.cursor = Some(describe_topic_partitions::RequestCursor {
        topic_name: "\u{e9}".into(),
        partition_index: -2,
        ..Default::default()
    });
    check(&request, 0, "01000007d00103c3a9fffffffe0000");
}

#[test]
fn known_and_unknown_tagged_fields_are_merged() {
    let mut partition = fetch::PartitionData {
        partition_index: 1,
        high_watermark: 9,
        records: None,
        ..fetch::PartitionData::default()
    };
    partition.current_leader.leader_id = 3;
    partition.current_leader.leader_epoch = 4;
    partition
        .unknown_tagged_fields
        .insert(9, Bytes::from_static(&[1, 2, 3]));
    let topic = fetch::FetchableTopicResponse {
        topic: "t".into(),
        partitions: vec![partition],
        ..fetch::FetchableTopicResponse::default()
    };
    let response = FetchResponse {
        session_id: 5,
        responses: vec![topic],
        ..FetchResponse::default()
    };
    let hex = "00000000000000000005020274020000000100000000000000000009ffffffffffffffffffffffffffffffff01ffffffff00\
               02010900000003000000040009030102030000";
    check(&response, 12, hex);
}

#[test]
fn a_leader_hint_is_a_tagged_structure() {
    let partition = produce::PartitionProduceResponse {
        index: 2,
        error_code: 6,
        base_offset: -1,
        error_message: Some("no".into()),
        current_leader: produce::LeaderIdAndEpoch {
            leader_id: 1,
            leader_epoch: 8,
            ..produce::LeaderIdAndEpoch::default()
        },
        ..produce::PartitionProduceResponse::default()
    };
    let topic = produce::TopicProduceResponse {
        topic_id: Uuid::from_halves(1, 2),
        partition_responses: vec![partition],
        ..produce::TopicProduceResponse::default()
    };
    let endpoint = produce::NodeEndpoint {
        node_id: 1,
        host: "h".into(),
        port: 9092,
        ..produce::NodeEndpoint::default()
    };
    let response = ProduceResponse {
        responses: vec![topic],
        throttle_time_ms: 1,
        node_endpoints: vec![endpoint],
        ..ProduceResponse::default()
    };
    let hex = "020000000000000001000000000000000202000000020006ffffffffffffffffffffffffffffffffffffffffffffffff0103\
               6e6f010009000000010000000800000000000101000d02000000010268000023840000";
    check(&response, 13, hex);
}

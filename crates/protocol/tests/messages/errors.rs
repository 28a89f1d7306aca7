//! What errors say: where in the bytes, and in which field of which message.

use bytes::Bytes;
use ottla_protocol::Message;
use ottla_protocol::messages::{
    ApiVersionsRequest, FetchRequest, JoinGroupRequest, MetadataRequest, MetadataResponse, ProduceRequest,
    ProduceResponse, fetch, metadata, produce,
};
use ottla_protocol::wire::{DecodeError, DecodeErrorKind, EncodeError, EncodeErrorKind, Reader, Writer};

fn decode<M: Message>(bytes: &[u8], version: i16) -> Result<M, DecodeError> {
    M::decode(&mut Reader::new(bytes), version)
}

fn encode<M: Message>(message: &M, version: i16) -> Result<Vec<u8>, EncodeError> {
    let mut writer = Writer::new();
    message.encode(&mut writer, version)?;
    Ok(writer.into_vec())
}

fn request_with_partitions(count: i32) -> ProduceRequest {
    let partition = |index| produce::PartitionProduceData {
        index,
        records: Some(Bytes::from_static(b"records")),
        ..produce::PartitionProduceData::default()
    };
    let topic = || produce::TopicProduceData {
        name: "topic".into(),
        partition_data: (0..count).map(partition).collect(),
        ..produce::TopicProduceData::default()
    };
    ProduceRequest {
        topic_data: vec![topic(), topic()],
        ..ProduceRequest::default()
    }
}

#[test]
fn the_path_leads_to_the_field_and_the_offset_to_its_byte() {
    let bytes = encode(&request_with_partitions(3), 9).unwrap();
    // Tagged fields of the second topic's last partition, of that topic, and of the message take a byte each.
    let records_at = bytes.len() - 3 - 8;
    let error = decode::<ProduceRequest>(&bytes[..bytes.len() - 4], 9).unwrap_err();
    assert_eq!(error.path(), "topic_data[1].partition_data[2].records");
    assert_eq!(error.offset(), records_at + 1);
    assert_eq!(
        error.kind(),
        &DecodeErrorKind::Truncated {
            needed: 7,
            remaining: 6
        }
    );
    assert_eq!(
        error.to_string(),
        format!(
            "ProduceRequest v9, topic_data[1].partition_data[2].records, byte {}: 7 bytes are needed, 6 remain",
            records_at + 1
        )
    );
}

#[test]
fn counts_lengths_and_tags_are_told_apart() {
    type Case = (&'static [u8], DecodeErrorKind, &'static str, usize);
    // MetadataRequest v9: topics (an array of names), two or three flags, tagged fields.
    let cases: [Case; 10] = [
        (
            &[0xff, 0xff, 0xff, 0xff, 0x0f],
            DecodeErrorKind::CountTooLarge {
                count: 0xffff_fffe,
                most: 0,
            },
            "topics",
            0,
        ),
        (
            &[6, 2, b'a', 0, 1, 0],
            DecodeErrorKind::CountTooLarge { count: 5, most: 2 },
            "topics",
            0,
        ),
        (
            &[0xff, 0xff, 0xff, 0xff, 0x10],
            DecodeErrorKind::VarintOverflow,
            "topics",
            0,
        ),
        (
            &[2, 5, b'a', 0],
            DecodeErrorKind::Truncated {
                needed: 4,
                remaining: 2,
            },
            "topics[0].name",
            2,
        ),
        (
            &[2, 0, 0, 0, 0],
            DecodeErrorKind::UnexpectedNull,
            "topics[0].name",
            2,
        ),
        (
            &[2, 3, 0xff, 0xfe, 0, 0, 0],
            DecodeErrorKind::InvalidUtf8,
            "topics[0].name",
            2,
        ),
        (
            &[1, 0, 0, 0, 5],
            DecodeErrorKind::CountTooLarge { count: 5, most: 0 },
            "tagged_fields",
            4,
        ),
        (
            &[1, 0, 0, 0, 2, 3, 0, 3, 0],
            DecodeErrorKind::TagOrder { tag: 3, previous: 3 },
            "tagged_fields",
            8,
        ),
        (
            &[1, 0, 0, 0, 1, 3, 9, 0],
            DecodeErrorKind::Truncated {
                needed: 9,
                remaining: 1,
            },
            "tagged_fields",
            7,
        ),
        (
            &[1, 0, 0],
            DecodeErrorKind::Truncated {
                needed: 1,
                remaining: 0,
            },
            "include_topic_authorized_operations",
            3,
        ),
    ];
    for (bytes, kind, path, offset) in cases {
        let error = decode::<MetadataRequest>(bytes, 9).unwrap_err();
        assert_eq!(
            (error.kind(), error.path().as_str(), error.offset()),
            (&kind, path, offset),
            "{bytes:?}"
        );
    }
}

#[test]
fn lengths_below_null_are_refused() {
    // MetadataRequest v1: an array with a 32-bit count of names with 16-bit lengths.
    let error = decode::<MetadataRequest>(&[0xff, 0xff, 0xff, 0xfe], 1).unwrap_err();
    assert_eq!(error.kind(), &DecodeErrorKind::NegativeLength { length: -2 });
    let error = decode::<MetadataRequest>(&[0, 0, 0, 1, 0x80, 0], 1).unwrap_err();
    assert_eq!(error.kind(), &DecodeErrorKind::NegativeLength { length: -0x8000 });
    assert_eq!(error.path(), "topics[0].name");
}

#[test]
fn a_tagged_field_is_read_to_its_end_and_not_beyond() {
    // ProduceResponse v10, no topics: the node endpoints (tag 0), in fewer and in more bytes than it takes.
    let head = [1, 0, 0, 0, 0, 1, 0];
    let too_long = [&head[..], &[3, 1, 0, 0]].concat();
    let error = decode::<ProduceResponse>(&too_long, 10).unwrap_err();
    assert_eq!(error.kind(), &DecodeErrorKind::TrailingBytes { remaining: 2 });
    assert_eq!((error.path().as_str(), error.offset()), ("tagged_fields", 9));
    // The count says one endpoint, and behind the field there would be bytes enough for it.
    let too_short = [&head[..], &[1, 2], &[0; 40]].concat();
    let error = decode::<ProduceResponse>(&too_short, 10).unwrap_err();
    assert_eq!(
        error.kind(),
        &DecodeErrorKind::CountTooLarge { count: 1, most: 0 }
    );
    assert_eq!(error.path(), "node_endpoints");
}

#[test]
fn strings_beyond_javas_limit_are_refused_both_ways() {
    let mut request = ApiVersionsRequest {
        client_software_name: "x".repeat(0x7fff),
        ..ApiVersionsRequest::default()
    };
    let bytes = encode(&request, 3).unwrap();
    assert_eq!(decode::<ApiVersionsRequest>(&bytes, 3), Ok(request.clone()));
    request.client_software_name.push('x');
    let error = encode(&request, 3).unwrap_err();
    assert_eq!(
        error.kind(),
        &EncodeErrorKind::TooLong {
            length: 0x8000,
            limit: 0x7fff
        }
    );
    assert_eq!(error.path(), "client_software_name");
    let mut bytes = vec![0x81, 0x80, 0x02];
    bytes.extend([b'x'; 0x8000]);
    let error = decode::<ApiVersionsRequest>(&bytes, 3).unwrap_err();
    assert_eq!(error.kind(), &DecodeErrorKind::StringTooLong { length: 0x8000 });
}

#[test]
fn a_field_that_the_version_lacks_is_an_error_unless_it_may_be_dropped() {
    let request = JoinGroupRequest {
        rebalance_timeout_ms: 5,
        group_instance_id: Some("static".into()),
        ..JoinGroupRequest::default()
    };
    let error = encode(&request, 4).unwrap_err();
    assert_eq!(error.kind(), &EncodeErrorKind::FieldNotInVersion);
    assert_eq!(
        (error.message(), error.version()),
        (Some("JoinGroupRequest"), Some(4))
    );
    assert_eq!(error.path(), "group_instance_id");
    assert!(encode(&request, 5).is_ok());

    // The rebalance timeout may be dropped in version 0; the reader then has the default.
    let request = JoinGroupRequest {
        group_instance_id: None,
        ..request
    };
    let read = decode::<JoinGroupRequest>(&encode(&request, 0).unwrap(), 0).unwrap();
    assert_eq!(read.rebalance_timeout_ms, -1);
}

#[test]
fn a_tagged_field_is_refused_before_its_version() {
    let mut partition = fetch::FetchPartition {
        fetch_offset: 1,
        ..fetch::FetchPartition::default()
    };
    partition.last_fetched_epoch = 3;
    let topic = fetch::FetchTopic {
        topic: "t".into(),
        partitions: vec![partition],
        ..fetch::FetchTopic::default()
    };
    let request = FetchRequest {
        topics: vec![topic],
        ..FetchRequest::default()
    };
    let error = encode(&request, 11).unwrap_err();
    assert_eq!(error.path(), "topics[0].partitions[0].last_fetched_epoch");

    let request = FetchRequest {
        replica_state: fetch::ReplicaState {
            replica_id: 1,
            ..fetch::ReplicaState::default()
        },
        ..FetchRequest::default()
    };
    assert_eq!(encode(&request, 14).unwrap_err().path(), "replica_state");
    assert!(encode(&request, 15).is_ok());
}

#[test]
fn null_is_an_error_where_the_version_has_no_null() {
    let all = MetadataRequest {
        topics: None,
        ..MetadataRequest::default()
    };
    let error = encode(&all, 0).unwrap_err();
    assert_eq!(
        (error.kind(), error.path().as_str()),
        (&EncodeErrorKind::UnexpectedNull, "topics")
    );
    let error = decode::<MetadataRequest>(&[0xff; 4], 0).unwrap_err();
    assert_eq!(
        (error.kind(), error.path().as_str()),
        (&DecodeErrorKind::UnexpectedNull, "topics")
    );

    let topic = metadata::MetadataResponseTopic {
        name: None,
        ..metadata::MetadataResponseTopic::default()
    };
    let response = MetadataResponse {
        topics: vec![topic],
        ..MetadataResponse::default()
    };
    assert_eq!(encode(&response, 11).unwrap_err().path(), "topics[0].name");
    assert!(encode(&response, 12).is_ok());
}

#[test]
fn unknown_tagged_fields_need_a_flexible_version_and_a_free_tag() {
    let mut response = ProduceResponse::default();
    response.unknown_tagged_fields.insert(5, Bytes::from_static(b"x"));
    let error = encode(&response, 8).unwrap_err();
    assert_eq!(error.kind(), &EncodeErrorKind::TaggedFieldsNotInVersion);
    let bytes = encode(&response, 9).unwrap();
    assert_eq!(decode::<ProduceResponse>(&bytes, 9), Ok(response.clone()));

    // Tag 0 is the node endpoints from version 10, and unknown in version 9.
    response.unknown_tagged_fields.insert(0, Bytes::from_static(b"y"));
    let bytes = encode(&response, 9).unwrap();
    assert_eq!(decode::<ProduceResponse>(&bytes, 9), Ok(response.clone()));
    response.node_endpoints.push(produce::NodeEndpoint::default());
    let error = encode(&response, 10).unwrap_err();
    assert_eq!(error.kind(), &EncodeErrorKind::TagTaken { tag: 0 });
}

#[test]
fn large_tagged_fields_have_sizes_of_several_bytes() {
    let mut request = ProduceRequest::default();
    for tag in [0, 127, 128, 20_000, u32::MAX] {
        request
            .unknown_tagged_fields
            .insert(tag, Bytes::from(vec![7; tag as usize % 1000]));
    }
    let bytes = Bytes::from(encode(&request, 9).unwrap());
    let read = ProduceRequest::decode(&mut Reader::from_bytes(&bytes), 9);
    assert_eq!(read, Ok(request));

    let endpoint = produce::NodeEndpoint {
        host: "h".repeat(300),
        ..produce::NodeEndpoint::default()
    };
    let response = ProduceResponse {
        node_endpoints: vec![endpoint; 100],
        ..ProduceResponse::default()
    };
    let bytes = encode(&response, 10).unwrap();
    assert_eq!(decode::<ProduceResponse>(&bytes, 10), Ok(response));
}

#[test]
fn bytes_share_the_input_where_it_can_be_shared() {
    let bytes = Bytes::from(encode(&request_with_partitions(1), 9).unwrap());
    let request = ProduceRequest::decode(&mut Reader::from_bytes(&bytes), 9).unwrap();
    let records = request.topic_data[1].partition_data[0].records.as_ref().unwrap();
    assert!(bytes.as_ptr_range().contains(&records.as_ptr()));
    let request = ProduceRequest::decode(&mut Reader::new(&bytes), 9).unwrap();
    let records = request.topic_data[1].partition_data[0].records.as_ref().unwrap();
    assert!(!bytes.as_ptr_range().contains(&records.as_ptr()));
}

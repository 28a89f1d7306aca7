//! Every API at every version that a pose speaks has an answer that can be read, with and without what it names.

use crate::batch::Batch;
use crate::link::{Core, Link as _};
use crate::session::Session;
use ottla_broker::{ClusterConfig, Event, EventKind, Fault, FaultAction, Pose, TopicSpec};
use ottla_protocol::messages::add_partitions_to_txn::{
    AddPartitionsToTxnTopic, AddPartitionsToTxnTransaction,
};
use ottla_protocol::messages::create_partitions::CreatePartitionsTopic;
use ottla_protocol::messages::create_topics::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig,
};
use ottla_protocol::messages::delete_records::{DeleteRecordsPartition, DeleteRecordsTopic};
use ottla_protocol::messages::delete_topics::DeleteTopicState;
use ottla_protocol::messages::describe_configs::DescribeConfigsResource;
use ottla_protocol::messages::fetch::{FetchPartition, FetchTopic};
use ottla_protocol::messages::join_group::JoinGroupRequestProtocol;
use ottla_protocol::messages::leave_group::MemberIdentity;
use ottla_protocol::messages::list_offsets::{ListOffsetsPartition, ListOffsetsTopic};
use ottla_protocol::messages::metadata::MetadataRequestTopic;
use ottla_protocol::messages::offset_commit::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use ottla_protocol::messages::offset_fetch::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
};
use ottla_protocol::messages::offset_for_leader_epoch::{OffsetForLeaderPartition, OffsetForLeaderTopic};
use ottla_protocol::messages::produce::{PartitionProduceData, TopicProduceData};
use ottla_protocol::messages::txn_offset_commit::{
    TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use ottla_protocol::messages::{self, ApiVersionsRequest, ApiVersionsResponse};
use ottla_protocol::wire::Uuid;
use ottla_protocol::{ApiKey, ErrorCode, Request, frame};

const POSES: [Pose; 5] = [Pose::V2_1, Pose::V2_8, Pose::V3_9, Pose::V4_0, Pose::V4_3];

fn cluster(pose: Pose) -> Session<Core> {
    let mut config = ClusterConfig::default();
    config.pose = pose;
    config.topics = vec![TopicSpec::new("known", 2)];
    Session::new(Core::new(config))
}

fn api_versions(session: &mut Session<Core>, version: i16) -> ApiVersionsResponse {
    let request = ApiVersionsRequest {
        client_software_name: "test".to_owned(),
        client_software_version: "1".to_owned(),
        ..ApiVersionsRequest::default()
    };
    let frame = frame::encode_request(&request, version, 7, None).expect("a request");
    let answer = session.link.exchange(&frame).expect("an answer");
    frame::decode_api_versions(&answer, version)
        .expect("an answer that can be read")
        .1
}

/// Sends a request in every version that every pose speaks. `adapt` takes back what a version has not got.
fn check<R: Request>(request: impl Fn(Uuid) -> R, adapt: impl Fn(&mut R, i16))
where
    R::Response: std::fmt::Debug,
{
    let mut checked = 0;
    for pose in POSES {
        let mut session = cluster(pose);
        let versions = api_versions(&mut session, 0);
        let Some(range) = versions.api_keys.iter().find(|api| api.api_key == R::KEY.0) else {
            continue;
        };
        for version in range.min_version.max(R::VERSIONS.min)..=range.max_version {
            let id = session.link.cluster.topic_id("known").unwrap_or(Uuid::ZERO);
            let mut request = request(id);
            adapt(&mut request, version);
            for action in [FaultAction::Error, FaultAction::ErrorAfter] {
                check_fault(&mut session, &request, version, action(INJECTED));
            }
            assert!(
                session.call(&request, version).is_some(),
                "{} v{version}: {pose:?} closes",
                R::NAME
            );
            let mut empty = R::default();
            adapt(&mut empty, version);
            assert!(
                session.call(&empty, version).is_some(),
                "empty {} v{version}: {pose:?} closes",
                R::NAME
            );
            checked += 1;
        }
        let mut beyond = R::default();
        adapt(&mut beyond, range.max_version);
        if range.max_version < R::VERSIONS.max {
            adapt(&mut beyond, range.max_version + 1);
            assert!(
                session.call(&beyond, range.max_version + 1).is_none(),
                "{pose:?} has no such version"
            );
        }
    }
    assert!(checked > 0, "{}", R::NAME);
}

fn keep<R>(_: &mut R, _: i16) {}

/// An error that no broker tells of its own accord.
const INJECTED: ErrorCode = ErrorCode(12_345);

/// A fault reaches every API: the error is told, once, and recorded.
fn check_fault<R: Request>(session: &mut Session<Core>, request: &R, version: i16, action: FaultAction)
where
    R::Response: std::fmt::Debug,
{
    let rule = session
        .link
        .cluster
        .add_fault(Fault::new(action.clone()).api(R::KEY).once());
    let answer = format!("{:?}", session.call(request, version));
    let told = answer.contains(&format!("error_code: {}", INJECTED.0));
    assert!(told, "{} v{version} under {action:?}: {answer}", R::NAME);
    let struck = |event: &Event| matches!(event.kind, EventKind::Fault { rule: number, api, .. } if number == rule && api == R::KEY);
    assert!(
        session.link.cluster.events().any(struck),
        "{} v{version}",
        R::NAME
    );
}

#[test]
fn produce_and_fetch() {
    let names = ["known", "unknown"];
    check(
        |id| messages::ProduceRequest {
            acks: -1,
            timeout_ms: 1_000,
            topic_data: names
                .iter()
                .map(|name| TopicProduceData {
                    name: (*name).to_owned(),
                    topic_id: if *name == "known" {
                        id
                    } else {
                        Uuid::from_halves(1, 1)
                    },
                    partition_data: [0, 1, 7]
                        .map(|index| PartitionProduceData {
                            index,
                            records: Some(Batch::plain(2).build()),
                            ..PartitionProduceData::default()
                        })
                        .into(),
                    ..TopicProduceData::default()
                })
                .collect(),
            ..messages::ProduceRequest::default()
        },
        |request, _| request.acks = -1,
    );
    check(
        |id| messages::FetchRequest {
            replica_id: -1,
            max_bytes: 1_000_000,
            max_wait_ms: 10,
            min_bytes: 1,
            session_epoch: -1,
            topics: names
                .iter()
                .map(|name| FetchTopic {
                    topic: (*name).to_owned(),
                    topic_id: if *name == "known" {
                        id
                    } else {
                        Uuid::from_halves(1, 1)
                    },
                    partitions: [0, 1, 7]
                        .map(|partition| FetchPartition {
                            partition,
                            partition_max_bytes: 1_000_000,
                            current_leader_epoch: -1,
                            ..FetchPartition::default()
                        })
                        .into(),
                    ..FetchTopic::default()
                })
                .collect(),
            ..messages::FetchRequest::default()
        },
        keep,
    );
    check(
        |_| messages::ListOffsetsRequest {
            replica_id: -1,
            topics: names
                .iter()
                .map(|name| ListOffsetsTopic {
                    name: (*name).to_owned(),
                    partitions: [(0, -1), (1, -2), (0, 5), (7, -1)]
                        .map(|(partition_index, timestamp)| ListOffsetsPartition {
                            partition_index,
                            timestamp,
                            ..ListOffsetsPartition::default()
                        })
                        .into(),
                    ..ListOffsetsTopic::default()
                })
                .collect(),
            ..messages::ListOffsetsRequest::default()
        },
        keep,
    );
    check(
        |_| messages::OffsetForLeaderEpochRequest {
            topics: names
                .iter()
                .map(|name| OffsetForLeaderTopic {
                    topic: (*name).to_owned(),
                    partitions: vec![OffsetForLeaderPartition {
                        current_leader_epoch: -1,
                        ..OffsetForLeaderPartition::default()
                    }],
                    ..OffsetForLeaderTopic::default()
                })
                .collect(),
            ..messages::OffsetForLeaderEpochRequest::default()
        },
        keep,
    );
}

#[test]
fn metadata() {
    check(
        |id| messages::MetadataRequest {
            topics: Some(
                [
                    ("known", Uuid::ZERO),
                    ("unknown", Uuid::ZERO),
                    ("not a name", Uuid::ZERO),
                    ("", id),
                ]
                .map(|(name, topic_id)| MetadataRequestTopic {
                    name: (!name.is_empty()).then(|| name.to_owned()),
                    topic_id,
                    ..MetadataRequestTopic::default()
                })
                .into(),
            ),
            allow_auto_topic_creation: false,
            ..messages::MetadataRequest::default()
        },
        |request, version| {
            if version < 4 {
                request.allow_auto_topic_creation = true;
            }
            if version < 12 {
                // Before version 12 a topic has a name; before 10 it has no id.
                request.topics.iter_mut().flatten().for_each(|topic| {
                    topic.name.get_or_insert_with(|| "by-id".to_owned());
                    topic.topic_id = Uuid::ZERO;
                });
            }
        },
    );
    check(|_| messages::DescribeClusterRequest::default(), keep);
    check(|_| messages::DescribeTopicPartitionsRequest::default(), keep);
}

#[test]
fn topics() {
    check(
        |_| messages::CreateTopicsRequest {
            topics: vec![
                CreatableTopic {
                    name: "new".to_owned(),
                    num_partitions: 2,
                    replication_factor: 1,
                    configs: vec![CreatableTopicConfig {
                        name: "max.message.bytes".to_owned(),
                        value: Some("5".to_owned()),
                        ..CreatableTopicConfig::default()
                    }],
                    ..CreatableTopic::default()
                },
                CreatableTopic {
                    name: "known".to_owned(),
                    num_partitions: 1,
                    replication_factor: 9,
                    ..CreatableTopic::default()
                },
                CreatableTopic {
                    name: "assigned".to_owned(),
                    num_partitions: -1,
                    replication_factor: -1,
                    assignments: vec![CreatableReplicaAssignment {
                        broker_ids: vec![1],
                        ..CreatableReplicaAssignment::default()
                    }],
                    ..CreatableTopic::default()
                },
            ],
            ..messages::CreateTopicsRequest::default()
        },
        keep,
    );
    check(
        |_| messages::CreatePartitionsRequest {
            topics: ["known", "unknown"]
                .map(|name| CreatePartitionsTopic {
                    name: name.to_owned(),
                    count: 3,
                    ..CreatePartitionsTopic::default()
                })
                .into(),
            ..messages::CreatePartitionsRequest::default()
        },
        keep,
    );
    check(
        |_| messages::DeleteRecordsRequest {
            topics: vec![DeleteRecordsTopic {
                name: "known".to_owned(),
                partitions: vec![
                    DeleteRecordsPartition::default(),
                    DeleteRecordsPartition {
                        partition_index: 9,
                        ..DeleteRecordsPartition::default()
                    },
                ],
                ..DeleteRecordsTopic::default()
            }],
            ..messages::DeleteRecordsRequest::default()
        },
        keep,
    );
    check(
        |_| messages::DescribeConfigsRequest {
            resources: [(2, "known"), (2, "unknown"), (4, "1"), (9, "x")]
                .map(|(resource_type, name)| DescribeConfigsResource {
                    resource_type,
                    resource_name: name.to_owned(),
                    ..DescribeConfigsResource::default()
                })
                .into(),
            ..messages::DescribeConfigsRequest::default()
        },
        keep,
    );
    check(
        |id| messages::DeleteTopicsRequest {
            topics: vec![
                DeleteTopicState {
                    name: None,
                    topic_id: id,
                    ..DeleteTopicState::default()
                },
                DeleteTopicState {
                    name: Some("unknown".to_owned()),
                    ..DeleteTopicState::default()
                },
            ],
            topic_names: vec!["known".to_owned(), "unknown".to_owned()],
            ..messages::DeleteTopicsRequest::default()
        },
        |request, version| {
            if version < 6 {
                request.topics.clear()
            } else {
                request.topic_names.clear()
            }
        },
    );
}

#[test]
fn transactions() {
    let id = "x".to_owned();
    check(
        |_| messages::InitProducerIdRequest {
            transactional_id: Some("x".to_owned()),
            transaction_timeout_ms: 1_000,
            ..messages::InitProducerIdRequest::default()
        },
        keep,
    );
    check(
        |_| messages::AddPartitionsToTxnRequest {
            v3_and_below_transactional_id: id.clone(),
            v3_and_below_topics: vec![AddPartitionsToTxnTopic {
                name: "known".to_owned(),
                partitions: vec![0, 9],
                ..AddPartitionsToTxnTopic::default()
            }],
            transactions: vec![AddPartitionsToTxnTransaction {
                transactional_id: id.clone(),
                topics: vec![AddPartitionsToTxnTopic {
                    name: "known".to_owned(),
                    partitions: vec![0],
                    ..AddPartitionsToTxnTopic::default()
                }],
                ..AddPartitionsToTxnTransaction::default()
            }],
            ..messages::AddPartitionsToTxnRequest::default()
        },
        |request, version| {
            if version < 4 {
                request.transactions.clear();
            } else {
                request.v3_and_below_topics.clear();
                request.v3_and_below_transactional_id.clear();
            }
        },
    );
    check(
        |_| messages::AddOffsetsToTxnRequest {
            transactional_id: id.clone(),
            group_id: "g".to_owned(),
            ..messages::AddOffsetsToTxnRequest::default()
        },
        keep,
    );
    check(
        |_| messages::EndTxnRequest {
            transactional_id: id.clone(),
            ..messages::EndTxnRequest::default()
        },
        keep,
    );
    check(
        |_| messages::TxnOffsetCommitRequest {
            transactional_id: id.clone(),
            group_id: "g".to_owned(),
            topics: vec![TxnOffsetCommitRequestTopic {
                name: "known".to_owned(),
                partitions: vec![TxnOffsetCommitRequestPartition::default()],
                ..TxnOffsetCommitRequestTopic::default()
            }],
            ..messages::TxnOffsetCommitRequest::default()
        },
        keep,
    );
    check(
        |_| messages::DescribeTransactionsRequest {
            transactional_ids: vec![id.clone()],
            ..messages::DescribeTransactionsRequest::default()
        },
        keep,
    );
    check(|_| messages::ListTransactionsRequest::default(), keep);
    check(
        |_| messages::DescribeProducersRequest {
            topics: vec![messages::describe_producers::TopicRequest {
                name: "known".to_owned(),
                partition_indexes: vec![0, 9],
                ..messages::describe_producers::TopicRequest::default()
            }],
            ..messages::DescribeProducersRequest::default()
        },
        keep,
    );
}

#[test]
fn groups() {
    check(
        |_| messages::FindCoordinatorRequest {
            key: "g".to_owned(),
            coordinator_keys: vec!["g".to_owned(), "h".to_owned()],
            ..messages::FindCoordinatorRequest::default()
        },
        |request, version| {
            if version < 4 {
                request.coordinator_keys.clear()
            } else {
                request.key.clear()
            }
        },
    );
    check(
        |_| messages::JoinGroupRequest {
            group_id: "g".to_owned(),
            session_timeout_ms: 10_000,
            rebalance_timeout_ms: 10_000,
            protocol_type: "consumer".to_owned(),
            protocols: vec![JoinGroupRequestProtocol {
                name: "range".to_owned(),
                ..JoinGroupRequestProtocol::default()
            }],
            ..messages::JoinGroupRequest::default()
        },
        keep,
    );
    check(
        |_| messages::SyncGroupRequest {
            group_id: "g".to_owned(),
            ..messages::SyncGroupRequest::default()
        },
        keep,
    );
    check(
        |_| messages::HeartbeatRequest {
            group_id: "g".to_owned(),
            ..messages::HeartbeatRequest::default()
        },
        keep,
    );
    check(
        |_| messages::LeaveGroupRequest {
            group_id: "g".to_owned(),
            member_id: "m".to_owned(),
            members: vec![MemberIdentity {
                member_id: "m".to_owned(),
                ..MemberIdentity::default()
            }],
            ..messages::LeaveGroupRequest::default()
        },
        |request, version| {
            if version < 3 {
                request.members.clear()
            } else {
                request.member_id.clear()
            }
        },
    );
    check(
        |id| messages::OffsetCommitRequest {
            group_id: "g".to_owned(),
            topics: vec![OffsetCommitRequestTopic {
                name: "known".to_owned(),
                topic_id: id,
                partitions: vec![
                    OffsetCommitRequestPartition::default(),
                    OffsetCommitRequestPartition {
                        partition_index: 9,
                        ..OffsetCommitRequestPartition::default()
                    },
                ],
                ..OffsetCommitRequestTopic::default()
            }],
            ..messages::OffsetCommitRequest::default()
        },
        keep,
    );
    check(
        |id| messages::OffsetFetchRequest {
            group_id: "g".to_owned(),
            topics: Some(vec![OffsetFetchRequestTopic {
                name: "known".to_owned(),
                partition_indexes: vec![0, 9],
                ..OffsetFetchRequestTopic::default()
            }]),
            groups: vec![OffsetFetchRequestGroup {
                group_id: "g".to_owned(),
                topics: Some(vec![OffsetFetchRequestTopics {
                    name: "known".to_owned(),
                    topic_id: id,
                    partition_indexes: vec![0, 9],
                    ..OffsetFetchRequestTopics::default()
                }]),
                ..OffsetFetchRequestGroup::default()
            }],
            ..messages::OffsetFetchRequest::default()
        },
        |request, version| {
            if version < 8 {
                request.groups.clear();
            } else {
                request.group_id.clear();
                request.topics = Some(Vec::new());
            }
            if version < 2 && request.topics.is_none() {
                request.topics = Some(Vec::new());
            }
        },
    );
    check(
        |_| messages::DescribeGroupsRequest {
            groups: vec!["g".to_owned()],
            ..messages::DescribeGroupsRequest::default()
        },
        keep,
    );
    check(|_| messages::ListGroupsRequest::default(), keep);
    check(
        |_| messages::DeleteGroupsRequest {
            groups_names: vec!["g".to_owned()],
            ..messages::DeleteGroupsRequest::default()
        },
        keep,
    );
}

#[test]
fn api_versions_answers_every_version_also_those_that_are_not_spoken() {
    for pose in POSES {
        let mut session = cluster(pose);
        let spoken = api_versions(&mut session, 0);
        let own = spoken
            .api_keys
            .iter()
            .find(|api| api.api_key == ApiKey::API_VERSIONS.0)
            .expect("itself")
            .max_version;
        for version in 0..=4 {
            let answer = api_versions(&mut session, version);
            if version <= own {
                assert_eq!(answer.error_code, 0, "{pose:?} v{version}");
                assert_eq!(answer.api_keys, spoken.api_keys);
            } else {
                assert_eq!(ErrorCode(answer.error_code), ErrorCode::UNSUPPORTED_VERSION);
                let only: Vec<_> = answer
                    .api_keys
                    .iter()
                    .map(|api| (api.api_key, api.max_version))
                    .collect();
                assert_eq!(only, [(ApiKey::API_VERSIONS.0, own)]);
            }
        }
    }
}

#[test]
fn transaction_version_is_announced_from_3_9() {
    for (pose, level) in [
        (Pose::V2_8, None),
        (Pose::V3_9, Some(1)),
        (Pose::V4_0, Some(2)),
        (Pose::V4_3, Some(2)),
    ] {
        let mut session = cluster(pose);
        let version = if pose == Pose::V2_8 { 3 } else { 4 };
        let answer = api_versions(&mut session, version);
        let found = answer
            .finalized_features
            .iter()
            .find(|feature| feature.name == "transaction.version");
        assert_eq!(found.map(|feature| feature.max_version_level), level, "{pose:?}");
    }
}

//! Every API that is not about records, at every version: whole answers are compared, without what differs between any
//! two clusters (ids, addresses) and the words of errors.

use super::{Script, compare, unique};
use crate::link::Link;
use crate::session::Session;
use ottla_protocol::Request;
use ottla_protocol::messages::add_partitions_to_txn::{
    AddPartitionsToTxnTopic, AddPartitionsToTxnTransaction,
};
use ottla_protocol::messages::create_partitions::CreatePartitionsTopic;
use ottla_protocol::messages::create_topics::CreatableTopic;
use ottla_protocol::messages::delete_records::{DeleteRecordsPartition, DeleteRecordsTopic};
use ottla_protocol::messages::delete_topics::DeleteTopicState;
use ottla_protocol::messages::describe_configs::DescribeConfigsResource;
use ottla_protocol::messages::describe_topic_partitions::{RequestCursor, TopicRequest};
use ottla_protocol::messages::leave_group::MemberIdentity;
use ottla_protocol::messages::offset_commit::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use ottla_protocol::messages::offset_fetch::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
};
use ottla_protocol::messages::offset_for_leader_epoch::{OffsetForLeaderPartition, OffsetForLeaderTopic};
use ottla_protocol::messages::txn_offset_commit::{
    TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use ottla_protocol::messages::{
    AddOffsetsToTxnRequest, AddPartitionsToTxnRequest, CreatePartitionsRequest, CreateTopicsRequest,
    DeleteGroupsRequest, DeleteRecordsRequest, DeleteTopicsRequest, DescribeClusterRequest,
    DescribeConfigsRequest, DescribeGroupsRequest, DescribeTopicPartitionsRequest, EndTxnRequest,
    FindCoordinatorRequest, HeartbeatRequest, LeaveGroupRequest, ListGroupsRequest, ListTransactionsRequest,
    OffsetCommitRequest, OffsetFetchRequest, OffsetForLeaderEpochRequest, SyncGroupRequest,
    TxnOffsetCommitRequest,
};
use ottla_protocol::wire::Uuid;
use std::fmt::Debug;

/// A topic that nobody has created.
const UNKNOWN: &str = "no-such-topic";
/// An id that no topic has.
const UNKNOWN_ID: Uuid = Uuid::from_halves(7, 7);

/// A producer id that no cluster has handed out.
const UNKNOWN_PRODUCER: i64 = 1 << 50;

/// Sends a request at every version, and notes the whole answer.
fn each<L: Link, R: Request>(
    session: &mut Session<L>,
    request: impl Fn(i16) -> R,
    clean: impl Fn(&mut R::Response),
) where
    R::Response: Debug,
{
    for version in R::VERSIONS.min..=R::VERSIONS.max {
        match session.call(&request(version), version) {
            Some(mut answer) => {
                clean(&mut answer);
                session.note(format!("{} v{version} -> {answer:?}", R::NAME));
            }
            None => session.note(format!("{} v{version} -> closed", R::NAME)),
        }
    }
}

fn keep<R>(_: &mut R) {}

fn names(of: &[&str]) -> Vec<String> {
    of.iter().map(|&name| name.to_owned()).collect()
}

/// The brokers, and where partitions are.
struct Places {
    topic: String,
}

impl Script for Places {
    fn run<L: Link>(&self, session: &mut Session<L>) {
        let known = self.topic.as_str();
        session.create_topic(known, 3, &[]);
        for endpoint_type in [1, 2, 3] {
            each(
                session,
                |version| DescribeClusterRequest {
                    include_cluster_authorized_operations: true,
                    endpoint_type: if version == 0 { 1 } else { endpoint_type },
                    ..DescribeClusterRequest::default()
                },
                |answer| {
                    answer.cluster_id.clear();
                    answer.error_message = None;
                    for broker in &mut answer.brokers {
                        broker.host.clear();
                        broker.port = 0;
                    }
                },
            );
        }
        let cursor = |topic: &str, partition_index| RequestCursor {
            topic_name: topic.to_owned(),
            partition_index,
            ..RequestCursor::default()
        };
        let all = [known, UNKNOWN, "a b"];
        for (asked, response_partition_limit, cursor) in [
            (&all[..], 2_000, None),
            (&all[..1], 2, None),
            (&all[..1], 2, Some(cursor(known, 2))),
            (&all[..1], 1, Some(cursor(known, 1))),
            (&all[1..2], 1, None),
        ] {
            each(
                session,
                |_| DescribeTopicPartitionsRequest {
                    topics: asked
                        .iter()
                        .map(|&name| TopicRequest {
                            name: name.to_owned(),
                            ..TopicRequest::default()
                        })
                        .collect(),
                    response_partition_limit,
                    cursor: cursor.clone(),
                    ..DescribeTopicPartitionsRequest::default()
                },
                |answer| {
                    answer
                        .topics
                        .iter_mut()
                        .for_each(|topic| topic.topic_id = Uuid::ZERO)
                },
            );
        }
        each(
            session,
            |_| OffsetForLeaderEpochRequest {
                replica_id: -1,
                topics: [known, UNKNOWN]
                    .map(|topic| OffsetForLeaderTopic {
                        topic: topic.to_owned(),
                        partitions: [0, 9]
                            .map(|partition| OffsetForLeaderPartition {
                                partition,
                                current_leader_epoch: -1,
                                ..OffsetForLeaderPartition::default()
                            })
                            .into(),
                        ..OffsetForLeaderTopic::default()
                    })
                    .into(),
                ..OffsetForLeaderEpochRequest::default()
            },
            // In the order of a hash table.
            |answer| {
                answer.topics.sort_by(|a, b| a.topic.cmp(&b.topic));
                for topic in &mut answer.topics {
                    topic.partitions.sort_by_key(|partition| partition.partition);
                }
            },
        );
    }
}

#[test]
fn places_at_each_version() {
    compare(Places {
        topic: unique("places", 0),
    });
}

/// Topics, as administrators ask about them.
struct Administration {
    topic: String,
}

impl Script for Administration {
    fn run<L: Link>(&self, session: &mut Session<L>) {
        let known = self.topic.as_str();
        session.create_topic(known, 2, &[("max.message.bytes", "5000")]);
        let absent = format!("{known}-absent");
        each(
            session,
            |_| CreateTopicsRequest {
                topics: [(known, 1, 1), (&absent, 3, 1), (&absent[..9], 1, 9)]
                    .map(|(name, num_partitions, replication_factor)| CreatableTopic {
                        name: name.to_owned(),
                        num_partitions,
                        replication_factor,
                        ..CreatableTopic::default()
                    })
                    .into(),
                timeout_ms: 30_000,
                validate_only: true,
                ..CreateTopicsRequest::default()
            },
            |answer| {
                answer.topics.sort_by(|a, b| a.name.cmp(&b.name));
                for topic in &mut answer.topics {
                    topic.error_message = None;
                    topic.topic_id = Uuid::ZERO;
                    // What is told of them has a test of its own.
                    topic.configs = None;
                }
            },
        );
        each(
            session,
            |_| CreatePartitionsRequest {
                topics: [(known, 2), (UNKNOWN, 3)]
                    .map(|(name, count)| CreatePartitionsTopic {
                        name: name.to_owned(),
                        count,
                        ..CreatePartitionsTopic::default()
                    })
                    .into(),
                timeout_ms: 30_000,
                validate_only: true,
                ..CreatePartitionsRequest::default()
            },
            |answer| {
                answer.results.sort_by(|a, b| a.name.cmp(&b.name));
                answer
                    .results
                    .iter_mut()
                    .for_each(|result| result.error_message = None);
            },
        );
        each(
            session,
            |_| DescribeConfigsRequest {
                resources: [known, UNKNOWN]
                    .map(|name| DescribeConfigsResource {
                        resource_type: 2,
                        resource_name: name.to_owned(),
                        configuration_keys: Some(names(&["max.message.bytes", "cleanup.policy"])),
                        ..DescribeConfigsResource::default()
                    })
                    .into(),
                ..DescribeConfigsRequest::default()
            },
            |answer| {
                for result in &mut answer.results {
                    result.error_message = None;
                    result.configs.sort_by(|a, b| a.name.cmp(&b.name));
                }
            },
        );
        each(
            session,
            |_| DeleteRecordsRequest {
                topics: [known, UNKNOWN]
                    .map(|name| DeleteRecordsTopic {
                        name: name.to_owned(),
                        partitions: [0, 9]
                            .map(|partition_index| DeleteRecordsPartition {
                                partition_index,
                                ..DeleteRecordsPartition::default()
                            })
                            .into(),
                        ..DeleteRecordsTopic::default()
                    })
                    .into(),
                timeout_ms: 30_000,
                ..DeleteRecordsRequest::default()
            },
            |answer| {
                answer.topics.sort_by(|a, b| a.name.cmp(&b.name));
                for topic in &mut answer.topics {
                    topic
                        .partitions
                        .sort_by_key(|partition| partition.partition_index);
                }
            },
        );
        each(
            session,
            |version| DeleteTopicsRequest {
                topics: [Some(UNKNOWN.to_owned()), None]
                    .map(|name| DeleteTopicState {
                        topic_id: if name.is_none() { UNKNOWN_ID } else { Uuid::ZERO },
                        name,
                        ..DeleteTopicState::default()
                    })
                    .into_iter()
                    .filter(|_| version >= 6)
                    .collect(),
                topic_names: if version < 6 {
                    names(&[UNKNOWN])
                } else {
                    Vec::new()
                },
                timeout_ms: 30_000,
                ..DeleteTopicsRequest::default()
            },
            |answer| {
                answer.responses.sort_by(|a, b| a.name.cmp(&b.name));
                answer
                    .responses
                    .iter_mut()
                    .for_each(|topic| topic.error_message = None);
            },
        );
    }
}

#[test]
fn administration_at_each_version() {
    compare(Administration {
        topic: unique("admin", 0),
    });
}

/// A group that nobody is a member of, and one that does not exist.
struct Offsets {
    group: String,
}

impl Offsets {
    fn commit<L: Link>(&self, session: &mut Session<L>, id: Uuid) {
        each(
            session,
            |version| OffsetCommitRequest {
                group_id: self.group.clone(),
                generation_id_or_member_epoch: -1,
                topics: [(self.group.as_str(), id), (UNKNOWN, UNKNOWN_ID)]
                    .map(|(name, topic_id)| OffsetCommitRequestTopic {
                        name: if version < 10 {
                            name.to_owned()
                        } else {
                            String::new()
                        },
                        topic_id: if version < 10 { Uuid::ZERO } else { topic_id },
                        partitions: [0, 9]
                            .map(|partition_index| OffsetCommitRequestPartition {
                                partition_index,
                                committed_offset: 4,
                                committed_leader_epoch: -1,
                                committed_metadata: Some("mine".to_owned()),
                                ..OffsetCommitRequestPartition::default()
                            })
                            .into(),
                        ..OffsetCommitRequestTopic::default()
                    })
                    .into(),
                ..OffsetCommitRequest::default()
            },
            |answer| {
                answer
                    .topics
                    .sort_by_key(|topic| (topic.name.clone(), topic.topic_id != id));
                for topic in &mut answer.topics {
                    topic.topic_id = Uuid::ZERO;
                    topic
                        .partitions
                        .sort_by_key(|partition| partition.partition_index);
                }
            },
        );
    }

    fn fetch<L: Link>(&self, session: &mut Session<L>, id: Uuid, group: &str) {
        let known = self.group.as_str();
        each(
            session,
            |version| OffsetFetchRequest {
                group_id: if version < 8 {
                    group.to_owned()
                } else {
                    String::new()
                },
                topics: Some(if version < 8 {
                    vec![OffsetFetchRequestTopic {
                        name: known.to_owned(),
                        partition_indexes: vec![0, 9],
                        ..OffsetFetchRequestTopic::default()
                    }]
                } else {
                    Vec::new()
                }),
                groups: if version < 8 {
                    Vec::new()
                } else {
                    vec![OffsetFetchRequestGroup {
                        group_id: group.to_owned(),
                        topics: Some(vec![OffsetFetchRequestTopics {
                            name: if version < 10 {
                                known.to_owned()
                            } else {
                                String::new()
                            },
                            topic_id: if version < 10 { Uuid::ZERO } else { id },
                            partition_indexes: vec![0, 9],
                            ..OffsetFetchRequestTopics::default()
                        }]),
                        ..OffsetFetchRequestGroup::default()
                    }]
                },
                ..OffsetFetchRequest::default()
            },
            |answer| {
                for topic in answer.groups.iter_mut().flat_map(|group| &mut group.topics) {
                    topic.topic_id = Uuid::ZERO;
                }
            },
        );
    }
}

impl Script for Offsets {
    fn run<L: Link>(&self, session: &mut Session<L>) {
        let group = self.group.as_str();
        let absent = format!("{group}-absent");
        let id = session.create_topic(group, 2, &[]);
        session.find_coordinators(0, &[group]);
        session.settle_group(group);
        for key_type in [0, 1] {
            session.find_coordinators(key_type, &[group]);
            each(
                session,
                |version| FindCoordinatorRequest {
                    key_type: if version == 0 { 0 } else { key_type },
                    key: if version < 4 {
                        group.to_owned()
                    } else {
                        String::new()
                    },
                    coordinator_keys: if version < 4 {
                        Vec::new()
                    } else {
                        names(&[group, &absent])
                    },
                    ..FindCoordinatorRequest::default()
                },
                |answer| {
                    answer.error_message = None;
                    answer.host.clear();
                    answer.port = 0;
                    for coordinator in &mut answer.coordinators {
                        // Each run has names of its own.
                        coordinator.error_message = None;
                        coordinator.host.clear();
                        coordinator.port = 0;
                    }
                },
            );
        }
        self.commit(session, id);
        self.fetch(session, id, group);
        self.fetch(session, id, &absent);
        let groups = [group, &absent];
        each(
            session,
            |_| DescribeGroupsRequest {
                groups: names(&groups),
                include_authorized_operations: false,
                ..DescribeGroupsRequest::default()
            },
            |answer| {
                answer.groups.sort_by(|a, b| a.group_id.cmp(&b.group_id));
                for group in &mut answer.groups {
                    group.error_message = None;
                }
            },
        );
        for state in [
            None,
            Some("Empty"),
            Some("Stable"),
            Some("empty"),
            Some("none such"),
        ] {
            each(
                session,
                |version| ListGroupsRequest {
                    states_filter: state
                        .filter(|_| version >= 4)
                        .map(str::to_owned)
                        .into_iter()
                        .collect(),
                    ..ListGroupsRequest::default()
                },
                |answer| answer.groups.retain(|listed| listed.group_id == group),
            );
        }
        for kind in ["classic", "Consumer", "none such"] {
            each(
                session,
                |version| ListGroupsRequest {
                    types_filter: if version < 5 { Vec::new() } else { names(&[kind]) },
                    ..ListGroupsRequest::default()
                },
                |answer| answer.groups.retain(|listed| listed.group_id == group),
            );
        }
        each(
            session,
            |_| HeartbeatRequest {
                group_id: group.to_owned(),
                member_id: "nobody".to_owned(),
                ..HeartbeatRequest::default()
            },
            keep,
        );
        each(
            session,
            |_| SyncGroupRequest {
                group_id: absent.clone(),
                member_id: "nobody".to_owned(),
                ..SyncGroupRequest::default()
            },
            keep,
        );
        each(
            session,
            |version| LeaveGroupRequest {
                group_id: group.to_owned(),
                member_id: if version < 3 {
                    "nobody".to_owned()
                } else {
                    String::new()
                },
                members: if version < 3 {
                    Vec::new()
                } else {
                    vec![MemberIdentity {
                        member_id: "nobody".to_owned(),
                        ..MemberIdentity::default()
                    }]
                },
                ..LeaveGroupRequest::default()
            },
            keep,
        );
        each(
            session,
            |_| DeleteGroupsRequest {
                groups_names: names(&[&absent]),
                ..DeleteGroupsRequest::default()
            },
            keep,
        );
    }
}

#[test]
fn offsets_and_groups_at_each_version() {
    compare(Offsets {
        group: unique("offsets", 0),
    });
}

/// Requests about a transaction that nobody has begun, and lists of those that somebody has.
struct Transactional {
    id: String,
}

impl Script for Transactional {
    fn run<L: Link>(&self, session: &mut Session<L>) {
        let (topic, absent) = (self.id.as_str(), format!("absent-{}", self.id));
        session.create_topic(topic, 2, &[]);
        session.find_coordinators(1, &[topic, &absent]);
        session.find_coordinators(0, &[topic]);
        session.settle_group(topic);
        session
            .init(5, Some(topic), 60_000, (-1, -1))
            .expect("an identity");
        let partitions = || {
            vec![AddPartitionsToTxnTopic {
                name: topic.to_owned(),
                partitions: vec![0],
                ..AddPartitionsToTxnTopic::default()
            }]
        };
        for verify_only in [false, true] {
            each(
                session,
                |version| {
                    let mut request = AddPartitionsToTxnRequest::default();
                    if version < 4 {
                        request.v3_and_below_transactional_id.clone_from(&absent);
                        request.v3_and_below_producer_id = UNKNOWN_PRODUCER;
                        request.v3_and_below_topics = partitions();
                    } else {
                        request.transactions = vec![AddPartitionsToTxnTransaction {
                            transactional_id: absent.clone(),
                            producer_id: UNKNOWN_PRODUCER,
                            verify_only,
                            topics: partitions(),
                            ..AddPartitionsToTxnTransaction::default()
                        }];
                    }
                    request
                },
                keep,
            );
        }
        each(
            session,
            |_| AddOffsetsToTxnRequest {
                transactional_id: absent.clone(),
                producer_id: UNKNOWN_PRODUCER,
                group_id: topic.to_owned(),
                ..AddOffsetsToTxnRequest::default()
            },
            keep,
        );
        each(
            session,
            |_| TxnOffsetCommitRequest {
                transactional_id: absent.clone(),
                producer_id: UNKNOWN_PRODUCER,
                group_id: topic.to_owned(),
                generation_id: -1,
                topics: vec![TxnOffsetCommitRequestTopic {
                    name: topic.to_owned(),
                    partitions: vec![TxnOffsetCommitRequestPartition::default()],
                    ..TxnOffsetCommitRequestTopic::default()
                }],
                ..TxnOffsetCommitRequest::default()
            },
            keep,
        );
        each(
            session,
            |_| EndTxnRequest {
                transactional_id: absent.clone(),
                producer_id: UNKNOWN_PRODUCER,
                ..EndTxnRequest::default()
            },
            keep,
        );
        for states in [&[][..], &["Empty"], &["Ongoing", "none such"]] {
            each(
                session,
                |_| ListTransactionsRequest {
                    state_filters: names(states),
                    ..ListTransactionsRequest::default()
                },
                |answer| {
                    answer
                        .transaction_states
                        .retain(|listed| listed.transactional_id == topic);
                    answer
                        .transaction_states
                        .iter_mut()
                        .for_each(|listed| listed.producer_id = 0);
                },
            );
        }
    }
}

#[test]
fn transactions_at_each_version() {
    compare(Transactional {
        id: unique("listed", 0),
    });
}

//! What a real Kafka and the core say to everything that is not producing: metadata, topics, readers, groups, and the
//! errors of each.

use crate::batch::{Batch, TIMESTAMP};
use crate::differential::{Script, compare, unique};
use crate::link::Link;
use crate::session::{Session, Target};
use bytes::Bytes;
use ottla_protocol::messages::create_partitions::CreatePartitionsTopic;
use ottla_protocol::messages::create_topics::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig,
};
use ottla_protocol::messages::delete_topics::DeleteTopicState;
use ottla_protocol::messages::describe_configs::DescribeConfigsResource;
use ottla_protocol::messages::fetch::{FetchPartition, FetchTopic};
use ottla_protocol::messages::join_group::JoinGroupRequestProtocol;
use ottla_protocol::messages::leave_group::MemberIdentity;
use ottla_protocol::messages::metadata::MetadataRequestTopic;
use ottla_protocol::messages::offset_commit::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use ottla_protocol::messages::offset_fetch::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use ottla_protocol::messages::offset_for_leader_epoch::{OffsetForLeaderPartition, OffsetForLeaderTopic};
use ottla_protocol::messages::{
    ApiVersionsRequest, CreatePartitionsRequest, CreateTopicsRequest, DeleteGroupsRequest,
    DeleteTopicsRequest, DescribeConfigsRequest, DescribeGroupsRequest, DescribeProducersRequest,
    DescribeTransactionsRequest, FetchRequest, FindCoordinatorRequest, HeartbeatRequest,
    InitProducerIdRequest, JoinGroupRequest, LeaveGroupRequest, MetadataRequest, OffsetCommitRequest,
    OffsetFetchRequest, OffsetForLeaderEpochRequest, SyncGroupRequest,
};
use ottla_protocol::wire::Uuid;
use ottla_protocol::{ApiKey, ErrorCode};
use std::collections::BTreeMap;

/// Which versions are offered, and which features.
struct Versions;

impl Script for Versions {
    fn run<L: Link>(&self, session: &mut Session<L>) {
        for version in 0..=4 {
            let request = ApiVersionsRequest {
                client_software_name: "test".to_owned(),
                client_software_version: "1.0".to_owned(),
                ..ApiVersionsRequest::default()
            };
            let answer = session.call(&request, version).expect("an answer");
            let ranges: BTreeMap<i16, (i16, i16)> = answer
                .api_keys
                .iter()
                .map(|api| (api.api_key, (api.min_version, api.max_version)))
                .collect();
            // What the core does not offer at all is no difference.
            for key in OFFERED {
                session.note(format!("{version}: {key} {:?}", ranges.get(&key.0)));
            }
            let features = ["group.version", "transaction.version"];
            for name in features {
                let supported = answer
                    .supported_features
                    .iter()
                    .find(|feature| feature.name == name);
                let finalised = answer
                    .finalized_features
                    .iter()
                    .find(|feature| feature.name == name);
                session.note(format!(
                    "{version}: {name} {:?} {:?}",
                    supported.map(|feature| (feature.min_version, feature.max_version)),
                    finalised.map(|feature| (feature.min_version_level, feature.max_version_level)),
                ));
            }
        }
        for name in ["", "-x", "a b"] {
            let request = ApiVersionsRequest {
                client_software_name: name.to_owned(),
                ..ApiVersionsRequest::default()
            };
            let answer = session.call(&request, 3).expect("an answer");
            session.note(format!("name {name:?} -> {}", ErrorCode(answer.error_code)));
        }
    }
}

const OFFERED: [ApiKey; 31] = [
    ApiKey::PRODUCE,
    ApiKey::FETCH,
    ApiKey::LIST_OFFSETS,
    ApiKey::METADATA,
    ApiKey::OFFSET_COMMIT,
    ApiKey::OFFSET_FETCH,
    ApiKey::FIND_COORDINATOR,
    ApiKey::JOIN_GROUP,
    ApiKey::HEARTBEAT,
    ApiKey::LEAVE_GROUP,
    ApiKey::SYNC_GROUP,
    ApiKey::DESCRIBE_GROUPS,
    ApiKey::LIST_GROUPS,
    ApiKey::API_VERSIONS,
    ApiKey::CREATE_TOPICS,
    ApiKey::DELETE_TOPICS,
    ApiKey::DELETE_RECORDS,
    ApiKey::INIT_PRODUCER_ID,
    ApiKey::OFFSET_FOR_LEADER_EPOCH,
    ApiKey::ADD_PARTITIONS_TO_TXN,
    ApiKey::ADD_OFFSETS_TO_TXN,
    ApiKey::END_TXN,
    ApiKey::TXN_OFFSET_COMMIT,
    ApiKey::DESCRIBE_CONFIGS,
    ApiKey::CREATE_PARTITIONS,
    ApiKey::DELETE_GROUPS,
    ApiKey::DESCRIBE_CLUSTER,
    ApiKey::DESCRIBE_PRODUCERS,
    ApiKey::DESCRIBE_TRANSACTIONS,
    ApiKey::LIST_TRANSACTIONS,
    ApiKey::DESCRIBE_TOPIC_PARTITIONS,
];

#[test]
fn versions_and_features() {
    compare(Versions);
}

/// Topics: created, grown, described, deleted, and refused.
struct Topics {
    topic: String,
}

impl Topics {
    fn create<L: Link>(
        &self,
        session: &mut Session<L>,
        what: &str,
        topic: CreatableTopic,
        validate_only: bool,
    ) {
        for version in [2, 5, 7] {
            // A topic that is really created can be created once.
            if !validate_only && version != 7 {
                continue;
            }
            let request = CreateTopicsRequest {
                topics: vec![topic.clone()],
                timeout_ms: 30_000,
                validate_only,
                ..CreateTopicsRequest::default()
            };
            let answer = session
                .call(&request, version)
                .expect("an answer")
                .topics
                .remove(0);
            session.note(format!(
                "create {what} v{version} -> {} partitions {} factor {} id {}",
                ErrorCode(answer.error_code),
                answer.num_partitions,
                answer.replication_factor,
                answer.topic_id.is_zero(),
            ));
        }
    }

    fn metadata<L: Link>(&self, session: &mut Session<L>, what: &str, name: Option<&str>, topic_id: Uuid) {
        for version in if name.is_some() { 0..=13 } else { 12..=13 } {
            let request = MetadataRequest {
                topics: Some(vec![MetadataRequestTopic {
                    name: name.map(str::to_owned),
                    topic_id,
                    ..MetadataRequestTopic::default()
                }]),
                // Older versions cannot say otherwise.
                allow_auto_topic_creation: version < 4,
                include_topic_authorized_operations: version >= 8,
                include_cluster_authorized_operations: (8..=10).contains(&version),
                ..MetadataRequest::default()
            };
            let answer = session.call(&request, version).expect("an answer");
            let topic = &answer.topics[0];
            session.note(format!(
                "metadata {what} v{version} -> {} {} brokers {} partitions {} internal {} id {} operations {} {} {}",
                ErrorCode(answer.error_code),
                ErrorCode(topic.error_code),
                answer.brokers.len(),
                topic.partitions.len(),
                topic.is_internal,
                topic.topic_id.is_zero(),
                topic.topic_authorized_operations,
                answer.cluster_authorized_operations,
                topic.name.is_some(),
            ));
            for partition in &topic.partitions {
                session.note(format!(
                    "  {} {} leader {} epoch {} replicas {:?} in sync {:?} offline {:?}",
                    partition.partition_index,
                    ErrorCode(partition.error_code),
                    partition.leader_id,
                    partition.leader_epoch,
                    partition.replica_nodes,
                    partition.isr_nodes,
                    partition.offline_replicas,
                ));
            }
        }
    }

    fn grow<L: Link>(&self, session: &mut Session<L>, name: &str, count: i32) {
        let request = CreatePartitionsRequest {
            topics: vec![CreatePartitionsTopic {
                name: name.to_owned(),
                count,
                ..CreatePartitionsTopic::default()
            }],
            timeout_ms: 30_000,
            ..CreatePartitionsRequest::default()
        };
        let answer = session.call(&request, 3).expect("an answer");
        session.note(format!(
            "grow to {count} -> {}",
            ErrorCode(answer.results[0].error_code)
        ));
    }

    fn describe<L: Link>(&self, session: &mut Session<L>, kind: i8, name: &str, keys: &[&str]) {
        let request = DescribeConfigsRequest {
            resources: vec![DescribeConfigsResource {
                resource_type: kind,
                resource_name: name.to_owned(),
                configuration_keys: Some(keys.iter().map(|&key| key.to_owned()).collect()),
                ..DescribeConfigsResource::default()
            }],
            ..DescribeConfigsRequest::default()
        };
        let answer = session.call(&request, 4).expect("an answer").results.remove(0);
        session.note(format!(
            "describe {kind} {} -> {}",
            keys.len(),
            ErrorCode(answer.error_code)
        ));
        let mut configs = answer.configs;
        configs.sort_by(|a, b| a.name.cmp(&b.name));
        for config in configs {
            session.note(format!(
                "  {} = {:?} source {} type {}",
                config.name, config.value, config.config_source, config.config_type
            ));
        }
    }
}

fn topic(name: &str, num_partitions: i32, replication_factor: i16) -> CreatableTopic {
    CreatableTopic {
        name: name.to_owned(),
        num_partitions,
        replication_factor,
        ..CreatableTopic::default()
    }
}

fn configured(name: &str, config: &str, value: &str) -> CreatableTopic {
    CreatableTopic {
        configs: vec![CreatableTopicConfig {
            name: config.to_owned(),
            value: Some(value.to_owned()),
            ..CreatableTopicConfig::default()
        }],
        ..topic(name, 1, 1)
    }
}

fn assigned(name: &str, assignments: &[(i32, &[i32])]) -> CreatableTopic {
    CreatableTopic {
        assignments: assignments
            .iter()
            .map(|&(partition_index, broker_ids)| CreatableReplicaAssignment {
                partition_index,
                broker_ids: broker_ids.to_vec(),
                ..CreatableReplicaAssignment::default()
            })
            .collect(),
        ..topic(name, -1, -1)
    }
}

impl Script for Topics {
    fn run<L: Link>(&self, session: &mut Session<L>) {
        let name = self.topic.as_str();
        for (what, wanted) in [
            ("no partitions", topic(name, 0, 1)),
            ("negative partitions", topic(name, -2, 1)),
            ("no replicas", topic(name, 1, 0)),
            ("too many replicas", topic(name, 1, 9)),
            ("an empty name", topic("", 1, 1)),
            ("a bad name", topic("a b", 1, 1)),
            ("a long name", topic(&"x".repeat(250), 1, 1)),
            ("a bad value", configured(name, "max.message.bytes", "many")),
            ("an unknown configuration", configured(name, "no.such.thing", "1")),
            ("a configuration", configured(name, "max.message.bytes", "5000")),
            ("assignment", assigned(name, &[(0, &[1]), (1, &[1])])),
            ("assignment to an unknown broker", assigned(name, &[(0, &[77])])),
            ("assignment with a hole", assigned(name, &[(1, &[1])])),
            ("assignment to nobody", assigned(name, &[(0, &[])])),
            ("assignment twice", assigned(name, &[(0, &[1, 1])])),
            (
                "assignment and a count",
                CreatableTopic {
                    num_partitions: 1,
                    ..assigned(name, &[(0, &[1])])
                },
            ),
        ] {
            self.create(session, what, wanted, true);
        }
        let id = session.create_topic(name, 2, &[("max.message.bytes", "5000")]);
        self.create(session, "existing", topic(name, 1, 1), true);
        self.metadata(session, "known", Some(name), Uuid::ZERO);
        self.metadata(session, "bad name", Some("a b"), Uuid::ZERO);
        self.metadata(session, "by id", None, id);
        self.metadata(session, "by unknown id", None, Uuid::from_halves(5, 5));
        for count in [1, 2, 0, -1, 3] {
            self.grow(session, name, count);
        }
        self.grow(session, "no-such-topic", 3);
        self.describe(session, 2, name, &["max.message.bytes", "cleanup.policy"]);
        self.describe(session, 2, "no-such-topic", &[]);
        self.describe(
            session,
            2,
            name,
            &[
                "message.timestamp.type",
                "retention.bytes",
                "compression.type",
                "none",
            ],
        );
        let mut delete = |version, name: Option<&str>, topic_id| {
            let mut request = DeleteTopicsRequest {
                timeout_ms: 30_000,
                ..DeleteTopicsRequest::default()
            };
            if version < 6 {
                request.topic_names = name.iter().map(|&name| name.to_owned()).collect();
            } else {
                let name = name.map(str::to_owned);
                request.topics = vec![DeleteTopicState {
                    name,
                    topic_id,
                    ..DeleteTopicState::default()
                }];
            }
            let answer = session
                .call(&request, version)
                .expect("an answer")
                .responses
                .remove(0);
            session.note(format!(
                "delete v{version} -> {} {}",
                ErrorCode(answer.error_code),
                answer.name.is_some()
            ));
        };
        delete(5, Some("no-such-topic"), Uuid::ZERO);
        delete(6, Some("no-such-topic"), Uuid::ZERO);
        delete(6, None, Uuid::from_halves(5, 5));
        delete(6, None, id);
        delete(6, Some(name), Uuid::ZERO);
    }
}

#[test]
fn topics() {
    compare(Topics {
        topic: unique("topics", 0),
    });
}

/// Readers that ask for what is not there.
struct Readers {
    topic: String,
}

impl Script for Readers {
    fn run<L: Link>(&self, session: &mut Session<L>) {
        let name = self.topic.as_str();
        let id = session.create_topic(name, 1, &[]);
        let target = Target {
            version: 13,
            acks: -1,
            transactional_id: None,
            topic: name,
            topic_id: id,
            partition: 0,
        };
        for count in [1, 3, 2] {
            session.produce("records", target, Some(Batch::plain(count).build()));
        }
        for version in 4..=18 {
            for (what, partition, offset, epoch) in [
                ("first", 0, 0, -1),
                ("middle", 0, 2, -1),
                ("end", 0, 6, -1),
                ("beyond", 0, 7, -1),
                ("negative", 0, -1, -1),
                ("known epoch", 0, 0, 0),
                ("future epoch", 0, 0, 9),
                ("unknown partition", 5, 0, -1),
            ] {
                self.fetch(session, version, what, (name, id), partition, offset, epoch);
            }
            self.fetch(
                session,
                version,
                "unknown topic",
                ("no-such-topic", Uuid::from_halves(3, 3)),
                0,
                0,
                -1,
            );
        }
        for (partition, current, wanted) in [
            (0, -1, 0),
            (0, 0, 0),
            (0, 9, 0),
            (0, -1, 7),
            (0, -1, -1),
            (3, -1, 0),
        ] {
            let request = OffsetForLeaderEpochRequest {
                replica_id: -1,
                topics: vec![OffsetForLeaderTopic {
                    topic: name.to_owned(),
                    partitions: vec![OffsetForLeaderPartition {
                        partition,
                        current_leader_epoch: current,
                        leader_epoch: wanted,
                        ..OffsetForLeaderPartition::default()
                    }],
                    ..OffsetForLeaderTopic::default()
                }],
                ..OffsetForLeaderEpochRequest::default()
            };
            let answer = session
                .call(&request, 4)
                .expect("an answer")
                .topics
                .remove(0)
                .partitions
                .remove(0);
            session.note(format!(
                "epoch {wanted} known {current} of {partition} -> {} {} {}",
                ErrorCode(answer.error_code),
                answer.leader_epoch,
                answer.end_offset
            ));
        }
        for (partition, timestamp) in [(0, -1), (3, -1), (0, TIMESTAMP + 1), (0, -9)] {
            session.list_offset(10, name, partition, timestamp, false);
        }
        session.list_offset(10, "no-such-topic", 0, -1, false);
        for (name, partition) in [(name, 0), (name, 7), ("no-such-topic", 0)] {
            let request = DescribeProducersRequest {
                topics: vec![ottla_protocol::messages::describe_producers::TopicRequest {
                    name: name.to_owned(),
                    partition_indexes: vec![partition],
                    ..ottla_protocol::messages::describe_producers::TopicRequest::default()
                }],
                ..DescribeProducersRequest::default()
            };
            let answer = session
                .call(&request, 0)
                .expect("an answer")
                .topics
                .remove(0)
                .partitions
                .remove(0);
            session.note(format!(
                "producers {partition} -> {} {}",
                ErrorCode(answer.error_code),
                answer.active_producers.len()
            ));
        }
    }
}

impl Readers {
    #[expect(clippy::too_many_arguments, reason = "each is a field of the request")]
    fn fetch<L: Link>(
        &self,
        session: &mut Session<L>,
        version: i16,
        what: &str,
        (name, id): (&str, Uuid),
        partition: i32,
        fetch_offset: i64,
        current_leader_epoch: i32,
    ) {
        let mut wanted = FetchTopic {
            partitions: vec![FetchPartition {
                partition,
                fetch_offset,
                partition_max_bytes: 1_000_000,
                current_leader_epoch: if version >= 9 { current_leader_epoch } else { -1 },
                ..FetchPartition::default()
            }],
            ..FetchTopic::default()
        };
        if version >= 13 {
            wanted.topic_id = id;
        } else {
            name.clone_into(&mut wanted.topic);
        }
        let request = FetchRequest {
            max_bytes: 1_000_000,
            min_bytes: 0,
            session_epoch: -1,
            topics: vec![wanted],
            ..FetchRequest::default()
        };
        let answer = session.call(&request, version).expect("an answer");
        let error = ErrorCode(answer.error_code);
        let data = &answer.responses[0].partitions[0];
        session.note(format!(
            "fetch v{version} {what} -> {error} {} high {} stable {} start {} bytes {:?} aborted {:?} leader {:?}",
            ErrorCode(data.error_code),
            data.high_watermark,
            data.last_stable_offset,
            data.log_start_offset,
            data.records.as_ref().map(Bytes::len),
            data.aborted_transactions.as_ref().map(Vec::len),
            (data.current_leader.leader_id, data.current_leader.leader_epoch),
        ));
    }
}

#[test]
fn readers() {
    compare(Readers {
        topic: unique("readers", 0),
    });
}

/// One member's life in a group, and what is refused to it; and the coordinators' errors.
struct Groups {
    group: String,
}

impl Groups {
    fn join<L: Link>(
        &self,
        session: &mut Session<L>,
        version: i16,
        change: impl FnOnce(&mut JoinGroupRequest),
    ) -> String {
        let mut request = JoinGroupRequest {
            group_id: self.group.clone(),
            session_timeout_ms: 30_000,
            rebalance_timeout_ms: 30_000,
            protocol_type: "consumer".to_owned(),
            protocols: vec![JoinGroupRequestProtocol {
                name: "range".to_owned(),
                metadata: Bytes::from_static(&[0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]),
                ..JoinGroupRequestProtocol::default()
            }],
            ..JoinGroupRequest::default()
        };
        change(&mut request);
        let answer = session.call(&request, version).expect("an answer");
        session.note(format!(
            "join v{version} -> {} generation {} protocol {:?} {:?} leads {} members {} id {}",
            ErrorCode(answer.error_code),
            answer.generation_id,
            answer.protocol_type,
            answer.protocol_name,
            answer.leader == answer.member_id,
            answer.members.len(),
            !answer.member_id.is_empty(),
        ));
        answer.member_id
    }

    fn sync<L: Link>(&self, session: &mut Session<L>, member_id: &str, generation_id: i32) {
        let request = SyncGroupRequest {
            group_id: self.group.clone(),
            generation_id,
            member_id: member_id.to_owned(),
            protocol_type: Some("consumer".to_owned()),
            protocol_name: Some("range".to_owned()),
            assignments: vec![ottla_protocol::messages::sync_group::SyncGroupRequestAssignment {
                member_id: member_id.to_owned(),
                assignment: Bytes::from_static(b"mine"),
                ..ottla_protocol::messages::sync_group::SyncGroupRequestAssignment::default()
            }],
            ..SyncGroupRequest::default()
        };
        let answer = session.call(&request, 5).expect("an answer");
        session.note(format!(
            "sync {generation_id} -> {} {:?} {:?} {:?}",
            ErrorCode(answer.error_code),
            answer.protocol_type,
            answer.protocol_name,
            answer.assignment
        ));
    }

    fn heartbeat<L: Link>(&self, session: &mut Session<L>, member_id: &str, generation_id: i32) {
        let request = HeartbeatRequest {
            group_id: self.group.clone(),
            generation_id,
            member_id: member_id.to_owned(),
            ..HeartbeatRequest::default()
        };
        let answer = session.call(&request, 4).expect("an answer");
        session.note(format!(
            "heartbeat {generation_id} -> {}",
            ErrorCode(answer.error_code)
        ));
    }

    fn commit<L: Link>(
        &self,
        session: &mut Session<L>,
        member_id: &str,
        generation: i32,
        topic: &str,
        partition: i32,
    ) {
        let request = OffsetCommitRequest {
            group_id: self.group.clone(),
            generation_id_or_member_epoch: generation,
            member_id: member_id.to_owned(),
            topics: vec![OffsetCommitRequestTopic {
                name: topic.to_owned(),
                partitions: vec![OffsetCommitRequestPartition {
                    partition_index: partition,
                    committed_offset: 5,
                    committed_metadata: Some("mine".to_owned()),
                    ..OffsetCommitRequestPartition::default()
                }],
                ..OffsetCommitRequestTopic::default()
            }],
            ..OffsetCommitRequest::default()
        };
        let answer = session.call(&request, 8).expect("an answer");
        let error = answer.topics[0].partitions[0].error_code;
        session.note(format!("commit {generation} {partition} -> {}", ErrorCode(error)));
    }

    fn fetch_offsets<L: Link>(&self, session: &mut Session<L>, group: &str, topic: Option<&str>) {
        let request = OffsetFetchRequest {
            groups: vec![OffsetFetchRequestGroup {
                group_id: group.to_owned(),
                topics: topic.map(|topic| {
                    vec![OffsetFetchRequestTopics {
                        name: topic.to_owned(),
                        partition_indexes: vec![0, 1],
                        ..OffsetFetchRequestTopics::default()
                    }]
                }),
                ..OffsetFetchRequestGroup::default()
            }],
            ..OffsetFetchRequest::default()
        };
        let group = session.call(&request, 8).expect("an answer").groups.remove(0);
        session.note(format!(
            "offsets -> {} topics {}",
            ErrorCode(group.error_code),
            group.topics.len()
        ));
        for partition in group.topics.iter().flat_map(|topic| &topic.partitions) {
            session.note(format!(
                "  {} {} {} {} {:?}",
                partition.partition_index,
                ErrorCode(partition.error_code),
                partition.committed_offset,
                partition.committed_leader_epoch,
                partition.metadata
            ));
        }
    }

    fn leave<L: Link>(&self, session: &mut Session<L>, member_id: &str) {
        let request = LeaveGroupRequest {
            group_id: self.group.clone(),
            members: vec![MemberIdentity {
                member_id: member_id.to_owned(),
                ..MemberIdentity::default()
            }],
            ..LeaveGroupRequest::default()
        };
        let answer = session.call(&request, 5).expect("an answer");
        let errors: Vec<ErrorCode> = answer
            .members
            .iter()
            .map(|member| ErrorCode(member.error_code))
            .collect();
        session.note(format!("leave -> {} {errors:?}", ErrorCode(answer.error_code)));
    }

    fn describe<L: Link>(&self, session: &mut Session<L>, version: i16) {
        let request = DescribeGroupsRequest {
            groups: vec![self.group.clone()],
            ..DescribeGroupsRequest::default()
        };
        let group = session
            .call(&request, version)
            .expect("an answer")
            .groups
            .remove(0);
        session.note(format!(
            "describe v{version} -> {} {} {} {} members {}",
            ErrorCode(group.error_code),
            group.group_state,
            group.protocol_type,
            group.protocol_data,
            group.members.len()
        ));
    }

    fn delete<L: Link>(&self, session: &mut Session<L>) {
        let request = DeleteGroupsRequest {
            groups_names: vec![self.group.clone()],
            ..DeleteGroupsRequest::default()
        };
        let answer = session.call(&request, 2).expect("an answer");
        session.note(format!("delete -> {}", ErrorCode(answer.results[0].error_code)));
    }
}

impl Script for Groups {
    fn run<L: Link>(&self, session: &mut Session<L>) {
        let topic = self.group.as_str();
        session.create_topic(topic, 1, &[]);
        session.find_coordinators(0, &[&self.group]);
        // The coordinator is known before it has taken up its office.
        session.settle_group(&self.group);
        for version in [5, 6] {
            self.describe(session, version);
        }
        self.delete(session);
        self.fetch_offsets(session, &self.group, Some(topic));
        self.heartbeat(session, "nobody", 1);
        self.sync(session, "nobody", 1);
        self.leave(session, "nobody");
        self.commit(session, "nobody", 1, topic, 0);
        self.commit(session, "", -1, topic, 0);
        for version in 2..=9 {
            self.join(session, version, |request| request.session_timeout_ms = 1);
            self.join(session, version, |request| request.group_id.clear());
            self.join(session, version, |request| {
                request.member_id = "nobody".to_owned()
            });
            self.join(session, version, |request| request.protocols.clear());
        }
        let id = self.join(session, 9, |_| {});
        let member = self.join(session, 9, |request| request.member_id.clone_from(&id));
        self.heartbeat(session, &member, 1);
        self.commit(session, &member, 1, topic, 0);
        self.sync(session, &member, 0);
        self.sync(session, &member, 1);
        self.heartbeat(session, &member, 1);
        self.heartbeat(session, &member, 0);
        self.commit(session, &member, 1, topic, 0);
        self.commit(session, &member, 0, topic, 0);
        self.commit(session, "", -1, topic, 0);
        self.commit(session, &member, 1, topic, 7);
        self.commit(session, &member, 1, "no-such-topic", 0);
        self.describe(session, 5);
        self.delete(session);
        self.join(session, 9, |request| {
            request.member_id.clone_from(&member);
            "other".clone_into(&mut request.protocol_type);
        });
        self.fetch_offsets(session, &self.group, Some(topic));
        self.fetch_offsets(session, &self.group, None);
        self.fetch_offsets(session, &self.group, Some("no-such-topic"));
        self.leave(session, &member);
        self.heartbeat(session, &member, 1);
        self.describe(session, 5);
        self.delete(session);
        self.delete(session);
        for (key_type, key) in [(0, ""), (7, "x"), (-1, "x")] {
            let request = FindCoordinatorRequest {
                key_type,
                coordinator_keys: vec![key.to_owned()],
                ..FindCoordinatorRequest::default()
            };
            let answer = session.call(&request, 5).expect("an answer");
            let errors: Vec<ErrorCode> = answer
                .coordinators
                .iter()
                .map(|found| ErrorCode(found.error_code))
                .collect();
            session.note(format!(
                "find {key_type} {key:?} -> {} {errors:?}",
                ErrorCode(answer.error_code)
            ));
        }
    }
}

#[test]
fn groups() {
    compare(Groups {
        group: unique("groups", 0),
    });
}

/// What InitProducerId and the coordinator refuse.
struct Identities {
    id: String,
}

impl Script for Identities {
    fn run<L: Link>(&self, session: &mut Session<L>) {
        session.find_coordinators(1, &[&self.id]);
        session.init(5, Some(&self.id), 60_000, (-1, -1));
        for version in 0..=5 {
            for (id, timeout_ms, identity) in [
                (Some(""), 60_000, (-1, -1)),
                (Some(self.id.as_str()), 0, (-1, -1)),
                (Some(self.id.as_str()), 900_001, (-1, -1)),
                (Some(self.id.as_str()), 60_000, (5, -1)),
                (Some(self.id.as_str()), 60_000, (-1, 5)),
                (Some(self.id.as_str()), 60_000, (1_000_000, 5)),
                (None, -1, (-1, -1)),
                (None, 0, (77, 3)),
            ] {
                let mut request = InitProducerIdRequest {
                    transactional_id: id.map(str::to_owned),
                    transaction_timeout_ms: timeout_ms,
                    ..InitProducerIdRequest::default()
                };
                if version >= 3 {
                    (request.producer_id, request.producer_epoch) = identity;
                } else if identity != (-1, -1) {
                    continue;
                }
                let answer = session.call(&request, version).expect("an answer");
                session.note(format!(
                    "init v{version} {id:?} {timeout_ms} {identity:?} -> {} {}",
                    ErrorCode(answer.error_code),
                    answer.producer_epoch
                ));
            }
        }
        let request = DescribeTransactionsRequest {
            transactional_ids: vec![format!("{}-unknown", self.id)],
            ..DescribeTransactionsRequest::default()
        };
        let answer = session.call(&request, 0).expect("an answer");
        session.note(format!(
            "unknown -> {}",
            ErrorCode(answer.transaction_states[0].error_code)
        ));
        session.end(4, &format!("{}-unknown", self.id), (5, 0), true);
    }
}

#[test]
fn identities() {
    compare(Identities {
        id: unique("identities", 0),
    });
}

//! Topics: created, grown, described, deleted, and refused.

use super::{Script, compare, unique};
use crate::link::Link;
use crate::session::Session;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::create_partitions::CreatePartitionsTopic;
use ottla_protocol::messages::create_topics::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig,
};
use ottla_protocol::messages::delete_topics::DeleteTopicState;
use ottla_protocol::messages::describe_configs::DescribeConfigsResource;
use ottla_protocol::messages::metadata::MetadataRequestTopic;
use ottla_protocol::messages::{
    CreatePartitionsRequest, CreateTopicsRequest, DeleteTopicsRequest, DescribeConfigsRequest,
    MetadataRequest,
};
use ottla_protocol::wire::Uuid;

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

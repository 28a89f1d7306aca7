//! One member's life in a group, and what is refused to it; and the coordinators' errors.

use super::{Script, compare, unique};
use crate::link::Link;
use crate::session::Session;
use bytes::Bytes;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::join_group::JoinGroupRequestProtocol;
use ottla_protocol::messages::leave_group::MemberIdentity;
use ottla_protocol::messages::offset_commit::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use ottla_protocol::messages::offset_fetch::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use ottla_protocol::messages::{
    DeleteGroupsRequest, DescribeGroupsRequest, FindCoordinatorRequest, HeartbeatRequest, JoinGroupRequest,
    LeaveGroupRequest, OffsetCommitRequest, OffsetFetchRequest, SyncGroupRequest,
};

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

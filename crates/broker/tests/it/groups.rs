//! Groups: members come, go, and stand still; offsets are committed, also in transactions.

use crate::link::{Core, Link as _};
use crate::session::Session;
use bytes::Bytes;
use ottla_broker::{ClusterConfig, ConnectionId, Output, TopicSpec};
use ottla_protocol::messages::join_group::JoinGroupRequestProtocol;
use ottla_protocol::messages::leave_group::MemberIdentity;
use ottla_protocol::messages::offset_commit::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use ottla_protocol::messages::offset_fetch::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use ottla_protocol::messages::sync_group::SyncGroupRequestAssignment;
use ottla_protocol::messages::{
    HeartbeatRequest, JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest, OffsetCommitRequest,
    OffsetFetchRequest, SyncGroupRequest, SyncGroupResponse,
};
use ottla_protocol::{ErrorCode, Request, frame};
use std::collections::BTreeMap;
use std::time::Duration;

/// A cluster and any number of clients, whose requests may wait.
struct Clients {
    core: Core,
    answers: BTreeMap<ConnectionId, Vec<Bytes>>,
}

impl Clients {
    fn new() -> Clients {
        let mut config = ClusterConfig::default();
        config.topics = vec![TopicSpec::new("t", 2)];
        Clients {
            core: Core::new(config),
            answers: BTreeMap::new(),
        }
    }

    fn connect(&mut self) -> ConnectionId {
        self.core
            .cluster
            .accept(1, "127.0.0.1", self.core.now)
            .expect("broker 1 is up")
    }

    fn send<R: Request>(&mut self, id: ConnectionId, request: &R, version: i16) {
        let frame = frame::encode_request(request, version, 0, Some("client")).expect("a request");
        let frame = Bytes::copy_from_slice(&frame[4..]);
        self.core.cluster.handle_frame(id, frame, self.core.now, 0);
        self.collect();
    }

    fn advance(&mut self, by: Duration) {
        self.core.advance(by);
        self.collect();
    }

    fn collect(&mut self) {
        while let Some(output) = self.core.cluster.poll_output() {
            match output {
                Output::Send { connection, bytes } => {
                    self.answers.entry(connection).or_default().push(bytes.slice(4..))
                }
                output => panic!("{output:?}"),
            }
        }
    }

    /// The one answer that has come for a client; `None` while it waits.
    fn answer<R: Request>(&mut self, id: ConnectionId, version: i16) -> Option<R::Response> {
        let mut answers = self.answers.remove(&id)?;
        assert_eq!(answers.len(), 1);
        Some(
            frame::decode_response::<R>(&answers.remove(0), version)
                .expect("an answer")
                .1,
        )
    }

    fn call<R: Request>(&mut self, id: ConnectionId, request: &R, version: i16) -> R::Response {
        self.send(id, request, version);
        self.answer::<R>(id, version).expect("an answer at once")
    }

    fn join(&mut self, id: ConnectionId, member_id: &str) {
        self.send(id, &join(member_id, None), 7);
    }

    fn joined(&mut self, id: ConnectionId) -> Option<JoinGroupResponse> {
        self.answer::<JoinGroupRequest>(id, 7)
    }

    /// Joins without an id, learns it, and joins with it; the id.
    fn join_new(&mut self, id: ConnectionId) -> String {
        self.join(id, "");
        let told = self.joined(id).expect("an answer");
        assert_eq!(ErrorCode(told.error_code), ErrorCode::MEMBER_ID_REQUIRED);
        assert!(told.member_id.starts_with("client-"), "{}", told.member_id);
        self.join(id, &told.member_id);
        told.member_id
    }

    fn sync(
        &mut self,
        id: ConnectionId,
        member_id: &str,
        generation: i32,
        assignments: &[(&str, &'static str)],
    ) {
        let request = SyncGroupRequest {
            group_id: "g".to_owned(),
            generation_id: generation,
            member_id: member_id.to_owned(),
            assignments: assignments
                .iter()
                .map(|(member_id, assignment)| SyncGroupRequestAssignment {
                    member_id: (*member_id).to_owned(),
                    assignment: Bytes::from_static(assignment.as_bytes()),
                    ..SyncGroupRequestAssignment::default()
                })
                .collect(),
            ..SyncGroupRequest::default()
        };
        self.send(id, &request, 4);
    }

    fn synced(&mut self, id: ConnectionId) -> Option<SyncGroupResponse> {
        self.answer::<SyncGroupRequest>(id, 4)
    }

    fn heartbeat(&mut self, id: ConnectionId, member_id: &str, generation: i32) -> ErrorCode {
        let request = HeartbeatRequest {
            group_id: "g".to_owned(),
            generation_id: generation,
            member_id: member_id.to_owned(),
            ..HeartbeatRequest::default()
        };
        ErrorCode(self.call(id, &request, 3).error_code)
    }
}

fn join(member_id: &str, instance_id: Option<&str>) -> JoinGroupRequest {
    JoinGroupRequest {
        group_id: "g".to_owned(),
        session_timeout_ms: 10_000,
        rebalance_timeout_ms: 30_000,
        member_id: member_id.to_owned(),
        group_instance_id: instance_id.map(str::to_owned),
        protocol_type: "consumer".to_owned(),
        protocols: vec![JoinGroupRequestProtocol {
            name: "range".to_owned(),
            metadata: Bytes::from_static(b"topics"),
            ..JoinGroupRequestProtocol::default()
        }],
        ..JoinGroupRequest::default()
    }
}

/// Two members of one stable generation.
fn two_members() -> (Clients, [ConnectionId; 2], [String; 2], i32) {
    let mut clients = Clients::new();
    let (a, b) = (clients.connect(), clients.connect());
    let first = clients.join_new(a);
    let alone = clients.joined(a).expect("a generation of one");
    assert_eq!(
        (alone.generation_id, alone.leader.as_str(), alone.members.len()),
        (1, first.as_str(), 1)
    );
    clients.sync(a, &first, 1, &[(&first, "all")]);
    assert_eq!(clients.synced(a).expect("an assignment").assignment, "all");
    let second = clients.join_new(b);
    assert!(clients.joined(b).is_none(), "the first member has to join again");
    assert_eq!(clients.heartbeat(a, &first, 1), ErrorCode::REBALANCE_IN_PROGRESS);
    clients.join(a, &first);
    let both = [
        clients.joined(a).expect("a generation"),
        clients.joined(b).expect("a generation"),
    ];
    assert_eq!(both.each_ref().map(|answer| answer.generation_id), [2, 2]);
    assert_eq!(both[0].members.len(), 2, "the leader learns who is there");
    assert!(both[1].members.is_empty());
    clients.sync(b, &second, 2, &[]);
    assert!(clients.synced(b).is_none(), "the leader's assignment is missing");
    clients.sync(a, &first, 2, &[(&first, "zero"), (&second, "one")]);
    assert_eq!(clients.synced(a).expect("an assignment").assignment, "zero");
    assert_eq!(clients.synced(b).expect("an assignment").assignment, "one");
    (clients, [a, b], [first, second], 2)
}

#[test]
fn members_join_and_share() {
    let (mut clients, [a, b], [first, second], generation) = two_members();
    assert_eq!(clients.heartbeat(a, &first, generation), ErrorCode::NONE);
    assert_eq!(
        clients.heartbeat(b, &second, generation - 1),
        ErrorCode::ILLEGAL_GENERATION
    );
    assert_eq!(
        clients.heartbeat(b, "nobody", generation),
        ErrorCode::UNKNOWN_MEMBER_ID
    );
}

#[test]
fn a_member_leaves() {
    let (mut clients, [a, b], [first, second], generation) = two_members();
    let leave = LeaveGroupRequest {
        group_id: "g".to_owned(),
        members: vec![MemberIdentity {
            member_id: second,
            ..MemberIdentity::default()
        }],
        ..LeaveGroupRequest::default()
    };
    assert_eq!(clients.call(b, &leave, 3).members[0].error_code, 0);
    assert_eq!(
        clients.heartbeat(a, &first, generation),
        ErrorCode::REBALANCE_IN_PROGRESS
    );
    clients.join(a, &first);
    assert_eq!(
        clients.joined(a).expect("a generation").generation_id,
        generation + 1
    );
}

#[test]
fn a_member_that_stands_still_is_out() {
    let (mut clients, [a, b], [first, second], generation) = two_members();
    clients.advance(Duration::from_secs(6));
    assert_eq!(clients.heartbeat(a, &first, generation), ErrorCode::NONE);
    clients.advance(Duration::from_secs(6));
    assert_eq!(
        clients.heartbeat(a, &first, generation),
        ErrorCode::REBALANCE_IN_PROGRESS
    );
    assert_eq!(
        clients.heartbeat(b, &second, generation),
        ErrorCode::UNKNOWN_MEMBER_ID
    );
}

#[test]
fn a_rebalance_does_not_wait_for_ever() {
    let (mut clients, [a, b], [first, second], generation) = two_members();
    let c = clients.connect();
    clients.join_new(c);
    clients.join(b, &second);
    for _ in 0..4 {
        assert!(clients.joined(c).is_none());
        clients.advance(Duration::from_secs(6));
        assert_eq!(
            clients.heartbeat(a, &first, generation),
            ErrorCode::REBALANCE_IN_PROGRESS,
            "it beats, and does not join"
        );
    }
    clients.advance(Duration::from_secs(6));
    let new = [
        clients.joined(b).expect("a generation"),
        clients.joined(c).expect("a generation"),
    ];
    assert_eq!(new.map(|answer| answer.generation_id), [generation + 1; 2]);
    assert_eq!(
        clients.heartbeat(a, &first, generation),
        ErrorCode::UNKNOWN_MEMBER_ID
    );
}

#[test]
fn a_static_member_comes_back_and_its_old_id_is_fenced() {
    let mut clients = Clients::new();
    let (a, b) = (clients.connect(), clients.connect());
    clients.send(a, &join("", Some("instance")), 7);
    let first = clients.joined(a).expect("a static member needs no id first");
    assert_eq!(first.error_code, 0);
    clients.send(b, &join("", Some("instance")), 7);
    let second = clients.joined(b).expect("a generation");
    assert_ne!(first.member_id, second.member_id);
    clients.send(a, &join(&first.member_id, Some("instance")), 7);
    let fenced = clients.joined(a).expect("an answer");
    assert_eq!(ErrorCode(fenced.error_code), ErrorCode::FENCED_INSTANCE_ID);
}

#[test]
fn what_is_asked_wrongly_is_refused() {
    let mut clients = Clients::new();
    let a = clients.connect();
    let mut refused = |change: &dyn Fn(&mut JoinGroupRequest)| {
        let mut request = join("", None);
        change(&mut request);
        ErrorCode(clients.call(a, &request, 3).error_code)
    };
    assert_eq!(
        refused(&|request| request.group_id.clear()),
        ErrorCode::INVALID_GROUP_ID
    );
    assert_eq!(
        refused(&|request| request.session_timeout_ms = 5),
        ErrorCode::INVALID_SESSION_TIMEOUT
    );
    assert_eq!(
        refused(&|request| request.member_id = "x".to_owned()),
        ErrorCode::UNKNOWN_MEMBER_ID
    );
    assert_eq!(
        refused(&|request| request.protocols.clear()),
        ErrorCode::INCONSISTENT_GROUP_PROTOCOL
    );
}

fn commit(member_id: &str, generation: i32, offset: i64) -> OffsetCommitRequest {
    OffsetCommitRequest {
        group_id: "g".to_owned(),
        generation_id_or_member_epoch: generation,
        member_id: member_id.to_owned(),
        topics: vec![OffsetCommitRequestTopic {
            name: "t".to_owned(),
            partitions: vec![OffsetCommitRequestPartition {
                committed_offset: offset,
                ..OffsetCommitRequestPartition::default()
            }],
            ..OffsetCommitRequestTopic::default()
        }],
        ..OffsetCommitRequest::default()
    }
}

fn fetch_offset(require_stable: bool) -> OffsetFetchRequest {
    OffsetFetchRequest {
        groups: vec![OffsetFetchRequestGroup {
            group_id: "g".to_owned(),
            topics: Some(vec![OffsetFetchRequestTopics {
                name: "t".to_owned(),
                partition_indexes: vec![0],
                ..OffsetFetchRequestTopics::default()
            }]),
            ..OffsetFetchRequestGroup::default()
        }],
        require_stable,
        ..OffsetFetchRequest::default()
    }
}

#[test]
fn offsets_are_committed_by_members_and_by_those_without_a_group() {
    let (mut clients, [a, _], [first, _], generation) = two_members();
    let errors = [
        (commit(&first, generation, 5), ErrorCode::NONE),
        (commit(&first, generation - 1, 6), ErrorCode::ILLEGAL_GENERATION),
        (commit("nobody", generation, 7), ErrorCode::UNKNOWN_MEMBER_ID),
        (commit("", -1, 8), ErrorCode::UNKNOWN_MEMBER_ID),
    ];
    for (request, expected) in errors {
        let error = clients.call(a, &request, 7).topics[0].partitions[0].error_code;
        assert_eq!(ErrorCode(error), expected);
    }
    assert_eq!(clients.core.cluster.committed_offset("g", "t", 0), Some(5));
    let fetched = clients.call(a, &fetch_offset(true), 8);
    assert_eq!(fetched.groups[0].topics[0].partitions[0].committed_offset, 5);
    let mut alone = Clients::new();
    let c = alone.connect();
    assert_eq!(
        alone.call(c, &commit("", -1, 8), 7).topics[0].partitions[0].error_code,
        0
    );
    assert_eq!(alone.core.cluster.committed_offset("g", "t", 0), Some(8));
}

#[test]
fn offsets_of_a_transaction_count_when_it_commits() {
    for committed in [true, false] {
        let mut config = ClusterConfig::default();
        config.topics = vec![TopicSpec::new("t", 1)];
        let mut session = Session::new(Core::new(config));
        let identity = session.init(5, Some("x"), 10_000, (-1, -1)).expect("an identity");
        session.commit_offset(5, "x", identity, "g", ("t", 42));
        let stable = session.call(&fetch_offset(true), 8).expect("an answer");
        let error = stable.groups[0].topics[0].partitions[0].error_code;
        assert_eq!(ErrorCode(error), ErrorCode::UNSTABLE_OFFSET_COMMIT);
        let unstable = session.call(&fetch_offset(false), 8).expect("an answer");
        assert_eq!(unstable.groups[0].topics[0].partitions[0].committed_offset, -1);
        session.end(5, "x", identity, committed);
        let expected = committed.then_some(42);
        assert_eq!(session.link.cluster.committed_offset("g", "t", 0), expected);
        let connection = session.link.connection();
        assert!(session.link.cluster.is_reading(connection));
        let _ = session
            .link
            .exchange(&frame::encode_request(&fetch_offset(true), 8, 1, None).expect("a request"));
    }
}

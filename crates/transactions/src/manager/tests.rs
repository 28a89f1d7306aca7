//! The manager against scripts, and against anything.

use super::*;
use bytes::Bytes;
use ottla_protocol::messages::add_partitions_to_txn::{
    AddPartitionsToTxnPartitionResult, AddPartitionsToTxnTopicResult,
};
use ottla_protocol::messages::find_coordinator::Coordinator as FoundCoordinator;
use ottla_protocol::messages::txn_offset_commit::{
    TxnOffsetCommitResponsePartition, TxnOffsetCommitResponseTopic,
};
use ottla_protocol::messages::{
    AddOffsetsToTxnResponse, AddPartitionsToTxnRequest, AddPartitionsToTxnResponse, EndTxnRequest,
    EndTxnResponse, FindCoordinatorResponse, InitProducerIdRequest, InitProducerIdResponse,
    TxnOffsetCommitResponse,
};
use ottla_protocol::wire::{Reader, Writer};
use ottla_protocol::{ApiKey, ErrorCode, Message, VersionRange};
use proptest::prelude::*;

const NODE: i32 = 2;
const ID: i64 = 4_000;

/// A manager, and the coordinators' side of it by hand.
struct Script {
    manager: TransactionManager,
    now: Time,
    /// The highest versions of InitProducerId and EndTxn that the broker speaks.
    init_max: i16,
}

/// A request that was taken.
#[derive(Debug)]
struct Taken {
    target: Target,
    request: crate::OutgoingRequest,
}

impl Script {
    fn new(level: i16) -> Script {
        let config = TransactionConfig::new("orders-1");
        let mut manager = TransactionManager::new(config, 7);
        manager.handle_features(1, level);
        Script {
            manager,
            now: Time::ZERO,
            init_max: 5,
        }
    }

    /// Initialised, under protocol 1 or 2.
    fn ready(level: i16) -> Script {
        let mut script = Script::new(level);
        script.manager.init().expect("legal");
        script.find_coordinator();
        script.identify(ErrorCode::NONE, 0);
        assert_eq!(script.outcome(Call::Init), Some(Ok(())));
        script
    }

    /// In a transaction that the coordinator knows of.
    fn open(level: i16) -> Script {
        let mut script = Script::ready(level);
        script.manager.begin().expect("legal");
        if level < 2 {
            assert!(!script.manager.want_partition(&"t".into(), 0));
            script.add_partitions(ErrorCode::NONE);
        }
        assert!(script.manager.want_partition(&"t".into(), 0));
        script.manager.handle_written();
        script
    }

    /// The next request, with time going on until it is due.
    fn take(&mut self) -> Taken {
        let due = self.manager.poll_timeout().expect("a request comes next");
        self.now = self.now.max(due);
        let target = self.manager.poll_target(self.now).expect("it is due");
        let init_max = self.init_max;
        let versions = move |key: ApiKey| {
            let max = if key == ApiKey::INIT_PRODUCER_ID {
                init_max
            } else {
                99
            };
            Some(VersionRange::new(0, max))
        };
        let request = self
            .manager
            .take_request(self.now, versions)
            .expect("it can be made");
        assert_eq!(self.manager.poll_target(self.now), None, "one request at a time");
        Taken { target, request }
    }

    fn take_of(&mut self, key: ApiKey) -> Taken {
        let taken = self.take();
        assert_eq!(taken.request.api_key, key);
        taken
    }

    fn answer(&mut self, taken: &Taken, answer: &impl Message) {
        let mut writer = Writer::default();
        answer
            .encode(&mut writer, taken.request.api_version)
            .expect("encodes");
        self.manager.handle_answer(&writer.into_bytes(), self.now);
    }

    fn find_coordinator(&mut self) {
        let taken = self.take_of(ApiKey::FIND_COORDINATOR);
        assert_eq!(taken.target, Target::Any);
        let answer = FindCoordinatorResponse {
            coordinators: vec![FoundCoordinator {
                node_id: NODE,
                host: "broker".into(),
                port: 9092,
                ..FoundCoordinator::default()
            }],
            ..FindCoordinatorResponse::default()
        };
        self.answer(&taken, &answer);
        assert_eq!(self.manager.take_discovered().map(|found| found.node), Some(NODE));
    }

    /// Answers InitProducerId; the request comes back.
    fn identify(&mut self, code: ErrorCode, epoch: i16) -> InitProducerIdRequest {
        let taken = self.take_of(ApiKey::INIT_PRODUCER_ID);
        assert_eq!(taken.target, Target::Node(NODE));
        let granted = code.is_none();
        let answer = InitProducerIdResponse {
            error_code: code.0,
            producer_id: if granted { ID } else { -1 },
            producer_epoch: if granted { epoch } else { -1 },
            ..InitProducerIdResponse::default()
        };
        self.answer(&taken, &answer);
        decode(&taken)
    }

    fn add_partitions(&mut self, code: ErrorCode) {
        let taken = self.take_of(ApiKey::ADD_PARTITIONS_TO_TXN);
        assert_eq!(taken.target, Target::Node(NODE));
        let request: AddPartitionsToTxnRequest = decode(&taken);
        let topics = request.v3_and_below_topics.iter();
        let answer = AddPartitionsToTxnResponse {
            results_by_topic_v3_and_below: topics
                .map(|topic| AddPartitionsToTxnTopicResult {
                    name: topic.name.clone(),
                    results_by_partition: (topic.partitions.iter())
                        .map(|&partition_index| AddPartitionsToTxnPartitionResult {
                            partition_index,
                            partition_error_code: code.0,
                            ..AddPartitionsToTxnPartitionResult::default()
                        })
                        .collect(),
                    ..AddPartitionsToTxnTopicResult::default()
                })
                .collect(),
            ..AddPartitionsToTxnResponse::default()
        };
        self.answer(&taken, &answer);
    }

    /// Answers EndTxn; the request comes back. Under protocol 2 the next epoch comes with it.
    fn end(&mut self, code: ErrorCode, next_epoch: i16) -> EndTxnRequest {
        let taken = self.take_of(ApiKey::END_TXN);
        assert_eq!(taken.target, Target::Node(NODE));
        let v2 = taken.request.api_version >= 5 && code.is_none();
        let answer = EndTxnResponse {
            error_code: code.0,
            producer_id: if v2 { ID } else { -1 },
            producer_epoch: if v2 { next_epoch } else { -1 },
            ..EndTxnResponse::default()
        };
        self.answer(&taken, &answer);
        decode(&taken)
    }

    fn lose(&mut self) {
        self.take();
        self.manager.handle_no_answer(self.now);
    }

    fn outcome(&mut self, call: Call) -> Option<Result<(), TransactionError>> {
        self.manager.poll_outcome(call)
    }

    fn failure(&mut self, call: Call) -> TransactionError {
        self.outcome(call)
            .expect("it has an outcome")
            .expect_err("it failed")
    }

    fn epoch(&self) -> Option<i16> {
        self.manager.identity().map(|identity| identity.producer_epoch)
    }
}

fn decode<M: Message>(taken: &Taken) -> M {
    M::decode(
        &mut Reader::from_bytes(&taken.request.body),
        taken.request.api_version,
    )
    .expect("readable")
}

#[test]
fn the_markers_get_twice_the_time_of_the_end_unless_the_line_is_long() {
    let ms = Duration::from_millis;
    for (took, held) in [(0, 0), (1, 2), (2, 4), (3, 5), (19, 5), (20, 0), (80, 0)] {
        for level in [1, 2] {
            let mut script = Script::open(level);
            script.manager.commit().expect("legal");
            script.manager.handle_drained(false);
            let taken = script.take_of(ApiKey::END_TXN);
            script.now += ms(took);
            script.answer(&taken, &EndTxnResponse::default());
            assert_eq!(script.outcome(Call::Commit), Some(Ok(())));
            let until = if held == 0 {
                Time::ZERO
            } else {
                script.now + ms(held)
            };
            assert_eq!(
                script.manager.held_until().max(script.now),
                until.max(script.now),
                "{took} ms"
            );
            script.manager.begin().expect("legal");
            let admitted = script.manager.want_partition(&"t".into(), 0);
            assert_eq!(admitted, level == 2);
            let asks = script.manager.poll_timeout();
            assert_eq!(
                asks,
                (level < 2).then_some(until),
                "the same for AddPartitionsToTxn"
            );
        }
    }
}

#[test]
fn a_transaction_under_each_protocol() {
    for (level, version, next_epoch) in [(0, 4, 0), (1, 4, 0), (2, 5, 1)] {
        let mut script = Script::open(level);
        script.manager.commit().expect("legal");
        assert_eq!(
            script.manager.poll_target(script.now),
            None,
            "not before it is drained"
        );
        script.manager.handle_drained(false);
        assert_eq!(script.outcome(Call::Commit), None);
        let taken = script.take_of(ApiKey::END_TXN);
        assert_eq!(taken.request.api_version, version);
        let answer = EndTxnResponse {
            producer_id: if level == 2 { ID } else { -1 },
            producer_epoch: if level == 2 { 1 } else { -1 },
            ..EndTxnResponse::default()
        };
        script.answer(&taken, &answer);
        assert_eq!(script.outcome(Call::Commit), Some(Ok(())));
        assert_eq!(
            (script.manager.state(), script.epoch()),
            (State::Ready, Some(next_epoch))
        );
        assert_eq!(script.manager.begin(), Ok(2));
    }
}

#[test]
fn an_empty_transaction_ends_without_a_request_also_the_second_time() {
    for level in [0, 2] {
        let mut script = Script::ready(level);
        for _ in 0..2 {
            script.manager.begin().expect("legal");
            script.manager.commit().expect("legal");
            script.manager.handle_drained(false);
            assert_eq!(script.outcome(Call::Commit), Some(Ok(())));
            script.manager.begin().expect("legal");
            script.manager.abort().expect("legal");
            script.manager.handle_drained(false);
            assert_eq!(script.outcome(Call::Abort), Some(Ok(())));
            assert_eq!(script.manager.poll_timeout(), None);
        }
    }
}

#[test]
fn partitions_are_added_together_and_only_once() {
    let mut script = Script::ready(1);
    script.manager.begin().expect("legal");
    let (a, b): (Arc<str>, Arc<str>) = ("a".into(), "b".into());
    for _ in 0..3 {
        assert!(!script.manager.want_partition(&a, 0) && !script.manager.want_partition(&b, 1));
        assert!(!script.manager.want_partition(&a, 4));
    }
    script.add_partitions(ErrorCode::NONE);
    assert!(script.manager.want_partition(&a, 0) && script.manager.want_partition(&a, 4));
    assert!(script.manager.want_partition(&b, 1));
    assert_eq!(script.manager.poll_timeout(), None);
}

#[test]
fn the_same_verdict_is_tried_again_and_nothing_begins_before_it_is_known() {
    for level in [1, 2] {
        let mut script = Script::open(level);
        script.manager.commit().expect("legal");
        script.manager.handle_drained(false);
        // The answer is lost, the coordinator is found again, and asked the same.
        script.lose();
        for unresolved in [script.manager.abort().err(), script.manager.begin().err()] {
            let kind = unresolved.expect("refused").kind;
            assert_eq!(kind, TransactionErrorKind::Unresolved { call: Call::Commit });
        }
        script.manager.commit().expect("the same call attaches");
        script.find_coordinator();
        let request = script.end(ErrorCode::CONCURRENT_TRANSACTIONS, 0);
        assert!(request.committed);
        assert!(script.end(ErrorCode::NONE, 1).committed);
        // It is committed, but nobody has learnt it.
        let unlearnt = script.manager.begin().expect_err("refused").kind;
        assert_eq!(unlearnt, TransactionErrorKind::Unresolved { call: Call::Commit });
        assert!(script.manager.abort().is_err());
        script.manager.commit().expect("the same call attaches");
        assert_eq!(script.outcome(Call::Commit), Some(Ok(())));
        if level < 2 {
            // The first EndTxn may still be on its way: it must not end the next transaction.
            assert!(script.manager.begin().is_err());
            assert_eq!(script.identify(ErrorCode::NONE, 1).producer_epoch, 0);
        }
        script.manager.begin().expect("legal now");
        assert_eq!(script.epoch(), Some(1));
    }
}

#[test]
fn an_unknown_server_error_is_never_committed() {
    let mut script = Script::open(2);
    script.manager.commit().expect("legal");
    script.manager.handle_drained(false);
    script.end(ErrorCode::UNKNOWN_SERVER_ERROR, 0);
    let error = script.failure(Call::Commit);
    assert!(error.is_fatal() && error.outcome_unknown, "{error}");
    assert!(error.to_string().contains("unknown"), "{error}");
}

#[test]
fn a_fenced_commit_is_fatal_for_ever_and_known_not_to_be_committed() {
    let mut script = Script::open(1);
    script.manager.commit().expect("legal");
    script.manager.handle_drained(false);
    script.end(ErrorCode::PRODUCER_FENCED, 0);
    let error = script.failure(Call::Commit);
    assert!(error.is_fatal() && !error.outcome_unknown, "{error}");
    assert!(error.to_string().contains("transactional.id"), "{error}");
    for error in [
        script.manager.abort().err(),
        script.manager.begin().err(),
        script.manager.init().err(),
        script.manager.commit().err(),
        script.manager.check_open(Call::Send).err(),
    ] {
        assert!(error.expect("refused").is_fatal());
    }
    assert_eq!(script.manager.poll_timeout(), None);
}

#[test]
fn what_an_attempt_leaves_open_a_later_answer_does_not_close() {
    // By itself this answer leaves nothing open: a real coordinator gives it to a producer that it has fenced, while its
    // successor commits.
    for (first, unknown) in [
        (Some(ErrorCode::CONCURRENT_TRANSACTIONS), false),
        (Some(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS), false),
        (Some(ErrorCode::COORDINATOR_NOT_AVAILABLE), true),
        (Some(ErrorCode::NOT_COORDINATOR), true),
        (None, true),
    ] {
        let mut script = Script::open(2);
        script.manager.commit().expect("legal");
        script.manager.handle_drained(false);
        match first {
            Some(code) => drop(script.end(code, 0)),
            None => script.lose(),
        }
        if unknown {
            script.find_coordinator();
        }
        script.end(ErrorCode::PRODUCER_FENCED, 0);
        let error = script.failure(Call::Commit);
        assert!(
            error.is_fatal() && error.outcome_unknown == unknown,
            "{first:?}: {error}"
        );
    }
}

#[test]
fn a_failed_record_makes_the_commit_fail() {
    for level in [1, 2] {
        let mut script = Script::open(level);
        script.manager.commit().expect("legal");
        script
            .manager
            .handle_delivery_failed(Some(ErrorCode::MESSAGE_TOO_LARGE), "too large");
        script.manager.handle_drained(false);
        let error = script.failure(Call::Commit);
        assert!(error.is_abortable() && !error.outcome_unknown, "{error}");
        script.manager.abort().expect("legal");
        script.manager.handle_drained(false);
        assert!(!script.end(ErrorCode::NONE, 1).committed);
        assert_eq!(script.outcome(Call::Abort), Some(Ok(())));
    }
}

#[test]
fn a_stale_failure_after_the_abort_is_ignored() {
    let mut script = Script::open(2);
    script.manager.abort().expect("legal");
    script
        .manager
        .handle_delivery_failed(Some(ErrorCode::INVALID_TXN_STATE), "stale");
    script.manager.handle_drained(false);
    script.end(ErrorCode::NONE, 1);
    script
        .manager
        .handle_delivery_failed(Some(ErrorCode::INVALID_PRODUCER_EPOCH), "stale");
    assert_eq!(script.manager.state(), State::Ready);
}

#[test]
fn a_broken_numbering_gets_a_new_epoch_after_the_abort() {
    let mut script = Script::open(1);
    script.manager.handle_delivery_failed(None, "timed out");
    assert_eq!(script.manager.state(), State::MustAbort);
    script.manager.abort().expect("legal");
    script.manager.handle_drained(true);
    script.end(ErrorCode::NONE, 0);
    assert_eq!(script.outcome(Call::Abort), Some(Ok(())));
    assert!(script.manager.begin().expect_err("not yet").is_retriable());
    // The abort's markers are being written.
    script.identify(ErrorCode::CONCURRENT_TRANSACTIONS, 0);
    let request = script.identify(ErrorCode::NONE, 1);
    assert_eq!((request.producer_id, request.producer_epoch), (ID, 0));
    assert_eq!((script.manager.state(), script.epoch()), (State::Ready, Some(1)));
    script.manager.begin().expect("legal");

    // A broker that cannot renew leaves nothing to do.
    let mut script = Script::new(0);
    script.init_max = 2;
    script.manager.init().expect("legal");
    script.find_coordinator();
    script.identify(ErrorCode::NONE, 0);
    script.manager.poll_outcome(Call::Init);
    script.manager.begin().expect("legal");
    script.manager.want_partition(&"t".into(), 0);
    script.add_partitions(ErrorCode::NONE);
    script.manager.abort().expect("legal");
    script.manager.handle_drained(true);
    script.end(ErrorCode::NONE, 0);
    assert_eq!(script.outcome(Call::Abort), Some(Ok(())));
    assert!(script.manager.trouble().expect("fatal").is_fatal());
}

#[test]
fn a_transaction_that_timed_out_can_be_aborted() {
    // The coordinator has aborted, and raised the epoch with it (KIP-588).
    let mut script = Script::open(1);
    script
        .manager
        .handle_delivery_failed(Some(ErrorCode::INVALID_PRODUCER_EPOCH), "fenced");
    script.manager.abort().expect("legal");
    script.manager.handle_drained(false);
    script.end(ErrorCode::PRODUCER_FENCED, 0);
    script.identify(ErrorCode::NONE, 2);
    assert_eq!((script.manager.state(), script.epoch()), (State::Ready, Some(2)));

    // It was another producer.
    let mut script = Script::open(1);
    script.manager.abort().expect("legal");
    script.manager.handle_drained(false);
    script.end(ErrorCode::PRODUCER_FENCED, 0);
    script.identify(ErrorCode::PRODUCER_FENCED, 0);
    assert_eq!(script.manager.state(), State::Fatal);
}

#[test]
fn what_may_have_been_added_is_settled_before_the_abort() {
    let mut script = Script::ready(1);
    script.manager.begin().expect("legal");
    script.manager.want_partition(&"t".into(), 0);
    script.lose();
    script.manager.abort().expect("legal");
    script.manager.handle_drained(false);
    script.find_coordinator();
    script.add_partitions(ErrorCode::NONE);
    assert!(!script.end(ErrorCode::NONE, 0).committed);
    assert_eq!(script.outcome(Call::Abort), Some(Ok(())));
    script.identify(ErrorCode::NONE, 1);
    assert_eq!(script.manager.state(), State::Ready);
}

#[test]
fn a_request_that_is_lost_while_an_empty_transaction_is_aborted_holds_nothing_up() {
    let mut script = Script::ready(2);
    script.manager.begin().expect("legal");
    let offsets = vec![GroupOffset::new("in", 0, 1)];
    script
        .manager
        .send_offsets(offsets, GroupMetadata::new("g"))
        .expect("legal");
    let taken = script.take_of(ApiKey::FIND_COORDINATOR);
    assert_eq!(taken.target, Target::Any);
    script.manager.abort().expect("legal");
    script.manager.handle_drained(false);
    script.manager.handle_no_answer(script.now);
    assert_eq!(script.outcome(Call::Abort), Some(Ok(())));
}

#[test]
fn an_empty_commit_that_fails_when_it_is_drained_can_be_aborted() {
    let mut script = Script::ready(2);
    script.manager.begin().expect("legal");
    let offsets = vec![GroupOffset::new("in", 0, 1)];
    script
        .manager
        .send_offsets(offsets, GroupMetadata::new("g"))
        .expect("legal");
    script.manager.commit().expect("legal");
    script.manager.handle_drained(false);
    let taken = script.take_of(ApiKey::FIND_COORDINATOR);
    let answer = FindCoordinatorResponse {
        coordinators: vec![FoundCoordinator {
            error_code: ErrorCode::GROUP_AUTHORIZATION_FAILED.0,
            ..FoundCoordinator::default()
        }],
        ..FindCoordinatorResponse::default()
    };
    script.answer(&taken, &answer);
    assert!(script.failure(Call::Commit).is_abortable());
    script.manager.abort().expect("legal");
    assert!(script.manager.wants_drain());
    script.manager.handle_drained(false);
    assert_eq!(script.outcome(Call::Abort), Some(Ok(())));
}

#[test]
fn what_may_be_committed_is_never_to_be_aborted() {
    for code in [ErrorCode::TRANSACTION_ABORTABLE, ErrorCode::UNKNOWN_PRODUCER_ID] {
        for (lost, fatal) in [(false, false), (true, true)] {
            let mut script = Script::open(2);
            script.manager.commit().expect("legal");
            script.manager.handle_drained(false);
            if lost {
                script.lose();
                script.find_coordinator();
            }
            script.end(code, 0);
            let error = script.failure(Call::Commit);
            assert_eq!(
                (error.is_fatal(), error.outcome_unknown),
                (fatal, fatal),
                "{code}: {error}"
            );
            assert_eq!(script.manager.abort().is_err(), fatal);
        }
    }
}

#[test]
fn coordinator_moves_are_followed_at_each_request() {
    for code in [ErrorCode::NOT_COORDINATOR, ErrorCode::COORDINATOR_NOT_AVAILABLE] {
        let mut script = Script::new(1);
        script.manager.init().expect("legal");
        script.find_coordinator();
        script.identify(code, 0);
        script.find_coordinator();
        script.identify(ErrorCode::NONE, 0);
        script.manager.poll_outcome(Call::Init);
        script.manager.begin().expect("legal");
        script.manager.want_partition(&"t".into(), 0);
        script.add_partitions(code);
        script.find_coordinator();
        script.add_partitions(ErrorCode::NONE);
        script.manager.handle_unreachable(NODE, script.now);
        script.manager.commit().expect("legal");
        script.manager.handle_drained(false);
        script.find_coordinator();
        script.end(code, 0);
        script.find_coordinator();
        script.end(ErrorCode::NONE, 0);
        assert_eq!(script.outcome(Call::Commit), Some(Ok(())));
    }
}

#[test]
fn repeated_refusals_are_paced() {
    let mut script = Script::open(2);
    script.manager.commit().expect("legal");
    script.manager.handle_drained(false);
    let started = script.now;
    for _ in 0..50 {
        script.end(ErrorCode::CONCURRENT_TRANSACTIONS, 0);
    }
    // 20, 40 … ms up to a second each.
    assert!(script.now.since(started) > Duration::from_secs(30));
}

#[test]
fn offsets_are_committed_with_the_transaction() {
    for level in [1, 2] {
        let mut script = Script::ready(level);
        script.manager.begin().expect("legal");
        let offsets = vec![GroupOffset::new("in", 0, 10), GroupOffset::new("in", 1, 20)];
        let ticket = script.manager.send_offsets(offsets, GroupMetadata::new("g"));
        let ticket = ticket.expect("legal").expect("not empty");
        if level < 2 {
            let taken = script.take_of(ApiKey::ADD_OFFSETS_TO_TXN);
            script.answer(&taken, &AddOffsetsToTxnResponse::default());
        }
        script.find_coordinator();
        // The second partition is retried alone.
        for (codes, done) in [(vec![0, 14], false), (vec![0], true)] {
            let taken = script.take_of(ApiKey::TXN_OFFSET_COMMIT);
            let partitions = codes.iter().zip(2 - codes.len()..).map(|(&error_code, index)| {
                TxnOffsetCommitResponsePartition {
                    partition_index: i32::try_from(index).expect("small"),
                    error_code,
                    ..TxnOffsetCommitResponsePartition::default()
                }
            });
            let answer = TxnOffsetCommitResponse {
                topics: vec![TxnOffsetCommitResponseTopic {
                    name: "in".into(),
                    partitions: partitions.collect(),
                    ..TxnOffsetCommitResponseTopic::default()
                }],
                ..TxnOffsetCommitResponse::default()
            };
            script.answer(&taken, &answer);
            assert_eq!(script.manager.poll_offsets(ticket), done.then_some(Ok(())));
        }
        script.manager.commit().expect("legal");
        script.manager.handle_drained(false);
        assert!(script.end(ErrorCode::NONE, 1).committed);
    }
}

#[test]
fn offsets_of_a_consumer_that_lost_its_place_abort_the_transaction() {
    let mut script = Script::open(2);
    let group = GroupMetadata::new("g").member(3, "m");
    let ticket = script
        .manager
        .send_offsets(vec![GroupOffset::new("in", 0, 10)], group)
        .expect("legal")
        .expect("not empty");
    script.find_coordinator();
    let taken = script.take_of(ApiKey::TXN_OFFSET_COMMIT);
    let answer = TxnOffsetCommitResponse {
        topics: vec![TxnOffsetCommitResponseTopic {
            name: "in".into(),
            partitions: vec![TxnOffsetCommitResponsePartition {
                partition_index: 0,
                error_code: ErrorCode::ILLEGAL_GENERATION.0,
                ..TxnOffsetCommitResponsePartition::default()
            }],
            ..TxnOffsetCommitResponseTopic::default()
        }],
        ..TxnOffsetCommitResponse::default()
    };
    script.answer(&taken, &answer);
    let error = script
        .manager
        .poll_offsets(ticket)
        .expect("resolved")
        .expect_err("refused");
    assert!(error.is_abortable(), "{error}");
    assert!(script.manager.commit().expect_err("refused").is_abortable());

    let nobody = GroupMetadata::new("g").member(3, "");
    let illegal = script.manager.send_offsets(Vec::new(), nobody);
    assert!(illegal.is_err());
}

#[test]
fn a_refused_producer_may_ask_again() {
    let mut script = Script::new(1);
    script.manager.init().expect("legal");
    script.find_coordinator();
    script.identify(ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED, 0);
    let error = script.failure(Call::Init);
    assert!(
        error.is_retriable() && error.to_string().contains("grant"),
        "{error}"
    );
    assert_eq!(script.manager.state(), State::Uninitialized);
    script.manager.init().expect("legal");
    script.identify(ErrorCode::NONE, 0);
    assert_eq!(script.outcome(Call::Init), Some(Ok(())));
}

#[test]
fn an_upgraded_cluster_is_met_at_the_next_end() {
    let mut script = Script::open(1);
    script.manager.handle_features(2, 2);
    // News of an older answer.
    script.manager.handle_features(1, 0);
    script.manager.commit().expect("legal");
    script.manager.handle_drained(false);
    let taken = script.take_of(ApiKey::END_TXN);
    assert_eq!(taken.request.api_version, 4);
    script.answer(&taken, &EndTxnResponse::default());
    assert_eq!(script.outcome(Call::Commit), Some(Ok(())));
    script.identify(ErrorCode::NONE, 1);
    assert_eq!(
        (script.manager.protocol(), script.epoch()),
        (Protocol::V2, Some(1))
    );
}

/// Found by the simulation: it held an EndTxn until the next transaction was open, and a Kafka 2.1 ended that one.
#[test]
fn where_no_epoch_can_be_had_nothing_follows_an_end_that_may_still_be_on_its_way() {
    for commits in [true, false] {
        let mut script = Script::new(0);
        script.init_max = 1;
        script.manager.init().expect("legal");
        script.find_coordinator();
        script.identify(ErrorCode::NONE, 0);
        assert_eq!(script.outcome(Call::Init), Some(Ok(())));
        for lost in [false, true] {
            script.manager.begin().expect("legal");
            assert!(!script.manager.want_partition(&"t".into(), 0));
            script.add_partitions(ErrorCode::NONE);
            let call = if commits { Call::Commit } else { Call::Abort };
            match commits {
                true => script.manager.commit().expect("legal"),
                false => script.manager.abort().expect("legal"),
            }
            script.manager.handle_drained(false);
            if lost {
                script.lose();
                script.find_coordinator();
            } else {
                // What was never written cannot come late.
                script.take();
                script.manager.handle_not_sent(script.now);
                script.find_coordinator();
            }
            script.end(ErrorCode::NONE, 0);
            assert_eq!(script.outcome(call), Some(Ok(())), "the verdict itself stands");
            assert_eq!(script.manager.state() == State::Fatal, lost);
        }
        let error = script.manager.begin().expect_err("it is at its end");
        assert!(error.to_string().contains("may still be on its way"), "{error}");
    }
}

#[test]
fn a_broker_without_the_versions_ends_the_producer() {
    let mut script = Script::new(1);
    script.manager.init().expect("legal");
    assert_eq!(script.manager.take_request(script.now, |_| None), None);
    let error = script.failure(Call::Init);
    assert!(
        error.is_fatal() && error.to_string().contains("FindCoordinator"),
        "{error}"
    );
}

/// Something that happens to a manager, by a number: what it means depends on where the manager stands.
fn step(script: &mut Script, kind: u8, value: u8) {
    const CODES: [i16; 20] = [
        0, 0, 0, 0, 0, 0, 14, 15, 16, 51, 47, 90, 48, 49, 53, 59, 120, 22, -1, 999,
    ];
    let code = CODES[usize::from(value) % CODES.len()];
    let topic: Arc<str> = "t".into();
    match kind % 16 {
        0 => drop(script.manager.init()),
        1 => drop(script.manager.begin()),
        2 => drop(script.manager.commit()),
        3 => drop(script.manager.abort()),
        4 => drop(script.manager.want_partition(&topic, i32::from(value % 3))),
        5 => script.manager.handle_written(),
        6 => script.manager.handle_drained(value.is_multiple_of(4)),
        7 if value < 64 => script.manager.handle_delivery_failed(Some(ErrorCode(code)), "x"),
        7 => drop(script.manager.poll_outcome(Call::Commit)),
        8 => {
            let offsets = vec![GroupOffset::new("in", i32::from(value % 2), 1)];
            drop(
                script
                    .manager
                    .send_offsets(offsets, GroupMetadata::new(format!("g{}", value % 2))),
            );
        }
        9 => script.manager.handle_unreachable(NODE, script.now),
        10 => script.manager.handle_no_answer(script.now),
        11 => drop(
            script
                .manager
                .handle_answer(&Bytes::copy_from_slice(&[value; 9]), script.now),
        ),
        12 => script
            .manager
            .handle_features(i64::from(value / 16), i16::from(value % 3)),
        13 => drop(script.manager.poll_outcome(Call::Abort)),
        _ => {}
    }
    // Half of the time a request is answered at once.
    let Some(due) = script
        .manager
        .poll_timeout()
        .filter(|_| kind >= 128 || kind % 16 > 13)
    else {
        return;
    };
    script.now = script.now.max(due);
    match script.manager.poll_target(script.now) {
        Some(Target::Any) => script.find_coordinator(),
        Some(Target::Node(_)) => answer_anything(script, ErrorCode(code), value),
        None => {}
    }
}

fn answer_anything(script: &mut Script, code: ErrorCode, value: u8) {
    let before = script.manager.state();
    let Some(request) = script
        .manager
        .take_request(script.now, |_| Some(VersionRange::new(0, 99)))
    else {
        return;
    };
    let taken = Taken {
        target: Target::Any,
        request,
    };
    let epoch = i16::from(value);
    match taken.request.api_key {
        ApiKey::END_TXN => {
            let request: EndTxnRequest = decode(&taken);
            assert_eq!(
                request.committed,
                before == State::Committing,
                "the verdict that was asked for"
            );
            let v2 = taken.request.api_version >= 5;
            let answer = EndTxnResponse {
                error_code: code.0,
                producer_id: if v2 { ID } else { -1 },
                producer_epoch: if v2 { epoch } else { -1 },
                ..EndTxnResponse::default()
            };
            script.answer(&taken, &answer);
            if before == State::Committing && !code.is_none() {
                assert_ne!(script.manager.poll_outcome(Call::Commit), Some(Ok(())), "{code}");
            }
        }
        ApiKey::INIT_PRODUCER_ID => {
            let answer = InitProducerIdResponse {
                error_code: code.0,
                producer_id: ID,
                producer_epoch: epoch,
                ..InitProducerIdResponse::default()
            };
            script.answer(&taken, &answer);
        }
        ApiKey::ADD_OFFSETS_TO_TXN => {
            let answer = AddOffsetsToTxnResponse {
                error_code: code.0,
                ..AddOffsetsToTxnResponse::default()
            };
            script.answer(&taken, &answer);
        }
        ApiKey::ADD_PARTITIONS_TO_TXN => {
            let request: AddPartitionsToTxnRequest = decode(&taken);
            let topics = request.v3_and_below_topics.iter();
            let results = topics.map(|topic| AddPartitionsToTxnTopicResult {
                name: topic.name.clone(),
                results_by_partition: (topic.partitions.iter())
                    .map(|&partition_index| AddPartitionsToTxnPartitionResult {
                        partition_index,
                        partition_error_code: code.0,
                        ..AddPartitionsToTxnPartitionResult::default()
                    })
                    .collect(),
                ..AddPartitionsToTxnTopicResult::default()
            });
            let answer = AddPartitionsToTxnResponse {
                results_by_topic_v3_and_below: results.collect(),
                ..AddPartitionsToTxnResponse::default()
            };
            script.answer(&taken, &answer);
        }
        _ => {
            let partition = |partition_index| TxnOffsetCommitResponsePartition {
                partition_index,
                error_code: code.0,
                ..TxnOffsetCommitResponsePartition::default()
            };
            let answer = TxnOffsetCommitResponse {
                topics: vec![TxnOffsetCommitResponseTopic {
                    name: "in".into(),
                    partitions: vec![partition(0), partition(1)],
                    ..TxnOffsetCommitResponseTopic::default()
                }],
                ..TxnOffsetCommitResponse::default()
            };
            script.answer(&taken, &answer);
        }
    }
}

proptest! {
    /// Whatever happens: no commit without the coordinator's word, no second transaction before the first is resolved,
    /// and a manager that brokers serve again comes to rest.
    #[test]
    fn anything_may_happen(level in 0i16..3, steps in proptest::collection::vec((any::<u8>(), any::<u8>()), 1..150)) {
        let mut script = Script::new(level);
        for (kind, value) in steps {
            let before = script.manager.state();
            step(&mut script, kind, value);
            let after = script.manager.state();
            prop_assert!(before != State::Fatal || after == State::Fatal, "back from the end");
            prop_assert!(after == State::Fatal || before != State::Committing || after != State::Aborting);
        }
        script.manager.handle_no_answer(script.now);
        // From here on everything goes well.
        for _ in 0..200 {
            if script.manager.state() == State::Open || script.manager.state() == State::MustAbort {
                script.manager.abort().expect("legal");
            }
            if script.manager.wants_drain() {
                script.manager.handle_drained(false);
            }
            let Some(due) = script.manager.poll_timeout() else { break };
            script.now = script.now.max(due);
            match script.manager.poll_target(script.now) {
                Some(Target::Any) => script.find_coordinator(),
                _ => answer_anything(&mut script, ErrorCode::NONE, 1),
            }
        }
        let state = script.manager.state();
        prop_assert!(matches!(state, State::Uninitialized | State::Ready | State::Fatal), "{state:?}");
        let fine = state != State::Ready || script.manager.commit().is_err() || script.outcome(Call::Commit).is_some();
        prop_assert!(fine);
    }
}

//! What transactions mean for batches: when they may go, what they carry, and what becomes of them.

use crate::world::{PRODUCER_ID, Sent, World};
use bytes::Bytes;
use ottla_protocol::messages::add_partitions_to_txn::{
    AddPartitionsToTxnPartitionResult, AddPartitionsToTxnTopicResult,
};
use ottla_protocol::messages::find_coordinator::Coordinator;
use ottla_protocol::messages::{
    AddPartitionsToTxnRequest, AddPartitionsToTxnResponse, EndTxnRequest, EndTxnResponse,
    FindCoordinatorResponse, ProduceRequest,
};
use ottla_protocol::records::RecordBatch;
use ottla_protocol::wire::Reader;
use ottla_protocol::{ApiKey, ErrorCode, Message};
use ottla_sender::{
    Delivery, Disconnect, DisconnectClass, FailureKind, Persistence, Request, SendError, TransactionConfig,
    TransactionError, TransactionState, TrySendError,
};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

const LEADERS: [i32; 2] = [1, 2];
/// The coordinator; the leader of partition 1, too.
const COORDINATOR: i32 = 2;
const ID: &str = "orders-1";

type Outcome = Result<(), TransactionError>;

/// A call that has not returned yet.
struct Call(Pin<Box<dyn Future<Output = Outcome>>>);

impl Call {
    fn poll(&mut self) -> Option<Outcome> {
        match self.0.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(outcome) => Some(outcome),
            Poll::Pending => None,
        }
    }
}

fn commit(world: &mut World) -> Call {
    let handle = world.handle.clone();
    let mut call = Call(Box::pin(async move { handle.commit_transaction().await }));
    assert_eq!(call.poll(), None);
    world.turn();
    call
}

fn abort(world: &mut World) -> Call {
    let handle = world.handle.clone();
    let mut call = Call(Box::pin(async move { handle.abort_transaction().await }));
    assert_eq!(call.poll(), None);
    world.turn();
    call
}

/// Two partitions, each record a batch of its own, under protocol 1 or 2; a transaction is open.
fn world(level: i16) -> World {
    let mut world = World::new(|config, accumulator| {
        config.idempotent = true;
        config.linger = Duration::ZERO;
        config.max_block = Duration::from_secs(5);
        config.transactions = Some(TransactionConfig::new(ID));
        accumulator.batch_size = 1;
    });
    world.sender.handle_features(1, level);
    let topic = world.handle.topic(crate::world::TOPIC);
    let handle = world.handle.clone();
    let mut init = Call(Box::pin(async move { handle.init_transactions().await }));
    assert_eq!(init.poll(), None);
    world.turn();
    serve(&mut world, 0);
    assert_eq!(init.poll(), Some(Ok(())));
    begin(&mut world);
    // Its metadata is asked for with the first record.
    assert_eq!(
        world
            .handle
            .try_send(&topic, &ottla_sender::SendRecord::default())
            .err(),
        Some(TrySendError::Metadata)
    );
    world.turn();
    serve(&mut world, 0);
    world
}

fn begin(world: &mut World) {
    let begun = World::poll(world.handle.begin_transaction()).expect("nothing is under way");
    assert!(begun.is_ok(), "{begun:?}");
    world.turn();
}

/// Answers everything but Produce and EndTxn; InitProducerId gives this epoch. Those stay.
fn serve(world: &mut World, epoch: i16) {
    for _ in 0..50 {
        let held = |request: &Request| [ApiKey::PRODUCE.0, ApiKey::END_TXN.0].contains(&request.api_key);
        let Some(at) = world.requests.iter().position(|(_, request)| !held(request)) else {
            return;
        };
        let (node, request) = world.requests.remove(at).expect("it is there");
        world.requests.push_front((node, request));
        let (_, request) = &world.requests[0];
        if request.api_key == ApiKey::METADATA.0 {
            world.answer_metadata(&LEADERS);
        } else if request.api_key == ApiKey::INIT_PRODUCER_ID.0 {
            assert_eq!(node, COORDINATOR);
            let (_, request) = world.next_request(ApiKey::INIT_PRODUCER_ID);
            let answer = ottla_protocol::messages::InitProducerIdResponse {
                producer_id: PRODUCER_ID,
                producer_epoch: epoch,
                ..Default::default()
            };
            world.respond(node, &request, &answer);
        } else if request.api_key == ApiKey::FIND_COORDINATOR.0 {
            let (node, request) = world.next_request(ApiKey::FIND_COORDINATOR);
            let answer = FindCoordinatorResponse {
                coordinators: vec![Coordinator {
                    node_id: COORDINATOR,
                    host: "broker-2".into(),
                    port: 9092,
                    ..Coordinator::default()
                }],
                ..FindCoordinatorResponse::default()
            };
            world.respond(node, &request, &answer);
        } else {
            add_partitions(world);
        }
    }
    panic!("it never ends: {:?}", world.requests.front());
}

fn decode<M: Message>(request: &Request) -> M {
    let body = Bytes::from(request.body.concat());
    M::decode(&mut Reader::from_bytes(&body), request.api_version).expect("readable")
}

/// Answers AddPartitionsToTxn; the partitions come back.
fn add_partitions(world: &mut World) -> Vec<i32> {
    add_partitions_with(world, ErrorCode::NONE)
}

/// The same with a code for each partition.
fn add_partitions_with(world: &mut World, code: ErrorCode) -> Vec<i32> {
    let (node, request) = world.next_request(ApiKey::ADD_PARTITIONS_TO_TXN);
    assert_eq!(node, COORDINATOR);
    let asked: AddPartitionsToTxnRequest = decode(&request);
    assert_eq!(asked.v3_and_below_transactional_id, ID);
    let partitions = asked.v3_and_below_topics[0].partitions.clone();
    let answer = AddPartitionsToTxnResponse {
        results_by_topic_v3_and_below: vec![AddPartitionsToTxnTopicResult {
            name: asked.v3_and_below_topics[0].name.clone(),
            results_by_partition: partitions
                .iter()
                .map(|&partition_index| AddPartitionsToTxnPartitionResult {
                    partition_index,
                    partition_error_code: code.0,
                    ..AddPartitionsToTxnPartitionResult::default()
                })
                .collect(),
            ..AddPartitionsToTxnTopicResult::default()
        }],
        ..AddPartitionsToTxnResponse::default()
    };
    world.respond(node, &request, &answer);
    partitions
}

/// Answers EndTxn, which has to come next, with the code and under protocol 2 with the epoch. The request comes back.
fn end(world: &mut World, code: ErrorCode, next_epoch: i16) -> EndTxnRequest {
    serve(world, 0);
    let (node, request) = world.next_request(ApiKey::END_TXN);
    assert_eq!(node, COORDINATOR);
    let v2 = request.api_version >= 5 && code.is_none();
    let answer = EndTxnResponse {
        error_code: code.0,
        producer_id: if v2 { PRODUCER_ID } else { -1 },
        producer_epoch: if v2 { next_epoch } else { -1 },
        ..EndTxnResponse::default()
    };
    world.respond(node, &request, &answer);
    decode(&request)
}

/// Sends to a partition and lets the batch go out.
fn send(world: &mut World, partition: i32, value: &str) -> Delivery {
    let delivery = world.send_to(partition, value);
    world.turn();
    serve(world, 0);
    delivery
}

fn acked(world: &mut World, offset: i64) -> Sent {
    world.answer_produce(ErrorCode::NONE, offset).remove(0)
}

fn failure(delivery: &Delivery) -> (FailureKind, Persistence) {
    let failure = delivery.outcome().expect("resolved").expect_err("failed");
    (failure.kind, failure.persistence)
}

#[test]
fn under_protocol_1_a_batch_waits_until_its_partition_is_added() {
    let mut world = world(1);
    drop(world.send_to(0, "a"));
    drop(world.send_to(1, "b"));
    world.turn();
    assert_eq!(world.requests.len(), 1, "no Produce yet");
    assert_eq!(add_partitions(&mut world), [0, 1]);
    assert_eq!(world.requests.len(), 2);
    for offset in [10, 20] {
        let (_, request) = &world.requests[0];
        let produce: ProduceRequest = decode(request);
        assert_eq!(
            (request.api_version, produce.transactional_id.as_deref()),
            (11, Some(ID))
        );
        let records = produce.topic_data[0].partition_data[0].records.clone();
        let batch = RecordBatch::decode(records.expect("records")).expect("a batch");
        assert!(batch.header().attributes.is_transactional());
        assert_eq!(acked(&mut world, offset).identity, (PRODUCER_ID, 0, 0));
    }
    // Once is enough.
    drop(world.send_to(0, "c"));
    world.turn();
    assert_eq!(acked(&mut world, 11).identity, (PRODUCER_ID, 0, 1));
}

#[test]
fn under_protocol_2_writing_adds_the_partition() {
    let mut world = world(2);
    drop(world.send_to(0, "a"));
    world.turn();
    let (_, request) = &world.requests[0];
    assert_eq!((request.api_key, request.api_version), (ApiKey::PRODUCE.0, 12));
    acked(&mut world, 10);
}

#[test]
fn a_commit_awaits_what_is_queued_and_in_flight() {
    for level in [1, 2] {
        let mut world = world(level);
        let first = send(&mut world, 0, "a");
        let second = world.send_to(0, "b");
        let mut commit = commit(&mut world);
        serve(&mut world, 0);
        assert_eq!(world.requests.len(), 1, "the second waits for the first");
        acked(&mut world, 10);
        assert_eq!(commit.poll(), None);
        assert_eq!(acked(&mut world, 11).values, ["b"]);
        assert!(end(&mut world, ErrorCode::NONE, 1).committed);
        assert_eq!(commit.poll(), Some(Ok(())));
        assert!(first.outcome().is_some_and(|outcome| outcome.is_ok()) && second.is_resolved());
    }
}

#[test]
fn sequences_continue_under_protocol_1_and_begin_anew_under_protocol_2() {
    for (level, identity) in [(1, (PRODUCER_ID, 0, 1)), (2, (PRODUCER_ID, 7, 0))] {
        let mut world = world(level);
        let _first = send(&mut world, 0, "a");
        acked(&mut world, 10);
        let mut commit = commit(&mut world);
        end(&mut world, ErrorCode::NONE, 7);
        assert_eq!(commit.poll(), Some(Ok(())));
        begin(&mut world);
        let _second = send(&mut world, 0, "b");
        assert_eq!(acked(&mut world, 12).identity, identity);
    }
}

#[test]
fn an_abort_drops_what_was_not_sent_and_awaits_what_was() {
    for level in [1, 2] {
        let mut world = world(level);
        let sent = send(&mut world, 0, "sent");
        let queued = world.send_to(0, "queued");
        let mut abort = abort(&mut world);
        assert_eq!(
            failure(&queued),
            (FailureKind::Aborted, Persistence::NotPersisted)
        );
        assert!(!sent.is_resolved());
        assert!(
            world
                .requests
                .iter()
                .all(|(_, request)| request.api_key != ApiKey::END_TXN.0)
        );
        acked(&mut world, 10);
        assert!(sent.is_resolved());
        assert!(!end(&mut world, ErrorCode::NONE, 1).committed);
        assert_eq!(abort.poll(), Some(Ok(())));
        // What failed with the abort is no trouble of the next transaction.
        begin(&mut world);
        world.turn();
        assert_eq!(world.handle.transaction_state(), Some(TransactionState::Open));
    }
}

#[test]
fn a_batch_that_expired_on_its_way_is_awaited_before_the_transaction_ends() {
    let mut world = world(2);
    let expired = send(&mut world, 0, "a");
    world.advance(Duration::from_secs(120));
    assert_eq!(
        failure(&expired),
        (FailureKind::Timeout, Persistence::PossiblyPersisted)
    );
    assert_eq!(
        world.handle.transaction_state(),
        Some(TransactionState::MustAbort)
    );
    let mut abort = abort(&mut world);
    serve(&mut world, 0);
    let ends = |world: &World| {
        world
            .requests
            .iter()
            .any(|(_, request)| request.api_key == ApiKey::END_TXN.0)
    };
    // It may still get into the log, and must not do so behind the end.
    assert!(!ends(&world));
    let at = world
        .requests
        .iter()
        .position(|(_, request)| request.api_key == ApiKey::PRODUCE.0);
    let (node, request) = world
        .requests
        .remove(at.expect("it is under way"))
        .expect("there");
    let now = world.now();
    world
        .sender
        .handle_failed(node, request.id, "timed out", true, now);
    world.turn();
    assert!(ends(&world));
    end(&mut world, ErrorCode::NONE, 1);
    assert_eq!(abort.poll(), Some(Ok(())));
}

#[test]
fn a_record_that_fails_makes_the_commit_fail_and_no_commit_is_ever_sent() {
    for level in [1, 2] {
        let mut world = world(level);
        let _fails = send(&mut world, 0, "a");
        let behind = world.send_to(0, "b");
        let mut commit = commit(&mut world);
        world.answer_produce(ErrorCode::INVALID_RECORD, -1);
        let error = commit.poll().expect("resolved").expect_err("a record is lost");
        assert!(
            error.is_abortable() && error.code == Some(ErrorCode::INVALID_RECORD),
            "{error}"
        );
        assert_eq!(failure(&behind).0, FailureKind::Aborted);
        let refused = world.handle.try_send(
            &world.handle.topic(crate::world::TOPIC),
            &ottla_sender::SendRecord::default(),
        );
        assert!(
            matches!(refused, Err(TrySendError::Refused(SendError::Transaction(error))) if error.is_abortable())
        );
        let mut abort = abort(&mut world);
        assert!(!end(&mut world, ErrorCode::NONE, 1).committed);
        assert_eq!(abort.poll(), Some(Ok(())));
        // Under protocol 1 the lost record has left a gap: a new epoch comes before the next transaction.
        serve(&mut world, 1);
        begin(&mut world);
        let _next = send(&mut world, 0, "c");
        assert_eq!(acked(&mut world, 20).identity, (PRODUCER_ID, 1, 0));
    }
}

#[test]
fn out_of_order_at_the_head_or_an_old_epoch_must_abort() {
    for code in [
        ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER,
        ErrorCode::INVALID_PRODUCER_EPOCH,
        ErrorCode::UNKNOWN_PRODUCER_ID,
        ErrorCode::INVALID_TXN_STATE,
        ErrorCode::TRANSACTION_ABORTABLE,
    ] {
        let mut world = world(2);
        let delivery = send(&mut world, 0, "a");
        world.answer_produce(code, -1);
        assert_eq!(
            failure(&delivery),
            (FailureKind::Broker(code), Persistence::NotPersisted),
            "{code}"
        );
        assert_eq!(
            world.handle.transaction_state(),
            Some(TransactionState::MustAbort),
            "{code}"
        );
    }
    for code in [
        ErrorCode::PRODUCER_FENCED,
        ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
    ] {
        let mut world = world(2);
        let _delivery = send(&mut world, 0, "a");
        world.answer_produce(code, -1);
        assert_eq!(
            world.handle.transaction_state(),
            Some(TransactionState::Fatal),
            "{code}"
        );
    }
}

#[test]
fn the_next_transaction_gives_the_markers_twice_the_time_of_the_end() {
    for level in [1, 2] {
        let mut world = world(level);
        drop(send(&mut world, 0, "a"));
        acked(&mut world, 10);
        let mut commit = commit(&mut world);
        world.advance(Duration::from_millis(2));
        end(&mut world, ErrorCode::NONE, 1);
        assert_eq!(commit.poll(), Some(Ok(())));
        let ended = world.now();
        begin(&mut world);
        drop(world.send_to(0, "b"));
        drop(world.send_to(1, "c"));
        world.turn();
        assert!(world.requests.is_empty(), "{:?}", world.requests);
        world.until_request();
        assert_eq!(world.now().since(ended), Duration::from_millis(4));
        serve(&mut world, 0);
        assert_eq!(world.requests.len(), 2, "a batch for each leader");
    }
}

#[test]
fn markers_that_are_being_written_cost_a_short_backoff() {
    let mut world = world(2);
    let delivery = send(&mut world, 0, "a");
    world.answer_produce(ErrorCode::CONCURRENT_TRANSACTIONS, -1);
    let before = world.now();
    world.until_produce(&LEADERS);
    assert!(world.now().since(before) <= Duration::from_millis(20));
    acked(&mut world, 10);
    assert!(delivery.outcome().expect("resolved").is_ok());
}

#[test]
fn wrong_credentials_end_the_wait_of_who_initialises() {
    let mut world = World::new(|config, _| {
        config.idempotent = true;
        config.transactions = Some(TransactionConfig::new(ID));
    });
    world.reachable = false;
    for _ in 0..2 {
        let handle = world.handle.clone();
        let mut init = Call(Box::pin(async move { handle.init_transactions().await }));
        assert_eq!(init.poll(), None);
        let before = world.connects.len();
        world.run_until(world.now() + Duration::from_secs(2));
        assert!(
            world.connects.len() > before,
            "it connects again when it is asked again"
        );
        let why = Disconnect {
            class: DisconnectClass::Authentication,
            cause: "wrong password",
        };
        let now = world.now();
        world.sender.handle_disconnected(-1, why, now);
        world.turn();
        let error = init.poll().expect("it need not wait").expect_err("refused");
        assert!(
            error.is_retriable() && error.to_string().contains("wrong password"),
            "{error}"
        );
    }
}

#[test]
fn after_a_commit_records_linger_again() {
    let mut world = world(2);
    let _first = send(&mut world, 0, "a");
    acked(&mut world, 10);
    let mut commit = commit(&mut world);
    end(&mut world, ErrorCode::NONE, 1);
    assert_eq!(commit.poll(), Some(Ok(())));
    // With nothing to do, nothing is due but metadata.
    let next = world.sender.poll_timeout().expect("metadata ages");
    assert!(next.since(world.now()) > Duration::from_secs(60), "{next}");
}

#[test]
fn a_wait_ends_at_max_block_and_the_call_goes_on() {
    let mut world = world(2);
    let _first = send(&mut world, 0, "a");
    acked(&mut world, 10);
    let mut first = commit(&mut world);
    world.advance(Duration::from_secs(5));
    let error = first.poll().expect("the time is over").expect_err("no answer");
    assert!(error.is_retriable(), "{error}");
    let mut again = commit(&mut world);
    assert!(end(&mut world, ErrorCode::NONE, 1).committed);
    assert_eq!(again.poll(), Some(Ok(())));
    assert!(world.requests.is_empty(), "there is one EndTxn");
}

#[test]
fn a_coordinator_that_dies_is_looked_for_while_records_flow_elsewhere() {
    let mut world = world(2);
    let _first = send(&mut world, 0, "a");
    acked(&mut world, 10);
    let mut commit = commit(&mut world);
    world.lose(true);
    // The same verdict, once the coordinator is found again.
    let verdict = loop {
        serve(&mut world, 0);
        if world.requests.is_empty() {
            let next = world.sender.poll_timeout().expect("something is due");
            world.clock.advance_to(next);
            world.turn();
        } else {
            break end(&mut world, ErrorCode::NONE, 1);
        }
    };
    assert!(verdict.committed);
    assert_eq!(commit.poll(), Some(Ok(())));
}

#[test]
fn a_producer_that_is_dropped_tells_a_commit_that_its_outcome_is_unknown() {
    let mut world = world(2);
    let _first = send(&mut world, 0, "a");
    acked(&mut world, 10);
    let mut commit = commit(&mut world);
    drop(world.sender);
    let error = commit.poll().expect("resolved").expect_err("nobody knows");
    assert!(error.is_fatal() && error.outcome_unknown, "{error}");
}

/// A coordinator that never has the time: the record ends by its deadline, and with it the commit.
#[test]
fn partitions_that_are_never_added_end_at_the_deadline() {
    let mut world = world(1);
    let delivery = world.send_to(0, "a");
    world.turn();
    let mut first = commit(&mut world);
    let deadline = world.now() + Duration::from_secs(120);
    let mut asked = 0;
    let mut refuse = |world: &mut World| match world.requests[0].1.api_key {
        key if key == ApiKey::ADD_PARTITIONS_TO_TXN.0 => {
            asked += 1;
            add_partitions_with(world, ErrorCode::COORDINATOR_LOAD_IN_PROGRESS);
        }
        _ => world.answer_metadata(&LEADERS),
    };
    let wait_ends = world.now() + Duration::from_secs(5);
    world.run_answering(wait_ends, &mut refuse);
    let error = first
        .poll()
        .expect("max.block.ms is over")
        .expect_err("nothing was added");
    assert!(error.is_retriable(), "{error}");
    let mut again = commit(&mut world);
    world.run_answering(deadline, &mut refuse);
    assert!((60..1_000).contains(&asked), "{asked} requests in two minutes");
    assert_eq!(
        failure(&delivery),
        (FailureKind::Timeout, Persistence::NotPersisted)
    );
    let error = again.poll().expect("resolved").expect_err("a record is lost");
    assert!(error.is_abortable(), "{error}");
    let mut abort = abort(&mut world);
    // What is under way is settled first, and then there may be nothing to end.
    let soon = world.now() + Duration::from_secs(3);
    world.run_answering(soon, |world| match world.requests[0].1.api_key {
        key if key == ApiKey::END_TXN.0 => assert!(!end(world, ErrorCode::NONE, 1).committed),
        _ => serve(world, 1),
    });
    assert_eq!(abort.poll(), Some(Ok(())));
}

//! Transactions and their coordinator.

use crate::batch::Batch;
use crate::brokers::{config, produce_in, state, values};
use crate::link::Core;
use crate::session::Session;
use ottla_broker::{ClusterConfig, Isolation, TransactionVersion};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::EndTxnRequest;
use std::time::Duration;

/// One broker, and a transaction of "x" that has records in partitions 0 and 1.
fn open_transaction(change: impl FnOnce(&mut ClusterConfig)) -> (Session<Core>, (i64, i16)) {
    let mut config = config();
    config.brokers = 1;
    change(&mut config);
    let mut session = Session::new(Core::new(config));
    let identity = session.init(5, Some("x"), 10_000, (-1, -1)).expect("an identity");
    for partition in [0, 1] {
        let batch = Batch::transactional(identity, 0, 2);
        assert_eq!(
            produce_in(&mut session.link, -1, partition, &batch, Some("x")).error_code,
            0
        );
    }
    (session, identity)
}

pub(crate) fn end(
    session: &mut Session<Core>,
    (producer_id, producer_epoch): (i64, i16),
    committed: bool,
) -> ErrorCode {
    let request = EndTxnRequest {
        transactional_id: "x".to_owned(),
        producer_id,
        producer_epoch,
        committed,
        ..EndTxnRequest::default()
    };
    ErrorCode(session.call(&request, 5).expect("an answer").error_code)
}

#[test]
fn commit_is_visible_and_abort_is_not() {
    for committed in [true, false] {
        let (mut session, identity) = open_transaction(|_| {});
        assert_eq!(values(&mut session.link, 0, Isolation::ReadCommitted), 0);
        assert_eq!(values(&mut session.link, 0, Isolation::ReadUncommitted), 2);
        assert_eq!(end(&mut session, identity, committed), ErrorCode::NONE);
        for partition in [0, 1] {
            let expected = if committed { 2 } else { 0 };
            assert_eq!(
                values(&mut session.link, partition, Isolation::ReadCommitted),
                expected
            );
            assert_eq!(state(&session.link, partition).last_stable, 3);
        }
    }
}

/// The state of the transaction, its producer's id and its epoch.
fn stands(session: &Session<Core>) -> Option<(&'static str, i64, i16)> {
    let transaction = session.link.cluster.transaction("x")?;
    Some((
        transaction.state,
        transaction.producer_id,
        transaction.producer_epoch,
    ))
}

#[test]
fn a_transaction_times_out() {
    let (mut session, identity) = open_transaction(|_| {});
    session.link.advance(Duration::from_millis(9_999));
    assert_eq!(stands(&session), Some(("Ongoing", identity.0, 0)));
    session.link.advance(Duration::from_millis(1));
    assert_eq!(stands(&session), Some(("CompleteAbort", identity.0, 1)));
    assert_eq!(values(&mut session.link, 0, Isolation::ReadCommitted), 0);
    assert_eq!(state(&session.link, 0).last_stable, 3);
    let late = produce_in(
        &mut session.link,
        -1,
        0,
        &Batch::transactional(identity, 2, 1),
        Some("x"),
    );
    assert_eq!(ErrorCode(late.error_code), ErrorCode::INVALID_PRODUCER_EPOCH);
}

#[test]
fn until_its_markers_are_written_a_transaction_is_concurrent() {
    let (mut session, identity) = open_transaction(|config| config.marker_delay = Duration::from_secs(1));
    assert_eq!(end(&mut session, identity, true), ErrorCode::NONE);
    assert_eq!(
        end(&mut session, identity, true),
        ErrorCode::CONCURRENT_TRANSACTIONS
    );
    assert_eq!(end(&mut session, identity, false), ErrorCode::INVALID_TXN_STATE);
    let next = Batch::transactional((identity.0, 1), 0, 1);
    let early = produce_in(&mut session.link, -1, 0, &next, Some("x"));
    assert_eq!(ErrorCode(early.error_code), ErrorCode::CONCURRENT_TRANSACTIONS);
    assert_eq!(values(&mut session.link, 0, Isolation::ReadCommitted), 0);
    session.link.advance(Duration::from_secs(1));
    assert_eq!(values(&mut session.link, 0, Isolation::ReadCommitted), 2);
    assert_eq!(end(&mut session, identity, true), ErrorCode::NONE, "said twice");
    assert_eq!(
        produce_in(&mut session.link, -1, 0, &next, Some("x")).error_code,
        0
    );
}

#[test]
fn markers_wait_for_a_leader() {
    let mut session = Session::new(Core::new(config()));
    session.link.cluster.move_coordinator("x", 1).expect("broker 1");
    let identity = session.init(5, Some("x"), 10_000, (-1, -1)).expect("an identity");
    for (broker, partition) in [(1, 0), (2, 1)] {
        session.link.connect(broker);
        let batch = Batch::transactional(identity, 0, 2);
        assert_eq!(
            produce_in(&mut session.link, -1, partition, &batch, Some("x")).error_code,
            0
        );
    }
    session.link.connect(1);
    session.link.cluster.freeze_broker(2).expect("broker 2");
    assert_eq!(end(&mut session, identity, true), ErrorCode::NONE);
    assert_eq!(stands(&session), Some(("PrepareCommit", identity.0, 1)));
    assert_eq!(values(&mut session.link, 1, Isolation::ReadCommitted), 0);
    session.link.advance(Duration::from_secs(9));
    assert_eq!(stands(&session), Some(("CompleteCommit", identity.0, 1)));
    for partition in [0, 1] {
        assert_eq!(values(&mut session.link, partition, Isolation::ReadCommitted), 2);
    }
}

/// Opens a transaction with the last epoch that the producer id has.
fn open_with_last_epoch(session: &mut Session<Core>, producer_id: i64) -> (i64, i16) {
    session
        .link
        .cluster
        .set_transactional_epoch("x", i16::MAX - 1)
        .expect("a transactional id");
    let last = (producer_id, i16::MAX - 1);
    let batch = Batch::transactional(last, 0, 1);
    let answer = produce_in(&mut session.link, -1, 0, &batch, Some("x"));
    assert_eq!(answer.error_code, 0);
    last
}

#[test]
fn epochs_are_used_up() {
    // Under protocol 2 the end of a transaction brings the next identity.
    let (mut session, identity) = open_transaction(|_| {});
    assert_eq!(end(&mut session, identity, true), ErrorCode::NONE);
    let last = open_with_last_epoch(&mut session, identity.0);
    let next = session.end(5, "x", last, true).expect("an identity");
    assert_ne!(next.0, identity.0);
    assert_eq!(next.1, 0);
    assert_eq!(session.end(5, "x", last, true), Some(next), "said twice");
    assert_eq!(end(&mut session, last, false), ErrorCode::INVALID_TXN_STATE);
    // Under protocol 1 the next InitProducerId does.
    let mut config = config();
    config.brokers = 1;
    config.transaction_version = Some(TransactionVersion::V0);
    let mut session = Session::new(Core::new(config));
    let first = session.init(4, Some("x"), 10_000, (-1, -1)).expect("an identity");
    session
        .link
        .cluster
        .set_transactional_epoch("x", i16::MAX - 1)
        .expect("a transactional id");
    let next = session
        .init(4, Some("x"), 10_000, (first.0, i16::MAX - 1))
        .expect("an identity");
    assert_ne!(next.0, first.0);
    assert_eq!(next.1, 0);
    let again = session.init(4, Some("x"), 10_000, (first.0, i16::MAX - 1));
    assert_eq!(
        again,
        Some(next),
        "the answer was lost, and the request is repeated"
    );
}

/// Found by the simulation: the answer to EndTxn names the next identity before the coordinator goes by it.
#[test]
fn the_identity_after_the_last_epoch_waits_for_the_markers() {
    let (mut session, identity) = open_transaction(|config| config.marker_delay = Duration::from_secs(1));
    assert_eq!(end(&mut session, identity, true), ErrorCode::NONE);
    session.link.advance(Duration::from_secs(1));
    let last = open_with_last_epoch(&mut session, identity.0);
    let request = EndTxnRequest {
        transactional_id: "x".to_owned(),
        producer_id: last.0,
        producer_epoch: last.1,
        committed: true,
        ..EndTxnRequest::default()
    };
    let ended = session.call(&request, 5).expect("an answer");
    let next = (ended.producer_id, ended.producer_epoch);
    assert!(next.0 != identity.0 && next.1 == 0, "{ended:?}");
    let batch = Batch::transactional(next, 0, 1);
    let early = produce_in(&mut session.link, -1, 0, &batch, Some("x"));
    assert_eq!(ErrorCode(early.error_code), ErrorCode::CONCURRENT_TRANSACTIONS);
    assert_eq!(end(&mut session, next, false), ErrorCode::CONCURRENT_TRANSACTIONS);
    session.link.advance(Duration::from_secs(1));
    assert_eq!(
        produce_in(&mut session.link, -1, 0, &batch, Some("x")).error_code,
        0
    );
}

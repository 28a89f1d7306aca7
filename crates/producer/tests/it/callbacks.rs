//! Outcomes that are told to callbacks.

use crate::support::{PARTITIONS, TOPIC, cluster, producer};
use ottla::blocking::wait;
use ottla::{Delivery, Error, Persistence, Producer, Record, RecordMetadata};
use ottla_broker::{Fault, FaultAction};
use ottla_protocol::{ApiKey, ErrorCode};
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Waker};
use std::time::Duration;

type Told = Arc<Mutex<Vec<Result<RecordMetadata, Error>>>>;

fn note(told: &Told) -> impl FnOnce(Result<RecordMetadata, Error>) + Send + 'static {
    let told = Arc::clone(told);
    move |outcome| told.lock().expect("no panic").push(outcome)
}

/// Four threads send to the same partitions at once: each partition's callbacks come in the order of its offsets, each
/// once, and a flush waits for the last of them.
#[test]
fn callbacks_of_a_partition_come_in_its_order_whichever_threads_send() {
    let cluster = cluster(2);
    let producer = producer(&cluster, &[("batch.size", "1000")]);
    let told = Told::default();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for number in 0..1_500 {
                    let record = Record::to(TOPIC).value("v").partition(number % 3);
                    wait(producer.send_with(&record, note(&told))).expect("queued");
                }
            });
        }
    });
    wait(producer.flush());
    let told = told.lock().expect("no panic");
    assert_eq!(told.len(), 6_000, "flush waits for callbacks");
    for partition in 0..3 {
        let offsets = told.iter().map(|outcome| outcome.as_ref().expect("acked"));
        let offsets: Vec<_> = offsets
            .filter(|metadata| metadata.partition() == partition)
            .map(|metadata| metadata.offset().expect("known"))
            .collect();
        let expected: Vec<i64> = (0..2_000).collect();
        assert!(offsets == expected, "partition {partition}: not in order");
    }
}

#[tokio::test]
async fn one_handler_is_told_the_numbers_of_its_records() {
    let cluster = cluster(1);
    let producer = producer(&cluster, &[]);
    let (numbers, told) = mpsc::channel();
    let handler = Arc::new(move |number: u64, outcome: Result<RecordMetadata, Error>| {
        numbers
            .send((number, outcome.expect("acked").offset()))
            .expect("the test listens");
    });
    for number in 0..100 {
        let record = Record::to(TOPIC).partition(0);
        let handler = Arc::clone(&handler);
        producer.send_to(&record, handler, number).await.expect("queued");
    }
    producer.flush().await;
    drop(handler);
    producer.close(Duration::from_secs(30)).await;
    let told: Vec<_> = told.try_iter().collect();
    let expected: Vec<_> = (0..100).map(|number| (number, Some(number as i64))).collect();
    assert_eq!(told, expected);
}

#[tokio::test]
async fn failures_are_told_and_a_panic_is_one_callbacks_own() {
    let cluster = cluster(1);
    cluster.add_fault(
        Fault::new(FaultAction::Error(ErrorCode::INVALID_RECORD))
            .api(ApiKey::PRODUCE)
            .partition(1),
    );
    let producer = producer(&cluster, &[]);
    let told = Told::default();
    let bad = Record::to(TOPIC).partition(1);
    producer.send_with(&bad, note(&told)).await.expect("queued");
    let good = Record::to(TOPIC).partition(0);
    let panics = |_: Result<RecordMetadata, Error>| std::panic::resume_unwind(Box::new("meant"));
    producer.send_with(&good, panics).await.expect("queued");
    producer.send_with(&good, note(&told)).await.expect("queued");
    producer.flush().await;
    let told = told.lock().expect("no panic");
    assert_eq!(told.len(), 2);
    let failed = told.iter().filter_map(|outcome| outcome.as_ref().err());
    let failed: Vec<_> = failed.map(|error| (error.code(), error.persistence())).collect();
    assert_eq!(
        failed,
        [(Some(ErrorCode::INVALID_RECORD), Persistence::NotPersisted)]
    );
}

/// A callback that does not return holds up neither deliveries nor a close beyond its timeout; the others wait for it.
#[test]
fn a_stuck_callback_delays_callbacks_only() {
    let cluster = cluster(1);
    let producer = producer(&cluster, &[]);
    let (release, released) = mpsc::channel::<()>();
    let stuck = move |_| {
        let _ = released.recv();
    };
    let record = Record::to(TOPIC).partition(0);
    wait(producer.send_with(&record, stuck)).expect("queued");
    let told = Told::default();
    wait(producer.send_with(&record, note(&told))).expect("queued");
    for _ in 0..10 {
        wait(wait(producer.send(&record)).expect("queued")).expect("acked");
    }
    wait(producer.close(Duration::from_millis(50)));
    assert!(told.lock().expect("no panic").is_empty());
    drop(release);
    // What is outstanding still runs, and a second close waits for it.
    wait(producer.close(Duration::from_secs(60)));
    assert_eq!(told.lock().expect("no panic").len(), 1);
}

/// The second close finds the sender closed, so that its first poll, which has no waker, already waits for the callback.
#[test]
fn a_close_ends_at_its_deadline_whoever_polled_it_first() {
    let cluster = cluster(1);
    let producer = producer(&cluster, &[]);
    let (release, released) = mpsc::channel::<()>();
    let stuck = move |_| {
        let _ = released.recv();
    };
    wait(producer.send_with(&Record::to(TOPIC), stuck)).expect("queued");
    wait(producer.close(Duration::ZERO));
    wait(producer.close(Duration::from_millis(50)));
    drop(release);
}

#[test]
fn callbacks_run_after_the_producer_is_dropped() {
    let cluster = cluster(1);
    let producer = producer(
        &cluster,
        &[("linger.ms", "60000"), ("delivery.timeout.ms", "120000")],
    );
    let (sender, receiver) = mpsc::channel();
    for _ in 0..10 {
        let sender = sender.clone();
        let callback = move |outcome: Result<RecordMetadata, Error>| {
            sender.send(outcome.is_ok()).expect("the test listens");
        };
        wait(producer.send_with(&Record::to(TOPIC), callback)).expect("queued");
    }
    drop((producer, sender));
    // Ends when the last callback has run, and its sender is gone.
    let told: Vec<bool> = receiver.iter().collect();
    assert_eq!(told, [true; 10]);
}

#[test]
fn a_callback_may_send_and_flush() {
    let cluster = cluster(1);
    let producer = producer(&cluster, &[]);
    let known = wait(producer.partitions_for(TOPIC)).expect("known");
    assert_eq!(known.len(), PARTITIONS as usize);
    let (sender, receiver) = mpsc::channel();
    let again: Producer = producer.clone();
    let callback = move |_| {
        let record = Record::to(TOPIC).value("again").partition(2);
        again
            .try_send_with(&record, move |outcome| drop(sender.send(outcome)))
            .expect("queued");
        // Its own end is not waited for.
        wait(again.flush());
    };
    wait(producer.send_with(&Record::to(TOPIC), callback)).expect("queued");
    assert!(receiver.recv().expect("told").is_ok());
}

/// KAFKA-10790: a producer that was closed by its own callback waited for itself.
#[test]
fn a_callback_may_close() {
    let cluster = cluster(1);
    let producer = producer(&cluster, &[]);
    let (sender, receiver) = mpsc::channel();
    let own = producer.clone();
    let callback = move |outcome: Result<RecordMetadata, Error>| {
        // Its own end is not waited for.
        wait(own.close(Duration::from_secs(30)));
        sender.send(outcome.is_ok()).expect("the test listens");
    };
    let record = Record::to(TOPIC);
    wait(producer.send_with(&record, callback)).expect("queued");
    assert!(receiver.recv().expect("told"));
    assert!(wait(producer.send(&record)).expect_err("closed").is_closed());
    wait(producer.close(Duration::from_secs(30)));
}

#[test]
fn what_is_not_queued_is_not_told() {
    let cluster = cluster(1);
    let producer = producer(&cluster, &[("max.block.ms", "2000")]);
    let calls = Arc::new(AtomicUsize::new(0));
    let count = || {
        let calls = Arc::clone(&calls);
        move |_: Result<RecordMetadata, Error>| {
            calls.fetch_add(1, Ordering::SeqCst);
        }
    };
    let refused = producer.try_send_with(&Record::to(TOPIC), count());
    assert!(refused.expect_err("no metadata yet").would_wait());
    wait(producer.send_with(&Record::to(TOPIC).partition(77), count())).expect_err("no such partition");
    wait(producer.close(Duration::from_secs(30)));
    wait(producer.send_with(&Record::to(TOPIC), count())).expect_err("closed");
    assert_eq!(calls.load(Ordering::SeqCst), 0);
    assert_eq!(Arc::strong_count(&calls), 1, "the callbacks are dropped");
}

/// Polls a future once, and drops it.
fn begin(future: impl Future) -> bool {
    let mut cx = Context::from_waker(Waker::noop());
    pin!(future).poll(&mut cx).is_ready()
}

/// What each method says of its cancel safety.
#[test]
fn a_future_that_is_dropped_leaves_what_its_method_says() {
    let cluster = cluster(1);
    let settings = [("linger.ms", "60000"), ("delivery.timeout.ms", "120000")];
    let producer = producer(&cluster, &settings);
    let record = Record::to(TOPIC).value("v").partition(0);
    let told = Told::default();
    // These wait for metadata, which no broker can give while this is held: nothing is queued.
    let held = cluster.cluster();
    assert!(!begin(producer.send(&record)));
    assert!(!begin(producer.send_with(&record, note(&told))));
    assert!(!begin(producer.send_all([&record])));
    assert!(!begin(producer.partitions_for(TOPIC)));
    drop(held);
    wait(producer.partitions_for(TOPIC)).expect("known");
    assert_eq!((producer.memory_used(), Arc::strong_count(&told)), (0, 1));
    // These need not wait: ready at once is queued, whatever becomes of the delivery; what send_all began with stays.
    assert!(begin(producer.send(&record)));
    assert!(begin(producer.send_with(&record, note(&told))));
    assert!(!begin(producer.send_all([&record, &record])));
    let delivery: Delivery = wait(producer.send(&record)).expect("queued");
    // A flush and a close stand when they are called.
    drop(producer.flush());
    assert_eq!(wait(delivery).expect("acked").offset(), Some(4));
    let last = wait(producer.send(&record)).expect("queued");
    drop(producer.close(Duration::from_secs(30)));
    assert_eq!(wait(last).expect("acked").offset(), Some(5));
    assert!(wait(producer.send(&record)).expect_err("closed").is_closed());
}

/// Callbacks that do not keep up fill what may wait, and no more: then a send with a callback would have to wait.
#[test]
fn callbacks_that_wait_are_bounded() {
    let cluster = cluster(1);
    // 2^17 and one for each 512 bytes.
    let producer = producer(&cluster, &[("buffer.memory", "1048576")]);
    let limit = (1 << 17) + 2_048;
    let (release, released) = mpsc::channel::<()>();
    let stuck = move |_| {
        let _ = released.recv();
    };
    let record = Record::to(TOPIC).partition(0);
    wait(producer.send_with(&record, stuck)).expect("queued");
    let told = Arc::new(AtomicUsize::new(0));
    let handler = Arc::clone(&told);
    let handler = Arc::new(move |_: u64, _: Result<RecordMetadata, Error>| {
        handler.fetch_add(1, Ordering::SeqCst);
    });
    for number in 1..limit {
        wait(producer.send_to(&record, handler.clone(), number)).expect("there is room");
    }
    let full = producer.try_send_with(&record, |_| ()).expect_err("full");
    assert!(full.would_wait(), "{full}");
    wait(wait(producer.send(&record)).expect("queued")).expect("acked: only callbacks are full");
    drop(release);
    wait(producer.send_to(&record, handler, limit)).expect("there is room again");
    wait(producer.flush());
    assert_eq!(told.load(Ordering::SeqCst) as u64, limit);
}

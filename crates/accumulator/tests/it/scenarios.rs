//! What accumulators of other producers did wrong, or could.

use crate::{accumulator, expired, read, record, values};
use ottla_accumulator::{AppendError, Delivery, Partition, Sealer};
use ottla_protocol::compression::Compression;
use ottla_time::ManualClock;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

fn sealer() -> Sealer {
    Sealer::new(Compression::None).expect("no codec")
}

#[test]
fn an_allocation_fails_in_the_middle_of_an_append_and_its_permits_are_restored() {
    // Chunks of 1 KiB: a record of ten of them needs more at once than the first two appends leave.
    let accumulator = accumulator(16_384, 16 << 10);
    let clock = ManualClock::new(0);
    let topic = accumulator.topic("t".into());
    let (one, other) = (topic.partition(0, 0), topic.partition(1, 1));
    let small = one
        .append(&accumulator, &record(&[1; 500]), None, &clock)
        .expect("there is room");
    let half = other
        .append(&accumulator, &record(&[2; 4_000]), None, &clock)
        .expect("there is room");
    let used = accumulator.memory().used();
    let large = [3; 10_000];
    // Into an open batch, and as the first of one.
    for partition in [&one, &topic.partition(2, 2)] {
        let refused = partition.append(&accumulator, &record(&large), None, &clock);
        let Err(AppendError::Memory { needed, .. }) = refused else {
            panic!("{refused:?}")
        };
        assert!(needed > large.len() && needed < 16 << 10);
        assert_eq!(accumulator.memory().used(), used, "all of it or nothing");
    }
    // What was there before is whole, and goes on.
    let mut sealer = sealer();
    for (partition, delivery, expected) in [(&one, &small, vec![1; 500]), (&other, &half, vec![2; 4_000])] {
        let batch = partition.take().expect("one batch");
        let sealed = sealer
            .seal(batch, partition.compression_ratio())
            .expect("no codec");
        assert_eq!(values(&sealed), [expected]);
        sealed.complete(0, -1);
        assert!(delivery.delivery.is_resolved());
    }
    assert_eq!(accumulator.memory().used(), 0);
    assert!(
        one.append(&accumulator, &record(&large), None, &clock).is_ok(),
        "now there is room"
    );
}

/// KAFKA-19012, CVE-2026-35554: a batch expired while it was being written, its buffer was used for another partition,
/// and the writer sent that one's records to the wrong topic. The values name where they belong.
#[test]
fn a_batch_expires_while_it_is_written_and_its_buffer_is_not_used_again() {
    let accumulator = accumulator(1_000, 64 << 10);
    let clock = ManualClock::new(0);
    let mut sealer = sealer();
    let orders = accumulator.topic("orders".into()).partition(3, 0);
    let value = b"orders-3 ".repeat(50);
    let appended = orders
        .append(&accumulator, &record(&value), None, &clock)
        .expect("there is room");
    let sealed = sealer
        .seal(orders.take().expect("one batch"), orders.compression_ratio())
        .expect("no codec");
    // The writer has these, and has written half of them when the batch expires.
    let (header, slices) = (sealed.header(None), sealed.payload().to_vec());
    assert!(sealed.fail(expired()));
    drop(sealed);
    assert!(appended.delivery.outcome().expect("resolved").is_err());
    let held = accumulator.memory().used();
    assert!(held >= value.len(), "{held} bytes are charged");
    // Many others come and go, through every buffer that there is.
    let payments = accumulator.topic("payments".into()).partition(0, 1);
    for _ in 0..1_000 {
        let other = b"payments-0 ".repeat(40);
        payments
            .append(&accumulator, &record(&other), None, &clock)
            .expect("there is room");
        while let Some(batch) = payments.take() {
            let sealed = sealer
                .seal(batch, payments.compression_ratio())
                .expect("no codec");
            assert!(values(&sealed).iter().all(|value| *value == other));
            sealed.complete(0, -1);
        }
    }
    assert_eq!(read(&header, &slices), [value]);
    assert_eq!(accumulator.memory().used(), held);
    drop(slices);
    assert_eq!(accumulator.memory().used(), 0);
}

/// KAFKA-8325: a batch that was split while it was in flight was freed twice.
#[test]
fn a_batch_in_flight_is_split_and_freed_once() {
    let accumulator = accumulator(100_000, 256 << 10);
    let clock = ManualClock::new(0);
    let mut sealer = sealer();
    let partition = accumulator.topic("t".into()).partition(0, 0);
    let append = |number: u8| {
        let value = [number; 700];
        let appended = partition.append(&accumulator, &record(&value), None, &clock);
        appended.expect("there is room").delivery
    };
    let deliveries: Vec<Delivery> = (0..50).map(append).collect();
    let sealed = sealer
        .seal(
            partition.take().expect("one batch"),
            partition.compression_ratio(),
        )
        .expect("no codec");
    let whole = (sealed.header(None), sealed.payload().to_vec());
    let mut flush = std::pin::pin!(accumulator.flushes().begin());
    let parts = sealer
        .split(sealed, partition.compression_ratio(), &accumulator)
        .expect("it has fifty records");
    let held = accumulator.memory().used();
    // The writer lets go of the whole one only now: that frees its buffers, and nothing of the parts.
    assert_eq!(read(&whole.0, &whole.1).len(), 50);
    drop(whole);
    assert!(accumulator.memory().used() <= held);
    let parts: Vec<_> = parts
        .into_iter()
        .map(|part| part.batch.expect("no codec"))
        .collect();
    assert!(parts.len() >= 2);
    let mut offset = 0;
    let context = &mut std::task::Context::from_waker(std::task::Waker::noop());
    for part in &parts {
        assert!(
            flush.as_mut().poll(context).is_pending(),
            "it waits for the parts"
        );
        let expected: Vec<_> = (offset..).take(part.record_count() as usize).collect();
        let found: Vec<_> = values(part).iter().map(|value| i64::from(value[0])).collect();
        assert_eq!(found, expected);
        assert!(part.complete(offset, -1));
        assert!(!part.fail(expired()), "it has its outcome");
        offset += expected.len() as i64;
    }
    drop(parts);
    assert!(flush.as_mut().poll(context).is_ready());
    let told: Vec<_> = deliveries
        .iter()
        .map(|delivery| delivery.outcome().expect("resolved").expect("acked").offset())
        .collect();
    assert_eq!(told, (0..50).map(Some).collect::<Vec<_>>());
    assert_eq!(accumulator.memory().used(), 0);
}

#[test]
fn a_record_larger_than_batch_size_gets_a_batch_of_its_own() {
    let accumulator = accumulator(100, 64 << 10);
    let clock = ManualClock::new(0);
    let partition = accumulator.topic("t".into()).partition(0, 0);
    for len in [10, 5_000, 10] {
        let appended = partition
            .append(&accumulator, &record(&vec![7; len]), None, &clock)
            .expect("there is room");
        assert!(appended.new_batch);
        assert_eq!(
            appended.full,
            len > 100 || partition.inspect(&accumulator).closed > 1
        );
    }
    let mut sealer = sealer();
    let mut found = Vec::new();
    while let Some(batch) = partition.take() {
        let sealed = sealer
            .seal(batch, partition.compression_ratio())
            .expect("no codec");
        found.push(values(&sealed).iter().map(Vec::len).collect::<Vec<_>>());
        sealed.complete(0, -1);
    }
    assert_eq!(found, [[10], [5_000], [10]]);
}

/// Java reserves `batch.size` for the first record of each partition.
#[test]
fn ten_thousand_partitions_with_one_small_record_each_hold_no_batch_size() {
    let accumulator = accumulator(16_384, 32 << 20);
    let clock = ManualClock::new(0);
    let topic = accumulator.topic("t".into());
    let append = |number: i32| {
        let partition = topic.partition(number, 0);
        let appended = partition.append(&accumulator, &record(b"small"), None, &clock);
        drop(appended.expect("ten thousand fit"));
        partition
    };
    let partitions: Vec<Arc<Partition>> = (0..10_000).map(append).collect();
    let each = accumulator.memory().used() / partitions.len();
    assert!(each < 2_048, "{each} bytes for each partition");
}

/// Four threads append to three partitions while a fifth takes, seals and completes: every delivery has its own offset,
/// each thread's records keep their order, and at rest nothing is charged.
#[test]
fn many_threads_append_at_once_and_the_accounting_is_exact() {
    const THREADS: usize = 4;
    const RECORDS: usize = 3_000;
    let accumulator = accumulator(700, 1 << 20);
    let clock = ManualClock::new(0);
    let topic = accumulator.topic("t".into());
    let partitions: Vec<_> = (0..3)
        .map(|number| topic.partition(number, number as usize))
        .collect();
    let left = AtomicUsize::new(THREADS);
    let send = |thread: usize| {
        let mut deliveries = Vec::new();
        while deliveries.len() < RECORDS {
            let value = [thread.to_be_bytes(), deliveries.len().to_be_bytes()].concat();
            let partition = &partitions[deliveries.len() % partitions.len()];
            match partition.append(&accumulator, &record(&value), None, &clock) {
                Ok(appended) => deliveries.push(appended.delivery),
                // The driver makes room.
                Err(AppendError::Memory { .. }) => std::thread::yield_now(),
                Err(error) => panic!("{error:?}"),
            }
        }
        left.fetch_sub(1, Ordering::SeqCst);
        deliveries
    };
    let drive = || {
        let mut sealer = sealer();
        let mut logs = vec![Vec::new(); partitions.len()];
        loop {
            let over = left.load(Ordering::SeqCst) == 0;
            let mut idle = true;
            for (partition, log) in partitions.iter().zip(&mut logs) {
                if let Some(batch) = partition.take() {
                    idle = false;
                    let sealed = sealer
                        .seal(batch, partition.compression_ratio())
                        .expect("no codec");
                    assert!(sealed.complete(log.len() as i64, -1));
                    log.extend(values(&sealed));
                }
            }
            if idle && over {
                return logs;
            }
        }
    };
    let (deliveries, logs) = std::thread::scope(|scope| {
        let driver = scope.spawn(drive);
        let senders: Vec<_> = (0..THREADS)
            .map(|thread| scope.spawn(move || send(thread)))
            .collect();
        let deliveries: Vec<_> = senders
            .into_iter()
            .map(|sender| sender.join().expect("no panic"))
            .collect();
        (deliveries, driver.join().expect("no panic"))
    });
    for (thread, deliveries) in deliveries.iter().enumerate() {
        let mut last = [-1; 3];
        for (number, delivery) in deliveries.iter().enumerate() {
            let metadata = delivery.outcome().expect("resolved").expect("acked");
            let (partition, offset) = (
                metadata.partition() as usize,
                metadata.offset().expect("an offset"),
            );
            let value = [thread.to_be_bytes(), number.to_be_bytes()].concat();
            assert_eq!(logs[partition][offset as usize], value);
            assert!(offset > std::mem::replace(&mut last[partition], offset));
        }
    }
    assert_eq!(logs.iter().map(Vec::len).sum::<usize>(), THREADS * RECORDS);
    assert_eq!(accumulator.memory().used(), 0);
}

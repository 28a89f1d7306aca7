//! One partition over a long line: records a second with five batches in flight beside one, at several round trips.
//!
//! `cargo bench -p ottla-benches --bench pipelining`

use ottla::{Delivery, Producer, Record};
use ottla_benches::only_listed;
use ottla_broker::{SinkCheck, Storage, TestCluster};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

const RUN: Duration = Duration::from_secs(3);
const VALUE: [u8; 100] = [b'x'; 100];
/// At these round trips the line is what limits, and five batches have to carry at least so many times as much as one.
const LONG: [u64; 2] = [20, 80];
const GAIN_MIN: f64 = 4.0;

fn main() {
    if only_listed() {
        return;
    }
    println!("one partition, 100 B values, 16 KiB batches, idempotent, {RUN:?} each");
    println!("| round trip | one in flight | five in flight | gain |\n|---|---|---|---|");
    let mut too_slow = Vec::new();
    for round_trip_ms in [0, 2, 20, 80] {
        let one = records_a_second(round_trip_ms, 1);
        let five = records_a_second(round_trip_ms, 5);
        let gain = five / one;
        println!("| {round_trip_ms} ms | {one:.0} records/s | {five:.0} records/s | {gain:.2} |");
        if LONG.contains(&round_trip_ms) && gain < GAIN_MIN {
            too_slow.push(round_trip_ms);
        }
    }
    assert!(
        too_slow.is_empty(),
        "less than {GAIN_MIN} times as fast at {too_slow:?} ms"
    );
}

fn records_a_second(round_trip_ms: u64, in_flight: u32) -> f64 {
    let builder = TestCluster::builder().topic("line", 1).configure(|config| {
        config.storage = Storage::Discard {
            check: SinkCheck::default(),
        };
    });
    let cluster = builder.start_blocking().expect("loopback has free ports");
    cluster.set_round_trip(Duration::from_millis(round_trip_ms));
    let producer = Producer::builder()
        .bootstrap_servers(cluster.bootstrap_servers())
        .set("max.in.flight.requests.per.connection", in_flight.to_string())
        .build()
        .expect("a good configuration");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("nothing is enabled");
    let topic = producer.topic("line");
    runtime.block_on(async {
        let warm = producer
            .send(&Record::to(&topic).value(&VALUE))
            .await
            .expect("queued");
        warm.await.expect("acknowledged");
        let begin = Instant::now();
        let mut deliveries = VecDeque::new();
        let mut acknowledged = 0_u64;
        while begin.elapsed() < RUN {
            // At long round trips the memory is full: then the time passes here.
            for _ in 0..100 {
                match producer.try_send(&Record::to(&topic).value(&VALUE)) {
                    Ok(delivery) => deliveries.push_back(delivery),
                    Err(error) if error.would_wait() => tokio::task::yield_now().await,
                    Err(error) => panic!("{error}"),
                }
            }
            // One partition, one order: who is resolved stands in front.
            while deliveries.front().is_some_and(Delivery::is_resolved) {
                let delivery = deliveries.pop_front().expect("there is a first");
                delivery.await.expect("acknowledged");
                acknowledged += 1;
            }
        }
        let taken = begin.elapsed().as_secs_f64();
        // What is queued beyond would take minutes over the longest line.
        producer.close(Duration::ZERO).await;
        acknowledged as f64 / taken
    })
}

//! What trouble in two partitions costs the others: the latency of sends to healthy partitions, with and without one
//! partition that fails for ever and one that has no leader, both flooded by threads of their own.
//!
//! `cargo bench -p ottla-benches --bench isolation`

use ottla::{Producer, Record};
use ottla_benches::{only_listed, percentile};
use ottla_broker::{Fault, FaultAction, TestCluster, TopicSpec};
use ottla_protocol::{ApiKey, ErrorCode};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const TOPIC: &str = "mixed";
const PAUSE: Duration = Duration::from_micros(200);
const SAMPLES: usize = 20_000;
const VALUE: [u8; 1_000] = [b'x'; 1_000];

struct Run {
    p50: Duration,
    p99: Duration,
    p999: Duration,
    /// Records that the stuck partitions took.
    flooded: u64,
    memory_used: usize,
}

fn main() {
    if only_listed() {
        return;
    }
    println!(
        "{SAMPLES} records of 1 KB to healthy partitions, one each {PAUSE:?}, linger 0, 32 MiB of memory"
    );
    println!(
        "| stuck partitions | p50 | p99 | p99.9 | records they hold | memory |\n|---|---|---|---|---|---|"
    );
    // Interleaved, so that whatever else the machine does falls on both.
    for round in 0..3 {
        for stuck in [false, true] {
            let run = run(stuck);
            let name = if stuck { "two" } else { "none" };
            println!(
                "| {name} ({}) | {:?} | {:?} | {:?} | {} | {} KiB |",
                round + 1,
                run.p50,
                run.p99,
                run.p999,
                run.flooded,
                run.memory_used >> 10
            );
        }
    }
}

fn run(stuck: bool) -> Run {
    let spec = TopicSpec::new(TOPIC, 6).replication_factor(1);
    let builder = TestCluster::builder().brokers(3).topic_spec(spec);
    let cluster = builder.start_blocking().expect("loopback has free ports");
    let leader = |partition: i32| {
        let state = cluster
            .cluster()
            .partition_state(TOPIC, partition)
            .expect("it exists");
        state.leader
    };
    let of_third: Vec<i32> = (0..6).filter(|&partition| leader(partition) == 3).collect();
    let others: Vec<i32> = (0..6).filter(|partition| !of_third.contains(partition)).collect();
    let (failing, healthy) = (others[0], others[1..].to_vec());
    let producer = Producer::builder()
        .bootstrap_servers(cluster.bootstrap_servers())
        .set("linger.ms", "0")
        .build()
        .expect("a good configuration");
    let topic = producer.topic(TOPIC);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        for partition in 0..6 {
            let record = Record::to(&topic).value(&VALUE).partition(partition);
            producer
                .send(&record)
                .await
                .expect("queued")
                .await
                .expect("acknowledged");
        }
    });
    if stuck {
        let fails = Fault::new(FaultAction::Error(ErrorCode::NOT_ENOUGH_REPLICAS));
        cluster.add_fault(fails.api(ApiKey::PRODUCE).topic(TOPIC).partition(failing));
        cluster.cluster().kill_broker(3).expect("there are three");
    }
    let (stop, flooded) = (AtomicBool::new(false), AtomicU64::new(0));
    let flood = |partition: i32| {
        while stuck && !stop.load(Ordering::Relaxed) {
            let record = Record::to(&topic).value(&VALUE).partition(partition);
            match producer.try_send(&record) {
                Ok(delivery) => {
                    drop(delivery);
                    flooded.fetch_add(1, Ordering::Relaxed);
                }
                // Its share is used up: this thread tries again, as an application would.
                Err(_) => thread::sleep(Duration::from_millis(1)),
            }
        }
    };
    let (mut samples, memory_used) = thread::scope(|scope| {
        scope.spawn(|| flood(failing));
        scope.spawn(|| flood(of_third[0]));
        let samples = runtime.block_on(async {
            let mut samples = Vec::with_capacity(SAMPLES);
            for number in 0..SAMPLES {
                let begin = Instant::now();
                let record = Record::to(&topic)
                    .value(&VALUE)
                    .partition(healthy[number % healthy.len()]);
                let delivery = producer
                    .send(&record)
                    .await
                    .expect("there is memory for healthy partitions");
                delivery.await.expect("acknowledged");
                samples.push(begin.elapsed());
                tokio::time::sleep(PAUSE).await;
            }
            samples
        });
        let memory_used = producer.memory_used();
        stop.store(true, Ordering::Relaxed);
        (samples, memory_used)
    });
    runtime.block_on(producer.close(Duration::ZERO));
    Run {
        p50: percentile(&mut samples, 0.5),
        p99: percentile(&mut samples, 0.99),
        p999: percentile(&mut samples, 0.999),
        flooded: flooded.into_inner(),
        memory_used,
    }
}

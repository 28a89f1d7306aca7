//! Resident memory while no broker answers: at most buffer.memory × 1.25 + 32 MB beyond what the process had before, and
//! flat over a million sends that fail.
//!
//! `cargo bench -p ottla-benches --bench memory`

use ottla::{Delivery, Producer, Record};
use ottla_benches::{only_listed, resident_bytes};
use ottla_broker::{Fault, FaultAction, TestCluster};
use ottla_protocol::{ApiKey, ErrorCode};
use std::pin::Pin;
use std::process::{Command, ExitCode};
use std::task::{Context, Waker};
use std::time::Duration;

const BUFFER_MEMORY: usize = 32 << 20;
const BOUND: usize = BUFFER_MEMORY / 4 * 5 + 32_000_000;
const SENDS: usize = 1_000_000;
const CASES: [&str; 6] = [
    "100 bytes",
    "empty",
    "empty, awaited",
    "empty, callbacks",
    "10,000 partitions",
    "failing",
];

fn main() -> ExitCode {
    if only_listed() {
        return ExitCode::SUCCESS;
    }
    let case = std::env::args()
        .skip_while(|argument| argument != "--case")
        .nth(1);
    if let Some(case) = case {
        return run(&case);
    }
    println!("{SENDS} sends, buffer.memory 32 MiB, bound {} KiB", BOUND >> 10);
    println!(
        "| case | sends taken | resident before | resident after | of that the caller's deliveries | grown |"
    );
    println!("|---|---|---|---|---|---|");
    // A process for each case: what the allocator kept of one must not hide what the next one takes.
    let program = std::env::current_exe().expect("this program");
    let mut failed = Vec::new();
    for case in CASES {
        let status = Command::new(&program)
            .args(["--case", case])
            .status()
            .expect("it runs");
        if !status.success() {
            failed.push(case);
        }
    }
    if failed.is_empty() {
        return ExitCode::SUCCESS;
    }
    eprintln!("beyond the bound: {failed:?}");
    ExitCode::FAILURE
}

fn run(case: &str) -> ExitCode {
    let partitions = if case == "10,000 partitions" { 10_000 } else { 6 };
    let cluster = TestCluster::builder()
        .brokers(3)
        .topic("t", partitions)
        .start_blocking();
    let cluster = cluster.expect("loopback has free ports");
    let producer = Producer::builder()
        .bootstrap_servers(cluster.bootstrap_servers())
        .set("buffer.memory", BUFFER_MEMORY.to_string())
        .build()
        .expect("a good configuration");
    let topic = producer.topic("t");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    let before_metadata = resident_bytes().expect("/proc");
    runtime
        .block_on(producer.partition_count(&topic))
        .expect("it exists");
    let failing = case == "failing";
    if failing {
        let refused = Fault::new(FaultAction::Error(ErrorCode::INVALID_RECORD));
        cluster.add_fault(refused.api(ApiKey::PRODUCE));
    } else {
        let mut cluster = cluster.cluster();
        for broker in cluster.broker_ids() {
            cluster.freeze_broker(broker).expect("it runs");
        }
    }
    let mut before = before_metadata;
    let mut taken = 0;
    let mut kept: Vec<Delivery> = Vec::new();
    let value = if case.starts_with("empty") {
        &[][..]
    } else {
        &[b'x'; 100][..]
    };
    let mut key = 0_u64;
    for number in 0..SENDS {
        key = key.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let bytes = key.to_be_bytes();
        let mut record = Record::to(&topic).value(value);
        if partitions > 6 {
            record = record.key(&bytes);
        }
        if failing {
            let sent = runtime.block_on(producer.send(&record)).expect("queued");
            drop(sent);
            taken += 1;
            // The first half fills what is kept for reuse.
            if number == SENDS / 2 {
                runtime.block_on(producer.flush());
                before = resident_bytes().expect("/proc");
            }
        } else if case == "empty, callbacks" {
            // What a closure holds is the user's; that it waits is ours.
            taken += usize::from(
                producer
                    .try_send_with(&record, move |_| {
                        std::hint::black_box(number);
                    })
                    .is_ok(),
            );
        } else if let Ok(mut delivery) = producer.try_send(&record) {
            taken += 1;
            if case == "empty, awaited" {
                let mut context = Context::from_waker(Waker::noop());
                assert!(Pin::new(&mut delivery).poll(&mut context).is_pending());
                kept.push(delivery);
            }
        }
    }
    if failing {
        runtime.block_on(producer.flush());
    }
    let after = resident_bytes().expect("/proc");
    let callers = kept.capacity() * size_of::<Delivery>();
    let grown = after.saturating_sub(before + callers);
    println!(
        "| {case} | {taken} | {} KiB | {} KiB | {} KiB | {} KiB |",
        before >> 10,
        after >> 10,
        callers >> 10,
        grown >> 10
    );
    drop(kept);
    runtime.block_on(producer.close(Duration::ZERO));
    // Half a million failures more may cost no more than what an allocator rounds up.
    let bound = if failing { 4 << 20 } else { BOUND };
    if grown <= bound {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

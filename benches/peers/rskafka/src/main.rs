//! rskafka: batches built by hand and sent to a partition each. It has no partitioner, no linger and no idempotence, and
//! acknowledges batches, so it does less than the others.

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use chrono::Utc;
use rskafka::client::ClientBuilder;
use rskafka::client::partition::{Compression, PartitionClient, UnknownTopicHandling};
use rskafka::record::Record;
use tokio::sync::Semaphore;

#[path = "../../common.rs"]
mod common;
use common::{Arguments, Mode, Moment, Pace, report};

/// Requests under way for each partition, as many as the others may have.
const IN_FLIGHT_MAX: usize = 5;
/// What a record takes beside its value and its key, about.
const RECORD_OVERHEAD_BYTES: usize = 10;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(run(&arguments))
}

async fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let client = ClientBuilder::new(vec![arguments.bootstrap.clone()]).build().await?;
    let mut partitions = Vec::new();
    for partition in 0..arguments.partitions {
        let topic = arguments.topic.clone();
        let client = client.partition_client(topic, partition, UnknownTopicHandling::Retry).await?;
        partitions.push(Partition {
            client: Arc::new(client),
            permits: Arc::new(Semaphore::new(IN_FLIGHT_MAX)),
        });
    }
    let latencies = send(arguments, &partitions, arguments.warmup).await;
    drop(latencies);
    let begin = Moment::now();
    let latencies = send(arguments, &partitions, arguments.count).await;
    let settings = "batches built by hand, 5 requests in flight for each partition, not idempotent, unordered";
    report("rskafka 0.6.0", settings, arguments, &begin, 0, latencies)
}

struct Partition {
    client: Arc<PartitionClient>,
    permits: Arc<Semaphore>,
}

/// Full batches to one partition after the other.
async fn send(arguments: &Arguments, partitions: &[Partition], count: u64) -> Vec<Duration> {
    if arguments.mode == Mode::Latency {
        return one_by_one(arguments, &partitions[0], count).await;
    }
    let compression = match arguments.compression.as_str() {
        "lz4" => Compression::Lz4,
        "zstd" => Compression::Zstd,
        _ => Compression::NoCompression,
    };
    let value_bytes = arguments.values.get(0).len() + arguments.keys.as_ref().map_or(0, |keys| keys.get(0).len());
    let batch = (arguments.batch_bytes / (value_bytes + RECORD_OVERHEAD_BYTES)).max(1) as u64;
    let (mut number, mut next) = (0, 0);
    while number < count {
        let partition = &partitions[next];
        next = (next + 1) % partitions.len();
        let permit = Arc::clone(&partition.permits).acquire_owned().await.expect("never closed");
        let end = count.min(number + batch);
        let now = Utc::now();
        let records = (number..end)
            .map(|number| Record {
                key: arguments.keys.as_ref().map(|keys| keys.get(number).to_vec()),
                value: Some(arguments.values.get(number).to_vec()),
                headers: BTreeMap::new(),
                timestamp: now,
            })
            .collect();
        let client = Arc::clone(&partition.client);
        tokio::spawn(async move {
            client.produce(records, compression).await.expect("acknowledged");
            drop(permit);
        });
        number = end;
    }
    for partition in partitions {
        // All permits are back when all answers are there.
        let all = partition.permits.acquire_many(IN_FLIGHT_MAX as u32).await;
        drop(all.expect("never closed"));
    }
    Vec::new()
}

async fn one_by_one(arguments: &Arguments, partition: &Partition, count: u64) -> Vec<Duration> {
    let (pace, mut latencies) = (Pace::new(arguments.rate), Vec::new());
    for number in 0..count {
        // The runtime's work is done by its other threads.
        thread::sleep(pace.due(number).saturating_duration_since(Instant::now()));
        let begin = Instant::now();
        let record = Record {
            key: None,
            value: Some(arguments.values.get(number).to_vec()),
            headers: BTreeMap::new(),
            timestamp: Utc::now(),
        };
        let sent = partition.client.produce(vec![record], Compression::NoCompression).await;
        sent.expect("acknowledged");
        latencies.push(begin.elapsed());
    }
    latencies
}

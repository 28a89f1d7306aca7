//! krafka's producer.

use std::collections::VecDeque;
use std::error::Error;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use krafka::producer::{Acks, Producer};
use krafka::{Compression, Kafka, Record};

#[path = "../../common.rs"]
mod common;
use common::{Arguments, Mode, Moment, Pace, Ring, report};

/// How many outcomes may be outstanding where it need not be fewer: more than the buffer holds records.
const OUTSTANDING_MAX: usize = 1 << 20;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(run(Arc::new(arguments)))
}

async fn run(arguments: Arc<Arguments>) -> Result<(), Box<dyn Error>> {
    let compression = match arguments.compression.as_str() {
        "lz4" => Compression::Lz4,
        "zstd" => Compression::Zstd,
        _ => Compression::None,
    };
    let kafka = Kafka::builder(&arguments.bootstrap).client_id("peer").connect().await?;
    let producer = kafka
        .producer()
        .acks(Acks::All)
        .idempotent(true)
        .linger(Duration::from_secs_f64(arguments.linger_ms / 1e3))
        .batch_size(arguments.batch_bytes)
        .buffer_memory(arguments.buffer_bytes)
        .compression(compression)
        .build()
        .await?;
    let work = Arc::new(Work {
        producer,
        values: slices(&arguments.values),
        keys: arguments.keys.as_ref().map(slices),
        arguments,
    });
    send_all(&work, work.arguments.warmup).await?;
    let begin = Moment::now();
    let latencies = send_all(&work, work.arguments.count).await?;
    let settings = "idempotent, values as Bytes that are shared, multi-thread runtime";
    report("krafka 0.28.1", settings, &work.arguments, &begin, 0, latencies)
}

/// Values as krafka takes them without copying: parts of memory that is shared.
fn slices(ring: &Ring) -> Vec<Bytes> {
    (0..ring.len()).map(|number| Bytes::copy_from_slice(ring.get(number))).collect()
}

struct Work {
    arguments: Arc<Arguments>,
    producer: Producer,
    values: Vec<Bytes>,
    keys: Option<Vec<Bytes>>,
}

type Outcome = Result<Vec<Duration>, krafka::KrafkaError>;

async fn send_all(work: &Arc<Work>, count: u64) -> Outcome {
    if work.arguments.threads == 1 {
        return send(work, count).await;
    }
    let tasks: Vec<_> = (0..work.arguments.threads)
        .map(|number| {
            let (work, count) = (Arc::clone(work), work.arguments.share(count, number));
            tokio::spawn(async move { send(&work, count).await })
        })
        .collect();
    for task in tasks {
        task.await.expect("no task panics")?;
    }
    Ok(Vec::new())
}

async fn send(work: &Work, count: u64) -> Outcome {
    let arguments = &work.arguments;
    let timed = arguments.mode == Mode::Latency;
    let limit = if arguments.mode == Mode::Await { arguments.window } else { OUTSTANDING_MAX };
    let (pace, mut latencies, mut outstanding) = (Pace::new(arguments.rate), Vec::new(), VecDeque::new());
    for number in 0..count {
        if timed {
            // The runtime's work is done by its other threads.
            thread::sleep(pace.due(number).saturating_duration_since(Instant::now()));
        }
        let begin = timed.then(Instant::now);
        let value = work.values[(number % work.values.len() as u64) as usize].clone();
        let mut record = Record::new(arguments.topic.as_str(), value);
        if let Some(keys) = &work.keys {
            record = record.key(keys[(number % keys.len() as u64) as usize].clone());
        }
        let handle = work.producer.enqueue(record).await?;
        if let Some(begin) = begin {
            let _ = handle.await?;
            latencies.push(begin.elapsed());
            continue;
        }
        outstanding.push_back(handle);
        if outstanding.len() >= limit {
            let _ = outstanding.pop_front().expect("it is full").await?;
        }
    }
    work.producer.flush().await?;
    for handle in outstanding {
        let _ = handle.await?;
    }
    Ok(latencies)
}

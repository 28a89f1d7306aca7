//! rdkafka's three producers: `--client base`, `threaded` or `future`.

use std::collections::VecDeque;
use std::error::Error;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rdkafka::ClientContext;
use rdkafka::config::{ClientConfig, FromClientConfigAndContext};
use rdkafka::error::KafkaError;
use rdkafka::producer::future_producer::{DeliveryFuture, FutureProducer, FutureRecord};
use rdkafka::producer::{
    BaseProducer, BaseRecord, DeliveryResult, NoCustomPartitioner, Producer as _, ProducerContext, ThreadedProducer,
};
use rdkafka::types::RDKafkaErrorCode;

#[path = "../../common.rs"]
mod common;
use common::{Arguments, Mode, Moment, Pace, TRANSACTION_RECORDS, report, transactional_id};

const PATIENCE: Duration = Duration::from_secs(120);
/// How many records are sent between two looks for outcomes.
const POLL_INTERVAL: u64 = 256;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse()?;
    match arguments.client.as_str() {
        "base" => with_callbacks::<BaseProducer<Outcomes>>(&arguments),
        "threaded" => with_callbacks::<ThreadedProducer<Outcomes>>(&arguments),
        "future" => with_futures(&arguments),
        other => Err(format!("there is no client '{other}'").into()),
    }
}

fn config(arguments: &Arguments) -> ClientConfig {
    let mut config = ClientConfig::new();
    // No limit by number of records, in a batch and in all: bytes decide, as with the others.
    let settings = [
        ("bootstrap.servers", arguments.bootstrap.clone()),
        ("acks", "all".into()),
        ("enable.idempotence", "true".into()),
        ("linger.ms", arguments.linger_ms.to_string()),
        ("batch.size", arguments.batch_bytes.to_string()),
        ("batch.num.messages", "1000000".into()),
        ("message.max.bytes", "1048000".into()),
        ("queue.buffering.max.messages", "0".into()),
        ("queue.buffering.max.kbytes", (arguments.buffer_bytes >> 10).to_string()),
        ("compression.codec", arguments.compression.clone()),
        // Java's, so that keys go where the others send them.
        ("partitioner", "murmur2_random".into()),
        ("socket.nagle.disable", "true".into()),
    ];
    for (key, value) in settings {
        config.set(key, value);
    }
    if arguments.mode == Mode::Transactions {
        config.set("transactional.id", transactional_id());
    }
    config
}

fn settings() -> &'static str {
    "enable.idempotence, batch.num.messages=1000000, queue.buffering.max.messages=0, murmur2_random, nagle off"
}

fn name(arguments: &Arguments) -> String {
    let (_, version) = rdkafka::util::get_rdkafka_version();
    format!("rdkafka 0.39 {} (librdkafka {version})", arguments.client)
}

/// What came of records, told by callback. The number with each record is when it was sent, in ns since the origin.
struct Outcomes {
    origin: Instant,
    acknowledged: AtomicU64,
    failed: AtomicU64,
    latencies: Option<Mutex<Vec<Duration>>>,
}

impl ClientContext for Outcomes {}

impl ProducerContext for Outcomes {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, sent: usize) {
        let counter = if result.is_ok() { &self.acknowledged } else { &self.failed };
        counter.fetch_add(1, Ordering::Relaxed);
        if let Some(latencies) = &self.latencies {
            let latency = self.origin.elapsed() - Duration::from_nanos(sent as u64);
            latencies.lock().expect("nobody panics").push(latency);
        }
    }
}

/// What `BaseProducer` and `ThreadedProducer` have in common.
trait Callbacks: Sync + Sized {
    fn create(config: &ClientConfig, outcomes: Outcomes) -> Result<Self, KafkaError>;
    fn send(&self, record: BaseRecord<'_, [u8], [u8], usize>) -> Result<(), Refused>;
    /// Looks for outcomes, if that is the caller's to do.
    fn poll(&self, timeout: Duration);
    fn flush(&self) -> Result<(), KafkaError>;
    fn transactions(&self) -> &impl rdkafka::producer::Producer<Outcomes>;
    fn outcomes(&self) -> &Outcomes;
}

/// Why a record was not taken.
enum Refused {
    Full,
    Wrong(KafkaError),
}

fn refused(error: KafkaError) -> Refused {
    match error {
        KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull) => Refused::Full,
        error => Refused::Wrong(error),
    }
}

impl Callbacks for BaseProducer<Outcomes> {
    fn create(config: &ClientConfig, outcomes: Outcomes) -> Result<Self, KafkaError> {
        Self::from_config_and_context(config, outcomes)
    }

    fn send(&self, record: BaseRecord<'_, [u8], [u8], usize>) -> Result<(), Refused> {
        BaseProducer::send(self, record).map_err(|(error, _)| refused(error))
    }

    fn poll(&self, timeout: Duration) {
        BaseProducer::poll(self, timeout);
    }

    fn flush(&self) -> Result<(), KafkaError> {
        rdkafka::producer::Producer::flush(self, PATIENCE)
    }

    fn transactions(&self) -> &impl rdkafka::producer::Producer<Outcomes> {
        self
    }

    fn outcomes(&self) -> &Outcomes {
        self.context()
    }
}

impl Callbacks for ThreadedProducer<Outcomes, NoCustomPartitioner> {
    fn create(config: &ClientConfig, outcomes: Outcomes) -> Result<Self, KafkaError> {
        Self::from_config_and_context(config, outcomes)
    }

    fn send(&self, record: BaseRecord<'_, [u8], [u8], usize>) -> Result<(), Refused> {
        ThreadedProducer::send(self, record).map_err(|(error, _)| refused(error))
    }

    fn poll(&self, timeout: Duration) {
        if timeout > Duration::ZERO {
            thread::sleep(timeout);
        }
    }

    fn flush(&self) -> Result<(), KafkaError> {
        rdkafka::producer::Producer::flush(self, PATIENCE)
    }

    fn transactions(&self) -> &impl rdkafka::producer::Producer<Outcomes> {
        self
    }

    fn outcomes(&self) -> &Outcomes {
        self.context()
    }
}

fn with_callbacks<P: Callbacks>(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let timed = arguments.mode == Mode::Latency;
    let outcomes = Outcomes {
        origin: Instant::now(),
        acknowledged: AtomicU64::new(0),
        failed: AtomicU64::new(0),
        latencies: timed.then(Mutex::default),
    };
    let producer = P::create(&config(arguments), outcomes)?;
    if arguments.mode == Mode::Transactions {
        producer.transactions().init_transactions(PATIENCE)?;
    }
    send_all(&producer, arguments, arguments.warmup)?;
    if let Some(latencies) = &producer.outcomes().latencies {
        latencies.lock().expect("nobody panics").clear();
    }
    let begin = Moment::now();
    send_all(&producer, arguments, arguments.count)?;
    let outcomes = producer.outcomes();
    let lost = arguments.warmup + arguments.count - outcomes.acknowledged.load(Ordering::Relaxed);
    let latencies = outcomes.latencies.as_ref().map(|all| all.lock().expect("nobody panics").clone());
    report(&name(arguments), settings(), arguments, &begin, lost, latencies.unwrap_or_default())
}

/// Sends from all threads, and waits for all outcomes.
fn send_all<P: Callbacks>(producer: &P, arguments: &Arguments, count: u64) -> Result<(), Box<dyn Error>> {
    if arguments.mode == Mode::Transactions {
        send_in_transactions(producer, arguments, count)?;
    } else if arguments.threads == 1 {
        send(producer, arguments, count);
    } else {
        thread::scope(|scope| {
            for number in 0..arguments.threads {
                scope.spawn(move || send(producer, arguments, arguments.share(count, number)));
            }
        });
    }
    Ok(producer.flush()?)
}

fn send_in_transactions<P: Callbacks>(producer: &P, arguments: &Arguments, count: u64) -> Result<(), KafkaError> {
    for begin in (0..count).step_by(TRANSACTION_RECORDS as usize) {
        producer.transactions().begin_transaction()?;
        send(producer, arguments, TRANSACTION_RECORDS.min(count - begin));
        // A commit only waits for outcomes; this looks at them, too.
        producer.flush()?;
        producer.transactions().commit_transaction(PATIENCE)?;
    }
    Ok(())
}

fn send<P: Callbacks>(producer: &P, arguments: &Arguments, count: u64) {
    let origin = producer.outcomes().origin;
    let timed = producer.outcomes().latencies.is_some();
    let pace = Pace::new(arguments.rate);
    for number in 0..count {
        if timed {
            thread::sleep(pace.due(number).saturating_duration_since(Instant::now()));
        }
        loop {
            let sent = if timed { origin.elapsed().as_nanos() as usize } else { 0 };
            let mut record = BaseRecord::with_opaque_to(&arguments.topic, sent).payload(arguments.values.get(number));
            if let Some(keys) = &arguments.keys {
                record = record.key(keys.get(number));
            }
            match producer.send(record) {
                Ok(()) => break,
                Err(Refused::Full) => producer.poll(Duration::from_millis(1)),
                Err(Refused::Wrong(error)) => panic!("{error}"),
            }
        }
        if number % POLL_INTERVAL == 0 {
            producer.poll(Duration::ZERO);
        }
    }
}

fn with_futures(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_time().build()?;
    let producer = FutureProducer::from_config(&config(arguments))?;
    let run = |count| runtime.block_on(await_each(&producer, arguments, count));
    run(arguments.warmup);
    let begin = Moment::now();
    let (failed, latencies) = run(arguments.count);
    report(&name(arguments), settings(), arguments, &begin, failed, latencies)
}

use rdkafka::config::FromClientConfig as _;

async fn await_each(producer: &FutureProducer, arguments: &Arguments, count: u64) -> (u64, Vec<Duration>) {
    let timed = arguments.mode == Mode::Latency;
    let (pace, mut latencies, mut failed) = (Pace::new(arguments.rate), Vec::new(), 0);
    let mut outstanding: VecDeque<DeliveryFuture> = VecDeque::with_capacity(arguments.window);
    let good = |outcome| matches!(outcome, Ok(Ok(_)));
    for number in 0..count {
        if timed {
            thread::sleep(pace.due(number).saturating_duration_since(Instant::now()));
        }
        let begin = Instant::now();
        if outstanding.len() == arguments.window {
            let oldest = outstanding.pop_front().expect("it is full");
            failed += u64::from(!good(oldest.await));
        }
        let mut record = FutureRecord::to(&arguments.topic).payload(arguments.values.get(number));
        if let Some(keys) = &arguments.keys {
            record = record.key(keys.get(number));
        }
        let future = loop {
            match producer.send_result(record) {
                Ok(future) => break future,
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                    // What else is there to wait for than the oldest?
                    match outstanding.pop_front() {
                        Some(oldest) => failed += u64::from(!good(oldest.await)),
                        None => tokio::time::sleep(Duration::from_millis(1)).await,
                    }
                    record = back;
                }
                Err((error, _)) => panic!("{error}"),
            }
        };
        if timed {
            failed += u64::from(!good(future.await));
            latencies.push(begin.elapsed());
        } else {
            outstanding.push_back(future);
        }
    }
    for future in outstanding {
        failed += u64::from(!good(future.await));
    }
    (failed, latencies)
}

//! What the Rust programs of this comparison share: the command line, the payload, and the line of JSON at the end.
//!
//! Each program includes this file as a module; it needs nothing but the standard library and `rustix`.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "programs of several workspaces share this, and none needs all of it"
)]

use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::str::FromStr;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

/// What to measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// As many records as go, each with an outcome that is looked at, in whatever way costs this client least.
    Throughput,
    /// As many records as go, with a future for each that is awaited, up to `window` of them at a time.
    Await,
    /// `rate` records a second, and how long each took from the call to its acknowledgement.
    Latency,
    /// As many records as go, in transactions of [`TRANSACTION_RECORDS`], each committed before the next one begins.
    Transactions,
}

/// How many records a transaction has.
pub const TRANSACTION_RECORDS: u64 = 1_000;

/// A transactional id that no other run has.
pub fn transactional_id() -> String {
    format!("peer-{}", std::process::id())
}

impl FromStr for Mode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "throughput" => Ok(Self::Throughput),
            "await" => Ok(Self::Await),
            "latency" => Ok(Self::Latency),
            "transactions" => Ok(Self::Transactions),
            other => Err(format!("there is no mode '{other}'")),
        }
    }
}

/// The command line, the same for all programs.
#[derive(Clone, Debug)]
pub struct Arguments {
    /// Which of the clients in this program, where it has more than one.
    pub client: String,
    /// Where the broker is.
    pub bootstrap: String,
    /// The topic, which exists.
    pub topic: String,
    /// How many partitions it has.
    pub partitions: i32,
    /// How many records are measured.
    pub count: u64,
    /// How many records are sent before, and not measured.
    pub warmup: u64,
    /// The values, one after another.
    pub values: Ring,
    /// The keys, if records have one.
    pub keys: Option<Ring>,
    /// How long a batch may wait for more records.
    pub linger_ms: f64,
    /// The size of a batch.
    pub batch_bytes: usize,
    /// How many bytes of records may wait in the client.
    pub buffer_bytes: usize,
    /// `none`, `lz4`, `zstd`.
    pub compression: String,
    /// How many threads send.
    pub threads: u64,
    /// What to measure.
    pub mode: Mode,
    /// How many futures may be outstanding.
    pub window: usize,
    /// Records a second where latency is measured.
    pub rate: u64,
}

impl Arguments {
    /// Reads `--name value` pairs.
    pub fn parse() -> Result<Self, Box<dyn Error>> {
        let mut pairs = Vec::new();
        let mut words = std::env::args().skip(1);
        while let Some(name) = words.next() {
            let name = name.strip_prefix("--").ok_or("expected --name value")?.to_owned();
            pairs.push((name, words.next().ok_or("expected a value")?));
        }
        let find = |name: &str| {
            pairs
                .iter()
                .rev()
                .find(|pair| pair.0 == name)
                .map(|pair| pair.1.as_str())
        };
        let text = |name: &str| find(name).ok_or_else(|| format!("--{name} is missing"));
        fn number<T: FromStr>(text: &str) -> Result<T, String> {
            text.parse().map_err(|_| format!("'{text}' is not a number"))
        }
        let keys = match find("keys") {
            Some(file) => Some(Ring::read(file, number(text("key-size")?)?)?),
            None => None,
        };
        Ok(Self {
            client: find("client").unwrap_or_default().to_owned(),
            bootstrap: text("bootstrap")?.to_owned(),
            topic: text("topic")?.to_owned(),
            partitions: number(text("partitions")?)?,
            count: number(text("count")?)?,
            warmup: number(find("warmup").unwrap_or("0"))?,
            values: Ring::read(text("values")?, number(text("size")?)?)?,
            keys,
            linger_ms: number(text("linger-ms")?)?,
            batch_bytes: number(text("batch-bytes")?)?,
            buffer_bytes: number(text("buffer-bytes")?)?,
            compression: text("compression")?.to_owned(),
            threads: number(find("threads").unwrap_or("1"))?,
            mode: text("mode")?.parse()?,
            window: number(find("window").unwrap_or("10000"))?,
            rate: number(find("rate").unwrap_or("1000"))?,
        })
    }

    /// How many of `count` records the thread with this number sends.
    pub fn share(&self, count: u64, thread: u64) -> u64 {
        count / self.threads + u64::from(thread < count % self.threads)
    }
}

/// Values of one size, used over and over.
#[derive(Clone, Debug)]
pub struct Ring {
    bytes: Vec<u8>,
    size: usize,
}

impl Ring {
    fn read(file: &str, size: usize) -> Result<Self, Box<dyn Error>> {
        let bytes = fs::read(file).map_err(|error| format!("{file}: {error}"))?;
        if size == 0 || bytes.len() < size {
            return Err(format!("{file} holds no value of {size} bytes").into());
        }
        Ok(Self { bytes, size })
    }

    /// How many there are before the first one comes again.
    pub fn len(&self) -> u64 {
        (self.bytes.len() / self.size) as u64
    }

    /// The value with this number.
    #[inline]
    pub fn get(&self, number: u64) -> &[u8] {
        let begin = (number % self.len()) as usize * self.size;
        &self.bytes[begin..begin + self.size]
    }
}

/// Sleeps until it is time for the next record of a steady stream.
pub struct Pace {
    begin: Instant,
    rate: u64,
}

impl Pace {
    /// `rate` records a second from now on.
    pub fn new(rate: u64) -> Self {
        Self {
            begin: Instant::now(),
            rate,
        }
    }

    /// When the record with this number is due.
    pub fn due(&self, number: u64) -> Instant {
        self.begin + Duration::from_nanos(number * 1_000_000_000 / self.rate)
    }
}

/// Time and CPU time at one moment.
pub struct Moment {
    at: Instant,
    cpu_seconds: f64,
    user_system_ticks: (f64, f64),
}

impl Moment {
    /// Now.
    pub fn now() -> Self {
        let cpu = clock_gettime(ClockId::ProcessCPUTime);
        Self {
            at: Instant::now(),
            cpu_seconds: cpu.tv_sec as f64 + cpu.tv_nsec as f64 / 1e9,
            user_system_ticks: ticks().unwrap_or_default(),
        }
    }
}

/// User and system time of this process, in the kernel's ticks.
fn ticks() -> Option<(f64, f64)> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
}

/// The most memory that was resident, in bytes.
fn resident_bytes_max() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? << 10)
}

/// Prints what was measured between `begin` and now, and fails if any record did.
pub fn report(
    client: &str,
    settings: &str,
    arguments: &Arguments,
    begin: &Moment,
    failed: u64,
    mut latencies: Vec<Duration>,
) -> Result<(), Box<dyn Error>> {
    let end = Moment::now();
    let cpu_seconds = end.cpu_seconds - begin.cpu_seconds;
    // The kernel's split of it is coarse, so only its ratio is used.
    let user = end.user_system_ticks.0 - begin.user_system_ticks.0;
    let system = end.user_system_ticks.1 - begin.user_system_ticks.1;
    let user_seconds = cpu_seconds * user / (user + system).max(1.0);
    let mut line = format!(
        "{{\"client\":\"{client}\",\"records\":{},\"seconds\":{:.6},\"cpu_seconds\":{cpu_seconds:.6},\
         \"user_seconds\":{user_seconds:.6},\"system_seconds\":{:.6},\"resident_bytes_max\":{},\"failed\":{failed}",
        arguments.count,
        end.at.duration_since(begin.at).as_secs_f64(),
        cpu_seconds - user_seconds,
        resident_bytes_max().unwrap_or_default(),
    );
    latencies.sort_unstable();
    if let Some(last) = latencies.len().checked_sub(1) {
        let at = |share: f64| latencies[(last as f64 * share).round() as usize].as_secs_f64() * 1e6;
        write!(
            line,
            ",\"latency_us\":{{\"p50\":{:.1},\"p90\":{:.1},\"p99\":{:.1},\"p999\":{:.1},\"max\":{:.1}}}",
            at(0.5),
            at(0.9),
            at(0.99),
            at(0.999),
            at(1.0)
        )?;
    }
    println!("{line},\"settings\":\"{settings}\"}}");
    if failed > 0 {
        return Err(format!("{failed} records failed").into());
    }
    Ok(())
}

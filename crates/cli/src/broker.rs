//! `ottla broker`, and the broker inside the process that `-b embedded` asks for.

use crate::exit::Failure;
use crate::interrupt::{self, Interrupt};
use clap::{Args, ValueEnum};
use ottla_broker::{ListenOptions, Pose, TestCluster};
use std::io::{self, Write};
use std::net::IpAddr;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

/// What `-b` says for a broker inside this process.
pub(crate) const EMBEDDED: &str = "embedded";

/// Partitions of a topic that is created by being used: enough that keys are seen to be spread.
const PARTITIONS: i32 = 6;

/// A Kafka broker in memory, for tests and first steps. It keeps nothing when it ends.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The first broker's port, and the following ones for the others; 0 takes free ports
    #[arg(long, default_value_t = 9092, value_name = "PORT")]
    port: u16,

    /// How many brokers
    #[arg(long, default_value_t = 1, value_name = "NUMBER", value_parser = clap::value_parser!(i32).range(1..=100))]
    brokers: i32,

    /// A topic to begin with; others are created by being used
    #[arg(short = 't', long = "topic", value_name = "NAME[:PARTITIONS]", value_parser = topic)]
    topics: Vec<(String, i32)>,

    /// How many partitions a topic gets that is created by being used
    #[arg(long, default_value_t = PARTITIONS, value_name = "NUMBER", value_parser = clap::value_parser!(i32).range(1..))]
    partitions: i32,

    /// The release to pose as
    #[arg(
        long = "kafka-version",
        value_enum,
        default_value = "4.3",
        value_name = "VERSION"
    )]
    release: Release,

    /// The address to listen on; anyone who can reach it can write, and nothing is checked
    #[arg(long, default_value = "127.0.0.1", value_name = "ADDRESS")]
    listen: IpAddr,
}

/// The releases that the broker can pose as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Release {
    #[value(name = "2.1")]
    V2_1,
    #[value(name = "2.8")]
    V2_8,
    #[value(name = "3.9")]
    V3_9,
    #[value(name = "4.0")]
    V4_0,
    #[value(name = "4.3")]
    V4_3,
}

impl From<Release> for Pose {
    fn from(release: Release) -> Pose {
        match release {
            Release::V2_1 => Pose::V2_1,
            Release::V2_8 => Pose::V2_8,
            Release::V3_9 => Pose::V3_9,
            Release::V4_0 => Pose::V4_0,
            Release::V4_3 => Pose::V4_3,
        }
    }
}

fn topic(text: &str) -> Result<(String, i32), String> {
    let (name, partitions) = text.split_once(':').unwrap_or((text, ""));
    match partitions.parse() {
        Ok(partitions @ 1..) if !name.is_empty() => Ok((name.to_owned(), partitions)),
        _ if partitions.is_empty() && !name.is_empty() => Ok((name.to_owned(), PARTITIONS)),
        _ => Err("expected NAME or NAME:PARTITIONS".to_owned()),
    }
}

/// Serves until a signal comes.
pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let listen = ListenOptions::new().port(arguments.port).bind(arguments.listen);
    let mut builder = TestCluster::builder()
        .brokers(arguments.brokers)
        .pose(arguments.release.into())
        .listen(listen)
        .configure(|config| config.default_partitions = arguments.partitions);
    for (name, partitions) in &arguments.topics {
        builder = builder.topic(name, *partitions);
    }
    let cluster = start(builder.start_blocking())?;
    let interrupt = Interrupt::listen(|| {})
        .map_err(|error| Failure::delivery(format!("cannot listen for signals: {error}")))?;
    let _ = io::stderr().write_all(greeting(&cluster.bootstrap_servers()).as_bytes());
    let mut stdout = io::stdout();
    // Whoever started it reads the address; if nobody does, it serves all the same.
    let _ = writeln!(stdout, "{}", cluster.bootstrap_servers()).and_then(|()| stdout.flush());
    let signal = loop {
        if let Some(signal) = interrupt.signal() {
            break signal;
        }
        thread::park_timeout(Duration::from_secs(3_600));
    };
    Ok(ExitCode::from(interrupt::exit_code(signal)))
}

/// What to do with a broker that has just started, for people. The address alone goes to standard output.
fn greeting(servers: &str) -> String {
    let first = servers.split(',').next().unwrap_or(servers);
    format!(
        "an in-memory broker for tests: what it holds is gone when it ends (Ctrl-C)\n\
         \x20 write   echo hello | ottla produce -b {first} -t demo\n\
         \x20         echo hello | kcat -P -b {first} -t demo\n\
         \x20 read    kcat -C -b {first} -t demo -e\n\
         \x20         kafka-console-consumer.sh --bootstrap-server {first} --topic demo --from-beginning\n\
         topics are created by being used; clients set bootstrap.servers to\n"
    )
}

fn start(started: io::Result<TestCluster>) -> Result<TestCluster, Failure> {
    started.map_err(|error| Failure::delivery(format!("the in-memory broker cannot start: {error}")))
}

/// A broker inside this process, for one command.
#[derive(Debug)]
pub(crate) struct Embedded(TestCluster);

impl Embedded {
    pub(crate) fn start() -> Result<Embedded, Failure> {
        let builder = TestCluster::builder().configure(|config| config.default_partitions = PARTITIONS);
        start(builder.start_blocking()).map(Embedded)
    }

    pub(crate) fn bootstrap_servers(&self) -> String {
        self.0.bootstrap_servers()
    }

    /// What the broker holds of the topic, for people: it is gone when the program ends.
    pub(crate) fn read_back(&self, topic: &str) -> String {
        let partitions = self.0.cluster().partition_count(topic).unwrap_or(0);
        let counts: Vec<usize> = (0..partitions)
            .map(|partition| self.0.records(topic, partition).len())
            .collect();
        let each: Vec<String> = counts
            .iter()
            .enumerate()
            .map(|(partition, count)| format!("{partition}: {count}"))
            .collect();
        let gone: i64 = (0..partitions)
            .filter_map(|partition| self.0.cluster().partition_state(topic, partition).ok())
            .map(|state| state.log_start)
            .sum();
        let gone = match gone {
            0 => String::new(),
            gone => {
                format!("; the {gone} before them made room: a broker in memory keeps so much and no more")
            }
        };
        format!(
            "read back {} records, by partition {}{gone}",
            counts.iter().sum::<usize>(),
            each.join(", ")
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_greeting_says_where_to_write_and_read() {
        let text = greeting("127.0.0.1:9092,127.0.0.1:9093");
        for command in ["ottla produce -b 127.0.0.1:9092 ", "kcat -C -b 127.0.0.1:9092 "] {
            assert!(text.contains(command), "{text}");
        }
        assert!(text.ends_with('\n') && !text.contains('\r'), "{text}");
    }

    #[test]
    fn what_made_room_is_told() {
        let embedded = Embedded::start().expect("started");
        let producer = ottla::Producer::builder()
            .bootstrap_servers(embedded.bootstrap_servers())
            .build()
            .expect("a producer");
        let records = (0..3).map(|_| ottla::Record::to("t").value("v").partition(0));
        let outcomes = ottla::blocking::wait(producer.send_all(records));
        assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
        assert!(
            embedded
                .read_back("t")
                .starts_with("read back 3 records, by partition 0: 3, ")
        );
        assert!(!embedded.read_back("t").contains("made room"));
        embedded.0.cluster().delete_records("t", 0, 2).expect("deleted");
        let text = embedded.read_back("t");
        assert!(
            text.starts_with("read back 1 records, ") && text.contains("; the 2 before them made room"),
            "{text}"
        );
    }

    #[test]
    fn topics_have_a_name_and_partitions() {
        assert_eq!(topic("a:3"), Ok(("a".to_owned(), 3)));
        assert_eq!(topic("a"), Ok(("a".to_owned(), PARTITIONS)));
        assert!(topic(":3").is_err() && topic("a:0").is_err() && topic("a:b").is_err() && topic("").is_err());
    }
}

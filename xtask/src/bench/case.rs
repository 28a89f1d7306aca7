//! The cases: what is sent, to whom, and what of it is looked at.

use anyhow::bail;

use super::client::Client;

/// What all clients have as a buffer, in bytes.
const BUFFER_BYTES: usize = 64 << 20;
/// Java's default size of a batch.
const DEFAULT_BATCH_BYTES: usize = 16 << 10;
/// About the largest batch that a broker takes by default.
const LARGE_BATCH_BYTES: usize = 1_000_000;
/// Java's default since Kafka 4.0.
const DEFAULT_LINGER_MS: f64 = 5.0;
/// How many partitions a topic has where it does not matter.
const PARTITIONS: i32 = 6;

/// The peers that do what a producer does: idempotent, with an outcome for each record.
pub(super) const BEST: &[Client] = &[
    Client::FranzGo,
    Client::Java,
    Client::RdkafkaBase,
    Client::RdkafkaThreaded,
    Client::RdkafkaFuture,
    Client::Krafka,
];

const ALL: &[Client] = &[
    Client::Ottla,
    Client::FranzGo,
    Client::Java,
    Client::RdkafkaBase,
    Client::RdkafkaFuture,
    Client::Krafka,
    Client::Rskafka,
];

const PRODUCERS: &[Client] = &[
    Client::Ottla,
    Client::FranzGo,
    Client::Java,
    Client::RdkafkaBase,
    Client::RdkafkaFuture,
    Client::Krafka,
];

/// Who answers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Target {
    /// The in-memory broker as a sink.
    Sink {
        /// How long an answer takes.
        round_trip_ms: u64,
    },
    /// A real Kafka whose log is on a tmpfs.
    Kafka,
}

/// How many records each client sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Amount {
    /// All the same number.
    Same,
    /// Slow clients fewer, see [`Client::speed`].
    BySpeed,
}

/// What the values are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Payload {
    /// Bytes that no codec makes smaller.
    Random,
    /// Documents that look like orders.
    Json,
}

/// What the programs are told to do; see `benches/peers/common.rs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    Throughput,
    Await,
    Latency,
    Transactions,
}

impl Mode {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Throughput => "throughput",
            Self::Await => "await",
            Self::Latency => "latency",
            Self::Transactions => "transactions",
        }
    }
}

/// The number that a case is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Metric {
    /// CPU of the client's process for each record, user and system, in ns. Less is better.
    Cpu,
    /// Records a second. More is better.
    Rate,
    /// From the call to the acknowledgement, in µs. Less is better.
    Latency,
}

/// One piece of work that every client does.
#[derive(Debug, Clone, Copy)]
pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) title: &'static str,
    pub(super) target: Target,
    /// Whether the client has one core to itself, and the other end another.
    pub(super) pinned: bool,
    pub(super) partitions: i32,
    pub(super) payload: Payload,
    pub(super) size: usize,
    pub(super) keyed: bool,
    pub(super) linger_ms: f64,
    pub(super) batch_bytes: usize,
    pub(super) buffer_bytes: usize,
    pub(super) compression: &'static str,
    pub(super) threads: u64,
    pub(super) mode: Mode,
    /// How many records: for a second of Ottla's work or more.
    pub(super) count: u64,
    pub(super) amount: Amount,
    pub(super) metric: Metric,
    pub(super) clients: &'static [Client],
}

/// What most cases are, for others to be made of.
const PLAIN: Case = Case {
    name: "",
    title: "",
    target: Target::Sink { round_trip_ms: 0 },
    pinned: true,
    partitions: PARTITIONS,
    payload: Payload::Random,
    size: 100,
    keyed: false,
    linger_ms: DEFAULT_LINGER_MS,
    batch_bytes: LARGE_BATCH_BYTES,
    buffer_bytes: BUFFER_BYTES,
    compression: "none",
    threads: 1,
    mode: Mode::Throughput,
    count: 10_000_000,
    amount: Amount::BySpeed,
    metric: Metric::Cpu,
    clients: ALL,
};

const JSON: Case = Case {
    pinned: false,
    payload: Payload::Json,
    size: 1024,
    batch_bytes: 256 << 10,
    count: 700_000,
    amount: Amount::Same,
    metric: Metric::Rate,
    ..PLAIN
};

const LATENCY: Case = Case {
    pinned: false,
    linger_ms: 0.0,
    batch_bytes: DEFAULT_BATCH_BYTES,
    mode: Mode::Latency,
    // The p99 of a thousand is its tenth worst, and a garbage collection on the other side is more than that.
    count: 3_000,
    metric: Metric::Latency,
    clients: &[
        Client::Ottla,
        Client::FranzGo,
        Client::Java,
        Client::RdkafkaThreaded,
        Client::RdkafkaFuture,
        Client::Krafka,
        Client::Rskafka,
    ],
    ..PLAIN
};

/// Keyed records over many partitions, in batches that hold 64 of them.
const SPREAD: Case = Case {
    keyed: true,
    linger_ms: 1_000.0,
    // Ten thousand of them fit into the buffer.
    batch_bytes: 8 << 10,
    buffer_bytes: 256 << 20,
    count: 5_000_000,
    clients: &[Client::Ottla, Client::FranzGo, Client::Java],
    ..PLAIN
};

/// The same with the default linger: batches are as large as the time allows.
const SPREAD_DEFAULT: Case = Case {
    linger_ms: DEFAULT_LINGER_MS,
    batch_bytes: DEFAULT_BATCH_BYTES,
    count: 2_000_000,
    clients: &[Client::Ottla, Client::FranzGo, Client::Java, Client::RdkafkaBase],
    ..SPREAD
};

const THREADS: Case = Case {
    pinned: false,
    metric: Metric::Rate,
    clients: &[Client::Ottla, Client::FranzGo, Client::Java],
    ..PLAIN
};

const KAFKA: Case = Case {
    target: Target::Kafka,
    pinned: false,
    count: 3_000_000,
    amount: Amount::Same,
    metric: Metric::Rate,
    // The best of the others, and rskafka beside them.
    clients: &[
        Client::Ottla,
        Client::FranzGo,
        Client::Java,
        Client::RdkafkaBase,
        Client::Rskafka,
    ],
    ..PLAIN
};

/// A thousand records in each transaction, each committed before the next one begins.
const TRANSACTIONS: Case = Case {
    pinned: false,
    batch_bytes: DEFAULT_BATCH_BYTES,
    mode: Mode::Transactions,
    count: 200_000,
    metric: Metric::Rate,
    clients: &[Client::Ottla, Client::Java, Client::RdkafkaBase],
    ..PLAIN
};

/// All cases, in the order in which they are told of.
pub(super) const CASES: &[Case] = &[
    Case {
        name: "small-one-core",
        title: "100 B, no key, one core",
        ..PLAIN
    },
    Case {
        name: "small-two-cores",
        title: "100 B, no key, two cores",
        pinned: false,
        metric: Metric::Rate,
        ..PLAIN
    },
    Case {
        name: "keyed-one-core",
        title: "100 B, keyed, one core",
        keyed: true,
        count: 6_000_000,
        ..PLAIN
    },
    Case {
        name: "large-one-core",
        title: "1 KiB, 256 KiB batches, one core",
        size: 1024,
        batch_bytes: 256 << 10,
        count: 3_500_000,
        clients: &[
            Client::Ottla,
            Client::FranzGo,
            Client::Java,
            Client::RdkafkaBase,
            Client::RdkafkaFuture,
            Client::Krafka,
            Client::Rskafka,
            Client::Floor,
        ],
        ..PLAIN
    },
    Case {
        name: "defaults",
        title: "100 B, 16 KiB batches, linger 5 ms (the defaults), two cores",
        pinned: false,
        batch_bytes: DEFAULT_BATCH_BYTES,
        count: 6_000_000,
        // rskafka stalls for 40 ms at a time with small requests (Nagle).
        clients: PRODUCERS,
        ..PLAIN
    },
    Case {
        name: "json-lz4",
        title: "1 KiB JSON, lz4, two cores",
        compression: "lz4",
        ..JSON
    },
    Case {
        name: "json-zstd",
        title: "1 KiB JSON, zstd, two cores",
        compression: "zstd",
        count: 400_000,
        ..JSON
    },
    Case {
        name: "awaited",
        title: "100 B, a future awaited for each record, 10,000 outstanding, one core",
        batch_bytes: DEFAULT_BATCH_BYTES,
        mode: Mode::Await,
        count: 5_000_000,
        clients: &[
            Client::Ottla,
            Client::FranzGo,
            Client::Java,
            Client::RdkafkaFuture,
            Client::Krafka,
        ],
        ..PLAIN
    },
    Case {
        name: "latency",
        title: "1,000 records/s, linger 0, sink",
        ..LATENCY
    },
    Case {
        name: "latency-kafka",
        title: "1,000 records/s, linger 0, real Kafka",
        target: Target::Kafka,
        ..LATENCY
    },
    Case {
        name: "long-line",
        title: "one partition, 20 ms round trip, 16 KiB batches",
        target: Target::Sink { round_trip_ms: 20 },
        pinned: false,
        partitions: 1,
        batch_bytes: DEFAULT_BATCH_BYTES,
        count: 40_000,
        amount: Amount::Same,
        metric: Metric::Rate,
        clients: PRODUCERS,
        ..PLAIN
    },
    Case {
        name: "spread-1",
        title: "keyed, full batches, 1 partition",
        partitions: 1,
        ..SPREAD
    },
    Case {
        name: "spread-10",
        title: "keyed, full batches, 10 partitions",
        partitions: 10,
        ..SPREAD
    },
    Case {
        name: "spread-1000",
        title: "keyed, full batches, 1,000 partitions",
        partitions: 1_000,
        ..SPREAD
    },
    Case {
        name: "spread-10000",
        title: "keyed, full batches, 10,000 partitions",
        partitions: 10_000,
        ..SPREAD
    },
    Case {
        name: "spread-default-1",
        title: "keyed, default linger, 1 partition",
        partitions: 1,
        ..SPREAD_DEFAULT
    },
    Case {
        name: "spread-default-1000",
        title: "keyed, default linger, 1,000 partitions",
        partitions: 1_000,
        ..SPREAD_DEFAULT
    },
    Case {
        name: "threads-1",
        title: "100 B, no key, 1 sending thread",
        ..THREADS
    },
    Case {
        name: "threads-2",
        title: "100 B, no key, 2 sending threads",
        threads: 2,
        ..THREADS
    },
    Case {
        name: "threads-4",
        title: "100 B, no key, 4 sending threads",
        threads: 4,
        ..THREADS
    },
    Case {
        name: "kafka-small",
        title: "100 B, no key, real Kafka",
        ..KAFKA
    },
    Case {
        name: "kafka-keyed",
        title: "100 B, keyed, real Kafka",
        keyed: true,
        ..KAFKA
    },
    Case {
        name: "kafka-large",
        title: "1 KiB, 256 KiB batches, real Kafka",
        size: 1024,
        batch_bytes: 256 << 10,
        count: 500_000,
        ..KAFKA
    },
    Case {
        name: "kafka-defaults",
        title: "100 B, 16 KiB batches, real Kafka",
        batch_bytes: DEFAULT_BATCH_BYTES,
        count: 2_000_000,
        clients: &[Client::Ottla, Client::FranzGo, Client::Java, Client::RdkafkaBase],
        ..KAFKA
    },
    Case {
        name: "transactions",
        title: "transactions of 1,000 records of 100 B",
        ..TRANSACTIONS
    },
    Case {
        name: "kafka-transactions",
        title: "transactions of 1,000 records of 100 B, real Kafka",
        target: Target::Kafka,
        ..TRANSACTIONS
    },
];

/// The case with this name.
pub(super) fn named(name: &str) -> Option<&'static Case> {
    CASES.iter().find(|case| case.name == name)
}

/// The cases with these names; all without a name. A name with a `*` at its end stands for all that begin so.
pub(super) fn chosen(names: &[String]) -> anyhow::Result<Vec<&'static Case>> {
    if names.is_empty() {
        return Ok(CASES.iter().collect());
    }
    let mut chosen: Vec<&Case> = Vec::new();
    for name in names {
        let matches = |case: &Case| match name.strip_suffix('*') {
            Some(begin) => case.name.starts_with(begin),
            None => case.name == name,
        };
        let before = chosen.len();
        chosen.extend(CASES.iter().filter(|case| matches(case)));
        if chosen.len() == before {
            bail!("there is no case `{name}` (`--cases list` prints them)");
        }
    }
    Ok(chosen)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_alone_and_by_their_beginning() {
        let names = |wanted: &[&str]| -> Vec<&str> {
            let wanted: Vec<String> = wanted.iter().map(|&name| name.to_owned()).collect();
            chosen(&wanted)
                .expect("there")
                .iter()
                .map(|case| case.name)
                .collect()
        };
        assert_eq!(names(&[]).len(), CASES.len());
        assert_eq!(names(&["latency"]), ["latency"]);
        assert_eq!(names(&["threads-*"]), ["threads-1", "threads-2", "threads-4"]);
        assert!(chosen(&["nothing".to_owned()]).is_err());
    }

    #[test]
    fn each_name_is_there_once_and_ottla_does_all() {
        for case in CASES {
            assert_eq!(
                CASES.iter().filter(|other| other.name == case.name).count(),
                1,
                "{}",
                case.name
            );
            assert!(case.clients.contains(&Client::Ottla), "{}", case.name);
        }
    }
}

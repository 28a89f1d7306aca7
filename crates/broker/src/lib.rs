//! An in-memory Apache Kafka broker for tests, quick starts and simulation.
//!
//! # What it does
//!
//! [`Cluster`] is a cluster of any number of brokers as one state machine, without I/O and without a clock: bytes and time
//! go in, bytes and deadlines come out, and the same inputs give the same outputs. [`TestCluster`] puts it behind real
//! sockets on loopback, in one line, for clients in any language.
//!
//! ```text
//!                        ┌──────────────────────────────────────────────────┐
//!  accept, handle_frame, │ connections → faults → APIs → partitions' logs   │  poll_output
//!  handle_closed ──────► │                          ├──► producers          │ ────────────►
//!                        │                          ├──► transactions       │  Send, Close, Resume
//!  handle_timeout ─────► │                          └──► groups             │
//!                        │ events: what happened, for assertions            │  poll_timeout
//!                        └──────────────────────────────────────────────────┘
//! ```
//!
//! - Producing as a 4.3 broker does: Produce 3 to 13, validation of every batch and record, producer ids with their window
//!   of five batches, transactions under both protocols (KIP-890), leader hints, LogAppendTime, min.insync.replicas.
//! - Enough of the rest that kcat, Java's tools, rdkafka and franz-go work unmodified: metadata, topics and their
//!   configuration, Fetch with read_committed, offsets by timestamp, groups of the classic protocol.
//! - It [poses](Pose) as older releases: 2.1, 2.8, 3.9 and 4.0.
//! - [Faults](Fault) on request, each by API, broker, connection, topic, partition and the n-th request: errors, delays,
//!   lost requests and answers, broken connections at any byte, garbage, throttling. And by hand: leaders and coordinators
//!   that move, brokers that die, freeze and come back, stale metadata, replicas that fall behind. What struck, and what
//!   was done by hand, stands in the [events](EventKind) beside what clients did.
//! - [`Storage::Discard`] makes it a sink for benchmarks: batches are checked, counted and dropped.
//!
//! # What it does not do
//!
//! It promises no durability, knows no TLS or quotas, and listens on loopback unless told otherwise. It
//! compacts nothing, has no new consumer protocol (KIP-848), share groups or tiered storage.
//!
//! # Bounded
//!
//! No bytes make it panic, and everything that clients can make grow has a [limit](Limits): frames, connections, requests
//! and answers that wait, topics, partitions, the memory of logs (the oldest batches go first), producers, transactional
//! ids, groups, events.
//!
//! # In a test
//!
//! ```
//! use ottla_broker::{EventKind, Fault, FaultAction, TestCluster};
//! use ottla_protocol::{ApiKey, ErrorCode};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let cluster = TestCluster::builder().brokers(3).topic("orders", 6).start_blocking()?;
//! let lost = Fault::new(FaultAction::DropResponse).api(ApiKey::PRODUCE).topic("orders");
//! cluster.add_fault(lost.skip(10).once());
//! // … a producer under test sends to cluster.bootstrap_servers() …
//! cluster.cluster().kill_broker(2)?;
//! // … and goes on; then each record is there once, and the retry was recognised:
//! let records: usize = (0..6).map(|partition| cluster.records("orders", partition).len()).sum();
//! let repeated = cluster.events().iter().filter(|event| matches!(event.kind, EventKind::Duplicate { .. })).count();
//! # assert_eq!((records, repeated), (0, 0));
//! # Ok(())
//! # }
//! ```
//!
//! # Without sockets
//!
//! ```
//! use ottla_broker::{Cluster, ClusterConfig, Output};
//! use ottla_protocol::frame;
//! use ottla_protocol::messages::MetadataRequest;
//! use ottla_time::Time;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut cluster = Cluster::new(ClusterConfig::default())?;
//! let (now, wall_ms) = (Time::ZERO, 1_700_000_000_000);
//! let connection = cluster.accept(1, "client", now)?;
//! let request = frame::encode_request(&MetadataRequest::default(), 12, 7, None)?;
//! cluster.handle_frame(connection, request.slice(4..), now, wall_ms);
//! let Some(Output::Send { bytes, .. }) = cluster.poll_output() else { panic!("an answer") };
//! let (correlation_id, answer) = frame::decode_response::<MetadataRequest>(&bytes.slice(4..), 12)?;
//! assert_eq!((correlation_id, answer.brokers.len()), (7, 1));
//! assert_eq!(cluster.poll_timeout(), None);
//! # Ok(())
//! # }
//! ```
//!
//! # As a sink for benchmarks
//!
//! With [`Storage::Discard`] a batch's header is checked (and its checksum, if wanted), the batch is given its offsets, and
//! dropped. `cargo bench -p ottla-benches --bench sink` measures what that costs beside Ottla's own producer, which is a
//! fast one: for records of 100 bytes 15 to 17 % of the producer's CPU time (18 % with checksums); for records of 1,000
//! bytes about a third, because then both do little more than copy through the kernel. `cargo run --release -p ottla-broker
//! --example serve -- 9092 1 sink` is such a sink for any producer.
//!
//! # Where it differs from Kafka
//!
//! A test sends the same seeded requests to Kafka 4.3.1 and to the core, valid ones and such that are wrong in each way,
//! and everything that is told has to be the same. What differs is meant:
//!
//! | what | Kafka | here | why |
//! |---|---|---|---|
//! | coordinators | not there until their internal topics are created | there at once | a test need not wait |
//! | internal topics | `__consumer_offsets` and `__transaction_state` are listed | they do not exist | nothing reads them |
//! | markers of a transaction | written a little after EndTxn's answer | before it, or after [`marker_delay`](ClusterConfig::marker_delay) | determinism |
//! | replicas | each has a log of its own | one log; what followers lack is beyond the high watermark | what a producer sees is the same |
//! | default replication factor | 1 | 3, or the number of brokers | a broker that dies shall not take topics along |
//! | first rebalance of a group | waits 3 s | at once | a test need not wait |
//! | records that are `null` in Produce | no answer | INVALID_RECORD | nobody shall hang |
//! | verification errors before Produce 11 under load | now and then in the words of version 11 | never | Kafka mixes requests of several clients |
//! | aborted transactions in Fetch | may include some behind what is returned | none | readers ignore them |
//! | fetch sessions (KIP-227) | kept | never opened | clients do without |
//! | producer ids and transactional ids | expire | live as long as the cluster | within [`Limits`] |
//! | `retention.ms` | old records go | taken, without effect | memory decides, and `retention.bytes` |
//! | `compression.type` of a topic | any | `producer` only | batches stay as they came |
//! | `transactional_id_pattern` in ListTransactions 2 | filters | taken, without effect | no regular expressions |
//! | versions that KIP-896 removed | spoken by 2.1 to 3.9 | not, in any pose | no schema has them |
//!
//! # Features
//!
//! | feature | default | what it adds |
//! |---|---|---|
//! | `tcp` | yes | [`TestCluster`] and [`Server`]: listeners on a tokio runtime |
//! | `codecs` | yes | looks into compressed batches; without it they are checked as far as their checksum goes |

#![cfg_attr(docsrs, feature(doc_cfg))]

mod api;
mod append;
mod cluster;
mod config;
mod connection;
mod control;
mod event;
mod fault;
mod frame;
mod group;
mod inspect;
mod log;
mod marker;
mod metadata;
mod node;
mod output;
mod producer_state;
mod replication;
mod request;
mod sasl;
#[cfg(feature = "tcp")]
mod tcp;
mod telemetry;
#[cfg(feature = "tcp")]
mod test_cluster;
mod timer;
mod topic;
mod transaction;
mod validation;
mod versions;
mod wait;
mod waiting;

pub use cluster::Cluster;
pub use config::{
    ClusterConfig, ConfigError, Limits, Pose, SinkCheck, Storage, TopicConfig, TopicSpec, TransactionVersion,
};
pub use control::{TopicError, Unknown};
pub use event::{Event, EventKind};
pub use fault::{Fault, FaultAction};
pub use frame::FrameDecoder;
pub use inspect::{Isolation, LogBatch, PartitionState, TransactionState};
pub use output::{ConnectionId, Output, Refused};
pub use sasl::{SaslMechanism, SaslOptions};
#[cfg(feature = "tcp")]
pub use tcp::{ClusterGuard, ListenOptions, Server};
pub use telemetry::{TelemetryOptions, TelemetryPush};
#[cfg(feature = "tcp")]
pub use test_cluster::{TestCluster, TestClusterBuilder};

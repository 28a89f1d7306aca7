//! An in-memory Apache Kafka broker for tests, quick starts and simulation.

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
mod producer_state;
mod replication;
mod request;
#[cfg(feature = "tcp")]
mod tcp;
#[cfg(feature = "tcp")]
mod test_cluster;
mod timer;
mod topic;
mod transaction;
mod validation;
mod versions;
mod wait;
mod waiting;

pub use cluster::{Cluster, ConnectionId, Output, Refused};
pub use config::{
    ClusterConfig, ConfigError, Limits, Pose, SinkCheck, Storage, TopicConfig, TopicSpec, TransactionVersion,
};
pub use control::{TopicError, Unknown};
pub use event::{Event, EventKind};
pub use fault::{Fault, FaultAction};
pub use frame::FrameDecoder;
pub use inspect::{Isolation, LogBatch, PartitionState};
#[cfg(feature = "tcp")]
pub use tcp::{ClusterGuard, ListenOptions, Server};
#[cfg(feature = "tcp")]
pub use test_cluster::{TestCluster, TestClusterBuilder};

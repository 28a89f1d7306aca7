//! The TCP front: a listener for each broker, on loopback unless told otherwise.
//!
//! [`Server`] runs a [`Cluster`](crate::Cluster) on the tokio runtime it is started on. One lock guards the cluster;
//! each connection is one task that reads frames, hands them over and writes what comes back; one more task lets the
//! cluster's timers run.

mod connection;
mod outbox;
mod server;
mod watch;

pub(crate) use server::{Bound, Shared};
pub use server::{ClusterGuard, ListenOptions, Server};

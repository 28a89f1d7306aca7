//! One broker, as far as it differs from the others.

use crate::metadata::ClusterView;
use std::time::Duration;

/// Whether a broker works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NodeState {
    Up,
    /// It takes connections and bytes, and does nothing: as under SIGSTOP.
    Frozen,
    /// Nobody listens: as after SIGKILL.
    Down,
}

/// One broker.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) host: String,
    pub(crate) port: i32,
    pub(crate) state: NodeState,
    /// Counts how often the broker was frozen, so that a fence knows whether it is still meant.
    pub(crate) freezes: u64,
    /// The broker's session has ended while it was frozen: it leads nothing.
    pub(crate) fenced: bool,
    /// How long an answer is under way.
    pub(crate) round_trip: Duration,
    /// What the broker tells about the cluster in place of what is true.
    pub(crate) stale: Option<ClusterView>,
}

impl Node {
    pub(crate) fn new() -> Node {
        Node {
            host: "localhost".to_owned(),
            port: 9092,
            state: NodeState::Up,
            freezes: 0,
            fenced: false,
            round_trip: Duration::ZERO,
            stale: None,
        }
    }

    pub(crate) fn is_up(&self) -> bool {
        self.state != NodeState::Down
    }

    pub(crate) fn is_frozen(&self) -> bool {
        self.state == NodeState::Frozen
    }

    /// Whether the broker may lead and be in sync.
    pub(crate) fn is_alive(&self) -> bool {
        self.is_up() && !self.fenced
    }
}

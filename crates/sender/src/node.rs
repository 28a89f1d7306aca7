//! What the sender knows of a broker.

use crate::Address;
use ottla_protocol::{ApiKey, VersionRange};
use ottla_time::{Time, mutant};
use std::collections::VecDeque;
use std::sync::Arc;

/// A version range of one API, as a broker announces it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ApiRange {
    /// The API key's number.
    pub key: i16,
    /// The lowest version.
    pub min: i16,
    /// The highest version.
    pub max: i16,
}

/// Where the connection to a node stands.
///
/// ```text
/// Idle --connect--> Connecting --ready--> Ready
///   ^                   |                   |
///   +-----disconnect----+-------------------+
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Link {
    /// No connection, and none asked for.
    Idle,
    /// Asked for.
    Connecting,
    /// Takes requests.
    Ready(Versions),
}

/// The versions that both sides speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Versions {
    pub(crate) produce: Option<i16>,
    pub(crate) metadata: Option<i16>,
    pub(crate) init_producer_id: Option<i16>,
    /// Whether it takes metrics (KIP-714).
    pub(crate) telemetry: bool,
}

#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) address: Address,
    pub(crate) link: Link,
    /// Requests without an answer.
    pub(crate) in_flight: usize,
    /// No request before this: the broker throttles.
    pub(crate) throttled_until: Time,
    /// Slots of partitions that have something to send now. Each stands here at most once.
    pub(crate) ready: VecDeque<usize>,
    /// Since when something has waited here that could not be sent.
    pub(crate) stalled_since: Option<Time>,
    /// Counts attempts to connect over all nodes: the least recently tried is tried next.
    pub(crate) tried: u64,
    /// Whether the last attempt to connect failed.
    pub(crate) failed: bool,
    /// What it said it speaks, when it was ready last.
    pub(crate) apis: Vec<ApiRange>,
    /// Why the last connection ended.
    pub(crate) error: Option<Arc<str>>,
}

impl Node {
    pub(crate) fn new(address: Address) -> Node {
        Node {
            address,
            link: Link::Idle,
            in_flight: 0,
            throttled_until: Time::ZERO,
            ready: VecDeque::new(),
            stalled_since: None,
            tried: 0,
            failed: false,
            apis: Vec::new(),
            error: None,
        }
    }

    pub(crate) fn versions(&self) -> Option<Versions> {
        match self.link {
            Link::Ready(versions) => Some(versions),
            _ => None,
        }
    }

    /// The versions of an API that it speaks.
    pub(crate) fn range(&self, key: ApiKey) -> Option<VersionRange> {
        let range = self.apis.iter().find(|range| range.key == key.0)?;
        Some(VersionRange::new(range.min, range.max))
    }

    pub(crate) fn can_send(&self, in_flight_max: usize, now: Time) -> bool {
        let open = self.in_flight < in_flight_max || mutant!("max.in.flight is not kept");
        let muted = now < self.throttled_until && !mutant!("throttling is not kept");
        matches!(self.link, Link::Ready(_)) && open && !muted
    }
}

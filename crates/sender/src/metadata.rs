//! What is known of the cluster, and when it has to be asked again.

use crate::Topic;
use hashbrown::HashMap;
use ottla_protocol::wire::Uuid;
use ottla_time::Time;
use std::sync::Arc;

/// A topic as the sender sees it.
#[derive(Debug)]
pub(crate) struct TopicState {
    pub(crate) shared: Arc<Topic>,
    pub(crate) accumulator: ottla_accumulator::Topic,
    pub(crate) id: Uuid,
    /// Slots of its partitions, by number.
    pub(crate) partitions: Vec<usize>,
    /// How many of them exist, as far as is known: a topic that was made anew may have fewer than before.
    pub(crate) existing: usize,
    /// When something was last sent to it, or wanted to be.
    pub(crate) used: Time,
    /// Whether it is not asked for any more, because nothing was sent to it for long.
    pub(crate) idle: bool,
    /// Whether its queues changed since its load was weighed.
    pub(crate) load_changed: bool,
    /// When its load was weighed last.
    pub(crate) load_weighed: Time,
}

/// The topics, and the state of refreshing.
#[derive(Debug)]
pub(crate) struct Metadata {
    pub(crate) topics: Vec<TopicState>,
    by_name: HashMap<Arc<str>, usize, foldhash::fast::FixedState>,
    /// Whether an answer from any broker has come yet.
    pub(crate) known: bool,
    /// Ask as soon as the backoff allows.
    pub(crate) wanted: bool,
    /// Nobody is asked until somebody needs it: the last attempt to connect was refused for good, and nothing waits.
    pub(crate) paused: bool,
    /// Whether a topic was added since the last request: the answer on its way will not have it.
    pub(crate) grown: bool,
    /// Since when it has been asked for without an answer.
    pub(crate) wanted_since: Option<Time>,
    /// Whether only the bootstrap servers are asked, because what was known of the cluster is given up.
    pub(crate) rebootstrapping: bool,
    /// The last answer.
    pub(crate) refreshed: Option<Time>,
    /// Not to be asked before this.
    pub(crate) not_before: Time,
    /// Attempts in a row without progress.
    pub(crate) failures: u32,
    pub(crate) in_flight: Option<u64>,
}

impl Metadata {
    pub(crate) fn new(seed: u64) -> Metadata {
        Metadata {
            topics: Vec::new(),
            by_name: HashMap::with_hasher(foldhash::fast::FixedState::with_seed(seed)),
            known: false,
            // The first fetch happens at start-up, before any topic is known.
            wanted: true,
            paused: false,
            grown: false,
            wanted_since: None,
            rebootstrapping: false,
            refreshed: None,
            not_before: Time::ZERO,
            failures: 0,
            in_flight: None,
        }
    }

    pub(crate) fn topic(&self, name: &str) -> Option<usize> {
        self.by_name.get(name).copied()
    }

    pub(crate) fn add(&mut self, topic: TopicState) -> usize {
        let index = self.topics.len();
        self.by_name.insert(Arc::clone(topic.shared.name()), index);
        self.topics.push(topic);
        index
    }

    /// When to ask next; `None` while an answer is on its way, or nobody is to be asked.
    pub(crate) fn due(&self, max_age: std::time::Duration) -> Option<Time> {
        if self.in_flight.is_some() || self.paused {
            return None;
        }
        let age_limit = self.refreshed.map_or(Time::ZERO, |at| at + max_age);
        let wanted = if self.wanted { Time::ZERO } else { age_limit };
        Some(wanted.max(self.not_before))
    }
}

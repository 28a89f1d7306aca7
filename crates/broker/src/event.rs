//! What happened in the cluster, in order: tests assert on it.

use ottla_protocol::{ApiKey, ErrorCode};
use ottla_time::Time;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

/// One event, and when and where it happened.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Event {
    /// Counts all events of the cluster from 0, also those that were forgotten.
    pub number: u64,
    /// The time that the input which caused it came with.
    pub at: Time,
    /// What happened.
    pub kind: EventKind,
}

/// What happened.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum EventKind {
    /// A client connected to a broker.
    Accepted {
        /// The connection's number.
        connection: u64,
        /// The broker's id.
        broker: i32,
    },
    /// A connection ended, by the client or by the broker.
    Closed {
        /// The connection's number.
        connection: u64,
        /// Why, in a few words.
        reason: &'static str,
    },
    /// A client proved who it is.
    Authenticated {
        /// The connection's number.
        connection: u64,
        /// Who it is.
        principal: String,
        /// By which mechanism.
        mechanism: &'static str,
        /// Not for the first time on this connection.
        again: bool,
    },
    /// A request was taken up.
    Request {
        /// The connection's number.
        connection: u64,
        /// The broker's id.
        broker: i32,
        /// Which API.
        api: ApiKey,
        /// Its version.
        version: i16,
        /// The request's number on its connection, as the client chose it.
        correlation_id: i32,
    },
    /// A batch was appended.
    Appended {
        /// The topic's name.
        topic: Arc<str>,
        /// The partition's index.
        partition: i32,
        /// The offset of the first record.
        base_offset: i64,
        /// How many records.
        records: i32,
        /// The producer's id, -1 if it has none.
        producer_id: i64,
        /// The producer's epoch, -1 if it has none.
        producer_epoch: i16,
        /// The first record's sequence, -1 if it has none.
        base_sequence: i32,
    },
    /// A batch came again and was recognised; nothing was appended.
    Duplicate {
        /// The topic's name.
        topic: Arc<str>,
        /// The partition's index.
        partition: i32,
        /// The offset that the first record has had since the first time.
        base_offset: i64,
        /// The producer's id.
        producer_id: i64,
        /// The first record's sequence.
        base_sequence: i32,
    },
    /// A partition of a Produce request was refused.
    Refused {
        /// The topic's name; empty if the request named an unknown topic id.
        topic: Arc<str>,
        /// The partition's index.
        partition: i32,
        /// The error that the client is told.
        error: ErrorCode,
    },
    /// The marker of a transaction was written.
    Marker {
        /// The topic's name.
        topic: Arc<str>,
        /// The partition's index.
        partition: i32,
        /// The marker's offset.
        offset: i64,
        /// The producer's id.
        producer_id: i64,
        /// Whether the transaction was committed.
        committed: bool,
    },
    /// A transactional id changed its state.
    Transaction {
        /// The transactional id.
        id: Arc<str>,
        /// The producer's id.
        producer_id: i64,
        /// The producer's epoch.
        producer_epoch: i16,
        /// The state's name, as Kafka calls it.
        state: &'static str,
    },
    /// A partition has another leader (or none: -1).
    Leader {
        /// The topic's name.
        topic: Arc<str>,
        /// The partition's index.
        partition: i32,
        /// The broker's id.
        leader: i32,
        /// The new leader epoch.
        leader_epoch: i32,
    },
    /// A new leader had not got the end of the log: it is lost.
    Truncated {
        /// The topic's name.
        topic: Arc<str>,
        /// The partition's index.
        partition: i32,
        /// The end of the log before.
        from: i64,
        /// The end of the log now.
        to: i64,
    },
    /// A fault rule struck.
    Fault {
        /// The connection's number.
        connection: u64,
        /// The rule's number, as adding it returned.
        rule: u64,
        /// Which API.
        api: ApiKey,
    },
    /// A broker's state was changed by the test.
    Broker {
        /// The broker's id.
        broker: i32,
        /// The state's name.
        state: &'static str,
    },
    /// The test made a broker tell what the cluster looked like at some time, or the truth again.
    StaleMetadata {
        /// The broker's id.
        broker: i32,
        /// Whether it tells the past.
        stale: bool,
    },
    /// The test changed how long a broker's answers are under way.
    RoundTrip {
        /// The broker's id.
        broker: i32,
        /// How long from now on.
        round_trip: Duration,
    },
    /// The test moved the coordinator of a transactional id or group.
    Coordinator {
        /// The transactional id or the group's name.
        key: Arc<str>,
        /// The broker that coordinates it from now on.
        broker: i32,
    },
    /// The test took a follower out of sync, or back in.
    InSync {
        /// The topic's name.
        topic: Arc<str>,
        /// The partition's index.
        partition: i32,
        /// The brokers that are in sync now.
        in_sync: Vec<i32>,
    },
    /// The test kept the followers of a partition from fetching, or let them fetch again.
    Replication {
        /// The topic's name.
        topic: Arc<str>,
        /// The partition's index.
        partition: i32,
        /// Whether they are kept from it.
        held: bool,
    },
    /// The beginning of a log is gone: memory was short, `retention.bytes` was reached, or somebody deleted records.
    LogStart {
        /// The topic's name.
        topic: Arc<str>,
        /// The partition's index.
        partition: i32,
        /// The first offset that could be read before.
        from: i64,
        /// The first offset that can be read now.
        to: i64,
    },
    /// A topic was created: by the test, by a client, or by being used.
    TopicCreated {
        /// The topic's name.
        topic: Arc<str>,
        /// How many partitions it has.
        partitions: i32,
    },
    /// A topic was deleted.
    TopicDeleted {
        /// The topic's name.
        topic: Arc<str>,
    },
}

/// The events that are remembered.
#[derive(Debug)]
pub(crate) struct EventLog {
    events: VecDeque<Event>,
    next_number: u64,
    events_max: usize,
}

impl EventLog {
    pub(crate) fn new(events_max: usize) -> EventLog {
        EventLog {
            events: VecDeque::new(),
            next_number: 0,
            events_max,
        }
    }

    /// Records what `kind` builds, unless nothing is recorded.
    pub(crate) fn record(&mut self, at: Time, kind: impl FnOnce() -> EventKind) {
        let number = self.next_number;
        self.next_number += 1;
        if self.events_max == 0 {
            return;
        }
        if self.events.len() == self.events_max {
            self.events.pop_front();
        }
        self.events.push_back(Event {
            number,
            at,
            kind: kind(),
        });
    }

    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = &Event> {
        self.events.iter()
    }

    pub(crate) fn clear(&mut self) {
        self.events.clear();
    }

    /// How many events there were in all.
    pub(crate) fn count(&self) -> u64 {
        self.next_number
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_events_are_forgotten_and_still_counted() {
        let mut log = EventLog::new(2);
        for broker in 0..3 {
            log.record(Time::ZERO, || EventKind::Broker { broker, state: "up" });
        }
        assert_eq!(log.iter().map(|event| event.number).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(log.count(), 3);
        let mut none = EventLog::new(0);
        none.record(Time::ZERO, || unreachable!("nothing is recorded"));
        assert_eq!(none.count(), 1);
    }
}

//! What a metric is.

use crate::{ClientSensor, Gauge, NodeSensor, Statistic, TopicSensor};

/// One metric of the Java producer, and what it is here; or one of ours.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Definition {
    /// Java's name, where Java has it.
    pub name: &'static str,
    /// Java's group, where Java has it.
    pub group: Group,
    /// What it is made of.
    pub source: Source,
    /// What it says, and in which unit.
    pub about: &'static str,
}

/// Where a metric belongs; decides its tags.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Group {
    /// `app-info`, tag `client-id`.
    AppInfo,
    /// `kafka-metrics-count`, tag `client-id`.
    Count,
    /// `producer-metrics`, tag `client-id`.
    Producer,
    /// `producer-node-metrics`, tags `client-id` and `node-id`.
    Node,
    /// `producer-topic-metrics`, tags `client-id` and `topic`.
    Topic,
    /// `producer-dead-letter-metrics`, tag `client-id`; Java's producer has no such thing.
    DeadLetter,
}

impl Group {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Group::AppInfo => "app-info",
            Group::Count => "kafka-metrics-count",
            Group::Producer => "producer-metrics",
            Group::Node => "producer-node-metrics",
            Group::Topic => "producer-topic-metrics",
            Group::DeadLetter => "producer-dead-letter-metrics",
        }
    }
}

/// What a metric is made of.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Source {
    /// Of what was recorded for the producer.
    Client(ClientSensor, Statistic),
    /// Of what was recorded for a broker.
    Node(NodeSensor, Statistic),
    /// Of what was recorded for a topic.
    Topic(TopicSensor, Statistic),
    /// Of what is there when somebody asks.
    Gauge(Gauge),
    /// The age of the metadata.
    MetadataAge,
    /// How many metrics there are.
    Count,
    /// The version of this library.
    Version,
    /// When the producer was made.
    StartTime,
    /// It has no meaning here, for this reason.
    NoMeaning(&'static str),
}

impl Source {
    /// How the metric moves; `None` if it has no meaning here.
    pub fn kind(self) -> Option<Kind> {
        let statistic = match self {
            Source::Client(_, statistic) | Source::Node(_, statistic) | Source::Topic(_, statistic) => {
                statistic
            }
            Source::NoMeaning(_) => return None,
            Source::Version => return Some(Kind::Text),
            _ => return Some(Kind::Gauge),
        };
        Some(match statistic {
            Statistic::Total | Statistic::CountTotal => Kind::Counter,
            _ => Kind::Gauge,
        })
    }
}

/// How a metric moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// It only grows.
    Counter,
    /// It goes up and down.
    Gauge,
    /// It is no number.
    Text,
}

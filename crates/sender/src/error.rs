//! Errors of the calls on a handle.

use crate::DisconnectClass;
use ottla_protocol::ErrorCode;
use ottla_transactions::TransactionError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Why a record was not queued. Nothing of it will be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendError {
    /// The producer is closed, or its driver is gone.
    Closed,
    /// The topic's metadata did not come within `max.block.ms`.
    MetadataTimeout {
        /// The topic.
        topic: Arc<str>,
        /// How long was waited.
        waited: Duration,
        /// What stood in the way: the last error of the topic, or of the connection to the brokers.
        cause: Option<Arc<str>>,
    },
    /// No broker can be talked to, and waiting would not help: credentials, certificates or `security.protocol` are
    /// wrong, on one side or the other. The next send tries again.
    Connection {
        /// What kind of trouble it is.
        class: DisconnectClass,
        /// What is wrong and what to change.
        cause: Arc<str>,
    },
    /// The cluster refuses the topic: its name is illegal, or this client may not see it.
    Topic {
        /// The topic.
        topic: Arc<str>,
        /// What the broker said.
        code: ErrorCode,
    },
    /// No cluster can have a topic of this name.
    TopicName {
        /// The name.
        topic: Arc<str>,
    },
    /// The topic was got from another producer.
    ForeignTopic {
        /// The topic.
        topic: Arc<str>,
    },
    /// The topic has no such partition, and did not get it within `max.block.ms`.
    NoSuchPartition {
        /// The topic.
        topic: Arc<str>,
        /// The partition that was asked for.
        partition: i32,
        /// How many the topic has.
        count: usize,
    },
    /// The record is larger than `max.request.size` or `buffer.memory`: it could never be sent.
    TooLarge {
        /// Its size as a batch of its own, in bytes.
        size: usize,
        /// The limit in bytes.
        limit: usize,
        /// The setting that limits.
        setting: &'static str,
    },
    /// No memory came free within `max.block.ms`.
    MemoryTimeout {
        /// How long was waited.
        waited: Duration,
        /// The partition, if it alone holds as much of the memory as a partition may.
        partition: Option<(Arc<str>, i32)>,
    },
    /// The producer is transactional, and no transaction takes the record.
    Transaction(TransactionError),
    /// The partitioner chose a partition that cannot be.
    BadPartitioner {
        /// What it chose.
        partition: i32,
        /// How many partitions the topic has.
        count: usize,
    },
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SendError::Closed => f.write_str("the producer is closed"),
            SendError::MetadataTimeout { topic, waited, cause } => {
                write!(
                    f,
                    "topic {topic:?} is not in the metadata after {} ms (max.block.ms)",
                    waited.as_millis()
                )?;
                match cause {
                    Some(cause) => write!(f, ": {cause}"),
                    None => Ok(()),
                }
            }
            SendError::Connection { cause, .. } => f.write_str(cause),
            SendError::Topic { topic, code } => write!(f, "the cluster refuses topic {topic:?}: {code}"),
            SendError::TopicName { topic } => {
                // A name of megabytes is not repeated whole.
                let shown: String = topic.chars().take(60).collect();
                write!(
                    f,
                    "{shown:?} cannot be a topic: a name has 1 to 249 of the characters a-z A-Z 0-9 . _ -"
                )
            }
            SendError::ForeignTopic { topic } => {
                write!(
                    f,
                    "the handle of topic {topic:?} is another producer's: get it from the one that sends"
                )
            }
            SendError::NoSuchPartition {
                topic,
                partition,
                count,
            } => {
                write!(
                    f,
                    "topic {topic:?} has {count} partitions, there is no partition {partition}"
                )
            }
            SendError::TooLarge { size, limit, setting } => {
                write!(
                    f,
                    "a record of {size} bytes, batch header included, is larger than {setting}={limit}"
                )
            }
            SendError::MemoryTimeout {
                waited,
                partition: Some((topic, number)),
            } => write!(
                f,
                "no memory came free within {} ms (max.block.ms): {topic}-{number} holds its share of buffer.memory; \
                 see what keeps its records from being sent, or raise buffer.memory",
                waited.as_millis()
            ),
            SendError::MemoryTimeout { waited, .. } => write!(
                f,
                "no memory came free within {} ms (max.block.ms): records are sent faster than the brokers take them; \
                 raise buffer.memory or send more slowly",
                waited.as_millis()
            ),
            SendError::Transaction(error) => error.fmt(f),
            SendError::BadPartitioner { partition, count } => {
                write!(
                    f,
                    "the partitioner chose partition {partition} of a topic with {count} partitions"
                )
            }
        }
    }
}

impl std::error::Error for SendError {}

/// Why a record was not queued at once.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TrySendError {
    /// The topic's metadata is not here yet; it has been asked for.
    Metadata,
    /// There is no memory for it now.
    Memory,
    /// It will not do later either.
    Refused(SendError),
}

impl fmt::Display for TrySendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TrySendError::Metadata => {
                f.write_str("the topic's metadata is not here yet; it has been asked for")
            }
            TrySendError::Memory => f.write_str("there is no memory for the record now (buffer.memory)"),
            TrySendError::Refused(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for TrySendError {}

//! Dead letters: records that can never be delivered go to a topic of their own, with the error in their headers.
//!
//! A producer of its own sends them, which starts with the first. So a dead letter waits behind nobody and nobody behind
//! it, a transaction that the record has doomed does not take its letter with it, and what becomes of a letter is never
//! a reason for another.

mod letter;
mod queue;

pub(crate) use letter::Stage;
pub(crate) use queue::Queue;

use std::fmt;

/// Sends what cannot be serialized, or is refused for good, to a topic, with the error in its headers. Given to
/// [`ProducerBuilder::dead_letters`](crate::ProducerBuilder::dead_letters).
///
/// What is refused for good: a value that does not fit its schema, a record that is too large, a topic that is forbidden
/// or has an illegal name, whatever a broker answers that no repetition would change. Not what may succeed later (brokers
/// or a registry that cannot be reached, timeouts, a batch that a broker refused because of other records), not what may
/// be in the log, and nothing that fails because the producer is closed or its transaction is aborted.
///
/// The letter has the record's key, value, headers and timestamp, and behind its headers these, where `topic` and the
/// others follow the prefix `__producer.errors.`:
///
/// | header | what it says |
/// |---|---|
/// | `topic` | the topic that the record was for |
/// | `partition` | the partition, if it had one |
/// | `stage` | `KEY_SERIALIZER`, `VALUE_SERIALIZER` or `PRODUCE` |
/// | `exception.class.name` | the class that Java's producer has for the error |
/// | `exception.message` | the error |
/// | `left.out` | `key`, `value` or `headers`, with commas between: what is not in the letter, because it could not be serialized or the letter would be too large |
///
/// The words are those of Kafka Connect's dead letter queues, where the prefix is `__connect.errors.`; Kafka Streams has
/// `__streams.errors.`. Who has tools that look for those [sets the prefix](DeadLetters::header_prefix).
///
/// ```
/// use ottla::{DeadLetters, Producer};
///
/// # fn main() -> Result<(), ottla::Error> {
/// let producer = Producer::builder()
///     .bootstrap_servers("127.0.0.1:9092")
///     .dead_letters(DeadLetters::to("orders.dead"))
///     .build()?;
/// assert_eq!(producer.dead_letter_counts().taken, 0);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "a policy does nothing until a producer is built with it"]
pub struct DeadLetters {
    topic: String,
    prefix: String,
}

/// What Connect, Streams and this say in front of the same words.
const PREFIX: &str = "__producer.errors.";

impl DeadLetters {
    /// Dead letters go to this topic. A record that was for this very topic becomes none.
    pub fn to(topic: impl Into<String>) -> DeadLetters {
        DeadLetters {
            topic: topic.into(),
            prefix: PREFIX.to_owned(),
        }
    }

    /// What stands in front of the headers' names, in place of `__producer.errors.`.
    pub fn header_prefix(mut self, prefix: impl Into<String>) -> DeadLetters {
        self.prefix = prefix.into();
        self
    }

    pub(crate) fn topic(&self) -> &str {
        &self.topic
    }
}

/// What became of a producer's dead letters so far. `taken` is the sum of the others and of those that are under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeadLetterCounts {
    /// Records that became dead letters.
    pub taken: u64,
    /// Dead letters that a broker acknowledged.
    pub written: u64,
    /// Dead letters that could not be delivered either.
    pub lost: u64,
}

impl fmt::Display for DeadLetterCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} dead letters: {} written, {} lost",
            self.taken, self.written, self.lost
        )
    }
}

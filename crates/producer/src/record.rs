//! A record to send.

use crate::Topic;
use ottla_protocol::records::Header;
use ottla_sender::SendRecord;

/// A record to send: it borrows its parts, which are copied once, when it is queued.
///
/// ```
/// use ottla::Record;
///
/// let record = Record::to("orders").key(b"customer-7").value(b"{}").header("trace", Some(b"4bf92f")).timestamp_ms(1_700_000_000_000);
/// assert_eq!(record.topic_name(), "orders");
/// // A record without value is a tombstone: it deletes the key from a compacted topic.
/// let tombstone = Record::to("orders").key(b"customer-7");
/// # let _ = tombstone;
/// ```
#[derive(Clone, Debug)]
#[must_use = "a record does nothing until it is sent"]
pub struct Record<'a> {
    topic: TopicRef<'a>,
    key: Option<&'a [u8]>,
    value: Option<&'a [u8]>,
    headers: Vec<Header<'a>>,
    timestamp_ms: Option<i64>,
    partition: Option<i32>,
}

/// A topic by name, or by a [`Topic`] that [`Producer::topic`](crate::Producer::topic) gave, which saves the look-up.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum TopicRef<'a> {
    /// By name.
    Name(&'a str),
    /// By handle.
    Handle(&'a Topic),
}

impl<'a> From<&'a str> for TopicRef<'a> {
    fn from(name: &'a str) -> TopicRef<'a> {
        TopicRef::Name(name)
    }
}

impl<'a> From<&'a String> for TopicRef<'a> {
    fn from(name: &'a String) -> TopicRef<'a> {
        TopicRef::Name(name)
    }
}

impl<'a> From<&'a Topic> for TopicRef<'a> {
    fn from(topic: &'a Topic) -> TopicRef<'a> {
        TopicRef::Handle(topic)
    }
}

impl<'a> Record<'a> {
    /// A record for a topic, without key, value and headers.
    #[inline]
    pub fn to(topic: impl Into<TopicRef<'a>>) -> Record<'a> {
        Record {
            topic: topic.into(),
            key: None,
            value: None,
            headers: Vec::new(),
            timestamp_ms: None,
            partition: None,
        }
    }

    /// Sets the key. Records with the same key go to the same partition and stay in order.
    #[inline]
    pub fn key(mut self, key: &'a (impl AsRef<[u8]> + ?Sized)) -> Record<'a> {
        self.key = Some(key.as_ref());
        self
    }

    /// Sets the value.
    #[inline]
    pub fn value(mut self, value: &'a (impl AsRef<[u8]> + ?Sized)) -> Record<'a> {
        self.value = Some(value.as_ref());
        self
    }

    /// Adds a header. Headers keep their order, and a key may occur more than once; the value may be null.
    pub fn header(mut self, key: &'a str, value: Option<&'a [u8]>) -> Record<'a> {
        self.headers.push(Header { key, value });
        self
    }

    /// Sets the timestamp, in milliseconds since the Unix epoch. Without it the record gets the time of the send.
    #[inline]
    pub fn timestamp_ms(mut self, timestamp_ms: i64) -> Record<'a> {
        self.timestamp_ms = Some(timestamp_ms);
        self
    }

    /// Sets the partition. Without it the key decides, and without a key the producer.
    #[inline]
    pub fn partition(mut self, partition: i32) -> Record<'a> {
        self.partition = Some(partition);
        self
    }

    /// The topic's name.
    pub fn topic_name(&self) -> &str {
        match self.topic {
            TopicRef::Name(name) => name,
            TopicRef::Handle(topic) => topic.name(),
        }
    }

    pub(crate) fn topic_ref(&self) -> TopicRef<'a> {
        self.topic
    }

    #[inline]
    pub(crate) fn as_send(&self) -> SendRecord<'_> {
        SendRecord {
            key: self.key,
            value: self.value,
            headers: &self.headers,
            timestamp_ms: self.timestamp_ms,
            partition: self.partition,
        }
    }
}

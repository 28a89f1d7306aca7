//! A record to send.

use crate::Topic;
use ottla_protocol::records::Header;
use ottla_sender::SendRecord;
use std::borrow::Cow;

/// A record to send. Its parts are borrowed or owned; they are copied once, when it is queued.
///
/// ```
/// use ottla::Record;
///
/// let record = Record::to("orders").key(b"customer-7").value(b"{}").header("trace", Some(b"4bf92f")).timestamp_ms(1_700_000_000_000);
/// assert_eq!(record.topic_name(), "orders");
/// // A record without value is a tombstone: it deletes the key from a compacted topic.
/// let tombstone = Record::to("orders").key(b"customer-7");
/// # let _ = tombstone;
/// // One that owns its parts can be made here and sent elsewhere.
/// let owned: Record<'static> = Record::to("orders".to_owned()).key(7.to_string()).value(vec![1, 2, 3]);
/// # let _ = owned;
/// ```
#[derive(Clone, Debug)]
#[must_use = "a record does nothing until it is sent"]
pub struct Record<'a> {
    topic: TopicRef<'a>,
    key: Option<Part<'a>>,
    value: Option<Part<'a>>,
    headers: Headers<'a>,
    timestamp_ms: Option<i64>,
    partition: Option<i32>,
}

/// A topic by name, or by a [`Topic`] that [`Producer::topic`](crate::Producer::topic) gave, which saves the look-up.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum TopicRef<'a> {
    /// By name.
    Name(Cow<'a, str>),
    /// By handle.
    Handle(Cow<'a, Topic>),
}

impl TopicRef<'_> {
    /// The same topic, borrowed.
    pub(crate) fn borrowed(&self) -> TopicRef<'_> {
        match self {
            TopicRef::Name(name) => TopicRef::Name(Cow::Borrowed(name)),
            TopicRef::Handle(topic) => TopicRef::Handle(Cow::Borrowed(topic)),
        }
    }

    pub(crate) fn name(&self) -> &str {
        match self {
            TopicRef::Name(name) => name,
            TopicRef::Handle(topic) => topic.name(),
        }
    }
}

impl<'a> From<&'a str> for TopicRef<'a> {
    fn from(name: &'a str) -> TopicRef<'a> {
        TopicRef::Name(Cow::Borrowed(name))
    }
}

impl<'a> From<&'a String> for TopicRef<'a> {
    fn from(name: &'a String) -> TopicRef<'a> {
        TopicRef::Name(Cow::Borrowed(name))
    }
}

impl From<String> for TopicRef<'_> {
    fn from(name: String) -> Self {
        TopicRef::Name(Cow::Owned(name))
    }
}

impl<'a> From<&'a Topic> for TopicRef<'a> {
    fn from(topic: &'a Topic) -> TopicRef<'a> {
        TopicRef::Handle(Cow::Borrowed(topic))
    }
}

impl From<Topic> for TopicRef<'_> {
    fn from(topic: Topic) -> Self {
        TopicRef::Handle(Cow::Owned(topic))
    }
}

/// Bytes of a record: borrowed from anything that has bytes, or owned.
#[derive(Clone, Debug)]
pub struct Part<'a>(Cow<'a, [u8]>);

impl<'a, T: AsRef<[u8]> + ?Sized> From<&'a T> for Part<'a> {
    #[inline]
    fn from(bytes: &'a T) -> Part<'a> {
        Part(Cow::Borrowed(bytes.as_ref()))
    }
}

impl From<Vec<u8>> for Part<'_> {
    fn from(bytes: Vec<u8>) -> Self {
        Part(Cow::Owned(bytes))
    }
}

impl From<String> for Part<'_> {
    fn from(text: String) -> Self {
        Part(Cow::Owned(text.into_bytes()))
    }
}

impl From<Box<[u8]>> for Part<'_> {
    fn from(bytes: Box<[u8]>) -> Self {
        Part(Cow::Owned(bytes.into_vec()))
    }
}

impl<'a> From<Cow<'a, [u8]>> for Part<'a> {
    fn from(bytes: Cow<'a, [u8]>) -> Part<'a> {
        Part(bytes)
    }
}

/// Headers that are borrowed need no second list when the record is sent.
#[derive(Clone, Debug)]
enum Headers<'a> {
    Borrowed(Vec<Header<'a>>),
    Mixed(Vec<(Cow<'a, str>, Option<Part<'a>>)>),
}

impl<'a> Headers<'a> {
    fn mixed(self) -> Vec<(Cow<'a, str>, Option<Part<'a>>)> {
        match self {
            Headers::Mixed(headers) => headers,
            Headers::Borrowed(headers) => headers
                .into_iter()
                .map(|header| (Cow::Borrowed(header.key), header.value.map(Part::from)))
                .collect(),
        }
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
            headers: Headers::Borrowed(Vec::new()),
            timestamp_ms: None,
            partition: None,
        }
    }

    /// Sets the key. Records with the same key go to the same partition and stay in order.
    #[inline]
    pub fn key(mut self, key: impl Into<Part<'a>>) -> Record<'a> {
        self.key = Some(key.into());
        self
    }

    /// Sets the value.
    #[inline]
    pub fn value(mut self, value: impl Into<Part<'a>>) -> Record<'a> {
        self.value = Some(value.into());
        self
    }

    /// Adds a header. Headers keep their order, and a key may occur more than once; the value may be null.
    pub fn header(mut self, key: &'a str, value: Option<&'a [u8]>) -> Record<'a> {
        match &mut self.headers {
            Headers::Borrowed(headers) => headers.push(Header { key, value }),
            Headers::Mixed(headers) => headers.push((Cow::Borrowed(key), value.map(Part::from))),
        }
        self
    }

    /// Adds a header that the record owns.
    pub fn header_owned(mut self, key: impl Into<String>, value: Option<Vec<u8>>) -> Record<'a> {
        let mut headers = self.headers.mixed();
        headers.push((Cow::Owned(key.into()), value.map(Part::from)));
        self.headers = Headers::Mixed(headers);
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
        self.topic.name()
    }

    /// The same record, owning all its parts: what it borrowed is copied.
    pub fn into_owned(self) -> Record<'static> {
        let part = |part: Part<'a>| Part(Cow::Owned(part.0.into_owned()));
        let headers = self.headers.mixed().into_iter();
        Record {
            topic: match self.topic {
                TopicRef::Name(name) => TopicRef::Name(Cow::Owned(name.into_owned())),
                TopicRef::Handle(topic) => TopicRef::Handle(Cow::Owned(topic.into_owned())),
            },
            key: self.key.map(part),
            value: self.value.map(part),
            headers: Headers::Mixed(
                headers
                    .map(|(key, value)| (Cow::Owned(key.into_owned()), value.map(part)))
                    .collect(),
            ),
            timestamp_ms: self.timestamp_ms,
            partition: self.partition,
        }
    }

    /// The key, if there is one.
    pub fn key_bytes(&self) -> Option<&[u8]> {
        self.key.as_ref().map(|key| &*key.0)
    }

    /// The value; `None` for a tombstone.
    pub fn value_bytes(&self) -> Option<&[u8]> {
        self.value.as_ref().map(|value| &*value.0)
    }

    /// The value of the last header of this name, if there is one: it may be null.
    pub fn last_header(&self, name: &str) -> Option<Option<&[u8]>> {
        match &self.headers {
            Headers::Borrowed(headers) => {
                let found = headers.iter().rev().find(|header| header.key == name)?;
                Some(found.value)
            }
            Headers::Mixed(headers) => {
                let (_, value) = headers.iter().rev().find(|(key, _)| key == name)?;
                Some(value.as_ref().map(|value| &*value.0))
            }
        }
    }

    /// About how much memory its parts take.
    pub(crate) fn bytes(&self) -> usize {
        let parts = [self.key_bytes(), self.value_bytes()];
        let headers = self.wire_headers();
        let headers = headers
            .iter()
            .map(|header| header.key.len() + header.value.map_or(0, <[u8]>::len));
        parts.into_iter().flatten().map(<[u8]>::len).sum::<usize>() + headers.sum::<usize>()
    }

    /// All headers, in their order: names and values, which may be null.
    pub fn headers(&self) -> impl Iterator<Item = (&str, Option<&[u8]>)> {
        type Mixed<'a> = (Cow<'a, str>, Option<Part<'a>>);
        let (borrowed, mixed): (&[Header<'_>], &[Mixed<'_>]) = match &self.headers {
            Headers::Borrowed(headers) => (headers, &[]),
            Headers::Mixed(headers) => (&[], headers),
        };
        let borrowed = borrowed.iter().map(|header| (header.key, header.value));
        let mixed = mixed
            .iter()
            .map(|(key, value)| (&**key, value.as_ref().map(|value| &*value.0)));
        borrowed.chain(mixed)
    }

    /// The partition that the record itself names.
    pub fn own_partition(&self) -> Option<i32> {
        self.partition
    }

    /// The timestamp that the record itself has; without one it gets the time at which it is queued.
    pub fn own_timestamp_ms(&self) -> Option<i64> {
        self.timestamp_ms
    }

    pub(crate) fn topic_ref(&self) -> &TopicRef<'a> {
        &self.topic
    }

    /// The headers, if they are in the form in which they are sent.
    #[inline]
    pub(crate) fn borrowed_headers(&self) -> Option<&[Header<'a>]> {
        match &self.headers {
            Headers::Borrowed(headers) => Some(headers),
            Headers::Mixed(_) => None,
        }
    }

    /// The headers in the form in which they are sent.
    pub(crate) fn wire_headers(&self) -> Cow<'_, [Header<'_>]> {
        match &self.headers {
            Headers::Borrowed(headers) => Cow::Borrowed(headers),
            Headers::Mixed(headers) => headers
                .iter()
                .map(|(key, value)| Header {
                    key,
                    value: value.as_ref().map(|value| &*value.0),
                })
                .collect(),
        }
    }

    /// The record as it is sent, with its [headers](Record::headers).
    #[inline]
    pub(crate) fn as_send<'s>(&'s self, headers: &'s [Header<'s>]) -> SendRecord<'s> {
        SendRecord {
            key: self.key.as_ref().map(|key| &*key.0),
            value: self.value.as_ref().map(|value| &*value.0),
            headers,
            timestamp_ms: self.timestamp_ms,
            partition: self.partition,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A record that owns its parts is sent as the one that it was made from.
    #[test]
    fn owned_and_borrowed_records_are_the_same() {
        let (key, value) = (String::from("k"), vec![1, 2]);
        let borrowed = Record::to("t")
            .key(&key)
            .value(&value)
            .header("a", None)
            .header("b", Some(b"1"));
        let borrowed = borrowed.timestamp_ms(5).partition(3);
        let mixed = Record::to("t".to_owned())
            .key("k".to_owned())
            .value(vec![1, 2])
            .header("a", None);
        let mixed = mixed
            .header_owned("b", Some(vec![b'1']))
            .timestamp_ms(5)
            .partition(3);
        let owned: Record<'static> = borrowed.clone().into_owned();
        let headers = borrowed.wire_headers();
        let expected = borrowed.as_send(&headers);
        for record in [&mixed, &owned, &owned.clone().into_owned()] {
            let headers = record.wire_headers();
            assert_eq!(format!("{:?}", record.as_send(&headers)), format!("{expected:?}"));
            assert_eq!(record.topic_name(), "t");
        }
        let pairs = |record: &Record<'_>| {
            let headers = record.headers();
            headers
                .map(|(name, value)| (name.to_owned(), value.map(<[u8]>::to_vec)))
                .collect::<Vec<_>>()
        };
        let expected_pairs = [("a".to_owned(), None), ("b".to_owned(), Some(b"1".to_vec()))];
        for record in [&borrowed, &mixed, &owned] {
            assert_eq!(pairs(record), expected_pairs);
            assert_eq!(
                (record.own_partition(), record.own_timestamp_ms()),
                (Some(3), Some(5))
            );
        }
        let later = mixed.header("c", Some(b"2"));
        assert_eq!(
            later
                .wire_headers()
                .iter()
                .map(|header| header.key)
                .collect::<String>(),
            "abc"
        );
    }
}

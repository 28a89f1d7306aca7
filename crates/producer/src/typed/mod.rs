//! Records of Rust types: keys and values go through serializers.

#[cfg(feature = "schema-registry")]
mod choice;
mod configured;
mod dead_letter;
#[cfg(feature = "schema-registry")]
mod http;
mod look_up;
mod plain;
mod scratch;

#[cfg(feature = "schema-registry")]
pub use choice::SchemaChoice;
pub use configured::{ConfiguredSerializer, TypedProducerBuilder};
#[cfg(feature = "schema-registry")]
pub use http::RegistryHttp;

use crate::{Delivery, Error, Producer, TopicRef};
use dead_letter::Salvage;
use look_up::{LookUps, Waiting};
use ottla_protocol::records::Header;
use ottla_sender::RecordMetadata;
use ottla_serialization::{Output, Role, SerializeError, Serializer, Target};
use scratch::{Scratch, Seen};
use std::fmt;
use std::sync::Arc;
use std::time::Instant;

/// A producer of keys of type `K` and values of type `V`. Cheap to clone; the [`Producer`] inside can be used beside it.
///
/// A record that cannot be serialized is not queued, and its error names the field.
///
/// ```no_run
/// use ottla::serialization::builtin::StringSerializer;
/// use ottla::serialization::JsonSerializer;
/// use ottla::{Producer, TypedProducer, TypedRecord};
///
/// #[derive(serde::Serialize)]
/// struct Order {
///     id: u64,
/// }
///
/// # async fn example() -> Result<(), ottla::Error> {
/// let producer = Producer::builder().bootstrap_servers("127.0.0.1:9092").build()?;
/// let orders = TypedProducer::<str, Order>::new(producer, StringSerializer::default(), JsonSerializer);
/// let delivery = orders.send(&TypedRecord::to("orders").key("customer-7").value(&Order { id: 7 })).await?;
/// println!("{:?}", delivery.await?.offset());
/// # Ok(())
/// # }
/// ```
pub struct TypedProducer<K: ?Sized, V: ?Sized> {
    producer: Producer,
    key: Arc<dyn Serializer<K>>,
    value: Arc<dyn Serializer<V>>,
    look_ups: LookUps,
    salvage: Option<Salvage<K, V>>,
}

/// A record to send: it borrows its parts.
#[derive(Debug)]
#[must_use = "a record does nothing until it is sent"]
pub struct TypedRecord<'a, K: ?Sized, V: ?Sized> {
    topic: TopicRef<'a>,
    key: Option<&'a K>,
    value: Option<&'a V>,
    headers: Vec<Header<'a>>,
    timestamp_ms: Option<i64>,
    partition: Option<i32>,
}

impl<'a, K: ?Sized, V: ?Sized> TypedRecord<'a, K, V> {
    /// A record for a topic, without key, value and headers.
    pub fn to(topic: impl Into<TopicRef<'a>>) -> TypedRecord<'a, K, V> {
        TypedRecord {
            topic: topic.into(),
            key: None,
            value: None,
            headers: Vec::new(),
            timestamp_ms: None,
            partition: None,
        }
    }

    /// Sets the key.
    pub fn key(mut self, key: &'a K) -> TypedRecord<'a, K, V> {
        self.key = Some(key);
        self
    }

    /// Sets the value; without one the record is a tombstone.
    pub fn value(mut self, value: &'a V) -> TypedRecord<'a, K, V> {
        self.value = Some(value);
        self
    }

    /// Adds a header; serializers see it, and may add others behind it.
    pub fn header(mut self, key: &'a str, value: Option<&'a [u8]>) -> TypedRecord<'a, K, V> {
        self.headers.push(Header { key, value });
        self
    }

    /// Sets the timestamp, in milliseconds since the Unix epoch. Without it the record gets the time of the send.
    pub fn timestamp_ms(mut self, timestamp_ms: i64) -> TypedRecord<'a, K, V> {
        self.timestamp_ms = Some(timestamp_ms);
        self
    }

    /// Sets the partition. Without it the key's bytes decide, and without a key the producer.
    pub fn partition(mut self, partition: i32) -> TypedRecord<'a, K, V> {
        self.partition = Some(partition);
        self
    }

    fn topic_name(&self) -> &str {
        self.topic.name()
    }
}

impl<K: ?Sized, V: ?Sized> TypedProducer<K, V> {
    /// Sends through `producer` what these serializers make.
    pub fn new(
        producer: Producer,
        key: impl Serializer<K> + 'static,
        value: impl Serializer<V> + 'static,
    ) -> TypedProducer<K, V> {
        TypedProducer {
            producer,
            key: Arc::new(key),
            value: Arc::new(value),
            look_ups: LookUps::default(),
            salvage: None,
        }
    }

    /// The producer of bytes underneath: for flushing, closing and transactions.
    pub fn producer(&self) -> &Producer {
        &self.producer
    }

    /// Serializes and queues a record. Waits as [`Producer::send`] does, and the first time also for what the serializers
    /// need, such as a schema's id: that alone for up to `max.block.ms`, for key and value together.
    ///
    /// # Cancel safety
    /// If this future is dropped before it is ready, nothing was queued.
    pub async fn send(&self, record: &TypedRecord<'_, K, V>) -> Result<Delivery, Error> {
        let scratch = self.serialized(record).await?;
        let delivery = self.producer.send(&scratch.record(record)).await;
        scratch.give_back();
        delivery
    }

    /// Serializes and queues a record now or not at all. If a serializer is not ready, that [would have to
    /// wait](Error::would_wait), and the look-up is started; if it fails, a later call for a record of the topic that is
    /// not ready either tells why.
    pub fn try_send(&self, record: &TypedRecord<'_, K, V>) -> Result<Delivery, Error> {
        let scratch = self.serialized_now(record)?;
        let delivery = self.producer.try_send(&scratch.record(record));
        scratch.give_back();
        delivery
    }

    /// Serializes and queues a record as [`send`](TypedProducer::send), and has its outcome told to `callback`, as
    /// [`Producer::send_with`]. If this fails, the record was not queued, and the callback is not called.
    ///
    /// # Cancel safety
    /// If this future is dropped before it is ready, nothing was queued, and the callback is not called.
    pub async fn send_with(
        &self,
        record: &TypedRecord<'_, K, V>,
        callback: impl FnOnce(Result<RecordMetadata, Error>) + Send + 'static,
    ) -> Result<(), Error> {
        let scratch = self.serialized(record).await?;
        let queued = self.producer.send_with(&scratch.record(record), callback).await;
        scratch.give_back();
        queued
    }

    /// Serializes and queues a record with a callback now or not at all, as [`try_send`](TypedProducer::try_send).
    pub fn try_send_with(
        &self,
        record: &TypedRecord<'_, K, V>,
        callback: impl FnOnce(Result<RecordMetadata, Error>) + Send + 'static,
    ) -> Result<(), Error> {
        let scratch = self.serialized_now(record)?;
        let queued = self.producer.try_send_with(&scratch.record(record), callback);
        scratch.give_back();
        queued
    }

    /// The bytes of key and value, when all that they need is known.
    async fn serialized(&self, record: &TypedRecord<'_, K, V>) -> Result<Scratch, Error> {
        match self.waiting(record) {
            Ok(None) => self.serialize(record).map_err(|error| self.failed(record, error)),
            Ok(Some(waiting)) => {
                let serialized = self.looked_up(record, waiting).await;
                serialized.map_err(|error| self.failed(record, error))
            }
            Err(error) => Err(self.failed(record, error)),
        }
    }

    /// The bytes of key and value, after what they need was asked for.
    async fn looked_up(
        &self,
        record: &TypedRecord<'_, K, V>,
        mut waiting: Waiting,
    ) -> Result<Scratch, Error> {
        let deadline = Instant::now().checked_add(self.producer.config().max_block());
        loop {
            self.look_ups.wait(&self.producer, waiting, deadline).await?;
            let serialized = self.serialize(record);
            let is_forgotten = matches!(&serialized, Err(error) if error.is_not_ready());
            if !is_forgotten || deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                return serialized;
            }
            // What was learnt may be forgotten at once, where there are more topics than a serializer remembers.
            match self.waiting(record)? {
                Some(again) => waiting = again,
                None => return self.serialize(record),
            }
        }
    }

    /// The bytes of key and value, if all that they need is known; otherwise the look-up is started.
    fn serialized_now(&self, record: &TypedRecord<'_, K, V>) -> Result<Scratch, Error> {
        let serialized = match self.waiting(record) {
            Ok(None) => self.serialize(record),
            Ok(Some(waiting)) => Err(self.look_ups.start(&self.producer, waiting)),
            Err(error) => Err(error),
        };
        serialized.map_err(|error| self.failed(record, error))
    }

    /// What has to be known first; nothing if all is.
    fn waiting(&self, record: &TypedRecord<'_, K, V>) -> Result<Option<Waiting>, Error> {
        let headers = Seen(&record.headers);
        let target = |role| Target::new(record.topic_name(), role).with_headers(&headers);
        let key = target(Role::Key);
        let key = placed(&key, self.key.prepare(&key, record.key))?;
        let value = target(Role::Value);
        let value = placed(&value, self.value.prepare(&value, record.value))?;
        if key.is_ready() && value.is_ready() {
            return Ok(None);
        }
        let topic = record.topic_name().to_owned();
        Ok(Some(Waiting { topic, key, value }))
    }

    fn serialize(&self, record: &TypedRecord<'_, K, V>) -> Result<Scratch, Error> {
        let headers = Seen(&record.headers);
        let target = |role| Target::new(record.topic_name(), role).with_headers(&headers);
        let mut scratch = Scratch::take();
        let Scratch {
            key,
            value,
            added,
            payloads,
        } = &mut scratch;
        let place = target(Role::Key);
        let written = self
            .key
            .serialize(&place, record.key, &mut Output::new(key, added));
        payloads.0 = placed(&place, written)?;
        let place = target(Role::Value);
        let written = self
            .value
            .serialize(&place, record.value, &mut Output::new(value, added));
        payloads.1 = placed(&place, written)?;
        Ok(scratch)
    }
}

/// A serializer of the caller's own may not say where it failed.
#[inline]
fn placed<T>(target: &Target<'_>, outcome: Result<T, SerializeError>) -> Result<T, Error> {
    outcome.map_err(|error| Error::from(error.at(target)))
}

impl<K: ?Sized, V: ?Sized> Clone for TypedProducer<K, V> {
    fn clone(&self) -> TypedProducer<K, V> {
        TypedProducer {
            producer: self.producer.clone(),
            key: Arc::clone(&self.key),
            value: Arc::clone(&self.value),
            look_ups: self.look_ups.clone(),
            salvage: self.salvage.clone(),
        }
    }
}

impl<K: ?Sized, V: ?Sized> fmt::Debug for TypedProducer<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TypedProducer")
            .field("producer", &self.producer)
            .finish_non_exhaustive()
    }
}

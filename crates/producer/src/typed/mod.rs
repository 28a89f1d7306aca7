//! Records of Rust types: keys and values go through serializers.

#[cfg(feature = "schema-registry")]
mod http;

#[cfg(feature = "schema-registry")]
pub use http::RegistryHttp;

use crate::{Delivery, Error, Producer, Record, TopicRef};
use ottla_protocol::records::Header;
use ottla_serialization::{
    AddedHeaders, Headers, Output, Payload, Preparation, Readiness, Role, SerializeError, Serializer, Target,
};
use parking_lot::Mutex;
use std::cell::Cell;
use std::fmt;
use std::sync::Arc;

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
    background: Arc<Mutex<Background>>,
}

/// What `try_send` has started.
#[derive(Debug, Default)]
struct Background {
    is_running: bool,
    /// Why the last one failed; the next `try_send` that is not ready tells it.
    failure: Option<SerializeError>,
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
            background: Arc::default(),
        }
    }

    /// The producer of bytes underneath: for flushing, closing and transactions.
    pub fn producer(&self) -> &Producer {
        &self.producer
    }

    /// Serializes and queues a record. Waits as [`Producer::send`] does, and the first time also for what the serializers
    /// need, such as a schema's id; that alone for up to `max.block.ms` for each of key and value.
    ///
    /// # Cancel safety
    /// If this future is dropped before it is ready, nothing was queued.
    pub async fn send(&self, record: &TypedRecord<'_, K, V>) -> Result<Delivery, Error> {
        let (key, value) = self.readiness(record)?;
        for pending in [key, value] {
            if let Readiness::Pending(preparation) = pending {
                self.wait(preparation).await?;
            }
        }
        let mut scratch = Scratch::take();
        self.serialize(record, &mut scratch)?;
        let delivery = self.producer.send(&scratch.record(record)).await;
        scratch.give_back();
        delivery
    }

    /// Serializes and queues a record now or not at all. If a serializer is not ready, that [would have to
    /// wait](Error::would_wait), and the look-up is started; if it fails, a later call that is not ready either tells why.
    pub fn try_send(&self, record: &TypedRecord<'_, K, V>) -> Result<Delivery, Error> {
        let (key, value) = self.readiness(record)?;
        if !(key.is_ready() && value.is_ready()) {
            return Err(self.start([key, value]));
        }
        let mut scratch = Scratch::take();
        self.serialize(record, &mut scratch)?;
        let delivery = self.producer.try_send(&scratch.record(record));
        scratch.give_back();
        delivery
    }

    fn readiness(&self, record: &TypedRecord<'_, K, V>) -> Result<(Readiness, Readiness), Error> {
        let headers = Seen(&record.headers);
        let target = |role| Target::new(record.topic_name(), role).with_headers(&headers);
        let key = self.key.prepare(&target(Role::Key), record.key)?;
        let value = self.value.prepare(&target(Role::Value), record.value)?;
        Ok((key, value))
    }

    fn serialize(&self, record: &TypedRecord<'_, K, V>, scratch: &mut Scratch) -> Result<(), Error> {
        let headers = Seen(&record.headers);
        let target = |role| Target::new(record.topic_name(), role).with_headers(&headers);
        let Scratch {
            key,
            value,
            added,
            payloads,
        } = scratch;
        payloads.0 = self
            .key
            .serialize(&target(Role::Key), record.key, &mut Output::new(key, added))?;
        payloads.1 =
            self.value
                .serialize(&target(Role::Value), record.value, &mut Output::new(value, added))?;
        Ok(())
    }

    /// On the producer's runtime: who calls may have none, and the look-up goes on when the caller gives up.
    async fn wait(&self, preparation: Preparation) -> Result<(), Error> {
        let limit = self.producer.config().max_block();
        let task = self
            .producer
            .runtime()
            .spawn(async move { tokio::time::timeout(limit, preparation).await });
        match task.await {
            Ok(Ok(outcome)) => Ok(outcome?),
            Ok(Err(_)) => Err(Error::from(SerializeError::new(
                ottla_serialization::ErrorKind::Timeout,
                format!("what the serializer needs was not there within max.block.ms ({limit:?})"),
            ))),
            // The runtime ends with the producer.
            Err(_) => Err(Error::from(ottla_sender::SendError::Closed)),
        }
    }

    /// Starts the look-up, unless one runs; returns what the caller is told.
    fn start(&self, pending: [Readiness; 2]) -> Error {
        let mut background = self.background.lock();
        if let Some(failure) = background.failure.take() {
            return Error::from(failure);
        }
        if !background.is_running {
            background.is_running = true;
            let shared = Arc::clone(&self.background);
            let limit = self.producer.config().max_block();
            self.producer.runtime().spawn(async move {
                let all = async {
                    for readiness in pending {
                        readiness.ready().await?;
                    }
                    Ok(())
                };
                let outcome = tokio::time::timeout(limit, all).await;
                let mut background = shared.lock();
                background.is_running = false;
                background.failure = match outcome {
                    Ok(outcome) => outcome.err(),
                    // The next call starts anew.
                    Err(_) => None,
                };
            });
        }
        Error::not_ready()
    }
}

impl<K: ?Sized, V: ?Sized> Clone for TypedProducer<K, V> {
    fn clone(&self) -> TypedProducer<K, V> {
        TypedProducer {
            producer: self.producer.clone(),
            key: Arc::clone(&self.key),
            value: Arc::clone(&self.value),
            background: Arc::clone(&self.background),
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

/// A record's own headers, as serializers see them.
struct Seen<'a>(&'a [Header<'a>]);

impl Headers for Seen<'_> {
    fn count(&self) -> usize {
        self.0.len()
    }

    fn header(&self, index: usize) -> Option<(&str, Option<&[u8]>)> {
        self.0.get(index).map(|header| (header.key, header.value))
    }
}

/// Where key and value are written before they are copied into their batch. Each thread keeps one.
#[derive(Debug)]
struct Scratch {
    key: Vec<u8>,
    value: Vec<u8>,
    added: AddedHeaders,
    payloads: (Payload, Payload),
}

/// A buffer that grew beyond that for one record is not kept.
const KEPT_BYTES_MAX: usize = 1 << 20;

thread_local! {
    static KEPT: Cell<Option<Scratch>> = const { Cell::new(None) };
}

impl Scratch {
    /// The thread's own; a new one while that is in use.
    fn take() -> Scratch {
        KEPT.take().unwrap_or(Scratch {
            key: Vec::new(),
            value: Vec::new(),
            added: AddedHeaders::new(),
            payloads: (Payload::Null, Payload::Null),
        })
    }

    fn give_back(mut self) {
        if self.key.capacity().max(self.value.capacity()) > KEPT_BYTES_MAX {
            return;
        }
        self.key.clear();
        self.value.clear();
        self.added.clear();
        KEPT.set(Some(self));
    }

    fn record<'a, K: ?Sized, V: ?Sized>(&'a self, typed: &'a TypedRecord<'_, K, V>) -> Record<'a> {
        let mut record = Record::to(typed.topic.borrowed());
        if self.payloads.0 == Payload::Bytes {
            record = record.key(&self.key);
        }
        if self.payloads.1 == Payload::Bytes {
            record = record.value(&self.value);
        }
        for header in &typed.headers {
            record = record.header(header.key, header.value);
        }
        for (name, value) in self.added.iter() {
            record = record.header(name, Some(value));
        }
        if let Some(timestamp_ms) = typed.timestamp_ms {
            record = record.timestamp_ms(timestamp_ms);
        }
        if let Some(partition) = typed.partition {
            record = record.partition(partition);
        }
        record
    }
}

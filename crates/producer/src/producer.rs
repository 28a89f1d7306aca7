//! The producer and its builder.

#[cfg(test)]
mod tests;

use crate::callback::Callbacks;
use crate::clock::SystemClock;
use crate::codec_pool::CodecPool;
use crate::config::{self, Config, ConfigBuilder, Warning};
use crate::dead_letters::{DeadLetterCounts, DeadLetters, Queue};
use crate::delivery::Delivery;
use crate::driver::Driver;
use crate::interceptor::Interceptor;
use crate::observe::Observers;
use crate::record::TopicRef;
use crate::sasl::{self, CredentialProvider};
use crate::{Error, Record, Topic};
use ottla_accumulator::AccumulatorConfig;
use ottla_metrics::{ClientSensor, Metric, Metrics, MetricsConfig};
use ottla_network::transport::{Connector, NetworkDriver, Resolver, TcpConnector};
use ottla_network::{Network, NetworkConfig};
use ottla_partitioning::Partitioner;
use ottla_protocol::records::Header;
use ottla_protocol::wire::Uuid;
use ottla_sender::{
    Acks, Address, Handle, PartitionInfo, Sealer, Sender, SenderConfig, TransactionConfig, Unsent,
};
use ottla_time::Clock;
use std::fmt;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A Kafka producer. Cheap to clone; all clones are one producer.
///
/// ```no_run
/// use ottla::{Producer, Record};
///
/// # async fn example() -> Result<(), ottla::Error> {
/// let producer = Producer::builder().bootstrap_servers("127.0.0.1:9092").build()?;
/// let delivery = producer.send(&Record::to("orders").key("customer-7").value("{}")).await?;
/// let metadata = delivery.await?;
/// println!("{}-{}@{:?}", metadata.topic(), metadata.partition(), metadata.offset());
/// producer.close(std::time::Duration::from_secs(30)).await;
/// # Ok(())
/// # }
/// ```
///
/// # Dropping
/// When the last clone is dropped, what is queued is still sent in the background, for up to `delivery.timeout.ms`, but
/// nobody waits for it: a process that ends right away loses it. [`Producer::close`] waits.
#[derive(Clone, Debug)]
pub struct Producer {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    handle: Handle,
    callbacks: Callbacks,
    observers: Observers,
    config: Config,
    client_id: String,
    warnings: Vec<Warning>,
    runtime: tokio::runtime::Handle,
    #[cfg(feature = "tls-no-provider")]
    tls: Option<Arc<crate::tls::TlsFiles>>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        // Only the waiting is given up; the driver goes on until everything is resolved.
        let _closing = self.handle.close(self.config.delivery_timeout());
    }
}

impl Producer {
    /// Starts to configure a producer.
    pub fn builder() -> ProducerBuilder {
        ProducerBuilder {
            source: Source::Builder(ConfigBuilder::new()),
            runtime: None,
            credentials: None,
            partitioner: None,
            connector: None,
            resolver: None,
            observers: Observers::default(),
            dead_letters: None,
        }
    }

    /// Queues a record, and waits only if it must: for the topic's metadata the first time, and for memory when
    /// `buffer.memory` is used up; together up to `max.block.ms`. The [`Delivery`] is the outcome.
    ///
    /// # Cancel safety
    /// If this future is dropped before it is ready, nothing was queued.
    #[inline]
    pub async fn send(&self, record: &Record<'_>) -> Result<Delivery, Error> {
        let mut unsent = None;
        match self.send_now(record, &mut unsent) {
            Some(delivery) => Ok(Delivery::from(delivery)),
            None => self.send_later(record, unsent).await,
        }
    }

    /// Queues a record that nobody looks at, if nothing has to be waited for. `None` leaves in `unsent` how far it came.
    #[inline(never)]
    fn send_now(&self, record: &Record<'_>, unsent: &mut Option<Unsent>) -> Option<ottla_sender::Delivery> {
        if self.inner.observers.are_there() {
            return None;
        }
        match record.borrowed_headers() {
            Some(headers) => self.queue(record, headers, unsent),
            None => self.queue(record, &record.wire_headers(), unsent),
        }
    }

    #[inline(always)]
    fn queue(
        &self,
        record: &Record<'_>,
        headers: &[Header<'_>],
        unsent: &mut Option<Unsent>,
    ) -> Option<ottla_sender::Delivery> {
        let send = record.as_send(headers);
        let handle = &self.inner.handle;
        match record.topic_ref() {
            TopicRef::Handle(topic) => handle.send_now(&topic.0, &send, unsent),
            TopicRef::Name(name) => handle.send_now(&handle.topic(name), &send, unsent),
        }
    }

    /// The rest of a send that [`send_now`](Producer::send_now) did not finish. Boxed, so that the future of a send that need
    /// not wait is small, and becomes one with the caller's.
    #[cold]
    #[inline(never)]
    fn send_later<'a>(
        &'a self,
        record: &'a Record<'_>,
        unsent: Option<Unsent>,
    ) -> Pin<Box<dyn Future<Output = Result<Delivery, Error>> + Send + 'a>> {
        Box::pin(async move {
            if self.inner.observers.are_there() {
                return self.send_observed(record, None).await;
            }
            let headers = record.wire_headers();
            let send = record.as_send(&headers);
            let topic = self.topic_of(record);
            let delivery = self.inner.handle.send_later(&topic, &send, unsent).await?;
            Ok(Delivery::from(delivery))
        })
    }

    /// Queues a record now or not at all. An error that [would have to wait](Error::would_wait) is no more than that:
    /// metadata has been asked for, memory comes free.
    pub fn try_send(&self, record: &Record<'_>) -> Result<Delivery, Error> {
        if self.inner.observers.are_there() {
            return self.try_send_observed(record, None);
        }
        let headers = record.wire_headers();
        let send = record.as_send(&headers);
        let delivery = match record.topic_ref() {
            TopicRef::Handle(topic) => self.inner.handle.try_send(&topic.0, &send),
            TopicRef::Name(name) => self.inner.handle.try_send(&self.inner.handle.topic(name), &send),
        };
        Ok(Delivery::from(delivery?))
    }

    /// A handle to a topic. Sending by handle saves the look-up by name for each record.
    pub fn topic(&self, name: &str) -> Topic {
        Topic(self.inner.handle.topic(name))
    }

    /// How many partitions the topic has; waits for its metadata up to `max.block.ms`.
    ///
    /// # Cancel safety
    /// Nothing depends on this future.
    pub async fn partition_count(&self, topic: &Topic) -> Result<usize, Error> {
        Ok(self.inner.handle.partition_count(&topic.0).await?)
    }

    /// The topic's partitions and who leads them, as Java's `partitionsFor`; waits for its metadata up to `max.block.ms`.
    ///
    /// # Cancel safety
    /// Nothing depends on this future.
    pub async fn partitions_for<'t>(
        &self,
        topic: impl Into<TopicRef<'t>>,
    ) -> Result<Vec<PartitionInfo>, Error> {
        let topic = match topic.into() {
            TopicRef::Handle(topic) => Arc::clone(&topic.0),
            TopicRef::Name(name) => self.inner.handle.topic(&name),
        };
        Ok(self.inner.handle.partitions(&topic).await?)
    }

    /// Sends everything that is queued without waiting for more, and waits until all of it is resolved: acknowledged
    /// or failed, which only the deliveries tell; and until the callbacks of all of it have run, and its dead letters are
    /// written or lost. Bounded by `delivery.timeout.ms` (for dead letters, twice) and the callbacks. In a callback it does
    /// not wait for callbacks.
    ///
    /// # Cancel safety
    /// The flush stands when this returns: the queued records are sent without linger also if the future is dropped.
    pub fn flush(&self) -> impl Future<Output = ()> + Send + use<> {
        let (own, letters) = (self.flush_own(), self.dead_letters().cloned());
        async move {
            own.await;
            if let Some(letters) = letters {
                letters.flush().await;
            }
        }
    }

    /// The same without dead letters.
    pub(crate) fn flush_own(&self) -> impl Future<Output = ()> + Send + use<> {
        let timed = self.inner.handle.time(ClientSensor::Flush);
        let flushed = self.inner.handle.flush();
        let called = self.inner.callbacks.finished(None);
        async move {
            flushed.await;
            called.await;
            drop(timed);
        }
    }

    /// Takes no more records, sends what is queued for up to `timeout`, fails the rest, and waits until every delivery is
    /// resolved and, within the same time, its callback has run. Calling it again is harmless; it can only shorten the
    /// time.
    ///
    /// # Cancel safety
    /// The producer is closed when this returns, also if the future is dropped.
    pub fn close(&self, timeout: Duration) -> impl Future<Output = ()> + Send + use<> {
        let (own, letters) = (self.close_own(timeout), self.dead_letters().cloned());
        let started = Instant::now();
        async move {
            own.await;
            if let Some(letters) = letters {
                letters.close(timeout.saturating_sub(started.elapsed())).await;
            }
        }
    }

    /// The same without dead letters.
    pub(crate) fn close_own(&self, timeout: Duration) -> impl Future<Output = ()> + Send + use<> {
        let closing = self.inner.handle.close(timeout);
        // A time that no clock reaches is none.
        let called = self.inner.callbacks.finished(Instant::now().checked_add(timeout));
        async move {
            closing.await;
            called.await;
        }
    }

    /// Where what waits for others can run.
    pub(crate) fn runtime(&self) -> &tokio::runtime::Handle {
        &self.inner.runtime
    }

    pub(crate) fn handle(&self) -> &Handle {
        &self.inner.handle
    }

    pub(crate) fn observers(&self) -> &Observers {
        &self.inner.observers
    }

    pub(crate) fn dead_letters(&self) -> Option<&Queue> {
        self.inner.observers.dead_letters.as_ref()
    }

    pub(crate) fn callbacks(&self) -> &Callbacks {
        &self.inner.callbacks
    }

    /// The configuration.
    pub fn config(&self) -> &Config {
        &self.inner.config
    }

    /// The client id that brokers see: `client.id`, or `producer-<transactional.id>`, or `producer-<n>`
    /// with a number of this process.
    pub fn client_id(&self) -> &str {
        &self.inner.client_id
    }

    /// What is odd about the configuration, but no error.
    pub fn warnings(&self) -> &[Warning] {
        &self.inner.warnings
    }

    /// All metrics as they are now, by the names, groups and tags of Java's producer: see docs/metrics.md.
    ///
    /// ```
    /// # fn main() -> Result<(), ottla::Error> {
    /// let producer = ottla::Producer::builder().bootstrap_servers("127.0.0.1:9092").build()?;
    /// let metrics = producer.metrics();
    /// let sent = metrics.iter().find(|metric| metric.name() == "record-send-total");
    /// assert_eq!(sent.and_then(|metric| metric.number()), Some(0.0));
    /// # Ok(())
    /// # }
    /// ```
    pub fn metrics(&self) -> Vec<Metric> {
        self.inner.handle.metrics()
    }

    /// What became of records that could never be delivered, see [`DeadLetters`]; all 0 without such a policy.
    pub fn dead_letter_counts(&self) -> DeadLetterCounts {
        self.dead_letters().map(Queue::counts).unwrap_or_default()
    }

    /// The name that the cluster has given this client for its metrics (KIP-714), as Java's `clientInstanceId`: 16 bytes
    /// that `Uuid` prints as brokers do. Waits up to `timeout` for it; a cluster whose operators want no clients' metrics
    /// gives none.
    ///
    /// # Cancel safety
    /// Nothing depends on this future.
    pub async fn client_instance_id(&self, timeout: Duration) -> Result<Uuid, Error> {
        Ok(self.inner.handle.client_instance_id(timeout).await?)
    }

    /// Why a changed file with certificates or keys (`ssl.*.location`) is not used: new connections go on with what was
    /// read before it changed. `None` if all is well, as far as the last connection saw it.
    #[cfg(feature = "tls-no-provider")]
    pub fn stores_failure(&self) -> Option<config::ConfigError> {
        self.inner.tls.as_ref()?.failure()
    }

    /// Bytes of `buffer.memory` that records hold now.
    pub fn memory_used(&self) -> usize {
        self.inner.handle.memory_used()
    }
}

/// Configures a [`Producer`]. Keys are those of the Java producer, see [`config`].
#[derive(Debug)]
#[must_use = "build() makes the producer"]
pub struct ProducerBuilder {
    source: Source,
    runtime: Option<tokio::runtime::Handle>,
    credentials: Option<Arc<dyn CredentialProvider>>,
    partitioner: Option<OwnPartitioner>,
    connector: Option<Arc<dyn Connector>>,
    resolver: Option<Arc<dyn Resolver>>,
    observers: Observers,
    dead_letters: Option<DeadLetters>,
}

/// A partitioner that is not one of the configuration's.
struct OwnPartitioner(Box<dyn Partitioner>);

impl fmt::Debug for OwnPartitioner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OwnPartitioner")
    }
}

#[derive(Debug)]
enum Source {
    Builder(ConfigBuilder),
    Ready(Box<Config>, Vec<Warning>),
}

impl ProducerBuilder {
    /// Where to look for the cluster: `host:port`, separated by commas (`bootstrap.servers`).
    pub fn bootstrap_servers(self, servers: impl Into<String>) -> ProducerBuilder {
        self.set("bootstrap.servers", servers)
    }

    /// Sets any key by its name; a later value wins. Wrong names and values are reported by
    /// [`build`](ProducerBuilder::build).
    pub fn set(self, key: impl Into<String>, value: impl Into<String>) -> ProducerBuilder {
        self.configure(|config| config.set(key, value))
    }

    /// Reads a `producer.properties` file as Java does.
    pub fn properties_file(self, path: impl AsRef<Path>) -> Result<ProducerBuilder, Error> {
        let Source::Builder(config) = self.source else {
            return Ok(self);
        };
        Ok(ProducerBuilder {
            source: Source::Builder(config.from_properties_file(path)?),
            ..self
        })
    }

    /// Uses the typed setters of [`ConfigBuilder`].
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let builder = ottla::Producer::builder().configure(|config| config.linger(Duration::from_millis(20)).batch_size(65_536));
    /// # let _ = builder;
    /// ```
    pub fn configure(self, change: impl FnOnce(ConfigBuilder) -> ConfigBuilder) -> ProducerBuilder {
        let builder = match self.source {
            Source::Builder(builder) => builder,
            // A configuration that is built cannot be changed; what is set after it starts over.
            Source::Ready(..) => ConfigBuilder::new(),
        };
        ProducerBuilder {
            source: Source::Builder(change(builder)),
            ..self
        }
    }

    /// Uses a configuration that was built before, and nothing else.
    pub fn config(self, config: Config) -> ProducerBuilder {
        ProducerBuilder {
            source: Source::Ready(Box::new(config), Vec::new()),
            ..self
        }
    }

    /// Runs the producer's I/O on this runtime instead of a thread of its own. The runtime must have I/O and time
    /// enabled, and must outlive the producer: when it is shut down, all that is queued fails.
    pub fn runtime(self, runtime: tokio::runtime::Handle) -> ProducerBuilder {
        ProducerBuilder {
            runtime: Some(runtime),
            ..self
        }
    }

    /// Authenticates with credentials that `provider` has, by the mechanism that `sasl.mechanism` names; `sasl.jaas.config`
    /// is not looked at, and need not be set.
    pub fn credentials(self, provider: Arc<dyn CredentialProvider>) -> ProducerBuilder {
        ProducerBuilder {
            credentials: Some(provider),
            ..self
        }
    }

    /// Lets a partitioner of your own choose for each record that names no partition, in place of `partitioner.class`.
    ///
    /// ```
    /// use ottla::Producer;
    /// use ottla::partitioning::{Choice, Partitioner, RecordView, TopicState, TopicView};
    ///
    /// /// Tombstones go to partition 0; the others fill a batch of one partition, then move on.
    /// struct TombstonesFirst;
    ///
    /// impl Partitioner for TombstonesFirst {
    ///     fn partition(&self, record: &RecordView<'_>, _: &TopicView<'_>, _: &TopicState) -> Choice {
    ///         if record.value.is_none() { Choice::Partition(0) } else { Choice::Sticky }
    ///     }
    /// }
    ///
    /// # fn main() -> Result<(), ottla::Error> {
    /// let producer = Producer::builder().bootstrap_servers("127.0.0.1:9092").partitioner(TombstonesFirst).build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn partitioner(self, partitioner: impl Partitioner + 'static) -> ProducerBuilder {
        ProducerBuilder {
            partitioner: Some(OwnPartitioner(Box::new(partitioner))),
            ..self
        }
    }

    /// Reaches brokers by `connector` instead of plain TCP: through a tunnel or a proxy, say. TLS, if there is any, goes
    /// around its streams; `send.buffer.bytes` and `receive.buffer.bytes` are its own affair.
    pub fn connector(self, connector: Arc<dyn Connector>) -> ProducerBuilder {
        ProducerBuilder {
            connector: Some(connector),
            ..self
        }
    }

    /// Looks the names of brokers up by `resolver` instead of the operating system's.
    pub fn resolver(self, resolver: Arc<dyn Resolver>) -> ProducerBuilder {
        ProducerBuilder {
            resolver: Some(resolver),
            ..self
        }
    }

    /// Lets an interceptor see each record and its outcome, after those that were given before.
    pub fn interceptor(mut self, interceptor: impl Interceptor) -> ProducerBuilder {
        self.observers.interceptors.push(Arc::new(interceptor));
        self
    }

    /// Makes dead letters of records that can never be delivered. It costs a copy of each record until its outcome is
    /// known.
    pub fn dead_letters(self, policy: DeadLetters) -> ProducerBuilder {
        ProducerBuilder {
            dead_letters: Some(policy),
            ..self
        }
    }

    /// Has the context of each record's span written into its headers.
    #[cfg(feature = "tracing")]
    pub fn trace_context(mut self, context: impl crate::tracing::TraceContext) -> ProducerBuilder {
        self.observers.context = Some(Arc::new(context));
        self
    }

    /// Checks the configuration and starts the producer. It connects in the background: a broker that is not there
    /// shows in the first send.
    pub fn build(self) -> Result<Producer, Error> {
        let (config, warnings) = match self.source {
            Source::Builder(builder) if self.credentials.is_some() => {
                builder.with_own_credentials().build()?
            }
            Source::Builder(builder) => builder.build()?,
            Source::Ready(config, warnings) => (*config, warnings),
        };
        let client_id = client_id(&config);
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let metrics = metrics_config(&config, &client_id, clock.wall_ms());
        let metrics = Arc::new(Metrics::new(metrics));
        let dead_letters = self.dead_letters.map(|policy| {
            let config = config.for_dead_letters(&client_id);
            let reach = Reach {
                runtime: self.runtime.clone(),
                credentials: self.credentials.clone(),
                connector: self.connector.clone(),
                resolver: self.resolver.clone(),
            };
            letters(policy, config, reach, (Arc::clone(&metrics), Arc::clone(&clock)))
        });
        let observers = Observers {
            dead_letters,
            #[cfg(feature = "tracing")]
            client_id: client_id.as_str().into(),
            ..self.observers
        };
        let seed = fastrand::u64(..);
        let mut network = network_config(&config, &client_id);
        let sasl = sasl::set_up(&config, self.credentials)?;
        let (sasl, provider) = sasl.map_or((None, None), |sasl| (Some(sasl.network), sasl.provider));
        network.sasl = sasl;
        let network = Network::new(network, seed).map_err(|error| Error::start(error.to_string()))?;
        let network = network.with_metrics(Arc::clone(&metrics));
        let connector = self.connector.unwrap_or_else(|| Arc::new(tcp(&config)));
        let secured = secured(connector, &config)?;
        let mut network = NetworkDriver::new(network).with_connector(secured.connector);
        if let Some(provider) = provider {
            network = network.with_credentials(provider);
        }
        if let Some(resolver) = self.resolver {
            network = network.with_resolver(resolver);
        }
        let sealer = Sealer::new(config.codec()).map_err(|error| Error::start(error.to_string()))?;
        let codecs = CodecPool::new(config.codec(), sealer);
        let partitioner = self.partitioner.map_or_else(
            || config.partitioner().build(config.partitioner_ignore_keys()),
            |own| own.0,
        );
        let (sender, handle) = Sender::new(
            sender_config(&config, Arc::clone(&metrics)),
            accumulator_config(&config),
            partitioner,
            Arc::clone(&clock),
            seed,
        );
        let callbacks = Callbacks::new(config.buffer_memory());
        let driver = Driver::new(sender, network, codecs, clock, metrics)
            .with_canonical_bootstrap_names(config.canonical_bootstrap_names());
        let runtime = start(driver, self.runtime)?;
        Ok(Producer {
            inner: Arc::new(Inner {
                handle,
                callbacks,
                observers,
                config,
                client_id,
                warnings,
                runtime,
                #[cfg(feature = "tls-no-provider")]
                tls: secured.files,
            }),
        })
    }
}

/// Starts the driver on the given runtime, or on a thread with a runtime of its own; returns which.
fn start(driver: Driver, runtime: Option<tokio::runtime::Handle>) -> Result<tokio::runtime::Handle, Error> {
    if let Some(runtime) = runtime {
        runtime.spawn(driver);
        return Ok(runtime);
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .build()
        .map_err(|error| Error::start(format!("the I/O runtime cannot start: {error}")))?;
    let handle = runtime.handle().clone();
    std::thread::Builder::new()
        .name("ottla-io".to_owned())
        .spawn(move || runtime.block_on(driver))
        .map_err(|error| Error::start(format!("the I/O thread cannot start: {error}")))?;
    Ok(handle)
}

/// How brokers are reached, beside what the configuration says.
#[derive(Clone)]
struct Reach {
    runtime: Option<tokio::runtime::Handle>,
    credentials: Option<Arc<dyn CredentialProvider>>,
    connector: Option<Arc<dyn Connector>>,
    resolver: Option<Arc<dyn Resolver>>,
}

/// Where dead letters go: by a producer that is made when the first comes, and reaches brokers as the other one does.
fn letters(
    policy: DeadLetters,
    config: Config,
    reach: Reach,
    (metrics, clock): (Arc<Metrics>, Arc<dyn Clock>),
) -> Queue {
    metrics.show_dead_letters();
    let tell = move |sensor| metrics.at(clock.now()).client(sensor, 1.0);
    let make = move || {
        let Reach {
            runtime,
            credentials,
            connector,
            resolver,
        } = reach.clone();
        let builder = ProducerBuilder {
            runtime,
            credentials,
            connector,
            resolver,
            ..Producer::builder().config(config.clone())
        };
        builder.build()
    };
    Queue::new(policy, make, tell)
}

/// As Java names a client that has no name: `producer-<transactional.id>`, or `producer-<n>`, counted in the process.
fn client_id(config: &Config) -> String {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    match (config.client_id(), config.transactional_id()) {
        (Some(name), _) => name.to_owned(),
        (None, Some(id)) => format!("producer-{id}"),
        (None, None) => format!("producer-{}", NEXT.fetch_add(1, Ordering::Relaxed)),
    }
}

/// A connector with what security asks for, and the files behind it.
struct Secured {
    connector: Arc<dyn Connector>,
    #[cfg(feature = "tls-no-provider")]
    files: Option<Arc<crate::tls::TlsFiles>>,
}

/// TLS over `connector`, if the configuration says so.
#[cfg(feature = "tls-no-provider")]
fn secured(connector: Arc<dyn Connector>, config: &Config) -> Result<Secured, Error> {
    use crate::tls::{SharedTlsFiles, TlsFiles};
    use ottla_network::tls::TlsConnector;
    let Some(settings) = config.tls() else {
        return Ok(Secured {
            connector,
            files: None,
        });
    };
    let files = Arc::new(TlsFiles::read(settings)?);
    let source = Arc::new(SharedTlsFiles(Arc::clone(&files)));
    Ok(Secured {
        connector: Arc::new(TlsConnector::new(connector, source)),
        files: Some(files),
    })
}

/// The configuration was checked: it asks for no TLS.
#[cfg(not(feature = "tls-no-provider"))]
fn secured(connector: Arc<dyn Connector>, _: &Config) -> Result<Secured, Error> {
    Ok(Secured { connector })
}

fn tcp(config: &Config) -> TcpConnector {
    let mut connector = TcpConnector::default();
    connector.send_buffer_bytes = config.send_buffer_bytes().map(saturating_u32);
    connector.receive_buffer_bytes = config.receive_buffer_bytes().map(saturating_u32);
    connector
}

fn saturating_u32(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

fn network_config(config: &Config, client_id: &str) -> NetworkConfig {
    let mut network = NetworkConfig::default();
    network.client_id = Some(client_id.to_owned());
    network.reconnect_backoff = config.reconnect_backoff();
    network.reconnect_backoff_max = config.reconnect_backoff_max();
    network.connection_setup_timeout = config.socket_connection_setup_timeout();
    network.connection_setup_timeout_max = config.socket_connection_setup_timeout_max();
    network.connection_idle_max = config.connections_max_idle();
    network.request_timeout = config.request_timeout();
    network
}

fn metrics_config(config: &Config, client_id: &str, start_time_ms: i64) -> MetricsConfig {
    let mut metrics = MetricsConfig::default();
    metrics.client_id = client_id.to_owned();
    metrics.window = config.metrics_window();
    metrics.samples = config.metrics_samples();
    metrics.version = env!("CARGO_PKG_VERSION").to_owned();
    metrics.start_time_ms = start_time_ms;
    metrics
}

fn accumulator_config(config: &Config) -> AccumulatorConfig {
    let mut accumulator = AccumulatorConfig::default();
    accumulator.batch_size = config.batch_size();
    accumulator.buffer_memory = usize::try_from(config.buffer_memory()).unwrap_or(usize::MAX);
    accumulator.compression = config.codec().compression();
    accumulator
}

fn sender_config(config: &Config, metrics: Arc<Metrics>) -> SenderConfig {
    let bootstrap = config.bootstrap_servers().iter();
    let mut sender = SenderConfig::default();
    sender.bootstrap = bootstrap
        .map(|server| Address {
            host: server.host().to_owned(),
            port: server.port(),
        })
        .collect();
    sender.acks = match config.acks() {
        config::Acks::None => Acks::None,
        config::Acks::Leader => Acks::Leader,
        config::Acks::All => Acks::All,
    };
    sender.idempotent = config.enable_idempotence();
    sender.linger = config.linger();
    sender.retries = config.retries();
    sender.retry_backoff = (config.retry_backoff(), config.retry_backoff_max());
    sender.delivery_timeout = config.delivery_timeout();
    sender.request_timeout = config.request_timeout();
    sender.max_block = config.max_block();
    sender.max_request_size = config.max_request_size();
    sender.max_in_flight = config.max_in_flight();
    sender.metadata_max_age = config.metadata_max_age();
    sender.metadata_max_idle = config.metadata_max_idle();
    sender.rebootstrap_trigger = config.metadata_rebootstrap_trigger();
    sender.adaptive_partitioning = config.partitioner_adaptive();
    sender.availability_timeout = config.partitioner_availability_timeout().unwrap_or_default();
    sender.transactions = config.transactional_id().map(|id| {
        let mut transactions = TransactionConfig::new(id);
        transactions.transaction_timeout = config.transaction_timeout();
        transactions.retry_backoff = sender.retry_backoff;
        transactions
    });
    sender.telemetry = config.enable_metrics_push();
    sender.metrics = metrics;
    sender.codec = config.codec();
    sender
}

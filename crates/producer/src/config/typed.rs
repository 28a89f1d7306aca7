//! The configuration as typed values.

use super::choices::{Acks, PartitionerKind, SecurityProtocol};
use super::endpoint::BootstrapServer;
use super::error::ConfigError;
use super::rules;
use super::sasl::{self, Sasl};
use super::serializers::{SerializerKind, Serializers};
use super::settings::{Reading, Setting, Settings};
use super::table::definition;
use super::value::Value;
use ottla_network::sasl::Mechanism;
use ottla_protocol::compression::{Codec, Compression};
use ottla_serialization::Role;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// What is read beside the table's own values.
struct Beside {
    bootstrap_servers: Vec<BootstrapServer>,
    sasl: Option<Sasl>,
    serializers: Serializers,
    #[cfg(feature = "schema-registry")]
    registry: Option<super::registry::RegistrySettings>,
    #[cfg(feature = "schema-registry")]
    schemas: super::schemas::SchemaSettings,
}

/// Declares the configuration's fields and their getters: name, type and how the value comes out of the settings.
macro_rules! config {
    ($($(#[$about:meta])* $name:ident: $type:ty = $read:expr;)+) => {
        /// A checked configuration: what [`ConfigBuilder`](super::ConfigBuilder) makes.
        ///
        /// Each getter names its key. Durations have the resolution of milliseconds that the keys have.
        #[derive(Clone)]
        pub struct Config {
            settings: Settings,
            bootstrap_servers: Vec<BootstrapServer>,
            sasl: Option<Sasl>,
            serializers: Serializers,
            #[cfg(feature = "schema-registry")]
            registry: Option<super::registry::RegistrySettings>,
            #[cfg(feature = "schema-registry")]
            schemas: super::schemas::SchemaSettings,
            $($name: $type,)+
        }

        impl Config {
            fn read(settings: Settings, beside: Beside) -> Config {
                $(let $name: $type = { let read: fn(&Settings) -> $type = $read; read(&settings) };)+
                Config {
                    settings,
                    bootstrap_servers: beside.bootstrap_servers,
                    sasl: beside.sasl,
                    serializers: beside.serializers,
                    #[cfg(feature = "schema-registry")]
                    registry: beside.registry,
                    #[cfg(feature = "schema-registry")]
                    schemas: beside.schemas,
                    $($name,)+
                }
            }

            $($(#[$about])* pub fn $name(&self) -> $type { self.$name })+
        }
    };
}

config! {
    /// When a broker answers that it has a batch (`acks`).
    acks: Acks = |settings| choice(settings, "acks");
    /// Bytes that a batch may grow to, at least 1 (`batch.size`).
    batch_size: usize = |settings| settings.bytes("batch.size").max(1);
    /// Bytes of records that may wait for the brokers (`buffer.memory`).
    buffer_memory: u64 = |settings| settings.integer("buffer.memory").max(0).cast_unsigned();
    /// The codec of the batches and its level (`compression.type`, `compression.<codec>.level`).
    codec: Codec = codec;
    /// Whether bootstrap servers are called by the canonical names of their addresses (`client.dns.lookup`).
    canonical_bootstrap_names: bool = |settings| {
        settings.text("client.dns.lookup") == Some("resolve_canonical_bootstrap_servers_only")
    };
    /// How long a connection may be idle (`connections.max.idle.ms`); `None` for ever.
    connections_max_idle: Option<Duration> = |settings| match settings.integer("connections.max.idle.ms") {
        ..0 => None,
        _ => Some(settings.millis("connections.max.idle.ms")),
    };
    /// The time from `send` within which a record's outcome is known (`delivery.timeout.ms`).
    delivery_timeout: Duration = |settings| settings.millis("delivery.timeout.ms");
    /// Whether batches carry a producer id and sequences (`enable.idempotence`, and no other key in its way).
    enable_idempotence: bool = rules::idempotence_in_effect;
    /// Whether brokers are told the metrics that they subscribe to (`enable.metrics.push`).
    enable_metrics_push: bool = |settings| settings.boolean("enable.metrics.push");
    /// How long a batch that is not full waits for more (`linger.ms`), at most 2³¹ − 1 ms as in Java.
    linger: Duration = |settings| settings.millis("linger.ms").min(MILLIS_MAX);
    /// How long `send` may wait for metadata and memory (`max.block.ms`).
    max_block: Duration = |settings| settings.millis("max.block.ms");
    /// Unanswered requests on a connection, at least 1 (`max.in.flight.requests.per.connection`).
    max_in_flight: usize = |settings| settings.bytes("max.in.flight.requests.per.connection").max(1);
    /// The largest request and the largest record, in bytes (`max.request.size`).
    max_request_size: usize = |settings| settings.bytes("max.request.size");
    /// The age at which metadata is fetched again (`metadata.max.age.ms`).
    metadata_max_age: Duration = |settings| settings.millis("metadata.max.age.ms");
    /// How long after its last use a topic is forgotten (`metadata.max.idle.ms`).
    metadata_max_idle: Duration = |settings| settings.millis("metadata.max.idle.ms");
    /// How many windows a rate or an average is taken over (`metrics.num.samples`).
    metrics_samples: usize = |settings| settings.bytes("metrics.num.samples").max(1);
    /// The length of one window of a metric (`metrics.sample.window.ms`).
    metrics_window: Duration = |settings| settings.millis("metrics.sample.window.ms");
    /// After how long without metadata the client begins again at the bootstrap servers
    /// (`metadata.recovery.rebootstrap.trigger.ms`); `None` for never (`metadata.recovery.strategy=none`).
    metadata_rebootstrap_trigger: Option<Duration> = |settings| {
        let strategy = settings.text("metadata.recovery.strategy");
        let rebootstraps = strategy.is_none_or(|strategy| strategy.eq_ignore_ascii_case("rebootstrap"));
        rebootstraps.then(|| settings.millis("metadata.recovery.rebootstrap.trigger.ms"))
    };
    /// How a record without a partition gets one (`partitioner.class`).
    partitioner: PartitionerKind = |settings| choice(settings, "partitioner.class");
    /// Whether faster brokers get more of the records without a key
    /// (`partitioner.adaptive.partitioning.enable`).
    partitioner_adaptive: bool = |settings| settings.boolean("partitioner.adaptive.partitioning.enable");
    /// How long a broker may take nothing before it gets no records without a key
    /// (`partitioner.availability.timeout.ms`); `None` for as long as it likes.
    partitioner_availability_timeout: Option<Duration> =
        |settings| Some(settings.millis("partitioner.availability.timeout.ms")).filter(|timeout| !timeout.is_zero());
    /// Whether the default partitioner ignores keys (`partitioner.ignore.keys`).
    partitioner_ignore_keys: bool = |settings| settings.boolean("partitioner.ignore.keys");
    /// A socket's receive buffer in bytes (`receive.buffer.bytes`); `None` for the operating system's choice.
    receive_buffer_bytes: Option<usize> = |settings| buffer_bytes(settings, "receive.buffer.bytes");
    /// The first wait before connecting again (`reconnect.backoff.ms`).
    reconnect_backoff: Duration = |settings| settings.millis("reconnect.backoff.ms");
    /// The longest wait before connecting again (`reconnect.backoff.max.ms`); the same as the first one if only that
    /// is set.
    reconnect_backoff_max: Duration = |settings| settings.millis("reconnect.backoff.max.ms");
    /// How long a broker may take for an answer (`request.timeout.ms`).
    request_timeout: Duration = |settings| settings.millis("request.timeout.ms");
    /// How often a batch is sent again (`retries`).
    retries: u32 = |settings| u32::try_from(settings.integer("retries")).unwrap_or(0);
    /// The first wait before something is tried again (`retry.backoff.ms`), at most the longest.
    retry_backoff: Duration = |settings| settings.millis("retry.backoff.ms");
    /// The longest wait before something is tried again (`retry.backoff.max.ms`).
    retry_backoff_max: Duration = |settings| settings.millis("retry.backoff.max.ms");
    /// How connections are secured (`security.protocol`).
    security_protocol: SecurityProtocol = |settings| choice(settings, "security.protocol");
    /// A socket's send buffer in bytes (`send.buffer.bytes`); `None` for the operating system's choice.
    send_buffer_bytes: Option<usize> = |settings| buffer_bytes(settings, "send.buffer.bytes");
    /// How long setting up a connection may take (`socket.connection.setup.timeout.ms`), at most the longest.
    socket_connection_setup_timeout: Duration = |settings| settings.millis("socket.connection.setup.timeout.ms");
    /// The longest that setting up a connection may take (`socket.connection.setup.timeout.max.ms`).
    socket_connection_setup_timeout_max: Duration =
        |settings| settings.millis("socket.connection.setup.timeout.max.ms");
}

/// 2³¹ − 1 ms, Java's largest `int`.
const MILLIS_MAX: Duration = Duration::from_millis(i32::MAX as u64);

impl Config {
    /// The servers to ask first (`bootstrap.servers`), at least one.
    pub fn bootstrap_servers(&self) -> &[BootstrapServer] {
        &self.bootstrap_servers
    }

    /// The client's name (`client.id`), as it was set; `None` if it was not, and then `producer-N` is the custom.
    pub fn client_id(&self) -> Option<&str> {
        self.settings.text("client.id").filter(|_| {
            self.settings.is_set("client.id") || self.settings.setting("client.id").derived().is_some()
        })
    }

    /// The mechanism that connections authenticate by (`sasl.mechanism`); `None` if `security.protocol` is one without
    /// SASL.
    pub fn sasl_mechanism(&self) -> Option<Mechanism> {
        Some(self.sasl.as_ref()?.mechanism)
    }

    /// For the producer of dead letters: outside of transactions, with a name of its own, and little memory.
    pub(crate) fn for_dead_letters(&self, client_id: &str) -> Config {
        /// Few letters are under way at once.
        const MEMORY_MAX: u64 = 8 << 20;
        let why = || "this is the producer of dead letters".to_owned();
        let mut config = self.clone();
        config.settings.derive("transactional.id", Value::Null, why());
        let name = Value::Text(format!("{client_id}-dead-letters"));
        config.settings.derive("client.id", name, why());
        config.linger = Duration::ZERO;
        let largest = u64::try_from(config.max_request_size).unwrap_or(u64::MAX);
        config.buffer_memory = config
            .buffer_memory
            .min(MEMORY_MAX.max(largest.saturating_mul(2)));
        config
    }

    pub(crate) fn sasl(&self) -> Option<&Sasl> {
        self.sasl.as_ref()
    }

    /// The name of this producer's transactions (`transactional.id`).
    pub fn transactional_id(&self) -> Option<&str> {
        self.settings.text("transactional.id")
    }

    /// How long a transaction may stay open before the cluster aborts it (`transaction.timeout.ms`).
    pub fn transaction_timeout(&self) -> Duration {
        // What is not above zero the cluster refuses.
        let ms = self.settings.integer("transaction.timeout.ms");
        Duration::from_millis(u64::try_from(ms).unwrap_or(0))
    }

    /// What the keys about TLS say, if it is used; the configuration was checked, so they say something.
    #[cfg(feature = "tls-no-provider")]
    pub(crate) fn tls(&self) -> Option<super::tls::TlsSettings> {
        super::tls::settings(&self.settings)?.ok()
    }

    /// A client of the schema registry that `schema.registry.url` names; `None` if it is not set. Its stores of TLS are
    /// read now, and it connects when it is first asked.
    ///
    /// # Errors
    /// A store cannot be read or used.
    #[cfg(feature = "schema-registry")]
    pub fn schema_registry(&self) -> Result<Option<ottla_serialization::registry::Registry>, crate::Error> {
        self.registry
            .as_ref()
            .map(super::registry::RegistrySettings::client)
            .transpose()
    }

    /// How a serializer of keys or of values uses the schema registry, by Confluent's keys: for serializers that are made
    /// by hand.
    #[cfg(feature = "schema-registry")]
    pub fn schema_settings(&self, role: Role) -> ottla_serialization::registry::SerializerSettings {
        self.schemas.of(role).clone()
    }

    #[cfg(feature = "schema-registry")]
    pub(crate) fn schemas(&self) -> &super::schemas::SchemaSettings {
        &self.schemas
    }

    /// What `key.serializer` names; `None` if it names nothing that is known here. A [`Producer`](crate::Producer) sends
    /// bytes; [`TypedProducer::configured`](crate::TypedProducer::configured) uses this.
    pub fn key_serializer(&self) -> Option<SerializerKind> {
        self.serializers.of(Role::Key).map(|choice| choice.kind)
    }

    /// What `value.serializer` names, as [`key_serializer`](Config::key_serializer).
    pub fn value_serializer(&self) -> Option<SerializerKind> {
        self.serializers.of(Role::Value).map(|choice| choice.kind)
    }

    pub(crate) fn serializers(&self) -> &Serializers {
        &self.serializers
    }

    #[cfg(all(test, feature = "schema-registry"))]
    pub(super) fn registry_settings(&self) -> Option<&super::registry::RegistrySettings> {
        self.registry.as_ref()
    }

    /// Every key of the table with its value and where that came from, by name.
    pub fn settings(&self) -> &[Setting] {
        self.settings.as_slice()
    }
}

impl fmt::Debug for Config {
    /// Shows what was set, without secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let set = self
            .settings()
            .iter()
            .filter(|setting| setting.origin().is_some());
        let shown = set.map(|setting| (setting.definition().name, setting.value().to_string()));
        f.write_str("Config ")?;
        f.debug_map().entries(shown).finish()
    }
}

/// Applies the rules between keys and makes the configuration, if nothing was wrong; what was is in `reading`.
pub(super) fn finish(reading: &mut Reading) -> Option<Config> {
    rules::apply(reading);
    let servers = bootstrap_servers(reading);
    check_partitioner(reading);
    check_codec(reading);
    check_tls(reading);
    let sasl = sasl::read(reading);
    let serializers = super::serializers::read(reading);
    #[cfg(feature = "schema-registry")]
    let schemas = super::schemas::read(reading, &serializers);
    #[cfg(feature = "schema-registry")]
    let registry = match super::registry::read(&reading.more, &reading.settings) {
        Ok(registry) => registry,
        Err(error) => {
            reading.errors.push(error);
            None
        }
    };
    if !reading.errors.is_empty() {
        return None;
    }
    let beside = Beside {
        bootstrap_servers: servers,
        sasl,
        serializers,
        #[cfg(feature = "schema-registry")]
        registry,
        #[cfg(feature = "schema-registry")]
        schemas: schemas?,
    };
    Some(Config::read(reading.settings.clone(), beside))
}

fn bootstrap_servers(reading: &mut Reading) -> Vec<BootstrapServer> {
    const KEY: &str = "bootstrap.servers";
    let mut servers = Vec::new();
    for element in reading.settings.list(KEY) {
        match BootstrapServer::parse(element) {
            Ok(server) => servers.push(server),
            Err(reason) => {
                let origin = reading.settings.setting(KEY).origin();
                reading.errors.push(ConfigError::key(KEY, reason, origin));
            }
        }
    }
    let is_blamed = |error: &ConfigError| {
        error
            .keys_to_blame()
            .any(|key| key == KEY || key == "metadata.broker.list")
    };
    if servers.is_empty() && !reading.errors.iter().any(is_blamed) {
        reading.errors.push(ConfigError::key(
            KEY,
            "is not set; expected host:port, separated by commas",
            None,
        ));
    }
    servers
}

fn check_partitioner(reading: &mut Reading) {
    const KEY: &str = "partitioner.class";
    let settings = &reading.settings;
    let Some(name) = settings.text(KEY) else { return };
    if name.parse::<PartitionerKind>().is_ok() {
        return;
    }
    let reason = "no such partitioner here; expected org.apache.kafka.clients.producer.RoundRobinPartitioner, or one \
                  of random, consistent, consistent_random, murmur2, murmur2_random, fnv1a, fnv1a_random (Java's \
                  default is used when the key is not set; a program gives its own to ProducerBuilder::partitioner)";
    if let Some(definition) = definition(KEY) {
        let error = ConfigError::value(definition, name, reason, settings.setting(KEY).origin());
        reading.errors.push(error);
    }
}

fn check_codec(reading: &mut Reading) {
    const KEY: &str = "compression.type";
    let compression: Compression = choice(&reading.settings, KEY);
    if compression.is_available() {
        return;
    }
    let reason = format!("this codec is not compiled in; it takes the feature {compression}");
    if let Some(definition) = definition(KEY) {
        let origin = reading.settings.setting(KEY).origin();
        reading
            .errors
            .push(ConfigError::value(definition, compression.name(), reason, origin));
    }
}

#[cfg(feature = "tls-no-provider")]
fn check_tls(reading: &mut Reading) {
    super::tls::check(reading);
}

#[cfg(not(feature = "tls-no-provider"))]
fn check_tls(reading: &mut Reading) {
    const KEY: &str = "security.protocol";
    let protocol: SecurityProtocol = choice(&reading.settings, KEY);
    if matches!(protocol, SecurityProtocol::Ssl | SecurityProtocol::SaslSsl) {
        let origin = reading.settings.setting(KEY).origin();
        let error = ConfigError::key(KEY, "TLS is not compiled in; it takes the feature tls", origin);
        reading.errors.push(error);
    }
}

/// The table allows only names that are choices, and `check_partitioner` checked the one key that takes others.
fn choice<T: FromStr + Default>(settings: &Settings, key: &'static str) -> T {
    settings
        .text(key)
        .and_then(|text| text.parse().ok())
        .unwrap_or_default()
}

fn codec(settings: &Settings) -> Codec {
    let compression: Compression = choice(settings, "compression.type");
    let level = match compression {
        Compression::Gzip => settings.integer("compression.gzip.level"),
        Compression::Lz4 => settings.integer("compression.lz4.level"),
        Compression::Zstd => settings.integer("compression.zstd.level"),
        _ => return Codec::new(compression),
    };
    // The table's ranges are the codecs' own.
    let level = i32::try_from(level).ok();
    level
        .and_then(|level| Codec::with_level(compression, level).ok())
        .unwrap_or_else(|| Codec::new(compression))
}

fn buffer_bytes(settings: &Settings, key: &'static str) -> Option<usize> {
    match settings.integer(key) {
        ..0 => None,
        _ => Some(settings.bytes(key)),
    }
}

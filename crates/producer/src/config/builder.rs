//! From keys and values of several sources to a configuration.

use super::choices::{Acks, PartitionerKind};
use super::error::{ConfigError, Origin, Warning};
use super::properties::Properties;
use super::settings::{Entry, Reading, Setting, UnknownKeys};
use super::table::DEFINITIONS;
use super::typed::{self, Config};
use ottla_protocol::compression::Codec;
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use zeroize::Zeroizing;

/// Collects settings; what is added later replaces what was there before.
#[derive(Clone)]
pub struct ConfigBuilder {
    entries: Vec<Entry>,
    warnings: Vec<Warning>,
    unknown_keys: UnknownKeys,
    own_credentials: bool,
}

/// What looking at all settings found: every error, not only the first.
#[derive(Debug)]
#[non_exhaustive]
pub struct ConfigReport {
    /// The configuration, if there is no error.
    pub config: Option<Config>,
    /// Every key with the value that it would have; one that is in error counts as not set.
    pub settings: Vec<Setting>,
    /// What was accepted, but perhaps not meant so.
    pub warnings: Vec<Warning>,
    /// What is wrong.
    pub errors: Vec<ConfigError>,
}

impl Default for ConfigBuilder {
    fn default() -> ConfigBuilder {
        ConfigBuilder::new()
    }
}

impl ConfigBuilder {
    /// Nothing is set: every key has its default.
    pub fn new() -> ConfigBuilder {
        ConfigBuilder {
            entries: Vec::new(),
            warnings: Vec::new(),
            unknown_keys: UnknownKeys::Warn,
            own_credentials: false,
        }
    }

    /// Sets a key by its name, Java's or librdkafka's. Whether name and value are right shows in [`build`](Self::build).
    #[must_use]
    pub fn set(self, key: impl Into<String>, value: impl Into<String>) -> ConfigBuilder {
        self.set_from(key, value, Origin::Code)
    }

    /// Sets a key as [`set`](Self::set) does, and says for messages where the setting came from.
    #[must_use]
    pub fn set_from(
        mut self,
        key: impl Into<String>,
        value: impl Into<String>,
        origin: Origin,
    ) -> ConfigBuilder {
        self.entries.push(Entry {
            key: key.into(),
            value: Zeroizing::new(value.into()),
            origin,
            provided: false,
        });
        self
    }

    /// Sets what stands in a `.properties` file, read by Java's rules: as ISO-8859-1, with Java's escapes.
    ///
    /// # Errors
    /// The file cannot be read, is larger than 1 MiB, or has a malformed escape.
    pub fn from_properties_file(mut self, path: impl AsRef<Path>) -> Result<ConfigBuilder, ConfigError> {
        /// Configurations have a few KiB, and certificates may stand in them.
        const BYTES_MAX: u64 = 1 << 20;
        let path = path.as_ref();
        let unreadable = |reason: &dyn fmt::Display| {
            ConfigError::source(
                format!("cannot read the configuration {}: {reason}", path.display()),
                None,
            )
        };
        let mut bytes = Zeroizing::new(Vec::new());
        let file = File::open(path).map_err(|error| unreadable(&error))?;
        file.take(BYTES_MAX + 1)
            .read_to_end(&mut bytes)
            .map_err(|error| unreadable(&error))?;
        if bytes.len() as u64 > BYTES_MAX {
            return Err(unreadable(&"it is larger than 1 MiB"));
        }
        let path = Arc::new(path.to_owned());
        let origin = |line| Origin::File {
            path: Arc::clone(&path),
            line,
        };
        let properties = Properties::from_latin_1(&bytes)
            .map_err(|error| ConfigError::source(error.reason(), Some(&origin(error.line()))))?;
        if !bytes.is_ascii() && std::str::from_utf8(&bytes).is_ok() {
            let text =
                "looks like UTF-8 but is read as ISO-8859-1, as Java does: write other characters as \\uXXXX";
            let line = 1 + bytes
                .iter()
                .take_while(|byte| byte.is_ascii())
                .filter(|byte| **byte == b'\n')
                .count();
            self.warnings.push(Warning::new("", text, Some(&origin(line))));
        }
        for entry in properties.entries() {
            self = self.set_from(entry.key.as_str(), entry.value.as_str(), origin(entry.line));
        }
        Ok(self)
    }

    /// Sets what stands in `variables` under names that begin with `OTTLA_CONFIG_`: `OTTLA_CONFIG_LINGER_MS` is
    /// `linger.ms`. The others are left alone.
    #[must_use]
    pub fn from_environment(
        mut self,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> ConfigBuilder {
        const PREFIX: &str = "OTTLA_CONFIG_";
        for (variable, value) in variables {
            if let Some(name) = variable.strip_prefix(PREFIX) {
                let key = name.to_ascii_lowercase().replace('_', ".");
                self = self.set_from(key, value, Origin::Environment(variable));
            }
        }
        self
    }

    /// Makes an unknown key an error; without this it is a warning, as in Java.
    #[must_use]
    pub fn refuse_unknown_keys(mut self) -> ConfigBuilder {
        self.unknown_keys = UnknownKeys::Refuse;
        self
    }

    /// The program brings its credentials itself: `sasl.jaas.config` need not say any.
    pub(crate) fn with_own_credentials(mut self) -> ConfigBuilder {
        self.own_credentials = true;
        self
    }

    /// Checks everything and makes the configuration.
    ///
    /// # Errors
    /// The first of the errors that [`check`](Self::check) would report.
    pub fn build(self) -> Result<(Config, Vec<Warning>), ConfigError> {
        let report = self.check();
        match (report.errors.into_iter().next(), report.config) {
            (None, Some(config)) => Ok((config, report.warnings)),
            (Some(error), _) => Err(error),
            // `typed::finish` makes a configuration whenever there is no error.
            (None, None) => Err(ConfigError::source("no configuration was made", None)),
        }
    }

    /// Checks everything and reports all that was found.
    pub fn check(&self) -> ConfigReport {
        let mut reading = Reading::of(&self.entries, self.unknown_keys);
        reading.own_credentials = self.own_credentials;
        let config = typed::finish(&mut reading);
        let mut warnings = self.warnings.clone();
        warnings.append(&mut reading.warnings);
        ConfigReport {
            config,
            settings: reading.settings.as_slice().to_vec(),
            warnings,
            errors: reading.errors,
        }
    }
}

/// Typed setters for what is set most often; each names its key.
impl ConfigBuilder {
    /// The servers to ask first, `host:port` separated by commas (`bootstrap.servers`).
    #[must_use]
    pub fn bootstrap_servers(self, servers: impl Into<String>) -> ConfigBuilder {
        self.set("bootstrap.servers", servers)
    }

    /// The name that brokers know this client by (`client.id`).
    #[must_use]
    pub fn client_id(self, name: impl Into<String>) -> ConfigBuilder {
        self.set("client.id", name)
    }

    /// When a broker answers that it has a batch (`acks`).
    #[must_use]
    pub fn acks(self, acks: Acks) -> ConfigBuilder {
        self.set("acks", acks.to_string())
    }

    /// Bytes that a batch may grow to (`batch.size`).
    #[must_use]
    pub fn batch_size(self, bytes: usize) -> ConfigBuilder {
        self.set("batch.size", bytes.to_string())
    }

    /// Bytes of records that may wait for the brokers (`buffer.memory`).
    #[must_use]
    pub fn buffer_memory(self, bytes: u64) -> ConfigBuilder {
        self.set("buffer.memory", bytes.to_string())
    }

    /// The codec of the batches and its level (`compression.type`, `compression.<codec>.level`).
    #[must_use]
    pub fn codec(self, codec: impl Into<Codec>) -> ConfigBuilder {
        let codec = codec.into();
        let name = codec.compression().name();
        let builder = self.set("compression.type", name);
        match codec.level() {
            Some(level) => builder.set(format!("compression.{name}.level"), level.to_string()),
            None => builder,
        }
    }

    /// The time from `send` within which a record's outcome is known (`delivery.timeout.ms`).
    #[must_use]
    pub fn delivery_timeout(self, timeout: Duration) -> ConfigBuilder {
        self.set("delivery.timeout.ms", millis(timeout))
    }

    /// Whether each record is in the log once, and in order, whatever is retried (`enable.idempotence`).
    #[must_use]
    pub fn enable_idempotence(self, enable: bool) -> ConfigBuilder {
        self.set("enable.idempotence", enable.to_string())
    }

    /// How long a batch that is not full waits for more (`linger.ms`).
    #[must_use]
    pub fn linger(self, linger: Duration) -> ConfigBuilder {
        self.set("linger.ms", millis(linger))
    }

    /// How long `send` may wait for metadata and memory (`max.block.ms`).
    #[must_use]
    pub fn max_block(self, max_block: Duration) -> ConfigBuilder {
        self.set("max.block.ms", millis(max_block))
    }

    /// Unanswered requests on a connection (`max.in.flight.requests.per.connection`).
    #[must_use]
    pub fn max_in_flight(self, requests: usize) -> ConfigBuilder {
        self.set("max.in.flight.requests.per.connection", requests.to_string())
    }

    /// The largest request and the largest record, in bytes (`max.request.size`).
    #[must_use]
    pub fn max_request_size(self, bytes: usize) -> ConfigBuilder {
        self.set("max.request.size", bytes.to_string())
    }

    /// How a record without a partition gets one (`partitioner.class`).
    #[must_use]
    pub fn partitioner(self, kind: PartitionerKind) -> ConfigBuilder {
        self.set("partitioner.class", kind.to_string())
    }

    /// How long a broker may take for an answer (`request.timeout.ms`).
    #[must_use]
    pub fn request_timeout(self, timeout: Duration) -> ConfigBuilder {
        self.set("request.timeout.ms", millis(timeout))
    }

    /// How often a batch is sent again (`retries`).
    #[must_use]
    pub fn retries(self, retries: u32) -> ConfigBuilder {
        self.set("retries", retries.to_string())
    }
}

impl<K: Into<String>, V: Into<String>> Extend<(K, V)> for ConfigBuilder {
    fn extend<T: IntoIterator<Item = (K, V)>>(&mut self, settings: T) {
        for (key, value) in settings {
            let value = Zeroizing::new(value.into());
            self.entries.push(Entry {
                key: key.into(),
                value,
                origin: Origin::Code,
                provided: false,
            });
        }
    }
}

impl fmt::Debug for ConfigBuilder {
    /// Names the keys of the table that are set: a value, and even an unknown key, may be a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_set = |name: &str| self.entries.iter().any(|entry| entry.key == name);
        let names = DEFINITIONS
            .iter()
            .map(|definition| definition.name)
            .filter(|name| is_set(name));
        f.write_str("ConfigBuilder ")?;
        f.debug_set().entries(names).finish()
    }
}

/// Whole milliseconds, rounded up so that a short wait does not become none.
fn millis(duration: Duration) -> String {
    duration.as_nanos().div_ceil(1_000_000).to_string()
}

//! The keys of Confluent's clients about the schema registry, as they stand in the same files.
//!
//! Kafka's own producer does not know them, so they are no part of [`DEFINITIONS`](super::DEFINITIONS).

use super::error::ConfigError;
use super::settings::{Entry, Settings};
use super::value::Value;
use crate::Error;
use ottla_network::http::{HttpClient, Proxy};
use ottla_network::sasl::jaas::JaasEntry;
use ottla_serialization::registry::{Registry, RegistryConfig};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

const URL: &str = "schema.registry.url";
const BASIC_SOURCE: &str = "basic.auth.credentials.source";
const BASIC_USER_INFO: &str = "basic.auth.user.info";
const BASIC_USER_INFO_OLD: &str = "schema.registry.basic.auth.user.info";
const BEARER_SOURCE: &str = "bearer.auth.credentials.source";
const BEARER_TOKEN: &str = "bearer.auth.token";
const CONNECT_TIMEOUT: &str = "http.connect.timeout.ms";
const READ_TIMEOUT: &str = "http.read.timeout.ms";
const RETRIES: &str = "max.retries";
const RETRY_WAIT: &str = "retries.wait.ms";
const RETRY_WAIT_MAX: &str = "retries.max.wait.ms";
const PROXY_HOST: &str = "proxy.host";
const PROXY_PORT: &str = "proxy.port";
/// The scheme of a registry inside of the process.
const MOCK: &str = "mock";
/// In front of the `ssl.*` keys that hold for the registry.
const PREFIX: &str = "schema.registry.";

/// The keys and what they are for, by name.
const KEYS: &[(&str, &str)] = &[
    (
        BASIC_SOURCE,
        "Where user and password come from: `URL` (the default), `USER_INFO`, or `SASL_INHERIT` for those of \
         `sasl.jaas.config`.",
    ),
    (BASIC_USER_INFO, "User and password, with a colon between."),
    (
        BEARER_SOURCE,
        "Where a token comes from: `STATIC_TOKEN`. (`OAUTHBEARER`, `SASL_OAUTHBEARER_INHERIT` and `CUSTOM` are refused.)",
    ),
    (BEARER_TOKEN, "The token."),
    (CONNECT_TIMEOUT, "How long connecting may take; 60000 by default."),
    (
        READ_TIMEOUT,
        "How long a request may take in all; 60000 by default.",
    ),
    (RETRIES, "How often all addresses are tried again; 3 by default."),
    (PROXY_HOST, "A proxy between here and the registry."),
    (PROXY_PORT, "Its port."),
    (RETRY_WAIT_MAX, "The longest wait before that; 20000 by default."),
    (
        RETRY_WAIT,
        "The first wait before all addresses are tried again; 1000 by default.",
    ),
    (BASIC_USER_INFO_OLD, "The older name of `basic.auth.user.info`."),
    (
        URL,
        "The registry's addresses, separated by commas: `http://…` or `https://…`; or `mock://NAME`, one inside of the \
         process (feature `mock-registry`).",
    ),
];

/// Names that are only looked at as a group, for the reference.
const SSL_ABOUT: &str = "What `ssl.*` is for brokers, for the registry: truststore, keystore, protocols, cipher suites and \
                         the check of the name. Without a truststore, those of the platform are trusted.";

/// Whether a key is one of these.
pub(super) fn is_key(name: &str) -> bool {
    KEYS.iter().any(|(key, _)| *key == name) || ssl_key(name).is_some()
}

/// `ssl.x` of `schema.registry.ssl.x`.
fn ssl_key(name: &str) -> Option<&str> {
    let key = name.strip_prefix(PREFIX)?;
    let is_known = key.starts_with("ssl.") && super::definition(key).is_some();
    is_known.then_some(key)
}

/// The keys, for suggestions.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    KEYS.iter().map(|(key, _)| *key)
}

/// Rows of the reference: keys and what they are for.
pub(super) fn reference() -> impl Iterator<Item = (&'static str, &'static str)> {
    let mut rows: Vec<_> = KEYS.iter().chain(super::schemas::KEYS).copied().collect();
    rows.push(("schema.registry.ssl.*", SSL_ABOUT));
    rows.sort_unstable();
    rows.into_iter()
}

/// How to reach the registry. It shows no secret.
#[derive(Clone)]
pub(crate) struct RegistrySettings {
    registry: RegistryConfig,
    connect_timeout: Duration,
    proxy: Option<Proxy>,
    /// For addresses with https.
    #[cfg(feature = "tls-no-provider")]
    tls: Option<super::tls::TlsSettings>,
}

impl fmt::Debug for RegistrySettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegistrySettings")
            .field("registry", &self.registry)
            .field("proxy", &self.proxy)
            .finish_non_exhaustive()
    }
}

impl RegistrySettings {
    /// A client by these settings. It reads the stores of TLS, and connects when it is first asked.
    pub(crate) fn client(&self) -> Result<Registry, Error> {
        let mut config = self.registry.clone();
        config.seed = fastrand::u64(..);
        #[cfg(feature = "mock-registry")]
        if let Some(endpoint) = config.endpoints.first().filter(|it| it.scheme() == MOCK) {
            let mock = ottla_serialization::mock::MockRegistry::scope(endpoint.host());
            return Ok(Registry::new(config, Arc::new(mock)));
        }
        let mut builder = HttpClient::builder();
        #[cfg(feature = "tls-no-provider")]
        if let Some(tls) = &self.tls {
            use crate::tls::{SharedTlsFiles, TlsFiles};
            let files = TlsFiles::read(tls.clone());
            let files = files.map_err(|error| Error::start(format!("{PREFIX}{error}")))?;
            builder = builder.tls(Arc::new(SharedTlsFiles(Arc::new(files))));
        }
        if let Some(proxy) = &self.proxy {
            builder = builder.proxy(proxy.clone());
        }
        let http = crate::RegistryHttp::with_client(builder.build()).connect_timeout(self.connect_timeout);
        Ok(Registry::new(config, Arc::new(http)))
    }
}

/// Reads the keys; nothing if there is no address. `settings` are those of the producer, where passwords may be
/// inherited from.
pub(super) fn read(entries: &[Entry], settings: &Settings) -> Result<Option<RegistrySettings>, ConfigError> {
    let given = Given { entries, settings };
    let Some(url) = given.text(URL) else {
        return Ok(None);
    };
    let registry = RegistryConfig::new(url).map_err(|error| given.wrong(URL, error.to_string()))?;
    let uses_tls = registry
        .endpoints
        .iter()
        .any(|endpoint| endpoint.scheme() == "https");
    mock(&given, &registry)?;
    let mut registry = given.authorized(registry)?;
    if let Some(timeout) = given.millis(READ_TIMEOUT)? {
        registry.request_timeout = timeout;
    } else {
        registry.request_timeout = Duration::from_secs(60);
    }
    if let Some(retries) = given.number(RETRIES)? {
        registry.retries = u32::try_from(retries).unwrap_or(u32::MAX);
    }
    let (first, most) = registry.retry_backoff;
    registry.retry_backoff = (
        given.millis(RETRY_WAIT)?.unwrap_or(first),
        given.millis(RETRY_WAIT_MAX)?.unwrap_or(most),
    );
    let connect_timeout = given.millis(CONNECT_TIMEOUT)?;
    let proxy = given.proxy()?;
    #[cfg(feature = "tls-no-provider")]
    let tls = if uses_tls { Some(given.tls()?) } else { None };
    #[cfg(not(feature = "tls-no-provider"))]
    if uses_tls {
        return Err(given.wrong(
            URL,
            "https takes TLS, which is not compiled in: it takes the feature tls",
        ));
    }
    Ok(Some(RegistrySettings {
        registry,
        connect_timeout: connect_timeout.unwrap_or(Duration::from_secs(60)),
        proxy,
        #[cfg(feature = "tls-no-provider")]
        tls,
    }))
}

/// `mock://name` is the registry of that name inside of the process, and goes with no other address.
fn mock(given: &Given<'_>, registry: &RegistryConfig) -> Result<(), ConfigError> {
    let mocks = registry.endpoints.iter().filter(|it| it.scheme() == MOCK).count();
    if mocks > 0 && registry.endpoints.len() > 1 {
        return Err(given.wrong(URL, "mock://name goes with no other address"));
    }
    if mocks > 0 && !cfg!(feature = "mock-registry") {
        return Err(given.wrong(URL, "mock://name takes the feature mock-registry"));
    }
    Ok(())
}

/// What was set, by key.
pub(super) struct Given<'a> {
    pub(super) entries: &'a [Entry],
    pub(super) settings: &'a Settings,
}

impl Given<'_> {
    /// The last that was set, without white space around it.
    pub(super) fn text(&self, key: &str) -> Option<&str> {
        let entry = self.entries.iter().rev().find(|entry| entry.key == key);
        entry
            .map(|entry| entry.value.trim())
            .filter(|text| !text.is_empty())
    }

    /// The value may be a secret, so it is not shown.
    pub(super) fn wrong(&self, key: &str, reason: impl Into<String>) -> ConfigError {
        let entry = self.entries.iter().rev().find(|entry| entry.key == key);
        ConfigError::key(key, reason, entry.map(|entry| &entry.origin))
    }

    /// Whether an address is set.
    pub(super) fn has_registry(&self) -> bool {
        self.text(URL).is_some()
    }

    pub(super) fn boolean(&self, key: &str) -> Result<Option<bool>, ConfigError> {
        let Some(text) = self.text(key) else {
            return Ok(None);
        };
        match text.to_ascii_lowercase().as_str() {
            "true" => Ok(Some(true)),
            "false" => Ok(Some(false)),
            _ => Err(self.wrong(key, "expected true or false")),
        }
    }

    pub(super) fn number(&self, key: &str) -> Result<Option<u64>, ConfigError> {
        let Some(text) = self.text(key) else {
            return Ok(None);
        };
        match text.parse::<u64>().ok().filter(|number| *number <= 2_147_483_647) {
            Some(number) => Ok(Some(number)),
            None => Err(self.wrong(key, "expected a whole number between 0 and 2147483647")),
        }
    }

    fn millis(&self, key: &str) -> Result<Option<Duration>, ConfigError> {
        Ok(self.number(key)?.map(Duration::from_millis))
    }

    fn authorized(&self, registry: RegistryConfig) -> Result<RegistryConfig, ConfigError> {
        let user_info = self
            .text(BASIC_USER_INFO)
            .or_else(|| self.text(BASIC_USER_INFO_OLD));
        if let Some(source) = self.text(BEARER_SOURCE) {
            if self.text(BASIC_SOURCE).is_some() || user_info.is_some() {
                return Err(self.wrong(
                    BEARER_SOURCE,
                    "is set together with basic.auth: one of them is enough",
                ));
            }
            return match (source, self.text(BEARER_TOKEN)) {
                ("STATIC_TOKEN", Some(token)) => Ok(registry.bearer_token(token)),
                ("STATIC_TOKEN", None) => Err(self.wrong(
                    BEARER_TOKEN,
                    "is not set, and bearer.auth.credentials.source=STATIC_TOKEN needs it",
                )),
                _ => Err(self.wrong(
                    BEARER_SOURCE,
                    "takes STATIC_TOKEN here; other sources are not built in",
                )),
            };
        }
        match self.text(BASIC_SOURCE).unwrap_or("URL") {
            // What stands in the address was taken from there.
            "URL" => Ok(registry),
            "USER_INFO" => match user_info.filter(|info| info.contains(':')) {
                Some(user_info) => Ok(registry.basic_credentials(user_info)),
                None => Err(self.wrong(BASIC_USER_INFO, "must be user:password")),
            },
            "SASL_INHERIT" => {
                let inherited = self.inherited().ok_or_else(|| {
                    self.wrong(
                        BASIC_SOURCE,
                        "is SASL_INHERIT, but sasl.jaas.config has no username and password",
                    )
                })?;
                Ok(registry.basic_credentials(&inherited))
            }
            _ => Err(self.wrong(BASIC_SOURCE, "expected URL, USER_INFO or SASL_INHERIT")),
        }
    }

    fn inherited(&self) -> Option<zeroize::Zeroizing<String>> {
        let Value::Password(text) = self.settings.setting("sasl.jaas.config").value() else {
            return None;
        };
        let entry = JaasEntry::parse(text.reveal()).ok()?;
        let (user, password) = (entry.option("username")?, entry.option("password")?);
        Some(zeroize::Zeroizing::new(format!(
            "{}:{}",
            user.reveal(),
            password.reveal()
        )))
    }

    fn proxy(&self) -> Result<Option<Proxy>, ConfigError> {
        match (self.text(PROXY_HOST), self.text(PROXY_PORT)) {
            (None, None) => Ok(None),
            (Some(host), Some(port)) => {
                let proxy = Proxy::parse(&format!("{host}:{port}"));
                proxy
                    .map(Some)
                    .map_err(|error| self.wrong(PROXY_HOST, error.to_string()))
            }
            _ => Err(self.wrong(PROXY_HOST, "goes together with proxy.port: only one is set")),
        }
    }

    #[cfg(feature = "tls-no-provider")]
    fn tls(&self) -> Result<super::tls::TlsSettings, ConfigError> {
        let keys = self.entries.iter().filter_map(|entry| {
            Some(Entry {
                key: ssl_key(&entry.key)?.to_owned(),
                ..entry.clone()
            })
        });
        super::tls::from_entries(&keys.collect::<Vec<_>>())
            .map_err(|error| self.wrong(URL, format!("{PREFIX}ssl.*: {error}")))
    }
}

#[cfg(test)]
mod tests {
    use crate::config::{Config, ConfigBuilder};

    fn builder(settings: &[(&str, &str)]) -> ConfigBuilder {
        let start = ConfigBuilder::new().bootstrap_servers("localhost:9092");
        settings
            .iter()
            .fold(start, |builder, &(key, value)| builder.set(key, value))
    }

    #[track_caller]
    fn accepts(settings: &[(&str, &str)]) -> Config {
        let (config, warnings) = builder(settings).build().expect("a good configuration");
        assert!(warnings.is_empty(), "{warnings:?}");
        let registry = config.registry_settings().expect("a registry");
        let shown = format!("{config:?} {registry:?} {:?}", builder(settings));
        assert!(!shown.contains("canary"), "{shown}");
        config
    }

    #[track_caller]
    fn refuses(settings: &[(&str, &str)], part: &str) {
        let error = builder(settings).build().expect_err("a bad configuration");
        let text = format!("{error} {error:?}");
        assert!(text.contains(part) && !text.contains("canary"), "{part}: {text}");
    }

    #[test]
    fn each_key_is_read() {
        let (config, _) = builder(&[]).build().expect("no registry");
        assert!(config.registry_settings().is_none() && config.schema_registry().expect("none").is_none());
        let config = accepts(&[
            ("schema.registry.url", "http://me:canary@a:8081, http://b"),
            ("http.connect.timeout.ms", "7"),
            ("http.read.timeout.ms", "8"),
            ("max.retries", "9"),
            ("retries.wait.ms", "10"),
            ("retries.max.wait.ms", "11"),
            ("proxy.host", "proxy"),
            ("proxy.port", "3128"),
        ]);
        let registry = config.registry_settings().expect("a registry");
        let millis = |duration: std::time::Duration| duration.as_millis();
        assert_eq!(registry.registry.endpoints.len(), 2);
        assert_eq!(millis(registry.connect_timeout), 7);
        assert_eq!(millis(registry.registry.request_timeout), 8);
        assert_eq!(registry.registry.retries, 9);
        let (first, most) = registry.registry.retry_backoff;
        assert_eq!((millis(first), millis(most)), (10, 11));
        assert!(format!("{:?}", registry.proxy).contains("3128"));
        assert!(config.schema_registry().expect("it can be made").is_some());
        for settings in [
            [
                ("basic.auth.credentials.source", "USER_INFO"),
                ("basic.auth.user.info", "a:canary"),
            ],
            [
                ("basic.auth.credentials.source", "USER_INFO"),
                ("schema.registry.basic.auth.user.info", "a:canary"),
            ],
            [
                ("bearer.auth.credentials.source", "STATIC_TOKEN"),
                ("bearer.auth.token", "canary"),
            ],
            [
                ("basic.auth.credentials.source", "SASL_INHERIT"),
                ("sasl.jaas.config", "a.B required username=a password=canary;"),
            ],
        ] {
            let config = accepts(&[&settings[..], &[("schema.registry.url", "http://a")]].concat());
            let shown = format!("{:?}", config.registry_settings());
            assert!(shown.contains("authorization: Some"), "{settings:?}: {shown}");
        }
    }

    #[test]
    fn what_is_wrong_says_what_to_change() {
        let url = ("schema.registry.url", "http://a");
        for (settings, part) in [
            (&[("schema.registry.url", "canary")][..], "schema.registry.url"),
            (&[url, ("http.read.timeout.ms", "-1")], "a whole number"),
            (&[url, ("proxy.host", "a")], "proxy.port"),
            (&[url, ("proxy.host", "a b"), ("proxy.port", "1")], "proxy.host"),
            (&[url, ("basic.auth.credentials.source", "X")], "USER_INFO"),
            (
                &[
                    url,
                    ("basic.auth.credentials.source", "USER_INFO"),
                    ("basic.auth.user.info", "canary"),
                ],
                "user:password",
            ),
            (
                &[url, ("basic.auth.credentials.source", "SASL_INHERIT")],
                "sasl.jaas.config",
            ),
            (
                &[url, ("bearer.auth.credentials.source", "STATIC_TOKEN")],
                "bearer.auth.token",
            ),
            (
                &[url, ("bearer.auth.credentials.source", "CUSTOM")],
                "STATIC_TOKEN",
            ),
            (
                &[
                    url,
                    ("bearer.auth.credentials.source", "STATIC_TOKEN"),
                    ("basic.auth.user.info", "a:canary"),
                ],
                "one of them",
            ),
        ] {
            refuses(settings, part);
        }
    }

    #[cfg(feature = "tls-no-provider")]
    #[test]
    fn tls_of_the_registry_is_its_own() {
        let url = ("schema.registry.url", "https://a");
        let config = accepts(&[
            url,
            ("schema.registry.ssl.truststore.type", "PEM"),
            ("schema.registry.ssl.truststore.location", "/no/such/file"),
            ("schema.registry.ssl.endpoint.identification.algorithm", ""),
        ]);
        let tls = config
            .registry_settings()
            .and_then(|registry| registry.tls.clone());
        let tls = tls.expect("https takes TLS");
        assert!(tls.trust.is_some() && !tls.verifies_names);
        // Nothing of it is for brokers, and nothing of theirs for it.
        assert!(config.tls().is_none());
        let error = config
            .schema_registry()
            .map(|_| ())
            .expect_err("no such file")
            .to_string();
        assert!(
            error.contains("schema.registry.ssl.truststore.location: /no/such/file"),
            "{error}"
        );
        let config = accepts(&[url, ("ssl.truststore.type", "PEM")]);
        let tls = config
            .registry_settings()
            .and_then(|registry| registry.tls.clone());
        assert!(tls.is_some_and(|tls| tls.trust.is_none()));
        refuses(
            &[url, ("schema.registry.ssl.truststore.password", "canary")],
            "schema.registry.ssl",
        );
        refuses(&[url, ("schema.registry.ssl.protocol", "SSLv3")], "ssl.protocol");
    }
}

//! The settings of all connections of one client.

use crate::sasl::SaslConfig;
use std::fmt;
use std::time::Duration;

/// Settings shared by all connections. `Default` gives the Java client's defaults, where it has the setting.
///
/// Fields may be changed one by one; [`crate::Network::new`] checks them.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NetworkConfig {
    /// Sent with every request, for the broker's logs and quotas (`client.id`). `None` sends null.
    pub client_id: Option<String>,
    /// Sent with ApiVersions (KIP-511): letters, digits, `-` and `.`, neither first nor last one of the latter two.
    pub client_software_name: String,
    /// As [`NetworkConfig::client_software_name`], by the same rule.
    pub client_software_version: String,
    /// The wait before the attempt after the first failure (`reconnect.backoff.ms`); each further failure doubles it.
    pub reconnect_backoff: Duration,
    /// The longest wait between attempts (`reconnect.backoff.max.ms`). If it is not above
    /// [`NetworkConfig::reconnect_backoff`], it is the wait, always.
    pub reconnect_backoff_max: Duration,
    /// How long name resolution, TCP, TLS and SASL may take together at the first attempt
    /// (`socket.connection.setup.timeout.ms`); each further failure doubles it.
    pub connection_setup_timeout: Duration,
    /// The longest setup timeout (`socket.connection.setup.timeout.max.ms`).
    pub connection_setup_timeout_max: Duration,
    /// A connection without traffic for this long is closed (`connections.max.idle.ms`). `None`: never.
    pub connection_idle_max: Option<Duration>,
    /// How long the broker has for an answer to the session's own requests (`request.timeout.ms`). Requests of the
    /// client bring their own timeout.
    pub request_timeout: Duration,
    /// The longest frame taken before ApiVersions and authentication are done, in bytes.
    pub setup_frame_bytes_max: usize,
    /// The longest answer to a Produce request, in bytes.
    pub produce_frame_bytes_max: usize,
    /// The longest answer to any other request, in bytes: metadata of big clusters is what fills it.
    pub frame_bytes_max: usize,
    /// How all connections authenticate (`sasl.mechanism` and `sasl.jaas.config`); `None` for not at all.
    pub sasl: Option<SaslConfig>,
    /// How many requests may be outstanding on one connection, written or not. The sender's own limit is far below
    /// it; this one only keeps a queue bounded.
    pub requests_outstanding_max: usize,
}

impl Default for NetworkConfig {
    fn default() -> NetworkConfig {
        NetworkConfig {
            client_id: None,
            client_software_name: "ottla".to_owned(),
            client_software_version: env!("CARGO_PKG_VERSION").to_owned(),
            reconnect_backoff: Duration::from_millis(50),
            reconnect_backoff_max: Duration::from_secs(1),
            connection_setup_timeout: Duration::from_secs(10),
            connection_setup_timeout_max: Duration::from_secs(30),
            connection_idle_max: Some(Duration::from_secs(540)),
            request_timeout: Duration::from_secs(30),
            // ApiVersions of a broker with every API takes 600 bytes, the longest SASL token known about 16 KiB.
            setup_frame_bytes_max: 64 * 1024,
            sasl: None,
            // 30 bytes for each partition and some more for each topic: ten thousand partitions in a request.
            produce_frame_bytes_max: 1024 * 1024,
            // A partition with three replicas takes 60 bytes: a quarter of a million of them.
            frame_bytes_max: 16 * 1024 * 1024,
            requests_outstanding_max: 1_024,
        }
    }
}

impl NetworkConfig {
    /// What is wrong with these settings, if anything.
    pub(crate) fn check(&self) -> Result<(), InvalidConfig> {
        let invalid = |field, reason| Err(InvalidConfig { field, reason });
        if self
            .client_id
            .as_ref()
            .is_some_and(|id| id.len() > i16::MAX as usize)
        {
            return invalid("client_id", "is longer than 32,767 bytes");
        }
        for (field, value) in [
            ("client_software_name", &self.client_software_name),
            ("client_software_version", &self.client_software_version),
        ] {
            if !is_software_token(value) {
                return invalid(
                    field,
                    "must be letters, digits, '-' and '.', starting and ending with a letter or digit",
                );
            }
        }
        for (field, value) in [
            ("setup_frame_bytes_max", self.setup_frame_bytes_max),
            ("produce_frame_bytes_max", self.produce_frame_bytes_max),
            ("frame_bytes_max", self.frame_bytes_max),
        ] {
            if value < 4 || value > i32::MAX as usize {
                return invalid(field, "must be from 4 bytes to 2 GiB - 1");
            }
        }
        if self.requests_outstanding_max == 0 {
            return invalid("requests_outstanding_max", "must be at least 1");
        }
        Ok(())
    }
}

/// A setting that cannot work, with the reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidConfig {
    field: &'static str,
    reason: &'static str,
}

impl InvalidConfig {
    /// The field of [`NetworkConfig`].
    pub fn field(&self) -> &'static str {
        self.field
    }
}

impl fmt::Display for InvalidConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.field, self.reason)
    }
}

impl std::error::Error for InvalidConfig {}

/// What a broker accepts as a software name or version: it answers INVALID_REQUEST to anything else (KIP-511).
fn is_software_token(value: &str) -> bool {
    let bytes = value.as_bytes();
    let inner = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
    match (bytes.first(), bytes.last()) {
        (Some(first), Some(last)) => {
            bytes.len() <= i16::MAX as usize
                && first.is_ascii_alphanumeric()
                && last.is_ascii_alphanumeric()
                && bytes.iter().all(inner)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_valid() {
        assert_eq!(NetworkConfig::default().check(), Ok(()));
    }

    #[test]
    fn invalid_settings_name_their_field() {
        let check = |field: &str, change: &dyn Fn(&mut NetworkConfig)| {
            let mut config = NetworkConfig::default();
            change(&mut config);
            assert_eq!(
                config.check().map_err(|error| error.field().to_owned()),
                Err(field.to_owned())
            );
        };
        check("client_id", &|config| config.client_id = Some("x".repeat(32_768)));
        check("client_software_name", &|config| {
            config.client_software_name.clear()
        });
        check("client_software_name", &|config| {
            config.client_software_name = "-ottla".to_owned()
        });
        check("client_software_version", &|config| {
            config.client_software_version = "1.0+dirty".to_owned()
        });
        check("setup_frame_bytes_max", &|config| {
            config.setup_frame_bytes_max = 3
        });
        check("frame_bytes_max", &|config| config.frame_bytes_max = 1 << 31);
        check("requests_outstanding_max", &|config| {
            config.requests_outstanding_max = 0
        });
    }
}

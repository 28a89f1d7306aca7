//! Where a broker listens.

use std::fmt;

/// A host and a port, as in `bootstrap.servers` or a broker's metadata. The host is a name or an address.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Endpoint {
    host: String,
    port: u16,
    by_canonical_name: bool,
}

impl Endpoint {
    /// An endpoint; brackets around an IPv6 address are dropped.
    pub fn new(host: impl Into<String>, port: u16) -> Endpoint {
        let mut host = host.into();
        if host.starts_with('[') && host.ends_with(']') {
            host = host[1..host.len() - 1].to_owned();
        }
        Endpoint {
            host,
            port,
            by_canonical_name: false,
        }
    }

    /// The same place, whose host may be an alias: each of its addresses is called by its canonical name, and that is what
    /// TLS verifies and SASL is told (`client.dns.lookup=resolve_canonical_bootstrap_servers_only`).
    pub fn by_canonical_name(self) -> Endpoint {
        Endpoint {
            by_canonical_name: true,
            ..self
        }
    }

    /// Whether it was made so by [`Endpoint::by_canonical_name`].
    pub fn is_by_canonical_name(&self) -> bool {
        self.by_canonical_name
    }

    /// The name or the address, without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The TCP port.
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A broker chose this string (metadata), so it is escaped: it may end in a log.
        let host = self.host.escape_default();
        if self.host.contains(':') {
            write!(f, "[{host}]:{}", self.port)
        } else {
            write!(f, "{host}:{}", self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_brackets_and_escapes() {
        assert_eq!(
            Endpoint::new("kafka.example", 9092).to_string(),
            "kafka.example:9092"
        );
        assert_eq!(Endpoint::new("::1", 1).to_string(), "[::1]:1");
        assert_eq!(Endpoint::new("[::1]", 1), Endpoint::new("::1", 1));
        assert_eq!(Endpoint::new("a\nb", 1).to_string(), "a\\nb:1");
    }
}

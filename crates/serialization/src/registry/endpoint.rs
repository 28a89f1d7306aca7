//! Where a registry is.

use crate::{ErrorKind, SerializeError};
use std::fmt;

/// A registry's address: `scheme://[user:password@]host[:port][/path]`.
#[derive(Clone, PartialEq, Eq)]
pub struct Endpoint {
    scheme: String,
    host: String,
    port: u16,
    path: String,
    user_info: Option<String>,
}

impl Endpoint {
    /// Reads an address.
    ///
    /// # Errors
    /// It is none. The text is not repeated, for it may hold a password.
    pub fn parse(text: &str) -> Result<Endpoint, SerializeError> {
        let wrong = |why: &str| {
            let message = format!(
                "schema.registry.url: {why}; expected http://host:port, https://host:port or mock://name"
            );
            SerializeError::new(ErrorKind::Refused, message)
        };
        let (scheme, rest) = text
            .trim()
            .split_once("://")
            .ok_or_else(|| wrong("an address has no scheme"))?;
        let scheme = scheme.to_ascii_lowercase();
        let default_port = match scheme.as_str() {
            "http" => 80,
            "https" => 443,
            "mock" => 0,
            _ => return Err(wrong("unknown scheme")),
        };
        let (authority, path) = match rest.find('/') {
            Some(at) => rest.split_at(at),
            None => (rest, ""),
        };
        if rest.contains(['?', '#']) || text.chars().any(|char| char.is_control() || char == ' ') {
            return Err(wrong(
                "an address holds a query, a fragment, a space or a control character",
            ));
        }
        let (user_info, server) = match authority.rsplit_once('@') {
            Some((user_info, server)) => (Some(user_info.to_owned()), server),
            None => (None, authority),
        };
        let (host, port) = match server.rsplit_once(':') {
            // The colon inside of an IPv6 address is none before a port.
            Some((host, port)) if !port.contains(']') => (
                host,
                port.parse().map_err(|_| wrong("an address has a bad port"))?,
            ),
            _ => (server, default_port),
        };
        if host.is_empty() {
            return Err(wrong("an address has no host"));
        }
        Ok(Endpoint {
            scheme,
            host: host.to_owned(),
            port,
            path: path.trim_end_matches('/').to_owned(),
            user_info,
        })
    }

    /// `http`, `https` or `mock`.
    pub fn scheme(&self) -> &str {
        &self.scheme
    }

    /// The host; IPv6 addresses stand in brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What stands in front of every path, without a slash at its end.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// User and password with a colon between, percent-decoded; a secret.
    pub(super) fn credentials(&self) -> Option<String> {
        self.user_info.as_deref().map(percent_decoded)
    }

    /// The URL of `path`, without user and password.
    pub(super) fn url(&self, path: &str) -> String {
        format!("{self}{path}")
    }
}

impl fmt::Display for Endpoint {
    /// Without user and password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme, self.host)?;
        if self.scheme != "mock" {
            write!(f, ":{}", self.port)?;
        }
        f.write_str(&self.path)
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// One segment of a path: subjects may hold any character.
pub(super) fn percent_encoded(segment: &str) -> String {
    let mut text = String::with_capacity(segment.len());
    for byte in segment.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    text
}

/// What [`percent_encoded`] encodes; a percent sign that begins no escape stands for itself.
pub(crate) fn percent_decoded(text: &str) -> String {
    let digit = |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16));
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        match (bytes[at], digit(bytes.get(at + 1)), digit(bytes.get(at + 2))) {
            (b'%', Some(high), Some(low)) => {
                // Two hexadecimal digits.
                decoded.push((high * 16 + low) as u8);
                at += 3;
            }
            (byte, ..) => {
                decoded.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read() {
        for (text, shown, user) in [
            ("http://a", "http://a:80", None),
            (
                "HTTPS://u:p%40q@a:8081/apis/ccompat/v7/",
                "https://a:8081/apis/ccompat/v7",
                Some("u:p@q"),
            ),
            ("http://[::1]", "http://[::1]:80", None),
            ("http://[::1]:8081", "http://[::1]:8081", None),
            ("mock://here", "mock://here", None),
        ] {
            let endpoint = Endpoint::parse(text).expect(text);
            assert_eq!(endpoint.to_string(), shown);
            assert_eq!(endpoint.credentials().as_deref(), user);
        }
    }

    #[test]
    fn what_is_no_address_is_refused_without_showing_it() {
        for text in [
            "",
            "a:80",
            "ftp://a",
            "http://",
            "http://canary@",
            "http://canary:x@a:port",
            "http://a?canary",
            "http://a/\r\nb",
        ] {
            let error = Endpoint::parse(text).expect_err(text).to_string();
            assert!(!error.contains("canary"), "{error}");
        }
    }

    #[test]
    fn any_subject_survives_a_path() {
        let subject = ":.ctx:a/b c%ü";
        assert_eq!(percent_encoded(subject), "%3A.ctx%3Aa%2Fb%20c%25%C3%BC");
        assert_eq!(percent_decoded(&percent_encoded(subject)), subject);
        assert_eq!(percent_decoded("100%"), "100%");
    }
}

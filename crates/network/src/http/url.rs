//! Addresses of HTTP servers.

use crate::Endpoint;
use crate::sasl::Secret;
use std::fmt;
use std::str::FromStr;

/// More than any address has that a person wrote.
const BYTES_MAX: usize = 8 << 10;

/// An `http` or `https` URL. It shows itself without user, password and query, which may be secret.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpUrl {
    is_tls: bool,
    endpoint: Endpoint,
    /// Path and query, as the server gets them.
    target: String,
    user_info: Option<Secret>,
}

impl HttpUrl {
    /// Whether it is `https`.
    pub fn is_tls(&self) -> bool {
        self.is_tls
    }

    /// Where the server listens.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Path and query.
    pub fn target(&self) -> &str {
        &self.target
    }

    /// What stood in front of an `@`, as it was written.
    pub fn user_info(&self) -> Option<&Secret> {
        self.user_info.as_ref()
    }

    /// Host and port as the header `Host` has them: without the port that is usual.
    pub(super) fn host(&self) -> String {
        let usual = if self.is_tls { 443 } else { 80 };
        let authority = self.authority();
        match authority.strip_suffix(&format!(":{usual}")) {
            Some(host) if self.endpoint.port() == usual => host.to_owned(),
            _ => authority,
        }
    }

    /// Host and port, always both.
    pub(super) fn authority(&self) -> String {
        let (host, port) = (self.endpoint.host(), self.endpoint.port());
        if host.contains(':') {
            format!("[{host}]:{port}")
        } else {
            format!("{host}:{port}")
        }
    }
}

impl FromStr for HttpUrl {
    type Err = InvalidUrl;

    fn from_str(text: &str) -> Result<HttpUrl, InvalidUrl> {
        let text = text.trim();
        if text.len() > BYTES_MAX {
            return Err(InvalidUrl("it is longer than 8 KiB"));
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(InvalidUrl("it has a character that must be percent-encoded"));
        }
        let (scheme, rest) = text.split_once("://").ok_or(NO_SCHEME)?;
        let is_tls = match scheme.to_ascii_lowercase().as_str() {
            "http" => false,
            "https" => true,
            _ => return Err(NO_SCHEME),
        };
        // A fragment is nothing that a server sees.
        let rest = rest.split('#').next().unwrap_or_default();
        let (authority, target) = match rest.find(['/', '?']) {
            Some(at) => rest.split_at(at),
            None => (rest, ""),
        };
        let (user_info, address) = match authority.rsplit_once('@') {
            Some((user_info, address)) => (Some(Secret::from(user_info)), address),
            None => (None, authority),
        };
        let (host, port) = split_port(address)?;
        let port = match port {
            Some(port) => port,
            None if is_tls => 443,
            None => 80,
        };
        Ok(HttpUrl {
            is_tls,
            endpoint: Endpoint::new(host, port),
            target: match target.strip_prefix('/') {
                Some(_) => target.to_owned(),
                None => format!("/{target}"),
            },
            user_info,
        })
    }
}

const NO_SCHEME: InvalidUrl = InvalidUrl("it must begin with http:// or https://");
pub(super) const PROXY_IN_PLAIN: InvalidUrl = InvalidUrl("a proxy is spoken to by http://, also for https");

/// Text without its percent-escapes; a percent sign that begins none stands for itself.
pub(super) fn percent_decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let digit = |at: usize| char::from(*bytes.get(at)?).to_digit(16);
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        match (bytes[at], digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                // Two hexadecimal digits are a byte.
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

fn split_port(address: &str) -> Result<(&str, Option<u16>), InvalidUrl> {
    // The colons of an IPv6 address stand in brackets.
    let after_host = address.rfind(']').map_or(0, |end| end + 1);
    let (host, port) = match address[after_host..].find(':') {
        None => (address, None),
        Some(at) => {
            let at = after_host + at;
            let port = address[at + 1..].parse().ok().filter(|port| *port > 0);
            let port = port.ok_or(InvalidUrl("its port is not a number between 1 and 65535"))?;
            (&address[..at], Some(port))
        }
    };
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:[]%".contains(&byte);
    if host.is_empty() || !host.bytes().all(fits) {
        return Err(InvalidUrl("it names no host"));
    }
    Ok((host, port))
}

impl fmt::Display for HttpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_tls { "https" } else { "http" };
        let path = self.target.split('?').next().unwrap_or_default();
        write!(f, "{scheme}://{}{path}", self.host())
    }
}

impl fmt::Debug for HttpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// Why a text is no address of an HTTP server. The text itself is not shown: a password may stand in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidUrl(&'static str);

impl fmt::Display for InvalidUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no address of an HTTP server: {}", self.0)
    }
}

impl std::error::Error for InvalidUrl {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read() {
        for (text, shown, authority, target, user) in [
            ("http://a", "http://a/", "a:80", "/", None),
            ("https://a:443/t", "https://a/t", "a:443", "/t", None),
            (
                "HTTPS://u:canary@a:8081/t/?q=canary#f",
                "https://a:8081/t/",
                "a:8081",
                "/t/?q=canary",
                Some("u:canary"),
            ),
            ("http://[::1]:80?x", "http://[::1]/", "[::1]:80", "/?x", None),
            ("https://[::1]", "https://[::1]/", "[::1]:443", "/", None),
            (" http://a:1/b \n", "http://a:1/b", "a:1", "/b", None),
        ] {
            let url: HttpUrl = text.parse().expect(text);
            assert_eq!(url.to_string(), shown);
            assert_eq!((url.authority().as_str(), url.target()), (authority, target));
            assert_eq!(url.user_info().map(Secret::reveal), user);
            assert!(!format!("{url:?}").contains("canary"));
        }
    }

    #[test]
    fn what_is_no_address_says_why_and_does_not_show_it() {
        for text in [
            "",
            "canary",
            "ftp://canary",
            "file:///canary",
            "http://",
            "http:///canary",
            "http://canary@",
            "http://u:canary@a:port",
            "http://canary:0",
            "http://canary:65536",
            "http://a/\r\ncanary: 1",
            "http://a/can ary",
            "http://a\u{e9}/canary",
            "http://a\\canary",
        ] {
            let error = text.parse::<HttpUrl>().expect_err(text);
            assert!(!format!("{error} {error:?}").contains("canary"), "{error}");
        }
        assert!(
            format!("http://a/{}", "x".repeat(BYTES_MAX))
                .parse::<HttpUrl>()
                .is_err()
        );
    }
}

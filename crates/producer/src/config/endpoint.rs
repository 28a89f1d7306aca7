//! The addresses of the bootstrap servers.

use nom::bytes::complete::{tag, take_while, take_while1};
use nom::character::complete::{char, digit1};
use nom::combinator::{all_consuming, map_res, opt, verify};
use nom::sequence::{delimited, preceded, terminated};
use nom::{IResult, Parser};
use std::fmt;
use std::net::Ipv6Addr;

/// A host and a port, as `bootstrap.servers` names them; not resolved yet.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct BootstrapServer {
    host: String,
    port: u16,
}

impl BootstrapServer {
    /// Reads `host:port`. A `scheme://` in front is ignored, as in Java; an IPv6 address may stand in brackets.
    pub(super) fn parse(text: &str) -> Result<BootstrapServer, String> {
        match all_consuming(server).parse(text) {
            Ok((_, (host, port))) => Ok(BootstrapServer {
                host: host.to_owned(),
                port,
            }),
            Err(_) => Err(explain(text)),
        }
    }

    /// A name or an address; an IPv6 address without its brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, never 0.
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl fmt::Display for BootstrapServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// Java's `HOST_PORT_PATTERN`, with the brackets in pairs and a host that is not empty.
fn server(text: &str) -> IResult<&str, (&str, u16)> {
    let scheme = terminated(take_while(is_host_character), tag("://"));
    let port = map_res(digit1, |digits: &str| match digits.parse::<u16>() {
        Ok(0) | Err(_) => Err(()),
        Ok(port) => Ok(port),
    });
    (preceded(opt(scheme), host), preceded(char(':'), port)).parse(text)
}

fn host(text: &str) -> IResult<&str, &str> {
    let bracketed = delimited(
        char('['),
        take_while1(|c| is_host_character(c) || c == ':'),
        char(']'),
    );
    // Java's pattern is greedy: `::1:9092` is the address `::1`, and its last part the port.
    let bare = verify(host_before_last_colon, |host: &str| {
        !host.contains(':') || host.parse::<Ipv6Addr>().is_ok()
    });
    bracketed.or(bare).parse(text)
}

fn host_before_last_colon(text: &str) -> IResult<&str, &str> {
    let (rest, run) = take_while1(|c| is_host_character(c) || c == ':')(text)?;
    match run.rfind(':') {
        Some(colon) if colon > 0 => Ok((&text[colon..], &text[..colon])),
        _ => Ok((rest, run)),
    }
}

fn is_host_character(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '-' | '%' | '.' | '_')
}

fn explain(text: &str) -> String {
    let after_scheme = text.split_once("://").map_or(text, |(_, rest)| rest);
    let port = after_scheme.rsplit_once(':').map(|(_, port)| port);
    match port {
        None if !after_scheme.is_empty() && after_scheme.chars().all(is_host_character) => {
            format!("{text:?} has no port; expected host:port, for example {after_scheme}:9092")
        }
        Some(port) if !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) => {
            if matches!(port.parse::<u16>(), Ok(0) | Err(_)) {
                format!("{text:?} has a port outside 1 to 65535")
            } else {
                format!("{text:?} is not host:port (an IPv6 address stands in brackets)")
            }
        }
        _ => format!("{text:?} is not host:port (an IPv6 address stands in brackets)"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<(&str, u16), &str>) {
        match (BootstrapServer::parse(text), expected) {
            (Ok(server), Ok((host, port))) => {
                assert_eq!((server.host(), server.port()), (host, port), "{text}")
            }
            (Err(reason), Err(part)) => assert!(reason.contains(part), "{text}: {reason}"),
            (found, expected) => panic!("{text}: found {found:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn hosts_and_ports() {
        check("localhost:9092", Ok(("localhost", 9092)));
        check(
            "PLAINTEXT://kafka-1.example.com:65535",
            Ok(("kafka-1.example.com", 65535)),
        );
        check("://a:1", Ok(("a", 1)));
        check("127.0.0.1:1", Ok(("127.0.0.1", 1)));
        check("[::1]:9092", Ok(("::1", 9092)));
        check("SSL://[fe80::1%eth0]:9092", Ok(("fe80::1%eth0", 9092)));
        check("::1:9092", Ok(("::1", 9092)));
        check("my_host:09092", Ok(("my_host", 9092)));
    }

    #[test]
    fn what_is_refused_says_why() {
        check("localhost", Err("localhost:9092"));
        check("localhost:0", Err("1 to 65535"));
        check("localhost:65536", Err("1 to 65535"));
        check("localhost:99999999999999999999", Err("1 to 65535"));
        check("localhost:", Err("host:port"));
        check(":9092", Err("host:port"));
        check("", Err("host:port"));
        check("a b:9092", Err("host:port"));
        check("a:9092/path", Err("host:port"));
        check("[::1:9092", Err("brackets"));
        check("a:b:9092", Err("brackets"));
        check("bücher.example:9092", Err("host:port"));
    }

    #[test]
    fn shows_itself_so_that_it_can_be_read_again() {
        for text in ["a:1", "[::1]:9092"] {
            assert_eq!(BootstrapServer::parse(text).expect("valid").to_string(), text);
        }
    }
}

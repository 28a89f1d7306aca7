//! librdkafka's names for what Java names otherwise.

use super::error::{ConfigError, Origin, Warning};
use super::settings::Entry;
use super::value::trim;
use zeroize::Zeroizing;

const JAAS: &str = "sasl.jaas.config";

/// What a name of librdkafka's becomes.
enum Target {
    /// The same value under another name.
    Key(&'static str),
    /// A value that has to be rewritten: the key, and the rule.
    Rewritten(&'static str, fn(&str) -> Result<String, &'static str>),
    /// The level of whichever codec is chosen.
    CompressionLevel,
    /// A file, or text, in PEM form: the key, and the key of the store's type.
    Pem(&'static str, &'static str),
    /// Credentials, which Java puts into `sasl.jaas.config`.
    Credential,
    /// Nothing here corresponds to it, and nothing that a broker sees depends on it: why.
    Nothing(&'static str),
    /// Switched off, it would weaken security: why that is refused.
    Refused(&'static str),
}

use Target::{CompressionLevel, Credential, Key, Nothing, Pem, Refused, Rewritten};

#[rustfmt::skip]
static ALIASES: &[(&str, Target)] = &[
    ("batch.num.messages", Nothing("batches are limited by batch.size, in bytes")),
    ("compression.codec", Rewritten("compression.type", compression)),
    ("compression.level", CompressionLevel),
    ("enable.ssl.certificate.verification", Refused("certificates are always verified")),
    ("max.in.flight", Key("max.in.flight.requests.per.connection")),
    ("message.max.bytes", Key("max.request.size")),
    ("message.send.max.retries", Key("retries")),
    ("message.timeout.ms", Rewritten("delivery.timeout.ms", zero_is_for_ever)),
    ("metadata.broker.list", Rewritten("bootstrap.servers", with_ports)),
    ("partitioner", Key("partitioner.class")),
    ("queue.buffering.max.kbytes", Rewritten("buffer.memory", kibibytes)),
    ("queue.buffering.max.messages", Nothing("what waits is limited by buffer.memory, in bytes")),
    ("queue.buffering.max.ms", Key("linger.ms")),
    ("request.required.acks", Key("acks")),
    ("sasl.mechanisms", Key("sasl.mechanism")),
    ("sasl.password", Credential),
    ("sasl.username", Credential),
    ("socket.keepalive.enable", Nothing("connections are always kept alive")),
    ("socket.nagle.disable", Nothing("Nagle's algorithm is always off")),
    ("socket.receive.buffer.bytes", Rewritten("receive.buffer.bytes", zero_is_system)),
    ("socket.send.buffer.bytes", Rewritten("send.buffer.bytes", zero_is_system)),
    ("ssl.ca.location", Pem("ssl.truststore.location", "ssl.truststore.type")),
    ("ssl.ca.pem", Pem("ssl.truststore.certificates", "ssl.truststore.type")),
    ("ssl.certificate.location", Pem("ssl.keystore.location", "ssl.keystore.type")),
    ("ssl.certificate.pem", Pem("ssl.keystore.certificate.chain", "ssl.keystore.type")),
    ("ssl.key.location", Pem("ssl.keystore.location", "ssl.keystore.type")),
    ("ssl.key.pem", Pem("ssl.keystore.key", "ssl.keystore.type")),
    ("topic.metadata.refresh.interval.ms", Key("metadata.max.age.ms")),
];

/// The names that are translated, for "did you mean".
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    ALIASES.iter().map(|(name, _)| *name)
}

/// The keys and values that stand for `name=value` in Java's names.
pub(super) struct Translation {
    pub(super) settings: Vec<(String, String)>,
    pub(super) warning: Warning,
}

/// Translates a name of librdkafka's; `None` when it is not one. `codec` is the value of `compression.type`.
pub(super) fn translate(
    name: &str,
    value: &str,
    codec: Option<&str>,
    origin: &Origin,
) -> Option<Result<Translation, ConfigError>> {
    let position = ALIASES.binary_search_by(|(alias, _)| (*alias).cmp(name)).ok()?;
    let (name, target) = &ALIASES[position];
    let renamed = |key: &str, value: String| {
        let warning = Warning::new(name, format!("librdkafka's name for {key}"), Some(origin));
        Ok(Translation {
            settings: vec![(key.to_owned(), value)],
            warning,
        })
    };
    let refused = |reason: &str| Err(ConfigError::key(name, reason, Some(origin)));
    Some(match target {
        Key(key) => renamed(key, value.to_owned()),
        Rewritten(key, rule) => match rule(trim(value)) {
            Ok(value) => renamed(key, value),
            Err(reason) => refused(&format!("librdkafka's name for {key}: {reason}")),
        },
        CompressionLevel => match (codec, trim(value)) {
            // librdkafka's default: each codec has its own.
            (_, "-1") => nothing(name, "-1 leaves each codec its default level", origin),
            (Some(codec @ ("gzip" | "lz4" | "zstd")), _) => {
                renamed(&format!("compression.{codec}.level"), value.to_owned())
            }
            _ => nothing(name, "compression.type names no codec that has levels", origin),
        },
        Pem(key, kind) => renamed(key, value.to_owned()).map(|mut translation| {
            translation.settings.push(((*kind).to_owned(), "PEM".to_owned()));
            translation
        }),
        // Both make one entry together, by `credentials`.
        Credential => {
            let warning = Warning::new(
                name,
                "librdkafka's name for a part of sasl.jaas.config",
                Some(origin),
            );
            Ok(Translation {
                settings: Vec::new(),
                warning,
            })
        }
        Nothing(why) => nothing(name, why, origin),
        Refused(why) if trim(value).eq_ignore_ascii_case("true") => nothing(name, why, origin),
        Refused(why) => refused(why),
    })
}

/// The value of `sasl.jaas.config` that librdkafka's user and password make, and where it came from.
///
/// The login module is one that PLAIN and both mechanisms of SCRAM take. Java's key wins if it is set, too.
pub(super) fn credentials(entries: &[Entry]) -> Option<Result<Entry, ConfigError>> {
    let last = |key: &str| entries.iter().rev().find(|entry| entry.key == key);
    let (user, password) = (last("sasl.username"), last("sasl.password"));
    let lonely = |entry: &Entry, other: &str| {
        let reason = format!("needs {other} beside it");
        Some(Err(ConfigError::key(&entry.key, reason, Some(&entry.origin))))
    };
    let (user, password) = match (user, password) {
        _ if last(JAAS).is_some() => return None,
        (None, None) => return None,
        (Some(user), None) => return lonely(user, "sasl.password"),
        (None, Some(password)) => return lonely(password, "sasl.username"),
        (Some(user), Some(password)) => (user, password),
    };
    let (name, secret) = (quoted(&user.value), quoted(&password.value));
    let value = format!(
        "org.apache.kafka.common.security.scram.ScramLoginModule required username={} password={};",
        *name, *secret
    );
    Some(Ok(Entry {
        key: JAAS.to_owned(),
        value: Zeroizing::new(value),
        origin: password.origin.clone(),
        provided: user.provided || password.provided,
    }))
}

/// A text in quotes as JAAS has it.
fn quoted(text: &str) -> Zeroizing<String> {
    // Large enough for every escape, so that no smaller copy is left behind.
    let mut quoted = Zeroizing::new(String::with_capacity(2 * text.len() + 2));
    quoted.push('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}

fn nothing(name: &str, why: &str, origin: &Origin) -> Result<Translation, ConfigError> {
    let warning = Warning::new(
        name,
        format!("librdkafka's; has no counterpart here and is ignored: {why}"),
        Some(origin),
    );
    Ok(Translation {
        settings: Vec::new(),
        warning,
    })
}

/// librdkafka also takes a host without its port.
fn with_ports(value: &str) -> Result<String, &'static str> {
    let with_port = |server: &str| {
        let server = trim(server);
        let host = server.rsplit_once("://").map_or(server, |(_, host)| host);
        let has_port = if host.starts_with('[') {
            host.contains("]:")
        } else {
            host.contains(':')
        };
        if has_port || host.is_empty() {
            server.to_owned()
        } else {
            format!("{server}:9092")
        }
    };
    Ok(value.split(',').map(with_port).collect::<Vec<_>>().join(","))
}

fn compression(value: &str) -> Result<String, &'static str> {
    Ok(if value == "inherit" { "none" } else { value }.to_owned())
}

fn kibibytes(value: &str) -> Result<String, &'static str> {
    value
        .parse::<i64>()
        .ok()
        .and_then(|kibibytes| kibibytes.checked_mul(1024))
        .map(|bytes| bytes.to_string())
        .ok_or("expected a whole number of KiB")
}

fn zero_is_for_ever(value: &str) -> Result<String, &'static str> {
    Ok(if value == "0" {
        i32::MAX.to_string()
    } else {
        value.to_owned()
    })
}

fn zero_is_system(value: &str) -> Result<String, &'static str> {
    Ok(if value == "0" { "-1" } else { value }.to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::table::definition;
    use super::*;

    #[track_caller]
    fn check(name: &str, value: &str, expected: &[(&str, &str)]) {
        let translation = match translate(name, value, Some("zstd"), &Origin::Code) {
            Some(Ok(translation)) => translation,
            Some(Err(error)) => panic!("{name}: {error}"),
            None => panic!("{name} is not known"),
        };
        let found: Vec<_> = translation
            .settings
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()))
            .collect();
        assert_eq!(found, expected, "{name}={value}");
        assert!(found.iter().all(|(key, _)| definition(key).is_some()), "{name}");
        assert!(translation.warning.to_string().contains(name));
    }

    #[test]
    fn names_are_sorted_and_not_javas() {
        let names: Vec<_> = names().collect();
        assert!(names.is_sorted());
        assert!(names.iter().all(|name| definition(name).is_none()));
    }

    #[test]
    fn values_are_carried_over() {
        check("queue.buffering.max.ms", "7", &[("linger.ms", "7")]);
        check(
            "queue.buffering.max.kbytes",
            " 1024 ",
            &[("buffer.memory", "1048576")],
        );
        check(
            "message.timeout.ms",
            "0",
            &[("delivery.timeout.ms", "2147483647")],
        );
        check(
            "metadata.broker.list",
            "a, b:1,[::1]",
            &[("bootstrap.servers", "a:9092,b:1,[::1]:9092")],
        );
        check("compression.level", "7", &[("compression.zstd.level", "7")]);
        check("compression.level", "-1", &[]);
        check("socket.send.buffer.bytes", "0", &[("send.buffer.bytes", "-1")]);
        check(
            "ssl.ca.location",
            "ca.pem",
            &[
                ("ssl.truststore.location", "ca.pem"),
                ("ssl.truststore.type", "PEM"),
            ],
        );
        check("batch.num.messages", "10", &[]);
    }

    #[test]
    fn user_and_password_make_an_entry() {
        let entry = |key: &str, value: &str| Entry {
            key: key.to_owned(),
            value: Zeroizing::new(value.to_owned()),
            origin: Origin::Code,
            provided: false,
        };
        let (user, password) = (
            entry("sasl.username", "al\"ice"),
            entry("sasl.password", "a\\b\n'=;"),
        );
        let both = [user.clone(), entry("sasl.password", "old"), password.clone()];
        let made = credentials(&both).expect("an entry").expect("a whole one");
        let jaas = ottla_network::sasl::jaas::JaasEntry::parse(&made.value).expect("by the grammar");
        assert_eq!(
            jaas.option("username").map(|value| value.reveal()),
            Some("al\"ice")
        );
        assert_eq!(
            jaas.option("password").map(|value| value.reveal()),
            Some("a\\b\n'=;")
        );

        let error = credentials(std::slice::from_ref(&password))
            .expect("an answer")
            .err()
            .expect("an error");
        assert!(error.to_string().contains("sasl.username") && !error.to_string().contains("a\\b"));
        assert!(credentials(std::slice::from_ref(&user)).is_some_and(|made| made.is_err()));
        assert!(credentials(&[user, password, entry(JAAS, "x")]).is_none());
        assert!(credentials(&[]).is_none());
    }

    #[test]
    fn what_cannot_be_carried_over_is_refused() {
        for (name, value) in [
            ("queue.buffering.max.kbytes", "9223372036854775807"),
            ("enable.ssl.certificate.verification", "false"),
        ] {
            match translate(name, value, None, &Origin::Code) {
                Some(Err(error)) => {
                    assert!(error.to_string().contains(name) && !error.to_string().contains("canary"))
                }
                _ => panic!("{name} was accepted"),
            }
        }
        assert!(translate("linger.ms", "5", None, &Origin::Code).is_none());
    }
}

//! The settings that are a choice between a few names.

use ottla_partitioning::{DefaultPartitioner, Librdkafka, LibrdkafkaScheme, Partitioner, RoundRobin};
use std::fmt;
use std::str::FromStr;

/// When a broker answers that it has a batch (`acks`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Acks {
    /// Never: what was written counts as sent, and offsets stay unknown.
    None,
    /// When the partition's leader has it.
    Leader,
    /// When all in-sync replicas have it.
    #[default]
    All,
}

impl Acks {
    /// The number that stands for it in a produce request.
    pub fn wire_value(self) -> i16 {
        match self {
            Acks::None => 0,
            Acks::Leader => 1,
            Acks::All => -1,
        }
    }
}

/// How connections are secured (`security.protocol`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SecurityProtocol {
    /// Not at all.
    #[default]
    Plaintext,
    /// TLS.
    Ssl,
    /// SASL without encryption.
    SaslPlaintext,
    /// SASL over TLS.
    SaslSsl,
}

/// How a record without a partition gets one (`partitioner.class`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PartitionerKind {
    /// Java's default: the murmur2 hash of the key, and a sticky partition without one (KIP-794).
    #[default]
    Default,
    /// Java's `RoundRobinPartitioner`: each partition in turn, whatever the key.
    RoundRobin,
    /// One of librdkafka's.
    Librdkafka(LibrdkafkaScheme),
}

impl PartitionerKind {
    /// The partitioner; `ignore_keys` concerns the default one, as in Java.
    pub(crate) fn build(self, ignore_keys: bool) -> Box<dyn Partitioner> {
        match self {
            PartitionerKind::Default => Box::new(DefaultPartitioner::new().ignore_keys(ignore_keys)),
            PartitionerKind::RoundRobin => Box::new(RoundRobin),
            PartitionerKind::Librdkafka(scheme) => Box::new(Librdkafka::new(scheme)),
        }
    }
}

const DEFAULT: &str = "default";
const ROUND_ROBIN: &str = "org.apache.kafka.clients.producer.RoundRobinPartitioner";

impl FromStr for PartitionerKind {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<PartitionerKind, UnknownName> {
        match name {
            DEFAULT => Ok(PartitionerKind::Default),
            ROUND_ROBIN | "round_robin" => Ok(PartitionerKind::RoundRobin),
            _ => name
                .parse()
                .map(PartitionerKind::Librdkafka)
                .map_err(|_| UnknownName(())),
        }
    }
}

impl fmt::Display for PartitionerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            PartitionerKind::Default => DEFAULT,
            PartitionerKind::RoundRobin => ROUND_ROBIN,
            PartitionerKind::Librdkafka(scheme) => scheme.name(),
        })
    }
}

/// Implements reading and writing of a choice from one list of its names; the first of several is the one that is shown.
macro_rules! names {
    ($type:ident, $compare:ident, $($($name:literal)|+ => $variant:ident,)+) => {
        impl FromStr for $type {
            type Err = UnknownName;

            fn from_str(name: &str) -> Result<$type, UnknownName> {
                $($(if name.$compare($name) { return Ok($type::$variant); })+)+
                Err(UnknownName(()))
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(match self {
                    $($type::$variant => [$($name),+][0],)+
                })
            }
        }
    };
}

names! { Acks, eq,
    "all" | "-1" => All,
    "1" => Leader,
    "0" => None,
}
names! { SecurityProtocol, eq_ignore_ascii_case,
    "PLAINTEXT" => Plaintext,
    "SSL" => Ssl,
    "SASL_PLAINTEXT" => SaslPlaintext,
    "SASL_SSL" => SaslSsl,
}
/// A name that stands for none of the choices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownName(());

impl fmt::Display for UnknownName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("unknown name")
    }
}

impl std::error::Error for UnknownName {}

#[cfg(test)]
mod tests {
    use super::super::definition::Allowed;
    use super::super::table::definition;
    use super::*;

    /// Every name that the table allows is a choice.
    #[track_caller]
    fn check<T: FromStr + fmt::Display>(key: &str) {
        let allowed = definition(key).expect("a key of the table").allowed;
        let (Allowed::OneOf(names) | Allowed::OneOfIgnoringCase(names)) = allowed else {
            panic!("{key} is no choice")
        };
        for name in names {
            match name.parse::<T>() {
                Ok(choice) if *name != "-1" => assert_eq!(choice.to_string(), *name),
                Ok(_) => {}
                Err(_) => panic!("{key}={name} is not known"),
            }
        }
    }

    #[test]
    fn names_are_those_of_the_table() {
        check::<Acks>("acks");
        check::<ottla_protocol::compression::Compression>("compression.type");
        check::<SecurityProtocol>("security.protocol");
        assert_eq!("-1".parse(), Ok(Acks::All));
        assert_eq!("sasl_ssl".parse(), Ok(SecurityProtocol::SaslSsl));
        for kind in [PartitionerKind::Default, PartitionerKind::RoundRobin] {
            assert_eq!(kind.to_string().parse(), Ok(kind));
        }
        assert_eq!(
            "fnv1a".parse(),
            Ok(PartitionerKind::Librdkafka(LibrdkafkaScheme::Fnv1a))
        );
        assert!("Murmur2".parse::<PartitionerKind>().is_err());
    }
}

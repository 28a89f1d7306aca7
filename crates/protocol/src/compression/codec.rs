//! The codecs' names, ids and levels.

use super::CodecError;
use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

/// How the records of a batch are compressed.
///
/// The ids and names are Kafka's; a new one would need a new protocol version, so the list may grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Compression {
    /// Not at all.
    #[default]
    None,
    /// RFC 1952.
    Gzip,
    /// Snappy in xerial's stream format.
    Snappy,
    /// The LZ4 frame format.
    Lz4,
    /// RFC 8878. Brokers take it in Produce v7 and later.
    Zstd,
}

impl Compression {
    /// Every one, by ascending id.
    pub const ALL: [Compression; 5] = [
        Compression::None,
        Compression::Gzip,
        Compression::Snappy,
        Compression::Lz4,
        Compression::Zstd,
    ];

    /// The id in a batch's attributes.
    pub const fn id(self) -> u8 {
        match self {
            Compression::None => 0,
            Compression::Gzip => 1,
            Compression::Snappy => 2,
            Compression::Lz4 => 3,
            Compression::Zstd => 4,
        }
    }

    /// The codec of this id.
    pub const fn from_id(id: u8) -> Option<Compression> {
        match id {
            0 => Some(Compression::None),
            1 => Some(Compression::Gzip),
            2 => Some(Compression::Snappy),
            3 => Some(Compression::Lz4),
            4 => Some(Compression::Zstd),
            _ => None,
        }
    }

    /// The name in Kafka's configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Compression::None => "none",
            Compression::Gzip => "gzip",
            Compression::Snappy => "snappy",
            Compression::Lz4 => "lz4",
            Compression::Zstd => "zstd",
        }
    }

    /// The levels that Kafka accepts for this codec, if it has levels.
    pub const fn levels(self) -> Option<RangeInclusive<i32>> {
        match self {
            Compression::None | Compression::Snappy => None,
            Compression::Gzip => Some(1..=9),
            Compression::Lz4 => Some(1..=17),
            Compression::Zstd => Some(-131_072..=22),
        }
    }

    /// The level in force if none is set: Java's.
    pub const fn default_level(self) -> Option<i32> {
        match self {
            Compression::None | Compression::Snappy => None,
            // zlib's own name for "the default", which is 6.
            Compression::Gzip => Some(-1),
            Compression::Lz4 => Some(9),
            Compression::Zstd => Some(3),
        }
    }

    /// Whether this build can compress and decompress it.
    pub const fn is_available(self) -> bool {
        match self {
            Compression::None => true,
            Compression::Gzip => cfg!(feature = "gzip"),
            Compression::Snappy => cfg!(feature = "snappy"),
            Compression::Lz4 => cfg!(feature = "lz4"),
            Compression::Zstd => cfg!(any(feature = "zstd", feature = "zstd-rust")),
        }
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Compression {
    type Err = CodecError;

    /// Reads a name as Java's `compression.type` does: in lower case, exactly.
    fn from_str(name: &str) -> Result<Compression, CodecError> {
        let found = Compression::ALL
            .into_iter()
            .find(|compression| compression.name() == name);
        found.ok_or_else(|| CodecError::UnknownName {
            name: name.to_owned(),
        })
    }
}

/// A compression with the level to use, which is within what the codec takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Codec {
    compression: Compression,
    level: Option<i32>,
}

impl Codec {
    /// The codec at its default level.
    pub const fn new(compression: Compression) -> Codec {
        Codec {
            compression,
            level: compression.default_level(),
        }
    }

    /// The codec at this level.
    ///
    /// # Errors
    ///
    /// If the codec has no levels, or not this one.
    pub fn with_level(compression: Compression, level: i32) -> Result<Codec, CodecError> {
        let valid = match compression.levels() {
            Some(levels) => levels.contains(&level) || compression.default_level() == Some(level),
            None => false,
        };
        if valid {
            Ok(Codec {
                compression,
                level: Some(level),
            })
        } else {
            Err(CodecError::Level {
                compression,
                level: level.to_string(),
            })
        }
    }

    /// The codec itself.
    pub const fn compression(self) -> Compression {
        self.compression
    }

    /// The level, if the codec has levels.
    pub const fn level(self) -> Option<i32> {
        self.level
    }
}

impl From<Compression> for Codec {
    fn from(compression: Compression) -> Codec {
        Codec::new(compression)
    }
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.level {
            Some(level) => write!(f, "{}:{level}", self.compression),
            None => f.write_str(self.compression.name()),
        }
    }
}

impl FromStr for Codec {
    type Err = CodecError;

    /// Reads `codec` or `codec:level`.
    ///
    /// ```
    /// use ottla_protocol::compression::{Codec, Compression};
    /// assert_eq!("zstd:-5".parse(), Codec::with_level(Compression::Zstd, -5));
    /// assert_eq!("gzip".parse(), Ok(Codec::new(Compression::Gzip)));
    /// assert!("snappy:1".parse::<Codec>().is_err());
    /// ```
    fn from_str(text: &str) -> Result<Codec, CodecError> {
        match text.split_once(':') {
            None => text.parse().map(Codec::new),
            Some((name, level)) => {
                let compression = name.parse()?;
                match level.parse() {
                    Ok(level) => Codec::with_level(compression, level),
                    Err(_) => Err(CodecError::Level {
                        compression,
                        level: level.to_owned(),
                    }),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_ids_round_trip() {
        for (id, compression) in Compression::ALL.into_iter().enumerate() {
            assert_eq!(usize::from(compression.id()), id);
            assert_eq!(Compression::from_id(compression.id()), Some(compression));
            assert_eq!(compression.name().parse(), Ok(compression));
            let codec = Codec::new(compression);
            assert_eq!(codec.to_string().parse(), Ok(codec));
        }
        assert_eq!(Compression::from_id(5), None);
        assert_eq!(
            "GZIP".parse::<Compression>(),
            Err(CodecError::UnknownName {
                name: "GZIP".to_owned()
            })
        );
    }

    #[test]
    fn levels_are_javas() {
        let accepted = |text: &str| text.parse::<Codec>().is_ok();
        assert!(accepted("gzip:-1") && accepted("gzip:1") && accepted("gzip:9"));
        assert!(!accepted("gzip:0") && !accepted("gzip:10") && !accepted("gzip:-2"));
        assert!(accepted("lz4:1") && accepted("lz4:17") && !accepted("lz4:0") && !accepted("lz4:18"));
        assert!(accepted("zstd:-131072") && accepted("zstd:22") && accepted("zstd:0"));
        assert!(!accepted("zstd:-131073") && !accepted("zstd:23"));
        assert!(!accepted("snappy:1") && !accepted("none:1") && !accepted("lz4:") && !accepted("lz4:fast"));
    }

    #[test]
    fn errors_say_what_is_allowed() {
        let error = |text: &str| text.parse::<Codec>().expect_err("invalid").to_string();
        assert_eq!(
            error("brotli"),
            "unknown compression `brotli`: expected none, gzip, snappy, lz4 or zstd"
        );
        assert_eq!(
            error("gzip:0"),
            "gzip has no level 0: expected 1 to 9, or -1 for the default"
        );
        assert_eq!(error("zstd:x"), "zstd has no level x: expected -131072 to 22");
        assert_eq!(error("snappy:1"), "snappy has no levels");
    }
}

//! What can go wrong with a codec: its name, compressing, decompressing.

use super::Compression;
use std::fmt;

/// A codec or level that does not exist.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CodecError {
    /// No codec has this name.
    UnknownName {
        /// The name.
        name: String,
    },
    /// The codec has no such level.
    Level {
        /// The codec.
        compression: Compression,
        /// The level, as it was given.
        level: String,
    },
}

impl fmt::Display for CodecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CodecError::UnknownName { name } => {
                write!(
                    f,
                    "unknown compression `{name}`: expected none, gzip, snappy, lz4 or zstd"
                )
            }
            CodecError::Level { compression, level } => match compression.levels() {
                None => write!(f, "{compression} has no levels"),
                Some(levels) => {
                    write!(
                        f,
                        "{compression} has no level {level}: expected {} to {}",
                        levels.start(),
                        levels.end()
                    )?;
                    match compression.default_level() {
                        Some(default) if !levels.contains(&default) => {
                            write!(f, ", or {default} for the default")
                        }
                        _ => Ok(()),
                    }
                }
            },
        }
    }
}

impl std::error::Error for CodecError {}

/// Bytes that could not be compressed. No input causes it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CompressError {
    /// The codec is not compiled in: the crate's feature of the same name is off.
    NotCompiledIn(Compression),
    /// The codec's library failed, which only a lack of memory explains.
    Library {
        /// The codec.
        compression: Compression,
        /// What the library says.
        reason: &'static str,
    },
}

impl fmt::Display for CompressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CompressError::NotCompiledIn(compression) => write_not_compiled_in(*compression, f),
            CompressError::Library { compression, reason } => write!(f, "{compression} failed: {reason}"),
        }
    }
}

impl std::error::Error for CompressError {}

/// Bytes that could not be decompressed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecompressError {
    /// The codec is not compiled in: the crate's feature of the same name is off.
    NotCompiledIn(Compression),
    /// The bytes are not what the codec writes.
    Corrupt {
        /// The codec.
        compression: Compression,
        /// What is wrong with them.
        reason: &'static str,
    },
    /// The bytes decompress to more than the caller takes.
    TooLarge {
        /// The caller's limit in bytes.
        limit: usize,
    },
}

impl fmt::Display for DecompressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DecompressError::NotCompiledIn(compression) => write_not_compiled_in(*compression, f),
            DecompressError::Corrupt { compression, reason } => {
                write!(f, "not valid {compression}: {reason}")
            }
            DecompressError::TooLarge { limit } => write!(f, "larger than the limit of {limit} bytes"),
        }
    }
}

impl std::error::Error for DecompressError {}

fn write_not_compiled_in(compression: Compression, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(
        f,
        "{compression} is not compiled in: enable the feature `{compression}` of ottla-protocol"
    )
}

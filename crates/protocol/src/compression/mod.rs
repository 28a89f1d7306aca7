//! The codecs of record batches: gzip, snappy, lz4 and zstd, framed as Kafka's Java client frames them.
//!
//! A [`Compressor`] and a [`Decompressor`] keep their contexts and tables from batch to batch, and neither knows
//! batches: they turn bytes into bytes. What a [`Decompressor`] makes of hostile bytes is bounded by the caller's
//! limit, in time and in memory.
//!
//! | codec | framing written | levels | feature |
//! |---|---|---|---|
//! | gzip | one member, with Java's header | 1 to 9, or -1 for the default | `gzip` |
//! | snappy | xerial's stream of 32 KiB blocks | none | `snappy` |
//! | lz4 | a frame of independent 64 KiB blocks, no checksums | 1 to 17; 9, the default, is the *fast* compressor | `lz4` |
//! | zstd | one frame without content size and checksum | -131072 to 22, 3 by default | `zstd`, or `zstd-rust` without C |
//!
//! The levels are Java's, and mean what they mean there: sizes are close to Java's, bytes need not be the same. Every
//! level of lz4 but 9 searches longer for a smaller output, and those above 12 are the same as 12. With `zstd-rust`, which
//! needs no C compiler, every level of zstd is the same, and about 1.
//!
//! Every codec can be named whatever features are on; to use one that is not compiled in is an error that says which
//! feature it takes.
//!
//! ```
//! # #[cfg(feature = "lz4")] {
//! use ottla_protocol::compression::{Codec, Compressor, Decompressor};
//!
//! let codec: Codec = "lz4".parse()?;
//! let mut compressor = Compressor::new(codec)?;
//! let mut compressed = Vec::new();
//! compressor.compress(&[b"chunk after chunk, ".as_slice(), b"chunk after chunk"], &mut compressed)?;
//!
//! let mut plain = Vec::new();
//! Decompressor::new().decompress(codec.compression(), &compressed, 1 << 20, &mut plain)?;
//! assert_eq!(plain, b"chunk after chunk, chunk after chunk");
//! # }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod codec;
mod compressor;
mod decompressor;
mod error;
#[cfg(feature = "gzip")]
mod gzip;
#[cfg(feature = "lz4")]
mod lz4;
#[cfg(feature = "snappy")]
mod snappy;
#[cfg(feature = "zstd")]
mod zstd;
#[cfg(any(feature = "zstd", feature = "zstd-rust"))]
mod zstd_bound;
// Where both are compiled in, C's is used: it is faster, and has levels.
#[cfg(all(feature = "zstd-rust", not(feature = "zstd")))]
#[path = "zstd_rust.rs"]
mod zstd;

pub use codec::{Codec, Compression};
pub use compressor::Compressor;
pub use decompressor::Decompressor;
pub use error::{CodecError, CompressError, DecompressError};

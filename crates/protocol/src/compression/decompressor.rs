//! Decompressing a payload within the caller's limit.

#[cfg(feature = "gzip")]
use super::gzip;
#[cfg(feature = "lz4")]
use super::lz4;
#[cfg(feature = "snappy")]
use super::snappy;
#[cfg(any(feature = "zstd", feature = "zstd-rust"))]
use super::zstd;
use super::{Compression, DecompressError};
use std::fmt;

/// The contexts of all codecs for reading, each made when it is first used and kept from batch to batch.
#[derive(Default)]
pub struct Decompressor {
    #[cfg(feature = "gzip")]
    gzip: Option<Box<gzip::Decoder>>,
    #[cfg(any(feature = "zstd", feature = "zstd-rust"))]
    zstd: Option<Box<zstd::Decoder>>,
}

impl Decompressor {
    /// A decompressor, which holds no context yet.
    pub fn new() -> Decompressor {
        Decompressor::default()
    }

    /// Decompresses `input` and appends it to `out`, at most `limit` bytes. After an error, `out` may hold a part.
    ///
    /// Memory is bounded by `limit` (and 64 KiB of context), whatever the input announces.
    ///
    /// # Errors
    ///
    /// If the input is not what the codec writes, is larger than `limit`, or the codec is not compiled in.
    pub fn decompress(
        &mut self,
        compression: Compression,
        input: &[u8],
        limit: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), DecompressError> {
        #[allow(
            unused_mut,
            unused_variables,
            reason = "used by the codecs that are compiled in"
        )]
        let mut output = Output::new(compression, out, limit);
        match compression {
            Compression::None => output.extend(input),
            #[cfg(feature = "gzip")]
            Compression::Gzip => self.gzip.get_or_insert_default().decompress(input, output),
            #[cfg(feature = "snappy")]
            Compression::Snappy => snappy::decompress(input, output),
            #[cfg(feature = "lz4")]
            Compression::Lz4 => lz4::decompress(input, output),
            #[cfg(any(feature = "zstd", feature = "zstd-rust"))]
            Compression::Zstd => self.zstd.get_or_insert_default().decompress(input, output),
            #[allow(unreachable_patterns, reason = "with all features on, every codec is above")]
            missing => Err(DecompressError::NotCompiledIn(missing)),
        }
    }
}

impl fmt::Debug for Decompressor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decompressor").finish_non_exhaustive()
    }
}

/// The caller's buffer, with the limit on what may be appended.
pub(super) struct Output<'a> {
    compression: Compression,
    pub(super) bytes: &'a mut Vec<u8>,
    /// The length of the buffer before.
    start: usize,
    limit: usize,
}

impl<'a> Output<'a> {
    fn new(compression: Compression, bytes: &'a mut Vec<u8>, limit: usize) -> Output<'a> {
        let start = bytes.len();
        Output {
            compression,
            bytes,
            start,
            limit,
        }
    }

    /// Bytes that may still be appended.
    pub(super) fn room(&self) -> usize {
        self.limit.saturating_sub(self.bytes.len() - self.start)
    }

    pub(super) fn extend(&mut self, bytes: &[u8]) -> Result<(), DecompressError> {
        if bytes.len() > self.room() {
            return Err(self.too_large());
        }
        self.reserve(bytes.len());
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    /// Makes room for `more` bytes in memory. The buffer doubles, so that a long stream is not copied each time, but
    /// not beyond the limit by more than `more`.
    pub(super) fn reserve(&mut self, more: usize) {
        if self.bytes.capacity() - self.bytes.len() < more {
            let doubled = self.bytes.len().min(self.room());
            self.bytes.reserve_exact(doubled.max(more));
        }
    }

    /// Appends `more` zero bytes to be written over, and returns where they begin.
    #[allow(dead_code, reason = "used by the codecs that are compiled in")]
    pub(super) fn append_zeros(&mut self, more: usize) -> usize {
        self.reserve(more);
        let start = self.bytes.len();
        self.bytes.resize(start + more, 0);
        start
    }

    #[cold]
    pub(super) fn too_large(&self) -> DecompressError {
        DecompressError::TooLarge { limit: self.limit }
    }

    #[cold]
    #[allow(dead_code, reason = "used by the codecs that are compiled in")]
    pub(super) fn corrupt(&self, reason: &'static str) -> DecompressError {
        DecompressError::Corrupt {
            compression: self.compression,
            reason,
        }
    }
}

/// A cursor over compressed bytes.
#[cfg(any(
    feature = "gzip",
    feature = "snappy",
    feature = "lz4",
    feature = "zstd",
    feature = "zstd-rust"
))]
pub(super) struct Input<'a>(pub(super) &'a [u8]);

#[cfg(any(
    feature = "gzip",
    feature = "snappy",
    feature = "lz4",
    feature = "zstd",
    feature = "zstd-rust"
))]
#[allow(dead_code, reason = "each codec uses some")]
impl<'a> Input<'a> {
    /// The next `len` bytes, if there are as many.
    pub(super) fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    /// The next `N` bytes, if there are as many.
    pub(super) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*taken)
    }

    pub(super) fn byte(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    /// What comes after the next zero byte.
    pub(super) fn skip_string(&mut self) -> Option<()> {
        let end = self.0.iter().position(|&byte| byte == 0)?;
        self.take(end + 1).map(drop)
    }
}

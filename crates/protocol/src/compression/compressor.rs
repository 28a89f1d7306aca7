//! Compressing the chunks of a batch into one payload.

#[cfg(feature = "gzip")]
use super::gzip;
#[cfg(feature = "lz4")]
use super::lz4;
#[cfg(feature = "snappy")]
use super::snappy;
#[cfg(any(feature = "zstd", feature = "zstd-rust"))]
use super::zstd;
use super::{Codec, CompressError, Compression};
use std::fmt;

/// A codec with its context, which is kept from batch to batch.
///
/// A batch costs no allocation but for the growth of the output. Contexts are not small (lz4 16 KiB, gzip 300 KiB, zstd
/// megabytes by level), so who compresses on many threads keeps one for each thread, not one for each partition.
pub struct Compressor {
    codec: Codec,
    encoder: Encoder,
}

enum Encoder {
    None,
    #[cfg(feature = "gzip")]
    Gzip(Box<gzip::Encoder>),
    #[cfg(feature = "snappy")]
    Snappy(Box<snappy::Encoder>),
    #[cfg(feature = "lz4")]
    Lz4(Box<lz4::Encoder>),
    #[cfg(any(feature = "zstd", feature = "zstd-rust"))]
    Zstd(Box<zstd::Encoder>),
}

impl Compressor {
    /// A compressor for this codec and level.
    ///
    /// # Errors
    ///
    /// If the codec is not compiled in.
    pub fn new(codec: impl Into<Codec>) -> Result<Compressor, CompressError> {
        let codec = codec.into();
        let encoder = match codec.compression() {
            Compression::None => Encoder::None,
            #[cfg(feature = "gzip")]
            Compression::Gzip => Encoder::Gzip(Box::new(gzip::Encoder::new(level(codec)))),
            #[cfg(feature = "snappy")]
            Compression::Snappy => Encoder::Snappy(Box::default()),
            #[cfg(feature = "lz4")]
            Compression::Lz4 => Encoder::Lz4(Box::new(lz4::Encoder::new(level(codec)))),
            #[cfg(any(feature = "zstd", feature = "zstd-rust"))]
            Compression::Zstd => Encoder::Zstd(Box::new(zstd::Encoder::new(level(codec))?)),
            #[allow(unreachable_patterns, reason = "with all features on, every codec is above")]
            missing => return Err(CompressError::NotCompiledIn(missing)),
        };
        Ok(Compressor { codec, encoder })
    }

    /// The codec and level.
    pub fn codec(&self) -> Codec {
        self.codec
    }

    /// Compresses `chunks`, one after the other as one stream, and appends it to `out`. Without compression that is
    /// the chunks themselves. After an error, what was appended is no stream.
    ///
    /// # Errors
    ///
    /// If the codec's library runs out of memory.
    pub fn compress<C: AsRef<[u8]>>(&mut self, chunks: &[C], out: &mut Vec<u8>) -> Result<(), CompressError> {
        match &mut self.encoder {
            Encoder::None => {
                out.reserve(chunks.iter().map(|chunk| chunk.as_ref().len()).sum());
                chunks
                    .iter()
                    .for_each(|chunk| out.extend_from_slice(chunk.as_ref()));
                Ok(())
            }
            #[cfg(feature = "gzip")]
            Encoder::Gzip(encoder) => encoder.compress(chunks, out),
            #[cfg(feature = "snappy")]
            Encoder::Snappy(encoder) => encoder.compress(chunks, out),
            #[cfg(feature = "lz4")]
            Encoder::Lz4(encoder) => encoder.compress(chunks, out),
            #[cfg(any(feature = "zstd", feature = "zstd-rust"))]
            Encoder::Zstd(encoder) => encoder.compress(chunks, out),
        }
    }
}

impl fmt::Debug for Compressor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Compressor")
            .field("codec", &self.codec)
            .finish_non_exhaustive()
    }
}

/// The level of a codec that has levels.
#[cfg(any(feature = "gzip", feature = "lz4", feature = "zstd", feature = "zstd-rust"))]
fn level(codec: Codec) -> i32 {
    // A codec with levels always carries one; 0 is never read.
    codec.level().unwrap_or_default()
}

/// Cuts `chunks` into blocks of `size` bytes (the last one shorter) and hands each to `block` in one piece: a slice of
/// its chunk where it lies in one, else gathered in `gathered`.
#[cfg(any(feature = "snappy", feature = "lz4"))]
pub(super) fn for_each_block<C: AsRef<[u8]>, E>(
    chunks: &[C],
    size: usize,
    gathered: &mut Vec<u8>,
    mut block: impl FnMut(&[u8]) -> Result<(), E>,
) -> Result<(), E> {
    gathered.clear();
    for chunk in chunks {
        let mut chunk = chunk.as_ref();
        if !gathered.is_empty() {
            let (head, tail) = chunk.split_at(chunk.len().min(size - gathered.len()));
            gathered.extend_from_slice(head);
            chunk = tail;
            if gathered.len() < size {
                continue;
            }
            block(gathered)?;
            gathered.clear();
        }
        let blocks = chunk.chunks_exact(size);
        gathered.extend_from_slice(blocks.remainder());
        blocks.into_iter().try_for_each(&mut block)?;
    }
    if gathered.is_empty() {
        Ok(())
    } else {
        block(gathered)
    }
}

#[cfg(all(test, any(feature = "snappy", feature = "lz4")))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn blocks_do_not_depend_on_chunks(bytes: Vec<u8>, cuts in proptest::collection::vec(0usize..40, 0..20)) {
            let mut chunks = Vec::new();
            let mut rest = bytes.as_slice();
            for cut in cuts {
                let (chunk, tail) = rest.split_at(cut.min(rest.len()));
                chunks.push(chunk);
                rest = tail;
            }
            chunks.push(rest);
            let mut blocks = Vec::new();
            let result: Result<(), ()> = for_each_block(&chunks, 7, &mut Vec::new(), |block| {
                blocks.push(block.to_vec());
                Ok(())
            });
            prop_assert_eq!(result, Ok(()));
            let expected: Vec<Vec<u8>> = bytes.chunks(7).map(<[u8]>::to_vec).collect();
            prop_assert_eq!(blocks, expected);
        }
    }
}

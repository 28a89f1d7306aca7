//! zstd without a C compiler (feature `zstd-rust`): one frame for a batch, at one level.

use super::decompressor::Output;
use super::zstd_bound::size_bound;
use super::{CompressError, DecompressError};
use ruzstd::decoding::FrameDecoder;
use ruzstd::decoding::errors::FrameDecoderError;
use ruzstd::encoding::{CompressionLevel, compress};
use std::io::{self, Read};

/// A window that every reader has to have (RFC 8878): frames of the usual levels announce up to it, however short they
/// are.
const WINDOW_MIN: u64 = 8 << 20;

/// The library keeps no context from frame to frame, and has one level that compresses: about the first of C's.
pub(super) struct Encoder;

impl Encoder {
    pub(super) fn new(_level: i32) -> Result<Encoder, CompressError> {
        Ok(Encoder)
    }

    pub(super) fn compress<C: AsRef<[u8]>>(
        &mut self,
        chunks: &[C],
        out: &mut Vec<u8>,
    ) -> Result<(), CompressError> {
        let source = Chunks {
            chunks: chunks.iter(),
            current: &[],
        };
        compress(source, out, CompressionLevel::Fastest);
        Ok(())
    }
}

/// The chunks as one stream.
struct Chunks<'a, C> {
    chunks: std::slice::Iter<'a, C>,
    current: &'a [u8],
}

impl<C: AsRef<[u8]>> Read for Chunks<'_, C> {
    fn read(&mut self, target: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() {
            let Some(next) = self.chunks.next() else {
                return Ok(0);
            };
            self.current = next.as_ref();
        }
        self.current.read(target)
    }
}

#[derive(Default)]
pub(super) struct Decoder {
    decoder: FrameDecoder,
}

impl Decoder {
    /// Reads frames until the input ends. Beside the output there is a window of at most the limit, or 8 MiB.
    pub(super) fn decompress(&mut self, input: &[u8], output: Output<'_>) -> Result<(), DecompressError> {
        let Some(bound) = size_bound(input) else {
            return Err(output.corrupt("the frame is damaged or cut off"));
        };
        let room = output.room();
        let reserved = usize::try_from(bound).unwrap_or(usize::MAX).min(room);
        let start = output.bytes.len();
        output.bytes.resize(start + reserved, 0);
        self.decoder.set_max_window_size(WINDOW_MIN.max(room as u64));
        match self.decoder.decode_all(input, &mut output.bytes[start..]) {
            Ok(written) => {
                output.bytes.truncate(start + written);
                Ok(())
            }
            Err(FrameDecoderError::TargetTooSmall) if bound > room as u64 => Err(output.too_large()),
            Err(_) => Err(output.corrupt("the frame is damaged")),
        }
    }
}

//! zstd: one frame for a batch.

use super::decompressor::Output;
use super::zstd_bound::size_bound;
use super::{CompressError, Compression, DecompressError};
use std::io::Cursor;
use zstd::zstd_safe::zstd_sys::{ZSTD_EndDirective, ZSTD_ErrorCode};
use zstd::zstd_safe::{
    CCtx, CParameter, DCtx, InBuffer, OutBuffer, ResetDirective, compress_bound, get_error_name,
};

/// The library's code for an output that has too little room: errors are negative numbers.
const TOO_SMALL: usize = (ZSTD_ErrorCode::ZSTD_error_dstSize_tooSmall as usize).wrapping_neg();

pub(super) struct Encoder {
    context: CCtx<'static>,
}

impl Encoder {
    pub(super) fn new(level: i32) -> Result<Encoder, CompressError> {
        let Some(mut context) = CCtx::try_create() else {
            return Err(CompressError::Library {
                compression: Compression::Zstd,
                reason: "out of memory",
            });
        };
        context
            .set_parameter(CParameter::CompressionLevel(level))
            .map_err(error)?;
        // Java's frames announce no size either.
        context
            .set_parameter(CParameter::ContentSizeFlag(false))
            .map_err(error)?;
        Ok(Encoder { context })
    }

    pub(super) fn compress<C: AsRef<[u8]>>(
        &mut self,
        chunks: &[C],
        out: &mut Vec<u8>,
    ) -> Result<(), CompressError> {
        let total: usize = chunks.iter().map(|chunk| chunk.as_ref().len()).sum();
        self.context.reset(ResetDirective::SessionOnly).map_err(error)?;
        // Java streams without saying how much will come. Saying it fits window and tables to the batch: less to clear
        // for small ones, and less for the reader to hold.
        self.context
            .set_pledged_src_size(Some(total as u64))
            .map_err(error)?;
        out.reserve(compress_bound(total));
        let start = out.len();
        let mut output = OutBuffer::around_pos(out, start);
        let (last, others) = match chunks.split_last() {
            Some((last, others)) => (last.as_ref(), others),
            None => (&[][..], chunks),
        };
        for chunk in others {
            self.feed(chunk.as_ref(), &mut output, ZSTD_EndDirective::ZSTD_e_continue)?;
        }
        self.feed(last, &mut output, ZSTD_EndDirective::ZSTD_e_end)
    }

    /// Runs until the input is taken, and, at the end, the frame is written.
    fn feed(
        &mut self,
        bytes: &[u8],
        output: &mut OutBuffer<'_, Vec<u8>>,
        directive: ZSTD_EndDirective,
    ) -> Result<(), CompressError> {
        let mut input = InBuffer::around(bytes);
        loop {
            let pending = self
                .context
                .compress_stream2(output, &mut input, directive)
                .map_err(error)?;
            let end = directive == ZSTD_EndDirective::ZSTD_e_end;
            if input.pos() == bytes.len() && (pending == 0 || !end) {
                return Ok(());
            }
            if output.pos() == output.capacity() {
                // The bound that was reserved holds for any input.
                return Err(CompressError::Library {
                    compression: Compression::Zstd,
                    reason: "the frame exceeds its bound",
                });
            }
        }
    }
}

fn error(code: usize) -> CompressError {
    CompressError::Library {
        compression: Compression::Zstd,
        reason: get_error_name(code),
    }
}

pub(super) struct Decoder {
    context: DCtx<'static>,
}

impl Default for Decoder {
    fn default() -> Decoder {
        Decoder {
            context: DCtx::create(),
        }
    }
}

impl Decoder {
    /// Reads frames until the input ends. Decompressing in one go needs no window beside the output, so that the
    /// limit on the output bounds all memory.
    pub(super) fn decompress(&mut self, input: &[u8], output: Output<'_>) -> Result<(), DecompressError> {
        let Some(bound) = size_bound(input) else {
            return Err(output.corrupt("the frame is damaged or cut off"));
        };
        let room = output.room();
        let reserved = usize::try_from(bound).unwrap_or(usize::MAX).min(room);
        let start = output.bytes.len();
        output.bytes.reserve_exact(reserved);
        let mut sink = Cursor::new(&mut *output.bytes);
        sink.set_position(start as u64);
        match self.context.decompress(&mut sink, input) {
            // The buffer may have had more room than the limit leaves.
            Ok(written) if written > room => Err(output.too_large()),
            Ok(_) => Ok(()),
            Err(TOO_SMALL) if bound > room as u64 => Err(output.too_large()),
            Err(code) => Err(output.corrupt(get_error_name(code))),
        }
    }
}

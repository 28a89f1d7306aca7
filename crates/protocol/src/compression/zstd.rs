//! zstd: one frame for a batch.

use super::decompressor::{Input, Output};
use super::{CompressError, Compression, DecompressError};
use std::io::Cursor;
use zstd::zstd_safe::zstd_sys::{ZSTD_EndDirective, ZSTD_ErrorCode};
use zstd::zstd_safe::{
    CCtx, CParameter, DCtx, InBuffer, OutBuffer, ResetDirective, compress_bound, get_error_name,
};

const FRAME_MAGIC: u32 = 0xfd2f_b528;
/// The first of 16 magics of frames that readers skip.
const SKIPPABLE_MAGIC: u32 = 0x184d_2a50;
/// What a block decompresses to at most.
const BLOCK_SIZE_MAX: u64 = 128 * 1024;

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

/// The most bytes that the frames in `input` can decompress to, by the headers of their blocks alone; nothing, if they
/// are no frames.
fn size_bound(input: &[u8]) -> Option<u64> {
    let mut input = Input(input);
    let mut bound = 0u64;
    while !input.0.is_empty() {
        let magic = u32::from_le_bytes(input.array()?);
        if magic & !0xf == SKIPPABLE_MAGIC {
            let len = u32::from_le_bytes(input.array()?);
            input.take(len as usize)?;
            continue;
        }
        if magic != FRAME_MAGIC {
            return None;
        }
        bound = bound.saturating_add(frame_bound(&mut input)?);
    }
    Some(bound)
}

fn frame_bound(input: &mut Input<'_>) -> Option<u64> {
    let descriptor = input.byte()?;
    let single_segment = descriptor & 1 << 5 != 0;
    let has_checksum = descriptor & 1 << 2 != 0;
    let dictionary_id_size = [0, 1, 2, 4][usize::from(descriptor & 3)];
    let content_size_size = match descriptor >> 6 {
        0 => usize::from(single_segment),
        1 => 2,
        2 => 4,
        _ => 8,
    };
    // A block is no larger than the window, which in a frame of a single segment is the content.
    let window_size = if single_segment {
        u64::MAX
    } else {
        window_size(input.byte()?)
    };
    let block_size_max = BLOCK_SIZE_MAX.min(window_size);
    input.take(dictionary_id_size + content_size_size)?;
    let mut bound = 0u64;
    loop {
        let [low, middle, high] = input.array()?;
        let header = u32::from_le_bytes([low, middle, high, 0]);
        let (last, kind, size) = (header & 1 == 1, header >> 1 & 3, header >> 3);
        let (stored, decompressed) = match kind {
            0 => (size as usize, u64::from(size)),
            // One byte, repeated.
            1 => (1, u64::from(size)),
            2 => (size as usize, block_size_max),
            _ => return None,
        };
        input.take(stored)?;
        bound = bound.saturating_add(decompressed);
        if last {
            input.take(if has_checksum { 4 } else { 0 })?;
            return Some(bound);
        }
    }
}

/// Five bits of exponent above 1 KiB, three of mantissa.
fn window_size(descriptor: u8) -> u64 {
    let base = 1 << (10 + (descriptor >> 3));
    base + base / 8 * u64::from(descriptor & 7)
}

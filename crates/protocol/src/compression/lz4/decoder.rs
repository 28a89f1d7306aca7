//! Reading frames: everything the format allows but dictionaries.

use super::super::DecompressError;
use super::super::decompressor::{Input, Output};
use super::xxhash::xxhash32;
use super::{FRAME_MAGIC, SKIPPABLE_MAGIC, STORED};
use lz4_flex::block::decompress_into_with_dict;

/// How far back a match reaches.
const WINDOW_SIZE: usize = 64 * 1024;

/// The most that a byte of LZ4 decompresses to: each byte that extends a match's length adds 255.
const EXPANSION: usize = 255;

/// The flags of a frame, and its greatest block.
struct Descriptor {
    linked_blocks: bool,
    block_checksums: bool,
    content_checksum: bool,
    content_size: Option<u64>,
    block_size: usize,
}

/// Reads frames until the input ends. As Java does, ignores what follows a frame and is none itself.
pub(in super::super) fn decompress(input: &[u8], mut output: Output<'_>) -> Result<(), DecompressError> {
    let mut input = Input(input);
    let mut first = true;
    loop {
        let magic = input.array().map(u32::from_le_bytes);
        match magic {
            Some(FRAME_MAGIC) => decompress_frame(&mut input, &mut output)?,
            Some(magic) if magic & !0xf == SKIPPABLE_MAGIC => {
                let len = input.array().map(u32::from_le_bytes);
                if len.and_then(|len| input.take(len as usize)).is_none() {
                    return Err(output.corrupt("a skippable frame is cut off"));
                }
            }
            _ if first => return Err(output.corrupt("no frame")),
            _ => return Ok(()),
        }
        first = false;
    }
}

fn decompress_frame(input: &mut Input<'_>, output: &mut Output<'_>) -> Result<(), DecompressError> {
    let descriptor = read_descriptor(input, output)?;
    let start = output.bytes.len();
    loop {
        let Some(header) = input.array().map(u32::from_le_bytes) else {
            return Err(output.corrupt("the end mark is missing"));
        };
        if header == 0 {
            break;
        }
        let len = (header & !STORED) as usize;
        if len > descriptor.block_size {
            return Err(output.corrupt("a block is larger than the frame allows"));
        }
        let Some(block) = input.take(len) else {
            return Err(output.corrupt("a block is cut off"));
        };
        if descriptor.block_checksums {
            match input.array().map(u32::from_le_bytes) {
                Some(checksum) if checksum == xxhash32(block) => {}
                _ => return Err(output.corrupt("a block's checksum does not match")),
            }
        }
        if header & STORED == 0 {
            let history = if descriptor.linked_blocks {
                start
            } else {
                output.bytes.len()
            };
            decompress_block(block, history, descriptor.block_size, output)?;
        } else {
            output.extend(block)?;
        }
    }
    check_end(&descriptor, start, input, output)
}

fn read_descriptor(input: &mut Input<'_>, output: &Output<'_>) -> Result<Descriptor, DecompressError> {
    let whole = input.0;
    let cut_off = || output.corrupt("the frame header is cut off");
    let [flags, block_descriptor] = input.array().ok_or_else(cut_off)?;
    if flags >> 6 != 1 {
        return Err(output.corrupt("unknown frame version"));
    }
    if flags & 1 << 1 != 0 || block_descriptor & 0x8f != 0 {
        return Err(output.corrupt("reserved bits of the frame header are set"));
    }
    if flags & 1 != 0 {
        return Err(output.corrupt("the frame needs a dictionary"));
    }
    let block_size = match block_descriptor >> 4 {
        4 => 64 << 10,
        5 => 256 << 10,
        6 => 1 << 20,
        7 => 4 << 20,
        _ => return Err(output.corrupt("unknown block size")),
    };
    let has_content_size = flags & 1 << 3 != 0;
    let content_size = if has_content_size {
        Some(u64::from_le_bytes(input.array().ok_or_else(cut_off)?))
    } else {
        None
    };
    let hashed = &whole[..whole.len() - input.0.len()];
    let checksum = input.byte().ok_or_else(cut_off)?;
    // Before message format v1, Kafka's clients hashed the magic too (KAFKA-3160); both are taken.
    let with_magic = || xxhash32(&[&FRAME_MAGIC.to_le_bytes(), hashed].concat());
    if checksum != header_checksum(xxhash32(hashed)) && checksum != header_checksum(with_magic()) {
        return Err(output.corrupt("the frame header's checksum does not match"));
    }
    Ok(Descriptor {
        linked_blocks: flags & 1 << 5 == 0,
        block_checksums: flags & 1 << 4 != 0,
        content_checksum: flags & 1 << 2 != 0,
        content_size,
        block_size,
    })
}

const fn header_checksum(hash: u32) -> u8 {
    (hash >> 8) as u8
}

/// Decompresses one block, whose matches may reach back to `history` in the output.
fn decompress_block(
    block: &[u8],
    history: usize,
    block_size: usize,
    output: &mut Output<'_>,
) -> Result<(), DecompressError> {
    let room = output.room();
    let most = block_size.min(block.len().saturating_mul(EXPANSION));
    let start = output.append_zeros(most.min(room));
    let (written, target) = output.bytes.split_at_mut(start);
    let window = &written[history.max(start.saturating_sub(WINDOW_SIZE))..];
    match decompress_into_with_dict(block, target, window) {
        Ok(len) => {
            output.bytes.truncate(start + len);
            Ok(())
        }
        Err(lz4_flex::block::DecompressError::OutputTooSmall { .. }) if room < most => {
            Err(output.too_large())
        }
        Err(_) => Err(output.corrupt("a block is damaged")),
    }
}

fn check_end(
    descriptor: &Descriptor,
    start: usize,
    input: &mut Input<'_>,
    output: &Output<'_>,
) -> Result<(), DecompressError> {
    let content = &output.bytes[start..];
    if descriptor.content_checksum {
        match input.array().map(u32::from_le_bytes) {
            Some(checksum) if checksum == xxhash32(content) => {}
            _ => return Err(output.corrupt("the content's checksum does not match")),
        }
    }
    match descriptor.content_size {
        Some(size) if size != content.len() as u64 => {
            Err(output.corrupt("the content's size does not match"))
        }
        _ => Ok(()),
    }
}

//! How much frames of zstd can decompress to, by their headers alone.

use super::decompressor::Input;

const FRAME_MAGIC: u32 = 0xfd2f_b528;
/// The first of 16 magics of frames that readers skip.
const SKIPPABLE_MAGIC: u32 = 0x184d_2a50;
/// What a block decompresses to at most.
const BLOCK_SIZE_MAX: u64 = 128 * 1024;

/// The most bytes that the frames in `input` can decompress to, by the headers of their blocks alone; nothing, if they
/// are no frames.
pub(super) fn size_bound(input: &[u8]) -> Option<u64> {
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

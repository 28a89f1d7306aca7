//! The LZ4 frame format, over blocks.

mod decoder;
mod encoder;
mod high;
mod xxhash;

pub(super) use decoder::decompress;
pub(super) use encoder::Encoder;

/// The first four bytes of a frame, little-endian.
const FRAME_MAGIC: u32 = 0x184d_2204;

/// The first of 16 magics of frames that readers skip.
const SKIPPABLE_MAGIC: u32 = 0x184d_2a50;

/// The bit of a block's length that says that the block is stored as it is.
const STORED: u32 = 1 << 31;

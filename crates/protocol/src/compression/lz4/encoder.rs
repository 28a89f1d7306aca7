//! Writing frames: independent blocks of 64 KiB, no checksums, no content size.
//!
//! Java's reader refuses linked blocks, so that a frame is nothing but its blocks in a row.

use super::super::CompressError;
use super::super::Compression;
use super::super::compressor::for_each_block;
use super::high::HighCompressor;
use super::{FRAME_MAGIC, STORED};
use lz4_flex::block::{CompressTable, compress_into_with_table, get_maximum_output_size};

/// The level at which Java's client takes LZ4's fast compressor; at every other it takes the high one.
const FAST_LEVEL: i32 = 9;

const BLOCK_SIZE: usize = 64 * 1024;

/// Version 1, independent blocks; blocks of 64 KiB.
const FLAGS: u8 = 0x60;
const BLOCK_DESCRIPTOR: u8 = 0x40;
/// The second byte of the xxHash-32 of the two bytes above.
const HEADER_CHECKSUM: u8 = 0x82;

pub(in super::super) struct Encoder {
    method: Method,
    gathered: Vec<u8>,
    block: Vec<u8>,
}

enum Method {
    Fast(CompressTable),
    High(HighCompressor),
}

impl Encoder {
    pub(in super::super) fn new(level: i32) -> Encoder {
        let method = match level {
            FAST_LEVEL => Method::Fast(CompressTable::large()),
            level => Method::High(HighCompressor::new(level)),
        };
        Encoder {
            method,
            gathered: Vec::new(),
            block: Vec::new(),
        }
    }

    pub(in super::super) fn compress<C: AsRef<[u8]>>(
        &mut self,
        chunks: &[C],
        out: &mut Vec<u8>,
    ) -> Result<(), CompressError> {
        out.extend_from_slice(&FRAME_MAGIC.to_le_bytes());
        out.extend_from_slice(&[FLAGS, BLOCK_DESCRIPTOR, HEADER_CHECKSUM]);
        let (method, block) = (&mut self.method, &mut self.block);
        for_each_block(chunks, BLOCK_SIZE, &mut self.gathered, |input| {
            let compressed = method.compress(input, block)?;
            write_block(input, compressed, out);
            Ok(())
        })?;
        // The end mark: a block of no bytes.
        out.extend_from_slice(&[0; 4]);
        Ok(())
    }
}

impl Method {
    /// Compresses `input` into `block`, a buffer that is used again.
    fn compress<'a>(&mut self, input: &[u8], block: &'a mut Vec<u8>) -> Result<&'a [u8], CompressError> {
        match self {
            Method::Fast(table) => {
                block.resize(get_maximum_output_size(BLOCK_SIZE), 0);
                // The buffer has the room that the library asks for, which is its only error.
                let len =
                    compress_into_with_table(input, block, table).map_err(|_| CompressError::Library {
                        compression: Compression::Lz4,
                        reason: "the block does not fit its bound",
                    })?;
                Ok(&block[..len])
            }
            Method::High(compressor) => {
                block.clear();
                compressor.compress(input, block);
                Ok(block)
            }
        }
    }
}

/// Appends a block as it is, unless compressing made it smaller. Lengths are at most 64 KiB.
fn write_block(input: &[u8], compressed: &[u8], out: &mut Vec<u8>) {
    if compressed.len() < input.len() {
        out.extend_from_slice(&(compressed.len() as u32).to_le_bytes());
        out.extend_from_slice(compressed);
    } else {
        out.extend_from_slice(&(input.len() as u32 | STORED).to_le_bytes());
        out.extend_from_slice(input);
    }
}

//! Writing frames: independent blocks of 64 KiB, no checksums, no content size.
//!
//! Java's reader refuses linked blocks, so that a frame is nothing but its blocks in a row.

use super::super::CompressError;
use super::super::Compression;
use super::super::compressor::for_each_block;
use super::{FRAME_MAGIC, STORED};
use lz4_flex::block::{CompressTable, compress_into_with_table, get_maximum_output_size};

const BLOCK_SIZE: usize = 64 * 1024;

/// Version 1, independent blocks; blocks of 64 KiB.
const FLAGS: u8 = 0x60;
const BLOCK_DESCRIPTOR: u8 = 0x40;
/// The second byte of the xxHash-32 of the two bytes above.
const HEADER_CHECKSUM: u8 = 0x82;

pub(in super::super) struct Encoder {
    table: CompressTable,
    gathered: Vec<u8>,
    block: Vec<u8>,
}

impl Encoder {
    pub(in super::super) fn new(_level: i32) -> Encoder {
        Encoder {
            table: CompressTable::large(),
            gathered: Vec::new(),
            block: vec![0; get_maximum_output_size(BLOCK_SIZE)],
        }
    }

    pub(in super::super) fn compress<C: AsRef<[u8]>>(
        &mut self,
        chunks: &[C],
        out: &mut Vec<u8>,
    ) -> Result<(), CompressError> {
        out.extend_from_slice(&FRAME_MAGIC.to_le_bytes());
        out.extend_from_slice(&[FLAGS, BLOCK_DESCRIPTOR, HEADER_CHECKSUM]);
        let (table, block) = (&mut self.table, &mut self.block);
        for_each_block(chunks, BLOCK_SIZE, &mut self.gathered, |input| {
            // The buffer has the room that the library asks for, which is its only error.
            let len = compress_into_with_table(input, block, table).map_err(|_| CompressError::Library {
                compression: Compression::Lz4,
                reason: "the block does not fit its bound",
            })?;
            write_block(input, &block[..len], out);
            Ok(())
        })?;
        // The end mark: a block of no bytes.
        out.extend_from_slice(&[0; 4]);
        Ok(())
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

//! snappy in xerial's stream format (snappy-java's SnappyOutputStream), and raw blocks.

use super::compressor::for_each_block;
use super::decompressor::{Input, Output};
use super::{CompressError, Compression, DecompressError};

/// Magic, version 1, compatible with version 1.
const HEADER: [u8; 16] = *b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01";

/// Where the version begins in the header.
const VERSION: usize = 8;

/// Uncompressed bytes in a block: what Java's client writes, and a multiple of what snappy finds matches within.
const BLOCK_SIZE: usize = 32 * 1024;

/// The most that a byte of snappy decompresses to, rounded up: a copy of 64 bytes takes three.
const EXPANSION: usize = 22;

pub(super) struct Encoder {
    raw: snap::raw::Encoder,
    gathered: Vec<u8>,
    block: Vec<u8>,
}

impl Default for Encoder {
    fn default() -> Encoder {
        let block = vec![0; snap::raw::max_compress_len(BLOCK_SIZE)];
        Encoder {
            raw: snap::raw::Encoder::new(),
            gathered: Vec::new(),
            block,
        }
    }
}

impl Encoder {
    pub(super) fn compress<C: AsRef<[u8]>>(
        &mut self,
        chunks: &[C],
        out: &mut Vec<u8>,
    ) -> Result<(), CompressError> {
        out.extend_from_slice(&HEADER);
        for_each_block(chunks, BLOCK_SIZE, &mut self.gathered, |input| {
            // The buffer has the room that the library asks for, which is its only error.
            let len = self
                .raw
                .compress(input, &mut self.block)
                .map_err(|_| CompressError::Library {
                    compression: Compression::Snappy,
                    reason: "the block does not fit its bound",
                })?;
            // A block is at most a few bytes above 32 KiB.
            out.extend_from_slice(&(len as u32).to_be_bytes());
            out.extend_from_slice(&self.block[..len]);
            Ok(())
        })
    }
}

/// Reads xerial streams (also several in a row), or, as Java does, one raw block where there is no header.
pub(super) fn decompress(input: &[u8], mut output: Output<'_>) -> Result<(), DecompressError> {
    let mut input = Input(input);
    if !input.0.starts_with(&HEADER[..VERSION]) {
        return decompress_block(input.0, &mut output);
    }
    read_header(&mut input, &output)?;
    while !input.0.is_empty() {
        if input.0.starts_with(&HEADER[..VERSION]) {
            read_header(&mut input, &output)?;
            continue;
        }
        let Some(len) = input.array() else {
            return Err(output.corrupt("a block's length is cut off"));
        };
        match input.take(u32::from_be_bytes(len) as usize) {
            Some(block) => decompress_block(block, &mut output)?,
            None => return Err(output.corrupt("a block is cut off")),
        }
    }
    Ok(())
}

fn read_header(input: &mut Input<'_>, output: &Output<'_>) -> Result<(), DecompressError> {
    let Some(header) = input.array::<{ HEADER.len() }>() else {
        return Err(output.corrupt("the header is cut off"));
    };
    // Whatever version wrote it, version 1 has to be enough to read it; Java checks the same.
    if header[VERSION..VERSION + 4] < HEADER[VERSION..VERSION + 4] {
        return Err(output.corrupt("unknown stream version"));
    }
    Ok(())
}

fn decompress_block(block: &[u8], output: &mut Output<'_>) -> Result<(), DecompressError> {
    let Ok(len) = snap::raw::decompress_len(block) else {
        return Err(output.corrupt("a block's size is none"));
    };
    if len > output.room() {
        return Err(output.too_large());
    }
    if len > block.len().saturating_mul(EXPANSION) {
        return Err(output.corrupt("a block announces more than it can hold"));
    }
    let start = output.append_zeros(len);
    let result = snap::raw::Decoder::new().decompress(block, &mut output.bytes[start..]);
    result.map(drop).map_err(|_| output.corrupt("a block is damaged"))
}

//! gzip: members around raw deflate streams.

use super::decompressor::{Input, Output};
use super::{CompressError, Compression, DecompressError};
use flate2::{Compress, Crc, Decompress, FlushCompress, FlushDecompress, Status};

/// The header that Java 16 and later write: deflate, no flags, no time, no extra flags, unknown system.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];

/// Flag bits of a member's header.
const HEADER_CRC: u8 = 1 << 1;
const EXTRA: u8 = 1 << 2;
const NAME: u8 = 1 << 3;
const COMMENT: u8 = 1 << 4;
const RESERVED: u8 = 0b1110_0000;

pub(super) struct Encoder {
    deflate: Compress,
}

impl Encoder {
    pub(super) fn new(level: i32) -> Encoder {
        // -1 is zlib's name for its default.
        let level =
            u32::try_from(level).map_or_else(|_| flate2::Compression::default(), flate2::Compression::new);
        Encoder {
            deflate: Compress::new(level, false),
        }
    }

    pub(super) fn compress<C: AsRef<[u8]>>(
        &mut self,
        chunks: &[C],
        out: &mut Vec<u8>,
    ) -> Result<(), CompressError> {
        self.deflate.reset();
        out.extend_from_slice(&HEADER);
        let mut crc = Crc::new();
        for chunk in chunks {
            crc.update(chunk.as_ref());
            self.feed(chunk.as_ref(), FlushCompress::None, out)?;
        }
        self.feed(&[], FlushCompress::Finish, out)?;
        out.extend_from_slice(&crc.sum().to_le_bytes());
        // The size modulo 2^32, as the format wants it.
        out.extend_from_slice(&crc.amount().to_le_bytes());
        Ok(())
    }

    fn feed(
        &mut self,
        mut input: &[u8],
        flush: FlushCompress,
        out: &mut Vec<u8>,
    ) -> Result<(), CompressError> {
        let finish = matches!(flush, FlushCompress::Finish);
        loop {
            if out.capacity() - out.len() < 64 {
                out.reserve(input.len() / 2 + 1024);
            }
            let before = self.deflate.total_in();
            let status = self.deflate.compress_vec(input, out, flush);
            let status = status.map_err(|_| CompressError::Library {
                compression: Compression::Gzip,
                reason: "deflate failed",
            })?;
            // What is taken is at most what was given.
            input = &input[(self.deflate.total_in() - before) as usize..];
            let done = if finish {
                status == Status::StreamEnd
            } else {
                input.is_empty()
            };
            if done {
                return Ok(());
            }
        }
    }
}

pub(super) struct Decoder {
    inflate: Decompress,
}

impl Default for Decoder {
    fn default() -> Decoder {
        Decoder {
            inflate: Decompress::new(false),
        }
    }
}

impl Decoder {
    /// Reads members until the input ends. As Java does, ignores what follows a member and is none itself.
    pub(super) fn decompress(&mut self, input: &[u8], mut output: Output<'_>) -> Result<(), DecompressError> {
        let mut input = Input(input);
        if read_header(&mut input).is_none() {
            return Err(output.corrupt("no gzip header"));
        }
        loop {
            let start = output.bytes.len();
            self.inflate_member(&mut input, &mut output)?;
            let (Some(crc), Some(size)) = (input.array(), input.array()) else {
                return Err(output.corrupt("the trailer is missing"));
            };
            let mut computed = Crc::new();
            computed.update(&output.bytes[start..]);
            if u32::from_le_bytes(crc) != computed.sum() {
                return Err(output.corrupt("the checksum does not match"));
            }
            if u32::from_le_bytes(size) != computed.amount() {
                return Err(output.corrupt("the size does not match"));
            }
            if read_header(&mut input).is_none() {
                return Ok(());
            }
        }
    }

    fn inflate_member(
        &mut self,
        input: &mut Input<'_>,
        output: &mut Output<'_>,
    ) -> Result<(), DecompressError> {
        self.inflate.reset(false);
        loop {
            let room = output.room();
            if output.bytes.capacity() == output.bytes.len() {
                // One byte above the limit shows that there is more; to be sure that there is none needs no byte.
                output.reserve(
                    input
                        .0
                        .len()
                        .saturating_mul(4)
                        .max(1024)
                        .min(room.saturating_add(1)),
                );
            }
            let (before_in, before_out) = (self.inflate.total_in(), self.inflate.total_out());
            let status = self
                .inflate
                .decompress_vec(input.0, output.bytes, FlushDecompress::None);
            let status = status.map_err(|_| output.corrupt("the deflate stream is damaged"))?;
            let taken = (self.inflate.total_in() - before_in) as usize;
            input.take(taken);
            if self.inflate.total_out() - before_out > room as u64 {
                return Err(output.too_large());
            }
            if status == Status::StreamEnd {
                return Ok(());
            }
            let stuck = taken == 0 && self.inflate.total_out() == before_out;
            if stuck && output.bytes.capacity() > output.bytes.len() {
                return Err(output.corrupt("the deflate stream ends early"));
            }
        }
    }
}

/// Reads a member's header; nothing, and an unspecified position, if there is none.
fn read_header(input: &mut Input<'_>) -> Option<()> {
    let whole = input.0;
    let fixed: [u8; 10] = input.array()?;
    let flags = fixed[3];
    if fixed[..3] != HEADER[..3] || flags & RESERVED != 0 {
        return None;
    }
    if flags & EXTRA != 0 {
        let len = u16::from_le_bytes(input.array()?);
        input.take(usize::from(len))?;
    }
    if flags & NAME != 0 {
        input.skip_string()?;
    }
    if flags & COMMENT != 0 {
        input.skip_string()?;
    }
    if flags & HEADER_CRC != 0 {
        let mut crc = Crc::new();
        crc.update(&whole[..whole.len() - input.0.len()]);
        if u32::from(u16::from_le_bytes(input.array()?)) != crc.sum() & 0xffff {
            return None;
        }
    }
    Some(())
}

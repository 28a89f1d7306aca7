//! Message formats v0 and v1, for reading: messages without batches, where a compressed set is the value of one.
//!
//! Nothing writes them any more (Produce v3 and later take format v2 alone), but logs of old topics hold them.

use super::error::{RecordsError, RecordsErrorKind};
use super::header::TimestampType;
use super::reader::{Record, Records};
use crate::compression::{Compression, Decompressor};
use bytes::Bytes;

/// Offset and size, which the size does not count.
const OVERHEAD: usize = 12;
/// Where the CRC is, and where what it covers begins.
const CRC: usize = 12;
const MAGIC: usize = 16;
const ATTRIBUTES: usize = 17;
/// The least that the size field can say: a CRC, magic, attributes, a null key and a null value.
const SIZE_MIN: i32 = 14;

/// The timestamp of who has none.
const NO_TIMESTAMP: i64 = -1;

/// One message of format v0 or v1; with a codec, its value is a set of messages.
#[derive(Clone, Debug)]
pub struct LegacyBatch {
    bytes: Bytes,
    message: Message,
}

/// The fields of a message but for its key and value, of which only the places are kept.
#[derive(Clone, Copy, Debug)]
struct Message {
    offset: i64,
    crc: u32,
    attributes: u8,
    timestamp: i64,
    /// First and last+1 byte, from the start of the bytes that hold the message.
    key: Option<(usize, usize)>,
    value: Option<(usize, usize)>,
    /// Where the next message begins.
    end: usize,
}

impl LegacyBatch {
    /// Takes the one message that `bytes` are. The CRC is not checked: see [`LegacyBatch::check_crc`].
    ///
    /// # Errors
    ///
    /// If the bytes are fewer or more than announced, or the message's fields disagree with its size.
    pub fn decode(bytes: Bytes) -> Result<LegacyBatch, RecordsError> {
        let message = Message::decode(&bytes, 0)?;
        if message.end < bytes.len() {
            let rest = bytes.len() - message.end;
            return Err(RecordsError::at(
                message.end,
                RecordsErrorKind::TrailingBytes(rest),
            ));
        }
        Ok(LegacyBatch { bytes, message })
    }

    /// The message's offset; of a compressed set, that of its last message.
    pub fn last_offset(&self) -> i64 {
        self.message.offset
    }

    /// The format: 0 or 1.
    pub fn magic(&self) -> u8 {
        self.bytes[MAGIC]
    }

    /// The message as it is on the wire.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The codec.
    ///
    /// # Errors
    ///
    /// If its id is none that exists.
    pub fn compression(&self) -> Result<Compression, RecordsError> {
        let id = self.message.attributes & 0b111;
        Compression::from_id(id)
            .ok_or_else(|| RecordsError::at(ATTRIBUTES, RecordsErrorKind::Compression(id)))
    }

    /// Checks the CRC-32 of the message; those of messages inside a compressed set are not looked at, as in Java.
    ///
    /// # Errors
    ///
    /// If it does not match.
    pub fn check_crc(&self) -> Result<(), RecordsError> {
        let (stored, computed) = (self.message.crc, crc32(&self.bytes[MAGIC..]));
        if stored == computed {
            Ok(())
        } else {
            Err(RecordsError::at(CRC, RecordsErrorKind::Crc { stored, computed }))
        }
    }

    /// The records: the message itself, or those of the compressed set, decompressed to at most `limit` bytes.
    ///
    /// # Errors
    ///
    /// If the codec is unknown, or the value does not decompress.
    pub fn records(&self, decompressor: &mut Decompressor, limit: usize) -> Result<Records, RecordsError> {
        let compression = self.compression()?;
        let log_append_time = self
            .message
            .is_log_append_time()
            .then_some(self.message.timestamp);
        if compression == Compression::None {
            return Ok(Records::legacy(LegacyRecords {
                bytes: self.bytes.clone(),
                position: 0,
                index: 0,
                magic: self.magic(),
                base_offset: 0,
                log_append_time,
                inner: false,
                ended: false,
            }));
        }
        let Some((start, end)) = self.message.value else {
            return Err(RecordsError::at(
                self.bytes.len(),
                RecordsErrorKind::Truncated {
                    needed: SIZE_MIN as usize,
                },
            ));
        };
        let mut set = Vec::new();
        decompressor
            .decompress(compression, &self.bytes[start..end], limit, &mut set)
            .map_err(|error| RecordsError::at(start, RecordsErrorKind::Decompress(error)))?;
        let base_offset = match self.magic() {
            // In v1, the offsets inside count from the first message, and the last one's is the wrapper's.
            1 => self
                .message
                .offset
                .wrapping_sub(last_offset(&set).map_err(|error| error.in_decompressed(true))?),
            _ => 0,
        };
        Ok(Records::legacy(LegacyRecords {
            bytes: Bytes::from(set),
            position: 0,
            index: 0,
            magic: self.magic(),
            base_offset,
            log_append_time,
            inner: true,
            ended: false,
        }))
    }
}

/// The offset of the last message in a set, 0 in an empty one.
fn last_offset(set: &[u8]) -> Result<i64, RecordsError> {
    let (mut position, mut offset) = (0, 0);
    while position < set.len() {
        let message = Message::decode(set, position)?;
        (position, offset) = (message.end, message.offset);
    }
    Ok(offset)
}

/// Iterates over messages one after the other.
#[derive(Clone, Debug)]
pub(super) struct LegacyRecords {
    bytes: Bytes,
    position: usize,
    index: usize,
    /// The format of the outer message, and so of those inside.
    magic: u8,
    /// What the messages' offsets count from.
    base_offset: i64,
    /// The wrapper's time, which replaces the messages' own.
    log_append_time: Option<i64>,
    /// Whether these are the messages of a compressed set.
    inner: bool,
    ended: bool,
}

impl LegacyRecords {
    pub(super) fn next(&mut self) -> Option<Result<Record, RecordsError>> {
        if self.ended || self.position == self.bytes.len() {
            return None;
        }
        let result = self.read();
        self.ended = result.is_err();
        Some(result.map_err(|error| error.in_record(self.index, self.inner)))
    }

    fn read(&mut self) -> Result<Record, RecordsError> {
        let message = Message::decode(&self.bytes, self.position)?;
        let magic = self.bytes[self.position + MAGIC];
        if magic != self.magic {
            return Err(RecordsError::at(
                self.position + MAGIC,
                RecordsErrorKind::Magic(magic),
            ));
        }
        if self.inner && message.attributes & 0b111 != 0 {
            return Err(RecordsError::at(
                self.position + ATTRIBUTES,
                RecordsErrorKind::Nested,
            ));
        }
        self.position = message.end;
        self.index += 1;
        let (timestamp, timestamp_type) = match self.log_append_time {
            Some(time) => (time, TimestampType::LogAppendTime),
            None => (message.timestamp, TimestampType::CreateTime),
        };
        Ok(Record {
            offset: self.base_offset.wrapping_add(message.offset),
            timestamp,
            timestamp_type,
            key: message.key.map(|(start, end)| self.bytes.slice(start..end)),
            value: message.value.map(|(start, end)| self.bytes.slice(start..end)),
            headers: Vec::new(),
        })
    }
}

impl Message {
    /// Reads the message at `start`.
    fn decode(bytes: &[u8], start: usize) -> Result<Message, RecordsError> {
        let mut cursor = Cursor {
            bytes,
            position: start,
        };
        let offset = i64::from_be_bytes(cursor.array()?);
        let size = i32::from_be_bytes(cursor.array()?);
        if size < SIZE_MIN {
            return Err(RecordsError::at(
                start + 8,
                RecordsErrorKind::Length(i64::from(size)),
            ));
        }
        // It is positive.
        let end = start + OVERHEAD + size as usize;
        if end > bytes.len() {
            return Err(RecordsError::at(
                bytes.len(),
                RecordsErrorKind::Truncated { needed: end - start },
            ));
        }
        cursor.bytes = &bytes[..end];
        let crc = u32::from_be_bytes(cursor.array()?);
        let [magic, attributes] = cursor.array()?;
        let timestamp = match magic {
            0 => NO_TIMESTAMP,
            1 => i64::from_be_bytes(cursor.array()?),
            _ => return Err(RecordsError::at(start + MAGIC, RecordsErrorKind::Magic(magic))),
        };
        let key = cursor.nullable()?;
        let value = cursor.nullable()?;
        if cursor.position != end {
            let (announced, used) = (size as usize, cursor.position - start - OVERHEAD);
            return Err(RecordsError::at(
                start,
                RecordsErrorKind::RecordLength { announced, used },
            ));
        }
        Ok(Message {
            offset,
            crc,
            attributes,
            timestamp,
            key,
            value,
            end,
        })
    }

    /// Format v0 has no timestamps, whatever the bit says.
    fn is_log_append_time(&self) -> bool {
        self.attributes & 0b1000 != 0 && self.timestamp != NO_TIMESTAMP
    }
}

struct Cursor<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl Cursor<'_> {
    fn array<const N: usize>(&mut self) -> Result<[u8; N], RecordsError> {
        match self.bytes.get(self.position..).and_then(<[u8]>::first_chunk) {
            Some(array) => {
                self.position += N;
                Ok(*array)
            }
            None => Err(RecordsError::at(
                self.position,
                RecordsErrorKind::Truncated { needed: N },
            )),
        }
    }

    fn nullable(&mut self) -> Result<Option<(usize, usize)>, RecordsError> {
        let Ok(len) = usize::try_from(i32::from_be_bytes(self.array()?)) else {
            return Ok(None);
        };
        let start = self.position;
        if len > self.bytes.len() - start {
            return Err(RecordsError::at(
                start,
                RecordsErrorKind::Truncated { needed: len },
            ));
        }
        self.position += len;
        Ok(Some((start, self.position)))
    }
}

/// The CRC-32 of IEEE 802.3, a byte at a time: nothing that counts reads these formats.
fn crc32(bytes: &[u8]) -> u32 {
    const TABLE: [u32; 256] = table();
    !bytes.iter().fold(!0, |crc, &byte| {
        TABLE[((crc ^ u32::from(byte)) & 0xff) as usize] ^ (crc >> 8)
    })
}

const fn table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut index = 0;
    while index < 256 {
        let mut crc = index as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = (crc >> 1) ^ (0xedb8_8320 & 0u32.wrapping_sub(crc & 1));
            bit += 1;
        }
        table[index] = crc;
        index += 1;
    }
    table
}

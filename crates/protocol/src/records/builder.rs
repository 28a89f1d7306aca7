//! A batch built in place in one contiguous buffer.

use super::crc::crc32c_append;
use super::header::{BATCH_HEADER_SIZE, BatchHeader};
use super::record::{Header, RecordRef};
use crate::compression::{CompressError, Compression, Compressor};
use bytes::Bytes;
use std::fmt;

/// The largest batch there is: its length field is an `i32` that does not count the first 12 bytes.
const SIZE_MAX: usize = i32::MAX as usize;

/// Builds one batch of records, for who wants it in one piece.
///
/// The buffer holds the batch as it will go over the wire; what a record adds is known before it is written.
///
/// ```
/// use ottla_protocol::compression::Decompressor;
/// use ottla_protocol::records::{BatchBuilder, RecordBatch};
///
/// let mut builder = BatchBuilder::new(16 * 1024);
/// builder.append(1_700_000_000_000, Some(b"key"), Some(b"value"), &[])?;
/// builder.append(1_700_000_000_005, None, Some(b"another"), &[])?;
/// let bytes = builder.finish();
///
/// let batch = RecordBatch::decode(bytes)?;
/// let records: Vec<_> = batch.records(&mut Decompressor::new(), 1 << 20)?.collect::<Result<_, _>>()?;
/// assert_eq!(records[1].value.as_deref(), Some(&b"another"[..]));
/// assert_eq!(records[1].timestamp, 1_700_000_000_005);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct BatchBuilder {
    /// Room for the header, then the records.
    buffer: Vec<u8>,
    header: BatchHeader,
    size_limit: usize,
}

impl BatchBuilder {
    /// A builder of a batch of at most `size_limit` bytes before compression, header included. As in Java, the first
    /// record is taken whatever its size is, so that a large one makes a batch of its own.
    pub fn new(size_limit: usize) -> BatchBuilder {
        BatchBuilder::with_buffer(Vec::new(), size_limit)
    }

    /// The same, in a buffer that was used before: its content is dropped, its memory is kept.
    pub fn with_buffer(mut buffer: Vec<u8>, size_limit: usize) -> BatchBuilder {
        buffer.clear();
        buffer.resize(BATCH_HEADER_SIZE, 0);
        BatchBuilder {
            buffer,
            header: BatchHeader::default(),
            size_limit: size_limit.min(SIZE_MAX),
        }
    }

    /// The batch's size in bytes so far, header included.
    pub fn size(&self) -> usize {
        self.buffer.len()
    }

    /// The number of records so far.
    pub fn record_count(&self) -> usize {
        // Counted up from 0, never negative.
        self.header.record_count as usize
    }

    /// Makes the batch that of an idempotent or transactional producer.
    pub fn set_producer(&mut self, producer_id: i64, producer_epoch: i16, base_sequence: i32) {
        self.header.producer_id = producer_id;
        self.header.producer_epoch = producer_epoch;
        self.header.base_sequence = base_sequence;
    }

    /// Makes the batch part of a transaction, or not.
    pub fn set_transactional(&mut self, transactional: bool) {
        self.header.attributes = self.header.attributes.with_transactional(transactional);
    }

    /// Appends a record and returns the bytes it took. The timestamp is in milliseconds.
    ///
    /// # Errors
    ///
    /// If the batch has records already and this one does not fit; nothing is changed then.
    #[inline]
    pub fn append(
        &mut self,
        timestamp: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[Header<'_>],
    ) -> Result<usize, BatchFull> {
        let first = self.header.record_count == 0;
        let base_timestamp = if first {
            timestamp
        } else {
            self.header.base_timestamp
        };
        let record = RecordRef {
            // Two timestamps can be further apart than an i64 says. Both ends wrap, so the sum is right again.
            timestamp_delta: timestamp.wrapping_sub(base_timestamp),
            offset_delta: self.header.record_count,
            key,
            value,
            headers,
        };
        let size = record.encoded_size();
        let limit = if first { SIZE_MAX } else { self.size_limit };
        if size.total() > limit.saturating_sub(self.buffer.len()) {
            return Err(BatchFull {
                record: size.total(),
                room: limit.saturating_sub(self.buffer.len()),
            });
        }
        record.write_to(size, &mut self.buffer);
        self.header.base_timestamp = base_timestamp;
        self.header.max_timestamp = if first {
            timestamp
        } else {
            self.header.max_timestamp.max(timestamp)
        };
        self.header.last_offset_delta = self.header.record_count;
        // 2 GiB of records of at least 7 bytes each do not overflow it.
        self.header.record_count += 1;
        Ok(size.total())
    }

    /// The finished batch.
    pub fn finish(mut self) -> Bytes {
        let payload = &self.buffer[BATCH_HEADER_SIZE..];
        let header = self.header.encode(payload.len(), crc32c_append(0, payload));
        self.buffer[..BATCH_HEADER_SIZE].copy_from_slice(&header);
        Bytes::from(self.buffer)
    }

    /// The finished batch, compressed; as it is under [`Compression::None`].
    ///
    /// # Errors
    ///
    /// If the codec's library runs out of memory.
    pub fn finish_compressed(mut self, compressor: &mut Compressor) -> Result<Bytes, CompressError> {
        let compression = compressor.codec().compression();
        if compression == Compression::None {
            return Ok(self.finish());
        }
        self.header.attributes = self.header.attributes.with_compression(compression);
        let mut compressed = Vec::with_capacity(self.buffer.len() / 2 + BATCH_HEADER_SIZE);
        compressed.resize(BATCH_HEADER_SIZE, 0);
        compressor.compress(&[&self.buffer[BATCH_HEADER_SIZE..]], &mut compressed)?;
        self.buffer = compressed;
        Ok(self.finish())
    }
}

/// A record that does not fit into a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchFull {
    record: usize,
    room: usize,
}

impl BatchFull {
    /// The record's size in bytes.
    pub fn record_size(&self) -> usize {
        self.record
    }

    /// The bytes that the batch has left.
    pub fn room(&self) -> usize {
        self.room
    }
}

impl fmt::Display for BatchFull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the record takes {} bytes, and the batch has {} left",
            self.record, self.room
        )
    }
}

impl std::error::Error for BatchFull {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_batch_refuses_and_stays() {
        let mut builder = BatchBuilder::new(100);
        let large = [0; 1000];
        assert_eq!(builder.append(0, None, Some(&large), &[]), Ok(1009));
        let size = builder.size();
        assert_eq!(
            builder.append(0, None, None, &[]),
            Err(BatchFull { record: 7, room: 0 })
        );
        assert_eq!((builder.size(), builder.record_count()), (size, 1));
    }

    #[test]
    fn a_record_that_fits_exactly_is_taken() {
        let mut builder = BatchBuilder::new(BATCH_HEADER_SIZE + 14);
        assert_eq!(builder.append(0, None, None, &[]), Ok(7));
        assert_eq!(
            builder.append(0, None, Some(&[0]), &[]),
            Err(BatchFull { record: 8, room: 7 })
        );
        assert_eq!(builder.append(0, None, None, &[]), Ok(7));
        assert_eq!(builder.size(), BATCH_HEADER_SIZE + 14);
    }
}

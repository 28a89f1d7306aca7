//! One batch as it came over the wire or out of a log.

use super::error::{RecordsError, RecordsErrorKind};
use super::header::{BATCH_HEADER_SIZE, BatchHeader, TimestampType, WireHeader};
use super::reader::{Payload, Records};
use super::view::RecordView;
use crate::compression::{Compression, Decompressor};
use bytes::Bytes;

/// A batch of message format v2 whose header was checked; its records are read when they are asked for.
///
/// To clone it costs a reference count.
#[derive(Clone, Debug)]
pub struct RecordBatch {
    bytes: Bytes,
    wire: WireHeader,
}

/// What [`RecordBatch::validate`] found out on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BatchSummary {
    /// The highest timestamp of the records themselves, in milliseconds.
    pub max_timestamp: i64,
    /// The bytes of the records before compression.
    pub uncompressed_size: usize,
    /// The index of the first record that has no key; a compacted topic refuses it.
    pub first_without_key: Option<usize>,
}

impl RecordBatch {
    /// Takes the one batch that `bytes` are. The CRC is not checked: see [`RecordBatch::check_crc`].
    ///
    /// # Errors
    ///
    /// If the bytes are fewer or more than the header announces, or the header cannot be.
    pub fn decode(bytes: Bytes) -> Result<RecordBatch, RecordsError> {
        let wire = WireHeader::decode(&bytes)?;
        if bytes.len() < wire.size {
            return Err(RecordsError::at(
                bytes.len(),
                RecordsErrorKind::Truncated { needed: wire.size },
            ));
        }
        if bytes.len() > wire.size {
            return Err(RecordsError::at(
                wire.size,
                RecordsErrorKind::TrailingBytes(bytes.len() - wire.size),
            ));
        }
        Ok(RecordBatch { bytes, wire })
    }

    /// The header.
    pub fn header(&self) -> &BatchHeader {
        &self.wire.header
    }

    /// The whole batch as it is on the wire.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// What follows the header: the records, compressed if the header names a codec.
    pub fn payload(&self) -> Bytes {
        self.bytes.slice(BATCH_HEADER_SIZE..)
    }

    /// The CRC-32C that the batch carries.
    pub fn crc(&self) -> u32 {
        self.wire.crc
    }

    /// The codec.
    ///
    /// # Errors
    ///
    /// If its id is none that exists.
    pub fn compression(&self) -> Result<Compression, RecordsError> {
        let attributes = self.wire.header.attributes;
        let unknown = || RecordsError::at(21, RecordsErrorKind::Compression(attributes.compression_id()));
        attributes.compression().ok_or_else(unknown)
    }

    /// Checks the CRC over the bytes.
    ///
    /// # Errors
    ///
    /// If it does not match.
    pub fn check_crc(&self) -> Result<(), RecordsError> {
        let computed = WireHeader::computed_crc(&self.bytes);
        if computed == self.wire.crc {
            Ok(())
        } else {
            Err(RecordsError::at(
                17,
                RecordsErrorKind::Crc {
                    stored: self.wire.crc,
                    computed,
                },
            ))
        }
    }

    /// The records, in order. An uncompressed batch is read in place; a compressed one is decompressed first, to at
    /// most `limit` bytes. The fields of the records are slices of one or the other.
    ///
    /// # Errors
    ///
    /// If the codec is unknown, or the payload does not decompress. What is wrong with a record is an item of the
    /// iterator, its last.
    pub fn records(&self, decompressor: &mut Decompressor, limit: usize) -> Result<Records, RecordsError> {
        Ok(Records::v2(
            &self.wire.header,
            self.decompressed(decompressor, limit)?,
        ))
    }

    /// Calls `visitor` for each record in order, with slices of the batch: no allocation and no reference counts.
    ///
    /// # Errors
    ///
    /// If the payload does not decompress, or a record is none.
    pub fn visit_records(
        &self,
        decompressor: &mut Decompressor,
        limit: usize,
        mut visitor: impl FnMut(&RecordView<'_>),
    ) -> Result<(), RecordsError> {
        let payload = self.decompressed(decompressor, limit)?;
        self.visit(&payload, |view| {
            visitor(view);
            Ok(())
        })
    }

    /// Checks everything that a broker checks of a produced batch: CRC, a count above zero that the last offset delta
    /// agrees with, records that decode, and offset deltas that are their indexes.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong, with the index of the record if it is in one.
    pub fn validate(
        &self,
        decompressor: &mut Decompressor,
        limit: usize,
    ) -> Result<BatchSummary, RecordsError> {
        self.check_crc()?;
        let header = &self.wire.header;
        let count = header.record_count;
        if count == 0 {
            return Err(RecordsError::at(57, RecordsErrorKind::Count(0)));
        }
        if header.last_offset_delta != count - 1 {
            let found = header.last_offset_delta;
            return Err(RecordsError::at(
                23,
                RecordsErrorKind::LastOffsetDelta { found, count },
            ));
        }
        let payload = self.decompressed(decompressor, limit)?;
        let uncompressed_size = payload.bytes.len() - payload.start;
        let mut summary = BatchSummary {
            max_timestamp: i64::MIN,
            uncompressed_size,
            first_without_key: None,
        };
        let mut expected = 0;
        self.visit(&payload, |view| {
            if view.offset_delta != expected {
                let found = view.offset_delta;
                return Err(RecordsErrorKind::OffsetDelta { found, expected });
            }
            if view.key.is_none() && summary.first_without_key.is_none() {
                // It counted up from 0 to below the record count.
                summary.first_without_key = Some(expected as usize);
            }
            let timestamp = header.base_timestamp.wrapping_add(view.timestamp_delta);
            summary.max_timestamp = summary.max_timestamp.max(timestamp);
            expected += 1;
            Ok(())
        })?;
        Ok(summary)
    }

    /// The header that this batch gets in a log: the offset of its first record and the epoch of the leader, which the
    /// CRC does not cover; and, in a topic of LogAppendTime, the broker's time, for which the CRC is computed anew from
    /// the header alone.
    ///
    /// The payload stays as it is: the stored batch is this header and [`RecordBatch::payload`].
    pub fn assigned(
        &self,
        base_offset: i64,
        partition_leader_epoch: i32,
        log_append_time: Option<i64>,
    ) -> [u8; BATCH_HEADER_SIZE] {
        let mut header = BatchHeader {
            base_offset,
            partition_leader_epoch,
            ..self.wire.header
        };
        if let Some(time) = log_append_time {
            header.attributes = header
                .attributes
                .with_timestamp_type(TimestampType::LogAppendTime);
            header.max_timestamp = time;
        }
        header.encode(
            self.bytes.len() - BATCH_HEADER_SIZE,
            self.wire.payload_crc(&self.bytes),
        )
    }

    fn decompressed(&self, decompressor: &mut Decompressor, limit: usize) -> Result<Payload, RecordsError> {
        let compression = self.compression()?;
        if compression == Compression::None {
            return Ok(Payload {
                bytes: self.bytes.clone(),
                start: BATCH_HEADER_SIZE,
                decompressed: false,
            });
        }
        let mut decompressed = Vec::new();
        let result = decompressor.decompress(
            compression,
            &self.bytes[BATCH_HEADER_SIZE..],
            limit,
            &mut decompressed,
        );
        result.map_err(|error| RecordsError::at(BATCH_HEADER_SIZE, RecordsErrorKind::Decompress(error)))?;
        Ok(Payload {
            bytes: Bytes::from(decompressed),
            start: 0,
            decompressed: true,
        })
    }

    fn visit(
        &self,
        payload: &Payload,
        mut visitor: impl FnMut(&RecordView<'_>) -> Result<(), RecordsErrorKind>,
    ) -> Result<(), RecordsError> {
        let mut position = payload.start;
        for index in 0..self.wire.header.record_count {
            let decoded = RecordView::decode(&payload.bytes, position).and_then(|(view, next)| {
                visitor(&view).map_err(|kind| RecordsError::at(position, kind))?;
                Ok(next)
            });
            // The index counts up from 0.
            position = decoded.map_err(|error| error.in_record(index as usize, payload.decompressed))?;
        }
        payload.check_end(position)
    }
}

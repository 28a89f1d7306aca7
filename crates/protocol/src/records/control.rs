//! Control batches: the markers that end a transaction in a partition's log.

use super::crc::crc32c_append;
use super::error::{RecordsError, RecordsErrorKind};
use super::header::{Attributes, BATCH_HEADER_SIZE, BatchHeader};
use super::reader::Record;
use super::record::RecordRef;
use bytes::Bytes;

/// What the record of a control batch says. Kinds that mean nothing to us are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ControlRecord {
    /// The end of a transaction.
    EndTransaction(EndTransactionMarker),
    /// A record of Raft's or of a kind that came later.
    Other {
        /// The type in the record's key.
        kind: i16,
    },
}

/// The end of a producer's transaction in one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndTransactionMarker {
    /// Whether what the transaction wrote here counts.
    pub committed: bool,
    /// The epoch of the transaction coordinator.
    pub coordinator_epoch: i32,
}

const ABORT: i16 = 0;
const COMMIT: i16 = 1;

/// The version of keys and values of control records that we write.
const VERSION: i16 = 0;

impl ControlRecord {
    /// Reads a record of a batch whose attributes say that it is a control batch.
    ///
    /// # Errors
    ///
    /// If key or value are too short. Later versions may be longer, and still are read, as Java reads them.
    pub fn decode(record: &Record) -> Result<ControlRecord, RecordsError> {
        let invalid = |offset| RecordsError::at(offset, RecordsErrorKind::Control);
        let key = record.key.as_deref().and_then(<[u8]>::first_chunk);
        let [_, _, high, low] = *key.ok_or_else(|| invalid(0))?;
        let kind = i16::from_be_bytes([high, low]);
        if kind != ABORT && kind != COMMIT {
            return Ok(ControlRecord::Other { kind });
        }
        let value = record.value.as_deref().and_then(<[u8]>::first_chunk);
        let [_, _, e0, e1, e2, e3] = *value.ok_or_else(|| invalid(0))?;
        let coordinator_epoch = i32::from_be_bytes([e0, e1, e2, e3]);
        Ok(ControlRecord::EndTransaction(EndTransactionMarker {
            committed: kind == COMMIT,
            coordinator_epoch,
        }))
    }
}

impl EndTransactionMarker {
    /// The control batch that a broker appends when a transaction of this producer ends. `timestamp` is in
    /// milliseconds. The leader assigns the offset as for any batch.
    ///
    /// ```
    /// use ottla_protocol::compression::Decompressor;
    /// use ottla_protocol::records::{ControlRecord, EndTransactionMarker, RecordBatch};
    ///
    /// let marker = EndTransactionMarker { committed: true, coordinator_epoch: 3 };
    /// let batch = RecordBatch::decode(marker.batch(1_700_000_000_000, 4000, 7))?;
    /// assert!(batch.header().attributes.is_control());
    /// let record = batch.records(&mut Decompressor::new(), 100)?.next().expect("one record")?;
    /// assert_eq!(ControlRecord::decode(&record)?, ControlRecord::EndTransaction(marker));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn batch(&self, timestamp: i64, producer_id: i64, producer_epoch: i16) -> Bytes {
        let kind = if self.committed { COMMIT } else { ABORT };
        let key = [VERSION.to_be_bytes(), kind.to_be_bytes()].concat();
        let value = [&VERSION.to_be_bytes()[..], &self.coordinator_epoch.to_be_bytes()].concat();
        let record = RecordRef {
            key: Some(&key),
            value: Some(&value),
            ..RecordRef::default()
        };
        let mut payload = Vec::new();
        record.write_to(record.encoded_size(), &mut payload);
        let header = BatchHeader {
            attributes: Attributes::default().with_transactional(true).with_control(true),
            base_timestamp: timestamp,
            max_timestamp: timestamp,
            producer_id,
            producer_epoch,
            record_count: 1,
            ..BatchHeader::default()
        };
        let mut batch = Vec::with_capacity(BATCH_HEADER_SIZE + payload.len());
        batch.extend_from_slice(&header.encode(payload.len(), crc32c_append(0, &payload)));
        batch.extend_from_slice(&payload);
        Bytes::from(batch)
    }
}

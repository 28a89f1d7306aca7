//! Records as they are read, from batches of every format.

use super::error::{RecordsError, RecordsErrorKind};
use super::header::{BatchHeader, TimestampType};
use super::legacy::LegacyRecords;
use super::view::RecordView;
use bytes::Bytes;
use std::borrow::Cow;

/// A record that was read. Its fields are slices of the batch, or of what the batch was decompressed to, and keep that
/// memory alive.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Record {
    /// The offset in the partition's log.
    pub offset: i64,
    /// Milliseconds since 1970; -1 if there is none, as in message format v0.
    pub timestamp: i64,
    /// Whose time that is.
    pub timestamp_type: TimestampType,
    /// The key.
    pub key: Option<Bytes>,
    /// The value.
    pub value: Option<Bytes>,
    /// The headers, in order.
    pub headers: Vec<RecordHeader>,
}

/// A header of a record that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecordHeader {
    /// The name as it is on the wire.
    pub key: Bytes,
    /// The value.
    pub value: Option<Bytes>,
}

impl RecordHeader {
    /// The name as text; what is not UTF-8 in it is replaced, as Java does.
    pub fn name(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.key)
    }
}

/// Iterates over the records of a batch. After an error it ends.
#[derive(Clone, Debug)]
pub struct Records(Source);

#[derive(Clone, Debug)]
enum Source {
    V2(V2Records),
    Legacy(LegacyRecords),
}

/// Encoded records: those of the batch itself, or what they were decompressed to.
#[derive(Clone, Debug)]
pub(super) struct Payload {
    pub(super) bytes: Bytes,
    /// Where the first record begins.
    pub(super) start: usize,
    pub(super) decompressed: bool,
}

#[derive(Clone, Debug)]
struct V2Records {
    payload: Payload,
    position: usize,
    /// Records that are still to come, by the header.
    left: i32,
    /// Records that were read.
    index: usize,
    base_offset: i64,
    base_timestamp: i64,
    /// The batch's append time, which replaces the records' own.
    log_append_time: Option<i64>,
    ended: bool,
}

impl Records {
    pub(super) fn v2(header: &BatchHeader, payload: Payload) -> Records {
        let log_append_time = match header.attributes.timestamp_type() {
            TimestampType::CreateTime => None,
            TimestampType::LogAppendTime => Some(header.max_timestamp),
        };
        Records(Source::V2(V2Records {
            position: payload.start,
            payload,
            left: header.record_count,
            index: 0,
            base_offset: header.base_offset,
            base_timestamp: header.base_timestamp,
            log_append_time,
            ended: false,
        }))
    }

    pub(super) fn legacy(records: LegacyRecords) -> Records {
        Records(Source::Legacy(records))
    }
}

impl Iterator for Records {
    type Item = Result<Record, RecordsError>;

    fn next(&mut self) -> Option<Result<Record, RecordsError>> {
        match &mut self.0 {
            Source::V2(records) => records.next(),
            Source::Legacy(records) => records.next(),
        }
    }
}

impl std::iter::FusedIterator for Records {}

impl Payload {
    /// Checks that the records ended where the payload does.
    pub(super) fn check_end(&self, position: usize) -> Result<(), RecordsError> {
        match self.bytes.len() - position {
            0 => Ok(()),
            rest => Err(RecordsError::at(position, RecordsErrorKind::TrailingBytes(rest))
                .in_decompressed(self.decompressed)),
        }
    }
}

impl V2Records {
    fn next(&mut self) -> Option<Result<Record, RecordsError>> {
        if self.ended {
            return None;
        }
        if self.left == 0 {
            self.ended = true;
            return self.payload.check_end(self.position).err().map(Err);
        }
        match RecordView::decode(&self.payload.bytes, self.position) {
            Ok((view, end)) => {
                let record = self.record(&view);
                self.position = end;
                self.left -= 1;
                self.index += 1;
                Some(Ok(record))
            }
            Err(error) => {
                self.ended = true;
                Some(Err(error.in_record(self.index, self.payload.decompressed)))
            }
        }
    }

    fn record(&self, view: &RecordView<'_>) -> Record {
        let bytes = &self.payload.bytes;
        let header = |(key, value): (&[u8], Option<&[u8]>)| RecordHeader {
            key: bytes.slice_ref(key),
            value: value.map(|value| bytes.slice_ref(value)),
        };
        // Both numbers are the wire's, so that their sum may be none.
        let timestamp = self.base_timestamp.wrapping_add(view.timestamp_delta);
        let (timestamp, timestamp_type) = match self.log_append_time {
            Some(time) => (time, TimestampType::LogAppendTime),
            None => (timestamp, TimestampType::CreateTime),
        };
        Record {
            offset: self.base_offset.wrapping_add(i64::from(view.offset_delta)),
            timestamp,
            timestamp_type,
            key: view.key.map(|key| bytes.slice_ref(key)),
            value: view.value.map(|value| bytes.slice_ref(value)),
            headers: view.headers.iter().map(header).collect(),
        }
    }
}

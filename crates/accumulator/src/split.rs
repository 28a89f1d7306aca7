//! Taking a batch apart that is too large for the broker.

use crate::batch::SealedBatch;
use crate::memory::Reservation;
use ottla_protocol::compression::Decompressor;
use ottla_protocol::records::{self, Header, RecordBatch, RecordRef, RecordsError};
use ottla_time::mutant;
use smallvec::SmallVec;

/// Permits for the state of a part besides its bytes and outcomes: by the size of the types, rounded up.
pub(crate) const PART_STATE_BYTES: usize = 448;

/// Records that a batch was taken apart into, encoded anew, not compressed.
#[derive(Debug, Default)]
pub(crate) struct Half {
    pub(crate) payload: Vec<u8>,
    pub(crate) record_count: u32,
    pub(crate) base_timestamp_ms: i64,
    pub(crate) max_timestamp_ms: i64,
    /// Bytes of the largest record.
    pub(crate) record_len_max: usize,
}

impl Half {
    fn is_empty(&self) -> bool {
        self.record_count == 0
    }

    /// Appends the record if the payload stays within `len_max`, or has no other record.
    fn take(&mut self, record: &records::Record, len_max: usize) -> bool {
        let headers: SmallVec<[Header<'_>; 4]> = record.headers.iter().map(header).collect();
        let base_timestamp_ms = if self.is_empty() {
            record.timestamp
        } else {
            self.base_timestamp_ms
        };
        let encoded = RecordRef {
            timestamp_delta: record.timestamp.wrapping_sub(base_timestamp_ms),
            offset_delta: self.record_count as i32,
            key: record.key.as_deref(),
            value: record.value.as_deref(),
            headers: &headers,
        };
        let size = encoded.encoded_size();
        if !self.is_empty() && self.payload.len() + size.total() > len_max {
            return false;
        }
        encoded.write_to(size, &mut self.payload);
        self.max_timestamp_ms = if self.is_empty() {
            record.timestamp
        } else {
            self.max_timestamp_ms.max(record.timestamp)
        };
        self.base_timestamp_ms = base_timestamp_ms;
        self.record_len_max = self.record_len_max.max(size.total());
        self.record_count += 1;
        true
    }
}

fn header(header: &records::RecordHeader) -> Header<'_> {
    // It was a str when it was appended.
    Header {
        key: std::str::from_utf8(&header.key).unwrap_or_default(),
        value: header.value.as_deref(),
    }
}

/// The records of `batch`, which has two or more, in order: at most half of its bytes, or one record, and the rest.
pub(crate) fn halve(batch: &SealedBatch) -> Result<[Half; 2], RecordsError> {
    let decoded = RecordBatch::decode(batch.glued())?;
    let len = batch.uncompressed_len();
    let (mut front, mut rest) = (Half::default(), Half::default());
    let records = decoded.records(&mut Decompressor::new(), len)?;
    for record in records.skip(usize::from(mutant!("split loses a record"))) {
        let record = record?;
        if !rest.is_empty() || !front.take(&record, len / 2) {
            rest.take(&record, usize::MAX);
        }
    }
    Ok([front, rest])
}

/// Bytes of exactly the size that they are charged for. A chunk would round them up, which matters for thousands of
/// single records.
#[derive(Debug)]
pub(crate) struct ExactBytes {
    bytes: Box<[u8]>,
    _permits: Reservation,
}

impl ExactBytes {
    /// Charged to the account even if there is no memory left: what these bytes replace is given back at once.
    pub(crate) fn new(bytes: Vec<u8>, account: &Reservation) -> ExactBytes {
        ExactBytes {
            _permits: account.reserve_regardless(bytes.len()),
            bytes: bytes.into_boxed_slice(),
        }
    }
}

impl AsRef<[u8]> for ExactBytes {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

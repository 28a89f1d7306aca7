//! Several batches in a row: a log segment, or the records of a Fetch response.

use super::batch::RecordBatch;
use super::error::{RecordsError, RecordsErrorKind};
use super::header::{BATCH_HEADER_SIZE, LENGTH_END};
use super::legacy::LegacyBatch;
use super::reader::Records;
use crate::compression::Decompressor;
use bytes::Bytes;

/// Where every format has its magic, and the least that has to be there to look at it.
const MAGIC: usize = 16;

/// A batch of any message format.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum AnyBatch {
    /// Format v2: what Kafka has written since 0.11.
    V2(RecordBatch),
    /// Format v0 or v1.
    Legacy(LegacyBatch),
}

impl AnyBatch {
    /// The offset of the last record.
    pub fn last_offset(&self) -> i64 {
        match self {
            AnyBatch::V2(batch) => batch.header().last_offset(),
            AnyBatch::Legacy(batch) => batch.last_offset(),
        }
    }

    /// Checks the checksum.
    ///
    /// # Errors
    ///
    /// If it does not match.
    pub fn check_crc(&self) -> Result<(), RecordsError> {
        match self {
            AnyBatch::V2(batch) => batch.check_crc(),
            AnyBatch::Legacy(batch) => batch.check_crc(),
        }
    }

    /// The records, decompressed to at most `limit` bytes.
    ///
    /// # Errors
    ///
    /// If the codec is unknown, or the batch does not decompress.
    pub fn records(&self, decompressor: &mut Decompressor, limit: usize) -> Result<Records, RecordsError> {
        match self {
            AnyBatch::V2(batch) => batch.records(decompressor, limit),
            AnyBatch::Legacy(batch) => batch.records(decompressor, limit),
        }
    }
}

/// Iterates over the batches in a piece of a log. A batch that is cut off at the end, as Fetch returns it, ends the
/// iteration like nothing; [`RecordBatches::remainder`] has what is left. After an error it ends.
///
/// ```
/// use ottla_protocol::records::{BatchBuilder, RecordBatches};
/// let mut builder = BatchBuilder::new(1000);
/// builder.append(0, None, Some(b"value"), &[])?;
/// let batch = builder.finish();
///
/// let log = [&batch[..], &batch, &batch[..40]].concat();
/// let mut batches = RecordBatches::new(log.into());
/// assert_eq!(batches.by_ref().filter(Result::is_ok).count(), 2);
/// assert_eq!(batches.remainder(), &batch[..40]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct RecordBatches {
    rest: Bytes,
    /// Where `rest` begins in the whole.
    position: usize,
    failed: bool,
}

impl RecordBatches {
    /// The batches in `bytes`.
    pub fn new(bytes: Bytes) -> RecordBatches {
        RecordBatches {
            rest: bytes,
            position: 0,
            failed: false,
        }
    }

    /// What has not been read: after the last batch, one that is cut off, or nothing.
    pub fn remainder(&self) -> &Bytes {
        &self.rest
    }

    fn read(&mut self) -> Result<Option<AnyBatch>, RecordsError> {
        let Some(fixed) = self.rest.first_chunk::<{ MAGIC + 1 }>() else {
            return Ok(None);
        };
        let [_, _, _, _, _, _, _, _, l0, l1, l2, l3, ..] = *fixed;
        let length = i32::from_be_bytes([l0, l1, l2, l3]);
        let magic = fixed[MAGIC];
        let least = match magic {
            0 => 14,
            1 => 22,
            2 => BATCH_HEADER_SIZE - LENGTH_END,
            _ => return Err(RecordsError::at(MAGIC, RecordsErrorKind::Magic(magic))),
        };
        let impossible = || RecordsError::at(8, RecordsErrorKind::Length(i64::from(length)));
        let length = usize::try_from(length)
            .ok()
            .filter(|&length| length >= least)
            .ok_or_else(impossible)?;
        let size = LENGTH_END + length;
        if size > self.rest.len() {
            return Ok(None);
        }
        let bytes = self.rest.slice(..size);
        let batch = match magic {
            2 => AnyBatch::V2(RecordBatch::decode(bytes)?),
            _ => AnyBatch::Legacy(LegacyBatch::decode(bytes)?),
        };
        self.rest = self.rest.slice(size..);
        self.position += size;
        Ok(Some(batch))
    }
}

impl Iterator for RecordBatches {
    type Item = Result<AnyBatch, RecordsError>;

    fn next(&mut self) -> Option<Result<AnyBatch, RecordsError>> {
        if self.failed {
            return None;
        }
        let result = self.read();
        self.failed = result.is_err();
        result
            .map_err(|error| error.in_batch_at(self.position))
            .transpose()
    }
}

impl std::iter::FusedIterator for RecordBatches {}

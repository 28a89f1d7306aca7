//! Record batches: written in place, decoded lazily, and what a broker does with them.
//!
//! A batch (message format v2) is a header of 61 bytes and a payload: the records one after the other, compressed as
//! one stream if the header names a codec.
//!
//! - To write: [`BatchBuilder`] for a batch in one buffer; or, where records go into chunks and identities come late,
//!   its parts: [`RecordRef`] knows a record's exact size and writes it to a [`RecordSink`], [`crc32c_append`] goes over
//!   the payload once, and [`BatchHeader::encode`] makes the header in front of it.
//! - To read: [`RecordBatches`] cuts a piece of a log into batches of any format, [`RecordBatch`] is one of them, and
//!   [`Records`] iterates over what is inside. Nothing is copied but what has to be decompressed.
//! - To serve: [`RecordBatch::validate`], [`RecordBatch::assigned`], and [`EndTransactionMarker`].
//!
//! Nothing here trusts the bytes: every length and count is checked against what is there, and decompression has the
//! caller's limit.

mod batch;
mod builder;
mod control;
mod crc;
mod error;
mod header;
mod legacy;
mod log;
mod reader;
mod record;
mod varint;
mod view;

pub use batch::{BatchSummary, RecordBatch};
pub use builder::{BatchBuilder, BatchFull};
pub use control::{ControlRecord, EndTransactionMarker};
pub use crc::{crc32c_append, crc32c_combine};
pub use error::{RecordsError, RecordsErrorKind};
pub use header::{Attributes, BATCH_HEADER_SIZE, BatchHeader, TimestampType};
pub use legacy::LegacyBatch;
pub use log::{AnyBatch, RecordBatches};
pub use reader::{Record, RecordHeader, Records};
pub use record::{Header, RecordRef, RecordSink, RecordSize, SliceSink};
pub use view::{HeadersView, RecordView};

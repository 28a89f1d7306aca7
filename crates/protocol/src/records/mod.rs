//! Record batches (message format v2) without I/O: written in place, decoded lazily.

mod crc;
mod error;
mod header;
mod record;
mod varint;

pub use crc::{crc32c_append, crc32c_combine};
pub use error::{RecordsError, RecordsErrorKind};
pub use header::{Attributes, BATCH_HEADER_SIZE, BatchHeader, TimestampType};
pub use record::{Header, RecordRef, RecordSink, RecordSize};

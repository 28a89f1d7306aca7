//! What can be wrong with the bytes of record batches.

use crate::compression::DecompressError;
use std::fmt;

/// Bytes that are not the records they should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordsError {
    kind: RecordsErrorKind,
    offset: usize,
    decompressed: bool,
    record_index: Option<usize>,
}

impl RecordsError {
    #[cold]
    pub(super) fn at(offset: usize, kind: RecordsErrorKind) -> RecordsError {
        RecordsError {
            kind,
            offset,
            decompressed: false,
            record_index: None,
        }
    }

    /// The same, found in a record.
    pub(super) fn in_record(self, index: usize, decompressed: bool) -> RecordsError {
        RecordsError {
            record_index: Some(index),
            decompressed,
            ..self
        }
    }

    /// The same, in a batch that begins at `position` of a piece of a log.
    pub(super) fn in_batch_at(self, position: usize) -> RecordsError {
        RecordsError {
            offset: self.offset + position,
            ..self
        }
    }

    /// The same, found in what the payload was decompressed to.
    pub(super) fn in_decompressed(self, decompressed: bool) -> RecordsError {
        RecordsError { decompressed, ..self }
    }

    /// What is wrong.
    pub fn kind(&self) -> &RecordsErrorKind {
        &self.kind
    }

    /// Where, in bytes: from the start of what was decoded (a batch, or several in a row), or from the start of a
    /// batch's decompressed records if [`RecordsError::is_in_decompressed`].
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// The index in its batch of the record that is wrong, if it is one.
    pub fn record_index(&self) -> Option<usize> {
        self.record_index
    }

    /// Whether [`RecordsError::offset`] counts from the start of the decompressed records.
    pub fn is_in_decompressed(&self) -> bool {
        self.decompressed
    }
}

impl fmt::Display for RecordsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(index) = self.record_index {
            write!(f, "record {index}: ")?;
        }
        let place = if self.decompressed {
            "the decompressed records"
        } else {
            "the input"
        };
        write!(f, "{} (at byte {} of {place})", self.kind, self.offset)
    }
}

impl std::error::Error for RecordsError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.kind {
            RecordsErrorKind::Decompress(error) => Some(error),
            _ => None,
        }
    }
}

/// What is wrong with the bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RecordsErrorKind {
    /// The bytes end before what they announce.
    Truncated {
        /// The size that was announced, in bytes.
        needed: usize,
    },
    /// More bytes follow than were announced.
    TrailingBytes(usize),
    /// The format version is none that exists, or not the one that belongs here.
    Magic(u8),
    /// A length that cannot be.
    Length(i64),
    /// A number of records or headers that cannot be.
    Count(i32),
    /// The checksum does not match: the bytes were damaged.
    Crc {
        /// What the batch says.
        stored: u32,
        /// What its bytes have.
        computed: u32,
    },
    /// The codec's id is none that exists.
    Compression(u8),
    /// The payload does not decompress.
    Decompress(DecompressError),
    /// A variable-length integer that does not end.
    Varint,
    /// A record's length and the fields in it disagree.
    RecordLength {
        /// What the record's length field says.
        announced: usize,
        /// What its fields take.
        used: usize,
    },
    /// A null where there has to be a value: a header's key.
    NullHeaderKey,
    /// The last offset delta is not the number of records minus one, as in every batch that a producer sends.
    LastOffsetDelta {
        /// What the batch says.
        found: i32,
        /// The number of records.
        count: i32,
    },
    /// An offset delta is not the record's index.
    OffsetDelta {
        /// What the record says.
        found: i32,
        /// Its index.
        expected: i32,
    },
    /// A compressed message inside a compressed message.
    Nested,
    /// A control record whose key or value is none.
    Control,
}

impl fmt::Display for RecordsErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated { needed } => write!(f, "the bytes end before the {needed} announced"),
            Self::TrailingBytes(count) => write!(f, "{count} bytes follow the end"),
            Self::Magic(magic) => write!(f, "unexpected format version (magic) {magic}"),
            Self::Length(length) => write!(f, "impossible length {length}"),
            Self::Count(count) => write!(f, "impossible count {count}"),
            Self::Crc { stored, computed } => {
                write!(
                    f,
                    "checksum {stored:#010x} does not match the bytes, whose checksum is {computed:#010x}"
                )
            }
            Self::Compression(id) => write!(f, "unknown compression codec {id}"),
            Self::Decompress(error) => write!(f, "the records do not decompress: {error}"),
            Self::Varint => f.write_str("a variable-length integer does not end"),
            Self::RecordLength { announced, used } => {
                write!(f, "a record of {announced} bytes has fields of {used} bytes")
            }
            Self::NullHeaderKey => f.write_str("a record header has a null key"),
            Self::LastOffsetDelta { found, count } => {
                write!(f, "last offset delta {found} in a batch of {count} records")
            }
            Self::OffsetDelta { found, expected } => {
                write!(f, "offset delta {found} where {expected} was expected")
            }
            Self::Nested => f.write_str("a compressed message inside a compressed message"),
            Self::Control => f.write_str("not a control record"),
        }
    }
}

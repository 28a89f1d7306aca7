//! The 61 bytes in front of a batch's records.

use super::crc::{crc32c_append, crc32c_combine};
use super::error::{RecordsError, RecordsErrorKind};
use crate::compression::Compression;
use std::fmt;

/// The header's size in bytes.
pub const BATCH_HEADER_SIZE: usize = 61;

/// The bytes before what the batch's length field counts: the base offset and the length itself.
pub(super) const LENGTH_END: usize = 12;

/// Where the bytes that the CRC covers begin.
const CRC_START: usize = 21;

/// The format version of these batches.
const MAGIC: u8 = 2;

/// What a record's timestamp means: one bit of the wire format, so there cannot be a third.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum TimestampType {
    /// The producer set it.
    #[default]
    CreateTime,
    /// The broker replaced it by its own time at the append; every record of the batch has the batch's maximum.
    LogAppendTime,
}

/// The attribute bits of a batch. Bits that mean nothing to us are kept.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Attributes(i16);

impl Attributes {
    const COMPRESSION: i16 = 0b111;
    const LOG_APPEND_TIME: i16 = 1 << 3;
    const TRANSACTIONAL: i16 = 1 << 4;
    const CONTROL: i16 = 1 << 5;
    const DELETE_HORIZON: i16 = 1 << 6;

    /// The attributes with exactly these bits.
    pub const fn from_bits(bits: i16) -> Attributes {
        Attributes(bits)
    }

    /// All bits as they stand on the wire.
    pub const fn bits(self) -> i16 {
        self.0
    }

    /// The three bits that name the codec.
    pub const fn compression_id(self) -> u8 {
        (self.0 & Self::COMPRESSION) as u8
    }

    /// The codec, if its id is one that exists.
    pub const fn compression(self) -> Option<Compression> {
        Compression::from_id(self.compression_id())
    }

    /// What the timestamps mean.
    pub const fn timestamp_type(self) -> TimestampType {
        if self.has(Self::LOG_APPEND_TIME) {
            TimestampType::LogAppendTime
        } else {
            TimestampType::CreateTime
        }
    }

    /// Whether the batch belongs to a transaction.
    pub const fn is_transactional(self) -> bool {
        self.has(Self::TRANSACTIONAL)
    }

    /// Whether the records are control records, such as transaction markers, and not a user's.
    pub const fn is_control(self) -> bool {
        self.has(Self::CONTROL)
    }

    /// Whether the base timestamp's field holds the time after which tombstones may go (KIP-534).
    pub const fn has_delete_horizon(self) -> bool {
        self.has(Self::DELETE_HORIZON)
    }

    /// The same with this codec.
    #[must_use]
    pub const fn with_compression(self, compression: Compression) -> Attributes {
        Attributes(self.0 & !Self::COMPRESSION | compression.id() as i16)
    }

    /// The same with this meaning of the timestamps.
    #[must_use]
    pub const fn with_timestamp_type(self, timestamp_type: TimestampType) -> Attributes {
        self.with(
            Self::LOG_APPEND_TIME,
            matches!(timestamp_type, TimestampType::LogAppendTime),
        )
    }

    /// The same inside or outside a transaction.
    #[must_use]
    pub const fn with_transactional(self, transactional: bool) -> Attributes {
        self.with(Self::TRANSACTIONAL, transactional)
    }

    /// The same as a control batch or not.
    #[must_use]
    pub const fn with_control(self, control: bool) -> Attributes {
        self.with(Self::CONTROL, control)
    }

    const fn has(self, bit: i16) -> bool {
        self.0 & bit != 0
    }

    const fn with(self, bit: i16, set: bool) -> Attributes {
        Attributes(if set { self.0 | bit } else { self.0 & !bit })
    }
}

impl fmt::Debug for Attributes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Attributes({:#06x})", self.0)
    }
}

/// The header of a batch, but for its length and CRC, which follow from the payload.
///
/// It is written apart from the records: a retry under another identity (producer id, epoch, sequence) is a new header
/// in front of the same payload, whose bytes and CRC are not touched.
///
/// ```
/// use ottla_protocol::records::{BatchHeader, crc32c_append};
/// let payload = [16, 0, 0, 0, 1, 4, b'v', b'1', 0];
/// let payload_crc = crc32c_append(0, &payload);
/// let mut header = BatchHeader { record_count: 1, ..BatchHeader::default() };
/// let first = header.encode(payload.len(), payload_crc);
/// header.base_sequence = 7;
/// let second = header.encode(payload.len(), payload_crc);
/// assert_ne!(first, second);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchHeader {
    /// The first record's offset. The producer writes 0, the broker assigns.
    pub base_offset: i64,
    /// The leader's epoch at the append. The producer writes -1, the broker assigns.
    pub partition_leader_epoch: i32,
    /// Codec, meaning of timestamps, transactional, control.
    pub attributes: Attributes,
    /// The last record's offset minus the first's. Compaction keeps it, even if it removes that record.
    pub last_offset_delta: i32,
    /// What the records' timestamp deltas count from, in milliseconds: the first record's timestamp (or the delete
    /// horizon, if the attributes say so).
    pub base_timestamp: i64,
    /// The highest timestamp of the records, in milliseconds; the append time of the whole batch under
    /// [`TimestampType::LogAppendTime`].
    pub max_timestamp: i64,
    /// The producer's id, -1 without idempotence.
    pub producer_id: i64,
    /// The producer's epoch, -1 without idempotence.
    pub producer_epoch: i16,
    /// The first record's sequence, -1 without idempotence and in control batches.
    pub base_sequence: i32,
    /// The number of records.
    pub record_count: i32,
}

impl Default for BatchHeader {
    /// What a producer without idempotence writes, for no record yet.
    fn default() -> BatchHeader {
        BatchHeader {
            base_offset: 0,
            partition_leader_epoch: -1,
            attributes: Attributes::default(),
            last_offset_delta: 0,
            base_timestamp: 0,
            max_timestamp: 0,
            producer_id: -1,
            producer_epoch: -1,
            base_sequence: -1,
            record_count: 0,
        }
    }
}

impl BatchHeader {
    /// The header in front of a payload of `payload_len` bytes whose CRC-32C is `payload_crc`.
    ///
    /// The payload is what follows on the wire: the records, compressed if the attributes name a codec.
    ///
    /// # Panics
    ///
    /// If the batch would exceed 2 GiB, which its length field cannot say.
    pub fn encode(&self, payload_len: usize, payload_crc: u32) -> [u8; BATCH_HEADER_SIZE] {
        let length = payload_len + (BATCH_HEADER_SIZE - LENGTH_END);
        assert!(length <= i32::MAX as usize, "a batch is limited to 2 GiB");
        let mut bytes = [0; BATCH_HEADER_SIZE];
        bytes[0..8].copy_from_slice(&self.base_offset.to_be_bytes());
        bytes[8..12].copy_from_slice(&(length as i32).to_be_bytes());
        bytes[12..16].copy_from_slice(&self.partition_leader_epoch.to_be_bytes());
        bytes[16] = MAGIC;
        bytes[21..23].copy_from_slice(&self.attributes.bits().to_be_bytes());
        bytes[23..27].copy_from_slice(&self.last_offset_delta.to_be_bytes());
        bytes[27..35].copy_from_slice(&self.base_timestamp.to_be_bytes());
        bytes[35..43].copy_from_slice(&self.max_timestamp.to_be_bytes());
        bytes[43..51].copy_from_slice(&self.producer_id.to_be_bytes());
        bytes[51..53].copy_from_slice(&self.producer_epoch.to_be_bytes());
        bytes[53..57].copy_from_slice(&self.base_sequence.to_be_bytes());
        bytes[57..61].copy_from_slice(&self.record_count.to_be_bytes());
        let tail_crc = crc32c_append(0, &bytes[CRC_START..]);
        let crc = crc32c_combine(tail_crc, payload_crc, payload_len);
        bytes[17..21].copy_from_slice(&crc.to_be_bytes());
        bytes
    }

    /// The offset of the last record; saturates, so that no header from the wire overflows it.
    pub fn last_offset(&self) -> i64 {
        self.base_offset.saturating_add(i64::from(self.last_offset_delta))
    }

    /// The sequence of the last record, which wraps from the highest number to 0 as Kafka's do; -1 without one.
    pub fn last_sequence(&self) -> i32 {
        if self.base_sequence < 0 {
            return -1;
        }
        let sum = i64::from(self.base_sequence) + i64::from(self.last_offset_delta);
        (sum & i64::from(i32::MAX)) as i32
    }
}

/// What the wire says of a batch beyond [`BatchHeader`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct WireHeader {
    pub(super) header: BatchHeader,
    /// The whole batch's size in bytes, header included.
    pub(super) size: usize,
    pub(super) crc: u32,
}

impl WireHeader {
    /// Reads the header in front of `bytes`; what follows may be missing.
    pub(super) fn decode(bytes: &[u8]) -> Result<WireHeader, RecordsError> {
        let Some(fixed) = bytes.first_chunk::<BATCH_HEADER_SIZE>() else {
            return Err(RecordsError::at(
                bytes.len(),
                RecordsErrorKind::Truncated {
                    needed: BATCH_HEADER_SIZE,
                },
            ));
        };
        if fixed[16] != MAGIC {
            return Err(RecordsError::at(16, RecordsErrorKind::Magic(fixed[16])));
        }
        let length = i32::from_be_bytes(field(fixed, 8));
        if length < (BATCH_HEADER_SIZE - LENGTH_END) as i32 {
            return Err(RecordsError::at(8, RecordsErrorKind::Length(i64::from(length))));
        }
        let header = BatchHeader {
            base_offset: i64::from_be_bytes(field(fixed, 0)),
            partition_leader_epoch: i32::from_be_bytes(field(fixed, 12)),
            attributes: Attributes::from_bits(i16::from_be_bytes(field(fixed, 21))),
            last_offset_delta: i32::from_be_bytes(field(fixed, 23)),
            base_timestamp: i64::from_be_bytes(field(fixed, 27)),
            max_timestamp: i64::from_be_bytes(field(fixed, 35)),
            producer_id: i64::from_be_bytes(field(fixed, 43)),
            producer_epoch: i16::from_be_bytes(field(fixed, 51)),
            base_sequence: i32::from_be_bytes(field(fixed, 53)),
            record_count: i32::from_be_bytes(field(fixed, 57)),
        };
        if header.record_count < 0 {
            return Err(RecordsError::at(57, RecordsErrorKind::Count(header.record_count)));
        }
        let crc = u32::from_be_bytes(field(fixed, 17));
        Ok(WireHeader {
            header,
            size: length as usize + LENGTH_END,
            crc,
        })
    }

    /// The payload's own CRC, taken out of the batch's without reading the payload.
    pub(super) fn payload_crc(&self, bytes: &[u8]) -> u32 {
        let tail_crc = crc32c_append(0, &bytes[CRC_START..BATCH_HEADER_SIZE]);
        self.crc ^ crc32c_combine(tail_crc, 0, self.size - BATCH_HEADER_SIZE)
    }

    /// The CRC that the bytes of the whole batch have.
    pub(super) fn computed_crc(bytes: &[u8]) -> u32 {
        crc32c_append(0, &bytes[CRC_START..])
    }
}

/// `N` bytes of the header from `start`, which every caller has as a constant within it.
fn field<const N: usize>(bytes: &[u8; BATCH_HEADER_SIZE], start: usize) -> [u8; N] {
    let mut field = [0; N];
    field.copy_from_slice(&bytes[start..start + N]);
    field
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PAYLOAD: &str = "22000000026b047631040268040102026e0110000a02010476320010000104046b330100";

    fn unhex(hex: &str) -> Vec<u8> {
        let byte = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).expect("hexadecimal");
        (0..hex.len()).step_by(2).map(byte).collect()
    }

    fn check(header: BatchHeader, expected: &str) {
        let payload = unhex(PAYLOAD);
        let bytes = header.encode(payload.len(), crc32c_append(0, &payload));
        assert_eq!(bytes.as_slice(), unhex(expected));
        let decoded = WireHeader::decode(&bytes).expect("a header");
        assert_eq!(decoded.header, header);
        assert_eq!(decoded.size, BATCH_HEADER_SIZE + payload.len());
        assert_eq!(decoded.payload_crc(&bytes), crc32c_append(0, &payload));
    }

    /// Batches of the Java client 4.3.1.
    #[test]
    fn golden() {
        let plain = BatchHeader {
            last_offset_delta: 2,
            base_timestamp: 1_700_000_000_000,
            max_timestamp: 1_700_000_000_005,
            record_count: 3,
            ..BatchHeader::default()
        };
        check(
            plain,
            "000000000000000000000055ffffffff02391c9e290000000000020000018bcfe568000000018bcfe56805\
             ffffffffffffffffffffffffffff00000003",
        );
        let idempotent = BatchHeader {
            producer_id: 4000,
            producer_epoch: 7,
            base_sequence: i32::MAX - 1,
            ..plain
        };
        check(
            idempotent,
            "000000000000000000000055ffffffff023f4973cf0000000000020000018bcfe568000000018bcfe56805\
             0000000000000fa000077ffffffe00000003",
        );
        assert_eq!(idempotent.last_sequence(), 0);
        let transactional = BatchHeader {
            attributes: Attributes::default().with_transactional(true),
            ..idempotent
        };
        check(
            transactional,
            "000000000000000000000055ffffffff02413f51d80010000000020000018bcfe568000000018bcfe56805\
             0000000000000fa000077ffffffe00000003",
        );
    }

    #[test]
    fn attributes_are_bits() {
        let attributes = Attributes::default()
            .with_compression(Compression::Zstd)
            .with_timestamp_type(TimestampType::LogAppendTime)
            .with_transactional(true)
            .with_control(true);
        assert_eq!(attributes.bits(), 0x3c);
        assert_eq!(attributes.compression(), Some(Compression::Zstd));
        assert_eq!(attributes.with_compression(Compression::None).bits(), 0x38);
        assert_eq!(Attributes::from_bits(7).compression(), None);
        assert!(Attributes::from_bits(0x40).has_delete_horizon());
        assert_eq!(Attributes::from_bits(-1).with_control(false).bits(), !0x20);
    }

    proptest! {
        #[test]
        fn crc_equals_the_crc_of_the_whole(
            payload in proptest::collection::vec(any::<u8>(), 0..3000),
            producer_id: i64,
            base_sequence: i32,
            bits: i16,
        ) {
            let header = BatchHeader {
                producer_id, base_sequence, attributes: Attributes::from_bits(bits), ..BatchHeader::default()
            };
            let mut batch = header.encode(payload.len(), crc32c_append(0, &payload)).to_vec();
            batch.extend_from_slice(&payload);
            let wire = WireHeader::decode(&batch).expect("a header");
            prop_assert_eq!(wire.crc, WireHeader::computed_crc(&batch));
            prop_assert_eq!(wire.header, header);
            prop_assert_eq!(wire.payload_crc(&batch), crc32c_append(0, &payload));
        }
    }
}

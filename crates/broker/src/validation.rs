//! What a broker checks of a produced batch before its producer is looked at.
//!
//! The order of the checks is Kafka's (`ProduceRequest.validateRecords`, `UnifiedLog.analyzeAndValidateRecords`,
//! `LogValidator`), because a batch that is wrong in two ways is refused with the first error.

use crate::config::{SinkCheck, Storage, TopicConfig};
use bytes::Bytes;
use ottla_protocol::ErrorCode;
use ottla_protocol::compression::{Compression, Decompressor};
use ottla_protocol::records::{RecordBatch, RecordsError, RecordsErrorKind};

/// What a batch may decompress to, in bytes. Kafka has no limit; a batch of the default size does not get near.
const DECOMPRESSED_BYTES_MAX: usize = 128 * 1024 * 1024;

/// How many records of one batch are named in a refusal.
const RECORD_ERRORS_MAX: usize = 1_000;

/// Why a batch is not taken.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Refusal {
    pub(crate) error: ErrorCode,
    /// What the client is told in words; most errors go without.
    pub(crate) message: Option<String>,
    /// The records that are at fault (KIP-467): (index, in words).
    pub(crate) records: Vec<(i32, String)>,
    /// Whether the answer tells where the log starts, as Kafka does for errors of the producer's state.
    pub(crate) tells_log_start: bool,
}

impl Refusal {
    pub(crate) fn new(error: ErrorCode) -> Refusal {
        Refusal {
            error,
            message: None,
            records: Vec::new(),
            tells_log_start: false,
        }
    }

    /// A refusal that tells where the log starts.
    pub(crate) fn in_log(error: ErrorCode) -> Refusal {
        Refusal {
            tells_log_start: true,
            ..Refusal::new(error)
        }
    }

    fn with_message(mut self, message: impl Into<String>) -> Refusal {
        self.message = Some(message.into());
        self
    }
}

/// How a batch is to be looked at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules<'a> {
    pub(crate) config: &'a TopicConfig,
    pub(crate) storage: Storage,
    pub(crate) wall_ms: i64,
}

/// Takes the one batch out of a partition's records (`ProduceRequest.validateRecords`).
pub(crate) fn one_batch(records: Option<Bytes>, version: i16) -> Result<RecordBatch, Refusal> {
    let invalid = |what: &str| Refusal::new(ErrorCode::INVALID_RECORD).with_message(what);
    let batch = RecordBatch::decode(records.unwrap_or_default()).map_err(|error| match error.kind() {
        RecordsErrorKind::Truncated { .. } => invalid("the request has no whole record batch"),
        RecordsErrorKind::TrailingBytes(_) => invalid("the request has more than one record batch"),
        RecordsErrorKind::Magic(0 | 1) => invalid("the record batch is not of format version 2"),
        RecordsErrorKind::Count(_) => invalid("the record batch has an impossible number of records"),
        _ => Refusal::new(ErrorCode::CORRUPT_MESSAGE),
    })?;
    // Version 7 is the first that may bring zstd; only for those before it does Kafka look at the codec here.
    if version < 7 {
        match batch.compression() {
            Ok(Compression::Zstd) => return Err(Refusal::new(ErrorCode::UNSUPPORTED_COMPRESSION_TYPE)),
            Ok(_) => {}
            Err(_) => return Err(Refusal::new(ErrorCode::UNKNOWN_SERVER_ERROR)),
        }
    }
    Ok(batch)
}

/// Checks a batch as far as the cluster's storage wants it.
pub(crate) fn check(
    batch: &RecordBatch,
    rules: Rules<'_>,
    decompressor: &mut Decompressor,
) -> Result<(), Refusal> {
    let invalid = |what: &str| Err(Refusal::in_log(ErrorCode::INVALID_RECORD).with_message(what));
    let header = batch.header();
    if header.base_offset != 0 {
        return invalid("the base offset of a produced batch is 0");
    }
    if i32::try_from(batch.bytes().len()).map_or(true, |size| size > rules.config.max_message_bytes) {
        return Err(Refusal::new(ErrorCode::MESSAGE_TOO_LARGE));
    }
    let checks_crc = rules.storage
        != Storage::Discard {
            check: SinkCheck::Header,
        };
    if checks_crc && batch.check_crc().is_err() {
        return Err(Refusal::new(ErrorCode::CORRUPT_MESSAGE));
    }
    if header.record_count <= 0 || header.last_offset_delta != header.record_count - 1 {
        return invalid("the number of records and the offsets of the batch do not agree");
    }
    if header.attributes.is_control() {
        return invalid("clients may not write control records");
    }
    if header.producer_id >= 0 && header.base_sequence < 0 {
        return invalid("a batch with a producer id has a sequence");
    }
    if rules.storage == Storage::Keep {
        check_records(batch, rules, decompressor)?;
    }
    Ok(())
}

/// Looks at every record.
fn check_records(
    batch: &RecordBatch,
    rules: Rules<'_>,
    decompressor: &mut Decompressor,
) -> Result<(), Refusal> {
    match batch.compression() {
        Ok(compression) if compression.is_available() => {}
        // The checksum has to do where the codec is not compiled in.
        Ok(_) => return Ok(()),
        Err(_) => return Err(Refusal::in_log(ErrorCode::UNKNOWN_SERVER_ERROR)),
    }
    let config = rules.config;
    let base = batch.header().base_timestamp;
    // With LogAppendTime the records' own timestamps are nobody's business.
    let (oldest, newest) = if config.log_append_time {
        (i64::MIN, i64::MAX)
    } else {
        (
            rules.wall_ms.saturating_sub(config.timestamp_before_max_ms),
            rules.wall_ms.saturating_add(config.timestamp_after_max_ms),
        )
    };
    let mut expected = 0;
    let mut dense = true;
    let mut bad_times: Vec<(i32, String)> = Vec::new();
    let mut without_key: Vec<(i32, String)> = Vec::new();
    let visited = batch.visit_records(decompressor, DECOMPRESSED_BYTES_MAX, |record| {
        dense &= record.offset_delta == expected;
        let timestamp = base.saturating_add(record.timestamp_delta);
        // -1 is no timestamp, which is in order.
        let in_range = timestamp == -1 || (oldest..=newest).contains(&timestamp);
        if !in_range && bad_times.len() < RECORD_ERRORS_MAX {
            bad_times.push((
                expected,
                format!("timestamp {timestamp} is not from {oldest} to {newest}"),
            ));
        }
        if config.compact && record.key.is_none() && without_key.len() < RECORD_ERRORS_MAX {
            without_key.push((
                expected,
                "a compacted topic takes no record without a key".to_owned(),
            ));
        }
        expected += 1;
    });
    visited.map_err(|error| refuse_contents(&error))?;
    let refuse = |error, records: Vec<(i32, String)>, what: &str| {
        let mut refusal = Refusal::in_log(error).with_message(what);
        refusal.records = records;
        Err(refusal)
    };
    if !bad_times.is_empty() {
        bad_times.append(&mut without_key);
        bad_times.sort_by_key(|&(index, _)| index);
        return refuse(
            ErrorCode::INVALID_TIMESTAMP,
            bad_times,
            "one or more records have timestamps out of range",
        );
    }
    if !without_key.is_empty() {
        return refuse(
            ErrorCode::INVALID_RECORD,
            without_key,
            "one or more records have been rejected",
        );
    }
    if !dense {
        return refuse(
            ErrorCode::INVALID_RECORD,
            Vec::new(),
            "the offset deltas of the records are not their indexes",
        );
    }
    Ok(())
}

fn refuse_contents(error: &RecordsError) -> Refusal {
    match error.kind() {
        RecordsErrorKind::Decompress(_) => Refusal::in_log(ErrorCode::UNKNOWN_SERVER_ERROR),
        _ => Refusal::in_log(ErrorCode::INVALID_RECORD).with_message(error.to_string()),
    }
}

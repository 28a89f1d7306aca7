//! Any bytes as a piece of a log: batches of all formats, their records, what a broker checks and assigns.
//!
//! Input: mode (8 bits), then the log. With bit 0 of the mode the bytes are made into one batch of format v2 whose length,
//! magic and CRC are right, with bit 1 the codec is none: otherwise few inputs come further than that.

use bytes::Bytes;
use ottla_protocol::compression::Decompressor;
use ottla_protocol::records::{
    AnyBatch, BATCH_HEADER_SIZE, ControlRecord, RecordBatch, RecordBatches, crc32c_append,
};

use crate::within;

/// What a batch may decompress to.
const LIMIT: usize = 64 * 1024;

/// Contexts of the codecs, and the decompressed records: a header of two bytes is two handles of 32 bytes each.
const MEMORY_BYTES: usize = 40 * LIMIT + 512 * 1024;

/// One input.
pub fn run(input: &[u8]) {
    let Some((&mode, log)) = input.split_first() else {
        return;
    };
    let log = if mode & 1 == 1 && log.len() >= BATCH_HEADER_SIZE {
        as_batch(log.to_vec(), mode & 2 == 2)
    } else {
        Bytes::copy_from_slice(log)
    };
    let mut decompressor = Decompressor::new();
    let mut batches = RecordBatches::new(log.clone());
    let mut read = 0;
    for batch in batches.by_ref() {
        let Ok(batch) = batch else {
            return;
        };
        let size = match &batch {
            AnyBatch::V2(batch) => batch.bytes().len(),
            AnyBatch::Legacy(batch) => batch.bytes().len(),
            _ => 0,
        };
        assert!(size > 0, "or it would not end");
        read += size;
        let memory = MEMORY_BYTES + 40 * size;
        let count = within(memory, || count(&batch, &mut decompressor));
        let _ = (batch.check_crc(), batch.last_offset());
        if let AnyBatch::V2(batch) = batch {
            check(&batch, count, &mut decompressor);
        }
    }
    assert_eq!(read + batches.remainder().len(), log.len());
}

/// The number of records, if all of them are readable.
fn count(batch: &AnyBatch, decompressor: &mut Decompressor) -> Option<usize> {
    let mut count = 0;
    for record in batch.records(decompressor, LIMIT).ok()? {
        let record = record.ok()?;
        let _ = ControlRecord::decode(&record);
        count += 1;
    }
    Some(count)
}

fn check(batch: &RecordBatch, count: Option<usize>, decompressor: &mut Decompressor) {
    let mut visited = 0;
    let result = batch.visit_records(decompressor, LIMIT, |record| {
        visited += 1;
        assert_eq!(record.headers.iter().count(), record.headers.len());
    });
    assert_eq!(result.ok().map(|()| visited), count, "both ways to read it agree");
    if let Ok(summary) = batch.validate(decompressor, LIMIT) {
        assert_eq!(count, Some(batch.header().record_count as usize));
        assert!(summary.first_without_key.is_none_or(|index| Some(index) < count));
        batch.check_crc().expect("it is part of the check");
    }
    for log_append_time in [None, Some(1_700_000_000_000)] {
        let header = batch.assigned(77, 5, log_append_time);
        let stored = [&header[..], &batch.payload()].concat();
        let stored = RecordBatch::decode(stored.into()).expect("a batch with another header");
        assert_eq!(stored.header().base_offset, 77);
        assert_eq!(stored.header().partition_leader_epoch, 5);
        // The payload is not read for it: a CRC that was wrong stays wrong.
        assert_eq!(stored.check_crc().is_ok(), batch.check_crc().is_ok());
    }
}

fn as_batch(mut bytes: Vec<u8>, uncompressed: bool) -> Bytes {
    let length = bytes.len() as u32 - 12;
    bytes[8..12].copy_from_slice(&length.to_be_bytes());
    bytes[16] = 2;
    if uncompressed {
        bytes[22] &= !7;
    }
    let crc = crc32c_append(0, &bytes[21..]);
    bytes[17..21].copy_from_slice(&crc.to_be_bytes());
    bytes.into()
}

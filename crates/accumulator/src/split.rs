//! Taking a batch apart that is too large for the broker.

use crate::Accumulator;
use crate::batch::{BATCH_STATE_BYTES, OpenBatch, SealedBatch};
use crate::delivery::Completion;
use crate::memory::CHUNK_SIZES;
use crate::partition::Record;
use crate::payload::ChunkChain;
use ottla_protocol::compression::Decompressor;
use ottla_protocol::records::{self, Header, RecordBatch, RecordsError};
use ottla_time::mutant;
use smallvec::SmallVec;
use std::sync::Arc;

/// The records of `batch` in groups of at most `part_len_max` bytes, or of one record, in order.
pub(crate) fn regroup(
    batch: &SealedBatch,
    part_len_max: usize,
    accumulator: &Accumulator,
) -> Result<Vec<OpenBatch>, RecordsError> {
    let decoded = RecordBatch::decode(batch.glued())?;
    let mut parts: Vec<OpenBatch> = Vec::new();
    let records = decoded.records(&mut Decompressor::new(), batch.uncompressed_len())?;
    for record in records.skip(usize::from(mutant!("split loses a record"))) {
        let record = record?;
        let headers: SmallVec<[Header<'_>; 4]> = record.headers.iter().map(header).collect();
        let record = Record {
            key: record.key.as_deref(),
            value: record.value.as_deref(),
            headers: &headers,
            timestamp_ms: record.timestamp,
        };
        let fits = |part: &OpenBatch| {
            part.payload_len() + part.encode(&record).encoded_size().total() <= part_len_max
        };
        if !parts.last().is_some_and(fits) {
            parts.push(open(batch, record.timestamp_ms, accumulator));
        }
        if let Some(part) = parts.last_mut() {
            push(part, &record, accumulator);
        }
    }
    Ok(parts)
}

fn header(header: &records::RecordHeader) -> Header<'_> {
    // It was a str when it was appended.
    Header {
        key: std::str::from_utf8(&header.key).unwrap_or_default(),
        value: header.value.as_deref(),
    }
}

/// A batch that takes the place of `parent`.
fn open(parent: &SealedBatch, base_timestamp_ms: i64, accumulator: &Accumulator) -> OpenBatch {
    let flushes = accumulator.flushes();
    // The parent's own ticket keeps its generation, unless it is resolved already: then nobody waits for it.
    let ticket = flushes
        .ticket_in(parent.generation())
        .filter(|_| !mutant!("flush misses the parts of a split"))
        .unwrap_or_else(|| flushes.ticket());
    let (topic, partition) = parent.completion().place();
    let completion = Arc::new(Completion::new(Arc::clone(topic), partition));
    let state = parent.account().reserve_regardless(BATCH_STATE_BYTES);
    OpenBatch::new(completion, parent.created(), base_timestamp_ms, ticket, state)
}

fn push(part: &mut OpenBatch, record: &Record<'_>, accumulator: &Accumulator) {
    let encoded = part.encode(record);
    let size = encoded.encoded_size();
    let classes = part
        .chain()
        .classes_for(size.total(), 0, accumulator.chunk_class_max());
    let needed = classes.iter().map(|&class| CHUNK_SIZES[class]).sum();
    let mut permits = part.account().reserve_regardless(needed);
    let outcomes = part.outcome_permits();
    if outcomes > 0 {
        let paid = part.account().reserve_regardless(outcomes);
        part.pay_outcomes(paid);
    }
    let Some(spare) = ChunkChain::spare(&mut permits, &classes) else {
        unreachable!("reserved {needed} bytes")
    };
    // The delivery of this record exists: it follows the parent's outcome here.
    drop(part.push(&encoded, size, record.timestamp_ms, spare));
}

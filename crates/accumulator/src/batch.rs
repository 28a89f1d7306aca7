//! A batch on its way: open for appends, closed, sealed for the wire, complete.
//!
//! ```text
//! OpenBatch --close()--> ClosedBatch --seal()--> SealedBatch --complete() or fail()--> (outcome)
//! ```
//!
//! Each step consumes the one before, so that no two holders can write. Whatever happens, the deliveries of a batch
//! resolve: one that is dropped on the way fails them.

use crate::Accumulator;
use crate::delivery::{Completion, Delivery, DeliveryFailure, FailureKind, Outcome, Persistence};
use crate::details::{BLOCK_LEN, Detail, Details};
use crate::flush::FlushTicket;
use crate::memory::{CHUNK_SIZES, Chunk, Reservation, class_for};
use crate::partition::{CompressionRatio, Record};
use crate::payload::ChunkChain;
use crate::prefetch;
use crate::split::{self, ExactBytes, Half, PART_STATE_BYTES};
use bytes::Bytes;
use ottla_protocol::compression::{Codec, CompressError, Compression, Compressor};
use ottla_protocol::records::{
    Attributes, BATCH_HEADER_SIZE, BatchHeader, RecordRef, RecordSize, SliceSink, crc32c_append,
};
use ottla_time::{Time, mutant};
use smallvec::SmallVec;
use std::fmt;
use std::sync::Arc;

/// Permits for the state of a batch besides its chunks: the open or sealed batch itself, its completion, its place in
/// the queues. Measured by the size of the types, rounded up for the allocator.
///
/// The outcomes of the first records are in it too, see [`outcomes_step`].
pub(crate) const BATCH_STATE_BYTES: usize = 512 + OUTCOMES_STEP_MIN as usize * OUTCOME_BYTES;

/// Permits for the outcome of one record: its [`Detail`], and the waker that whoever awaits it leaves with the batch, in a
/// vector that grows by doubling. An empty record takes 7 bytes; without this a memory full of them would cost several times as
/// much again.
const OUTCOME_BYTES: usize = size_of::<Detail>() + 24;

const OUTCOMES_STEP_MIN: u32 = 8;
/// More at a time would charge for what is not there, fewer would ask the pool too often.
const OUTCOMES_STEP_MAX: u32 = BLOCK_LEN as u32;

/// How many more outcomes to pay for when a batch of `record_count` records has none left that are paid.
fn outcomes_step(record_count: u32) -> u32 {
    record_count.clamp(OUTCOMES_STEP_MIN, OUTCOMES_STEP_MAX)
}

/// What a batch carries through all its states.
pub(crate) struct Core {
    pub(crate) completion: Arc<Completion>,
    /// The index of its first record in the completion, if it is a part of a batch that was split.
    part_from: Option<u32>,
    pub(crate) created: Time,
    pub(crate) record_count: u32,
    /// How many outcomes are paid for in `state`.
    outcomes_paid: u32,
    base_timestamp_ms: i64,
    max_timestamp_ms: i64,
    /// Bytes of the largest record.
    record_len_max: usize,
    ticket: FlushTicket,
    /// Whether its records are resolved by others, the parts that it was split into.
    retired: bool,
    /// [`BATCH_STATE_BYTES`]; what else the batch needs is charged to the same account.
    pub(crate) state: Reservation,
}

impl Core {
    fn complete(&self, outcome: Outcome) -> bool {
        let failure = match &outcome {
            Outcome::Failed(failure) | Outcome::Rejected { others: failure, .. } => Some(failure.clone()),
            Outcome::Acked { .. } | Outcome::Split(_) => None,
        };
        // Before anybody is woken who looks at the metrics next. Only the batch's holder completes it, once.
        if failure.is_some() && !self.is_resolved() {
            self.ticket
                .count_failed(self.completion.topic(), self.record_count);
        }
        let first = match self.part_from {
            None => self.completion.complete(outcome),
            Some(from) => self.completion.complete_part(from, self.record_count, outcome),
        };
        if let Some(failure) = failure.filter(|_| first) {
            self.ticket.failed(failure);
        }
        // A flush is done with the outcome; the bytes may stay with a writer for longer.
        self.ticket.release();
        first
    }

    pub(crate) fn generation(&self) -> u64 {
        self.ticket.generation()
    }

    fn is_resolved(&self) -> bool {
        self.completion.is_resolved(self.part_from.unwrap_or(0))
    }

    /// The core of a part that begins at `from`.
    fn part(&self, from: u32, half: &Half, accumulator: &Accumulator) -> Core {
        let flushes = accumulator.flushes();
        // The whole's own ticket keeps its generation, unless it is resolved already: then nobody waits for it.
        let ticket = flushes
            .ticket_in(self.generation())
            .filter(|_| !mutant!("flush misses the parts of a split"))
            .unwrap_or_else(|| flushes.ticket());
        let permits = PART_STATE_BYTES + half.record_count as usize * OUTCOME_BYTES;
        Core {
            completion: Arc::clone(&self.completion),
            part_from: Some(from),
            created: self.created,
            record_count: half.record_count,
            outcomes_paid: half.record_count,
            base_timestamp_ms: half.base_timestamp_ms,
            max_timestamp_ms: half.max_timestamp_ms,
            record_len_max: half.record_len_max,
            ticket,
            retired: false,
            state: self.state.reserve_regardless(permits),
        }
    }

    /// Others resolve its records.
    fn retire(&mut self) {
        self.retired = true;
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        if self.retired {
            return;
        }
        let lost = DeliveryFailure::new(FailureKind::Internal, Persistence::PossiblyPersisted);
        // A no-op unless the batch was lost on its way, which only a defect can do.
        self.complete(Outcome::Failed(lost));
    }
}

impl fmt::Debug for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Core")
            .field("record_count", &self.record_count)
            .field("created", &self.created)
            .finish_non_exhaustive()
    }
}

/// A batch that takes records.
#[derive(Debug)]
pub(crate) struct OpenBatch {
    core: Core,
    chain: ChunkChain,
    /// Bytes that may be written before there is anything to look at but a record: the end of a chunk, a checksum that is to
    /// catch up, a batch that is full, bytes to tell of.
    slack: usize,
    details: Details,
}

impl OpenBatch {
    pub(crate) fn new(
        completion: Arc<Completion>,
        created: Time,
        base_timestamp_ms: i64,
        ticket: FlushTicket,
        state: Reservation,
        chain: ChunkChain,
        details: Details,
    ) -> OpenBatch {
        let core = Core {
            completion,
            part_from: None,
            created,
            record_count: 0,
            outcomes_paid: OUTCOMES_STEP_MIN,
            base_timestamp_ms,
            max_timestamp_ms: base_timestamp_ms,
            record_len_max: 0,
            ticket,
            retired: false,
            state,
        };
        OpenBatch {
            core,
            chain,
            slack: 0,
            details,
        }
    }

    /// Permits that the outcome of one more record takes, besides those that are paid: mostly none.
    #[inline]
    pub(crate) fn outcome_permits(&self) -> usize {
        if self.core.record_count < self.core.outcomes_paid {
            return 0;
        }
        outcomes_step(self.core.record_count) as usize * OUTCOME_BYTES
    }

    /// Pays for further outcomes.
    pub(crate) fn pay_outcomes(&mut self, permits: Reservation) {
        self.core.outcomes_paid += outcomes_step(self.core.record_count);
        self.core.state.absorb(permits);
    }

    /// The record as it would stand at the end of this batch.
    #[inline]
    pub(crate) fn encode<'a>(&self, record: &Record<'a>) -> RecordRef<'a> {
        RecordRef {
            // Far-apart timestamps wrap as they do in Java: the delta is added back with the same wrap.
            timestamp_delta: record.timestamp_ms.wrapping_sub(self.core.base_timestamp_ms),
            offset_delta: self.core.record_count as i32,
            key: record.key,
            value: record.value,
            headers: record.headers,
        }
    }

    /// Bytes of the records so far.
    #[inline]
    pub(crate) fn payload_len(&self) -> usize {
        self.chain.len()
    }

    pub(crate) fn created(&self) -> Time {
        self.core.created
    }

    pub(crate) fn generation(&self) -> u64 {
        self.core.generation()
    }

    pub(crate) fn chain(&self) -> &ChunkChain {
        &self.chain
    }

    /// Writes a record of exactly `size` bytes; the room is there, in the chain or in `spare`. Returns its index.
    #[inline]
    pub(crate) fn push(
        &mut self,
        record: &Record<'_>,
        encoded: &RecordRef<'_>,
        size: RecordSize,
        spare: SmallVec<[Chunk; 4]>,
    ) -> u32 {
        match self.chain.contiguous(size.total()) {
            Some(bytes) => encoded.write_to(size, &mut SliceSink::new(bytes)),
            None => encoded.write_to(size, &mut self.chain.sink(spare)),
        }
        self.chain.check();
        self.count(record, size.total())
    }

    /// Writes a record if that is all there is to do; the outcome to come, and how many bytes it takes.
    #[inline]
    pub(crate) fn push_within_slack(&mut self, record: &Record<'_>) -> Option<(Delivery, usize)> {
        let is_paid = self.core.record_count < self.core.outcomes_paid && self.details.has_room();
        if self.slack == 0 || !is_paid {
            return None;
        }
        // Before anything is written: to share the batch is a locked operation, unless this thread has the share of the record
        // before, and would wait for the writes, which go to memory that is in no cache if there are many partitions.
        let delivery = self.delivery(self.core.record_count);
        let encoded = self.encode(record);
        let spare = self.chain.spare_mut(self.slack);
        let len = match encoded.write_short(spare) {
            Some(len) => len,
            None => {
                let size = encoded.encoded_size();
                if size.total() > spare.len() {
                    return None;
                }
                encoded.write_to(size, &mut SliceSink::new(spare));
                size.total()
            }
        };
        // For the next record.
        prefetch::beginning(&spare[len..]);
        self.chain.advance(len);
        self.slack -= len;
        self.count(record, len);
        Some((delivery, len))
    }

    /// One more record, which takes `len` bytes; its index comes back.
    #[inline]
    fn count(&mut self, record: &Record<'_>, len: usize) -> u32 {
        self.details.push(Detail::of(record));
        let core = &mut self.core;
        let index = core.record_count;
        core.record_count += 1;
        core.max_timestamp_ms = core.max_timestamp_ms.max(record.timestamp_ms);
        core.record_len_max = core.record_len_max.max(len);
        index
    }

    /// Up to `limit` bytes may be written before somebody has to look; fewer if a chunk ends or the checksum falls behind.
    pub(crate) fn set_slack(&mut self, limit: usize) {
        self.slack = limit.min(self.chain.slack());
    }

    /// The outcome to come of the record with this index.
    #[inline]
    pub(crate) fn delivery(&self, index: u32) -> Delivery {
        Delivery::new(&self.core.completion, index)
    }

    /// It is as full as it gets, and who wrote its last records has them in its cache.
    pub(crate) fn check_rest(&mut self) {
        self.chain.check_rest();
    }

    /// Takes no more records.
    pub(crate) fn close(mut self) -> ClosedBatch {
        self.core.ticket.close(self.chain.len());
        self.core.completion.set_details(self.details);
        ClosedBatch {
            core: self.core,
            chain: self.chain,
        }
    }
}

/// A batch that takes no more records and is not compressed yet.
#[derive(Debug)]
pub struct ClosedBatch {
    pub(crate) core: Core,
    chain: ChunkChain,
}

impl ClosedBatch {
    /// When its first record came.
    pub fn created(&self) -> Time {
        self.core.created
    }

    /// How many records it holds.
    pub fn record_count(&self) -> u32 {
        self.core.record_count
    }

    /// Bytes of its records before compression.
    pub fn uncompressed_len(&self) -> usize {
        self.chain.len()
    }

    /// What can still be done about the batch while another thread seals it.
    pub fn sealing(&self) -> SealingBatch {
        SealingBatch(Arc::clone(&self.core.completion))
    }

    /// Resolves all of it as failed. What is closed was never written, so nothing of it is persisted.
    pub fn fail(self, failure: DeliveryFailure) {
        self.core.complete(Outcome::Failed(failure));
    }

    fn into_sealed(self, sealer: &mut Sealer, ratio: &CompressionRatio) -> Option<SealedBatch> {
        let uncompressed_len = self.chain.len();
        let ClosedBatch { core, mut chain } = self;
        let (payload, payload_crc) = if sealer.compression() == Compression::None {
            let crc = chain.crc();
            (chain.freeze(), crc)
        } else {
            match sealer.compress(&chain, &core.state) {
                Ok(payload) => {
                    let crc = checksum(&payload);
                    (payload, crc)
                }
                Err(error) => {
                    core.complete(Outcome::Failed(encode_failure(&error)));
                    return None;
                }
            }
        };
        Some(SealedBatch::new(
            core,
            sealer.compression(),
            payload,
            payload_crc,
            uncompressed_len,
            ratio,
        ))
    }
}

fn checksum(payload: &[Bytes]) -> u32 {
    payload.iter().fold(0, |crc, slice| crc32c_append(crc, slice))
}

fn encode_failure(error: &CompressError) -> DeliveryFailure {
    DeliveryFailure::new(FailureKind::Encode, Persistence::NotPersisted).with_detail(error.to_string())
}

/// One of the two parts of a batch that was split.
#[derive(Debug)]
#[non_exhaustive]
pub struct SplitPart {
    /// How many records it holds.
    pub record_count: u32,
    /// `None` if the codec failed on it: its deliveries know it already.
    pub batch: Option<SealedBatch>,
}

/// A batch that is being sealed elsewhere.
#[derive(Debug)]
pub struct SealingBatch(Arc<Completion>);

impl SealingBatch {
    /// Resolves its deliveries without waiting for the codec. What is being sealed was never written.
    pub fn fail(&self, failure: DeliveryFailure) {
        self.0.complete(Outcome::Failed(failure));
    }
}

/// Seals batches: a codec's context and a buffer, both kept from batch to batch. One for each thread that seals.
#[derive(Debug)]
pub struct Sealer {
    compressor: Compressor,
    /// The codec's output, before it is copied into chunks of its true size.
    scratch: Vec<u8>,
}

impl Sealer {
    /// A sealer for this codec and level. Fails if the codec is not compiled in.
    pub fn new(codec: impl Into<Codec>) -> Result<Sealer, CompressError> {
        Ok(Sealer {
            compressor: Compressor::new(codec)?,
            scratch: Vec::new(),
        })
    }

    /// The codec.
    pub fn compression(&self) -> Compression {
        self.compressor.codec().compression()
    }

    /// Compresses if the codec says so, and completes the checksum of the payload: the expensive step, done by whichever
    /// thread has the time. (Without compression most of the checksum came with the records.) On an error of the codec every
    /// delivery of the batch fails with it, and `None` comes back.
    pub fn seal(&mut self, batch: ClosedBatch, ratio: &CompressionRatio) -> Option<SealedBatch> {
        batch.into_sealed(self, ratio)
    }

    /// Splits a batch that is too large for the broker in two: at most half of its records' bytes, and the rest. Neither
    /// is empty, and either may be split again, so that in the end only a single record can be too large. The batch's
    /// deliveries stay with their records.
    ///
    /// The batch comes back as it was if it holds a single record, or is resolved.
    ///
    /// The parts take the place of the batch in its flush, keep its age, and are charged even if there is no memory left:
    /// waiting for memory here could wait for itself. They need little more than the batch, whose buffers are given up.
    /// (Splitting into all the parts at once that may be needed, in the worst case one for each record, would need many
    /// times as much.)
    pub fn split(
        &mut self,
        mut batch: SealedBatch,
        ratio: &CompressionRatio,
        accumulator: &Accumulator,
    ) -> Result<[SplitPart; 2], Box<SealedBatch>> {
        if batch.core.record_count < 2 || batch.is_complete() {
            return Err(Box::new(batch));
        }
        // What we wrote ourselves is readable; if it is not, the batch fails as it would without a split.
        let Ok(halves) = split::halve(&batch) else {
            return Err(Box::new(batch));
        };
        if !batch.core.completion.split() {
            return Err(Box::new(batch));
        }
        ratio.reset();
        let mut from = batch.core.part_from.unwrap_or(0);
        let parts = halves.map(|half| {
            let core = batch.core.part(from, &half, accumulator);
            let record_count = half.record_count;
            from += record_count;
            let batch = self.seal_half(core, half.payload, ratio);
            SplitPart { record_count, batch }
        });
        // The parts resolve its records; it gives back its place and its memory.
        batch.core.retire();
        Ok(parts)
    }

    fn seal_half(&mut self, core: Core, bytes: Vec<u8>, ratio: &CompressionRatio) -> Option<SealedBatch> {
        let uncompressed_len = bytes.len();
        let bytes = if self.compression() == Compression::None {
            bytes
        } else {
            self.scratch.clear();
            if let Err(error) = self.compressor.compress(&[&bytes], &mut self.scratch) {
                core.complete(Outcome::Failed(encode_failure(&error)));
                return None;
            }
            self.scratch.as_slice().to_vec()
        };
        let payload = SmallVec::from_iter([Bytes::from_owner(ExactBytes::new(bytes, &core.state))]);
        let payload_crc = checksum(&payload);
        Some(SealedBatch::new(
            core,
            self.compression(),
            payload,
            payload_crc,
            uncompressed_len,
            ratio,
        ))
    }

    /// Compresses into fresh chunks. Their permits are taken regardless of the limit: the uncompressed chunks come back
    /// as soon as this is done, so the overdraft lasts as long as one batch's compression, and waiting could deadlock.
    fn compress(
        &mut self,
        chain: &ChunkChain,
        account: &Reservation,
    ) -> Result<SmallVec<[Bytes; 2]>, CompressError> {
        self.scratch.clear();
        let slices: SmallVec<[&[u8]; 8]> = chain.slices().collect();
        self.compressor.compress(&slices, &mut self.scratch)?;
        let mut payload = SmallVec::new();
        let mut rest: &[u8] = &self.scratch;
        while !rest.is_empty() {
            let class = class_for(rest.len(), account.pool().class_max());
            let size = CHUNK_SIZES[class];
            let mut permits = account.reserve_regardless(size);
            // The reservation is of the chunk's very size.
            let Some(mut chunk) = permits.chunk(class) else {
                unreachable!("reserved {size} bytes")
            };
            let (head, tail) = rest.split_at(rest.len().min(size));
            chunk.put(head);
            payload.push(Bytes::from_owner(chunk));
            rest = tail;
        }
        Ok(payload)
    }
}

/// The identity that an idempotent producer stamps on a batch when it is first written. It never changes afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchIdentity {
    /// From InitProducerId.
    pub producer_id: i64,
    /// Bumped to restart sequences.
    pub producer_epoch: i16,
    /// The sequence number of the first record.
    pub base_sequence: i32,
    /// Whether the batch belongs to a transaction.
    pub transactional: bool,
}

/// A batch in its wire form, immutable: a retry is the same bytes, because there are no others.
#[derive(Debug)]
pub struct SealedBatch {
    core: Core,
    compression: Compression,
    payload: SmallVec<[Bytes; 2]>,
    payload_len: usize,
    payload_crc: u32,
    uncompressed_len: usize,
}

impl SealedBatch {
    fn new(
        core: Core,
        compression: Compression,
        payload: SmallVec<[Bytes; 2]>,
        payload_crc: u32,
        uncompressed_len: usize,
        ratio: &CompressionRatio,
    ) -> SealedBatch {
        let payload_len: usize = payload.iter().map(Bytes::len).sum();
        ratio.observe(payload_len, uncompressed_len);
        SealedBatch {
            core,
            compression,
            payload,
            payload_len,
            payload_crc,
            uncompressed_len,
        }
    }

    /// When its first record came: `delivery.timeout.ms` counts from here.
    pub fn created(&self) -> Time {
        self.core.created
    }

    /// How many records it holds.
    pub fn record_count(&self) -> u32 {
        self.core.record_count
    }

    /// Bytes on the wire: the header and the payload.
    pub fn wire_len(&self) -> usize {
        BATCH_HEADER_SIZE + self.payload_len
    }

    /// Bytes of its records before compression.
    pub fn uncompressed_len(&self) -> usize {
        self.uncompressed_len
    }

    /// Bytes of its largest record, encoded, before compression.
    pub fn record_len_max(&self) -> usize {
        self.core.record_len_max
    }

    /// The payload as slices that share the batch's chunks: cloning them is what a writer does.
    pub fn payload(&self) -> &[Bytes] {
        &self.payload
    }

    /// Whether a flush asked for it, see [`FlushTracker`](crate::FlushTracker).
    pub fn generation(&self) -> u64 {
        self.core.generation()
    }

    /// The 61 bytes in front of the payload. A new identity is a new header; the payload is never touched.
    pub fn header(&self, identity: Option<BatchIdentity>) -> [u8; BATCH_HEADER_SIZE] {
        // Fewer than 2^31 records: each takes at least 7 bytes of a batch that is far below 2 GiB.
        let record_count = self.core.record_count as i32;
        let mut header = BatchHeader {
            attributes: Attributes::default().with_compression(self.compression),
            last_offset_delta: record_count - 1,
            base_timestamp: self.core.base_timestamp_ms,
            max_timestamp: self.core.max_timestamp_ms,
            record_count,
            ..BatchHeader::default()
        };
        if let Some(identity) = identity {
            header.attributes = header.attributes.with_transactional(identity.transactional);
            header.producer_id = identity.producer_id;
            header.producer_epoch = identity.producer_epoch;
            header.base_sequence = identity.base_sequence;
        }
        header.encode(self.payload_len, self.payload_crc)
    }

    /// The whole batch in one piece, as it would be on the wire: a copy.
    pub(crate) fn glued(&self) -> Bytes {
        let mut glued = Vec::with_capacity(self.wire_len());
        glued.extend_from_slice(&self.header(None));
        self.payload
            .iter()
            .for_each(|slice| glued.extend_from_slice(slice));
        glued.into()
    }

    /// Whether its deliveries are resolved: after an expiry the batch lives on only until its writer is done.
    pub fn is_complete(&self) -> bool {
        self.core.is_resolved()
    }

    /// Resolves all of it as in the log; -1 for an offset or time that the broker did not tell. False if it was
    /// resolved before.
    pub fn complete(&self, base_offset: i64, log_append_time_ms: i64) -> bool {
        self.core.complete(Outcome::Acked {
            base_offset,
            log_append_time_ms,
        })
    }

    /// Resolves all of it as failed. False if it was resolved before.
    pub fn fail(&self, failure: DeliveryFailure) -> bool {
        self.core.complete(Outcome::Failed(failure))
    }

    /// Resolves it as refused because of some records (KIP-467): `culprits` by index, the rest with `others`.
    pub fn reject(&self, mut culprits: Vec<(u32, DeliveryFailure)>, others: DeliveryFailure) -> bool {
        culprits.sort_by_key(|(index, _)| *index);
        self.core.complete(Outcome::Rejected { culprits, others })
    }
}

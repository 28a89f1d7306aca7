//! The queue of one partition: its open batch and the closed ones behind each other.

use crate::batch::{BATCH_STATE_BYTES, ClosedBatch, OpenBatch};
use crate::delivery::{Completion, Delivery};
use crate::details::Details;
use crate::memory::{Account, CHUNK_SIZES, Chunk, Denied, MemoryWait, Reservation};
use crate::payload::ChunkChain;
use crate::short_lock::ShortLock;
use crate::{Accumulator, ready::Urgency};
use ottla_protocol::records::{BATCH_HEADER_SIZE, Header, RecordRef};
use ottla_time::{Clock, Time, mutant, points};
use smallvec::SmallVec;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// A record as the accumulator takes it: borrowed, already serialized, its partition already chosen.
#[derive(Clone, Copy, Debug, Default)]
pub struct Record<'a> {
    /// The key.
    pub key: Option<&'a [u8]>,
    /// The value.
    pub value: Option<&'a [u8]>,
    /// The headers, in their order.
    pub headers: &'a [Header<'a>],
    /// Milliseconds since the Unix epoch.
    pub timestamp_ms: i64,
}

/// What an append did.
#[derive(Debug)]
#[non_exhaustive]
pub struct Appended {
    /// The outcome to come.
    pub delivery: Delivery,
    /// Bytes that were added to the partition since this told of some, headers of batches included: what a sticky
    /// partitioner counts. Told when a batch was opened or is full, or when `batch.size` bytes have come together, and
    /// otherwise 0, so that not each record has to touch a counter that all threads share.
    pub bytes: usize,
    /// Whether it opened a batch.
    pub new_batch: bool,
    /// Whether a batch is full now, or was closed because this record did not fit.
    pub full: bool,
    /// Whether the sender has news of this partition and has to be woken.
    pub wake: bool,
    /// Whether another thread held the partition's lock: who is free to choose may go elsewhere next time.
    pub contended: bool,
}

/// Why nothing was appended.
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AppendError {
    /// There is no memory for it now. [Wait](Partition::wait_for_memory) for this many bytes, then append again with
    /// them.
    Memory {
        /// Bytes to reserve.
        needed: usize,
        /// Whether it is this partition that holds its share of the memory: another partition may have some.
        share: bool,
    },
    /// The accumulator is closed.
    Closed,
}

/// An estimate of how small a codec makes the records of one topic, so that compressed batches fill up to batch.size.
///
/// As in Java (`CompressionRatioEstimator`): it rises at once when a batch compressed worse than estimated, and falls
/// slowly. 1.0 to begin with.
#[derive(Debug)]
pub struct CompressionRatio(AtomicU32);

impl Default for CompressionRatio {
    fn default() -> CompressionRatio {
        CompressionRatio(AtomicU32::new(1f32.to_bits()))
    }
}

impl CompressionRatio {
    /// Compressed bytes for each uncompressed one.
    pub fn estimate(&self) -> f32 {
        f32::from_bits(self.0.load(Ordering::Relaxed))
    }

    /// A batch was too large for the broker: nothing is taken for compressible until it proves to be.
    pub(crate) fn reset(&self) {
        let estimate = self.estimate().max(1.0);
        self.0.store(estimate.to_bits(), Ordering::Relaxed);
    }

    pub(crate) fn observe(&self, compressed: usize, uncompressed: usize) {
        if uncompressed == 0 {
            return;
        }
        let observed = compressed as f32 / uncompressed as f32;
        let estimate = self.estimate();
        let next = if observed > estimate {
            (estimate + 0.05).max(observed)
        } else {
            (estimate - 0.005).max(observed)
        };
        // Two codec threads may race here; either's observation is as good.
        self.0.store(next.to_bits(), Ordering::Relaxed);
    }
}

/// The queue of one partition. Its lock is held for as long as it takes to copy one record.
///
/// Aligned so that neighbouring partitions' locks do not share a cache line: two threads on two partitions would
/// otherwise cost five times as much.
#[repr(align(128))]
#[derive(Debug)]
pub struct Partition {
    topic: Arc<str>,
    number: i32,
    /// Where the sender keeps what it knows about this partition.
    slot: usize,
    ratio: Arc<CompressionRatio>,
    account: Account,
    state: ShortLock<State>,
}

#[derive(Debug, Default)]
struct State {
    open: Option<OpenBatch>,
    closed: VecDeque<ClosedBatch>,
    /// What the sender was told and has not looked at yet.
    told: Option<Urgency>,
    /// How large the last batch became: a guess at the next one's first chunk.
    expected_len: usize,
    /// How many records it had.
    expected_count: usize,
    /// Bytes that no [`Appended::bytes`] has told of.
    untold_bytes: usize,
}

impl State {
    /// Takes no more records into `open`, and learns from it what the next one will be like.
    fn close(&mut self, open: OpenBatch) -> ClosedBatch {
        self.expected_len = open.payload_len();
        let closed = open.close();
        self.expected_count = closed.record_count() as usize;
        closed
    }
}

/// Counts `bytes`, and tells of all that were counted if it is time.
#[inline]
fn count(untold: &mut usize, bytes: usize, is_boundary: bool, batch_size: usize) -> usize {
    *untold += bytes;
    if is_boundary || *untold >= batch_size {
        std::mem::take(untold)
    } else {
        0
    }
}

/// What the sender finds when it looks at a partition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Inspection {
    /// When the oldest waiting record's batch was created; `None` if nothing waits.
    pub oldest: Option<Time>,
    /// The generation of that batch, see [`FlushTracker`](crate::FlushTracker).
    pub generation: u64,
    /// How many closed batches wait.
    pub closed: usize,
    /// Whether a batch is open.
    pub open: bool,
    /// Whether a batch is full: it need not linger.
    pub full: bool,
}

impl Partition {
    pub(crate) fn new(
        topic: Arc<str>,
        number: i32,
        slot: usize,
        ratio: Arc<CompressionRatio>,
        account: Account,
    ) -> Partition {
        Partition {
            topic,
            number,
            slot,
            ratio,
            account,
            state: ShortLock::default(),
        }
    }

    /// The topic.
    pub fn topic(&self) -> &Arc<str> {
        &self.topic
    }

    /// The number of the partition in its topic.
    pub fn number(&self) -> i32 {
        self.number
    }

    /// The place that [`Topic::partition`](crate::Topic::partition) was told.
    pub fn slot(&self) -> usize {
        self.slot
    }

    /// The compression estimate of its topic.
    pub fn compression_ratio(&self) -> &CompressionRatio {
        &self.ratio
    }

    /// Bytes of the memory that the partition holds.
    pub fn memory_held(&self) -> usize {
        self.account.held()
    }

    /// Waits for memory, after [`AppendError::Memory`]: behind those of this partition if it holds its share, otherwise
    /// behind all others who wait.
    pub fn wait_for_memory(&self, needed: usize) -> MemoryWait {
        self.account.wait(needed)
    }

    /// Appends one record to the open batch if that is all there is to do: no memory to take, no batch to open or to close,
    /// nobody to tell, and the lock is free. This is what happens to nearly all records. `None` asks for
    /// [`append`](Partition::append), which does the rest.
    #[inline(never)]
    pub fn append_within(&self, accumulator: &Accumulator, record: &Record<'_>) -> Option<Delivery> {
        let mut guard = self.state.try_lock()?;
        let state = &mut *guard;
        // Under the lock, as below.
        if accumulator.is_closed() {
            return None;
        }
        let open = state.open.as_mut()?;
        let (delivery, len) = open.push_within_slack(record)?;
        state.untold_bytes += len;
        Some(delivery)
    }

    /// Appends one record to the open batch, or opens another. `permits` pays for new memory if the pool has none; what
    /// is left of it stays with the caller.
    #[inline(never)]
    pub fn append(
        self: &Arc<Self>,
        accumulator: &Accumulator,
        record: &Record<'_>,
        permits: Option<&mut Reservation>,
        clock: &dyn Clock,
    ) -> Result<Appended, AppendError> {
        let (mut guard, contended) = match self.state.try_lock() {
            Some(guard) => (guard, false),
            None => (self.state.lock(), true),
        };
        let state = &mut *guard;
        // Under the lock: who closes visits every partition afterwards and finds what was appended before.
        if accumulator.is_closed() {
            return Err(AppendError::Closed);
        }
        if let Some(open) = &mut state.open {
            let encoded = open.encode(record);
            let size = encoded.encoded_size();
            if accumulator.has_room(open.payload_len(), size.total(), &self.ratio) {
                let outcomes = open.outcome_permits();
                let spare = if open.chain().room() >= size.total() && outcomes == 0 {
                    SmallVec::new()
                } else {
                    let classes = open
                        .chain()
                        .classes_for(size.total(), 0, accumulator.chunk_class_max());
                    let (chunks, paid) = take_chunks(&self.account, permits, &classes, outcomes)?;
                    if outcomes > 0 {
                        open.pay_outcomes(paid);
                    }
                    chunks
                };
                let before = accumulator.estimated_len(open.payload_len(), &self.ratio);
                let index = open.push(record, &encoded, size, spare);
                let after = accumulator.estimated_len(open.payload_len(), &self.ratio);
                let full = after >= accumulator.batch_size();
                // The estimate may be a better one now.
                let bytes = count(
                    &mut state.untold_bytes,
                    after.saturating_sub(before),
                    full,
                    accumulator.batch_size(),
                );
                if full {
                    open.check_rest();
                }
                let wake = full && self.tell(accumulator, &mut state.told, Urgency::Ready);
                open.set_slack(accumulator.slack(open.payload_len(), state.untold_bytes));
                return Ok(Appended {
                    delivery: open.delivery(index),
                    bytes,
                    new_batch: false,
                    full,
                    wake,
                    contended,
                });
            }
        }
        let appended = self.append_new_batch(accumulator, state, record, permits, clock)?;
        Ok(Appended {
            contended,
            ..appended
        })
    }

    #[inline(never)]
    fn append_new_batch(
        self: &Arc<Self>,
        accumulator: &Accumulator,
        state: &mut State,
        record: &Record<'_>,
        permits: Option<&mut Reservation>,
        clock: &dyn Clock,
    ) -> Result<Appended, AppendError> {
        // What does not fit closes the batch even if there is no memory for the next one: it is as full as it gets, and
        // sending it is what makes memory.
        let closed_one = state.open.is_some();
        if let Some(mut open) = state.open.take() {
            open.check_rest();
            let closed = state.close(open);
            state.closed.push_back(closed);
        }
        let completed = self.open_batch(accumulator, state, record, permits, clock);
        let (delivery, full) = match completed {
            Ok((delivery, full)) => (delivery, full),
            Err(error) => {
                if closed_one {
                    self.tell(accumulator, &mut state.told, Urgency::Ready);
                }
                return Err(error);
            }
        };
        let payload_len = state.open.as_ref().map_or(0, OpenBatch::payload_len);
        if let Some(open) = &mut state.open {
            open.set_slack(accumulator.slack(payload_len, 0));
        }
        let urgency = if full || closed_one {
            Urgency::Ready
        } else {
            Urgency::Linger
        };
        let wake = self.tell(accumulator, &mut state.told, urgency);
        let bytes = accumulator.estimated_len(payload_len, &self.ratio);
        let bytes = count(&mut state.untold_bytes, bytes, true, accumulator.batch_size());
        Ok(Appended {
            delivery,
            bytes,
            new_batch: true,
            full: full || closed_one,
            wake,
            contended: false,
        })
    }

    fn open_batch(
        &self,
        accumulator: &Accumulator,
        state: &mut State,
        record: &Record<'_>,
        permits: Option<&mut Reservation>,
        clock: &dyn Clock,
    ) -> Result<(Delivery, bool), AppendError> {
        // The first record of a batch has both deltas 0.
        let encoded = RecordRef {
            timestamp_delta: 0,
            offset_delta: 0,
            key: record.key,
            value: record.value,
            headers: record.headers,
        };
        let size = encoded.encoded_size();
        let expected = state
            .expected_len
            .clamp(size.total(), size.total().max(accumulator.batch_size()));
        let classes =
            ChunkChain::default().classes_for(size.total(), expected, accumulator.chunk_class_max());
        let (spare, reserved) = take_chunks(&self.account, permits, &classes, BATCH_STATE_BYTES)?;
        let completion = Arc::new(Completion::new(Arc::clone(&self.topic), self.number));
        let ticket = accumulator.flushes().ticket();
        let chain = match accumulator.compresses() {
            true => ChunkChain::unchecked(),
            false => ChunkChain::default(),
        };
        let mut open = OpenBatch::new(
            completion,
            clock.now(),
            record.timestamp_ms,
            ticket,
            reserved,
            chain,
            Details::expecting(state.expected_count),
        );
        let index = open.push(record, &encoded, size, spare);
        let delivery = open.delivery(index);
        let full = accumulator.is_full(open.payload_len(), &self.ratio);
        state.open = Some(open);
        Ok((delivery, full))
    }

    /// Puts the partition on the sender's list, unless the sender was told as much already. True if it was not.
    fn tell(
        self: &Arc<Self>,
        accumulator: &Accumulator,
        told: &mut Option<Urgency>,
        urgency: Urgency,
    ) -> bool {
        if *told >= Some(urgency) {
            return false;
        }
        let first = told.is_none();
        *told = Some(urgency);
        if first {
            accumulator.tell(Arc::clone(self));
        }
        true
    }

    /// What waits here. Acknowledges what the sender was told: the next change tells it again.
    pub fn inspect(&self, accumulator: &Accumulator) -> Inspection {
        points::reach("a partition is looked at");
        let mut state = self.state.lock();
        state.told = state.told.filter(|_| mutant!("lost wake-up of the sender"));
        let open = state.open.as_ref();
        let front = state
            .closed
            .front()
            .map(|batch| (batch.created(), batch.core.generation()));
        let oldest = front.or_else(|| open.map(|open| (open.created(), open.generation())));
        let open_full = open.is_some_and(|open| accumulator.is_full(open.payload_len(), &self.ratio));
        Inspection {
            oldest: oldest.map(|(created, _)| created),
            generation: oldest.map_or(u64::MAX, |(_, generation)| generation),
            closed: state.closed.len(),
            open: state.open.is_some(),
            full: !state.closed.is_empty() || open_full,
        }
    }

    /// Takes the oldest batch, and closes it if it is the open one.
    pub fn take(&self) -> Option<ClosedBatch> {
        points::reach("a batch is taken");
        let mut state = self.state.lock();
        if let Some(batch) = state.closed.pop_front() {
            return Some(batch);
        }
        let open = state.open.take()?;
        Some(state.close(open))
    }

    /// Takes the oldest batch if it was created at or before `deadline`.
    pub fn take_created_by(&self, deadline: Time) -> Option<ClosedBatch> {
        points::reach("an old batch is looked for");
        let oldest = {
            let state = self.state.lock();
            state
                .closed
                .front()
                .map(ClosedBatch::created)
                .or(state.open.as_ref().map(OpenBatch::created))
        };
        // Batches only leave through the one sender, so the oldest is still the same.
        if oldest? <= deadline { self.take() } else { None }
    }
}

/// Chunks of `classes` and a reservation of `state` bytes, paid by the caller's permits if they suffice, else by the
/// pool.
fn take_chunks(
    account: &Account,
    permits: Option<&mut Reservation>,
    classes: &[usize],
    state: usize,
) -> Result<(SmallVec<[Chunk; 4]>, Reservation), AppendError> {
    let needed = classes.iter().map(|&class| CHUNK_SIZES[class]).sum::<usize>() + state;
    let brought = permits.and_then(|permits| account.take_over(permits, needed));
    let own = match brought {
        Some(own) => Ok(own),
        None => account.try_reserve(needed),
    };
    let mut own = own.map_err(|denied| AppendError::Memory {
        needed,
        share: denied == Denied::Share,
    })?;
    let Some(chunks) = ChunkChain::spare(&mut own, classes) else {
        unreachable!("{needed} bytes are reserved")
    };
    Ok((chunks, own))
}

impl Accumulator {
    /// Bytes of a batch with this much payload: exact without compression, an estimate with it. Java multiplies by
    /// 1.05 too, so that a batch rather ends below batch.size than above.
    fn estimated_len(&self, payload_len: usize, ratio: &CompressionRatio) -> usize {
        let payload = if self.compresses() {
            (payload_len as f32 * ratio.estimate() * 1.05) as usize
        } else {
            payload_len
        };
        BATCH_HEADER_SIZE + payload
    }

    #[inline]
    fn has_room(&self, payload_len: usize, size: usize, ratio: &CompressionRatio) -> bool {
        self.batch_size() >= self.estimated_len(payload_len, ratio) + size
            && payload_len + size <= PAYLOAD_LEN_MAX
    }

    /// How many bytes may come before a batch is full, or has to be told of: none where that depends on an estimate.
    fn slack(&self, payload_len: usize, untold: usize) -> usize {
        if self.compresses() {
            return 0;
        }
        let len = untold.max(BATCH_HEADER_SIZE + payload_len);
        let until_full = self.batch_size().saturating_sub(len + 1);
        until_full.min(PAYLOAD_LEN_MAX.saturating_sub(payload_len))
    }

    #[inline]
    fn is_full(&self, payload_len: usize, ratio: &CompressionRatio) -> bool {
        self.estimated_len(payload_len, ratio) >= self.batch_size()
    }
}

/// A batch's length is an int32 on the wire, and a highly compressible batch must not hold all of the memory while it
/// fills: no batch grows beyond this before compression, but by a single record.
const PAYLOAD_LEN_MAX: usize = 16 << 20;

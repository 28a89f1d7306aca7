//! The log of one partition: batches in memory, offsets, the high watermark, leader epochs and aborted transactions.

use bytes::{Bytes, BytesMut};
use std::collections::{BTreeMap, VecDeque};

/// The length of a v2 batch header, in bytes.
pub(crate) const HEADER_LEN: usize = 61;

/// What a batch is charged beyond its payload: its header and the entry that holds it.
const BATCH_OVERHEAD: usize = 192;

/// A batch as the log keeps it: the header is ours (offset and epoch are written into it), the payload is a slice of
/// the frame that brought it.
#[derive(Clone, Debug)]
pub(crate) struct StoredBatch {
    pub(crate) base_offset: i64,
    pub(crate) last_offset: i64,
    pub(crate) leader_epoch: i32,
    pub(crate) max_timestamp: i64,
    pub(crate) header: [u8; HEADER_LEN],
    pub(crate) payload: Bytes,
}

impl StoredBatch {
    /// The batch's length on the wire, in bytes.
    pub(crate) fn wire_len(&self) -> usize {
        HEADER_LEN + self.payload.len()
    }

    fn charge(&self) -> usize {
        BATCH_OVERHEAD + self.payload.len()
    }

    /// The batch in one piece, as a reader gets it.
    pub(crate) fn to_bytes(&self) -> Bytes {
        let mut whole = BytesMut::with_capacity(self.wire_len());
        whole.extend_from_slice(&self.header);
        whole.extend_from_slice(&self.payload);
        whole.freeze()
    }
}

/// A transaction that was aborted: a read_committed reader skips its records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AbortedTransaction {
    pub(crate) producer_id: i64,
    pub(crate) first_offset: i64,
    pub(crate) last_offset: i64,
}

/// What the log has to know of a batch that is appended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Append {
    /// How many offsets the batch takes: its last offset delta and one more.
    pub(crate) offsets: i64,
    pub(crate) max_timestamp: i64,
    /// The producer whose transaction the batch belongs to, if it belongs to one.
    pub(crate) transactional_producer: Option<i64>,
}

/// The log of one partition.
///
/// `log_start ≤ last_stable ≤ high_watermark ≤ log_end` always holds, and the batches between `log_start` and `log_end`
/// are dense unless the log discards.
#[derive(Debug, Default)]
pub(crate) struct Log {
    batches: VecDeque<StoredBatch>,
    log_start: i64,
    log_end: i64,
    high_watermark: i64,
    bytes: usize,
    /// (epoch, first offset written under it), ascending.
    epochs: Vec<(i32, i64)>,
    /// First offset of each open transaction → its producer.
    open_transactions: BTreeMap<i64, i64>,
    /// Producer → first offset of its open transaction.
    open_by_producer: BTreeMap<i64, i64>,
    /// Transactions that ended but whose marker is not yet below the high watermark: (first offset, marker's offset).
    unreplicated: VecDeque<(i64, i64)>,
    /// Ascending by last offset.
    aborted: Vec<AbortedTransaction>,
}

/// How many leader epochs a log remembers: one for each move that a test could reasonably make.
const EPOCHS_MAX: usize = 10_000;

impl Log {
    /// The first offset that can be read.
    pub(crate) fn log_start(&self) -> i64 {
        self.log_start
    }

    /// The offset that the next record gets.
    pub(crate) fn log_end(&self) -> i64 {
        self.log_end
    }

    /// The first offset that not every replica in sync has.
    pub(crate) fn high_watermark(&self) -> i64 {
        self.high_watermark
    }

    /// How much memory the batches are charged with, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The first offset that a read_committed reader must not see: that of the earliest transaction whose end is not
    /// known to every replica, or the high watermark.
    pub(crate) fn last_stable(&self) -> i64 {
        let open = self.open_transactions.keys().next().copied();
        let unreplicated = self.unreplicated.iter().map(|&(first, _)| first).min();
        let earliest = open.into_iter().chain(unreplicated).min();
        earliest
            .map_or(self.high_watermark, |first| first.min(self.high_watermark))
            .max(self.log_start)
    }

    /// Where the open transaction of `producer_id` begins, if one is open.
    pub(crate) fn open_transaction(&self, producer_id: i64) -> Option<i64> {
        self.open_by_producer.get(&producer_id).copied()
    }

    /// The batches that are kept, oldest first.
    pub(crate) fn batches(&self) -> impl Iterator<Item = &StoredBatch> {
        self.batches.iter()
    }

    /// Appends a batch and returns its base offset. The header's offset and epoch are written here; `keep` is false
    /// where the cluster discards.
    pub(crate) fn append(
        &mut self,
        mut header: [u8; HEADER_LEN],
        payload: Bytes,
        append: Append,
        leader_epoch: i32,
        keep: bool,
    ) -> i64 {
        let base_offset = self.log_end;
        self.log_end += append.offsets;
        if self.epochs.last().is_none_or(|&(epoch, _)| epoch < leader_epoch) {
            if self.epochs.len() == EPOCHS_MAX {
                self.epochs.remove(0);
            }
            self.epochs.push((leader_epoch, base_offset));
        }
        if let Some(producer_id) = append.transactional_producer {
            self.open_by_producer.entry(producer_id).or_insert_with(|| {
                self.open_transactions.insert(base_offset, producer_id);
                base_offset
            });
        }
        if !keep {
            self.move_start(self.log_end);
            return base_offset;
        }
        header[..8].copy_from_slice(&base_offset.to_be_bytes());
        header[12..16].copy_from_slice(&leader_epoch.to_be_bytes());
        let batch = StoredBatch {
            base_offset,
            last_offset: self.log_end - 1,
            leader_epoch,
            max_timestamp: append.max_timestamp,
            header,
            payload,
        };
        self.bytes += batch.charge();
        self.batches.push_back(batch);
        base_offset
    }

    /// Ends the open transaction of `producer_id` with the marker at `marker_offset`; nothing if none is open.
    pub(crate) fn end_transaction(&mut self, producer_id: i64, marker_offset: i64, committed: bool) {
        let Some(first_offset) = self.open_by_producer.remove(&producer_id) else {
            return;
        };
        self.open_transactions.remove(&first_offset);
        if marker_offset >= self.high_watermark {
            self.unreplicated.push_back((first_offset, marker_offset));
        }
        if !committed {
            self.aborted.push(AbortedTransaction {
                producer_id,
                first_offset,
                last_offset: marker_offset,
            });
        }
    }

    /// Moves the high watermark up to `offset`; going back or beyond the end is ignored.
    pub(crate) fn advance_high_watermark(&mut self, offset: i64) {
        self.high_watermark = self.high_watermark.max(offset.min(self.log_end));
        while self
            .unreplicated
            .front()
            .is_some_and(|&(_, marker)| marker < self.high_watermark)
        {
            self.unreplicated.pop_front();
        }
    }

    /// The batches from the one that holds `offset`, up to (not including) `limit`, and at most `bytes_max` of them;
    /// the first is returned whatever its size if `at_least_one`.
    pub(crate) fn read(
        &self,
        offset: i64,
        limit: i64,
        bytes_max: usize,
        at_least_one: bool,
    ) -> impl Iterator<Item = &StoredBatch> {
        let from = self.batches.partition_point(|batch| batch.last_offset < offset);
        let mut used = 0_usize;
        let mut first = at_least_one;
        self.batches.range(from..).take_while(move |batch| {
            if batch.base_offset >= limit {
                return false;
            }
            let fits = used.saturating_add(batch.wire_len()) <= bytes_max;
            used = used.saturating_add(batch.wire_len());
            std::mem::take(&mut first) || fits
        })
    }

    /// Aborted transactions that overlap the offsets from `from` to (not including) `to`.
    pub(crate) fn aborted_between(&self, from: i64, to: i64) -> impl Iterator<Item = AbortedTransaction> {
        let start = self.aborted.partition_point(|aborted| aborted.last_offset < from);
        self.aborted[start..]
            .iter()
            .copied()
            .filter(move |aborted| aborted.first_offset < to)
    }

    /// The first kept batch that has a record at or after `timestamp`.
    pub(crate) fn first_batch_since(&self, timestamp: i64) -> Option<&StoredBatch> {
        self.batches.iter().find(|batch| batch.max_timestamp >= timestamp)
    }

    /// The first kept batch with the largest timestamp of all.
    pub(crate) fn batch_of_max_timestamp(&self) -> Option<&StoredBatch> {
        let max = self.batches.iter().map(|batch| batch.max_timestamp).max()?;
        self.batches.iter().find(|batch| batch.max_timestamp == max)
    }

    /// The leader epoch under which `offset` was written, if the log remembers it.
    pub(crate) fn epoch_of(&self, offset: i64) -> Option<i32> {
        let after = self.epochs.partition_point(|&(_, first)| first <= offset);
        after.checked_sub(1).map(|index| self.epochs[index].0)
    }

    /// The largest epoch not above `epoch`, and the offset at which it ended (KIP-320's OffsetForLeaderEpoch).
    pub(crate) fn end_of_epoch(&self, epoch: i32) -> Option<(i32, i64)> {
        let after = self.epochs.partition_point(|&(known, _)| known <= epoch);
        let found = self.epochs[after.checked_sub(1)?].0;
        let end = self.epochs.get(after).map_or(self.log_end, |&(_, first)| first);
        Some((found, end))
    }

    /// Drops the oldest batch, if one is below the last stable offset; returns how many bytes that freed.
    pub(crate) fn drop_oldest(&mut self) -> Option<usize> {
        let stable = self.last_stable();
        if self.batches.front()?.last_offset >= stable {
            return None;
        }
        let batch = self.batches.pop_front()?;
        let charge = batch.charge();
        self.bytes -= charge;
        self.move_start(batch.last_offset + 1);
        Some(charge)
    }

    /// Makes everything below `offset` unreadable (DeleteRecords, or a test); returns how many bytes that freed.
    pub(crate) fn delete_before(&mut self, offset: i64) -> usize {
        let offset = offset.min(self.high_watermark);
        let mut freed = 0;
        while self
            .batches
            .front()
            .is_some_and(|batch| batch.last_offset < offset)
        {
            if let Some(batch) = self.batches.pop_front() {
                freed += batch.charge();
            }
        }
        self.bytes -= freed;
        self.move_start(offset);
        freed
    }

    fn move_start(&mut self, offset: i64) {
        self.log_start = self.log_start.max(offset);
        let gone = self
            .aborted
            .partition_point(|aborted| aborted.last_offset < self.log_start);
        self.aborted.drain(..gone);
    }

    /// Cuts the log back to `offset`, or the high watermark if that is higher, as a new leader does that has not got the
    /// rest; returns the batches that were lost, newest first.
    pub(crate) fn truncate(&mut self, offset: i64) -> Vec<StoredBatch> {
        let offset = offset.max(self.high_watermark);
        let mut lost = Vec::new();
        while self
            .batches
            .back()
            .is_some_and(|batch| batch.base_offset >= offset)
        {
            if let Some(batch) = self.batches.pop_back() {
                self.bytes -= batch.charge();
                lost.push(batch);
            }
        }
        let end = lost.last().map_or(self.log_end, |batch| batch.base_offset);
        if end == self.log_end {
            return lost;
        }
        self.log_end = end;
        self.high_watermark = self.high_watermark.min(end);
        self.epochs.retain(|&(_, first)| first < end);
        self.reopen_transactions(end);
        lost
    }

    /// Takes back what transactions did at or after `end`, which was just cut off.
    fn reopen_transactions(&mut self, end: i64) {
        self.open_transactions.retain(|&first, _| first < end);
        self.open_by_producer.retain(|_, &mut first| first < end);
        for aborted in self.aborted.extract_if_last_at_or_after(end) {
            if aborted.first_offset < end {
                self.open_transactions
                    .insert(aborted.first_offset, aborted.producer_id);
                self.open_by_producer
                    .insert(aborted.producer_id, aborted.first_offset);
            }
        }
        // A committed transaction whose marker was lost is open again, too: its producer stands in its batches.
        let (kept, lost): (VecDeque<_>, VecDeque<_>) = std::mem::take(&mut self.unreplicated)
            .into_iter()
            .partition(|&(_, marker)| marker < end);
        self.unreplicated = kept;
        for (first, _) in lost {
            if first < end && !self.open_transactions.contains_key(&first) {
                let producer = self
                    .batches
                    .iter()
                    .find(|batch| batch.base_offset == first)
                    .map(producer_of);
                if let Some(producer_id) = producer {
                    self.open_transactions.insert(first, producer_id);
                    self.open_by_producer.insert(producer_id, first);
                }
            }
        }
    }
}

/// The producer id in a stored header.
fn producer_of(batch: &StoredBatch) -> i64 {
    let mut id = [0; 8];
    id.copy_from_slice(&batch.header[43..51]);
    i64::from_be_bytes(id)
}

/// Taking the tail of the aborted transactions off, which are sorted by their last offset.
trait TakeTail {
    fn extract_if_last_at_or_after(&mut self, end: i64) -> Vec<AbortedTransaction>;
}

impl TakeTail for Vec<AbortedTransaction> {
    fn extract_if_last_at_or_after(&mut self, end: i64) -> Vec<AbortedTransaction> {
        let kept = self.partition_point(|aborted| aborted.last_offset < end);
        self.split_off(kept)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn append(log: &mut Log, offsets: i64, epoch: i32, producer: Option<i64>) -> i64 {
        let mut header = [0; HEADER_LEN];
        header[43..51].copy_from_slice(&producer.unwrap_or(-1).to_be_bytes());
        let append = Append {
            offsets,
            max_timestamp: log.log_end(),
            transactional_producer: producer,
        };
        log.append(header, Bytes::from_static(&[7; 39]), append, epoch, true)
    }

    fn bases(log: &Log, offset: i64, bytes_max: usize, at_least_one: bool) -> Vec<i64> {
        log.read(offset, log.high_watermark(), bytes_max, at_least_one)
            .map(|batch| batch.base_offset)
            .collect()
    }

    #[test]
    fn offsets_are_dense_and_reads_find_the_batch_that_holds_an_offset() {
        let mut log = Log::default();
        assert_eq!(append(&mut log, 3, 0, None), 0);
        assert_eq!(append(&mut log, 1, 0, None), 3);
        assert_eq!(append(&mut log, 5, 2, None), 4);
        assert_eq!(
            bases(&log, 0, 1_000, true),
            [0_i64; 0],
            "nothing is replicated yet"
        );
        log.advance_high_watermark(100);
        assert_eq!((log.high_watermark(), log.log_end()), (9, 9));
        assert_eq!(bases(&log, 0, 1_000, true), [0, 3, 4]);
        assert_eq!(bases(&log, 2, 200, true), [0, 3], "each batch is 100 bytes");
        assert_eq!(bases(&log, 8, 10, true), [4], "the first comes whatever its size");
        assert_eq!(bases(&log, 8, 10, false), [0_i64; 0]);
        assert_eq!(bases(&log, 9, 1_000, true), [0_i64; 0]);
        assert_eq!(
            (log.epoch_of(0), log.epoch_of(4), log.epoch_of(-1)),
            (Some(0), Some(2), None)
        );
        assert_eq!(log.end_of_epoch(0), Some((0, 4)));
        assert_eq!(log.end_of_epoch(1), Some((0, 4)));
        assert_eq!(log.end_of_epoch(2), Some((2, 9)));
        assert_eq!(log.end_of_epoch(-1), None);
    }

    #[test]
    fn last_stable_waits_for_open_and_unreplicated_transactions() {
        let mut log = Log::default();
        append(&mut log, 2, 0, None);
        append(&mut log, 2, 0, Some(7));
        append(&mut log, 2, 0, Some(7));
        log.advance_high_watermark(6);
        assert_eq!((log.last_stable(), log.open_transaction(7)), (2, Some(2)));
        let marker = append(&mut log, 1, 0, None);
        log.end_transaction(7, marker, false);
        assert_eq!(log.last_stable(), 2, "the marker is not replicated");
        log.advance_high_watermark(7);
        assert_eq!((log.last_stable(), log.open_transaction(7)), (7, None));
        let aborted: Vec<_> = log.aborted_between(0, 7).collect();
        assert_eq!(
            aborted,
            [AbortedTransaction {
                producer_id: 7,
                first_offset: 2,
                last_offset: 6
            }]
        );
        assert_eq!(log.aborted_between(7, 9).count(), 0);
        assert_eq!(log.aborted_between(0, 2).count(), 0);
    }

    #[test]
    fn truncation_loses_what_is_not_replicated_and_reopens_transactions() {
        for committed in [false, true] {
            let mut log = Log::default();
            append(&mut log, 2, 0, Some(7));
            log.advance_high_watermark(2);
            let marker = append(&mut log, 1, 1, None);
            log.end_transaction(7, marker, committed);
            append(&mut log, 4, 1, Some(8));
            let lost = log.truncate(0);
            assert_eq!(
                lost.iter().map(|batch| batch.base_offset).collect::<Vec<_>>(),
                [3, 2]
            );
            assert_eq!((log.log_end(), log.last_stable()), (2, 0));
            assert_eq!(
                (log.open_transaction(7), log.open_transaction(8)),
                (Some(0), None)
            );
            assert_eq!(log.epoch_of(2), Some(0));
            assert_eq!(log.bytes(), BATCH_OVERHEAD + 39);
            assert!(log.truncate(0).is_empty());
        }
    }

    #[test]
    fn a_marker_below_the_cut_stays_also_above_the_high_watermark() {
        let mut log = Log::default();
        append(&mut log, 2, 0, Some(7));
        let marker = append(&mut log, 1, 0, None);
        log.end_transaction(7, marker, true);
        append(&mut log, 1, 0, None);
        assert_eq!(log.truncate(3).len(), 1);
        assert_eq!((log.log_end(), log.open_transaction(7)), (3, None));
        assert_eq!(log.last_stable(), 0);
        log.advance_high_watermark(3);
        assert_eq!(log.last_stable(), 3);
    }

    #[test]
    fn retention_stops_at_the_last_stable_offset() {
        let mut log = Log::default();
        append(&mut log, 1, 0, None);
        append(&mut log, 1, 0, Some(7));
        log.advance_high_watermark(2);
        assert_eq!(log.drop_oldest(), Some(BATCH_OVERHEAD + 39));
        assert_eq!(log.drop_oldest(), None, "an open transaction is never dropped");
        assert_eq!((log.log_start(), log.bytes()), (1, BATCH_OVERHEAD + 39));
        log.delete_before(2);
        assert_eq!((log.log_start(), log.bytes()), (2, 0));
    }

    #[test]
    fn a_discarding_log_counts_and_keeps_nothing() {
        let mut log = Log::default();
        let append = Append {
            offsets: 5,
            max_timestamp: 0,
            transactional_producer: None,
        };
        for expected in [0, 5, 10] {
            assert_eq!(
                log.append([0; HEADER_LEN], Bytes::new(), append, 0, false),
                expected
            );
        }
        log.advance_high_watermark(15);
        assert_eq!((log.log_start(), log.log_end(), log.bytes()), (15, 15, 0));
    }
}

//! What a partition remembers of each producer: its epoch, and its last five batches, so that a retry is recognised.

use crate::log::StoredBatch;
use ottla_protocol::ErrorCode;
use std::collections::{BTreeMap, VecDeque};

/// How many batches of a producer are remembered (`ProducerStateEntry.NUM_BATCHES_TO_RETAIN`): as many as a producer
/// may have in flight.
const BATCHES_MAX: usize = 5;

/// No producer epoch, as it stands on the wire.
const NO_PRODUCER_EPOCH: i16 = -1;

/// The part of a batch's header that the producer's identity is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) producer_id: i64,
    pub(crate) epoch: i16,
    pub(crate) base_sequence: i32,
    pub(crate) record_count: i32,
}

impl Identity {
    /// The sequence of the batch's last record; sequences go from 2^31 - 1 to 0.
    pub(crate) fn last_sequence(&self) -> i32 {
        sequence_after(self.base_sequence, self.record_count - 1)
    }
}

/// The sequence `records` after `sequence`.
fn sequence_after(sequence: i32, records: i32) -> i32 {
    let sum = i64::from(sequence) + i64::from(records);
    (sum & i64::from(i32::MAX)) as i32
}

/// A batch that was appended: what a retry of it is answered with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AppendedBatch {
    pub(crate) first_sequence: i32,
    pub(crate) last_sequence: i32,
    pub(crate) base_offset: i64,
    pub(crate) last_offset: i64,
    /// The largest timestamp of the batch, in milliseconds.
    pub(crate) timestamp: i64,
}

#[derive(Debug)]
struct Producer {
    epoch: i16,
    /// Oldest first, at most [`BATCHES_MAX`]; empty after an epoch came by a marker.
    batches: VecDeque<AppendedBatch>,
    /// The coordinator epoch of the last marker, to refuse markers of a coordinator that was replaced.
    coordinator_epoch: i32,
    /// Counts up with every append of the partition: the smallest is the longest unused.
    used: u64,
}

/// What the producer state says to a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The next batch of its producer.
    Append,
    /// Appended before; nothing is written.
    Duplicate(AppendedBatch),
    /// Not acceptable.
    Refuse(ErrorCode),
}

/// A producer whose first transactional batch here the coordinator was asked about (KIP-890). It is there from the
/// question until a batch is appended, so that a later batch cannot overtake one that was refused.
#[derive(Clone, Copy, Debug)]
struct Verification {
    epoch: i16,
    lowest_sequence: i32,
    /// The producer uses transaction protocol 2: where it is unknown it must begin at sequence 0.
    epoch_bumps: bool,
}

/// The producers of one partition.
#[derive(Debug, Default)]
pub(crate) struct ProducerStates {
    producers: BTreeMap<i64, Producer>,
    verifying: BTreeMap<i64, Verification>,
    /// Uses → producer, to find the one that is longest unused.
    by_use: BTreeMap<u64, i64>,
    uses: u64,
}

impl ProducerStates {
    /// The coordinator is about to be asked whether a batch belongs to its producer's transaction.
    pub(crate) fn begin_verification(&mut self, batch: &Identity, epoch_bumps: bool, producers_max: usize) {
        if self.verifying.len() >= producers_max.max(1) && !self.verifying.contains_key(&batch.producer_id) {
            self.verifying.pop_first();
        }
        let verification = self.verifying.entry(batch.producer_id).or_insert(Verification {
            epoch: batch.epoch,
            lowest_sequence: batch.base_sequence,
            epoch_bumps,
        });
        if batch.epoch > verification.epoch {
            verification.epoch = batch.epoch;
            verification.lowest_sequence = batch.base_sequence;
        } else if batch.epoch == verification.epoch {
            verification.lowest_sequence = verification.lowest_sequence.min(batch.base_sequence);
        }
    }

    /// Judges a batch without changing anything (`ProducerAppendInfo.checkSequence` and the search for duplicates).
    pub(crate) fn check(&self, batch: &Identity) -> Verdict {
        let out_of_order = Verdict::Refuse(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER);
        let producer = self.producers.get(&batch.producer_id);
        if let Some(duplicate) = producer.and_then(|producer| producer.find(batch)) {
            return Verdict::Duplicate(duplicate);
        }
        if batch.epoch < producer.map_or(NO_PRODUCER_EPOCH, |producer| producer.epoch) {
            return Verdict::Refuse(ErrorCode::INVALID_PRODUCER_EPOCH);
        }
        if let Some(verification) = self.verifying.get(&batch.producer_id) {
            let begins_late = verification.epoch_bumps && producer.is_none() && batch.base_sequence != 0;
            if begins_late || batch.base_sequence > verification.lowest_sequence {
                return out_of_order;
            }
        }
        // The state may have gone with the records (retention), so any sequence is taken where there is none.
        let Some(producer) = producer else {
            return Verdict::Append;
        };
        if producer.epoch == NO_PRODUCER_EPOCH {
            // Kafka takes this for "no state at all".
            return Verdict::Append;
        }
        let in_order = if batch.epoch != producer.epoch {
            batch.base_sequence == 0
        } else {
            // After a marker the epoch is known but no batch is: the sequence before 0 is -1.
            let last = producer.batches.back().map_or(-1, |last| last.last_sequence);
            sequence_after(last, 1) == batch.base_sequence
        };
        if in_order { Verdict::Append } else { out_of_order }
    }

    /// Remembers a batch that was appended at `base_offset`.
    pub(crate) fn appended(
        &mut self,
        batch: &Identity,
        base_offset: i64,
        timestamp: i64,
        producers_max: usize,
    ) {
        self.verifying.remove(&batch.producer_id);
        let producer = self.touch(batch.producer_id, batch.epoch, producers_max);
        if producer.epoch != batch.epoch {
            producer.epoch = batch.epoch;
            producer.batches.clear();
        }
        if producer.batches.len() == BATCHES_MAX {
            producer.batches.pop_front();
        }
        producer.batches.push_back(AppendedBatch {
            first_sequence: batch.base_sequence,
            last_sequence: batch.last_sequence(),
            base_offset,
            last_offset: base_offset + i64::from(batch.record_count) - 1,
            timestamp,
        });
    }

    /// Whether a marker of this epoch and coordinator may be written.
    pub(crate) fn check_marker(
        &self,
        producer_id: i64,
        epoch: i16,
        coordinator_epoch: i32,
    ) -> Result<(), ErrorCode> {
        let Some(producer) = self.producers.get(&producer_id) else {
            return Ok(());
        };
        if epoch < producer.epoch {
            return Err(ErrorCode::INVALID_PRODUCER_EPOCH);
        }
        if coordinator_epoch < producer.coordinator_epoch {
            return Err(ErrorCode::TRANSACTION_COORDINATOR_FENCED);
        }
        Ok(())
    }

    /// Remembers a marker: its epoch counts from now on, and a newer one begins again at sequence 0.
    pub(crate) fn marked(
        &mut self,
        producer_id: i64,
        epoch: i16,
        coordinator_epoch: i32,
        producers_max: usize,
    ) {
        self.verifying.remove(&producer_id);
        let producer = self.touch(producer_id, epoch, producers_max);
        if producer.epoch != epoch {
            producer.epoch = epoch;
            producer.batches.clear();
        }
        producer.coordinator_epoch = coordinator_epoch;
    }

    /// The epoch that a producer has here.
    pub(crate) fn epoch(&self, producer_id: i64) -> Option<i16> {
        self.producers.get(&producer_id).map(|producer| producer.epoch)
    }

    /// Every producer with its epoch and its last sequence (-1 if none).
    pub(crate) fn iter(&self) -> impl Iterator<Item = (i64, i16, i32)> + '_ {
        self.producers.iter().map(|(&id, producer)| {
            let last = producer.batches.back().map_or(-1, |batch| batch.last_sequence);
            (id, producer.epoch, last)
        })
    }

    /// Forgets what was cut off the log: producers that wrote there are rebuilt from what remains of it.
    pub(crate) fn truncated<'a>(
        &mut self,
        lost: &[StoredBatch],
        remaining: impl Iterator<Item = &'a StoredBatch>,
        producers_max: usize,
    ) {
        let mut concerned: Vec<i64> = lost
            .iter()
            .filter_map(|batch| header_identity(batch).map(|(id, ..)| id))
            .collect();
        concerned.sort_unstable();
        concerned.dedup();
        for producer_id in &concerned {
            self.forget(*producer_id);
        }
        for batch in remaining {
            let Some((producer_id, epoch, base_sequence)) = header_identity(batch) else {
                continue;
            };
            if concerned.binary_search(&producer_id).is_err() {
                continue;
            }
            if base_sequence < 0 {
                self.marked(producer_id, epoch, 0, producers_max);
            } else {
                let record_count =
                    i32::try_from(batch.last_offset - batch.base_offset + 1).unwrap_or(i32::MAX);
                let identity = Identity {
                    producer_id,
                    epoch,
                    base_sequence,
                    record_count,
                };
                self.appended(&identity, batch.base_offset, batch.max_timestamp, producers_max);
            }
        }
    }

    fn forget(&mut self, producer_id: i64) {
        if let Some(producer) = self.producers.remove(&producer_id) {
            self.by_use.remove(&producer.used);
        }
    }

    fn touch(&mut self, producer_id: i64, epoch: i16, producers_max: usize) -> &mut Producer {
        if !self.producers.contains_key(&producer_id)
            && self.producers.len() >= producers_max.max(1)
            && let Some((_, unused)) = self.by_use.pop_first()
        {
            self.producers.remove(&unused);
        }
        self.uses += 1;
        let used = self.uses;
        let producer = self.producers.entry(producer_id).or_insert_with(|| Producer {
            epoch,
            batches: VecDeque::new(),
            coordinator_epoch: -1,
            used,
        });
        self.by_use.remove(&producer.used);
        producer.used = used;
        self.by_use.insert(used, producer_id);
        producer
    }
}

impl Producer {
    fn find(&self, batch: &Identity) -> Option<AppendedBatch> {
        if batch.epoch != self.epoch {
            return None;
        }
        let range = (batch.base_sequence, batch.last_sequence());
        let same = |known: &&AppendedBatch| (known.first_sequence, known.last_sequence) == range;
        self.batches.iter().find(same).copied()
    }
}

/// Producer id, epoch and base sequence of a stored batch that has a producer.
fn header_identity(batch: &StoredBatch) -> Option<(i64, i16, i32)> {
    let header = &batch.header;
    let mut id = [0; 8];
    id.copy_from_slice(&header[43..51]);
    let producer_id = i64::from_be_bytes(id);
    let epoch = i16::from_be_bytes([header[51], header[52]]);
    let base_sequence = i32::from_be_bytes([header[53], header[54], header[55], header[56]]);
    (producer_id >= 0).then_some((producer_id, epoch, base_sequence))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: usize = 3;

    fn batch(producer_id: i64, epoch: i16, base_sequence: i32, record_count: i32) -> Identity {
        Identity {
            producer_id,
            epoch,
            base_sequence,
            record_count,
        }
    }

    fn check(states: &ProducerStates, batch: Identity) -> Verdict {
        states.check(&batch)
    }

    #[test]
    fn sequences_of_a_producer() {
        let out_of_order = Verdict::Refuse(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER);
        let old_epoch = Verdict::Refuse(ErrorCode::INVALID_PRODUCER_EPOCH);
        let mut states = ProducerStates::default();
        assert_eq!(
            check(&states, batch(1, 3, 77, 2)),
            Verdict::Append,
            "unknown producers begin anywhere"
        );
        states.appended(&batch(1, 3, 77, 2), 100, 5, MAX);
        let known = AppendedBatch {
            first_sequence: 77,
            last_sequence: 78,
            base_offset: 100,
            last_offset: 101,
            timestamp: 5,
        };
        for (batch, verdict) in [
            (batch(1, 3, 77, 2), Verdict::Duplicate(known)),
            (batch(1, 3, 79, 1), Verdict::Append),
            (batch(1, 3, 80, 1), out_of_order),
            (batch(1, 3, 77, 1), out_of_order),
            (batch(1, 3, 0, 1), out_of_order),
            (batch(1, 2, 79, 1), old_epoch),
            (batch(1, 4, 79, 1), out_of_order),
            (batch(1, 4, 0, 1), Verdict::Append),
        ] {
            assert_eq!(check(&states, batch), verdict, "{batch:?}");
        }
    }

    #[test]
    fn five_batches_are_remembered() {
        let mut states = ProducerStates::default();
        for sequence in 0..6 {
            states.appended(&batch(1, 0, sequence, 1), i64::from(sequence), 0, MAX);
        }
        assert_eq!(
            check(&states, batch(1, 0, 0, 1)),
            Verdict::Refuse(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER)
        );
        for sequence in 1..6 {
            assert!(
                matches!(check(&states, batch(1, 0, sequence, 1)), Verdict::Duplicate(_)),
                "{sequence}"
            );
        }
    }

    #[test]
    fn sequences_wrap_to_zero() {
        let mut states = ProducerStates::default();
        states.appended(&batch(1, 0, i32::MAX - 1, 2), 0, 0, MAX);
        assert_eq!(check(&states, batch(1, 0, 0, 4)), Verdict::Append);
        let mut states = ProducerStates::default();
        states.appended(&batch(1, 0, i32::MAX - 1, 4), 0, 0, MAX);
        assert_eq!(
            check(&states, batch(1, 0, 2, 4)),
            Verdict::Append,
            "the batch itself wrapped"
        );
        assert!(matches!(
            check(&states, batch(1, 0, i32::MAX - 1, 4)),
            Verdict::Duplicate(_)
        ));
    }

    #[test]
    fn a_marker_of_a_newer_epoch_begins_again_at_zero() {
        let mut states = ProducerStates::default();
        states.appended(&batch(1, 0, 0, 3), 0, 0, MAX);
        states.marked(1, 0, 7, MAX);
        assert_eq!(
            check(&states, batch(1, 0, 3, 1)),
            Verdict::Append,
            "the same epoch goes on"
        );
        states.marked(1, 1, 7, MAX);
        assert_eq!(check(&states, batch(1, 1, 0, 1)), Verdict::Append);
        assert_eq!(
            check(&states, batch(1, 1, 3, 1)),
            Verdict::Refuse(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER)
        );
        assert_eq!(
            states.check_marker(1, 0, 7),
            Err(ErrorCode::INVALID_PRODUCER_EPOCH)
        );
        assert_eq!(
            states.check_marker(1, 1, 6),
            Err(ErrorCode::TRANSACTION_COORDINATOR_FENCED)
        );
        assert_eq!(states.check_marker(1, 1, 7), Ok(()));
    }

    #[test]
    fn the_longest_unused_producer_is_forgotten_first() {
        let mut states = ProducerStates::default();
        for producer_id in [1, 2, 3] {
            states.appended(&batch(producer_id, 0, 0, 1), 0, 0, MAX);
        }
        states.appended(&batch(1, 0, 1, 1), 3, 0, MAX);
        states.appended(&batch(4, 0, 0, 1), 4, 0, MAX);
        let ids: Vec<_> = states.iter().map(|(id, ..)| id).collect();
        assert_eq!(ids, [1, 3, 4]);
    }

    #[test]
    fn what_is_verified_begins_with_the_first_batch_that_was_asked_about() {
        let out_of_order = Verdict::Refuse(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER);
        let mut states = ProducerStates::default();
        states.begin_verification(&batch(1, 0, 5, 1), true, MAX);
        assert_eq!(
            check(&states, batch(1, 0, 5, 1)),
            out_of_order,
            "protocol 2 begins at 0"
        );
        states.begin_verification(&batch(1, 0, 0, 1), true, MAX);
        assert_eq!(check(&states, batch(1, 0, 0, 1)), Verdict::Append);
        states.begin_verification(&batch(2, 0, 3, 1), false, MAX);
        assert_eq!(
            check(&states, batch(2, 0, 4, 1)),
            out_of_order,
            "3 was refused, and has to come first"
        );
        assert_eq!(check(&states, batch(2, 0, 3, 1)), Verdict::Append);
        states.begin_verification(&batch(2, 1, 4, 1), false, MAX);
        assert_eq!(
            check(&states, batch(2, 1, 4, 1)),
            Verdict::Append,
            "a newer epoch begins anew"
        );
        states.appended(&batch(2, 1, 4, 1), 0, 0, MAX);
        assert_eq!(check(&states, batch(2, 1, 5, 1)), Verdict::Append);
    }
}

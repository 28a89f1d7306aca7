//! The numbering of one partition's batches.

use crate::ProducerIdentity;
use ottla_time::mutant;
use std::fmt;

/// The numbers of one batch: what makes the broker append it once. They never change; a batch that is numbered anew is,
/// for the broker, another batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stamp {
    /// From InitProducerId.
    pub producer_id: i64,
    /// The partition's epoch.
    pub producer_epoch: i16,
    /// The first record's sequence.
    pub base_sequence: i32,
    /// How many records it numbers.
    pub record_count: u32,
}

impl Stamp {
    /// Whether `other`, of the same numbering, comes later.
    pub fn is_before(&self, other: &Stamp) -> bool {
        is_ahead(self.base_sequence, other.base_sequence)
    }

    /// Splits the first `record_count` numbers off: a batch that is sent in parts keeps its numbers between them.
    pub fn take_front(&mut self, record_count: u32) -> Stamp {
        let front = Stamp {
            record_count,
            ..*self
        };
        self.base_sequence = add(self.base_sequence, record_count);
        self.record_count = self.record_count.saturating_sub(record_count);
        front
    }

    /// The last record's sequence.
    pub fn last_sequence(&self) -> i32 {
        add(self.base_sequence, self.record_count - 1)
    }
}

/// Sequences are counted modulo 2^31: after 2,147,483,647 comes 0.
fn add(sequence: i32, count: u32) -> i32 {
    // Both are below 2^31, so the sum fits; the mask keeps it below.
    ((sequence as u32).wrapping_add(count) & 0x7fff_ffff) as i32
}

/// How far `to` lies ahead of `from`, on the circle.
fn distance(from: i32, to: i32) -> u32 {
    (to as u32).wrapping_sub(from as u32) & 0x7fff_ffff
}

/// The partition has used up its epochs: it needs a new producer id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpochExhausted;

impl fmt::Display for EpochExhausted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the producer's epochs are used up")
    }
}

impl std::error::Error for EpochExhausted {}

/// The numbering of one partition.
///
/// ```text
///          stamp, acked                       give_up
///   +------- intact <------------ probing        |
///   |          |       acked         ^           v
///   +----------+------------------------------> broken
///               give_up              |           |
///                                    +-----------+
///                         restart; acked beyond the gap repairs it
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sequences {
    identity: ProducerIdentity,
    next: i32,
    /// What the broker will take next, as far as acknowledgements tell: one beyond the last acked record.
    expected: i32,
    /// The end of the last batch that was given up: one beyond its last record.
    gap_end: Option<i32>,
    /// Until something is acked, only one batch should be under way: a broker that has no state yet takes whatever
    /// comes first for the beginning (KAFKA-15591, KAFKA-19880).
    probing: bool,
}

impl Sequences {
    /// A numbering from 0.
    pub fn new(identity: ProducerIdentity) -> Sequences {
        Sequences::starting_at(identity, 0)
    }

    /// A numbering from another sequence on. Only a broker that does not know the producer takes it.
    pub fn starting_at(identity: ProducerIdentity, first: i32) -> Sequences {
        let first = first & i32::MAX;
        Sequences {
            identity,
            next: first,
            expected: first,
            gap_end: None,
            probing: true,
        }
    }

    /// Who numbers.
    pub fn identity(&self) -> ProducerIdentity {
        self.identity
    }

    /// Numbers the next batch, of at least one record. Not to be called while the numbering [is
    /// broken](Sequences::is_broken): whatever follows a gap is refused.
    pub fn stamp(&mut self, record_count: u32) -> Stamp {
        debug_assert!(self.gap_end.is_none() && record_count > 0);
        let base_sequence = self.next;
        self.next = add(self.next, record_count);
        Stamp {
            producer_id: self.identity.producer_id,
            producer_epoch: self.identity.producer_epoch,
            base_sequence,
            record_count,
        }
    }

    /// Whether the stamp belongs to the numbering that goes on now. Answers for an older one change nothing.
    pub fn is_current(&self, stamp: &Stamp) -> bool {
        let identity = ProducerIdentity {
            producer_id: stamp.producer_id,
            producer_epoch: stamp.producer_epoch,
        };
        identity == self.identity
    }

    /// Whether the broker, if it has all that was acked, takes this batch next. If it refuses this one as out of order,
    /// it has lost something; if it refuses another one, something before that is only late.
    pub fn is_expected(&self, stamp: &Stamp) -> bool {
        self.is_current(stamp) && stamp.base_sequence == self.expected
    }

    /// Until the first acknowledgement there should be one batch in flight.
    pub fn is_probing(&self) -> bool {
        self.probing
    }

    /// A failed attempt: one batch at a time again, until one is acked.
    pub fn probe(&mut self) {
        self.probing = true;
    }

    /// The broker has the batch, and so all before it.
    pub fn acked(&mut self, stamp: &Stamp) {
        if !self.is_current(stamp) {
            return;
        }
        self.probing = false;
        let end = add(stamp.base_sequence, stamp.record_count);
        // Answers of a retried batch may come behind those of later ones.
        if is_ahead(self.expected, end) {
            self.expected = end;
        }
        if self
            .gap_end
            .is_some_and(|gap_end| !is_ahead(self.expected, gap_end))
        {
            self.gap_end = None;
        }
    }

    /// A numbered batch will not be sent again. Unless a later one is acked, which proves that the broker has it, there
    /// is a gap that nothing can follow.
    pub fn give_up(&mut self, stamp: &Stamp) {
        if !self.is_current(stamp) {
            return;
        }
        let end = add(stamp.base_sequence, stamp.record_count);
        if mutant!("sequence used again") && is_ahead(stamp.base_sequence, self.next) {
            self.next = stamp.base_sequence;
            return;
        }
        let further = self.gap_end.is_none_or(|gap_end| is_ahead(gap_end, end));
        if is_ahead(self.expected, end) && further {
            self.gap_end = Some(end);
        }
    }

    /// The broker lost what it had acked, or knows nothing of this numbering.
    pub fn lose(&mut self, stamp: &Stamp) {
        if self.is_current(stamp) {
            self.gap_end = Some(add(stamp.base_sequence, stamp.record_count));
        }
    }

    /// Whether nothing can be numbered until [`Sequences::restart`], or until an acknowledgement closes the gap.
    pub fn is_broken(&self) -> bool {
        self.gap_end.is_some()
    }

    /// Begins again at 0 under the next epoch. The caller has seen to it that nothing of the old one is in flight, and
    /// that no batch whose fate is unknown is numbered anew.
    pub fn restart(&mut self) -> Result<(), EpochExhausted> {
        let producer_epoch = self
            .identity
            .producer_epoch
            .checked_add(1)
            .ok_or(EpochExhausted)?;
        if mutant!("a new epoch does not begin at 0") {
            self.identity.producer_epoch = producer_epoch;
            self.gap_end = None;
            return Ok(());
        }
        *self = Sequences::new(ProducerIdentity {
            producer_epoch,
            ..self.identity
        });
        Ok(())
    }
}

/// Whether `to` lies ahead of `from`: less than half of the circle away.
fn is_ahead(from: i32, to: i32) -> bool {
    (1..0x4000_0000).contains(&distance(from, to))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sequences() -> Sequences {
        Sequences::new(ProducerIdentity {
            producer_id: 7,
            producer_epoch: 3,
        })
    }

    #[test]
    fn the_sequence_wraps_to_zero() {
        // As Java 4.3.1: 2147483646 + 3 is 1, 2147483647 + 1 is 0.
        assert_eq!((add(2_147_483_646, 3), add(2_147_483_647, 1)), (1, 0));
        let mut sequences = sequences();
        sequences.next = 2_147_483_646;
        sequences.expected = 2_147_483_646;
        let across = sequences.stamp(3);
        assert_eq!((across.last_sequence(), sequences.next), (0, 1));
        let after = sequences.stamp(1);
        assert!(sequences.is_expected(&across) && !sequences.is_expected(&after));
        sequences.acked(&across);
        assert!(sequences.is_expected(&after));
    }

    #[test]
    fn the_parts_of_a_batch_keep_its_numbers_between_them() {
        let mut sequences = sequences();
        sequences.next = 2_147_483_646;
        let mut rest = sequences.stamp(5);
        let (first, second) = (rest.take_front(3), rest.take_front(2));
        assert_eq!((first.base_sequence, first.last_sequence()), (2_147_483_646, 0));
        assert_eq!((second.base_sequence, second.last_sequence()), (1, 2));
        assert_eq!(sequences.next, 3);
    }

    #[test]
    fn an_ack_beyond_the_gap_proves_that_there_is_none() {
        let mut sequences = sequences();
        let (first, second) = (sequences.stamp(2), sequences.stamp(2));
        sequences.give_up(&first);
        assert!(sequences.is_broken());
        sequences.acked(&second);
        assert!(!sequences.is_broken());
        assert_eq!(sequences.stamp(1).base_sequence, 4);
    }

    #[test]
    fn giving_up_what_is_acked_breaks_nothing() {
        let mut sequences = sequences();
        let (first, second) = (sequences.stamp(2), sequences.stamp(2));
        sequences.acked(&second);
        sequences.give_up(&first);
        assert!(!sequences.is_broken());
    }

    #[test]
    fn answers_of_an_old_epoch_change_nothing() {
        let mut sequences = sequences();
        let old = sequences.stamp(2);
        sequences.give_up(&old);
        sequences.restart().expect("epochs are left");
        let fresh = sequences.clone();
        sequences.acked(&old);
        sequences.give_up(&old);
        sequences.lose(&old);
        assert_eq!(sequences, fresh);
    }

    #[test]
    fn epochs_run_out() {
        let mut sequences = Sequences::new(ProducerIdentity {
            producer_id: 7,
            producer_epoch: i16::MAX,
        });
        assert_eq!(sequences.restart(), Err(EpochExhausted));
    }

    proptest! {
        /// Against a broker in three lines: it takes a batch if it comes next, and knows what it has.
        #[test]
        fn a_broker_agrees(steps in proptest::collection::vec((1u32..5, any::<bool>(), any::<bool>()), 1..200)) {
            let mut sequences = sequences();
            let (mut broker_next, mut broker_epoch) = (0, 3);
            for (count, appended, answered) in steps {
                if sequences.is_broken() {
                    sequences.restart().expect("fewer than 32,767");
                }
                let stamp = sequences.stamp(count);
                if stamp.producer_epoch > broker_epoch {
                    prop_assert_eq!(stamp.base_sequence, 0);
                    if appended {
                        (broker_epoch, broker_next) = (stamp.producer_epoch, 0);
                    }
                }
                if appended {
                    prop_assert_eq!(stamp.base_sequence, broker_next, "the broker would refuse it");
                    broker_next = add(broker_next, count);
                }
                if appended && answered { sequences.acked(&stamp) } else { sequences.give_up(&stamp) }
            }
        }
    }
}

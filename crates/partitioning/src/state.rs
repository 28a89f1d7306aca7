//! What is remembered of a topic from record to record.

use crate::StickyPartition;
use crate::atomic::{AtomicU32, Ordering};
use crate::random::AtomicRandom;

/// What partitioners remember of one topic: the sticky partition, a counter and a source of random numbers.
///
/// Whoever sends keeps one for each topic: one for each producer and topic to behave exactly like Java, or one for each
/// thread or handle, so that threads do not meet (see the crate's page). Give each a seed of its own; with one thread,
/// the same seed gives the same choices.
#[derive(Debug)]
// Two lines of 64 bytes: neighbours are fetched in pairs, and states of different threads may lie side by side.
#[repr(align(128))]
pub struct TopicState {
    sticky: StickyPartition,
    counter: AtomicU32,
    random: AtomicRandom,
}

impl TopicState {
    /// A state of its own, for batches of `batch_size_bytes` (`batch.size`).
    pub fn new(batch_size_bytes: usize, seed: u64) -> TopicState {
        TopicState {
            sticky: StickyPartition::new(batch_size_bytes, seed),
            counter: AtomicU32::new(0),
            // Another sequence than that of the sticky partition, from the same seed.
            random: AtomicRandom::new(!seed),
        }
    }

    /// The partition where records without a key go at the moment.
    #[inline]
    pub fn sticky(&self) -> &StickyPartition {
        &self.sticky
    }

    /// Counts up: 0, 1, 2 …, from 2^32 - 1 on to 0.
    #[inline]
    pub fn count(&self) -> u32 {
        // A counter orders nothing but itself.
        self.counter.fetch_add(1, Ordering::Relaxed)
    }

    /// A random number below `bound`, uniformly; 0 if `bound` is 0.
    #[inline]
    pub fn random_below(&self, bound: u32) -> u32 {
        // It is below a u32.
        self.random.below(u64::from(bound)) as u32
    }
}

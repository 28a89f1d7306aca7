//! Sticky partitions for threads that would otherwise meet at one.

use ottla_partitioning::{StickyPartition, TopicState};
use std::cell::Cell;

/// How many threads at most send to a topic without meeting: beyond that a machine's cores are busy with other things.
const LANES: usize = 4;

thread_local! {
    /// The lane of this thread, in all topics.
    static LANE: Cell<usize> = const { Cell::new(0) };
}

/// What is remembered of a topic, once for each lane.
///
/// Threads begin in the first lane, so that their records fill one batch together, as in Java. A thread that finds the
/// partition locked by another goes on to the next lane, which has a sticky partition of its own: two threads that append
/// to one batch in turns wait for its lock, and for its cache lines to come over, and together are slower than either
/// alone. A thread whose batch was taken before it was full returns: then there are not enough records to fill several.
#[derive(Debug)]
pub(crate) struct Lanes([TopicState; LANES]);

impl Lanes {
    /// Lanes for batches of `batch_size` bytes.
    pub(crate) fn new(batch_size: usize, seed: u64) -> Lanes {
        // The first one has the topic's own seed, the others some that are far from it.
        let seeds = |lane: usize| seed ^ (lane as u64).wrapping_mul(0xd6e8_feb8_6659_fd93);
        Lanes(std::array::from_fn(|lane| {
            TopicState::new(batch_size, seeds(lane))
        }))
    }

    /// What partitioners remember of the topic, whichever thread asks.
    #[inline]
    pub(crate) fn first(&self) -> &TopicState {
        &self.0[0]
    }

    /// The sticky partition of this thread.
    #[inline]
    pub(crate) fn sticky(&self) -> &StickyPartition {
        // A thread that ends is in the first one.
        let lane = LANE.try_with(Cell::get).unwrap_or(0);
        self.0[lane % LANES].sticky()
    }

    /// Whether a sticky partition was ever asked for.
    pub(crate) fn is_used(&self) -> bool {
        self.0.iter().any(|state| state.sticky().is_used())
    }
}

/// Moves this thread, after an append that was `contended`, or one that began a batch behind one that was not full.
#[cold]
pub(crate) fn change(contended: bool) {
    let _ = LANE.try_with(|lane| lane.set(if contended { (lane.get() + 1) % LANES } else { 0 }));
}

#[cfg(test)]
mod tests {
    use super::*;
    use ottla_partitioning::TopicView;
    use std::thread;

    #[test]
    fn a_thread_that_met_another_has_a_partition_of_its_own_until_it_fills_none() {
        let lanes = Lanes::new(100, 1);
        let of_thread = || std::ptr::from_ref(lanes.sticky());
        let first = of_thread();
        assert_eq!(first, std::ptr::from_ref(lanes.first().sticky()));
        let mut seen = vec![first];
        for _ in 1..LANES {
            change(true);
            assert!(!seen.contains(&of_thread()));
            seen.push(of_thread());
        }
        // Another thread is still where all begin.
        thread::scope(|scope| {
            let other = scope.spawn(|| std::ptr::from_ref(lanes.sticky()) as usize);
            assert_eq!(other.join().expect("no panic"), first as usize);
        });
        change(false);
        assert_eq!(of_thread(), first);
    }

    #[test]
    fn it_is_used_whichever_lane_is() {
        let lanes = Lanes::new(100, 1);
        assert!(!lanes.is_used());
        change(true);
        let available: Vec<i32> = (0..3).collect();
        lanes.sticky().current(&TopicView::new(3, &available));
        assert!(lanes.is_used() && !lanes.first().sticky().is_used());
        change(false);
    }
}

//! Randomness that is cheap, seeded and shared.

use crate::atomic::{AtomicU64, Ordering};

/// The increment of SplitMix64: 2^64 ÷ the golden ratio, odd.
const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

/// SplitMix64 over an atomic counter: one addition for each number, whoever asks. With one thread the numbers depend on
/// the seed alone; with several, each number is drawn once, by whoever comes first.
///
/// It spreads load; it is not for secrets.
#[derive(Debug)]
pub(crate) struct AtomicRandom(AtomicU64);

impl AtomicRandom {
    pub(crate) fn new(seed: u64) -> AtomicRandom {
        AtomicRandom(AtomicU64::new(seed))
    }

    pub(crate) fn next(&self) -> u64 {
        // Only the numbers matter, nothing is published with them.
        mix(self.0.fetch_add(GAMMA, Ordering::Relaxed).wrapping_add(GAMMA))
    }

    /// A number below `bound`; 0 if `bound` is 0. The bias of the multiplication is below 2^-32 for every table that
    /// fits in memory.
    pub(crate) fn below(&self, bound: u64) -> u64 {
        // The high half of a product with a number below 2^64 is less than the other factor.
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }
}

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    /// The first numbers that the reference implementation of SplitMix64 gives for the seed 1234567.
    #[test]
    fn it_is_splitmix64() {
        let random = AtomicRandom::new(1_234_567);
        let numbers = [random.next(), random.next(), random.next()];
        assert_eq!(
            numbers,
            [6457827717110365317, 3203168211198807973, 9817491932198370423]
        );
    }

    #[test]
    fn below_covers_its_range_and_no_more() {
        let random = AtomicRandom::new(0);
        let mut seen = [0; 7];
        for _ in 0..7_000 {
            seen[random.below(7) as usize] += 1;
        }
        assert!(
            seen.iter().all(|&count| (800..1_200).contains(&count)),
            "{seen:?}"
        );
        assert_eq!(random.below(0), 0);
        assert_eq!(random.below(1), 0);
    }
}

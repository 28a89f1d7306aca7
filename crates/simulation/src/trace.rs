//! What happened in a seed: a hash always, and lines for people on request.

use ottla_time::Time;
use std::cell::Cell;
use std::fmt;

/// The course of one seed. Two runs of a seed have the same hash, or something was not under the seed.
#[derive(Debug)]
pub(crate) struct Trace {
    hash: Cell<u64>,
    events: Cell<u64>,
    prints: bool,
}

impl Trace {
    pub(crate) fn new(prints: bool) -> Trace {
        Trace {
            hash: Cell::new(0xcbf2_9ce4_8422_2325),
            events: Cell::new(0),
            prints,
        }
    }

    pub(crate) fn hash(&self) -> u64 {
        self.hash.get()
    }

    pub(crate) fn events(&self) -> u64 {
        self.events.get()
    }

    /// Notes an event. `what` goes into the hash with the time and the numbers; the text is made only for people.
    pub(crate) fn note(&self, now: Time, what: &'static str, numbers: [u64; 2], text: impl fmt::Display) {
        self.events.set(self.events.get() + 1);
        self.mix(now.as_nanos());
        self.mix(what.len() as u64 ^ u64::from(what.as_bytes()[0]) << 8);
        self.mix(numbers[0]);
        self.mix(numbers[1]);
        if self.prints {
            println!("{:>14.6} {what:<10} {text}", now.as_nanos() as f64 / 1e6);
        }
    }

    /// Takes bytes into the hash.
    pub(crate) fn bytes(&self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.mix(u64::from_le_bytes(word));
        }
    }

    fn mix(&self, word: u64) {
        // A multiplication spreads upwards, the rotation brings it down again: enough to tell two runs apart.
        let hash = (self.hash.get() ^ word)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            .rotate_left(29);
        self.hash.set(hash);
    }
}

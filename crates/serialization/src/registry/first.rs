//! The topics that a serializer wrote to first, where a record finds them within nanoseconds.
//!
//! A table of places that are filled once, and never changed: to look one up is to read it. The pointer to a map that is
//! replaced as a whole costs three times that, because whoever reads it has to be counted. What finds no place goes there.

use super::binding::Bound;
use crate::Role;
use std::sync::OnceLock;

/// Twice the topics that a serializer remembers by default: 32 KiB of pointers.
const PLACES_MAX: usize = 2_048;
/// A topic stands in one of so many places beside each other.
const TRIES: usize = 8;

pub(super) struct First<T> {
    /// Made with the first topic: not every serializer is used. Their number is a power of two.
    places: OnceLock<Places<T>>,
}

type Places<T> = Box<[OnceLock<Box<Entry<T>>>]>;

struct Entry<T> {
    role: Role,
    topic: Box<str>,
    bound: Bound<T>,
}

/// What is known of a topic.
pub(super) enum Lookup<'f, T> {
    Found(&'f Bound<T>),
    Unknown,
    /// Nothing here, but it may stand elsewhere.
    Full,
}

impl<T> First<T> {
    pub(super) const fn new() -> First<T> {
        First {
            places: OnceLock::new(),
        }
    }

    #[inline]
    pub(super) fn find(&self, role: Role, topic: &str) -> Lookup<'_, T> {
        let Some(places) = self.places.get() else {
            return Lookup::Unknown;
        };
        for place in places_of(places, role, topic) {
            match place.get() {
                None => return Lookup::Unknown,
                Some(entry) if *entry.topic == *topic && entry.role == role => {
                    return Lookup::Found(&entry.bound);
                }
                Some(_) => {}
            }
        }
        Lookup::Full
    }

    /// Keeps it for good, or gives it back. Only one may do so at a time, and always with the same bound.
    pub(super) fn keep(
        &self,
        role: Role,
        topic: &str,
        bound: Bound<T>,
        topics_max: usize,
    ) -> Option<Bound<T>> {
        // Half of them stay empty, so that nobody has to try many.
        let count = topics_max
            .saturating_mul(2)
            .clamp(1, PLACES_MAX)
            .next_power_of_two();
        let places = self
            .places
            .get_or_init(|| (0..count).map(|_| OnceLock::new()).collect());
        let mut all = places_of(places, role, topic);
        let Some(place) = all.find(|place| place.get().is_none()) else {
            return Some(bound);
        };
        let entry = Box::new(Entry {
            role,
            topic: Box::from(topic),
            bound,
        });
        place.set(entry).err().map(|entry| entry.bound)
    }
}

/// The places where a topic may stand, filled from the first on.
#[inline]
fn places_of<'p, T>(
    places: &'p Places<T>,
    role: Role,
    topic: &str,
) -> impl Iterator<Item = &'p OnceLock<Box<Entry<T>>>> {
    let start = spread(role, topic);
    (0..TRIES).map(move |at| &places[(start + at) & (places.len() - 1)])
}

/// Where a topic's places begin. Names differ in length and at their ends; a proper hash costs as much as all the rest.
#[inline]
fn spread(role: Role, topic: &str) -> usize {
    /// The fraction of the golden ratio: it spreads neighbours wide.
    const FACTOR: u64 = 0x9E37_79B9_7F4A_7C15;
    let bytes = topic.as_bytes();
    let (front, back) = match (bytes.first_chunk(), bytes.last_chunk()) {
        (Some(front), Some(back)) => (u64::from_le_bytes(*front), u64::from_le_bytes(*back)),
        _ => {
            let few = bytes
                .iter()
                .fold(0, |few: u64, byte| (few << 8) | u64::from(*byte));
            (few, 0)
        }
    };
    let mixed = front ^ back.rotate_left(29) ^ ((bytes.len() as u64) << 1) ^ u64::from(role.is_key());
    // The upper bits are those that all others have come to.
    (mixed.wrapping_mul(FACTOR) >> 40) as usize
}

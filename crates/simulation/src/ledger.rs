//! What was sent, in which order, and what became of it, as the users of the producer know it.

use crate::payload::Payload;
use ottla_sender::{Delivery, Persistence};
use ottla_time::Time;
use std::time::Duration;

/// What the producer said of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Its send has not returned.
    Sending,
    /// Its send failed, or was dropped: it must be nowhere.
    NeverQueued,
    /// It is queued, and its delivery is watched.
    Queued,
    /// It is queued, and its delivery was dropped.
    Unwatched,
    /// It was acked, with this offset unless the broker did not tell.
    Acked { offset: Option<i64> },
    /// It failed.
    Failed { persistence: Persistence },
}

/// One record.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) payload: Payload,
    pub(crate) state: State,
    /// The partition that it was appended for.
    pub(crate) partition: i32,
    /// Counts the appends of all records.
    pub(crate) order: u64,
    pub(crate) appended_at: Time,
    pub(crate) delivery: Option<Delivery>,
}

/// All records of a seed, by number.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) entries: Vec<Entry>,
    appended: u64,
    /// The numbers of watched records in the order of their appends; the first `resolved_up_to` are resolved.
    watched: Vec<usize>,
    resolved_up_to: usize,
    pub(crate) unresolved: usize,
    /// Bytes of keys and values of what is watched and not resolved.
    pub(crate) unresolved_bytes: usize,
    /// How many deliveries were dropped: nobody sees how these end.
    pub(crate) unwatched: usize,
}

impl Ledger {
    pub(crate) fn begin(&mut self, payload: Payload) {
        self.entries.push(Entry {
            payload,
            state: State::Sending,
            partition: -1,
            order: 0,
            appended_at: Time::ZERO,
            delivery: None,
        });
    }

    /// The number of the next record.
    pub(crate) fn next_number(&self) -> u32 {
        self.entries.len() as u32
    }

    pub(crate) fn never_queued(&mut self, number: u32) {
        self.entries[number as usize].state = State::NeverQueued;
    }

    /// It was appended; the delivery is watched unless it is `None`.
    pub(crate) fn queued(&mut self, number: u32, partition: i32, delivery: Option<Delivery>, now: Time) {
        self.appended += 1;
        let entry = &mut self.entries[number as usize];
        entry.partition = partition;
        entry.order = self.appended;
        entry.appended_at = now;
        if let Some(delivery) = delivery {
            entry.state = State::Queued;
            entry.delivery = Some(delivery);
            self.unresolved += 1;
            self.unresolved_bytes += entry.payload.len;
            self.watched.push(number as usize);
        } else {
            entry.state = State::Unwatched;
            self.unwatched += 1;
        }
    }

    pub(crate) fn resolved(&mut self, number: usize, state: State) {
        let entry = &mut self.entries[number];
        entry.state = state;
        self.unresolved -= 1;
        self.unresolved_bytes -= entry.payload.len;
    }

    /// A watched delivery is dropped before its end.
    pub(crate) fn drop_delivery(&mut self, number: usize) -> bool {
        let entry = &mut self.entries[number];
        if entry.state != State::Queued {
            return false;
        }
        entry.delivery = None;
        self.resolved(number, State::Unwatched);
        self.unwatched += 1;
        true
    }

    /// How many records were appended so far; a mark for flushes.
    pub(crate) fn appended(&self) -> u64 {
        self.appended
    }

    /// A watched record that is not resolved although it is older than `age`.
    pub(crate) fn overdue(&mut self, now: Time, age: Duration) -> Option<usize> {
        let number = self.oldest_unresolved()?;
        (self.entries[number].appended_at + age < now).then_some(number)
    }

    /// The oldest watched record that is not resolved.
    pub(crate) fn oldest_unresolved(&mut self) -> Option<usize> {
        while let Some(&number) = self.watched.get(self.resolved_up_to) {
            if self.entries[number].state == State::Queued {
                return Some(number);
            }
            self.resolved_up_to += 1;
        }
        None
    }
}

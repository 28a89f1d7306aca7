//! The sequences of one producer id and epoch in one partition, as they were seen on the wire.

use std::collections::BTreeMap;

/// The number of a record, or nothing for an empty one.
pub(crate) type Content = Option<u32>;

/// What stands under one sequence.
#[derive(Clone, Copy, Debug, Default)]
struct Place {
    content: Content,
    /// How many attempts that contain it are in flight.
    flying: u32,
    /// An attempt ended without an answer, or was acked.
    maybe_appended: bool,
    acked: bool,
}

/// The numbering, from its first sequence on.
#[derive(Debug, Default)]
pub(crate) struct Numbering {
    /// The first sequence: 0, unless the seed begins near the end of the circle.
    start: i32,
    places: Vec<Place>,
    /// The checksums of the batches that were sent, by first sequence and count: a retry is the same bytes.
    checksums: BTreeMap<(i32, usize), u32>,
    any_acked: bool,
    /// Everything before this is acked or over.
    settled: usize,
    /// The end of the last batch that was acked.
    acked_end: usize,
    /// Whether a broker refused what comes right behind that.
    refused: bool,
}

impl Numbering {
    pub(crate) fn new(start: i32) -> Numbering {
        Numbering {
            start,
            ..Numbering::default()
        }
    }

    /// How far the sequence lies behind the first one.
    fn place(&self, sequence: i32) -> usize {
        (sequence.wrapping_sub(self.start) & i32::MAX) as usize
    }

    /// Whether there is a reason to begin anew: the broker has lost something, or a record that may be missing will not
    /// be sent again.
    pub(crate) fn may_be_broken(&self, is_over: impl Fn(Content) -> bool) -> bool {
        let behind = self.places.get(self.acked_end..).unwrap_or_default();
        self.refused || behind.iter().any(|place| is_over(place.content))
    }

    /// The broker refuses the batch because of its numbers.
    pub(crate) fn refused(&mut self, base: i32) {
        self.refused |= self.place(base) == self.acked_end;
    }

    /// True if a batch was sent from this sequence that was longer: it was split.
    fn is_part(&self, base: i32, count: usize) -> bool {
        self.checksums
            .range((base, count + 1)..(base, usize::MAX))
            .next()
            .is_some()
    }

    /// A batch goes out while `others` of its partition are in flight. True if it is a part of one that was split.
    pub(crate) fn sent(
        &mut self,
        base: i32,
        crc: u32,
        contents: &[Content],
        others: usize,
        is_over: impl Fn(Content) -> bool,
    ) -> Result<bool, String> {
        let start = self.place(base);
        let end = start + contents.len();
        if start > self.places.len() {
            return Err(format!("sequence {} comes next", self.places.len()));
        }
        if start < self.places.len() && end > self.places.len() {
            return Err(format!(
                "a batch of {} is partly new: {} comes next",
                contents.len(),
                self.places.len()
            ));
        }
        if start == self.places.len() {
            self.places.extend(contents.iter().map(|&content| Place {
                content,
                ..Place::default()
            }));
        } else if let Some(other) = self.places[start..end]
            .iter()
            .zip(contents)
            .find(|(place, content)| place.content != **content)
        {
            return Err(format!(
                "the sequence of record {:?} is given to {:?}",
                other.0.content, other.1
            ));
        }
        let known = *self.checksums.entry((base, contents.len())).or_insert(crc);
        if known != crc {
            return Err("a retry with other bytes".to_owned());
        }
        if others > 0 && !self.any_acked {
            return Err(format!("{others} batches are in flight before the first ack"));
        }
        while self.places.get(self.settled).is_some_and(|place| place.acked) {
            self.settled += 1;
        }
        let waits = self.places[..start]
            .iter()
            .enumerate()
            .skip(self.settled)
            .find(|(_, place)| !place.acked && place.flying == 0 && !is_over(place.content));
        if let Some((sequence, place)) = waits {
            return Err(format!(
                "sent before record {:?} at {sequence}, which is to be sent again",
                place.content
            ));
        }
        for place in &mut self.places[start..end] {
            if place.flying > 0 {
                return Err(format!("record {:?} is in flight already", place.content));
            }
            place.flying += 1;
        }
        Ok(self.is_part(base, contents.len()))
    }

    fn each(&mut self, base: i32, count: i32, change: impl FnMut(&mut Place)) {
        let start = self.place(base);
        let end = start.saturating_add(count.max(0) as usize);
        self.places
            .get_mut(start..end)
            .unwrap_or_default()
            .iter_mut()
            .for_each(change);
    }

    /// A batch is not in flight any more.
    pub(crate) fn landed(&mut self, base: i32, count: i32) {
        self.each(base, count, |place| place.flying = place.flying.saturating_sub(1));
    }

    pub(crate) fn acked(&mut self, base: i32, count: i32) {
        self.any_acked = true;
        self.acked_end = self.acked_end.max(self.place(base) + count.max(0) as usize);
        self.each(base, count, |place| {
            (place.acked, place.maybe_appended) = (true, true)
        });
    }

    pub(crate) fn doubt(&mut self, base: i32, count: i32) {
        self.each(base, count, |place| place.maybe_appended = true);
    }

    /// Whether the record of this sequence may be in the log, or get there.
    pub(crate) fn is_uncertain(&self, sequence: i32) -> bool {
        let place = self.places.get(self.place(sequence));
        place.is_some_and(|place| place.flying > 0 || place.maybe_appended)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn send(numbering: &mut Numbering, base: i32, contents: &[u32], others: usize) -> Result<bool, String> {
        let contents: Vec<Content> = contents.iter().copied().map(Some).collect();
        numbering.sent(base, contents.len() as u32, &contents, others, |_| false)
    }

    #[test]
    fn what_is_sent_in_order_is_taken() {
        let mut numbering = Numbering::default();
        send(&mut numbering, 0, &[1, 2], 0).expect("the first");
        numbering.landed(0, 2);
        numbering.acked(0, 2);
        send(&mut numbering, 2, &[3], 0).expect("the next");
        send(&mut numbering, 3, &[4, 5], 1).expect("and one behind it");
        numbering.landed(2, 1);
        numbering.landed(3, 2);
        send(&mut numbering, 2, &[3], 0).expect("a retry");
        send(&mut numbering, 3, &[4], 1).expect("a part of a split batch");
    }

    #[test]
    fn planted_faults_are_caught() {
        let mut numbering = Numbering::default();
        send(&mut numbering, 0, &[1, 2], 0).expect("the first");
        send(&mut numbering, 2, &[3], 1).expect_err("nothing is acked yet");
        numbering.landed(0, 2);
        send(&mut numbering, 0, &[1, 7], 0).expect_err("another record under its sequence");
        send(&mut numbering, 3, &[4], 0).expect_err("a gap");
        send(&mut numbering, 1, &[2, 3], 0).expect_err("half of it is new");
        send(&mut numbering, 2, &[3], 0).expect_err("the first is to be sent again before");
        numbering.acked(0, 2);
        send(&mut numbering, 2, &[3], 0).expect("now it may go");
        send(&mut numbering, 2, &[3], 1).expect_err("it is in flight");
        assert!(numbering.is_uncertain(0) && !numbering.is_uncertain(9));
        let bytes = numbering.sent(0, 99, &[Some(1), Some(2)], 0, |_| false);
        assert_eq!(bytes.map(drop), Err("a retry with other bytes".to_owned()));
    }
}

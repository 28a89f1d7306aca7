//! What a record's own metadata tells of it: kept by its batch, so that a delivery is two words.

use crate::partition::Record;
use crate::prefetch;

/// What an acknowledgement does not tell of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Detail {
    pub(crate) timestamp_ms: i64,
    /// Java's -1 for null.
    pub(crate) key_size: i32,
    pub(crate) value_size: i32,
}

impl Detail {
    #[inline]
    pub(crate) fn of(record: &Record<'_>) -> Detail {
        Detail {
            timestamp_ms: record.timestamp_ms,
            key_size: size_or_null(record.key),
            value_size: size_or_null(record.value),
        }
    }
}

/// Java's -1 for null. Longer than `i32::MAX` cannot be: the record's size was checked.
#[inline]
fn size_or_null(bytes: Option<&[u8]>) -> i32 {
    bytes.map_or(-1, |bytes| i32::try_from(bytes.len()).unwrap_or(i32::MAX))
}

/// The details of a batch's records, in their order: in blocks, so that a large batch neither copies them as they grow nor
/// takes twice what it needs.
#[derive(Debug, Default)]
pub(crate) struct Details {
    /// Each of [`BLOCK_LEN`] but the last.
    blocks: Vec<Vec<Detail>>,
    last: Vec<Detail>,
}

/// As many as a batch [pays for](crate::batch) at most at a time.
pub(crate) const BLOCK_LEN: usize = 256;

/// How far ahead memory is asked for: a line of the cache.
const AHEAD: usize = prefetch::LINE / size_of::<Detail>();

impl Details {
    /// None yet, of about this many.
    pub(crate) fn expecting(count: usize) -> Details {
        Details {
            blocks: Vec::new(),
            last: Vec::with_capacity(count.min(BLOCK_LEN)),
        }
    }

    /// Whether the next one takes no memory.
    #[inline]
    pub(crate) fn has_room(&self) -> bool {
        self.last.len() < self.last.capacity()
    }

    #[inline]
    pub(crate) fn push(&mut self, detail: Detail) {
        if self.last.len() >= BLOCK_LEN {
            self.begin_block();
        }
        self.last.push(detail);
        if let Some(place) = self.last.spare_capacity_mut().get(AHEAD) {
            prefetch::place(place);
        }
    }

    #[cold]
    fn begin_block(&mut self) {
        let full = std::mem::replace(&mut self.last, Vec::with_capacity(BLOCK_LEN));
        self.blocks.push(full);
    }

    pub(crate) fn get(&self, index: u32) -> Option<Detail> {
        let index = index as usize;
        let block = self.blocks.get(index / BLOCK_LEN).unwrap_or(&self.last);
        let begin = index.min(self.blocks.len() * BLOCK_LEN) / BLOCK_LEN * BLOCK_LEN;
        block.get(index - begin).copied()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn every_detail_is_found_by_its_index_and_no_other() {
        for expected in [0, 1, 100, 10_000] {
            for count in [0_usize, 1, 255, 256, 257, 512, 1_000] {
                let mut details = Details::expecting(expected);
                let detail = |index: usize| Detail {
                    timestamp_ms: index as i64,
                    key_size: -1,
                    value_size: 7,
                };
                for index in 0..count {
                    details.push(detail(index));
                }
                for index in 0..count {
                    assert_eq!(details.get(index as u32), Some(detail(index)));
                }
                for index in [count, count + 1, count + BLOCK_LEN, 100_000] {
                    assert_eq!(details.get(index as u32), None, "{index} of {count}");
                }
            }
        }
    }

    #[test]
    fn a_block_is_never_larger_than_is_paid_for() {
        let mut details = Details::expecting(1 << 20);
        for _ in 0..3 * BLOCK_LEN {
            details.push(Detail::of(&Record::default()));
        }
        let sizes = details.blocks.iter().chain([&details.last]).map(Vec::capacity);
        assert!(sizes.into_iter().all(|size| size <= BLOCK_LEN));
    }

    #[test]
    fn null_is_not_empty() {
        let record = Record {
            key: Some(b""),
            value: None,
            ..Record::default()
        };
        let detail = Detail::of(&record);
        assert_eq!((detail.key_size, detail.value_size), (0, -1));
    }
}

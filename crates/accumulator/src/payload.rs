//! The bytes of a batch: a chain of chunks while records are appended, shared slices once it is closed.

use crate::memory::{CHUNK_SIZES, Chunk, Reservation, class_for};
use bytes::Bytes;
use ottla_protocol::records::{RecordSink, crc32c_append};
use smallvec::SmallVec;

/// After how many bytes the checksum catches up: still in the first cache, and enough for the checksum's fastest loop, which
/// takes 24 KiB at a time.
const CHECK_BYTES: usize = 25 << 10;

/// Records under construction, encoded in place. A record may span chunks, so nothing is wasted at a chunk's end.
#[derive(Debug)]
pub(crate) struct ChunkChain {
    full: SmallVec<[Chunk; 2]>,
    last: Option<Chunk>,
    len: usize,
    /// The checksum of the first `checked` bytes.
    crc: u32,
    checked: usize,
    /// The length at which the checksum is to catch up.
    check_at: usize,
}

impl Default for ChunkChain {
    fn default() -> ChunkChain {
        ChunkChain {
            full: SmallVec::new(),
            last: None,
            len: 0,
            crc: 0,
            checked: 0,
            check_at: CHECK_BYTES,
        }
    }
}

impl ChunkChain {
    /// One whose checksum nobody will ask for: its bytes are compressed before they are sent.
    pub(crate) fn unchecked() -> ChunkChain {
        ChunkChain {
            check_at: usize::MAX,
            ..ChunkChain::default()
        }
    }

    /// Lets the checksum catch up if enough was written since: right behind the writer, where the bytes are in its cache.
    #[inline]
    pub(crate) fn check(&mut self) {
        if self.len >= self.check_at {
            self.catch_up();
            self.check_at = self.len + CHECK_BYTES;
        }
    }

    /// Lets the checksum catch up with the last bytes, if anybody will ask for it: by who wrote them, as [`check`](ChunkChain::check).
    pub(crate) fn check_rest(&mut self) {
        if self.check_at < usize::MAX {
            self.catch_up();
        }
    }

    #[inline(never)]
    fn catch_up(&mut self) {
        let mut start = 0;
        for chunk in self.full.iter().chain(&self.last) {
            let bytes = chunk.as_ref();
            let known = self.checked.saturating_sub(start).min(bytes.len());
            start += bytes.len();
            self.crc = crc32c_append(self.crc, &bytes[known..]);
        }
        self.checked = self.len;
    }

    /// The checksum of all bytes.
    pub(crate) fn crc(&mut self) -> u32 {
        self.catch_up();
        self.crc
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Bytes that fit without another chunk.
    #[inline]
    pub(crate) fn room(&self) -> usize {
        self.last.as_ref().map_or(0, Chunk::room)
    }

    /// Bytes that can be written one after the other before the chunk ends or the checksum is to catch up.
    #[inline]
    pub(crate) fn slack(&self) -> usize {
        self.room().min((self.check_at - self.len).saturating_sub(1))
    }

    /// The classes of the chunks that `bytes` more would need, given that the whole is not expected to grow beyond
    /// `expected` bytes. Each chunk is at most four times what stands, so that growth wastes little.
    pub(crate) fn classes_for(
        &self,
        bytes: usize,
        expected: usize,
        class_max: usize,
    ) -> SmallVec<[usize; 4]> {
        let mut classes = SmallVec::new();
        let mut missing = bytes.saturating_sub(self.room());
        while missing > 0 {
            let next = match (self.last.as_ref(), classes.last()) {
                (None, None) => class_for(expected.max(missing), class_max),
                // A batch that outgrew what was expected of it is on its way to becoming a full one.
                _ => class_for(self.len.max(missing), class_max),
            };
            classes.push(next);
            missing = missing.saturating_sub(CHUNK_SIZES[next]);
        }
        classes
    }

    /// Moves the chunks of `classes` out of `permits` into the chain's spare room: see [`ChunkChain::put_record`].
    pub(crate) fn spare(permits: &mut Reservation, classes: &[usize]) -> Option<SmallVec<[Chunk; 4]>> {
        classes.iter().map(|&class| permits.chunk(class)).collect()
    }

    /// A sink that fills the last chunk and goes on in `spare`, which must suffice.
    pub(crate) fn sink(&mut self, spare: SmallVec<[Chunk; 4]>) -> ChainSink<'_> {
        ChainSink {
            chain: self,
            spare: spare.into_iter(),
        }
    }

    /// Takes `len` bytes of the last chunk for a record, if it fits into it whole: the fast path. All that is behind them
    /// is handed out too, and may be overwritten.
    #[inline]
    pub(crate) fn contiguous(&mut self, len: usize) -> Option<&mut [u8]> {
        let last = self.last.as_mut()?;
        if last.room() < len {
            return None;
        }
        self.len += len;
        Some(last.take(len))
    }

    /// Up to `limit` bytes behind what is written in the last chunk.
    #[inline]
    pub(crate) fn spare_mut(&mut self, limit: usize) -> &mut [u8] {
        let spare = self.last.as_mut().map(Chunk::spare_mut).unwrap_or_default();
        let len = limit.min(spare.len());
        &mut spare[..len]
    }

    /// Counts `len` bytes that were written to [`ChunkChain::spare_mut`].
    #[inline]
    pub(crate) fn advance(&mut self, len: usize) {
        self.len += len;
        if let Some(last) = &mut self.last {
            last.advance(len);
        }
    }

    /// The closed form. The chunks go back to the pool when the last holder of these slices is gone.
    pub(crate) fn freeze(self) -> SmallVec<[Bytes; 2]> {
        self.full
            .into_iter()
            .chain(self.last)
            .map(Bytes::from_owner)
            .collect()
    }

    /// The chunks as slices.
    pub(crate) fn slices(&self) -> impl Iterator<Item = &[u8]> {
        self.full.iter().chain(&self.last).map(AsRef::as_ref)
    }
}

/// Writes across chunks.
pub(crate) struct ChainSink<'a> {
    chain: &'a mut ChunkChain,
    spare: smallvec::IntoIter<[Chunk; 4]>,
}

impl RecordSink for ChainSink<'_> {
    fn put(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let room = self.chain.room();
            if room == 0 {
                // The caller brought spare chunks for the record's exact size.
                let Some(next) = self.spare.next() else {
                    unreachable!("a record outgrew its announced size")
                };
                self.chain.full.extend(self.chain.last.replace(next));
                continue;
            }
            let (head, tail) = bytes.split_at(room.min(bytes.len()));
            if let Some(last) = &mut self.chain.last {
                last.put(head);
            }
            self.chain.len += head.len();
            bytes = tail;
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::memory::MemoryPool;

    #[test]
    fn a_record_spans_chunks() {
        let pool = MemoryPool::new(4 << 20);
        let account = pool.account();
        let mut chain = ChunkChain::default();
        let bytes: Vec<u8> = (0..=255).cycle().take(700 << 10).collect();
        for piece in bytes.chunks(100 << 10) {
            let classes = chain.classes_for(piece.len(), 1, 4);
            let needed = classes.iter().map(|&class| CHUNK_SIZES[class]).sum();
            let mut permits = account.try_reserve(needed).expect("within 4 MiB");
            let spare = ChunkChain::spare(&mut permits, &classes).expect("reserved");
            chain.sink(spare).put(piece);
        }
        assert_eq!(chain.len(), bytes.len());
        let frozen = chain.freeze();
        assert!(frozen.len() > 2);
        assert_eq!(frozen.concat(), bytes);
        assert!(pool.used() >= bytes.len());
        drop(frozen);
        assert_eq!(pool.used(), 0);
    }

    #[test]
    fn the_checksum_is_that_of_the_whole_however_it_came() {
        let pool = MemoryPool::new(4 << 20);
        let account = pool.account();
        let bytes: Vec<u8> = (0..=250).cycle().take(300 << 10).collect();
        for step in [1 << 10, 5_000, 8 << 10, 70_001] {
            for mut chain in [ChunkChain::default(), ChunkChain::unchecked()] {
                assert_eq!(chain.crc(), 0);
                for piece in bytes.chunks(step) {
                    let classes = chain.classes_for(piece.len(), 1, 2);
                    let needed = classes.iter().map(|&class| CHUNK_SIZES[class]).sum();
                    let mut permits = account.try_reserve(needed).expect("within 4 MiB");
                    let spare = ChunkChain::spare(&mut permits, &classes).expect("reserved");
                    chain.sink(spare).put(piece);
                    chain.check();
                }
                let will_be_compressed = chain.checked == 0;
                chain.check_rest();
                let checked = if will_be_compressed { 0 } else { bytes.len() };
                assert_eq!(chain.checked, checked, "in steps of {step}");
                assert_eq!(chain.crc(), crc32c_append(0, &bytes), "in steps of {step}");
            }
        }
    }

    #[test]
    fn the_first_chunk_is_what_is_expected() {
        let chain = ChunkChain::default();
        assert_eq!(chain.classes_for(100, 100, 4).as_slice(), &[0]);
        assert_eq!(chain.classes_for(100, 16 << 10, 4).as_slice(), &[2]);
        assert_eq!(chain.classes_for(100, 10 << 20, 4).as_slice(), &[4]);
        assert_eq!(chain.classes_for(5 << 10, 0, 1).as_slice(), &[1, 0]);
        assert_eq!(chain.classes_for(600 << 10, 0, 4).as_slice(), &[4, 4, 4]);
    }
}

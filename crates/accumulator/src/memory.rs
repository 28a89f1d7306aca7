//! The memory of a producer: permits counted in chunks, recycled buffers, and fair waiting.
//!
//! `buffer.memory` bounds what is *used*: chunks that hold records which are not resolved yet, and the fixed state of
//! each batch. Released chunks are kept for reuse, last in first out, because a chunk that was touched before costs a
//! tenth of fresh pages; used and kept together never exceed the limit either, so keeping costs nobody a permit.
//!
//! # Fairness
//! Who finds too little memory waits in one line, first come first served. A newcomer does not overtake while someone
//! waits (Java lets it), and the head of the line collects what becomes free, so that a large record is not starved by
//! small ones.
//!
//! # Shares
//! A partition that cannot drain must not take the memory from all others. Each partition has an [`Account`], and may
//! hold at most [`SHARE_OF_FREE`] times what it leaves free: alone two thirds of the memory, two of them two fifths each,
//! and there is always something left for those that drain. (That is how switches share a buffer among ports: the rule
//! needs no clock, and no opinion on who is in trouble.) Who finds the share of the partition exhausted waits in a line of
//! that partition's own, before nobody else; a partition that holds nothing is never over its share.

mod line;

use crate::sync::Mutex;
use line::{Lines, free_for_share};
use ottla_time::{mutant, points};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};

/// The sizes of chunks, in bytes. A partition that sees little starts small (a thousand idle partitions must not hold
/// 16 MiB), a busy one gets its whole batch in one piece; above 256 KiB a chain costs no more than one piece.
pub(crate) const CHUNK_SIZES: [usize; 5] = [1 << 10, 4 << 10, 16 << 10, 64 << 10, 256 << 10];

/// How much a partition may hold, as a multiple of what is free. With 1 a lone busy partition could use only half of the
/// memory; with 4 three stuck ones would leave less than a tenth to the others.
const SHARE_OF_FREE: usize = 2;

/// The smallest class that holds `bytes`, or `class_max`.
pub(crate) fn class_for(bytes: usize, class_max: usize) -> usize {
    CHUNK_SIZES
        .iter()
        .position(|&size| size >= bytes)
        .map_or(class_max, |class| class.min(class_max))
}

/// The permits and recycled buffers of one producer.
pub struct MemoryPool {
    limit: usize,
    /// Whether somebody was turned away since the sender last asked.
    denied: AtomicBool,
    inner: Mutex<Inner>,
}

struct Inner {
    /// Bytes of chunks in use, of reservations, and of charges.
    used: usize,
    /// Bytes in `kept`.
    kept_bytes: usize,
    kept: [Vec<Box<[u8]>>; CHUNK_SIZES.len()],
    lines: Lines,
}

/// Why there are no permits now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Denied {
    /// Too little is free, or others wait for it.
    Full,
    /// The partition holds its share, or others wait for it to hold less.
    Share,
}

impl MemoryPool {
    /// A pool of `limit` bytes.
    pub fn new(limit: usize) -> Arc<MemoryPool> {
        Arc::new(MemoryPool {
            limit,
            denied: AtomicBool::new(false),
            inner: Mutex::new(Inner {
                used: 0,
                kept_bytes: 0,
                kept: Default::default(),
                lines: Lines::default(),
            }),
        })
    }

    /// The limit, in bytes.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// The largest class of chunks: no chunk takes more than a sixteenth of the memory, so that a small memory is not
    /// lost to what chunks round up.
    pub(crate) fn class_max(&self) -> usize {
        CHUNK_SIZES
            .iter()
            .rposition(|&size| size <= self.limit / 16)
            .unwrap_or(0)
    }

    /// Bytes in use now: 0 when every batch is resolved and no writer holds one.
    pub fn used(&self) -> usize {
        self.inner.lock().used
    }

    /// How many wait for memory now.
    pub fn waiting(&self) -> usize {
        self.inner.lock().lines.len()
    }

    /// Whether somebody waits for memory, or was turned away since the last call: then nothing should linger.
    pub fn take_pressure(&self) -> bool {
        points::reach("the memory's pressure is looked at");
        let denied = self.denied.swap(false, Ordering::Relaxed);
        points::reach("who waits for memory is looked for");
        denied || self.waiting() > 0
    }

    /// An account of a new holder of permits, a partition.
    pub fn account(self: &Arc<Self>) -> Account {
        let id = self.inner.lock().lines.open_account();
        Account {
            pool: Arc::clone(self),
            id,
        }
    }

    /// A buffer of the class, whose permits the caller holds already. What it holds is of no meaning.
    fn buffer(&self, class: usize) -> Box<[u8]> {
        let size = CHUNK_SIZES[class];
        let mut inner = self.inner.lock();
        if let Some(buffer) = inner.kept[class].pop() {
            inner.kept_bytes -= size;
            return buffer;
        }
        let surplus = inner.make_room(self.limit);
        drop(inner);
        drop(surplus);
        vec![0; size].into_boxed_slice()
    }

    fn release(&self, account: u32, bytes: usize, buffer: Option<(usize, Box<[u8]>)>) {
        let mut inner = self.inner.lock();
        debug_assert!(
            inner.used >= bytes,
            "released {bytes} of {} used bytes",
            inner.used
        );
        inner.used -= bytes;
        if let Some((class, buffer)) = buffer {
            inner.kept_bytes += CHUNK_SIZES[class];
            inner.kept[class].push(buffer);
        }
        let surplus = inner.make_room(self.limit);
        let woken = inner.discharge(account, bytes, self.limit);
        drop(inner);
        drop(surplus);
        wake_all(woken);
    }
}

impl Inner {
    /// Takes kept buffers out until used and kept together are within the limit; the caller frees them outside the lock.
    fn make_room(&mut self, limit: usize) -> Vec<Box<[u8]>> {
        let mut surplus = Vec::new();
        for class in (0..CHUNK_SIZES.len()).rev() {
            while self.used + self.kept_bytes > limit {
                let Some(buffer) = self.kept[class].pop() else {
                    break;
                };
                self.kept_bytes -= CHUNK_SIZES[class];
                surplus.push(buffer);
            }
        }
        surplus
    }

    /// The account holds less now, so the lines move on. Returns whom to wake.
    fn discharge(&mut self, account: u32, bytes: usize, limit: usize) -> Vec<Waker> {
        self.lines.discharge(account, bytes);
        self.advance(limit)
    }

    /// Lets the lines move on. Returns whom to wake.
    fn advance(&mut self, limit: usize) -> Vec<Waker> {
        if self.lines.is_empty() {
            return Vec::new();
        }
        self.lines.admit(limit.saturating_sub(self.used));
        self.lines.grant(&mut self.used, limit)
    }
}

fn wake_all(wakers: Vec<Waker>) {
    for waker in wakers {
        waker.wake();
    }
}

impl fmt::Debug for MemoryPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryPool")
            .field("limit", &self.limit)
            .field("used", &self.used())
            .finish_non_exhaustive()
    }
}

/// What one partition holds of a pool: all its permits are counted here. See the module's page for its share.
#[derive(Debug)]
pub struct Account {
    pool: Arc<MemoryPool>,
    id: u32,
}

impl Account {
    /// The pool.
    pub fn pool(&self) -> &Arc<MemoryPool> {
        &self.pool
    }

    /// Bytes that the partition holds now.
    pub fn held(&self) -> usize {
        self.pool.inner.lock().lines.held(self.id)
    }

    /// Takes `bytes` of permits now, or not at all; never overtakes a waiter, and never exceeds the partition's share.
    pub(crate) fn try_reserve(&self, bytes: usize) -> Result<Reservation, Denied> {
        let mut inner = self.pool.inner.lock();
        let free = self.pool.limit.saturating_sub(inner.used);
        let lines = &inner.lines;
        let fair = !mutant!("memory for who comes last");
        let is_over_share = lines.is_own_line_busy(self.id)
            || lines.unclaimed(free) < free_for_share(lines.held(self.id), bytes);
        let denied = if fair && is_over_share {
            Denied::Share
        } else if fair && lines.is_common_line_busy() || free < bytes {
            Denied::Full
        } else {
            inner.used += bytes;
            inner.lines.charge(self.id, bytes);
            return Ok(self.reservation(bytes));
        };
        drop(inner);
        self.pool.denied.store(true, Ordering::Relaxed);
        Err(denied)
    }

    /// Joins the line for `bytes` of permits; the wait is a future of its own that may be dropped at any time.
    pub fn wait(&self, bytes: usize) -> MemoryWait {
        let mut inner = self.pool.inner.lock();
        let id = inner.lines.join(self.id, bytes);
        // The memory may have come free between the failed attempt and here.
        let woken = inner.advance(self.pool.limit);
        drop(inner);
        wake_all(woken);
        MemoryWait {
            pool: Arc::clone(&self.pool),
            account: self.id,
            id,
            done: false,
        }
    }

    /// Takes `bytes` out of the permits, which another partition may have waited for, if they suffice.
    pub(crate) fn take_over(&self, permits: &mut Reservation, bytes: usize) -> Option<Reservation> {
        permits.bytes = permits.bytes.checked_sub(bytes)?;
        if permits.account != self.id {
            let mut inner = self.pool.inner.lock();
            inner.lines.charge(self.id, bytes);
            let woken = inner.discharge(permits.account, bytes, self.pool.limit);
            drop(inner);
            wake_all(woken);
        }
        Some(self.reservation(bytes))
    }

    fn reservation(&self, bytes: usize) -> Reservation {
        Reservation {
            pool: Arc::clone(&self.pool),
            account: self.id,
            bytes,
        }
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        self.pool.inner.lock().lines.close_account(self.id);
    }
}

/// Permits that are held; dropping gives them back.
#[derive(Debug)]
pub struct Reservation {
    pool: Arc<MemoryPool>,
    account: u32,
    bytes: usize,
}

impl Reservation {
    /// How many bytes it holds.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes a chunk of the class out of these permits, if they suffice.
    pub(crate) fn chunk(&mut self, class: usize) -> Option<Chunk> {
        let size = CHUNK_SIZES[class];
        self.bytes = self.bytes.checked_sub(size)?;
        Some(Chunk {
            buffer: self.pool.buffer(class),
            len: 0,
            class,
            account: self.account,
            pool: Arc::clone(&self.pool),
        })
    }

    /// Charges `bytes` to the same account although they may exceed the limit: for what replaces memory that is given
    /// back at once (the compressed form of a batch), where waiting could deadlock.
    pub(crate) fn reserve_regardless(&self, bytes: usize) -> Reservation {
        let mut inner = self.pool.inner.lock();
        inner.used += bytes;
        inner.lines.charge(self.account, bytes);
        drop(inner);
        Reservation {
            pool: Arc::clone(&self.pool),
            account: self.account,
            bytes,
        }
    }

    /// Joins permits of the same account.
    pub(crate) fn absorb(&mut self, mut other: Reservation) {
        debug_assert_eq!(self.account, other.account);
        self.bytes += std::mem::take(&mut other.bytes);
    }

    pub(crate) fn pool(&self) -> &MemoryPool {
        &self.pool
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if self.bytes > 0 {
            self.pool.release(self.account, self.bytes, None);
        }
    }
}

/// A place in the line for memory: resolves to the permits. Dropping it gives up the place and passes on what the line
/// had collected for it.
#[derive(Debug)]
#[must_use = "a wait does nothing unless it is polled"]
pub struct MemoryWait {
    pool: Arc<MemoryPool>,
    account: u32,
    id: u64,
    done: bool,
}

impl Future for MemoryWait {
    type Output = Reservation;

    fn poll(mut self: std::pin::Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Reservation> {
        let mut inner = self.pool.inner.lock();
        // Only a second poll after completion finds nothing: the futures contract forbids it.
        let (granted, old) = inner.lines.poll(self.id, cx.waker());
        drop(inner);
        drop(old);
        granted.map(|bytes| {
            self.done = true;
            Reservation {
                pool: Arc::clone(&self.pool),
                account: self.account,
                bytes,
            }
        })
    }
}

impl Drop for MemoryWait {
    fn drop(&mut self) {
        if self.done {
            return;
        }
        let mut inner = self.pool.inner.lock();
        let (granted, old) = inner.lines.leave(self.id);
        inner.used -= if mutant!("memory of a cancelled wait is lost") {
            0
        } else {
            granted
        };
        let woken = inner.advance(self.pool.limit);
        drop(inner);
        drop(old);
        wake_all(woken);
    }
}

/// A buffer of one of the [`CHUNK_SIZES`], with its permits. Dropping it returns both: ownership is what makes it
/// impossible to reuse a buffer that a writer still holds (CVE-2026-35554).
#[derive(Debug)]
pub(crate) struct Chunk {
    /// Memory that was written before, so that a record is encoded into it without clearing anything.
    buffer: Box<[u8]>,
    /// How much of it is taken.
    len: usize,
    class: usize,
    account: u32,
    pool: Arc<MemoryPool>,
}

impl Chunk {
    pub(crate) fn room(&self) -> usize {
        self.buffer.len() - self.len
    }

    /// Appends; the caller has seen to it that there is [`Chunk::room`].
    #[inline]
    pub(crate) fn put(&mut self, bytes: &[u8]) {
        self.buffer[self.len..][..bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len();
    }

    /// What is not taken yet.
    #[inline]
    pub(crate) fn spare_mut(&mut self) -> &mut [u8] {
        &mut self.buffer[self.len..]
    }

    /// Takes `len` bytes of [`Chunk::spare_mut`], which are filled.
    #[inline]
    pub(crate) fn advance(&mut self, len: usize) {
        debug_assert!(len <= self.room());
        self.len += len;
    }

    /// Takes `len` bytes for the caller to fill. All that is behind them is handed out too, and may be overwritten.
    #[inline]
    pub(crate) fn take(&mut self, len: usize) -> &mut [u8] {
        let start = self.len;
        self.len += len;
        &mut self.buffer[start..]
    }
}

impl AsRef<[u8]> for Chunk {
    fn as_ref(&self) -> &[u8] {
        &self.buffer[..self.len]
    }
}

impl Drop for Chunk {
    fn drop(&mut self) {
        let buffer = std::mem::take(&mut self.buffer);
        self.pool
            .release(self.account, CHUNK_SIZES[self.class], Some((self.class, buffer)));
    }
}

#[cfg(all(test, not(loom)))]
mod tests;

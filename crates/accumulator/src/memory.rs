//! The memory of a producer: permits counted in chunks, recycled buffers, and fair waiting.
//!
//! `buffer.memory` bounds what is *used*: chunks that hold records which are not resolved yet, and the fixed state of
//! each batch. Released chunks are kept for reuse, last in first out, because a chunk that was touched before costs a
//! tenth of fresh pages; used and kept together never exceed the limit either, so keeping costs nobody a permit.
//!
//! Who finds too little memory waits in one line, first come first served. A newcomer does not overtake while someone
//! waits (Java lets it), and the head of the line collects what becomes free, so that a large record is not starved by
//! small ones.

use ottla_protocol::records::RecordSink;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};

/// The sizes of chunks, in bytes. A partition that sees little starts small (a thousand idle partitions must not hold
/// 16 MiB), a busy one gets its whole batch in one piece; above 256 KiB a chain costs no more than one piece.
pub(crate) const CHUNK_SIZES: [usize; 5] = [1 << 10, 4 << 10, 16 << 10, 64 << 10, 256 << 10];

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
    kept: [Vec<Vec<u8>>; CHUNK_SIZES.len()],
    /// Those who wait, oldest first. Ids ascend, so that a ticket finds itself by binary search.
    waiters: VecDeque<Waiter>,
    next_waiter: u64,
}

struct Waiter {
    id: u64,
    needed: usize,
    /// What the line has collected for this waiter so far; counted in `used`.
    granted: usize,
    waker: Option<Waker>,
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
                waiters: VecDeque::new(),
                next_waiter: 0,
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
        self.inner.lock().waiters.len()
    }

    /// Whether somebody waits for memory, or was turned away since the last call: then nothing should linger.
    pub fn take_pressure(&self) -> bool {
        self.denied.swap(false, Ordering::Relaxed) || self.waiting() > 0
    }

    /// Takes `bytes` of permits now, or not at all; never overtakes a waiter.
    pub fn try_reserve(self: &Arc<Self>, bytes: usize) -> Option<Reservation> {
        let mut inner = self.inner.lock();
        if !inner.waiters.is_empty() || self.limit.saturating_sub(inner.used) < bytes {
            self.denied.store(true, Ordering::Relaxed);
            return None;
        }
        inner.used += bytes;
        drop(inner);
        Some(Reservation {
            pool: Arc::clone(self),
            bytes,
        })
    }

    /// Joins the line for `bytes` of permits; the wait is a future of its own that may be dropped at any time.
    pub fn wait(self: &Arc<Self>, bytes: usize) -> MemoryWait {
        let mut inner = self.inner.lock();
        let id = inner.next_waiter;
        inner.next_waiter += 1;
        inner.waiters.push_back(Waiter {
            id,
            needed: bytes,
            granted: 0,
            waker: None,
        });
        // The memory may have come free between the failed attempt and here.
        let woken = inner.grant(self.limit);
        drop(inner);
        wake_all(woken);
        MemoryWait {
            pool: Arc::clone(self),
            id,
            done: false,
        }
    }

    /// Charges `bytes` although they may exceed the limit: for what replaces memory that is given back at once (the
    /// compressed form of a batch), where waiting could deadlock.
    pub(crate) fn reserve_regardless(self: &Arc<Self>, bytes: usize) -> Reservation {
        self.inner.lock().used += bytes;
        Reservation {
            pool: Arc::clone(self),
            bytes,
        }
    }

    /// An empty buffer of the class, whose permits the caller holds already.
    fn buffer(&self, class: usize) -> Vec<u8> {
        let size = CHUNK_SIZES[class];
        let mut inner = self.inner.lock();
        if let Some(buffer) = inner.kept[class].pop() {
            inner.kept_bytes -= size;
            return buffer;
        }
        let surplus = inner.make_room(self.limit);
        drop(inner);
        drop(surplus);
        Vec::with_capacity(size)
    }

    fn release(&self, bytes: usize, buffer: Option<(usize, Vec<u8>)>) {
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
        let woken = if inner.waiters.is_empty() {
            Vec::new()
        } else {
            inner.grant(self.limit)
        };
        drop(inner);
        drop(surplus);
        wake_all(woken);
    }
}

impl Inner {
    /// Takes kept buffers out until used and kept together are within the limit; the caller frees them outside the lock.
    fn make_room(&mut self, limit: usize) -> Vec<Vec<u8>> {
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

    /// Gives what is free to the head of the line, and on, until nothing is left. Returns whom to wake.
    fn grant(&mut self, limit: usize) -> Vec<Waker> {
        let mut woken = Vec::new();
        for waiter in &mut self.waiters {
            let free = limit.saturating_sub(self.used);
            let missing = waiter.needed - waiter.granted;
            let now = free.min(missing);
            waiter.granted += now;
            self.used += now;
            if waiter.granted < waiter.needed {
                break;
            }
            woken.extend(waiter.waker.take());
        }
        woken
    }

    fn position(&self, id: u64) -> Option<usize> {
        self.waiters.binary_search_by_key(&id, |waiter| waiter.id).ok()
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

/// Permits that are held; dropping gives them back.
#[derive(Debug)]
pub struct Reservation {
    pool: Arc<MemoryPool>,
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
            class,
            pool: Arc::clone(&self.pool),
        })
    }

    /// Takes `bytes` out of these permits, if they suffice.
    pub(crate) fn split(&mut self, bytes: usize) -> Option<Reservation> {
        self.bytes = self.bytes.checked_sub(bytes)?;
        Some(Reservation {
            pool: Arc::clone(&self.pool),
            bytes,
        })
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if self.bytes > 0 {
            self.pool.release(self.bytes, None);
        }
    }
}

/// A place in the line for memory: resolves to the permits. Dropping it gives up the place and passes on what the line
/// had collected for it.
#[derive(Debug)]
#[must_use = "a wait does nothing unless it is polled"]
pub struct MemoryWait {
    pool: Arc<MemoryPool>,
    id: u64,
    done: bool,
}

impl Future for MemoryWait {
    type Output = Reservation;

    fn poll(mut self: std::pin::Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Reservation> {
        let mut inner = self.pool.inner.lock();
        let Some(position) = inner.position(self.id) else {
            // Only a second poll after completion comes here: the futures contract forbids it.
            return Poll::Pending;
        };
        let waiter = &mut inner.waiters[position];
        if waiter.granted < waiter.needed {
            let old = waiter.waker.replace(cx.waker().clone());
            drop(inner);
            drop(old);
            return Poll::Pending;
        }
        let bytes = waiter.granted;
        inner.waiters.remove(position);
        drop(inner);
        self.done = true;
        Poll::Ready(Reservation {
            pool: Arc::clone(&self.pool),
            bytes,
        })
    }
}

impl Drop for MemoryWait {
    fn drop(&mut self) {
        if self.done {
            return;
        }
        let mut inner = self.pool.inner.lock();
        let Some(position) = inner.position(self.id) else {
            return;
        };
        let granted = inner.waiters.remove(position).map_or(0, |waiter| waiter.granted);
        inner.used -= granted;
        let woken = inner.grant(self.pool.limit);
        drop(inner);
        wake_all(woken);
    }
}

/// A buffer of one of the [`CHUNK_SIZES`], with its permits. Dropping it returns both: ownership is what makes it
/// impossible to reuse a buffer that a writer still holds (CVE-2026-35554).
#[derive(Debug)]
pub(crate) struct Chunk {
    /// Never grows beyond the capacity it was born with.
    buffer: Vec<u8>,
    class: usize,
    pool: Arc<MemoryPool>,
}

impl Chunk {
    pub(crate) fn size(&self) -> usize {
        CHUNK_SIZES[self.class]
    }

    pub(crate) fn room(&self) -> usize {
        self.size() - self.buffer.len()
    }

    /// Appends; the caller has seen to it that there is [`Chunk::room`].
    #[inline]
    pub(crate) fn put(&mut self, bytes: &[u8]) {
        debug_assert!(bytes.len() <= self.room());
        self.buffer.extend_from_slice(bytes);
    }

    /// Appends what `encode` writes, in place; the caller has seen to it that there is room.
    #[inline]
    pub(crate) fn put_with(&mut self, encode: impl FnOnce(&mut [u8; 32]) -> usize) {
        self.buffer.put_with(encode);
    }
}

impl AsRef<[u8]> for Chunk {
    fn as_ref(&self) -> &[u8] {
        &self.buffer
    }
}

impl Drop for Chunk {
    fn drop(&mut self) {
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.clear();
        self.pool
            .release(CHUNK_SIZES[self.class], Some((self.class, buffer)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::pin::{Pin, pin};
    use std::sync::atomic::AtomicUsize;
    use std::task::Wake;

    #[derive(Default)]
    struct CountWakes(AtomicUsize);

    impl Wake for CountWakes {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn poll(wait: Pin<&mut MemoryWait>) -> Option<Reservation> {
        match wait.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(reservation) => Some(reservation),
            Poll::Pending => None,
        }
    }

    #[test]
    fn waiters_of_mixed_sizes_are_served_in_order() {
        let pool = MemoryPool::new(100);
        let held = pool.try_reserve(60).expect("60 of 100");
        let rest = pool.try_reserve(40).expect("40 of 40");
        let mut large = pin!(pool.wait(90));
        let mut small = pin!(pool.wait(5));
        assert!(poll(large.as_mut()).is_none() && poll(small.as_mut()).is_none());

        drop(rest);
        // 40 are free, the small one would fit: but the large one stands before it.
        assert!(poll(small.as_mut()).is_none());
        assert!(pool.try_reserve(1).is_none(), "a newcomer does not overtake");
        drop(held);
        let large = poll(large.as_mut()).expect("100 were free");
        let small = poll(small.as_mut()).expect("10 remain");
        assert_eq!((large.bytes(), small.bytes(), pool.used()), (90, 5, 95));
        drop((large, small));
        assert_eq!((pool.used(), pool.waiting()), (0, 0));
    }

    #[test]
    fn a_cancelled_waiter_passes_its_permits_on() {
        let pool = MemoryPool::new(100);
        let held = pool.try_reserve(100).expect("all");
        let mut first = Box::pin(pool.wait(80));
        let mut second = pin!(pool.wait(30));
        assert!(poll(first.as_mut()).is_none());
        let wakes = Arc::new(CountWakes::default());
        assert!(
            second
                .as_mut()
                .poll(&mut Context::from_waker(&wakes.clone().into()))
                .is_pending()
        );

        drop(held);
        // The first has 80 and the second 20 of its 30.
        assert_eq!(wakes.0.load(Ordering::Relaxed), 0);
        drop(first);
        assert_eq!(
            wakes.0.load(Ordering::Relaxed),
            1,
            "the second is woken when the first gives up"
        );
        assert_eq!(poll(second).expect("granted").bytes(), 30);
        assert_eq!(pool.used(), 0);
    }

    #[test]
    fn chunks_are_recycled_and_never_kept_beyond_the_limit() {
        let pool = MemoryPool::new(300 << 10);
        let mut permits = pool.try_reserve(256 << 10).expect("free");
        let chunk = permits.chunk(4).expect("permits for 256 KiB");
        let address = chunk.buffer.as_ptr();
        drop(chunk);
        assert_eq!(pool.inner.lock().kept_bytes, 256 << 10);

        let mut permits = pool.try_reserve(256 << 10).expect("free");
        let chunk = permits.chunk(4).expect("permits for 256 KiB");
        assert_eq!(chunk.buffer.as_ptr(), address, "the touched buffer comes back");
        drop(chunk);

        let mut permits = pool.try_reserve(64 << 10).expect("free");
        let _chunk = permits.chunk(3).expect("permits for 64 KiB");
        assert_eq!(
            pool.inner.lock().kept_bytes,
            0,
            "64 KiB in use and 256 KiB kept would exceed 300 KiB"
        );
    }

    #[test]
    fn permits_of_a_reservation_are_never_lost() {
        let pool = MemoryPool::new(64 << 10);
        let mut permits = pool.try_reserve(20 << 10).expect("free");
        let chunk = permits.chunk(2).expect("16 of 20 KiB");
        assert!(permits.chunk(2).is_none(), "4 KiB are left");
        let state = permits.split(512).expect("4 KiB are left");
        assert_eq!(pool.used(), 20 << 10);
        drop(permits);
        assert_eq!(pool.used(), (16 << 10) + 512);
        drop((chunk, state));
        assert_eq!(pool.used(), 0);
    }
}

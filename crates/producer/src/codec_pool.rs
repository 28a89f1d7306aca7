//! Threads that compress.

use ottla_protocol::compression::{Codec, Compression};
use ottla_sender::{SealJob, Sealed, Sealer};
use parking_lot::{Condvar, Mutex};
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::{Context, Waker};
use std::thread;

/// Up to this size lz4 and snappy are compressed on the I/O thread: the hop to another thread costs more below it.
const INLINE_LEN_MAX: usize = 256 << 10;

/// More threads than this only take the processor from those who make the records.
const THREADS_MAX: usize = 4;

/// Seals batches: small ones at once, large ones and slow codecs on a few threads, which start when first needed.
#[derive(Debug)]
pub(crate) struct CodecPool {
    codec: Codec,
    inline: Sealer,
    shared: Arc<Shared>,
    threads_max: usize,
    threads: usize,
}

#[derive(Debug, Default)]
struct Shared {
    queue: Mutex<Queue>,
    work: Condvar,
    done: Mutex<Done>,
}

#[derive(Debug, Default)]
struct Queue {
    /// At most one for each partition: the sender seals no more at a time.
    jobs: VecDeque<SealJob>,
    idle: usize,
    closed: bool,
}

#[derive(Debug, Default)]
struct Done {
    sealed: Vec<Sealed>,
    driver: Option<Waker>,
}

impl CodecPool {
    pub(crate) fn new(codec: Codec, sealer: Sealer) -> CodecPool {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        CodecPool {
            codec,
            inline: sealer,
            shared: Arc::default(),
            threads_max: cores.min(THREADS_MAX),
            threads: 0,
        }
    }

    /// Seals the batch now, or hands it over and returns `None`: then [`CodecPool::take_sealed`] has it later.
    pub(crate) fn seal(&mut self, job: SealJob) -> Option<Sealed> {
        let fast = matches!(self.codec.compression(), Compression::Lz4 | Compression::Snappy);
        if fast && job.uncompressed_len() <= INLINE_LEN_MAX {
            return Some(job.run(&mut self.inline));
        }
        let mut queue = self.shared.queue.lock();
        if queue.idle <= queue.jobs.len() && self.threads < self.threads_max {
            drop(queue);
            if !self.start_thread() && self.threads == 0 {
                // No thread can be had: slower, but nothing is lost.
                return Some(job.run(&mut self.inline));
            }
            queue = self.shared.queue.lock();
        }
        queue.jobs.push_back(job);
        drop(queue);
        self.shared.work.notify_one();
        None
    }

    /// What was sealed since the last call; if nothing, the driver is woken when there is.
    pub(crate) fn take_sealed(&self, cx: &mut Context<'_>) -> Vec<Sealed> {
        let mut done = self.shared.done.lock();
        if done.sealed.is_empty() && self.threads > 0 {
            done.driver = Some(cx.waker().clone());
        }
        std::mem::take(&mut done.sealed)
    }

    fn start_thread(&mut self) -> bool {
        let Ok(sealer) = Sealer::new(self.codec) else {
            return false;
        };
        let shared = Arc::clone(&self.shared);
        let codec = self.codec;
        let thread = thread::Builder::new().name("ottla-codec".to_owned());
        let started = thread.spawn(move || work(&shared, codec, sealer)).is_ok();
        self.threads += usize::from(started);
        started
    }
}

impl Drop for CodecPool {
    fn drop(&mut self) {
        self.shared.queue.lock().closed = true;
        self.shared.work.notify_all();
    }
}

fn work(shared: &Shared, codec: Codec, mut sealer: Sealer) {
    let mut queue = shared.queue.lock();
    loop {
        let Some(job) = queue.jobs.pop_front() else {
            if queue.closed {
                return;
            }
            queue.idle += 1;
            shared.work.wait(&mut queue);
            queue.idle -= 1;
            continue;
        };
        drop(queue);
        let lost = job.lost();
        // A codec that panics costs its batch, not its partition; what state it left its context in is not looked into.
        let sealed = match catch_unwind(AssertUnwindSafe(|| job.run(&mut sealer))) {
            Ok(sealed) => sealed,
            Err(_) => {
                if let Ok(fresh) = Sealer::new(codec) {
                    sealer = fresh;
                }
                lost
            }
        };
        let mut done = shared.done.lock();
        done.sealed.push(sealed);
        let driver = done.driver.take();
        drop(done);
        if let Some(driver) = driver {
            driver.wake();
        }
        queue = shared.queue.lock();
    }
}

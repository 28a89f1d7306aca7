//! What the partitions of one producer share.

use crate::flush::FlushTracker;
use crate::memory::MemoryPool;
use crate::partition::{CompressionRatio, Partition};
use ottla_protocol::compression::Compression;
use ottla_time::points;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The settings that an append needs.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct AccumulatorConfig {
    /// `batch.size`: the bytes at which a batch is full. 0 behaves as 1: each record gets a batch of its own.
    pub batch_size: usize,
    /// `buffer.memory`: the bytes that records and their state may hold.
    pub buffer_memory: usize,
    /// Whether batches will be compressed, and with what: a batch then fills by its estimated compressed size.
    pub compression: Compression,
}

impl Default for AccumulatorConfig {
    /// Java's defaults: 16 KiB batches, 32 MiB of memory, no compression.
    fn default() -> AccumulatorConfig {
        AccumulatorConfig {
            batch_size: 16_384,
            buffer_memory: 33_554_432,
            compression: Compression::None,
        }
    }
}

/// What part of the memory may wait to be sent before a sending thread is [ahead](Accumulator::is_ahead). Measured on one
/// core with 64 MiB: an eighth took a quarter less CPU time than all of it, and less than a sixteenth and a thirty-second.
const AHEAD_PART: usize = 8;

/// The part of a producer that all sending threads and the sender share.
#[derive(Debug)]
pub struct Accumulator {
    batch_size: usize,
    compresses: bool,
    memory: Arc<MemoryPool>,
    chunk_class_max: usize,
    flushes: Arc<FlushTracker>,
    closed: AtomicBool,
    /// Partitions with news for the sender. Each stands here at most once, so it is bounded by their number.
    told: Mutex<Vec<Arc<Partition>>>,
}

impl Accumulator {
    /// An empty accumulator.
    pub fn new(config: AccumulatorConfig) -> Accumulator {
        let memory = MemoryPool::new(config.buffer_memory);
        Accumulator {
            batch_size: config.batch_size.max(1),
            compresses: config.compression != Compression::None,
            chunk_class_max: memory.class_max(),
            memory,
            flushes: Arc::default(),
            closed: AtomicBool::new(false),
            told: Mutex::default(),
        }
    }

    /// `batch.size` in bytes, at least 1.
    pub fn batch_size(&self) -> usize {
        self.batch_size
    }

    pub(crate) fn compresses(&self) -> bool {
        self.compresses
    }

    pub(crate) fn chunk_class_max(&self) -> usize {
        self.chunk_class_max
    }

    /// The memory that the batches share.
    pub fn memory(&self) -> &Arc<MemoryPool> {
        &self.memory
    }

    /// The flushes that are under way.
    pub fn flushes(&self) -> &Arc<FlushTracker> {
        &self.flushes
    }

    /// Whether so much waits to be sent or acknowledged that whoever sends more writes into memory that has left the caches,
    /// and had better let others run.
    pub fn is_ahead(&self) -> bool {
        self.flushes.closed_bytes() > self.memory.limit() / AHEAD_PART
    }

    /// A new topic; its partitions share an estimate of how well its records compress.
    pub fn topic(&self, name: Arc<str>) -> Topic {
        Topic {
            name,
            ratio: Arc::default(),
            memory: Arc::clone(&self.memory),
        }
    }

    /// From now on every append fails. What is queued stays.
    pub fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
    }

    /// Whether [`Accumulator::close`] was called.
    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    pub(crate) fn tell(&self, partition: Arc<Partition>) {
        self.told.lock().push(partition);
    }

    /// The partitions that changed since the last call. [`Partition::inspect`] each of them: until then they do not
    /// report again.
    pub fn take_told(&self) -> Vec<Arc<Partition>> {
        points::reach("the partitions with news are taken");
        std::mem::take(&mut *self.told.lock())
    }
}

/// A topic of an [`Accumulator`].
#[derive(Clone, Debug)]
pub struct Topic {
    name: Arc<str>,
    ratio: Arc<CompressionRatio>,
    memory: Arc<MemoryPool>,
}

impl Topic {
    /// The queue of one partition. `slot` is a number of the driver's own, see [`Partition::slot`].
    pub fn partition(&self, number: i32, slot: usize) -> Arc<Partition> {
        Arc::new(Partition::new(
            Arc::clone(&self.name),
            number,
            slot,
            Arc::clone(&self.ratio),
            self.memory.account(),
        ))
    }
}

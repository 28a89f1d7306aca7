//! The record accumulator of a Kafka producer: from a record on the caller's thread to a batch for the wire, without
//! I/O and without a clock.
//!
//! # What it does
//! - [`Partition::append`] copies a record once, encoded, into its partition's open batch, under that partition's own
//!   short lock, and hands back a [`Delivery`]: the future outcome, a slot of the batch.
//! - [`MemoryPool`] bounds the memory by `buffer.memory`, counted in chunks, with a fair line for those who wait.
//! - [`Sealer::seal`] compresses and checksums outside every lock; a [`SealedBatch`] is immutable, so a retry is
//!   the same bytes. Its buffers return to the pool when the last holder is gone, and not before.
//! - [`FlushTracker`] knows which batches a flush waits for.
//!
//! # What it does not
//! It chooses no partition, knows no broker and keeps no time: who drives it (the sender crate, or your own client)
//! looks at the partitions it is told about, decides what is due, and completes batches.
//!
//! # Driving it
//! ```
//! use ottla_accumulator::{Accumulator, AccumulatorConfig, Record, Sealer};
//! use ottla_protocol::compression::Compression;
//! use ottla_time::ManualClock;
//! use std::sync::Arc;
//!
//! let accumulator = Accumulator::new(AccumulatorConfig::default());
//! let clock = ManualClock::new(1_700_000_000_000);
//! let topic = accumulator.topic("orders".into());
//! let partition = topic.partition(0, 7);
//!
//! let record = Record { value: Some(b"one"), timestamp_ms: 1_700_000_000_000, ..Record::default() };
//! let appended = partition.append(&accumulator, &record, None, &clock).expect("32 MiB are free");
//! assert!(appended.new_batch && appended.wake);
//!
//! // The driver's side: it was told about the partition, takes the batch, seals it, writes it, and completes it.
//! let told = accumulator.take_told();
//! assert_eq!((told[0].slot(), told[0].inspect(&accumulator).closed), (7, 0));
//! let batch = told[0].take().expect("one batch is open");
//! let mut sealer = Sealer::new(Compression::None).expect("no codec");
//! let sealed = sealer.seal(batch, partition.compression_ratio()).expect("no codec");
//! assert_eq!(sealed.wire_len(), 61 + 10);
//! sealed.complete(42, -1);
//!
//! let metadata = appended.delivery.outcome().expect("complete").expect("acked");
//! assert_eq!((metadata.partition(), metadata.offset()), (0, Some(42)));
//! drop(sealed);
//! assert_eq!(accumulator.memory().used(), 0);
//! ```

mod accumulator;
mod batch;
mod delivery;
mod details;
mod flush;
#[cfg(all(test, loom))]
mod loom_tests;
mod memory;
mod partition;
mod payload;
mod prefetch;
mod ready;
mod short_lock;
mod split;
mod sync;

pub use accumulator::{Accumulator, AccumulatorConfig, Topic};
pub use batch::{BatchIdentity, ClosedBatch, SealedBatch, Sealer, SealingBatch, SplitPart};
pub use delivery::{Delivery, DeliveryFailure, FailureKind, Persistence, RecordMetadata, Tally};
pub use flush::{FlushTracker, FlushWait};
pub use memory::{Account, MemoryPool, MemoryWait, Reservation};
pub use partition::{AppendError, Appended, CompressionRatio, Inspection, Partition, Record};

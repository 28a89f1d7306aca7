//! Kafka partitioners: Java's, librdkafka's and your own.
//!
//! This crate decides which partition a record goes to. It does nothing else: no protocol, no I/O, no clock, no global
//! random, and on the path that a record takes no allocation and no lock. It fits any client.
//!
//! # How a partition is chosen
//!
//! 1. A record that names its partition goes there; [`TopicView::check`] says whether the topic has it.
//! 2. Otherwise a [`Partitioner`] looks at the record ([`RecordView`]), the topic as the cluster has it
//!    ([`TopicView`]) and what the producer remembers of the topic ([`TopicState`]), and returns a [`Choice`].
//! 3. [`Choice::Sticky`] leaves the decision to [`StickyPartition`], the built-in choice of KIP-794: records without a
//!    key stay with one partition until about a batch has been appended to it, then move on to a random one, which is
//!    drawn with a preference for short queues ([`LoadTable`]).
//!
//! | partitioner | with a key | without |
//! |---|---|---|
//! | [`DefaultPartitioner`] | murmur2, as in Java | sticky |
//! | [`RoundRobin`] | the next partition | the next partition |
//! | [`Librdkafka`] | as its seven names say | as its seven names say |
//!
//! The hashes are public: [`murmur2`], [`crc32`], [`fnv1a`].
//!
//! # Threads
//!
//! Everything here may be shared: a [`TopicState`] is a few atomics. An uncontended compare-and-set costs a few
//! nanoseconds, a contended one ten times that, and two threads that append to the same partition also meet at the lock
//! of its batch. So give each sending thread (or each handle of the producer) a [`TopicState`] of its own, with a seed
//! of its own: it is small (128 bytes, so that two never share a cache line), needs no registration and no end, and the
//! threads then spread over the partitions by themselves. Share one where exactly Java's distribution matters: one
//! sticky partition and one round robin for each topic and producer.
//!
//! # An example that drives it
//!
//! What a client does with it, the batches being a plain counter for each partition:
//!
//! ```
//! use ottla_partitioning::{Choice, DefaultPartitioner, OnAppend, Partitioner, RecordView, TopicState, TopicView};
//!
//! const BATCH_SIZE: usize = 1_000;
//! let partitioner = DefaultPartitioner::new();
//! let state = TopicState::new(BATCH_SIZE, 42);
//! // Six partitions; number 4 has no leader at the moment.
//! let topic = TopicView::new(6, &[0, 1, 2, 3, 5]);
//! let mut batches = [0; 6];
//!
//! // Records with a key go where Java sends them.
//! let keyed = RecordView::new("payments").key(Some(b"kafka"));
//! assert_eq!(partitioner.partition(&keyed, &topic, &state), Choice::Partition(4));
//!
//! // Records without one fill a batch, then move on.
//! for _ in 0..1_000 {
//!     let record = RecordView::new("payments").value(Some(&[0; 100]));
//!     let Choice::Sticky = partitioner.partition(&record, &topic, &state) else { unreachable!("it has no key") };
//!     let partition = loop {
//!         let partition = state.sticky().current(&topic);
//!         // With many threads: take the partition's lock here.
//!         let closed = batches[partition as usize] >= BATCH_SIZE;
//!         if state.sticky().before_append(partition, closed, &topic) {
//!             break partition;
//!         }
//!     };
//!     let batch = &mut batches[partition as usize];
//!     *batch = if *batch >= BATCH_SIZE { 100 } else { *batch + 100 };
//!     let closed = *batch >= BATCH_SIZE;
//!     assert_ne!(state.sticky().on_append(partition, 100, closed, &topic), OnAppend::Changed);
//! }
//! assert_eq!(batches[4], 0, "a partition without a leader gets nothing");
//! ```

mod default;
mod hash;
mod librdkafka;
mod load;
mod partitioner;
mod random;
mod round_robin;
mod state;
mod sticky;
mod view;

pub use default::DefaultPartitioner;
pub use hash::{crc32, fnv1a, murmur2, to_positive};
pub use librdkafka::{Keyless, Librdkafka, LibrdkafkaScheme, UnknownScheme};
pub use load::{LoadTable, PartitionLoad};
pub use partitioner::{Choice, Partitioner};
pub use round_robin::RoundRobin;
pub use state::TopicState;
pub use sticky::{Charge, OnAppend, StickyPartition};
pub use view::{Headers, RecordView, TopicView, UnknownPartition};

#[cfg(loom)]
pub(crate) use loom::sync::atomic;
#[cfg(not(loom))]
pub(crate) use std::sync::atomic;

//! The identity of an idempotent Kafka producer, without I/O: producer id, epoch and sequences.
//!
//! A broker that knows a batch's producer id, epoch and sequence appends it once, however often it comes, and only if
//! nothing before it is missing. [`Sequences`] numbers the batches of one partition and knows when the numbering is
//! broken beyond repair, so that it has to start again under a new epoch. [`ProducerIdRequest`] asks for the producer id.
//!
//! Each partition has an epoch of its own. Java has one for the whole producer, and lets trouble in one partition end the
//! numbering of all; but a broker keeps this state for each partition, so a partition can start again alone.
//!
//! Transactions come on the same crate.
//!
//! ```
//! use ottla_transactions::{ProducerIdentity, Sequences};
//!
//! let mut sequences = Sequences::new(ProducerIdentity { producer_id: 4_000, producer_epoch: 0 });
//! let first = sequences.stamp(10);
//! let second = sequences.stamp(5);
//! assert_eq!((first.base_sequence, second.base_sequence), (0, 10));
//!
//! // The first is given up: nobody knows whether the broker has it, so nothing may be numbered after it.
//! sequences.give_up(&first);
//! assert!(sequences.is_broken());
//! // The second was refused for what is missing before it. A new epoch begins, and it is numbered anew.
//! sequences.restart().expect("there are 32,767 epochs");
//! assert_eq!(sequences.stamp(5).producer_epoch, 1);
//! ```

mod error;
mod identity;
mod manager;
mod offsets;
mod reaction;
mod request;
mod sequences;
mod state;

pub use error::{Call, TransactionError, TransactionErrorKind};
pub use identity::{NextRequest, ProducerIdRequest, ProducerIdentity, Refused};
pub use manager::{Coordinator, OffsetsTicket, Target, TransactionConfig, TransactionManager};
pub use offsets::{GroupMetadata, GroupOffset};
pub use request::{OutgoingRequest, Protocol};
pub use sequences::{EpochExhausted, Sequences, Stamp};
pub use state::{Event, State};

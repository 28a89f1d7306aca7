//! The sender of a Kafka producer: metadata, leaders, requests in flight, retries, backoff and timeouts, as a state
//! machine without I/O, and the [`Handle`] whose futures are send, flush and close.
//!
//! # How it is driven
//! A driver owns the [`Sender`], feeds it what happens (`handle_*`), lets it take a [`turn`](Sender::turn), carries out
//! its [`Action`]s, and waits until the [`Wakeup`] or [`Sender::next_timeout`] calls. Time comes in as a parameter;
//! nothing here reads a clock, opens a socket or needs a runtime. One turn costs what is due in it, not what exists.
//!
//! ```text
//!  Handle::send --append--> Partition queues (accumulator)
//!      |                          |  told, timers
//!      +--Wakeup--> driver --> Sender::turn --> Action::{Connect, Send, Seal}
//!                      ^                              |
//!                      +---- handle_response, handle_failed, handle_sealed ...
//! ```
//!
//! # What holds
//! - Idempotent: a record is in the log once, and in the order of its partition, with up to five batches in flight. Without:
//!   one batch of a partition is in flight at a time, and a failed one goes before any later one, so order is kept.
//! - Every delivery resolves by `delivery.timeout.ms`. A failure says whether the record may be in the log: only answers
//!   that a broker gives before it appends count as "not persisted".
//! - Trouble in one partition holds up no other; trouble at one broker no other broker.

mod action;
mod config;
mod error;
mod handle;
mod metadata;
mod node;
mod partition;
mod produce;
mod sender;
mod shared;
mod timers;
mod topic;
mod verdict;
mod waits;
mod wakeup;

pub use action::{Action, Request, SealJob, Sealed};
pub use config::{Acks, Address, SenderConfig};
pub use error::{SendError, TrySendError};
pub use handle::{Closing, Handle, SendRecord};
pub use node::ApiRange;
pub use ottla_accumulator::{
    Delivery, DeliveryFailure, FailureKind, FlushWait, Persistence, RecordMetadata, Sealer,
};
pub use sender::Sender;
pub use topic::Topic;
pub use wakeup::Wakeup;

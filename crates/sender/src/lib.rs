//! The sender of a Kafka producer: metadata, leaders, requests in flight, retries, backoff and timeouts, as a state
//! machine without I/O, and the [`Handle`] whose futures are send, flush and close.
//!
//! # How it is driven
//! A driver owns the [`Sender`], feeds it what happens (`handle_*`), lets it take a [`turn`](Sender::turn), carries out
//! its [`Action`]s, and waits until the [`Wakeup`] or [`Sender::poll_timeout`] calls. Time comes in as a parameter;
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
//! # Driving it by hand
//! ```
//! use ottla_accumulator::AccumulatorConfig;
//! use ottla_partitioning::DefaultPartitioner;
//! use ottla_sender::{Action, Address, SendRecord, Sender, SenderConfig, TrySendError};
//! use ottla_time::{Clock, ManualClock};
//! use std::sync::Arc;
//!
//! let clock = Arc::new(ManualClock::new(1_700_000_000_000));
//! let mut config = SenderConfig::default();
//! config.bootstrap = vec![Address { host: "broker".into(), port: 9092 }];
//! let partitioner = Box::new(DefaultPartitioner::new());
//! let (mut sender, handle) = Sender::new(config, AccumulatorConfig::default(), partitioner, clock.clone(), 7);
//!
//! // A record for a topic that nobody has asked for yet: its metadata is missing, and the sender wants to connect.
//! let topic = handle.topic("orders");
//! assert_eq!(handle.try_send(&topic, &SendRecord::default()).unwrap_err(), TrySendError::Metadata);
//! sender.turn(clock.now());
//! let Some(Action::Connect { node: -1, address }) = sender.poll_action() else { panic!("it begins at bootstrap") };
//! assert_eq!(address.port, 9092);
//!
//! // There is no broker in this example: the sender is told so, and tries again. Closing ends it.
//! sender.handle_disconnected(-1, "connection refused", clock.now());
//! sender.turn(clock.now());
//! assert!(matches!(sender.poll_action(), Some(Action::Connect { .. })));
//! let _closing = handle.close(std::time::Duration::ZERO);
//! sender.turn(clock.now());
//! assert!(matches!(sender.poll_action(), Some(Action::Finished)));
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
mod disconnect;
mod error;
mod handle;
mod lanes;
mod measure;
mod metadata;
mod node;
mod partition;
mod produce;
mod sender;
mod shared;
mod telemetry;
mod timers;
mod topic;
mod transactions;
mod verdict;
mod waits;
mod wakeup;

pub use action::{Action, Request, SealJob, Sealed};
pub use config::{Acks, Address, SenderConfig};
pub use disconnect::{Disconnect, DisconnectClass};
pub use error::{SendError, TrySendError};
pub use handle::{Attempt, Closing, Handle, SendRecord, Unsent};
pub use measure::Timed;
pub use node::ApiRange;
pub use ottla_accumulator::{
    Delivery, DeliveryFailure, FailureKind, FlushWait, Persistence, RecordMetadata, Sealer, Tally,
};
pub use ottla_transactions::{
    Call, GroupMetadata, GroupOffset, State as TransactionState, TransactionConfig, TransactionError,
    TransactionErrorKind,
};
pub use sender::Sender;
pub use telemetry::TelemetryError;
pub use topic::{PartitionInfo, Topic};
pub use wakeup::Wakeup;

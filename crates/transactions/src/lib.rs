//! Who a Kafka producer is, and its transactions, without I/O and without a clock.
//!
//! # What it does
//! - [`TransactionManager`] is the client's side of Kafka's transactions, under protocol 1 and 2 (KIP-890): which request
//!   comes next and to whom, what each answer means, and what an application may do when ([`State`] is the diagram).
//!   Epochs are renewed after a gap (KIP-360), coordinators are found and followed, a transaction that has timed out can be
//!   aborted (KIP-588), and errors say whether to repeat the call, to abort, or to close (KIP-1050).
//! - [`Sequences`] numbers the batches of one partition, and knows when the numbering is broken beyond repair, so that it
//!   has to start again under a new epoch. [`ProducerIdRequest`] asks for a producer id where there are no transactions.
//!
//! # What it does not
//! It holds no records and sends nothing. Who drives it sees to it that a batch goes out only if
//! [`want_partition`](TransactionManager::want_partition) says so, tells it of records that were not delivered, and says
//! when all are resolved. Waiting has no deadline here: who stops to wait loses nothing, and repeats the call.
//!
//! # Two promises
//! A commit never succeeds unless the coordinator has said so. And while it may have been committed, nobody is told to
//! abort it, and no other transaction begins: only the same call, repeated, tells the outcome (KAFKA-17754).
//!
//! # Driving a transaction
//! ```
//! use ottla_protocol::messages::{EndTxnResponse, FindCoordinatorResponse, InitProducerIdResponse};
//! use ottla_protocol::{ApiKey, Message, VersionRange, wire::Writer};
//! use ottla_time::Time;
//! use ottla_transactions::{Call, Target, TransactionConfig, TransactionManager};
//! use std::time::Duration;
//!
//! let now = Time::ZERO;
//! let mut config = TransactionConfig::new("orders-1");
//! config.transaction_timeout = Duration::from_secs(10);
//! let mut manager = TransactionManager::new(config, 7);
//! // ApiVersions said that the cluster has transaction.version 2.
//! manager.handle_features(0, 2);
//!
//! // A broker that answers at once. A driver sends the request to the target, and hands back what comes.
//! fn exchange(manager: &mut TransactionManager, answer: &impl Message, now: Time) -> (Target, ApiKey) {
//!     let target = manager.poll_target(now).expect("a request is due");
//!     let request = manager.take_request(now, |_| Some(VersionRange::new(0, 5))).expect("a version in common");
//!     let mut writer = Writer::default();
//!     answer.encode(&mut writer, request.api_version).expect("a small answer");
//!     manager.handle_answer(&writer.into_bytes(), now);
//!     (target, request.api_key)
//! }
//!
//! manager.init()?;
//! let mut coordinator = FindCoordinatorResponse::default();
//! coordinator.coordinators.push(Default::default());
//! coordinator.coordinators[0].node_id = 2;
//! assert_eq!(exchange(&mut manager, &coordinator, now), (Target::Any, ApiKey::FIND_COORDINATOR));
//! let given = InitProducerIdResponse { producer_id: 4_000, producer_epoch: 0, ..Default::default() };
//! assert_eq!(exchange(&mut manager, &given, now), (Target::Node(2), ApiKey::INIT_PRODUCER_ID));
//! assert_eq!(manager.poll_outcome(Call::Init), Some(Ok(())));
//!
//! manager.begin()?;
//! // Under protocol 2 writing adds the partition. Here a batch would go out, with the manager's identity.
//! assert!(manager.want_partition(&"orders".into(), 0));
//! manager.handle_written();
//!
//! manager.commit()?;
//! assert_eq!(manager.poll_target(now), None, "first, every record has to be acknowledged");
//! manager.handle_drained(false);
//! let ended = EndTxnResponse { producer_id: 4_000, producer_epoch: 1, ..Default::default() };
//! assert_eq!(exchange(&mut manager, &ended, now), (Target::Node(2), ApiKey::END_TXN));
//! assert_eq!(manager.poll_outcome(Call::Commit), Some(Ok(())));
//! assert_eq!(manager.identity().map(|identity| identity.producer_epoch), Some(1));
//! # Ok::<(), ottla_transactions::TransactionError>(())
//! ```
//!
//! # Numbering without transactions
//! A broker that knows a batch's producer id, epoch and sequence appends it once, however often it comes, and only if
//! nothing before it is missing. Each partition has an epoch of its own. Java has one for the whole producer, and lets
//! trouble in one partition end the numbering of all; but a broker keeps this state for each partition, so a partition can
//! start again alone. In transactions all have the one epoch that their coordinator gives.
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

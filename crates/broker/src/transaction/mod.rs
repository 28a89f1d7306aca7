//! The transaction coordinator: which producer a transactional id belongs to, and where its transaction stands.
//!
//! The rules are those of Kafka 4.x (`TransactionCoordinator` and `TransactionMetadata`), under protocol 1 and 2
//! (KIP-890). Writing the markers is the cluster's work: a decision says so by [`Transactions::ended`].

mod coordinator;
mod state;

pub(crate) use coordinator::{InitOutcome, Transactions};
pub(crate) use state::{Decision, Participant, Protocol, State, Transaction};

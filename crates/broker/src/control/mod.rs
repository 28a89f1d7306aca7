//! What a test does to the cluster: topics, partitions, brokers, coordinators, faults.

mod brokers;
mod coordinators;
mod error;
mod faults;
mod partitions;
mod topics;

pub use error::{TopicError, Unknown};

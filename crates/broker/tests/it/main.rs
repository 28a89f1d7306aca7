//! Tests from outside: raw requests against the core and against a real Kafka, and real clients over TCP.

mod batch;
mod brokers;
mod clients;
mod differential;
mod faults;
mod foreign;
mod groups;
mod hostile;
mod link;
mod replicas;
mod session;
mod tcp;
mod transactions;
mod versions;

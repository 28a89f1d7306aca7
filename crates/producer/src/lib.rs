//! A complete producer for Apache Kafka.

pub mod config;

//! A complete producer for Apache Kafka.

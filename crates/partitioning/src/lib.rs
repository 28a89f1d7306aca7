//! Kafka partitioners: Java's, librdkafka's and your own.

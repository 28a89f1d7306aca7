//! The record accumulator of a Kafka producer: batches, memory and deliveries, without I/O.

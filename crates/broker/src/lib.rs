//! An in-memory Apache Kafka broker for tests, quick starts and simulation.

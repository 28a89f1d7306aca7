//! The Apache Kafka wire protocol: every message at every version, record batches and their codecs, without I/O.

pub mod compression;
pub mod records;

//! Connections to Kafka brokers: sessions and connection states without I/O, and a tokio transport.

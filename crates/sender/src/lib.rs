//! The state machine of a Kafka producer: metadata, leaders, requests in flight, retries and timeouts, without I/O.

//! Every setting reaches the layer that acts on it.

use super::*;

/// A key, a value that is not its default, and what the layer below has to be given.
type Row = (&'static str, &'static str, &'static str, fn(&Config) -> String);

fn sender(config: &Config) -> SenderConfig {
    sender_config(config, Arc::new(Metrics::new(metrics(config))))
}

fn network(config: &Config) -> NetworkConfig {
    network_config(config, "id")
}

fn metrics(config: &Config) -> MetricsConfig {
    metrics_config(config, "id", 0)
}

fn transactions(config: &Config) -> TransactionConfig {
    sender(config).transactions.expect("a transactional.id is set")
}

const ROWS: &[Row] = &[
    ("acks", "1", "Leader", |c| format!("{:?}", sender(c).acks)),
    ("acks", "0", "None", |c| format!("{:?}", sender(c).acks)),
    ("acks", "-1", "All", |c| format!("{:?}", sender(c).acks)),
    ("batch.size", "77", "77", |c| {
        accumulator_config(c).batch_size.to_string()
    }),
    ("bootstrap.servers", "x:1,[::1]:2", "x 1 ::1 2", |c| {
        let addresses = sender(c).bootstrap.into_iter();
        addresses
            .map(|at| format!("{} {}", at.host, at.port))
            .collect::<Vec<_>>()
            .join(" ")
    }),
    ("buffer.memory", "77", "77", |c| {
        accumulator_config(c).buffer_memory.to_string()
    }),
    ("client.id", "me", "me", client_id),
    ("compression.type", "gzip", "Gzip", |c| {
        format!("{:?}", accumulator_config(c).compression)
    }),
    ("compression.type", "zstd", "Zstd", |c| {
        format!("{:?}", sender(c).codec.compression())
    }),
    ("connections.max.idle.ms", "77", "Some(77ms)", |c| {
        format!("{:?}", network(c).connection_idle_max)
    }),
    ("connections.max.idle.ms", "-1", "None", |c| {
        format!("{:?}", network(c).connection_idle_max)
    }),
    ("delivery.timeout.ms", "77777", "77.777s", |c| {
        format!("{:?}", sender(c).delivery_timeout)
    }),
    ("enable.idempotence", "false", "false", |c| {
        sender(c).idempotent.to_string()
    }),
    ("enable.idempotence", "true", "true", |c| {
        sender(c).idempotent.to_string()
    }),
    ("linger.ms", "77", "77ms", |c| format!("{:?}", sender(c).linger)),
    ("max.block.ms", "77", "77ms", |c| {
        format!("{:?}", sender(c).max_block)
    }),
    ("max.in.flight.requests.per.connection", "3", "3", |c| {
        sender(c).max_in_flight.to_string()
    }),
    ("max.request.size", "77", "77", |c| {
        sender(c).max_request_size.to_string()
    }),
    ("metadata.max.age.ms", "77", "77ms", |c| {
        format!("{:?}", sender(c).metadata_max_age)
    }),
    ("metadata.max.idle.ms", "7777", "7.777s", |c| {
        format!("{:?}", sender(c).metadata_max_idle)
    }),
    (
        "metadata.recovery.rebootstrap.trigger.ms",
        "77",
        "Some(77ms)",
        |c| format!("{:?}", sender(c).rebootstrap_trigger),
    ),
    ("metadata.recovery.strategy", "none", "None", |c| {
        format!("{:?}", sender(c).rebootstrap_trigger)
    }),
    ("metrics.num.samples", "7", "7", |c| {
        metrics(c).samples.to_string()
    }),
    ("metrics.sample.window.ms", "77", "77ms", |c| {
        format!("{:?}", metrics(c).window)
    }),
    (
        "partitioner.adaptive.partitioning.enable",
        "false",
        "false",
        |c| sender(c).adaptive_partitioning.to_string(),
    ),
    ("partitioner.availability.timeout.ms", "77", "77ms", |c| {
        format!("{:?}", sender(c).availability_timeout)
    }),
    ("receive.buffer.bytes", "77", "Some(77)", |c| {
        format!("{:?}", tcp(c).receive_buffer_bytes)
    }),
    ("receive.buffer.bytes", "-1", "None", |c| {
        format!("{:?}", tcp(c).receive_buffer_bytes)
    }),
    ("reconnect.backoff.max.ms", "77", "77ms", |c| {
        format!("{:?}", network(c).reconnect_backoff_max)
    }),
    ("reconnect.backoff.ms", "7", "7ms", |c| {
        format!("{:?}", network(c).reconnect_backoff)
    }),
    ("request.timeout.ms", "77", "77ms 77ms", |c| {
        format!("{:?} {:?}", sender(c).request_timeout, network(c).request_timeout)
    }),
    ("retries", "7", "7", |c| sender(c).retries.to_string()),
    ("retry.backoff.max.ms", "777", "777ms", |c| {
        format!("{:?}", sender(c).retry_backoff.1)
    }),
    ("retry.backoff.ms", "7", "7ms", |c| {
        format!("{:?}", sender(c).retry_backoff.0)
    }),
    ("send.buffer.bytes", "77", "Some(77)", |c| {
        format!("{:?}", tcp(c).send_buffer_bytes)
    }),
    (
        "socket.connection.setup.timeout.max.ms",
        "77777",
        "77.777s",
        |c| format!("{:?}", network(c).connection_setup_timeout_max),
    ),
    ("socket.connection.setup.timeout.ms", "77", "77ms", |c| {
        format!("{:?}", network(c).connection_setup_timeout)
    }),
    ("transactional.id", "t", "t true", |c| {
        format!("{} {}", transactions(c).transactional_id, sender(c).idempotent)
    }),
    ("transaction.timeout.ms", "77", "77ms", |c| {
        format!("{:?}", transactions(c).transaction_timeout)
    }),
];

#[test]
fn settings_reach_their_layers() {
    for (key, value, expected, given) in ROWS {
        let mut builder = ConfigBuilder::new().bootstrap_servers("a:1");
        if key.starts_with("transaction.") {
            builder = builder.set("transactional.id", "t");
        }
        let (config, _) = builder
            .set(*key, *value)
            .build()
            .unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(given(&config), *expected, "{key}={value}");
    }
}

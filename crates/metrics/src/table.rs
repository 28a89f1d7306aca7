//! The one table of metrics.

use crate::definition::{Definition, Group, Source};
use crate::sensor::{ClientSensor as C, Gauge, NodeSensor as N, Statistic as S, TopicSensor as T};

const fn client(name: &'static str, sensor: C, statistic: S, about: &'static str) -> Definition {
    let source = Source::Client(sensor, statistic);
    Definition {
        name,
        group: Group::Producer,
        source,
        about,
    }
}

const fn gauge(name: &'static str, gauge: Gauge, about: &'static str) -> Definition {
    let source = Source::Gauge(gauge);
    Definition {
        name,
        group: Group::Producer,
        source,
        about,
    }
}

const fn node(name: &'static str, sensor: N, statistic: S, about: &'static str) -> Definition {
    let source = Source::Node(sensor, statistic);
    Definition {
        name,
        group: Group::Node,
        source,
        about,
    }
}

const fn topic(name: &'static str, sensor: T, statistic: S, about: &'static str) -> Definition {
    let source = Source::Topic(sensor, statistic);
    Definition {
        name,
        group: Group::Topic,
        source,
        about,
    }
}

const fn other(group: Group, name: &'static str, source: Source, about: &'static str) -> Definition {
    Definition {
        name,
        group,
        source,
        about,
    }
}

const fn letter(name: &'static str, sensor: C, statistic: S, about: &'static str) -> Definition {
    let source = Source::Client(sensor, statistic);
    other(Group::DeadLetter, name, source, about)
}

/// Every metric that the Java producer 4.3.1 has: in `producer-metrics`, then of each broker, then of each topic; and
/// behind them ours.
#[rustfmt::skip]
pub const DEFINITIONS: &[Definition] = &[
    other(Group::AppInfo, "commit-id",
        Source::NoMeaning("a crate is told by its version"), "The commit that the client was built from."),
    other(Group::AppInfo, "start-time-ms", Source::StartTime, "When the producer was made, in ms since the Unix epoch."),
    other(Group::AppInfo, "version", Source::Version, "The version of this library."),
    other(Group::Count, "count", Source::Count, "How many metrics there are."),

    client("batch-size-avg", C::BatchSize, S::Average, "Bytes of a batch on the wire, on average."),
    client("batch-size-max", C::BatchSize, S::Max, "Bytes of the largest batch on the wire."),
    client("batch-split-rate", C::BatchSplit, S::Rate, "Batches per second that were split because the broker takes none so large."),
    client("batch-split-total", C::BatchSplit, S::Total, "Batches that were split because the broker takes none so large."),
    gauge("buffer-available-bytes", Gauge::BufferAvailable, "Bytes of buffer.memory that nothing holds."),
    client("buffer-exhausted-rate", C::BufferExhausted, S::Rate, "Sends per second that got no memory within max.block.ms."),
    client("buffer-exhausted-total", C::BufferExhausted, S::Total, "Sends that got no memory within max.block.ms."),
    gauge("buffer-total-bytes", Gauge::BufferTotal, "buffer.memory in bytes."),
    client("bufferpool-wait-ratio", C::BufferWait, S::TimeRatio, "The share of time that sends waited for memory; several that wait add up."),
    client("bufferpool-wait-time-ns-total", C::BufferWait, S::Total, "Nanoseconds that sends waited for memory."),
    client("compression-rate-avg", C::CompressionRate, S::Average, "Compressed bytes for each uncompressed one, on average over batches; 1 without compression."),
    client("connection-close-rate", C::ConnectionClose, S::Rate, "Connections per second that ended."),
    client("connection-close-total", C::ConnectionClose, S::Total, "Connections that ended."),
    gauge("connection-count", Gauge::ConnectionCount, "Connections that stand now."),
    client("connection-creation-rate", C::ConnectionCreation, S::Rate, "Connections per second that were made."),
    client("connection-creation-total", C::ConnectionCreation, S::Total, "Connections that were made."),
    other(Group::Producer, "connections",
        Source::NoMeaning("the handshake's cipher and protocol are not told above TLS"), "TLS connections by cipher and protocol."),
    client("failed-authentication-rate", C::FailedAuthentication, S::Rate, "Connections per second that ended because one side did not accept the other."),
    client("failed-authentication-total", C::FailedAuthentication, S::Total, "Connections that ended because one side did not accept the other."),
    client("failed-reauthentication-rate", C::FailedReauthentication, S::Rate, "Sessions per second that could not be renewed (KIP-368)."),
    client("failed-reauthentication-total", C::FailedReauthentication, S::Total, "Sessions that could not be renewed (KIP-368)."),
    client("flush-time-ns-total", C::Flush, S::Total, "Nanoseconds that flushes were waited for."),
    client("incoming-byte-rate", C::IncomingBytes, S::Rate, "Bytes read per second, before TLS."),
    client("incoming-byte-total", C::IncomingBytes, S::Total, "Bytes read, before TLS."),
    client("io-ratio", C::IoTime, S::TimeRatio, "The share of time that the I/O thread worked."),
    client("io-time-ns-avg", C::IoTime, S::Average, "Nanoseconds of work each time the I/O thread was woken, on average."),
    client("io-time-ns-total", C::IoTime, S::Total, "Nanoseconds that the I/O thread worked."),
    client("io-wait-ratio", C::IoWait, S::TimeRatio, "The share of time that the I/O thread waited."),
    client("io-wait-time-ns-avg", C::IoWait, S::Average, "Nanoseconds that the I/O thread waited each time, on average."),
    client("io-wait-time-ns-total", C::IoWait, S::Total, "Nanoseconds that the I/O thread waited."),
    other(Group::Producer, "metadata-age", Source::MetadataAge, "Seconds since the last answer with metadata; NaN before the first."),
    client("metadata-wait-time-ns-total", C::MetadataWait, S::Total, "Nanoseconds that sends waited for metadata."),
    client("network-io-rate", C::NetworkIo, S::CountRate, "Reads and writes per second."),
    client("network-io-total", C::NetworkIo, S::CountTotal, "Reads and writes."),
    client("outgoing-byte-rate", C::OutgoingBytes, S::Rate, "Bytes written per second, before TLS."),
    client("outgoing-byte-total", C::OutgoingBytes, S::Total, "Bytes written, before TLS."),
    client("produce-throttle-time-avg", C::ThrottleTime, S::Average, "Milliseconds that brokers throttled this client, on average over answers."),
    client("produce-throttle-time-max", C::ThrottleTime, S::Max, "The most milliseconds that a broker throttled this client."),
    client("reauthentication-latency-avg", C::ReauthenticationLatency, S::Average, "Milliseconds that it took to renew a session, on average."),
    client("reauthentication-latency-max", C::ReauthenticationLatency, S::Max, "The most milliseconds that it took to renew a session."),
    client("record-error-rate", C::RecordError, S::Rate, "Records per second that failed, those included that could not be queued."),
    client("record-error-total", C::RecordError, S::Total, "Records that failed, those included that could not be queued."),
    client("record-queue-time-avg", C::QueueTime, S::Average, "Milliseconds from a batch's first record to its request, on average."),
    client("record-queue-time-max", C::QueueTime, S::Max, "The most milliseconds from a batch's first record to its request."),
    client("record-retry-rate", C::RecordRetry, S::Rate, "Records per second that are sent again."),
    client("record-retry-total", C::RecordRetry, S::Total, "Records that are sent again."),
    client("record-send-rate", C::RecordsPerRequest, S::Rate, "Records per second in requests, repeated ones again."),
    client("record-send-total", C::RecordsPerRequest, S::Total, "Records in requests, repeated ones again."),
    client("record-size-avg", C::RecordSize, S::Average, "Bytes of the largest record of each batch, encoded, on average over batches."),
    client("record-size-max", C::RecordSize, S::Max, "Bytes of the largest record, encoded."),
    client("records-per-request-avg", C::RecordsPerRequest, S::Average, "Records in a Produce request, on average."),
    client("request-latency-avg", C::RequestLatency, S::Average, "Milliseconds from a Produce request to its answer, on average."),
    client("request-latency-max", C::RequestLatency, S::Max, "The most milliseconds from a Produce request to its answer."),
    client("request-rate", C::Request, S::CountRate, "Requests per second."),
    client("request-size-avg", C::Request, S::Average, "Bytes of a request, on average."),
    client("request-size-max", C::Request, S::Max, "Bytes of the largest request."),
    client("request-total", C::Request, S::CountTotal, "Requests."),
    gauge("requests-in-flight", Gauge::RequestsInFlight, "Requests without an answer now."),
    client("response-rate", C::Response, S::Rate, "Answers per second."),
    client("response-total", C::Response, S::Total, "Answers."),
    client("select-rate", C::IoWait, S::CountRate, "How often per second the I/O thread was woken."),
    client("select-total", C::IoWait, S::CountTotal, "How often the I/O thread was woken."),
    client("successful-authentication-no-reauth-total", C::Authentication, S::Total, "As successful-authentication-total: Java's client, too, counts every connection here."),
    client("successful-authentication-rate", C::Authentication, S::Rate, "Connections per second that became ready, also where nothing had to be proved."),
    client("successful-authentication-total", C::Authentication, S::Total, "Connections that became ready, also where nothing had to be proved."),
    client("successful-reauthentication-rate", C::Reauthentication, S::Rate, "Sessions per second that were renewed (KIP-368)."),
    client("successful-reauthentication-total", C::Reauthentication, S::Total, "Sessions that were renewed (KIP-368)."),
    client("txn-abort-time-ns-total", C::TransactionAbort, S::Total, "Nanoseconds that aborts were waited for."),
    client("txn-begin-time-ns-total", C::TransactionBegin, S::Total, "Nanoseconds that beginnings of transactions were waited for."),
    client("txn-commit-time-ns-total", C::TransactionCommit, S::Total, "Nanoseconds that commits were waited for."),
    client("txn-init-time-ns-total", C::TransactionInit, S::Total, "Nanoseconds that init_transactions was waited for."),
    other(Group::Producer, "txn-prepare-time-ns-total",
        Source::NoMeaning("two-phase commit is not offered"), "Nanoseconds that transactions were prepared."),
    client("txn-send-offsets-time-ns-total", C::TransactionSendOffsets, S::Total, "Nanoseconds that offsets in transactions were waited for."),
    gauge("waiting-threads", Gauge::WaitingThreads, "Sends that wait for memory now."),

    node("incoming-byte-rate", N::IncomingBytes, S::Rate, "Bytes read per second, before TLS."),
    node("incoming-byte-total", N::IncomingBytes, S::Total, "Bytes read, before TLS."),
    node("outgoing-byte-rate", N::OutgoingBytes, S::Rate, "Bytes written per second, before TLS."),
    node("outgoing-byte-total", N::OutgoingBytes, S::Total, "Bytes written, before TLS."),
    node("request-latency-avg", N::RequestLatency, S::Average, "Milliseconds from a Produce request to its answer, on average."),
    node("request-latency-max", N::RequestLatency, S::Max, "The most milliseconds from a Produce request to its answer."),
    node("request-rate", N::Request, S::CountRate, "Requests per second."),
    node("request-size-avg", N::Request, S::Average, "Bytes of a request, on average."),
    node("request-size-max", N::Request, S::Max, "Bytes of the largest request."),
    node("request-total", N::Request, S::CountTotal, "Requests."),
    node("response-rate", N::Response, S::Rate, "Answers per second."),
    node("response-total", N::Response, S::Total, "Answers."),

    topic("byte-rate", T::Bytes, S::Rate, "Bytes of batches per second, on the wire."),
    topic("byte-total", T::Bytes, S::Total, "Bytes of batches, on the wire."),
    topic("compression-rate", T::CompressionRate, S::Average, "Compressed bytes for each uncompressed one, on average over batches."),
    topic("record-error-rate", T::RecordError, S::Rate, "Records per second that failed."),
    topic("record-error-total", T::RecordError, S::Total, "Records that failed."),
    topic("record-retry-rate", T::RecordRetry, S::Rate, "Records per second that are sent again."),
    topic("record-retry-total", T::RecordRetry, S::Total, "Records that are sent again."),
    topic("record-send-rate", T::RecordSend, S::Rate, "Records per second in requests, repeated ones again."),
    topic("record-send-total", T::RecordSend, S::Total, "Records in requests, repeated ones again."),

    letter("dead-letter-lost-rate", C::DeadLetterLost, S::Rate, "Dead letters per second that could not be delivered either."),
    letter("dead-letter-lost-total", C::DeadLetterLost, S::Total, "Dead letters that could not be delivered either."),
    letter("dead-letter-rate", C::DeadLetter, S::Rate, "Records per second that became dead letters."),
    letter("dead-letter-total", C::DeadLetter, S::Total, "Records that became dead letters."),
    letter("dead-letter-written-rate", C::DeadLetterWritten, S::Rate, "Dead letters per second that a broker acknowledged."),
    letter("dead-letter-written-total", C::DeadLetterWritten, S::Total, "Dead letters that a broker acknowledged."),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_defined_once_and_belongs_where_it_stands() {
        for (at, definition) in DEFINITIONS.iter().enumerate() {
            let same = |other: &&Definition| other.name == definition.name && other.group == definition.group;
            assert_eq!(DEFINITIONS.iter().filter(same).count(), 1, "{}", definition.name);
            let group = match definition.source {
                Source::Node(..) => Group::Node,
                Source::Topic(..) => Group::Topic,
                Source::Client(..) if definition.group == Group::DeadLetter => Group::DeadLetter,
                Source::Client(..) | Source::Gauge(_) => Group::Producer,
                _ => definition.group,
            };
            assert_eq!(definition.group, group, "{}", definition.name);
            assert!(definition.about.ends_with('.'), "{}", definition.name);
            let next = DEFINITIONS.get(at + 1);
            let sorted =
                next.is_none_or(|next| (definition.group, definition.name) < (next.group, next.name));
            assert!(sorted, "{} is out of order", definition.name);
        }
    }
}

//! What is measured.

use crate::samples::{Samples, Windows};
use ottla_time::Time;

/// How a metric is made of what was recorded for a sensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Statistic {
    /// Values for each second, over the windows.
    Rate,
    /// The sum of values since the beginning.
    Total,
    /// How many values there were for each second, over the windows.
    CountRate,
    /// How many values there were since the beginning.
    CountTotal,
    /// The average over the windows; NaN without values.
    Average,
    /// The largest value in the windows; NaN without values.
    Max,
    /// Of values that are nanoseconds: which share of the time they take, over the windows.
    TimeRatio,
}

impl Statistic {
    pub(crate) fn measure(self, samples: &mut Samples, windows: Windows, now: Time) -> f64 {
        let mut recent = || samples.recent(windows, now);
        match self {
            Statistic::Rate => recent().sum / samples.elapsed(windows, now).as_secs_f64(),
            Statistic::CountRate => recent().count as f64 / samples.elapsed(windows, now).as_secs_f64(),
            Statistic::TimeRatio => recent().sum / (samples.elapsed(windows, now).as_secs_f64() * 1e9),
            Statistic::Total => samples.total(),
            Statistic::CountTotal => samples.count() as f64,
            Statistic::Average => match recent() {
                recent if recent.count == 0 => f64::NAN,
                recent => recent.sum / recent.count as f64,
            },
            Statistic::Max => match recent() {
                recent if recent.count == 0 => f64::NAN,
                recent => recent.max,
            },
        }
    }
}

/// Declares a set of sensors, and how many they are.
macro_rules! sensors {
    ($(#[$about:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident,)+ }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum $name { $($(#[$doc])* $variant,)+ }

        impl $name {
            /// Every one of them, in order.
            pub(crate) const ALL: &'static [$name] = &[$($name::$variant,)+];
        }
    };
}

sensors! {
    /// What is measured of the producer as a whole. The unit of each value stands with it.
    ClientSensor {
        /// A batch in a request: bytes on the wire.
        BatchSize,
        /// A batch in a request: compressed bytes for each uncompressed one.
        CompressionRate,
        /// A batch in a request: milliseconds since its first record.
        QueueTime,
        /// A batch in a request: bytes of its largest record.
        RecordSize,
        /// A Produce request: its records.
        RecordsPerRequest,
        /// An answer to Produce: milliseconds since the request was sent.
        RequestLatency,
        /// Records that are sent again.
        RecordRetry,
        /// Records that failed.
        RecordError,
        /// A batch that was split: 1.
        BatchSplit,
        /// An answer: milliseconds that the broker throttles this client.
        ThrottleTime,
        /// Nanoseconds that a send waited for memory.
        BufferWait,
        /// A send that got no memory in time: 1.
        BufferExhausted,
        /// Nanoseconds that a send waited for metadata.
        MetadataWait,
        /// Nanoseconds in a flush.
        Flush,
        /// Nanoseconds in the call that gets the producer id.
        TransactionInit,
        /// Nanoseconds in the beginning of a transaction.
        TransactionBegin,
        /// Nanoseconds in sending offsets to a transaction.
        TransactionSendOffsets,
        /// Nanoseconds in a commit.
        TransactionCommit,
        /// Nanoseconds in an abort.
        TransactionAbort,
        /// A record that became a dead letter: 1.
        DeadLetter,
        /// A dead letter that a broker acknowledged: 1.
        DeadLetterWritten,
        /// A dead letter that could not be delivered either: 1.
        DeadLetterLost,
        /// A connection that was made: 1.
        ConnectionCreation,
        /// A connection that ended: 1.
        ConnectionClose,
        /// A connection that is authenticated, or needs not be: 1.
        Authentication,
        /// A connection that was refused, by either side: 1.
        FailedAuthentication,
        /// A session that was authenticated again: 1.
        Reauthentication,
        /// A session that could not be authenticated again: 1.
        FailedReauthentication,
        /// Milliseconds that authenticating again took.
        ReauthenticationLatency,
        /// A read or write: 1.
        NetworkIo,
        /// Bytes written.
        OutgoingBytes,
        /// Bytes read.
        IncomingBytes,
        /// A request: its bytes.
        Request,
        /// An answer: 1.
        Response,
        /// Nanoseconds that the I/O thread waited.
        IoWait,
        /// Nanoseconds that the I/O thread worked.
        IoTime,
    }
}

sensors! {
    /// What is measured of each broker.
    NodeSensor {
        /// Bytes written.
        OutgoingBytes,
        /// Bytes read.
        IncomingBytes,
        /// A request: its bytes.
        Request,
        /// An answer: 1.
        Response,
        /// An answer to Produce: milliseconds since the request was sent.
        RequestLatency,
    }
}

sensors! {
    /// What is measured of each topic.
    TopicSensor {
        /// A batch in a request: its records.
        RecordSend,
        /// A batch in a request: bytes on the wire.
        Bytes,
        /// A batch in a request: compressed bytes for each uncompressed one.
        CompressionRate,
        /// Records that are sent again.
        RecordRetry,
        /// Records that failed.
        RecordError,
    }
}

/// What is looked up when somebody asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Gauge {
    /// Bytes of `buffer.memory`.
    BufferTotal,
    /// Bytes of it that nothing holds.
    BufferAvailable,
    /// Sends that wait for memory.
    WaitingThreads,
    /// Requests without an answer.
    RequestsInFlight,
    /// Open connections.
    ConnectionCount,
}

impl Gauge {
    pub(crate) const COUNT: usize = Gauge::ConnectionCount as usize + 1;
}

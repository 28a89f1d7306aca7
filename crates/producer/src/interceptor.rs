//! Interceptors: code that sees each record before it is queued, and its outcome.

use crate::{Error, Record};
use ottla_sender::RecordMetadata;

/// Sees each record before it is queued, and may change it; and is told its outcome. Given to
/// [`ProducerBuilder::interceptor`](crate::ProducerBuilder::interceptor); as in Java several form a chain, in the order in
/// which they were given.
///
/// A panic ends the call that panics, and nothing else: the record goes on as it was before.
///
/// ```
/// use ottla::{Acknowledgement, Interceptor, Producer, Record};
///
/// struct Stamp;
///
/// impl Interceptor for Stamp {
///     fn on_send<'r>(&self, record: Record<'r>) -> Record<'r> {
///         record.header("origin", Some(b"till-7"))
///     }
///
///     fn on_acknowledgement(&self, acknowledgement: &Acknowledgement<'_>) {
///         if let Err(error) = acknowledgement.outcome() {
///             eprintln!("a record for {} failed: {error}", acknowledgement.topic());
///         }
///     }
/// }
///
/// # fn main() -> Result<(), ottla::Error> {
/// let producer = Producer::builder().bootstrap_servers("127.0.0.1:9092").interceptor(Stamp).build()?;
/// # Ok(())
/// # }
/// ```
pub trait Interceptor: Send + Sync + 'static {
    /// Sees a record, and returns what is to be sent in its place. Called by whoever sends, before the partition is
    /// chosen; by a [`TypedProducer`](crate::TypedProducer) after key and value were serialized (in Java before).
    ///
    /// A record that [`try_send`](crate::Producer::try_send) did not queue because it would have to wait comes by again
    /// when it is tried again.
    fn on_send<'r>(&self, record: Record<'r>) -> Record<'r> {
        record
    }

    /// Is told the outcome of a record, before its sender is; also that it was not queued, unless that was because
    /// `try_send` would have to wait. Outcomes come on the producer's thread for callbacks: a slow interceptor delays
    /// those and the deliveries, and nothing else.
    fn on_acknowledgement(&self, acknowledgement: &Acknowledgement<'_>) {
        let _ = acknowledgement;
    }
}

/// The outcome of one record, as an interceptor is told.
#[derive(Debug)]
pub struct Acknowledgement<'a> {
    pub(crate) topic: &'a str,
    pub(crate) partition: Option<i32>,
    pub(crate) outcome: Result<&'a RecordMetadata, &'a Error>,
}

impl<'a> Acknowledgement<'a> {
    /// The topic that the record was for.
    pub fn topic(&self) -> &'a str {
        self.topic
    }

    /// The partition; `None` if the record was not queued.
    pub fn partition(&self) -> Option<i32> {
        self.partition
    }

    /// Where the record is, or why it is not there.
    pub fn outcome(&self) -> Result<&'a RecordMetadata, &'a Error> {
        self.outcome
    }
}

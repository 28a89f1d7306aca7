//! The outcome of a record.

use crate::Error;
use ottla_sender::RecordMetadata;
use std::pin::Pin;
use std::task::{Context, Poll};

/// The future outcome of one record: where it is, or why it is not there.
///
/// It resolves by `delivery.timeout.ms`, whether it is awaited or not. Dropping it costs nothing and cancels nothing.
#[derive(Debug)]
#[must_use = "an outcome that nobody looks at loses errors; drop it explicitly if that is meant"]
pub struct Delivery(pub(crate) ottla_sender::Delivery);

impl Delivery {
    /// The topic of the record.
    pub fn topic(&self) -> &str {
        self.0.topic()
    }

    /// The partition of the record.
    pub fn partition(&self) -> i32 {
        self.0.partition()
    }

    /// Whether the outcome stands, so that awaiting it will not wait.
    pub fn is_resolved(&self) -> bool {
        self.0.is_resolved()
    }

    /// The outcome, if it stands.
    pub fn outcome(&self) -> Option<Result<RecordMetadata, Error>> {
        Some(self.0.outcome()?.map_err(Error::from))
    }
}

impl Future for Delivery {
    type Output = Result<RecordMetadata, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx).map_err(Error::from)
    }
}

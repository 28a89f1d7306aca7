//! Queueing one record, and waiting if that must be.

use crate::interrupt::Interrupt;
use crate::park::Parker;
use ottla::{Delivery, Error, Producer, Record};
use std::time::Duration;

/// What became of the attempt.
pub(crate) enum Queued {
    /// The outcome is to come.
    Delivery(Delivery),
    /// It will not be sent.
    Refused(Error),
    /// A signal came first.
    Interrupted,
}

/// Queues `record`; `before_waiting` is called if there is no room, or no metadata, at once.
pub(crate) fn queue(
    producer: &Producer,
    record: &Record<'_>,
    parker: &Parker,
    interrupt: &Interrupt,
    before_waiting: impl FnOnce(),
) -> Queued {
    match producer.try_send(record) {
        Ok(delivery) => return Queued::Delivery(delivery),
        Err(error) if !error.would_wait() => return Queued::Refused(error),
        Err(_) => before_waiting(),
    }
    let send = producer.send(record);
    match parker.wait_unless_interrupted(send, interrupt, Duration::MAX, || {}) {
        Some(Ok(delivery)) => Queued::Delivery(delivery),
        Some(Err(error)) => Queued::Refused(error),
        None => Queued::Interrupted,
    }
}

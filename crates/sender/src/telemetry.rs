//! The name that the cluster gives this client for its telemetry, shared by callers and the sender.

use ottla_protocol::wire::Uuid;
use parking_lot::Mutex;
use std::fmt;
use std::task::{Context, Waker};
use std::time::Duration;

/// The client instance id (KIP-714), and who waits for it.
#[derive(Debug, Default)]
pub(crate) struct Instance(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    id: Option<Uuid>,
    waiting: Vec<Waker>,
}

impl Instance {
    pub(crate) fn set(&self, id: Uuid) {
        let mut inner = self.0.lock();
        inner.id = Some(id);
        let waiting = std::mem::take(&mut inner.waiting);
        drop(inner);
        waiting.into_iter().for_each(Waker::wake);
    }

    /// The id, if there is one; else the task is woken when there is.
    pub(crate) fn poll(&self, cx: &Context<'_>) -> Option<Uuid> {
        let mut inner = self.0.lock();
        if inner.id.is_some() {
            return inner.id;
        }
        if !inner.waiting.iter().any(|waker| waker.will_wake(cx.waker())) {
            inner.waiting.push(cx.waker().clone());
        }
        None
    }
}

/// Why there is no client instance id.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TelemetryError {
    /// `enable.metrics.push` is false.
    Disabled,
    /// No broker has given one in time; those without a reporter for clients' metrics give none.
    TimedOut {
        /// How long was waited.
        waited: Duration,
    },
    /// The producer is closed.
    Closed,
}

impl fmt::Display for TelemetryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TelemetryError::Disabled => {
                f.write_str("there is no client instance id: enable.metrics.push is false")
            }
            TelemetryError::TimedOut { waited } => write!(
                f,
                "no broker gave a client instance id within {} ms; brokers do so only if their operators installed a \
                 reporter for clients' metrics (KIP-714)",
                waited.as_millis()
            ),
            TelemetryError::Closed => f.write_str("the producer is closed"),
        }
    }
}

impl std::error::Error for TelemetryError {}

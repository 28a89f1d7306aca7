//! What waits to be written to one connection.

use bytes::Bytes;
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// The bytes that a connection's task is to write, and whether it is to end.
#[derive(Debug)]
pub(super) struct Outbox {
    state: Mutex<OutboxState>,
    changed: Notify,
    unsent_bytes_max: usize,
}

#[derive(Debug, Default)]
struct OutboxState {
    queue: VecDeque<Bytes>,
    bytes: usize,
    closing: Option<Closing>,
}

/// How a connection is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Closing {
    /// Once everything in the queue is written.
    AfterWriting,
    /// At once.
    Now,
}

/// What a connection's task has to do next.
#[derive(Debug)]
pub(super) struct Work {
    pub(super) queue: VecDeque<Bytes>,
    pub(super) closing: Option<Closing>,
}

impl Outbox {
    pub(super) fn new(unsent_bytes_max: usize) -> Outbox {
        Outbox {
            state: Mutex::new(OutboxState::default()),
            changed: Notify::new(),
            unsent_bytes_max,
        }
    }

    /// Adds bytes. A client that does not read, and lets more wait than the limit, is cut off.
    pub(super) fn push(&self, bytes: Bytes) {
        let mut state = self.lock();
        state.bytes = state.bytes.saturating_add(bytes.len());
        if state.bytes > self.unsent_bytes_max && !state.queue.is_empty() {
            state.queue.clear();
            state.closing = Some(Closing::Now);
        } else {
            state.queue.push_back(bytes);
        }
        drop(state);
        self.changed.notify_one();
    }

    /// Ends the connection.
    pub(super) fn close(&self, closing: Closing) {
        let mut state = self.lock();
        if state.closing != Some(Closing::Now) {
            state.closing = Some(closing);
        }
        drop(state);
        self.changed.notify_one();
    }

    /// Wakes the connection's task without giving it anything to write.
    pub(super) fn wake(&self) {
        self.changed.notify_one();
    }

    /// Takes everything that waits.
    pub(super) fn take(&self) -> Work {
        let mut state = self.lock();
        state.bytes = 0;
        Work {
            queue: std::mem::take(&mut state.queue),
            closing: state.closing,
        }
    }

    /// Whether the connection is to end without writing what waits.
    pub(super) fn is_killed(&self) -> bool {
        self.lock().closing == Some(Closing::Now)
    }

    /// Waits for a change since the last wait ended.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    fn lock(&self) -> MutexGuard<'_, OutboxState> {
        // The state is whole after every statement, so a panic elsewhere leaves nothing half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

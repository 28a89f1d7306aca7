//! Connections that wait for their next request.

use super::connection::Connection;
use crate::Endpoint;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};
use std::time::Duration;
use tokio::time::Instant;

/// How many are kept, and for how long. Servers drop what idles for a minute or so; a token or a schema is asked for in
/// bursts, and then not for hours.
const IDLE_MAX: usize = 4;
const IDLE_TIME_MAX: Duration = Duration::from_secs(30);

/// Where a connection leads.
pub(super) type Key = (bool, Endpoint);

/// A bounded number of connections. Nothing polls them here: one that was closed is found out when it is taken.
#[derive(Default)]
pub(super) struct Pool {
    idle: Mutex<Vec<Idle>>,
}

struct Idle {
    key: Key,
    connection: Connection,
    since: Instant,
}

impl Pool {
    /// A connection that leads there and is still open.
    pub(super) fn take(&self, key: &Key) -> Option<Connection> {
        let mut idle = self.lock();
        idle.retain(|idle| idle.since.elapsed() < IDLE_TIME_MAX);
        while let Some(at) = idle.iter().rposition(|idle| idle.key == *key) {
            let mut connection = idle.swap_remove(at).connection;
            // Whoever takes it polls it again, and is woken then.
            if connection.poll_usable(&mut Context::from_waker(Waker::noop())) {
                return Some(connection);
            }
        }
        None
    }

    /// Keeps a connection, if it may be used again; the one that waited longest goes.
    pub(super) fn keep(&self, key: Key, mut connection: Connection) {
        if !connection.poll_usable(&mut Context::from_waker(Waker::noop())) {
            return;
        }
        let mut idle = self.lock();
        idle.retain(|idle| idle.since.elapsed() < IDLE_TIME_MAX);
        if idle.len() >= IDLE_MAX {
            let oldest = (0..idle.len()).min_by_key(|&at| idle[at].since);
            oldest.map(|at| idle.swap_remove(at));
        }
        idle.push(Idle {
            key,
            connection,
            since: Instant::now(),
        });
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Idle>> {
        // A connection that panicked was taken out of the list before.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

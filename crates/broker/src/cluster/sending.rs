//! The way of an answer to its client, and the end of connections.

use super::{Cluster, ConnectionId, Output};
use crate::connection::Outgoing;
use crate::event::EventKind;
use crate::node::Node;
use crate::timer::Timer;
use bytes::Bytes;
use ottla_time::Time;
use std::time::Duration;

impl Cluster {
    /// Sends a message of SASL that has no header.
    pub(crate) fn send_bare(&mut self, id: ConnectionId, bytes: Bytes) {
        self.enqueue(id, Duration::ZERO, Outgoing::Bytes(bytes));
    }

    /// Puts something on its way, behind what is on its way already.
    pub(super) fn enqueue(&mut self, id: ConnectionId, delay: Duration, outgoing: Outgoing) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        if connection.silent {
            return;
        }
        let round_trip = self
            .nodes
            .get(&connection.broker)
            .map_or(Duration::ZERO, |node| node.round_trip);
        let arrival = self.now + round_trip.saturating_add(delay);
        let last = connection.outgoing.back().map_or(Time::ZERO, |&(at, _)| at);
        let arrival = arrival.max(last);
        connection.outgoing.push_back((arrival, outgoing));
        if arrival > self.now {
            self.timers.set(arrival, Timer::Flush(id));
        } else {
            self.flush(id);
        }
    }

    /// Hands over what has arrived by now.
    pub(crate) fn flush(&mut self, id: ConnectionId) {
        loop {
            let Some(connection) = self.connections.get_mut(&id) else {
                return;
            };
            if self.nodes.get(&connection.broker).is_none_or(Node::is_frozen) {
                return;
            }
            if connection.outgoing.front().is_none_or(|&(at, _)| at > self.now) {
                return;
            }
            match connection.outgoing.pop_front() {
                Some((_, Outgoing::Bytes(bytes))) => {
                    let max = self.config.limits.queued_requests_max.max(1);
                    if connection.outgoing.len() + 1 == max {
                        self.ready.push_back(id);
                    }
                    self.outputs.push_back(Output::Send {
                        connection: id,
                        bytes,
                    });
                }
                Some((_, Outgoing::Close(reason))) => self.close(id, reason),
                None => return,
            }
        }
    }

    /// Ends a connection; what was answered before is still sent.
    pub(crate) fn close(&mut self, id: ConnectionId, reason: &'static str) {
        self.end_connection(id, reason, false);
    }

    /// Ends a connection as a broker does that dies.
    pub(crate) fn reset(&mut self, id: ConnectionId, reason: &'static str) {
        self.end_connection(id, reason, true);
    }

    fn end_connection(&mut self, id: ConnectionId, reason: &'static str, at_once: bool) {
        if self.connections.remove(&id).is_some() {
            self.forget_waiters_of(id);
            self.events.record(self.now, || EventKind::Closed {
                connection: id.0,
                reason,
            });
            self.outputs.push_back(Output::Close {
                connection: id,
                at_once,
            });
        }
    }

    pub(super) fn close_if_idle(&mut self, id: ConnectionId) {
        let Some(idle) = self.config.connections_max_idle else {
            return;
        };
        let Some(connection) = self.connections.get(&id) else {
            return;
        };
        let deadline = connection.last_active + idle;
        if connection.busy || deadline > self.now {
            let next = if connection.busy {
                self.now + idle
            } else {
                deadline
            };
            self.timers.set(next, Timer::Idle(id));
        } else {
            self.close(id, "idle for too long");
        }
    }
}

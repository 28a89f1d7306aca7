//! What the connections tell the producer's metrics.

use crate::node::Shared;
use ottla_metrics::{ClientSensor, Gauge, NodeSensor};
use ottla_time::Time;

impl Shared {
    /// A connection was made.
    pub(crate) fn note_created(&mut self, now: Time) {
        self.connections += 1;
        self.metrics.set(Gauge::ConnectionCount, self.connections);
        self.metrics.at(now).client(ClientSensor::ConnectionCreation, 1.0);
    }

    /// A connection that was made has ended.
    pub(crate) fn note_closed(&mut self, now: Time) {
        self.connections = self.connections.saturating_sub(1);
        self.metrics.set(Gauge::ConnectionCount, self.connections);
        self.metrics.at(now).client(ClientSensor::ConnectionClose, 1.0);
    }

    /// One side does not accept the other; `again` in a session that was good before.
    pub(crate) fn note_refused(&self, again: bool, now: Time) {
        let sensor = if again {
            ClientSensor::FailedReauthentication
        } else {
            ClientSensor::FailedAuthentication
        };
        self.metrics.at(now).client(sensor, 1.0);
    }

    /// A connection is ready. As in Java that counts as an authentication, whatever had to be proved.
    pub(crate) fn note_authenticated(&self, now: Time) {
        self.metrics.at(now).client(ClientSensor::Authentication, 1.0);
    }

    /// A session was renewed, which began at `since`.
    pub(crate) fn note_renewed(&self, since: Time, now: Time) {
        let mut recorder = self.metrics.at(now);
        recorder.client(ClientSensor::Reauthentication, 1.0);
        let latency_ms = now.since(since).as_secs_f64() * 1e3;
        recorder.client(ClientSensor::ReauthenticationLatency, latency_ms);
    }

    /// A request was handed to the I/O.
    pub(crate) fn note_request(&self, node: i32, bytes: usize, now: Time) {
        let mut recorder = self.metrics.at(now);
        recorder.client(ClientSensor::Request, bytes as f64);
        recorder.node(node, NodeSensor::Request, bytes as f64);
    }

    /// An answer came.
    pub(crate) fn note_response(&self, node: i32, now: Time) {
        let mut recorder = self.metrics.at(now);
        recorder.client(ClientSensor::Response, 1.0);
        recorder.node(node, NodeSensor::Response, 1.0);
    }

    pub(crate) fn note_written(&self, node: i32, bytes: usize, now: Time) {
        let mut recorder = self.metrics.at(now);
        recorder.client(ClientSensor::NetworkIo, 1.0);
        recorder.client(ClientSensor::OutgoingBytes, bytes as f64);
        recorder.node(node, NodeSensor::OutgoingBytes, bytes as f64);
    }

    pub(crate) fn note_read(&self, node: i32, bytes: usize, now: Time) {
        let mut recorder = self.metrics.at(now);
        recorder.client(ClientSensor::NetworkIo, 1.0);
        recorder.client(ClientSensor::IncomingBytes, bytes as f64);
        recorder.node(node, NodeSensor::IncomingBytes, bytes as f64);
    }
}

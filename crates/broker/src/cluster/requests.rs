//! The way of a request: its header, the faults that strike it, its API, its answer.

use super::{Cluster, ConnectionId};
use crate::api;
use crate::connection::Outgoing;
use crate::event::EventKind;
use crate::fault::{FaultAction, RequestFacts};
use crate::request::{Held, Outcome, RequestContext};
use crate::timer::Timer;
use crate::versions;
use bytes::{Bytes, BytesMut};
use ottla_protocol::ApiKey;
use ottla_protocol::wire::Reader;

impl Cluster {
    /// Reads the header of a request, and asks the faults what becomes of it.
    pub(super) fn begin(&mut self, id: ConnectionId, frame: Bytes) {
        let Some(connection) = self.connections.get(&id) else {
            return;
        };
        let broker = connection.broker;
        if self.take_bare_sasl(id, &frame) {
            return;
        }
        let (mut context, body) = match api::parse_header(id, broker, &frame) {
            Ok(parsed) => parsed,
            Err(reason) => return self.close(id, reason),
        };
        let api = context.api;
        self.events.record(self.now, || EventKind::Request {
            connection: id.0,
            broker,
            api,
            version: context.version,
            correlation_id: context.correlation_id,
        });
        if let Some(objection) = self.sasl_objection(id, api) {
            return self.close(id, objection);
        }
        let is_spoken = versions::is_supported(self.config.pose, api, context.version) && self.offers(api);
        if !is_spoken && api != ApiKey::API_VERSIONS {
            // As a broker does: only ApiVersions has an answer to a version that is not spoken (KIP-511).
            return self.close(id, "the API or its version is not supported");
        }
        if !self.faults.is_empty() {
            let partitions = if self.faults.needs_partitions() {
                self.named_partitions(&context, &body)
            } else {
                Vec::new()
            };
            let facts = RequestFacts {
                api,
                broker,
                connection: id.0,
                partitions: &partitions,
            };
            context.strikes = self.faults.strike(&facts);
            for (rule, _) in &context.strikes.rules {
                self.events.record(self.now, || EventKind::Fault {
                    connection: id.0,
                    rule: *rule,
                    api,
                });
            }
        }
        let delay = context.strikes.delay();
        if delay.is_zero() {
            self.execute(context, body);
            return;
        }
        self.timers.set(self.now + delay, Timer::Execute(id));
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.busy = true;
            connection.held = Some(Held { context, body });
        }
    }

    /// Carries a request out.
    pub(super) fn execute(&mut self, context: RequestContext, body: Bytes) {
        let id = context.connection;
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.busy = false;
        }
        match context.strikes.before() {
            Some(FaultAction::DropRequest) => return,
            Some(_) => return self.close(id, "a fault"),
            None => {}
        }
        let mut reader = Reader::from_bytes(&body);
        let outcome = api::dispatch(self, &context, &mut reader);
        self.finish(&context, outcome);
        self.answer_group_waiters();
    }

    /// Does what came of a request.
    pub(crate) fn finish(&mut self, context: &RequestContext, outcome: Outcome) {
        let id = context.connection;
        match outcome {
            Outcome::Answer(frame) => self.answer(context, frame),
            Outcome::AnswerAndClose(frame, reason) => {
                self.answer(context, frame);
                self.enqueue(id, context.strikes.response_delay(), Outgoing::Close(reason));
            }
            Outcome::Nothing => {}
            Outcome::Wait => {
                if let Some(connection) = self.connections.get_mut(&id) {
                    connection.busy = true;
                }
            }
            Outcome::Close(reason) => self.close(id, reason),
        }
    }

    /// Sends an answer, spoiled if a fault wants that.
    fn answer(&mut self, context: &RequestContext, frame: Bytes) {
        let id = context.connection;
        let Some(spoil) = context.strikes.spoil() else {
            return self.send(context, frame);
        };
        match spoil {
            FaultAction::DisconnectAfter => self.close(id, "a fault"),
            FaultAction::CloseAtByte(bytes) => {
                let cut = frame.slice(..(*bytes).min(frame.len()));
                self.send(context, cut);
                self.enqueue(id, context.strikes.response_delay(), Outgoing::Close("a fault"));
            }
            FaultAction::Partial(bytes) => {
                let cut = frame.slice(..(*bytes).min(frame.len()));
                self.send(context, cut);
                if let Some(connection) = self.connections.get_mut(&id) {
                    connection.silent = true;
                }
            }
            FaultAction::Garbage(bytes) => self.send(context, bytes.clone()),
            FaultAction::GarbageBody(bytes) => {
                let mut spoiled = BytesMut::with_capacity(8 + bytes.len());
                let length = i32::try_from(bytes.len().saturating_add(4)).unwrap_or(i32::MAX);
                spoiled.extend_from_slice(&length.to_be_bytes());
                spoiled.extend_from_slice(&context.correlation_id.to_be_bytes());
                spoiled.extend_from_slice(bytes);
                self.send(context, spoiled.freeze());
            }
            FaultAction::WrongCorrelationId(by) => {
                let mut spoiled = BytesMut::from(&frame[..]);
                let wrong = context.correlation_id.wrapping_add(*by);
                if let Some(field) = spoiled.get_mut(4..8) {
                    field.copy_from_slice(&wrong.to_be_bytes());
                }
                self.send(context, spoiled.freeze());
            }
            // DropResponse: the client waits in vain.
            _ => {}
        }
    }

    fn send(&mut self, context: &RequestContext, bytes: Bytes) {
        self.enqueue(
            context.connection,
            context.strikes.response_delay(),
            Outgoing::Bytes(bytes),
        );
    }

    /// The number of a request that is going to wait.
    pub(crate) fn new_ticket(&mut self) -> u64 {
        self.next_ticket += 1;
        self.next_ticket
    }

    /// Ends the wait of a request with its answer, and lets its connection go on.
    pub(crate) fn finish_waiter(&mut self, context: &RequestContext, outcome: Outcome) {
        let id = context.connection;
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.busy = false;
        }
        self.finish(context, outcome);
        self.ready.push_back(id);
    }
}

//! The producer's side: the real sender and the real connection states, driven as the facade drives them.

use crate::counters::Counters;
use crate::executor::{WakeList, Woken};
use crate::ledger::Ledger;
use crate::scenario::Scenario;
use crate::trace::Trace;
use crate::wire::{End, Wire};
use ottla_network::{Endpoint, Network, NetworkError, NetworkErrorKind, NetworkEvent, OutgoingRequest};
use ottla_sender::{Action, ApiRange, Disconnect, DisconnectClass, Request, SealJob, Sealed, Sealer, Sender};
use ottla_time::Time;
use std::task::{Context, Waker};

/// How many turns the sender may want within one moment without asking for anything: more is a spin. (With acks=0 a
/// whole queue leaves within a moment, and each batch of it is a turn.)
const IDLE_TURNS_PER_MOMENT_MAX: u32 = 200;

/// Sender and network.
pub(crate) struct Client {
    /// `None` once it has finished.
    sender: Option<Sender>,
    pub(crate) network: Network,
    pub(crate) sealer: Sealer,
    waker: Waker,
    /// Whether the sender was told something since its last turn.
    fed: bool,
    moment: (Time, u32),
    pub(crate) finished: bool,
}

/// What the client reads and writes besides itself.
pub(crate) struct Around<'a> {
    pub(crate) wire: &'a mut Wire,
    pub(crate) trace: &'a mut Trace,
    pub(crate) counters: &'a mut Counters,
    pub(crate) ledger: &'a Ledger,
    /// Batches to be compressed.
    pub(crate) jobs: &'a mut Vec<SealJob>,
}

impl Client {
    pub(crate) fn new(sender: Sender, scenario: &Scenario, list: &WakeList) -> Result<Client, String> {
        let network = Network::new(scenario.network.clone(), scenario.cluster.seed);
        Ok(Client {
            sender: Some(sender),
            network: network.map_err(|error| error.to_string())?,
            sealer: Sealer::new(scenario.sender.codec).map_err(|error| error.to_string())?,
            waker: list.waker(Woken::Driver),
            fed: true,
            moment: (Time::ZERO, 0),
            finished: false,
        })
    }

    /// When the client has to run although nothing happens.
    pub(crate) fn next_timeout(&self) -> Option<Time> {
        let sender = self.sender.as_ref().and_then(Sender::next_timeout);
        sender
            .into_iter()
            .chain(self.network.poll_timeout())
            .min()
            .filter(|&at| at < Time::MAX)
    }

    /// A batch was compressed.
    pub(crate) fn sealed(&mut self, sealed: Sealed, now: Time) {
        if let Some(sender) = &mut self.sender {
            sender.handle_sealed(sealed, now);
            self.fed = true;
        }
    }

    /// Takes events of the network, and a turn of the sender if there is a reason. True if there was; what the network
    /// wants done has to be done before the next call.
    pub(crate) fn turn(&mut self, now: Time, around: &mut Around<'_>) -> Result<bool, String> {
        self.network.handle_timeout(now);
        let Some(mut sender) = self.sender.take() else {
            return Ok(false);
        };
        let mut reason = sender.wakeup().take(&mut Context::from_waker(&self.waker));
        reason |= std::mem::take(&mut self.fed);
        while let Some(event) = self.network.poll_event() {
            handle(&mut sender, event, now, around)?;
            reason = true;
        }
        reason |= sender.next_timeout().is_some_and(|at| at <= now);
        if !reason {
            self.sender = Some(sender);
            return Ok(false);
        }
        sender.turn(now);
        let mut idle = true;
        while let Some(action) = sender.poll_action() {
            idle = false;
            self.carry_out(&mut sender, action, now, around)?;
        }
        if !self.finished {
            self.sender = Some(sender);
        }
        if idle {
            self.count_idle_turn(now)?;
        }
        Ok(true)
    }

    fn count_idle_turn(&mut self, now: Time) -> Result<(), String> {
        if self.moment.0 != now {
            self.moment = (now, 0);
        }
        self.moment.1 += 1;
        if self.moment.1 > IDLE_TURNS_PER_MOMENT_MAX {
            return Err(format!(
                "the sender spins: {IDLE_TURNS_PER_MOMENT_MAX} turns within a moment for nothing"
            ));
        }
        Ok(())
    }

    fn carry_out(
        &mut self,
        sender: &mut Sender,
        action: Action,
        now: Time,
        around: &mut Around<'_>,
    ) -> Result<(), String> {
        match action {
            Action::Connect { node, address } => {
                around.trace.note(
                    now,
                    "connect",
                    [node as u64, 0],
                    format_args!("to {node} at {}", address.host),
                );
                self.network
                    .connect(node, Endpoint::new(address.host, address.port), now);
            }
            Action::Disconnect { node } => {
                around
                    .trace
                    .note(now, "disconnect", [node as u64, 0], format_args!("from {node}"));
                self.network.disconnect(node, now);
            }
            Action::Send { node, request } => self.send(sender, node, request, now, around)?,
            Action::Extend { node, by } => self.network.extend_deadlines(node, by),
            Action::Seal(job) => {
                around.counters.sealed += 1;
                around.jobs.push(job);
            }
            Action::Finished => {
                around.trace.note(now, "finished", [0, 0], "");
                self.finished = true;
            }
            _ => {}
        }
        Ok(())
    }

    fn send(
        &mut self,
        sender: &mut Sender,
        node: i32,
        request: Request,
        now: Time,
        around: &mut Around<'_>,
    ) -> Result<(), String> {
        around.trace.note(
            now,
            "send",
            [request.id, node as u64],
            format_args!("request {} of API {} to {node}", request.id, request.api_key),
        );
        around
            .wire
            .sent(now, node, &request, around.ledger, around.counters, around.trace)?;
        let id = request.id;
        let outgoing = OutgoingRequest {
            id,
            api_key: request.api_key,
            api_version: request.api_version,
            flexible: request.flexible,
            body: request.body.into_iter().collect(),
            expects_response: request.expects_response,
            timeout: request.timeout,
        };
        if let Err(error) = self.network.send(node, outgoing, now) {
            around.wire.ended(
                now,
                id,
                End::Failed { written: false },
                around.counters,
                around.trace,
            )?;
            sender.handle_failed(node, id, &error.to_string(), false, now);
            self.fed = true;
        }
        Ok(())
    }
}

fn handle(
    sender: &mut Sender,
    event: NetworkEvent,
    now: Time,
    around: &mut Around<'_>,
) -> Result<(), String> {
    let Around {
        wire,
        trace,
        counters,
        ..
    } = around;
    match event {
        NetworkEvent::Ready { node, versions } => {
            trace.note(now, "ready", [node as u64, 0], format_args!("{node}"));
            let ranges = versions.apis.iter().map(|api| ApiRange {
                key: api.key,
                min: api.min,
                max: api.max,
            });
            let level = versions.feature_level("transaction.version");
            sender.handle_features(versions.finalized_features_epoch, level);
            sender.handle_ready(node, ranges, now);
        }
        NetworkEvent::Response { node, id, body } => {
            trace.note(
                now,
                "response",
                [id, body.len() as u64],
                format_args!("to request {id} from {node}"),
            );
            wire.ended(now, id, End::Answered(&body), counters, trace)?;
            sender.handle_response(node, id, body, now);
        }
        NetworkEvent::Written { node, id } => {
            trace.note(now, "written", [id, 0], format_args!("request {id}"));
            wire.ended(now, id, End::Written, counters, trace)?;
            sender.handle_written(node, id, now);
        }
        NetworkEvent::Failed {
            node,
            id,
            error,
            written,
        } => {
            trace.note(
                now,
                "failed",
                [id, u64::from(written)],
                format_args!("request {id}, written: {written}: {error}"),
            );
            wire.ended(now, id, End::Failed { written }, counters, trace)?;
            sender.handle_failed(node, id, &error.to_string(), written, now);
        }
        NetworkEvent::Disconnected { node, error, .. } => {
            trace.note(now, "gone", [node as u64, 0], format_args!("{node}: {error}"));
            match error.kind() {
                NetworkErrorKind::RequestTimeout { .. } => counters.request_timeouts += 1,
                NetworkErrorKind::FrameLength { .. }
                | NetworkErrorKind::CorrelationMismatch { .. }
                | NetworkErrorKind::Malformed { .. }
                | NetworkErrorKind::Unsolicited => counters.garbage += 1,
                _ => {}
            }
            let class = class(&error);
            let cause = error.to_string();
            sender.handle_disconnected(node, Disconnect { class, cause: &cause }, now);
        }
        _ => {}
    }
    Ok(())
}

/// As the facade's driver has it.
fn class(error: &NetworkError) -> DisconnectClass {
    if error.is_authentication() {
        DisconnectClass::Authentication
    } else if error.is_wrong_peer() {
        DisconnectClass::WrongPeer
    } else {
        DisconnectClass::Passing
    }
}

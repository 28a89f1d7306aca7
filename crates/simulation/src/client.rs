//! The producer's side: the real sender and the real connection states, driven as the facade drives them.

use crate::crowd::Crowd;
use crate::desk::Desk;
use crate::executor::{WakeList, Woken};
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
    /// Whether it takes a turn that it did not ask for.
    forced: bool,
    moment: (Time, u32),
    pub(crate) finished: bool,
}

/// What the client reads and writes besides itself.
pub(crate) struct Around<'a> {
    pub(crate) wire: &'a mut Wire,
    pub(crate) trace: &'a Trace,
    pub(crate) desk: &'a Desk,
    pub(crate) crowd: &'a Crowd,
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
            forced: false,
            moment: (Time::ZERO, 0),
            finished: false,
        })
    }

    /// When the client has to run although nothing happens.
    pub(crate) fn poll_timeout(&self, crowd: &Crowd) -> Option<Time> {
        let sender = crowd.while_at_work(|| self.sender.as_ref().and_then(Sender::poll_timeout));
        sender
            .into_iter()
            .chain(self.network.poll_timeout())
            .min()
            .filter(|&at| at < Time::MAX)
    }

    /// A batch was compressed.
    pub(crate) fn sealed(&mut self, sealed: Sealed, now: Time, crowd: &Crowd) {
        if let Some(sender) = &mut self.sender {
            crowd.while_at_work(|| sender.handle_sealed(sealed, now));
            self.fed = true;
        }
    }

    /// The sender is to take a turn, although it was told nothing.
    pub(crate) fn force_turn(&mut self) {
        (self.fed, self.forced) = (true, true);
    }

    /// Takes events of the network, and a turn of the sender if there is a reason. True if there was; what the network
    /// wants done has to be done before the next call.
    pub(crate) fn turn(&mut self, now: Time, around: &mut Around<'_>) -> Result<bool, String> {
        self.network.handle_timeout(now);
        let Some(mut sender) = self.sender.take() else {
            return Ok(false);
        };
        let crowd = around.crowd;
        let take = || sender.wakeup().take(&mut Context::from_waker(&self.waker));
        let mut reason = crowd.while_at_work(take);
        reason |= std::mem::take(&mut self.fed);
        while let Some(event) = self.network.poll_event() {
            handle(&mut sender, event, now, around)?;
            reason = true;
        }
        reason |= crowd.while_at_work(|| sender.poll_timeout().is_some_and(|at| at <= now));
        if !reason {
            self.sender = Some(sender);
            return Ok(false);
        }
        crowd.while_at_work(|| sender.turn(now));
        let mut idle = true;
        while let Some(action) = sender.poll_action() {
            idle = false;
            self.carry_out(&mut sender, action, now, around)?;
        }
        if !self.finished {
            self.sender = Some(sender);
        }
        if idle && !std::mem::take(&mut self.forced) {
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
                around.desk.counters.borrow_mut().sealed += 1;
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
        around.wire.sent(
            now,
            node,
            &request,
            &around.desk.ledger.borrow(),
            &mut around.desk.counters.borrow_mut(),
            around.trace,
        )?;
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
                &mut around.desk.counters.borrow_mut(),
                around.trace,
            )?;
            let error = error.to_string();
            let failed = || sender.handle_failed(node, id, &error, false, now);
            around.crowd.while_at_work(failed);
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
        desk,
        crowd,
        ..
    } = around;
    let ended =
        |wire: &mut Wire, id, end: End<'_>| wire.ended(now, id, end, &mut desk.counters.borrow_mut(), trace);
    match event {
        NetworkEvent::Ready { node, versions } => {
            trace.note(now, "ready", [node as u64, 0], format_args!("{node}"));
            let ranges = versions.apis.iter().map(|api| ApiRange {
                key: api.key,
                min: api.min,
                max: api.max,
            });
            let level = versions.feature_level("transaction.version");
            crowd.while_at_work(|| {
                sender.handle_features(versions.finalized_features_epoch, level);
                sender.handle_ready(node, ranges, now);
            });
        }
        NetworkEvent::Response { node, id, body } => {
            trace.note(
                now,
                "response",
                [id, body.len() as u64],
                format_args!("to request {id} from {node}"),
            );
            ended(wire, id, End::Answered(&body))?;
            crowd.while_at_work(|| sender.handle_response(node, id, body, now));
        }
        NetworkEvent::Written { node, id } => {
            trace.note(now, "written", [id, 0], format_args!("request {id}"));
            ended(wire, id, End::Written)?;
            crowd.while_at_work(|| sender.handle_written(node, id, now));
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
            ended(wire, id, End::Failed { written })?;
            let error = error.to_string();
            crowd.while_at_work(|| sender.handle_failed(node, id, &error, written, now));
        }
        NetworkEvent::Disconnected { node, error, .. } => {
            trace.note(now, "gone", [node as u64, 0], format_args!("{node}: {error}"));
            let mut counters = desk.counters.borrow_mut();
            match error.kind() {
                NetworkErrorKind::RequestTimeout { .. } => counters.request_timeouts += 1,
                NetworkErrorKind::FrameLength { .. }
                | NetworkErrorKind::CorrelationMismatch { .. }
                | NetworkErrorKind::Malformed { .. }
                | NetworkErrorKind::Unsolicited => counters.garbage += 1,
                _ => {}
            }
            drop(counters);
            let class = class(&error);
            let cause = error.to_string();
            let why = Disconnect { class, cause: &cause };
            crowd.while_at_work(|| sender.handle_disconnected(node, why, now));
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

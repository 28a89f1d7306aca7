//! The driver: the sender and the network, polled together as one future.

use crate::codec_pool::CodecPool;
use ottla_metrics::{ClientSensor, Metrics};
use ottla_network::transport::NetworkDriver;
use ottla_network::{Endpoint, NetworkError, NetworkEvent, OutgoingRequest};
use ottla_sender::{Action, ApiRange, Disconnect, DisconnectClass, Request, Sender};
use ottla_time::{Clock, Time};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::time::{Instant, Sleep, sleep_until};

/// How many turns one poll takes before it lets the runtime's other tasks run.
const TURNS_PER_POLL: usize = 16;

/// Resolves when the producer is closed and everything is resolved.
pub(crate) struct Driver {
    sender: Sender,
    network: NetworkDriver,
    codecs: CodecPool,
    clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
    /// Whether bootstrap servers are called by the canonical names of their addresses.
    canonical_bootstrap_names: bool,
    /// When the last poll ended.
    idle_since: Option<Time>,
    timer: Timer,
    /// Whether carrying out an action has told the sender something, so that it has to take another turn.
    fed: bool,
    finished: bool,
}

impl Driver {
    pub(crate) fn new(
        sender: Sender,
        network: NetworkDriver,
        codecs: CodecPool,
        clock: Arc<dyn Clock>,
        metrics: Arc<Metrics>,
    ) -> Driver {
        Driver {
            sender,
            network,
            codecs,
            clock,
            metrics,
            canonical_bootstrap_names: false,
            idle_since: None,
            timer: Timer::default(),
            fed: false,
            finished: false,
        }
    }

    pub(crate) fn with_canonical_bootstrap_names(self, canonical_bootstrap_names: bool) -> Driver {
        Driver {
            canonical_bootstrap_names,
            ..self
        }
    }

    /// Feeds the sender what happened. True if anything did.
    fn gather(&mut self, cx: &mut Context<'_>, now: Time) -> bool {
        let mut happened = self.sender.wakeup().take(cx) | std::mem::take(&mut self.fed);
        while let Poll::Ready(event) = self.network.poll_event(cx, now) {
            self.handle(event, now);
            happened = true;
        }
        for sealed in self.codecs.take_sealed(cx) {
            self.sender.handle_sealed(sealed, now);
            happened = true;
        }
        happened
    }

    fn handle(&mut self, event: NetworkEvent, now: Time) {
        match event {
            NetworkEvent::Ready { node, versions } => {
                let ranges = versions.apis.iter().map(|api| ApiRange {
                    key: api.key,
                    min: api.min,
                    max: api.max,
                });
                let epoch = versions.finalized_features_epoch;
                self.sender
                    .handle_features(epoch, versions.feature_level("transaction.version"));
                self.sender.handle_ready(node, ranges, now);
                #[cfg(feature = "tracing")]
                crate::tracing::connected(self.metrics.client_id(), node);
            }
            NetworkEvent::Response { node, id, body } => self.sender.handle_response(node, id, body, now),
            NetworkEvent::Written { node, id } => self.sender.handle_written(node, id, now),
            NetworkEvent::Failed {
                node,
                id,
                error,
                written,
            } => {
                self.sender
                    .handle_failed(node, id, &error.to_string(), written, now);
            }
            NetworkEvent::Disconnected { node, error, .. } => {
                #[cfg(feature = "tracing")]
                crate::tracing::disconnected(self.metrics.client_id(), node, &error);
                let cause = error.to_string();
                let class = class(&error);
                self.sender
                    .handle_disconnected(node, Disconnect { class, cause: &cause }, now);
            }
            // Requests in flight are limited by number, and each waits for its answer: nothing to do.
            _ => {}
        }
    }

    fn carry_out(&mut self, action: Action, now: Time) {
        match action {
            Action::Connect { node, address } => {
                let mut endpoint = Endpoint::new(address.host, address.port);
                // Brokers that metadata names have ids from 0 on; what they are called there is their name.
                if node < 0 && self.canonical_bootstrap_names {
                    endpoint = endpoint.by_canonical_name();
                }
                self.network.connect(node, endpoint, now);
            }
            Action::Disconnect { node } => self.network.disconnect(node, now),
            Action::Send { node, request } => self.send(node, request, now),
            Action::Extend { node, by } => self.network.extend_deadlines(node, by),
            Action::Seal(job) => {
                if let Some(sealed) = self.codecs.seal(job) {
                    self.sender.handle_sealed(sealed, now);
                    self.fed = true;
                }
            }
            Action::Finished => self.finished = true,
            _ => {}
        }
    }

    fn send(&mut self, node: i32, request: Request, now: Time) {
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
            self.sender
                .handle_failed(node, id, &error.to_string(), false, now);
            self.fed = true;
        }
    }
}

/// Whether another attempt to connect can help.
fn class(error: &NetworkError) -> DisconnectClass {
    if error.is_authentication() {
        DisconnectClass::Authentication
    } else if error.is_wrong_peer() {
        DisconnectClass::WrongPeer
    } else {
        DisconnectClass::Passing
    }
}

impl Future for Driver {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let woken = this.clock.now();
        if let Some(since) = this.idle_since {
            let waited = woken.since(since).as_nanos() as f64;
            this.metrics.at(woken).client(ClientSensor::IoWait, waited);
        }
        let outcome = this.take_turns(cx);
        let done = this.clock.now();
        let worked = done.since(woken).as_nanos() as f64;
        this.metrics.at(done).client(ClientSensor::IoTime, worked);
        this.idle_since = Some(done);
        outcome
    }
}

impl Driver {
    /// Turns until there is nothing to do, or others have to have their time.
    fn take_turns(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let this = self;
        for _ in 0..TURNS_PER_POLL {
            let now = this.clock.now();
            let happened = this.gather(cx, now);
            let timeout = this.sender.poll_timeout();
            if !happened && timeout.is_none_or(|at| at > now) {
                let held_until = this.sender.may_hold(now);
                if held_until.is_some() {
                    this.sender.wakeup().hold();
                }
                let timeout = timeout.into_iter().chain(held_until).min();
                // The timer may have run out while we looked: then there is another turn to take.
                if this.timer.poll(cx, timeout, now).is_pending() {
                    return Poll::Pending;
                }
                continue;
            }
            this.sender.turn(now);
            while let Some(action) = this.sender.poll_action() {
                this.carry_out(action, now);
            }
            if this.finished {
                return Poll::Ready(());
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// One timer that is moved.
#[derive(Default)]
struct Timer {
    sleep: Option<Pin<Box<Sleep>>>,
    at: Option<Time>,
}

impl Timer {
    fn poll(&mut self, cx: &mut Context<'_>, at: Option<Time>, now: Time) -> Poll<()> {
        let Some(due) = at.filter(|&at| at < Time::MAX) else {
            return Poll::Pending;
        };
        let sleep = self
            .sleep
            .get_or_insert_with(|| Box::pin(sleep_until(Instant::now())));
        if self.at != at {
            self.at = at;
            sleep.as_mut().reset(Instant::now() + due.since(now));
        }
        let fired = sleep.as_mut().poll(cx);
        if fired.is_ready() {
            self.at = None;
        }
        fired
    }
}

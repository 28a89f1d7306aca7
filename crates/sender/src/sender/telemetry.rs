//! Telling brokers the metrics that their operators subscribe to (KIP-714).
//!
//! ```text
//!              due, a node is ready        subscribed                  due
//! Unsubscribed ──────────────────► Asking ───────────► Subscribed ──────────► Pushing ──► Subscribed ...
//!      ▲                             │                     │                     │
//!      └─────────────────────────────┴─────────────────────┴─────────────────────┘
//!        nothing is wanted, the subscription changed, no answer: after a while
//!
//! a close: one last push, if there is a subscription ──► Leaving ──► Over
//! ```
//!
//! It is nothing that records ever wait for: it makes no connection of its own, and a close waits only shortly.

use super::{InFlight, Sender};
use crate::Request;
use bytes::Bytes;
use ottla_metrics::otlp::{Exporter, Temporality};
use ottla_protocol::compression::{Compression, Compressor};
use ottla_protocol::messages::{
    GetTelemetrySubscriptionsRequest, GetTelemetrySubscriptionsResponse, PushTelemetryRequest,
    PushTelemetryResponse,
};
use ottla_protocol::wire::{Reader, Uuid, Writer};
use ottla_protocol::{ApiKey, ErrorCode, Message};
use ottla_time::Time;
use std::time::Duration;

/// The one version of both APIs.
const VERSION: i16 = 0;
/// Java's `DEFAULT_PUSH_INTERVAL_MS`: after no answer, and where the broker says no interval.
const INTERVAL_DEFAULT: Duration = Duration::from_secs(300);
/// How long a close waits for the answer to the last push. A broker that takes longer has the bytes, or never will.
const GOODBYE_MAX: Duration = Duration::from_secs(1);
/// No more names than this are compared with each metric; who asks for more gets the metrics of the first ones.
const PREFIXES_MAX: usize = 1_000;

/// Where telemetry stands.
#[derive(Debug)]
pub(super) struct Telemetry {
    state: State,
    instance_id: Uuid,
    /// The node that was asked last: it is asked again while it can be.
    node: Option<i32>,
    /// When the next request is due.
    due: Time,
    /// Whether what is due waits for a connection.
    blocked: bool,
    /// The interval of the last subscription.
    interval: Duration,
    /// Subscriptions in a row that were no good.
    failures: u32,
    /// How long a close waits for the last push.
    goodbye_until: Option<Time>,
    exporter: Exporter,
}

#[derive(Debug)]
enum State {
    /// Switched off, or a broker said that this client cannot take part.
    Over,
    Unsubscribed,
    Asking,
    Subscribed(Subscription),
    Pushing(Subscription),
    /// The last push is on its way.
    Leaving,
}

/// What a broker wants to be told.
#[derive(Clone, Debug)]
struct Subscription {
    id: i32,
    interval: Duration,
    temporality: Temporality,
    compression: Compression,
    bytes_max: usize,
    /// Beginnings of names; a single empty one is all.
    prefixes: Vec<String>,
}

impl Telemetry {
    pub(super) fn new(enabled: bool, started_ms: i64, transactional_id: Option<&str>) -> Telemetry {
        let resource = transactional_id.map(|id| ("transactional_id", id.to_owned()));
        Telemetry {
            state: if enabled { State::Unsubscribed } else { State::Over },
            instance_id: Uuid::ZERO,
            node: None,
            due: Time::ZERO,
            blocked: false,
            interval: INTERVAL_DEFAULT,
            failures: 0,
            goodbye_until: None,
            exporter: Exporter::new(unix_nanos(started_ms), resource.into_iter().collect()),
        }
    }

    /// When a request is due, if that is a question of time.
    pub(super) fn timeout(&self) -> Option<Time> {
        match self.state {
            State::Unsubscribed | State::Subscribed(_) if !self.blocked => Some(self.due),
            State::Pushing(_) | State::Leaving => self.goodbye_until,
            _ => None,
        }
    }

    fn is_due(&self, now: Time) -> bool {
        matches!(self.state, State::Unsubscribed | State::Subscribed(_)) && self.due <= now
    }

    /// Asks again after this time.
    fn unsubscribe(&mut self, wait: Duration, now: Time) {
        if !matches!(self.state, State::Over | State::Leaving) {
            self.state = State::Unsubscribed;
            self.due = now + wait;
        }
    }
}

impl Sender {
    /// Whether telemetry that is due waits for a node that takes requests.
    pub(super) fn telemetry_blocked(&self) -> bool {
        self.telemetry.blocked
    }

    /// Sends what is due.
    pub(super) fn turn_telemetry(&mut self, now: Time) {
        // While it closes there is only the last push.
        self.telemetry.blocked = self.closing.is_some();
        if self.telemetry.blocked || !self.telemetry.is_due(now) {
            return;
        }
        let Some(node) = self.telemetry_node(now) else {
            self.telemetry.blocked = true;
            return;
        };
        match std::mem::replace(&mut self.telemetry.state, State::Asking) {
            State::Subscribed(subscription) => {
                self.telemetry.state = State::Pushing(subscription.clone());
                self.push_telemetry(node, &subscription, false, now);
            }
            _ => self.ask_for_subscription(node),
        }
    }

    /// Whether a close has to wait for the last push. Sends it, if there is a subscription.
    pub(super) fn says_goodbye(&mut self, deadline: Time, now: Time) -> bool {
        let until = deadline.min(now + GOODBYE_MAX);
        let until = *self.telemetry.goodbye_until.get_or_insert(until);
        match &self.telemetry.state {
            State::Over | State::Unsubscribed | State::Asking => false,
            State::Pushing(_) | State::Leaving => now < until,
            State::Subscribed(subscription) => {
                let subscription = subscription.clone();
                let Some(node) = self.telemetry_node(now).filter(|_| now < until) else {
                    return false;
                };
                self.telemetry.state = State::Leaving;
                self.push_telemetry(node, &subscription, true, now);
                matches!(self.telemetry.state, State::Leaving)
            }
        }
    }

    /// The node that was asked before, or else the one with the least to do, of those that offer telemetry.
    fn telemetry_node(&mut self, now: Time) -> Option<i32> {
        let in_flight_max = self.shared.config.max_in_flight;
        let able = self.nodes.iter().filter(|(_, node)| {
            node.versions().is_some_and(|versions| versions.telemetry) && node.can_send(in_flight_max, now)
        });
        let last = self.telemetry.node;
        let node = able.min_by_key(|(id, node)| (Some(**id) != last, node.in_flight, **id < 0));
        self.telemetry.node = node.map(|(id, _)| *id);
        self.telemetry.node
    }

    fn ask_for_subscription(&mut self, node: i32) {
        let request = GetTelemetrySubscriptionsRequest {
            client_instance_id: self.telemetry.instance_id,
            ..GetTelemetrySubscriptionsRequest::default()
        };
        self.send_telemetry(node, ApiKey::GET_TELEMETRY_SUBSCRIPTIONS, &request);
    }

    fn push_telemetry(&mut self, node: i32, subscription: &Subscription, terminating: bool, now: Time) {
        let metrics = self.shared.snapshot(now);
        let prefixes = &subscription.prefixes;
        let encoded = self.telemetry.exporter.encode(
            &metrics,
            |name| prefixes.iter().any(|prefix| name.starts_with(prefix.as_str())),
            subscription.temporality,
            unix_nanos(self.shared.clock.wall_ms()),
        );
        let (compression, payload) = compress(subscription.compression, encoded);
        if payload.len() > subscription.bytes_max {
            // Java sends it all the same, only to be told so.
            return self.handle_pushed(ErrorCode::TELEMETRY_TOO_LARGE, now);
        }
        let request = PushTelemetryRequest {
            client_instance_id: self.telemetry.instance_id,
            subscription_id: subscription.id,
            terminating,
            // 0 to 4.
            compression_type: compression.id().cast_signed(),
            metrics: payload.into(),
            ..PushTelemetryRequest::default()
        };
        self.send_telemetry(node, ApiKey::PUSH_TELEMETRY, &request);
    }

    fn send_telemetry(&mut self, node: i32, api: ApiKey, body: &impl Message) {
        let mut writer = Writer::default();
        if body.encode(&mut writer, VERSION).is_err() {
            unreachable!("ids and bytes encode in the only version");
        }
        let request = Request {
            id: self.next_request,
            api_key: api.0,
            api_version: VERSION,
            flexible: true,
            body: vec![writer.into_bytes()],
            expects_response: true,
            timeout: self.shared.config.request_timeout,
        };
        self.in_flight
            .insert(request.id, InFlight::Telemetry { node, api });
        self.send(node, request);
    }

    pub(super) fn handle_telemetry(&mut self, node: i32, api: ApiKey, body: &Bytes, now: Time) {
        let mut reader = Reader::from_bytes(body);
        if api == ApiKey::PUSH_TELEMETRY {
            match PushTelemetryResponse::decode(&mut reader, VERSION) {
                Ok(answer) => {
                    self.throttle(node, answer.throttle_time_ms, now);
                    self.handle_pushed(ErrorCode::from(answer.error_code), now);
                }
                Err(_) => self.telemetry.state = State::Over,
            }
            return;
        }
        match GetTelemetrySubscriptionsResponse::decode(&mut reader, VERSION) {
            Ok(answer) => {
                self.throttle(node, answer.throttle_time_ms, now);
                self.handle_subscription(answer, now);
            }
            Err(_) => self.telemetry.state = State::Over,
        }
    }

    fn handle_subscription(&mut self, answer: GetTelemetrySubscriptionsResponse, now: Time) {
        if !matches!(self.telemetry.state, State::Asking) {
            return;
        }
        let code = ErrorCode::from(answer.error_code);
        if code != ErrorCode::NONE {
            return self.telemetry_refused(code, self.telemetry.interval, now);
        }
        self.telemetry.failures = 0;
        self.telemetry.instance_id = answer.client_instance_id;
        self.shared.instance.set(answer.client_instance_id);
        let interval = u64::try_from(answer.push_interval_ms).ok().filter(|&ms| ms > 0);
        let interval = interval.map_or(INTERVAL_DEFAULT, Duration::from_millis);
        self.telemetry.interval = interval;
        let mut prefixes = answer.requested_metrics;
        prefixes.truncate(PREFIXES_MAX);
        if prefixes.is_empty() {
            return self.telemetry.unsubscribe(interval, now);
        }
        if prefixes == ["*"] {
            prefixes = vec![String::new()];
        }
        let accepted = answer.accepted_compression_types.iter();
        let mut known = accepted.filter_map(|&id| Compression::from_id(u8::try_from(id).ok()?));
        let compression = known.find(|compression| compression.is_available());
        self.telemetry.state = State::Subscribed(Subscription {
            id: answer.subscription_id,
            interval,
            temporality: if answer.delta_temporality {
                Temporality::Delta
            } else {
                Temporality::Cumulative
            },
            compression: compression.unwrap_or(Compression::None),
            bytes_max: usize::try_from(answer.telemetry_max_bytes)
                .ok()
                .filter(|&bytes| bytes > 0)
                .unwrap_or(usize::MAX),
            prefixes,
        });
        // Not all clients that lost a broker at once shall push at once.
        self.telemetry.due = now + interval.mul_f64(0.5 + self.random.f64());
    }

    fn handle_pushed(&mut self, code: ErrorCode, now: Time) {
        match std::mem::replace(&mut self.telemetry.state, State::Over) {
            State::Pushing(subscription) if code == ErrorCode::NONE => {
                self.telemetry.exporter.confirm();
                self.telemetry.due = now + subscription.interval;
                self.telemetry.state = State::Subscribed(subscription);
            }
            State::Pushing(subscription) => {
                self.telemetry.state = State::Asking;
                self.telemetry_refused(code, subscription.interval, now);
            }
            State::Leaving => {}
            other => self.telemetry.state = other,
        }
    }

    /// As Java's `ClientTelemetryReporter`; where that asks again at once, here the usual backoff comes first, so that a
    /// broker that never likes its own subscription is not asked in a loop.
    fn telemetry_refused(&mut self, code: ErrorCode, interval: Duration, now: Time) {
        let wait = match code {
            ErrorCode::UNKNOWN_SUBSCRIPTION_ID | ErrorCode::UNSUPPORTED_COMPRESSION_TYPE => {
                let failures = self.telemetry.failures;
                self.telemetry.failures = failures.saturating_add(1);
                self.retry_backoff.delay(failures, &mut self.random)
            }
            ErrorCode::TELEMETRY_TOO_LARGE | ErrorCode::THROTTLING_QUOTA_EXCEEDED => interval,
            code if code.is_retriable() => INTERVAL_DEFAULT,
            _ => {
                self.telemetry.state = State::Over;
                return;
            }
        };
        self.telemetry.unsubscribe(wait, now);
    }

    /// No answer. `written` says whether the broker may have what was pushed.
    pub(super) fn telemetry_failed(&mut self, written: bool, now: Time) {
        if written && matches!(self.telemetry.state, State::Pushing(_)) {
            self.telemetry.exporter.confirm();
        }
        if matches!(self.telemetry.state, State::Leaving) {
            self.telemetry.state = State::Over;
        }
        self.telemetry.unsubscribe(INTERVAL_DEFAULT, now);
    }
}

/// The payload in the codec that the broker prefers; as it is, if the codec fails.
fn compress(compression: Compression, payload: Vec<u8>) -> (Compression, Vec<u8>) {
    let mut compressed = Vec::new();
    let done =
        Compressor::new(compression).and_then(|mut codec| codec.compress(&[&payload], &mut compressed));
    match done {
        Ok(()) => (compression, compressed),
        Err(_) => (Compression::None, payload),
    }
}

fn unix_nanos(wall_ms: i64) -> u64 {
    u64::try_from(wall_ms).unwrap_or(0).saturating_mul(1_000_000)
}

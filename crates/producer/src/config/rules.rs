//! Rules between keys: what Java's `ProducerConfig` and `KafkaProducer` check and adjust after each value was read.

use super::error::{ConfigError, Warning};
use super::settings::{Reading, Settings};
use super::value::Value;
use std::fmt;

/// More requests in flight than this, and a broker no longer knows all their sequences.
const IDEMPOTENT_IN_FLIGHT_MAX: i64 = 5;

const ACKS: &str = "acks";
const DELIVERY_TIMEOUT: &str = "delivery.timeout.ms";
const ENABLE_IDEMPOTENCE: &str = "enable.idempotence";
const LINGER: &str = "linger.ms";
const MAX_IN_FLIGHT: &str = "max.in.flight.requests.per.connection";
const REQUEST_TIMEOUT: &str = "request.timeout.ms";
const RETRIES: &str = "retries";
const TRANSACTIONAL_ID: &str = "transactional.id";
const TRANSACTION_TIMEOUT: &str = "transaction.timeout.ms";
const TWO_PHASE_COMMIT: &str = "transaction.two.phase.commit.enable";

/// Applies all rules.
pub(super) fn apply(reading: &mut Reading) {
    idempotence(reading);
    transactions(reading);
    delivery_timeout(reading);
    constant_reconnect_backoff(reading);
    backoff_maximum(reading, "retry.backoff.ms", "retry.backoff.max.ms");
    backoff_maximum(
        reading,
        "socket.connection.setup.timeout.ms",
        "socket.connection.setup.timeout.max.ms",
    );
}

/// Whether what is sent has sequences: asked for or by default, and nothing else in the way.
pub(super) fn idempotence_in_effect(settings: &Settings) -> bool {
    settings.boolean(ENABLE_IDEMPOTENCE) && idempotence_obstacle(settings).is_none()
}

/// The key that keeps idempotence off where it is only the default.
fn idempotence_obstacle(settings: &Settings) -> Option<&'static str> {
    if settings.integer(RETRIES) == 0 {
        Some(RETRIES)
    } else if !matches!(settings.text(ACKS), Some("all" | "-1")) {
        Some(ACKS)
    } else {
        None
    }
}

fn idempotence(reading: &mut Reading) {
    let settings = &reading.settings;
    if !settings.boolean(ENABLE_IDEMPOTENCE) {
        return;
    }
    let how = if settings.is_set(ENABLE_IDEMPOTENCE) {
        "is true"
    } else {
        "is true by default"
    };
    // Java checks this before it looks whether another key has turned idempotence off.
    let in_flight = settings.integer(MAX_IN_FLIGHT);
    if in_flight > IDEMPOTENT_IN_FLIGHT_MAX {
        let reason = format!(
            "{MAX_IN_FLIGHT}={in_flight} is more than {IDEMPOTENT_IN_FLIGHT_MAX} while {ENABLE_IDEMPOTENCE} {how}: \
             lower the first, or set the second to false"
        );
        reading
            .errors
            .push(conflict(settings, &[MAX_IN_FLIGHT, ENABLE_IDEMPOTENCE], reason));
    }
    if !settings.is_set(ENABLE_IDEMPOTENCE) {
        return;
    }
    if settings.integer(RETRIES) == 0 {
        let reason = format!("{ENABLE_IDEMPOTENCE}=true needs {RETRIES} to be above 0");
        reading
            .errors
            .push(conflict(settings, &[RETRIES, ENABLE_IDEMPOTENCE], reason));
    }
    if idempotence_obstacle(settings) == Some(ACKS) {
        let acks = settings.text(ACKS).unwrap_or_default();
        let reason = format!("{ENABLE_IDEMPOTENCE}=true needs {ACKS}=all, not {acks}");
        reading
            .errors
            .push(conflict(settings, &[ACKS, ENABLE_IDEMPOTENCE], reason));
    }
}

fn transactions(reading: &mut Reading) {
    let settings = &reading.settings;
    if settings.is_set(TRANSACTIONAL_ID) && !idempotence_in_effect(settings) {
        let obstacle = match idempotence_obstacle(settings) {
            Some(key) if settings.boolean(ENABLE_IDEMPOTENCE) => key,
            _ => ENABLE_IDEMPOTENCE,
        };
        let value = &settings.setting(obstacle).value();
        let reason = format!("{TRANSACTIONAL_ID} needs idempotence, which {obstacle}={value} turns off");
        reading
            .errors
            .push(conflict(settings, &[TRANSACTIONAL_ID, obstacle], reason));
    }
    if settings.boolean(TWO_PHASE_COMMIT) && settings.is_set(TRANSACTION_TIMEOUT) {
        let reason = format!(
            "{TRANSACTION_TIMEOUT} cannot be set while {TWO_PHASE_COMMIT} is true: such a transaction has no timeout"
        );
        reading.errors.push(conflict(
            settings,
            &[TRANSACTION_TIMEOUT, TWO_PHASE_COMMIT],
            reason,
        ));
    }
}

fn delivery_timeout(reading: &mut Reading) {
    let settings = &mut reading.settings;
    // Java keeps linger, and the sum, in 31 bits.
    let linger = settings.integer(LINGER).min(i64::from(i32::MAX));
    let request_timeout = settings.integer(REQUEST_TIMEOUT);
    let least = (linger + request_timeout).min(i64::from(i32::MAX));
    let delivery_timeout = settings.integer(DELIVERY_TIMEOUT);
    if delivery_timeout >= least {
        return;
    }
    if settings.is_set(DELIVERY_TIMEOUT) {
        let reason = format!(
            "{DELIVERY_TIMEOUT}={delivery_timeout} is less than {LINGER} + {REQUEST_TIMEOUT} = {linger} + \
             {request_timeout} = {least}"
        );
        reading.errors.push(conflict(
            settings,
            &[DELIVERY_TIMEOUT, LINGER, REQUEST_TIMEOUT],
            reason,
        ));
        return;
    }
    let why = format!("raised from its default to {LINGER} + {REQUEST_TIMEOUT} = {least}");
    reading
        .warnings
        .push(Warning::new(DELIVERY_TIMEOUT, why.clone(), None));
    settings.derive(DELIVERY_TIMEOUT, Value::Integer(least), why);
}

/// Who sets only the first wait wants it constant (Java's `CommonClientConfigs.postProcessReconnectBackoffConfigs`).
fn constant_reconnect_backoff(reading: &mut Reading) {
    const INITIAL: &str = "reconnect.backoff.ms";
    const MAX: &str = "reconnect.backoff.max.ms";
    let settings = &mut reading.settings;
    if settings.is_set(INITIAL) && !settings.is_set(MAX) {
        let initial = settings.integer(INITIAL);
        settings.derive(
            MAX,
            Value::Integer(initial),
            format!("follows {INITIAL}, which alone is set"),
        );
    }
}

/// A first wait above the maximum: it is the maximum, always.
fn backoff_maximum(reading: &mut Reading, initial_key: &'static str, max_key: &'static str) {
    let settings = &mut reading.settings;
    let (initial, max) = (settings.integer(initial_key), settings.integer(max_key));
    if initial <= max {
        return;
    }
    let why = format!("{initial} is above {max_key}={max}, which therefore holds from the first time on");
    reading.warnings.push(Warning::new(
        initial_key,
        why.clone(),
        settings.setting(initial_key).origin(),
    ));
    settings.derive(initial_key, Value::Integer(max), why);
}

/// An error about several keys; it comes from where the first of them that is set was set.
fn conflict(settings: &Settings, keys: &[&'static str], reason: impl fmt::Display) -> ConfigError {
    let origin = keys.iter().find_map(|key| settings.setting(key).origin());
    ConfigError::keys(keys, reason.to_string(), origin)
}

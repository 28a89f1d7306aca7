//! The one error of the facade.

use crate::config::ConfigError;
use ottla_protocol::ErrorCode;
use ottla_sender::{
    Call, DeliveryFailure, DisconnectClass, FailureKind, Persistence, SendError, TelemetryError,
    TransactionError, TransactionErrorKind, TrySendError,
};
use ottla_serialization::{ErrorKind as SerializeErrorKind, SerializeError};
use std::fmt;

/// What a broker says of a record, or of its topic, and would say again.
const REFUSALS: [ErrorCode; 8] = [
    ErrorCode::MESSAGE_TOO_LARGE,
    ErrorCode::RECORD_LIST_TOO_LARGE,
    ErrorCode::INVALID_TOPIC_EXCEPTION,
    ErrorCode::TOPIC_AUTHORIZATION_FAILED,
    ErrorCode::INVALID_TIMESTAMP,
    ErrorCode::UNSUPPORTED_FOR_MESSAGE_FORMAT,
    ErrorCode::POLICY_VIOLATION,
    ErrorCode::INVALID_RECORD,
];

/// What went wrong. Ask it by its predicates; its text says what to do.
#[derive(Clone, Debug)]
pub struct Error(Box<Inner>);

#[derive(Clone, Debug)]
struct Inner {
    kind: Kind,
    is_dead_letter: bool,
}

#[derive(Clone, Debug)]
enum Kind {
    Config(ConfigError),
    Start(String),
    Send(SendError),
    WouldWait(TrySendError),
    Delivery(DeliveryFailure),
    Transaction(TransactionError),
    Serialize(SerializeError),
    Telemetry(TelemetryError),
    /// A serializer has to ask somebody first.
    NotReady,
}

impl Error {
    fn of(kind: Kind) -> Error {
        Error(Box::new(Inner {
            kind,
            is_dead_letter: false,
        }))
    }

    pub(crate) fn start(message: impl Into<String>) -> Error {
        Error::of(Kind::Start(message.into()))
    }

    pub(crate) fn not_ready() -> Error {
        Error::of(Kind::NotReady)
    }

    /// Why a key or a value could not be serialized, if that is what went wrong: it names topic, subject and field.
    pub fn serialize_error(&self) -> Option<&SerializeError> {
        match &self.0.kind {
            Kind::Serialize(error) => Some(error),
            _ => None,
        }
    }

    /// Whether a dead letter was made of the record, see [`DeadLetters`](crate::DeadLetters). What became of the letter,
    /// [`Producer::dead_letter_counts`](crate::Producer::dead_letter_counts) tells.
    pub fn is_dead_letter(&self) -> bool {
        self.0.is_dead_letter
    }

    pub(crate) fn into_dead_letter(mut self) -> Error {
        self.0.is_dead_letter = true;
        self
    }

    /// Whether a serializer was used before it knew what it needs.
    pub(crate) fn is_not_ready(&self) -> bool {
        self.serialize_error()
            .is_some_and(|error| error.kind() == SerializeErrorKind::NotReady)
    }

    /// Whether the record, or its topic, is at fault, so that no repetition would change anything.
    pub(crate) fn is_refused_for_good(&self) -> bool {
        match &self.0.kind {
            Kind::Serialize(error) => {
                let of_registry = matches!(
                    error.kind(),
                    SerializeErrorKind::Unauthorized | SerializeErrorKind::Protocol
                );
                !error.is_retriable() && !of_registry
            }
            Kind::Send(error) | Kind::WouldWait(TrySendError::Refused(error)) => matches!(
                error,
                SendError::TooLarge { .. }
                    | SendError::Topic { .. }
                    | SendError::TopicName { .. }
                    | SendError::NoSuchPartition { .. }
            ),
            Kind::Delivery(failure) if failure.persistence == Persistence::NotPersisted => match failure.kind
            {
                FailureKind::Broker(code) => REFUSALS.contains(&code),
                FailureKind::Encode => true,
                _ => false,
            },
            _ => false,
        }
    }

    /// Whether the record is larger than this client or its broker takes.
    pub(crate) fn is_too_large(&self) -> bool {
        let here = matches!(
            &self.0.kind,
            Kind::Send(SendError::TooLarge { .. })
                | Kind::WouldWait(TrySendError::Refused(SendError::TooLarge { .. }))
        );
        let there = [ErrorCode::MESSAGE_TOO_LARGE, ErrorCode::RECORD_LIST_TOO_LARGE];
        here || self.code().is_some_and(|code| there.contains(&code))
    }

    /// Whether the record is in the log. What was never queued is not persisted.
    pub fn persistence(&self) -> Persistence {
        match &self.0.kind {
            Kind::Delivery(failure) => failure.persistence,
            _ => Persistence::NotPersisted,
        }
    }

    /// Whether the same call may succeed later: the brokers were away or slow, or memory was short. If the record is
    /// [possibly persisted](Error::persistence), sending it again may duplicate it. Where the outcome of another call has
    /// to be learnt first, that of a commit above all, the text names it: repeat that one.
    pub fn is_retriable(&self) -> bool {
        match &self.0.kind {
            Kind::Config(_) | Kind::Start(_) => false,
            Kind::Serialize(error) => error.is_retriable(),
            Kind::NotReady => true,
            Kind::Telemetry(error) => matches!(error, TelemetryError::TimedOut { .. }),
            Kind::Send(SendError::Transaction(error)) => error.is_retriable(),
            Kind::Send(error) => {
                matches!(
                    error,
                    SendError::MetadataTimeout { .. } | SendError::MemoryTimeout { .. }
                )
            }
            Kind::WouldWait(TrySendError::Refused(SendError::Transaction(error))) => error.is_retriable(),
            Kind::WouldWait(error) => !matches!(error, TrySendError::Refused(_)),
            Kind::Transaction(error) => error.is_retriable(),
            Kind::Delivery(failure) => match failure.kind {
                FailureKind::Broker(code) => code.is_retriable(),
                FailureKind::Timeout | FailureKind::Network | FailureKind::Neighbours(_) => true,
                _ => false,
            },
        }
    }

    /// Whether a deadline passed: `max.block.ms` before the record was queued, or `delivery.timeout.ms` after.
    pub fn is_timeout(&self) -> bool {
        match &self.0.kind {
            Kind::Send(error) => {
                matches!(
                    error,
                    SendError::MetadataTimeout { .. } | SendError::MemoryTimeout { .. }
                )
            }
            Kind::Delivery(failure) => failure.kind == FailureKind::Timeout,
            Kind::Serialize(error) => error.kind() == SerializeErrorKind::Timeout,
            Kind::Telemetry(error) => matches!(error, TelemetryError::TimedOut { .. }),
            Kind::Transaction(error) => matches!(error.kind, TransactionErrorKind::TimedOut { .. }),
            _ => false,
        }
    }

    /// Whether the producer is closed.
    pub fn is_closed(&self) -> bool {
        match &self.0.kind {
            Kind::Send(error) | Kind::WouldWait(TrySendError::Refused(error)) => *error == SendError::Closed,
            Kind::Delivery(failure) => failure.kind == FailureKind::Closed,
            Kind::Telemetry(error) => *error == TelemetryError::Closed,
            Kind::Transaction(error) => error.kind == TransactionErrorKind::Closed,
            _ => false,
        }
    }

    /// Whether one side of a connection does not accept who the other one is: credentials, certificates or the settings
    /// about them have to change. The next send tries again.
    pub fn is_authentication(&self) -> bool {
        matches!(
            &self.0.kind,
            Kind::Send(SendError::Connection {
                class: DisconnectClass::Authentication,
                ..
            })
        )
    }

    /// Whether [`Producer::try_send`](crate::Producer::try_send) would have had to wait: [`Producer::send`](crate::Producer::send) does.
    pub fn would_wait(&self) -> bool {
        matches!(
            &self.0.kind,
            Kind::WouldWait(TrySendError::Metadata | TrySendError::Memory) | Kind::NotReady
        )
    }

    /// Whether the configuration is wrong.
    pub fn is_config(&self) -> bool {
        matches!(&self.0.kind, Kind::Config(_))
    }

    /// Whether the open transaction has to be aborted; then the producer can go on.
    pub fn is_abortable(&self) -> bool {
        match &self.0.kind {
            Kind::Delivery(failure) => failure.kind == FailureKind::Aborted,
            _ => self
                .transaction_error()
                .is_some_and(TransactionError::is_abortable),
        }
    }

    /// Whether a transactional producer is at its end: close it. Another one with the same `transactional.id` can go on.
    pub fn is_fatal(&self) -> bool {
        self.transaction_error().is_some_and(TransactionError::is_fatal)
    }

    /// Whether the transaction may be committed although the call failed.
    pub fn is_outcome_unknown(&self) -> bool {
        self.transaction_error().is_some_and(|error| {
            let commits = matches!(
                error.kind,
                TransactionErrorKind::TimedOut { call: Call::Commit }
                    | TransactionErrorKind::Unresolved { call: Call::Commit }
            );
            error.outcome_unknown || commits
        })
    }

    /// What a program, or whoever runs it, can do about it: one sentence.
    pub fn advice(&self) -> &'static str {
        if self.is_config() {
            return "Change the configuration.";
        }
        if self.is_authentication() {
            return "Change the credentials, the certificates or security.protocol.";
        }
        if self.is_closed() {
            return "Make another producer.";
        }
        if self.is_outcome_unknown() && !self.is_fatal() {
            return "Repeat the call until its outcome is known.";
        }
        if self.is_fatal() {
            return "Close the producer; another one with the same transactional.id can go on.";
        }
        if self.is_abortable() {
            return "Abort the transaction, and do its work again.";
        }
        if self.would_wait() {
            return "Use send(), which waits, or try again later.";
        }
        match (self.is_retriable(), self.persistence()) {
            (_, Persistence::Persisted) => "Do not send it again: it is in the log.",
            (true, Persistence::NotPersisted) => "Try again: it cannot be there twice.",
            (true, Persistence::PossiblyPersisted) => {
                "It may be in the log: send it again only if a duplicate does no harm."
            }
            (false, Persistence::PossiblyPersisted) => {
                "It may be in the log; find out before it is sent again."
            }
            (false, Persistence::NotPersisted) => {
                "It will not succeed as it is: change the record or the topic."
            }
        }
    }

    fn transaction_error(&self) -> Option<&TransactionError> {
        match &self.0.kind {
            Kind::Transaction(error)
            | Kind::Send(SendError::Transaction(error))
            | Kind::WouldWait(TrySendError::Refused(SendError::Transaction(error))) => Some(error),
            _ => None,
        }
    }

    /// The code that a broker answered, if it was a broker that refused.
    pub fn code(&self) -> Option<ErrorCode> {
        match &self.0.kind {
            Kind::Send(SendError::Topic { code, .. })
            | Kind::WouldWait(TrySendError::Refused(SendError::Topic { code, .. })) => Some(*code),
            Kind::Delivery(DeliveryFailure {
                kind: FailureKind::Broker(code) | FailureKind::Neighbours(code),
                ..
            }) => Some(*code),
            _ => self.transaction_error().and_then(|error| error.code),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.kind {
            Kind::Config(error) => error.fmt(f),
            Kind::Start(message) => f.write_str(message),
            Kind::Send(error) => error.fmt(f),
            Kind::WouldWait(error) => error.fmt(f),
            Kind::Delivery(failure) => failure.fmt(f),
            Kind::Transaction(error) => error.fmt(f),
            Kind::Serialize(error) => error.fmt(f),
            Kind::Telemetry(error) => error.fmt(f),
            Kind::NotReady => f.write_str("what the serializer needs is being fetched; send() waits for it"),
        }
    }
}

impl std::error::Error for Error {
    /// What lies below, where it is more than the text already says: a file that cannot be read, what serde refused.
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.0.kind {
            Kind::Config(error) => error.source(),
            Kind::Serialize(error) => error.source(),
            _ => None,
        }
    }
}

impl From<ConfigError> for Error {
    fn from(error: ConfigError) -> Error {
        Error::of(Kind::Config(error))
    }
}

impl From<SendError> for Error {
    fn from(error: SendError) -> Error {
        Error::of(Kind::Send(error))
    }
}

impl From<TrySendError> for Error {
    fn from(error: TrySendError) -> Error {
        Error::of(Kind::WouldWait(error))
    }
}

impl From<SerializeError> for Error {
    fn from(error: SerializeError) -> Error {
        Error::of(Kind::Serialize(error))
    }
}

impl From<TelemetryError> for Error {
    fn from(error: TelemetryError) -> Error {
        Error::of(Kind::Telemetry(error))
    }
}

impl From<TransactionError> for Error {
    fn from(error: TransactionError) -> Error {
        Error::of(Kind::Transaction(error))
    }
}

impl From<DeliveryFailure> for Error {
    fn from(failure: DeliveryFailure) -> Error {
        Error::of(Kind::Delivery(failure))
    }
}

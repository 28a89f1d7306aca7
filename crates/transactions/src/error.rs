//! Why a transactional call failed, and what holds now.

use crate::State;
use ottla_protocol::ErrorCode;
use std::fmt;
use std::sync::Arc;

/// The calls of an application on its transactions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Call {
    /// Get the producer id, and end what a predecessor left open.
    Init,
    /// Begin a transaction.
    Begin,
    /// Send a record in the transaction.
    Send,
    /// Commit a consumer group's offsets in the transaction.
    SendOffsets,
    /// Commit.
    Commit,
    /// Abort.
    Abort,
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Call::Init => "init_transactions",
            Call::Begin => "begin_transaction",
            Call::Send => "send",
            Call::SendOffsets => "send_offsets_to_transaction",
            Call::Commit => "commit_transaction",
            Call::Abort => "abort_transaction",
        })
    }
}

/// What a failed call means for the producer: what to do is one of repeat, abort and close.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TransactionErrorKind {
    /// The caller's mistake: the call has no place in this state. Nothing has changed.
    Illegal {
        /// The call.
        call: Call,
        /// Where the producer stands.
        state: State,
    },
    /// An earlier call is under way, or nobody has learnt its outcome: repeat that one first. Nothing has changed.
    Unresolved {
        /// The call to repeat.
        call: Call,
    },
    /// The call was not done within `max.block.ms`, and goes on: repeat it to learn its outcome.
    TimedOut {
        /// The call.
        call: Call,
    },
    /// The brokers do not accept the producer as things are (rights or credentials): the call may be repeated.
    Refused,
    /// The transaction must be aborted. Then the producer can go on.
    Abortable,
    /// The producer is at its end: close it.
    Fatal,
    /// The producer was closed.
    Closed,
}

/// Why a transactional call failed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TransactionError {
    /// What it means.
    pub kind: TransactionErrorKind,
    /// What a broker said, if it was a broker that did.
    pub code: Option<ErrorCode>,
    /// Whether the transaction may be committed although the call failed: its verdict had been sent, and no answer says
    /// what became of it.
    pub outcome_unknown: bool,
    /// More about it for people.
    pub detail: Option<Arc<str>>,
}

impl TransactionError {
    /// An error without code or detail.
    pub fn new(kind: TransactionErrorKind) -> TransactionError {
        TransactionError {
            kind,
            code: None,
            outcome_unknown: false,
            detail: None,
        }
    }

    pub(crate) fn answered(kind: TransactionErrorKind, code: ErrorCode) -> TransactionError {
        TransactionError {
            code: Some(code),
            detail: advice(code).map(Into::into),
            ..TransactionError::new(kind)
        }
    }

    /// The same with something to tell.
    pub fn with_detail(self, detail: impl Into<Arc<str>>) -> TransactionError {
        TransactionError {
            detail: Some(detail.into()),
            ..self
        }
    }

    /// Whether to repeat the call, or the one that the error names.
    pub fn is_retriable(&self) -> bool {
        matches!(
            self.kind,
            TransactionErrorKind::TimedOut { .. }
                | TransactionErrorKind::Unresolved { .. }
                | TransactionErrorKind::Refused
        )
    }

    /// Whether to abort the transaction.
    pub fn is_abortable(&self) -> bool {
        self.kind == TransactionErrorKind::Abortable
    }

    /// Whether to close the producer.
    pub fn is_fatal(&self) -> bool {
        matches!(
            self.kind,
            TransactionErrorKind::Fatal | TransactionErrorKind::Closed
        )
    }
}

/// What to do about a code whose name alone does not say it.
fn advice(code: ErrorCode) -> Option<&'static str> {
    match code {
        ErrorCode::PRODUCER_FENCED | ErrorCode::INVALID_PRODUCER_EPOCH => Some(
            "another producer uses the same transactional.id, or the coordinator gave the transaction up \
             (transaction.timeout.ms)",
        ),
        ErrorCode::INVALID_TRANSACTION_TIMEOUT => Some(
            "transaction.timeout.ms has to be above 0 and at most the brokers' transaction.max.timeout.ms",
        ),
        ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED => {
            Some("this client may not use the transactional.id: grant it WRITE and DESCRIBE on it")
        }
        ErrorCode::GROUP_AUTHORIZATION_FAILED => {
            Some("this client may not commit offsets of the group: grant it READ on it")
        }
        ErrorCode::TOPIC_AUTHORIZATION_FAILED => {
            Some("this client may not write to a topic of the transaction: grant it WRITE")
        }
        _ => None,
    }
}

impl fmt::Display for TransactionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            TransactionErrorKind::Illegal { call, state } => {
                write!(f, "{call} has no place here: the producer is {state}")?;
            }
            TransactionErrorKind::Unresolved { call } => {
                write!(f, "nobody has learnt the outcome of {call} yet: repeat it first")?;
            }
            TransactionErrorKind::TimedOut { call } => {
                write!(f, "{call} is not done within max.block.ms and goes on")?;
                match call {
                    Call::SendOffsets => f.write_str(": abort the transaction, or wait for its commit")?,
                    _ => f.write_str(": repeat it to learn its outcome")?,
                }
            }
            TransactionErrorKind::Refused => {
                f.write_str(
                    "the brokers do not accept the producer as things are; the call may be repeated",
                )?;
            }
            TransactionErrorKind::Abortable => f.write_str("the transaction has to be aborted")?,
            TransactionErrorKind::Fatal => f.write_str("the producer is at its end and has to be closed")?,
            TransactionErrorKind::Closed => f.write_str("the producer is closed")?,
        }
        if let Some(code) = self.code {
            write!(f, ": {code}")?;
        }
        if let Some(detail) = &self.detail {
            write!(f, " ({detail})")?;
        }
        if self.outcome_unknown {
            f.write_str("; whether the transaction was committed is unknown")?;
        }
        Ok(())
    }
}

impl std::error::Error for TransactionError {}

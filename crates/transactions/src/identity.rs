//! The producer id, and asking for it.

use ottla_protocol::ErrorCode;
use ottla_protocol::messages::{InitProducerIdRequest, InitProducerIdResponse};
use std::fmt;

/// Who writes: for the broker, two batches of the same identity and sequence are the same batch.
///
/// Exhaustive, for whoever drives [`Sequences`](crate::Sequences) makes one; a batch's header has no room for more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProducerIdentity {
    /// Given by the cluster.
    pub producer_id: i64,
    /// Raised to begin a numbering anew.
    pub producer_epoch: i16,
}

/// Asks the cluster for a producer id, again and again until there is one.
///
/// ```text
/// Wanted --ask--> Asked --answer--> Known
///   ^                |  \
///   +----failed------+   +--answer--> Refused
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProducerIdRequest {
    state: State,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Wanted,
    Asked,
    Known(ProducerIdentity),
    Refused(Refused),
}

/// The cluster gives no producer id, and will not.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refused {
    /// What it said.
    pub code: ErrorCode,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the cluster gives this client no producer id: {}", self.code)?;
        if self.code == ErrorCode::CLUSTER_AUTHORIZATION_FAILED {
            f.write_str("; grant it IDEMPOTENT_WRITE on the cluster, or set enable.idempotence=false")?;
        }
        Ok(())
    }
}

impl std::error::Error for Refused {}

/// What has to be asked next.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum NextRequest {
    /// InitProducerId, to any node: an idempotent producer without transactions has no coordinator.
    InitProducerId(InitProducerIdRequest),
}

impl ProducerIdRequest {
    /// The identity, once it is known.
    pub fn identity(&self) -> Option<ProducerIdentity> {
        match self.state {
            State::Known(identity) => Some(identity),
            _ => None,
        }
    }

    /// Why there will be none.
    pub fn refused(&self) -> Option<&Refused> {
        match &self.state {
            State::Refused(refused) => Some(refused),
            _ => None,
        }
    }

    /// Whether something has to be asked.
    pub fn is_wanted(&self) -> bool {
        self.state == State::Wanted
    }

    /// What to ask now; `None` unless it [is wanted](ProducerIdRequest::is_wanted). An answer or a failure has to be
    /// reported before anything is asked again.
    pub fn next_request(&mut self) -> Option<NextRequest> {
        if self.state != State::Wanted {
            return None;
        }
        self.state = State::Asked;
        Some(NextRequest::InitProducerId(InitProducerIdRequest {
            transactional_id: None,
            // What Java sends without transactions; it has no meaning then.
            transaction_timeout_ms: i32::MAX,
            ..InitProducerIdRequest::default()
        }))
    }

    /// The cluster answered. True if the answer settles it, be it with an identity or a refusal; false if it has to be
    /// asked again, after a backoff.
    pub fn handle_answer(&mut self, answer: &InitProducerIdResponse) -> bool {
        if self.state != State::Asked {
            return false;
        }
        let code = ErrorCode::from(answer.error_code);
        self.state = if code == ErrorCode::NONE && answer.producer_id >= 0 && answer.producer_epoch >= 0 {
            State::Known(ProducerIdentity {
                producer_id: answer.producer_id,
                producer_epoch: answer.producer_epoch,
            })
        } else if code.is_retriable() || code == ErrorCode::NONE {
            State::Wanted
        } else {
            State::Refused(Refused { code })
        };
        self.state != State::Wanted
    }

    /// There was no answer: it is wanted again.
    pub fn handle_failure(&mut self) {
        if self.state == State::Asked {
            self.state = State::Wanted;
        }
    }

    /// The identity that is known is used up: another one is wanted.
    pub fn renew(&mut self) {
        if matches!(self.state, State::Known(_)) {
            self.state = State::Wanted;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(code: ErrorCode, producer_id: i64) -> InitProducerIdResponse {
        InitProducerIdResponse {
            error_code: code.0,
            producer_id,
            producer_epoch: 0,
            ..InitProducerIdResponse::default()
        }
    }

    #[test]
    fn a_transient_failure_is_retried_and_not_fatal() {
        let mut request = ProducerIdRequest::default();
        for code in [
            ErrorCode::COORDINATOR_LOAD_IN_PROGRESS,
            ErrorCode::CONCURRENT_TRANSACTIONS,
            ErrorCode::NONE,
        ] {
            assert!(request.next_request().is_some() && request.next_request().is_none());
            assert!(!request.handle_answer(&answer(code, -1)));
        }
        assert!(request.next_request().is_some());
        request.handle_failure();
        assert!(request.next_request().is_some());
        assert!(request.handle_answer(&answer(ErrorCode::NONE, 4_000)));
        assert_eq!(
            request.identity().map(|identity| identity.producer_id),
            Some(4_000)
        );
        request.renew();
        assert!(request.is_wanted() && request.identity().is_none());
    }

    #[test]
    fn a_refusal_says_what_to_do() {
        let mut request = ProducerIdRequest::default();
        assert!(request.next_request().is_some());
        assert!(request.handle_answer(&answer(ErrorCode::CLUSTER_AUTHORIZATION_FAILED, -1)));
        let refused = request.refused().expect("refused").to_string();
        assert!(
            refused.contains("IDEMPOTENT_WRITE") && refused.contains("enable.idempotence=false"),
            "{refused}"
        );
        assert!(request.next_request().is_none());
    }
}

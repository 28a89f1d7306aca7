//! SASL as a broker speaks it: who may connect, and for how long.
//!
//! Every listener of the cluster asks for it when [`ClusterConfig::sasl`](crate::ClusterConfig::sasl) is set. What comes
//! before the client is known, beside ApiVersions and SASL itself, ends the connection, as with Kafka. Two things are
//! different on purpose: an authentication that failed is answered at once (Kafka waits, by
//! `connection.failed.authentication.delay.ms`), and authenticating again has no least interval (Kafka wants a second), so
//! that tests can have short sessions.

mod conversation;
mod options;
mod scram;
mod token;

pub(crate) use conversation::{Conversation, Reply};
pub use options::{SaslMechanism, SaslOptions};

use crate::cluster::{Cluster, ConnectionId};
use crate::event::EventKind;
use crate::request::{Outcome, RequestContext};
use bytes::{BufMut as _, Bytes, BytesMut};
use ottla_protocol::messages::{
    SaslAuthenticateRequest, SaslAuthenticateResponse, SaslHandshakeRequest, SaslHandshakeResponse,
};
use ottla_protocol::{ApiKey, ErrorCode};
use ottla_time::Time;
use std::time::Duration;

/// What a connection's client has said about itself.
#[derive(Debug, Default)]
pub(crate) struct Identity {
    /// Who it is, and until when.
    session: Option<Session>,
    /// The authentication under way: the first one, or another one.
    under_way: Option<UnderWay>,
}

#[derive(Debug)]
struct Session {
    principal: String,
    mechanism: SaslMechanism,
    expires_at: Time,
}

#[derive(Debug)]
struct UnderWay {
    mechanism: SaslMechanism,
    conversation: Conversation,
    /// The messages come without header: the handshake was in version 0.
    is_bare: bool,
}

impl Cluster {
    /// Why a request must not be carried out on its connection.
    pub(crate) fn sasl_objection(&self, id: ConnectionId, api: ApiKey) -> Option<&'static str> {
        self.config.sasl.as_ref()?;
        let identity = &self.connections.get(&id)?.identity;
        if api == ApiKey::SASL_HANDSHAKE {
            return None;
        }
        match (&identity.session, &identity.under_way) {
            (_, Some(_)) if api == ApiKey::SASL_AUTHENTICATE => None,
            (_, Some(_)) => Some("an authentication is under way"),
            (None, None) if api == ApiKey::API_VERSIONS => None,
            (None, None) => Some("the client has not authenticated"),
            (Some(session), None) if self.now >= session.expires_at => Some("the client's session has ended"),
            (Some(_), None) => None,
        }
    }

    /// Takes a frame that is a bare message of SASL; false if it is none.
    pub(crate) fn take_bare_sasl(&mut self, id: ConnectionId, frame: &Bytes) -> bool {
        let identity = self
            .connections
            .get_mut(&id)
            .map(|connection| &mut connection.identity);
        let Some(under_way) = identity.and_then(|identity| identity.under_way.take_if(|way| way.is_bare))
        else {
            return false;
        };
        match self.converse(id, under_way, frame) {
            Ok((bytes, _)) => {
                let mut answer = BytesMut::with_capacity(4 + bytes.len());
                // Challenges are shorter than what they answer, and that was a frame.
                answer.put_i32(bytes.len() as i32);
                answer.put_slice(&bytes);
                self.send_bare(id, answer.freeze());
            }
            Err(_) => self.close(id, "the client could not be authenticated"),
        }
        true
    }

    pub(crate) fn sasl_handshake(
        &mut self,
        context: &RequestContext,
        request: SaslHandshakeRequest,
    ) -> Outcome {
        let refuse = |error: ErrorCode, mechanisms: Vec<String>| {
            let response = SaslHandshakeResponse {
                error_code: error.0,
                mechanisms,
            };
            context.answer::<SaslHandshakeRequest>(&response)
        };
        if let Some(error) = context.error() {
            return refuse(error, Vec::new());
        }
        let Some(options) = &self.config.sasl else {
            return refuse(ErrorCode::ILLEGAL_SASL_STATE, Vec::new());
        };
        let offered = options.mechanisms();
        let names: Vec<String> = offered
            .iter()
            .map(|mechanism| mechanism.name().to_owned())
            .collect();
        let Some(&mechanism) = offered.iter().find(|offered| offered.name() == request.mechanism) else {
            return self.refuse_and_close(refuse(ErrorCode::UNSUPPORTED_SASL_MECHANISM, names));
        };
        let Some(connection) = self.connections.get_mut(&context.connection) else {
            return Outcome::Nothing;
        };
        connection.identity.under_way = Some(UnderWay {
            mechanism,
            conversation: Conversation::new(mechanism),
            is_bare: context.version == 0,
        });
        refuse(context.told(ErrorCode::NONE), names)
    }

    pub(crate) fn sasl_authenticate(
        &mut self,
        context: &RequestContext,
        request: SaslAuthenticateRequest,
    ) -> Outcome {
        let refuse = |error: ErrorCode, message: String| {
            let response = SaslAuthenticateResponse {
                error_code: error.0,
                error_message: Some(message),
                ..SaslAuthenticateResponse::default()
            };
            context.answer::<SaslAuthenticateRequest>(&response)
        };
        if let Some(error) = context.error() {
            return refuse(error, String::new());
        }
        let connection = self.connections.get_mut(&context.connection);
        let Some(under_way) = connection.and_then(|connection| connection.identity.under_way.take()) else {
            let message = "SaslAuthenticate request received after successful authentication";
            return refuse(ErrorCode::ILLEGAL_SASL_STATE, message.to_owned());
        };
        match self.converse(context.connection, under_way, &request.auth_bytes) {
            Ok((auth_bytes, lifetime)) => {
                let lifetime_ms = lifetime.map_or(0, |lifetime| {
                    i64::try_from(lifetime.as_millis()).unwrap_or(i64::MAX)
                });
                let response = SaslAuthenticateResponse {
                    error_code: context.told(ErrorCode::NONE).0,
                    error_message: None,
                    auth_bytes: auth_bytes.into(),
                    // Version 0 has no field for it.
                    session_lifetime_ms: if context.version >= 1 { lifetime_ms } else { 0 },
                    ..SaslAuthenticateResponse::default()
                };
                context.answer::<SaslAuthenticateRequest>(&response)
            }
            Err(message) => self.refuse_and_close(refuse(ErrorCode::SASL_AUTHENTICATION_FAILED, message)),
        }
    }

    /// One message of the client and the broker's answer, with the life of the session that begins, if one does and it
    /// ends.
    fn converse(
        &mut self,
        id: ConnectionId,
        mut under_way: UnderWay,
        message: &[u8],
    ) -> Result<(Vec<u8>, Option<Duration>), String> {
        let Some(options) = &mut self.config.sasl else {
            return Err(String::new());
        };
        let mechanism = under_way.mechanism;
        let reply = under_way
            .conversation
            .step(options, message, self.wall_ms, &mut self.random)?;
        let session_max = options.session_max;
        let Some(connection) = self.connections.get_mut(&id) else {
            return Err(String::new());
        };
        let (principal, token_life) = match reply {
            Reply::Continue(bytes) => {
                connection.identity.under_way = Some(under_way);
                return Ok((bytes, None));
            }
            Reply::Done {
                bytes,
                principal,
                life,
            } => (principal, (bytes, life)),
        };
        let (bytes, life) = token_life;
        let again = connection.identity.session.is_some();
        if let Some(session) = &connection.identity.session {
            if session.principal != principal {
                return Err("Cannot change principals during re-authentication".to_owned());
            }
            if session.mechanism != mechanism {
                return Err("Cannot change the mechanism during re-authentication".to_owned());
            }
        }
        // As Kafka: the session ends with the token, if that comes first, but only where sessions end at all or the
        // credential does.
        let lifetime = [session_max, life].into_iter().flatten().min();
        connection.identity.session = Some(Session {
            principal: principal.clone(),
            mechanism,
            expires_at: session_max
                .and(lifetime)
                .map_or(Time::MAX, |lifetime| self.now + lifetime),
        });
        self.events.record(self.now, || EventKind::Authenticated {
            connection: id.number(),
            principal,
            mechanism: mechanism.name(),
            again,
        });
        Ok((bytes, lifetime))
    }

    fn refuse_and_close(&self, outcome: Outcome) -> Outcome {
        match outcome {
            Outcome::Answer(frame) => Outcome::AnswerAndClose(frame, "the client could not be authenticated"),
            other => other,
        }
    }
}

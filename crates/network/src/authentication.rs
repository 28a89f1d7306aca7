//! One authentication on a connection: SaslHandshake, then the mechanism's messages.
//!
//! ```text
//!             credentials                  mechanism is offered             the client is satisfied
//!   Waiting ──────────────► Handshake ───────────────────────► Exchange ─────────────────────────► done
//!                                                                │    ▲
//!                                                                └────┘ the broker's answers
//! ```
//!
//! The broker's abilities are known by then: this client asks for them once, before it authenticates, where Java's asks
//! in version 0 before and in the newest one after it. The first time and again (KIP-368) are the same.

use crate::error::NetworkErrorKind;
use crate::sasl::{
    Credentials, Mechanism, SaslClient, SaslConfig, SaslFailure, Step, client, shown_mechanisms,
};
use crate::{BrokerVersions, OutgoingRequest};
use bytes::Bytes;
use ottla_protocol::messages::{
    SaslAuthenticateRequest, SaslAuthenticateResponse, SaslHandshakeRequest, SaslHandshakeResponse,
};
use ottla_protocol::wire::Reader;
use ottla_protocol::{ApiKey, ErrorCode, Message};
use std::time::Duration;
use zeroize::Zeroizing;

/// The newest version of SaslHandshake: from 1 on the mechanism's messages travel in SaslAuthenticate.
const HANDSHAKE_VERSION_MAX: i16 = 1;
/// The newest version of SaslAuthenticate: from 1 on the broker says how long the session lasts.
const AUTHENTICATE_VERSION_MAX: i16 = 2;

/// One authentication, from its beginning to its end.
#[derive(Debug)]
pub(crate) struct Authentication {
    stage: Stage,
    handshake_version: i16,
    /// `None` with brokers before 1.0: the messages travel bare.
    authenticate_version: Option<i16>,
}

#[derive(Debug)]
enum Stage {
    /// The I/O gets the credentials.
    Waiting,
    /// The broker is asked whether it takes the mechanism.
    Handshake(Box<dyn SaslClient>),
    /// The broker has the client's last message.
    Exchange(Box<dyn SaslClient>),
    /// A client without SASL asked whether the broker wants it.
    Question,
}

/// What became of the doubt whether a listener wants SASL.
#[derive(Debug)]
pub(crate) enum Doubt {
    /// It does not.
    Removed,
    /// It does: the connection's end.
    Confirmed(NetworkErrorKind),
}

/// What an authentication wants next.
#[derive(Debug)]
pub(crate) enum Next {
    /// Credentials of the I/O.
    Credentials,
    /// A request that is answered.
    Send(OutgoingRequest),
    /// A message without header, whose answer has none either.
    SendBare(Bytes),
    /// Nothing: it succeeded. The session lasts that long, if it does not last for ever.
    Done { lifetime: Option<Duration> },
}

/// What all messages of an authentication need to know.
#[derive(Clone, Copy)]
pub(crate) struct Situation<'a> {
    pub(crate) config: &'a SaslConfig,
    pub(crate) host: &'a str,
    /// Counts the authentications of this client: no two have the same nonce.
    pub(crate) number: u64,
    pub(crate) request_timeout: Duration,
}

impl Situation<'_> {
    /// The failure as the connection's end.
    fn fail(&self, failure: SaslFailure) -> NetworkErrorKind {
        NetworkErrorKind::Sasl {
            mechanism: self.config.mechanism(),
            failure,
        }
    }
}

impl Authentication {
    /// Begins an authentication with a broker that can do this.
    pub(crate) fn begin(
        versions: &BrokerVersions,
        situation: Situation<'_>,
    ) -> Result<(Authentication, Next), NetworkErrorKind> {
        let newest = |key: ApiKey, max: i16| {
            let range = versions.range(key.0)?;
            let version = range.max.min(max);
            // A broker may announce anything: a range that is empty, or below zero.
            (version >= range.min.max(0)).then_some(version)
        };
        let Some(handshake_version) = newest(ApiKey::SASL_HANDSHAKE, HANDSHAKE_VERSION_MAX) else {
            return Err(situation.fail(SaslFailure::NotSupported));
        };
        let mut authentication = Authentication {
            stage: Stage::Waiting,
            handshake_version,
            // A broker that has this API has version 1 of the other one. What it says decides, and it gains nothing by
            // saying less: the messages are the same.
            authenticate_version: newest(ApiKey::SASL_AUTHENTICATE, AUTHENTICATE_VERSION_MAX)
                .filter(|_| handshake_version > 0),
        };
        if authentication.authenticate_version.is_none() {
            authentication.handshake_version = 0;
        }
        let next = match situation.config.credentials() {
            Some(credentials) => authentication.handshake(credentials, situation)?,
            None => Next::Credentials,
        };
        Ok((authentication, next))
    }

    /// The question of a client without SASL whether the broker wants it; `None` if the broker could not understand it.
    pub(crate) fn ask(
        versions: &BrokerVersions,
        request_timeout: Duration,
    ) -> Option<(Authentication, OutgoingRequest)> {
        let range = versions.range(ApiKey::SASL_HANDSHAKE.0)?;
        let version = range.max.min(HANDSHAKE_VERSION_MAX);
        if version < range.min.max(0) {
            return None;
        }
        let request = SaslHandshakeRequest {
            mechanism: Mechanism::Plain.name().to_owned(),
        };
        let request = OutgoingRequest::encode(0, &request, version, request_timeout).ok()?;
        let authentication = Authentication {
            stage: Stage::Question,
            handshake_version: version,
            authenticate_version: None,
        };
        Some((authentication, request))
    }

    /// The broker's answer to [`Authentication::ask`]; `None` if that was not asked.
    pub(crate) fn doubt(&self, body: &Bytes) -> Option<Doubt> {
        let Stage::Question = self.stage else { return None };
        let response = SaslHandshakeResponse::decode(&mut Reader::from_bytes(body), self.handshake_version);
        Some(match response {
            Err(error) => Doubt::Confirmed(malformed(&error)),
            Ok(response) => match ErrorCode(response.error_code) {
                ErrorCode::NONE | ErrorCode::UNSUPPORTED_SASL_MECHANISM => {
                    Doubt::Confirmed(NetworkErrorKind::SaslWanted {
                        offered: shown_mechanisms(&response.mechanisms),
                    })
                }
                _ => Doubt::Removed,
            },
        })
    }

    /// Whether it waits for credentials: the broker has heard nothing of it yet.
    pub(crate) fn is_waiting(&self) -> bool {
        matches!(self.stage, Stage::Waiting)
    }

    /// Goes on with credentials, if it waited for them.
    pub(crate) fn credentials(
        &mut self,
        result: Result<Credentials, crate::sasl::CredentialFailure>,
        situation: Situation<'_>,
    ) -> Result<Next, NetworkErrorKind> {
        match result {
            Ok(credentials) => self.handshake(&credentials, situation),
            Err(failure) => Err(situation.fail(SaslFailure::Unavailable(failure))),
        }
    }

    fn handshake(
        &mut self,
        credentials: &Credentials,
        situation: Situation<'_>,
    ) -> Result<Next, NetworkErrorKind> {
        let mechanism = situation.config.mechanism();
        let nonce = situation.config.nonce(situation.number);
        let client = client(mechanism, credentials, situation.host, &nonce)
            .map_err(|failure| situation.fail(failure))?;
        self.stage = Stage::Handshake(client);
        let request = SaslHandshakeRequest {
            mechanism: mechanism.name().to_owned(),
        };
        Ok(Next::Send(encode(&request, self.handshake_version, situation)))
    }

    /// Reads the broker's answer to what was sent last.
    pub(crate) fn answer(
        &mut self,
        body: &Bytes,
        situation: Situation<'_>,
    ) -> Result<Next, NetworkErrorKind> {
        match std::mem::replace(&mut self.stage, Stage::Waiting) {
            // Nothing was asked, so nothing can be answered.
            Stage::Waiting | Stage::Question => Err(NetworkErrorKind::Unsolicited),
            Stage::Handshake(mut client) => {
                let response =
                    SaslHandshakeResponse::decode(&mut Reader::from_bytes(body), self.handshake_version)
                        .map_err(|error| malformed(&error))?;
                check_handshake(&response).map_err(|failure| situation.fail(failure))?;
                let first = client.first();
                self.stage = Stage::Exchange(client);
                Ok(self.send(&first, situation))
            }
            Stage::Exchange(client) => self.exchange(client, body, situation),
        }
    }

    fn exchange(
        &mut self,
        mut client: Box<dyn SaslClient>,
        body: &Bytes,
        situation: Situation<'_>,
    ) -> Result<Next, NetworkErrorKind> {
        let (answer, lifetime) = match self.authenticate_version {
            None => (body.clone(), None),
            Some(version) => {
                let response = SaslAuthenticateResponse::decode(&mut Reader::from_bytes(body), version)
                    .map_err(|error| malformed(&error))?;
                check_authenticate(&response).map_err(|failure| situation.fail(failure))?;
                let lifetime = u64::try_from(response.session_lifetime_ms).unwrap_or(0);
                let lifetime = (lifetime > 0).then(|| Duration::from_millis(lifetime));
                (response.auth_bytes, lifetime)
            }
        };
        match client.step(&answer).map_err(|failure| situation.fail(failure))? {
            Step::Send(message) => {
                self.stage = Stage::Exchange(client);
                Ok(self.send(&message, situation))
            }
            Step::Done => Ok(Next::Done { lifetime }),
        }
    }

    fn send(&self, message: &[u8], situation: Situation<'_>) -> Next {
        let auth_bytes = cleared(message.to_vec());
        match self.authenticate_version {
            None => Next::SendBare(auth_bytes),
            Some(version) => {
                let request = SaslAuthenticateRequest {
                    auth_bytes,
                    ..SaslAuthenticateRequest::default()
                };
                let mut request = encode(&request, version, situation);
                // Nobody else holds the encoded copy, so its memory is taken over as it is.
                let pieces = std::mem::take(&mut request.body).into_iter();
                request.body = pieces.map(|piece| cleared(piece.into())).collect();
                Next::Send(request)
            }
        }
    }
}

/// Bytes whose memory is cleared with their last holder: passwords and tokens go out in them. TLS has copies of its own.
fn cleared(bytes: Vec<u8>) -> Bytes {
    Bytes::from_owner(Zeroizing::new(bytes))
}

fn encode<R: ottla_protocol::Request>(
    request: &R,
    version: i16,
    situation: Situation<'_>,
) -> OutgoingRequest {
    OutgoingRequest::encode(0, request, version, situation.request_timeout)
        // The versions are at most those known here, a mechanism's name is short, and bytes may have any length.
        .expect("SASL's requests can be encoded")
}

fn check_handshake(response: &SaslHandshakeResponse) -> Result<(), SaslFailure> {
    match ErrorCode(response.error_code) {
        ErrorCode::NONE => Ok(()),
        ErrorCode::UNSUPPORTED_SASL_MECHANISM => Err(SaslFailure::not_offered(&response.mechanisms)),
        // As a listener without SASL answers.
        ErrorCode::ILLEGAL_SASL_STATE => Err(SaslFailure::NotExpected),
        code => Err(SaslFailure::code(code.0, "")),
    }
}

fn check_authenticate(response: &SaslAuthenticateResponse) -> Result<(), SaslFailure> {
    let message = response.error_message.as_deref().unwrap_or_default();
    match ErrorCode(response.error_code) {
        ErrorCode::NONE => Ok(()),
        ErrorCode::SASL_AUTHENTICATION_FAILED => Err(SaslFailure::refused(message)),
        code => Err(SaslFailure::code(code.0, message)),
    }
}

fn malformed(error: &impl std::fmt::Display) -> NetworkErrorKind {
    NetworkErrorKind::Malformed {
        detail: error.to_string(),
    }
}

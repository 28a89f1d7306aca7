//! How a node authenticates: when its connection is made, and again while it is used.

use super::{EndedBy, Node, Shared, State};
use crate::action::IoAction;
use crate::authentication::{Authentication, Next, Situation};
use crate::error::NetworkErrorKind;
use crate::renewal::Renewal;
use crate::sasl::{CredentialFailure, Credentials};
use crate::session::{Purpose, Session};
use crate::timer::Timer;
use crate::{BrokerVersions, Endpoint};
use bytes::Bytes;
use ottla_time::Time;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

impl Node {
    /// Begins to authenticate, for the first time on this connection. The time that is left for the setup goes on.
    pub(super) fn authenticate(
        &mut self,
        address: SocketAddr,
        session: Session,
        versions: Arc<BrokerVersions>,
        now: Time,
        shared: &mut Shared,
    ) {
        shared.authentications += 1;
        let Some(situation) = situation(&self.called, shared) else {
            return;
        };
        match Authentication::begin(&versions, situation) {
            Ok((authentication, next)) => {
                self.state = State::Authenticating {
                    address,
                    session,
                    versions,
                    authentication,
                };
                self.sasl_next(Ok(next), now, shared);
            }
            Err(kind) => self.end(kind, EndedBy::Us, now, shared),
        }
    }

    /// Begins to authenticate again.
    pub(super) fn renew(&mut self, now: Time, shared: &mut Shared) {
        shared.authentications += 1;
        let Some(situation) = situation(&self.called, shared) else {
            return;
        };
        let State::Ready {
            versions,
            renewal: Some(renewal),
            ..
        } = &mut self.state
        else {
            return;
        };
        match Authentication::begin(versions, situation) {
            Ok((authentication, next)) => {
                renewal.began_at = now;
                renewal.authentication = Some(authentication);
                self.sasl_next(Ok(next), now, shared);
            }
            Err(kind) => self.end(kind, EndedBy::Us, now, shared),
        }
    }

    pub(super) fn sasl_answered(&mut self, body: &Bytes, now: Time, shared: &mut Shared) {
        if self.told_about_sasl(body, now, shared) {
            return;
        }
        let Some(situation) = situation(&self.called, shared) else {
            return;
        };
        let authentication = match &mut self.state {
            State::Authenticating { authentication, .. } => authentication,
            State::Ready {
                renewal: Some(renewal),
                ..
            } => match &mut renewal.authentication {
                Some(authentication) => authentication,
                None => return,
            },
            _ => return,
        };
        let next = authentication.answer(body, situation);
        self.sasl_next(next, now, shared);
    }

    /// Does what the authentication under way wants.
    fn sasl_next(&mut self, next: Result<Next, NetworkErrorKind>, now: Time, shared: &mut Shared) {
        match next {
            Ok(Next::Send(request)) => {
                // A token of 2 GiB cannot come out of a configuration, and the state was looked at.
                let _ = self.write(Purpose::Sasl, request, now, shared);
            }
            Ok(Next::SendBare(message)) => self.send_bare(message, now, shared),
            Ok(Next::Credentials) => self.ask_for_credentials(now, shared),
            Ok(Next::Done { lifetime }) => self.authenticated(lifetime, now, shared),
            Err(kind) => self.end(kind, EndedBy::Us, now, shared),
        }
    }

    /// Sends a message without header.
    fn send_bare(&mut self, message: Bytes, now: Time, shared: &mut Shared) {
        let timeout = shared.config.request_timeout;
        let (State::Authenticating { session, .. } | State::Ready { session, .. }) = &mut self.state else {
            return;
        };
        // A token of 2 GiB cannot come out of a configuration.
        let Ok(header) = session.send_bare(&message, timeout, now) else {
            return;
        };
        shared.note_request(self.id, header.len() + message.len(), now);
        shared.actions.push_back(IoAction::Write {
            connection: self.connection,
            header,
            body: message.into(),
        });
    }

    /// The wait for them is not the broker's fault: it has the time that a request has.
    fn ask_for_credentials(&mut self, now: Time, shared: &mut Shared) {
        let Some(sasl) = &shared.config.sasl else { return };
        let until = now + shared.config.request_timeout;
        shared.actions.push_back(IoAction::Credentials {
            connection: self.connection,
            endpoint: Arc::clone(&self.called),
            mechanism: sasl.mechanism(),
        });
        match &mut self.state {
            State::Ready {
                renewal: Some(renewal),
                ..
            } => {
                renewal.credentials_until = until;
                if until < self.timers.at(Timer::Request) {
                    self.set_timer(Timer::Request, until, shared);
                }
            }
            _ => self.set_timer(Timer::Negotiation, until, shared),
        }
    }

    /// The broker is satisfied: for the first time, or again.
    fn authenticated(&mut self, lifetime: Option<Duration>, now: Time, shared: &mut Shared) {
        let next = lifetime.map(|lifetime| Box::new(Renewal::new(lifetime, now, &mut shared.random)));
        match &mut self.state {
            State::Authenticating {
                address,
                session,
                versions,
                ..
            } => {
                let (address, session, versions) = (*address, std::mem::take(session), Arc::clone(versions));
                self.ready(address, session, versions, next, now, shared);
            }
            State::Ready { renewal, .. } => {
                if let Some(renewal) = renewal {
                    shared.note_renewed(renewal.began_at, now);
                }
                let held = std::mem::replace(renewal, next).map(|renewal| renewal.held);
                for request in held.into_iter().flatten() {
                    // Its length was looked at when it was taken.
                    let _ = self.write(Purpose::Client(request.id), request, now, shared);
                }
            }
            _ => {}
        }
    }

    /// What the I/O got, or why it did not.
    pub(crate) fn credentials(
        &mut self,
        result: Result<Credentials, CredentialFailure>,
        now: Time,
        shared: &mut Shared,
    ) {
        // Every authentication has a number, and so a nonce, of its own.
        shared.authentications += 1;
        let Some(situation) = situation(&self.called, shared) else {
            return;
        };
        let next = match &mut self.state {
            State::Authenticating { authentication, .. } if authentication.is_waiting() => {
                let timeout = self.setup_timeout.min(shared.config.request_timeout);
                self.timers.set(Timer::Negotiation, now + timeout);
                authentication.credentials(result, situation)
            }
            State::Ready {
                renewal: Some(renewal),
                ..
            } => {
                renewal.credentials_until = Time::MAX;
                match &mut renewal.authentication {
                    Some(authentication) if authentication.is_waiting() => {
                        authentication.credentials(result, situation)
                    }
                    _ => return,
                }
            }
            _ => return,
        };
        shared.wake_at = shared.wake_at.min(self.timers.next());
        self.sasl_next(next, now, shared);
    }
}

/// What an authentication has to know now; `None` for a client without SASL.
fn situation<'a>(endpoint: &'a Endpoint, shared: &'a Shared) -> Option<Situation<'a>> {
    Some(Situation {
        config: shared.config.sasl.as_ref()?,
        host: endpoint.host(),
        number: shared.authentications,
        request_timeout: shared.config.request_timeout,
    })
}

//! Whether a listener that hangs up on a client without SASL is one that wants SASL.
//!
//! Such a listener answers ApiVersions, and closes the connection without a word at the first request after it, as a
//! broker does that stops. Asking for a mechanism makes the difference: a listener without SASL says that it expects
//! none. So after a connection that was lost that way, the next one asks before it is used. It tells the broker nothing,
//! and is one round trip more on that one connection; Java's client connects again and again, until `max.block.ms`.

use super::{EndedBy, Node, Shared, State};
use crate::BrokerVersions;
use crate::authentication::{Authentication, Doubt};
use crate::error::NetworkErrorKind;
use crate::session::{Purpose, Session};
use bytes::Bytes;
use ottla_time::Time;
use std::net::SocketAddr;
use std::sync::Arc;

impl Node {
    /// A connection that was ready is lost: whether this is how a listener with SASL turns a client away.
    pub(super) fn suspect(&mut self, kind: &NetworkErrorKind, session: &Session, shared: &Shared) {
        let hung_up = matches!(kind, NetworkErrorKind::Closed { .. });
        self.suspects_sasl =
            hung_up && !self.answered && session.outstanding_count() > 0 && shared.config.sasl.is_none();
    }

    /// Asks the broker whether it expects SASL, if there is reason to, and it can say so. Otherwise what was given comes
    /// back.
    pub(super) fn ask_about_sasl(
        &mut self,
        address: SocketAddr,
        session: Session,
        versions: Arc<BrokerVersions>,
        now: Time,
        shared: &mut Shared,
    ) -> Option<(Session, Arc<BrokerVersions>)> {
        // One question for each such loss: if there is no answer, the client is not kept from its work.
        if !std::mem::take(&mut self.suspects_sasl) {
            return Some((session, versions));
        }
        let Some((authentication, request)) = Authentication::ask(&versions, shared.config.request_timeout)
        else {
            return Some((session, versions));
        };
        self.state = State::Authenticating {
            address,
            session,
            versions,
            authentication,
        };
        // A mechanism's name is short, and the state was just set.
        let _ = self.write(Purpose::Sasl, request, now, shared);
        None
    }

    /// The broker's answer to that question. True if it was one.
    pub(super) fn told_about_sasl(&mut self, body: &Bytes, now: Time, shared: &mut Shared) -> bool {
        let State::Authenticating {
            address,
            session,
            versions,
            authentication,
        } = &mut self.state
        else {
            return false;
        };
        let Some(doubt) = authentication.doubt(body) else {
            return false;
        };
        let (address, session, versions) = (*address, std::mem::take(session), Arc::clone(versions));
        match doubt {
            Doubt::Removed => self.ready(address, session, versions, None, now, shared),
            Doubt::Confirmed(kind) => self.end(kind, EndedBy::Us, now, shared),
        }
        true
    }
}

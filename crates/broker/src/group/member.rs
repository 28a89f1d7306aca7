//! One member of a group.

use super::Ticket;
use bytes::Bytes;
use ottla_time::Time;
use std::time::Duration;

/// What JoinGroup says.
#[derive(Clone, Debug)]
pub(crate) struct JoinRequest {
    /// Empty for a member that has no id yet.
    pub(crate) member_id: String,
    /// The id that such a member gets.
    pub(crate) new_member_id: String,
    pub(crate) instance_id: Option<String>,
    pub(crate) client_id: String,
    pub(crate) client_host: String,
    pub(crate) session_timeout: Duration,
    pub(crate) rebalance_timeout: Duration,
    pub(crate) protocol_type: String,
    pub(crate) protocols: Vec<(String, Bytes)>,
    /// Version 4 and later: a member first learns its id, and joins with it (KIP-394).
    pub(crate) id_required: bool,
}

/// One member of a group.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    pub(crate) instance_id: Option<String>,
    pub(crate) client_id: String,
    pub(crate) client_host: String,
    pub(crate) session_timeout: Duration,
    pub(crate) rebalance_timeout: Duration,
    /// In the order of the member's preference.
    pub(crate) protocols: Vec<(String, Bytes)>,
    pub(crate) assignment: Bytes,
    /// When the member is taken for dead; not while it waits for an answer.
    pub(crate) expires: Time,
    pub(crate) joining: Option<Ticket>,
    pub(crate) syncing: Option<Ticket>,
}

impl Member {
    pub(crate) fn new(request: &JoinRequest, now: Time) -> Member {
        Member {
            instance_id: request.instance_id.clone(),
            client_id: request.client_id.clone(),
            client_host: request.client_host.clone(),
            session_timeout: request.session_timeout,
            rebalance_timeout: request.rebalance_timeout,
            protocols: request.protocols.clone(),
            assignment: Bytes::new(),
            expires: now + request.session_timeout,
            joining: None,
            syncing: None,
        }
    }

    /// Takes over what a member says anew when it joins again; true if its protocols changed.
    pub(crate) fn update(&mut self, request: &JoinRequest, now: Time) -> bool {
        self.session_timeout = request.session_timeout;
        self.rebalance_timeout = request.rebalance_timeout;
        self.expires = now + request.session_timeout;
        let changed = self.protocols != request.protocols;
        if changed {
            self.protocols.clone_from(&request.protocols);
        }
        changed
    }

    /// The member's metadata for a protocol.
    pub(crate) fn metadata(&self, protocol: &str) -> Bytes {
        let found = self.protocols.iter().find(|(name, _)| name == protocol);
        found.map_or_else(Bytes::new, |(_, metadata)| metadata.clone())
    }

    pub(crate) fn is_waiting(&self) -> bool {
        self.joining.is_some() || self.syncing.is_some()
    }
}

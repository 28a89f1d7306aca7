//! One connection, as the core knows it.

use crate::request::Held;
use crate::sasl::Identity;
use bytes::Bytes;
use ottla_time::Time;
use std::collections::VecDeque;

/// Something on its way to the client.
#[derive(Debug)]
pub(crate) enum Outgoing {
    Bytes(Bytes),
    Close(&'static str),
}

/// One connection: requests are carried out one after the other, and answers keep their order.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) broker: i32,
    pub(crate) client_host: String,
    /// Frames that came while an earlier request was not done.
    pub(crate) queue: VecDeque<Bytes>,
    /// A request is held back or waits: nothing else is taken up.
    pub(crate) busy: bool,
    /// The request that a fault holds back.
    pub(crate) held: Option<Held>,
    /// The front was told to read no more for the moment.
    pub(crate) paused: bool,
    /// Nothing is ever sent again: the rest of a partial answer.
    pub(crate) silent: bool,
    /// Answers that are on their way: (arrival, what).
    pub(crate) outgoing: VecDeque<(Time, Outgoing)>,
    /// Who the client is, where the cluster wants to know.
    pub(crate) identity: Identity,
    /// When the last request came.
    pub(crate) last_active: Time,
}

impl Connection {
    pub(crate) fn new(broker: i32, client_host: &str, now: Time) -> Connection {
        Connection {
            broker,
            client_host: client_host.to_owned(),
            queue: VecDeque::new(),
            busy: false,
            held: None,
            paused: false,
            silent: false,
            outgoing: VecDeque::new(),
            identity: Identity::default(),
            last_active: now,
        }
    }
}

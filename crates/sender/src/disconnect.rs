//! Why a connection ended, as far as the sender cares.

/// What the driver tells the sender about a connection that ended or could not be made.
///
/// A text alone is one that [may pass](DisconnectClass::Passing):
///
/// ```
/// use ottla_sender::{Disconnect, DisconnectClass};
///
/// assert_eq!(Disconnect::from("connection refused").class, DisconnectClass::Passing);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Disconnect<'a> {
    /// Whether another attempt can help.
    pub class: DisconnectClass,
    /// What happened, for people. No secrets: it ends in errors and logs.
    pub cause: &'a str,
}

impl<'a> From<&'a str> for Disconnect<'a> {
    fn from(cause: &'a str) -> Disconnect<'a> {
        let class = DisconnectClass::Passing;
        Disconnect { class, cause }
    }
}

/// Whether another attempt to connect can help.
///
/// Exhaustive on purpose: a driver has to decide for one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DisconnectClass {
    /// It may pass by itself: the broker is away, or the network is broken. Nobody is told before a deadline.
    Passing,
    /// One side does not accept who the other one is (TLS, SASL). Sends that wait for metadata fail with it, as in
    /// Java, unless another broker is connected.
    Authentication,
    /// What listens there is no Kafka broker, or speaks another `security.protocol`. As
    /// [`DisconnectClass::Authentication`].
    WrongPeer,
}

impl DisconnectClass {
    /// Whether only a change of configuration, here or there, can help.
    pub(crate) fn is_final(self) -> bool {
        self != DisconnectClass::Passing
    }
}

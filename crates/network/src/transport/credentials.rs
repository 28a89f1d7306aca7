//! Where the credentials of an authentication come from, if the configuration does not have them.

use super::BoxFuture;
use crate::Endpoint;
use crate::sasl::{CredentialFailure, Credentials, Mechanism};
use std::fmt::Debug;

/// Gets credentials when a connection authenticates: the first time, and again before its session ends.
///
/// It is asked once for each authentication, so it should keep what stays good. The network sets the deadline
/// (`request.timeout.ms`); the future is dropped when it is no longer wanted. It is polled by the task that does all
/// I/O of the client, and so must not block.
pub trait CredentialProvider: Debug + Send + Sync {
    /// Credentials for `mechanism` at the broker that listens at `endpoint`.
    fn credentials(
        &self,
        endpoint: &Endpoint,
        mechanism: Mechanism,
    ) -> BoxFuture<Result<Credentials, CredentialFailure>>;
}

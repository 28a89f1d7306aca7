//! SASL: how a client proves to a broker who it is, without I/O.
//!
//! [`SaslClient`] is one mechanism's side of the conversation: it says something, reads the broker's answer, and says
//! the next thing or is done. [`client`] makes one. How these messages travel (SaslHandshake, SaslAuthenticate, or bare
//! with brokers of old) is the session's matter; a client that only wants SASL for a protocol of its own can use the
//! mechanisms alone:
//!
//! ```
//! use ottla_network::sasl::{Credentials, Mechanism, PasswordCredentials, Step, client};
//!
//! let credentials = Credentials::Password(PasswordCredentials::new("alice", "alice-secret"));
//! let mut plain = client(Mechanism::Plain, &credentials, "broker.example", "no nonce is needed")?;
//! assert_eq!(plain.first().as_slice(), b"\0alice\0alice-secret");
//! assert_eq!(plain.step(b"")?, Step::Done);
//! # Ok::<(), ottla_network::sasl::SaslFailure>(())
//! ```
//!
//! [`Mechanism::AwsMskIam`] signs as AWS's own signer does, but was not tried on AWS.

mod config;
mod credentials;
mod error;
pub mod jaas;
#[cfg(feature = "jwt")]
pub mod jwt;
mod mechanism;
mod msk_iam;
mod oauth_bearer;
mod plain;
mod scram;
mod secret;
mod sigv4;

pub use config::SaslConfig;
pub use credentials::{
    AwsCredentials, AwsSignature, BearerToken, CredentialFailure, Credentials, PasswordCredentials,
};
pub use error::SaslFailure;
pub(crate) use error::shown_mechanisms;
pub use mechanism::{Mechanism, UnknownMechanism};
pub use scram::{ITERATIONS_MAX, ITERATIONS_MIN};
pub use secret::Secret;

use std::fmt;
use zeroize::Zeroizing;

/// One mechanism's side of one authentication.
pub trait SaslClient: fmt::Debug + Send {
    /// What the client says first. Called once, before everything else.
    fn first(&mut self) -> Zeroizing<Vec<u8>>;

    /// Reads the broker's answer to what was said last, which may be any bytes.
    ///
    /// # Errors
    ///
    /// The broker refuses, or is not to be trusted. The conversation is over.
    fn step(&mut self, answer: &[u8]) -> Result<Step, SaslFailure>;
}

/// What comes after an answer of the broker.
///
/// Exhaustive on purpose: a conversation goes on or is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// This is said next.
    Send(Zeroizing<Vec<u8>>),
    /// The client has nothing to say any more, and is satisfied.
    Done,
}

/// The client of a mechanism. `host` is the broker's name as it was connected to; `nonce` is used by SCRAM only: it
/// must be new each time, not to be guessed, and printable without a comma.
///
/// # Errors
///
/// The credentials are not of the mechanism's kind, or cannot be sent with it.
pub fn client(
    mechanism: Mechanism,
    credentials: &Credentials,
    host: &str,
    nonce: &str,
) -> Result<Box<dyn SaslClient>, SaslFailure> {
    Ok(match (mechanism, credentials) {
        (Mechanism::Plain, Credentials::Password(credentials)) => Box::new(plain::Plain::new(credentials)?),
        (Mechanism::ScramSha256, Credentials::Password(credentials)) => {
            Box::new(scram::Scram::new(scram::Hash::Sha256, credentials, nonce)?)
        }
        (Mechanism::ScramSha512, Credentials::Password(credentials)) => {
            Box::new(scram::Scram::new(scram::Hash::Sha512, credentials, nonce)?)
        }
        (Mechanism::OauthBearer, Credentials::Token(token)) => {
            Box::new(oauth_bearer::OauthBearer::new(token))
        }
        (Mechanism::AwsMskIam, Credentials::Aws(signature)) => {
            Box::new(msk_iam::MskIam::new(signature, host)?)
        }
        _ => {
            return Err(SaslFailure::InvalidCredentials {
                reason: "the credentials are of another kind than the mechanism takes",
            });
        }
    })
}

/// The broker must have nothing to add.
fn expect_empty(answer: &[u8], reason: &'static str) -> Result<(), SaslFailure> {
    if answer.is_empty() {
        Ok(())
    } else {
        Err(SaslFailure::Malformed { reason })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_of_another_kind_are_refused() {
        let password = Credentials::Password(PasswordCredentials::new("u", "p"));
        let token = Credentials::Token(BearerToken::new("t").unwrap());
        for (mechanism, credentials) in [
            (Mechanism::OauthBearer, &password),
            (Mechanism::AwsMskIam, &password),
            (Mechanism::Plain, &token),
            (Mechanism::ScramSha256, &token),
        ] {
            assert!(client(mechanism, credentials, "h", "n").is_err(), "{mechanism}");
        }
    }
}

//! How all connections of a client authenticate.

use super::{Credentials, Mechanism};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use sha2::{Digest as _, Sha256};
use std::fmt;
use zeroize::Zeroizing;

/// The mechanism, and where the credentials come from.
#[derive(Clone, PartialEq, Eq)]
pub struct SaslConfig {
    mechanism: Mechanism,
    credentials: Option<Credentials>,
    entropy: Zeroizing<[u8; 32]>,
}

impl SaslConfig {
    /// Authenticates by `mechanism`, and asks for credentials each time by
    /// [`IoAction::Credentials`](crate::IoAction::Credentials).
    ///
    /// `entropy` is what nobody else knows: nonces are derived from it. It comes from the operating system's random
    /// source, except where a simulation wants to be repeatable.
    pub fn new(mechanism: Mechanism, entropy: [u8; 32]) -> SaslConfig {
        SaslConfig {
            mechanism,
            credentials: None,
            entropy: Zeroizing::new(entropy),
        }
    }

    /// Uses these credentials always, and asks for none.
    pub fn with_credentials(mut self, credentials: Credentials) -> SaslConfig {
        self.credentials = Some(credentials);
        self
    }

    /// The mechanism.
    pub fn mechanism(&self) -> Mechanism {
        self.mechanism
    }

    /// The credentials that are always used, if there are any.
    pub fn credentials(&self) -> Option<&Credentials> {
        self.credentials.as_ref()
    }

    /// The nonce of the authentication with this number: 144 bits that only who knows the entropy can foresee.
    pub(crate) fn nonce(&self, number: u64) -> String {
        let mut hash = Sha256::new();
        hash.update(self.entropy.as_slice());
        hash.update(number.to_be_bytes());
        // Base64 has no comma, the one printable character that a nonce cannot have.
        STANDARD_NO_PAD.encode(&hash.finalize()[..18])
    }
}

impl fmt::Debug for SaslConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SaslConfig")
            .field("mechanism", &self.mechanism)
            .field("credentials", &self.credentials)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nonces_differ_and_are_printable() {
        let config = SaslConfig::new(Mechanism::ScramSha256, [7; 32]);
        let other = SaslConfig::new(Mechanism::ScramSha256, [8; 32]);
        assert_eq!(config.nonce(1), config.nonce(1));
        assert!(config.nonce(1) != config.nonce(2) && config.nonce(1) != other.nonce(1));
        assert_eq!(config.nonce(1).len(), 24);
        assert!(
            config
                .nonce(1)
                .bytes()
                .all(|byte| byte.is_ascii_graphic() && byte != b',')
        );
    }
}

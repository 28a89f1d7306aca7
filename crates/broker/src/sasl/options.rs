//! Which users a cluster knows, and how they may prove it.

use super::scram::{Credential, Hash};
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// A mechanism that the cluster can offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum SaslMechanism {
    /// User and password in the clear.
    Plain,
    /// A proof of the password by SHA-256.
    ScramSha256,
    /// A proof of the password by SHA-512.
    ScramSha512,
    /// A token without signature, as Java's `OAuthBearerUnsecuredLoginModule` makes it.
    OauthBearer,
}

impl SaslMechanism {
    /// Every mechanism.
    pub const ALL: [SaslMechanism; 4] = [
        SaslMechanism::Plain,
        SaslMechanism::ScramSha256,
        SaslMechanism::ScramSha512,
        SaslMechanism::OauthBearer,
    ];

    /// The name that SASL has for it.
    pub const fn name(self) -> &'static str {
        match self {
            SaslMechanism::Plain => "PLAIN",
            SaslMechanism::ScramSha256 => "SCRAM-SHA-256",
            SaslMechanism::ScramSha512 => "SCRAM-SHA-512",
            SaslMechanism::OauthBearer => "OAUTHBEARER",
        }
    }
}

/// How the clients of a cluster authenticate.
///
/// ```
/// use ottla_broker::{SaslOptions, TestCluster};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let sasl = SaslOptions::new().user("alice", "alice-secret");
/// let cluster = TestCluster::builder().sasl(sasl).start_blocking()?;
/// # let _ = cluster;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, PartialEq)]
pub struct SaslOptions {
    mechanisms: Vec<SaslMechanism>,
    users: BTreeMap<String, String>,
    tokens: BTreeMap<String, String>,
    pub(super) session_max: Option<Duration>,
    /// What every token must be signed with; without it, tokens are not signed.
    pub(super) token_signature: Option<String>,
    /// What SCRAM keeps of a password, worked out when it is first asked for: (token or user, name, hash).
    credentials: BTreeMap<(bool, String, Hash), Credential>,
}

impl Default for SaslOptions {
    fn default() -> SaslOptions {
        SaslOptions::new()
    }
}

impl SaslOptions {
    /// Every mechanism, no user, and sessions without end.
    pub fn new() -> SaslOptions {
        SaslOptions {
            mechanisms: SaslMechanism::ALL.to_vec(),
            users: BTreeMap::new(),
            tokens: BTreeMap::new(),
            session_max: None,
            token_signature: None,
            credentials: BTreeMap::new(),
        }
    }

    /// A user, for PLAIN and SCRAM.
    pub fn user(mut self, name: impl Into<String>, password: impl Into<String>) -> SaslOptions {
        self.users.insert(name.into(), password.into());
        self.credentials.clear();
        self
    }

    /// A delegation token, for SCRAM: its id and its HMAC in Base64.
    pub fn delegation_token(mut self, id: impl Into<String>, hmac: impl Into<String>) -> SaslOptions {
        self.tokens.insert(id.into(), hmac.into());
        self.credentials.clear();
        self
    }

    /// Offers only these mechanisms.
    pub fn mechanisms_only(mut self, mechanisms: impl IntoIterator<Item = SaslMechanism>) -> SaslOptions {
        self.mechanisms = mechanisms.into_iter().collect();
        self
    }

    /// How long a session lasts before the client has to authenticate again (`connections.max.reauth.ms`).
    pub fn session_max(mut self, session_max: Duration) -> SaslOptions {
        self.session_max = Some(session_max);
        self
    }

    /// Takes tokens that say they are signed, if their third part is this text. It is compared and not verified: a test
    /// that plays the issuer, too, needs no key.
    pub fn token_signature(mut self, signature: impl Into<String>) -> SaslOptions {
        self.token_signature = Some(signature.into());
        self
    }

    pub(super) fn mechanisms(&self) -> &[SaslMechanism] {
        &self.mechanisms
    }

    pub(super) fn password(&self, user: &str) -> Option<&str> {
        self.users.get(user).map(String::as_str)
    }

    /// What SCRAM knows of a user or a token.
    pub(super) fn credential(
        &mut self,
        is_token: bool,
        name: &str,
        hash: Hash,
        random: &mut fastrand::Rng,
    ) -> Option<Credential> {
        let secrets = if is_token { &self.tokens } else { &self.users };
        let secret = secrets.get(name)?;
        let made = self
            .credentials
            .entry((is_token, name.to_owned(), hash))
            .or_insert_with(|| Credential::new(secret, hash, random));
        Some(made.clone())
    }
}

impl fmt::Debug for SaslOptions {
    /// Without passwords.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SaslOptions")
            .field("mechanisms", &self.mechanisms)
            .field("users", &self.users.len())
            .field("session_max", &self.session_max)
            .finish_non_exhaustive()
    }
}

//! Who a client says it is, and how it proves that.

use super::Secret;
use super::error::SaslFailure;
use std::fmt;

/// The credentials of one authentication. Each mechanism takes one kind.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Credentials {
    /// For PLAIN and SCRAM.
    Password(PasswordCredentials),
    /// For OAUTHBEARER.
    Token(BearerToken),
    /// For AWS_MSK_IAM.
    Aws(AwsSignature),
}

/// A name and a password.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PasswordCredentials {
    /// The user's name; with a delegation token, the token's id.
    pub user: String,
    /// The password; with a delegation token, the token's HMAC in Base64.
    pub password: Secret,
    /// Whether this is a delegation token (KIP-48), which only SCRAM takes.
    pub is_delegation_token: bool,
}

impl PasswordCredentials {
    /// A user and the password.
    pub fn new(user: impl Into<String>, password: impl Into<Secret>) -> PasswordCredentials {
        PasswordCredentials {
            user: user.into(),
            password: password.into(),
            is_delegation_token: false,
        }
    }

    /// A delegation token: its id, and its HMAC in Base64.
    pub fn delegation_token(id: impl Into<String>, hmac: impl Into<Secret>) -> PasswordCredentials {
        PasswordCredentials {
            is_delegation_token: true,
            ..PasswordCredentials::new(id, hmac)
        }
    }
}

/// A token of OAuth, with the SASL extensions that go along (KIP-342).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BearerToken {
    token: Secret,
    extensions: Vec<(String, String)>,
}

impl BearerToken {
    /// A token as the endpoint gave it, usually a JWT.
    ///
    /// # Errors
    ///
    /// It has characters that a bearer token cannot have (RFC 6750): it would not be read as one, or as more than one.
    pub fn new(token: impl Into<Secret>) -> Result<BearerToken, SaslFailure> {
        let token = token.into();
        let body = token.reveal().trim_end_matches('=');
        let fits = |byte: u8| {
            byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'+' | b'/')
        };
        if body.is_empty() || !body.bytes().all(fits) {
            return Err(SaslFailure::InvalidCredentials {
                reason: "the token is empty or has characters that no bearer token has",
            });
        }
        Ok(BearerToken {
            token,
            extensions: Vec::new(),
        })
    }

    /// Adds an extension.
    ///
    /// # Errors
    ///
    /// The name is not made of ASCII letters or is `auth`, or the value has characters that are not allowed.
    pub fn with_extension(
        mut self,
        name: impl Into<String>,
        value: impl Into<String>,
    ) -> Result<BearerToken, SaslFailure> {
        let (name, value) = (name.into(), value.into());
        let invalid = |reason| Err(SaslFailure::InvalidCredentials { reason });
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphabetic()) {
            return invalid("the name of a SASL extension must be made of ASCII letters");
        }
        if name == "auth" {
            return invalid("the name 'auth' is reserved and cannot be a SASL extension");
        }
        let fits = |byte: u8| matches!(byte, 0x21..=0x7e | b' ' | b'\t' | b'\r' | b'\n');
        if value.is_empty() || !value.bytes().all(fits) {
            return invalid("the value of a SASL extension must be printable ASCII");
        }
        self.extensions.push((name, value));
        Ok(self)
    }

    /// The token.
    pub fn token(&self) -> &Secret {
        &self.token
    }

    /// The extensions, in the order in which they were added.
    pub fn extensions(&self) -> &[(String, String)] {
        &self.extensions
    }
}

/// The keys of an AWS identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AwsCredentials {
    /// The access key's id.
    pub access_key_id: String,
    /// The access key.
    pub secret_access_key: Secret,
    /// The session's token, with temporary credentials.
    pub session_token: Option<Secret>,
}

/// What AWS_MSK_IAM signs with: an identity, a time and a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AwsSignature {
    /// Whose signature it is.
    pub credentials: AwsCredentials,
    /// The region, where the broker's name does not tell it.
    pub region: Option<String>,
    /// When it is signed, in milliseconds since the Unix epoch: the broker takes it for 15 minutes.
    pub signed_at_ms: i64,
}

/// Credentials could not be had.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CredentialFailure {
    /// Whether asking again may help: a server that does not answer, as opposed to one that refuses.
    pub is_transient: bool,
    /// What to show. It may end in a log: no secrets.
    pub message: String,
}

impl CredentialFailure {
    /// A failure that passes, such as a server that cannot be reached: the connection is tried again.
    pub fn transient(message: impl Into<String>) -> CredentialFailure {
        CredentialFailure {
            is_transient: true,
            message: message.into(),
        }
    }

    /// A failure that stays, such as a refused secret: what waits for the connection fails.
    pub fn lasting(message: impl Into<String>) -> CredentialFailure {
        CredentialFailure {
            is_transient: false,
            message: message.into(),
        }
    }
}

impl fmt::Display for CredentialFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for CredentialFailure {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_and_extensions_cannot_smuggle() {
        for bad in ["", "=", "a b", "a\u{1}auth=x", "a\n", "ä"] {
            assert!(BearerToken::new(bad).is_err(), "{bad:?}");
        }
        let token = BearerToken::new("aA0-._~+/==").unwrap();
        for (name, value) in [
            ("", "x"),
            ("auth", "x"),
            ("a1", "x"),
            ("a", ""),
            ("a", "\u{1}"),
            ("a", "ä"),
        ] {
            assert!(
                token.clone().with_extension(name, value).is_err(),
                "{name:?}={value:?}"
            );
        }
        let token = token.with_extension("logicalCluster", "lkc-1").unwrap();
        assert_eq!(
            token.extensions(),
            [("logicalCluster".to_owned(), "lkc-1".to_owned())]
        );
    }

    #[test]
    fn nothing_secret_is_shown() {
        let shown = format!(
            "{:?} {:?} {:?}",
            Credentials::Password(PasswordCredentials::new("alice", "canary")),
            Credentials::Token(BearerToken::new("canary").unwrap()),
            Credentials::Aws(AwsSignature {
                credentials: AwsCredentials {
                    access_key_id: "AKID".to_owned(),
                    secret_access_key: Secret::new("canary"),
                    session_token: Some(Secret::new("canary")),
                },
                region: None,
                signed_at_ms: 0,
            })
        );
        assert!(shown.contains("alice") && !shown.contains("canary"), "{shown}");
    }
}

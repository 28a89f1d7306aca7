//! PLAIN (RFC 4616): the password itself, in one message.

use super::error::SaslFailure;
use super::{PasswordCredentials, SaslClient, Step, expect_empty};
use zeroize::Zeroizing;

/// The client of PLAIN.
#[derive(Debug)]
pub(super) struct Plain {
    credentials: PasswordCredentials,
}

impl Plain {
    pub(super) fn new(credentials: &PasswordCredentials) -> Result<Plain, SaslFailure> {
        let invalid = |reason| Err(SaslFailure::InvalidCredentials { reason });
        if credentials.is_delegation_token {
            return invalid("a delegation token takes a mechanism of SCRAM, not PLAIN");
        }
        if credentials.user.contains('\0') || credentials.password.reveal().contains('\0') {
            return invalid("PLAIN can send no NUL in user or password");
        }
        Ok(Plain {
            credentials: credentials.clone(),
        })
    }
}

impl SaslClient for Plain {
    /// No authorization id, as Java: the broker takes the user's name for it.
    fn first(&mut self) -> Zeroizing<Vec<u8>> {
        let PasswordCredentials { user, password, .. } = &self.credentials;
        // At once as large as it gets, so that no smaller copy is left behind.
        let mut message = Zeroizing::new(Vec::with_capacity(2 + user.len() + password.reveal().len()));
        message.push(0);
        message.extend_from_slice(user.as_bytes());
        message.push(0);
        message.extend_from_slice(password.reveal().as_bytes());
        message
    }

    fn step(&mut self, answer: &[u8]) -> Result<Step, SaslFailure> {
        expect_empty(answer, "PLAIN is over after one message, and the broker goes on")?;
        Ok(Step::Done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_message_and_done() {
        let mut plain = Plain::new(&PasswordCredentials::new("ünï", "pässword")).unwrap();
        assert_eq!(plain.first().as_slice(), "\0ünï\0pässword".as_bytes());
        assert_eq!(plain.step(b""), Ok(Step::Done));
        assert!(plain.step(b"more").is_err());
    }

    #[test]
    fn what_cannot_be_sent_is_refused() {
        assert!(Plain::new(&PasswordCredentials::new("a\0b", "c")).is_err());
        assert!(Plain::new(&PasswordCredentials::new("a", "b\0c")).is_err());
        assert!(Plain::new(&PasswordCredentials::delegation_token("id", "aG1hYw==")).is_err());
    }
}

//! One authentication, seen from the broker.

use super::options::{SaslMechanism, SaslOptions};
use super::scram::{Hash, ScramServer};
use super::token;
use std::time::Duration;

/// Where an authentication stands.
#[derive(Debug)]
pub(crate) enum Conversation {
    Plain,
    Scram(ScramServer),
    OauthBearer {
        /// The token was refused, and the client has to acknowledge that before it is told in the open.
        is_refused: bool,
    },
}

/// What the broker says to a message.
#[derive(Debug)]
pub(crate) enum Reply {
    /// The client has to say more.
    Continue(Vec<u8>),
    /// The client is who it says.
    Done {
        bytes: Vec<u8>,
        principal: String,
        /// How long the credential is good for, if it ends.
        life: Option<Duration>,
    },
}

impl Conversation {
    pub(super) fn new(mechanism: SaslMechanism) -> Conversation {
        match mechanism {
            SaslMechanism::Plain => Conversation::Plain,
            SaslMechanism::ScramSha256 => Conversation::Scram(ScramServer::new(Hash::Sha256)),
            SaslMechanism::ScramSha512 => Conversation::Scram(ScramServer::new(Hash::Sha512)),
            SaslMechanism::OauthBearer => Conversation::OauthBearer { is_refused: false },
        }
    }

    /// Takes a message; an error is what the client is told.
    pub(super) fn step(
        &mut self,
        options: &mut SaslOptions,
        message: &[u8],
        wall_ms: i64,
        random: &mut fastrand::Rng,
    ) -> Result<Reply, String> {
        match self {
            Conversation::Plain => plain(options, message),
            Conversation::Scram(server) => server.step(options, message, random),
            Conversation::OauthBearer { is_refused: true } => Err(token::INVALID.to_owned()),
            Conversation::OauthBearer { is_refused } => {
                match token::check(message, wall_ms, options.token_signature.as_deref()) {
                    Ok(token) => Ok(Reply::Done {
                        bytes: Vec::new(),
                        principal: token.subject,
                        life: Some(token.life),
                    }),
                    Err(()) => {
                        *is_refused = true;
                        Ok(Reply::Continue(token::INVALID.as_bytes().to_vec()))
                    }
                }
            }
        }
    }
}

/// `[authorization id] NUL user NUL password`; the first must be empty or the user (`PlainSaslServer`).
fn plain(options: &SaslOptions, message: &[u8]) -> Result<Reply, String> {
    let text =
        std::str::from_utf8(message).map_err(|_| "Invalid SASL/PLAIN response: not UTF-8".to_owned())?;
    let parts: Vec<&str> = text.split('\0').collect();
    let [id, user, password] = parts.as_slice() else {
        return Err(format!(
            "Invalid SASL/PLAIN response: expected 3 tokens, got {}",
            parts.len()
        ));
    };
    if options.password(user) != Some(password) || user.is_empty() {
        return Err("Authentication failed: Invalid username or password".to_owned());
    }
    if !id.is_empty() && id != user {
        return Err(
            "Authentication failed: Client requested an authorization id that is different from username"
                .to_owned(),
        );
    }
    Ok(Reply::Done {
        bytes: Vec::new(),
        principal: (*user).to_owned(),
        life: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_takes_the_right_password_only() {
        let options = SaslOptions::new().user("alice", "secret");
        for (message, good) in [
            (&b"\0alice\0secret"[..], true),
            (b"alice\0alice\0secret", true),
            (b"bob\0alice\0secret", false),
            (b"\0alice\0Secret", false),
            (b"\0bob\0secret", false),
            (b"\0\0", false),
            (b"alice\0secret", false),
            (b"\0alice\0secret\0", false),
            (b"\xff\0alice\0secret", false),
            (b"", false),
        ] {
            assert_eq!(
                plain(&options, message).is_ok(),
                good,
                "{}",
                message.escape_ascii()
            );
        }
    }
}

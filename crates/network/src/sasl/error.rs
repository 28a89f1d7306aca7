//! Why an authentication did not succeed.

use super::CredentialFailure;
use ottla_protocol::ErrorCode;
use std::fmt;

/// How much of a broker's message is kept, in characters.
const MESSAGE_CHARACTERS_MAX: usize = 300;
/// How many mechanisms of a broker are named.
const OFFERED_MAX: usize = 16;

/// Why an authentication did not succeed. The first group is the broker's word, the second what it sent, the third
/// this client.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SaslFailure {
    /// The broker refuses the credentials: wrong password, unknown user, expired token.
    Refused {
        /// What the broker says, escaped and cut.
        message: String,
    },
    /// The broker does not offer the mechanism on this listener.
    MechanismNotOffered {
        /// What it offers.
        offered: Vec<String>,
    },
    /// The broker did not expect SASL: its listener is one without.
    NotExpected,
    /// The broker answered with another error code.
    Code {
        /// Kafka's error code.
        code: i16,
        /// What the broker says, escaped and cut; it may be empty.
        message: String,
    },
    /// The broker's answer to ApiVersions has no SASL in it.
    NotSupported,

    /// The broker could not prove that it knows the password: it is not the one it says it is.
    ServerNotProven,
    /// SCRAM asks for a number of iterations that is not acceptable: too few are a way to guess the password, too many
    /// a way to keep this client busy.
    Iterations {
        /// What the broker asked for.
        iterations: u64,
    },
    /// What the broker sent is not what the mechanism prescribes.
    Malformed {
        /// What is wrong with it.
        reason: &'static str,
    },

    /// The credentials cannot be used with this mechanism.
    InvalidCredentials {
        /// Why not.
        reason: &'static str,
    },
    /// There are no credentials.
    Unavailable(CredentialFailure),
}

impl SaslFailure {
    pub(crate) fn refused(message: &str) -> SaslFailure {
        SaslFailure::Refused {
            message: shown(message),
        }
    }

    pub(crate) fn code(code: i16, message: &str) -> SaslFailure {
        SaslFailure::Code {
            code,
            message: shown(message),
        }
    }

    pub(crate) fn not_offered(offered: &[String]) -> SaslFailure {
        SaslFailure::MechanismNotOffered {
            offered: shown_mechanisms(offered),
        }
    }

    /// Whether another attempt may succeed without anything being changed.
    pub fn is_transient(&self) -> bool {
        match self {
            SaslFailure::Unavailable(failure) => failure.is_transient,
            SaslFailure::Code { code, .. } => ErrorCode(*code).is_retriable(),
            _ => false,
        }
    }

    /// What to look at or to change.
    pub fn hint(&self) -> Option<&'static str> {
        Some(match self {
            SaslFailure::Refused { .. } => "check the user, password or token in sasl.jaas.config",
            SaslFailure::MechanismNotOffered { .. } => {
                "set sasl.mechanism to one of these, or check the port"
            }
            SaslFailure::NotExpected | SaslFailure::NotSupported => {
                "the listener is one without SASL: set security.protocol to PLAINTEXT or SSL, or check the port"
            }
            SaslFailure::ServerNotProven => {
                "something else than the broker may answer there: do not trust it"
            }
            SaslFailure::Iterations { .. } => {
                "4096 to 1000000 are taken: give the user another SCRAM credential"
            }
            _ => return None,
        })
    }
}

impl fmt::Display for SaslFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SaslFailure::Refused { message } => write!(f, "the broker refuses the credentials: {message}"),
            SaslFailure::MechanismNotOffered { offered } if offered.is_empty() => {
                f.write_str("the broker does not offer this mechanism")
            }
            SaslFailure::MechanismNotOffered { offered } => {
                write!(
                    f,
                    "the broker does not offer this mechanism, but {}",
                    offered.join(", ")
                )
            }
            SaslFailure::NotExpected => f.write_str("the broker does not expect SASL"),
            SaslFailure::Code { code, message } if message.is_empty() => {
                write!(f, "the broker answers error code {code}")
            }
            SaslFailure::Code { code, message } => {
                write!(f, "the broker answers error code {code}: {message}")
            }
            SaslFailure::NotSupported => f.write_str("the broker knows no SASL"),
            SaslFailure::ServerNotProven => {
                f.write_str("the broker does not prove that it knows the password")
            }
            SaslFailure::Iterations { iterations } => {
                write!(f, "the broker asks for {iterations} iterations of SCRAM")
            }
            SaslFailure::Malformed { reason } => {
                write!(f, "the broker's message is not understood: {reason}")
            }
            SaslFailure::InvalidCredentials { reason } => f.write_str(reason),
            SaslFailure::Unavailable(failure) => write!(f, "no credentials: {failure}"),
        }
    }
}

impl std::error::Error for SaslFailure {}

/// The mechanisms that a broker names, fit for a line of a log.
pub(crate) fn shown_mechanisms(offered: &[String]) -> Vec<String> {
    offered.iter().take(OFFERED_MAX).map(|name| shown(name)).collect()
}

/// A broker's words, fit for a line of a log.
fn shown(message: &str) -> String {
    let mut shown = String::new();
    for character in message.chars().take(MESSAGE_CHARACTERS_MAX) {
        if character.is_control() {
            shown.extend(character.escape_default());
        } else {
            shown.push(character);
        }
    }
    if message.chars().nth(MESSAGE_CHARACTERS_MAX).is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_brokers_words_are_escaped_and_cut() {
        let failure = SaslFailure::refused(&format!("a\u{1b}[2Jb\n{}", "x".repeat(1_000)));
        let text = failure.to_string();
        assert!(text.contains("a\\u{1b}[2Jb\\n"), "{text}");
        assert!(text.chars().count() < 400 && text.ends_with('…'), "{text}");
    }
}

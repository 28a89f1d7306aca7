//! The mechanisms by name.

use std::fmt;
use std::str::FromStr;

/// A SASL mechanism.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Mechanism {
    /// User and password in the clear (RFC 4616): only over TLS, outside of tests.
    Plain,
    /// A proof of the password by SHA-256 (RFC 5802, RFC 7677).
    ScramSha256,
    /// A proof of the password by SHA-512.
    ScramSha512,
    /// A token (RFC 7628).
    OauthBearer,
    /// A request signed with AWS credentials, as Amazon MSK takes it.
    AwsMskIam,
}

impl Mechanism {
    /// Every mechanism.
    pub const ALL: [Mechanism; 5] = [
        Mechanism::Plain,
        Mechanism::ScramSha256,
        Mechanism::ScramSha512,
        Mechanism::OauthBearer,
        Mechanism::AwsMskIam,
    ];

    /// The name that SASL has for it.
    pub fn name(self) -> &'static str {
        match self {
            Mechanism::Plain => "PLAIN",
            Mechanism::ScramSha256 => "SCRAM-SHA-256",
            Mechanism::ScramSha512 => "SCRAM-SHA-512",
            Mechanism::OauthBearer => "OAUTHBEARER",
            Mechanism::AwsMskIam => "AWS_MSK_IAM",
        }
    }
}

impl fmt::Display for Mechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Mechanism {
    type Err = UnknownMechanism;

    /// The exact name, as Java has it.
    fn from_str(name: &str) -> Result<Mechanism, UnknownMechanism> {
        let known = Mechanism::ALL
            .into_iter()
            .find(|mechanism| mechanism.name() == name);
        known.ok_or(UnknownMechanism)
    }
}

/// No such mechanism here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownMechanism;

impl fmt::Display for UnknownMechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("expected one of ")?;
        for (index, mechanism) in Mechanism::ALL.into_iter().enumerate() {
            write!(f, "{}{mechanism}", if index == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

impl std::error::Error for UnknownMechanism {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_exact() {
        for mechanism in Mechanism::ALL {
            assert_eq!(mechanism.name().parse(), Ok(mechanism));
        }
        assert_eq!("plain".parse::<Mechanism>(), Err(UnknownMechanism));
        assert!(UnknownMechanism.to_string().contains("PLAIN, SCRAM-SHA-256"));
    }
}

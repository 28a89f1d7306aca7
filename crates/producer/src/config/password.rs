//! A secret that does not show itself.

use std::fmt;
use zeroize::Zeroizing;

/// A secret from the configuration: prints as `[hidden]`, and its memory is cleared when it is dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(Zeroizing<String>);

/// What stands in place of a secret wherever one could show, as in Java.
pub(super) const HIDDEN: &str = "[hidden]";

impl Password {
    /// Takes the secret over.
    pub fn new(secret: impl Into<String>) -> Password {
        Password(Zeroizing::new(secret.into()))
    }

    /// The secret itself: the only way to see it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HIDDEN)
    }
}

impl fmt::Display for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HIDDEN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_shows_itself() {
        let password = Password::new("canary");
        assert_eq!(
            format!("{password} {password:?} {:?}", Some(&password)),
            "[hidden] [hidden] Some([hidden])"
        );
        assert_eq!(password.reveal(), "canary");
    }
}

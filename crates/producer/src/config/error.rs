//! What can be wrong with a configuration, and where it came from.

use super::definition::Definition;
use super::password::HIDDEN;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

/// Where a setting came from.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// The program that uses the library set it.
    Code,
    /// A `.properties` file.
    File {
        /// The file, as it was named.
        path: Arc<PathBuf>,
        /// The line on which the entry begins, from 1.
        line: usize,
    },
    /// A flag of a command line, such as `-X`.
    Flag(&'static str),
    /// A variable of the environment.
    Environment(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Code => f.write_str("set in code"),
            Origin::File { path, line } => write!(f, "{}:{line}", path.display()),
            Origin::Flag(flag) => f.write_str(flag),
            Origin::Environment(variable) => write!(f, "environment {variable}"),
        }
    }
}

/// A configuration that cannot be used: which key, which value (never a secret), why, and where it was set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError(Box<Problem>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Problem {
    keys: Vec<String>,
    /// `None` when there is none, or when it must not be shown.
    value: Option<String>,
    reason: String,
    origin: Option<Origin>,
}

impl ConfigError {
    /// `value` of `definition` is not one that it takes; a secret is left out.
    pub(super) fn value(
        definition: &Definition,
        value: &str,
        reason: impl Into<String>,
        origin: Option<&Origin>,
    ) -> ConfigError {
        let shown = if definition.is_secret() {
            HIDDEN.to_owned()
        } else {
            shorten(value)
        };
        ConfigError(Box::new(Problem {
            keys: vec![definition.name.to_owned()],
            value: Some(shown),
            reason: reason.into(),
            origin: origin.cloned(),
        }))
    }

    /// The key itself is the trouble; its value is not shown, for it may be a secret under a misspelt name.
    pub(super) fn key(key: &str, reason: impl Into<String>, origin: Option<&Origin>) -> ConfigError {
        ConfigError(Box::new(Problem {
            keys: vec![shorten(key)],
            value: None,
            reason: reason.into(),
            origin: origin.cloned(),
        }))
    }

    /// What a key names cannot be used. `error` holds no secret.
    pub(crate) fn unusable(key: &str, error: &dyn fmt::Display) -> ConfigError {
        ConfigError::key(key, error.to_string(), None)
    }

    /// Keys that contradict each other; `reason` names them all.
    pub(super) fn keys(keys: &[&str], reason: impl Into<String>, origin: Option<&Origin>) -> ConfigError {
        ConfigError(Box::new(Problem {
            keys: keys.iter().map(|&key| key.to_owned()).collect(),
            value: None,
            reason: reason.into(),
            origin: origin.cloned(),
        }))
    }

    /// A source of settings cannot be read; no key is to blame.
    pub(super) fn source(reason: impl Into<String>, origin: Option<&Origin>) -> ConfigError {
        ConfigError::keys(&[], reason, origin)
    }

    /// The same without the place: for settings that stand inside another one.
    #[cfg(all(feature = "oauth", feature = "tls-no-provider"))]
    pub(super) fn without_origin(mut self) -> ConfigError {
        self.0.origin = None;
        self
    }

    /// The keys that are to blame: none when a file cannot be read, several when they contradict each other.
    pub fn keys_to_blame(&self) -> impl Iterator<Item = &str> {
        self.0.keys.iter().map(String::as_str)
    }

    /// Where the setting came from, if it was set at all.
    pub fn origin(&self) -> Option<&Origin> {
        self.0.origin.as_ref()
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Problem {
            keys,
            value,
            reason,
            origin,
        } = &*self.0;
        if let Some(origin) = origin {
            write!(f, "{origin}: ")?;
        }
        match (keys.as_slice(), value) {
            ([key], Some(value)) => write!(f, "{key}={value}: {reason}"),
            ([key], None) => write!(f, "{key}: {reason}"),
            // A reason about several keys names them itself.
            _ => f.write_str(reason),
        }
    }
}

impl std::error::Error for ConfigError {}

/// Something in a configuration that was accepted, but perhaps not meant so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    key: String,
    text: String,
    origin: Option<Origin>,
}

impl Warning {
    pub(super) fn new(key: &str, text: impl Into<String>, origin: Option<&Origin>) -> Warning {
        Warning {
            key: shorten(key),
            text: text.into(),
            origin: origin.cloned(),
        }
    }

    /// The key that it is about; empty when it is about a whole file.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Where the setting came from, if it was set at all.
    pub fn origin(&self) -> Option<&Origin> {
        self.origin.as_ref()
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(origin) = &self.origin {
            write!(f, "{origin}: ")?;
        }
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.text)
    }
}

/// Keeps a message on one line of reasonable length, whatever was typed.
fn shorten(text: &str) -> String {
    const CHARACTERS_MAX: usize = 100;
    let mut short = String::new();
    for character in text.chars().take(CHARACTERS_MAX) {
        if character.is_control() {
            short.extend(character.escape_default());
        } else {
            short.push(character);
        }
    }
    if text.chars().nth(CHARACTERS_MAX).is_some() {
        short.push('…');
    }
    short
}

//! Ranges of versions as the schemas write them: `0-12`, `9+`, `3`, `none`.

use std::fmt;

use anyhow::Context as _;

/// A closed range of versions, possibly empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Versions {
    pub(crate) low: i16,
    pub(crate) high: i16,
}

impl Versions {
    pub(crate) const NONE: Self = Self { low: 0, high: -1 };

    pub(crate) fn parse(text: &str) -> anyhow::Result<Self> {
        let number = |text: &str| {
            text.parse::<i16>()
                .with_context(|| format!("`{text}` is no version"))
        };
        Ok(match (text, text.split_once('-')) {
            ("none", _) => Self::NONE,
            (_, Some((low, high))) => Self {
                low: number(low)?,
                high: number(high)?,
            },
            (_, None) => match text.strip_suffix('+') {
                Some(low) => Self {
                    low: number(low)?,
                    high: i16::MAX,
                },
                None => Self {
                    low: number(text)?,
                    high: number(text)?,
                },
            },
        })
    }

    pub(crate) fn is_empty(self) -> bool {
        self.low > self.high
    }

    pub(crate) fn contains(self, version: i16) -> bool {
        self.low <= version && version <= self.high
    }

    pub(crate) fn and(self, other: Self) -> Self {
        let both = Self {
            low: self.low.max(other.low),
            high: self.high.min(other.high),
        };
        if both.is_empty() { Self::NONE } else { both }
    }

    /// The versions that are not in `other`, which has to leave one range.
    pub(crate) fn without(self, other: Self) -> anyhow::Result<Self> {
        let both = self.and(other);
        if both.is_empty() {
            Ok(self)
        } else if both == self {
            Ok(Self::NONE)
        } else if both.high == self.high {
            Ok(Self {
                low: self.low,
                high: both.low - 1,
            })
        } else if both.low == self.low {
            Ok(Self {
                low: both.high + 1,
                high: self.high,
            })
        } else {
            anyhow::bail!("{self} without {other} is not one range")
        }
    }

    pub(crate) fn iter(self) -> impl Iterator<Item = i16> {
        self.low..=self.high
    }

    /// The condition in Rust under which a version of `domain` is one of these.
    pub(crate) fn condition(self, domain: Self) -> Condition {
        let here = self.and(domain);
        if here.is_empty() {
            Condition::Never
        } else if here == domain {
            Condition::Always
        } else if here.low == domain.low {
            Condition::If(format!("version <= {}", here.high))
        } else if here.high == domain.high {
            Condition::If(format!("version >= {}", here.low))
        } else if here.low == here.high {
            Condition::If(format!("version == {}", here.low))
        } else {
            Condition::If(format!("({}..={}).contains(&version)", here.low, here.high))
        }
    }

    /// The condition in Rust under which a version of `domain` is none of these.
    pub(crate) fn condition_outside(self, domain: Self) -> Condition {
        match domain.without(self) {
            Ok(outside) => outside.condition(domain),
            Err(_) => Condition::If(format!("!{}", self.condition(domain).expression())),
        }
    }
}

/// `versions 3 to 12`, as docs say it.
impl fmt::Display for Versions {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.low, self.high) {
            _ if self.is_empty() => formatter.write_str("no version"),
            (low, i16::MAX) => write!(formatter, "from version {low}"),
            (low, high) if low == high => write!(formatter, "version {low}"),
            (low, high) => write!(formatter, "versions {low} to {high}"),
        }
    }
}

/// When something holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Condition {
    Never,
    Always,
    If(String),
}

impl Condition {
    /// As a Rust expression.
    pub(crate) fn expression(&self) -> &str {
        match self {
            Self::Never => "false",
            Self::Always => "true",
            Self::If(expression) => expression,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn versions(text: &str) -> Versions {
        Versions::parse(text).unwrap_or_else(|error| panic!("{error:#}"))
    }

    #[test]
    fn conditions_use_what_the_domain_already_says() {
        for (range, domain, expected) in [
            ("0+", "3-13", "true"),
            ("0-2", "3-13", "false"),
            ("none", "3-13", "false"),
            ("0-12", "3-13", "version <= 12"),
            ("13+", "3-13", "version >= 13"),
            ("5-8", "3-13", "(5..=8).contains(&version)"),
            ("5", "3-13", "version == 5"),
        ] {
            assert_eq!(
                versions(range).condition(versions(domain)).expression(),
                expected,
                "{range} in {domain}"
            );
        }
    }

    #[test]
    fn subtraction_leaves_one_range_or_fails() {
        let without = |from: &str, other: &str| versions(from).without(versions(other)).ok();
        assert_eq!(without("0-5", "3+"), Some(versions("0-2")));
        assert_eq!(without("0-5", "0-1"), Some(versions("2-5")));
        assert_eq!(without("0-5", "0+"), Some(Versions::NONE));
        assert_eq!(without("0-5", "none"), Some(versions("0-5")));
        assert_eq!(without("0-5", "2-3"), None);
        assert!(Versions::parse("x").is_err());
    }
}

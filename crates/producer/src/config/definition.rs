//! What the configuration table says about a key.

use std::fmt;

/// One key of the configuration: a row of [`DEFINITIONS`](super::DEFINITIONS).
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Definition {
    /// The key's name, as in Java.
    pub name: &'static str,
    /// How its value is read.
    pub kind: KeyType,
    /// What holds when it is not set.
    pub default: Preset,
    /// How much it matters, as Kafka's documentation grades it.
    pub importance: Importance,
    /// Which values are allowed.
    pub allowed: Allowed,
    /// What the key does here.
    pub meaning: Meaning,
    /// What it is for, in one or two sentences.
    pub about: &'static str,
}

impl Definition {
    /// Whether values of this key must never be shown.
    pub fn is_secret(&self) -> bool {
        self.kind == KeyType::Password
    }
}

/// How a value is read from text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyType {
    /// `true` or `false`, in any case.
    Boolean,
    /// A whole number of 16 bits.
    Short,
    /// A whole number of 32 bits.
    Int,
    /// A whole number of 64 bits.
    Long,
    /// A floating-point number.
    Double,
    /// Text, without the white space around it.
    String,
    /// Texts separated by commas; white space around them is dropped, and so are repeated elements.
    List,
    /// The name of something that Java loads as a class.
    Class,
    /// Text that is never shown.
    Password,
}

impl fmt::Display for KeyType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            KeyType::Boolean => "boolean",
            KeyType::Short => "short",
            KeyType::Int => "int",
            KeyType::Long => "long",
            KeyType::Double => "double",
            KeyType::String => "string",
            KeyType::List => "list",
            KeyType::Class => "class",
            KeyType::Password => "password",
        })
    }
}

/// The value of a key that is not set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Preset {
    /// There is none: the key must be set (by the configuration or by a typed setter).
    Required,
    /// No value.
    Null,
    /// This text, read like a value that was set.
    Is(&'static str),
}

impl fmt::Display for Preset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Preset::Required => "required",
            Preset::Null => "none",
            Preset::Is("") => "empty",
            Preset::Is(text) => text,
        })
    }
}

/// How much a key matters, as Kafka's documentation grades it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Importance {
    /// Most set-ups should think about it.
    High,
    /// Tuning.
    Medium,
    /// Rarely touched.
    Low,
}

impl fmt::Display for Importance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Importance::High => "high",
            Importance::Medium => "medium",
            Importance::Low => "low",
        })
    }
}

/// The values that a key takes, beyond what its type says.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Allowed {
    /// Every value of the type.
    Any,
    /// Whole numbers from this one.
    AtLeast(i64),
    /// Whole numbers between these, both included.
    Between(i64, i64),
    /// Whole numbers between the first two, or the third.
    BetweenOr(i64, i64, i64),
    /// Numbers between these, both included.
    BetweenDoubles(f64, f64),
    /// One of these texts, letter by letter.
    OneOf(&'static [&'static str]),
    /// One of these texts, in any case.
    OneOfIgnoringCase(&'static [&'static str]),
    /// Text that is not empty, or a list with at least one element.
    NonEmpty,
}

impl fmt::Display for Allowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Allowed::Any => f.write_str("any"),
            Allowed::AtLeast(least) => write!(f, "at least {least}"),
            Allowed::Between(least, most) => write!(f, "{least} to {most}"),
            Allowed::BetweenOr(least, most, other) => write!(f, "{least} to {most}, or {other}"),
            Allowed::BetweenDoubles(least, most) => write!(f, "{least} to {most}"),
            Allowed::OneOf(texts) => f.write_str(&texts.join(", ")),
            Allowed::OneOfIgnoringCase(texts) => write!(f, "{} (in any case)", texts.join(", ")),
            Allowed::NonEmpty => f.write_str("not empty"),
        }
    }
}

/// What a key does in Ottla.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Meaning {
    /// It does what it does in Java.
    Used,
    /// It takes Java's values and gives them the counterpart that stands here.
    Mapped(&'static str),
    /// Only these values work so far; another one is refused, and so is the default when it is asked for by name.
    Partly(&'static [&'static str]),
    /// It can mean nothing outside a Java virtual machine and changes nothing that a broker sees: accepted with a
    /// warning.
    NoMeaning(&'static str),
    /// It asks for what cannot be done: a value other than the default is refused, for this reason.
    Refused(&'static str),
    /// It names Java code that would change what is sent or to whom: a value other than the default is refused.
    JavaCode(&'static str),
}

impl fmt::Display for Meaning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Meaning::Used => f.write_str("used"),
            Meaning::Mapped(how) => write!(f, "mapped: {how}"),
            Meaning::Partly(values) => write!(f, "only {} so far", values.join(", ")),
            Meaning::NoMeaning(why) => write!(f, "ignored with a warning: {why}"),
            Meaning::Refused(why) | Meaning::JavaCode(why) => write!(f, "refused: {why}"),
        }
    }
}

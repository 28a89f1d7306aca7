//! What all messages have in common.

use std::fmt;

use crate::ApiKey;
use crate::wire::{DecodeError, DecodeErrorKind, EncodeError, EncodeErrorKind, Reader, Structure, Writer};

/// A closed range of versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct VersionRange {
    /// The lowest.
    pub min: i16,
    /// The highest.
    pub max: i16,
}

impl VersionRange {
    /// The versions from `min` to `max`, both included.
    pub const fn new(min: i16, max: i16) -> Self {
        Self { min, max }
    }

    /// Whether `version` is one of them.
    pub const fn contains(self, version: i16) -> bool {
        self.min <= version && version <= self.max
    }

    /// The versions that are in both.
    pub fn intersection(self, other: Self) -> Option<Self> {
        let both = Self {
            min: self.min.max(other.min),
            max: self.max.min(other.max),
        };
        (both.min <= both.max).then_some(both)
    }
}

/// `3 to 13`.
impl fmt::Display for VersionRange {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} to {}", self.min, self.max)
    }
}

/// A message of Kafka's protocol: a request, a response, a header, or data that is stored in records.
///
/// A value holds the fields of all versions; the version decides at encoding which of them are written. A field that is
/// set and that the version does not have is an error, unless its schema says that it may be dropped.
pub trait Message: Structure + Clone + fmt::Debug + PartialEq {
    /// The name in Kafka's schemas.
    const NAME: &'static str;
    /// The versions that can be read and written.
    const VERSIONS: VersionRange;
    /// The first flexible version, the form with compact lengths and tagged fields.
    const FLEXIBLE_FROM: Option<i16>;

    /// Whether `version` has compact lengths and tagged fields.
    fn is_flexible(version: i16) -> bool {
        Self::FLEXIBLE_FROM.is_some_and(|from| version >= from)
    }

    /// Reads a message of this version. What follows it is left in the reader; see [`Reader::finish`].
    fn decode(reader: &mut Reader<'_>, version: i16) -> Result<Self, DecodeError> {
        if !Self::VERSIONS.contains(version) {
            let kind = DecodeErrorKind::UnsupportedVersion {
                supported: Self::VERSIONS,
            };
            return Err(reader.error(kind, "").in_message(Self::NAME, version));
        }
        let mut message = Self::default();
        message
            .read(reader, version)
            .map_err(|error| error.in_message(Self::NAME, version))?;
        Ok(message)
    }

    /// Appends the message in this version.
    fn encode(&self, writer: &mut Writer, version: i16) -> Result<(), EncodeError> {
        if !Self::VERSIONS.contains(version) {
            let kind = EncodeErrorKind::UnsupportedVersion {
                supported: Self::VERSIONS,
            };
            return Err(EncodeError::new(kind, "").in_message(Self::NAME, version));
        }
        self.write(writer, version)
            .map_err(|error| error.in_message(Self::NAME, version))
    }
}

/// A request: its API, and the type of the response.
pub trait Request: Message {
    /// The answer, in the same version.
    type Response: Message;
    /// The API.
    const KEY: ApiKey;
    /// Whether the highest version may still change its form: brokers only offer it when asked for unstable versions.
    const LATEST_VERSION_UNSTABLE: bool;

    /// The version of the [`RequestHeader`](crate::messages::RequestHeader) before a request of this version.
    fn header_version(version: i16) -> i16 {
        if Self::is_flexible(version) { 2 } else { 1 }
    }

    /// The version of the [`ResponseHeader`](crate::messages::ResponseHeader) before the response.
    ///
    /// Always 0 for ApiVersions, because a client has to understand the answer of a broker that does not know the
    /// version it asked in (KIP-511).
    fn response_header_version(version: i16) -> i16 {
        if Self::is_flexible(version) && Self::KEY != ApiKey::API_VERSIONS {
            1
        } else {
            0
        }
    }
}

//! Which API a request belongs to.

use std::fmt;

use crate::message::VersionRange;
use crate::messages::api_keys::KNOWN;

/// The number of an API: what a request asks for.
///
/// Keys that this version does not know are values like others: brokers may offer APIs that are newer than we are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ApiKey(pub i16);

impl ApiKey {
    /// The APIs in Kafka's schemas, by number, with those that were removed.
    pub fn all() -> impl ExactSizeIterator<Item = Self> {
        KNOWN.iter().map(|known| known.key)
    }

    /// The name in Kafka's schemas, such as `ApiVersions`.
    pub fn name(self) -> Option<&'static str> {
        self.known().map(|known| known.name)
    }

    /// The versions of its messages that can be read and written; none for APIs that were removed or are not known.
    pub fn versions(self) -> Option<VersionRange> {
        self.known().and_then(|known| known.versions)
    }

    /// As [`versions`](Self::versions), without a last one that may still change its form.
    pub fn stable_versions(self) -> Option<VersionRange> {
        let known = self.known()?;
        let versions = known.versions?;
        let max = versions.max - i16::from(known.latest_unstable);
        (versions.min <= max).then_some(VersionRange { max, ..versions })
    }

    /// Whether a request of this version is flexible; false where the API is not known.
    ///
    /// Of versions that are higher than ours it supposes that they stay what the last one is.
    pub fn is_flexible(self, version: i16) -> bool {
        self.known()
            .and_then(|known| known.flexible_from)
            .is_some_and(|from| version >= from)
    }

    fn known(self) -> Option<&'static Known> {
        let index = KNOWN.binary_search_by_key(&self, |known| known.key).ok()?;
        Some(&KNOWN[index])
    }
}

/// `Produce (0)`, or `API 999` if it is not known.
impl fmt::Display for ApiKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => write!(formatter, "{name} ({})", self.0),
            None => write!(formatter, "API {}", self.0),
        }
    }
}

/// A row of the generated table.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) key: ApiKey,
    pub(crate) name: &'static str,
    pub(crate) versions: Option<VersionRange>,
    pub(crate) flexible_from: Option<i16>,
    pub(crate) latest_unstable: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_for_the_search_in_it() {
        assert!(KNOWN.windows(2).all(|pair| pair[0].key < pair[1].key));
        for key in ApiKey::all() {
            assert!(key.name().is_some());
        }
    }

    #[test]
    fn unknown_keys_survive() {
        assert_eq!(ApiKey(999).name(), None);
        assert_eq!(ApiKey(999).versions(), None);
        assert_eq!(ApiKey(999).to_string(), "API 999");
        assert_eq!(ApiKey::PRODUCE.to_string(), "Produce (0)");
    }

    #[test]
    fn removed_and_unstable_versions_are_told_apart() {
        assert_eq!(ApiKey::CONTROLLED_SHUTDOWN.versions(), None);
        assert_eq!(ApiKey::INIT_PRODUCER_ID.versions(), Some(VersionRange::new(0, 6)));
        assert_eq!(
            ApiKey::INIT_PRODUCER_ID.stable_versions(),
            Some(VersionRange::new(0, 5))
        );
    }
}

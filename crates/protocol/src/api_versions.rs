//! Which version of each API a client and a broker share.

use std::fmt;

use crate::message::VersionRange;
use crate::messages::ApiVersionsResponse;
use crate::{ApiKey, Request};

/// The versions that a broker offers, by API.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ApiVersions {
    /// Sorted by key, without repetition.
    ranges: Vec<(ApiKey, VersionRange)>,
}

impl ApiVersions {
    /// What a broker answered. Of an API that it lists twice the last entry counts, as in Java.
    pub fn from_response(response: &ApiVersionsResponse) -> Self {
        response
            .api_keys
            .iter()
            .map(|api| {
                (
                    ApiKey(api.api_key),
                    VersionRange::new(api.min_version, api.max_version),
                )
            })
            .collect()
    }

    /// The versions that the broker offers of an API.
    pub fn range(&self, key: ApiKey) -> Option<VersionRange> {
        let index = self.ranges.binary_search_by_key(&key, |entry| entry.0).ok()?;
        Some(self.ranges[index].1)
    }

    /// All APIs that the broker offers, by key.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (ApiKey, VersionRange)> {
        self.ranges.iter().copied()
    }

    /// The highest version of a request that both sides have; versions that are not stable yet are left out.
    pub fn negotiate<R: Request>(&self) -> Result<i16, NegotiationError> {
        let unstable = i16::from(R::LATEST_VERSION_UNSTABLE);
        self.negotiate_within(
            R::KEY,
            VersionRange::new(R::VERSIONS.min, R::VERSIONS.max - unstable),
        )
    }

    /// The highest version of an API that is in `client` and that the broker offers.
    pub fn negotiate_within(&self, key: ApiKey, client: VersionRange) -> Result<i16, NegotiationError> {
        let broker = self.range(key);
        match broker.and_then(|broker| broker.intersection(client)) {
            Some(shared) => Ok(shared.max),
            None => Err(NegotiationError { key, client, broker }),
        }
    }
}

impl FromIterator<(ApiKey, VersionRange)> for ApiVersions {
    fn from_iter<I: IntoIterator<Item = (ApiKey, VersionRange)>>(entries: I) -> Self {
        let mut ranges: Vec<_> = entries.into_iter().collect();
        // Stable, so that of equal keys the last stays last, and is the one to keep.
        ranges.sort_by_key(|entry| entry.0);
        ranges.dedup_by(|later, kept| {
            let same = later.0 == kept.0;
            if same {
                *kept = *later;
            }
            same
        });
        Self { ranges }
    }
}

/// Client and broker share no version of an API.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct NegotiationError {
    /// The API.
    pub key: ApiKey,
    /// What the client can use.
    pub client: VersionRange,
    /// What the broker offers; none if it does not have the API.
    pub broker: Option<VersionRange>,
}

impl fmt::Display for NegotiationError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, client, broker } = self;
        match broker {
            Some(broker) => {
                write!(
                    formatter,
                    "no version of {key} in common: the client has {client}, the broker {broker}"
                )
            }
            None => write!(
                formatter,
                "the broker does not have {key}; the client has versions {client}"
            ),
        }
    }
}

impl std::error::Error for NegotiationError {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::messages::api_versions::ApiVersion;
    use crate::messages::{FetchRequest, InitProducerIdRequest, ProduceRequest};

    fn offer(entries: &[(i16, i16, i16)]) -> ApiVersions {
        let mut response = ApiVersionsResponse::default();
        for &(api_key, min_version, max_version) in entries {
            response.api_keys.push(ApiVersion {
                api_key,
                min_version,
                max_version,
                ..ApiVersion::default()
            });
        }
        ApiVersions::from_response(&response)
    }

    #[test]
    fn the_highest_version_of_both_is_chosen() {
        for (min, max, expected) in [
            (0, 9, Some(9)),
            (0, 99, Some(13)),
            (13, 13, Some(13)),
            (0, 2, None),
            (14, 15, None),
        ] {
            assert_eq!(
                offer(&[(0, min, max)]).negotiate::<ProduceRequest>().ok(),
                expected,
                "{min} to {max}"
            );
        }
    }

    #[test]
    fn unstable_versions_are_not_chosen() {
        assert_eq!(offer(&[(22, 0, 6)]).negotiate::<InitProducerIdRequest>(), Ok(5));
    }

    #[test]
    fn errors_name_both_sides() {
        let versions = offer(&[(0, 0, 2)]);
        assert_eq!(
            versions
                .negotiate::<ProduceRequest>()
                .map_err(|error| error.to_string()),
            Err("no version of Produce (0) in common: the client has 3 to 13, the broker 0 to 2".into())
        );
        assert_eq!(
            versions
                .negotiate::<FetchRequest>()
                .map_err(|error| error.to_string()),
            Err("the broker does not have Fetch (1); the client has versions 4 to 18".into())
        );
    }

    #[test]
    fn order_and_repetition_do_not_matter() {
        let versions = offer(&[(3, 0, 4), (0, 0, 8), (3, 0, 9), (-7, 5, 1)]);
        assert_eq!(versions.range(ApiKey::METADATA), Some(VersionRange::new(0, 9)));
        assert_eq!(versions.iter().len(), 3);
        // A range that is none shares nothing.
        assert!(
            versions
                .negotiate_within(ApiKey(-7), VersionRange::new(0, 9))
                .is_err()
        );
    }
}

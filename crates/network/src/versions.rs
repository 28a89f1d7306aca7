//! What a broker said it can do.

use std::time::Duration;

/// A broker's answer to ApiVersions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BrokerVersions {
    /// The APIs that the broker serves, by key, each once.
    pub apis: Vec<ApiRange>,
    /// The cluster's finalised features (KIP-584); empty with brokers that have none.
    pub finalized_features: Vec<FinalizedFeature>,
    /// The age of [`BrokerVersions::finalized_features`]: of two answers the one with the higher epoch holds. -1 if
    /// the broker does not know it.
    pub finalized_features_epoch: i64,
    /// How long the broker asks this client to send nothing more to it.
    pub throttle: Duration,
}

/// The versions of one API that a broker takes, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ApiRange {
    /// The API's number.
    pub key: i16,
    /// The oldest version.
    pub min: i16,
    /// The newest version.
    pub max: i16,
}

/// A feature of the cluster that is switched on, such as `transaction.version`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FinalizedFeature {
    /// The feature's name.
    pub name: String,
    /// The lowest level in use.
    pub min_level: i16,
    /// The highest level in use.
    pub max_level: i16,
}

impl BrokerVersions {
    /// The versions of an API, or `None` if the broker does not serve it.
    pub fn range(&self, key: i16) -> Option<ApiRange> {
        let index = self.apis.binary_search_by_key(&key, |range| range.key).ok()?;
        Some(self.apis[index])
    }

    /// The highest level of a finalised feature, 0 if it is off or unknown.
    pub fn feature_level(&self, name: &str) -> i16 {
        let feature = self
            .finalized_features
            .iter()
            .find(|feature| feature.name == name);
        feature.map_or(0, |feature| feature.max_level)
    }
}

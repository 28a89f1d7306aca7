//! Keys that are known to mean nothing to a producer: of Kafka's other clients, and of producers of long ago.
//!
//! Many keep one file for all their clients, and clouds offer one for download. Java's producer takes such a file and tells of
//! what it does not use; a misspelt key would look the same to it. These keys are no misspelling, so they are never an error.

/// Keys of the consumer, in Kafka 4.3.1, that the producer does not have.
pub(super) const CONSUMER: &[&str] = &[
    "allow.auto.create.topics",
    "auto.commit.interval.ms",
    "auto.offset.reset",
    "check.crcs",
    "client.rack",
    "default.api.timeout.ms",
    "enable.auto.commit",
    "exclude.internal.topics",
    "fetch.max.bytes",
    "fetch.max.wait.ms",
    "fetch.min.bytes",
    "group.id",
    "group.instance.id",
    "group.protocol",
    "group.remote.assignor",
    "heartbeat.interval.ms",
    "isolation.level",
    "key.deserializer",
    "max.partition.fetch.bytes",
    "max.poll.interval.ms",
    "max.poll.records",
    "partition.assignment.strategy",
    "session.timeout.ms",
    "share.acknowledgement.mode",
    "share.acquire.mode",
    "value.deserializer",
];

/// Keys of the admin client, in Kafka 4.3.1, that neither of the others has.
pub(super) const ADMIN: &[&str] = &["bootstrap.controllers"];

/// Keys that Java's producer once had: until 4.0 the first, the others until 0.11.
const PAST: &[&str] = &[
    "auto.include.jmx.reporter",
    "block.on.buffer.full",
    "metadata.fetch.timeout.ms",
    "timeout.ms",
];

/// Whose key it is, if it is a stranger's.
pub(super) fn owner(key: &str) -> Option<&'static str> {
    [
        (CONSUMER, "a key of Kafka's consumers"),
        (ADMIN, "a key of Kafka's admin client"),
        (PAST, "a key of producers before it was removed from Kafka"),
    ]
    .into_iter()
    .find_map(|(keys, whose)| keys.contains(&key).then_some(whose))
}

#[cfg(test)]
mod tests {
    use super::super::{ConfigBuilder, Warning, definition};
    use super::*;

    #[test]
    fn keys_of_others_are_told_of_and_never_refused() {
        for key in [CONSUMER, ADMIN, PAST].concat() {
            assert!(definition(key).is_none(), "{key}");
            let builder = ConfigBuilder::new().bootstrap_servers("a:1").set(key, "canary");
            let (_, warnings) = builder
                .refuse_unknown_keys()
                .build()
                .unwrap_or_else(|error| panic!("{error}"));
            let texts: Vec<_> = warnings.iter().map(Warning::to_string).collect();
            let [text] = &texts[..] else {
                panic!("{key}: {texts:?}")
            };
            assert!(
                text.contains(key) && text.contains("ignored: a key of") && !text.contains("canary"),
                "{text}"
            );
        }
    }
}

//! DescribeConfigs, and the configuration of topics as text.

use super::code;
use crate::cluster::Cluster;
use crate::config::TopicConfig;
use crate::control::TopicError;
use crate::request::{Outcome, RequestContext};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::DescribeConfigsRequest;
use ottla_protocol::messages::describe_configs::{
    DescribeConfigsResource, DescribeConfigsResourceResult, DescribeConfigsResponse, DescribeConfigsResult,
};

/// The kinds of resources that have a configuration here.
const TOPIC: i8 = 2;
const BROKER: i8 = 4;

/// Where a value comes from (`DescribeConfigsResponse.ConfigSource`).
const TOPIC_CONFIG: i8 = 1;
const DEFAULT_CONFIG: i8 = 5;

/// One line of a topic's configuration.
pub(super) struct Entry {
    pub(super) name: &'static str,
    pub(super) value: String,
    pub(super) source: i8,
    /// `DescribeConfigsResponse.ConfigType`.
    kind: i8,
}

/// The types of values: boolean, string, int, long, list.
const BOOLEAN: i8 = 1;
const STRING: i8 = 2;
const INT: i8 = 3;
const LONG: i8 = 5;
const LIST: i8 = 7;

fn values(config: &TopicConfig) -> [(&'static str, String, i8); 9] {
    let time_type = if config.log_append_time {
        "LogAppendTime"
    } else {
        "CreateTime"
    };
    let cleanup = if config.compact { "compact" } else { "delete" };
    [
        ("cleanup.policy", cleanup.to_owned(), LIST),
        ("compression.type", "producer".to_owned(), STRING),
        ("max.message.bytes", config.max_message_bytes.to_string(), INT),
        (
            "message.timestamp.after.max.ms",
            config.timestamp_after_max_ms.to_string(),
            LONG,
        ),
        (
            "message.timestamp.before.max.ms",
            config.timestamp_before_max_ms.to_string(),
            LONG,
        ),
        ("message.timestamp.type", time_type.to_owned(), STRING),
        ("min.insync.replicas", config.min_insync_replicas.to_string(), INT),
        ("retention.bytes", config.retention_bytes.to_string(), LONG),
        ("unclean.leader.election.enable", "false".to_owned(), BOOLEAN),
    ]
}

/// A topic's configuration, with where each value comes from.
pub(super) fn entries(config: &TopicConfig, defaults: &TopicConfig) -> Vec<Entry> {
    values(config)
        .into_iter()
        .zip(values(defaults))
        .map(|((name, value, kind), (_, default, _))| {
            let source = if value == default {
                DEFAULT_CONFIG
            } else {
                TOPIC_CONFIG
            };
            Entry {
                name,
                value,
                source,
                kind,
            }
        })
        .collect()
}

/// Settings of a topic that exist in Kafka and change nothing here.
const WITHOUT_EFFECT: &[&str] = &[
    "delete.retention.ms",
    "file.delete.delay.ms",
    "flush.messages",
    "flush.ms",
    "index.interval.bytes",
    "max.compaction.lag.ms",
    "message.downconversion.enable",
    "message.format.version",
    "min.cleanable.dirty.ratio",
    "min.compaction.lag.ms",
    "preallocate",
    "retention.ms",
    "segment.bytes",
    "segment.index.bytes",
    "segment.jitter.ms",
    "segment.ms",
];

/// The configuration of a new topic from what a client asks for.
pub(super) fn topic_config<'a>(
    defaults: &TopicConfig,
    asked: impl Iterator<Item = (&'a str, Option<&'a str>)>,
) -> Result<TopicConfig, TopicError> {
    let mut config = defaults.clone();
    for (name, value) in asked {
        let value = value.unwrap_or("").trim();
        let invalid = || {
            let what = format!("Invalid value {value} for configuration {name}");
            TopicError::new(ErrorCode::INVALID_CONFIG, what)
        };
        match name {
            "max.message.bytes" => config.max_message_bytes = parse(value, 0).ok_or_else(invalid)?,
            "min.insync.replicas" => config.min_insync_replicas = parse(value, 1).ok_or_else(invalid)?,
            "message.timestamp.before.max.ms" => {
                config.timestamp_before_max_ms = parse(value, 0).ok_or_else(invalid)?
            }
            "message.timestamp.after.max.ms" => {
                config.timestamp_after_max_ms = parse(value, 0).ok_or_else(invalid)?
            }
            "retention.bytes" => config.retention_bytes = parse(value, -1).ok_or_else(invalid)?,
            "message.timestamp.type" => {
                config.log_append_time = match value {
                    "LogAppendTime" => true,
                    "CreateTime" => false,
                    _ => return Err(invalid()),
                };
            }
            "cleanup.policy" => {
                let policies: Vec<&str> = value.split(',').map(str::trim).collect();
                if !policies
                    .iter()
                    .all(|policy| matches!(*policy, "compact" | "delete"))
                {
                    return Err(invalid());
                }
                config.compact = policies.contains(&"compact");
            }
            "compression.type" if value == "producer" => {}
            "unclean.leader.election.enable" if matches!(value, "true" | "false") => {}
            "compression.type" => {
                let what =
                    format!("compression.type={value}: this broker keeps batches as they are (producer)");
                return Err(TopicError::new(ErrorCode::INVALID_CONFIG, what));
            }
            name if WITHOUT_EFFECT.contains(&name) => {}
            _ => {
                let what = format!("Unknown topic config name: {name}");
                return Err(TopicError::new(ErrorCode::INVALID_CONFIG, what));
            }
        }
    }
    Ok(config)
}

fn parse<T: std::str::FromStr + PartialOrd>(value: &str, least: T) -> Option<T> {
    value.parse().ok().filter(|value| *value >= least)
}

impl Cluster {
    pub(super) fn describe_configs(
        &mut self,
        context: &RequestContext,
        request: DescribeConfigsRequest,
    ) -> Outcome {
        let describe = |resource: &DescribeConfigsResource| {
            let described = match context.error() {
                Some(error) => Err((error, "a fault".to_owned())),
                None => self.resource_entries(resource),
            };
            let (error, message, entries) = match described {
                Ok(entries) => (ErrorCode::NONE, None, entries),
                Err((error, message)) => (error, Some(message), Vec::new()),
            };
            let wanted = |entry: &Entry| {
                let keys = resource.configuration_keys.as_ref();
                keys.is_none_or(|keys| keys.is_empty() || keys.iter().any(|key| key == entry.name))
            };
            DescribeConfigsResult {
                error_code: code(context.told(error)),
                error_message: message,
                resource_type: resource.resource_type,
                resource_name: resource.resource_name.clone(),
                configs: entries
                    .into_iter()
                    .filter(wanted)
                    .map(|entry| DescribeConfigsResourceResult {
                        name: entry.name.to_owned(),
                        value: Some(entry.value),
                        config_source: entry.source,
                        config_type: if context.version >= 3 { entry.kind } else { 0 },
                        documentation: None,
                        ..DescribeConfigsResourceResult::default()
                    })
                    .collect(),
                ..DescribeConfigsResult::default()
            }
        };
        let response = DescribeConfigsResponse {
            throttle_time_ms: context.throttle_ms(),
            results: request.resources.iter().map(describe).collect(),
            ..DescribeConfigsResponse::default()
        };
        context.answer::<DescribeConfigsRequest>(&response)
    }

    fn resource_entries(
        &self,
        resource: &DescribeConfigsResource,
    ) -> Result<Vec<Entry>, (ErrorCode, String)> {
        let name = &resource.resource_name;
        match resource.resource_type {
            TOPIC => {
                let topic = self.topics.key_of(name).and_then(|key| self.topics.topic(key));
                let unknown = || {
                    (
                        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
                        format!("unknown topic '{name}'"),
                    )
                };
                let topic = topic.ok_or_else(unknown)?;
                Ok(entries(&topic.config, &self.config.default_topic_config))
            }
            BROKER => Ok(self.broker_entries()),
            kind => Err((
                ErrorCode::INVALID_REQUEST,
                format!("resources of type {kind} have no configuration here"),
            )),
        }
    }

    fn broker_entries(&self) -> Vec<Entry> {
        let config = &self.config;
        let entry = |name, value: String, kind| Entry {
            name,
            value,
            source: DEFAULT_CONFIG,
            kind,
        };
        vec![
            entry(
                "auto.create.topics.enable",
                config.auto_create_topics.to_string(),
                BOOLEAN,
            ),
            entry(
                "default.replication.factor",
                config.effective_replication_factor().to_string(),
                INT,
            ),
            entry(
                "message.max.bytes",
                config.default_topic_config.max_message_bytes.to_string(),
                INT,
            ),
            entry(
                "min.insync.replicas",
                config.default_topic_config.min_insync_replicas.to_string(),
                INT,
            ),
            entry("num.partitions", config.default_partitions.to_string(), INT),
            entry(
                "transaction.max.timeout.ms",
                config.transaction_max_timeout_ms.to_string(),
                INT,
            ),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topic_configurations() {
        let defaults = TopicConfig::default();
        let parse = |pairs: &[(&'static str, &'static str)]| {
            topic_config(&defaults, pairs.iter().map(|&(name, value)| (name, Some(value))))
        };
        let config = parse(&[
            ("max.message.bytes", "1000"),
            ("message.timestamp.type", "LogAppendTime"),
            ("cleanup.policy", "compact, delete"),
            ("retention.ms", "5"),
        ])
        .expect("good settings");
        assert_eq!(
            (config.max_message_bytes, config.log_append_time, config.compact),
            (1_000, true, true)
        );
        for bad in [
            ("max.message.bytes", "-1"),
            ("min.insync.replicas", "0"),
            ("message.timestamp.type", "logappendtime"),
            ("cleanup.policy", "squash"),
            ("compression.type", "zstd"),
            ("no.such.thing", "1"),
        ] {
            let error = parse(&[bad]).expect_err(bad.0);
            assert_eq!(error.code(), ErrorCode::INVALID_CONFIG, "{bad:?}");
        }
    }
}

//! One dead letter.

use super::DeadLetters;
use crate::{Error, Record};

/// Where a record failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    Key,
    Value,
    Produce,
}

impl Stage {
    fn name(self) -> &'static str {
        match self {
            Stage::Key => "KEY_SERIALIZER",
            Stage::Value => "VALUE_SERIALIZER",
            Stage::Produce => "PRODUCE",
        }
    }
}

/// How much of the record goes with the letter: less, when more is too large.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extent {
    Whole,
    WithoutValue,
    /// Neither key nor value nor the record's own headers.
    ErrorOnly,
}

impl Extent {
    /// What is tried next, if this much is too large.
    pub(super) fn less(self) -> Option<Extent> {
        match self {
            Extent::Whole => Some(Extent::WithoutValue),
            Extent::WithoutValue => Some(Extent::ErrorOnly),
            Extent::ErrorOnly => None,
        }
    }
}

/// A record that failed, and why. It owns its parts.
#[derive(Debug)]
pub(super) struct Letter {
    record: Record<'static>,
    /// Parts that could not be serialized.
    missing: Vec<&'static str>,
    /// Names and values that tell of the error.
    told: Vec<(String, String)>,
}

/// What is longer tells no more.
const MESSAGE_CHARACTERS_MAX: usize = 2_000;

impl Letter {
    pub(super) fn new(
        policy: &DeadLetters,
        record: Record<'_>,
        partition: Option<i32>,
        error: &Error,
        stage: Stage,
        missing: Vec<&'static str>,
    ) -> Letter {
        let message: String = error.to_string().chars().take(MESSAGE_CHARACTERS_MAX).collect();
        let mut told = vec![("topic", record.topic_name().to_owned())];
        told.extend(partition.map(|partition| ("partition", partition.to_string())));
        told.push(("stage", stage.name().to_owned()));
        told.push(("exception.class.name", class_name(error)));
        told.push(("exception.message", message));
        let told = told
            .into_iter()
            .map(|(name, value)| (format!("{}{name}", policy.prefix), value))
            .collect();
        Letter {
            record: record.into_owned(),
            missing,
            told,
        }
    }

    /// The record to send: as much as `extent` says.
    pub(super) fn record<'a>(&'a self, policy: &'a DeadLetters, extent: Extent) -> Record<'a> {
        let mut record = Record::to(policy.topic.as_str());
        let mut left_out = self.missing.clone();
        let parts = [
            ("key", self.record.key_bytes(), extent != Extent::ErrorOnly),
            ("value", self.record.value_bytes(), extent == Extent::Whole),
        ];
        for (name, bytes, goes_with_it) in parts {
            match bytes {
                Some(bytes) if goes_with_it && name == "key" => record = record.key(bytes),
                Some(bytes) if goes_with_it => record = record.value(bytes),
                Some(_) => left_out.push(name),
                None => {}
            }
        }
        let headers = self.record.wire_headers();
        if extent == Extent::ErrorOnly && !headers.is_empty() {
            left_out.push("headers");
        } else {
            for header in headers.iter() {
                record = record.header_owned(header.key, header.value.map(<[u8]>::to_vec));
            }
        }
        if let Some(timestamp_ms) = self.record.own_timestamp_ms() {
            record = record.timestamp_ms(timestamp_ms);
        }
        for (name, value) in &self.told {
            record = record.header_owned(name.as_str(), Some(value.clone().into_bytes()));
        }
        if !left_out.is_empty() {
            let name = format!("{}left.out", policy.prefix);
            record = record.header_owned(name, Some(left_out.join(",").into_bytes()));
        }
        record
    }

    /// About how much memory it takes.
    pub(super) fn bytes(&self) -> usize {
        let told = self.told.iter().map(|(name, value)| name.len() + value.len());
        self.record.bytes() + told.sum::<usize>()
    }
}

/// The class that Java's producer has for the error: what tools for dead letters sort by.
fn class_name(error: &Error) -> String {
    const PACKAGE: &str = "org.apache.kafka.common.errors.";
    let name = if error.serialize_error().is_some() {
        "SerializationException".to_owned()
    } else if error.is_too_large() {
        "RecordTooLargeException".to_owned()
    } else {
        match error.code() {
            Some(code) => code.name().map_or_else(|| "KafkaException".to_owned(), exception),
            None => "KafkaException".to_owned(),
        }
    };
    // The base class lies in another package.
    match name.as_str() {
        "KafkaException" => "org.apache.kafka.common.KafkaException".to_owned(),
        name => format!("{PACKAGE}{name}"),
    }
}

/// `TOPIC_AUTHORIZATION_FAILED` is Java's `TopicAuthorizationException`.
fn exception(code: &str) -> String {
    let words = code.trim_end_matches("_EXCEPTION").trim_end_matches("_FAILED");
    let mut name = String::with_capacity(words.len() + 9);
    for word in words.split('_') {
        let mut letters = word.chars();
        name.extend(letters.next());
        name.push_str(&letters.as_str().to_ascii_lowercase());
    }
    name.push_str("Exception");
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_have_javas_names() {
        for (code, class) in [
            ("TOPIC_AUTHORIZATION_FAILED", "TopicAuthorizationException"),
            ("INVALID_RECORD", "InvalidRecordException"),
            ("INVALID_TOPIC_EXCEPTION", "InvalidTopicException"),
            ("POLICY_VIOLATION", "PolicyViolationException"),
        ] {
            assert_eq!(exception(code), class);
        }
    }

    #[test]
    fn what_is_left_out_is_told() {
        let policy = DeadLetters::to("dead").header_prefix("e.");
        let record = Record::to("t")
            .key("k")
            .value("v")
            .header("h", None)
            .timestamp_ms(7);
        let letter = Letter::new(
            &policy,
            record,
            Some(3),
            &Error::start("why"),
            Stage::Produce,
            vec![],
        );
        let text = |record: &Record<'_>, name: &str| {
            let value = record.last_header(name)?;
            Some(String::from_utf8_lossy(value.unwrap_or(b"null")).into_owned())
        };
        let whole = letter.record(&policy, Extent::Whole);
        assert_eq!(
            (whole.topic_name(), whole.key_bytes(), whole.value_bytes()),
            ("dead", Some(&b"k"[..]), Some(&b"v"[..]))
        );
        for (name, expected) in [
            ("h", Some("null")),
            ("e.topic", Some("t")),
            ("e.partition", Some("3")),
            ("e.stage", Some("PRODUCE")),
            (
                "e.exception.class.name",
                Some("org.apache.kafka.common.KafkaException"),
            ),
            ("e.exception.message", Some("why")),
            ("e.left.out", None),
        ] {
            assert_eq!(text(&whole, name).as_deref(), expected, "{name}");
        }
        let less = letter.record(&policy, Extent::WithoutValue);
        assert_eq!((less.key_bytes(), less.value_bytes()), (Some(&b"k"[..]), None));
        assert_eq!(text(&less, "e.left.out").as_deref(), Some("value"));
        let least = letter.record(&policy, Extent::ErrorOnly);
        assert_eq!((least.key_bytes(), text(&least, "h")), (None, None));
        assert_eq!(text(&least, "e.left.out").as_deref(), Some("key,value,headers"));
    }
}

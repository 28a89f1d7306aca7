//! What all metrics are at one moment.

use crate::Kind;
use std::fmt;
use std::sync::Arc;

/// One metric at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Metric {
    pub(crate) name: &'static str,
    pub(crate) group: &'static str,
    pub(crate) about: &'static str,
    pub(crate) tags: Vec<(&'static str, Arc<str>)>,
    pub(crate) kind: Kind,
    pub(crate) value: MetricValue,
}

impl Metric {
    /// Its name, such as `record-send-rate`: the same as in Java, and the same for all nodes and topics.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The group, such as `producer-topic-metrics`: a name may occur in several.
    pub fn group(&self) -> &'static str {
        self.group
    }

    /// What it says, and in which unit.
    pub fn description(&self) -> &'static str {
        self.about
    }

    /// Whose it is: `client-id`, and `node-id` or `topic`, in the order of their names.
    pub fn tags(&self) -> &[(&'static str, Arc<str>)] {
        &self.tags
    }

    /// One tag.
    pub fn tag(&self, name: &str) -> Option<&str> {
        let tag = self.tags.iter().find(|(tag, _)| *tag == name)?;
        Some(&tag.1)
    }

    /// How it moves.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The value.
    pub fn value(&self) -> &MetricValue {
        &self.value
    }

    /// The value, if it is a number. An average of nothing is NaN, as in Java.
    pub fn number(&self) -> Option<f64> {
        match self.value {
            MetricValue::Number(number) => Some(number),
            MetricValue::Integer(number) => Some(number as f64),
            MetricValue::Text(_) => None,
        }
    }
}

/// The value of a metric.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum MetricValue {
    /// Most of them.
    Number(f64),
    /// A time in milliseconds.
    Integer(i64),
    /// A version.
    Text(Arc<str>),
}

impl fmt::Display for MetricValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MetricValue::Number(number) => number.fmt(f),
            MetricValue::Integer(number) => number.fmt(f),
            MetricValue::Text(text) => f.write_str(text),
        }
    }
}

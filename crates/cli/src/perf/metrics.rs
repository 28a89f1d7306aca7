//! `--print-metrics`: the producer's metrics as Java's tool prints them.

use super::tell;
use crate::exit::Failure;
use ottla::{Metric, MetricValue};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write;

/// Prints a heading, and a line for each metric: `group:name:{tag=value, …} : value`.
pub(super) fn print(metrics: &[Metric], out: &mut impl Write) -> Result<(), Failure> {
    tell(out, &table(metrics))
}

fn table(metrics: &[Metric]) -> String {
    let named: BTreeMap<String, &Metric> = metrics.iter().map(|metric| (name(metric), metric)).collect();
    let width = named.keys().map(String::len).max().unwrap_or_default();
    let mut text = format!("\n{:width$}   Value", "Metric Name");
    for (name, metric) in &named {
        // Writing to a string cannot fail.
        let _ = match metric.value() {
            MetricValue::Number(number) => write!(text, "\n{name:width$} : {number:.3}"),
            value => write!(text, "\n{name:width$} : {value}"),
        };
    }
    text
}

fn name(metric: &Metric) -> String {
    let tags: Vec<String> = metric
        .tags()
        .iter()
        .map(|(tag, value)| format!("{tag}={value}"))
        .collect();
    format!("{}:{}:{{{}}}", metric.group(), metric.name(), tags.join(", "))
}

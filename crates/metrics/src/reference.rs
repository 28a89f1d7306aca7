//! The page about all metrics.

use crate::{DEFINITIONS, Group, Source};
use std::fmt::Write as _;

/// The text of docs/metrics.md.
pub fn reference() -> String {
    let mut page = String::from(INTRODUCTION);
    for (group, about) in GROUPS {
        let _ = write!(
            page,
            "\n## {}\n{about}\n\n| metric | what it says |\n|---|---|\n",
            group.name()
        );
        for definition in DEFINITIONS.iter().filter(|definition| definition.group == *group) {
            let _ = write!(page, "| `{}` | {}", definition.name, definition.about);
            if let Source::NoMeaning(reason) = definition.source {
                let _ = write!(page, " **Not here: {reason}.**");
            }
            page.push_str(" |\n");
        }
    }
    page
}

const INTRODUCTION: &str = "\
# Metrics

Written from the table in the source by `cargo run -p ottla-metrics --example reference`; a test compares them.

`Producer::metrics()` gives all of them as they are now, with the names, groups and tags of the Java producer 4.3.1, so
that dashboards go on to work; the last group is ours. Rates, averages and maxima are taken over the last `metrics.num.samples` windows of
`metrics.sample.window.ms`, by Java's rules; totals since the producer was made. An average or a maximum of nothing is NaN.
As in Java all of them are of level INFO: `metrics.recording.level` leaves none out.

What differs from Java: times in milliseconds have fractions; `record-size` is the encoded size of a record, where Java
takes an upper bound with the batch's header (76 bytes more, for a value of 100); bytes on TLS connections are counted
before they are encrypted; the numbers of the I/O thread are those of the runtime that the producer was given, if it was.

[operating](manual/operating.md) says which of them to watch.
";

const GROUPS: &[(Group, &str)] = &[
    (Group::Producer, "Of the producer; tag `client-id`."),
    (
        Group::Node,
        "Of each broker, from the first request on; tags `client-id` and `node-id` (`node-3`; `node--1` is the first of \
         `bootstrap.servers`).",
    ),
    (
        Group::Topic,
        "Of each topic, from the first request on; tags `client-id` and `topic`.",
    ),
    (Group::AppInfo, "Of the library; tag `client-id`."),
    (Group::Count, "Tag `client-id`."),
    (
        Group::DeadLetter,
        "Of the records that can never be delivered, where the producer has a policy for them; tag `client-id`. The \
         producer of the letters counts what it sends in metrics of its own, which nobody sees.",
    ),
];

#[cfg(test)]
mod tests {
    /// The metrics to watch have to be there.
    #[test]
    fn what_the_page_on_operating_names_exists() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/manual/operating.md");
        let page = std::fs::read_to_string(path).expect("docs/manual/operating.md");
        let section = page
            .split("\n## ")
            .find(|section| section.starts_with("What to watch"));
        let rows = section
            .expect("the section")
            .lines()
            .filter(|line| line.starts_with("| `"));
        let mut found = 0;
        for row in rows {
            let first = row.split('|').nth(1).expect("a first column");
            for name in first.split('`').skip(1).step_by(2) {
                assert!(
                    super::DEFINITIONS.iter().any(|metric| metric.name == name),
                    "{name}"
                );
                found += 1;
            }
        }
        assert!(found > 10, "{found} names");
    }

    #[test]
    fn the_page_is_current() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/metrics.md");
        let committed = std::fs::read_to_string(path).expect("docs/metrics.md");
        assert!(
            committed == super::reference(),
            "docs/metrics.md is old: cargo run -p ottla-metrics --example reference > docs/metrics.md"
        );
    }
}

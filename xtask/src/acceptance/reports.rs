//! Runs of `ottla produce`, and what it reports.

use std::fmt;
use std::fs::File;
use std::io::{BufRead, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use serde::Deserialize;

use super::compare::{Acks, Faults, Position};
use super::input::Input;

/// A line of `ottla produce --output json`.
#[derive(Debug, Deserialize)]
struct Report {
    /// From 1.
    line: usize,
    topic: String,
    partition: Option<usize>,
    offset: Option<u64>,
    timestamp: Option<i64>,
    error: Option<String>,
    persistence: Option<String>,
}

/// Runs `produce` on a file of lines to its end; returns the reports and the time that it took.
pub(crate) fn produce_file(
    mut produce: Command,
    topic: &str,
    file: &Path,
    input: Input,
    faults: &mut Faults,
) -> anyhow::Result<(Acks, Duration)> {
    // Into a file and not a pipe: the time is the program's, not that of who reads its reports.
    let reports = file.with_extension("reports");
    let start = Instant::now();
    let child = produce
        .arg("-l")
        .arg(file)
        .stdin(Stdio::null())
        .stdout(File::create(&reports)?)
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot run the program")?;
    let end = End::of(child)?;
    let time = start.elapsed();
    let mut acks = Acks::new(input.lines);
    read_reports(BufReader::new(File::open(&reports)?), topic, |line, position| {
        acks.add(line, position, faults);
        Ok(())
    })?;
    std::fs::remove_file(&reports)?;
    end.check(input, faults);
    Ok((acks, time))
}

/// Reads reports to their end; the first that is no ack is an error.
pub(crate) fn read_reports(
    reports: impl BufRead,
    topic: &str,
    mut ack: impl FnMut(usize, Position) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    for text in reports.lines() {
        let text = text.context("cannot read the program's reports")?;
        let report: Report =
            serde_json::from_str(&text).with_context(|| format!("not a report of a record: `{text}`"))?;
        if let Some(error) = &report.error {
            let persistence = report.persistence.as_deref().unwrap_or("an unknown fate");
            bail!("line {} failed: {error} ({persistence})", report.line);
        }
        let (Some(partition), Some(offset), Some(timestamp_ms)) =
            (report.partition, report.offset, report.timestamp)
        else {
            bail!("a report without partition, offset, timestamp or error: `{text}`");
        };
        if report.topic != topic {
            bail!("a report for another topic than {topic}: `{text}`");
        }
        let line = report
            .line
            .checked_sub(1)
            .with_context(|| format!("lines count from 1: `{text}`"))?;
        ack(
            line,
            Position {
                partition,
                offset,
                timestamp_ms,
            },
        )?;
    }
    Ok(())
}

/// How the program ended.
#[derive(Debug)]
pub(crate) struct End {
    status: ExitStatus,
    said: String,
}

impl End {
    /// Waits for the program, whose standard error is a pipe.
    pub(crate) fn of(mut child: Child) -> anyhow::Result<Self> {
        let mut said = String::new();
        if let Some(mut errors) = child.stderr.take() {
            errors
                .read_to_string(&mut said)
                .context("cannot read what the program says")?;
        }
        Ok(Self {
            status: child.wait()?,
            said,
        })
    }

    /// A run in which every line was acked ends with 0 and says so.
    pub(crate) fn check(&self, input: Input, faults: &mut Faults) {
        let said = self.said.trim();
        if !self.status.success() {
            faults.add(|| self.to_string());
        }
        let expected = format!("{} sent, 0 failed", input.lines);
        if !said.contains(&expected) {
            faults.add(|| format!("the program did not say `{expected}` but `{said}`"));
        }
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the program ended with {}: {}", self.status, self.said.trim())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> anyhow::Result<Vec<(usize, Position)>> {
        let mut acks = Vec::new();
        read_reports(text.as_bytes(), "t", |line, position| {
            acks.push((line, position));
            Ok(())
        })?;
        Ok(acks)
    }

    #[test]
    fn reports_count_lines_from_one() {
        let text = r#"{"line":1,"topic":"t","partition":2,"offset":3,"timestamp":4}"#;
        let position = Position {
            partition: 2,
            offset: 3,
            timestamp_ms: 4,
        };
        assert_eq!(read(text).expect("an ack"), [(0, position)]);
    }

    #[test]
    fn what_is_no_ack_is_an_error() {
        for (text, says) in [
            (
                r#"{"line":1,"topic":"t","error":"gone","persistence":"not persisted"}"#,
                "line 1 failed: gone",
            ),
            (
                r#"{"line":1,"topic":"u","partition":2,"offset":3,"timestamp":4}"#,
                "another topic",
            ),
            (
                r#"{"line":0,"topic":"t","partition":2,"offset":3,"timestamp":4}"#,
                "from 1",
            ),
            (r#"{"line":1,"topic":"t","partition":2}"#, "without"),
            (
                r#"{"line":1,"topic":"t","partition":2,"offset":-1,"timestamp":4}"#,
                "not a report",
            ),
            ("sent 5", "not a report"),
        ] {
            let error = format!("{:#}", read(text).expect_err(text));
            assert!(error.contains(says), "{text}: {error}");
        }
    }
}

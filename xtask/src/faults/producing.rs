//! A run of `ottla verifiable`, and what it says while it runs.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use rustix::process::{Pid, Signal, kill_process};
use serde::Deserialize;

use super::checker::{Reports, Said, Shape};

/// A line of the program.
#[derive(Debug, Deserialize)]
struct Line {
    name: String,
    key: Option<String>,
    value: Option<String>,
    partition: Option<usize>,
    offset: Option<u64>,
    message: Option<String>,
    persistence: Option<String>,
    sent: Option<usize>,
}

/// What can be known while it runs.
#[derive(Debug)]
struct Progress {
    /// When each partition had its last ack.
    last_ack: Vec<Option<Instant>>,
    any_ack: Instant,
    longest_silence: Duration,
}

/// A program that produces until it is told to stop.
pub(super) struct Producing {
    name: &'static str,
    child: Child,
    reader: JoinHandle<anyhow::Result<Told>>,
    progress: Arc<Mutex<Progress>>,
}

/// All that it said.
pub(super) struct Told {
    pub(super) reports: Reports,
    pub(super) sent: usize,
    pub(super) failures: Vec<String>,
}

/// Messages of failures that are kept, for people.
const FAILURES_KEPT: usize = 3;

/// How long its end may take after it was told to stop: what is queued has its `delivery.timeout.ms`.
const END_MAX: Duration = Duration::from_secs(150);

impl Producing {
    pub(super) fn start(
        name: &'static str,
        mut command: Command,
        shape: Shape,
        partitions: usize,
    ) -> anyhow::Result<Self> {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("cannot run the program")?;
        let output = child.stdout.take().context("a pipe that was just asked for")?;
        let progress = Arc::new(Mutex::new(Progress {
            last_ack: vec![None; partitions],
            any_ack: Instant::now(),
            longest_silence: Duration::ZERO,
        }));
        let seen = Arc::clone(&progress);
        let reader = thread::spawn(move || read(BufReader::new(output), shape, &seen));
        Ok(Self {
            name,
            child,
            reader,
            progress,
        })
    }

    /// Waits until every partition had an ack after `since`: nothing hangs.
    pub(super) fn await_acks(&mut self, since: Instant, max: Duration) -> anyhow::Result<()> {
        let deadline = Instant::now() + max;
        loop {
            let waiting: Vec<_> = {
                let progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
                let late = |ack: &Option<Instant>| ack.is_none_or(|ack| ack < since);
                let partitions = progress.last_ack.iter().enumerate();
                partitions
                    .filter(|(_, ack)| late(ack))
                    .map(|(partition, _)| partition)
                    .collect()
            };
            if waiting.is_empty() {
                return Ok(());
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("the {} producer ended by itself with {status}", self.name);
            }
            if Instant::now() > deadline {
                bail!(
                    "the {} producer had no ack for partitions {waiting:?} within {} s",
                    self.name,
                    max.as_secs()
                );
            }
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// The longest time without any ack so far.
    pub(super) fn longest_silence(&self) -> Duration {
        self.progress
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .longest_silence
    }

    /// Tells it to stop, and waits for all that it has to say.
    pub(super) fn stop(mut self) -> anyhow::Result<Told> {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        kill_process(pid.context("a process number")?, Signal::INT)?;
        let deadline = Instant::now() + END_MAX;
        let status = loop {
            if let Some(status) = self.child.try_wait()? {
                break status;
            }
            if Instant::now() > deadline {
                self.child.kill()?;
                bail!(
                    "the {} producer did not end within {} s",
                    self.name,
                    END_MAX.as_secs()
                );
            }
            thread::sleep(Duration::from_millis(20));
        };
        let mut said = String::new();
        if let Some(mut errors) = self.child.stderr.take() {
            errors.read_to_string(&mut said)?;
        }
        let told = self
            .reader
            .join()
            .map_err(|_| anyhow::anyhow!("the reader of reports panicked"))?
            .with_context(|| format!("the {} producer", self.name))?;
        // As shells report a program that SIGINT ended.
        if status.code() != Some(130) {
            bail!("the {} producer ended with {status}: {}", self.name, said.trim());
        }
        Ok(told)
    }
}

fn read(
    lines: BufReader<impl std::io::Read>,
    shape: Shape,
    progress: &Mutex<Progress>,
) -> anyhow::Result<Told> {
    let mut told = Told {
        reports: Reports::new(shape),
        sent: 0,
        failures: Vec::new(),
    };
    let mut whole = false;
    for text in lines.lines() {
        let text = text.context("cannot read what it prints")?;
        let line: Line = serde_json::from_str(&text).with_context(|| format!("it printed `{text}`"))?;
        match line.name.as_str() {
            "producer_send_success" | "producer_send_error" => {
                let said = said(&line).with_context(|| format!("it printed `{text}`"))?;
                let (Some(key), Some(value)) = (&line.key, &line.value) else {
                    bail!("a report without key or value: `{text}`");
                };
                told.reports.add(key, value, said);
                if let Said::Acked { partition, .. } = said {
                    note_ack(progress, partition);
                } else if told.failures.len() < FAILURES_KEPT {
                    told.failures.extend(line.message);
                }
            }
            "tool_data" => {
                told.sent = line.sent.context("tool_data without sent")?;
                whole = true;
            }
            "startup_complete" | "shutdown_complete" => {}
            _ => bail!("it printed `{text}`"),
        }
    }
    if !whole {
        bail!("it ended without its last line");
    }
    Ok(told)
}

fn said(line: &Line) -> Option<Said> {
    if line.name == "producer_send_success" {
        let (partition, offset) = (line.partition?, line.offset?);
        return Some(Said::Acked { partition, offset });
    }
    match line.persistence.as_deref()? {
        "not persisted" => Some(Said::NotPersisted),
        "possibly persisted" => Some(Said::PossiblyPersisted),
        "persisted" => Some(Said::Persisted),
        _ => None,
    }
}

fn note_ack(progress: &Mutex<Progress>, partition: usize) {
    let now = Instant::now();
    let mut progress = progress.lock().unwrap_or_else(PoisonError::into_inner);
    let silence = now.duration_since(progress.any_ack);
    progress.longest_silence = progress.longest_silence.max(silence);
    progress.any_ack = now;
    if let Some(last) = progress.last_ack.get_mut(partition) {
        *last = Some(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_the_program_are_understood() {
        let check = |text: &str, expected: Option<Said>| {
            let line: Line = serde_json::from_str(text).expect("JSON");
            assert_eq!(said(&line), expected, "{text}");
        };
        let acked = Said::Acked {
            partition: 2,
            offset: 5,
        };
        check(
            r#"{"timestamp":1,"name":"producer_send_success","key":"1","value":"7.1","topic":"t","offset":5,"partition":2}"#,
            Some(acked),
        );
        let error = |persistence: &str| {
            format!(
                r#"{{"name":"producer_send_error","key":"1","value":"7.1","persistence":"{persistence}"}}"#
            )
        };
        check(&error("not persisted"), Some(Said::NotPersisted));
        check(&error("possibly persisted"), Some(Said::PossiblyPersisted));
        check(&error("persisted"), Some(Said::Persisted));
        check(&error("who knows"), None);
    }
}

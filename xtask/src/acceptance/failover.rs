//! A broker of three that is killed, or freezes, and comes back while lines are produced.

use std::io::{BufReader, BufWriter, Write as _};
use std::ops::Range;
use std::process::{ChildStdin, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

use super::compare::{Acks, Comparison, Faults, Position, Timestamps};
use super::input::Input;
use super::reports::{End, read_reports};
use super::{produce, readers, topics_and_partitions};
use crate::kafka::Cluster;
use crate::program::Program;

/// What happens to the broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trouble {
    /// `kill -9`: its connections break.
    Killed,
    /// SIGSTOP: its connections stay, and nothing answers.
    Frozen,
}

impl Trouble {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Killed => "killed",
            Self::Frozen => "frozen",
        }
    }
}

/// The broker that it happens to.
const VICTIM: usize = 2;

/// How long the program may be without an ack. A dead leader costs 4 to 8 s; a machine with two busy cores more.
const SILENCE_MAX: Duration = Duration::from_secs(90);

/// Shorter than the default of 30 s: how long a frozen broker holds up what was sent to it.
const REQUEST_TIMEOUT: &str = "request.timeout.ms=8000";

/// Produces a third of the lines and awaits their acks; the trouble begins in the middle of the second third, and ends
/// when the other brokers have taken that; and the rest is produced while the broker comes back.
pub(super) fn run(
    program: &Program,
    cluster: &mut Cluster,
    trouble: Trouble,
    input: Input,
) -> anyhow::Result<String> {
    let topic = trouble.name();
    let partition_of_key = topics_and_partitions(cluster, 3, &[topic], input.all_keys())?;
    let start = Instant::now();
    let mut child = produce(
        program,
        &cluster.bootstrap(),
        topic,
        &["-z", "lz4", "-X", "acks=all", "-X", REQUEST_TIMEOUT],
    )
    .stdin(Stdio::piped())
    .stdout(Stdio::piped())
    .stderr(Stdio::piped())
    .spawn()
    .context("cannot run the program")?;
    let reports = child.stdout.take().context("a pipe that was just asked for")?;
    let stdin = child.stdin.take().context("a pipe that was just asked for")?;
    let (sender, acked) = mpsc::channel();
    let reader = thread::spawn(move || {
        read_reports(BufReader::new(reports), topic, |line, position| {
            sender
                .send((line, position))
                .context("nobody reads acks any more")
        })
    });
    let mut run = Run {
        input,
        stdin: Some(BufWriter::new(stdin)),
        acked,
        acks: Acks::new(input.lines),
        count: 0,
    };
    let mut faults = Faults::default();
    let produced = run.with_trouble(cluster, trouble, &mut faults);
    // Without its input the program ends, also where a step of the run failed.
    run.stdin = None;
    if produced.is_err() {
        let _ = child.kill();
    }
    drop(run.acked);
    let reports_read = reader
        .join()
        .map_err(|_| anyhow::anyhow!("the reader of reports panicked"))?;
    let end = End::of(child)?;
    produced
        .and(reports_read)
        .with_context(|| format!("{} of {} lines acked; {end}", run.count, input.lines))?;
    let time = start.elapsed();
    end.check(input, &mut faults);
    run.acks.check(input, &partition_of_key, &mut faults);
    faults.into_result()?;

    let mut comparison = Comparison::new(input, &run.acks, Timestamps::NotBefore);
    readers::kcat(&cluster.bootstrap(), topic, |record| comparison.record(record))?;
    let later = comparison.finish().context("kcat")?;
    let mut comparison = Comparison::new(input, &run.acks, Timestamps::NotBefore);
    readers::java_consumer(
        cluster.library(),
        &cluster.bootstrap(),
        topic,
        input.lines,
        |record| comparison.record(record),
    )?;
    comparison.finish().context("Java's consumer")?;
    Ok(format!(
        "{} lines acked in {:.1} s while a broker of three was {topic} and came back, each once in the log; \
         at least {later} were in batches that a retry repeated",
        input.lines,
        time.as_secs_f32()
    ))
}

struct Run {
    input: Input,
    stdin: Option<BufWriter<ChildStdin>>,
    acked: Receiver<(usize, Position)>,
    acks: Acks,
    count: usize,
}

impl Run {
    fn with_trouble(
        &mut self,
        cluster: &mut Cluster,
        trouble: Trouble,
        faults: &mut Faults,
    ) -> anyhow::Result<()> {
        let (third, half, two_thirds, all) = (
            self.input.lines / 3,
            self.input.lines / 2,
            self.input.lines * 2 / 3,
            self.input.lines,
        );
        self.write(0..third)?;
        self.await_acks(third, faults)?;
        self.write(third..half)?;
        match trouble {
            Trouble::Killed => cluster.kill_node(VICTIM)?,
            Trouble::Frozen => cluster.stop_node(VICTIM)?,
        }
        self.write(half..two_thirds)?;
        self.await_acks(two_thirds, faults)?;
        match trouble {
            Trouble::Killed => cluster.restart_node(VICTIM)?,
            Trouble::Frozen => cluster.continue_node(VICTIM)?,
        }
        self.write(two_thirds..all)?;
        // The end of the input: what lingers is sent.
        self.stdin = None;
        self.await_acks(all, faults)?;
        cluster.wait()
    }

    fn write(&mut self, lines: Range<usize>) -> anyhow::Result<()> {
        let stdin = self.stdin.as_mut().context("the input has ended")?;
        for line in lines {
            stdin
                .write_all(self.input.text(line).as_bytes())
                .context("the program takes no more lines")?;
        }
        stdin.flush().context("the program takes no more lines")
    }

    /// Waits until `count` lines are acked.
    fn await_acks(&mut self, count: usize, faults: &mut Faults) -> anyhow::Result<()> {
        while self.count < count {
            match self.acked.recv_timeout(SILENCE_MAX) {
                Ok((line, position)) => {
                    self.acks.add(line, position, faults);
                    self.count += 1;
                }
                Err(RecvTimeoutError::Timeout) => bail!("no ack for {} s", SILENCE_MAX.as_secs()),
                Err(RecvTimeoutError::Disconnected) => bail!("the program's reports ended"),
            }
        }
        Ok(())
    }
}

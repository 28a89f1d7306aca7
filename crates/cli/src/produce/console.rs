//! Standard error while records are sent: a progress bar on a terminal, and lines that do not tear it.

use super::report::Counters;
use crate::label;
use indicatif::{HumanDuration, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use std::fmt::{self, Write as _};
use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Writes to standard error. Clones share one bar.
#[derive(Clone, Debug)]
pub(super) struct Console {
    bar: ProgressBar,
    quiet: bool,
    silent: bool,
    /// When it began, if a bar is there.
    since: Option<Instant>,
    input: Arc<Progress>,
}

/// How far the input is.
#[derive(Debug, Default)]
struct Progress {
    /// Bytes that were read.
    bytes: AtomicU64,
    /// Records that were made of them.
    records: AtomicU64,
}

/// Often enough to look alive.
const TICK: Duration = Duration::from_millis(100);

impl Console {
    /// A bar, if standard error is a terminal and nobody asked for quiet. `bytes` is the size of the input, if known;
    /// `terminal` says that the input, or the lines of the report, are on a terminal, which a bar would tear.
    pub(super) fn new(quiet: bool, bytes: Option<u64>, terminal: bool, counters: &Arc<Counters>) -> Console {
        let is_looked_at = !quiet && std::io::stderr().is_terminal();
        let bar = if terminal || !is_looked_at {
            ProgressBar::hidden()
        } else {
            ProgressBar::with_draw_target(bytes, ProgressDrawTarget::stderr())
        };
        if !bar.is_hidden() {
            bar.set_style(style(bytes.is_some(), Arc::clone(counters)));
            bar.enable_steady_tick(TICK);
        }
        Console {
            bar,
            quiet,
            silent: false,
            since: (is_looked_at && !terminal).then(Instant::now),
            input: Arc::default(),
        }
    }

    /// Says nothing at all.
    #[cfg(test)]
    pub(super) fn silent() -> Console {
        Console {
            bar: ProgressBar::hidden(),
            quiet: true,
            silent: true,
            since: None,
            input: Arc::default(),
        }
    }

    /// So many bytes of the input were read.
    pub(super) fn read(&self, bytes: u64) {
        self.input.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// So many records were made of it.
    pub(super) fn queued(&self, records: usize) {
        self.input.records.fetch_add(records as u64, Ordering::Relaxed);
    }

    /// So many records have their outcome. The bar stands there, and not where the reader is: memory holds much of what
    /// is read, and the time that is left is that of the brokers.
    pub(super) fn settled(&self, records: u64) {
        let (bytes, queued) = (&self.input.bytes, &self.input.records);
        let share = records as f64 / queued.load(Ordering::Relaxed).max(1) as f64;
        self.bar
            .set_position((bytes.load(Ordering::Relaxed) as f64 * share) as u64);
    }

    /// A line about something that went wrong.
    pub(super) fn error(&self, message: &str) {
        self.line(&format!("{} {message}", label::error()));
    }

    /// A warning, which `-q` leaves out.
    pub(super) fn warning(&self, message: &str) {
        if !self.quiet {
            self.line(&format!("{} {message}", label::warning()));
        }
    }

    /// How it ended: always the same words for scripts, and for people how fast it was.
    pub(super) fn summary(&self, acked: u64, failed: u64) {
        let mut text = format!("{acked} sent, {failed} failed");
        if let Some(since) = self.since {
            let seconds = since.elapsed().as_secs_f64().max(0.001);
            let _ = write!(text, " in {seconds:.1} s ({:.0}/s)", acked as f64 / seconds);
        }
        self.note(&text);
    }

    /// A line that `-q` leaves out.
    pub(super) fn note(&self, message: &str) {
        if !self.quiet {
            self.line(message);
        }
    }

    /// Takes the bar away.
    pub(super) fn end(&self) {
        self.bar.finish_and_clear();
    }

    fn line(&self, text: &str) {
        if !self.silent {
            // Nobody may be listening.
            self.bar.suspend(|| drop(writeln!(std::io::stderr(), "{text}")));
        }
    }
}

fn style(known: bool, counters: Arc<Counters>) -> ProgressStyle {
    let template = if known {
        // It fits a terminal of 80 columns.
        "{bar:16.cyan} {percent:>3}% {bytes_per_sec}, {left} left, {outcomes}"
    } else {
        "{spinner:.cyan} {bytes} sent ({bytes_per_sec}), {outcomes}"
    };
    // The templates are constant; the plain bar only stands in for one that could not be read.
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    let style = style.with_key("left", |state: &ProgressState, out: &mut dyn fmt::Write| {
        // Before the first outcome nobody knows.
        let _ = match state.pos() {
            0 => out.write_char('?'),
            _ => write!(out, "{:#}", HumanDuration(state.eta())),
        };
    });
    style.with_key(
        "outcomes",
        move |state: &ProgressState, out: &mut dyn fmt::Write| {
            let (acked, failed) = (counters.acked(), counters.failed());
            let seconds = state.elapsed().as_secs_f64().max(0.001);
            let _ = write!(out, "{acked} acked ({:.0}/s)", acked as f64 / seconds);
            if failed > 0 {
                let _ = write!(out, ", {failed} failed");
            }
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_stands_where_the_outcomes_are() {
        let console = Console::silent();
        console.settled(0);
        console.read(1_000);
        console.queued(10);
        console.settled(4);
        assert_eq!(console.bar.position(), 400);
        console.read(500);
        console.queued(5);
        console.settled(15);
        assert_eq!(console.bar.position(), 1_500);
    }
}

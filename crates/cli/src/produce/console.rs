//! Standard error while records are sent: a progress bar on a terminal, and lines that do not tear it.

use super::report::Counters;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use std::fmt;
use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::time::Duration;

/// Writes to standard error. Clones share one bar.
#[derive(Clone, Debug)]
pub(super) struct Console {
    bar: ProgressBar,
    quiet: bool,
    silent: bool,
}

/// Often enough to look alive.
const TICK: Duration = Duration::from_millis(100);

impl Console {
    /// A bar, if standard error is a terminal and nobody asked for quiet. `bytes` is the size of the input, if known;
    /// `lines` says that lines go to standard output, which would tear a bar on the same terminal.
    pub(super) fn new(quiet: bool, bytes: Option<u64>, lines: bool, counters: &Arc<Counters>) -> Console {
        let bar = if quiet || (lines && std::io::stdout().is_terminal()) {
            ProgressBar::hidden()
        } else {
            ProgressBar::with_draw_target(bytes, target())
        };
        if !bar.is_hidden() {
            bar.set_style(style(bytes.is_some(), Arc::clone(counters)));
            bar.enable_steady_tick(TICK);
        }
        Console {
            bar,
            quiet,
            silent: false,
        }
    }

    /// Says nothing at all.
    #[cfg(test)]
    pub(super) fn silent() -> Console {
        Console {
            bar: ProgressBar::hidden(),
            quiet: true,
            silent: true,
        }
    }

    /// So many bytes of the input were read.
    pub(super) fn read(&self, bytes: u64) {
        self.bar.inc(bytes);
    }

    /// A line about something that went wrong.
    pub(super) fn error(&self, message: &str) {
        self.line(&format!("error: {message}"));
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

fn target() -> ProgressDrawTarget {
    ProgressDrawTarget::stderr()
}

fn style(known: bool, counters: Arc<Counters>) -> ProgressStyle {
    let template = if known {
        // It fits a terminal of 80 columns.
        "{bar:16} {percent:>3}% {bytes_per_sec}, {eta} left, {outcomes}"
    } else {
        "{spinner} {bytes} read ({bytes_per_sec}), {outcomes}"
    };
    // The templates are constant; the plain bar only stands in for one that could not be read.
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
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

//! Ctrl-C and `kill`, also where they would be ignored.

use std::process;
use std::thread;

use anyhow::Context as _;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// Makes SIGINT, SIGTERM and SIGHUP end this process, and with it what its guards watch over.
///
/// They do so by default, but a shell that starts us in the background from a script has SIGINT ignored, and we inherit
/// that: a script that interrupts its `cargo xtask kafka up` would wait for it.
pub(crate) fn end_on_signals() -> anyhow::Result<()> {
    let mut signals = Signals::new([SIGHUP, SIGINT, SIGTERM]).context("cannot handle signals")?;
    thread::spawn(move || {
        if let Some(signal) = signals.forever().next() {
            // As a shell reports a process that a signal ended.
            process::exit(128 + signal);
        }
    });
    Ok(())
}

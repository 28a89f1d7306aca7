//! The client: a process that prints what it does, and that is killed.

use std::io::BufReader;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, bail};

use crate::guard::Guard;

/// A running client. Dropping it kills it; so does the end of our process, whatever ends it.
#[derive(Debug)]
pub(super) struct Client {
    child: Child,
    lines: Receiver<String>,
    errors: Receiver<String>,
    guard: Option<Guard>,
}

/// How a client ended by itself.
#[derive(Debug)]
pub(super) enum Ended {
    Well,
    /// With this as its last word.
    Failed(String),
}

impl Client {
    pub(super) fn start(mut command: Command) -> anyhow::Result<Self> {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .context("cannot run the client")?;
        let guard = Guard::over(child.id())?;
        let output = child.stdout.take().context("a pipe that was just asked for")?;
        let errors = child.stderr.take().context("a pipe that was just asked for")?;
        Ok(Self {
            child,
            lines: lines_of(BufReader::new(output)),
            errors: lines_of(BufReader::new(errors)),
            guard: Some(guard),
        })
    }

    /// The next line that it prints; `None` when it has ended.
    pub(super) fn line(&mut self, patience: Duration) -> anyhow::Result<Option<String>> {
        match self.lines.recv_timeout(patience) {
            Ok(line) => Ok(Some(line)),
            Err(RecvTimeoutError::Disconnected) => Ok(None),
            Err(RecvTimeoutError::Timeout) => {
                let said: Vec<String> = self.errors.try_iter().collect();
                let last = &said[said.len().saturating_sub(10)..];
                bail!(
                    "the client has said nothing for {} s; {last:?}",
                    patience.as_secs()
                )
            }
        }
    }

    /// How it ended, once there are no more lines.
    pub(super) fn ended(&mut self) -> anyhow::Result<Ended> {
        let status = self.child.wait().context("cannot wait for the client")?;
        self.release();
        if status.success() {
            return Ok(Ended::Well);
        }
        let last = self.errors.iter().last().unwrap_or_default();
        Ok(Ended::Failed(format!("{last} ({status})")))
    }

    /// `kill -9`; what it had printed before comes back.
    pub(super) fn kill(mut self) -> anyhow::Result<Vec<String>> {
        self.child.kill().context("cannot kill the client")?;
        self.child.wait().context("cannot wait for the client")?;
        self.release();
        Ok(self.lines.iter().collect())
    }

    fn release(&mut self) {
        if let Some(guard) = self.guard.take() {
            guard.release();
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // After `ended` and `kill` it is gone, and this changes nothing.
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.release();
    }
}

/// Reads to the end, whoever listens: a pipe that fills would hold the client up.
fn lines_of(reader: impl std::io::BufRead + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for line in reader.lines().map_while(Result::ok) {
            let _ = sender.send(line);
        }
    });
    receiver
}

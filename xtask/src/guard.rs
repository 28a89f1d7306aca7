//! A watchdog that outlives us by one `kill`.
//!
//! A broker, or a run of tests, must not stay behind when the process that started it is gone, however it went: by a
//! panic, by Ctrl-C, by `kill -9`. Destructors cover only the first. Linux's parent-death signal would cover the rest, but it is sent when
//! the *thread* that started the child ends (in a test that is early), it has to be set between fork and exec (unsafe
//! code), and only Linux has it. So a shell of three words waits on a pipe that we hold open: the kernel closes the pipe
//! when we are gone, and the shell kills the group. It runs in a process group of its own, where a Ctrl-C in the
//! terminal does not reach it.

use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};

use anyhow::Context as _;

/// `$1` is the process group. The word `release` ends the watch; the end of the pipe, and nothing else, kills.
const SCRIPT: &str = r#"read -r word; [ "$word" = release ] || kill -s KILL -- "-$1""#;

/// Kills a process group when our process ends before [`Guard::release`].
#[derive(Debug)]
pub(crate) struct Guard {
    shell: Child,
}

impl Guard {
    /// Watches over the process group `group`.
    pub(crate) fn over(group: u32) -> anyhow::Result<Self> {
        let shell = Command::new("sh")
            .args(["-c", SCRIPT, "guard", &group.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .current_dir("/")
            .process_group(0)
            .spawn()
            .context("cannot run `sh`")?;
        Ok(Self { shell })
    }

    /// Ends the watch: the group lives on, or is known to be gone (its number may then be another's).
    pub(crate) fn release(mut self) {
        if let Some(mut pipe) = self.shell.stdin.take() {
            // A shell that was killed cannot read, and needs no telling.
            let _ = pipe.write_all(b"release\n");
        }
        let _ = self.shell.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sleeper() -> Child {
        Command::new("sleep")
            .arg("600")
            .process_group(0)
            .spawn()
            .expect("sleep is everywhere")
    }

    #[test]
    fn kills_the_group_when_the_pipe_closes() {
        let mut sleeper = sleeper();
        let mut guard = Guard::over(sleeper.id()).expect("a shell");
        // What the kernel does for a process that is gone.
        drop(guard.shell.stdin.take());
        assert!(!sleeper.wait().expect("a status").success());
        assert!(guard.shell.wait().expect("a status").success());
    }

    #[test]
    fn a_released_group_lives() {
        let mut sleeper = sleeper();
        Guard::over(sleeper.id()).expect("a shell").release();
        assert!(sleeper.try_wait().expect("a status").is_none());
        sleeper.kill().expect("alive until now");
        sleeper.wait().expect("a status");
    }
}

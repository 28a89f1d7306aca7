//! Running the program.

use assert_cmd::Command;
use std::io::{BufRead, BufReader};
use std::process::{Child, Output, Stdio};

/// The program, without what the environment of the tests would configure.
pub(crate) fn ottla(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ottla"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("OTTLA_CONFIG_") {
            command.env_remove(name);
        }
    }
    command.args(arguments);
    command
}

/// A finished run.
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl From<Output> for Run {
    fn from(output: Output) -> Run {
        Run {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).expect("standard output is UTF-8"),
            stderr: String::from_utf8(output.stderr).expect("standard error is UTF-8"),
        }
    }
}

/// Runs the program with that input to its end.
pub(crate) fn run(arguments: &[&str], input: &str) -> Run {
    Run::from(
        ottla(arguments)
            .write_stdin(input)
            .output()
            .expect("the program starts"),
    )
}

impl Run {
    /// The exit code, and a part of what stands on standard error.
    #[track_caller]
    pub(crate) fn ends(&self, code: i32, stderr_part: &str) -> &Run {
        assert_eq!(self.code, Some(code), "stderr: {}", self.stderr);
        assert!(
            self.stderr.contains(stderr_part),
            "{:?} does not contain {stderr_part:?}",
            self.stderr
        );
        self
    }

    /// Each line of standard output as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Vec<serde_json::Value> {
        let parse = |line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"));
        self.stdout.lines().map(parse).collect()
    }
}

/// `ottla broker` on a free port, until it is dropped.
pub(crate) struct Broker {
    program: Child,
    pub(crate) address: String,
}

impl Broker {
    pub(crate) fn start() -> Broker {
        let mut program = std::process::Command::new(env!("CARGO_BIN_EXE_ottla"))
            .args(["broker", "--port", "0"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program starts");
        let mut address = String::new();
        BufReader::new(program.stdout.take().expect("piped"))
            .read_line(&mut address)
            .expect("it tells its address");
        Broker {
            program,
            address: address.trim().to_owned(),
        }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.program.kill().expect("it runs");
        self.program.wait().expect("it ends");
    }
}

/// Everything in a topic as `kcat -J` prints it, byte for byte; `None`, said loudly, without kcat, and never with `CI` set.
pub(crate) fn kcat(broker: &Broker, topic: &str) -> Option<Vec<u8>> {
    let output = std::process::Command::new("kcat")
        .args([
            "-C",
            "-e",
            "-q",
            "-J",
            "-o",
            "beginning",
            "-b",
            &broker.address,
            "-t",
            topic,
        ])
        .stdin(Stdio::null())
        .output();
    match output {
        Ok(output) => {
            assert!(
                output.status.success(),
                "{}",
                String::from_utf8_lossy(&output.stderr)
            );
            Some(output.stdout)
        }
        Err(error) => {
            assert!(
                std::env::var_os("CI").is_none(),
                "with CI set, kcat must be there: {error}"
            );
            println!("SKIPPED: there is no kcat");
            None
        }
    }
}

pub(crate) fn send(broker: &Broker, flags: &[&str], input: &[u8]) -> Run {
    let output = ottla(&[&["produce", "-b", &broker.address], flags].concat())
        .write_stdin(input)
        .output();
    Run::from(output.expect("the program starts"))
}

//! Running the program.

use assert_cmd::Command;
use std::process::Output;

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

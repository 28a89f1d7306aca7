//! The program of this checkout, `ottla`.

use std::path::PathBuf;
use std::process::Command;

use crate::project;

/// A built `ottla`.
#[derive(Debug, Clone)]
pub(crate) struct Program {
    path: PathBuf,
}

impl Program {
    /// Builds the program of this checkout.
    pub(crate) fn build(release: bool) -> anyhow::Result<Self> {
        let mut build = project::cargo();
        build.args(["build", "--package", "ottla-cli"]);
        if release {
            build.arg("--release");
        }
        project::run(&mut build)?;
        let folder = if release { "release" } else { "debug" };
        Ok(Self {
            path: project::target().join(folder).join("ottla"),
        })
    }

    /// A program that was built before.
    pub(crate) fn at(path: PathBuf) -> Self {
        Self { path }
    }

    /// `ottla verifiable` into `topic`, for options to be added.
    pub(crate) fn verifiable(&self, bootstrap: &str, topic: &str) -> Command {
        let mut command = Command::new(&self.path);
        command.args(["verifiable", "--bootstrap-server", bootstrap, "--topic", topic]);
        command
    }

    /// `ottla perf` into `topic`, for options to be added.
    #[cfg(feature = "messages")]
    pub(crate) fn perf(&self, bootstrap: &str, topic: &str) -> Command {
        let mut command = Command::new(&self.path);
        command.args(["perf", "-b", bootstrap, "-t", topic]);
        command
    }

    /// `ottla produce` into `topic`, for options and files to be added.
    pub(crate) fn produce(&self, bootstrap: &str, topic: &str) -> Command {
        let mut command = Command::new(&self.path);
        command.args(["produce", "-b", bootstrap, "-t", topic]);
        command
    }
}

//! A broker's reporter of what its clients push (KIP-714).

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::Context as _;

use crate::maven::Library;
use crate::project;

/// The reporter, from the root of the checkout.
const REPORTER: &str = "xtask/java/TelemetrySink.java";

/// Where a cluster's brokers write what they are told.
pub(super) fn folder(of_cluster: &Path) -> PathBuf {
    of_cluster.join("telemetry")
}

/// Whether the reporter can be compiled here.
pub(crate) fn is_possible() -> bool {
    let version = Command::new("javac")
        .arg("-version")
        .stdin(Stdio::null())
        .output();
    version.is_ok_and(|output| output.status.success())
}

/// Compiles the reporter; returns the folder with its class.
pub(super) fn compile(library: &Library, of_cluster: &Path) -> anyhow::Result<PathBuf> {
    let classes = of_cluster.join("classes");
    let written = folder(of_cluster);
    for folder in [&classes, &written] {
        let _ = fs::remove_dir_all(folder);
        fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    }
    let mut javac = Command::new("javac");
    javac.arg("-cp").arg(library.class_path()).arg("-d").arg(&classes);
    project::output(javac.arg(project::root().join(REPORTER)))
        .context("cannot compile the brokers' reporter of telemetry")?;
    Ok(classes)
}

/// What brokers need to know of it.
pub(super) fn settings(of_cluster: &Path) -> [(String, String); 2] {
    let written = folder(of_cluster).to_string_lossy().into_owned();
    [
        ("metric.reporters".to_owned(), "TelemetrySink".to_owned()),
        ("ottla.telemetry.folder".to_owned(), written),
    ]
}

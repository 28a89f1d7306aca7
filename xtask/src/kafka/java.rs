//! Java programs from a Kafka's jars.

use std::io;
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};

use crate::maven::Library;
use crate::project;

/// Fails with one clear line where there is no Java that could run Kafka.
pub(crate) fn require() -> anyhow::Result<()> {
    match Command::new("java").arg("-version").stdin(Stdio::null()).output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => bail!(
            "`java -version` failed: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        ),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            bail!(
                "Java is not installed: `java` is not in the PATH (Debian: apt-get install default-jdk-headless)"
            )
        }
        Err(error) => Err(error).context("cannot run `java`"),
    }
}

/// One of Kafka's tools: `class` with the class path of `library`, for its arguments to be added.
pub(crate) fn tool(library: &Library, class: &str) -> Command {
    let mut command = Command::new("java");
    // A tool lives for seconds: the first compiler alone starts it in half the time.
    command.args(["-XX:TieredStopAtLevel=1", "-Xshare:auto", "-Xmx512m", "-cp"]);
    command.arg(library.class_path()).arg(class).stdin(Stdio::null());
    command
}

/// Runs one of Kafka's tools to its end and returns what it printed.
pub(crate) fn run_tool(library: &Library, class: &str, arguments: &[&str]) -> anyhow::Result<String> {
    project::output(tool(library, class).args(arguments)).with_context(|| format!("{class} failed"))
}

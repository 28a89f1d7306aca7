//! Java programs from a Kafka's jars.

use std::io;
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};

use crate::maven::Library;
use crate::project;

/// How long Java's consumer waits for a record that does not come, before it gives up. Beside seven compilers it needs more
/// than 20 s for its first one; one that does come costs nothing.
const IDLE_MS_MAX: &str = "240000";

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

/// Java's console consumer of the first `records` records of `topic`; it prints the parts that are `shown`, as
/// `partition`, before each value.
pub(crate) fn console_consumer(
    library: &Library,
    bootstrap: &str,
    topic: &str,
    records: usize,
    shown: &[&str],
) -> Command {
    // It moved between the modules in 3.8.
    let class = match library.is_at_least(3, 8) {
        true => "org.apache.kafka.tools.consumer.ConsoleConsumer",
        false => "kafka.tools.ConsoleConsumer",
    };
    let mut consumer = tool(library, class);
    consumer.args([
        "--bootstrap-server",
        bootstrap,
        "--topic",
        topic,
        "--from-beginning",
    ]);
    consumer.args([
        "--timeout-ms",
        IDLE_MS_MAX,
        "--max-messages",
        &records.to_string(),
    ]);
    // A deprecated name of an option is answered on standard output, between the records.
    let property = if library.is_at_least(4, 2) {
        "--formatter-property"
    } else {
        "--property"
    };
    for part in shown {
        consumer.args([property, &format!("print.{part}=true")]);
    }
    consumer
}

/// Runs one of Kafka's tools to its end and returns what it printed.
pub(crate) fn run_tool(library: &Library, class: &str, arguments: &[&str]) -> anyhow::Result<String> {
    project::output(tool(library, class).args(arguments)).with_context(|| format!("{class} failed"))
}

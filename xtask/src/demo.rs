//! `cargo xtask demo`: what Ottla does, in one command on a machine that has nothing but Rust, Java and Maven.

use std::io::{self, BufRead as _, BufReader};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};

use crate::kafka::{Cluster, Options, java};
use crate::program::Program;
use crate::project;

const TOPIC: &str = "changelog";

/// What is sent, and what a reader of the output may know.
const FILE: &str = "CHANGELOG.md";

/// `cargo xtask demo`.
pub(crate) fn run() -> anyhow::Result<()> {
    eprintln!("building the program");
    let program = Program::build(false)?;
    eprintln!("starting a Kafka");
    let cluster = Cluster::start(&Options::default())?;
    let bootstrap = cluster.bootstrap();
    let create = [
        "--bootstrap-server",
        &bootstrap,
        "--create",
        "--topic",
        TOPIC,
        "--partitions",
        "3",
    ];
    java::run_tool(cluster.library(), "org.apache.kafka.tools.TopicCommand", &create)?;

    let mut produce = program.produce(&bootstrap, TOPIC);
    produce
        .args(["-z", "zstd", "--output", "json", "-l", FILE])
        .current_dir(project::root());
    eprintln!("\n$ ottla produce -b {bootstrap} -t {TOPIC} -z zstd --output json -l {FILE}");
    // Not a terminal: a progress bar would stand between the lines.
    let sent = show(produce.stderr(Stdio::piped()))?;

    eprintln!("\nand what Java's console consumer reads back:");
    let mut consumer = java::console_consumer(
        cluster.library(),
        &bootstrap,
        TOPIC,
        sent,
        &["partition", "offset"],
    );
    let read = show(consumer.stderr(Stdio::null()))?;
    if read != sent {
        bail!("{sent} records were sent, and {read} read back");
    }
    eprintln!("\n{sent} records sent and read back; the Kafka ends");
    Ok(())
}

/// Runs a command and shows what it prints; returns the number of lines. A failure is an error.
fn show(command: &mut Command) -> anyhow::Result<usize> {
    let name = command.get_program().to_string_lossy().into_owned();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot run `{name}`"))?;
    let output = child.stdout.take().context("a pipe that was just asked for")?;
    let mut lines = 0;
    for line in BufReader::new(output).lines() {
        println!("{}", line.context("not a line of text")?);
        lines += 1;
    }
    if let Some(mut errors) = child.stderr.take() {
        // A summary, or an error: it fits in the pipe.
        io::copy(&mut errors, &mut io::stderr()).context("cannot show what it said")?;
    }
    let status = child.wait()?;
    if !status.success() {
        bail!("`{name}` ended with {status}");
    }
    Ok(lines)
}

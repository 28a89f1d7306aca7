//! The clients: how each is built, and how it is started.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};

use crate::kafka::java;
use crate::maven;
use crate::project;

/// One of those that are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Client {
    Ottla,
    FranzGo,
    Java,
    RdkafkaBase,
    RdkafkaThreaded,
    RdkafkaFuture,
    Krafka,
    Rskafka,
    /// No client: the least that each of them has to do.
    Floor,
}

/// A program that is built, with the arguments that choose the client in it.
#[derive(Debug, Clone)]
pub(super) struct Program {
    words: Vec<OsString>,
}

impl Program {
    fn new(path: impl Into<OsString>, arguments: &[&str]) -> Self {
        let mut words = vec![path.into()];
        words.extend(arguments.iter().map(OsString::from));
        Self { words }
    }

    /// All words of its command line so far.
    pub(super) fn words(&self) -> &[OsString] {
        &self.words
    }
}

impl Client {
    pub(super) const ALL: [Client; 9] = [
        Self::Ottla,
        Self::FranzGo,
        Self::Java,
        Self::RdkafkaBase,
        Self::RdkafkaThreaded,
        Self::RdkafkaFuture,
        Self::Krafka,
        Self::Rskafka,
        Self::Floor,
    ];

    /// Its name in tables and on the command line.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Ottla => "ottla",
            Self::FranzGo => "franz-go",
            Self::Java => "java",
            Self::RdkafkaBase => "rdkafka-base",
            Self::RdkafkaThreaded => "rdkafka-threaded",
            Self::RdkafkaFuture => "rdkafka-future",
            Self::Krafka => "krafka",
            Self::Rskafka => "rskafka",
            Self::Floor => "floor",
        }
    }

    /// About how fast it is beside Ottla with small records: where clients differ so much, a slow one gets fewer records,
    /// so that all work for about a second.
    pub(super) fn speed(self) -> f64 {
        match self {
            Self::Ottla | Self::Floor => 1.0,
            Self::Rskafka => 0.5,
            Self::FranzGo => 0.4,
            Self::Java => 0.35,
            Self::RdkafkaBase | Self::RdkafkaThreaded => 0.3,
            Self::RdkafkaFuture => 0.2,
            Self::Krafka => 0.15,
        }
    }

    /// The client with this name.
    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|client| client.name() == name)
    }

    /// Builds its program, optimised, with the versions that its lock file names.
    pub(super) fn build(self) -> anyhow::Result<Program> {
        match self {
            Self::Ottla => Ok(Program::new(ours("peer")?, &[])),
            Self::Floor => Ok(Program::new(ours("peer_floor")?, &[])),
            Self::RdkafkaBase => rust("rdkafka", &["--client", "base"]),
            Self::RdkafkaThreaded => rust("rdkafka", &["--client", "threaded"]),
            Self::RdkafkaFuture => rust("rdkafka", &["--client", "future"]),
            Self::Krafka => rust("krafka", &[]),
            Self::Rskafka => rust("rskafka", &[]),
            Self::FranzGo => franz_go(),
            Self::Java => java_program(),
        }
    }
}

/// The clients with these names; all without a name.
pub(super) fn chosen(names: &[String]) -> anyhow::Result<Vec<Client>> {
    if names.is_empty() {
        return Ok(Client::ALL.to_vec());
    }
    let find = |name: &String| {
        let known = || Client::ALL.map(Client::name).join(", ");
        Client::named(name).with_context(|| format!("there is no client `{name}`: {}", known()))
    };
    names.iter().map(find).collect()
}

/// One of our own programs, from `benches/src/bin`.
pub(super) fn ours(name: &str) -> anyhow::Result<PathBuf> {
    let mut build = project::cargo();
    build.args(["build", "--release", "--package", "ottla-benches"]);
    quietly(build.args(["--features", "peers", "--bin", name]))?;
    Ok(project::target().join("release").join(name))
}

fn folder(name: &str) -> PathBuf {
    project::root().join("benches/peers").join(name)
}

/// Where what is built of the peers goes.
fn built(name: &str) -> PathBuf {
    project::target().join("peers").join(name)
}

fn rust(name: &str, arguments: &[&str]) -> anyhow::Result<Program> {
    let mut build = project::cargo();
    build
        .args(["build", "--release", "--locked", "--target-dir"])
        .arg(built(name))
        .current_dir(folder(name));
    quietly(&mut build)?;
    let program = built(name).join("release").join(format!("ottla-peer-{name}"));
    Ok(Program::new(program, arguments))
}

fn franz_go() -> anyhow::Result<Program> {
    let program = built("franz-go").join("peer");
    let mut build = Command::new("go");
    build
        .args(["build", "-mod=readonly", "-o"])
        .arg(&program)
        .arg(".")
        .current_dir(folder("franz-go"));
    quietly(&mut build)?;
    Ok(Program::new(program, &[]))
}

fn java_program() -> anyhow::Result<Program> {
    java::require()?;
    let library = maven::library(maven::DEFAULT_VERSION)?;
    let classes = built("java");
    let mut compile = Command::new("javac");
    compile
        .arg("-d")
        .arg(&classes)
        .args(["-cp", &library.class_path()])
        .arg(folder("java").join("Peer.java"));
    quietly(&mut compile)?;
    let class_path = format!("{}:{}", classes.display(), library.class_path());
    // A heap that holds the buffer a few times: by default it would be a quarter of the machine's memory.
    Ok(Program::new("java", &["-Xmx512m", "-cp", &class_path, "Peer"]))
}

/// Builds something; if it fails, the reason is what was said last.
fn quietly(command: &mut Command) -> anyhow::Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot run `{program}`"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let error = said.lines().find(|line| line.starts_with("error"));
        bail!(
            "{}",
            error
                .or(said.lines().last())
                .unwrap_or("it failed without a word")
        );
    }
    Ok(())
}

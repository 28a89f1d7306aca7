//! One broker process.

use std::fs::{self, File};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use rustix::process::{Pid, Signal, kill_process_group};

use super::properties::Ports;
use super::{issuer, java};
use crate::guard::Guard;
use crate::maven::Library;

/// How long a node may take to end when it is asked to.
const TERMINATE_MAX: Duration = Duration::from_secs(60);

/// How much of a dead broker's log is shown.
const LOG_TAIL_LINES: usize = 12;

/// What a node runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// A broker; with KRaft a controller, too.
    Broker,
    /// ZooKeeper, which brokers before KRaft need.
    ZooKeeper,
}

impl Role {
    fn class(self) -> &'static str {
        match self {
            Role::Broker => "kafka.Kafka",
            Role::ZooKeeper => "org.apache.zookeeper.server.quorum.QuorumPeerMain",
        }
    }
}

/// A node of a cluster: its folder, its ports, and its process when it runs.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) id: usize,
    pub(crate) ports: Ports,
    role: Role,
    folder: PathBuf,
    heap_mb: u32,
    process: Option<Process>,
}

#[derive(Debug)]
struct Process {
    child: Child,
    guard: Guard,
}

impl Node {
    /// A node in `folder` that is not yet formatted and does not run.
    pub(crate) fn create(
        id: usize,
        ports: Ports,
        role: Role,
        folder: PathBuf,
        heap_mb: u32,
        properties: &str,
    ) -> anyhow::Result<Self> {
        fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        let node = Self {
            id,
            ports,
            role,
            folder,
            heap_mb,
            process: None,
        };
        fs::write(node.properties(), properties)
            .with_context(|| format!("cannot write {}", node.properties().display()))?;
        Ok(node)
    }

    /// The node's settings.
    pub(crate) fn properties(&self) -> PathBuf {
        self.folder.join("node.properties")
    }

    /// Where the node keeps its partitions, one folder for each.
    pub(crate) fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// Writes what a new node's data folder has to hold.
    pub(crate) fn format(&self, library: &Library, cluster_id: &str, more: &[String]) -> anyhow::Result<()> {
        let properties = self.properties();
        let properties = properties.to_string_lossy();
        let mut arguments = vec![
            "format",
            "-t",
            cluster_id,
            "-c",
            &properties,
            "--ignore-formatted",
        ];
        arguments.extend(more.iter().map(String::as_str));
        java::run_tool(library, "kafka.tools.StorageTool", &arguments).map(drop)
    }

    /// Starts the process, and does not wait until it answers.
    pub(crate) fn start(&mut self, library: &Library) -> anyhow::Result<()> {
        if self.process.is_some() {
            bail!("node {} runs already", self.id);
        }
        let log = File::options().create(true).append(true).open(self.log())?;
        let child = Command::new("java")
            .arg(format!("-Xmx{}m", self.heap_mb))
            .args([
                "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
                "-Dorg.slf4j.simpleLogger.showDateTime=true",
            ])
            .arg("-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS")
            // An old ZooKeeper would manage log4j, of which reload4j has not all.
            .arg("-Dzookeeper.jmx.log4j.disable=true")
            // Where a broker may read the keys of issuers: 4.0 asks for the address, 4.1 for the file as well.
            .args(["urls", "files"].map(|what| {
                let keys = self.folder.with_file_name("issuer").join(issuer::JWKS);
                let scheme = if what == "urls" { "file://" } else { "" };
                let name = "org.apache.kafka.sasl.oauthbearer.allowed";
                format!("-D{name}.{what}={scheme}{}", keys.display())
            }))
            .arg("-cp")
            .arg(library.broker_class_path()?)
            .arg(self.role.class())
            .arg(self.properties())
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            // A group of its own: what is killed is all of it, and a Ctrl-C in the terminal is not for it.
            .process_group(0)
            .spawn()
            .context("cannot run `java`")?;
        fs::write(pid_file(&self.folder), child.id().to_string())?;
        let guard = Guard::over(child.id());
        // Without a guard the node is killed here rather than left unguarded.
        match guard {
            Ok(guard) => self.process = Some(Process { child, guard }),
            Err(error) => {
                let mut child = child;
                child.kill()?;
                child.wait()?;
                return Err(error);
            }
        }
        Ok(())
    }

    /// An error, with the end of the log, if the process ended by itself.
    pub(crate) fn check_alive(&mut self) -> anyhow::Result<()> {
        let Some(process) = &mut self.process else {
            bail!("node {} does not run", self.id)
        };
        if let Some(status) = process.child.try_wait()? {
            self.forget();
            return Err(self.death(status));
        }
        Ok(())
    }

    /// `kill -9`. Nothing happens if the node does not run.
    pub(crate) fn kill(&mut self) -> anyhow::Result<()> {
        let Some(process) = &mut self.process else {
            return Ok(());
        };
        signal_group(process.child.id(), Signal::KILL)?;
        process.child.wait()?;
        self.forget();
        Ok(())
    }

    /// SIGTERM, and waits for the end: the node hands its leaderships over first.
    pub(crate) fn terminate(&mut self) -> anyhow::Result<()> {
        self.signal(Signal::TERM)?;
        let deadline = Instant::now() + TERMINATE_MAX;
        while let Some(process) = &mut self.process
            && process.child.try_wait()?.is_none()
        {
            if Instant::now() > deadline {
                bail!(
                    "node {} did not end within {} s",
                    self.id,
                    TERMINATE_MAX.as_secs()
                );
            }
            thread::sleep(Duration::from_millis(20));
        }
        self.forget();
        Ok(())
    }

    /// Sends a signal to the node, as [`Signal::STOP`] and [`Signal::CONT`].
    pub(crate) fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        let Some(process) = &self.process else {
            bail!("node {} does not run", self.id)
        };
        signal_group(process.child.id(), signal)
    }

    /// Lets the process live on after ours.
    pub(crate) fn detach(&mut self) {
        if let Some(process) = self.process.take() {
            process.guard.release();
        }
    }

    /// The process is gone and reaped: so is the watch over its number.
    fn forget(&mut self) {
        if let Some(process) = self.process.take() {
            process.guard.release();
        }
        let _ = fs::remove_file(pid_file(&self.folder));
    }

    fn log(&self) -> PathBuf {
        self.folder.join("node.log")
    }

    fn death(&self, status: ExitStatus) -> anyhow::Error {
        let log = fs::read(self.log()).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<_> = log.lines().collect();
        let tail = lines[lines.len().saturating_sub(LOG_TAIL_LINES)..].join("\n  ");
        anyhow::anyhow!(
            "node {} of Kafka died ({status}); {} ends:\n  {tail}",
            self.id,
            self.log().display()
        )
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Err(error) = self.kill() {
            eprintln!("cannot kill node {} of Kafka: {error:#}", self.id);
        }
    }
}

/// Kills the process that [`Node::start`] noted in `folder`, if it still runs; says whether it did.
pub(crate) fn kill_noted(folder: &Path) -> anyhow::Result<bool> {
    let Some(pid) = noted_process(folder) else {
        return Ok(false);
    };
    signal_group(pid, Signal::KILL)?;
    // It is not our child, so it cannot be waited for; a killed process is gone in moments.
    let mut tries = 0;
    while noted_process(folder).is_some() && tries < 500 {
        std::thread::sleep(std::time::Duration::from_millis(10));
        tries += 1;
    }
    fs::remove_file(pid_file(folder))?;
    Ok(true)
}

/// The process that was started in `folder` and still runs.
pub(crate) fn noted_process(folder: &Path) -> Option<u32> {
    let pid: u32 = fs::read_to_string(pid_file(folder)).ok()?.trim().parse().ok()?;
    // A number is given again after some time: it is ours only if it runs with our properties.
    let properties = folder.join("node.properties");
    command_line(pid)
        .is_some_and(|line| line.contains(&*properties.to_string_lossy()))
        .then_some(pid)
}

fn command_line(pid: u32) -> Option<String> {
    if Path::new("/proc/self").exists() {
        let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        return Some(String::from_utf8_lossy(&line).into_owned());
    }
    let output = Command::new("ps")
        .args(["-ww", "-o", "args=", "-p", &pid.to_string()])
        .output()
        .ok()?;
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn pid_file(folder: &Path) -> PathBuf {
    folder.join("pid")
}

fn signal_group(pid: u32, signal: Signal) -> anyhow::Result<()> {
    let group = i32::try_from(pid)
        .ok()
        .and_then(Pid::from_raw)
        .context("a process number")?;
    kill_process_group(group, signal).with_context(|| format!("cannot signal process {pid}"))
}

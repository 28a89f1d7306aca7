//! A cluster of real brokers, for as long as its value lives.

use std::fs;
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, test_kill_process};

use super::issuer;
use super::listeners::{self, Listener};
use super::node::{self, Node, Role};
use super::properties::{self, Keeper, Ports};
use super::stores::Stores;
use super::{clients, java, ports, probe, telemetry};
use crate::maven::{self, Library};
use crate::project;

/// One node answers about 8 s after nothing on an idle machine; this is for three on a busy one.
const START_MAX: Duration = Duration::from_secs(120);

/// How often a start asks whether the brokers answer.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// The folder of ZooKeeper, in a cluster's folder.
const ZOOKEEPER: &str = "zookeeper";

/// How often a start looks for other ports after somebody took one between the look and the broker's bind.
const PORT_ATTEMPTS_MAX: usize = 3;

/// What cluster to start.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    /// Kafka's version.
    pub(crate) version: String,
    /// 1, or 3 with settings under which acked records survive one dead node.
    pub(crate) nodes: usize,
    /// The first of two ports for each node; free ones when absent.
    pub(crate) port: Option<u16>,
    /// Where data and logs go; a new folder, removed at the end, when absent.
    pub(crate) folder: Option<PathBuf>,
    /// Whether there are listeners with TLS.
    pub(crate) tls: bool,
    /// Whether there are listeners with SASL.
    pub(crate) sasl: bool,
    /// Whether the brokers take what clients tell of themselves (KIP-714), and write it into files.
    pub(crate) telemetry: bool,
    /// More settings of the brokers.
    pub(crate) settings: Vec<(String, String)>,
    /// Levels of features other than the version's own, as `name=level`.
    pub(crate) features: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            version: maven::DEFAULT_VERSION.to_owned(),
            nodes: 1,
            port: None,
            folder: None,
            tls: false,
            sasl: false,
            telemetry: false,
            settings: Vec::new(),
            features: Vec::new(),
        }
    }
}

/// Running brokers. Dropping it kills them; so does the end of our process, whatever ends it (see [`crate::guard`]).
#[derive(Debug)]
pub(crate) struct Cluster {
    /// Ends before the other nodes' keeper does.
    nodes: Vec<Node>,
    zookeeper: Option<Node>,
    library: Library,
    folder: PathBuf,
    listeners: Vec<Listener>,
    telemetry: bool,
    /// Removed with the cluster; absent when the caller chose the folder.
    own_folder: Option<PathBuf>,
}

impl Cluster {
    /// Starts a cluster and waits until every broker answers and sees all others.
    pub(crate) fn start(options: &Options) -> anyhow::Result<Self> {
        java::require()?;
        let version = &options.version;
        if options.sasl && keeper(version) == Keeper::ZooKeeper {
            // Its SCRAM users would have to be written into ZooKeeper by tools that Kafka has no more.
            bail!("Kafka {version} runs with ZooKeeper, and here without SASL; from 3.3 on it has SASL");
        }
        if !options.features.is_empty() && keeper(version) == Keeper::ZooKeeper {
            bail!("Kafka {version} has no features whose level could be set");
        }
        let library = maven::library(version)?;
        let folder = options.folder.clone().unwrap_or_else(scoped_folder);
        for attempt in 1.. {
            let mut cluster = Self::create(options, library.clone(), &folder)?;
            match cluster.bring_up(&options.features) {
                Ok(()) => return Ok(cluster),
                Err(error)
                    if options.port.is_none() && attempt < PORT_ATTEMPTS_MAX && lost_a_port(&error) => {}
                Err(error) => return Err(error),
            }
        }
        unreachable!("the last attempt returns")
    }

    /// The addresses of all brokers, as `bootstrap.servers` wants them.
    pub(crate) fn bootstrap(&self) -> String {
        addresses(self.nodes.iter().map(|node| node.ports.broker))
    }

    /// The names and addresses of the listeners beside the plain one.
    pub(crate) fn other_bootstraps(&self) -> Vec<(&'static str, String)> {
        let of = |listener| addresses(self.nodes.iter().map(|node| node.ports.of(Some(listener))));
        self.listeners
            .iter()
            .map(|&listener| (listener.name(), of(listener)))
            .collect()
    }

    /// The folder with a `.properties` file for each way in, if there are other listeners than the plain one.
    pub(crate) fn clients(&self) -> Option<PathBuf> {
        (!self.listeners.is_empty()).then(|| clients::folder(&self.folder))
    }

    /// The folder into which the brokers write what clients tell of themselves, if they do.
    pub(crate) fn telemetry(&self) -> Option<PathBuf> {
        self.telemetry.then(|| telemetry::folder(&self.folder))
    }

    /// The jars that the brokers run from.
    pub(crate) fn library(&self) -> &Library {
        &self.library
    }

    /// The folder in which node `id` (from 1) keeps its partitions.
    pub(crate) fn data(&self, id: usize) -> PathBuf {
        self.node(id).data()
    }

    /// `kill -9` for node `id` (from 1).
    pub(crate) fn kill_node(&mut self, id: usize) -> anyhow::Result<()> {
        self.node_mut(id).kill()
    }

    /// Ends node `id` (from 1) as an operator does, and waits until it is gone.
    pub(crate) fn terminate_node(&mut self, id: usize) -> anyhow::Result<()> {
        self.node_mut(id).terminate()
    }

    /// Freezes node `id`: it keeps its connections and answers nothing.
    pub(crate) fn stop_node(&self, id: usize) -> anyhow::Result<()> {
        self.node(id).signal(Signal::STOP)
    }

    /// Lets a frozen node go on.
    pub(crate) fn continue_node(&self, id: usize) -> anyhow::Result<()> {
        self.node(id).signal(Signal::CONT)
    }

    /// Starts node `id` again, with its data and its ports. [`Cluster::wait`] says when it is back.
    pub(crate) fn restart_node(&mut self, id: usize) -> anyhow::Result<()> {
        self.node_mut(id).kill()?;
        let library = self.library.clone();
        self.node_mut(id).start(&library)
    }

    /// Waits until every broker answers and sees all others.
    pub(crate) fn wait(&mut self) -> anyhow::Result<()> {
        let deadline = Instant::now() + START_MAX;
        let count = self.nodes.len();
        for node in &mut self.nodes {
            while !probe::brokers_seen(node.ports.broker).is_ok_and(|seen| seen >= count) {
                node.check_alive()?;
                if Instant::now() > deadline {
                    bail!(
                        "node {} of Kafka did not answer within {} s",
                        node.id,
                        START_MAX.as_secs()
                    );
                }
                thread::sleep(POLL_INTERVAL);
            }
            node.check_alive()?;
        }
        Ok(())
    }

    /// Lets the brokers live on after us, until [`kill_in`] is called for their folder.
    pub(crate) fn detach(mut self) {
        self.own_folder = None;
        self.nodes
            .iter_mut()
            .chain(&mut self.zookeeper)
            .for_each(Node::detach);
    }

    /// Writes the folders of all nodes.
    fn create(options: &Options, library: Library, folder: &Path) -> anyhow::Result<Self> {
        let count = options.nodes;
        let listeners = Listener::chosen(options.tls, options.sasl, checks_tokens(&options.version));
        let ports_of_node = 2 + listeners.len();
        let ports = match options.port {
            Some(first) => ports::from(first, ports_of_node * count)?,
            None => ports::free(ports_of_node * count)?,
        };
        // The brokers' ports stand first, so that `--port 9092 --nodes 3` gives 9092, 9093 and 9094.
        let ports: Vec<_> = (0..count)
            .map(|i| Ports {
                broker: ports[i],
                controller: ports[count + i],
                others: (2..)
                    .zip(&listeners)
                    .map(|(row, &listener)| (listener, ports[row * count + i]))
                    .collect(),
            })
            .collect();
        // Three nodes of 700 MB and a build fit in the 8 GB of a usual machine.
        let heap_mb = if count == 1 { 1024 } else { 700 };
        clear(folder)?;
        let stores = match options.tls {
            true => Some(Stores::create(&folder.join("stores"))?),
            false => None,
        };
        let issuer = folder.join("issuer");
        if listeners.contains(&Listener::Oidc) {
            issuer::create(&issuer)?;
        }
        if !listeners.is_empty() {
            let bootstrap = |listener| addresses(ports.iter().map(|ports| ports.of(listener)));
            clients::write(&clients::folder(folder), &listeners, stores.as_ref(), bootstrap)?;
        }
        let mut settings = options.settings.clone();
        let mut library = library;
        if options.telemetry {
            settings.extend(telemetry::settings(folder));
            library = library
                .clone()
                .with_classes(telemetry::compile(&library, folder)?);
        }
        let mut nodes = Vec::with_capacity(count);
        for id in 1..=count {
            let of_node = node_folder(folder, id);
            let properties = properties::node(
                id,
                &ports,
                keeper(&options.version),
                &of_node.join("data"),
                stores.as_ref(),
                &issuer,
                &settings,
            );
            nodes.push(Node::create(
                id,
                ports[id - 1].clone(),
                Role::Broker,
                of_node,
                heap_mb,
                &properties,
            )?);
        }
        let zookeeper = match keeper(&options.version) {
            Keeper::KRaft => None,
            Keeper::ZooKeeper => {
                let folder = folder.join(ZOOKEEPER);
                let properties = properties::zookeeper(ports[0].controller, &folder.join("data"));
                let heap_mb = 256;
                Some(Node::create(
                    0,
                    ports[0].clone(),
                    Role::ZooKeeper,
                    folder,
                    heap_mb,
                    &properties,
                )?)
            }
        };
        let own_folder = options.folder.is_none().then(|| folder.to_path_buf());
        Ok(Self {
            nodes,
            zookeeper,
            library,
            folder: folder.to_path_buf(),
            listeners,
            telemetry: options.telemetry,
            own_folder,
        })
    }

    /// Formats, starts and awaits all nodes.
    fn bring_up(&mut self, features: &[String]) -> anyhow::Result<()> {
        let library = &self.library;
        match &mut self.zookeeper {
            Some(zookeeper) => {
                zookeeper.start(library)?;
                await_port(zookeeper)?;
            }
            None => self.format(features)?,
        }
        self.nodes.iter_mut().try_for_each(|node| node.start(library))?;
        self.wait()
    }

    /// Writes what the nodes' folders have to hold with KRaft.
    fn format(&self, features: &[String]) -> anyhow::Result<()> {
        let cluster_id = random_uuid();
        let library = &self.library;
        let mut more = match self.has_sasl() {
            true => listeners::scram_arguments(),
            false => Vec::new(),
        };
        more.extend(
            features
                .iter()
                .flat_map(|feature| ["--feature".to_owned(), feature.clone()]),
        );
        thread::scope(|scope| {
            let formats: Vec<_> = self
                .nodes
                .iter()
                .map(|node| scope.spawn(|| node.format(library, &cluster_id, &more)))
                .collect();
            // A panic in there is one of ours.
            formats
                .into_iter()
                .try_for_each(|format| format.join().expect("formatting does not panic"))
        })
    }

    fn has_sasl(&self) -> bool {
        self.listeners.contains(&Listener::SaslPlaintext)
    }

    fn node(&self, id: usize) -> &Node {
        &self.nodes[id - 1]
    }

    fn node_mut(&mut self, id: usize) -> &mut Node {
        &mut self.nodes[id - 1]
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.nodes.clear();
        self.zookeeper = None;
        // What a failed test left is worth a look.
        if let Some(folder) = self.own_folder.take().filter(|_| !thread::panicking()) {
            let _ = fs::remove_dir_all(folder);
        }
    }
}

/// Kills all nodes that were started in `folder`, and removes their data but not their logs; says how many ran.
pub(crate) fn kill_in(folder: &Path) -> anyhow::Result<usize> {
    let mut killed = 0;
    for of_node in node_folders(folder)? {
        killed += usize::from(node::kill_noted(&of_node)?);
        let data = of_node.join("data");
        if data.exists() {
            fs::remove_dir_all(&data).with_context(|| format!("cannot remove {}", data.display()))?;
        }
    }
    Ok(killed)
}

/// Removes what earlier nodes left in `folder`; an error if one still runs there.
fn clear(folder: &Path) -> anyhow::Result<()> {
    for of_node in node_folders(folder)? {
        if node::noted_process(&of_node).is_some() {
            bail!(
                "a cluster runs in {}: `cargo xtask kafka down` ends it",
                folder.display()
            );
        }
        fs::remove_dir_all(&of_node).with_context(|| format!("cannot remove {}", of_node.display()))?;
    }
    Ok(())
}

/// Waits until somebody listens where ZooKeeper should.
fn await_port(zookeeper: &mut Node) -> anyhow::Result<()> {
    let deadline = Instant::now() + START_MAX;
    while TcpStream::connect((Ipv4Addr::LOCALHOST, zookeeper.ports.controller)).is_err() {
        zookeeper.check_alive()?;
        if Instant::now() > deadline {
            bail!("ZooKeeper did not listen within {} s", START_MAX.as_secs());
        }
        thread::sleep(POLL_INTERVAL);
    }
    Ok(())
}

fn node_folder(folder: &Path, id: usize) -> PathBuf {
    folder.join(format!("node-{id}"))
}

/// The folders of nodes in `folder`: only what [`Node::create`] made, so that `--dir` cannot cost anybody's files.
fn node_folders(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    // ZooKeeper last, so that nobody misses it who still lives.
    let folders = (1..=9)
        .map(|id| node_folder(folder, id))
        .chain([folder.join(ZOOKEEPER)]);
    Ok(folders
        .filter(|of_node| of_node.join("node.properties").is_file())
        .collect())
}

/// Addresses as `bootstrap.servers` wants them.
fn addresses(ports: impl Iterator<Item = u16>) -> String {
    let addresses = ports.map(|port| format!("127.0.0.1:{port}"));
    addresses.collect::<Vec<_>>().join(",")
}

/// A folder of its own for each cluster of this process.
fn scoped_folder() -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let all = project::target().join("kafka/run");
    remove_orphans(&all);
    all.join(format!("{}-{number}", process::id()))
}

/// Removes the folders of processes that are gone: one that is killed cannot tidy up, and a failed test leaves its
/// folder to be looked at until somebody starts the next cluster.
fn remove_orphans(all: &Path) {
    for entry in fs::read_dir(all).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let owner = name
            .split_once('-')
            .and_then(|(pid, _)| pid.parse().ok())
            .and_then(Pid::from_raw);
        if owner.is_some_and(|owner| test_kill_process(owner) == Err(Errno::SRCH)) {
            // Space on a disk is all that this is about.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// A UUID as Kafka writes it: 128 bits in the alphabet of base64url. The first is a letter: tools take a `-` for a flag.
fn random_uuid() -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text: String = (0..21)
        .map(|_| char::from(ALPHABET[fastrand::usize(..64)]))
        .collect();
    text.replace_range(..1, "K");
    // 21 digits of 6 bits and one of 2, which stand in the upper half of their digit.
    text.push(char::from(ALPHABET[16 * fastrand::usize(..4)]));
    text
}

/// KRaft from 3.3 on, where it was first meant for production.
fn keeper(version: &str) -> Keeper {
    match maven::release(version) >= (3, 3) {
        true => Keeper::KRaft,
        false => Keeper::ZooKeeper,
    }
}

/// Whether `version` is 4.0, the first where a broker reads the issuer's keys from a file that is allowed by name.
fn checks_tokens(version: &str) -> bool {
    maven::release(version) >= (4, 0)
}

fn lost_a_port(error: &anyhow::Error) -> bool {
    let text = format!("{error:#}");
    text.contains("Address already in use") || text.contains("BindException")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid_is_one_of_kafkas() {
        for _ in 0..200 {
            let uuid = random_uuid();
            assert_eq!(uuid.len(), 22);
            assert!(uuid.ends_with(['A', 'Q', 'g', 'w']), "{uuid}");
            assert!(!uuid.starts_with('-'), "{uuid}");
        }
    }

    #[test]
    fn old_versions_have_a_zookeeper() {
        for (version, expected) in [
            ("4.3.1", Keeper::KRaft),
            ("3.9.1", Keeper::KRaft),
            ("3.3.0", Keeper::KRaft),
            ("3.2.3", Keeper::ZooKeeper),
            ("2.8.2", Keeper::ZooKeeper),
        ] {
            assert_eq!(keeper(version), expected, "{version}");
        }
    }

    #[test]
    fn only_the_folders_of_processes_that_are_gone_are_removed() {
        let mut gone = process::Command::new("true").spawn().expect("a process");
        gone.wait().expect("its end");
        let all = std::env::temp_dir().join(format!("ottla-orphans-{}", process::id()));
        let [orphan, ours, up] = [
            format!("{}-1", gone.id()),
            format!("{}-1", process::id()),
            "up".to_owned(),
        ]
        .map(|name| all.join(name));
        for folder in [&orphan, &ours, &up] {
            fs::create_dir_all(folder).expect("a folder");
        }
        remove_orphans(&all);
        assert!(!orphan.exists() && ours.exists() && up.exists());
        fs::remove_dir_all(&all).expect("removed");
    }
}

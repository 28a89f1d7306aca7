//! A real Kafka whose log is in memory, for measurements: what a disk does is no figure of a client's.

use std::fs;
use std::path::{Path, PathBuf};
use std::process;

use anyhow::Context as _;

use super::{Cluster, Options, java};

/// Where a log costs no disk.
const TMPFS: &str = "/dev/shm";

/// One node with one topic.
#[derive(Debug)]
pub(crate) struct MemoryCluster {
    /// There until the end.
    cluster: Option<Cluster>,
    bootstrap: String,
    folder: PathBuf,
}

impl MemoryCluster {
    /// Starts the broker and makes the topic.
    pub(crate) fn start(topic: &str, partitions: i32) -> anyhow::Result<Self> {
        let folder = Path::new(TMPFS).join(format!("ottla-bench-{}", process::id()));
        fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        // What is old goes soon: all of it is in memory.
        let settings = [
            ("log.retention.bytes", "268435456"),
            ("log.segment.bytes", "134217728"),
            ("log.retention.check.interval.ms", "2000"),
            ("log.segment.delete.delay.ms", "1000"),
        ];
        let options = Options {
            folder: Some(folder.clone()),
            settings: settings
                .iter()
                .map(|&(key, value)| (key.to_owned(), value.to_owned()))
                .collect(),
            ..Options::default()
        };
        eprintln!("starting a real Kafka in {TMPFS}");
        let cluster = Cluster::start(&options)?;
        let library = cluster.library().clone();
        let kafka = Self {
            bootstrap: cluster.bootstrap(),
            cluster: Some(cluster),
            folder,
        };
        let arguments = [
            "--bootstrap-server",
            &kafka.bootstrap,
            "--create",
            "--topic",
            topic,
            "--partitions",
            &partitions.to_string(),
        ];
        java::run_tool(&library, "org.apache.kafka.tools.TopicCommand", &arguments)?;
        Ok(kafka)
    }

    /// The broker's address.
    pub(crate) fn bootstrap(&self) -> &str {
        &self.bootstrap
    }
}

impl Drop for MemoryCluster {
    fn drop(&mut self) {
        // The brokers go first, or they write what is being removed.
        drop(self.cluster.take());
        if let Err(error) = fs::remove_dir_all(&self.folder) {
            eprintln!("{} is left behind: {error}", self.folder.display());
        }
    }
}

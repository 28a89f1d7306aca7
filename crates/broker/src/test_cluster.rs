//! A cluster in one line, for the tests of those who use Kafka.

use crate::cluster::Cluster;
use crate::config::{ClusterConfig, Pose, TopicSpec, TransactionVersion};
use crate::event::Event;
use crate::fault::Fault;
use crate::inspect::Isolation;
use crate::sasl::SaslOptions;
use crate::tcp::{Bound, ClusterGuard, ListenOptions, Server, Shared};
use ottla_protocol::records::Record;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::oneshot;

/// A cluster that listens on loopback, run by a thread of its own until it is dropped.
///
/// It works the same in a test under any async runtime and in one without: a test that blocks, or whose clock stands
/// still, does not hold its broker up.
///
/// ```
/// use ottla_broker::TestCluster;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let cluster = TestCluster::builder().brokers(3).topic("orders", 6).start_blocking()?;
/// println!("bootstrap.servers={}", cluster.bootstrap_servers());
/// // … produce with any client …
/// assert!(cluster.records("orders", 0).is_empty());
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct TestCluster {
    shared: Arc<Shared>,
    addresses: Vec<SocketAddr>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// What a [`TestCluster`] is to be like.
#[derive(Clone, Debug, Default)]
pub struct TestClusterBuilder {
    config: ClusterConfig,
    listen: ListenOptions,
}

impl TestClusterBuilder {
    /// How many brokers there are; one by default.
    pub fn brokers(mut self, brokers: i32) -> TestClusterBuilder {
        self.config.brokers = brokers;
        self
    }

    /// A topic that exists from the start.
    pub fn topic(self, name: impl Into<String>, partitions: i32) -> TestClusterBuilder {
        self.topic_spec(TopicSpec::new(name, partitions))
    }

    /// A topic that exists from the start, with a configuration.
    pub fn topic_spec(mut self, spec: TopicSpec) -> TestClusterBuilder {
        self.config.topics.push(spec);
        self
    }

    /// The release that the brokers pose as.
    pub fn pose(mut self, pose: Pose) -> TestClusterBuilder {
        self.config.pose = pose;
        self
    }

    /// The transaction protocol, where it is to be another than the pose brings.
    pub fn transaction_version(mut self, version: TransactionVersion) -> TestClusterBuilder {
        self.config.transaction_version = Some(version);
        self
    }

    /// Lets in only who authenticates.
    pub fn sasl(mut self, sasl: SaslOptions) -> TestClusterBuilder {
        self.config.sasl = Some(sasl);
        self
    }

    /// A rule that is there from the start is added with [`Cluster::add_fault`] after it; this is everything else.
    pub fn configure(mut self, change: impl FnOnce(&mut ClusterConfig)) -> TestClusterBuilder {
        change(&mut self.config);
        self
    }

    /// Where the brokers listen: on free ports of the loopback address by default.
    pub fn listen(mut self, listen: ListenOptions) -> TestClusterBuilder {
        self.listen = listen;
        self
    }

    /// Starts the cluster. When this returns, every broker listens.
    ///
    /// # Errors
    ///
    /// A configuration that cannot be, or a port that is taken.
    pub async fn start(self) -> io::Result<TestCluster> {
        // Nothing here waits for anything: sockets are bound at once.
        self.start_blocking()
    }

    /// The same, outside async code.
    ///
    /// # Errors
    ///
    /// As [`TestClusterBuilder::start`].
    #[expect(clippy::disallowed_methods, reason = "the thread is the cluster's I/O")]
    pub fn start_blocking(self) -> io::Result<TestCluster> {
        let invalid = |error| io::Error::new(io::ErrorKind::InvalidInput, error);
        let mut cluster = Cluster::new(self.config).map_err(invalid)?;
        let bound = Bound::bind(&mut cluster, &self.listen)?;
        let addresses = bound.addresses().to_vec();
        let shared = Shared::new(cluster);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build()?;
        let (stop, stopped) = oneshot::channel();
        let served = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("ottla-broker".to_owned())
            .spawn(move || {
                runtime.block_on(async move {
                    // Registering a bound socket fails only where the system is out of memory for it; the cluster then
                    // refuses connections, which is what its client sees.
                    if let Ok(_server) = Server::serve(served, bound) {
                        // An error is the cluster that was dropped: the same as being told to stop.
                        let _ = stopped.await;
                    }
                });
            })?;
        Ok(TestCluster {
            shared,
            addresses,
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

impl TestCluster {
    /// What the cluster is to be like: one broker of the newest release that creates topics as they are asked for.
    pub fn builder() -> TestClusterBuilder {
        TestClusterBuilder::default()
    }

    /// `host:port` of every broker, separated by commas: what clients call `bootstrap.servers`.
    pub fn bootstrap_servers(&self) -> String {
        self.cluster().bootstrap_servers()
    }

    /// Where the brokers listen, in the order of their ids.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// The cluster, to look into it or to make trouble. Its clients wait while the guard lives.
    pub fn cluster(&self) -> ClusterGuard<'_> {
        self.shared.cluster()
    }

    /// Adds a rule; returns its number, which stands in the events when it strikes.
    pub fn add_fault(&self, fault: Fault) -> u64 {
        self.cluster().add_fault(fault)
    }

    /// Removes all rules.
    pub fn clear_faults(&self) {
        self.cluster().clear_faults();
    }

    /// The events that are remembered, oldest first.
    pub fn events(&self) -> Vec<Event> {
        self.cluster().events().cloned().collect()
    }

    /// The records of a partition, replicated and committed or not; none if the cluster has not got it.
    pub fn records(&self, topic: &str, partition: i32) -> Vec<Record> {
        self.cluster()
            .records(topic, partition, Isolation::Log)
            .unwrap_or_default()
    }

    /// The records of a partition that a read_committed reader sees; none if the cluster has not got it.
    pub fn committed_records(&self, topic: &str, partition: i32) -> Vec<Record> {
        self.cluster()
            .records(topic, partition, Isolation::ReadCommitted)
            .unwrap_or_default()
    }

    /// The records of all partitions of a topic, replicated and committed or not, each with its partition; none if the
    /// cluster has not got it.
    pub fn all_records(&self, topic: &str) -> Vec<(i32, Record)> {
        let partitions = self.cluster().partition_count(topic).unwrap_or(0);
        let of = |partition| {
            let records = self.records(topic, partition).into_iter();
            records.map(move |record| (partition, record))
        };
        (0..partitions).flat_map(of).collect()
    }

    /// Waits until `condition` holds, and asks it again whenever something happened: what a test does that cannot know
    /// when its application sends. `condition` is to look only. There is no time limit: wrap it in that of your runtime.
    ///
    /// ```
    /// use ottla_broker::TestCluster;
    /// use std::time::Duration;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let cluster = TestCluster::builder().topic("orders", 1).start().await?;
    /// let arrived = cluster.wait_until(|cluster| {
    ///     cluster.partition_state("orders", 0).is_ok_and(|state| state.log_end == 3)
    /// });
    /// // … here the application would send three records …
    /// assert!(tokio::time::timeout(Duration::from_millis(1), arrived).await.is_err(), "it did not");
    /// # Ok(())
    /// # }
    /// ```
    pub async fn wait_until(&self, condition: impl FnMut(&mut Cluster) -> bool) {
        self.shared.wait(condition).await;
    }

    /// The same, outside async code. False if the condition did not hold within `timeout`.
    pub fn wait_until_blocking(
        &self,
        timeout: Duration,
        condition: impl FnMut(&mut Cluster) -> bool,
    ) -> bool {
        self.shared.wait_blocking(timeout, condition)
    }

    /// Every answer of every broker is so long under way.
    pub fn set_round_trip(&self, round_trip: Duration) {
        let mut cluster = self.cluster();
        for broker in cluster.broker_ids() {
            // The ids are the cluster's own.
            let _ = cluster.set_round_trip(broker, round_trip);
        }
    }
}

impl Drop for TestCluster {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was printed where it happened; there is nothing to add while dropping.
            let _ = thread.join();
        }
    }
}

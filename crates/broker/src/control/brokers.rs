//! Brokers: where they are, and how they die, freeze and come back.

use super::Unknown;
use crate::cluster::{Cluster, ConnectionId};
use crate::event::EventKind;
use crate::node::NodeState;
use crate::timer::Timer;
use std::time::Duration;

impl Cluster {
    /// The ids of all brokers.
    pub fn broker_ids(&self) -> Vec<i32> {
        self.nodes.keys().copied().collect()
    }

    /// Where clients are told that a broker is.
    pub fn set_address(&mut self, broker: i32, host: &str, port: u16) {
        if let Some(node) = self.nodes.get_mut(&broker) {
            host.clone_into(&mut node.host);
            node.port = i32::from(port);
        }
    }

    /// `host:port` of every broker, separated by commas.
    pub fn bootstrap_servers(&self) -> String {
        let addresses: Vec<String> = self
            .nodes
            .values()
            .map(|node| format!("{}:{}", node.host, node.port))
            .collect();
        addresses.join(",")
    }

    /// A broker dies: its connections break off, what its followers have not got is lost, and others lead.
    ///
    /// # Errors
    ///
    /// A broker that the cluster has not got.
    pub fn kill_broker(&mut self, broker: i32) -> Result<(), Unknown> {
        let node = self
            .nodes
            .get_mut(&broker)
            .ok_or_else(|| Unknown::broker(broker))?;
        if node.state == NodeState::Down {
            return Ok(());
        }
        node.state = NodeState::Down;
        node.stale = None;
        self.events.record(self.now, || EventKind::Broker {
            broker,
            state: "down",
        });
        for id in self.connections_to(Some(broker)) {
            self.reset(id, "the broker died");
        }
        self.broker_lost(broker);
        Ok(())
    }

    /// A broker that was killed or frozen works again, with the log that it had.
    ///
    /// # Errors
    ///
    /// A broker that the cluster has not got.
    pub fn start_broker(&mut self, broker: i32) -> Result<(), Unknown> {
        let node = self
            .nodes
            .get_mut(&broker)
            .ok_or_else(|| Unknown::broker(broker))?;
        if node.state == NodeState::Up {
            return Ok(());
        }
        node.state = NodeState::Up;
        node.fenced = false;
        self.events
            .record(self.now, || EventKind::Broker { broker, state: "up" });
        self.broker_back(broker);
        for id in self.connections_to(Some(broker)) {
            self.flush(id);
            self.go_on(id);
        }
        self.write_all_markers();
        Ok(())
    }

    /// A broker stops doing anything, and its sockets stay open, as under SIGSTOP. When its session is over
    /// ([`session_timeout`](crate::ClusterConfig::session_timeout)), others lead. [`Cluster::start_broker`] thaws it.
    ///
    /// # Errors
    ///
    /// A broker that the cluster has not got.
    pub fn freeze_broker(&mut self, broker: i32) -> Result<(), Unknown> {
        let node = self
            .nodes
            .get_mut(&broker)
            .ok_or_else(|| Unknown::broker(broker))?;
        if node.state != NodeState::Up {
            return Ok(());
        }
        node.state = NodeState::Frozen;
        node.freezes += 1;
        let freeze = node.freezes;
        self.events.record(self.now, || EventKind::Broker {
            broker,
            state: "frozen",
        });
        self.timers.set(
            self.now + self.config.session_timeout,
            Timer::Fence { broker, freeze },
        );
        Ok(())
    }

    /// The session of a frozen broker is over.
    pub(crate) fn fence(&mut self, broker: i32, freeze: u64) {
        let Some(node) = self.nodes.get_mut(&broker) else {
            return;
        };
        if node.state != NodeState::Frozen || node.freezes != freeze {
            return;
        }
        node.fenced = true;
        self.events.record(self.now, || EventKind::Broker {
            broker,
            state: "fenced",
        });
        self.broker_lost(broker);
    }

    /// From now on a broker tells its clients what the cluster looks like now, whatever happens (`true`); or the truth
    /// again (`false`).
    ///
    /// # Errors
    ///
    /// A broker that the cluster has not got.
    pub fn set_stale_metadata(&mut self, broker: i32, stale: bool) -> Result<(), Unknown> {
        let view = stale.then(|| self.view());
        self.nodes
            .get_mut(&broker)
            .ok_or_else(|| Unknown::broker(broker))?
            .stale = view;
        self.events
            .record(self.now, || EventKind::StaleMetadata { broker, stale });
        Ok(())
    }

    /// Every answer of a broker is so long under way. Requests are carried out when they arrive, so that what is
    /// pipelined pays once.
    ///
    /// # Errors
    ///
    /// A broker that the cluster has not got.
    pub fn set_round_trip(&mut self, broker: i32, round_trip: Duration) -> Result<(), Unknown> {
        self.nodes
            .get_mut(&broker)
            .ok_or_else(|| Unknown::broker(broker))?
            .round_trip = round_trip;
        self.events
            .record(self.now, || EventKind::RoundTrip { broker, round_trip });
        Ok(())
    }

    /// Closes every connection, or those to one broker.
    pub fn close_connections(&mut self, broker: Option<i32>) {
        for id in self.connections_to(broker) {
            self.reset(id, "closed by the test");
        }
    }

    /// Every connection, or those to one broker.
    fn connections_to(&self, broker: Option<i32>) -> Vec<ConnectionId> {
        let all = self.connections.iter();
        let matching = all.filter(|(_, connection)| broker.is_none_or(|id| connection.broker == id));
        matching.map(|(&id, _)| id).collect()
    }
}

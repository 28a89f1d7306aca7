//! The `node.properties` of one node.

use std::fmt::Write as _;
use std::path::Path;

use super::listeners::{self, Listener};
use super::stores::Stores;

/// The ports of one node, all on 127.0.0.1.
#[derive(Debug, Clone)]
pub(crate) struct Ports {
    /// For clients and the other brokers.
    pub(crate) broker: u16,
    /// For the controllers' quorum.
    pub(crate) controller: u16,
    /// Further listeners for clients.
    pub(crate) others: Vec<(Listener, u16)>,
}

impl Ports {
    /// The port of a listener; of the plain one without.
    pub(crate) fn of(&self, listener: Option<Listener>) -> u16 {
        let mut others = self.others.iter();
        let found = others.find(|(other, _)| Some(*other) == listener);
        found.map_or(self.broker, |(_, port)| *port)
    }
}

/// What keeps the state of a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keeper {
    /// The nodes themselves.
    KRaft,
    /// ZooKeeper, at the first node's port for controllers.
    ZooKeeper,
}

/// What ZooKeeper is started with.
pub(crate) fn zookeeper(port: u16, data: &Path) -> String {
    let data = escape(&data.to_string_lossy());
    // A session lasts two ticks at least, and ends at a tick.
    format!(
        "dataDir={data}\nclientPort={port}\nclientPortAddress=127.0.0.1\ntickTime=500\nadmin.enableServer=false\nmaxClientCnxns=0\n"
    )
}

/// What node `id` (from 1) of `all` is started with. With KRaft each node is broker and controller. `more` settings win
/// over ours.
pub(crate) fn node(
    id: usize,
    all: &[Ports],
    keeper: Keeper,
    data: &Path,
    stores: Option<&Stores>,
    issuer: &Path,
    more: &[(String, String)],
) -> String {
    let ports = &all[id - 1];
    let voters: Vec<_> = (1..)
        .zip(all)
        .map(|(id, ports)| format!("{id}@127.0.0.1:{}", ports.controller))
        .collect();
    let mut text = String::new();
    let mut set = |key: &str, value: &str| {
        // A `String` takes everything.
        let _ = writeln!(text, "{key}={value}");
    };
    match keeper {
        Keeper::KRaft => {
            set("process.roles", "broker,controller");
            set("node.id", &id.to_string());
            set("controller.quorum.voters", &voters.join(","));
            set("controller.listener.names", "CONTROLLER");
        }
        Keeper::ZooKeeper => {
            set("broker.id", &id.to_string());
            set("zookeeper.connect", &format!("127.0.0.1:{}", all[0].controller));
            // A broker that comes back before its old session is over refuses to start (NodeExists).
            set("zookeeper.session.timeout.ms", "3000");
            // This is as long by default, and a broker on a busy machine needs more for its start.
            set("zookeeper.connection.timeout.ms", "60000");
        }
    }
    let mut advertised = format!("PLAINTEXT://127.0.0.1:{}", ports.broker);
    let mut protocols = "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT".to_owned();
    for (listener, port) in &ports.others {
        let name = listener.name();
        // A `String` takes everything.
        let _ = write!(advertised, ",{name}://127.0.0.1:{port}");
        let _ = write!(protocols, ",{name}:{}", listener.protocol());
    }
    let controller = ports.controller;
    match keeper {
        Keeper::KRaft => set(
            "listeners",
            &format!("{advertised},CONTROLLER://127.0.0.1:{controller}"),
        ),
        Keeper::ZooKeeper => set("listeners", &advertised),
    }
    set("advertised.listeners", &advertised);
    set("listener.security.protocol.map", &protocols);
    set("log.dirs", &escape(&data.to_string_lossy()));
    set("group.initial.rebalance.delay.ms", "0");
    let (replicas, in_sync) = if all.len() >= 3 { ("3", "2") } else { ("1", "1") };
    for internal in [
        "offsets.topic",
        "transaction.state.log",
        "share.coordinator.state.topic",
    ] {
        set(&format!("{internal}.replication.factor"), replicas);
    }
    for internal in ["transaction.state.log", "share.coordinator.state.topic"] {
        set(&format!("{internal}.min.isr"), in_sync);
    }
    if all.len() >= 3 {
        // What a record needs to survive one dead node, with a failover of seconds instead of half a minute.
        set("default.replication.factor", replicas);
        set("min.insync.replicas", in_sync);
        set("unclean.leader.election.enable", "false");
        set("replica.lag.time.max.ms", "6000");
        set("broker.session.timeout.ms", "4000");
        set("broker.heartbeat.interval.ms", "1000");
    }
    text.push_str(&listeners::properties(ports, stores, issuer));
    for (key, value) in more {
        let _ = writeln!(text, "{key}={}", escape(value));
    }
    text
}

/// A value as `java.util.Properties` reads it back.
fn escape(value: &str) -> String {
    value.replace('\\', "\\\\")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_nodes_know_each_other_and_survive_one() {
        let all: Vec<_> = (0..3)
            .map(|i| Ports {
                broker: 100 + i,
                controller: 200 + i,
                others: Vec::new(),
            })
            .collect();
        let text = node(
            2,
            &all,
            Keeper::KRaft,
            Path::new("/data/2"),
            None,
            Path::new("/issuer"),
            &[],
        );
        for line in [
            "node.id=2",
            "controller.quorum.voters=1@127.0.0.1:200,2@127.0.0.1:201,3@127.0.0.1:202",
            "listeners=PLAINTEXT://127.0.0.1:101,CONTROLLER://127.0.0.1:201",
            "log.dirs=/data/2",
            "min.insync.replicas=2",
            "transaction.state.log.min.isr=2",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} is missing in\n{text}");
        }
    }

    #[test]
    fn brokers_before_kraft_have_a_zookeeper_and_no_controllers() {
        let all = [Ports {
            broker: 100,
            controller: 200,
            others: Vec::new(),
        }];
        let text = node(
            1,
            &all,
            Keeper::ZooKeeper,
            Path::new("/data"),
            None,
            Path::new("/issuer"),
            &[],
        );
        for line in [
            "broker.id=1",
            "zookeeper.connect=127.0.0.1:200",
            "listeners=PLAINTEXT://127.0.0.1:100",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} is missing in\n{text}");
        }
        assert!(
            !text.contains("process.roles") && !text.contains("CONTROLLER://"),
            "{text}"
        );
        assert!(zookeeper(200, Path::new("/data")).contains("clientPortAddress=127.0.0.1\n"));
    }

    #[test]
    fn one_node_replicates_nothing_and_listens_on_loopback_only() {
        let text = node(
            1,
            &[Ports {
                broker: 100,
                controller: 200,
                others: vec![(Listener::SaslPlaintext, 300)],
            }],
            Keeper::KRaft,
            Path::new("/data"),
            None,
            Path::new("/issuer"),
            &[("a".to_owned(), "b".to_owned())],
        );
        assert!(text.contains(",SASL_PLAINTEXT://127.0.0.1:300\n"), "{text}");
        assert!(text.ends_with("\na=b\n"), "{text}");
        assert!(text.contains("offsets.topic.replication.factor=1\n"), "{text}");
        assert!(!text.contains("min.insync.replicas"), "{text}");
        assert_eq!(
            text.matches("://").count(),
            text.matches("://127.0.0.1:").count(),
            "{text}"
        );
    }
}

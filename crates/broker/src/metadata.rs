//! What a broker tells about the cluster: as it is, or as it was when it stopped hearing of changes.

use crate::cluster::Cluster;
use crate::node::Node;
use crate::topic::{self, Topic};
use ottla_protocol::wire::Uuid;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A picture of the whole cluster, for a broker whose metadata is stale.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ClusterView {
    pub(crate) brokers: Vec<BrokerView>,
    topics: BTreeMap<Arc<str>, TopicView>,
}

/// Where a broker is to be reached.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct BrokerView {
    pub(crate) id: i32,
    pub(crate) host: String,
    pub(crate) port: i32,
}

/// A topic as clients see it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct TopicView {
    pub(crate) name: Arc<str>,
    pub(crate) id: Uuid,
    pub(crate) is_internal: bool,
    pub(crate) partitions: Vec<PartitionView>,
}

/// A partition as clients see it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct PartitionView {
    pub(crate) leader: i32,
    pub(crate) leader_epoch: i32,
    pub(crate) replicas: Vec<i32>,
    pub(crate) isr: Vec<i32>,
    pub(crate) offline: Vec<i32>,
}

impl Cluster {
    /// The brokers that `broker` tells of.
    pub(crate) fn brokers_seen_by(&self, broker: i32) -> Vec<BrokerView> {
        match self.nodes.get(&broker).and_then(|node| node.stale.as_ref()) {
            Some(stale) => stale.brokers.clone(),
            None => self.live_brokers(),
        }
    }

    /// A topic as `broker` tells of it.
    pub(crate) fn topic_seen_by(&self, broker: i32, name: &str) -> Option<TopicView> {
        match self.nodes.get(&broker).and_then(|node| node.stale.as_ref()) {
            Some(stale) => stale.topics.get(name).cloned(),
            None => Some(self.view_of(self.topics.topic(self.topics.key_of(name)?)?)),
        }
    }

    /// The names of the topics that `broker` tells of.
    pub(crate) fn topic_names_seen_by(&self, broker: i32) -> Vec<Arc<str>> {
        match self.nodes.get(&broker).and_then(|node| node.stale.as_ref()) {
            Some(stale) => stale.topics.keys().cloned().collect(),
            None => self
                .topics
                .by_name()
                .map(|(_, topic)| Arc::clone(&topic.name))
                .collect(),
        }
    }

    /// The name of a topic id as `broker` knows it.
    pub(crate) fn topic_name_seen_by(&self, broker: i32, id: &Uuid) -> Option<Arc<str>> {
        match self.nodes.get(&broker).and_then(|node| node.stale.as_ref()) {
            Some(stale) => stale
                .topics
                .values()
                .find(|topic| topic.id == *id)
                .map(|topic| Arc::clone(&topic.name)),
            None => Some(Arc::clone(&self.topics.topic(self.topics.key_of_id(id)?)?.name)),
        }
    }

    /// A picture of the cluster as it is now.
    pub(crate) fn view(&self) -> ClusterView {
        ClusterView {
            brokers: self.live_brokers(),
            topics: self
                .topics
                .by_name()
                .map(|(_, topic)| (Arc::clone(&topic.name), self.view_of(topic)))
                .collect(),
        }
    }

    fn live_brokers(&self) -> Vec<BrokerView> {
        let alive = self.nodes.iter().filter(|(_, node)| node.is_alive());
        alive
            .map(|(&id, node)| BrokerView {
                id,
                host: node.host.clone(),
                port: node.port,
            })
            .collect()
    }

    fn view_of(&self, topic: &Topic) -> TopicView {
        let dead = |id: &i32| !self.nodes.get(id).is_some_and(Node::is_alive);
        TopicView {
            name: Arc::clone(&topic.name),
            id: topic.id,
            is_internal: topic::is_internal(&topic.name),
            partitions: topic
                .partitions
                .iter()
                .map(|partition| PartitionView {
                    leader: partition.leader,
                    leader_epoch: partition.leader_epoch,
                    replicas: partition.replicas.clone(),
                    isr: partition.isr.clone(),
                    offline: partition.replicas.iter().copied().filter(dead).collect(),
                })
                .collect(),
        }
    }
}

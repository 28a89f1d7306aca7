//! Which topics and partitions a request names, for the faults that want to know.

use crate::cluster::Cluster;
use crate::fault::WHOLE_TOPIC;
use crate::request::RequestContext;
use bytes::Bytes;
use ottla_protocol::messages::{
    AddPartitionsToTxnRequest, CreatePartitionsRequest, CreateTopicsRequest, DeleteRecordsRequest,
    DeleteTopicsRequest, DescribeProducersRequest, DescribeTopicPartitionsRequest, FetchRequest,
    ListOffsetsRequest, MetadataRequest, OffsetCommitRequest, OffsetForLeaderEpochRequest, ProduceRequest,
    TxnOffsetCommitRequest,
};
use ottla_protocol::wire::{Reader, Uuid};
use ottla_protocol::{ApiKey, Message};
use std::sync::Arc;

/// The topics and partitions that a request names.
#[derive(Default)]
struct Named(Vec<(Arc<str>, i32)>);

impl Named {
    fn partitions(&mut self, topic: Arc<str>, partitions: impl IntoIterator<Item = i32>) {
        let partitions = partitions.into_iter();
        self.0
            .extend(partitions.map(|partition| (Arc::clone(&topic), partition)));
    }

    fn topic(&mut self, topic: Arc<str>) {
        self.0.push((topic, WHOLE_TOPIC));
    }
}

impl Cluster {
    /// The topics and partitions that a request names; none if it cannot be decoded or its API names none.
    pub(crate) fn named_partitions(&self, context: &RequestContext, body: &Bytes) -> Vec<(Arc<str>, i32)> {
        let mut named = Named::default();
        match context.api {
            ApiKey::PRODUCE | ApiKey::FETCH | ApiKey::LIST_OFFSETS | ApiKey::OFFSET_FOR_LEADER_EPOCH => {
                self.name_records(&mut named, context, body);
            }
            ApiKey::OFFSET_COMMIT | ApiKey::TXN_OFFSET_COMMIT | ApiKey::ADD_PARTITIONS_TO_TXN => {
                self.name_coordinated(&mut named, context, body);
            }
            _ => self.name_administrated(&mut named, context, body),
        }
        named.0
    }

    /// What writes and reads records.
    fn name_records(&self, named: &mut Named, context: &RequestContext, body: &Bytes) {
        match context.api {
            ApiKey::PRODUCE => {
                let request = decode::<ProduceRequest>(context, body);
                for topic in request.topic_data {
                    let partitions = topic.partition_data.iter().map(|partition| partition.index);
                    named.partitions(self.name_of(&topic.name, &topic.topic_id), partitions);
                }
            }
            ApiKey::FETCH => {
                for topic in decode::<FetchRequest>(context, body).topics {
                    let partitions = topic.partitions.iter().map(|partition| partition.partition);
                    named.partitions(self.name_of(&topic.topic, &topic.topic_id), partitions);
                }
            }
            ApiKey::LIST_OFFSETS => {
                for topic in decode::<ListOffsetsRequest>(context, body).topics {
                    let partitions = topic.partitions.iter().map(|partition| partition.partition_index);
                    named.partitions(topic.name.into(), partitions);
                }
            }
            _ => {
                for topic in decode::<OffsetForLeaderEpochRequest>(context, body).topics {
                    let partitions = topic.partitions.iter().map(|partition| partition.partition);
                    named.partitions(topic.topic.into(), partitions);
                }
            }
        }
    }

    /// What groups and transactions are told.
    fn name_coordinated(&self, named: &mut Named, context: &RequestContext, body: &Bytes) {
        match context.api {
            ApiKey::OFFSET_COMMIT => {
                for topic in decode::<OffsetCommitRequest>(context, body).topics {
                    let partitions = topic.partitions.iter().map(|partition| partition.partition_index);
                    named.partitions(self.name_of(&topic.name, &topic.topic_id), partitions);
                }
            }
            ApiKey::TXN_OFFSET_COMMIT => {
                for topic in decode::<TxnOffsetCommitRequest>(context, body).topics {
                    let partitions = topic.partitions.iter().map(|partition| partition.partition_index);
                    named.partitions(topic.name.into(), partitions);
                }
            }
            _ => {
                let request = decode::<AddPartitionsToTxnRequest>(context, body);
                let new = request.transactions.into_iter();
                let new = new.flat_map(|transaction| transaction.topics);
                for topic in request.v3_and_below_topics.into_iter().chain(new) {
                    named.partitions(topic.name.into(), topic.partitions);
                }
            }
        }
    }

    /// What topics are asked about, and what is done to them.
    fn name_administrated(&self, named: &mut Named, context: &RequestContext, body: &Bytes) {
        match context.api {
            ApiKey::METADATA => {
                let request = decode::<MetadataRequest>(context, body);
                for topic in request.topics.into_iter().flatten() {
                    named.topic(self.name_of(topic.name.as_deref().unwrap_or(""), &topic.topic_id));
                }
            }
            ApiKey::DESCRIBE_TOPIC_PARTITIONS => {
                let request = decode::<DescribeTopicPartitionsRequest>(context, body);
                request
                    .topics
                    .into_iter()
                    .for_each(|topic| named.topic(topic.name.into()));
            }
            ApiKey::CREATE_TOPICS => {
                let request = decode::<CreateTopicsRequest>(context, body);
                request
                    .topics
                    .into_iter()
                    .for_each(|topic| named.topic(topic.name.into()));
            }
            ApiKey::CREATE_PARTITIONS => {
                let request = decode::<CreatePartitionsRequest>(context, body);
                request
                    .topics
                    .into_iter()
                    .for_each(|topic| named.topic(topic.name.into()));
            }
            ApiKey::DELETE_TOPICS => {
                let request = decode::<DeleteTopicsRequest>(context, body);
                request
                    .topic_names
                    .into_iter()
                    .for_each(|name| named.topic(name.into()));
                for topic in request.topics {
                    named.topic(self.name_of(topic.name.as_deref().unwrap_or(""), &topic.topic_id));
                }
            }
            ApiKey::DELETE_RECORDS => {
                for topic in decode::<DeleteRecordsRequest>(context, body).topics {
                    let partitions = topic.partitions.iter().map(|partition| partition.partition_index);
                    named.partitions(topic.name.into(), partitions);
                }
            }
            ApiKey::DESCRIBE_PRODUCERS => {
                for topic in decode::<DescribeProducersRequest>(context, body).topics {
                    named.partitions(topic.name.into(), topic.partition_indexes);
                }
            }
            _ => {}
        }
    }

    /// The name of a topic that a request names or gives the id of.
    fn name_of(&self, name: &str, id: &Uuid) -> Arc<str> {
        if id.is_zero() {
            return Arc::from(name);
        }
        let topic = self.topics.key_of_id(id).and_then(|key| self.topics.topic(key));
        topic.map_or_else(|| Arc::from(""), |topic| Arc::clone(&topic.name))
    }
}

/// The request; an empty one if it cannot be read.
fn decode<M: Message>(context: &RequestContext, body: &Bytes) -> M {
    M::decode(&mut Reader::from_bytes(body), context.version).unwrap_or_default()
}

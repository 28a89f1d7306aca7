//! Which topics and partitions a request names, for the faults that want to know.

use crate::cluster::Cluster;
use crate::request::RequestContext;
use bytes::Bytes;
use ottla_protocol::messages::{
    AddPartitionsToTxnRequest, FetchRequest, ListOffsetsRequest, MetadataRequest, OffsetCommitRequest,
    ProduceRequest, TxnOffsetCommitRequest,
};
use ottla_protocol::wire::Reader;
use ottla_protocol::wire::Uuid;
use ottla_protocol::{ApiKey, Message};
use std::sync::Arc;

/// The partition of an API that names topics only.
const WHOLE_TOPIC: i32 = -1;

impl Cluster {
    /// The topics and partitions that a request names; none if it cannot be decoded or its API names none.
    pub(crate) fn named_partitions(&self, context: &RequestContext, body: &Bytes) -> Vec<(Arc<str>, i32)> {
        let mut named = Vec::new();
        match context.api {
            ApiKey::PRODUCE => {
                for topic in decode::<ProduceRequest>(context, body)
                    .iter()
                    .flat_map(|request| &request.topic_data)
                {
                    let name = self.name_of(&topic.name, &topic.topic_id);
                    named.extend(
                        topic
                            .partition_data
                            .iter()
                            .map(|partition| (Arc::clone(&name), partition.index)),
                    );
                }
            }
            ApiKey::FETCH => {
                for topic in decode::<FetchRequest>(context, body)
                    .iter()
                    .flat_map(|request| &request.topics)
                {
                    let name = self.name_of(&topic.topic, &topic.topic_id);
                    named.extend(
                        topic
                            .partitions
                            .iter()
                            .map(|partition| (Arc::clone(&name), partition.partition)),
                    );
                }
            }
            ApiKey::METADATA => {
                let request = decode::<MetadataRequest>(context, body);
                for topic in request
                    .iter()
                    .filter_map(|request| request.topics.as_ref())
                    .flatten()
                {
                    let name = topic.name.as_deref().unwrap_or("");
                    named.push((self.name_of(name, &topic.topic_id), WHOLE_TOPIC));
                }
            }
            ApiKey::LIST_OFFSETS => {
                for topic in decode::<ListOffsetsRequest>(context, body)
                    .iter()
                    .flat_map(|request| &request.topics)
                {
                    let name: Arc<str> = Arc::from(topic.name.as_str());
                    let partitions = topic.partitions.iter().map(|partition| partition.partition_index);
                    named.extend(partitions.map(|partition| (Arc::clone(&name), partition)));
                }
            }
            ApiKey::OFFSET_COMMIT => {
                for topic in decode::<OffsetCommitRequest>(context, body)
                    .iter()
                    .flat_map(|request| &request.topics)
                {
                    let name = self.name_of(&topic.name, &topic.topic_id);
                    let partitions = topic.partitions.iter().map(|partition| partition.partition_index);
                    named.extend(partitions.map(|partition| (Arc::clone(&name), partition)));
                }
            }
            ApiKey::TXN_OFFSET_COMMIT => {
                for topic in decode::<TxnOffsetCommitRequest>(context, body)
                    .iter()
                    .flat_map(|request| &request.topics)
                {
                    let name: Arc<str> = Arc::from(topic.name.as_str());
                    let partitions = topic.partitions.iter().map(|partition| partition.partition_index);
                    named.extend(partitions.map(|partition| (Arc::clone(&name), partition)));
                }
            }
            ApiKey::ADD_PARTITIONS_TO_TXN => {
                let request = decode::<AddPartitionsToTxnRequest>(context, body);
                let old = request.iter().flat_map(|request| &request.v3_and_below_topics);
                let new = request.iter().flat_map(|request| &request.transactions);
                for topic in old.chain(new.flat_map(|transaction| &transaction.topics)) {
                    let name: Arc<str> = Arc::from(topic.name.as_str());
                    named.extend(
                        topic
                            .partitions
                            .iter()
                            .map(|&partition| (Arc::clone(&name), partition)),
                    );
                }
            }
            _ => {}
        }
        named
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

fn decode<M: Message>(context: &RequestContext, body: &Bytes) -> Option<M> {
    M::decode(&mut Reader::from_bytes(body), context.version).ok()
}

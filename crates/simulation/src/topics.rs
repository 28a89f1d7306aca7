//! The topics as the wire shows them: their names, and the ids that each had, one after the other.

use crate::scenario::Scenario;
use crate::wire::End;
use ottla_protocol::messages::MetadataResponse;
use ottla_protocol::wire::{Reader, Uuid};
use ottla_protocol::{ApiKey, Message};
use ottla_sender::Request;
use std::collections::BTreeMap;

/// Every topic, and what the producer was told of it.
#[derive(Debug)]
pub(crate) struct Topics {
    names: Vec<String>,
    /// The ids of each topic, one after the other.
    ids: Vec<Vec<Uuid>>,
    /// The id of each topic that the producer was told last.
    told: Vec<Uuid>,
    /// The versions of Metadata requests in flight.
    asked: BTreeMap<u64, i16>,
}

impl Topics {
    pub(crate) fn new(scenario: &Scenario, ids: Vec<Vec<Uuid>>) -> Topics {
        let names: Vec<String> = scenario.topics.iter().map(|(name, _)| name.clone()).collect();
        Topics {
            told: vec![Uuid::ZERO; names.len()],
            names,
            ids,
            asked: BTreeMap::new(),
        }
    }

    /// Another producer takes the place of the one that is gone.
    pub(crate) fn restart(&mut self) {
        self.told.fill(Uuid::ZERO);
        self.asked.clear();
    }

    /// The topic that a request names.
    pub(crate) fn index(&self, name: &str, id: Uuid) -> Result<u8, String> {
        let by_name = self.names.iter().position(|known| known == name);
        let by_id = || self.ids.iter().position(|known| known.contains(&id));
        let index = by_name.or_else(by_id);
        index
            .map(|index| index as u8)
            .ok_or_else(|| format!("a request for topic {name:?} {id}"))
    }

    /// The topic was created anew.
    pub(crate) fn recreated(&mut self, topic: usize, id: Uuid) {
        self.ids[topic].push(id);
    }

    /// Whether this is the id of the topic that is there now, or was last.
    pub(crate) fn is_current(&self, topic: u8, id: Uuid) -> bool {
        self.ids[usize::from(topic)].last() == Some(&id)
    }

    /// Whether the producer was told of another topic of this name than the one with this id.
    pub(crate) fn is_outlived(&self, topic: u8, id: Uuid) -> bool {
        let told = self.told[usize::from(topic)];
        ![id, told].contains(&Uuid::ZERO) && told != id
    }

    /// A request goes out.
    pub(crate) fn sent(&mut self, request: &Request) {
        if request.api_key == ApiKey::METADATA.0 {
            self.asked.insert(request.id, request.api_version);
        }
    }

    /// A request ended.
    pub(crate) fn ended(&mut self, request: u64, end: &End<'_>) {
        let (Some(version), End::Answered(body)) = (self.asked.remove(&request), end) else {
            return;
        };
        // An answer of garbage tells nothing.
        let Ok(answer) = MetadataResponse::decode(&mut Reader::from_bytes(body), version) else {
            return;
        };
        for topic in answer.topics {
            let index = self
                .names
                .iter()
                .position(|name| Some(name) == topic.name.as_ref());
            if let Some(index) = index.filter(|_| !topic.partitions.is_empty()) {
                self.told[index] = topic.topic_id;
            }
        }
    }
}

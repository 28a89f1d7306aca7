//! A client that says everything by hand, and writes down what it was told: without what differs between two clusters
//! that behave alike (producer ids, topic ids, clocks).

use crate::link::Link;
use bytes::Bytes;
use ottla_protocol::compression::Decompressor;
use ottla_protocol::frame;
use ottla_protocol::messages::add_partitions_to_txn::AddPartitionsToTxnTopic;
use ottla_protocol::messages::create_topics::{CreatableTopic, CreatableTopicConfig};
use ottla_protocol::messages::delete_records::{DeleteRecordsPartition, DeleteRecordsTopic};
use ottla_protocol::messages::fetch::{FetchPartition, FetchTopic, PartitionData};
use ottla_protocol::messages::list_offsets::{
    ListOffsetsPartition, ListOffsetsPartitionResponse, ListOffsetsTopic,
};
use ottla_protocol::messages::metadata::MetadataRequestTopic;
use ottla_protocol::messages::produce::{PartitionProduceData, ProduceResponse, TopicProduceData};
use ottla_protocol::messages::txn_offset_commit::{
    TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use ottla_protocol::messages::{
    AddOffsetsToTxnRequest, AddPartitionsToTxnRequest, CreateTopicsRequest, DeleteRecordsRequest,
    DescribeGroupsRequest, DescribeTransactionsRequest, EndTxnRequest, FetchRequest, FindCoordinatorRequest,
    InitProducerIdRequest, ListOffsetsRequest, MetadataRequest, ProduceRequest, TxnOffsetCommitRequest,
};
use ottla_protocol::records::{AnyBatch, ControlRecord, RecordBatch, RecordBatches};
use ottla_protocol::wire::Uuid;
use ottla_protocol::{ErrorCode, Request};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// How often a request is repeated that a real broker answers with "not yet".
const TRIES_MAX: usize = 20_000;

/// The batches of the tests bear old timestamps: half a minute after its start a real broker would begin to delete them.
const KEPT: (&str, &str) = ("retention.ms", "-1");

/// A client of one broker.
pub(crate) struct Session<L> {
    pub(crate) link: L,
    correlation_id: i32,
    /// Producer ids in the order in which they were first seen.
    producer_ids: Vec<i64>,
    /// The topics that were created and have leaders, and how many partitions each has.
    created: BTreeMap<String, i32>,
    /// What happened, one line for each request.
    pub(crate) lines: Vec<String>,
}

/// What a Produce is to say beside its batch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target<'a> {
    pub(crate) version: i16,
    pub(crate) acks: i16,
    pub(crate) transactional_id: Option<&'a str>,
    pub(crate) topic: &'a str,
    pub(crate) topic_id: Uuid,
    pub(crate) partition: i32,
}

impl<L: Link> Session<L> {
    pub(crate) fn new(link: L) -> Session<L> {
        Session {
            link,
            correlation_id: 0,
            producer_ids: Vec::new(),
            created: BTreeMap::new(),
            lines: Vec::new(),
        }
    }

    /// Calls an API; `None` if the broker closed the connection.
    pub(crate) fn call<R: Request>(&mut self, request: &R, version: i16) -> Option<R::Response> {
        self.correlation_id += 1;
        let frame = frame::encode_request(request, version, self.correlation_id, Some("test"));
        let frame = frame.expect("a request that can be written");
        let answer = self.link.exchange(&frame)?;
        let (correlation_id, response) =
            frame::decode_response::<R>(&answer, version).expect("a response that can be read");
        assert_eq!(correlation_id, self.correlation_id);
        Some(response)
    }

    /// Calls an API until it does not say that something is still under way.
    fn call_settled<R: Request>(
        &mut self,
        request: &R,
        version: i16,
        error_of: impl Fn(&R::Response) -> i16,
    ) -> Option<R::Response> {
        let later = [
            ErrorCode::CONCURRENT_TRANSACTIONS,
            ErrorCode::COORDINATOR_LOAD_IN_PROGRESS,
            ErrorCode::COORDINATOR_NOT_AVAILABLE,
            ErrorCode::NOT_COORDINATOR,
        ];
        for _ in 0..TRIES_MAX {
            let response = self.call(request, version)?;
            if !later.contains(&ErrorCode(error_of(&response))) {
                return Some(response);
            }
        }
        panic!("{request:?} is never settled");
    }

    pub(crate) fn note(&mut self, line: impl Into<String>) {
        self.lines.push(line.into());
    }

    /// The name of a producer id in the lines.
    pub(crate) fn name_of(&mut self, producer_id: i64) -> String {
        if producer_id < 0 {
            return producer_id.to_string();
        }
        let known = self.producer_ids.iter().position(|&known| known == producer_id);
        let index = known.unwrap_or_else(|| {
            self.producer_ids.push(producer_id);
            self.producer_ids.len() - 1
        });
        format!("P{index}")
    }

    /// Creates a topic and waits until every partition has a leader; its id.
    pub(crate) fn create_topic(&mut self, name: &str, partitions: i32, configs: &[(&str, &str)]) -> Uuid {
        let topic = CreatableTopic {
            name: name.to_owned(),
            num_partitions: partitions,
            replication_factor: 1,
            configs: configs
                .iter()
                .chain(&[KEPT])
                .map(|(name, value)| CreatableTopicConfig {
                    name: (*name).to_owned(),
                    value: Some((*value).to_owned()),
                    ..CreatableTopicConfig::default()
                })
                .collect(),
            ..CreatableTopic::default()
        };
        let request = CreateTopicsRequest {
            topics: vec![topic],
            timeout_ms: 30_000,
            ..CreateTopicsRequest::default()
        };
        let created = self.call(&request, 7).expect("an answer");
        assert_eq!(created.topics[0].error_code, 0, "{created:?}");
        let id = created.topics[0].topic_id;
        for _ in 0..TRIES_MAX {
            let metadata = self.metadata(name);
            let ready = metadata
                .partitions
                .iter()
                .filter(|partition| partition.error_code == 0)
                .count();
            if metadata.error_code != 0 || i32::try_from(ready) != Ok(partitions) {
                continue;
            }
            // A leader may be known before it has taken up its office.
            let led =
                |session: &mut Session<L>, index| session.offset(9, name, index, -1, false).error_code == 0;
            if (0..partitions).all(|index| led(self, index)) {
                self.created.insert(name.to_owned(), partitions);
                return id;
            }
        }
        panic!("topic {name} never has leaders");
    }

    fn metadata(&mut self, name: &str) -> ottla_protocol::messages::metadata::MetadataResponseTopic {
        let request = MetadataRequest {
            topics: Some(vec![MetadataRequestTopic {
                name: Some(name.to_owned()),
                ..MetadataRequestTopic::default()
            }]),
            allow_auto_topic_creation: false,
            ..MetadataRequest::default()
        };
        self.call(&request, 12).expect("an answer").topics.remove(0)
    }

    /// Waits until the coordinators of these ids are there.
    pub(crate) fn find_coordinators(&mut self, key_type: i8, keys: &[&str]) {
        let request = FindCoordinatorRequest {
            key_type,
            coordinator_keys: keys.iter().map(|&key| key.to_owned()).collect(),
            ..FindCoordinatorRequest::default()
        };
        for _ in 0..TRIES_MAX {
            let found = self.call(&request, 4).expect("an answer");
            if found
                .coordinators
                .iter()
                .all(|coordinator| coordinator.error_code == 0)
            {
                return;
            }
        }
        panic!("no coordinator for {keys:?}");
    }

    /// Waits until the coordinator of a group works.
    pub(crate) fn settle_group(&mut self, group: &str) {
        let request = DescribeGroupsRequest {
            groups: vec![group.to_owned()],
            ..DescribeGroupsRequest::default()
        };
        let settled = self.call_settled(&request, 5, |response| response.groups[0].error_code);
        settled.expect("an answer");
    }

    /// InitProducerId; the new identity if there is one.
    pub(crate) fn init(
        &mut self,
        version: i16,
        transactional_id: Option<&str>,
        timeout_ms: i32,
        identity: (i64, i16),
    ) -> Option<(i64, i16)> {
        let mut request = InitProducerIdRequest {
            transactional_id: transactional_id.map(str::to_owned),
            transaction_timeout_ms: timeout_ms,
            ..InitProducerIdRequest::default()
        };
        if version >= 3 {
            (request.producer_id, request.producer_epoch) = identity;
        }
        let response = self
            .call_settled(&request, version, |response| response.error_code)
            .expect("an answer");
        let name = self.name_of(response.producer_id);
        let from = self.name_of(request.producer_id);
        self.note(format!(
            "init v{version} {transactional_id:?} {from}/{} -> {} {name}/{}",
            request.producer_epoch,
            ErrorCode(response.error_code),
            response.producer_epoch
        ));
        (response.error_code == 0).then_some((response.producer_id, response.producer_epoch))
    }

    /// Produce of one batch; the error.
    pub(crate) fn produce(
        &mut self,
        what: &str,
        target: Target<'_>,
        records: Option<Bytes>,
    ) -> Option<ErrorCode> {
        let Target {
            version,
            acks,
            transactional_id,
            topic,
            topic_id,
            partition,
        } = target;
        let mut data = TopicProduceData {
            partition_data: vec![PartitionProduceData {
                index: partition,
                records,
                ..PartitionProduceData::default()
            }],
            ..TopicProduceData::default()
        };
        if version >= 13 {
            data.topic_id = topic_id;
        } else {
            topic.clone_into(&mut data.name);
        }
        let request = ProduceRequest {
            transactional_id: transactional_id.map(str::to_owned),
            acks,
            timeout_ms: 30_000,
            topic_data: vec![data],
            ..ProduceRequest::default()
        };
        let retried_under_v1 = transactional_id.is_some() && version < 12;
        let error_of = |response: &ProduceResponse| {
            let error = response.responses[0].partition_responses[0].error_code;
            // What older versions are told in place of "concurrent transactions".
            if retried_under_v1 && ErrorCode(error) == ErrorCode::NOT_ENOUGH_REPLICAS {
                ErrorCode::CONCURRENT_TRANSACTIONS.0
            } else {
                error
            }
        };
        let Some(response) = self.call_settled(&request, version, error_of) else {
            self.note(format!("produce v{version} {what} -> closed"));
            return None;
        };
        let answer = &response.responses[0].partition_responses[0];
        let mut line = format!(
            "produce v{version} {partition} acks {acks} {what} -> {} base {} start {}",
            ErrorCode(answer.error_code),
            answer.base_offset,
            answer.log_start_offset
        );
        let _ = write!(
            line,
            " time {}",
            if answer.log_append_time_ms < 0 {
                "none"
            } else {
                "some"
            }
        );
        let indexes: Vec<i32> = answer
            .record_errors
            .iter()
            .map(|error| error.batch_index)
            .collect();
        if !indexes.is_empty() {
            let _ = write!(line, " records {indexes:?}");
        }
        let error = ErrorCode(answer.error_code);
        self.note(line);
        Some(error)
    }

    /// AddPartitionsToTxn.
    pub(crate) fn add_partitions(
        &mut self,
        version: i16,
        id: &str,
        identity: (i64, i16),
        topic: &str,
        partitions: &[i32],
    ) {
        let request = AddPartitionsToTxnRequest {
            v3_and_below_transactional_id: id.to_owned(),
            v3_and_below_producer_id: identity.0,
            v3_and_below_producer_epoch: identity.1,
            v3_and_below_topics: vec![AddPartitionsToTxnTopic {
                name: topic.to_owned(),
                partitions: partitions.to_vec(),
                ..AddPartitionsToTxnTopic::default()
            }],
            ..AddPartitionsToTxnRequest::default()
        };
        let count = self.created.get(topic).copied().unwrap_or(0);
        let all_exist = partitions.iter().all(|partition| (0..count).contains(partition));
        let error_of = |response: &ottla_protocol::messages::AddPartitionsToTxnResponse| {
            let code = response.results_by_topic_v3_and_below[0].results_by_partition[0].partition_error_code;
            // A fresh broker was once seen to deny, at first, a partition that it leads.
            if all_exist && ErrorCode(code) == ErrorCode::UNKNOWN_TOPIC_OR_PARTITION {
                ErrorCode::COORDINATOR_NOT_AVAILABLE.0
            } else {
                code
            }
        };
        let response = self.call_settled(&request, version, error_of).expect("an answer");
        let mut errors: Vec<(i32, ErrorCode)> = response.results_by_topic_v3_and_below[0]
            .results_by_partition
            .iter()
            .map(|result| (result.partition_index, ErrorCode(result.partition_error_code)))
            .collect();
        errors.sort_by_key(|&(partition, _)| partition);
        self.note(format!(
            "add partitions v{version} {id} {partitions:?} -> {errors:?}"
        ));
    }

    /// AddOffsetsToTxn.
    pub(crate) fn add_offsets(&mut self, version: i16, id: &str, identity: (i64, i16), group: &str) {
        let request = AddOffsetsToTxnRequest {
            transactional_id: id.to_owned(),
            producer_id: identity.0,
            producer_epoch: identity.1,
            group_id: group.to_owned(),
            ..AddOffsetsToTxnRequest::default()
        };
        let response = self
            .call_settled(&request, version, |response| response.error_code)
            .expect("an answer");
        self.note(format!(
            "add offsets v{version} {id} -> {}",
            ErrorCode(response.error_code)
        ));
    }

    /// TxnOffsetCommit of one offset.
    pub(crate) fn commit_offset(
        &mut self,
        version: i16,
        id: &str,
        identity: (i64, i16),
        group: &str,
        (topic, offset): (&str, i64),
    ) {
        let request = TxnOffsetCommitRequest {
            transactional_id: id.to_owned(),
            group_id: group.to_owned(),
            producer_id: identity.0,
            producer_epoch: identity.1,
            topics: vec![TxnOffsetCommitRequestTopic {
                name: topic.to_owned(),
                partitions: vec![TxnOffsetCommitRequestPartition {
                    committed_offset: offset,
                    committed_metadata: Some(String::new()),
                    ..TxnOffsetCommitRequestPartition::default()
                }],
                ..TxnOffsetCommitRequestTopic::default()
            }],
            ..TxnOffsetCommitRequest::default()
        };
        let error_of = |response: &ottla_protocol::messages::TxnOffsetCommitResponse| {
            response.topics[0].partitions[0].error_code
        };
        let response = self.call_settled(&request, version, error_of).expect("an answer");
        let error = ErrorCode(error_of(&response));
        self.note(format!("commit offset v{version} {id} -> {error}"));
    }

    /// EndTxn; the identity of the next transaction as far as the answer tells it. Waits for the markers.
    pub(crate) fn end(
        &mut self,
        version: i16,
        id: &str,
        identity: (i64, i16),
        commit: bool,
    ) -> Option<(i64, i16)> {
        let request = EndTxnRequest {
            transactional_id: id.to_owned(),
            producer_id: identity.0,
            producer_epoch: identity.1,
            committed: commit,
            ..EndTxnRequest::default()
        };
        let response = self
            .call_settled(&request, version, |response| response.error_code)
            .expect("an answer");
        let from = self.name_of(identity.0);
        let name = self.name_of(response.producer_id);
        self.note(format!(
            "end v{version} {id} {from}/{} commit {commit} -> {} {name}/{}",
            identity.1,
            ErrorCode(response.error_code),
            response.producer_epoch
        ));
        self.transaction_state(id);
        (response.error_code == 0 && version >= 5 && response.producer_id >= 0)
            .then_some((response.producer_id, response.producer_epoch))
    }

    /// Notes the state of a transaction, once its markers are written.
    pub(crate) fn transaction_state(&mut self, id: &str) {
        let request = DescribeTransactionsRequest {
            transactional_ids: vec![id.to_owned()],
            ..DescribeTransactionsRequest::default()
        };
        for _ in 0..TRIES_MAX {
            let response = self.call(&request, 0).expect("an answer");
            let state = &response.transaction_states[0];
            if state.error_code != 0 {
                let error = ErrorCode(state.error_code);
                self.note(format!("state {id} -> {error}"));
                return;
            }
            if state.transaction_state.starts_with("Prepare") {
                continue;
            }
            let name = self.name_of(state.producer_id);
            let partitions: usize = state.topics.iter().map(|topic| topic.partitions.len()).sum();
            self.note(format!(
                "state {id} -> {} {} {name}/{} partitions {partitions}",
                ErrorCode(state.error_code),
                state.transaction_state,
                state.producer_epoch
            ));
            return;
        }
        panic!("{id} never has its markers");
    }

    /// ListOffsets of one partition.
    fn offset(
        &mut self,
        version: i16,
        topic: &str,
        partition: i32,
        timestamp: i64,
        committed: bool,
    ) -> ListOffsetsPartitionResponse {
        let request = ListOffsetsRequest {
            replica_id: -1,
            isolation_level: i8::from(committed && version >= 2),
            topics: vec![ListOffsetsTopic {
                name: topic.to_owned(),
                partitions: vec![ListOffsetsPartition {
                    partition_index: partition,
                    timestamp,
                    ..ListOffsetsPartition::default()
                }],
                ..ListOffsetsTopic::default()
            }],
            ..ListOffsetsRequest::default()
        };
        let mut response = self.call(&request, version).expect("an answer");
        response.topics.remove(0).partitions.remove(0)
    }

    /// Notes what ListOffsets says of one partition.
    pub(crate) fn list_offset(
        &mut self,
        version: i16,
        topic: &str,
        partition: i32,
        timestamp: i64,
        committed: bool,
    ) {
        let answer = self.offset(version, topic, partition, timestamp, committed);
        self.note(format!(
            "list v{version} {partition} at {timestamp} committed {committed} -> {} {} {}",
            ErrorCode(answer.error_code),
            answer.offset,
            answer.timestamp
        ));
    }

    /// DeleteRecords of one partition.
    pub(crate) fn delete_records(&mut self, topic: &str, partition: i32, offset: i64) {
        let request = DeleteRecordsRequest {
            topics: vec![DeleteRecordsTopic {
                name: topic.to_owned(),
                partitions: vec![DeleteRecordsPartition {
                    partition_index: partition,
                    offset,
                    ..DeleteRecordsPartition::default()
                }],
                ..DeleteRecordsTopic::default()
            }],
            timeout_ms: 30_000,
            ..DeleteRecordsRequest::default()
        };
        let response = self.call(&request, 2).expect("an answer");
        let answer = &response.topics[0].partitions[0];
        self.note(format!(
            "delete {partition} before {offset} -> {} {}",
            ErrorCode(answer.error_code),
            answer.low_watermark
        ));
    }

    /// Notes everything that a reader of a partition gets. A real broker answers from one segment at a time.
    pub(crate) fn read(&mut self, topic: &str, partition: i32, from: i64, committed: bool) {
        let mut offset = from;
        let mut aborted = BTreeSet::new();
        let mut batches = Vec::new();
        let answer = loop {
            let mut answer = self.fetch(topic, partition, offset, committed);
            for transaction in answer.aborted_transactions.take().unwrap_or_default() {
                aborted.insert((transaction.first_offset, self.name_of(transaction.producer_id)));
            }
            let before = batches.len();
            for batch in RecordBatches::new(answer.records.take().unwrap_or_default()) {
                let AnyBatch::V2(batch) = batch.expect("a good batch") else {
                    panic!("a batch of an old format");
                };
                offset = batch.header().last_offset() + 1;
                batches.push(batch);
            }
            if batches.len() == before {
                break answer;
            }
        };
        // Kafka may already tell of transactions behind what it returns.
        aborted.retain(|&(first, _)| first < offset);
        self.note(format!(
            "read {partition} from {from} committed {committed} -> {} high {} stable {} start {} aborted {aborted:?}",
            ErrorCode(answer.error_code),
            answer.high_watermark,
            answer.last_stable_offset,
            answer.log_start_offset
        ));
        for batch in batches {
            self.note_batch(&batch);
        }
    }

    fn note_batch(&mut self, batch: &RecordBatch) {
        batch.check_crc().expect("a good checksum");
        let header = *batch.header();
        let control = header.attributes.is_control().then(|| {
            let mut records = batch.records(&mut Decompressor::new(), 1_000).expect("records");
            match ControlRecord::decode(&records.next().expect("a record").expect("a record")) {
                Ok(ControlRecord::EndTransaction(marker)) => marker.committed,
                other => panic!("{other:?}"),
            }
        });
        let name = self.name_of(header.producer_id);
        self.note(format!(
            "  {}+{} {name}/{} sequence {} count {} attributes {:?} commit {control:?}",
            header.base_offset,
            header.last_offset_delta,
            header.producer_epoch,
            header.base_sequence,
            header.record_count,
            header.attributes
        ));
    }

    fn fetch(&mut self, topic: &str, partition: i32, offset: i64, committed: bool) -> PartitionData {
        let request = FetchRequest {
            replica_id: -1,
            max_wait_ms: 0,
            min_bytes: 0,
            max_bytes: i32::MAX,
            isolation_level: i8::from(committed),
            session_epoch: -1,
            topics: vec![FetchTopic {
                topic: topic.to_owned(),
                partitions: vec![FetchPartition {
                    partition,
                    fetch_offset: offset,
                    partition_max_bytes: i32::MAX,
                    current_leader_epoch: -1,
                    ..FetchPartition::default()
                }],
                ..FetchTopic::default()
            }],
            ..FetchRequest::default()
        };
        let mut response = self.call(&request, 12).expect("an answer");
        response.responses.remove(0).partitions.remove(0)
    }
}

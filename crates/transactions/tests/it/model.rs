//! A coordinator in a hundred lines, and a producer that meets anything with it: what a commit said has to be true there.
//!
//! Apart from the manager that it checks: of the protocol it knows what a broker knows. The fuzz target `transactions`
//! runs the same.

use bytes::Bytes;
use ottla_protocol::messages::add_partitions_to_txn::{
    AddPartitionsToTxnPartitionResult, AddPartitionsToTxnTopicResult,
};
use ottla_protocol::messages::find_coordinator::Coordinator as Found;
use ottla_protocol::messages::txn_offset_commit::{
    TxnOffsetCommitResponsePartition, TxnOffsetCommitResponseTopic,
};
use ottla_protocol::messages::{
    AddOffsetsToTxnResponse, AddPartitionsToTxnRequest, AddPartitionsToTxnResponse, EndTxnRequest,
    EndTxnResponse, FindCoordinatorResponse, InitProducerIdRequest, InitProducerIdResponse,
    TxnOffsetCommitRequest, TxnOffsetCommitResponse,
};
use ottla_protocol::wire::{Reader, Writer};
use ottla_protocol::{ApiKey, ErrorCode, Message, VersionRange};
use ottla_time::Time;
use ottla_transactions::{
    Call, GroupMetadata, GroupOffset, OutgoingRequest, Protocol, State, Target, TransactionConfig,
    TransactionError, TransactionManager,
};
use std::collections::BTreeSet;
use std::sync::Arc;

const PRODUCER_ID: i64 = 4_000;

/// What a transactional id's transaction is, to its coordinator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Empty,
    Ongoing,
    Committed,
    Aborted,
}

/// The coordinator, and the log that its verdicts are about: it takes a transaction's number for its records.
#[derive(Debug)]
struct Broker {
    epoch: i16,
    /// The epoch before the last bump that its own producer asked for.
    last_epoch: i16,
    standing: Standing,
    /// Numbers of transactions with records in the one that is open.
    written: BTreeSet<u64>,
    committed: BTreeSet<u64>,
    /// The partitions that take part, under protocol 1.
    added: BTreeSet<i32>,
    /// How often CONCURRENT_TRANSACTIONS comes before the markers are written.
    markers: u8,
}

impl Broker {
    fn new() -> Broker {
        Broker {
            epoch: -1,
            last_epoch: -1,
            standing: Standing::Empty,
            written: BTreeSet::new(),
            committed: BTreeSet::new(),
            added: BTreeSet::new(),
            markers: 0,
        }
    }

    /// Ends what is open.
    fn decide(&mut self, commits: bool) {
        if commits {
            assert!(
                self.written.len() <= 1,
                "transactions are mixed: {:?}",
                self.written
            );
            self.committed.append(&mut self.written);
            self.standing = Standing::Committed;
        } else {
            self.written.clear();
            self.standing = Standing::Aborted;
        }
        self.added.clear();
        self.markers = 1;
    }

    /// Another producer takes the id over.
    fn twin(&mut self) {
        if self.standing == Standing::Ongoing {
            // What is open is fenced first.
            self.decide(false);
            self.epoch += 1;
        }
        self.epoch += 1;
        self.last_epoch = -1;
        self.standing = Standing::Empty;
    }

    /// The transaction has been open for too long.
    fn time_out(&mut self) {
        if self.standing == Standing::Ongoing {
            self.decide(false);
            self.last_epoch = self.epoch;
            self.epoch += 1;
        }
    }

    fn init(&mut self, expected: Option<i16>) -> Result<i16, ErrorCode> {
        if expected.is_some_and(|expected| expected != self.epoch && expected != self.last_epoch) {
            return Err(ErrorCode::PRODUCER_FENCED);
        }
        if self.standing == Standing::Ongoing {
            self.decide(false);
            self.last_epoch = self.epoch;
            self.epoch += 1;
        }
        self.settle()?;
        match expected {
            Some(expected) if expected != self.epoch => {}
            Some(_) => {
                self.last_epoch = self.epoch;
                self.epoch += 1;
            }
            None => {
                self.last_epoch = -1;
                self.epoch += 1;
            }
        }
        self.standing = Standing::Empty;
        Ok(self.epoch)
    }

    /// Something takes part: a partition or a group.
    fn add(&mut self, epoch: i16) -> Result<(), ErrorCode> {
        if epoch != self.epoch {
            return Err(ErrorCode::PRODUCER_FENCED);
        }
        self.settle()?;
        self.standing = Standing::Ongoing;
        Ok(())
    }

    fn settle(&mut self) -> Result<(), ErrorCode> {
        if self.markers > 0 {
            self.markers -= 1;
            return Err(ErrorCode::CONCURRENT_TRANSACTIONS);
        }
        Ok(())
    }

    /// EndTxn; the next epoch comes back.
    fn end(&mut self, epoch: i16, commits: bool, v2: bool) -> Result<i16, ErrorCode> {
        let done = if commits {
            Standing::Committed
        } else {
            Standing::Aborted
        };
        let repeated = v2 && epoch.checked_add(1) == Some(self.epoch);
        if epoch != self.epoch && !repeated {
            return Err(ErrorCode::PRODUCER_FENCED);
        }
        match self.standing {
            Standing::Ongoing if !repeated => self.decide(commits),
            Standing::Empty if v2 && !repeated && !commits => self.decide(false),
            Standing::Committed | Standing::Aborted if v2 && !repeated && !commits => self.decide(false),
            standing if standing == done && (repeated || !v2) => {
                self.settle()?;
                return Ok(self.epoch);
            }
            _ => return Err(ErrorCode::INVALID_TXN_STATE),
        }
        if v2 {
            self.last_epoch = self.epoch;
            self.epoch += 1;
        }
        Ok(self.epoch)
    }
}

/// A producer that sends one record in a transaction now and then, and its broker.
struct World {
    manager: TransactionManager,
    broker: Broker,
    now: Time,
    topic: Arc<str>,
    /// The request that is under way.
    under_way: Option<OutgoingRequest>,
    /// Requests that were given up and may still arrive.
    held: Vec<OutgoingRequest>,
    /// What arrives now was given up long ago.
    late: bool,
    /// The transaction that is open has records that are not acknowledged.
    unacked: bool,
    /// Transactions of the programs before this one.
    base: u64,
    /// Every transaction that has records.
    wrote: BTreeSet<u64>,
    /// Transactions of which a record was not delivered.
    lost: BTreeSet<u64>,
    /// A commit was called, and its outcome not told.
    unlearnt: bool,
    /// Another producer has the id.
    fenced: bool,
    /// Some broker has said that protocol 2 is spoken.
    v2_announced: bool,
    /// What is said not to be committed, for ever.
    not_committed: BTreeSet<u64>,
}

/// Runs one input: each pair of bytes is something that happens. Panics when something does not hold. Returns how many
/// transactions were committed.
pub fn run(input: &[u8]) -> usize {
    let config = TransactionConfig::new("model");
    let mut world = World {
        manager: TransactionManager::new(config, 7),
        broker: Broker::new(),
        now: Time::ZERO,
        topic: "t".into(),
        under_way: None,
        held: Vec::new(),
        late: false,
        unacked: false,
        base: 0,
        wrote: BTreeSet::new(),
        lost: BTreeSet::new(),
        unlearnt: false,
        fenced: false,
        v2_announced: false,
        not_committed: BTreeSet::new(),
    };
    for pair in input.chunks_exact(2) {
        world.happen(pair[0], pair[1]);
    }
    world.heal();
    world.broker.committed.len()
}

impl World {
    fn happen(&mut self, kind: u8, value: u8) {
        match kind % 32 {
            0..=2 => self.call(value),
            3 => match value % 4 {
                0 => drop(self.manager.init()),
                1 => self.begin(),
                2 => self.commit(),
                _ => self.abort(),
            },
            4 if value < 8 => self.restart(),
            5..=7 => self.write(value),
            8 if value < 4 => self.twin(),
            8 if value < 48 => self.broker.time_out(),
            8 if value < 64 => self.fail_delivery(Some(ErrorCode::MESSAGE_TOO_LARGE)),
            8 => self.announce(i64::from(value), i16::from(value % 3)),
            9 if value < 64 => self.send_offsets(value),
            10 if value < 16 => self.manager.handle_unreachable(1, self.now),
            10 => self.garbage(value),
            // Trouble on the way.
            11 if value < 64 => self.hold(),
            11 => self.lose(value.is_multiple_of(2)),
            12 if value >= 128 => self.arrive_late(),
            12 if value < 64 => self.fault(ErrorCode(
                [14, 15, 16, 51, 120, -1, 53, 59][usize::from(value) % 8],
            )),
            13..=20 => self.go_on(value),
            _ => self.exchange(),
        }
        if value.is_multiple_of(3) {
            self.observe();
        }
    }

    /// What a program would call now.
    fn call(&mut self, value: u8) {
        match self.manager.state() {
            State::Uninitialized | State::Initializing => drop(self.manager.init()),
            State::Ready => self.begin(),
            State::Open if value < 200 => self.commit(),
            State::Committing => self.commit(),
            State::Open | State::MustAbort | State::Aborting => self.abort(),
            State::Recovering => {}
            State::Fatal => self.restart(),
        }
    }

    /// The program is gone, whatever it was at, and comes back under the same transactional id.
    fn restart(&mut self) {
        self.lose(true);
        let config = self.manager.config().clone();
        let level = if self.manager.protocol() == Protocol::V2 {
            2
        } else {
            0
        };
        // One more: what it says before its first transaction is about none of the last program.
        self.base += self.manager.number() + 1;
        self.manager = TransactionManager::new(config, 7);
        self.manager.handle_features(0, level);
        self.unacked = false;
        self.unlearnt = false;
        self.fenced = false;
    }

    fn commit(&mut self) {
        self.unlearnt |= self.manager.commit().is_ok();
    }

    fn abort(&mut self) {
        if self.manager.abort().is_ok() {
            self.unlearnt = false;
        }
    }

    fn twin(&mut self) {
        self.broker.twin();
        self.fenced = self.manager.identity().is_some();
    }

    fn announce(&mut self, epoch: i64, level: i16) {
        self.v2_announced |= level >= 2;
        self.manager.handle_features(epoch, level);
    }

    /// The number of the transaction, over all restarts.
    fn number(&self) -> u64 {
        self.base + self.manager.number()
    }

    fn begin(&mut self) {
        if self.manager.begin().is_ok() {
            assert!(
                !self.unlearnt,
                "nobody has learnt what became of the commit before"
            );
            assert!(
                self.broker.written.is_empty(),
                "the transaction before it is open still: {:?}",
                self.broker.written
            );
            self.unacked = false;
        }
    }

    /// A batch of the transaction, if it may be sent; half of them are acknowledged at once.
    fn write(&mut self, value: u8) {
        let partition = i32::from(value % 3);
        if !self.manager.want_partition(&self.topic, partition) {
            return;
        }
        let Some(identity) = self.manager.identity() else {
            panic!("a transaction without an identity")
        };
        self.manager.handle_written();
        let added = match self.manager.protocol() {
            Protocol::V1 if self.broker.epoch != identity.producer_epoch => {
                Err(ErrorCode::INVALID_PRODUCER_EPOCH)
            }
            Protocol::V1 if self.broker.standing != Standing::Ongoing => Err(ErrorCode::INVALID_TXN_STATE),
            Protocol::V1 => {
                assert!(
                    self.broker.added.contains(&partition),
                    "{partition} was not added"
                );
                Ok(())
            }
            Protocol::V2 => {
                assert!(self.v2_announced, "nobody speaks protocol 2");
                self.broker.add(identity.producer_epoch)
            }
        };
        match added {
            Ok(()) => {
                let number = self.number();
                self.broker.written.insert(number);
                self.wrote.insert(number);
                self.unacked |= value.is_multiple_of(2);
            }
            // It is sent again.
            Err(ErrorCode::CONCURRENT_TRANSACTIONS) => {}
            Err(ErrorCode::PRODUCER_FENCED) => self.fail_delivery(Some(ErrorCode::INVALID_PRODUCER_EPOCH)),
            Err(code) => self.fail_delivery(Some(code)),
        }
    }

    /// A record of the transaction is not delivered.
    fn fail_delivery(&mut self, code: Option<ErrorCode>) {
        if self.manager.state() == State::Open || self.manager.wants_drain() {
            self.lost.insert(self.number());
            self.manager.handle_delivery_failed(code, "model");
        }
    }

    fn send_offsets(&mut self, value: u8) {
        let offsets = vec![GroupOffset::new(Arc::clone(&self.topic), i32::from(value % 2), 1)];
        drop(
            self.manager
                .send_offsets(offsets, GroupMetadata::new(format!("g{}", value % 2))),
        );
    }

    /// What is under way is acknowledged, or the transaction drained, or requests go on.
    fn go_on(&mut self, value: u8) {
        if self.unacked {
            self.unacked = false;
        } else if self.manager.wants_drain() {
            self.manager
                .handle_drained(value.is_multiple_of(8) && self.manager.state() == State::Aborting);
        } else {
            self.exchange();
        }
    }

    /// The next request, or the answer to it.
    fn exchange(&mut self) {
        if let Some(request) = self.under_way.take() {
            let answer = self.serve(&request, None);
            self.manager.handle_answer(&answer, self.now);
        } else if let Some(due) = self.manager.poll_timeout() {
            self.now = self.now.max(due);
            assert!(matches!(
                self.manager.poll_target(self.now),
                Some(Target::Any | Target::Node(1))
            ));
            self.under_way = self
                .manager
                .take_request(self.now, |_| Some(VersionRange::new(0, 99)));
        }
    }

    /// The request is given up, and still on its way.
    fn hold(&mut self) {
        if let Some(request) = self.under_way.take() {
            self.held.push(request);
            self.manager.handle_no_answer(self.now);
        }
    }

    /// A request that was given up arrives after all, and nobody waits for its answer.
    fn arrive_late(&mut self) {
        if let Some(request) = self.held.pop() {
            self.late = true;
            self.serve(&request, None);
            self.late = false;
        }
    }

    /// The request or its answer is lost.
    fn lose(&mut self, arrives: bool) {
        if let Some(request) = self.under_way.take() {
            if arrives {
                self.serve(&request, None);
            }
            self.manager.handle_no_answer(self.now);
        }
    }

    /// The request is refused.
    fn fault(&mut self, code: ErrorCode) {
        if let Some(request) = self.under_way.take() {
            let answer = self.serve(&request, Some(code));
            self.manager.handle_answer(&answer, self.now);
        }
    }

    fn garbage(&mut self, value: u8) {
        if self.under_way.take().is_some() {
            self.manager
                .handle_answer(&Bytes::copy_from_slice(&[value | 0x80; 7]), self.now);
        }
    }

    /// Whatever has an outcome by now: it has to be true.
    fn observe(&mut self) {
        let number = self.number();
        match self.manager.poll_outcome(Call::Commit) {
            Some(Ok(())) => {
                self.unlearnt = false;
                let is_there = self.broker.committed.contains(&number);
                let was_empty = !self.wrote.contains(&number);
                assert!(is_there || was_empty, "transaction {number} is not committed");
                assert!(
                    !self.not_committed.contains(&number),
                    "{number} was said not to be committed"
                );
            }
            Some(Err(error)) if self.manager.state() != State::Ready => {
                self.unlearnt &= error.is_retriable();
                self.note_failure(number, &error);
            }
            _ => {}
        }
        if self.manager.poll_outcome(Call::Abort) == Some(Ok(())) {
            self.not_committed.insert(number);
        }
        for number in self.not_committed.union(&self.lost) {
            assert!(!self.broker.committed.contains(number), "{number} is committed");
        }
    }

    fn note_failure(&mut self, number: u64, error: &TransactionError) {
        let decided = error.is_abortable() || error.is_fatal();
        if decided && !error.outcome_unknown && !error.is_retriable() {
            self.not_committed.insert(number);
        }
    }

    /// From here on everything goes well: it has to come to rest.
    fn heal(&mut self) {
        // Each call of send_offsets may cost three requests, each of which may be asked twice.
        for _ in 0..100_000 {
            match self.manager.state() {
                State::Uninitialized | State::Ready | State::Fatal if self.under_way.is_none() => return,
                State::Open | State::MustAbort => drop(self.manager.abort()),
                _ => {}
            }
            self.go_on(1);
            self.observe();
        }
        panic!("it does not come to rest: {:?}", self.manager);
    }

    /// What the broker does and answers. With a code it answers that, and does nothing.
    fn serve(&mut self, request: &OutgoingRequest, code: Option<ErrorCode>) -> Bytes {
        let version = request.api_version;
        match request.api_key {
            ApiKey::FIND_COORDINATOR => {
                let found = Found {
                    node_id: 1,
                    host: "broker".into(),
                    port: 9092,
                    error_code: code.unwrap_or(ErrorCode::NONE).0,
                    ..Found::default()
                };
                let coordinators = vec![found];
                encode(
                    &FindCoordinatorResponse {
                        coordinators,
                        ..Default::default()
                    },
                    version,
                )
            }
            ApiKey::INIT_PRODUCER_ID => {
                let asked: InitProducerIdRequest = decode(request);
                let expected = (asked.producer_id >= 0).then_some(asked.producer_epoch);
                let result = code.map_or_else(|| self.broker.init(expected), Err);
                let renewed = result.is_ok() && self.manager.state() == State::Recovering;
                assert!(
                    !renewed || !self.fenced || self.late,
                    "it takes the id back from its successor"
                );
                let answer = InitProducerIdResponse {
                    error_code: error_of(&result),
                    producer_id: if result.is_ok() { PRODUCER_ID } else { -1 },
                    producer_epoch: result.unwrap_or(-1),
                    ..Default::default()
                };
                encode(&answer, version)
            }
            ApiKey::ADD_PARTITIONS_TO_TXN => {
                let asked: AddPartitionsToTxnRequest = decode(request);
                let result = code.map_or_else(|| self.broker.add(asked.v3_and_below_producer_epoch), Err);
                if result.is_ok() {
                    let topics = asked.v3_and_below_topics.iter();
                    self.broker
                        .added
                        .extend(topics.flat_map(|topic| &topic.partitions));
                }
                let topic =
                    |topic: &ottla_protocol::messages::add_partitions_to_txn::AddPartitionsToTxnTopic| {
                        let partition = |&partition_index: &i32| AddPartitionsToTxnPartitionResult {
                            partition_index,
                            partition_error_code: error_of(&result),
                            ..Default::default()
                        };
                        AddPartitionsToTxnTopicResult {
                            name: topic.name.clone(),
                            results_by_partition: topic.partitions.iter().map(partition).collect(),
                            ..Default::default()
                        }
                    };
                let answer = AddPartitionsToTxnResponse {
                    results_by_topic_v3_and_below: asked.v3_and_below_topics.iter().map(topic).collect(),
                    ..Default::default()
                };
                encode(&answer, version)
            }
            ApiKey::ADD_OFFSETS_TO_TXN => {
                let asked: ottla_protocol::messages::AddOffsetsToTxnRequest = decode(request);
                let result = code.map_or_else(|| self.broker.add(asked.producer_epoch), Err);
                let error_code = error_of(&result);
                encode(
                    &AddOffsetsToTxnResponse {
                        error_code,
                        ..Default::default()
                    },
                    version,
                )
            }
            ApiKey::TXN_OFFSET_COMMIT => {
                let asked: TxnOffsetCommitRequest = decode(request);
                let result = match code {
                    Some(code) => Err(code),
                    None if version >= 5 => self.broker.add(asked.producer_epoch),
                    None => Ok(()),
                };
                let partition = |partition_index| TxnOffsetCommitResponsePartition {
                    partition_index,
                    error_code: error_of(&result),
                    ..Default::default()
                };
                let topics = vec![TxnOffsetCommitResponseTopic {
                    name: self.topic.to_string(),
                    partitions: vec![partition(0), partition(1)],
                    ..Default::default()
                }];
                encode(
                    &TxnOffsetCommitResponse {
                        topics,
                        ..Default::default()
                    },
                    version,
                )
            }
            _ => self.serve_end(request, code),
        }
    }

    fn serve_end(&mut self, request: &OutgoingRequest, code: Option<ErrorCode>) -> Bytes {
        let asked: EndTxnRequest = decode(request);
        let v2 = request.api_version >= 5;
        assert!(!v2 || self.v2_announced, "nobody speaks protocol 2");
        if asked.committed && !self.late {
            assert!(
                !self.unacked,
                "a record is not acknowledged, and the commit is sent"
            );
        }
        let result = code.map_or_else(|| self.broker.end(asked.producer_epoch, asked.committed, v2), Err);
        let answer = EndTxnResponse {
            error_code: error_of(&result),
            producer_id: if v2 && result.is_ok() { PRODUCER_ID } else { -1 },
            producer_epoch: result.ok().filter(|_| v2).unwrap_or(-1),
            ..Default::default()
        };
        encode(&answer, request.api_version)
    }
}

fn error_of<T>(result: &Result<T, ErrorCode>) -> i16 {
    result.as_ref().err().map_or(0, |code| code.0)
}

fn encode(message: &impl Message, version: i16) -> Bytes {
    let mut writer = Writer::default();
    match message.encode(&mut writer, version) {
        Ok(()) => writer.into_bytes(),
        Err(error) => panic!("{error}"),
    }
}

fn decode<M: Message>(request: &OutgoingRequest) -> M {
    match M::decode(&mut Reader::from_bytes(&request.body), request.api_version) {
        Ok(message) => message,
        Err(error) => panic!("{error}"),
    }
}

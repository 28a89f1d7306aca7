//! What goes over the wire, read as a broker reads it: identities, sequences, order and limits. It knows only the bytes
//! of requests and answers, and the settings.

use crate::call::Call;
use crate::counters::Counters;
use crate::desk::GRACE;
use crate::ledger::{Ledger, State};
use crate::markers::Markers;
use crate::numbering::{Content, Numbering};
use crate::payload::Payload;
use crate::scenario::{Promise, Scenario};
use crate::throttles::Throttles;
use crate::topics::Topics;
use crate::trace::Trace;
use bytes::Bytes;
use hashbrown::HashMap;
use ottla_protocol::compression::Decompressor;
use ottla_protocol::messages::produce::PartitionProduceResponse;
use ottla_protocol::messages::{ProduceRequest, ProduceResponse};
use ottla_protocol::records::RecordBatch;
use ottla_protocol::wire::{Reader, Uuid};
use ottla_protocol::{ApiKey, ErrorCode, Message};
use ottla_sender::Request;
use ottla_time::Time;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How many batches of a partition may be in flight: what a broker remembers of a producer.
const IN_FLIGHT_MAX: usize = 5;
/// From this version on Produce names topics by their ids.
pub(crate) const PRODUCE_BY_ID: i16 = 13;
/// A batch that is sent more often than this in a second is sent in a loop: backoffs begin at 10 ms, and leaders move
/// some times in a second at most.
const ATTEMPTS_PER_SECOND_MAX: u32 = 40;
/// In a transaction, where a batch that comes too early is sent every 20 ms.
const ATTEMPTS_PER_SECOND_MAX_TRANSACTIONAL: u32 = 60;

/// How a request ended.
#[derive(Debug)]
pub(crate) enum End<'a> {
    Answered(&'a Bytes),
    /// It needed no answer, and was written.
    Written,
    /// Without an answer; whether a byte of it was written.
    Failed {
        written: bool,
    },
}

/// A batch in flight.
#[derive(Clone, Copy, Debug)]
struct Flying {
    lane: (u8, i32),
    /// Zero if its request names the topic.
    topic_id: Uuid,
    identity: (i64, i16),
    base: i32,
    count: i32,
}

#[derive(Debug)]
struct Outstanding {
    node: i32,
    /// When it has to have ended, one way or the other.
    due: Time,
    version: i16,
    batches: Vec<Flying>,
    /// Whether another batch for the same topic was acked while this was in flight, when the producer knew already that the
    /// topic was made anew.
    is_left_behind: bool,
}

/// A partition's numberings.
#[derive(Debug, Default)]
struct Lane {
    /// The highest epoch of each producer id: what came before is over.
    epochs: BTreeMap<i64, i16>,
    numberings: BTreeMap<(i64, i16), Numbering>,
    /// Under which numbering and sequence a record was sent last.
    homes: HashMap<u32, ((i64, i16), i32), foldhash::fast::FixedState>,
    /// How many batches of it are in flight.
    in_flight: usize,
    /// The end of the last batch that was sent without numbers: its first record's number.
    attempts: HashMap<u32, (Time, u32), foldhash::fast::FixedState>,
}

/// The reader of the wire.
pub(crate) struct Wire {
    idempotent: bool,
    max_in_flight: usize,
    max_request_size: usize,
    topics: Topics,
    lanes: BTreeMap<(u8, i32), Lane>,
    outstanding: BTreeMap<u64, Outstanding>,
    /// Produce requests in flight, by node.
    by_node: BTreeMap<i32, usize>,
    throttles: Throttles,
    /// The sequence of a producer's first record in a partition.
    first_sequence: i32,
    transactional: bool,
    /// Requests about transactions in flight.
    calls: BTreeMap<u64, Call>,
    markers: Markers,
    excused: bool,
    decompressor: Decompressor,
}

impl Wire {
    pub(crate) fn new(scenario: &Scenario, topic_ids: Vec<Vec<Uuid>>) -> Wire {
        Wire {
            idempotent: scenario.promise == Promise::ExactlyOnce,
            max_in_flight: scenario.sender.max_in_flight,
            max_request_size: scenario.sender.max_request_size,
            topics: Topics::new(scenario, topic_ids),
            lanes: BTreeMap::new(),
            outstanding: BTreeMap::new(),
            by_node: BTreeMap::new(),
            throttles: Throttles::default(),
            first_sequence: if scenario.transactional {
                0
            } else {
                scenario.sender.first_sequence
            },
            transactional: scenario.transactional,
            calls: BTreeMap::new(),
            markers: Markers::default(),
            excused: false,
            decompressor: Decompressor::new(),
        }
    }

    /// Whether no Produce request is in flight.
    pub(crate) fn is_quiet(&self) -> bool {
        self.outstanding.is_empty()
    }

    /// Whether a transactional producer may be at its end although it has no twin, see [`Call`].
    pub(crate) fn excuses_the_end(&self) -> bool {
        self.excused
    }

    /// The producer is gone, and another one has taken its place: nobody will hear of what was under way.
    pub(crate) fn restart(&mut self) {
        for request in std::mem::take(&mut self.outstanding).into_values() {
            for batch in &request.batches {
                self.unknown(batch, true);
                self.landed(batch);
            }
        }
        self.by_node.clear();
        self.throttles = Throttles::default();
        self.calls.clear();
        self.markers = Markers::default();
        self.topics.restart();
        self.excused = false;
    }

    /// Whether a Produce request is in flight that names this topic by its id.
    pub(crate) fn flies_by_id(&self, topic: usize) -> bool {
        self.outstanding.values().any(|request| {
            let of_topic = |batch: &Flying| usize::from(batch.lane.0) == topic;
            request.version >= PRODUCE_BY_ID && request.batches.iter().any(of_topic)
        })
    }

    /// A topic that is there, if batches of one of its partitions stand in line for this broker, named by its id.
    pub(crate) fn pipelined_by_id(&self, node: i32) -> Option<usize> {
        let mut seen = BTreeSet::new();
        let to_node = self.outstanding.values().filter(|request| request.node == node);
        let mut batches = to_node.flat_map(|request| &request.batches);
        let second = batches
            .find(|batch| self.topics.is_current(batch.lane.0, batch.topic_id) && !seen.insert(batch.lane));
        second.map(|batch| usize::from(batch.lane.0))
    }

    /// A broker was killed.
    pub(crate) fn died(&mut self, node: i32) {
        self.throttles.died(node);
    }

    /// The topic was created anew.
    pub(crate) fn recreated(&mut self, topic: usize, id: Uuid) {
        self.topics.recreated(topic, id);
    }

    /// What has to hold at any moment.
    pub(crate) fn check(&self, now: Time) -> Result<(), String> {
        match self.outstanding.values().find(|request| request.due < now) {
            Some(request) => Err(format!(
                "a request to broker {} is still in flight, a second after its timeout",
                request.node
            )),
            None => Ok(()),
        }
    }

    /// A request goes out.
    pub(crate) fn sent(
        &mut self,
        now: Time,
        node: i32,
        request: &Request,
        ledger: &Ledger,
        counters: &mut Counters,
        trace: &Trace,
    ) -> Result<(), String> {
        self.throttles.sent(now, node, request)?;
        let call = Call::read(request);
        if call.is_some() || request.api_key == ApiKey::PRODUCE.0 {
            self.markers.sent(now, request.id, call, counters);
        }
        if let Some(call) = call {
            if call.ends() && !self.outstanding.is_empty() {
                return Err("a transaction is ended while a batch is on its way".to_owned());
            }
            self.calls.insert(request.id, call);
        }
        self.topics.sent(request);
        if request.api_key != ApiKey::PRODUCE.0 {
            return Ok(());
        }
        let body = Bytes::from(request.body.concat());
        let decoded = ProduceRequest::decode(&mut Reader::from_bytes(&body), request.api_version)
            .map_err(|error| format!("a Produce request that nobody can read: {error}"))?;
        let mut batches = Vec::new();
        for topic in decoded.topic_data {
            let index = self.topics.index(&topic.name, topic.topic_id)?;
            for partition in topic.partition_data {
                let lane = (index, partition.index);
                if batches.iter().any(|other: &Flying| other.lane == lane) {
                    return Err(format!("two batches of {lane:?} in one request"));
                }
                let bytes = partition.records.unwrap_or_default();
                let mut batch = self.batch(now, lane, bytes, ledger, counters, trace)?;
                batch.topic_id = topic.topic_id;
                self.check_topic(&batch)?;
                batches.push(batch);
            }
        }
        if batches.len() > 1 && body.len() > self.max_request_size + 100 * batches.len() {
            return Err(format!(
                "a request of {} bytes, of {} allowed",
                body.len(),
                self.max_request_size
            ));
        }
        let in_flight = self.by_node.entry(node).or_default();
        *in_flight += 1;
        if *in_flight > self.max_in_flight {
            return Err(format!("{in_flight} requests in flight to broker {node}"));
        }
        let version = request.api_version;
        self.outstanding.insert(
            request.id,
            Outstanding {
                node,
                due: if request.expects_response {
                    now + request.timeout + GRACE
                } else {
                    Time::MAX
                },
                version,
                batches,
                is_left_behind: false,
            },
        );
        Ok(())
    }

    /// Nothing goes to a topic that was made anew while anything of the partition is under way to the one before: its broker
    /// takes whatever comes first for the beginning, and would refuse the other batch for ever.
    fn check_topic(&self, batch: &Flying) -> Result<(), String> {
        let in_flight = self.outstanding.values().flat_map(|request| &request.batches);
        let mut of_lane = in_flight.filter(|other| other.lane == batch.lane);
        let differs = |other: &&Flying| {
            ![batch.topic_id, other.topic_id].contains(&Uuid::ZERO) && other.topic_id != batch.topic_id
        };
        match of_lane.find(differs) {
            Some(other) => Err(format!(
                "{:?} sequence {}: sent to the topic that was made anew, while sequence {} is on its way to the one before",
                batch.lane, batch.base, other.base
            )),
            None => Ok(()),
        }
    }

    /// Reads one batch that goes out.
    fn batch(
        &mut self,
        now: Time,
        place: (u8, i32),
        bytes: Bytes,
        ledger: &Ledger,
        counters: &mut Counters,
        trace: &Trace,
    ) -> Result<Flying, String> {
        counters.batches += 1;
        let unreadable = |error| format!("a batch for {place:?} that nobody can read: {error}");
        let batch = RecordBatch::decode(bytes).map_err(unreadable)?;
        batch.check_crc().map_err(unreadable)?;
        let header = *batch.header();
        let mut contents = Vec::new();
        batch
            .visit_records(&mut self.decompressor, 16 << 20, |record| {
                contents.push(Payload::number_of(record.value));
            })
            .map_err(unreadable)?;
        if contents.len() as i32 != header.record_count || contents.is_empty() {
            return Err(format!("a batch for {place:?} with a wrong count"));
        }
        for number in contents.iter().flatten() {
            let entry = ledger.entries.get(*number as usize);
            let belongs = |entry: &crate::ledger::Entry| {
                // While its send has not returned, nobody has told the ledger the partition.
                let partition = entry.state == State::Sending || entry.partition == place.1;
                entry.payload.topic == place.0 && partition
            };
            if !entry.is_some_and(belongs) {
                return Err(format!("record {number} is on its way to {place:?}"));
            }
        }
        let identity = (header.producer_id, header.producer_epoch);
        trace.note(
            now,
            "batch",
            [header.base_sequence as u64, u64::from(batch.crc())],
            format_args!("{place:?} {identity:?}+{}: {contents:?}", header.base_sequence),
        );
        let flying = Flying {
            lane: place,
            topic_id: Uuid::ZERO,
            identity,
            base: header.base_sequence,
            count: header.record_count,
        };
        let lane = self.lanes.entry(place).or_default();
        let first = contents.iter().flatten().next().copied();
        let attempts_max = match self.transactional {
            true => ATTEMPTS_PER_SECOND_MAX_TRANSACTIONAL,
            false => ATTEMPTS_PER_SECOND_MAX,
        };
        let attempts = lane.count_attempt(now, first, attempts_max)?;
        if attempts > 1 {
            counters.retries += 1;
        }
        if lane.in_flight > 0 {
            counters.pipelined += 1;
        }
        lane.in_flight += 1;
        if self.idempotent {
            let first_sequence = self.first_sequence;
            let checks_cause = !self.transactional;
            lane.numbered(
                flying,
                batch.crc(),
                &contents,
                (first_sequence, checks_cause),
                ledger,
                counters,
            )?;
        } else {
            if header.producer_id != -1 || header.base_sequence != -1 {
                return Err(format!(
                    "a batch for {place:?} with numbers that nobody asked for"
                ));
            }
            if lane.in_flight > 1 {
                return Err(format!(
                    "{} batches without numbers in flight for {place:?}",
                    lane.in_flight
                ));
            }
        }
        Ok(flying)
    }

    /// A request ended.
    pub(crate) fn ended(
        &mut self,
        now: Time,
        id: u64,
        end: End<'_>,
        counters: &mut Counters,
        trace: &Trace,
    ) -> Result<(), String> {
        if let Some(call) = self.calls.remove(&id) {
            self.excused |= call.excuses(&end);
            call.count(&end, counters);
        }
        self.markers.ended(now, id, &end);
        self.topics.ended(id, &end);
        if let Some((node, by)) = self.throttles.ended(now, id, &end) {
            counters.throttles += 1;
            // The broker answers what it has got later, too.
            let same = |other: &&mut Outstanding| other.node == node && other.due < Time::MAX;
            for other in self.outstanding.values_mut().filter(same) {
                other.due += by;
            }
        }
        let Some(request) = self.outstanding.remove(&id) else {
            return Ok(());
        };
        if let Some(count) = self.by_node.get_mut(&request.node) {
            *count -= 1;
        }
        match end {
            End::Written => {}
            End::Failed { written } => {
                if written {
                    counters.lost_responses += 1;
                }
                for batch in &request.batches {
                    self.unknown(batch, written);
                }
            }
            End::Answered(body) => {
                let answer = ProduceResponse::decode(&mut Reader::from_bytes(body), request.version);
                match answer {
                    Ok(answer) => self.answered(now, &request, answer, counters, trace)?,
                    Err(_) => request.batches.iter().for_each(|batch| self.unknown(batch, true)),
                }
            }
        }
        for batch in &request.batches {
            self.landed(batch);
        }
        Ok(())
    }

    /// The batch is not in flight any more.
    fn landed(&mut self, batch: &Flying) {
        if let Some(lane) = self.lanes.get_mut(&batch.lane) {
            lane.in_flight -= 1;
            if let Some(numbering) = lane.numberings.get_mut(&batch.identity) {
                numbering.landed(batch.base, batch.count);
            }
        }
    }

    /// Nobody knows whether the batch was appended.
    fn unknown(&mut self, batch: &Flying, written: bool) {
        if !written || !self.idempotent {
            return;
        }
        if let Some(numbering) = self.numbering(batch) {
            numbering.doubt(batch.base, batch.count);
        }
    }

    fn numbering(&mut self, batch: &Flying) -> Option<&mut Numbering> {
        self.lanes
            .get_mut(&batch.lane)?
            .numberings
            .get_mut(&batch.identity)
    }

    fn answered(
        &mut self,
        now: Time,
        request: &Outstanding,
        answer: ProduceResponse,
        counters: &mut Counters,
        trace: &Trace,
    ) -> Result<(), String> {
        let mut told = Vec::new();
        for topic in answer.responses {
            let Ok(index) = self.topics.index(&topic.name, topic.topic_id) else {
                continue;
            };
            told.extend(
                topic
                    .partition_responses
                    .into_iter()
                    .map(|partition| (index, partition)),
            );
        }
        for batch in &request.batches {
            let answer = told
                .iter()
                .find(|(topic, partition)| (*topic, partition.index) == batch.lane);
            match answer {
                Some((_, answer)) => {
                    trace.note(
                        now,
                        "answer",
                        [batch.base as u64, answer.error_code as u64],
                        format_args!(
                            "{:?} {:?}+{}: {}",
                            batch.lane, batch.identity, batch.base, answer.error_code
                        ),
                    );
                    self.note_outlived(request, batch, answer, counters);
                    self.answered_batch(batch, answer, counters)?;
                }
                None => self.unknown(batch, true),
            }
        }
        Ok(())
    }

    /// Counts a batch that is refused because its topic was deleted, if another one of the partition was acked meanwhile, when
    /// the producer knew of the next topic already: what goes to that one between the two answers overtakes the batch. And
    /// counts the leaders that such a late answer names.
    fn note_outlived(
        &mut self,
        request: &Outstanding,
        batch: &Flying,
        answer: &PartitionProduceResponse,
        counters: &mut Counters,
    ) {
        let is_outlived = self.topics.is_outlived(batch.lane.0, batch.topic_id);
        if is_outlived && answer.current_leader.leader_id >= 0 {
            counters.outlived_hints += 1;
        }
        match ErrorCode::from(answer.error_code) {
            ErrorCode::UNKNOWN_TOPIC_ID if request.is_left_behind => counters.outlived += 1,
            ErrorCode::NONE if is_outlived => {
                for other in self.outstanding.values_mut() {
                    let same = |other: &Flying| (other.lane, other.topic_id) == (batch.lane, batch.topic_id);
                    other.is_left_behind |= other.batches.iter().any(same);
                }
            }
            _ => {}
        }
    }

    fn answered_batch(
        &mut self,
        batch: &Flying,
        answer: &PartitionProduceResponse,
        counters: &mut Counters,
    ) -> Result<(), String> {
        let code = ErrorCode::from(answer.error_code);
        if code != ErrorCode::NONE {
            counters.error_answers += 1;
        }
        if answer.current_leader.leader_id >= 0 {
            counters.leader_hints += 1;
        }
        match code {
            ErrorCode::CORRUPT_MESSAGE => {
                return Err(format!("the broker got other bytes than were sent: {batch:?}"));
            }
            ErrorCode::NONE | ErrorCode::DUPLICATE_SEQUENCE_NUMBER => {
                if let Some(numbering) = self.numbering(batch) {
                    numbering.acked(batch.base, batch.count);
                }
            }
            ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER
            | ErrorCode::UNKNOWN_PRODUCER_ID
            | ErrorCode::INVALID_PRODUCER_EPOCH => {
                counters.out_of_order += u64::from(code == ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER);
                if let Some(numbering) = self.numbering(batch) {
                    numbering.refused(batch.base);
                }
            }
            ErrorCode::MESSAGE_TOO_LARGE => counters.too_large += 1,
            _ => {}
        }
        Ok(())
    }
}

impl Lane {
    /// How often the batch that begins with this record was sent; an error if that is a loop.
    fn count_attempt(&mut self, now: Time, first: Option<u32>, attempts_max: u32) -> Result<u32, String> {
        let Some(first) = first else { return Ok(1) };
        let (since, count) = self.attempts.entry(first).or_insert((now, 0));
        // A window that is reset now and then: only loops fill it.
        if now.since(*since) > Duration::from_secs(1) {
            (*since, *count) = (now, 1);
        }
        *count += 1;
        if *count > attempts_max {
            return Err(format!(
                "the batch of record {first} was sent {count} times within a second"
            ));
        }
        Ok(*count)
    }

    /// A batch with numbers goes out: they have to be the next ones, or those that it always had.
    fn numbered(
        &mut self,
        batch: Flying,
        crc: u32,
        contents: &[Content],
        (first_sequence, checks_cause): (i32, bool),
        ledger: &Ledger,
        counters: &mut Counters,
    ) -> Result<(), String> {
        let Flying {
            lane, identity, base, ..
        } = batch;
        let at = || {
            format!(
                "{lane:?} producer {} epoch {} sequence {base}",
                identity.0, identity.1
            )
        };
        if identity.0 < 0 || identity.1 < 0 || base < 0 {
            return Err(format!("{}: a batch without numbers", at()));
        }
        if self.in_flight > IN_FLIGHT_MAX {
            return Err(format!("{}: {} batches in flight", at(), self.in_flight));
        }
        let is_over = |number| is_over(ledger, number);
        let is_first = !self.epochs.contains_key(&identity.0);
        if is_first && !self.epochs.is_empty() {
            counters.new_producer_ids += 1;
        }
        let highest = self.epochs.entry(identity.0).or_insert(identity.1);
        if identity.1 < *highest {
            return Err(format!("{}: epoch {highest} has begun", at()));
        }
        if identity.1 > *highest {
            counters.epoch_bumps += 1;
            let before = self.numberings.get(&(identity.0, *highest));
            if checks_cause && before.is_some_and(|before| !before.may_be_broken(is_over)) {
                return Err(format!("{}: epoch {highest} had no gap", at()));
            }
            *highest = identity.1;
        }
        self.check_homes(identity, contents, &at)?;
        let start = if is_first { first_sequence } else { 0 };
        let numbering = self
            .numberings
            .entry(identity)
            .or_insert_with(|| Numbering::new(start));
        let is_part = numbering
            .sent(base, crc, contents, self.in_flight - 1, is_over)
            .map_err(|error| format!("{}: {error}", at()))?;
        counters.splits += u64::from(is_part);
        counters.transactional_splits += u64::from(is_part && !checks_cause);
        counters.sequence_wraps += u64::from(base.checked_add(contents.len() as i32).is_none());
        for (number, after) in contents.iter().zip(0..) {
            if let Some(number) = number {
                let sequence = base.wrapping_add(after) & i32::MAX;
                self.homes.insert(*number, (identity, sequence));
            }
        }
        Ok(())
    }

    /// A record gets another identity only if it is certain that it is not in the log under the one before.
    fn check_homes(
        &self,
        identity: (i64, i16),
        contents: &[Content],
        at: &impl Fn() -> String,
    ) -> Result<(), String> {
        for number in contents.iter().flatten() {
            let Some(&(before, sequence)) = self.homes.get(number) else {
                continue;
            };
            if before == identity {
                continue;
            }
            let uncertain = self
                .numberings
                .get(&before)
                .is_some_and(|numbering| numbering.is_uncertain(sequence));
            if uncertain {
                return Err(format!(
                    "{}: record {number} was sent as {before:?} {sequence}, and may be in the log",
                    at()
                ));
            }
        }
        Ok(())
    }
}

/// Whether nothing more is to be expected of a record: it failed, or nobody can know.
fn is_over(ledger: &Ledger, number: Content) -> bool {
    let Some(number) = number else { return true };
    let entry = &ledger.entries[number as usize];
    // Its user may not have looked yet.
    let resolved = entry
        .delivery
        .as_ref()
        .is_some_and(ottla_sender::Delivery::is_resolved);
    resolved || !matches!(entry.state, State::Queued | State::Sending)
}

//! The caller's side: futures that contain no runtime.

mod attempt;
mod transactions;

pub use attempt::Attempt;

use crate::lanes;
use crate::shared::{Command, Shared};
use crate::topic::{Layout, PartitionInfo, Topic};
use crate::transactions::Entered;
use crate::waits::Deadline;
use crate::{SendError, TelemetryError, Timed, TrySendError};
use ottla_accumulator::{AppendError, Appended, Delivery, FlushWait, Partition, Record, Reservation};
use ottla_metrics::{ClientSensor, Metric};
use ottla_partitioning::{Charge, Choice, Headers, RecordView, StickyPartition};
use ottla_protocol::records::{BATCH_HEADER_SIZE, Header, RecordRef};
use ottla_protocol::wire::Uuid;
use ottla_time::Time;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

/// A record on its way to a topic: borrowed and serialized.
#[derive(Clone, Copy, Debug, Default)]
pub struct SendRecord<'a> {
    /// The key; decides the partition unless one is given.
    pub key: Option<&'a [u8]>,
    /// The value; `None` is a tombstone.
    pub value: Option<&'a [u8]>,
    /// The headers, in their order.
    pub headers: &'a [Header<'a>],
    /// Milliseconds since the Unix epoch; `None` is now.
    pub timestamp_ms: Option<i64>,
    /// The partition; `None` lets the partitioner choose.
    pub partition: Option<i32>,
}

/// The caller's side of a [`Sender`](crate::Sender): cheap to clone, for any thread.
///
/// Its futures need no runtime: whatever polls the sender wakes them.
#[derive(Clone, Debug)]
pub struct Handle {
    shared: Arc<Shared>,
}

/// How far a record came that [`Handle::send_now`] did not queue, and what it waits for.
#[derive(Debug)]
pub struct Unsent {
    refusal: Option<Box<Refusal>>,
    /// The transaction that it belongs to.
    transaction: Option<u64>,
}

/// Why an append did not happen, for the caller's own loop.
#[derive(Debug)]
enum Refusal {
    /// At least this many partitions must be known first.
    Metadata {
        partitions: usize,
    },
    Memory {
        needed: usize,
        /// Whose line to wait in.
        partition: Arc<Partition>,
        /// Whether the partition holds its share of the memory.
        share: bool,
    },
    Final(SendError),
}

impl Handle {
    pub(crate) fn new(shared: Arc<Shared>) -> Handle {
        Handle { shared }
    }

    /// The topic of that name. This is a look-up, no request; metadata is fetched when the first record is sent.
    pub fn topic(&self, name: &str) -> Arc<Topic> {
        self.shared.topic(name)
    }

    /// Queues a record, and waits if it must for the topic's metadata and for memory, together up to `max.block.ms`.
    ///
    /// Cancel safe: when this future is dropped before it is ready, nothing was queued; when it was ready, the record
    /// is queued whatever becomes of the [`Delivery`].
    #[inline]
    pub async fn send(&self, topic: &Topic, record: &SendRecord<'_>) -> Result<Delivery, SendError> {
        let mut unsent = None;
        match self.send_now(topic, record, &mut unsent) {
            Some(delivery) => Ok(delivery),
            // Boxed, so that the future of a send that need not wait is small.
            None => Box::pin(self.send_later(topic, record, unsent)).await,
        }
    }

    /// The first half of [`Handle::send`]: queues the record if nothing has to be waited for. `None` says that nothing was
    /// queued, and leaves in `unsent` where [`Handle::send_later`] goes on.
    ///
    /// This is no `Result`, because an `Option` of a delivery comes back in registers, and a `Result` does not.
    #[inline(always)]
    pub fn send_now(
        &self,
        topic: &Topic,
        record: &SendRecord<'_>,
        unsent: &mut Option<Unsent>,
    ) -> Option<Delivery> {
        let transaction = match &self.shared.transactions {
            None => None,
            Some(_) => match self.current_transaction() {
                Ok(transaction) => transaction,
                Err(error) => {
                    *unsent = Some(Unsent {
                        refusal: Some(Box::new(Refusal::Final(error))),
                        transaction: None,
                    });
                    return None;
                }
            },
        };
        let mut refusal = None;
        let delivery = self.append(topic, record, None, transaction, &mut refusal);
        if delivery.is_none() {
            *unsent = Some(Unsent { refusal, transaction });
        }
        delivery
    }

    /// The second half of [`Handle::send`], of the same record; all of it for one that was not tried.
    pub async fn send_later(
        &self,
        topic: &Topic,
        record: &SendRecord<'_>,
        unsent: Option<Unsent>,
    ) -> Result<Delivery, SendError> {
        let Unsent { refusal, transaction } = match unsent {
            Some(unsent) => unsent,
            None => Unsent {
                refusal: None,
                transaction: self.current_transaction()?,
            },
        };
        self.send_waiting(topic, record, refusal, transaction).await
    }

    /// [`Handle::send`] in the transaction of this number, and in no other.
    pub async fn send_in_transaction(
        &self,
        transaction: u64,
        topic: &Topic,
        record: &SendRecord<'_>,
    ) -> Result<Delivery, SendError> {
        let transaction = Some(transaction);
        let mut refusal = None;
        match self.append(topic, record, None, transaction, &mut refusal) {
            Some(delivery) => Ok(delivery),
            None => Box::pin(self.send_waiting(topic, record, refusal, transaction)).await,
        }
    }

    /// Queues a record, or says at once why not.
    pub fn try_send(&self, topic: &Topic, record: &SendRecord<'_>) -> Result<Delivery, TrySendError> {
        let transaction = self.current_transaction().map_err(TrySendError::Refused)?;
        self.try_send_numbered(topic, record, transaction)
    }

    /// [`Handle::try_send`] in the transaction of this number, and in no other.
    pub fn try_send_in_transaction(
        &self,
        transaction: u64,
        topic: &Topic,
        record: &SendRecord<'_>,
    ) -> Result<Delivery, TrySendError> {
        self.try_send_numbered(topic, record, Some(transaction))
    }

    fn try_send_numbered(
        &self,
        topic: &Topic,
        record: &SendRecord<'_>,
        transaction: Option<u64>,
    ) -> Result<Delivery, TrySendError> {
        let mut refusal = None;
        let appended = self.append(topic, record, None, transaction, &mut refusal);
        appended.ok_or_else(|| self.try_later(topic, refusal))
    }

    /// What a caller that does not wait is told.
    #[cold]
    fn try_later(&self, topic: &Topic, refusal: Option<Box<Refusal>>) -> TrySendError {
        match refusal.map(|refusal| *refusal) {
            Some(Refusal::Metadata { .. }) => {
                self.want(topic);
                TrySendError::Metadata
            }
            Some(Refusal::Final(error)) => {
                self.shared.measure_refused(&error);
                TrySendError::Refused(error)
            }
            Some(Refusal::Memory { .. }) | None => {
                // The sender must not linger over what holds the memory.
                self.shared.wakeup.notify();
                TrySendError::Memory
            }
        }
    }

    /// How many partitions the topic has; waits for its metadata up to `max.block.ms`.
    pub async fn partition_count(&self, topic: &Topic) -> Result<usize, SendError> {
        self.check_name(topic)?;
        let deadline = self.deadline();
        self.wait_for_partitions(topic, 1, &deadline).await?;
        Ok(topic.partition_count().unwrap_or(0))
    }

    /// The topic's partitions and their leaders; waits for its metadata up to `max.block.ms`.
    pub async fn partitions(&self, topic: &Topic) -> Result<Vec<PartitionInfo>, SendError> {
        self.check_name(topic)?;
        let deadline = self.deadline();
        self.wait_for_partitions(topic, 1, &deadline).await?;
        Ok(topic.info())
    }

    /// Makes everything that is queued now sendable without linger, and waits until all of it is resolved, one way or
    /// the other. The request stands as soon as this returns; dropping the future only stops the waiting.
    pub fn flush(&self) -> FlushWait {
        let wait = self.shared.accumulator.flushes().begin();
        self.shared.command(Command::Flush);
        wait
    }

    /// Sends what is queued for up to `timeout`, fails the rest, and resolves when everything is resolved. New sends
    /// fail at once. The request stands as soon as this returns; dropping the future only stops the waiting. A second
    /// close can only shorten the time.
    pub fn close(&self, timeout: Duration) -> Closing {
        self.shared.accumulator.close();
        let deadline = self.shared.clock.now() + timeout;
        self.shared.command(Command::Close(deadline));
        self.shared.wake_everybody();
        Closing {
            shared: Arc::clone(&self.shared),
        }
    }

    /// Whether the producer was closed or its sender is gone.
    pub fn is_closed(&self) -> bool {
        self.shared.accumulator.is_closed()
    }

    /// Bytes of `buffer.memory` that records hold now.
    pub fn memory_used(&self) -> usize {
        self.shared.accumulator.memory().used()
    }

    /// All metrics as they are now.
    pub fn metrics(&self) -> Vec<Metric> {
        self.shared.snapshot(self.shared.clock.now())
    }

    /// The name that the cluster has given this client for its metrics (KIP-714). Waits for it up to `timeout`.
    pub async fn client_instance_id(&self, timeout: Duration) -> Result<Uuid, TelemetryError> {
        if !self.shared.config.telemetry {
            return Err(TelemetryError::Disabled);
        }
        let until = self.shared.clock.now() + timeout;
        let deadline = Deadline::new(Arc::clone(&self.shared.waits), until);
        poll_fn(|cx| {
            if let Some(id) = self.shared.instance.poll(cx) {
                return Poll::Ready(Ok(id));
            }
            self.poll_deadline(&deadline, cx).map(|error| {
                Err(match error {
                    Some(_) => TelemetryError::Closed,
                    None => TelemetryError::TimedOut { waited: timeout },
                })
            })
        })
        .await
    }

    /// Measures the time until what comes back is dropped, for a sensor of nanoseconds.
    pub fn time(&self, sensor: ClientSensor) -> Timed {
        Timed::new(Arc::clone(&self.shared), sensor)
    }

    /// The number of the transaction that takes records now; `None` without transactions.
    fn current_transaction(&self) -> Result<Option<u64>, SendError> {
        match &self.shared.transactions {
            None => Ok(None),
            Some(transactions) if !self.is_closed() => transactions
                .open_number()
                .map(Some)
                .map_err(SendError::Transaction),
            Some(_) => Err(SendError::Closed),
        }
    }

    /// Keeps the transaction open while a record is appended in it.
    #[inline]
    fn enter(&self, transaction: Option<u64>) -> Result<Option<Entered<'_>>, Box<Refusal>> {
        match transaction {
            None => Ok(None),
            Some(number) => self.enter_numbered(number),
        }
    }

    fn enter_numbered(&self, number: u64) -> Result<Option<Entered<'_>>, Box<Refusal>> {
        let refused = |error| Box::new(Refusal::Final(SendError::Transaction(error)));
        let entered = self
            .shared
            .transactions
            .as_ref()
            .map(|transactions| transactions.enter(number));
        entered.transpose().map_err(refused)
    }

    /// [`append_or_refuse`](Handle::append_or_refuse) with a result that comes back in registers: `None` leaves the reason in
    /// `refusal`.
    #[inline(always)]
    fn append(
        &self,
        topic: &Topic,
        record: &SendRecord<'_>,
        permits: Option<&mut Reservation>,
        transaction: Option<u64>,
        refusal: &mut Option<Box<Refusal>>,
    ) -> Option<Delivery> {
        match self.append_or_refuse(topic, record, permits, transaction) {
            Ok(delivery) => Some(delivery),
            Err(reason) => {
                *refusal = Some(reason);
                None
            }
        }
    }

    /// The whole path of a record that need not wait.
    ///
    /// Always part of its caller: what is put into a structure for a call, and read from it in other pieces, waits until it
    /// has left the processor's store buffer. Five such waits took an eighth of a record.
    #[inline(always)]
    fn append_or_refuse(
        &self,
        topic: &Topic,
        record: &SendRecord<'_>,
        permits: Option<&mut Reservation>,
        transaction: Option<u64>,
    ) -> Result<Delivery, Box<Refusal>> {
        let Some(layout) = topic.layout().filter(|_| topic.owner() == self.shared.id) else {
            return Err(self.without_layout(topic, record));
        };
        self.check_size(record)?;
        let encoded = Record {
            key: record.key,
            value: record.value,
            headers: record.headers,
            timestamp_ms: record.timestamp_ms.unwrap_or_else(|| self.shared.clock.wall_ms()),
        };
        let chosen = self.choose(topic, &layout, record)?;
        let number = number(topic, &layout, chosen);
        // A choice is made among the partitions of this very layout, which has at least one.
        let partition = &layout.partitions[number];
        let entered = self.enter(transaction)?;
        let appended = partition.append_within(&self.shared.accumulator, &encoded);
        drop(entered);
        if let Some(delivery) = appended {
            return Ok(delivery);
        }
        self.append_attentively(topic, &layout, &encoded, permits, transaction, chosen)
    }

    /// The rest of the records' way: of those that open or fill a batch, need memory, or meet another thread.
    #[inline(never)]
    fn append_attentively(
        &self,
        topic: &Topic,
        layout: &Layout,
        encoded: &Record<'_>,
        mut permits: Option<&mut Reservation>,
        transaction: Option<u64>,
        chosen: Option<u32>,
    ) -> Result<Delivery, Box<Refusal>> {
        let sticky = topic.lanes().sticky();
        let mut number = number(topic, layout, chosen);
        let mut detours = 0;
        loop {
            let partition = &layout.partitions[number];
            let entered = self.enter(transaction)?;
            let appended = partition.append(
                &self.shared.accumulator,
                encoded,
                permits.as_deref_mut(),
                &*self.shared.clock,
            );
            drop(entered);
            match appended {
                Ok(appended) => {
                    if chosen.is_none() && (appended.bytes > 0 || appended.contended) {
                        self.charge_sticky(topic, layout, sticky, number, &appended);
                    }
                    if appended.wake {
                        self.shared.wakeup.notify_soon();
                    }
                    if appended.new_batch && appended.full && self.shared.accumulator.is_ahead() {
                        // Once for each full batch. Where a core is free, this is a system call that does nothing.
                        std::thread::yield_now();
                    }
                    return Ok(appended.delivery);
                }
                // It cannot drain, and need not be waited for while there are others.
                Err(AppendError::Memory { share: true, .. })
                    if chosen.is_none() && detours < DETOURS_MAX && layout.partitions.len() > 1 =>
                {
                    detours += 1;
                    let load = topic.load();
                    let view = layout.view().load(load.as_deref());
                    number = sticky.leave(number as i32, &view) as usize;
                }
                Err(error) => return Err(self.not_appended(partition, error)),
            }
        }
    }

    /// A batch of the sticky partition was opened or is full: the next one may go elsewhere.
    #[inline(never)]
    fn charge_sticky(
        &self,
        topic: &Topic,
        layout: &Layout,
        sticky: &StickyPartition,
        number: usize,
        appended: &Appended,
    ) {
        // Its last batch was taken before it was full: a run begins with no bytes, and a full batch ends one.
        let lingered = appended.new_batch && !appended.full && sticky.run_bytes() > 0;
        if appended.contended || lingered {
            lanes::change(appended.contended);
        }
        if sticky.charge(number as i32, appended.bytes, appended.full) == Charge::Due {
            let load = topic.load();
            sticky.advance(number as i32, &layout.view().load(load.as_deref()));
        }
    }

    #[cold]
    fn without_layout(&self, topic: &Topic, record: &SendRecord<'_>) -> Box<Refusal> {
        if topic.owner() != self.shared.id {
            return Box::new(Refusal::Final(SendError::ForeignTopic {
                topic: Arc::clone(topic.name()),
            }));
        }
        if self.is_closed() {
            return Box::new(Refusal::Final(SendError::Closed));
        }
        if let Err(error) = self.check_name(topic) {
            return Box::new(Refusal::Final(error));
        }
        // What can never be sent fails before it waits for anything.
        match self.check_size(record) {
            Ok(()) => Box::new(Refusal::Metadata { partitions: 1 }),
            Err(refusal) => refusal,
        }
    }

    #[cold]
    fn not_appended(&self, partition: &Arc<Partition>, error: AppendError) -> Box<Refusal> {
        Box::new(match error {
            AppendError::Memory { needed, share } => {
                let limit = self.shared.accumulator.memory().limit();
                if needed > limit {
                    Refusal::Final(SendError::TooLarge {
                        size: needed,
                        limit,
                        setting: "buffer.memory",
                    })
                } else {
                    Refusal::Memory {
                        needed,
                        partition: Arc::clone(partition),
                        share,
                    }
                }
            }
            _ => Refusal::Final(SendError::Closed),
        })
    }

    /// The partition; `None` leaves it to the sticky choice.
    #[inline(always)]
    fn choose(
        &self,
        topic: &Topic,
        layout: &Layout,
        record: &SendRecord<'_>,
    ) -> Result<Option<u32>, Box<Refusal>> {
        let count = layout.partitions.len();
        if let Some(partition) = record.partition {
            return match usize::try_from(partition) {
                Ok(number) if number < count => Ok(Some(partition as u32)),
                Ok(number) => Err(Box::new(Refusal::Metadata {
                    partitions: number + 1,
                })),
                Err(_) => Err(Box::new(Refusal::Final(SendError::NoSuchPartition {
                    topic: Arc::clone(topic.name()),
                    partition,
                    count,
                }))),
            };
        }
        let headers = HeadersView(record.headers);
        let view = RecordView::new(topic.name())
            .key(record.key)
            .value(record.value)
            .headers(&headers);
        match self
            .shared
            .partitioner
            .partition(&view, &layout.view(), topic.lanes().first())
        {
            Choice::Sticky => Ok(None),
            Choice::Partition(partition) => match usize::try_from(partition) {
                Ok(number) if number < count => Ok(Some(partition as u32)),
                _ => Err(Box::new(Refusal::Final(SendError::BadPartitioner {
                    partition,
                    count,
                }))),
            },
        }
    }

    /// The cluster would refuse the name too, but only after it was asked; and one that cannot even be encoded would
    /// keep metadata from all other topics.
    fn check_name(&self, topic: &Topic) -> Result<(), SendError> {
        if topic.has_legal_name() {
            return Ok(());
        }
        Err(SendError::TopicName {
            topic: Arc::clone(topic.name()),
        })
    }

    #[inline]
    fn check_size(&self, record: &SendRecord<'_>) -> Result<(), Box<Refusal>> {
        let len = |bytes: Option<&[u8]>| bytes.map_or(0, <[u8]>::len);
        // Nearly all are far below every limit.
        let at_most = len(record.key)
            .saturating_add(len(record.value))
            .saturating_add(OVERHEAD_MAX);
        if record.headers.is_empty() && at_most <= self.shared.size_max {
            return Ok(());
        }
        self.check_exact_size(record)
    }

    #[cold]
    fn check_exact_size(&self, record: &SendRecord<'_>) -> Result<(), Box<Refusal>> {
        let alone = RecordRef {
            timestamp_delta: 0,
            offset_delta: 0,
            key: record.key,
            value: record.value,
            headers: record.headers,
        };
        let size = BATCH_HEADER_SIZE + alone.encoded_size().total();
        let limits = [
            (self.shared.config.max_request_size, "max.request.size"),
            (self.shared.accumulator.memory().limit(), "buffer.memory"),
        ];
        for (limit, setting) in limits {
            if size > limit {
                return Err(Box::new(Refusal::Final(SendError::TooLarge {
                    size,
                    limit,
                    setting,
                })));
            }
        }
        Ok(())
    }

    /// The rest of a send, of a record that was refused for this reason if it was tried.
    #[cold]
    async fn send_waiting(
        &self,
        topic: &Topic,
        record: &SendRecord<'_>,
        refusal: Option<Box<Refusal>>,
        transaction: Option<u64>,
    ) -> Result<Delivery, SendError> {
        let sent = self.send_patiently(topic, record, refusal, transaction).await;
        sent.inspect_err(|error| self.shared.measure_refused(error))
    }

    async fn send_patiently(
        &self,
        topic: &Topic,
        record: &SendRecord<'_>,
        mut refusal: Option<Box<Refusal>>,
        transaction: Option<u64>,
    ) -> Result<Delivery, SendError> {
        let deadline = self.deadline();
        loop {
            let mut permits = None;
            match refusal.take().map(|refusal| *refusal) {
                None => {}
                Some(Refusal::Final(error)) => return Err(error),
                Some(Refusal::Metadata { partitions }) => {
                    self.wait_for_partitions(topic, partitions, &deadline).await?;
                }
                Some(Refusal::Memory {
                    needed,
                    partition,
                    share,
                }) => permits = Some(self.wait_for_memory(&partition, needed, share, &deadline).await?),
            }
            if let Some(delivery) = self.append(topic, record, permits.as_mut(), transaction, &mut refusal) {
                return Ok(delivery);
            }
        }
    }

    async fn wait_for_partitions(
        &self,
        topic: &Topic,
        partitions: usize,
        deadline: &Deadline,
    ) -> Result<(), SendError> {
        if topic.partition_count().is_some_and(|known| known >= partitions) {
            return Ok(());
        }
        topic.forget_refusal();
        let _timed = self.time(ClientSensor::MetadataWait);
        poll_fn(|cx| {
            if let Some(answer) = topic.poll_layout(partitions, cx) {
                return Poll::Ready(answer);
            }
            // At each look: an answer that brought too little is no reason to stop asking.
            self.want(topic);
            self.poll_deadline(deadline, cx)
                .map(|error| Err(error.unwrap_or_else(|| self.metadata_timeout(topic, partitions))))
        })
        .await
    }

    async fn wait_for_memory(
        &self,
        partition: &Partition,
        needed: usize,
        share: bool,
        deadline: &Deadline,
    ) -> Result<Reservation, SendError> {
        let mut wait = pin!(partition.wait_for_memory(needed));
        let _timed = self.time(ClientSensor::BufferWait);
        // The sender stops to linger while somebody waits for memory.
        self.shared.wakeup.notify();
        poll_fn(|cx| {
            if let Poll::Ready(permits) = wait.as_mut().poll(cx) {
                return Poll::Ready(Ok(permits));
            }
            self.poll_deadline(deadline, cx).map(|error| {
                Err(error.unwrap_or(SendError::MemoryTimeout {
                    waited: self.shared.config.max_block,
                    partition: share.then(|| (Arc::clone(partition.topic()), partition.number())),
                }))
            })
        })
        .await
    }

    /// Ready when the wait is over: with an error of its own after a close, with `None` at the deadline.
    fn poll_deadline(&self, deadline: &Deadline, cx: &mut Context<'_>) -> Poll<Option<SendError>> {
        if deadline.register(cx) {
            self.shared.wakeup.notify();
        }
        // After registering: a close wakes all that are registered.
        if self.is_closed() {
            return Poll::Ready(Some(SendError::Closed));
        }
        if self.shared.clock.now() >= deadline.at() {
            return Poll::Ready(None);
        }
        Poll::Pending
    }

    fn metadata_timeout(&self, topic: &Topic, partitions: usize) -> SendError {
        let name = Arc::clone(topic.name());
        match topic.partition_count() {
            Some(count) => SendError::NoSuchPartition {
                topic: name,
                partition: i32::try_from(partitions - 1).unwrap_or(i32::MAX),
                count,
            },
            None => SendError::MetadataTimeout {
                topic: name,
                waited: self.shared.config.max_block,
                cause: topic.cause(),
            },
        }
    }

    fn want(&self, topic: &Topic) {
        self.shared
            .command(Command::Want(self.shared.topic(topic.name())));
    }

    fn deadline(&self) -> Deadline {
        let now: Time = self.shared.clock.now();
        Deadline::new(Arc::clone(&self.shared.waits), now + self.shared.config.max_block)
    }
}

/// The partition that was chosen, or the one that is the thread's now.
#[inline]
fn number(topic: &Topic, layout: &Layout, chosen: Option<u32>) -> usize {
    match chosen {
        Some(number) => number as usize,
        None => topic.lanes().sticky().current(&layout.view()) as usize,
    }
}

/// How many partitions a record without a key tries whose share of the memory is used up. More than a few are only in
/// that state if the whole cluster is.
const DETOURS_MAX: usize = 4;

/// What a batch of one record without headers has besides key and value: its header, six varints and a byte.
const OVERHEAD_MAX: usize = BATCH_HEADER_SIZE + 6 * 10 + 1;

struct HeadersView<'a>(&'a [Header<'a>]);

impl Headers for HeadersView<'_> {
    fn count(&self) -> usize {
        self.0.len()
    }

    fn header(&self, index: usize) -> Option<(&str, Option<&[u8]>)> {
        self.0.get(index).map(|header| (header.key, header.value))
    }
}

/// Resolves when the sender has finished after a [`Handle::close`].
#[derive(Debug)]
#[must_use = "closing goes on without it, but only this tells when it is done"]
pub struct Closing {
    shared: Arc<Shared>,
}

impl Future for Closing {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.shared.poll_finished(cx) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }
}

//! The caller's side: futures that contain no runtime.

mod attempt;
mod transactions;

pub use attempt::Attempt;

use crate::shared::{Command, Shared};
use crate::topic::{Layout, PartitionInfo, Topic};
use crate::waits::Deadline;
use crate::{SendError, TelemetryError, Timed, TrySendError};
use ottla_accumulator::{AppendError, Delivery, FlushWait, Partition, Record, Reservation};
use ottla_metrics::{ClientSensor, Metric};
use ottla_partitioning::{Charge, Choice, Headers, RecordView};
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
    pub async fn send(&self, topic: &Topic, record: &SendRecord<'_>) -> Result<Delivery, SendError> {
        let transaction = self.current_transaction()?;
        self.send_numbered(topic, record, transaction).await
    }

    /// [`Handle::send`] in the transaction of this number, and in no other.
    pub async fn send_in_transaction(
        &self,
        transaction: u64,
        topic: &Topic,
        record: &SendRecord<'_>,
    ) -> Result<Delivery, SendError> {
        self.send_numbered(topic, record, Some(transaction)).await
    }

    async fn send_numbered(
        &self,
        topic: &Topic,
        record: &SendRecord<'_>,
        transaction: Option<u64>,
    ) -> Result<Delivery, SendError> {
        let refused = match self.append(topic, record, None, transaction) {
            Ok(delivery) => return Ok(delivery),
            Err(Refusal::Final(error)) => Err(error),
            Err(refusal) => self.send_waiting(topic, record, refusal, transaction).await,
        };
        refused.inspect_err(|error| self.shared.measure_refused(error))
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
        let appended = self.append(topic, record, None, transaction);
        appended.map_err(|refusal| match refusal {
            Refusal::Metadata { .. } => {
                self.want(topic);
                TrySendError::Metadata
            }
            Refusal::Memory { .. } => {
                // The sender must not linger over what holds the memory.
                self.shared.wakeup.notify();
                TrySendError::Memory
            }
            Refusal::Final(error) => {
                self.shared.measure_refused(&error);
                TrySendError::Refused(error)
            }
        })
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
        let layout = topic.layout();
        Ok(layout.as_ref().map_or_else(Vec::new, |layout| layout.info()))
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

    /// Appends to the partition; the transaction stays open meanwhile.
    #[inline]
    fn append_to(
        &self,
        partition: &Arc<ottla_accumulator::Partition>,
        record: &Record<'_>,
        permits: Option<&mut Reservation>,
        transaction: Option<u64>,
    ) -> Result<Result<ottla_accumulator::Appended, AppendError>, Refusal> {
        let refused = |error| Refusal::Final(SendError::Transaction(error));
        let _open = match (&self.shared.transactions, transaction) {
            (Some(transactions), Some(number)) => Some(transactions.enter(number).map_err(refused)?),
            _ => None,
        };
        Ok(partition.append(&self.shared.accumulator, record, permits, &*self.shared.clock))
    }

    fn append(
        &self,
        topic: &Topic,
        record: &SendRecord<'_>,
        permits: Option<&mut Reservation>,
        transaction: Option<u64>,
    ) -> Result<Delivery, Refusal> {
        if topic.owner() != self.shared.id {
            return Err(Refusal::Final(SendError::ForeignTopic {
                topic: Arc::clone(topic.name()),
            }));
        }
        let layout = topic.layout();
        let Some(layout) = layout.as_ref() else {
            if self.is_closed() {
                return Err(Refusal::Final(SendError::Closed));
            }
            self.check_name(topic).map_err(Refusal::Final)?;
            // What can never be sent fails before it waits for anything.
            self.check_size(record)?;
            return Err(Refusal::Metadata { partitions: 1 });
        };
        self.check_size(record)?;
        let encoded = Record {
            key: record.key,
            value: record.value,
            headers: record.headers,
            timestamp_ms: record.timestamp_ms.unwrap_or_else(|| self.shared.clock.wall_ms()),
        };
        match self.choose(topic, layout, record)? {
            Some(number) => {
                let partition = &layout.partitions[number];
                let appended = self.append_to(partition, &encoded, permits, transaction)?;
                self.appended(partition, appended)
            }
            None => self.append_sticky(topic, layout, &encoded, permits, transaction),
        }
    }

    fn append_sticky(
        &self,
        topic: &Topic,
        layout: &Layout,
        record: &Record<'_>,
        mut permits: Option<&mut Reservation>,
        transaction: Option<u64>,
    ) -> Result<Delivery, Refusal> {
        let view = layout.view();
        let sticky = topic.partitioning().sticky();
        let mut number = sticky.current(&view);
        let mut detours = 0;
        loop {
            // The choice is made among the partitions of this very view, which has at least one.
            let partition = &layout.partitions[number as usize];
            let permits = permits.as_deref_mut();
            let appended = self.append_to(partition, record, permits, transaction)?;
            match &appended {
                Ok(appended) if sticky.charge(number, appended.bytes, appended.full) == Charge::Due => {
                    let load = topic.load();
                    sticky.advance(number, &view.load(load.as_deref()));
                }
                // It cannot drain, and need not be waited for while there are others.
                Err(AppendError::Memory { share: true, .. })
                    if detours < DETOURS_MAX && layout.partitions.len() > 1 =>
                {
                    detours += 1;
                    let load = topic.load();
                    number = sticky.leave(number, &view.load(load.as_deref()));
                    continue;
                }
                _ => {}
            }
            return self.appended(partition, appended);
        }
    }

    fn appended(
        &self,
        partition: &Arc<Partition>,
        appended: Result<ottla_accumulator::Appended, AppendError>,
    ) -> Result<Delivery, Refusal> {
        match appended {
            Ok(appended) => {
                if appended.wake {
                    self.shared.wakeup.notify();
                }
                Ok(appended.delivery)
            }
            Err(AppendError::Memory { needed, share }) => {
                let limit = self.shared.accumulator.memory().limit();
                if needed > limit {
                    let setting = "buffer.memory";
                    return Err(Refusal::Final(SendError::TooLarge {
                        size: needed,
                        limit,
                        setting,
                    }));
                }
                let partition = Arc::clone(partition);
                Err(Refusal::Memory {
                    needed,
                    partition,
                    share,
                })
            }
            Err(_) => Err(Refusal::Final(SendError::Closed)),
        }
    }

    /// The partition; `None` leaves it to the sticky choice.
    fn choose(
        &self,
        topic: &Topic,
        layout: &Layout,
        record: &SendRecord<'_>,
    ) -> Result<Option<usize>, Refusal> {
        let count = layout.partitions.len();
        if let Some(partition) = record.partition {
            return match usize::try_from(partition) {
                Ok(number) if number < count => Ok(Some(number)),
                Ok(number) => Err(Refusal::Metadata {
                    partitions: number + 1,
                }),
                Err(_) => Err(Refusal::Final(SendError::NoSuchPartition {
                    topic: Arc::clone(topic.name()),
                    partition,
                    count,
                })),
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
            .partition(&view, &layout.view(), topic.partitioning())
        {
            Choice::Sticky => Ok(None),
            Choice::Partition(partition) => match usize::try_from(partition) {
                Ok(number) if number < count => Ok(Some(number)),
                _ => Err(Refusal::Final(SendError::BadPartitioner { partition, count })),
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

    fn check_size(&self, record: &SendRecord<'_>) -> Result<(), Refusal> {
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
                return Err(Refusal::Final(SendError::TooLarge { size, limit, setting }));
            }
        }
        Ok(())
    }

    #[cold]
    async fn send_waiting(
        &self,
        topic: &Topic,
        record: &SendRecord<'_>,
        mut refusal: Refusal,
        transaction: Option<u64>,
    ) -> Result<Delivery, SendError> {
        let deadline = self.deadline();
        loop {
            let mut permits = None;
            match refusal {
                Refusal::Final(error) => return Err(error),
                Refusal::Metadata { partitions } => {
                    self.wait_for_partitions(topic, partitions, &deadline).await?;
                }
                Refusal::Memory {
                    needed,
                    partition,
                    share,
                } => permits = Some(self.wait_for_memory(&partition, needed, share, &deadline).await?),
            }
            match self.append(topic, record, permits.as_mut(), transaction) {
                Ok(delivery) => return Ok(delivery),
                Err(next) => refusal = next,
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

/// How many partitions a record without a key tries whose share of the memory is used up. More than a few are only in
/// that state if the whole cluster is.
const DETOURS_MAX: usize = 4;

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

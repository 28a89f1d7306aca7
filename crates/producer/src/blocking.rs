//! Everything without an async runtime.
//!
//! [`Producer`] has the calls of the asynchronous producer, and [`wait`] waits for anything else. The producer's own thread
//! does the work; the calling thread sleeps meanwhile. Not to be called in async code, which it would block.
//!
//! ```no_run
//! use ottla::{Record, blocking::Producer};
//!
//! # fn main() -> Result<(), ottla::Error> {
//! let producer = Producer::new(ottla::Producer::builder().bootstrap_servers("127.0.0.1:9092").build()?);
//! let delivery = producer.send(&Record::to("orders").value("{}"))?;
//! println!("{:?}", delivery.wait()?.offset());
//! producer.close(std::time::Duration::from_secs(30));
//! # Ok(())
//! # }
//! ```

use crate::{DeliveryHandler, Error, Record, Topic, TopicRef, Uuid};
use ottla_sender::{GroupMetadata, GroupOffset, PartitionInfo, RecordMetadata};
use std::borrow::Borrow;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

/// A producer whose calls wait on the calling thread. Cheap to clone; all clones are one producer.
///
/// Each call does what the one of the same name of [`ottla::Producer`](crate::Producer) does.
#[derive(Clone, Debug)]
pub struct Producer(crate::Producer);

impl Producer {
    /// The same producer, for threads that wait.
    pub fn new(producer: crate::Producer) -> Producer {
        Producer(producer)
    }

    /// The asynchronous one: for what needs no waiting, as `try_send`, `topic` and `metrics`, and for a
    /// [`TypedProducer`](crate::TypedProducer), whose sends [`wait`] waits for.
    pub fn inner(&self) -> &crate::Producer {
        &self.0
    }

    /// Queues a record, see [`send`](crate::Producer::send). The outcome is the delivery's: [`wait`](crate::Delivery::wait).
    pub fn send(&self, record: &Record<'_>) -> Result<crate::Delivery, Error> {
        wait(self.0.send(record))
    }

    /// Queues a record and has its outcome told to `callback`, see [`send_with`](crate::Producer::send_with).
    pub fn send_with(
        &self,
        record: &Record<'_>,
        callback: impl FnOnce(Result<RecordMetadata, Error>) + Send + 'static,
    ) -> Result<(), Error> {
        wait(self.0.send_with(record, callback))
    }

    /// Sends all records and waits for their outcomes, see [`send_all`](crate::Producer::send_all).
    pub fn send_all<'r, R: Borrow<Record<'r>>>(
        &self,
        records: impl IntoIterator<Item = R>,
    ) -> Vec<Result<RecordMetadata, Error>> {
        wait(self.0.send_all(records))
    }

    /// Queues a record and has its outcome told to a handler that many share, see [`send_to`](crate::Producer::send_to).
    pub fn send_to(
        &self,
        record: &Record<'_>,
        handler: Arc<dyn DeliveryHandler>,
        number: u64,
    ) -> Result<(), Error> {
        wait(self.0.send_to(record, handler, number))
    }

    /// How many partitions a topic has, see [`partition_count`](crate::Producer::partition_count).
    pub fn partition_count(&self, topic: &Topic) -> Result<usize, Error> {
        wait(self.0.partition_count(topic))
    }

    /// The id by which brokers know this client, see [`client_instance_id`](crate::Producer::client_instance_id).
    pub fn client_instance_id(&self, timeout: Duration) -> Result<Uuid, Error> {
        wait(self.0.client_instance_id(timeout))
    }

    /// The partitions of a topic, see [`partitions_for`](crate::Producer::partitions_for).
    pub fn partitions_for<'t>(&self, topic: impl Into<TopicRef<'t>>) -> Result<Vec<PartitionInfo>, Error> {
        wait(self.0.partitions_for(topic))
    }

    /// Sends what is queued and waits until it is resolved, see [`flush`](crate::Producer::flush).
    pub fn flush(&self) {
        wait(self.0.flush());
    }

    /// Takes no more records and sends what is queued, see [`close`](crate::Producer::close).
    pub fn close(&self, timeout: Duration) {
        wait(self.0.close(timeout));
    }

    /// Begins a transaction, see [`begin`](crate::Producer::begin).
    pub fn begin(&self) -> Result<Transaction, Error> {
        wait(self.0.begin()).map(Transaction)
    }

    /// Registers the `transactional.id`, see [`init_transactions`](crate::Producer::init_transactions).
    pub fn init_transactions(&self) -> Result<(), Error> {
        wait(self.0.init_transactions())
    }

    /// As Java's `beginTransaction`, see [`begin_transaction`](crate::Producer::begin_transaction).
    pub fn begin_transaction(&self) -> Result<(), Error> {
        wait(self.0.begin_transaction())
    }

    /// Commits a group's offsets with the transaction, see
    /// [`send_offsets_to_transaction`](crate::Producer::send_offsets_to_transaction).
    pub fn send_offsets_to_transaction(
        &self,
        offsets: Vec<GroupOffset>,
        group: GroupMetadata,
    ) -> Result<(), Error> {
        wait(self.0.send_offsets_to_transaction(offsets, group))
    }

    /// Commits the open transaction, see [`commit_transaction`](crate::Producer::commit_transaction).
    pub fn commit_transaction(&self) -> Result<(), Error> {
        wait(self.0.commit_transaction())
    }

    /// Aborts the open transaction, see [`abort_transaction`](crate::Producer::abort_transaction).
    pub fn abort_transaction(&self) -> Result<(), Error> {
        wait(self.0.abort_transaction())
    }
}

/// An open transaction, from [`Producer::begin`]. Dropped without a commit it is aborted, in the background.
#[derive(Debug)]
#[must_use = "a transaction that is dropped is aborted"]
pub struct Transaction(crate::Transaction);

impl Transaction {
    /// Queues a record in this transaction, see [`send`](crate::Transaction::send).
    pub fn send(&self, record: &Record<'_>) -> Result<crate::Delivery, Error> {
        wait(self.0.send(record))
    }

    /// Queues a record in this transaction if that needs no waiting, see [`try_send`](crate::Transaction::try_send).
    pub fn try_send(&self, record: &Record<'_>) -> Result<crate::Delivery, Error> {
        self.0.try_send(record)
    }

    /// Queues a record in this transaction and has its outcome told to `callback`, see
    /// [`send_with`](crate::Transaction::send_with).
    pub fn send_with(
        &self,
        record: &Record<'_>,
        callback: impl FnOnce(Result<RecordMetadata, Error>) + Send + 'static,
    ) -> Result<(), Error> {
        wait(self.0.send_with(record, callback))
    }

    /// Commits a group's offsets with this transaction, see [`send_offsets`](crate::Transaction::send_offsets).
    pub fn send_offsets(&self, offsets: Vec<GroupOffset>, group: GroupMetadata) -> Result<(), Error> {
        wait(self.0.send_offsets(offsets, group))
    }

    /// Commits, see [`commit`](crate::Transaction::commit).
    pub fn commit(self) -> Result<(), Error> {
        wait(self.0.commit())
    }

    /// Aborts, see [`abort`](crate::Transaction::abort).
    pub fn abort(self) -> Result<(), Error> {
        wait(self.0.abort())
    }
}

impl crate::Delivery {
    /// Waits for the outcome on the calling thread. Not to be called in async code: there it is awaited.
    pub fn wait(self) -> Result<RecordMetadata, Error> {
        wait(self)
    }
}

/// Waits for any future of this crate on the calling thread, which sleeps meanwhile: sends, deliveries, transactions.
///
/// The producer's own thread does the work, so no runtime is needed. Not to be called in async code, which it would
/// block.
///
/// ```
/// use ottla::{Producer, Record, blocking::wait};
///
/// # fn example() -> Result<(), ottla::Error> {
/// let producer = Producer::builder().bootstrap_servers("127.0.0.1:9092").build()?;
/// let delivery = wait(producer.send(&Record::to("orders").value("{}")))?;
/// println!("{:?}", wait(delivery)?.offset());
/// # Ok(())
/// # }
/// ```
pub fn wait<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    // Most sends, and many deliveries, are ready: they need nobody to wake.
    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => park_on(future),
    }
}

#[cold]
fn park_on<F: Future>(mut future: Pin<&mut F>) -> F::Output {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        // A wake-up between the poll and this returns at once; a spurious one polls once more.
        thread::park();
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

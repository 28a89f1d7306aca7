//! Transactions: records, and a consumer's offsets, that are seen together or not at all.

use crate::callback::Callback;
use crate::record::TopicRef;
use crate::{Delivery, Error, Producer, Record};
use ottla_sender::{GroupMetadata, GroupOffset, RecordMetadata, TransactionState};

impl Producer {
    /// Begins a transaction, after [`init_transactions`](Producer::init_transactions) if nobody has called that yet.
    ///
    /// ```no_run
    /// use ottla::{Producer, Record};
    ///
    /// # async fn example() -> Result<(), ottla::Error> {
    /// let producer = Producer::builder()
    ///     .bootstrap_servers("127.0.0.1:9092")
    ///     .set("transactional.id", "orders-1")
    ///     .build()?;
    /// let transaction = producer.begin().await?;
    /// transaction.send(&Record::to("orders").value("one")).await?;
    /// transaction.send(&Record::to("audit").value("one")).await?;
    /// // Both are seen from here on, or neither is. The deliveries need not be awaited: a lost record fails the commit.
    /// transaction.commit().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Waits up to `max.block.ms`, also for the end of an abort that a dropped [`Transaction`] has left to be done.
    ///
    /// # Cancel safety
    /// If this future is dropped before it is ready, no transaction was begun. The registration, once it was begun, goes
    /// on, and the next call waits for it.
    pub async fn begin(&self) -> Result<Transaction, Error> {
        let handle = self.handle();
        if matches!(
            handle.transaction_state(),
            Some(TransactionState::Uninitialized | TransactionState::Initializing)
        ) {
            handle.init_transactions().await?;
        }
        let number = handle.begin_transaction().await?;
        Ok(Transaction {
            producer: self.clone(),
            number,
        })
    }

    /// Registers the `transactional.id` with the cluster: what a predecessor with the same id left open is aborted, and
    /// it can do no more.
    ///
    /// Waits up to `max.block.ms`. The registration goes on after that; repeat the call to learn its outcome.
    ///
    /// # Cancel safety
    /// The registration goes on from the first poll; another call tells its outcome.
    pub async fn init_transactions(&self) -> Result<(), Error> {
        Ok(self.handle().init_transactions().await?)
    }

    /// Begins a transaction, as Java's `beginTransaction`: every record that is sent from now on belongs to it.
    /// [`begin`](Producer::begin) does the same with a guard.
    ///
    /// # Cancel safety
    /// If this future is dropped before it is ready, no transaction was begun.
    pub async fn begin_transaction(&self) -> Result<(), Error> {
        self.handle().begin_transaction().await?;
        Ok(())
    }

    /// Commits a consumer group's offsets together with the transaction that is open: they count from its commit on.
    /// `group` is what the consumer says of itself; with its generation and member id, the group refuses the offsets of
    /// a consumer that it has replaced, and the transaction has to be aborted.
    ///
    /// # Cancel safety
    /// From the first poll on the offsets belong to the transaction: the commit waits for them and fails without them.
    pub async fn send_offsets_to_transaction(
        &self,
        offsets: Vec<GroupOffset>,
        group: GroupMetadata,
    ) -> Result<(), Error> {
        Ok(self.handle().send_offsets_to_transaction(offsets, group).await?)
    }

    /// Sends what is queued, and commits the transaction that is open.
    ///
    /// It succeeds only if the cluster says so. Otherwise the error tells what to do:
    ///
    /// - [`is_retriable`](Error::is_retriable): the outcome is not known after `max.block.ms`. Repeat this call until it
    ///   is; until then the transaction can neither be aborted nor followed by another.
    /// - [`is_abortable`](Error::is_abortable): it is not committed, for example because a record was not delivered.
    ///   Abort it, and do its work again.
    /// - [`is_fatal`](Error::is_fatal): close this producer. If [`is_outcome_unknown`](Error::is_outcome_unknown), the
    ///   transaction may be committed all the same.
    ///
    /// # Cancel safety
    /// The commit goes on from the first poll. Call this again to learn its outcome; until then the transaction can neither
    /// be aborted nor followed by another.
    pub async fn commit_transaction(&self) -> Result<(), Error> {
        Ok(self.handle().commit_transaction().await?)
    }

    /// Aborts the transaction that is open: who reads committed records only will see nothing of it. What is not sent
    /// yet is dropped, and its deliveries fail.
    ///
    /// Waits up to `max.block.ms`; the abort goes on after that, and [`begin`](Producer::begin) waits for it.
    ///
    /// # Cancel safety
    /// The abort goes on from the first poll.
    pub async fn abort_transaction(&self) -> Result<(), Error> {
        Ok(self.handle().abort_transaction().await?)
    }
}

/// An open transaction, from [`Producer::begin`]. Dropped without a commit it is aborted, in the background.
#[derive(Debug)]
#[must_use = "a transaction that is dropped is aborted"]
pub struct Transaction {
    producer: Producer,
    number: u64,
}

impl Transaction {
    /// Queues a record in this transaction, as [`Producer::send`]. A record that was not queued leaves the transaction
    /// as it was; one that was, and is not delivered, makes the commit fail.
    ///
    /// # Cancel safety
    /// If this future is dropped before it is ready, nothing was queued.
    pub async fn send(&self, record: &Record<'_>) -> Result<Delivery, Error> {
        if self.producer.observers().are_there() {
            return Box::pin(self.producer.send_observed(record, Some(self.number))).await;
        }
        let handle = self.producer.handle();
        let headers = record.wire_headers();
        let send = record.as_send(&headers);
        let delivery = match record.topic_ref() {
            TopicRef::Handle(topic) => handle.send_in_transaction(self.number, &topic.0, &send).await,
            TopicRef::Name(name) => {
                let topic = handle.topic(name);
                handle.send_in_transaction(self.number, &topic, &send).await
            }
        };
        Ok(Delivery::from(delivery?))
    }

    /// Queues a record in this transaction now or not at all, as [`Producer::try_send`].
    pub fn try_send(&self, record: &Record<'_>) -> Result<Delivery, Error> {
        if self.producer.observers().are_there() {
            return self.producer.try_send_observed(record, Some(self.number));
        }
        let handle = self.producer.handle();
        let headers = record.wire_headers();
        let send = record.as_send(&headers);
        let delivery = match record.topic_ref() {
            TopicRef::Handle(topic) => handle.try_send_in_transaction(self.number, &topic.0, &send),
            TopicRef::Name(name) => handle.try_send_in_transaction(self.number, &handle.topic(name), &send),
        };
        Ok(Delivery::from(delivery?))
    }

    /// Queues a record in this transaction, and has its outcome told to `callback`, as [`Producer::send_with`].
    ///
    /// # Cancel safety
    /// If this future is dropped before it is ready, nothing was queued, and the callback is not called.
    pub async fn send_with(
        &self,
        record: &Record<'_>,
        callback: impl FnOnce(Result<RecordMetadata, Error>) + Send + 'static,
    ) -> Result<(), Error> {
        let callback = Callback::Closure(Box::new(callback));
        self.producer
            .send_noted(record, Some(self.number), callback)
            .await
    }

    /// Commits a consumer group's offsets with this transaction, see [`Producer::send_offsets_to_transaction`].
    ///
    /// # Cancel safety
    /// From the first poll on the offsets belong to the transaction.
    pub async fn send_offsets(&self, offsets: Vec<GroupOffset>, group: GroupMetadata) -> Result<(), Error> {
        self.producer.send_offsets_to_transaction(offsets, group).await
    }

    /// Sends what is queued, and commits, see [`Producer::commit_transaction`]. After an error that
    /// [is retriable](Error::is_retriable), that call tells the outcome; after one that
    /// [is abortable](Error::is_abortable) the abort is under way already, and the next [`Producer::begin`] waits for it.
    ///
    /// # Cancel safety
    /// Dropped before its first poll it aborts, as the transaction does. From then on the commit goes on:
    /// [`Producer::commit_transaction`] tells its outcome, and has to be asked before anything else is begun.
    pub async fn commit(self) -> Result<(), Error> {
        self.producer.commit_transaction().await
    }

    /// Aborts, see [`Producer::abort_transaction`].
    ///
    /// # Cancel safety
    /// However early it is dropped, the transaction is aborted.
    pub async fn abort(self) -> Result<(), Error> {
        self.producer.abort_transaction().await
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        // Nothing happens if it has ended, is being ended, or its commit is under way.
        self.producer.handle().schedule_abort(self.number);
    }
}

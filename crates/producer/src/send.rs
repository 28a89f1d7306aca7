//! Other ways to send: with callbacks, and many records at once.

use crate::callback::{Callback, DeliveryHandler};
use crate::{Error, Producer, Record, TopicRef};
use ottla_sender::{RecordMetadata, SendError, TrySendError};
use std::borrow::Borrow;
use std::sync::Arc;

impl Producer {
    /// Queues a record as [`send`](Producer::send), and has its outcome told to `callback`.
    ///
    /// Callbacks run on a thread of the producer's that has no other work, those of a partition in the order of its
    /// records. A slow one delays the others, and nothing else; when very many wait, so do sends with callbacks. A panic
    /// ends the callback that panics. In a callback, send with [`try_send_with`](Producer::try_send_with): waiting there
    /// holds up what would end the wait.
    ///
    /// If this fails, the record was not queued, and the callback is not called.
    ///
    /// ```no_run
    /// # async fn example(producer: ottla::Producer) -> Result<(), ottla::Error> {
    /// let record = ottla::Record::to("orders").value("{}");
    /// producer
    ///     .send_with(&record, |outcome| match outcome {
    ///         Ok(metadata) => println!("at {:?}", metadata.offset()),
    ///         Err(error) => eprintln!("{error}"),
    ///     })
    ///     .await?;
    /// // Waits for the callback, too.
    /// producer.flush().await;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Cancel safety
    /// If this future is dropped before it is ready, nothing was queued, and the callback is not called.
    pub async fn send_with(
        &self,
        record: &Record<'_>,
        callback: impl FnOnce(Result<RecordMetadata, Error>) + Send + 'static,
    ) -> Result<(), Error> {
        let callback = Callback::Closure(Box::new(callback));
        self.send_noted(record, None, callback).await
    }

    /// Queues a record with a callback now or not at all, as [`try_send`](Producer::try_send).
    pub fn try_send_with(
        &self,
        record: &Record<'_>,
        callback: impl FnOnce(Result<RecordMetadata, Error>) + Send + 'static,
    ) -> Result<(), Error> {
        self.try_send_noted(record, Callback::Closure(Box::new(callback)))
    }

    /// Queues a record as [`send_with`](Producer::send_with), and has its outcome told to one handler of many records,
    /// together with `number`: without an allocation for each record.
    ///
    /// # Cancel safety
    /// If this future is dropped before it is ready, nothing was queued, and the handler is not told.
    pub async fn send_to(
        &self,
        record: &Record<'_>,
        handler: Arc<dyn DeliveryHandler>,
        number: u64,
    ) -> Result<(), Error> {
        self.send_noted(record, None, Callback::Handler(handler, number))
            .await
    }

    /// Queues all records, as fast as memory allows, and waits for all outcomes, which come back in the same order.
    ///
    /// The first record that cannot be queued ends it: its error is the last outcome, what comes after it was not sent.
    /// The outcomes take memory until then; for input without end there are [`send`](Producer::send), callbacks, and with
    /// the feature `futures` streams and sinks.
    ///
    /// ```no_run
    /// # async fn example(producer: ottla::Producer) {
    /// let lines = ["one", "two"];
    /// let outcomes = producer.send_all(lines.iter().map(|line| ottla::Record::to("lines").value(line))).await;
    /// assert!(outcomes.iter().all(Result::is_ok) && outcomes.len() == lines.len());
    /// # }
    /// ```
    ///
    /// # Cancel safety
    /// If this future is dropped, what is queued by then is sent.
    pub async fn send_all<'r, R: Borrow<Record<'r>>>(
        &self,
        records: impl IntoIterator<Item = R>,
    ) -> Vec<Result<RecordMetadata, Error>> {
        let mut deliveries = Vec::new();
        let mut refused = None;
        for record in records {
            match self.send(record.borrow()).await {
                Ok(delivery) => deliveries.push(delivery),
                Err(error) => {
                    refused = Some(error);
                    break;
                }
            }
        }
        let mut outcomes = Vec::with_capacity(deliveries.len() + 1);
        for delivery in deliveries {
            outcomes.push(delivery.await);
        }
        outcomes.extend(refused.map(Err));
        outcomes
    }

    /// Queues a record, in the transaction of this number or in the one that is open, and notes its callback the moment it
    /// is appended. Its partition comes back.
    pub(crate) async fn append_noted(
        &self,
        record: &Record<'_>,
        transaction: Option<u64>,
        callback: Callback,
    ) -> Result<i32, Error> {
        let callbacks = self.callbacks();
        callbacks.start()?;
        let headers = record.wire_headers();
        let send = record.as_send(&headers);
        let topic = self.topic_of(record);
        let mut attempt = self.handle().attempt(&topic, &send, transaction)?;
        loop {
            // In a block of its own: no lock is held while this waits.
            let has_room = match callbacks.note() {
                None => false,
                Some(noting) => match attempt.append()? {
                    Some(delivery) => {
                        let partition = delivery.partition();
                        noting.push(delivery, callback);
                        return Ok(partition);
                    }
                    None => true,
                },
            };
            let waited: Result<(), SendError> = if has_room {
                attempt.wait().await
            } else {
                attempt.wait_for(|cx| callbacks.poll_room(cx)).await
            };
            waited?;
        }
    }

    /// [`append_noted`](Producer::append_noted), now or not at all.
    pub(crate) fn try_append_noted(
        &self,
        record: &Record<'_>,
        transaction: Option<u64>,
        callback: Callback,
    ) -> Result<i32, Error> {
        self.callbacks().start()?;
        let headers = record.wire_headers();
        let send = record.as_send(&headers);
        let topic = self.topic_of(record);
        let mut attempt = self.handle().attempt(&topic, &send, transaction)?;
        let Some(noting) = self.callbacks().note() else {
            return Err(Error::from(TrySendError::Memory));
        };
        match attempt.append()? {
            Some(delivery) => {
                let partition = delivery.partition();
                noting.push(delivery, callback);
                Ok(partition)
            }
            None => Err(Error::from(attempt.give_up())),
        }
    }

    pub(crate) fn topic_of(&self, record: &Record<'_>) -> Arc<ottla_sender::Topic> {
        match record.topic_ref() {
            TopicRef::Handle(topic) => Arc::clone(&topic.0),
            TopicRef::Name(name) => self.handle().topic(name),
        }
    }
}

//! A record that is queued step by step, for callers that have something of their own to do the moment it is.

use super::{Handle, Refusal, SendRecord};
use crate::topic::Topic;
use crate::waits::Deadline;
use crate::{SendError, TrySendError};
use ottla_accumulator::{Delivery, Reservation};
use std::future::poll_fn;
use std::task::{Context, Poll};

/// One record's way into its batch: [`append`](Attempt::append), and as long as that says `None`,
/// [`wait`](Attempt::wait) and `append` again. All waits together take up to `max.block.ms`.
///
/// A caller that holds a lock of its own during `append`, and notes the delivery before it lets go, knows its records in
/// the order in which they stand in their partition.
#[derive(Debug)]
#[must_use = "nothing is queued before append() says so"]
pub struct Attempt<'a> {
    handle: &'a Handle,
    topic: &'a Topic,
    record: &'a SendRecord<'a>,
    transaction: Option<u64>,
    obstacle: Option<Box<Refusal>>,
    permits: Option<Reservation>,
    /// Begins with the first wait.
    deadline: Option<Deadline>,
}

impl Handle {
    /// Begins to queue a record, in the transaction of the given number or, with `None`, in the one that is open now.
    pub fn attempt<'a>(
        &'a self,
        topic: &'a Topic,
        record: &'a SendRecord<'a>,
        transaction: Option<u64>,
    ) -> Result<Attempt<'a>, SendError> {
        let transaction = match transaction {
            Some(number) => Some(number),
            None => self.current_transaction()?,
        };
        Ok(Attempt {
            handle: self,
            topic,
            record,
            transaction,
            obstacle: None,
            permits: None,
            deadline: None,
        })
    }
}

impl Attempt<'_> {
    /// Queues the record now; `None` if that has to [`wait`](Attempt::wait) for something.
    pub fn append(&mut self) -> Result<Option<Delivery>, SendError> {
        self.obstacle = None;
        let appended = self.handle.append(
            self.topic,
            self.record,
            self.permits.as_mut(),
            self.transaction,
            &mut self.obstacle,
        );
        let last = self
            .obstacle
            .take_if(|obstacle| matches!(**obstacle, Refusal::Final(_)));
        if let Some(Refusal::Final(error)) = last.map(|last| *last) {
            self.handle.shared.measure_refused(&error);
            return Err(error);
        }
        Ok(appended)
    }

    /// Waits for what the last [`append`](Attempt::append) lacked.
    ///
    /// Cancel safe: nothing is queued by waiting, and another call goes on with the same deadline.
    pub async fn wait(&mut self) -> Result<(), SendError> {
        let handle = self.handle;
        let waited = self.wait_for_obstacle().await;
        waited.inspect_err(|error| handle.shared.measure_refused(error))
    }

    async fn wait_for_obstacle(&mut self) -> Result<(), SendError> {
        // A reservation that was not enough goes back before another is asked for.
        self.permits = None;
        let handle = self.handle;
        let deadline = self.deadline.get_or_insert_with(|| handle.deadline());
        match self.obstacle.take().map(|obstacle| *obstacle) {
            None => Ok(()),
            Some(Refusal::Final(error)) => Err(error),
            Some(Refusal::Metadata { partitions }) => {
                handle.wait_for_partitions(self.topic, partitions, deadline).await
            }
            Some(Refusal::Memory {
                needed,
                partition,
                share,
            }) => {
                let permits = handle
                    .wait_for_memory(&partition, needed, share, deadline)
                    .await?;
                self.permits = Some(permits);
                Ok(())
            }
        }
    }

    /// Waits for something of the caller's that frees memory, within the same `max.block.ms`.
    pub async fn wait_for(
        &mut self,
        mut poll: impl FnMut(&mut Context<'_>) -> Poll<()>,
    ) -> Result<(), SendError> {
        let handle = self.handle;
        let deadline = self.deadline.get_or_insert_with(|| handle.deadline());
        let waited = poll_fn(|cx| {
            if poll(cx).is_ready() {
                return Poll::Ready(Ok(()));
            }
            let waited = handle.shared.config.max_block;
            handle.poll_deadline(deadline, cx).map(|error| {
                Err(error.unwrap_or(SendError::MemoryTimeout {
                    waited,
                    partition: None,
                }))
            })
        });
        waited
            .await
            .inspect_err(|error| handle.shared.measure_refused(error))
    }

    /// What a caller that does not wait is told; metadata that is missing is asked for.
    pub fn give_up(self) -> TrySendError {
        self.handle.try_later(self.topic, self.obstacle)
    }
}

//! The outcomes of many records, kept by the batch.

use crate::delivery::Tally;
use crate::{Delivery, Error};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::task::{Context, Poll};

/// The outcomes to come of many records, for those who send a stream of them and want to know whether all are in the log,
/// but not where each is.
///
/// Neighbours in a batch are kept together: that costs a few words for each batch, where a [`Delivery`] costs some for each
/// record, and what a thread adds while it sends touches nothing that threads share. Outcomes are taken in the order in
/// which they were added.
///
/// ```no_run
/// use ottla::{Deliveries, Producer, Record};
///
/// # async fn example(producer: Producer, lines: Vec<String>) -> Result<(), ottla::Error> {
/// let topic = producer.topic("lines");
/// let mut deliveries = Deliveries::new();
/// for line in &lines {
///     deliveries.push(producer.send(&Record::to(&topic).value(line)).await?);
///     // Now and then, so that what is resolved is forgotten and an error is seen early.
///     if deliveries.len() >= 10_000 {
///         deliveries.take_resolved().into_result()?;
///     }
/// }
/// producer.flush().await;
/// deliveries.take_all().await.into_result()?;
/// # Ok(())
/// # }
/// ```
///
/// # Dropping
/// Dropping it cancels nothing: the records go their way, and nobody is told what became of them.
#[derive(Debug, Default)]
#[must_use = "outcomes that nobody looks at lose errors"]
pub struct Deliveries {
    /// Each with the last delivery of some that follow each other, and how many stand before it.
    runs: VecDeque<Run>,
    /// How many records are in them.
    len: u64,
    /// What was taken out of them and not given to anybody yet.
    taken: Tally,
}

#[derive(Debug)]
struct Run {
    last: Delivery,
    before: u32,
}

impl Deliveries {
    /// None yet.
    pub fn new() -> Deliveries {
        Deliveries::default()
    }

    /// Adds the outcome to come of a record.
    #[inline]
    pub fn push(&mut self, delivery: Delivery) {
        self.len += 1;
        if let Some(run) = self.runs.back_mut()
            && delivery.follows(&run.last)
        {
            run.last = delivery;
            run.before += 1;
        } else {
            self.runs.push_back(Run {
                last: delivery,
                before: 0,
            });
        }
    }

    /// How many records were added whose outcome was not taken.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Takes the outcomes that stand, up to the first that does not.
    pub fn take_resolved(&mut self) -> Tally {
        while let Some(tally) = self.runs.front().and_then(|run| run.last.tally(run.before)) {
            self.take_front(tally);
        }
        std::mem::take(&mut self.taken)
    }

    /// Waits until all outcomes stand, and takes them.
    ///
    /// # Cancel safety
    /// Nothing is lost if the future is dropped: the next call counts what this one had seen.
    pub async fn take_all(&mut self) -> Tally {
        poll_fn(|cx| self.poll_all(cx)).await
    }

    fn poll_all(&mut self, cx: &mut Context<'_>) -> Poll<Tally> {
        while let Some(run) = self.runs.front_mut() {
            match run.last.poll_tally(run.before, cx) {
                Poll::Ready(tally) => self.take_front(tally),
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(std::mem::take(&mut self.taken))
    }

    /// The outcomes of the first run are these.
    fn take_front(&mut self, tally: Tally) {
        if let Some(run) = self.runs.pop_front() {
            self.len -= u64::from(run.before) + 1;
        }
        self.taken.add(tally);
    }
}

impl Extend<Delivery> for Deliveries {
    fn extend<I: IntoIterator<Item = Delivery>>(&mut self, deliveries: I) {
        deliveries.into_iter().for_each(|delivery| self.push(delivery));
    }
}

impl Tally {
    /// How many were acknowledged, if none failed; otherwise why the first one did.
    pub fn into_result(self) -> Result<u64, Error> {
        match self.first_error {
            Some(error) => Err(error),
            None => Ok(self.acknowledged),
        }
    }
}

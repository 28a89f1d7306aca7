//! Those who look at each record: interceptors, and spans.

use crate::callback::{Callback, Outcome};
use crate::dead_letters::{Queue, Stage};
use crate::interceptor::{Acknowledgement, Interceptor};
#[cfg(feature = "tracing")]
use crate::tracing::{RecordSpan, TraceContext};
use crate::{Delivery, Error, Producer, Record};
use parking_lot::Mutex;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

/// Everybody who looks at the records of a producer.
#[derive(Clone, Default)]
pub(crate) struct Observers {
    pub(crate) interceptors: Vec<Arc<dyn Interceptor>>,
    pub(crate) dead_letters: Option<Queue>,
    #[cfg(feature = "tracing")]
    pub(crate) client_id: Arc<str>,
    #[cfg(feature = "tracing")]
    pub(crate) context: Option<Arc<dyn TraceContext>>,
}

/// Who wants to know what becomes of a record.
pub(crate) struct Observation {
    interceptors: Vec<Arc<dyn Interceptor>>,
    topic: String,
    partition: Mutex<Option<i32>>,
    dead_letters: Option<DeadLetter>,
    #[cfg(feature = "tracing")]
    span: RecordSpan,
}

impl Observers {
    /// Whether anybody looks at records now; if not, that costs next to nothing.
    #[inline]
    pub(crate) fn are_there(&self) -> bool {
        #[cfg(feature = "tracing")]
        if RecordSpan::is_wanted() {
            return true;
        }
        !self.interceptors.is_empty() || self.dead_letters.is_some()
    }

    /// The record as it is to be sent, and who wants to know what becomes of it.
    #[cold]
    fn observe<'r>(&self, record: &'r Record<'_>) -> (Record<'r>, Arc<Observation>) {
        let mut changed: Record<'r> = record.clone();
        for interceptor in &self.interceptors {
            // A panic was told by the panic hook; the record goes on as it was.
            let call = AssertUnwindSafe(|| interceptor.on_send(changed.clone()));
            if let Ok(next) = catch_unwind(call) {
                changed = next;
            }
        }
        #[cfg(feature = "tracing")]
        let (changed, span) = RecordSpan::begin(changed, &self.client_id, self.context.as_deref());
        let observation = Observation {
            interceptors: self.interceptors.clone(),
            topic: changed.topic_name().to_owned(),
            partition: Mutex::new(None),
            dead_letters: self
                .dead_letters
                .clone()
                .map(|queue| DeadLetter::of(queue, &changed)),
            #[cfg(feature = "tracing")]
            span,
        };
        (changed, Arc::new(observation))
    }
}

/// What a dead letter is made of, if one has to be.
struct DeadLetter {
    queue: Queue,
    /// Until the outcome is known.
    copy: Mutex<Option<Record<'static>>>,
    bytes: usize,
}

impl DeadLetter {
    fn of(queue: Queue, record: &Record<'_>) -> DeadLetter {
        let copy = record.clone().into_owned();
        DeadLetter {
            queue,
            bytes: copy.bytes(),
            copy: Mutex::new(Some(copy)),
        }
    }

    fn take(&self, partition: Option<i32>, error: Error) -> Error {
        match self.copy.lock().take() {
            Some(copy) => self
                .queue
                .take(copy, partition, error, Stage::Produce, Vec::new()),
            None => error,
        }
    }
}

impl Observation {
    /// The record stands in this partition.
    fn queued(&self, partition: i32) {
        *self.partition.lock() = Some(partition);
    }

    /// The record's outcome stands.
    fn end(&self, outcome: Outcome) -> Outcome {
        let partition = match &outcome {
            Ok(metadata) => Some(metadata.partition()),
            Err(_) => *self.partition.lock(),
        };
        let outcome = outcome.map_err(|error| self.dead_letter(partition, error));
        self.tell(partition, &outcome);
        outcome
    }

    fn dead_letter(&self, partition: Option<i32>, error: Error) -> Error {
        match &self.dead_letters {
            Some(letter) => letter.take(partition, error),
            None => error,
        }
    }

    /// The record was not queued.
    fn refused(&self, error: Error) -> Error {
        if error.would_wait() {
            return error;
        }
        let error = self.dead_letter(None, error);
        let outcome = Err(error.clone());
        self.tell(None, &outcome);
        error
    }

    fn tell(&self, partition: Option<i32>, outcome: &Outcome) {
        let acknowledgement = Acknowledgement {
            topic: &self.topic,
            partition,
            outcome: outcome.as_ref(),
        };
        for interceptor in &self.interceptors {
            let call = AssertUnwindSafe(|| interceptor.on_acknowledgement(&acknowledgement));
            // A panic was told by the panic hook; the others are still told.
            let _ = catch_unwind(call);
        }
        #[cfg(feature = "tracing")]
        self.span.end(&acknowledgement);
    }

    /// A callback that tells everybody before it goes on as `next`.
    pub(crate) fn before(self: &Arc<Observation>, next: Callback) -> Callback {
        let observation = Arc::clone(self);
        let held = self.dead_letters.as_ref().map(|letter| letter.bytes);
        let told = Box::new(move |outcome| next.run(observation.end(outcome)));
        match held {
            Some(bytes) => Callback::Weighed(told, bytes),
            None => Callback::Closure(told),
        }
    }
}

/// The outcome of a record that somebody looks at: it goes by them first.
#[derive(Debug, Default)]
pub(crate) struct Slot(Mutex<Told>);

#[derive(Debug, Default)]
struct Told {
    outcome: Option<Outcome>,
    waker: Option<Waker>,
}

impl Slot {
    fn set(&self, outcome: Outcome) {
        let mut told = self.0.lock();
        told.outcome = Some(outcome);
        let waker = told.waker.take();
        drop(told);
        waker.into_iter().for_each(Waker::wake);
    }

    pub(crate) fn outcome(&self) -> Option<Outcome> {
        self.0.lock().outcome.clone()
    }

    pub(crate) fn poll(&self, cx: &Context<'_>) -> Poll<Outcome> {
        let mut told = self.0.lock();
        if let Some(outcome) = &told.outcome {
            return Poll::Ready(outcome.clone());
        }
        let old = told.waker.replace(cx.waker().clone());
        drop(told);
        drop(old);
        Poll::Pending
    }
}

impl Producer {
    /// Queues a record that somebody looks at, and waits if it must.
    pub(crate) async fn send_observed(
        &self,
        record: &Record<'_>,
        transaction: Option<u64>,
    ) -> Result<Delivery, Error> {
        let (record, observation) = self.observers().observe(record);
        let (slot, callback) = slot(&observation);
        match self.append_noted(&record, transaction, callback).await {
            Ok(partition) => {
                observation.queued(partition);
                Ok(Delivery::observed(&observation.topic, partition, slot))
            }
            Err(error) => Err(observation.refused(error)),
        }
    }

    /// The same, now or not at all.
    pub(crate) fn try_send_observed(
        &self,
        record: &Record<'_>,
        transaction: Option<u64>,
    ) -> Result<Delivery, Error> {
        let (record, observation) = self.observers().observe(record);
        let (slot, callback) = slot(&observation);
        match self.try_append_noted(&record, transaction, callback) {
            Ok(partition) => {
                observation.queued(partition);
                Ok(Delivery::observed(&observation.topic, partition, slot))
            }
            Err(error) => Err(observation.refused(error)),
        }
    }

    /// Queues a record with a callback, past those who look, and waits if it must.
    pub(crate) async fn send_noted(
        &self,
        record: &Record<'_>,
        transaction: Option<u64>,
        callback: Callback,
    ) -> Result<(), Error> {
        if !self.observers().are_there() {
            return self.append_noted(record, transaction, callback).await.map(drop);
        }
        let (record, observation) = self.observers().observe(record);
        let callback = observation.before(callback);
        let appended = self.append_noted(&record, transaction, callback).await;
        appended
            .map(|partition| observation.queued(partition))
            .map_err(|error| observation.refused(error))
    }

    /// The same, now or not at all.
    pub(crate) fn try_send_noted(&self, record: &Record<'_>, callback: Callback) -> Result<(), Error> {
        if !self.observers().are_there() {
            return self.try_append_noted(record, None, callback).map(drop);
        }
        let (record, observation) = self.observers().observe(record);
        let callback = observation.before(callback);
        let appended = self.try_append_noted(&record, None, callback);
        appended
            .map(|partition| observation.queued(partition))
            .map_err(|error| observation.refused(error))
    }
}

fn slot(observation: &Arc<Observation>) -> (Arc<Slot>, Callback) {
    let slot = Arc::<Slot>::default();
    let told = Arc::clone(&slot);
    let set = Callback::Closure(Box::new(move |outcome| told.set(outcome)));
    (slot, observation.before(set))
}

impl fmt::Debug for Observers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Observers")
            .field("interceptors", &self.interceptors.len())
            .finish_non_exhaustive()
    }
}

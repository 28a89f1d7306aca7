//! What serializers have to ask for, on the producer's runtime: who sends may have none, and the asking goes on when the
//! caller gives up.

use crate::{Error, Producer};
use ottla_serialization::{ErrorKind, Readiness, Role, SerializeError, Target};
use parking_lot::Mutex;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;

/// What key and value of a record wait for.
pub(super) struct Waiting {
    pub(super) topic: String,
    pub(super) key: Readiness,
    pub(super) value: Readiness,
}

impl Waiting {
    /// Waits for both, up to one deadline for the two together.
    async fn ready(self, deadline: Option<Instant>, limit: Duration) -> Result<(), SerializeError> {
        for (role, readiness) in [(Role::Key, self.key), (Role::Value, self.value)] {
            let Readiness::Pending(preparation) = readiness else {
                continue;
            };
            let subject = preparation.subject().map(str::to_owned);
            // A time that no clock reaches is none.
            let outcome = match deadline {
                Some(deadline) => tokio::time::timeout_at(deadline.into(), preparation).await,
                None => Ok(preparation.await),
            };
            match outcome {
                Ok(outcome) => outcome.map_err(|error| error.at(&Target::new(&self.topic, role)))?,
                Err(_) => return Err(timed_out(&self.topic, role, subject, limit)),
            }
        }
        Ok(())
    }
}

fn timed_out(topic: &str, role: Role, subject: Option<String>, limit: Duration) -> SerializeError {
    let limit = limit.as_millis();
    let message = format!("what the serializer needs was not there within max.block.ms ({limit} ms)");
    let error = SerializeError::new(ErrorKind::Timeout, message).at(&Target::new(topic, role));
    match subject {
        Some(subject) => error.with_subject(subject),
        None => error,
    }
}

/// What was started and nobody waits for.
#[derive(Clone, Debug, Default)]
pub(super) struct LookUps(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// What those started who do not wait, by topic: a failure is told to a record of its own topic.
    started: Mutex<HashMap<String, LookUp>>,
    /// Topics for which somebody gave up waiting, and the asking goes on. Once for each is enough.
    abandoned: Mutex<HashSet<String>>,
}

#[derive(Debug)]
enum LookUp {
    Running,
    /// Why it failed; the next record that is not ready is told.
    Failed(SerializeError),
}

/// So many topics are looked up, or have failed without anybody being told, at once. Who comes then only hears that it
/// is not ready, and what nobody asks about any more makes room.
const TOPICS_MAX: usize = 1_000;

impl LookUps {
    /// Waits for what a record needs, until the deadline, which comes of `max.block.ms`. Who gives up leaves the asking
    /// behind: otherwise somebody who is less patient than the registry takes would never get further.
    pub(super) async fn wait(
        &self,
        producer: &Producer,
        waiting: Waiting,
        deadline: Option<Instant>,
    ) -> Result<(), Error> {
        let asking = Asking {
            look_ups: self.clone(),
            topic: waiting.topic.clone(),
            is_over: Arc::default(),
        };
        let mut waited = Waited {
            look_ups: self,
            topic: waiting.topic.clone(),
            is_over: Arc::clone(&asking.is_over),
            task: None,
        };
        let ready = waiting.ready(deadline, producer.config().max_block());
        waited.task = Some(producer.runtime().spawn(async move {
            // Until this ends, whatever ends it.
            let _asking = asking;
            ready.await
        }));
        let outcome = match &mut waited.task {
            Some(task) => task.await,
            None => return Ok(()),
        };
        waited.task = None;
        match outcome {
            Ok(outcome) => Ok(outcome?),
            // A serializer of the caller's own.
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            // The runtime ends with the producer.
            Err(_) => Err(Error::from(ottla_sender::SendError::Closed)),
        }
    }

    /// Starts the look-up, unless one runs for the topic; returns what the caller is told.
    pub(super) fn start(&self, producer: &Producer, waiting: Waiting) -> Error {
        let mut topics = self.0.started.lock();
        match topics.get(&waiting.topic) {
            Some(LookUp::Running) => return Error::not_ready(),
            Some(LookUp::Failed(_)) => {
                if let Some(LookUp::Failed(error)) = topics.remove(&waiting.topic) {
                    return Error::from(error);
                }
            }
            None => {}
        }
        if topics.len() >= TOPICS_MAX {
            topics.retain(|_, look_up| matches!(look_up, LookUp::Running));
        }
        if topics.len() < TOPICS_MAX {
            topics.insert(waiting.topic.clone(), LookUp::Running);
            drop(topics);
            producer
                .runtime()
                .spawn(self.clone().run(waiting, producer.config().max_block()));
        }
        Error::not_ready()
    }

    async fn run(self, waiting: Waiting, limit: Duration) {
        // Whatever ends this, the next record can start another.
        let mut running = Running {
            look_ups: self,
            topic: waiting.topic.clone(),
            failure: None,
        };
        let deadline = Instant::now().checked_add(limit);
        running.failure = waiting.ready(deadline, limit).await.err();
    }
}

/// A look-up that somebody waits for, or has given up to wait for.
struct Asking {
    look_ups: LookUps,
    topic: String,
    /// Written while the abandoned topics are locked.
    is_over: Arc<AtomicBool>,
}

impl Drop for Asking {
    fn drop(&mut self) {
        let mut abandoned = self.look_ups.0.abandoned.lock();
        // One that is ended from outside says nothing of the one that was left behind.
        if !self.is_over.swap(true, Ordering::Relaxed) {
            abandoned.remove(&self.topic);
        }
    }
}

/// Somebody who waits for a look-up, and may give up.
struct Waited<'l> {
    look_ups: &'l LookUps,
    topic: String,
    is_over: Arc<AtomicBool>,
    task: Option<JoinHandle<Result<(), SerializeError>>>,
}

impl Drop for Waited<'_> {
    fn drop(&mut self) {
        let Some(task) = self.task.take() else { return };
        let mut abandoned = self.look_ups.0.abandoned.lock();
        if self.is_over.load(Ordering::Relaxed) {
            return;
        }
        let is_needed = abandoned.len() < TOPICS_MAX && abandoned.insert(std::mem::take(&mut self.topic));
        self.is_over.store(!is_needed, Ordering::Relaxed);
        drop(abandoned);
        if !is_needed {
            // What it holds locks, too, when it is dropped.
            task.abort();
        }
    }
}

/// A look-up that runs, until it is dropped: also when the runtime ends, or a serializer panics.
struct Running {
    look_ups: LookUps,
    topic: String,
    failure: Option<SerializeError>,
}

impl Drop for Running {
    fn drop(&mut self) {
        let mut topics = self.look_ups.0.started.lock();
        match self.failure.take() {
            Some(error) => topics.insert(std::mem::take(&mut self.topic), LookUp::Failed(error)),
            None => topics.remove(&self.topic),
        };
    }
}

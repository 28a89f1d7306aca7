//! What serializers have to ask for, on the producer's runtime: who sends may have none, and the asking goes on when the
//! caller gives up.

use crate::{Error, Producer};
use ottla_serialization::{ErrorKind, Readiness, Role, SerializeError, Target};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// What key and value of a record wait for.
pub(super) struct Waiting {
    pub(super) topic: String,
    pub(super) key: Readiness,
    pub(super) value: Readiness,
}

impl Waiting {
    /// Waits for both, up to one deadline for the two together.
    async fn ready(self, limit: Duration) -> Result<(), SerializeError> {
        let started = tokio::time::Instant::now();
        for (role, readiness) in [(Role::Key, self.key), (Role::Value, self.value)] {
            let Readiness::Pending(preparation) = readiness else {
                continue;
            };
            let subject = preparation.subject().map(str::to_owned);
            let left = limit.saturating_sub(started.elapsed());
            match tokio::time::timeout(left, preparation).await {
                Ok(outcome) => outcome?,
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

/// Waits for what a record needs, up to `max.block.ms`.
pub(super) async fn wait(producer: &Producer, waiting: Waiting) -> Result<(), Error> {
    let limit = producer.config().max_block();
    let task = producer.runtime().spawn(waiting.ready(limit));
    match task.await {
        Ok(outcome) => Ok(outcome?),
        // The runtime ends with the producer.
        Err(_) => Err(Error::from(ottla_sender::SendError::Closed)),
    }
}

/// What those started who do not wait, by topic: a failure is told to a record of its own topic.
#[derive(Clone, Debug, Default)]
pub(super) struct LookUps(Arc<Mutex<HashMap<String, LookUp>>>);

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
    /// Starts the look-up, unless one runs for the topic; returns what the caller is told.
    pub(super) fn start(&self, producer: &Producer, waiting: Waiting) -> Error {
        let mut topics = self.0.lock();
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
        running.failure = waiting.ready(limit).await.err();
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
        let mut topics = self.look_ups.0.lock();
        match self.failure.take() {
            Some(error) => topics.insert(std::mem::take(&mut self.topic), LookUp::Failed(error)),
            None => topics.remove(&self.topic),
        };
    }
}

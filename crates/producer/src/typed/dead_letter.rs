//! Dead letters of records that could not be serialized.

use super::TypedProducer;
use super::TypedRecord;
use super::scratch::{Scratch, Seen};
use crate::Error;
use crate::dead_letters::Stage;
use ottla_serialization::{AddedHeaders, Output, Payload, Role, Serializer, Target};
use std::sync::Arc;

/// What writes key and value of a dead letter, where the serializers that they were for did not.
pub(super) struct Salvage<K: ?Sized, V: ?Sized> {
    key: Arc<dyn Serializer<K>>,
    value: Arc<dyn Serializer<V>>,
}

impl<K: ?Sized, V: ?Sized> Clone for Salvage<K, V> {
    fn clone(&self) -> Salvage<K, V> {
        Salvage {
            key: Arc::clone(&self.key),
            value: Arc::clone(&self.value),
        }
    }
}

impl<K: ?Sized, V: ?Sized> TypedProducer<K, V> {
    /// How key and value stand in the [dead letter](crate::DeadLetters) of a record that could not be serialized, where
    /// the serializer that was meant for them fails; without this they are left out. These must be ready at once:
    /// [`JsonSerializer`](crate::serialization::JsonSerializer), for example, which is what
    /// [`configured`](TypedProducer::configured) takes.
    #[must_use]
    pub fn dead_letters_as(
        mut self,
        key: impl Serializer<K> + 'static,
        value: impl Serializer<V> + 'static,
    ) -> TypedProducer<K, V> {
        self.salvage = Some(Salvage {
            key: Arc::new(key),
            value: Arc::new(value),
        });
        self
    }

    /// The error of a record that was not serialized, after a dead letter was made of it, if one is to be.
    #[cold]
    pub(super) fn failed(&self, record: &TypedRecord<'_, K, V>, error: Error) -> Error {
        let Some(queue) = self.producer.dead_letters() else {
            return error;
        };
        let Some(cause) = error.serialize_error().filter(|_| error.is_refused_for_good()) else {
            return error;
        };
        let stage = match cause.role() {
            Some(Role::Key) => Stage::Key,
            _ => Stage::Value,
        };
        let mut scratch = Scratch::take();
        let missing = self.salvaged(record, &mut scratch);
        let error = queue.take(scratch.record(record), None, error, stage, missing);
        scratch.give_back();
        error
    }

    /// Writes what can be written; the names of the others come back.
    fn salvaged(&self, record: &TypedRecord<'_, K, V>, scratch: &mut Scratch) -> Vec<&'static str> {
        let headers = Seen(&record.headers);
        let target = |role| Target::new(record.topic_name(), role).with_headers(&headers);
        let mut missing = Vec::new();
        let more = self.salvage.as_ref();
        let key = more.map(|salvage| &*salvage.key);
        let value = more.map(|salvage| &*salvage.value);
        let Scratch {
            key: key_bytes,
            value: value_bytes,
            added,
            payloads,
        } = scratch;
        payloads.0 = part(
            &target(Role::Key),
            record.key,
            &*self.key,
            key,
            (key_bytes, added),
        )
        .unwrap_or_else(|| {
            missing.push("key");
            Payload::Null
        });
        payloads.1 = part(
            &target(Role::Value),
            record.value,
            &*self.value,
            value,
            (value_bytes, added),
        )
        .unwrap_or_else(|| {
            missing.push("value");
            Payload::Null
        });
        missing
    }
}

/// One part, by the first of the serializers that can.
fn part<T: ?Sized>(
    target: &Target<'_>,
    value: Option<&T>,
    own: &dyn Serializer<T>,
    other: Option<&dyn Serializer<T>>,
    (bytes, added): (&mut Vec<u8>, &mut AddedHeaders),
) -> Option<Payload> {
    for serializer in [Some(own), other].into_iter().flatten() {
        // Nobody is asked for the sake of a dead letter.
        if !serializer
            .prepare(target, value)
            .is_ok_and(|readiness| readiness.is_ready())
        {
            continue;
        }
        bytes.clear();
        let mut headers = AddedHeaders::new();
        let outcome = serializer.serialize(target, value, &mut Output::new(bytes, &mut headers));
        if let Ok(payload) = outcome {
            for (name, value) in headers.iter() {
                added.add(name.to_owned(), value);
            }
            return Some(payload);
        }
    }
    bytes.clear();
    None
}

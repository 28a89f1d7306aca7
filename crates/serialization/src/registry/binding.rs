//! One serializer's schema, tied to the topics that it writes to.

use super::first::{First, Lookup};
use super::flight::Flights;
use super::wire::{Framing, Guid, SchemaId};
use super::{IdForm, Registered, Registry, Schema, SchemaSource, SerializerSettings};
use crate::{ErrorKind, Output, Preparation, Readiness, Role, SerializeError, Target};
use arc_swap::ArcSwap;
use hashbrown::HashMap;
use parking_lot::Mutex;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

/// What a format makes of a schema: parsed, checked, ready to write with.
pub trait Compile: Send + Sync + 'static {
    /// The result.
    type Compiled: Send + Sync + 'static;

    /// Reads a schema that came from the registry, with all that it refers to.
    ///
    /// # Errors
    /// It is none that values can be written with.
    fn compile(&self, schema: &Schema) -> Result<Self::Compiled, SerializeError>;

    /// Checks that what is written with `fetched` is what readers of `own` expect (`latest.compatibility.strict`).
    ///
    /// # Errors
    /// It is not, and where.
    fn check(&self, fetched: &Self::Compiled, own: &Self::Compiled) -> Result<(), SerializeError>;

    /// The name for subject strategies.
    fn record_name(&self, compiled: &Self::Compiled) -> Option<String>;

    /// The path to a Protobuf message; other formats have none.
    fn message_indexes(&self, compiled: &Self::Compiled) -> Option<Vec<u32>> {
        let _ = compiled;
        None
    }
}

/// A schema, or the wish for the latest, tied to topics. Cheap to clone.
///
/// [`find`](Binding::find) is the way of every record: it neither locks nor waits. [`prepare`](Binding::prepare) asks the
/// registry for what is not found there.
pub struct Binding<C: Compile> {
    inner: Arc<Inner<C>>,
}

struct Inner<C: Compile> {
    registry: Registry,
    settings: SerializerSettings,
    own: Option<(Schema, Arc<C::Compiled>)>,
    compile: C,
    /// The topics that came first, which are most programs' only ones.
    first: First<C::Compiled>,
    /// The others.
    later: ArcSwap<Topics<C::Compiled>>,
    /// Held while something is remembered.
    changing: Mutex<()>,
    learning: Flights<(Role, String), ()>,
}

/// Keys and values apart, by topic.
struct Topics<T> {
    of_keys: ByTopic<T>,
    of_values: ByTopic<T>,
}

type ByTopic<T> = HashMap<Box<str>, Arc<Bound<T>>, foldhash::fast::FixedState>;

/// What was learned about a topic: the schema to write with, and what tells readers which one it is.
pub struct Bound<T> {
    framing: Framing,
    compiled: Arc<T>,
    subject: String,
}

impl<T> fmt::Debug for Bound<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bound")
            .field("subject", &self.subject)
            .finish_non_exhaustive()
    }
}

/// What was found; it stays whole for as long as this is held.
pub struct Found<'b, T>(Place<'b, T>);

enum Place<'b, T> {
    First(&'b Bound<T>),
    Later(Arc<Bound<T>>),
}

impl<T> fmt::Debug for Found<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Found").field(&**self).finish()
    }
}

impl<C: Compile> Binding<C> {
    /// Ties `own` schema to the registry; without one, the settings must say where the schema comes from.
    ///
    /// # Errors
    /// The schema cannot be used, or there is none where the settings need one.
    pub fn new(
        registry: Registry,
        settings: SerializerSettings,
        compile: C,
        own: Option<Schema>,
    ) -> Result<Binding<C>, SerializeError> {
        let needs_own = matches!(settings.source, SchemaSource::Register | SchemaSource::LookUp);
        if own.is_none() && needs_own {
            let message =
                "a schema is needed, unless use.latest.version or use.schema.id says where to get one";
            return Err(SerializeError::new(ErrorKind::Schema, message));
        }
        let own = match own {
            Some(schema) => {
                let compiled = Arc::new(compile.compile(&schema)?);
                Some((schema, compiled))
            }
            None => None,
        };
        Ok(Binding {
            inner: Arc::new(Inner {
                registry,
                settings,
                own,
                compile,
                first: First::new(),
                later: ArcSwap::from_pointee(Topics::default()),
                changing: Mutex::new(()),
                learning: Flights::new(),
            }),
        })
    }

    /// What is known of this target.
    #[inline]
    pub fn find(&self, target: &Target<'_>) -> Option<Found<'_, C::Compiled>> {
        match self.inner.first.find(target.role(), target.topic()) {
            Lookup::Found(bound) => Some(Found(Place::First(bound))),
            Lookup::Unknown => None,
            Lookup::Full => self.inner.find_later(target),
        }
    }

    /// As [`find`](Binding::find), for a serializer that cannot go on without.
    ///
    /// # Errors
    /// [`prepare`](Binding::prepare) has not been awaited.
    #[inline]
    pub fn require(&self, target: &Target<'_>) -> Result<Found<'_, C::Compiled>, SerializeError> {
        match self.find(target) {
            Some(found) => Ok(found),
            None => Err(not_ready(target)),
        }
    }

    /// The serializer's own schema, if it has one.
    pub fn own(&self) -> Option<&Arc<C::Compiled>> {
        self.inner.own.as_ref().map(|(_, compiled)| compiled)
    }

    /// Whether the target is known, and otherwise what finds it out. All who prepare for the same wait for the same
    /// requests.
    pub fn prepare(&self, target: &Target<'_>) -> Readiness {
        if self.find(target).is_some() {
            return Readiness::Ready;
        }
        let key = (target.role(), target.topic().to_owned());
        let waiting = self.inner.learning.join(key, || {
            let (inner, topic, role) = (Arc::clone(&self.inner), target.topic().to_owned(), target.role());
            Box::pin(async move {
                let learned = inner.learn(&topic, role).await;
                learned.map_err(|error| error.at(&Target::new(&topic, role)))
            })
        });
        let preparation = Preparation::new(waiting);
        Readiness::Pending(match self.inner.subject(target.topic(), target.role()) {
            Ok(subject) => preparation.about(subject),
            // Waiting tells why there is none.
            Err(_) => preparation,
        })
    }
}

impl<C: Compile> Clone for Binding<C> {
    fn clone(&self) -> Binding<C> {
        Binding {
            inner: Arc::clone(&self.inner),
        }
    }
}

impl<C: Compile> fmt::Debug for Binding<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Binding")
            .field("registry", &self.inner.registry)
            .field("settings", &self.inner.settings)
            .finish_non_exhaustive()
    }
}

impl<T> Default for Topics<T> {
    fn default() -> Topics<T> {
        Topics {
            of_keys: HashMap::default(),
            of_values: HashMap::default(),
        }
    }
}

impl<T> Topics<T> {
    fn of(&self, role: Role) -> &ByTopic<T> {
        match role {
            Role::Key => &self.of_keys,
            Role::Value => &self.of_values,
        }
    }
}

impl<T> Deref for Found<'_, T> {
    type Target = Bound<T>;

    #[inline]
    fn deref(&self) -> &Bound<T> {
        match &self.0 {
            Place::First(bound) => bound,
            Place::Later(bound) => bound,
        }
    }
}

#[cold]
fn not_ready(target: &Target<'_>) -> SerializeError {
    let message = "the schema's id is not known yet: prepare() has to be awaited first";
    SerializeError::new(ErrorKind::NotReady, message).at(target)
}

impl<T> Bound<T> {
    /// The schema to write with.
    pub fn compiled(&self) -> &T {
        &self.compiled
    }

    /// The subject that it belongs to.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// Writes which schema it is; before the payload.
    #[inline]
    pub fn write_id(&self, target: &Target<'_>, output: &mut Output<'_>) {
        self.framing.write(target.role(), output);
    }
}

impl<C: Compile> Inner<C> {
    async fn learn(&self, topic: &str, role: Role) -> Result<(), SerializeError> {
        let subject = self.subject(topic, role)?;
        let (registered, compiled) = self
            .schema(&subject)
            .await
            .map_err(|error| error.with_subject(&subject))?;
        let framing = self.framing(&subject, registered, &compiled).await?;
        self.remember(
            topic,
            role,
            Bound {
                framing,
                compiled,
                subject,
            },
        );
        Ok(())
    }

    fn subject(&self, topic: &str, role: Role) -> Result<String, SerializeError> {
        let own_name = self
            .own
            .as_ref()
            .and_then(|(_, compiled)| self.compile.record_name(compiled));
        let strategy = &self.settings.subject_strategy;
        strategy.subject(topic, role, own_name.as_deref())
    }

    async fn schema(&self, subject: &str) -> Result<(Registered, Arc<C::Compiled>), SerializeError> {
        let (registry, normalize) = (&self.registry, self.settings.normalize);
        let fetched = match (self.settings.source, &self.own) {
            (SchemaSource::Register, Some((schema, compiled))) => {
                let registered = registry.register(subject, schema, normalize).await?;
                return Ok((registered, Arc::clone(compiled)));
            }
            (SchemaSource::LookUp, Some((schema, compiled))) => {
                let registered = registry.look_up(subject, schema, normalize).await?;
                return Ok((registered, Arc::clone(compiled)));
            }
            (SchemaSource::Id(id), _) => registry.by_id(id, subject).await?,
            // `new` saw to it that the other two have a schema.
            (SchemaSource::Latest | SchemaSource::Register | SchemaSource::LookUp, _) => {
                registry.latest(subject).await?
            }
        };
        let compiled = self.compile.compile(&fetched.schema)?;
        if let Some((_, own)) = self
            .own
            .as_ref()
            .filter(|_| self.settings.latest_compatibility_strict)
        {
            self.compile.check(&compiled, own)?;
        }
        Ok((fetched.registered, Arc::new(compiled)))
    }

    async fn framing(
        &self,
        subject: &str,
        registered: Registered,
        compiled: &C::Compiled,
    ) -> Result<Framing, SerializeError> {
        let id = match self.settings.id_form {
            IdForm::Prefix => SchemaId::Id(registered.id),
            IdForm::Header => SchemaId::Guid(self.guid(subject, &registered).await?),
        };
        let indexes = self.compile.message_indexes(compiled);
        Ok(Framing::new(id, indexes.as_deref()))
    }

    /// Some answers leave the GUID out; looking the schema up brings it, if the registry has such a thing.
    async fn guid(&self, subject: &str, registered: &Registered) -> Result<Guid, SerializeError> {
        if let Some(guid) = registered.guid {
            return Ok(guid);
        }
        let found = match &self.own {
            Some((schema, _)) => {
                self.registry
                    .look_up(subject, schema, self.settings.normalize)
                    .await?
            }
            None => self.registry.by_id(registered.id, subject).await?.registered,
        };
        found.guid.ok_or_else(|| {
            let message = "this registry gives no GUIDs, which the header form needs: use the prefix form";
            SerializeError::new(ErrorKind::Refused, message).with_subject(subject)
        })
    }

    #[cold]
    fn find_later(&self, target: &Target<'_>) -> Option<Found<'_, C::Compiled>> {
        let later = self.later.load();
        let bound = later.of(target.role()).get(target.topic())?;
        Some(Found(Place::Later(Arc::clone(bound))))
    }

    fn remember(&self, topic: &str, role: Role, bound: Bound<C::Compiled>) {
        let _changing = self.changing.lock();
        let topics_max = self.settings.topics_max;
        let Some(bound) = self.first.keep(role, topic, bound, topics_max) else {
            return;
        };
        let old = self.later.load();
        let mut of_keys = old.of_keys.clone();
        let mut of_values = old.of_values.clone();
        let changed = match role {
            Role::Key => &mut of_keys,
            Role::Value => &mut of_values,
        };
        if changed.len() >= topics_max {
            changed.clear();
        }
        changed.insert(Box::from(topic), Arc::new(bound));
        self.later.store(Arc::new(Topics { of_keys, of_values }));
    }
}

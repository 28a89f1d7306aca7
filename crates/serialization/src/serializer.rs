//! The trait that all formats implement, and what it is given.

use crate::{AddedHeaders, Headers, SerializeError};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// Turns keys or values of type `T` into bytes.
///
/// A caller that can wait calls [`prepare`](Serializer::prepare), awaits what it returns, and then calls
/// [`serialize`](Serializer::serialize); one that cannot only looks whether it is ready. Serializers are shared between
/// threads.
pub trait Serializer<T: ?Sized>: Send + Sync {
    /// Looks whether everything is known that `serialize` needs for this target. If it is not, what is returned fetches
    /// it when it is awaited; it borrows nothing, so that it can be awaited elsewhere.
    ///
    /// # Errors
    /// What is already known to fail.
    fn prepare(&self, target: &Target<'_>, value: Option<&T>) -> Result<Readiness, SerializeError> {
        let _ = (target, value);
        Ok(Readiness::Ready)
    }

    /// Appends the bytes of `value` to the output. A null value is mostly a null payload, which is not the same as no
    /// bytes.
    ///
    /// # Errors
    /// The value does not fit, or `prepare` was not awaited. What was appended until then is to be thrown away.
    fn serialize(
        &self,
        target: &Target<'_>,
        value: Option<&T>,
        output: &mut Output<'_>,
    ) -> Result<Payload, SerializeError>;

    /// Whether lists leave out the lengths of elements. Java does so for short, integer, long, float, double and UUID,
    /// and for no other serializer (KIP-466), whatever the lengths really are.
    fn is_constant_size(&self) -> bool {
        false
    }
}

impl<T: ?Sized, S: Serializer<T> + ?Sized> Serializer<T> for Arc<S> {
    fn prepare(&self, target: &Target<'_>, value: Option<&T>) -> Result<Readiness, SerializeError> {
        (**self).prepare(target, value)
    }

    fn serialize(
        &self,
        target: &Target<'_>,
        value: Option<&T>,
        output: &mut Output<'_>,
    ) -> Result<Payload, SerializeError> {
        (**self).serialize(target, value, output)
    }

    fn is_constant_size(&self) -> bool {
        (**self).is_constant_size()
    }
}

/// Which part of a record it is.
///
/// Not `non_exhaustive`: a record has these two parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// The key.
    Key,
    /// The value.
    Value,
}

impl Role {
    /// Whether it is the key.
    pub fn is_key(self) -> bool {
        self == Role::Key
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Role::Key => "key",
            Role::Value => "value",
        })
    }
}

/// Where a key or a value goes.
#[derive(Clone, Copy)]
pub struct Target<'a> {
    topic: &'a str,
    role: Role,
    headers: &'a dyn Headers,
}

impl<'a> Target<'a> {
    /// The key or the value of a record for `topic`, without headers.
    pub fn new(topic: &'a str, role: Role) -> Target<'a> {
        Target {
            topic,
            role,
            headers: &(),
        }
    }

    /// With the headers that the record has already.
    #[must_use]
    pub fn with_headers(self, headers: &'a dyn Headers) -> Target<'a> {
        Target { headers, ..self }
    }

    /// The topic's name.
    pub fn topic(&self) -> &'a str {
        self.topic
    }

    /// Which part of the record it is.
    pub fn role(&self) -> Role {
        self.role
    }

    /// The headers that the record has already.
    pub fn headers(&self) -> &'a dyn Headers {
        self.headers
    }
}

impl fmt::Debug for Target<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target")
            .field("topic", &self.topic)
            .field("role", &self.role)
            .finish_non_exhaustive()
    }
}

/// Where a serializer writes: the bytes go behind what the buffer holds already, and headers can be added.
#[derive(Debug)]
pub struct Output<'a> {
    /// The payload is appended here.
    pub bytes: &'a mut Vec<u8>,
    /// Headers to add to the record.
    pub headers: &'a mut AddedHeaders,
}

impl<'a> Output<'a> {
    /// Writes to these.
    pub fn new(bytes: &'a mut Vec<u8>, headers: &'a mut AddedHeaders) -> Output<'a> {
        Output { bytes, headers }
    }
}

/// What a value became.
///
/// Not `non_exhaustive`: Kafka knows these two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a null payload is a tombstone, and no bytes are not"]
pub enum Payload {
    /// Null: as a record's value, a tombstone.
    Null,
    /// The bytes that were appended, perhaps none.
    Bytes,
}

/// Whether a value can be serialized now.
///
/// Not `non_exhaustive`: there is nothing between the two.
#[derive(Debug)]
#[must_use = "what is pending happens only when it is awaited"]
pub enum Readiness {
    /// It can.
    Ready,
    /// First this has to be awaited.
    Pending(Preparation),
}

impl Readiness {
    /// Waits until the value can be serialized.
    ///
    /// # Errors
    /// What it needs cannot be had.
    pub async fn ready(self) -> Result<(), SerializeError> {
        match self {
            Readiness::Ready => Ok(()),
            Readiness::Pending(preparation) => preparation.await,
        }
    }

    /// Whether it can be serialized now.
    pub fn is_ready(&self) -> bool {
        matches!(self, Readiness::Ready)
    }
}

/// Fetches what a serializer needs. It needs no runtime of its own; dropping it loses nothing but the waiting, for the
/// next preparation goes on from there.
#[must_use = "futures do nothing unless they are awaited"]
pub struct Preparation {
    future: Pin<Box<dyn Future<Output = Result<(), SerializeError>> + Send>>,
    subject: Option<String>,
}

impl Preparation {
    /// Waits for this future.
    pub fn new(future: impl Future<Output = Result<(), SerializeError>> + Send + 'static) -> Preparation {
        Preparation {
            future: Box::pin(future),
            subject: None,
        }
    }

    /// Names the registry's subject that is asked about, for who gives up waiting.
    pub fn about(mut self, subject: impl Into<String>) -> Preparation {
        self.subject = Some(subject.into());
        self
    }

    /// The registry's subject that is asked about, if that is known.
    pub fn subject(&self) -> Option<&str> {
        self.subject.as_deref()
    }
}

impl Future for Preparation {
    type Output = Result<(), SerializeError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.future.as_mut().poll(cx)
    }
}

impl fmt::Debug for Preparation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Preparation")
    }
}

//! What the sender wants done.

use crate::Address;
use bytes::Bytes;
use ottla_accumulator::{ClosedBatch, Partition, SealedBatch, Sealer};
use std::sync::Arc;
use std::time::Duration;

/// What the driver has to do for the sender, in order.
#[derive(Debug)]
#[non_exhaustive]
pub enum Action {
    /// Connect to a node, unless a connection stands or is on its way. The driver keeps the reconnect backoff.
    Connect {
        /// The broker's id; negative for a bootstrap server, whose id is not known yet.
        node: i32,
        /// Where it listens now. If that changed, an old connection is of no use.
        address: Address,
    },
    /// End the connection to a node, or the attempt at one. What was under way fails, and
    /// [`Sender::handle_disconnected`](crate::Sender::handle_disconnected) follows.
    Disconnect {
        /// The node.
        node: i32,
    },
    /// Send a request to a node that is ready.
    Send {
        /// The node.
        node: i32,
        /// Comes back with the answer.
        request: Request,
    },
    /// Give all requests that are under way to a node more time: a broker that throttles this client looks at them only when
    /// that is over.
    Extend {
        /// The node.
        node: i32,
        /// How much more.
        by: Duration,
    },
    /// Compress and checksum a batch, here or on another thread: [`SealJob::run`], then
    /// [`Sender::handle_sealed`](crate::Sender::handle_sealed).
    Seal(SealJob),
    /// Everything is resolved after a close: the driver may stop.
    Finished,
}

/// A request without frame and header: those are the connection's.
#[derive(Debug)]
#[non_exhaustive]
pub struct Request {
    /// The sender's name for it.
    pub id: u64,
    /// Which API, as an API key's number.
    pub api_key: i16,
    /// The version that the body is encoded in.
    pub api_version: i16,
    /// Whether that version is flexible, so that the headers carry tagged fields.
    pub flexible: bool,
    /// The body in pieces; those of batches share the accumulator's memory.
    pub body: Vec<Bytes>,
    /// False for Produce with acks=0.
    pub expects_response: bool,
    /// How long the answer may take.
    pub timeout: Duration,
}

/// A batch to be sealed.
#[derive(Debug)]
pub struct SealJob {
    pub(crate) partition: Arc<Partition>,
    /// Boxed, because an [`Action`] should not be as large as a batch.
    pub(crate) batch: Box<ClosedBatch>,
}

impl SealJob {
    /// Bytes to compress: whether the hop to another thread pays depends on it.
    pub fn uncompressed_len(&self) -> usize {
        self.batch.uncompressed_len()
    }

    /// What to report in place of a result if [`SealJob::run`] panicked: the batch's deliveries have failed with it.
    pub fn lost(&self) -> Sealed {
        Sealed {
            slot: self.partition.slot(),
            batch: None,
        }
    }

    /// Does the work.
    pub fn run(self, sealer: &mut Sealer) -> Sealed {
        let batch = sealer.seal(*self.batch, self.partition.compression_ratio());
        Sealed {
            slot: self.partition.slot(),
            batch,
        }
    }
}

/// A finished [`SealJob`].
#[derive(Debug)]
pub struct Sealed {
    pub(crate) slot: usize,
    /// `None` if the codec failed: the deliveries know it already.
    pub(crate) batch: Option<SealedBatch>,
}

//! The producer's core and the in-memory brokers under one seed and a virtual clock.
//!
//! # What is real and what is simulated
//! Real: the `Handle` with its futures, the sender, the accumulator, the partitioner, the numbering, the connection
//! states, and the brokers' core. Simulated: time, threads, the network's bytes, and the users. A seed decides all of
//! it, so that a seed that fails can be looked at again, as often as it takes.
//!
//! ```text
//!  users ──> Handle ─ Sender ──> Network ──> links (delay, loss, cuts) ──> Cluster (three brokers)
//!    │                  │ wire: reads each request and answer               │ logs
//!    └── ledger ────────┴──────────────── oracle: the logs against the ledger ┘
//! ```
//!
//! # What is checked
//! - after every event: no delivery is overdue, memory in use is what is held and no more than allowed, no send, flush
//!   or close waits beyond its time, the sender does not spin, nobody waits for memory that is free or is overtaken;
//! - on the wire, from the bytes alone: sequences without gaps, one identity for a record unless it is certainly not in
//!   the log, retries with the same bytes and in order, no new epoch without a gap, limits of requests in flight, and
//!   their timeouts;
//! - at the end: each acked record is in the log once, at its offset, in order, with its own bytes; what failed as not
//!   persisted is absent; what is possibly persisted is there at most once; after trouble everything works again;
//! - of transactions: all of what was committed is seen and nothing of what was aborted, offsets of groups go with them, who
//!   was fenced by a twin commits no more, and nobody else comes to an end. Whose producer is at its end makes another.
//!
//! Users act in the middle of the sender's work, too, at marked points, as other threads would.
//! A seed that has fewer than 2,000 records, 5 faults or 60 virtual seconds fails. Built without `--cfg ottla_mutants`, as
//! in this page's example, there are no points: `cargo xtask sim` builds with it. What the checks are worth is measured
//! by planted bugs, see `docs/mutants.md`.
//!
//! The same seed gives the same [`Course::hash`].
//!
//! ```
//! let course = ottla_simulation::run(7, false);
//! assert_eq!(course.failure, None);
//! assert_eq!(course.hash, ottla_simulation::run(7, false).hash);
//! ```

mod call;
mod client;
mod counters;
mod crowd;
mod desk;
mod executor;
mod ledger;
mod link;
mod markers;
mod numbering;
mod oracle;
mod payload;
mod plan;
mod queue;
mod scenario;
mod throttles;
mod topics;
mod trace;
mod transactions;
mod user;
mod wire;
mod world;

pub use counters::Counters;
pub use world::{Course, run};

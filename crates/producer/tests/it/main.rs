//! The producer against a cluster in memory, over real sockets.

mod exactly_once;
mod faults;
mod life;
mod metrics;
mod real;
mod records;
mod sasl;
mod support;
mod transactions;
mod typed;

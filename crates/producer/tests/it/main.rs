//! The producer against a cluster in memory, over real sockets.

mod faults;
mod life;
mod records;
mod support;
mod transactions;

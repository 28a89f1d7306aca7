//! The sender driven by hand: no sockets, no runtime, time moved by the test.

mod answers;
mod delivery;
mod idempotence;
mod isolation;
mod metadata;
mod partitioning;
mod rebootstrap;
mod refused;
mod scenarios;
mod telemetry;
mod transactions;
mod trouble;
mod world;

//! A program that meets anything while it commits: calls in any order, lost answers, faults, timeouts, a successor under
//! the same id, and restarts, against a coordinator that is a model. What a commit said has to be true there.
//!
//! The model is that of the crate's own tests.

use crate::within;

#[path = "../../crates/transactions/tests/it/model.rs"]
mod model;

/// The manager keeps one transaction, whatever happens; the model keeps the numbers of all.
const MEMORY_BYTES: usize = 256 * 1024;

/// One input: each pair of bytes is something that happens.
pub fn run(input: &[u8]) {
    within(MEMORY_BYTES + 256 * input.len(), || {
        model::run(input);
    });
}

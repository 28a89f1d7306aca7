//! Clients, faults and troubles of every kind against the in-memory broker's core.
//!
//! An input is a cluster and a list of operations. After each of them the logs are looked at from outside: offsets are
//! dense, no sequence of a producer stands there twice, what was acknowledged under acks=all stands where it was said to
//! stand, all markers of a transaction are of one kind, and readers see what a scan of the log says they should. At the end
//! the cluster heals and time passes: then no transaction hangs, and no request either.

mod checks;
mod operation;
mod world;

use arbitrary::Unstructured;

use crate::within;
use operation::Operation;
use world::World;

/// What a cluster with its small limits may hold: logs, events, and what waits.
const MEMORY_BYTES: usize = 4 * 1024 * 1024;

/// Longer inputs find nothing that shorter ones do not.
const OPERATIONS_MAX: usize = 400;

/// One input.
pub fn run(input: &[u8]) {
    within(MEMORY_BYTES + 256 * input.len(), || {
        let mut input = Unstructured::new(input);
        let Ok(mut world) = World::arbitrary(&mut input) else {
            return;
        };
        let print = std::env::var_os("OTTLA_FUZZ_PRINT").is_some();
        for _ in 0..OPERATIONS_MAX {
            if input.is_empty() {
                break;
            }
            let Ok(operation) = Operation::arbitrary(&mut input) else {
                break;
            };
            if print {
                eprintln!("{operation:?}");
            }
            world.run(&operation);
            world.check();
        }
        world.heal();
        world.check();
        world.check_healed();
    });
}

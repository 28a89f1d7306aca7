//! Planted bugs: each is switched on in a process of its own, and has to be found by what is checked from outside.
//!
//! Prints a table in Markdown, which docs/mutants.md shows. That a process panics or hangs can be seen from outside, too; most are found by what they do to records.

use std::fmt;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

/// A mutant has to be found within so many seeds.
pub(crate) const SEEDS_MAX: u64 = 10_000;
/// So much is shown of what a check said.
const SHOWN_LEN_MAX: usize = 110;

/// The bugs, by what they do; the code names them where they stand. First those of the core, then those of transactions.
pub(crate) const MUTANTS: &[&str] = &[
    // Memory and deliveries.
    "a batch that expires in flight is let go",
    "batch counted as complete twice",
    "delivery resolved and not woken",
    "flush misses the parts of a split",
    "lost wake-up of the sender",
    "lost wake-up of who waits for memory",
    "memory for who comes last",
    "memory of a cancelled wait is lost",
    "offset of the batch for all of it",
    "split loses a record",
    "split reorders",
    // Order and identity.
    "a new epoch does not begin at 0",
    "batches for a topic that was deleted are overtaken",
    "expiry forgets the gap in the numbering",
    "five in flight before the first ack",
    "more than five in flight",
    "new epoch although an earlier batch is only late",
    "new epoch while the old one is in flight",
    "retry behind later batches",
    "retry under new numbers",
    "sequence used again",
    "what may be in the log is numbered anew",
    // What is told.
    "a broker's timeout is taken for an ack",
    "a lost leadership proves that nothing was appended",
    "the answer of another partition is taken",
    "unknown is told as not persisted",
    "what an answer leaves out is taken for acked",
    "what expires in flight is told as not persisted",
    // Time and limits.
    "close forgets what is being compressed",
    "expiry drops",
    "leader hints of a deleted topic are taken",
    "leader hints of any age are taken",
    "linger never ends",
    "max.in.flight is not kept",
    "nothing ever expires",
    "requests never time out",
    "retry without backoff",
    "throttling is not kept",
    // Transactions.
    "a batch that fails during an abort ends the producer",
    "a commit without an answer is told as failed",
    "a coordinator that moved is asked again",
    "a fenced producer takes its id back",
    "abort after a commit that may be done",
    "abort while a batch is on its way",
    "commit before all is acked",
    "commit is done whatever the answer",
    "commit with failed records",
    "concurrent transactions end the producer",
    "fenced is tried again",
    "fencing by a timeout ends the producer",
    "late EndTxn ends the next transaction",
    "no AddPartitionsToTxn under protocol 1",
    "no new epoch after a gap",
    "offsets outside of the transaction",
    "records go in behind a commit",
    "the epoch of EndTxn is not taken",
    "what is incomplete is asked before whether the transaction ends",
];

/// What became of one.
struct Hunt {
    mutant: &'static str,
    /// The seed and what it said.
    found: Option<(u64, String)>,
    took: Duration,
}

/// Plants one bug after the other. `only` picks those whose name has it.
pub(crate) fn hunt(seeds: u64, only: Option<&str>) -> ExitCode {
    if !cfg!(ottla_mutants) {
        eprintln!(
            "error: no bugs are compiled in: cargo xtask sim --mutants builds the simulation with them"
        );
        return ExitCode::FAILURE;
    }
    let mutants = MUTANTS
        .iter()
        .filter(|mutant| only.is_none_or(|only| mutant.contains(only)));
    println!("| what is planted | found in seed | after | what the check says |\n|---|---|---|---|");
    let mut missed = Vec::new();
    let mut count = 0;
    for &mutant in mutants {
        count += 1;
        match search(mutant, seeds) {
            Ok(hunt) => {
                println!("{hunt}");
                if hunt.found.is_none() {
                    missed.push(mutant);
                }
            }
            Err(error) => {
                eprintln!("error: {mutant}: {error}");
                missed.push(mutant);
            }
        }
    }
    println!("{count} mutants, {} not found", missed.len());
    for mutant in &missed {
        println!("not found: {mutant}");
    }
    if missed.is_empty() && count > 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Runs seeds with the bug until one fails. The bug gets a process of its own: one that spins or eats the memory ends
/// with it.
fn search(mutant: &'static str, seeds: u64) -> std::io::Result<Hunt> {
    let start = Instant::now();
    let output = Command::new(std::env::current_exe()?)
        .args(["--plant", mutant, "--seeds", &seeds.to_string()])
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let found = text.lines().find_map(|line| {
        let (seed, what) = line.strip_prefix("seed ")?.split_once(" fails: ")?;
        Some((seed.parse().ok()?, what.to_owned()))
    });
    if found.is_none() && !output.status.success() {
        let error = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(std::io::Error::other(error));
    }
    Ok(Hunt {
        mutant,
        found,
        took: start.elapsed(),
    })
}

impl fmt::Display for Hunt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let took = self.took.as_secs_f64();
        match &self.found {
            Some((seed, what)) => {
                let mut shown: String = what.chars().take(SHOWN_LEN_MAX).collect();
                if shown.len() < what.len() {
                    shown.push('…');
                }
                write!(f, "| {} | {seed} | {took:.1} s | {shown} |", self.mutant)
            }
            None => write!(f, "| {} | NOT FOUND | {took:.1} s | |", self.mutant),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    /// Names of bugs in the sources below `folder`.
    fn planted(folder: &Path, names: &mut Vec<String>) {
        for entry in std::fs::read_dir(folder).expect("a folder of sources") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                planted(&path, names);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let source = std::fs::read_to_string(&path).expect("a source");
                let pieces = source.split("mutant!(\"").skip(1);
                names.extend(pieces.filter_map(|piece| Some(piece.split_once('"')?.0.to_owned())));
            }
        }
    }

    #[test]
    fn every_bug_of_the_table_is_in_the_code_and_every_one_in_the_code_is_in_the_table() {
        let mut names = Vec::new();
        for folder in ["accumulator", "network", "sender", "transactions"] {
            let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
            planted(&crates.join(folder).join("src"), &mut names);
        }
        names.sort();
        names.dedup();
        let mut listed: Vec<&str> = MUTANTS.to_vec();
        listed.sort_unstable();
        assert_eq!(names, listed);
    }
}

//! The same requests go to the core and to a real Kafka, and everything that is told has to be the same.
//!
//! The requests come from a seed. The real Kafka is the one that `OTTLA_KAFKA_BOOTSTRAP` names.

mod batches;
mod configured;
mod each_version;
mod groups;
mod idempotence;
mod identities;
mod readers;
mod topics;
mod transactions;
mod versions;

use crate::link::{Core, Link, Socket};
use crate::session::Session;
use ottla_broker::ClusterConfig;
use std::sync::{Mutex, PoisonError};

/// One script at a time: Kafka asks the coordinator about the batches of several connections in one request, and then
/// answers all of them in the words that one of them understands.
static REAL: Mutex<()> = Mutex::new(());

/// How many differences are shown; in a script that goes on from one, those behind it may follow from it.
const DIFFERENCES_MAX: usize = 20;

/// Runs a script against both, and compares what they wrote down.
pub(crate) fn compare(script: impl Script) {
    let Some(bootstrap) = bootstrap() else {
        return;
    };
    let _alone = REAL.lock().unwrap_or_else(PoisonError::into_inner);
    let mut real = Session::new(Socket::new(&bootstrap));
    script.run(&mut real);
    let mut core = Session::new(Core::new(ClusterConfig::default()));
    script.run(&mut core);
    let both = || real.lines.iter().zip(&core.lines);
    if let Some(first) = both().position(|(real, core)| real != core) {
        let before = real.lines[first.saturating_sub(40)..first].join("\n");
        let differ = both().filter(|(real, core)| real != core).take(DIFFERENCES_MAX);
        let differences: String = differ
            .map(|(real, core)| format!("\nKafka: {real}\nours:  {core}"))
            .collect();
        panic!("{before}{differences}");
    }
    assert_eq!(real.lines.len(), core.lines.len());
}

fn bootstrap() -> Option<String> {
    let Ok(servers) = std::env::var("OTTLA_KAFKA_BOOTSTRAP") else {
        assert!(
            std::env::var_os("CI").is_none(),
            "CI is set, and OTTLA_KAFKA_BOOTSTRAP is not"
        );
        println!("SKIPPED: OTTLA_KAFKA_BOOTSTRAP does not name a Kafka");
        return None;
    };
    servers.split(',').next().map(str::to_owned)
}

/// A sequence of requests that is the same for every broker.
pub(crate) trait Script {
    fn run<L: Link>(&self, session: &mut Session<L>);
}

/// The seeds that are tried: a few, or those up to what `OTTLA_BROKER_SEEDS` says.
pub(crate) fn seeds() -> std::ops::Range<u64> {
    let count =
        std::env::var("OTTLA_BROKER_SEEDS").map_or(4, |count| count.parse().expect("a number of seeds"));
    0..count
}

/// Topics and transactional ids of one test: a name that nobody else uses.
pub(crate) fn unique(name: &str, seed: u64) -> String {
    #[expect(
        clippy::disallowed_methods,
        reason = "the real Kafka remembers the names of earlier runs"
    )]
    let nanos = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .expect("after 1970")
        .as_nanos();
    format!("broker-{name}-{seed}-{}-{nanos}", std::process::id())
}

/// Every version that 4.3 takes.
pub(crate) const PRODUCE_VERSIONS: std::ops::RangeInclusive<i16> = 3..=13;

//! Which node meets what, and for how long: all of it follows from a seed.

use std::fmt;
use std::time::Duration;

use fastrand::Rng;

/// What happens to a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// `kill -9`: its connections break; it starts again after a while.
    Kill,
    /// SIGSTOP and, after a while, SIGCONT: its connections stay, and nothing answers.
    Freeze,
    /// SIGTERM, and it starts again as soon as it is gone.
    Restart,
}

/// One fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) kind: Kind,
    /// From 1.
    pub(super) node: usize,
    /// How long the node is dead or frozen, beside what its start takes.
    pub(super) hold: Duration,
}

/// How many nodes there are. One at a time may be away: two of three keep the quorum, and two replicas in sync.
pub(super) const NODES: usize = 3;

/// A node that is away for less than this may be missed by nobody: the broker's session lasts 4 s.
const HOLD_MS_MIN: u64 = 500;

/// Faults without end.
#[derive(Debug)]
pub(super) struct Schedule {
    random: Rng,
    /// The kinds that are still to come of this round: each comes once in three faults.
    round: Vec<Kind>,
    hold_ms_max: u64,
}

impl Schedule {
    pub(super) fn new(seed: u64, hold_max: Duration) -> Self {
        Self {
            random: Rng::with_seed(seed),
            round: Vec::new(),
            hold_ms_max: u64::try_from(hold_max.as_millis()).unwrap_or(u64::MAX),
        }
    }
}

impl Iterator for Schedule {
    type Item = Fault;

    fn next(&mut self) -> Option<Fault> {
        if self.round.is_empty() {
            self.round = vec![Kind::Kill, Kind::Freeze, Kind::Restart];
            self.random.shuffle(&mut self.round);
        }
        let kind = self.round.pop()?;
        let hold = Duration::from_millis(self.random.u64(HOLD_MS_MIN..=self.hold_ms_max));
        Some(Fault {
            kind,
            node: self.random.usize(1..=NODES),
            hold: if kind == Kind::Restart {
                Duration::ZERO
            } else {
                hold
            },
        })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (node, seconds) = (self.node, self.hold.as_secs_f32());
        match self.kind {
            Kind::Kill => write!(f, "node {node} is killed and away for {seconds:.1} s"),
            Kind::Freeze => write!(f, "node {node} is frozen for {seconds:.1} s"),
            Kind::Restart => write!(f, "node {node} is restarted"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_faults_and_all_kinds() {
        let some = |seed| -> Vec<_> {
            Schedule::new(seed, Duration::from_secs(10))
                .take(30)
                .collect::<Vec<_>>()
        };
        assert_eq!(some(7), some(7));
        assert_ne!(some(7), some(8));
        for round in some(7).chunks(3) {
            for kind in [Kind::Kill, Kind::Freeze, Kind::Restart] {
                assert!(round.iter().any(|fault| fault.kind == kind), "{round:?}");
            }
        }
        assert!((1..=NODES).all(|node| some(7).iter().any(|fault| fault.node == node)));
        assert!(some(7).iter().all(|fault| fault.hold <= Duration::from_secs(10)));
    }
}

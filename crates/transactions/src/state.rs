//! Where a transactional producer stands: the one table of what may happen when.

use ottla_time::mutant;
use std::fmt;

/// Where a transactional producer stands.
///
/// Every change there is; the test `the_diagram_is_the_table` writes this from [`State::after`].
///
/// ```text
/// Uninitialized ──init──► Initializing
/// Initializing ──identified──► Ready
/// Initializing ──refused──► Uninitialized
/// Ready ──begin──► Open
/// Open ──commit──► Committing
/// Open ──abort──► Aborting
/// Open ──failed──► MustAbort
/// Committing ──ended──► Ready
/// Committing ──ended, renew──► Recovering
/// Committing ──failed──► MustAbort
/// Aborting ──ended──► Ready
/// Aborting ──ended, renew──► Recovering
/// Recovering ──identified──► Ready
/// MustAbort ──abort──► Aborting
/// any ──killed──► Fatal
/// ```
///
/// Exhaustive on purpose: who drives this by hand has to decide about each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum State {
    /// No producer id yet, and none asked for.
    Uninitialized,
    /// The coordinator is being asked for the producer id; it ends what a predecessor left open.
    Initializing,
    /// There is no transaction.
    Ready,
    /// A transaction takes records and offsets.
    Open,
    /// The commit was asked for; until the coordinator has answered, its outcome is unknown.
    Committing,
    /// The abort was asked for.
    Aborting,
    /// The transaction has ended, and the producer gets a new epoch before the next one (KIP-360).
    Recovering,
    /// The transaction cannot be committed any more.
    MustAbort,
    /// The producer is at its end.
    Fatal,
}

/// What can happen to a transactional producer.
///
/// Exhaustive on purpose, as [`State`] is: it is the other side of the same table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// The application initialises.
    Init,
    /// The coordinator gave the identity.
    Identified,
    /// The coordinator gives no identity as things are; it may later.
    Refused,
    /// The application begins a transaction.
    Begin,
    /// The application commits, for the first time or again.
    Commit,
    /// The application aborts, for the first time or again.
    Abort,
    /// The transaction has ended as was asked for.
    Ended,
    /// It has, and the identity is used up.
    EndedRenew,
    /// Something of the transaction failed that can only be aborted. What comes too late for that changes nothing.
    Failed,
    /// Something failed that ends the producer.
    Killed,
}

impl State {
    /// All states.
    pub const ALL: [State; 9] = [
        State::Uninitialized,
        State::Initializing,
        State::Ready,
        State::Open,
        State::Committing,
        State::Aborting,
        State::Recovering,
        State::MustAbort,
        State::Fatal,
    ];

    /// The state after an event; `None` if the event is illegal here. This is the table.
    pub fn after(self, event: Event) -> Option<State> {
        use Event::{Abort, Begin, Commit, Ended, EndedRenew, Failed, Identified, Init, Killed, Refused};
        use State::{
            Aborting, Committing, Fatal, Initializing, MustAbort, Open, Ready, Recovering, Uninitialized,
        };
        Some(match (self, event) {
            (_, Killed) => Fatal,

            (Uninitialized | Initializing, Init) => Initializing,
            (Initializing, Identified) => Ready,
            (Initializing, Refused) => Uninitialized,

            (Ready, Begin) => Open,

            (Open | Committing, Commit) => Committing,
            (Open | MustAbort | Aborting, Abort) => Aborting,

            (Committing | Aborting, Ended) => Ready,
            (Committing | Aborting, EndedRenew) => Recovering,
            (Recovering, Identified) => Ready,

            (Open | Committing, Failed) => MustAbort,
            (Aborting, Failed) if mutant!("a batch that fails during an abort ends the producer") => Fatal,
            // A batch of a transaction that is aborted anyway, or was (KAFKA-14830, KAFKA-14831).
            (_, Failed) => self,

            (_, Init | Identified | Refused | Begin | Commit | Abort | Ended | EndedRenew) => return None,
        })
    }

    /// Whether a transaction is open, or on its way to its end.
    pub fn is_in_transaction(self) -> bool {
        matches!(
            self,
            State::Open | State::Committing | State::Aborting | State::MustAbort
        )
    }
}

impl Event {
    /// All events.
    pub const ALL: [Event; 10] = [
        Event::Init,
        Event::Identified,
        Event::Refused,
        Event::Begin,
        Event::Commit,
        Event::Abort,
        Event::Ended,
        Event::EndedRenew,
        Event::Failed,
        Event::Killed,
    ];
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            State::Uninitialized => "not initialised",
            State::Initializing => "being initialised",
            State::Ready => "without a transaction",
            State::Open => "in a transaction",
            State::Committing => "committing",
            State::Aborting => "aborting",
            State::Recovering => "getting a new epoch",
            State::MustAbort => "in a transaction that must be aborted",
            State::Fatal => "at its end",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(event: Event) -> &'static str {
        match event {
            Event::Init => "init",
            Event::Identified => "identified",
            Event::Refused => "refused",
            Event::Begin => "begin",
            Event::Commit => "commit",
            Event::Abort => "abort",
            Event::Ended => "ended",
            Event::EndedRenew => "ended, renew",
            Event::Failed => "failed",
            Event::Killed => "killed",
        }
    }

    /// The lines of the diagram above [`State`], written from the table.
    #[test]
    fn the_diagram_is_the_table() {
        let mut expected = Vec::new();
        for state in State::ALL {
            for event in Event::ALL.into_iter().filter(|event| *event != Event::Killed) {
                if let Some(next) = state.after(event).filter(|next| *next != state) {
                    expected.push(format!("{state:?} ──{}──► {next:?}", name(event)));
                }
            }
        }
        expected.push("any ──killed──► Fatal".to_owned());
        let source = include_str!("state.rs");
        let drawn: Vec<&str> = source
            .lines()
            .filter_map(|line| line.strip_prefix("/// "))
            .filter(|line| line.contains("──►"))
            .collect();
        assert_eq!(drawn, expected);
    }

    /// Every event in every state: `-` is illegal, a letter is the state it leads to.
    #[test]
    fn every_event_in_every_state() {
        let letter = |state: Option<State>| match state {
            None => '-',
            Some(State::Uninitialized) => 'U',
            Some(State::Initializing) => 'I',
            Some(State::Ready) => 'R',
            Some(State::Open) => 'O',
            Some(State::Committing) => 'C',
            Some(State::Aborting) => 'A',
            Some(State::Recovering) => 'N',
            Some(State::MustAbort) => 'M',
            Some(State::Fatal) => 'F',
        };
        // Columns: Init, Identified, Refused, Begin, Commit, Abort, Ended, EndedRenew, Failed, Killed.
        let expected = [
            (State::Uninitialized, "I-------UF"),
            (State::Initializing, "IRU-----IF"),
            (State::Ready, "---O----RF"),
            (State::Open, "----CA--MF"),
            (State::Committing, "----C-RNMF"),
            (State::Aborting, "-----ARNAF"),
            (State::Recovering, "-R------NF"),
            (State::MustAbort, "-----A--MF"),
            (State::Fatal, "--------FF"),
        ];
        for ((state, row), listed) in expected.into_iter().zip(State::ALL) {
            assert_eq!(state, listed);
            let found: String = Event::ALL
                .into_iter()
                .map(|event| letter(state.after(event)))
                .collect();
            assert_eq!(found, row, "{state:?}");
        }
    }
}

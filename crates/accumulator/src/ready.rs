//! What the sender is told about a partition.

/// How soon the sender has to look at a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Urgency {
    /// A batch was opened: its linger has to be timed.
    Linger,
    /// A batch is full.
    Ready,
}

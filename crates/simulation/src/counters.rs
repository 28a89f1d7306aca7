//! How often what happened: a campaign in which something never happened has not tested it.

use std::fmt;

macro_rules! counters {
    ($($name:ident: $text:literal,)*) => {
        /// Counts of one seed, or of many.
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub struct Counters {
            $(#[doc = $text] pub $name: u64,)*
        }

        impl Counters {
            /// Adds those of another seed.
            pub fn add(&mut self, other: &Counters) {
                $(self.$name += other.$name;)*
            }

            /// Each with its name.
            pub fn all(&self) -> Vec<(&'static str, u64)> {
                vec![$(($text, self.$name),)*]
            }
        }
    };
}

counters! {
    interruptions: "points in the sender's work at which users acted",
    records: "records sent",
    acked: "records acked",
    failed_not_persisted: "records failed, not persisted",
    failed_possibly_persisted: "records failed, possibly persisted",
    never_queued: "records never queued",
    sends_cancelled: "sends cancelled",
    deliveries_dropped: "deliveries dropped",
    memory_waits: "memory waits",
    memory_timeouts: "memory timeouts",
    metadata_waits: "metadata waits",
    try_refused: "try_send refused for now",
    committed: "transactions committed",
    aborted: "transactions not committed",
    empty_transactions: "transactions without records",
    ended_1: "transactions ended under protocol 1",
    ended_2: "transactions ended under protocol 2",
    lost_inits: "InitProducerId without an answer",
    lost_additions: "AddPartitionsToTxn without an answer",
    lost_offsets: "offsets of a transaction without an answer",
    lost_ends: "EndTxn without an answer",
    late_ends_1: "EndTxn that came after the next begin, protocol 1",
    late_ends_2: "EndTxn that came after the next begin, protocol 2",
    late_ends_open: "EndTxn that came while the next was open at the coordinator",
    coordinator_refusals: "requests that were refused because a coordinator was not there",
    held: "transactions held back until the markers of the one before are written",
    transactional_splits: "parts of split batches of transactions",
    offsets_sent: "groups' offsets sent with a transaction",
    twins: "twins of a transactional producer",
    transactional_ends: "transactional producers at their end",
    restarts: "transactional producers that followed another",
    flushes: "flushes",
    flushes_dropped: "flushes dropped",
    closes_in_trouble: "closes in trouble",
    batches: "batches written",
    retries: "retries",
    pipelined: "batches behind others in flight",
    expiries: "expiries",
    expiries_in_flight: "expiries in flight",
    epoch_bumps: "epoch bumps",
    too_large: "batches refused as too large",
    splits: "parts of split batches",
    sealed: "batches compressed",
    out_of_order: "out of order answers",
    duplicates: "duplicates recognised",
    lost_responses: "responses lost",
    late_arrivals: "requests that came after their connection's end",
    half_open: "half-open connections",
    stalls: "stalled links",
    resets: "connection resets in the middle",
    partial_writes: "writes cut short",
    dials_failed: "dials failed",
    request_timeouts: "request timeouts",
    error_answers: "error codes answered",
    garbage: "answers of garbage",
    throttles: "throttles",
    leader_moves: "leader moves",
    leader_hints: "leader hints",
    truncations: "truncations",
    topics_recreated: "topics deleted and created anew under a Produce by id",
    outlived: "batches refused by a deleted topic, after another was acked when the next topic was known",
    outlived_hints: "leader hints of a deleted topic, when the next topic was known",
    partitions_grown: "topics that got more partitions",
    sequence_wraps: "sequences that began again after the last",
    new_producer_ids: "producer ids whose epochs were used up",
    kills: "brokers killed",
    freezes: "brokers frozen",
    stale_metadata: "brokers with stale metadata",
    limits_lowered: "message limits lowered",
    replicas_out: "replicas out of sync",
    wall_jumps: "jumps of the wall clock",
    faults: "faults",
    events: "events",
}

impl fmt::Display for Counters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, count) in self.all() {
            writeln!(f, "{count:>14}  {name}")?;
        }
        Ok(())
    }
}

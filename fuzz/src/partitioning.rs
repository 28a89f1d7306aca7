//! Any records and any topics through all partitioners, and the sticky partition against a model of Java's rules.

use std::time::Duration;

use arbitrary::{Arbitrary as _, Result, Unstructured};
use ottla_partitioning::{
    Choice, DefaultPartitioner, Keyless, Librdkafka, LibrdkafkaScheme, LoadTable, OnAppend, PartitionLoad,
    Partitioner, RecordView, RoundRobin, TopicState, TopicView,
};

/// One input: what [`Unstructured`] makes of it.
pub fn run(input: &[u8]) {
    // Too short an input is none.
    let _ = operations(&mut Unstructured::new(input));
}

/// What Java's sticky partitioner remembers.
#[derive(Debug, PartialEq)]
struct Model {
    partition: Option<i32>,
    bytes: u64,
    batch_size: u64,
}

fn operations(input: &mut Unstructured<'_>) -> Result<()> {
    let batch_size = u16::arbitrary(input)?;
    let seed = u64::arbitrary(input)?;
    let state = TopicState::new(usize::from(batch_size), seed);
    // The same seed, the same calls: the same choices.
    let twin = TopicState::new(usize::from(batch_size), seed);
    let (mut model, mut twin_model) = (Model::new(batch_size), Model::new(batch_size));
    let mut table = LoadTable::new();
    let mut count = 1;
    let mut available = vec![0];
    while !input.is_empty() {
        match input.int_in_range(0..=3)? {
            0 => {
                count = i32::from(i8::arbitrary(input)?);
                let mask = u128::arbitrary(input)?;
                available = (0..count.max(1))
                    .filter(|partition| mask >> partition & 1 == 1)
                    .collect();
            }
            1 => {
                let timeout = Duration::from_millis(u64::from(u8::arbitrary(input)?));
                let loads: Vec<(u32, u8)> = Vec::arbitrary(input)?;
                let loads = loads
                    .into_iter()
                    .zip(0..)
                    .map(|((queued_batches, stalled), partition)| PartitionLoad {
                        partition,
                        queued_batches,
                        stalled: Duration::from_millis(u64::from(stalled)),
                    });
                table.rebuild(count, timeout, loads);
                assert!(table.weights().all(|(_, weight)| weight > 0));
            }
            2 => {
                let key = Option::arbitrary(input)?;
                partition(
                    &RecordView::new("topic").key(key),
                    &TopicView::new(count, &available),
                    &state,
                    &twin,
                );
            }
            _ => {
                let topic = TopicView::new(count, &available).load(Some(&table));
                let (bytes, boundaries) = <(u16, [bool; 2])>::arbitrary(input)?;
                append(&mut model, &state, &topic, u64::from(bytes), boundaries);
                append(&mut twin_model, &twin, &topic, u64::from(bytes), boundaries);
                assert_eq!(model, twin_model);
            }
        }
    }
    Ok(())
}

impl Model {
    fn new(batch_size: u16) -> Model {
        Model {
            partition: None,
            bytes: 0,
            batch_size: u64::from(batch_size).max(1),
        }
    }

    fn move_to(&mut self, partition: i32, topic: &TopicView<'_>) {
        topic.check(partition).expect("it exists");
        assert!(
            topic.is_available(partition) || topic.available().is_empty(),
            "it has a leader, if any has"
        );
        self.partition = Some(partition);
        self.bytes = 0;
    }

    fn is_due(&self, at_boundary: bool) -> bool {
        (self.bytes >= self.batch_size && at_boundary) || self.bytes >= 2 * self.batch_size
    }
}

/// One record without a key: at a boundary or not before it, and after.
fn append(model: &mut Model, state: &TopicState, topic: &TopicView<'_>, bytes: u64, boundaries: [bool; 2]) {
    let sticky = state.sticky();
    let mut partition = sticky.current(topic);
    let kept = model
        .partition
        .filter(|&kept| topic.is_available(kept) || (topic.available().is_empty() && topic.contains(kept)));
    match kept {
        Some(kept) => assert_eq!(partition, kept, "it stays while it can"),
        None => model.move_to(partition, topic),
    }
    let due = model.is_due(boundaries[0]);
    assert_eq!(sticky.before_append(partition, boundaries[0], topic), !due);
    if due {
        partition = sticky.current(topic);
        model.move_to(partition, topic);
        assert!(
            sticky.before_append(partition, boundaries[0], topic),
            "it ends after one move"
        );
    }
    model.bytes += bytes;
    let found = sticky.on_append(partition, bytes as usize, boundaries[1], topic);
    if model.is_due(boundaries[1]) {
        assert_eq!(found, OnAppend::Moved);
        model.move_to(sticky.current(topic), topic);
    } else {
        assert_eq!(found, OnAppend::Stays);
    }
}

fn partition(record: &RecordView<'_>, topic: &TopicView<'_>, state: &TopicState, twin: &TopicState) {
    let librdkafka = LibrdkafkaScheme::ALL.map(|scheme| Librdkafka::new(scheme).keyless(Keyless::Random));
    let own: [&dyn Partitioner; 3] = [
        &DefaultPartitioner::new(),
        &DefaultPartitioner::new().ignore_keys(true),
        &RoundRobin,
    ];
    for partitioner in own.into_iter().chain(
        librdkafka
            .iter()
            .map(|partitioner| partitioner as &dyn Partitioner),
    ) {
        let choice = partitioner.partition(record, topic, state);
        assert_eq!(choice, partitioner.partition(record, topic, twin));
        if let Choice::Partition(partition) = choice {
            topic.check(partition).expect("it exists");
        }
    }
    if let Choice::Partition(partition) = RoundRobin.partition(record, topic, state) {
        assert!(topic.is_available(partition) || topic.available().is_empty());
        RoundRobin.partition(record, topic, twin);
    }
}

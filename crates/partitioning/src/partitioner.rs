//! The decision itself.

use crate::{RecordView, TopicState, TopicView};

/// Decides which partition a record goes to.
///
/// It is called on the thread that sends, for each record that does not name its partition, so it should not allocate,
/// lock or wait. It is shared by all threads and topics; what has to be remembered of a topic is in the [`TopicState`].
///
/// ```
/// use ottla_partitioning::{Choice, Partitioner, RecordView, TopicState, TopicView};
///
/// /// Sends everything that is urgent to partition 0, and lets the rest be spread.
/// struct UrgentFirst;
///
/// impl Partitioner for UrgentFirst {
///     fn partition(&self, record: &RecordView<'_>, _topic: &TopicView<'_>, _state: &TopicState) -> Choice {
///         let mut headers = (0..record.headers.count()).filter_map(|index| record.headers.header(index));
///         if headers.any(|(name, _)| name == "urgent") { Choice::Partition(0) } else { Choice::Sticky }
///     }
/// }
///
/// let headers: &[(&str, Option<&[u8]>)] = &[("urgent", None)];
/// let record = RecordView::new("alarms").headers(&headers);
/// let (topic, state) = (TopicView::new(3, &[0, 1, 2]), TopicState::new(16_384, 1));
/// assert_eq!(UrgentFirst.partition(&record, &topic, &state), Choice::Partition(0));
/// ```
pub trait Partitioner: Send + Sync {
    /// The partition of `record`. The caller checks it with [`TopicView::check`].
    fn partition(&self, record: &RecordView<'_>, topic: &TopicView<'_>, state: &TopicState) -> Choice;
}

/// What a [`Partitioner`] decided. It is exhaustive: a client that overlooks one of the two has no partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// This partition.
    Partition(i32),
    /// Any: the built-in sticky choice decides ([`crate::StickyPartition`]; Java's `UNKNOWN_PARTITION`).
    Sticky,
}

impl<P: Partitioner + ?Sized> Partitioner for std::sync::Arc<P> {
    fn partition(&self, record: &RecordView<'_>, topic: &TopicView<'_>, state: &TopicState) -> Choice {
        (**self).partition(record, topic, state)
    }
}

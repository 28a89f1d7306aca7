//! The end of a seed: what is in the logs, against what the producer said. It knows nothing of how the producer works.

use crate::ledger::{Entry, State};
use crate::payload::Payload;
use crate::scenario::Promise;
use ottla_sender::Persistence;
use std::collections::{BTreeMap, BTreeSet};

/// A record in a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Logged {
    pub(crate) offset: i64,
    /// Which record it says it is; `None` for an empty one.
    pub(crate) number: Option<u32>,
    /// Whether its bytes are those of the record that it says it is.
    pub(crate) intact: bool,
}

/// The logs by topic and partition, each in the order of offsets. One for each topic of that name that there was: the last
/// is there now, the others were deleted with theirs.
pub(crate) type Logs = BTreeMap<(u8, i32), Vec<Vec<Logged>>>;

/// Compares; an error says what does not hold.
pub(crate) fn check(entries: &[Entry], logs: &Logs, promise: Promise) -> Result<(), String> {
    let mut seen = vec![0_u32; entries.len()];
    for ((topic, partition), log) in each(logs) {
        check_log(entries, (topic, partition), log, promise, &mut seen)?;
    }
    for (number, entry) in entries.iter().enumerate() {
        check_entry(number, entry, seen[number], logs, promise)?;
    }
    check_nameless(entries, logs, promise)?;
    check_acked_order(entries, logs, promise)
}

/// What stands in a log belongs there, and in this order.
fn check_log(
    entries: &[Entry],
    (topic, partition): (u8, i32),
    log: &[Logged],
    promise: Promise,
    seen: &mut [u32],
) -> Result<(), String> {
    let mut last: Option<(u64, u32)> = None;
    let mut here = BTreeSet::new();
    for record in log {
        let at = format!("{topic}/{partition} offset {}", record.offset);
        let Some(number) = record.number else { continue };
        let Some(entry) = entries.get(number as usize) else {
            return Err(format!("{at}: a record {number} that nobody sent"));
        };
        if !record.intact {
            return Err(format!("{at}: record {number} has other bytes than were sent"));
        }
        if entry.state == State::NeverQueued || entry.state == State::Sending {
            return Err(format!(
                "{at}: record {number} was never queued ({:?})",
                entry.state
            ));
        }
        if entry.payload.topic != topic || entry.partition != partition {
            let (topic, partition) = (entry.payload.topic, entry.partition);
            return Err(format!("{at}: record {number} belongs to {topic}/{partition}"));
        }
        seen[number as usize] += 1;
        if promise != Promise::ExactlyOnce {
            continue;
        }
        if !here.insert(number) {
            return Err(format!(
                "{at}: record {number} is there twice ({:?})",
                entry.state
            ));
        }
        if let Some((order, before)) = last
            && entry.order < order
        {
            return Err(format!(
                "{at}: record {number} stands behind the later record {before}"
            ));
        }
        last = Some((entry.order, number));
    }
    Ok(())
}

/// What the producer said of a record holds.
fn check_entry(number: usize, entry: &Entry, seen: u32, logs: &Logs, promise: Promise) -> Result<(), String> {
    let place = (entry.payload.topic, entry.partition);
    match &entry.state {
        State::Sending => Err(format!("record {number}: its send never returned")),
        State::Queued => Err(format!("record {number}: its delivery never resolved")),
        State::NeverQueued | State::Unwatched => Ok(()),
        State::Acked { offset } => {
            let kept = matches!(promise, Promise::ExactlyOnce | Promise::AtLeastOnce);
            if !kept {
                return Ok(());
            }
            if seen == 0 && !entry.payload.is_nameless() {
                return Err(format!(
                    "record {number} was acked ({place:?} offset {offset:?}) and is lost"
                ));
            }
            let Some(offset) = offset else { return Ok(()) };
            let at_offset = |log: &Vec<Logged>| {
                let at = log.binary_search_by_key(offset, |record| record.offset).ok();
                at.map(|at| log[at])
            };
            let found: Vec<Logged> = logs
                .get(&place)
                .into_iter()
                .flatten()
                .filter_map(at_offset)
                .collect();
            let expected = (!entry.payload.is_nameless()).then_some(number as u32);
            if found.iter().any(|found| found.number == expected) {
                return Ok(());
            }
            Err(format!(
                "record {number} was acked with {place:?} offset {offset}, where {found:?} stands"
            ))
        }
        State::Failed {
            persistence: Persistence::NotPersisted,
        } if seen > 0 => Err(format!(
            "record {number} failed as not persisted, and is in the log {place:?}"
        )),
        State::Failed {
            persistence: Persistence::Persisted,
        } if seen == 0 && !entry.payload.is_nameless() => Err(format!(
            "record {number} failed as persisted, and is not in the log {place:?}"
        )),
        State::Failed { .. } => Ok(()),
    }
}

/// Empty records have no name: they are counted, and no two share an offset.
fn check_nameless(entries: &[Entry], logs: &Logs, promise: Promise) -> Result<(), String> {
    if promise != Promise::ExactlyOnce {
        return Ok(());
    }
    let mut most: BTreeMap<(u8, i32), usize> = BTreeMap::new();
    let mut offsets: BTreeMap<(u8, i32), Vec<i64>> = BTreeMap::new();
    for entry in entries.iter().filter(|entry| entry.payload.is_nameless()) {
        let place = (entry.payload.topic, entry.partition);
        match entry.state {
            State::NeverQueued
            | State::Failed {
                persistence: Persistence::NotPersisted,
            } => continue,
            State::Acked { offset: Some(offset) } => offsets.entry(place).or_default().push(offset),
            _ => {}
        }
        *most.entry(place).or_default() += 1;
    }
    for (place, log) in each(logs) {
        let count = log.iter().filter(|record| record.number.is_none()).count();
        let most = most.get(&place).copied().unwrap_or(0);
        if count > most {
            return Err(format!(
                "{place:?} has {count} empty records, at most {most} can be there"
            ));
        }
    }
    for (place, mut offsets) in offsets {
        if was_recreated(logs, place) {
            continue;
        }
        let count = offsets.len();
        offsets.sort_unstable();
        offsets.dedup();
        if offsets.len() != count {
            return Err(format!("{place:?}: two empty records were acked with one offset"));
        }
    }
    Ok(())
}

/// The offsets that were told rise with the order of the appends.
fn check_acked_order(entries: &[Entry], logs: &Logs, promise: Promise) -> Result<(), String> {
    // With acks=1 an offset that was lost with its leader is given again.
    if !matches!(promise, Promise::ExactlyOnce | Promise::AtLeastOnce) {
        return Ok(());
    }
    let mut acked: Vec<(u8, i32, u64, i64)> = entries
        .iter()
        .filter_map(|entry| match entry.state {
            State::Acked { offset: Some(offset) }
                if !was_recreated(logs, (entry.payload.topic, entry.partition)) =>
            {
                Some((entry.payload.topic, entry.partition, entry.order, offset))
            }
            _ => None,
        })
        .collect();
    acked.sort_unstable();
    for pair in acked.windows(2) {
        let same = (pair[0].0, pair[0].1) == (pair[1].0, pair[1].1);
        if same && pair[0].3 >= pair[1].3 {
            return Err(format!(
                "{}/{}: offset {} was acked before offset {}",
                pair[0].0, pair[0].1, pair[0].3, pair[1].3
            ));
        }
    }
    Ok(())
}

/// Every log, those of deleted topics too.
fn each(logs: &Logs) -> impl Iterator<Item = ((u8, i32), &Vec<Logged>)> {
    logs.iter()
        .flat_map(|(&place, logs)| logs.iter().map(move |log| (place, log)))
}

/// Whether its offsets began anew.
fn was_recreated(logs: &Logs, place: (u8, i32)) -> bool {
    logs.get(&place).is_some_and(|logs| logs.len() > 1)
}

/// Reads a record of a log.
pub(crate) fn read(
    entries: &[Entry],
    offset: i64,
    record: &ottla_protocol::records::RecordView<'_>,
) -> Logged {
    let number = Payload::number_of(record.value);
    let intact = match number {
        Some(number) => entries
            .get(number as usize)
            .is_some_and(|entry| entry.payload.matches(record)),
        None => true,
    };
    Logged {
        offset,
        number,
        intact,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ottla_time::Time;

    /// Ten records of partition 0, the first six acked at their offsets, then one of each other fate.
    fn honest() -> (Vec<Entry>, Logs) {
        let failed = |persistence| State::Failed { persistence };
        let mut states: Vec<State> = (0..6)
            .map(|offset| State::Acked { offset: Some(offset) })
            .collect();
        states.push(failed(Persistence::NotPersisted));
        states.push(failed(Persistence::PossiblyPersisted));
        states.push(State::NeverQueued);
        states.push(State::Unwatched);
        let entries = states.into_iter().zip(0..).map(|(state, number)| Entry {
            payload: Payload {
                number,
                topic: 0,
                partition: None,
                len: 20,
                has_key: false,
                has_header: false,
            },
            state,
            partition: 0,
            order: u64::from(number) + 1,
            appended_at: Time::ZERO,
            delivery: None,
        });
        let numbers = [0, 1, 2, 3, 4, 5, 7, 9];
        let log = numbers.iter().zip(0..).map(|(&number, offset)| Logged {
            offset,
            number: Some(number),
            intact: true,
        });
        (entries.collect(), Logs::from([((0, 0), vec![log.collect()])]))
    }

    fn verdict(lie: impl FnOnce(&mut Vec<Entry>, &mut Vec<Logged>)) -> Result<(), String> {
        let (mut entries, mut logs) = honest();
        lie(&mut entries, &mut logs.get_mut(&(0, 0)).expect("the one log")[0]);
        check(&entries, &logs, Promise::ExactlyOnce)
    }

    fn caught(what: &str, lie: impl FnOnce(&mut Vec<Entry>, &mut Vec<Logged>)) {
        let error = verdict(lie).expect_err(what);
        assert!(error.contains(what), "{error:?} does not say {what:?}");
    }

    #[test]
    fn the_truth_is_taken() {
        verdict(|_, _| {}).expect("all of it holds");
    }

    #[test]
    fn planted_lies_are_caught() {
        caught("is lost", |_, log| {
            log.remove(2);
        });
        caught("is there twice", |_, log| {
            let again = Logged { offset: 8, ..log[1] };
            log.push(again);
        });
        caught("stands behind the later record", |_, log| {
            (log[3].number, log[4].number) = (log[4].number, log[3].number);
        });
        caught("was acked with", |entries, _| {
            entries[3].state = State::Acked { offset: Some(4) }
        });
        caught("is lost", |entries, _| {
            entries[6].state = State::Acked { offset: None }
        });
        caught("failed as not persisted", |entries, _| {
            entries[7].state = State::Failed {
                persistence: Persistence::NotPersisted,
            };
        });
        caught("was never queued", |_, log| log[6].number = Some(8));
        caught("belongs to", |entries, _| entries[9].partition = 1);
        caught("other bytes", |_, log| log[0].intact = false);
        caught("nobody sent", |_, log| log[0].number = Some(77));
        caught("never resolved", |entries, _| entries[9].state = State::Queued);
        caught("never returned", |entries, _| entries[8].state = State::Sending);
    }

    #[test]
    fn empty_records_are_counted() {
        let nameless = |entries: &mut Vec<Entry>, log: &mut Vec<Logged>, number: usize| {
            entries[number].payload.len = 0;
            log[number].number = None;
        };
        verdict(|entries, log| nameless(entries, log, 2)).expect("one acked, one there");
        caught("empty records", |entries, log| {
            nameless(entries, log, 2);
            log.push(Logged {
                offset: 8,
                number: None,
                intact: true,
            });
        });
        caught("one offset", |entries, log| {
            nameless(entries, log, 2);
            nameless(entries, log, 3);
            entries[3].state = State::Acked { offset: Some(2) };
        });
    }

    #[test]
    fn without_idempotence_a_record_may_be_there_twice_but_not_be_lost() {
        let (entries, mut logs) = honest();
        let log = &mut logs.get_mut(&(0, 0)).expect("the one log")[0];
        log.push(Logged { offset: 8, ..log[1] });
        check(&entries, &logs, Promise::AtLeastOnce).expect("twice is allowed");
        logs.get_mut(&(0, 0)).expect("the one log")[0].remove(2);
        check(&entries, &logs, Promise::AtLeastOnce).expect_err("record 2 is lost");
    }

    #[test]
    fn a_topic_that_was_recreated_has_two_logs_and_each_keeps_its_order() {
        let (entries, mut logs) = honest();
        let logs_of = logs.get_mut(&(0, 0)).expect("the one log");
        let logged = |number: u32, offset| Logged {
            offset,
            number: Some(number),
            intact: true,
        };
        // What was appended before the deletion, and not answered, is sent again.
        logs_of.push(vec![logged(7, 0), logged(9, 1)]);
        check(&entries, &logs, Promise::ExactlyOnce).expect("once in each");
        logs.get_mut(&(0, 0)).expect("the log")[1].reverse();
        check(&entries, &logs, Promise::ExactlyOnce).expect_err("the order of the second");
        logs.get_mut(&(0, 0)).expect("the log")[1] = vec![logged(7, 0), logged(7, 1)];
        check(&entries, &logs, Promise::ExactlyOnce).expect_err("twice in one of them");
    }
}

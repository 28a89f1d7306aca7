//! What users do: bursts of records, flushes, and the close.

use crate::desk::{Desk, GRACE, Manner};
use crate::scenario::{RECORDS_MIN, Scenario, chance};
use fastrand::Rng;
use ottla_time::Time;
use std::rc::Rc;
use std::time::Duration;

/// Some records one after the other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Burst {
    pub(crate) at: Time,
    pub(crate) count: u32,
    pub(crate) pause: Duration,
    pub(crate) manner: Manner,
}

/// A seed that takes this long is closed whatever is missing.
const CLOSE_AT_LATEST: Time = Time::from_millis(170_000);
/// How often is looked whether there is nothing left to wait for.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// So many records come after an early close.
const LATE_RECORDS: u32 = 150;
/// Pauses make a burst no longer than this.
const BURST_MAX: Duration = Duration::from_secs(4);

/// Draws the bursts of a seed: all of its records, spread over the time of trouble, or until the close.
pub(crate) fn bursts(scenario: &Scenario, until: Time, random: &mut Rng) -> Vec<Burst> {
    let end = Time::ZERO + scenario.trouble;
    // Who closes early has some users who do not know.
    let late = if until < end { LATE_RECORDS } else { 0 };
    let mut left = scenario.records + late;
    let mut bursts = Vec::new();
    let careless = chance(random, 30);
    while left > 0 {
        let topic = random.usize(..scenario.topics.len());
        let records = match random.u32(..100) {
            ..40 => random.u32(1..=10),
            40..85 => random.u32(10..=80),
            _ => random.u32(80..=300),
        };
        let records = records.min(left);
        left -= records;
        // Where a topic is to get more partitions, some ask for the next one, and wait for it.
        let count = scenario.topics[topic].1 + i32::from(scenario.growths > 0);
        let partition = chance(random, 30).then(|| random.i32(0..count));
        let value_len = match random.u32(..100) {
            ..70 => random.usize(10..=200),
            70..95 => random.usize(100..=1_000),
            _ => random.usize(500..=scenario.value_len_max.max(501)),
        };
        let (from, to) = if left < late {
            (until, end)
        } else {
            (Time::ZERO, until)
        };
        let at = from + to.since(from).mul_f64(random.f64());
        // Some send at once, and stand behind each other.
        let crowd = if chance(random, 15) {
            random.u32(2..=8).min(records)
        } else {
            1
        };
        let count = records / crowd;
        left += records - count * crowd;
        let burst = Burst {
            at,
            count,
            pause: if chance(random, 50) {
                Duration::ZERO
            } else {
                Duration::from_micros(random.u64(1..40_000)).min(BURST_MAX / count)
            },
            manner: Manner {
                topic,
                partition,
                keyed: chance(random, 30),
                value_len,
                tries: chance(random, 20),
                cancels: if chance(random, 30) { 40 } else { 0 },
                drops: if careless && chance(random, 30) { 15 } else { 0 },
            },
        };
        bursts.extend((0..crowd).map(|_| burst));
    }
    bursts
}

/// Sends a burst.
pub(crate) async fn send_burst(desk: Rc<Desk>, burst: Burst) {
    desk.sleep_until(burst.at).await;
    for _ in 0..burst.count {
        desk.send(burst.manner).await;
        desk.breathe().await;
        if !burst.pause.is_zero() {
            desk.sleep_until(desk.now() + burst.pause).await;
        }
    }
}

/// Flushes, and looks whether everything that was there before is resolved when it ends.
pub(crate) async fn flush(desk: Rc<Desk>, at: Time, patience: Option<Duration>) {
    desk.sleep_until(at).await;
    desk.counters.borrow_mut().flushes += 1;
    let mark = desk.ledger.borrow().appended();
    let flushed = desk.handle().flush();
    let start = desk.now();
    let limit = patience.unwrap_or(desk.delivery_timeout + GRACE);
    match desk.until(start + limit, flushed).await {
        Some(()) => check_flushed(&desk, mark),
        None if patience.is_some() => desk.counters.borrow_mut().flushes_dropped += 1,
        None => desk.fail(format!(
            "a flush of {start} still waits after delivery.timeout.ms"
        )),
    }
}

fn check_flushed(desk: &Desk, mark: u64) {
    let ledger = desk.ledger.borrow();
    let waits = ledger.entries.iter().enumerate().find(|(_, entry)| {
        let before = entry.order > 0 && entry.order <= mark;
        before
            && entry
                .delivery
                .as_ref()
                .is_some_and(|delivery| !delivery.is_resolved())
    });
    if let Some((number, _)) = waits {
        desk.fail(format!(
            "a flush ended before record {number}, which came before it"
        ));
    }
}

/// Closes, and looks whether everything is resolved when that ends. `at_any_time` closes in the middle of a transaction,
/// too, once enough was sent.
pub(crate) async fn close(desk: Rc<Desk>, at: Time, timeout: Duration, at_any_time: bool) {
    desk.sleep_until(at).await;
    // Memory may be short, and transactions go at a pace of their own.
    let may = |desk: &Desk| match at_any_time {
        true => desk.records() >= RECORDS_MIN,
        false => desk.done.get(),
    };
    while !may(&desk) && desk.now() < CLOSE_AT_LATEST {
        desk.sleep_until(desk.now() + LOOK_EVERY).await;
    }
    desk.closing.set(true);
    // Who waits for another producer waits in vain.
    desk.restarted(None);
    let closed = desk.handle().close(timeout);
    let start = desk.now();
    if desk.until(start + timeout + GRACE, closed).await.is_none() {
        return desk.fail(format!(
            "a close of {start} with a timeout of {timeout:?} still waits"
        ));
    }
    check_flushed(&desk, u64::MAX);
}

/// Sends one record to each partition. After trouble these must be acked, if they count.
pub(crate) async fn probe(desk: Rc<Desk>, at: Time, counts: bool) {
    desk.sleep_until(at).await;
    // With small batches, one in flight at a time, what came in trouble may take long.
    let busy = |desk: &Desk| desk.waiting_for_memory.get() > 0 || desk.ledger.borrow().unresolved > 0;
    while counts && busy(&desk) && desk.now() < CLOSE_AT_LATEST {
        desk.sleep_until(desk.now() + LOOK_EVERY).await;
    }
    for topic in 0..desk.topics.len() {
        for partition in 0..desk.topics[topic].1 {
            let partition = Some(partition);
            if counts {
                let number = desk.ledger.borrow().next_number();
                desk.probes.borrow_mut().push(number);
            }
            desk.send(Manner {
                topic,
                partition,
                keyed: false,
                value_len: 20,
                tries: false,
                cancels: 0,
                drops: 0,
            })
            .await;
        }
    }
    if counts {
        desk.done.set(true);
    }
}

//! Many seeds on all cores.

use crate::arguments::Arguments;
use ottla_simulation::{Counters, Course, run};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// So many failing seeds say enough.
pub(crate) const FAILURES_SHOWN_MAX: usize = 10;
/// Each of so many seeds is run twice, and has to go the same way.
const REPEATED_EVERY: u64 = 50;

/// So often is looked for seeds that hang. What hangs cannot be ended but with the process.
const WATCH_EVERY: Duration = Duration::from_millis(100);
/// A seed takes some hundredths of a second: one that is still there at so many looks hangs. Looks are counted, not
/// seconds: a machine that stood still is no reason.
const LOOKS_MAX: u32 = 1_200;
/// The same with a planted bug: of those many do hang.
const LOOKS_MAX_PLANTED: u32 = 200;

/// What came of many seeds.
#[derive(Debug, Default)]
pub(crate) struct Campaign {
    counters: Counters,
    seeds: u64,
    repeated: u64,
    failures: Vec<(u64, String)>,
    virtual_time: Duration,
    /// The least that a seed did.
    least: Option<Least>,
    took: Duration,
}

/// What a seed has at least, each by itself.
#[derive(Clone, Copy, Debug)]
struct Least {
    records: u64,
    faults: u64,
    lasted: Duration,
}

impl Least {
    fn min(self, other: Least) -> Least {
        Least {
            records: self.records.min(other.records),
            faults: self.faults.min(other.faults),
            lasted: self.lasted.min(other.lasted),
        }
    }
}

impl Campaign {
    /// Runs seeds until all are done, time is over, or so many have failed.
    pub(crate) fn run(arguments: &Arguments, failures_max: usize) -> Campaign {
        let start = Instant::now();
        let next = AtomicU64::new(0);
        let failed = AtomicUsize::new(0);
        let all = Mutex::new(Campaign::default());
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let watch = Watch::new(threads);
        let looks_max = if arguments.plant.is_some() {
            LOOKS_MAX_PLANTED
        } else {
            LOOKS_MAX
        };
        // Panics are failures of their seed; the default hook would print them among the report.
        std::panic::set_hook(Box::new(|_| {}));
        let work = |thread: usize| {
            let mut own = Campaign::default();
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                let over = arguments.time_max.is_some_and(|max| start.elapsed() > max);
                if index >= arguments.seeds || over || failed.load(Ordering::Relaxed) >= failures_max {
                    break;
                }
                let seed = arguments.first.wrapping_add(index);
                watch.begins(thread, seed);
                if !own.run_seed(seed) {
                    failed.fetch_add(1, Ordering::Relaxed);
                }
            }
            watch.ends(thread);
            // A panic is caught in its seed, so nobody leaves the lock poisoned.
            if let Ok(mut all) = all.lock() {
                all.add(own);
            }
        };
        std::thread::scope(|scope| {
            for thread in 0..threads {
                let work = &work;
                scope.spawn(move || work(thread));
            }
            scope.spawn(|| watch.look(looks_max));
        });
        drop(std::panic::take_hook());
        let mut campaign = all.into_inner().unwrap_or_default();
        campaign.failures.sort();
        campaign.took = start.elapsed();
        campaign
    }

    /// False if the seed fails.
    fn run_seed(&mut self, seed: u64) -> bool {
        let course = caught(seed);
        self.seeds += 1;
        self.counters.add(&course.counters);
        self.virtual_time += course.lasted;
        if course.failure.is_none() {
            self.note_least(Least {
                records: course.counters.records,
                faults: course.counters.faults,
                lasted: course.lasted,
            });
        }
        let mut failure = course.failure;
        if seed.is_multiple_of(REPEATED_EVERY) && failure.is_none() {
            self.repeated += 1;
            if caught(seed).hash != course.hash {
                failure = Some("it went another way when it was run again".to_owned());
            }
        }
        let Some(failure) = failure else { return true };
        self.failures.push((seed, failure));
        false
    }

    fn note_least(&mut self, seed: Least) {
        self.least = Some(self.least.map_or(seed, |least| least.min(seed)));
    }

    fn add(&mut self, other: Campaign) {
        if let Some(least) = other.least {
            self.note_least(least);
        }
        self.counters.add(&other.counters);
        self.seeds += other.seeds;
        self.repeated += other.repeated;
        self.virtual_time += other.virtual_time;
        self.failures.extend(other.failures);
    }

    pub(crate) fn seeds(&self) -> u64 {
        self.seeds
    }

    pub(crate) fn is_green(&self) -> bool {
        self.failures.is_empty()
    }

    /// What never happened.
    pub(crate) fn silent_counters(&self) -> Vec<&'static str> {
        let all = self.counters.all().into_iter();
        all.filter(|(_, count)| *count == 0)
            .map(|(name, _)| name)
            .collect()
    }
}

/// What each thread is at, and how often it was seen there.
struct Watch(Vec<Mutex<At>>);

#[derive(Clone, Copy)]
enum At {
    Start,
    Seed(u64, u32),
    End,
}

impl Watch {
    fn new(threads: usize) -> Watch {
        Watch((0..threads).map(|_| Mutex::new(At::Start)).collect())
    }

    fn set(&self, thread: usize, at: At) {
        // Nobody panics while it is locked.
        if let Ok(mut place) = self.0[thread].lock() {
            *place = at;
        }
    }

    fn begins(&self, thread: usize, seed: u64) {
        self.set(thread, At::Seed(seed, 0));
    }

    fn ends(&self, thread: usize) {
        self.set(thread, At::End);
    }

    /// Looks on until all have ended. Ends the process if a seed hangs.
    fn look(&self, looks_max: u32) {
        let look = |place: &Mutex<At>| {
            let mut at = place.lock().ok()?;
            if let At::Seed(_, looks) = &mut *at {
                *looks += 1;
            }
            Some(*at)
        };
        loop {
            let mut all_ended = true;
            for at in self.0.iter().filter_map(look) {
                all_ended &= matches!(at, At::End);
                if let At::Seed(seed, looks) = at
                    && looks > looks_max
                {
                    let real_time = WATCH_EVERY * looks_max;
                    println!("seed {seed} fails: it hangs: no end after {real_time:?} of real time");
                    println!("  again: cargo xtask sim --seed {seed} --trace");
                    std::process::exit(1);
                }
            }
            if all_ended {
                return;
            }
            std::thread::sleep(WATCH_EVERY);
        }
    }
}

/// Runs a seed; a panic is its failure.
fn caught(seed: u64) -> Course {
    catch_unwind(AssertUnwindSafe(|| run(seed, false))).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
        Course {
            counters: Counters::default(),
            hash: 0,
            lasted: Duration::ZERO,
            failure: Some(format!("a panic: {}", text.unwrap_or_default())),
        }
    })
}

impl fmt::Display for Campaign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.counters)?;
        for (seed, failure) in &self.failures {
            writeln!(f, "seed {seed} fails: {failure}")?;
            writeln!(f, "  again: cargo xtask sim --seed {seed} --trace")?;
        }
        if let Some(least) = self.least {
            writeln!(
                f,
                "each seed has at least {} records, {} faults and {:.1} s of virtual time",
                least.records,
                least.faults,
                least.lasted.as_secs_f64()
            )?;
        }
        let seconds = self.took.as_secs_f64().max(1e-9);
        writeln!(
            f,
            "{} seeds, {} failed, {} run twice; {:.0} hours of virtual time in {seconds:.1} s: {:.1} seeds/s",
            self.seeds,
            self.failures.len(),
            self.repeated,
            self.virtual_time.as_secs_f64() / 3_600.0,
            self.seeds as f64 / seconds,
        )
    }
}

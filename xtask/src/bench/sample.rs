//! What a run measured, and how it is kept: a line of JSON for each sample, the machine's first.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use super::case::{Case, Metric};
use super::client::Client;

/// What a client's program prints.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Report {
    /// Name and version.
    pub(super) client: String,
    pub(super) records: u64,
    pub(super) seconds: f64,
    pub(super) cpu_seconds: f64,
    pub(super) user_seconds: f64,
    pub(super) system_seconds: f64,
    pub(super) resident_bytes_max: u64,
    pub(super) failed: u64,
    #[serde(default)]
    pub(super) latency_us: Option<BTreeMap<String, f64>>,
    pub(super) settings: String,
}

/// One client, once, in one case.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Sample {
    pub(super) case: String,
    pub(super) client: String,
    pub(super) round: usize,
    /// How many others wanted a core: the machine's load over the last minute, when the client began.
    pub(super) load: f64,
    /// What a cache line took from one thread to another one and back, just before.
    #[serde(default)]
    pub(super) round_trip_ns: f64,
    /// `None` if the client did not come to an end; then `error` says why.
    pub(super) report: Option<Report>,
    #[serde(default)]
    pub(super) error: Option<String>,
}

/// Where and from what the samples are.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Machine {
    pub(super) processor: String,
    pub(super) cores: usize,
    pub(super) memory_bytes: u64,
    pub(super) system: String,
    pub(super) rustc: String,
    pub(super) commit: String,
    /// The command that measured, for others to repeat.
    pub(super) command: String,
    /// Clients that could not be built here, and why.
    pub(super) missing: BTreeMap<String, String>,
    /// Allocations for each record, by what is done with its delivery.
    #[serde(default)]
    pub(super) allocations: BTreeMap<String, f64>,
}

/// All of it.
#[derive(Debug, Default)]
pub(super) struct Run {
    pub(super) machine: Machine,
    pub(super) samples: Vec<Sample>,
}

/// Median, least and greatest of some numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Spread {
    pub(super) median: f64,
    pub(super) least: f64,
    pub(super) greatest: f64,
}

impl Spread {
    /// `None` of no numbers.
    pub(super) fn of(numbers: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut numbers: Vec<f64> = numbers.into_iter().collect();
        numbers.sort_by(f64::total_cmp);
        let middle = numbers.len() / 2;
        let upper = *numbers.get(middle)?;
        let median = if numbers.len() % 2 == 1 {
            upper
        } else {
            f64::midpoint(upper, numbers[middle - 1])
        };
        Some(Self {
            median,
            least: *numbers.first()?,
            greatest: *numbers.last()?,
        })
    }
}

impl Run {
    /// Reads what [`Run::line`] wrote.
    pub(super) fn read(file: &Path) -> anyhow::Result<Self> {
        let text = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        let mut lines = text.lines();
        let machine = serde_json::from_str(lines.next().unwrap_or_default()).context("the machine's line")?;
        let samples = lines.map(serde_json::from_str).collect::<Result<_, _>>();
        Ok(Self {
            machine,
            samples: samples.context("a sample's line")?,
        })
    }

    /// One line of the file.
    pub(super) fn line(value: &impl Serialize) -> anyhow::Result<String> {
        Ok(serde_json::to_string(value)? + "\n")
    }

    /// How many rounds each case that was run has at least.
    pub(super) fn rounds(&self) -> usize {
        let mut rounds: BTreeMap<&str, usize> = BTreeMap::new();
        for sample in &self.samples {
            let most = rounds.entry(&sample.case).or_default();
            *most = (*most).max(sample.round + 1);
        }
        rounds.into_values().min().unwrap_or(0)
    }

    /// The reports of a client in a case.
    pub(super) fn reports<'a>(&'a self, case: &'a Case, client: Client) -> impl Iterator<Item = &'a Report> {
        let of = move |sample: &&Sample| sample.case == case.name && sample.client == client.name();
        self.samples
            .iter()
            .filter(of)
            .filter_map(|sample| sample.report.as_ref())
    }

    /// Why a client has no sample in a case, as far as it was tried.
    pub(super) fn error(&self, case: &Case, client: Client) -> Option<&str> {
        let of = |sample: &&Sample| sample.case == case.name && sample.client == client.name();
        self.samples
            .iter()
            .filter(of)
            .find_map(|sample| sample.error.as_deref())
    }

    /// CPU for each record, in ns.
    pub(super) fn cpu(&self, case: &Case, client: Client) -> Option<Spread> {
        Spread::of(
            self.reports(case, client)
                .map(|report| report.cpu_seconds * 1e9 / report.records as f64),
        )
    }

    /// Records a second.
    pub(super) fn rate(&self, case: &Case, client: Client) -> Option<Spread> {
        Spread::of(
            self.reports(case, client)
                .map(|report| report.records as f64 / report.seconds),
        )
    }

    /// How many cores were busy for the client.
    pub(super) fn cores(&self, case: &Case, client: Client) -> Option<Spread> {
        Spread::of(
            self.reports(case, client)
                .map(|report| report.cpu_seconds / report.seconds),
        )
    }

    /// The most memory that was resident, in bytes.
    pub(super) fn resident(&self, case: &Case, client: Client) -> Option<Spread> {
        Spread::of(
            self.reports(case, client)
                .map(|report| report.resident_bytes_max as f64),
        )
    }

    /// A percentile of the latency, in µs: `p50`, `p99`.
    pub(super) fn latency(&self, case: &Case, client: Client, percentile: &str) -> Option<Spread> {
        let of = |report: &Report| report.latency_us.as_ref()?.get(percentile).copied();
        Spread::of(self.reports(case, client).filter_map(of))
    }

    /// What the case is about.
    pub(super) fn metric(&self, case: &Case, client: Client) -> Option<Spread> {
        match case.metric {
            Metric::Cpu => self.cpu(case, client),
            Metric::Rate => self.rate(case, client),
            Metric::Latency => self.latency(case, client, "p50"),
        }
    }

    /// The load of the machine, over all samples.
    pub(super) fn load(&self) -> Option<Spread> {
        Spread::of(self.samples.iter().map(|sample| sample.load))
    }

    /// The way between two threads and back, over all samples.
    pub(super) fn round_trip_ns(&self) -> Option<Spread> {
        Spread::of(self.samples.iter().map(|sample| sample.round_trip_ns))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        let median = |numbers: &[f64]| Spread::of(numbers.iter().copied()).map(|spread| spread.median);
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0]), Some(3.0));
        assert_eq!(median(&[4.0, 1.0]), Some(2.5));
        assert_eq!(median(&[9.0, 1.0, 4.0]), Some(4.0));
    }
}

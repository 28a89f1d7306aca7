//! All sensors of one producer.

use crate::samples::{Samples, Windows};
use crate::{ClientSensor, DEFINITIONS, Gauge, Group, Metric, MetricValue, NodeSensor, Source, TopicSensor};
use hashbrown::HashMap;
use ottla_time::Time;
use parking_lot::{Mutex, MutexGuard};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// Whose metrics they are, and over which time they are taken.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct MetricsConfig {
    /// The tag `client-id`.
    pub client_id: String,
    /// `metrics.sample.window.ms`.
    pub window: Duration,
    /// `metrics.num.samples`, at least 1.
    pub samples: usize,
    /// The version that `app-info` shows.
    pub version: String,
    /// The wall clock when the producer was made, in milliseconds since the Unix epoch.
    pub start_time_ms: i64,
}

impl Default for MetricsConfig {
    /// Java's windows: two of 30 seconds.
    fn default() -> MetricsConfig {
        MetricsConfig {
            client_id: String::new(),
            window: Duration::from_secs(30),
            samples: 2,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            start_time_ms: 0,
        }
    }
}

/// So many brokers have metrics of their own. Brokers come from the wire; a cluster of this size is not known.
const NODES_MAX: usize = 4_096;

/// The metrics of one producer: told by those who do its work, asked by anybody.
///
/// One lock holds all of it; whoever records takes it for each batch or request, not for each record.
pub struct Metrics {
    client_id: Arc<str>,
    version: Arc<str>,
    start_time_ms: i64,
    windows: Windows,
    gauges: [AtomicU64; Gauge::COUNT],
    /// Whether the group of dead letters is shown.
    has_dead_letters: AtomicBool,
    state: Mutex<State>,
}

struct State {
    client: Vec<Samples>,
    nodes: BTreeMap<i32, Vec<Samples>>,
    topics: HashMap<Arc<str>, Vec<Samples>, foldhash::fast::FixedState>,
    metadata_at: Option<Time>,
}

/// The metrics, locked at one time.
pub struct Recorder<'a> {
    state: MutexGuard<'a, State>,
    windows: Windows,
    now: Time,
}

impl Default for Metrics {
    fn default() -> Metrics {
        Metrics::new(MetricsConfig::default())
    }
}

impl Metrics {
    /// Metrics without values.
    pub fn new(config: MetricsConfig) -> Metrics {
        Metrics {
            client_id: config.client_id.into(),
            version: config.version.into(),
            start_time_ms: config.start_time_ms,
            windows: Windows {
                length: config.window,
                count: config.samples.max(1),
            },
            gauges: Default::default(),
            has_dead_letters: AtomicBool::new(false),
            state: Mutex::new(State {
                client: sensors(ClientSensor::ALL.len()),
                nodes: BTreeMap::new(),
                topics: HashMap::with_hasher(foldhash::fast::FixedState::default()),
                metadata_at: None,
            }),
        }
    }

    /// The tag `client-id`.
    pub fn client_id(&self) -> &Arc<str> {
        &self.client_id
    }

    /// From now on the metrics of dead letters are among the others: there is a policy for them. Without one the metrics are
    /// Java's, and no more.
    pub fn show_dead_letters(&self) {
        self.has_dead_letters.store(true, Ordering::Relaxed);
    }

    /// To record what happened at `now`.
    #[inline]
    pub fn at(&self, now: Time) -> Recorder<'_> {
        Recorder {
            state: self.state.lock(),
            windows: self.windows,
            now,
        }
    }

    /// Says what a gauge is now.
    #[inline]
    pub fn set(&self, gauge: Gauge, value: u64) {
        self.gauges[gauge as usize].store(value, Ordering::Relaxed);
    }

    /// All metrics that have a meaning here: those of the producer, then those of each broker and topic, each in the
    /// order of [`DEFINITIONS`].
    pub fn snapshot(&self, now: Time) -> Vec<Metric> {
        let mut state = self.state.lock();
        let state = &mut *state;
        let mut metrics = Vec::with_capacity(DEFINITIONS.len());
        let own = [("client-id", Arc::clone(&self.client_id))];
        let mut scope = Scope {
            windows: self.windows,
            now,
            metrics: &mut metrics,
        };
        let has_dead_letters = self.has_dead_letters.load(Ordering::Relaxed);
        for definition in DEFINITIONS {
            if definition.group == Group::DeadLetter && !has_dead_letters {
                continue;
            }
            let value = match definition.source {
                Source::Client(sensor, statistic) => {
                    let samples = &mut state.client[sensor as usize];
                    MetricValue::Number(statistic.measure(samples, self.windows, now))
                }
                Source::Gauge(gauge) => {
                    MetricValue::Number(self.gauges[gauge as usize].load(Ordering::Relaxed) as f64)
                }
                Source::MetadataAge => {
                    let age = state.metadata_at.map(|at| now.since(at).as_secs_f64());
                    MetricValue::Number(age.unwrap_or(f64::NAN))
                }
                Source::Version => MetricValue::Text(Arc::clone(&self.version)),
                Source::StartTime => MetricValue::Integer(self.start_time_ms),
                // Filled in below, when they are counted.
                Source::Count => MetricValue::Number(0.0),
                Source::Node(..) | Source::Topic(..) | Source::NoMeaning(_) => continue,
            };
            scope.push(definition, own.to_vec(), value);
        }
        for (id, sensors) in &mut state.nodes {
            let node = ("node-id", format!("node-{id}").into());
            scope.group(Group::Node, sensors, &[own[0].clone(), node]);
        }
        let mut topics: Vec<_> = state.topics.iter_mut().collect();
        topics.sort_by_key(|(name, _)| *name);
        for (name, sensors) in topics {
            let topic = ("topic", Arc::clone(name));
            scope.group(Group::Topic, sensors, &[own[0].clone(), topic]);
        }
        let count = metrics.len() as f64;
        let counted = metrics
            .iter_mut()
            .filter(|metric| metric.group == Group::Count.name());
        counted.for_each(|metric| metric.value = MetricValue::Number(count));
        metrics
    }
}

/// Collects metrics of one moment.
struct Scope<'a> {
    windows: Windows,
    now: Time,
    metrics: &'a mut Vec<Metric>,
}

impl Scope<'_> {
    fn push(
        &mut self,
        definition: &crate::Definition,
        tags: Vec<(&'static str, Arc<str>)>,
        value: MetricValue,
    ) {
        let Some(kind) = definition.source.kind() else {
            return;
        };
        self.metrics.push(Metric {
            name: definition.name,
            group: definition.group.name(),
            about: definition.about,
            tags,
            kind,
            value,
        });
    }

    /// The metrics of one broker or topic.
    fn group(&mut self, group: Group, sensors: &mut [Samples], tags: &[(&'static str, Arc<str>)]) {
        for definition in DEFINITIONS.iter().filter(|definition| definition.group == group) {
            let (sensor, statistic) = match definition.source {
                Source::Node(sensor, statistic) => (sensor as usize, statistic),
                Source::Topic(sensor, statistic) => (sensor as usize, statistic),
                _ => continue,
            };
            let value = statistic.measure(&mut sensors[sensor], self.windows, self.now);
            self.push(definition, tags.to_vec(), MetricValue::Number(value));
        }
    }
}

impl Recorder<'_> {
    /// Records a value for the producer.
    #[inline]
    pub fn client(&mut self, sensor: ClientSensor, value: f64) {
        self.state.client[sensor as usize].record(self.windows, value, self.now);
    }

    /// Records a value for a broker; servers of `bootstrap.servers` have negative numbers.
    pub fn node(&mut self, id: i32, sensor: NodeSensor, value: f64) {
        let full = self.state.nodes.len() >= NODES_MAX;
        if full && !self.state.nodes.contains_key(&id) {
            return;
        }
        let new = || sensors(NodeSensor::ALL.len());
        let sensors = self.state.nodes.entry(id).or_insert_with(new);
        sensors[sensor as usize].record(self.windows, value, self.now);
    }

    /// Records a value for a topic that this producer sends to.
    pub fn topic(&mut self, name: &Arc<str>, sensor: TopicSensor, value: f64) {
        if !self.state.topics.contains_key(name) {
            let new = sensors(TopicSensor::ALL.len());
            self.state.topics.insert(Arc::clone(name), new);
        }
        if let Some(sensors) = self.state.topics.get_mut(name) {
            sensors[sensor as usize].record(self.windows, value, self.now);
        }
    }

    /// New metadata came.
    pub fn metadata_refreshed(&mut self) {
        self.state.metadata_at = Some(self.now);
    }
}

fn sensors(count: usize) -> Vec<Samples> {
    std::iter::repeat_with(Samples::default).take(count).collect()
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics")
            .field("client_id", &self.client_id)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Recorder<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder")
            .field("now", &self.now)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(metrics: &Metrics, now: Time, name: &str, tag: Option<&str>) -> f64 {
        let snapshot = metrics.snapshot(now);
        let found = snapshot
            .iter()
            .find(|metric| metric.name == name && metric.tags.get(1).map(|(_, tag)| &**tag) == tag);
        found
            .and_then(Metric::number)
            .unwrap_or_else(|| panic!("no {name} {tag:?}"))
    }

    #[test]
    fn values_go_where_they_belong() {
        let metrics = Metrics::new(MetricsConfig {
            client_id: "c".to_owned(),
            ..MetricsConfig::default()
        });
        let now = Time::from_millis(5_000);
        let topic: Arc<str> = "orders".into();
        let mut recorder = metrics.at(now);
        recorder.client(ClientSensor::Request, 100.0);
        recorder.client(ClientSensor::Request, 50.0);
        recorder.node(-1, NodeSensor::Request, 100.0);
        recorder.node(3, NodeSensor::Request, 50.0);
        recorder.topic(&topic, TopicSensor::RecordSend, 7.0);
        recorder.metadata_refreshed();
        drop(recorder);
        metrics.set(Gauge::RequestsInFlight, 2);
        let later = now + Duration::from_secs(2);
        assert_eq!(number(&metrics, later, "request-total", None), 2.0);
        assert_eq!(number(&metrics, later, "request-size-avg", None), 75.0);
        assert_eq!(
            number(&metrics, later, "request-size-max", Some("node--1")),
            100.0
        );
        assert_eq!(number(&metrics, later, "request-total", Some("node-3")), 1.0);
        assert_eq!(number(&metrics, later, "record-send-total", Some("orders")), 7.0);
        assert_eq!(number(&metrics, later, "requests-in-flight", None), 2.0);
        assert_eq!(number(&metrics, later, "metadata-age", None), 2.0);
        // Two seconds and one full window that is not there yet.
        assert_eq!(number(&metrics, later, "request-rate", None), 2.0 / 32.0);
        let snapshot = metrics.snapshot(later);
        assert!(snapshot.iter().all(|metric| metric.tag("client-id") == Some("c")));
        assert_eq!(number(&metrics, later, "count", None), snapshot.len() as f64);
    }

    #[test]
    fn dead_letters_are_shown_where_there_can_be_some() {
        let metrics = Metrics::default();
        let shown = || {
            let snapshot = metrics.snapshot(Time::ZERO);
            let group = Group::DeadLetter.name();
            snapshot.iter().filter(|metric| metric.group == group).count()
        };
        assert_eq!(shown(), 0);
        metrics.show_dead_letters();
        assert_eq!(shown(), 6);
    }

    #[test]
    fn the_number_of_brokers_is_bounded() {
        let metrics = Metrics::default();
        for id in 0..5_000 {
            metrics.at(Time::ZERO).node(id, NodeSensor::Response, 1.0);
        }
        let snapshot = metrics.snapshot(Time::ZERO);
        let nodes = snapshot
            .iter()
            .filter(|metric| metric.name == "response-total" && metric.tags.len() == 2);
        assert_eq!(nodes.count(), NODES_MAX);
    }

    #[test]
    fn a_window_of_no_length_divides_by_nothing() {
        let config = MetricsConfig {
            window: Duration::ZERO,
            samples: 1,
            ..MetricsConfig::default()
        };
        let metrics = Metrics::new(config);
        metrics.at(Time::ZERO).client(ClientSensor::Request, 1.0);
        assert!(number(&metrics, Time::ZERO, "request-rate", None).is_finite());
    }
}

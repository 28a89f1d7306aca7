//! Metrics that the cluster subscribes to (KIP-714): what arrives, read by OpenTelemetry's own types.

use crate::support::{TOPIC, producer, send_many};
use opentelemetry_proto::tonic::common::v1::any_value;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use opentelemetry_proto::tonic::metrics::v1::{MetricsData, NumberDataPoint};
use ottla::Uuid;
use ottla_broker::{TelemetryOptions, TelemetryPush, TestCluster};
use ottla_protocol::compression::{Compression, Decompressor};
use prost::Message;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// What a push is awaited for: far more than it takes.
const PATIENCE: Duration = Duration::from_secs(60);

fn subscribed(change: impl FnOnce(&mut TelemetryOptions)) -> TestCluster {
    let mut options = TelemetryOptions::default();
    options.push_interval_ms = 20;
    change(&mut options);
    let builder = TestCluster::builder().topic(TOPIC, 2);
    let builder = builder.configure(|config| config.telemetry = Some(options));
    builder.start_blocking().expect("loopback has free ports")
}

/// A metric of a push: by name and attributes, whether it is a counter, and from when to when.
#[derive(Debug)]
struct Told {
    value: f64,
    is_counter: bool,
    temporality: i32,
    since_nanos: u64,
    at_nanos: u64,
}

type Metrics = BTreeMap<(String, String), Told>;

fn value(point: &NumberDataPoint) -> f64 {
    match point.value.expect("a value") {
        Value::AsDouble(value) => value,
        Value::AsInt(value) => value as f64,
    }
}

fn decode(data: &[u8]) -> Metrics {
    let data = MetricsData::decode(data).expect("OTLP");
    let mut metrics = Metrics::new();
    let scopes = data
        .resource_metrics
        .into_iter()
        .flat_map(|resource| resource.scope_metrics);
    for metric in scopes.flat_map(|scope| scope.metrics) {
        let (points, is_counter, temporality) = match metric.data.expect("data") {
            Data::Gauge(gauge) => (gauge.data_points, false, 0),
            Data::Sum(sum) => (sum.data_points, sum.is_monotonic, sum.aggregation_temporality),
            other => panic!("{other:?}"),
        };
        assert_eq!(points.len(), 1, "{}", metric.name);
        let text = |value: any_value::Value| match value {
            any_value::Value::StringValue(text) => text,
            other => panic!("{other:?}"),
        };
        let attributes = points[0].attributes.iter().map(|attribute| {
            let value = attribute
                .value
                .clone()
                .and_then(|value| value.value)
                .expect("a value");
            format!("{}={}", attribute.key, text(value))
        });
        let attributes = attributes.collect::<Vec<_>>().join(",");
        let told = Told {
            value: value(&points[0]),
            is_counter,
            temporality,
            since_nanos: points[0].start_time_unix_nano,
            at_nanos: points[0].time_unix_nano,
        };
        let before = metrics.insert((metric.name, attributes), told);
        assert!(before.is_none(), "each metric once");
    }
    metrics
}

fn of_push(push: &TelemetryPush) -> Metrics {
    let codec = u8::try_from(push.compression_type)
        .ok()
        .and_then(Compression::from_id);
    let mut data = Vec::new();
    Decompressor::new()
        .decompress(codec.expect("a codec"), &push.metrics, 1 << 24, &mut data)
        .expect("readable");
    decode(&data)
}

fn pushes(cluster: &TestCluster) -> Vec<TelemetryPush> {
    cluster.cluster().telemetry_pushes().cloned().collect()
}

/// Waits until `done` has what it waits for.
async fn until<T>(mut done: impl FnMut() -> Option<T>) -> T {
    let since = Instant::now();
    loop {
        if let Some(found) = done() {
            return found;
        }
        assert!(since.elapsed() < PATIENCE, "it does not come");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

fn of<'a>(metrics: &'a Metrics, name: &str, attributes: &str) -> &'a Told {
    let key = (format!("org.apache.kafka.producer.{name}"), attributes.to_owned());
    metrics
        .get(&key)
        .unwrap_or_else(|| panic!("no {key:?} in {metrics:#?}"))
}

#[tokio::test]
async fn all_metrics_are_pushed_and_the_last_push_has_them_all() {
    let cluster = subscribed(|options| {
        options.delta_temporality = false;
        options.accepted_compression_types = vec![3, 1];
    });
    let producer = producer(&cluster, &[]);
    let sent = send_many(&producer, 100, 5).await;
    producer.flush().await;
    for sent in sent {
        drop(sent);
    }
    until(|| (pushes(&cluster).len() >= 2).then_some(())).await;
    let id = producer.client_instance_id(PATIENCE).await.expect("a name");
    producer.close(Duration::from_secs(10)).await;
    let pushes = pushes(&cluster);
    assert!(
        pushes
            .iter()
            .all(|push| push.client_instance_id == id && push.compression_type == 3)
    );
    let terminating: Vec<bool> = pushes.iter().map(|push| push.terminating).collect();
    assert!(terminating.ends_with(&[false, true]), "{terminating:?}");
    let last = of_push(pushes.last().expect("one"));
    let total = of(&last, "record.send.total", "");
    assert_eq!(
        (total.value, total.is_counter, total.temporality),
        (100.0, true, 2)
    );
    assert!(total.since_nanos > 0 && total.since_nanos < total.at_nanos);
    assert_eq!(of(&last, "topic.record.send.total", "topic=orders").value, 100.0);
    assert!(of(&last, "node.request.latency.max", "node_id=node-1").value > 0.0);
    assert!(!of(&last, "batch.size.avg", "").is_counter);
    assert_eq!(of(&last, "connection.count", "").value, 2.0);
}

#[tokio::test]
async fn a_new_subscription_is_asked_for_and_deltas_add_up() {
    let cluster = subscribed(|options| options.requested_metrics = vec!["nothing.of.ours".to_owned()]);
    let producer = producer(&cluster, &[]);
    drop(send_many(&producer, 10, 5).await);
    producer.flush().await;
    let first = until(|| pushes(&cluster).pop()).await;
    assert!(of_push(&first).is_empty());
    let mut options = TelemetryOptions::default();
    options.push_interval_ms = 20;
    options.accepted_compression_types = Vec::new();
    options.requested_metrics = vec!["org.apache.kafka.producer.record.send.".to_owned()];
    cluster.cluster().subscribe_to_telemetry(options);
    until(|| {
        pushes(&cluster)
            .iter()
            .any(|push| !of_push(push).is_empty())
            .then_some(())
    })
    .await;
    drop(send_many(&producer, 7, 5).await);
    producer.close(Duration::from_secs(10)).await;
    let told: Vec<Metrics> = pushes(&cluster)
        .iter()
        .map(of_push)
        .filter(|push| !push.is_empty())
        .collect();
    let mut sum = 0.0;
    let mut since = None;
    for metrics in &told {
        assert_eq!(metrics.len(), 2, "a rate and a total");
        let total = of(metrics, "record.send.total", "");
        assert_eq!(total.temporality, 1);
        assert!(
            since.is_none_or(|since| since == total.since_nanos),
            "no gap between deltas"
        );
        since = Some(total.at_nanos);
        sum += total.value;
    }
    assert_eq!(sum, 17.0);
}

#[tokio::test]
async fn who_switches_it_off_tells_nothing() {
    let cluster = subscribed(|_| {});
    let producer = producer(&cluster, &[("enable.metrics.push", "false")]);
    drop(send_many(&producer, 10, 5).await);
    producer.close(Duration::from_secs(10)).await;
    assert!(pushes(&cluster).is_empty());
    let error = producer.client_instance_id(PATIENCE).await.expect_err("none");
    assert!(error.to_string().contains("enable.metrics.push"), "{error}");

    // A broker whose operators want nothing does not even offer it.
    let cluster = crate::support::cluster(1);
    let producer = crate::support::producer(&cluster, &[]);
    drop(send_many(&producer, 10, 5).await);
    let error = producer
        .client_instance_id(Duration::from_millis(1))
        .await
        .expect_err("none");
    assert!(error.is_timeout(), "{error}");
}

mod real {
    //! The same at a real Kafka, beside Java's producer.

    use super::*;
    use crate::real::{java, kafka, unique};
    use ottla::{Producer, Record};
    use ottla_protocol::frame;
    use ottla_protocol::messages::IncrementalAlterConfigsRequest;
    use ottla_protocol::messages::incremental_alter_configs::{AlterConfigsResource, AlterableConfig};
    use std::io::{Read, Write};
    use std::net::TcpStream;
    use std::path::{Path, PathBuf};

    /// Where the broker writes what it is told.
    fn folder() -> Option<PathBuf> {
        let folder = std::env::var_os("OTTLA_KAFKA_TELEMETRY").map(PathBuf::from);
        if folder.is_none() {
            let in_ci = std::env::var_os("CI").is_some();
            assert!(!in_ci, "with CI set, OTTLA_KAFKA_TELEMETRY must be there");
            println!("SKIPPED: OTTLA_KAFKA_TELEMETRY names no folder of a real Kafka's reporter");
        }
        folder
    }

    /// Subscribes to all metrics of the clients of this name.
    fn subscribe(bootstrap: &str, name: &str) {
        let set = |key: &str, value: &str| AlterableConfig {
            name: key.to_owned(),
            config_operation: 0,
            value: Some(value.to_owned()),
            ..AlterableConfig::default()
        };
        let request = IncrementalAlterConfigsRequest {
            resources: vec![AlterConfigsResource {
                // Client metrics (KIP-714).
                resource_type: 16,
                resource_name: name.to_owned(),
                configs: vec![
                    set("metrics", "*"),
                    set("interval.ms", "100"),
                    set("match", &format!("client_id={name}")),
                ],
                ..AlterConfigsResource::default()
            }],
            ..IncrementalAlterConfigsRequest::default()
        };
        let bytes = frame::encode_request(&request, 1, 1, Some("test")).expect("encodes");
        let mut stream = TcpStream::connect(bootstrap).expect("Kafka is there");
        stream.write_all(&bytes).expect("written");
        let mut length = [0; 4];
        stream.read_exact(&mut length).expect("an answer");
        let mut answer = vec![0; u32::from_be_bytes(length) as usize];
        stream.read_exact(&mut answer).expect("an answer");
        let answer = frame::decode_response::<IncrementalAlterConfigsRequest>(&answer.into(), 1);
        assert_eq!(answer.expect("decodes").1.responses[0].error_code, 0);
    }

    /// What a client has pushed, in order; whether each is its last.
    fn read(folder: &Path, id: &str) -> Vec<(bool, Metrics)> {
        let entries = std::fs::read_dir(folder).expect("the reporter's folder");
        let names = entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8"));
        let whole = |name: &String| name.starts_with(id) && !name.ends_with(".part");
        let names: BTreeSet<String> = names.filter(whole).collect();
        let read = |name: &String| {
            let data = std::fs::read(folder.join(name)).expect("readable");
            (name.ends_with(".last"), decode(&data))
        };
        names.iter().map(read).collect()
    }

    /// All metrics that a client has pushed, each as it was told last.
    fn all(folder: &Path, id: &str) -> Metrics {
        read(folder, id)
            .into_iter()
            .flat_map(|(_, metrics)| metrics)
            .collect()
    }

    fn names(metrics: &Metrics) -> BTreeSet<String> {
        metrics.keys().map(|(name, _)| name.clone()).collect()
    }

    #[tokio::test]
    async fn a_real_kafka_takes_what_java_sends_and_what_we_send() {
        let (Some((bootstrap, library)), Some(folder)) = (kafka(), folder()) else {
            return;
        };
        let name = unique("telemetry");
        subscribe(&bootstrap, &name);
        let builder = Producer::builder()
            .bootstrap_servers(&bootstrap)
            .set("client.id", &name);
        let producer = builder.build().expect("a good configuration");
        let id = producer.client_instance_id(PATIENCE).await.expect("a name");
        for _ in 0..10 {
            let delivery = producer
                .send(&Record::to(&name).value("told"))
                .await
                .expect("queued");
            delivery.await.expect("acked");
        }
        // Deltas add up. (The last push is not waited for beyond a second, so a busy broker may miss it.)
        let total = (
            "org.apache.kafka.producer.record.send.total".to_owned(),
            String::new(),
        );
        let told = || -> f64 {
            let pushes = read(&folder, &id.to_string()).into_iter();
            pushes
                .filter_map(|(_, metrics)| Some(metrics.get(&total)?.value))
                .sum()
        };
        until(|| (told() >= 10.0).then_some(())).await;
        producer.close(Duration::from_secs(10)).await;
        assert_eq!(told(), 10.0);
        let ours = all(&folder, &id.to_string());

        let known: BTreeSet<String> = clients(&folder);
        let flags = [
            "--topic",
            &name,
            "--num-records",
            "200",
            "--record-size",
            "10",
            "--throughput",
            "100",
        ];
        let client_id = format!("client.id={name}");
        let more = ["--bootstrap-server", &bootstrap, "--command-property", &client_id];
        let arguments = [&flags[..], &more[..]].concat();
        let sent = (
            "org.apache.kafka.producer.topic.record.send.total".to_owned(),
            format!("topic={name}"),
        );
        // Java's producer does not wait for its pushes, and after a bad start tries again only in five minutes: then it is
        // another one's turn.
        let mut turns = (0..10).map(|_| {
            java(&library, "org.apache.kafka.tools.ProducerPerformance", &arguments);
            let clients = clients(&folder);
            let mut new = clients.difference(&known).map(|id| all(&folder, id));
            new.find(|metrics| metrics.contains_key(&sent))
        });
        let java = turns.find_map(|told| told).expect("Java pushes");
        let missing: Vec<String> = names(&java).difference(&names(&ours)).cloned().collect();
        assert_eq!(missing, ["org.apache.kafka.producer.txn.prepare.time.ns.total"]);
        let more: Vec<String> = names(&ours).difference(&names(&java)).cloned().collect();
        assert!(more.is_empty(), "{more:?}");
        for (key, told) in &ours {
            if let Some(theirs) = java.get(key) {
                let kind = |told: &Told| (told.is_counter, told.temporality);
                assert_eq!(kind(told), kind(theirs), "{key:?}");
            }
        }
    }

    /// The names of all clients that have pushed.
    fn clients(folder: &Path) -> BTreeSet<String> {
        let entries = std::fs::read_dir(folder).expect("the reporter's folder");
        let names = entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8"));
        names
            .filter_map(|name| Some(name.split_once('.')?.0.to_owned()))
            .collect()
    }
}

/// The name is 22 characters that a file can have.
#[test]
fn names_of_clients_are_those_of_java() {
    assert_eq!(Uuid::from_halves(1, 2).to_string(), "AAAAAAAAAAEAAAAAAAAAAg");
}

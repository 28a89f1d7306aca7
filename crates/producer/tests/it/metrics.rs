//! What the metrics say of what was done.

use crate::support::{TOPIC, check_acked_once_in_order, cluster, producer, send_many};
use ottla::{Metric, Producer, Record};
use ottla_broker::{Fault, FaultAction};
use ottla_protocol::{ApiKey, ErrorCode};
use std::time::Duration;

/// The metric of this name that has `tag` beside the client's id, or none.
fn number(producer: &Producer, name: &str, tag: Option<&str>) -> f64 {
    let metrics = producer.metrics();
    let found = metrics
        .iter()
        .find(|metric| metric.name() == name && metric.tags().get(1).map(|(_, tag)| &**tag) == tag);
    let number = found.and_then(Metric::number);
    number.unwrap_or_else(|| panic!("no metric {name} of {tag:?}"))
}

#[tokio::test]
async fn records_batches_and_requests_are_counted() {
    let cluster = cluster(1);
    let producer = producer(&cluster, &[("batch.size", "2000"), ("client.id", "counted")]);
    assert_eq!(number(&producer, "record-send-total", None), 0.0);
    assert!(number(&producer, "record-size-avg", None).is_nan());
    let sent = send_many(&producer, 500, 20).await;
    producer.flush().await;
    check_acked_once_in_order(&cluster, sent).await;

    let client = |name: &str| number(&producer, name, None);
    assert_eq!(client("record-send-total"), 500.0);
    assert_eq!(number(&producer, "record-send-total", Some(TOPIC)), 500.0);
    assert_eq!(
        (client("record-error-total"), client("record-retry-total")),
        (0.0, 0.0)
    );
    assert_eq!(client("compression-rate-avg"), 1.0);
    assert!(client("batch-size-max") <= 2_000.0 + 61.0 && client("batch-size-avg") > 61.0);
    assert!(client("record-size-max") > 10.0 && client("record-size-max") < 100.0);
    assert!(client("flush-time-ns-total") > 0.0 && client("metadata-wait-time-ns-total") > 0.0);
    // Metadata may be asked for at this moment.
    assert!(client("requests-in-flight") <= 1.0);
    assert!(client("response-total") > 3.0);
    // Bootstrap and the broker itself.
    assert_eq!(client("connection-count"), 2.0);
    assert_eq!(client("successful-authentication-total"), 2.0);
    let nodes = ["node--1", "node-1"].map(|node| number(&producer, "outgoing-byte-total", Some(node)));
    assert!(nodes.iter().all(|&bytes| bytes > 0.0), "{nodes:?}");
    assert_eq!(nodes.iter().sum::<f64>(), client("outgoing-byte-total"));
    assert!(number(&producer, "byte-total", Some(TOPIC)) < client("outgoing-byte-total"));
    assert!(number(&producer, "request-latency-max", Some("node-1")) >= client("request-latency-avg"));
    assert!(client("io-time-ns-total") > 0.0 && client("select-total") > 0.0);
    assert!(client("metadata-age") < 60.0);
    assert_eq!(client("buffer-total-bytes"), 33_554_432.0);
    let ours = |metric: &Metric| metric.tag("client-id") == Some("counted");
    assert!(producer.metrics().iter().all(ours));
    producer.close(Duration::from_secs(10)).await;
}

#[tokio::test]
async fn retries_errors_and_throttles_are_counted() {
    let cluster = cluster(1);
    let producer = producer(&cluster, &[("max.request.size", "100000")]);
    let refused = producer.send(&Record::to(TOPIC).value(vec![0; 200_000])).await;
    refused.expect_err("too large");
    assert_eq!(number(&producer, "record-error-total", None), 1.0);

    let code = ErrorCode::NOT_LEADER_OR_FOLLOWER;
    cluster.add_fault(Fault::new(FaultAction::Error(code)).api(ApiKey::PRODUCE).once());
    let delivery = producer
        .send(&Record::to(TOPIC).value("again"))
        .await
        .expect("queued");
    delivery.await.expect("acked");
    assert_eq!(number(&producer, "record-retry-total", Some(TOPIC)), 1.0);
    assert_eq!(
        number(&producer, "record-send-total", None),
        2.0,
        "repeated ones count again"
    );

    let code = ErrorCode::TOPIC_AUTHORIZATION_FAILED;
    cluster.add_fault(Fault::new(FaultAction::Error(code)).api(ApiKey::PRODUCE).once());
    let delivery = producer
        .send(&Record::to(TOPIC).value("never"))
        .await
        .expect("queued");
    delivery.await.expect_err("refused");
    assert_eq!(number(&producer, "record-error-total", Some(TOPIC)), 1.0);
    assert_eq!(number(&producer, "record-error-total", None), 2.0);

    let pause = FaultAction::Throttle(Duration::from_millis(7));
    cluster.add_fault(Fault::new(pause).api(ApiKey::PRODUCE).once());
    let delivery = producer
        .send(&Record::to(TOPIC).value("slowly"))
        .await
        .expect("queued");
    delivery.await.expect("acked");
    assert_eq!(number(&producer, "produce-throttle-time-max", None), 7.0);
}

#[tokio::test]
async fn calls_about_transactions_are_timed() {
    let cluster = cluster(1);
    let producer = producer(&cluster, &[("transactional.id", "timed")]);
    producer.init_transactions().await.expect("a producer id");
    let transaction = producer.begin().await.expect("begun");
    transaction.commit().await.expect("committed");
    for name in ["init", "begin", "commit"] {
        let name = format!("txn-{name}-time-ns-total");
        assert!(number(&producer, &name, None) > 0.0, "{name}");
    }
    assert_eq!(number(&producer, "txn-abort-time-ns-total", None), 0.0);
}

//! Starting, closing, dropping.

use crate::support::{TOPIC, check_acked_once_in_order, cluster, producer, send_many};
use ottla::{Producer, Record};
use std::time::Duration;

#[tokio::test]
async fn close_sends_what_is_queued_and_later_sends_are_refused() {
    let cluster = cluster(1);
    let producer = producer(
        &cluster,
        &[("linger.ms", "60000"), ("delivery.timeout.ms", "120000")],
    );
    let sent = send_many(&producer, 100, 10).await;
    producer.close(Duration::from_secs(30)).await;
    check_acked_once_in_order(&cluster, sent).await;
    let error = producer.send(&Record::to(TOPIC)).await.expect_err("closed");
    assert!(error.is_closed(), "{error}");
    producer.close(Duration::ZERO).await;
}

#[tokio::test]
async fn a_dropped_producer_sends_what_is_queued_in_the_background() {
    let cluster = cluster(1);
    let producer = producer(
        &cluster,
        &[("linger.ms", "60000"), ("delivery.timeout.ms", "120000")],
    );
    let sent = send_many(&producer, 100, 10).await;
    drop(producer);
    check_acked_once_in_order(&cluster, sent).await;
}

#[test]
fn it_runs_on_a_given_runtime_and_dies_loudly_with_it() {
    let cluster = cluster(1);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime");
    let builder = Producer::builder().bootstrap_servers(cluster.bootstrap_servers());
    let producer = builder
        .runtime(runtime.handle().clone())
        .build()
        .expect("a good configuration");
    let sent = runtime.block_on(send_many(&producer, 100, 10));
    runtime.block_on(check_acked_once_in_order(&cluster, sent));
    runtime.shutdown_background();
    let another = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    // The driver goes with its runtime: whoever sends or waits learns that.
    another.block_on(producer.close(Duration::from_secs(30)));
    assert!(
        another
            .block_on(producer.send(&Record::to(TOPIC)))
            .expect_err("its runtime is gone")
            .is_closed()
    );
}

#[tokio::test]
async fn no_broker_is_a_clear_error() {
    // Bound and dropped: nobody listens there now.
    let address = std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    let address = address.expect("loopback has free ports").to_string();
    let builder = Producer::builder()
        .bootstrap_servers(&address)
        .set("max.block.ms", "2000");
    let producer = builder.build().expect("it starts without a broker");
    let error = producer.send(&Record::to(TOPIC)).await.expect_err("no broker");
    let text = error.to_string();
    assert!(
        error.is_timeout() && text.contains(&address) && text.contains("refused"),
        "{text}"
    );
}

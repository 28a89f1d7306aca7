//! Records go in, and come out as they went in.

use crate::support::{PARTITIONS, TOPIC, check_acked_once_in_order, cluster, producer, send_many};
use ottla::{Persistence, Record};
use std::time::Duration;

#[tokio::test]
async fn every_codec_and_acks_delivers_each_record_once_and_in_order() {
    for (codec, acks) in [
        ("none", "all"),
        ("gzip", "all"),
        ("snappy", "1"),
        ("lz4", "all"),
        ("zstd", "-1"),
    ] {
        let cluster = cluster(1);
        let settings = [
            ("compression.type", codec),
            ("acks", acks),
            ("batch.size", "2000"),
        ];
        let producer = producer(&cluster, &settings);
        let sent = send_many(&producer, 3_000, 50).await;
        check_acked_once_in_order(&cluster, sent).await;
        assert_eq!(producer.memory_used(), 0, "{codec}: all memory is back");
    }
}

#[tokio::test]
async fn all_parts_of_a_record_arrive() {
    let cluster = cluster(1);
    let producer = producer(&cluster, &[]);
    let topic = producer.topic(TOPIC);
    let full = Record::to(&topic)
        .key(b"k")
        .value(b"v")
        .header("a", Some(b"1"))
        .header("a", None)
        .timestamp_ms(1_600_000_000_000)
        .partition(4);
    let metadata = producer.send(&full).await.expect("queued").await.expect("acked");
    assert_eq!(
        (metadata.topic(), metadata.partition(), metadata.offset()),
        (TOPIC, 4, Some(0))
    );
    assert_eq!((metadata.key_size(), metadata.value_size()), (Some(1), Some(1)));
    assert_eq!(metadata.timestamp_ms(), 1_600_000_000_000);
    let tombstone = Record::to(&topic).key(b"k").partition(4);
    let metadata = producer
        .send(&tombstone)
        .await
        .expect("queued")
        .await
        .expect("acked");
    assert_eq!((metadata.offset(), metadata.value_size()), (Some(1), None));
    let records = cluster.records(TOPIC, 4);
    assert_eq!(
        (records[0].key.as_deref(), records[0].value.as_deref()),
        (Some(&b"k"[..]), Some(&b"v"[..]))
    );
    let headers: Vec<_> = records[0]
        .headers
        .iter()
        .map(|header| (&header.key[..], header.value.as_deref()))
        .collect();
    assert_eq!(headers, [(&b"a"[..], Some(&b"1"[..])), (b"a", None)]);
    assert_eq!((records[1].value.as_deref(), records[1].headers.len()), (None, 0));
    assert_eq!(
        producer.partition_count(&topic).await.expect("known"),
        PARTITIONS as usize
    );
}

#[tokio::test]
async fn acks_zero_ends_without_an_offset() {
    let cluster = cluster(1);
    let producer = producer(&cluster, &[("acks", "0")]);
    let delivery = producer
        .send(&Record::to(TOPIC).value("v").partition(0))
        .await
        .expect("queued");
    assert_eq!(delivery.await.expect("written").offset(), None);
    producer.close(Duration::from_secs(10)).await;
}

#[tokio::test]
async fn records_without_key_are_spread_over_all_partitions() {
    let cluster = cluster(2);
    let producer = producer(&cluster, &[("batch.size", "500")]);
    for number in 0..2_000 {
        let value = format!("{number:050}");
        drop(
            producer
                .send(&Record::to(TOPIC).value(&value))
                .await
                .expect("queued"),
        );
    }
    producer.flush().await;
    let counts: Vec<usize> = (0..PARTITIONS)
        .map(|partition| cluster.records(TOPIC, partition).len())
        .collect();
    assert_eq!(counts.iter().sum::<usize>(), 2_000);
    assert!(counts.iter().all(|&count| count > 50), "{counts:?}");
}

#[tokio::test]
async fn a_record_that_cannot_be_sent_is_refused_at_once() {
    let cluster = cluster(1);
    let producer = producer(
        &cluster,
        &[("max.request.size", "1000"), ("max.block.ms", "2000")],
    );
    let value = vec![0; 2_000];
    let error = producer
        .send(&Record::to(TOPIC).value(&value))
        .await
        .expect_err("too large");
    assert!(error.to_string().contains("max.request.size=1000"), "{error}");
    let error = producer
        .send(&Record::to(TOPIC).partition(PARTITIONS))
        .await
        .expect_err("no such partition");
    assert!(error.to_string().contains("6 partitions"), "{error}");
    assert_eq!(error.persistence(), Persistence::NotPersisted);
}

#[test]
fn try_send_tells_when_it_would_have_to_wait() {
    let cluster = cluster(1);
    let producer = producer(&cluster, &[]);
    let record = Record::to(TOPIC).value("v");
    let error = producer.try_send(&record).expect_err("metadata comes later");
    assert!(error.would_wait() && error.is_retriable(), "{error}");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    let known = runtime.block_on(producer.partition_count(&producer.topic(TOPIC)));
    assert_eq!(known.expect("known"), PARTITIONS as usize);
    let delivery = producer.try_send(&record).expect("now it is known");
    // Neither a runtime's I/O nor its clock is needed to await an outcome.
    assert!(runtime.block_on(delivery).is_ok());
}

#[tokio::test]
async fn a_batch_that_is_compressed_on_the_io_thread_goes_out_at_once() {
    let cluster = cluster(1);
    let producer = producer(&cluster, &[("compression.type", "lz4")]);
    // One at a time: nothing else happens that would wake the driver for it.
    for _ in 0..3 {
        let delivery = producer
            .send(&Record::to(TOPIC).value("v").partition(0))
            .await
            .expect("queued");
        let acked = tokio::time::timeout(Duration::from_secs(30), delivery).await;
        acked.expect("far below delivery.timeout.ms").expect("acked");
    }
}

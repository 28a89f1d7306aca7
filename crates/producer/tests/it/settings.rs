//! Settings that show only in what the brokers get. Those that a layer acts on by itself are tested there; which test is
//! which key's stands in `config/coverage_tests.rs`.

use crate::support::{PARTITIONS, TOPIC, cluster, producer};
use ottla::blocking::wait;
use ottla::{Producer, Record};
use std::collections::BTreeSet;
use std::path::Path;

/// Sends 60 records of 12 keys and returns, for each key, the partitions that it went to.
async fn partitions(settings: &[(&str, &str)]) -> Vec<BTreeSet<i32>> {
    let cluster = cluster(1);
    let producer = producer(&cluster, settings);
    let keys: Vec<String> = (0..12).map(|number| format!("key-{number}")).collect();
    let mut by_key = vec![BTreeSet::new(); keys.len()];
    for number in 0..60 {
        let record = Record::to(TOPIC).key(&keys[number % 12]).value("v");
        let delivery = producer.send(&record).await.expect("queued");
        by_key[number % 12].insert(delivery.partition());
        // One batch for each record: the sticky choice moves on.
        delivery.await.expect("acked");
    }
    by_key
}

#[tokio::test]
async fn partitioner_class_chooses_who_chooses() {
    let by_default = partitions(&[]).await;
    let murmur2 = partitions(&[("partitioner.class", "murmur2")]).await;
    let fnv1a = partitions(&[("partitioner.class", "fnv1a_random")]).await;
    for by_key in [&by_default, &murmur2, &fnv1a] {
        assert!(
            by_key.iter().all(|partitions| partitions.len() == 1),
            "a key has one partition: {by_key:?}"
        );
    }
    assert!(by_default == murmur2 && by_default != fnv1a);
    let round_robin = "org.apache.kafka.clients.producer.RoundRobinPartitioner";
    let round_robin = partitions(&[("partitioner.class", round_robin)]).await;
    let all: BTreeSet<i32> = (0..PARTITIONS).collect();
    assert_eq!(round_robin.into_iter().flatten().collect::<BTreeSet<_>>(), all);
}

#[tokio::test]
async fn partitioner_ignore_keys_spreads_a_key() {
    let settings = [
        ("partitioner.ignore.keys", "true"),
        ("batch.size", "1"),
        ("linger.ms", "0"),
    ];
    let by_key = partitions(&settings).await;
    assert!(by_key.iter().any(|partitions| partitions.len() > 1), "{by_key:?}");
}

/// A level that nobody would notice is not set: more effort makes fewer bytes.
#[tokio::test]
async fn levels_of_compression_change_what_is_sent() {
    let mut random = 7_u32;
    let words: Vec<String> = (0..20_000)
        .map(|_| {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            format!("{:x}", random >> 22)
        })
        .collect();
    let text = words.join(" ");
    for (codec, low, high) in [("gzip", "1", "9"), ("lz4", "1", "12"), ("zstd", "-50", "19")] {
        let mut sizes = Vec::new();
        for level in [low, high] {
            let cluster = cluster(1);
            let key = format!("compression.{codec}.level");
            let producer = producer(&cluster, &[("compression.type", codec), (&key, level)]);
            let record = Record::to(TOPIC).value(&text).partition(0);
            producer
                .send(&record)
                .await
                .expect("queued")
                .await
                .expect("acked");
            sizes.push(cluster.cluster().log_bytes());
        }
        assert!(sizes[1] < sizes[0], "{codec}: {sizes:?}");
    }
}

/// A partitioner of one's own goes before `partitioner.class`, but not before a record's own partition; a partition that
/// is not there is an error at once.
#[test]
fn a_partitioner_of_ones_own_chooses() {
    use ottla::partitioning::{Choice, Partitioner, RecordView, TopicState, TopicView};

    struct ByLength;

    impl Partitioner for ByLength {
        fn partition(&self, record: &RecordView<'_>, topic: &TopicView<'_>, _: &TopicState) -> Choice {
            assert_eq!((record.topic, topic.partition_count()), (TOPIC, PARTITIONS));
            let length = record.value.map_or(0, <[u8]>::len);
            Choice::Partition(i32::try_from(length).expect("short"))
        }
    }

    let cluster = cluster(1);
    let builder = Producer::builder().bootstrap_servers(cluster.bootstrap_servers());
    let builder = builder.set("partitioner.class", "murmur2").partitioner(ByLength);
    assert!(format!("{builder:?}").contains("OwnPartitioner"));
    let producer = builder.build().expect("valid");
    let send = |record: &Record<'_>| wait(producer.send(record)).map(|delivery| delivery.partition());
    for length in [0, 5, 3] {
        let value = "x".repeat(length);
        let record = Record::to(TOPIC).key("k").value(&value);
        assert_eq!(
            send(&record).expect("queued"),
            i32::try_from(length).expect("short")
        );
        assert_eq!(send(&record.partition(1)).expect("queued"), 1);
    }
    let error =
        send(&Record::to(TOPIC).value("a partition that is not there")).expect_err("no such partition");
    assert!(
        error
            .to_string()
            .contains("the partitioner chose partition 29 of a topic with 6 partitions"),
        "{error}"
    );
}

/// In Java, too, all metrics of a producer are of the coarsest level.
#[test]
fn metrics_recording_level_leaves_out_none() {
    let cluster = cluster(1);
    let names = |level: &str| {
        let producer = producer(&cluster, &[("metrics.recording.level", level)]);
        let metrics = producer.metrics().into_iter();
        metrics
            .map(|metric| metric.name().to_owned())
            .collect::<BTreeSet<_>>()
    };
    let info = names("INFO");
    assert!(
        info.len() > 20 && info == names("DEBUG") && info == names("TRACE"),
        "{info:?}"
    );
}

/// The configurations that people have, as files: what `examples/configurations` shows is true.
#[test]
fn example_configurations_are_valid() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/configurations");
    let mut count = 0;
    for file in std::fs::read_dir(folder).expect("it is there") {
        let path = file.expect("readable").path();
        let builder = ottla::config::ConfigBuilder::new().refuse_unknown_keys();
        let report = builder.from_properties_file(&path).expect("readable").check();
        assert!(
            report.errors.is_empty(),
            "{}: {:?}",
            path.display(),
            report.errors
        );
        count += 1;
    }
    assert!(count >= 5, "{count}");
}

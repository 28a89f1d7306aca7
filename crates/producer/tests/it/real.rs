//! Transactions and a real Kafka, whose address `OTTLA_KAFKA_BOOTSTRAP` holds, with Java's tools as readers.

use ottla::blocking::wait;
use ottla::{GroupMetadata, GroupOffset, Producer, Record};
use std::process::{Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

/// The broker's address and the folder of Kafka's jars; `None`, said loudly, where one is missing, and never with `CI`
/// set.
pub(crate) fn kafka() -> Option<(String, String)> {
    let found = |name| std::env::var(name).ok();
    let both = found("OTTLA_KAFKA_BOOTSTRAP").zip(found("OTTLA_KAFKA_LIB"));
    if both.is_none() {
        let in_ci = std::env::var_os("CI").is_some();
        assert!(
            !in_ci,
            "with CI set, OTTLA_KAFKA_BOOTSTRAP and OTTLA_KAFKA_LIB must be there"
        );
        println!("SKIPPED: OTTLA_KAFKA_BOOTSTRAP and OTTLA_KAFKA_LIB name no real Kafka");
    }
    both
}

/// A name that no other test and no other run has.
pub(crate) fn unique(name: &str) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let nanos = now.expect("after 1970").as_nanos();
    format!("ottla-{name}-{}-{nanos}", std::process::id())
}

/// What one of Kafka's tools prints.
pub(crate) fn java(library: &str, class: &str, arguments: &[&str]) -> String {
    let output = Command::new("java")
        .args(["-Xmx256m", "-cp", &format!("{library}/*"), class])
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .expect("java runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{class}: {said}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

fn transactional(bootstrap: &str, id: &str) -> Producer {
    let builder = Producer::builder().bootstrap_servers(bootstrap);
    let builder = builder.set("transactional.id", id).set("linger.ms", "1");
    builder.build().expect("a good configuration")
}

#[test]
fn java_sees_what_is_committed_and_the_groups_offsets_with_it() {
    let Some((bootstrap, library)) = kafka() else {
        return;
    };
    let (topic, group) = (unique("transactions"), unique("group"));
    let producer = transactional(&bootstrap, &topic);
    for number in 0..12 {
        let transaction = wait(producer.begin()).expect("begun");
        for index in 0..50 {
            let value = format!("{number}:{index}");
            let record = Record::to(&topic).partition(0).value(&value);
            drop(wait(transaction.send(&record)).expect("queued"));
        }
        let offsets = vec![GroupOffset::new(topic.as_str(), 0, 1_000 + number)];
        let sent = wait(transaction.send_offsets(offsets, GroupMetadata::new(&group)));
        sent.expect("the group takes them");
        // The last one is aborted, too: its offset must not count.
        if number % 3 == 2 {
            wait(producer.flush());
            wait(transaction.abort()).expect("aborted");
        } else {
            wait(transaction.commit()).expect("committed");
        }
    }
    let expected: String = (0..12)
        .filter(|number| number % 3 != 2)
        .flat_map(|number| (0..50).map(move |index| format!("{number}:{index}\n")))
        .collect();
    let arguments = [
        "--bootstrap-server",
        &bootstrap,
        "--topic",
        &topic,
        "--from-beginning",
    ];
    let committed = ["--isolation-level", "read_committed", "--max-messages", "400"];
    let read = java(
        &library,
        "org.apache.kafka.tools.consumer.ConsoleConsumer",
        &[&arguments[..], &committed[..]].concat(),
    );
    assert_eq!(read, expected);
    let described = java(
        &library,
        "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand",
        &[
            "--bootstrap-server",
            &bootstrap,
            "--describe",
            "--offsets",
            "--group",
            &group,
        ],
    );
    // GROUP TOPIC PARTITION CURRENT-OFFSET …
    let offset = described.lines().find_map(|line| {
        let mut columns = line.split_whitespace();
        (columns.next()? == group && columns.next()? == topic).then(|| columns.nth(1).map(str::to_owned))?
    });
    assert_eq!(offset.as_deref(), Some("1010"), "{described}");
}

#[test]
fn a_successor_takes_over_and_the_fenced_one_is_at_its_end() {
    let Some((bootstrap, _)) = kafka() else { return };
    let topic = unique("fenced");
    let old = transactional(&bootstrap, &topic);
    let transaction = wait(old.begin()).expect("begun");
    drop(wait(transaction.send(&Record::to(&topic).value("old"))).expect("queued"));
    wait(old.flush());
    let new = transactional(&bootstrap, &topic);
    let successor = wait(new.begin()).expect("it takes over");
    drop(wait(successor.send(&Record::to(&topic).value("new"))).expect("queued"));
    wait(successor.commit()).expect("committed");
    let error = wait(transaction.commit()).expect_err("fenced");
    assert!(error.is_fatal() && !error.is_outcome_unknown(), "{error}");
}

#[test]
fn a_transaction_timeout_that_brokers_refuse_is_said_with_advice() {
    let Some((bootstrap, _)) = kafka() else { return };
    let producer = Producer::builder()
        .bootstrap_servers(bootstrap)
        .set("transactional.id", unique("timeout"))
        .set("transaction.timeout.ms", "2000000000")
        .build()
        .expect("brokers decide about it");
    let error = wait(producer.init_transactions()).expect_err("refused");
    assert!(error.is_fatal(), "{error}");
    assert!(
        error.to_string().contains("transaction.max.timeout.ms"),
        "{error}"
    );
}

//! Interceptors: what they see, change and are told.

use crate::support::{TOPIC, cluster};
use ottla::{Acknowledgement, ErrorCode, Interceptor, Producer, Record};
use ottla_broker::{Fault, FaultAction, TestCluster};
use ottla_protocol::ApiKey;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Appends its name to a header, and notes what it is told.
struct Named {
    name: &'static str,
    told: Told,
}

/// Name, topic, partition, and offset or error.
type Told = Arc<Mutex<Vec<(&'static str, String, Option<i32>, Result<Option<i64>, String>)>>>;

impl Interceptor for Named {
    fn on_send<'r>(&self, record: Record<'r>) -> Record<'r> {
        let before = record.last_header("seen").flatten().unwrap_or_default();
        let seen = [before, self.name.as_bytes()].concat();
        record.header_owned("seen", Some(seen))
    }

    fn on_acknowledgement(&self, acknowledgement: &Acknowledgement<'_>) {
        let outcome = acknowledgement.outcome();
        let outcome = outcome
            .map(|metadata| metadata.offset())
            .map_err(|error| error.to_string());
        let (topic, partition) = (acknowledgement.topic().to_owned(), acknowledgement.partition());
        self.told
            .lock()
            .unwrap()
            .push((self.name, topic, partition, outcome));
    }
}

/// Panics wherever it can.
struct Panics;

impl Interceptor for Panics {
    fn on_send<'r>(&self, _: Record<'r>) -> Record<'r> {
        panic!("a panic that the test wants");
    }

    fn on_acknowledgement(&self, _: &Acknowledgement<'_>) {
        panic!("a panic that the test wants");
    }
}

fn chained(cluster: &TestCluster, settings: &[(&str, &str)]) -> (Producer, Told) {
    let told = Told::default();
    let named = |name| Named {
        name,
        told: Arc::clone(&told),
    };
    let builder = Producer::builder().bootstrap_servers(cluster.bootstrap_servers());
    let builder = settings
        .iter()
        .fold(builder, |builder, (key, value)| builder.set(*key, *value));
    let builder = builder
        .interceptor(named("a"))
        .interceptor(Panics)
        .interceptor(named("b"));
    (builder.build().expect("a good configuration"), told)
}

/// The header of every record in the topic.
fn seen(cluster: &TestCluster) -> Vec<String> {
    let records = (0..crate::support::PARTITIONS).flat_map(|partition| cluster.records(TOPIC, partition));
    let seen = records.map(|record| {
        let last = record.headers.last().expect("a header");
        String::from_utf8(last.value.clone().unwrap_or_default().to_vec()).expect("UTF-8")
    });
    seen.collect()
}

#[tokio::test]
async fn a_chain_changes_records_in_order_and_hears_of_them_before_the_sender() {
    let cluster = cluster(1);
    let (producer, told) = chained(&cluster, &[]);
    let record = Record::to(TOPIC).value("x").partition(3);
    let metadata = producer
        .send(&record)
        .await
        .expect("queued")
        .await
        .expect("acked");
    assert_eq!((metadata.partition(), metadata.offset()), (3, Some(0)));
    assert_eq!(seen(&cluster), ["ab"]);
    let expected = |name| (name, TOPIC.to_owned(), Some(3), Ok(Some(0)));
    assert_eq!(*told.lock().unwrap(), [expected("a"), expected("b")]);
}

#[tokio::test]
async fn every_way_to_send_goes_by_them() {
    let cluster = cluster(1);
    let (producer, told) = chained(&cluster, &[]);
    let record = Record::to(TOPIC).value("x");
    producer
        .send(&record)
        .await
        .expect("queued")
        .await
        .expect("acked");
    let delivery = producer.try_send(&record).expect("metadata is there");
    assert_eq!(delivery.topic(), TOPIC);
    delivery.await.expect("acked");
    producer.send_with(&record, |_| {}).await.expect("queued");
    producer.try_send_with(&record, |_| {}).expect("room");
    let handler = |_: u64, _: Result<_, ottla::Error>| {};
    producer
        .send_to(&record, Arc::new(handler), 1)
        .await
        .expect("queued");
    // Waits for those who look, as it does for callbacks.
    producer.flush().await;
    assert_eq!(seen(&cluster), ["ab"; 5]);
    assert_eq!(told.lock().unwrap().len(), 10);

    let (producer, told) = chained(&cluster, &[("transactional.id", "t")]);
    producer.init_transactions().await.expect("a producer id");
    let transaction = producer.begin().await.expect("begun");
    transaction
        .send(&record)
        .await
        .expect("queued")
        .await
        .expect("acked");
    transaction
        .try_send(&record)
        .expect("queued")
        .await
        .expect("acked");
    transaction.send_with(&record, |_| {}).await.expect("queued");
    transaction.commit().await.expect("committed");
    producer.flush().await;
    assert_eq!(told.lock().unwrap().len(), 6);
}

#[tokio::test]
async fn they_hear_of_failures_and_refusals_but_not_of_what_would_wait() {
    let cluster = cluster(1);
    let (producer, told) = chained(&cluster, &[("max.request.size", "1000")]);
    let record = Record::to(TOPIC).value("x");
    let error = producer.try_send(&record).expect_err("no metadata yet");
    assert!(error.would_wait());
    assert!(told.lock().unwrap().is_empty());

    let large = vec![0; 2_000];
    let large = Record::to(TOPIC).value(&large);
    producer.send(&large).await.expect_err("too large");
    let code = ErrorCode::TOPIC_AUTHORIZATION_FAILED;
    cluster.add_fault(Fault::new(FaultAction::Error(code)).api(ApiKey::PRODUCE).once());
    let delivery = producer.send(&record.partition(1)).await.expect("queued");
    assert_eq!(delivery.partition(), 1);
    delivery.await.expect_err("refused");
    producer.close(Duration::from_secs(10)).await;
    let told = told.lock().unwrap();
    let partitions: Vec<Option<i32>> = told.iter().map(|(_, _, partition, _)| *partition).collect();
    assert_eq!(partitions, [None, None, Some(1), Some(1)]);
    assert!(
        told[0]
            .3
            .as_ref()
            .is_err_and(|error| error.contains("max.request.size")),
        "{told:?}"
    );
    assert!(
        told[2]
            .3
            .as_ref()
            .is_err_and(|error| error.contains("AUTHORIZATION")),
        "{told:?}"
    );
}

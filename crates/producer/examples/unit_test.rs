//! How to test your own code: a cluster in memory in one line, and faults where you want them.
//! `cargo run -p ottla --example unit_test`; in your crate the functions below are tests.

use ottla::{Error, Producer, Record};
use ottla_broker::{Fault, FaultAction, TestCluster};
use ottla_protocol::{ApiKey, ErrorCode};

/// The code under test.
async fn place(producer: &Producer, customer: &str) -> Result<(), Error> {
    let record = Record::to("orders").key(customer).value("placed");
    producer.send(&record).await?.await.map(drop)
}

fn producer(cluster: &TestCluster) -> Producer {
    let builder = Producer::builder().bootstrap_servers(cluster.bootstrap_servers());
    builder
        .set("linger.ms", "0")
        .build()
        .expect("a good configuration")
}

async fn an_order_arrives() {
    let cluster = TestCluster::builder()
        .topic("orders", 1)
        .start_blocking()
        .expect("a free port");
    place(&producer(&cluster), "ada").await.expect("placed");
    let records = cluster.records("orders", 0);
    assert_eq!((records.len(), records[0].key.as_deref()), (1, Some(&b"ada"[..])));
}

async fn a_refusal_reaches_the_caller() {
    let cluster = TestCluster::builder()
        .topic("orders", 1)
        .start_blocking()
        .expect("a free port");
    let refuse = FaultAction::Error(ErrorCode::TOPIC_AUTHORIZATION_FAILED);
    cluster.add_fault(Fault::new(refuse).api(ApiKey::PRODUCE));
    let error = place(&producer(&cluster), "ada").await.expect_err("refused");
    assert_eq!(error.code(), Some(ErrorCode::TOPIC_AUTHORIZATION_FAILED));
}

/// The answer is lost: the producer asks again, and the broker knows the batch.
async fn a_lost_answer_makes_no_duplicate() {
    let cluster = TestCluster::builder()
        .topic("orders", 1)
        .start_blocking()
        .expect("a free port");
    cluster.add_fault(
        Fault::new(FaultAction::DisconnectAfter)
            .api(ApiKey::PRODUCE)
            .once(),
    );
    place(&producer(&cluster), "ada").await.expect("placed");
    assert_eq!(cluster.records("orders", 0).len(), 1);
}

#[tokio::main(flavor = "current_thread")]
pub(crate) async fn main() {
    an_order_arrives().await;
    a_refusal_reaches_the_caller().await;
    a_lost_answer_makes_no_duplicate().await;
    println!("all three hold");
}

//! Reads orders, writes invoices, each exactly once: the offsets of what was read are committed together with what was
//! written. `cargo run -p ottla --example consume_transform_produce`
//!
//! Any consumer crate will do: [`Consumer`] is all that is asked of it. Here a few lines read from a cluster in memory, so
//! that the example runs by itself.
#![allow(unreachable_pub, reason = "a test has this file as a module")]

use ottla::{Error, GroupMetadata, GroupOffset, Producer, Record};
use ottla_broker::TestCluster;
use std::collections::BTreeMap;

/// What a consumer crate has to offer. It must not commit offsets by itself, and has to read committed records only.
pub trait Consumer {
    /// The next records: topic, partition, offset and value.
    fn poll(&mut self) -> Vec<(String, i32, i64, String)>;
    /// What it is in its group. With a generation and a member id, a consumer that was replaced cannot commit.
    fn group(&self) -> GroupMetadata;
    /// Goes back to what the group has committed: what was read since then is read again.
    fn rewind(&mut self);
}

/// Does the work until there is nothing more to read.
pub async fn run(producer: &Producer, consumer: &mut impl Consumer) -> Result<(), Error> {
    loop {
        let orders = consumer.poll();
        if orders.is_empty() {
            return Ok(());
        }
        let transaction = producer.begin().await?;
        match transform(&transaction, &orders, consumer.group()).await {
            Ok(()) => match commit(producer, transaction).await {
                Ok(()) => {}
                // Nothing of it was committed: the dropped transaction is aborted, and the work is done again.
                Err(error) if error.is_abortable() => consumer.rewind(),
                Err(error) => return Err(error),
            },
            Err(error) if error.is_fatal() => return Err(error),
            Err(_) => {
                transaction.abort().await?;
                consumer.rewind();
            }
        }
    }
}

/// Writes an invoice for each order, and commits the orders' offsets with them.
async fn transform(
    transaction: &ottla::Transaction,
    orders: &[(String, i32, i64, String)],
    group: GroupMetadata,
) -> Result<(), Error> {
    let mut positions: BTreeMap<(&str, i32), i64> = BTreeMap::new();
    for (topic, partition, offset, order) in orders {
        let invoice = format!("invoice for {order}");
        // Not awaited: a record that is not delivered fails the commit.
        drop(
            transaction
                .send(&Record::to("invoices").key(order).value(&invoice))
                .await?,
        );
        // The position is that of the next record.
        positions.insert((topic, *partition), offset + 1);
    }
    let offsets = positions.into_iter();
    let offsets = offsets.map(|((topic, partition), offset)| GroupOffset::new(topic, partition, offset));
    transaction.send_offsets(offsets.collect(), group).await
}

/// Commits, and does not give up before the outcome is known.
async fn commit(producer: &Producer, transaction: ottla::Transaction) -> Result<(), Error> {
    let mut outcome = transaction.commit().await;
    while outcome.as_ref().is_err_and(Error::is_retriable) {
        outcome = producer.commit_transaction().await;
    }
    outcome
}

/// The consumer of this example: it reads a topic of a cluster in memory.
pub struct MemoryConsumer<'a> {
    cluster: &'a TestCluster,
    topic: &'a str,
    partitions: i32,
    group: &'a str,
    positions: BTreeMap<i32, i64>,
}

impl<'a> MemoryConsumer<'a> {
    /// Begins where the group stands.
    pub fn new(cluster: &'a TestCluster, topic: &'a str, partitions: i32, group: &'a str) -> Self {
        let positions = BTreeMap::new();
        let mut consumer = MemoryConsumer {
            cluster,
            topic,
            partitions,
            group,
            positions,
        };
        consumer.rewind();
        consumer
    }
}

impl Consumer for MemoryConsumer<'_> {
    fn poll(&mut self) -> Vec<(String, i32, i64, String)> {
        const RECORDS_MAX: usize = 50;
        let mut found = Vec::new();
        for (&partition, position) in &mut self.positions {
            for record in self.cluster.committed_records(self.topic, partition) {
                if record.offset < *position || found.len() == RECORDS_MAX {
                    continue;
                }
                let value = record
                    .value
                    .map(|value| String::from_utf8_lossy(&value).into_owned());
                found.push((
                    self.topic.to_owned(),
                    partition,
                    record.offset,
                    value.unwrap_or_default(),
                ));
                *position = record.offset + 1;
            }
        }
        found
    }

    fn group(&self) -> GroupMetadata {
        GroupMetadata::new(self.group)
    }

    fn rewind(&mut self) {
        let cluster = self.cluster.cluster();
        for partition in 0..self.partitions {
            let committed = cluster.committed_offset(self.group, self.topic, partition);
            self.positions.insert(partition, committed.unwrap_or(0));
        }
    }
}

#[tokio::main(flavor = "current_thread")]
#[allow(dead_code, reason = "a test runs the parts of this example without it")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let cluster = TestCluster::builder()
        .topic("orders", 3)
        .topic("invoices", 3)
        .start()
        .await?;
    let orders = Producer::builder()
        .bootstrap_servers(cluster.bootstrap_servers())
        .build()?;
    for number in 0..200 {
        drop(
            orders
                .send(&Record::to("orders").value(format!("order {number}")))
                .await?,
        );
    }
    orders.flush().await;

    let producer = Producer::builder()
        .bootstrap_servers(cluster.bootstrap_servers())
        .set("transactional.id", "invoices-1")
        .build()?;
    run(
        &producer,
        &mut MemoryConsumer::new(&cluster, "orders", 3, "invoicing"),
    )
    .await?;
    let written: usize = (0..3)
        .map(|partition| cluster.committed_records("invoices", partition).len())
        .sum();
    println!("{written} invoices for 200 orders");
    Ok(())
}

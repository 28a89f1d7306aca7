//! The example that consumes, transforms and produces, with trouble on the way.

#[path = "../../examples/consume_transform_produce.rs"]
mod example;

use crate::support::producer;
use example::{MemoryConsumer, run};
use ottla::Record;
use ottla_broker::{Fault, FaultAction, TestCluster, TransactionVersion};
use ottla_protocol::{ApiKey, ErrorCode};
use std::collections::BTreeSet;

const ORDERS: usize = 200;

#[tokio::test]
async fn each_order_is_invoiced_once_whatever_goes_wrong() {
    for version in [TransactionVersion::V1, TransactionVersion::V2] {
        let builder = TestCluster::builder().brokers(2).transaction_version(version);
        let builder = builder.topic("orders", 3).topic("invoices", 3);
        let cluster = builder.start_blocking().expect("loopback has free ports");
        let orders = producer(&cluster, &[]);
        for number in 0..ORDERS {
            let order = format!("order {number}");
            drop(
                orders
                    .send(&Record::to("orders").value(&order))
                    .await
                    .expect("queued"),
            );
        }
        orders.flush().await;
        for (api, action, skip) in [
            // Each of these costs a transaction, which is aborted and done again.
            (ApiKey::PRODUCE, FaultAction::Error(ErrorCode::INVALID_RECORD), 3),
            (
                ApiKey::TXN_OFFSET_COMMIT,
                FaultAction::Error(ErrorCode::ILLEGAL_GENERATION),
                2,
            ),
            // And these cost time.
            (
                ApiKey::END_TXN,
                FaultAction::Error(ErrorCode::CONCURRENT_TRANSACTIONS),
                1,
            ),
            (ApiKey::END_TXN, FaultAction::DisconnectAfter, 3),
            (ApiKey::TXN_OFFSET_COMMIT, FaultAction::Disconnect, 0),
        ] {
            cluster.add_fault(Fault::new(action).api(api).skip(skip).once());
        }
        let invoices = producer(&cluster, &[("transactional.id", "invoices-1")]);
        let mut consumer = MemoryConsumer::new(&cluster, "orders", 3, "invoicing");
        run(&invoices, &mut consumer).await.expect("nothing is fatal");
        let mut found = Vec::new();
        for partition in 0..3 {
            for record in cluster.committed_records("invoices", partition) {
                found.push(String::from_utf8(record.value.expect("a value").to_vec()).expect("text"));
            }
        }
        let expected: BTreeSet<String> = (0..ORDERS)
            .map(|number| format!("invoice for order {number}"))
            .collect();
        assert_eq!(found.len(), ORDERS, "{version:?}");
        assert_eq!(
            found.into_iter().collect::<BTreeSet<_>>(),
            expected,
            "{version:?}"
        );
        // Another consumer of the group finds nothing left to do.
        let consumed: i64 = (0..3)
            .filter_map(|partition| {
                cluster
                    .cluster()
                    .committed_offset("invoicing", "orders", partition)
            })
            .sum();
        assert_eq!(usize::try_from(consumed), Ok(ORDERS));
    }
}

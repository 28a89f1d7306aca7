//! What every public type of the crate promises without words: it can be handed to other threads, and shown in logs.

use futures_util::stream::Iter;
use ottla::config::{Config, ConfigBuilder, ConfigError, ConfigReport, Setting, Warning};
use ottla::{
    Acknowledgement, Delivery, DeliveryHandler, Error, GroupMetadata, GroupOffset, Interceptor, Metric,
    Outcomes, Part, PartitionInfo, Persistence, Producer, ProducerBuilder, Record, RecordMetadata,
    RecordSink, Topic, TopicRef, Transaction, TypedProducer, TypedRecord, blocking,
};
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

type Records = Iter<std::vec::IntoIter<Record<'static>>>;

/// It is compiled: that is the test.
const _: () = {
    const fn shared<T: Send + Sync + Debug>() {}
    const fn handed<T: Send + Debug>() {}
    const fn named<T: Send + Sync + ?Sized>() {}
    shared::<Producer>();
    shared::<ProducerBuilder>();
    shared::<blocking::Producer>();
    shared::<blocking::Transaction>();
    shared::<Transaction>();
    shared::<TypedProducer<str, [u8]>>();
    shared::<TypedRecord<'static, str, [u8]>>();
    shared::<Record<'static>>();
    shared::<TopicRef<'static>>();
    shared::<Part<'static>>();
    shared::<Topic>();
    shared::<Delivery>();
    shared::<RecordMetadata>();
    shared::<Persistence>();
    shared::<PartitionInfo>();
    shared::<GroupMetadata>();
    shared::<GroupOffset>();
    shared::<Acknowledgement<'static>>();
    shared::<Metric>();
    shared::<Error>();
    shared::<Config>();
    shared::<ConfigBuilder>();
    shared::<ConfigError>();
    shared::<ConfigReport>();
    shared::<Setting>();
    shared::<Warning>();
    handed::<Outcomes<Records>>();
    handed::<RecordSink>();
    named::<dyn Interceptor>();
    named::<dyn DeliveryHandler>();
};

/// The futures run on runtimes of many threads.
#[test]
fn futures_can_be_handed_to_other_threads() {
    fn check<T: Send>(_: T) {}
    let producer = Producer::builder()
        .bootstrap_servers("127.0.0.1:1")
        .build()
        .expect("valid");
    let record = Record::to("t");
    check(producer.send(&record));
    check(producer.send_with(&record, |_| ()));
    check(producer.send_to(
        &record,
        Arc::new(|_: u64, _: Result<RecordMetadata, Error>| ()),
        1,
    ));
    check(producer.send_all([&record]));
    check(producer.partitions_for("t"));
    check(producer.client_instance_id(Duration::ZERO));
    check(producer.init_transactions());
    check(producer.begin());
    check(producer.begin_transaction());
    check(producer.send_offsets_to_transaction(Vec::new(), GroupMetadata::new("g")));
    check(producer.commit_transaction());
    check(producer.abort_transaction());
    check(producer.flush());
    check(producer.close(Duration::ZERO));
}

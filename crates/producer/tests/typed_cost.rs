//! What a typed record costs once its schema is known: no wait and no allocation. A binary of its own, because the
//! allocator counts for the whole process.

#![cfg(all(feature = "avro", feature = "schema-registry"))]

use ottla::config::ConfigBuilder;
use ottla::serialization::avro::AvroSerializer;
use ottla::serialization::mock::MockRegistry;
use ottla::serialization::registry::{Registry, RegistryConfig, Schema, SchemaKind};
use ottla::serialization::{AddedHeaders, Output, Role, Serializer, Target};
use serde::Serialize;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System;
use std::sync::Arc;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

#[derive(Serialize)]
struct Order {
    id: i64,
    note: Option<&'static str>,
}

const SCHEMA: &str = r#"{"type":"record","name":"Order","fields":[
    {"name":"id","type":"long"},{"name":"note","type":["null","string"]}]}"#;

#[test]
fn a_record_whose_schema_is_known_neither_waits_nor_allocates() {
    let mock = MockRegistry::new();
    let config = RegistryConfig::new("mock://cost").expect("an address");
    let registry = Registry::new(config, Arc::new(mock.clone()));
    let (config, _) = ConfigBuilder::new()
        .bootstrap_servers("localhost:9092")
        .build()
        .expect("a good configuration");
    let schema = Schema::new(SchemaKind::Avro, SCHEMA);
    let settings = config.schema_settings(Role::Value);
    let serializer = AvroSerializer::with_registry(registry, settings, Some(schema)).expect("a schema");
    let target = Target::new("orders", Role::Value);
    let order = Order {
        id: 7,
        note: Some("x"),
    };
    // The mock answers at once, so nobody has to be woken.
    let readiness = serializer
        .prepare(&target, Some(&order))
        .expect("it can be asked");
    assert!(!readiness.is_ready(), "nothing is known yet");
    ottla::blocking::wait(readiness.ready()).expect("registered");
    assert_eq!(mock.take_requests().len(), 1);
    let (mut bytes, mut headers) = (Vec::with_capacity(64), AddedHeaders::new());
    let mut round = || {
        let region = Region::new(ALLOCATOR);
        for _ in 0..1_000 {
            bytes.clear();
            let readiness = serializer.prepare(&target, Some(&order)).expect("known");
            assert!(readiness.is_ready());
            let mut output = Output::new(&mut bytes, &mut headers);
            let _payload = serializer
                .serialize(&target, Some(&order), &mut output)
                .expect("it fits");
        }
        let change = region.change();
        change.allocations + change.reallocations
    };
    // The harness has a thread, too, which may allocate now and then: but not in every round.
    let least = (0..10).map(|_| round()).min();
    assert_eq!(least, Some(0), "allocations in 1,000 records");
    assert_eq!(bytes, [0, 0, 0, 0, 1, 14, 2, 2, b'x']);
    assert!(mock.take_requests().is_empty(), "nobody is asked again");
}

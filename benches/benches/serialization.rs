//! What serializers cost beside the libraries that do the same, and what a schema registry adds to a record.
//!
//! `cargo bench -p ottla-benches --bench serialization`
//!
//! JSON is held against serde_json, Avro against the writer of apache-avro that takes serde's values; ours go the way that
//! a `TypedProducer` goes, through the trait, with the target and the headers. Both write into a buffer that is used
//! again, and have to write the same bytes.

use std::hint::black_box;
use std::sync::Arc;

use apache_avro::writer::datum::GenericDatumWriter;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use ottla_serialization::avro::{AvroSchema, AvroSerializer};
use ottla_serialization::mock::MockRegistry;
use ottla_serialization::registry::{Registry, RegistryConfig, Schema, SchemaKind, SerializerSettings};
use ottla_serialization::{AddedHeaders, JsonSerializer, Output, Role, Serializer, Target};
use serde::Serialize;

/// A record as most are: a few numbers, a few texts.
#[derive(Serialize)]
struct Payment {
    id: i64,
    account: String,
    cents: i64,
    currency: String,
    is_final: bool,
    note: Option<String>,
}

const PAYMENT: &str = r#"{"type": "record", "name": "Payment", "fields": [
    {"name": "id", "type": "long"},
    {"name": "account", "type": "string"},
    {"name": "cents", "type": "long"},
    {"name": "currency", "type": "string"},
    {"name": "is_final", "type": "boolean"},
    {"name": "note", "type": ["null", "string"]}]}"#;

/// One with parts.
#[derive(Serialize)]
struct Order {
    id: i64,
    customer: String,
    lines: Vec<Line>,
    total: f64,
}

#[derive(Serialize)]
struct Line {
    item: String,
    count: i32,
    price: f64,
    tags: Vec<String>,
}

const ORDER: &str = r#"{"type": "record", "name": "Order", "fields": [
    {"name": "id", "type": "long"},
    {"name": "customer", "type": "string"},
    {"name": "lines", "type": {"type": "array", "items": {"type": "record", "name": "Line", "fields": [
        {"name": "item", "type": "string"},
        {"name": "count", "type": "int"},
        {"name": "price", "type": "double"},
        {"name": "tags", "type": {"type": "array", "items": "string"}}]}}},
    {"name": "total", "type": "double"}]}"#;

fn payment() -> Payment {
    Payment {
        id: 8_100_215_773,
        account: "DE89 3704 0044 0532 0130 00".to_owned(),
        cents: 129_900,
        currency: "EUR".to_owned(),
        is_final: true,
        note: Some("invoice 2026-118".to_owned()),
    }
}

fn order() -> Order {
    let line = |number: i32| Line {
        item: format!("item number {number}"),
        count: number,
        price: 9.75 * f64::from(number),
        tags: vec!["new".to_owned(), "fragile".to_owned()],
    };
    Order {
        id: 4_711,
        customer: "Ada Lovelace, London".to_owned(),
        lines: (1..=10).map(line).collect(),
        total: 536.25,
    }
}

const TARGET: &str = "orders";

/// One of our serializers, as it is used for record after record.
struct Ours<'s, T: ?Sized> {
    serializer: &'s dyn Serializer<T>,
    bytes: Vec<u8>,
    headers: AddedHeaders,
}

impl<'s, T: ?Sized> Ours<'s, T> {
    fn new(serializer: &'s dyn Serializer<T>) -> Ours<'s, T> {
        Ours {
            // So that nobody can see which one it is: a producer cannot either.
            serializer: black_box(serializer),
            bytes: Vec::with_capacity(4_096),
            headers: AddedHeaders::new(),
        }
    }

    fn write(&mut self, value: &T) -> &[u8] {
        self.bytes.clear();
        let target = Target::new(TARGET, Role::Value);
        let value = Some(black_box(value));
        let readiness = self.serializer.prepare(&target, value).expect("known");
        assert!(readiness.is_ready());
        let mut output = Output::new(&mut self.bytes, &mut self.headers);
        let _payload = self
            .serializer
            .serialize(&target, value, &mut output)
            .expect("it fits");
        &self.bytes
    }
}

fn pair<T: Serialize>(criterion: &mut Criterion, group: &str, name: &str, value: &T, schema: &str) {
    let avro = group == "avro";
    let plain = AvroSerializer::plain(AvroSchema::parse(schema).expect("a schema"));
    let ours: &dyn Serializer<T> = if avro { &plain } else { &JsonSerializer };
    let mut ours = Ours::new(ours);
    let schema = apache_avro::Schema::parse_str(schema).expect("a schema");
    let writer = GenericDatumWriter::builder(&schema)
        .human_readable(false)
        .build()
        .expect("a schema");
    let direct = |bytes: &mut Vec<u8>| {
        bytes.clear();
        if avro {
            writer.write_ser(bytes, black_box(value)).expect("it fits");
        } else {
            serde_json::to_writer(bytes, black_box(value)).expect("it fits");
        }
    };
    let mut bytes = Vec::with_capacity(4_096);
    direct(&mut bytes);
    assert_eq!(ours.write(value), bytes, "both write the same");

    let mut group = criterion.benchmark_group(group);
    group.throughput(Throughput::Bytes(bytes.len() as u64));
    group.bench_function(BenchmarkId::new("ours", name), |bencher| {
        bencher.iter(|| ours.write(value).len());
    });
    group.bench_function(BenchmarkId::new("direct", name), |bencher| {
        bencher.iter(|| {
            direct(&mut bytes);
            black_box(bytes.len())
        });
    });
    group.finish();
}

fn json(criterion: &mut Criterion) {
    pair(criterion, "json", "payment", &payment(), PAYMENT);
    pair(criterion, "json", "order", &order(), ORDER);
}

fn avro(criterion: &mut Criterion) {
    pair(criterion, "avro", "payment", &payment(), PAYMENT);
    pair(criterion, "avro", "order", &order(), ORDER);
}

/// A serializer that has learnt about so many topics.
fn registered(schema: &str, topics: usize) -> AvroSerializer {
    let config = RegistryConfig::new("mock://bench").expect("an address");
    let registry = Registry::new(config, Arc::new(MockRegistry::new()));
    let schema = Schema::new(SchemaKind::Avro, schema);
    let settings = SerializerSettings::default();
    let serializer = AvroSerializer::with_registry(registry, settings, Some(schema)).expect("a schema");
    let names = (1..topics).map(|number| format!("topic number {number}"));
    for topic in names.chain([TARGET.to_owned()]) {
        let readiness = serializer.prepare(&Target::new(&topic, Role::Value), Some(&0_i64));
        ottla::blocking::wait(readiness.expect("it can be asked").ready()).expect("registered");
    }
    serializer
}

/// The same records with and without: the difference is what the registry adds.
fn registry(criterion: &mut Criterion) {
    let plain = |schema| AvroSerializer::plain(AvroSchema::parse(schema).expect("a schema"));
    let (long, long_plain) = (r#""long""#, plain(r#""long""#));
    let (one, thousand) = (registered(long, 1), registered(long, 1_000));
    let mut group = criterion.benchmark_group("registry");
    for (name, serializer) in [
        ("without", &long_plain),
        ("one topic", &one),
        ("1000 topics", &thousand),
    ] {
        let mut ours = Ours::<i64>::new(serializer);
        group.bench_function(BenchmarkId::new("long", name), |bencher| {
            bencher.iter(|| ours.write(&4_711).len());
        });
    }
    let (with, without) = (registered(PAYMENT, 1), plain(PAYMENT));
    let value = payment();
    for (name, serializer) in [("without", &without), ("one topic", &with)] {
        let mut ours = Ours::<Payment>::new(serializer);
        group.bench_function(BenchmarkId::new("payment", name), |bencher| {
            bencher.iter(|| ours.write(&value).len());
        });
    }
    group.finish();
}

criterion_group!(benches, json, avro, registry);
criterion_main!(benches);

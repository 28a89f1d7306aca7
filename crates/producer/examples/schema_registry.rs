//! Avro with a schema registry, set up by the keys that Java's programs have in their files.
//! `cargo run -p ottla --features mock-registry --example schema_registry [HOST:PORT [REGISTRY]]`

mod common;

use ottla::blocking::wait;
use ottla::serialization::registry::{Schema, SchemaKind};
use ottla::{DeadLetters, Producer, TypedProducer, TypedRecord};
use serde::Serialize;
use std::error::Error;
use std::time::Duration;

#[derive(Serialize)]
struct Order {
    id: i64,
    note: Option<String>,
}

const SCHEMA: &str = r#"{"type":"record","name":"Order","fields":[
    {"name":"id","type":"long"},{"name":"note","type":["null","string"]}]}"#;

fn main() -> Result<(), Box<dyn Error>> {
    common::run(run)
}

pub(crate) fn run(servers: &str) -> Result<(), Box<dyn Error>> {
    // One inside of the process, if none is named; any other is http://host:port.
    let registry = std::env::args().nth(2).filter(|url| url.starts_with("http"));
    let producer = Producer::builder()
        .bootstrap_servers(servers)
        .set(
            "key.serializer",
            "org.apache.kafka.common.serialization.StringSerializer",
        )
        .set(
            "value.serializer",
            "io.confluent.kafka.serializers.KafkaAvroSerializer",
        )
        .set(
            "schema.registry.url",
            registry.as_deref().unwrap_or("mock://example"),
        )
        .dead_letters(DeadLetters::to("orders.dead"))
        .build()?;

    // The schema is registered with the first record, and costs the others nothing.
    let orders = TypedProducer::<str, Order>::configured(producer.clone())
        .value_schema(Schema::new(SchemaKind::Avro, SCHEMA))
        .build()?;
    for id in 1..=3 {
        let note = (id == 2).then(|| "fragile".to_owned());
        let order = Order { id, note };
        let record = TypedRecord::to("orders").key("ada").value(&order);
        let metadata = wait(wait(orders.send(&record))?)?;
        println!("order {id} at {:?}", metadata.offset());
    }

    // What has no type of its own goes by the same schema; what does not fit it is an error that names the field.
    let values = TypedProducer::<str, serde_json::Value>::configured(producer.clone())
        .value_schema(Schema::new(SchemaKind::Avro, SCHEMA))
        .build()?;
    let wrong = serde_json::json!({"id": "four"});
    match wait(values.send(&TypedRecord::to("orders").key("ada").value(&wrong))) {
        Err(error) => println!("{error}"),
        Ok(_) => return Err("it should not fit".into()),
    }

    wait(producer.close(Duration::from_secs(30)));
    println!("{}", producer.dead_letter_counts());
    Ok(())
}

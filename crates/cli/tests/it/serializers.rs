//! `ottla produce` with formats and schemas: what arrives, byte for byte, and what does not fit.

use crate::real;
use crate::support::{Broker, Run, run};
use ottla::serialization::mock::{Fault, MockRegistry, MockServer};
use std::fs;
use std::process::{Command, Stdio};

const SCHEMA: &str = r#"{"type":"record","name":"Order","fields":[
    {"name":"id","type":"long"},{"name":"note","type":["null","string"]}]}"#;

/// All keys and values of a topic with one partition, in their order.
fn read(broker: &str, topic: &str) -> Vec<u8> {
    // %K and %S are lengths, so that bytes are told from what stands between them.
    let output = Command::new("kcat")
        .args([
            "-C",
            "-e",
            "-q",
            "-o",
            "beginning",
            "-f",
            "%K:%k %S:%s\n",
            "-b",
            broker,
            "-t",
            topic,
        ])
        .stdin(Stdio::null())
        .output()
        .expect("kcat runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    output.stdout
}

fn has_kcat() -> bool {
    let there = Command::new("kcat")
        .arg("-V")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok();
    assert!(
        there || std::env::var_os("CI").is_none(),
        "with CI set, kcat must be there"
    );
    if !there {
        println!("SKIPPED: there is no kcat");
    }
    there
}

fn produce(broker: &str, flags: &[&str], input: &str) -> Run {
    run(&[&["produce", "-b", broker, "-p", "0"], flags].concat(), input)
}

/// Into the broker in memory, or a real one: the same bytes.
fn check_avro(broker: &str, topic: &str) {
    let mock = MockRegistry::new();
    let server = MockServer::start(mock.clone()).expect("a port");
    let url = format!("schema.registry.url={}", server.url());
    let folder = tempfile::tempdir().expect("a folder");
    let schema = folder.path().join("order.avsc");
    fs::write(&schema, SCHEMA).expect("written");
    let schema = schema.to_str().expect("UTF-8");
    let keyed = ["-K", "\\t", "--key-format", "int", "-Z", "-X", &url, topic];
    // The file's name says that it is Avro; it is registered.
    let lines = "1\t{\"id\": 1, \"note\": \"x\"}\n2\t{\"note\": null, \"id\": 2}\n3\t\n";
    produce(broker, &[&keyed[..], &["--value-schema", schema]].concat(), lines).ends(0, "3 sent, 0 failed");
    assert_eq!(
        mock.take_requests(),
        [format!("POST /subjects/{topic}-value/versions")]
    );
    // By number, by subject and as the latest of the topic's; a union's branch as Avro's own JSON has it, too.
    let subject = format!("subject:{topic}-value");
    for schema in ["1", subject.as_str(), "latest"] {
        let line = "4\t{\"id\": 4, \"note\": {\"string\": \"y\"}}\n";
        let flags = ["--value-format", "avro", "--schema", schema];
        produce(broker, &[&keyed[..], &flags].concat(), line).ends(0, "1 sent, 0 failed");
    }
    // A record of a union by its name.
    let named = folder.path().join("named.avsc");
    let union = r#"["null", {"type": "record", "name": "shop.A", "fields": [{"name": "x", "type": "int"}]},
        {"type": "record", "name": "shop.B", "fields": [{"name": "x", "type": "int"}]}]"#;
    fs::write(&named, union).expect("written");
    let other = format!("{topic}-named");
    let flags = ["-X", &url, "--schema", named.to_str().expect("UTF-8"), &other];
    produce(broker, &flags, "{\"shop.B\": {\"x\": 3}}\nnull\n").ends(0, "2 sent, 0 failed");
    produce(broker, &flags, "{\"x\": 3}\n").ends(3, "fits more than one branch of the union");
    // As the file of a Java program has it.
    let file = folder.path().join("producer.properties");
    let class = "io.confluent.kafka.serializers.KafkaAvroSerializer";
    fs::write(
        &file,
        format!("value.serializer={class}\nuse.latest.version=true\n{url}\n"),
    )
    .expect("written");
    let flags = [topic, "-F", file.to_str().expect("UTF-8")];
    produce(broker, &flags, "{\"id\": 5, \"note\": null}\n").ends(0, "1 sent, 0 failed");

    let mut expected = Vec::new();
    let mut line = |key: &[u8], value: Option<&[u8]>| {
        let length = |bytes: Option<&[u8]>| bytes.map_or("-1".to_owned(), |bytes| bytes.len().to_string());
        let key = Some(key).filter(|key| !key.is_empty());
        for (part, end) in [(key, b' '), (value, b'\n')] {
            expected.extend_from_slice(length(part).as_bytes());
            expected.push(b':');
            expected.extend_from_slice(part.unwrap_or_default());
            expected.push(end);
        }
    };
    line(&[0, 0, 0, 1], Some(&[0, 0, 0, 0, 1, 2, 2, 2, b'x']));
    line(&[0, 0, 0, 2], Some(&[0, 0, 0, 0, 1, 4, 0]));
    line(&[0, 0, 0, 3], None);
    for _ in 0..3 {
        line(&[0, 0, 0, 4], Some(&[0, 0, 0, 0, 1, 8, 2, 2, b'y']));
    }
    line(&[], Some(&[0, 0, 0, 0, 1, 10, 0]));
    let found = read(broker, topic);
    assert_eq!(found, expected, "{:?}", String::from_utf8_lossy(&found));
}

#[test]
fn avro_goes_with_the_ids_of_a_registry() {
    if !has_kcat() {
        return;
    }
    let broker = Broker::start();
    check_avro(&broker.address, "avro");
    if let Some(real) = real::broker() {
        check_avro(&real, &real::topic("avro"));
    }
}

const PROTO: &str = "syntax = \"proto3\"; package shop; message Other {} message Order { int64 id = 1; repeated Line \
                     lines = 2; message Line { string item = 1; } }";
const JSON_SCHEMA: &str = r#"{"title": "Order", "type": "object", "properties": {"id": {"type": "integer"}},
    "required": ["id"], "additionalProperties": false}"#;

/// Values of a topic with one partition, each in brackets with its length.
fn values(values: &[&[u8]]) -> Vec<u8> {
    let mut expected = Vec::new();
    for value in values {
        expected.extend_from_slice(format!("-1: {}:", value.len()).as_bytes());
        expected.extend_from_slice(value);
        expected.push(b'\n');
    }
    expected
}

/// Protobuf and JSON Schema: by a file, whose name tells the format or not, by number, as the latest and of a subject.
fn check_schemas(broker: &str, topic: &str) {
    let mock = MockRegistry::new();
    let server = MockServer::start(mock.clone()).expect("a port");
    let url = format!("schema.registry.url={}", server.url());
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).expect("written");
        path.to_str().expect("UTF-8").to_owned()
    };
    let (proto, no_name) = (file("order.proto", PROTO), file("order.txt", PROTO));
    let send = |flags: &[&str], input: &str| produce(broker, &[&["-X", &url, topic], flags].concat(), input);
    let message = ["--value-message", "shop.Order"];
    let line = "{\"id\": \"7\", \"lines\": [{\"item\": \"x\"}]}\n";
    send(&[&["--schema", &*proto][..], &message].concat(), line).ends(0, "1 sent, 0 failed");
    let subject = format!("subject:{topic}-value");
    for schema in [&*no_name, "1", "latest", &subject] {
        let flags = ["--value-format", "protobuf", "--schema", schema];
        send(&[&flags[..], &message].concat(), line).ends(0, "1 sent, 0 failed");
    }
    // Without a name the first message is meant; nothing is in it.
    send(&["--value-format", "protobuf", "--schema", "1"], "{}\n").ends(0, "1 sent, 0 failed");
    send(
        &[&["--schema", &*proto][..], &message].concat(),
        &format!("{line}{{\"id\": 1, \"lines\": [{{\"item\": 1}}]}}\n"),
    )
    .ends(3, "line 2: value for topic")
    .ends(3, "field lines[0].item: ");
    send(&["--schema", &*proto, "--value-message", "Order"], line).ends(2, "it has no message \"Order\"");
    let written: &[u8] = &[0, 0, 0, 0, 1, 2, 2, 8, 7, 18, 3, 10, 1, b'x'];
    let mut expected = vec![written; 5];
    expected.extend([&[0, 0, 0, 0, 1, 0][..], written]);
    let found = read(broker, topic);
    assert_eq!(found, values(&expected), "{:?}", String::from_utf8_lossy(&found));

    // The same subject does not take another language; another topic does.
    let json = file("order.json", JSON_SCHEMA);
    send(&["--schema", &*json], "{\"id\": 1}\n").ends(3, "answers 409");
    let topic = format!("{topic}-json");
    let send = |flags: &[&str], input: &str| produce(broker, &[&["-X", &url, &topic], flags].concat(), input);
    send(&["--schema", &*json], "{\"id\": 1}\n").ends(0, "1 sent, 0 failed");
    for schema in [&*json, "2", "latest"] {
        let flags = ["--value-format", "json-schema", "--schema", schema];
        send(&flags, "{ \"id\" : 2 }\n").ends(0, "1 sent, 0 failed");
    }
    for (bad, field) in [
        ("{\"id\": \"x\"}\n", "field id: "),
        ("{}\n", "id"),
        ("{\"id\": 1, \"b\": 2}\n", "b"),
    ] {
        send(&["--schema", &*json], bad)
            .ends(
                3,
                &format!("line 1: value for topic {topic:?}: subject \"{topic}-value\": "),
            )
            .ends(3, field);
    }
    let expected: [&[u8]; 4] = [
        b"\0\0\0\0\x02{\"id\":1}",
        b"\0\0\0\0\x02{\"id\":2}",
        b"\0\0\0\0\x02{\"id\":2}",
        b"\0\0\0\0\x02{\"id\":2}",
    ];
    let found = read(broker, &topic);
    assert_eq!(found, values(&expected), "{:?}", String::from_utf8_lossy(&found));
}

#[test]
fn protobuf_and_json_schema_go_with_the_ids_of_a_registry() {
    if !has_kcat() {
        return;
    }
    let broker = Broker::start();
    check_schemas(&broker.address, "schemas");
    if let Some(real) = real::broker() {
        check_schemas(&real, &real::topic("schemas"));
    }
}

#[test]
fn plain_formats_are_javas_bytes() {
    if !has_kcat() {
        return;
    }
    let broker = Broker::start();
    let flags = [
        "plain",
        "-K",
        ":",
        "--key-format",
        "string",
        "--value-format",
        "long",
    ];
    produce(&broker.address, &flags, "a:1\nb:-1\n").ends(0, "2 sent, 0 failed");
    let flags = ["plain", "--value-format", "json"];
    produce(&broker.address, &flags, "{\"a\": 1.00}\n").ends(0, "1 sent, 0 failed");
    // The key of a flag is of the key's format, too.
    let flags = [
        "plain",
        "-k",
        "7",
        "--key-format",
        "short",
        "--value-format",
        "boolean",
    ];
    produce(&broker.address, &flags, "true\n").ends(0, "1 sent, 0 failed");
    let expected = b"1:a 8:\0\0\0\0\0\0\0\x01\n1:b 8:\xff\xff\xff\xff\xff\xff\xff\xff\n-1: 11:{\"a\": 1.00}\n2:\0\x07 1:\x01\n";
    let found = read(&broker.address, "plain");
    assert_eq!(found, expected, "{:?}", String::from_utf8_lossy(&found));
}

#[test]
fn a_value_that_does_not_fit_ends_with_3_and_its_line() {
    let broker = Broker::start();
    let server = MockServer::start(MockRegistry::new()).expect("a port");
    let url = format!("schema.registry.url={}", server.url());
    let folder = tempfile::tempdir().expect("a folder");
    let schema = folder.path().join("order.avsc");
    fs::write(&schema, SCHEMA).expect("written");
    let avro = ["t", "-X", &url, "--value-schema", schema.to_str().expect("UTF-8")];
    let good = "{\"id\": 1, \"note\": null}\n";
    for (flags, input, part) in [
        (
            &["t", "--value-format", "int"][..],
            "1\nx\n2\n".to_owned(),
            "error: line 2: value for topic \"t\": expected a whole number, found \"x\"",
        ),
        (
            &["t", "--value-format", "short"],
            "1\n70000\n".to_owned(),
            "line 2: value for topic \"t\": --value",
        ),
        (
            &["t", "--key-format", "uuid", "-K", ":", "--value-format", "bytes"],
            "x:\n".to_owned(),
            "line 1: key for topic \"t\": ",
        ),
        (
            &["t", "--value-format", "json"],
            "{}\n{\n".to_owned(),
            "line 2: value for topic \"t\": no JSON",
        ),
        (
            &avro,
            format!("{good}{{\"id\": \"x\"}}\n"),
            "line 2: value for topic \"t\": subject \"t-value\": field id: ",
        ),
        (
            &avro,
            format!("{good}{good}{{\"note\": null}}\n"),
            "line 3: value for topic \"t\": subject \"t-value\": field id: it is missing",
        ),
        (
            &["t", "--value-format", "int", "-f", "%v,"],
            "1,x,".to_owned(),
            "error: record 2: ",
        ),
    ] {
        let sent = input
            .lines()
            .count()
            .saturating_sub(1)
            .max(usize::from(part.contains("record 2")));
        let sent = if part.contains("line 2") { 1 } else { sent.min(2) };
        let run = produce(&broker.address, flags, &input);
        let part = part.replace("--value", "value.serializer=");
        run.ends(3, &part).ends(3, &format!("{sent} sent, 0 failed"));
    }
}

#[test]
fn a_registry_that_does_not_answer_ends_with_1() {
    let broker = Broker::start();
    let mock = MockRegistry::new();
    let server = MockServer::start(mock.clone()).expect("a port");
    let url = format!("schema.registry.url={}", server.url());
    let flags = [
        "t",
        "-X",
        &url,
        "-X",
        "max.retries=0",
        "--value-format",
        "avro",
        "--value-schema",
        "latest",
    ];
    for (fault, part) in [
        (Fault::Status(500), "subject \"t-value\""),
        (Fault::Status(401), "subject \"t-value\""),
        (Fault::Close, "subject \"t-value\""),
    ] {
        mock.push_fault(fault);
        let run = produce(&broker.address, &flags, "{}\n{}\n");
        run.ends(1, "error: line 1: value for topic \"t\"")
            .ends(1, part)
            .ends(1, "0 sent, 1 failed");
    }
    // Nobody has such a subject: that is no trouble of the registry.
    produce(&broker.address, &flags, "{}\n").ends(3, "line 1: value for topic \"t\": subject \"t-value\"");
}

#[test]
fn flags_that_do_not_go_together_end_with_2() {
    let flags = |flags: &[&str]| produce("127.0.0.1:1", &[&["t"], flags].concat(), "");
    flags(&["--value-schema", "1"]).ends(
        2,
        "--value-schema needs --value-format avro, protobuf or json-schema",
    );
    flags(&["--value-format", "int", "--schema", "1"]).ends(2, "--value-schema needs --value-format");
    flags(&["--key-format", "nothing"]).ends(2, "json-schema");
    flags(&["--value-format", "avro"]).ends(2, "KafkaAvroSerializer needs schema.registry.url");
    let registry = ["-X", "schema.registry.url=http://127.0.0.1:1"];
    let with = |more: &[&str]| flags(&[&registry, more].concat());
    with(&["--value-format", "avro"]).ends(2, "here --value-schema says which");
    with(&["--value-schema", "/nowhere.avsc"]).ends(2, "--value-schema: cannot read /nowhere.avsc");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("bad.avsc");
    fs::write(&file, "{").expect("written");
    with(&["--value-schema", file.to_str().expect("UTF-8")]).ends(2, "KafkaAvroSerializer");
    let unused = ["-X", "value.serializer=com.example.Own"];
    flags(&unused).ends(0, "warning: -X: value.serializer: is ignored");
}

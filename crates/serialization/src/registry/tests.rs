//! The client against the mock, over real HTTP.
#![expect(
    clippy::disallowed_methods,
    reason = "the transport of these tests is I/O: a thread for each exchange"
)]

mod compatibility;
#[cfg(all(feature = "json-schema", feature = "protobuf-dynamic"))]
mod formats;
mod limits;

use super::*;
use crate::avro::AvroSerializer;
use crate::mock::{Fault, MockRegistry, MockServer};
use crate::{AddedHeaders, ErrorKind, Output, Payload, Role, SerializeError, Serializer, Target};
use parking_lot::Mutex;
use serde_json::json;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::pin::pin;
use std::sync::Arc;
use std::sync::mpsc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

/// Blocking HTTP on a thread for each exchange. Pauses are noted, and take no time.
#[derive(Default)]
struct Threads {
    pauses: Mutex<Vec<Duration>>,
}

impl Http for Threads {
    fn exchange(&self, request: Request) -> BoxFuture<Result<Response, HttpError>> {
        let slot = Arc::new(Mutex::new((None, None::<Waker>)));
        let filled = Arc::clone(&slot);
        thread::spawn(move || {
            let outcome = exchange(&request);
            let mut slot = filled.lock();
            slot.0 = Some(outcome);
            if let Some(waker) = slot.1.take() {
                waker.wake();
            }
        });
        Box::pin(std::future::poll_fn(move |cx| {
            let mut slot = slot.lock();
            match slot.0.take() {
                Some(outcome) => Poll::Ready(outcome),
                None => {
                    slot.1 = Some(cx.waker().clone());
                    Poll::Pending
                }
            }
        }))
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<()> {
        self.pauses.lock().push(duration);
        Box::pin(std::future::ready(()))
    }
}

fn exchange(request: &Request) -> Result<Response, HttpError> {
    let broken = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut => HttpError::Timeout,
        _ => HttpError::Connection(error.to_string()),
    };
    let endpoint = Endpoint::parse(request.url.split('?').next().unwrap_or_default()).expect("a URL");
    let host = format!("{}:{}", endpoint.host(), endpoint.port());
    let mut stream = TcpStream::connect(&host).map_err(broken)?;
    stream.set_read_timeout(Some(request.timeout)).map_err(broken)?;
    stream
        .write_all(&request_bytes(request, &host)?)
        .map_err(broken)?;
    let mut reader = ResponseReader::new(request.response_bytes_max);
    let mut buffer = [0; 4096];
    loop {
        let count = stream.read(&mut buffer).map_err(broken)?;
        if count == 0 {
            return reader.end();
        }
        if let Some(response) = reader.push(&buffer[..count])? {
            return Ok(response);
        }
    }
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    struct Bell(mpsc::SyncSender<()>);
    impl Wake for Bell {
        fn wake(self: Arc<Self>) {
            // One ring is enough.
            let _ = self.0.try_send(());
        }
    }
    let (bell, rings) = mpsc::sync_channel(1);
    let waker = Waker::from(Arc::new(Bell(bell)));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(value) => return value,
            Poll::Pending => rings.recv().expect("somebody wakes"),
        }
    }
}

struct Set {
    mock: MockRegistry,
    server: MockServer,
    http: Arc<Threads>,
}

impl Set {
    fn new() -> Set {
        let mock = MockRegistry::new();
        let server = MockServer::start(mock.clone()).expect("a port");
        Set {
            mock,
            server,
            http: Arc::default(),
        }
    }

    fn registry(&self) -> Registry {
        self.registry_with(&self.server.url(), |config| config)
    }

    fn registry_with(&self, urls: &str, change: impl FnOnce(RegistryConfig) -> RegistryConfig) -> Registry {
        let config = change(RegistryConfig::new(urls).expect("addresses"));
        Registry::new(config, Arc::clone(&self.http) as Arc<dyn Http>)
    }
}

fn record(name: &str, fields: &serde_json::Value) -> Schema {
    Schema::new(
        SchemaKind::Avro,
        json!({"type": "record", "name": name, "fields": fields}).to_string(),
    )
}

fn order() -> Schema {
    record("shop.Order", &json!([{"name": "id", "type": "long"}]))
}

fn avro(registry: Registry, settings: SerializerSettings, schema: Option<Schema>) -> AvroSerializer {
    AvroSerializer::with_registry(registry, settings, schema).expect("a schema")
}

fn settings(change: impl FnOnce(&mut SerializerSettings)) -> SerializerSettings {
    let mut settings = SerializerSettings::default();
    change(&mut settings);
    settings
}

type Written = (Vec<u8>, Vec<(String, Vec<u8>)>);

fn write(
    serializer: &AvroSerializer,
    target: &Target<'_>,
    value: &serde_json::Value,
) -> Result<Written, SerializeError> {
    wait(serializer.prepare(target, Some(value))?.ready())?;
    let (mut bytes, mut headers) = (Vec::new(), AddedHeaders::new());
    let mut output = Output::new(&mut bytes, &mut headers);
    let payload = serializer.serialize(target, Some(value), &mut output)?;
    assert_eq!(payload, Payload::Bytes);
    let headers = headers
        .iter()
        .map(|(name, value)| (name.to_owned(), value.to_vec()));
    Ok((bytes, headers.collect()))
}

fn target(topic: &str) -> Target<'_> {
    Target::new(topic, Role::Value)
}

#[test]
fn a_schema_is_registered_once_and_its_id_stands_in_front() {
    let set = Set::new();
    let serializer = avro(set.registry(), SerializerSettings::default(), Some(order()));
    let value = json!({"id": 1});
    let error = Serializer::serialize(
        &serializer,
        &target("orders"),
        Some(&value),
        &mut Output::new(&mut Vec::new(), &mut AddedHeaders::new()),
    );
    assert_eq!(error.expect_err("not prepared").kind(), ErrorKind::NotReady);
    for _ in 0..3 {
        assert_eq!(
            write(&serializer, &target("orders"), &value),
            Ok((vec![0, 0, 0, 0, 1, 2], vec![]))
        );
    }
    assert!(
        Serializer::prepare(&serializer, &target("orders"), Some(&value))
            .expect("known")
            .is_ready()
    );
    // A null needs no schema.
    let other = target("other");
    assert!(
        Serializer::<serde_json::Value>::prepare(&serializer, &other, None)
            .expect("null")
            .is_ready()
    );
    assert_eq!(set.mock.take_requests(), ["POST /subjects/orders-value/versions"]);
    // A second client finds the same id, and another subject does too.
    let second = avro(set.registry(), SerializerSettings::default(), Some(order()));
    assert_eq!(
        write(&second, &target("orders"), &value).expect("written").0[..5],
        [0, 0, 0, 0, 1]
    );
    assert_eq!(
        write(&second, &other, &value).expect("written").0[..5],
        [0, 0, 0, 0, 1]
    );
}

#[test]
fn all_who_ask_at_once_share_one_request() {
    let set = Set::new();
    let serializer = avro(set.registry(), SerializerSettings::default(), Some(order()));
    let value = json!({"id": 1});
    let mut all: Vec<_> = (0..5)
        .map(|_| Serializer::prepare(&serializer, &target("orders"), Some(&value)).expect("pending"))
        .collect();
    // Who gives up first does not take the others with them.
    drop(all.remove(0));
    for readiness in all {
        assert_eq!(wait(readiness.ready()), Ok(()));
    }
    assert_eq!(set.mock.take_requests().len(), 1);
}

#[test]
fn subjects_follow_the_strategy() {
    struct Own;
    impl SubjectStrategy for Own {
        fn subject(&self, topic: &str, role: Role, record: Option<&str>) -> Result<String, SerializeError> {
            Ok(format!("a b/{topic}/{role}/{}", record.unwrap_or_default()))
        }
    }
    let strategies: [(Arc<dyn SubjectStrategy>, &str); 4] = [
        (Arc::new(TopicName), "orders-value"),
        (Arc::new(RecordName), "shop.Order"),
        (Arc::new(TopicRecordName), "orders-shop.Order"),
        (Arc::new(Own), "a%20b%2Forders%2Fvalue%2Fshop.Order"),
    ];
    let set = Set::new();
    for (strategy, subject) in strategies {
        let settings = settings(|settings| settings.subject_strategy = strategy);
        write(
            &avro(set.registry(), settings, Some(order())),
            &target("orders"),
            &json!({"id": 1}),
        )
        .expect("written");
        assert_eq!(
            set.mock.take_requests(),
            [format!("POST /subjects/{subject}/versions")]
        );
    }
    let nameless = settings(|settings| settings.subject_strategy = Arc::new(RecordName));
    let serializer = avro(
        set.registry(),
        nameless,
        Some(Schema::new(SchemaKind::Avro, "\"long\"")),
    );
    let error = write(&serializer, &target("orders"), &json!(1)).expect_err("no name");
    assert_eq!(error.kind(), ErrorKind::Schema);
}

#[test]
fn the_header_form_leaves_the_payload_alone() {
    let set = Set::new();
    let settings = settings(|settings| settings.id_form = IdForm::Header);
    let serializer = avro(set.registry(), settings, Some(order()));
    let (payload, headers) = write(&serializer, &target("orders"), &json!({"id": 1})).expect("written");
    assert_eq!(payload, [2]);
    let [(name, value)] = &headers[..] else {
        panic!("{headers:?}")
    };
    assert_eq!(name, VALUE_SCHEMA_ID_HEADER);
    let read = WireForm::read(&payload, Some(value), false).expect("well formed");
    let SchemaId::Guid(guid) = read.id else {
        panic!("{read:?}")
    };
    // The registration's answer has no GUID, so it was looked up.
    assert_eq!(
        set.mock.take_requests(),
        [
            "POST /subjects/orders-value/versions",
            "POST /subjects/orders-value"
        ]
    );
    let known = wait(set.registry().latest("orders-value")).expect("registered");
    assert_eq!(known.registered.guid, Some(guid));
}

#[test]
fn a_schema_must_be_there_if_it_is_not_to_be_registered() {
    let set = Set::new();
    let look_up = || settings(|settings| settings.source = SchemaSource::LookUp);
    let serializer = avro(set.registry(), look_up(), Some(order()));
    let error = write(&serializer, &target("orders"), &json!({"id": 1})).expect_err("not there");
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(error.subject(), Some("orders-value"));
    assert!(error.message().contains("40401"), "{error}");
    wait(set.registry().register("orders-value", &order(), false)).expect("registered");
    // An error is not remembered.
    assert!(write(&serializer, &target("orders"), &json!({"id": 1})).is_ok());
}

#[test]
fn the_latest_schema_is_used() {
    let set = Set::new();
    let registry = set.registry();
    let wider = record(
        "shop.Order",
        &json!([{"name": "id", "type": "long"}, {"name": "note", "type": "string", "default": "-"}]),
    );
    for schema in [&order(), &wider] {
        wait(registry.register("orders-value", schema, false)).expect("compatible");
    }
    let latest = || settings(|settings| settings.source = SchemaSource::Latest);
    let (payload, _) = write(
        &avro(set.registry(), latest(), Some(order())),
        &target("orders"),
        &json!({"id": 1}),
    )
    .expect("written");
    assert_eq!(
        payload,
        [0, 0, 0, 0, 2, 2, 2, b'-'],
        "with the new field's default"
    );
    let (payload, _) = write(
        &avro(set.registry(), latest(), None),
        &target("orders"),
        &json!({"id": 1}),
    )
    .expect("written");
    assert_eq!(payload[..5], [0, 0, 0, 0, 2]);
    let by_id = settings(|settings| settings.source = SchemaSource::Id(1));
    let (payload, _) = write(
        &avro(set.registry(), by_id, None),
        &target("orders"),
        &json!({"id": 1}),
    )
    .expect("written");
    assert_eq!(payload, [0, 0, 0, 0, 1, 2]);
    let other = record("shop.Order", &json!([{"name": "id", "type": "string"}]));
    let error = write(
        &avro(set.registry(), latest(), Some(other)),
        &target("orders"),
        &json!({"id": "x"}),
    )
    .expect_err("strict");
    assert_eq!(error.kind(), ErrorKind::Incompatible);
    assert!(error.message().contains("latest.compatibility.strict"), "{error}");
}

#[test]
fn evolution_is_held_to_the_subjects_level() {
    let set = Set::new();
    let registry = set.registry();
    let with = |fields| record("R", &fields);
    let one = with(json!([{"name": "a", "type": "int"}]));
    let added = with(json!([{"name": "a", "type": "int"}, {"name": "b", "type": "int"}]));
    let gone = with(json!([]));
    for (level, accepted, refused) in [
        (Compatibility::Backward, &gone, &added),
        (Compatibility::Forward, &added, &gone),
        (Compatibility::FullTransitive, &one, &added),
    ] {
        let subject = format!("{level:?}");
        wait(registry.register(&subject, &one, false)).expect("the first");
        wait(registry.set_compatibility(&subject, level)).expect("set");
        assert_eq!(wait(registry.is_compatible(&subject, refused)), Ok(false));
        assert_eq!(wait(registry.is_compatible(&subject, accepted)), Ok(true));
        let error = wait(registry.register(&subject, refused, false)).expect_err("refused");
        assert_eq!(
            (error.kind(), error.subject()),
            (ErrorKind::Incompatible, Some(&*subject))
        );
        assert!(error.message().contains("409"), "{error}");
        wait(registry.register(&subject, accepted, false)).expect("accepted");
        wait(registry.set_compatibility(&subject, Compatibility::None)).expect("set");
        wait(registry.register(&subject, refused, false)).expect("everything goes");
    }
}

#[test]
fn references_are_registered_first_and_fetched_again() {
    let set = Set::new();
    let inner = record("a.Inner", &json!([{"name": "x", "type": "int"}]));
    let middle = record("b.Middle", &json!([{"name": "inner", "type": "a.Inner"}]))
        .with_reference(Reference::to_schema("a.Inner", "inner", inner.clone()));
    let outer = record(
        "c.Outer",
        &json!([{"name": "middle", "type": "b.Middle"}, {"name": "inner", "type": "a.Inner"}]),
    )
    .with_reference(Reference::to_schema("b.Middle", "middle", middle))
    .with_reference(Reference::to_schema("a.Inner", "inner", inner));
    let value = json!({"middle": {"inner": {"x": 1}}, "inner": {"x": 2}});
    let serializer = avro(set.registry(), SerializerSettings::default(), Some(outer));
    let (payload, _) = write(&serializer, &target("orders"), &value).expect("written");
    assert_eq!(payload[5..], [2, 4]);
    let latest = settings(|settings| settings.source = SchemaSource::Latest);
    let (again, _) = write(&avro(set.registry(), latest, None), &target("orders"), &value).expect("written");
    assert_eq!(again, payload);
    let unknown = record("d.R", &json!([{"name": "x", "type": "e.Nothing"}]));
    let error = wait(set.registry().register(
        "d",
        &unknown.with_reference(Reference::to_version("e.Nothing", "e", 7)),
        false,
    ));
    assert!(error.expect_err("no such reference").message().contains("42201"));
}

#[test]
fn credentials_are_sent_and_never_shown() {
    let set = Set::new();
    set.mock.require_authorization("Basic dXNlcjpjYW5hcnk=");
    let url = set.server.url();
    let address = url.trim_start_matches("http://");
    let subjects = |registry: &Registry| wait(registry.register("s", &order(), false));
    let error = subjects(&set.registry()).expect_err("nobody");
    assert_eq!(error.kind(), ErrorKind::Unauthorized);
    assert!(error.message().contains("basic.auth.user.info"), "{error}");
    let in_url = set.registry_with(&format!("http://user:canary@{address}"), |config| config);
    assert!(subjects(&in_url).is_ok());
    let given = set.registry_with(&url, |config| config.basic_credentials("user:canary"));
    assert!(subjects(&given).is_ok());
    set.mock.require_authorization("Bearer canary");
    let token = set.registry_with(&url, |config| config.bearer_token("canary"));
    assert!(wait(token.latest("s")).is_ok());
    let refused = wait(in_url.latest("s")).expect_err("the wrong kind");
    for shown in [
        format!("{in_url:?}"),
        format!("{token:?}"),
        refused.to_string(),
        format!("{refused:?}"),
    ] {
        assert!(!shown.contains("canary") && !shown.contains("dXNlc"), "{shown}");
    }
}

#[test]
fn trouble_is_tried_again_and_then_told() {
    let set = Set::new();
    let once = |registry: &Registry| wait(registry.register("s", &order(), false));
    for fault in [
        Fault::Status(500),
        Fault::Status(503),
        Fault::Status(429),
        Fault::Close,
    ] {
        set.mock.push_fault(fault);
        assert!(once(&set.registry()).is_ok());
    }
    assert_eq!(set.http.pauses.lock().len(), 4);
    // Four attempts, with three pauses between, each longer than the one before.
    for _ in 0..4 {
        set.mock.push_fault(Fault::Status(500));
    }
    set.http.pauses.lock().clear();
    let error = once(&set.registry()).expect_err("four times");
    assert_eq!(
        (error.kind(), error.is_retriable()),
        (ErrorKind::Unavailable, true)
    );
    assert!(
        error.message().contains("answers 500") && error.message().contains("50001"),
        "{error}"
    );
    let pauses = set.http.pauses.lock().clone();
    assert!(pauses.len() == 3 && pauses.is_sorted(), "{pauses:?}");
    // What another attempt would not change is not tried again.
    for (fault, kind) in [
        (Fault::Status(401), ErrorKind::Unauthorized),
        (Fault::Status(404), ErrorKind::NotFound),
        (Fault::Status(409), ErrorKind::Incompatible),
        (Fault::Status(422), ErrorKind::Refused),
        (Fault::Body("nonsense".to_owned()), ErrorKind::Protocol),
        (Fault::Body("{}".to_owned()), ErrorKind::Protocol),
        (Fault::Body("x".repeat(20_000)), ErrorKind::Protocol),
    ] {
        set.http.pauses.lock().clear();
        set.mock.push_fault(fault.clone());
        let registry = set.registry_with(&set.server.url(), |mut config| {
            config.response_bytes_max = 10_000;
            config
        });
        let error = once(&registry).expect_err("a fault");
        assert_eq!(
            (error.kind(), error.subject()),
            (kind, Some("s")),
            "{fault:?}: {error}"
        );
        assert!(set.http.pauses.lock().is_empty(), "{fault:?}");
    }
}

#[test]
fn a_slow_registry_times_out() {
    let mock = MockRegistry::new();
    mock.push_fault(Fault::Delay(Duration::from_secs(3_600)));
    let mut config = RegistryConfig::new("mock://slow").expect("an address");
    config.retries = 0;
    let registry = Registry::new(config, Arc::new(mock));
    let error = wait(registry.latest("s")).expect_err("an hour is too long");
    assert_eq!(error.kind(), ErrorKind::Timeout);
}

#[test]
fn another_address_is_asked_when_one_is_down() {
    let set = Set::new();
    // A port that was just free: nobody listens.
    let down = MockServer::start(MockRegistry::new())
        .map(|server| server.url())
        .expect("a port");
    let registry = set.registry_with(&format!("{down},{}", set.server.url()), |config| config);
    assert!(wait(registry.register("s", &order(), false)).is_ok());
    assert!(
        set.http.pauses.lock().is_empty(),
        "the other address is asked at once"
    );
    let lost = set.registry_with(&down, |mut config| {
        config.retries = 1;
        config
    });
    let error = wait(lost.latest("s")).expect_err("nobody is there");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.message().contains(&down), "{error}");
}

#[test]
fn memory_is_bounded() {
    let set = Set::new();
    let settings = settings(|settings| settings.topics_max = 2);
    let serializer = avro(set.registry(), settings, Some(order()));
    let topics = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"];
    for topic in topics {
        write(&serializer, &target(topic), &json!({"id": 1})).expect("written");
    }
    let is_known = |topic: &&str| {
        let readiness = Serializer::<serde_json::Value>::prepare(
            &serializer,
            &Target::new(topic, Role::Value),
            Some(&json!({})),
        );
        readiness.expect("it can be asked").is_ready()
    };
    let known: Vec<_> = topics.into_iter().filter(|topic| is_known(topic)).collect();
    // The first ones, as a power of two, stay; those after them begin anew each time that there are two.
    assert_eq!(known, ["a", "b", "c", "d", "k", "l"]);
    let written = write(&serializer, &target("l"), &json!({"id": 1})).expect("known");
    assert_eq!(written.0[..5], [0, 0, 0, 0, 1]);
}

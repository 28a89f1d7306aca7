//! Against a real broker, and against the classes of the Java client.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::Duration;

use bytes::Bytes;
use ottla_protocol::messages::{ApiVersionsRequest, MetadataRequest};
use ottla_protocol::wire::Writer;
use ottla_protocol::{ApiVersions, ErrorClass, ErrorCode, Message, Request, frame};

/// The variable's value; none where a test may be skipped, and says so.
fn needed(variable: &str, what: &str) -> Option<String> {
    let value = std::env::var(variable).ok();
    if value.is_none() {
        assert!(
            std::env::var_os("CI").is_none(),
            "CI has {what}: cargo xtask test"
        );
        println!("SKIPPED: no {what} ({variable} is not set)");
    }
    value
}

#[test]
fn a_real_broker_answers_on_a_plain_socket() {
    let Some(bootstrap) = needed("OTTLA_KAFKA_BOOTSTRAP", "real Kafka") else {
        return;
    };
    let address = bootstrap.split(',').next().unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();

    let request = ApiVersionsRequest {
        client_software_name: "ottla-test".into(),
        client_software_version: "0.1.0".into(),
        ..ApiVersionsRequest::default()
    };
    // One version too high is answered in version 0, with what the broker has.
    let highest = ApiVersionsRequest::VERSIONS.max;
    let too_high = highest + 100;
    let mut bytes = frame::encode_request(&request, highest, 1, None)
        .unwrap()
        .to_vec();
    bytes[6..8].copy_from_slice(&too_high.to_be_bytes());
    stream.write_all(&bytes).unwrap();
    let (id, response) = frame::decode_api_versions(&read_frame(&mut stream), too_high).unwrap();
    assert_eq!(
        (id, ErrorCode(response.error_code)),
        (1, ErrorCode::UNSUPPORTED_VERSION)
    );
    let version = ApiVersions::from_response(&response)
        .negotiate::<ApiVersionsRequest>()
        .unwrap();

    stream
        .write_all(&frame::encode_request(&request, version, 2, None).unwrap())
        .unwrap();
    let (id, response) = frame::decode_api_versions(&read_frame(&mut stream), version).unwrap();
    assert_eq!((id, ErrorCode(response.error_code)), (2, ErrorCode::NONE));
    let broker = ApiVersions::from_response(&response);
    let range = broker.range(MetadataRequest::KEY).unwrap();
    for version in range.min.max(MetadataRequest::VERSIONS.min)..=range.max.min(MetadataRequest::VERSIONS.max)
    {
        // No topics, which in version 0 would mean all.
        let request = MetadataRequest {
            topics: Some(Vec::new()),
            ..MetadataRequest::default()
        };
        let bytes = frame::encode_request(&request, version, version.into(), Some("ottla-test")).unwrap();
        stream.write_all(&bytes).unwrap();
        let (id, response) =
            frame::decode_response::<MetadataRequest>(&read_frame(&mut stream), version).unwrap();
        assert_eq!(id, i32::from(version));
        assert!(!response.brokers.is_empty());
    }
}

fn read_frame(stream: &mut TcpStream) -> Bytes {
    let mut size = [0; frame::SIZE_BYTES];
    stream.read_exact(&mut size).unwrap();
    let mut body = vec![0; frame::check_size(size, 1 << 20).unwrap()];
    stream.read_exact(&mut body).unwrap();
    Bytes::from(body)
}

/// What a program of ours in Java prints, given lines.
fn java(library: &str, program: &str, lines: &str) -> String {
    let mut java = Command::new("java")
        .arg("-cp")
        .arg(format!("{library}/*"))
        .arg(format!(
            "{}/../../xtask/java/{program}",
            env!("CARGO_MANIFEST_DIR")
        ))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // They fit into a pipe, so the program need not read while we write.
    java.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    let output = java.wait_with_output().unwrap();
    assert!(output.status.success(), "{program} fails");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_message_of_which_nothing_was_set_is_that_of_the_java_client() {
    fn written<M: Message>(version: i16) -> String {
        let mut writer = Writer::new();
        match M::default().encode(&mut writer, version) {
            Ok(()) => writer
                .as_slice()
                .iter()
                .fold("=".to_owned(), |hex, byte| format!("{hex}{byte:02x}")),
            Err(_) => "refused".to_owned(),
        }
    }
    macro_rules! all {
        ($(($kind:ident, $key:literal, $message:ty, $min:literal, $max:literal))*) => {
            [$((<$message>::NAME, written::<$message> as fn(i16) -> String)),*]
        };
    }
    let Some(library) = needed("OTTLA_KAFKA_LIB", "Kafka's jars") else {
        return;
    };
    let messages = ottla_protocol::for_each_message!(all);
    let names: String = messages.iter().map(|(name, _)| format!("{name}\n")).collect();
    let mut versions = 0;
    for line in java(&library, "DefaultMessages.java", &names).lines() {
        let words: Vec<_> = line.split(' ').collect();
        let [name, version, expected] = words[..] else {
            panic!("{line}")
        };
        let (_, written) = messages.iter().find(|message| message.0 == name).unwrap();
        assert_eq!(written(version.parse().unwrap()), expected, "{name} v{version}");
        versions += 1;
    }
    assert_eq!(versions, 625);
}

#[test]
fn error_codes_are_those_of_the_java_client() {
    let Some(library) = needed("OTTLA_KAFKA_LIB", "Kafka's jars") else {
        return;
    };
    let lines = java(&library, "ErrorCodes.java", "");
    let mut codes = 0;
    for line in lines.lines() {
        let mut words = line.split(' ');
        let code = ErrorCode(words.next().unwrap().parse().unwrap());
        assert_eq!(code.name(), words.next());
        let kinds: Vec<_> = words.collect();
        let is = |kind| kinds.contains(&kind);
        assert_eq!(code.is_retriable(), is("retriable"), "{code}");
        assert_eq!(code.refreshes_metadata(), is("refresh"), "{code}");
        assert_eq!(
            code.refreshes_coordinator(),
            is("refresh") && !is("metadata"),
            "{code}"
        );
        assert_eq!(code.is_authorization(), is("authorization"), "{code}");
        assert_eq!(code.is_authentication(), is("authentication"), "{code}");
        assert_eq!(
            code.class() == ErrorClass::InvalidConfiguration,
            is("configuration"),
            "{code}"
        );
        assert_eq!(
            code.class() == ErrorClass::ApplicationRecoverable,
            is("recoverable"),
            "{code}"
        );
        codes += 1;
    }
    assert_eq!(codes, ErrorCode::all().len());
}

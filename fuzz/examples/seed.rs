//! Writes the committed corpora anew: a few small inputs for each target, from which the fuzzer starts.
//!
//! `cargo xtask oracle --print --seed 1 --count 2 | cargo run --manifest-path fuzz/Cargo.toml --example seed`
//!
//! The messages are instances that the Java client has encoded; everything else is made by our own writers.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, BufRead as _};
use std::path::Path;

use bytes::Bytes;
use ottla_protocol::compression::{Codec, Compression, Compressor};
use ottla_protocol::frame;
use ottla_protocol::messages::{ApiVersionsRequest, ApiVersionsResponse};
use ottla_protocol::records::{BatchBuilder, EndTransactionMarker, Header};

/// Longer messages teach the fuzzer nothing new.
const MESSAGE_BYTES_MAX: usize = 96;

/// APIs of a producer, and some whose messages are built in an unusual way; for headers and data the place in the list.
const KEYS: [u16; 12] = [0, 1, 3, 10, 18, 22, 24, 26, 36, 55, 68, 80];

/// How the names of inputs begin that a fuzzer found: they stay.
const FOUND: &str = "found-";

type Corpus = BTreeMap<String, Vec<u8>>;

fn main() -> io::Result<()> {
    let corpora = [
        ("messages", messages()?),
        ("wire", wire()),
        ("frames", frames()),
        ("decompress", decompress()),
        ("cli_envelope", cli_envelope()),
        ("cli_layout", cli_layout()),
        ("codec_roundtrip", codec_roundtrip()),
        ("records", records()),
        ("batch_build", unstructured(&[120, 400])),
        ("partitioning", unstructured(&[100, 600])),
        ("session", session()),
        ("transactions", unstructured(&[300, 1_000])),
        ("broker", unstructured(&[300, 1_200])),
    ];
    for (target, inputs) in corpora {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
        fs::create_dir_all(&folder)?;
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            let found = path
                .file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with(FOUND));
            if !found {
                fs::remove_file(path)?;
            }
        }
        for (name, input) in inputs {
            fs::write(folder.join(name), input)?;
        }
    }
    Ok(())
}

/// The longest instance of each message that is not too long, in its highest version.
fn messages() -> io::Result<Corpus> {
    let mut found = BTreeMap::new();
    let (mut header_count, mut data_count) = (BTreeMap::new(), BTreeMap::new());
    for line in io::stdin().lock().lines() {
        let line = line?;
        let words: Vec<_> = line.splitn(4, ' ').collect();
        let [key, kind, version, hex] = words[..] else {
            return Err(io::Error::other(format!("not a message: {line}")));
        };
        let place = |places: &mut BTreeMap<String, u16>| {
            let next = places.len() as u16;
            *places.entry(key.to_owned()).or_insert(next)
        };
        let (kind_number, number) = match kind {
            "request" => (0, key.parse().map_err(io::Error::other)?),
            "response" => (1, key.parse().map_err(io::Error::other)?),
            "header" => (2, place(&mut header_count)),
            _ => (3, place(&mut data_count)),
        };
        let version: u8 = version.parse().map_err(io::Error::other)?;
        let body = unhex(hex);
        if body.len() > MESSAGE_BYTES_MAX || (kind_number < 2 && !KEYS.contains(&number)) {
            continue;
        }
        let [high, low] = number.to_be_bytes();
        let input = [&[kind_number, high, low, version], &body[..]].concat();
        let best: &mut Vec<u8> = found.entry(format!("{kind}-{key}")).or_default();
        if best.get(3).is_none_or(|&before| before < version) || best.len() < input.len() {
            *best = input;
        }
    }
    Ok(found)
}

fn unhex(hex: &str) -> Vec<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).unwrap_or(0) as u8;
    hex.as_bytes()
        .chunks_exact(2)
        .map(|pair| digit(pair[0]) << 4 | digit(pair[1]))
        .collect()
}

fn wire() -> Corpus {
    let mut corpus = Corpus::new();
    for (name, reads, content) in [
        ("integers", &[0, 1, 2, 3, 4, 5, 6, 7][..], [1, 2, 3, 4].repeat(8)),
        (
            "varints",
            &[9, 10, 11],
            vec![
                0xff, 0x7f, 0x80, 0x01, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1,
            ],
        ),
        (
            "strings",
            &[12, 0x8c, 13, 0x8d],
            b"\xff\xff\x00\x00\x02hi\x06hello".to_vec(),
        ),
        (
            "arrays",
            &[17, 0x92, 19, 0x95],
            b"\0\0\0\x01\0\0\0\x05\x02\0\0\0\x06\xff\xff\xff\xff\x02\x03ab".to_vec(),
        ),
        ("tags", &[31], b"\x02\x00\x01a\x80\x01\x02bc".to_vec()),
        (
            "uuid",
            &[8, 15, 16],
            [[7; 16].as_slice(), b"\xff\xff\xff\xff\0\0\0\x01x"].concat(),
        ),
    ] {
        corpus.insert(name.to_owned(), [&[reads.len() as u8], reads, &content].concat());
    }
    corpus
}

fn frames() -> Corpus {
    let request = ApiVersionsRequest {
        client_software_name: "ottla".to_owned(),
        client_software_version: "0.1.0".to_owned(),
        ..ApiVersionsRequest::default()
    };
    let mut corpus = Corpus::new();
    for version in [0, 3, 4] {
        let bytes = frame::encode_request(&request, version, 7, Some("seed")).expect("it can be written");
        corpus.insert(
            format!("request-{version}"),
            [&[0xff, 0xff, 2][..], &bytes].concat(),
        );
        let response = ApiVersionsResponse::default();
        let bytes =
            frame::encode_response::<ApiVersionsRequest>(&response, version, 7).expect("it can be written");
        let both = [&[0xff, 0xff, 0][..], &bytes, &bytes].concat();
        corpus.insert(format!("responses-{version}"), both);
    }
    for (name, stream) in [
        ("http", &b"HTTP/1.1 400 Bad Request\r\n"[..]),
        ("tls", b"\x15\x03\x03\0\x02\x02\x50"),
    ] {
        corpus.insert(name.to_owned(), [&[0x10, 0, 4], stream].concat());
    }
    corpus
}

fn sample() -> Vec<u8> {
    b"{\"user\":42,\"event\":\"click\"}\n".repeat(12)
}

fn decompress() -> Corpus {
    let mut corpus = Corpus::new();
    for (number, compression) in Compression::ALL.into_iter().enumerate() {
        for (name, data) in [
            ("some", sample()),
            ("nothing", Vec::new()),
            ("zeros", vec![0; 20_000]),
        ] {
            if compression == Compression::None && data.len() > 1_000 {
                continue;
            }
            let mut compressed = vec![number as u8, 0xff, 0xff];
            let mut compressor = Compressor::new(Codec::new(compression)).expect("it is compiled in");
            compressor
                .compress(&[&data], &mut compressed)
                .expect("there is memory");
            corpus.insert(format!("{}-{name}", compression.name()), compressed);
        }
    }
    corpus
}

/// What kcat prints, and what it does not.
fn cli_envelope() -> Corpus {
    let lines: [(&str, &[u8]); 4] = [
        ("kcat", b"{\"topic\":\"a\",\"partition\":3,\"offset\":7,\"tstype\":\"create\",\"ts\":1700000000000,\"broker\":1,\"headers\":[\"h\",\"v\",\"n\",null],\"key\":\"k\",\"payload\":\"v\\u0000\\/\\n\"}"),
        ("nulls", b"{\"key\":null,\"payload\":null,\"ts\":5,\"tstype\":\"unknown\",\"partition\":-1}"),
        ("bytes", b"{\"payload\":\"\xff\xfe\\\"\x80\",\"key\":\"\xc3\\ud83d\\ude00\"}"),
        ("wrong", b"{\"payload\":{\"a\":[1,2.5e3,true]},\"value\":\"x\"}"),
    ];
    lines.map(|(name, line)| (name.to_owned(), line.to_vec())).into()
}

/// A layout of each kind, with input for it.
fn cli_layout() -> Corpus {
    let layouts: [(&str, &str, &[u8]); 6] = [
        ("lines", "%k %v\\n", b"a b\n c\nd e"),
        (
            "lengths",
            "%K{byte}%V{big16}%k%v",
            b"\x01\x00\x02abc\x00\x00\x01x",
        ),
        (
            "headers",
            "%k %p %d %H %h{%k=%v;}%v\\n",
            b"key 0 1700000000000 2 h=v;g=;value one\n",
        ),
        ("codes", "%k{hex}:%v{base64}\\n", b"00ff:aGk=\n:\n"),
        (
            "nested",
            "%H{hex4}%h{%K{little32}%k{hex}%V{3}%v}<%V%%%v>",
            b"1\x02\x00\x00\x0061vvv<2%ab>",
        ),
        ("template", "%i:%t-%p@%o %d%%%{\\x41\\n", b""),
    ];
    let input = |text: &str, bytes: &[u8]| {
        let length = u8::try_from(text.len()).expect("short");
        [&[length, 3], text.as_bytes(), bytes].concat()
    };
    layouts
        .map(|(name, text, bytes)| (name.to_owned(), input(text, bytes)))
        .into()
}

fn codec_roundtrip() -> Corpus {
    let mut corpus = Corpus::new();
    for (number, compression) in Compression::ALL.into_iter().enumerate() {
        let some = [&[number as u8, 3, 10, 1, 0][..], &sample()].concat();
        corpus.insert(format!("{}-some", compression.name()), some);
        let blocks = [&[number as u8, 7, 0, 255, 255][..], &sample()].concat();
        corpus.insert(format!("{}-blocks", compression.name()), blocks);
    }
    corpus
}

fn records() -> Corpus {
    let mut corpus = Corpus::new();
    let batch = |compression| -> Bytes {
        let mut builder = BatchBuilder::new(4_096);
        builder.set_producer(4_000, 1, 17);
        let headers = [
            Header::new("trace", b"1"),
            Header {
                key: "none",
                value: None,
            },
        ];
        for (key, value, headers) in [
            (Some(&b"key"[..]), Some(&b"value"[..]), &headers[..]),
            (None, Some(b"another"), &[]),
            (Some(b""), None, &[]),
        ] {
            builder
                .append(1_700_000_000_000, key, value, headers)
                .expect("it fits");
        }
        let mut compressor = Compressor::new(Codec::new(compression)).expect("it is compiled in");
        builder
            .finish_compressed(&mut compressor)
            .expect("there is memory")
    };
    for compression in Compression::ALL {
        for mode in [0, 1] {
            corpus.insert(
                format!("{}-{mode}", compression.name()),
                [&[mode], &batch(compression)[..]].concat(),
            );
        }
    }
    let marker = EndTransactionMarker {
        committed: true,
        coordinator_epoch: 3,
    }
    .batch(1_700_000_000_000, 4_000, 7);
    let none = batch(Compression::None);
    corpus.insert(
        "marker-and-a-part".to_owned(),
        [&[0][..], &marker, &none, &none[..40]].concat(),
    );
    // Offset, size, CRC, magic, attributes, (time,) key, value: formats v0 and v1, as Kafka 0.8 and 0.10 wrote them.
    let old = b"\0\0\0\0\0\0\0\0\0\0\0\x12\x75\x84\x06\xb6\0\0\0\0\0\x01k\0\0\0\x03val";
    corpus.insert("v0".to_owned(), [&[0][..], old].concat());
    let newer = b"\0\0\0\0\0\0\0\x01\0\0\0\x1a\x75\x84\x06\xb6\x01\0\0\0\x01\x8b\xcf\xe5\x68\0\0\0\0\x01k\0\0\0\x03val";
    corpus.insert("v1".to_owned(), [&[0][..], newer].concat());
    corpus
}

/// Bytes that look random: the operations are read from them.
fn unstructured(lengths: &[usize]) -> Corpus {
    let mut state = 1_u32;
    let mut byte = || {
        state = state.wrapping_mul(0x0019_660d).wrapping_add(0x3c6e_f35f);
        (state >> 24) as u8
    };
    let input = |&length: &usize| (format!("random-{length}"), (0..length).map(|_| byte()).collect());
    lengths.iter().map(input).collect()
}

/// Operations as the target reads them: a number from 0 to 11 as a byte, then what belongs to it.
fn session() -> Corpus {
    // An answer to ApiVersions of version 4, with the right correlation id: no error, Produce 3 to 13, no tags.
    let versions = [0, 0, 2, 0, 0, 0, 3, 0, 13, 0, 0, 0, 0, 0, 0];
    let answer = [&[2, 15][..], &versions, &[1]].concat();
    // One of version 0: the version is not supported, and there is nothing else.
    let older = [&[2, 6][..], &[0, 35, 0, 0, 0, 0], &[1]].concat();
    // Produce, not flexible, expects a response, a body of 100 bytes.
    let send = [5, 0, 0, 1, 0, 100];
    let reply = [&[2, 4][..], &[1, 2, 3, 4], &[1]].concat();
    let mut corpus = unstructured(&[64, 300]);
    corpus.insert(
        "answered".to_owned(),
        [&answer[..], &send, &send, &reply, &reply].concat(),
    );
    corpus.insert("older".to_owned(), [&older[..], &answer, &send].concat());
    corpus.insert(
        "timed-out".to_owned(),
        [&answer[..], &send, &[7, 0xff, 0xff], &[8]].concat(),
    );
    corpus.insert(
        "garbage".to_owned(),
        [&[0, 16][..], b"HTTP/1.1 400 Bad", &[8]].concat(),
    );
    corpus
}

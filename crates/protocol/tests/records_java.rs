//! Record batches against Kafka's own classes: Java reads what we write, with each codec at each level, and we read what
//! Java writes, in every message format.
//!
//! They need a `java` and, in the folder that `OTTLA_KAFKA_LIB` names, Kafka's jars; without the variable they say
//! `SKIPPED:`, and with `CI` set they fail.

#![cfg(all(feature = "gzip", feature = "snappy", feature = "lz4", feature = "zstd"))]

use bytes::Bytes;
use ottla_protocol::compression::{Codec, Compression, Compressor, Decompressor};
use ottla_protocol::records::{
    BatchBuilder, BatchHeader, EndTransactionMarker, Header, RecordBatch, RecordBatches, crc32c_append,
};
use std::io::{Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, OnceLock};

/// What we let a batch decompress to.
const LIMIT: usize = 8 << 20;

/// The oracle's word for a codec's default level.
const DEFAULT_LEVEL: i32 = i32::MIN;

/// The one running `RecordsOracle`, which all tests ask. It ends with this process, when its input does.
struct Java(&'static Mutex<Pipes>);

struct Pipes {
    /// Held, not waited for: it ends when its input does, at the end of this process.
    _process: Child,
    input: ChildStdin,
    output: ChildStdout,
}

impl Java {
    fn start() -> Option<Java> {
        static PIPES: OnceLock<Option<Mutex<Pipes>>> = OnceLock::new();
        let java = PIPES.get_or_init(Pipes::open).as_ref().map(Java);
        if java.is_none() {
            println!("SKIPPED: OTTLA_KAFKA_LIB does not name a folder with Kafka's jars");
        }
        java
    }

    fn ask(&self, request: &[u8]) -> Result<Vec<u8>, String> {
        let mut pipes = self.0.lock().expect("the oracle answers");
        let length = i32::try_from(request.len()).expect("small");
        pipes.input.write_all(&length.to_be_bytes()).expect("java reads");
        pipes.input.write_all(request).expect("java reads");
        let mut length = [0; 4];
        pipes.output.read_exact(&mut length).expect("java answers");
        let mut answer = vec![0; u32::from_be_bytes(length) as usize];
        pipes.output.read_exact(&mut answer).expect("java answers");
        match answer.remove(0) {
            0 => Ok(answer),
            _ => Err(String::from_utf8_lossy(&answer).into_owned()),
        }
    }

    /// How many records Java reads, and their digest.
    fn read(&self, batches: &[u8]) -> Result<(u32, u32), String> {
        let answer = self.ask(&[b"R", batches].concat())?;
        let number = |at: usize| u32::from_be_bytes([0, 1, 2, 3].map(|byte| answer[at + byte]));
        Ok((number(0), number(4)))
    }

    fn write(&self, parameters: &Parameters, records: &[Sample]) -> Bytes {
        let mut request = vec![b'W', parameters.magic, parameters.compression.id()];
        request.extend(parameters.level.to_be_bytes());
        request.push(u8::from(parameters.log_append_time));
        request.extend(parameters.base_offset.to_be_bytes());
        request.extend(APPEND_TIME.to_be_bytes());
        request.extend((-1i64).to_be_bytes());
        request.extend((-1i16).to_be_bytes());
        request.extend((-1i32).to_be_bytes());
        request.push(0);
        request.extend((records.len() as u32).to_be_bytes());
        for record in records {
            request.extend(record.timestamp.to_be_bytes());
            put_field(record.key.as_deref(), &mut request);
            put_field(record.value.as_deref(), &mut request);
            request.extend((record.headers.len() as u32).to_be_bytes());
            for (key, value) in &record.headers {
                put_field(Some(key.as_bytes()), &mut request);
                put_field(value.as_deref(), &mut request);
            }
        }
        self.ask(&request).expect("java writes").into()
    }
}

impl Pipes {
    fn open() -> Option<Mutex<Pipes>> {
        let Some(mut class_path) = std::env::var_os("OTTLA_KAFKA_LIB") else {
            let ci = std::env::var_os("CI").is_some();
            assert!(!ci, "with CI set, OTTLA_KAFKA_LIB must name Kafka's jars");
            return None;
        };
        class_path.push("/*");
        let mut process = Command::new("java")
            .arg("-cp")
            .arg(class_path)
            .arg(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/../../xtask/java/RecordsOracle.java"
            ))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("java starts");
        let input = process.stdin.take().expect("piped");
        let output = process.stdout.take().expect("piped");
        Some(Mutex::new(Pipes {
            _process: process,
            input,
            output,
        }))
    }
}

const APPEND_TIME: i64 = 1_800_000_000_000;

struct Parameters {
    magic: u8,
    compression: Compression,
    level: i32,
    log_append_time: bool,
    base_offset: i64,
}

#[derive(Clone, Debug, Default)]
struct Sample {
    timestamp: i64,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<(String, Option<Vec<u8>>)>,
}

fn put_field(field: Option<&[u8]>, out: &mut Vec<u8>) {
    let length = field.map_or(-1, |bytes| bytes.len() as i32);
    out.extend(length.to_be_bytes());
    out.extend(field.unwrap_or_default());
}

/// What the oracle calls the digest of records.
fn digest(
    crc: u32,
    offset: i64,
    timestamp: i64,
    key: Option<&[u8]>,
    value: Option<&[u8]>,
    headers: &[(&[u8], Option<&[u8]>)],
) -> u32 {
    let mut bytes = [offset.to_be_bytes(), timestamp.to_be_bytes()].concat();
    put_field(key, &mut bytes);
    put_field(value, &mut bytes);
    bytes.extend((headers.len() as u32).to_be_bytes());
    for (key, value) in headers {
        put_field(Some(key), &mut bytes);
        put_field(*value, &mut bytes);
    }
    crc32c_append(crc, &bytes)
}

fn digest_of(samples: &[Sample], base_offset: i64, timestamp: impl Fn(&Sample) -> i64) -> (u32, u32) {
    let crc = (base_offset..).zip(samples).fold(0, |crc, (offset, sample)| {
        let headers: Vec<_> = sample
            .headers
            .iter()
            .map(|(key, value)| (key.as_bytes(), value.as_deref()))
            .collect();
        let (key, value) = (sample.key.as_deref(), sample.value.as_deref());
        digest(crc, offset, timestamp(sample), key, value, &headers)
    });
    (samples.len() as u32, crc)
}

/// What we read.
fn read(bytes: Bytes) -> (u32, u32) {
    let mut batches = RecordBatches::new(bytes);
    let (mut count, mut crc) = (0, 0);
    let mut decompressor = Decompressor::new();
    for batch in batches.by_ref() {
        let batch = batch.expect("a batch");
        batch.check_crc().expect("the checksum");
        for record in batch.records(&mut decompressor, LIMIT).expect("decompresses") {
            let record = record.expect("a record");
            let headers: Vec<_> = record
                .headers
                .iter()
                .map(|header| (&header.key[..], header.value.as_deref()))
                .collect();
            let (key, value) = (record.key.as_deref(), record.value.as_deref());
            crc = digest(crc, record.offset, record.timestamp, key, value, &headers);
            count += 1;
        }
    }
    assert!(batches.remainder().is_empty());
    (count, crc)
}

fn build(samples: &[Sample], compressor: &mut Compressor) -> Bytes {
    let mut builder = BatchBuilder::new(LIMIT);
    for sample in samples {
        let headers: Vec<_> = sample
            .headers
            .iter()
            .map(|(key, value)| Header {
                key,
                value: value.as_deref(),
            })
            .collect();
        builder
            .append(
                sample.timestamp,
                sample.key.as_deref(),
                sample.value.as_deref(),
                &headers,
            )
            .expect("room");
    }
    builder.finish_compressed(compressor).expect("compresses")
}

/// A small generator of its own, so that every run asks the same.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        // Steele's splitmix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.next() as u8).collect()
    }
}

fn json(random: &mut Random) -> Vec<u8> {
    let (id, user) = (random.below(1_000_000), random.below(997));
    let amount = random.below(100_000);
    format!("{{\"id\":{id},\"user\":\"user-{user}\",\"action\":\"click\",\"amount\":{amount},\"currency\":\"EUR\"}}")
        .into_bytes()
}

/// Batches of every kind, by name: tiny, odd, random, zeros, text; below, at and above the codecs' block sizes.
fn batches(random: &mut Random) -> Vec<(&'static str, Vec<Sample>)> {
    let value = |value: Vec<u8>| Sample {
        timestamp: 1_700_000_000_000,
        value: Some(value),
        ..Sample::default()
    };
    let varied = (0..300)
        .map(|index| Sample {
            timestamp: 1_700_000_000_000 + random.below(2000) as i64 - 1000,
            key: (random.below(3) > 0).then(|| random.bytes(index % 40)),
            value: (random.below(10) > 0).then(|| random.bytes(random_len(index))),
            headers: (0..random.below(4))
                .map(|index| {
                    (
                        format!("header-\u{e4}-{index}"),
                        (index != 1).then(|| vec![7; index]),
                    )
                })
                .collect(),
        })
        .collect();
    vec![
        ("empty values", vec![value(vec![]), value(vec![])]),
        ("one byte", vec![value(vec![1])]),
        ("null", vec![Sample::default()]),
        ("varied", varied),
        ("zeros, 100 KB", vec![value(vec![0; 100_000])]),
        ("random, 70 KB", vec![value(random.bytes(70_000))]),
        ("JSON, 80 KB", (0..900).map(|_| value(json(random))).collect()),
    ]
}

fn random_len(index: usize) -> usize {
    index * 7919 % 211
}

/// Batches of more than a mebibyte.
fn large_batches(random: &mut Random) -> Vec<(&'static str, Vec<Sample>)> {
    let value = |value: Vec<u8>| Sample {
        timestamp: 5,
        value: Some(value),
        ..Sample::default()
    };
    vec![
        ("random, 1.2 MB", vec![value(random.bytes(1_200_000))]),
        ("zeros, 3 MB", vec![value(vec![0; 3_000_000])]),
        ("JSON, 1.5 MB", (0..17_000).map(|_| value(json(random))).collect()),
    ]
}

fn all_codecs() -> Vec<Codec> {
    let mut codecs = vec![Codec::new(Compression::None), Codec::new(Compression::Snappy)];
    let levels = |compression: Compression, levels: &[i32]| -> Vec<Codec> {
        levels
            .iter()
            .map(|&level| Codec::with_level(compression, level).expect("valid"))
            .collect()
    };
    codecs.extend(levels(Compression::Gzip, &[-1, 1, 2, 3, 4, 5, 6, 7, 8, 9]));
    codecs.extend(levels(Compression::Lz4, &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 17]));
    codecs.extend(levels(Compression::Zstd, &[-131_072, -100, -7, -1, 0]));
    codecs.extend(levels(Compression::Zstd, &(1..=22).collect::<Vec<_>>()));
    codecs
}

#[test]
fn java_reads_every_codec_and_level() {
    let Some(java) = Java::start() else { return };
    let batches = batches(&mut Random(1));
    for codec in all_codecs() {
        let mut compressor = Compressor::new(codec).expect("compiled in");
        for (name, samples) in &batches {
            let batch = build(samples, &mut compressor);
            let expected = digest_of(samples, 0, |sample| sample.timestamp);
            assert_eq!(java.read(&batch), Ok(expected), "{codec}: {name}");
        }
    }
    for codec in ["none", "gzip", "snappy", "lz4", "lz4:4", "zstd", "zstd:19"] {
        let mut compressor = Compressor::new(codec.parse::<Codec>().expect("valid")).expect("compiled in");
        for (name, samples) in large_batches(&mut Random(2)) {
            let batch = build(&samples, &mut compressor);
            let expected = digest_of(&samples, 0, |sample| sample.timestamp);
            assert_eq!(java.read(&batch), Ok(expected), "{codec}: {name}");
        }
    }
}

#[test]
fn we_read_every_codec_and_level_of_java() {
    let Some(java) = Java::start() else { return };
    let batches = batches(&mut Random(3));
    // Java sets up the tables of the highest levels anew for each batch, which takes it most of a second.
    let quick = |codec: &Codec| codec.level().is_none_or(|level| level < 16 || level == 22);
    for codec in all_codecs().into_iter().filter(quick) {
        let parameters = Parameters {
            magic: 2,
            compression: codec.compression(),
            level: codec.level().unwrap_or(DEFAULT_LEVEL),
            log_append_time: false,
            base_offset: 1_000_000,
        };
        for (name, samples) in &batches {
            let batch = java.write(&parameters, samples);
            let expected = digest_of(samples, 1_000_000, |sample| sample.timestamp);
            assert_eq!(read(batch), expected, "{codec}: {name}");
        }
    }
    for compression in Compression::ALL {
        let parameters = Parameters {
            magic: 2,
            compression,
            level: DEFAULT_LEVEL,
            log_append_time: true,
            base_offset: 7,
        };
        for (name, samples) in large_batches(&mut Random(4)) {
            let batch = java.write(&parameters, &samples);
            assert_eq!(
                read(batch),
                digest_of(&samples, 7, |_| APPEND_TIME),
                "{compression}: {name}"
            );
        }
    }
}

#[test]
fn we_read_the_old_formats_of_java() {
    let Some(java) = Java::start() else { return };
    let batches = batches(&mut Random(5));
    for magic in [0, 1] {
        for compression in [
            Compression::None,
            Compression::Gzip,
            Compression::Snappy,
            Compression::Lz4,
        ] {
            // Format v0 has no timestamps, and so no append time.
            for log_append_time in if magic == 0 { &[false][..] } else { &[false, true] } {
                let log_append_time = *log_append_time;
                let parameters = Parameters {
                    magic,
                    compression,
                    level: DEFAULT_LEVEL,
                    log_append_time,
                    base_offset: 42,
                };
                for (name, samples) in &batches {
                    let mut samples = samples.clone();
                    samples.iter_mut().for_each(|sample| sample.headers.clear());
                    let batch = java.write(&parameters, &samples);
                    let expected = digest_of(&samples, 42, |sample| match (magic, log_append_time) {
                        (0, _) => -1,
                        (_, true) => APPEND_TIME,
                        (_, false) => sample.timestamp,
                    });
                    assert_eq!(read(batch), expected, "v{magic} {compression}: {name}");
                }
            }
        }
    }
}

/// Without compression there is one way to write a batch, and it is Java's.
#[test]
fn uncompressed_batches_are_javas_bytes() {
    let Some(java) = Java::start() else { return };
    let parameters = Parameters {
        magic: 2,
        compression: Compression::None,
        level: DEFAULT_LEVEL,
        log_append_time: false,
        base_offset: 0,
    };
    let mut none = Compressor::new(Compression::None).expect("always there");
    for (name, samples) in batches(&mut Random(6)) {
        assert_eq!(
            build(&samples, &mut none),
            java.write(&parameters, &samples),
            "{name}"
        );
    }
}

/// A new identity, an assigned offset and append time, a transaction's end: Java takes the checksums for right.
#[test]
fn java_reads_what_a_broker_stores() {
    let Some(java) = Java::start() else { return };
    for codec in ["none", "lz4"] {
        let mut compressor = Compressor::new(codec.parse::<Codec>().expect("valid")).expect("compiled in");
        for (name, samples) in batches(&mut Random(7)) {
            let batch = RecordBatch::decode(build(&samples, &mut compressor)).expect("a batch");
            let header = BatchHeader {
                producer_id: 4000,
                producer_epoch: 3,
                base_sequence: i32::MAX,
                attributes: batch.header().attributes.with_transactional(true),
                ..*batch.header()
            };
            let payload = batch.payload();
            let stamped = [
                &header.encode(payload.len(), crc32c_append(0, &payload))[..],
                &payload,
            ]
            .concat();
            let stamped = RecordBatch::decode(stamped.into()).expect("a batch");
            for append_time in [None, Some(APPEND_TIME)] {
                let stored = [&stamped.assigned(1 << 40, 5, append_time)[..], &payload].concat();
                let expected = digest_of(&samples, 1 << 40, |sample| {
                    append_time.unwrap_or(sample.timestamp)
                });
                assert_eq!(java.read(&stored), Ok(expected), "{codec}: {name}");
            }
        }
    }
    for committed in [false, true] {
        let marker = EndTransactionMarker {
            committed,
            coordinator_epoch: 3,
        }
        .batch(77, 4000, 3);
        assert_eq!(java.read(&marker), Ok(read(marker)), "{committed}");
    }
}

/// The oracle can find fault: a flipped bit anywhere that a checksum covers.
#[test]
fn java_refuses_a_damaged_batch() {
    let Some(java) = Java::start() else { return };
    let samples = [Sample {
        value: Some(b"value".to_vec()),
        ..Sample::default()
    }];
    let batch = build(
        &samples,
        &mut Compressor::new(Compression::Zstd).expect("compiled in"),
    );
    for at in 17..batch.len() {
        let mut damaged = batch.to_vec();
        damaged[at] ^= 1;
        assert!(java.read(&damaged).is_err(), "byte {at}");
    }
}

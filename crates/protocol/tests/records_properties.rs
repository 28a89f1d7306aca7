//! Properties of batches and codecs over random input: what is written is read again, whatever the chunks; sizes are
//! exact; damaged bytes are an error or a value, within the limits.

use bytes::Bytes;
use ottla_protocol::compression::{
    Codec, CompressError, Compression, Compressor, DecompressError, Decompressor,
};
use ottla_protocol::records::{
    AnyBatch, BATCH_HEADER_SIZE, BatchBuilder, Header, RecordBatch, RecordBatches, RecordRef, RecordView,
    crc32c_append,
};
use proptest::collection::vec;
use proptest::prelude::*;

type OwnedHeaders = Vec<(String, Option<Vec<u8>>)>;

#[derive(Clone, Debug)]
struct OwnedRecord {
    timestamp: i64,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: OwnedHeaders,
}

fn records() -> impl Strategy<Value = Vec<OwnedRecord>> {
    let bytes = || proptest::option::of(vec(any::<u8>(), 0..200));
    let timestamp = prop_oneof![4 => 1_700_000_000_000i64..1_700_000_100_000, 1 => any::<i64>()];
    let headers = prop_oneof![3 => Just(Vec::new()), 1 => vec((".{0,9}", bytes()), 0..4)];
    let record =
        (timestamp, bytes(), bytes(), headers).prop_map(|(timestamp, key, value, headers)| OwnedRecord {
            timestamp,
            key,
            value,
            headers,
        });
    vec(record, 1..20)
}

/// The codecs of this build.
fn codecs() -> impl Strategy<Value = Codec> {
    let levels = [
        "none", "gzip", "gzip:1", "gzip:9", "snappy", "lz4", "lz4:1", "lz4:5", "lz4:12", "zstd", "zstd:-7",
        "zstd:12",
    ];
    let codecs: Vec<Codec> = levels.iter().map(|text| text.parse().expect("a codec")).collect();
    let available = codecs
        .into_iter()
        .filter(|codec| codec.compression().is_available());
    proptest::sample::select(available.collect::<Vec<_>>())
}

/// Bytes with repetitions at several distances, also of blocks' sizes.
fn content() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        vec(any::<u8>(), 0..300),
        (any::<u8>(), 0usize..5000).prop_map(|(byte, len)| vec![byte; len]),
        (vec(0u8..3, 1..20), 1usize..3000).prop_map(|(bytes, times)| bytes.repeat(times)),
    ];
    vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

fn build(records: &[OwnedRecord], codec: Codec) -> Bytes {
    let mut builder = BatchBuilder::new(1 << 20);
    for record in records {
        let headers: Vec<Header<'_>> = record
            .headers
            .iter()
            .map(|(key, value)| Header {
                key,
                value: value.as_deref(),
            })
            .collect();
        let before = builder.size();
        let taken = builder
            .append(
                record.timestamp,
                record.key.as_deref(),
                record.value.as_deref(),
                &headers,
            )
            .expect("room");
        assert_eq!(builder.size(), before + taken);
    }
    let mut compressor = Compressor::new(codec).expect("compiled in");
    builder.finish_compressed(&mut compressor).expect("compresses")
}

fn check_equal(batch: &RecordBatch, expected: &[OwnedRecord]) {
    let read = batch
        .records(&mut Decompressor::new(), 1 << 20)
        .expect("decompresses");
    let read: Vec<_> = read.map(|record| record.expect("a record")).collect();
    assert_eq!(read.len(), expected.len());
    for ((index, read), expected) in (0..).zip(&read).zip(expected) {
        assert_eq!((read.offset, read.timestamp), (index, expected.timestamp));
        assert_eq!(read.key.as_deref(), expected.key.as_deref());
        assert_eq!(read.value.as_deref(), expected.value.as_deref());
        let headers: OwnedHeaders = read
            .headers
            .iter()
            .map(|header| {
                (
                    header.name().into_owned(),
                    header.value.as_deref().map(<[u8]>::to_vec),
                )
            })
            .collect();
        assert_eq!(headers, expected.headers);
    }
}

/// Reads as much as there is, and sees to it that nothing grew beyond the limit.
fn read_all(bytes: Bytes, decompressor: &mut Decompressor, limit: usize) {
    for batch in RecordBatches::new(bytes) {
        let Ok(batch) = batch else { break };
        // It may or may not match.
        let _ = batch.check_crc();
        if let Ok(records) = batch.records(decompressor, limit) {
            let fields: usize = records
                .map_while(Result::ok)
                .map(|record| {
                    record.key.map_or(0, |key| key.len()) + record.value.map_or(0, |value| value.len())
                })
                .sum();
            let bound = match &batch {
                AnyBatch::V2(batch) => batch.bytes().len(),
                AnyBatch::Legacy(batch) => batch.bytes().len(),
                _ => unreachable!("no other format exists"),
            };
            assert!(fields <= bound.max(limit));
        }
        if let AnyBatch::V2(batch) = &batch {
            let _ = batch.validate(decompressor, limit);
        }
    }
}

proptest! {
    #[test]
    fn batches_round_trip(records in records(), codec in codecs()) {
        let batch = RecordBatch::decode(build(&records, codec)).expect("a batch");
        prop_assert_eq!(batch.compression(), Ok(codec.compression()));
        let summary = batch.validate(&mut Decompressor::new(), 1 << 20).expect("valid");
        prop_assert_eq!(Some(summary.max_timestamp), records.iter().map(|record| record.timestamp).max());
        prop_assert_eq!(summary.max_timestamp, batch.header().max_timestamp);
        check_equal(&batch, &records);
    }

    #[test]
    fn views_agree_with_records(records in records()) {
        let batch = RecordBatch::decode(build(&records, Codec::default())).expect("a batch");
        let owned = batch.records(&mut Decompressor::new(), 0).expect("uncompressed");
        let mut owned = owned.map(|record| record.expect("a record"));
        let check = |view: &RecordView<'_>| {
            let record = owned.next().expect("as many");
            assert_eq!(view.key, record.key.as_deref());
            assert_eq!(view.value, record.value.as_deref());
            let headers: Vec<_> = view.headers.iter().collect();
            assert_eq!(headers.len(), view.headers.len());
            let expected = record.headers.iter().map(|header| (&header.key[..], header.value.as_deref()));
            assert!(headers.into_iter().eq(expected));
        };
        batch.visit_records(&mut Decompressor::new(), 0, check).expect("valid");
    }

    #[test]
    fn sizes_are_exact(records in records(), timestamp_delta: i64, offset_delta in 0..i32::MAX) {
        for record in &records {
            let headers: Vec<Header<'_>> =
                record.headers.iter().map(|(key, value)| Header { key, value: value.as_deref() }).collect();
            let record = RecordRef {
                timestamp_delta, offset_delta,
                key: record.key.as_deref(), value: record.value.as_deref(), headers: &headers,
            };
            let size = record.encoded_size();
            let mut written = Vec::new();
            record.write_to(size, &mut written);
            prop_assert_eq!(written.len(), size.total());
        }
    }

    #[test]
    fn what_is_written_in_one_go_is_the_same(
        records in records(), timestamp_delta in prop_oneof![-3i64..300, -2_000_000i64..2_000_000, any::<i64>()],
        offset_delta in prop_oneof![0i32..300, 0..i32::MAX], room in 0usize..100,
    ) {
        for record in &records {
            let record = RecordRef {
                timestamp_delta, offset_delta, key: record.key.as_deref(), value: record.value.as_deref(), headers: &[],
            };
            let mut expected = Vec::new();
            record.write_to(record.encoded_size(), &mut expected);
            let mut bytes = vec![0xa5; expected.len() + room];
            match record.write_short(&mut bytes) {
                Some(len) => prop_assert_eq!(&bytes[..len], &expected),
                None => {
                    let short = timestamp_delta.abs() < 1_000_000 && offset_delta < 1_000_000;
                    prop_assert!(room < 25 || !short || expected.len() >= 1_000_000);
                }
            }
        }
    }

    #[test]
    fn an_identity_is_a_new_header_beside_the_same_payload(
        records in records(), codec in codecs(), producer_id: i64, producer_epoch: i16, base_sequence: i32,
    ) {
        let batch = RecordBatch::decode(build(&records, codec)).expect("a batch");
        let payload = batch.payload();
        let mut header = *batch.header();
        (header.producer_id, header.producer_epoch) = (producer_id, producer_epoch);
        header.base_sequence = base_sequence;
        // The payload's CRC, over chunks.
        let (front, back) = payload.split_at(payload.len() / 3);
        let crc = crc32c_append(crc32c_append(0, front), back);
        let bytes = [&header.encode(payload.len(), crc)[..], &payload].concat();
        let stamped = RecordBatch::decode(bytes.into()).expect("a batch");
        prop_assert_eq!(stamped.check_crc(), Ok(()));
        prop_assert_eq!(stamped.header(), &header);
        check_equal(&stamped, &records);
    }

    #[test]
    fn chunks_do_not_matter(content in content(), codec in codecs(), cuts in vec(0usize..70_000, 0..5)) {
        let mut compressor = Compressor::new(codec).expect("compiled in");
        let mut whole = Vec::new();
        compressor.compress(&[&content], &mut whole).expect("compresses");
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(content.len())).collect();
        cuts.extend([0, content.len()]);
        cuts.sort_unstable();
        let chunks: Vec<&[u8]> = cuts.windows(2).map(|cut| &content[cut[0]..cut[1]]).collect();
        let mut compressed = b"before".to_vec();
        compressor.compress(&chunks, &mut compressed).expect("compresses");
        let mut decompressor = Decompressor::new();
        for compressed in [&whole[..], &compressed[6..]] {
            let mut plain = b"before".to_vec();
            decompressor
                .decompress(codec.compression(), compressed, content.len(), &mut plain)
                .expect("decompresses");
            prop_assert_eq!(&plain[6..], &content[..]);
        }
        // The blocks of these two do not depend on the chunks, nor does the state that is kept.
        if matches!(codec.compression(), Compression::Snappy | Compression::Lz4) {
            prop_assert_eq!(&compressed[6..], whole);
        }
    }

    #[test]
    fn the_limit_holds(content in content(), codec in codecs()) {
        let content = [&content[..], &[1]].concat();
        let mut compressed = Vec::new();
        Compressor::new(codec).expect("compiled in").compress(&[&content], &mut compressed).expect("compresses");
        for limit in [content.len() - 1, content.len() / 2, 0] {
            let mut plain = Vec::new();
            let result = Decompressor::new().decompress(codec.compression(), &compressed, limit, &mut plain);
            prop_assert_eq!(result, Err(DecompressError::TooLarge { limit }));
            prop_assert!(plain.capacity() <= limit + 128, "{} for {}", plain.capacity(), limit);
        }
    }

    #[test]
    fn damaged_batches_do_no_harm(
        records in records(), codec in codecs(), flips in vec((any::<prop::sample::Index>(), 1u8..), 1..6),
        cut: prop::sample::Index, repair: bool,
    ) {
        let mut bytes = build(&records, codec).to_vec();
        for (index, bits) in flips {
            let at = index.index(bytes.len());
            bytes[at] ^= bits;
        }
        if repair {
            // Let the length lead further in.
            let length = (bytes.len() - 12) as u32;
            bytes[8..12].copy_from_slice(&length.to_be_bytes());
            bytes[16] = 2;
        }
        let mut decompressor = Decompressor::new();
        read_all(Bytes::copy_from_slice(&bytes[..cut.index(bytes.len())]), &mut decompressor, 1 << 16);
        read_all(bytes.into(), &mut decompressor, 1 << 16);
        // What was kept from the damaged one does no harm to the next.
        check_equal(&RecordBatch::decode(build(&records, codec)).expect("a batch"), &records);
    }

    #[test]
    fn arbitrary_bytes_do_no_harm(mut bytes in vec(any::<u8>(), 0..400), magic in 0u8..3, codec in 0u8..8) {
        if bytes.len() > BATCH_HEADER_SIZE {
            let length = (bytes.len() - 12) as u32;
            bytes[8..12].copy_from_slice(&length.to_be_bytes());
            bytes[16] = magic;
            let attributes = if magic == 2 { 22 } else { 17 };
            bytes[attributes] = codec;
        }
        read_all(bytes.into(), &mut Decompressor::new(), 1 << 16);
    }

    #[test]
    fn arbitrary_streams_do_no_harm(mut bytes in vec(any::<u8>(), 0..400), codec in codecs(), head: bool) {
        if head {
            // Behind a valid beginning, the bytes lead further in.
            let mut valid = Vec::new();
            let mut compressor = Compressor::new(codec).expect("compiled in");
            compressor.compress(&[b"valid"], &mut valid).expect("compresses");
            valid.truncate(valid.len() / 2);
            valid.append(&mut bytes);
            bytes = valid;
        }
        let mut plain = Vec::new();
        let _ = Decompressor::new().decompress(codec.compression(), &bytes, 5000, &mut plain);
        prop_assert!(plain.capacity() <= 5000 + 128);
    }
}

/// What the codecs' readers have to be able to hold: the library's own bounds, at the sizes of blocks.
#[test]
fn sizes_around_blocks() {
    let mut state = 1u64;
    let random: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 56) as u8
    })
    .take((1 << 20) + 12_345)
    .collect();
    let zeros = vec![0; random.len()];
    for name in ["gzip", "snappy", "lz4", "lz4:3", "zstd"] {
        let codec: Codec = name.parse().expect("a codec");
        if !codec.compression().is_available() {
            continue;
        }
        let mut compressor = Compressor::new(codec).expect("compiled in");
        let mut decompressor = Decompressor::new();
        for block in [0, 1, 32 << 10, 64 << 10, 128 << 10, 1 << 20] {
            for len in [block, block + 1, block + 12_345, block.max(1) - 1] {
                for content in [&random[..len], &zeros[..len]] {
                    let (mut compressed, mut plain) = (Vec::new(), Vec::new());
                    compressor
                        .compress(&[content], &mut compressed)
                        .expect("compresses");
                    // Incompressible input is stored, with little beside it.
                    assert!(
                        compressed.len() <= len + len / 100 + 64,
                        "{name} {len}: {}",
                        compressed.len()
                    );
                    decompressor
                        .decompress(codec.compression(), &compressed, len, &mut plain)
                        .expect("decompresses");
                    assert!(plain == content, "{name} {len}");
                }
            }
        }
    }
}

#[test]
fn a_codec_that_is_not_compiled_in_names_its_feature() {
    for compression in Compression::ALL {
        let created = Compressor::new(compression).map(drop);
        let read = Decompressor::new().decompress(compression, &[], 0, &mut Vec::new());
        if compression.is_available() {
            assert_eq!(created, Ok(()));
            assert_ne!(read, Err(DecompressError::NotCompiledIn(compression)));
        } else {
            assert_eq!(created, Err(CompressError::NotCompiledIn(compression)));
            let error = read.expect_err("not compiled in");
            assert!(
                error
                    .to_string()
                    .contains(&format!("enable the feature `{compression}`"))
            );
        }
    }
}

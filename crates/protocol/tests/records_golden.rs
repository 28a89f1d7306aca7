//! Batches that the Java client 4.3.1 wrote (MemoryRecords, JDK 17), byte for byte: read, and written again where we
//! write that format.

use bytes::Bytes;
use ottla_protocol::compression::Decompressor;
#[cfg(any(feature = "snappy", feature = "lz4"))]
use ottla_protocol::compression::{Compression, Compressor};
use ottla_protocol::records::{
    AnyBatch, BatchBuilder, ControlRecord, EndTransactionMarker, Header, Record, RecordBatch, RecordBatches,
    RecordsErrorKind, TimestampType,
};

const TIME: i64 = 1_700_000_000_000;

/// Timestamp, key and value.
type Expected = (i64, Option<&'static [u8]>, Option<&'static [u8]>);

/// The records in all of them; in v2, the first has the headers `h` = 01 02 and `n` = null.
const RECORDS: [Expected; 3] = [
    (TIME, Some(b"k"), Some(b"v1")),
    (TIME + 5, None, Some(b"v2")),
    (TIME - 1, Some(b"k3"), None),
];

const V2_NONE: &str = "000000000000000000000055ffffffff02391c9e290000000000020000018bcfe568000000018bcfe56805\
    ffffffffffffffffffffffffffff0000000322000000026b047631040268040102026e0110000a02010476320010000104046b330100";
#[cfg(feature = "gzip")]
const V2_GZIP: &str = "000000000000000000000069ffffffff02da833d120001000000020000018bcfe568000000018bcfe56805\
    ffffffffffffffffffffffffffff000000031f8b08000000000000ff5362606060ca6629336461ca60616462ca631460e062626429336\
    21060606461c93666640000bea9a71524000000";
#[cfg(feature = "snappy")]
const V2_SNAPPY: &str = "00000000000000000000006bffffffff02455f6e330002000000020000018bcfe568000000018bcfe56805\
    ffffffffffffffffffffffffffff0000000382534e4150505900000000010000000100000026248c22000000026b0476310402680401020\
    26e0110000a02010476320010000104046b330100";
#[cfg(feature = "lz4")]
const V2_LZ4: &str = "000000000000000000000064ffffffff023a6ec6cd0003000000020000018bcfe568000000018bcfe56805\
    ffffffffffffffffffffffffffff0000000304224d186040822400008022000000026b047631040268040102026e0110000a02010476320\
    010000104046b33010000000000";
#[cfg(any(feature = "zstd", feature = "zstd-rust"))]
const V2_ZSTD: &str = "000000000000000000000061ffffffff02df3beaf90004000000020000018bcfe568000000018bcfe56805\
    ffffffffffffffffffffffffffff0000000328b52ffd005820010022000000026b047631040268040102026e0110000a02010476320010\
    000104046b330100010000";
const COMMIT: &str = "0000000000000064000000420000000502367c836e0030000000000000018bcfe568000000018bcfe56800\
    0000000000000fa00007ffffffff000000012000000008000000010c00000000000300";
const ABORT: &str = "0000000000000064000000420000000502c24255260030000000000000018bcfe568000000018bcfe56800\
    0000000000000fa00007ffffffff000000012000000008000000000c00000000000300";
const V0_NONE: &str = "000000000000000a00000011615054270000000000016b000000027631000000000000000b00000010d5960a78\
    0000ffffffff000000027632000000000000000c00000010b643ca6a0000000000026b33ffffffff";
#[cfg(feature = "gzip")]
const V0_GZIP: &str = "000000000000000c0000005712929b290001ffffffff000000491f8b08000000000000ff636000032e20164c0c\
    085107f318b38104539921448e811b8805ae4ee3aa6060f80f04603923a81c0f486e9bf3a92c308f29db18a4020059f46bab55000000";
#[cfg(feature = "snappy")]
const V0_SNAPPY: &str = "000000000000000c0000006d3d0c8c2e0002ffffffff0000005f82534e415050590000000001000000010000004b\
    5500000901200a0000001161505427050f1c016b000000027631050d4000000b00000010d5960a780000ffffffff051c0432000901500c00\
    000010b643ca6a0000000000026b33ffffffff";
/// Its frame has the header checksum that clients computed wrongly before format v1.
#[cfg(feature = "lz4")]
const V0_LZ4: &str = "000000000000000c000000678456ffb70003ffffffff0000005904224d1860401a4a000000120001009\
    10a00000011615054270f0081016b0000000276310d00f10200000b00000010d5960a780000ffffffff1c0010321900400000000c1c0041\
    b643ca6a0e0070026b33ffffffff00000000";
const V1_NONE: &str = "000000000000000a000000193e73167401000000018bcfe56800000000016b000000027631000000000000000b\
    00000018820bfd0301000000018bcfe56805ffffffff000000027632000000000000000c00000018f8269d8801000000018bcfe567ff0000\
    00026b33ffffffff";
#[cfg(feature = "gzip")]
const V1_GZIP: &str = "000000000000000c000000661ad21ebf01010000018bcfe56805ffffffff000000501f8b08000000000000ff6360\
    800349bb62b112462083b1fbfcd30c9008633690602a33842a00c9493471ff65862b62fd0f0460354650354c20353fd4e676c0d4a483e5b\
    38d412a01c165abbf6d000000";
#[cfg(feature = "snappy")]
const V1_SNAPPY: &str = "000000000000000c000000807f28c0e001020000018bcfe56805ffffffff0000006a82534e41505059000000000\
    100000001000000566d0000190134193e73167401000000018bcfe56801181c016b000000027631010c01181c00000018820bfd0301090525\
    1005ffffffff05240432000901200200000018f8269d8811242c67ff000000026b33ffffffff";
#[cfg(feature = "lz4")]
const V1_LZ4: &str = "000000000000000c0000007990f9ea3201030000018bcfe56805ffffffff0000006304224d186040825400000016000\
    100e0193e73167401000000018bcfe568180080016b0000000276310c000018008500000018820bfd0325005105ffffffff24001132220030\
    000002240044f8269d882400c067ff000000026b33ffffffff00000000";
#[cfg(feature = "gzip")]
const V1_GZIP_LOG_APPEND: &str = "000000000000000b00000055215602dd0109000001a3185c5000ffffffff0000003f1f8b080000000\
    00000ff636080034977a15063460e0606c6c51231012011c66c20c154660855c008c4127ecb37792014fd0702b01a23007a3dca4149000000";

fn unhex(hex: &str) -> Bytes {
    let byte = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).expect("hexadecimal");
    (0..hex.len()).step_by(2).map(byte).collect()
}

fn read(bytes: Bytes) -> Vec<Record> {
    let mut batches = RecordBatches::new(bytes);
    let mut records = Vec::new();
    for batch in batches.by_ref() {
        let batch = batch.expect("a batch");
        batch.check_crc().expect("the checksum");
        let found = batch.records(&mut Decompressor::new(), 1000).expect("records");
        records.extend(found.map(|record| record.expect("a record")));
    }
    assert!(batches.remainder().is_empty());
    records
}

fn check(hex: &str, base_offset: i64, has_timestamps: bool, has_headers: bool) {
    let records = read(unhex(hex));
    assert_eq!(records.len(), RECORDS.len(), "{hex}");
    for ((index, record), (timestamp, key, value)) in (0..).zip(&records).zip(RECORDS) {
        assert_eq!(record.offset, base_offset + index, "{hex}");
        assert_eq!(
            record.timestamp,
            if has_timestamps { timestamp } else { -1 },
            "{hex}"
        );
        assert_eq!(record.timestamp_type, TimestampType::CreateTime);
        assert_eq!(
            (record.key.as_deref(), record.value.as_deref()),
            (key, value),
            "{hex}"
        );
        let headers: Vec<_> = record
            .headers
            .iter()
            .map(|header| (header.name(), header.value.as_deref()))
            .collect();
        if has_headers && index == 0 {
            assert_eq!(headers, [("h".into(), Some(&[1, 2][..])), ("n".into(), None)]);
        } else {
            assert_eq!(headers, []);
        }
    }
}

fn builder() -> BatchBuilder {
    let headers = [
        Header::new("h", &[1, 2]),
        Header {
            key: "n",
            value: None,
        },
    ];
    let mut builder = BatchBuilder::new(1000);
    for (index, (timestamp, key, value)) in RECORDS.into_iter().enumerate() {
        let headers = if index == 0 { &headers[..] } else { &[] };
        builder.append(timestamp, key, value, headers).expect("room");
    }
    builder
}

#[test]
fn v2_is_read() {
    check(V2_NONE, 0, true, true);
    #[cfg(feature = "gzip")]
    check(V2_GZIP, 0, true, true);
    #[cfg(feature = "snappy")]
    check(V2_SNAPPY, 0, true, true);
    #[cfg(feature = "lz4")]
    check(V2_LZ4, 0, true, true);
    #[cfg(any(feature = "zstd", feature = "zstd-rust"))]
    check(V2_ZSTD, 0, true, true);
}

#[test]
fn v0_and_v1_are_read() {
    check(V0_NONE, 10, false, false);
    check(V1_NONE, 10, true, false);
    #[cfg(feature = "gzip")]
    {
        check(V0_GZIP, 10, false, false);
        check(V1_GZIP, 10, true, false);
    }
    #[cfg(feature = "snappy")]
    {
        check(V0_SNAPPY, 10, false, false);
        check(V1_SNAPPY, 10, true, false);
    }
    #[cfg(feature = "lz4")]
    {
        check(V0_LZ4, 10, false, false);
        check(V1_LZ4, 10, true, false);
    }
}

#[cfg(feature = "gzip")]
#[test]
fn the_wrappers_append_time_is_that_of_its_messages() {
    let records = read(unhex(V1_GZIP_LOG_APPEND));
    let offsets: Vec<_> = records.iter().map(|record| record.offset).collect();
    assert_eq!(offsets, [10, 11]);
    assert!(records.iter().all(|record| record.timestamp == 1_800_000_000_000));
    assert!(
        records
            .iter()
            .all(|record| record.timestamp_type == TimestampType::LogAppendTime)
    );
}

#[test]
fn v2_is_written_as_java_writes_it() {
    assert_eq!(builder().finish(), unhex(V2_NONE));
}

/// The framing, and where the block is stored as it is also the content, are byte for byte Java's.
#[cfg(any(feature = "snappy", feature = "lz4"))]
#[test]
fn v2_is_compressed_as_java_does() {
    let compressed = |compression: Compression| {
        let mut compressor = Compressor::new(compression).expect("compiled in");
        builder().finish_compressed(&mut compressor).expect("compresses")
    };
    #[cfg(feature = "snappy")]
    assert_eq!(compressed(Compression::Snappy), unhex(V2_SNAPPY));
    #[cfg(feature = "lz4")]
    assert_eq!(compressed(Compression::Lz4), unhex(V2_LZ4));
}

#[test]
fn transaction_markers() {
    for (hex, committed) in [(COMMIT, true), (ABORT, false)] {
        let batch = RecordBatch::decode(unhex(hex)).expect("a batch");
        assert!(batch.header().attributes.is_control() && batch.header().attributes.is_transactional());
        let marker = EndTransactionMarker {
            committed,
            coordinator_epoch: 3,
        };
        let records = read(unhex(hex));
        assert_eq!(
            ControlRecord::decode(&records[0]),
            Ok(ControlRecord::EndTransaction(marker))
        );
        let ours = RecordBatch::decode(marker.batch(TIME, 4000, 7)).expect("a batch");
        let stored = [&ours.assigned(100, 5, None)[..], &ours.payload()].concat();
        assert_eq!(stored, unhex(hex));
    }
}

/// A Fetch response may end in the middle of a batch, and formats may follow each other in one log.
#[test]
fn a_log_of_all_formats_that_is_cut_off() {
    let whole = [unhex(V0_NONE), unhex(V1_NONE), unhex(V2_NONE)].concat();
    for end in 0..=whole.len() {
        let mut batches = RecordBatches::new(Bytes::copy_from_slice(&whole[..end]));
        let sizes: usize = batches.by_ref().map(|batch| size(&batch.expect("a batch"))).sum();
        assert_eq!(sizes + batches.remainder().len(), end);
        assert_eq!(batches.remainder(), &whole[sizes..end]);
    }
}

fn size(batch: &AnyBatch) -> usize {
    match batch {
        AnyBatch::V2(batch) => batch.bytes().len(),
        AnyBatch::Legacy(batch) => batch.bytes().len(),
        _ => unreachable!("no other format exists"),
    }
}

#[test]
fn errors_say_what_and_where() {
    let error = |bytes: Vec<u8>| RecordBatch::decode(bytes.into()).expect_err("invalid");
    let valid = unhex(V2_NONE).to_vec();

    let mut magic = valid.clone();
    magic[16] = 3;
    assert_eq!(
        error(magic.clone()).to_string(),
        "unexpected format version (magic) 3 (at byte 16 of the input)"
    );
    let in_log = [unhex(V2_NONE).to_vec(), magic].concat();
    let mut batches = RecordBatches::new(in_log.into());
    assert!(matches!(batches.next(), Some(Ok(_))));
    assert!(matches!(batches.next(), Some(Err(error)) if error.offset() == valid.len() + 16));
    assert!(batches.next().is_none());

    let mut length = valid.clone();
    length[8] = 0x80;
    assert_eq!(*error(length).kind(), RecordsErrorKind::Length(-2_147_483_563));
    assert_eq!(
        *error(valid[..90].to_vec()).kind(),
        RecordsErrorKind::Truncated { needed: 97 }
    );
    assert_eq!(
        *error([&valid[..], &[0]].concat()).kind(),
        RecordsErrorKind::TrailingBytes(1)
    );

    // The second record begins at byte 61 + 18; its key's length is its fifth byte.
    let mut key = valid;
    key[61 + 18 + 4] = 100;
    let batch = RecordBatch::decode(key.into()).expect("a header");
    assert!(matches!(batch.check_crc(), Err(error) if error.offset() == 17));
    let records: Vec<_> = batch
        .records(&mut Decompressor::new(), 1000)
        .expect("uncompressed")
        .collect();
    assert_eq!(records.len(), 2);
    let error = records[1].as_ref().expect_err("a key beyond the record");
    assert_eq!((error.record_index(), error.offset()), (Some(1), 84));
    assert_eq!(
        error.to_string(),
        "record 1: the bytes end before the 50 announced (at byte 84 of the input)"
    );
}

#[test]
fn validation_finds_what_a_broker_refuses() {
    let kind = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = unhex(V2_NONE).to_vec();
        change(&mut bytes);
        let crc = ottla_protocol::records::crc32c_append(0, &bytes[21..]);
        bytes[17..21].copy_from_slice(&crc.to_be_bytes());
        let batch = RecordBatch::decode(bytes.into()).expect("a header");
        batch
            .validate(&mut Decompressor::new(), 1000)
            .map_err(|error| error.kind().clone())
    };
    let summary = kind(&|_| ()).expect("valid");
    assert_eq!(summary.max_timestamp, TIME + 5);
    assert_eq!(summary.uncompressed_size, 36);
    assert_eq!(summary.first_without_key, Some(1));

    let last_offset_delta = kind(&|bytes| bytes[26] = 1);
    assert_eq!(
        last_offset_delta,
        Err(RecordsErrorKind::LastOffsetDelta { found: 1, count: 3 })
    );
    let fewer = kind(&|bytes| (bytes[26], bytes[60]) = (1, 2));
    assert_eq!(fewer, Err(RecordsErrorKind::TrailingBytes(9)));
    let more = kind(&|bytes| (bytes[26], bytes[60]) = (3, 4));
    assert_eq!(more, Err(RecordsErrorKind::Truncated { needed: 1 }));
    let none = kind(&|bytes| (bytes[26], bytes[60]) = (255, 0));
    assert_eq!(none, Err(RecordsErrorKind::Count(0)));
    let offset_delta = kind(&|bytes| bytes[61 + 18 + 3] = 4);
    assert_eq!(
        offset_delta,
        Err(RecordsErrorKind::OffsetDelta {
            found: 2,
            expected: 1
        })
    );
    let compression = kind(&|bytes| bytes[22] = 7);
    assert_eq!(compression, Err(RecordsErrorKind::Compression(7)));

    let mut bytes = unhex(V2_NONE).to_vec();
    bytes[96] ^= 1;
    let batch = RecordBatch::decode(bytes.into()).expect("a header");
    let error = batch
        .validate(&mut Decompressor::new(), 1000)
        .expect_err("damaged");
    assert!(matches!(
        error.kind(),
        RecordsErrorKind::Crc {
            stored: 0x391c_9e29,
            ..
        }
    ));
}

#[test]
fn log_append_time_is_assigned_without_the_payload() {
    let batch = RecordBatch::decode(unhex(V2_NONE)).expect("a batch");
    let stored = [&batch.assigned(1000, 9, Some(5_000))[..], &batch.payload()].concat();
    let stored = RecordBatch::decode(stored.into()).expect("a batch");
    stored.check_crc().expect("computed anew");
    assert_eq!(stored.header().partition_leader_epoch, 9);
    assert_eq!(stored.header().last_offset(), 1002);
    let records: Vec<_> = stored
        .records(&mut Decompressor::new(), 1000)
        .expect("uncompressed")
        .map(|record| record.expect("a record"))
        .collect();
    assert!(records.iter().all(|record| record.timestamp == 5_000));
    assert_eq!(records[2].offset, 1002);
}

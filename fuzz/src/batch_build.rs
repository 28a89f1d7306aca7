//! Any records into a batch, through any codec, and back.

use arbitrary::{Arbitrary as _, Result, Unstructured};
use ottla_protocol::compression::{Codec, Compression, Compressor, Decompressor};
use ottla_protocol::records::{BatchBuilder, Header, Record, RecordBatch};

struct Expected<'a> {
    timestamp: i64,
    key: Option<&'a [u8]>,
    value: Option<&'a [u8]>,
    headers: Vec<Header<'a>>,
}

/// One input: what [`Unstructured`] makes of it.
pub fn run(input: &[u8]) {
    // Too short an input is none.
    let _ = build(&mut Unstructured::new(input));
}

fn build(input: &mut Unstructured<'_>) -> Result<()> {
    let size_limit = usize::from(u16::arbitrary(input)?);
    let compression = *input.choose(&Compression::ALL)?;
    let (producer_id, epoch, sequence) = <(i64, i16, i32)>::arbitrary(input)?;
    let transactional = bool::arbitrary(input)?;
    let mut builder = BatchBuilder::new(size_limit);
    builder.set_producer(producer_id, epoch, sequence);
    builder.set_transactional(transactional);
    let mut expected = Vec::new();
    while !input.is_empty() && expected.len() < 300 {
        let record = record(input)?;
        let before = builder.size();
        match builder.append(record.timestamp, record.key, record.value, &record.headers) {
            Ok(bytes) => {
                assert_eq!(builder.size(), before + bytes);
                assert!(builder.size() <= size_limit || expected.is_empty());
                expected.push(record);
            }
            Err(full) => {
                assert!(!expected.is_empty() && full.record_size() > full.room());
                assert_eq!(builder.size(), before);
            }
        }
    }
    assert_eq!(builder.record_count(), expected.len());
    if expected.is_empty() {
        return Ok(());
    }
    let size = builder.size();
    let mut compressor = Compressor::new(Codec::new(compression)).expect("it is compiled in");
    let bytes = builder
        .finish_compressed(&mut compressor)
        .expect("there is memory");
    let batch = RecordBatch::decode(bytes).expect("it is ours");
    let mut decompressor = Decompressor::new();
    let summary = batch.validate(&mut decompressor, size).expect("it is ours");
    assert_eq!(
        Some(summary.max_timestamp),
        expected.iter().map(|record| record.timestamp).max()
    );
    assert_eq!(
        summary.first_without_key,
        expected.iter().position(|record| record.key.is_none())
    );
    let header = batch.header();
    assert_eq!(
        (header.producer_id, header.producer_epoch, header.base_sequence),
        (producer_id, epoch, sequence)
    );
    assert_eq!(header.attributes.is_transactional(), transactional);
    assert_eq!(header.max_timestamp, summary.max_timestamp);
    let records = batch.records(&mut decompressor, size).expect("it is ours");
    let records: Vec<Record> = records
        .collect::<std::result::Result<_, _>>()
        .expect("they are ours");
    assert_eq!(records.len(), expected.len());
    for ((record, expected), offset) in records.iter().zip(&expected).zip(0..) {
        assert_eq!((record.offset, record.timestamp), (offset, expected.timestamp));
        assert_eq!(
            (record.key.as_deref(), record.value.as_deref()),
            (expected.key, expected.value)
        );
        let headers = record
            .headers
            .iter()
            .map(|header| (&header.key[..], header.value.as_deref()));
        assert!(
            headers.eq(expected
                .headers
                .iter()
                .map(|header| (header.key.as_bytes(), header.value)))
        );
    }
    Ok(())
}

fn record<'a>(input: &mut Unstructured<'a>) -> Result<Expected<'a>> {
    let header = |input: &mut Unstructured<'a>| {
        let key = <&str>::arbitrary(input)?;
        Ok(Header {
            key,
            value: Option::arbitrary(input)?,
        })
    };
    Ok(Expected {
        timestamp: if bool::arbitrary(input)? {
            i64::arbitrary(input)?
        } else {
            1_700_000_000_000
        },
        key: Option::arbitrary(input)?,
        value: Option::arbitrary(input)?,
        headers: (0..input.int_in_range(0..=3)?)
            .map(|_| header(input))
            .collect::<Result<_>>()?,
    })
}

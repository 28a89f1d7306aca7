//! What decoding hostile bytes may allocate: at most 64 bytes for each of theirs, whatever they claim.
//!
//! A binary with one test, for the allocator that counts counts all threads.

use ottla_protocol::Message;
use ottla_protocol::wire::{DecodeErrorKind, Reader};
use peak_alloc::PeakAlloc;
use table::{Random, make};

#[path = "messages/schemas.rs"]
mod schemas;
#[path = "messages/table.rs"]
mod table;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// Memory for one byte of input.
const RATIO: usize = 64;

/// Memory that does not depend on the input: an error with its path.
const FIXED: usize = 1024;

type Decode = fn(&[u8], i16) -> bool;

fn decode<M: Message>(bytes: &[u8], version: i16) -> bool {
    let mut reader = Reader::new(bytes);
    let message = M::decode(&mut reader, version);
    message.is_ok() && reader.remaining() == 0
}

macro_rules! decoders {
    ($(($kind:ident, $key:literal, $message:ty, $min:literal, $max:literal))*) => {
        [$((<$message>::NAME, decode::<$message> as Decode)),*]
    };
}

/// How much memory `decode` had at once, beyond what there was before.
fn peak(decode: Decode, bytes: &[u8], version: i16) -> (bool, usize) {
    let before = ALLOCATOR.current_usage();
    ALLOCATOR.reset_peak_usage();
    let whole = decode(bytes, version);
    (whole, ALLOCATOR.peak_usage().saturating_sub(before))
}

fn check(name: &str, decode: Decode, bytes: &[u8], version: i16) -> bool {
    let (whole, peak) = peak(decode, bytes, version);
    let allowed = RATIO * bytes.len() + FIXED;
    assert!(
        peak <= allowed,
        "{name} v{version}: {peak} bytes of memory for {} bytes\n{bytes:02x?}",
        bytes.len()
    );
    whole
}

#[test]
fn memory_is_bounded_by_the_input() {
    let mut random = Random(1);
    let (mut whole, mut damaged) = (0, 0);
    for (name, decode) in ottla_protocol::for_each_message!(decoders) {
        let Some(schema) = schemas::SCHEMAS.iter().find(|schema| schema.name == name) else {
            panic!("{name} is in the table");
        };
        for version in schema.versions.0..=schema.versions.1 {
            for _ in 0..3 {
                let bytes = make(schema, version, &mut random);
                assert!(
                    check(name, decode, &bytes, version),
                    "{} {name} v{version}",
                    schema.kind
                );
                whole += 1;
                damaged += claims(&bytes)
                    .filter(|bytes| !check(name, decode, bytes, version))
                    .count();
            }
            // One byte again and again: as a count, a length, a tag and a size.
            for byte in [0, 1, 2, 3, 4, 8, 0x10, 0x40, 0x7f, 0x80, 0x81, 0xff] {
                check(name, decode, &[byte; 3000], version);
            }
        }
    }
    assert!(whole > 1800, "{whole}");
    assert!(damaged > whole, "most claims are too much: {damaged}");
    worst_arrays();
}

/// The message with more claimed than there is, at one place after another.
fn claims(bytes: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    const CLAIMS: [&[u8]; 4] = [
        &[0x7f, 0xff, 0xff, 0xff],
        &[0xff, 0xff, 0xff, 0xff, 0x0f],
        &[0x80, 0x80, 0x01],
        &[0x7f],
    ];
    let step = 1 + bytes.len() / 16;
    (0..bytes.len()).step_by(step).flat_map(move |at| {
        CLAIMS.into_iter().map(move |claim| {
            let mut bytes = bytes.to_vec();
            let end = bytes.len().min(at + claim.len());
            bytes[at..end].copy_from_slice(&claim[..end - at]);
            // Room behind, so that the claim meets something.
            bytes.extend([1; 500]);
            bytes
        })
    })
}

/// The array whose elements cost most for their bytes, as many as fit; and a count that is one too high.
fn worst_arrays() {
    use ottla_protocol::messages::ListGroupsResponse;
    const GROUPS: usize = 10_000;
    // ListGroups v5: throttle time, error code, then groups of four empty strings and no tagged fields.
    let header = |count: usize| {
        let mut bytes = vec![0; 6];
        let mut left = count + 1;
        while left >= 0x80 {
            bytes.push(left as u8 | 0x80);
            left >>= 7;
        }
        bytes.push(left as u8);
        bytes
    };
    let mut bytes = header(GROUPS);
    for _ in 0..GROUPS {
        bytes.extend([1, 1, 1, 1, 0]);
    }
    bytes.push(0);
    let (whole, peak) = peak(decode::<ListGroupsResponse>, &bytes, 5);
    assert!(whole);
    assert!(peak > 10 * bytes.len(), "this is meant to be bad: {peak}");
    assert!(peak <= RATIO * bytes.len(), "{peak}");

    let mut bytes = header(GROUPS);
    // Three bytes is the least that a group took in any version.
    bytes.extend([1; 2 * GROUPS]);
    let mut reader = Reader::new(&bytes);
    let before = ALLOCATOR.current_usage();
    ALLOCATOR.reset_peak_usage();
    let Err(error) = ListGroupsResponse::decode(&mut reader, 5) else {
        panic!("{GROUPS} groups are not there")
    };
    assert!(
        ALLOCATOR.peak_usage() - before <= FIXED,
        "refused before anything is allocated"
    );
    assert!(
        matches!(error.kind(), DecodeErrorKind::CountTooLarge { count: GROUPS, .. }),
        "{error}"
    );
    assert_eq!(error.path(), "groups");
}

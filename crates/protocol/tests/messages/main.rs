//! All messages at all versions, against random instances made from the schemas, and against their damage.

mod errors;
mod golden;
mod primitives;
mod real;
mod schemas;
mod table;

use std::fmt::Debug;

use bytes::Bytes;
use ottla_protocol::Message;
use ottla_protocol::wire::{DecodeError, Reader, Writer};
use table::{Random, Schema, make};

/// How many instances of each message and version; `OTTLA_TEST_INSTANCES` sets another number.
const INSTANCES: u64 = 4;

/// A message that was decoded and encoded: the bytes, and what it looks like.
type Again = Result<(Vec<u8>, String), DecodeError>;

/// What the tests do with a message, whatever its type.
struct Tested {
    kind: &'static str,
    name: &'static str,
    through: fn(&[u8], i16) -> Again,
    /// Decodes from bytes that are shared, and compares with a decoding that copies.
    shared: fn(&[u8], i16) -> Result<(), DecodeError>,
}

fn decode<M: Message>(mut reader: Reader<'_>, version: i16) -> Result<M, DecodeError> {
    let message = M::decode(&mut reader, version)?;
    reader.finish()?;
    Ok(message)
}

fn through<M: Message>(bytes: &[u8], version: i16) -> Again {
    let message = decode::<M>(Reader::new(bytes), version)?;
    let mut writer = Writer::new();
    if let Err(error) = message.encode(&mut writer, version) {
        panic!(
            "{} v{version} cannot be encoded again: {error}\n{message:?}",
            M::NAME
        );
    }
    let shown = format!("{message:?}");
    let again = decode::<M>(Reader::new(writer.as_slice()), version);
    // Damage can make a number that does not equal itself; that is shown the same, too.
    let same = again
        .as_ref()
        .is_ok_and(|again| *again == message || format!("{again:?}") == shown);
    assert!(
        same,
        "{} v{version} changes on its way: {shown}\n{again:?}",
        M::NAME
    );
    assert_eq!(format!("{:?}", message.clone()), shown);
    Ok((writer.into_vec(), shown))
}

fn shared<M: Message>(bytes: &[u8], version: i16) -> Result<(), DecodeError> {
    let copied = decode::<M>(Reader::new(bytes), version)?;
    let input = Bytes::copy_from_slice(bytes);
    assert_eq!(decode::<M>(Reader::from_bytes(&input), version), Ok(copied));
    Ok(())
}

macro_rules! tested {
    ($(($kind:ident, $key:literal, $message:ty, $min:literal, $max:literal))*) => {
        [$(Tested {
            kind: stringify!($kind),
            name: <$message>::NAME,
            through: through::<$message>,
            shared: shared::<$message>,
        }),*]
    };
}

/// Calls `check` with every message, version and a number of random instances. The seed is in every panic's message.
fn for_random_instances(mut check: impl FnMut(&Tested, i16, &[u8])) {
    let instances = std::env::var("OTTLA_TEST_INSTANCES")
        .ok()
        .and_then(|number| number.parse().ok());
    let mut versions = 0;
    for tested in ottla_protocol::for_each_message!(tested) {
        let schema = schema(&tested);
        for version in schema.versions.0..=schema.versions.1 {
            versions += 1;
            for seed in 0..instances.unwrap_or(INSTANCES) {
                let mut random = Random(seed << 32 | u64::from(version as u16));
                let bytes = make(schema, version, &mut random);
                check(&tested, version, &bytes);
            }
        }
    }
    assert_eq!(
        versions, 625,
        "kafka-clients 4.3.1 has so many versions of all messages"
    );
}

fn schema(tested: &Tested) -> &'static Schema {
    let same = |schema: &&Schema| schema.name == tested.name && schema.kind == tested.kind;
    schemas::SCHEMAS
        .iter()
        .find(same)
        .unwrap_or_else(|| panic!("{} is in the table", tested.name))
}

#[track_caller]
fn no_error<T>(result: Result<T, DecodeError>, bytes: &[u8]) -> T {
    result.unwrap_or_else(|error| panic!("{error}\n{bytes:02x?}"))
}

#[test]
fn every_instance_comes_back_as_it_was() {
    for_random_instances(|tested, version, bytes| {
        let (again, shown) = no_error((tested.through)(bytes, version), bytes);
        assert!(
            again == bytes,
            "{} v{version}: {shown}\n{bytes:02x?}\n{again:02x?}",
            tested.name
        );
        no_error((tested.shared)(bytes, version), bytes);
    });
}

#[test]
fn a_message_that_ends_early_is_an_error_within_its_bytes() {
    for_random_instances(|tested, version, bytes| {
        for end in ends(bytes.len()) {
            let Err(error) = (tested.shared)(&bytes[..end], version) else {
                panic!(
                    "{} v{version} is whole after {end} of {} bytes",
                    tested.name,
                    bytes.len()
                );
            };
            assert!(error.offset() <= end, "{error}");
            assert_eq!(error.message(), Some(tested.name));
        }
    });
}

/// All ends of a short message, some of a long one.
fn ends(length: usize) -> impl Iterator<Item = usize> {
    let step = 1 + length / 64;
    (0..length).step_by(step)
}

#[test]
fn damage_is_an_error_or_another_value() {
    for_random_instances(|tested, version, bytes| {
        let mut random = Random(bytes.len() as u64);
        let mut damaged = bytes.to_vec();
        for _ in 0..(if bytes.is_empty() { 0 } else { 24 }) {
            let at = random.below(bytes.len());
            damaged[at] ^= 1 << random.below(8);
            if random.below(4) == 0 {
                damaged[at] = 0xff;
            }
            // What it means now may have a shorter form, or a form that does not end where the bytes do. That it can be
            // written, and is read again as the same, is asserted in there.
            let _ = (tested.through)(&damaged, version);
            if random.below(3) == 0 {
                damaged.copy_from_slice(bytes);
            }
        }
    });
}

#[test]
fn noise_is_an_error_or_a_value() {
    let mut random = Random(7);
    for_random_instances(|tested, version, _| {
        let length = random.below(200);
        let zeros = random.below(3);
        let noise: Vec<u8> = (0..length)
            .map(|_| {
                if random.below(3) < zeros {
                    0
                } else {
                    random.next() as u8
                }
            })
            .collect();
        let _ = (tested.through)(&noise, version);
    });
}

#[test]
fn versions_outside_of_the_range_are_refused_by_name() {
    for tested in ottla_protocol::for_each_message!(tested) {
        let (min, max) = schema(&tested).versions;
        for version in [min - 1, max + 1, i16::MIN, i16::MAX] {
            let Err(error) = (tested.shared)(&[], version) else {
                panic!("{} v{version}", tested.name)
            };
            assert!(
                error
                    .to_string()
                    .starts_with(&format!("{} v{version}, ", tested.name)),
                "{error}"
            );
        }
    }
}

#[test]
fn the_generated_code_has_the_versions_of_the_table() {
    fn check<M: Message + Debug>(kind: &str, key: i16, min: i16, max: i16) {
        let schema = schemas::SCHEMAS.iter().find(|schema| schema.name == M::NAME);
        let Some(schema) = schema else {
            panic!("{} is in the table", M::NAME)
        };
        assert_eq!((M::VERSIONS.min, M::VERSIONS.max), schema.versions);
        assert_eq!((min, max), schema.versions);
        assert_eq!(kind, schema.kind);
        assert_eq!(key >= 0, matches!(kind, "request" | "response"));
        for version in min..=max {
            let flexible = schema.flexible.0 <= version && version <= schema.flexible.1;
            assert_eq!(M::is_flexible(version), flexible, "{} v{version}", M::NAME);
        }
    }
    macro_rules! check_all {
        ($(($kind:ident, $key:literal, $message:ty, $min:literal, $max:literal))*) => {
            $(check::<$message>(stringify!($kind), $key, $min, $max);)*
        };
    }
    ottla_protocol::for_each_message!(check_all);
}

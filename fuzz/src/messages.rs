//! Any bytes as any message: an error, or a value that is written and read again; memory in proportion to the bytes.
//!
//! Input: kind (0 request, 1 response, 2 header, 3 data), key (16 bits; for headers and data the place in the list),
//! version (8 bits), then the message. What names no message is taken modulo what there is.

use bytes::Bytes;
use ottla_protocol::Message;
use ottla_protocol::wire::{Reader, Writer};

use crate::within;

/// The most memory for one byte of input: the promise of the protocol crate.
const RATIO_MAX: usize = 64;

/// For the error, and for what an empty message takes.
const CONSTANT_BYTES: usize = 4 * 1024;

/// A message: kind, API key, versions, and the check for its type.
type Entry = (&'static str, i16, i16, i16, fn(&Bytes, i16));

macro_rules! list {
    ($(($kind:ident, $key:literal, $message:ty, $min:literal, $max:literal))*) => {
        &[$((stringify!($kind), $key, $min, $max, check::<$message>)),*]
    };
}

static MESSAGES: &[Entry] = ottla_protocol::for_each_message!(list);

/// One input.
pub fn run(input: &[u8]) {
    let Some((&[kind, high, low, version], body)) = input.split_first_chunk() else {
        return;
    };
    let kind = ["request", "response", "header", "data"][usize::from(kind % 4)];
    let number = u16::from_be_bytes([high, low]);
    let of_kind = || MESSAGES.iter().filter(|entry| entry.0 == kind);
    let by_key = of_kind().find(|entry| entry.1 >= 0 && entry.1 == number as i16);
    let place = usize::from(number) % of_kind().count();
    let Some(&(_, _, min, max, check)) = by_key.or_else(|| of_kind().nth(place)) else {
        return;
    };
    let wanted = i16::from(version);
    let version = if (min..=max).contains(&wanted) {
        wanted
    } else {
        min + wanted % (max - min + 1)
    };
    check(&Bytes::copy_from_slice(body), version);
}

fn check<M: Message>(bytes: &Bytes, version: i16) {
    let bytes_max = RATIO_MAX * bytes.len() + CONSTANT_BYTES + 4 * size_of::<M>();
    let decode = |bytes: &Bytes| {
        let mut reader = Reader::from_bytes(bytes);
        M::decode(&mut reader, version).map(|message| (message, reader.remaining()))
    };
    let copied = M::decode(&mut Reader::new(bytes), version);
    let (message, rest) = match within(bytes_max, || decode(bytes)) {
        Ok(decoded) => decoded,
        Err(error) => {
            let other = copied.expect_err("both readers refuse it");
            assert_eq!(error.to_string(), other.to_string());
            assert!(error.offset() <= bytes.len(), "{error}");
            return;
        }
    };
    let written = encode(&message, version);
    assert!(copied.is_ok_and(|copied| encode(&copied, version) == written));
    let (again, rest_again) = decode(&written).expect("what was written is read");
    assert_eq!(rest_again, 0, "what was written is read to its end");
    assert_eq!(encode(&again, version), written);
    // NaN is not itself.
    #[allow(clippy::eq_op, reason = "it finds NaN")]
    let comparable = message == message;
    assert!(message == again || !comparable, "{message:?}\n{again:?}");
    // Booleans other than 1, lengths with more digits than needed and known tags with default values are the only
    // freedom there is: all others write the same bytes.
    assert!(written.len() <= bytes.len() - rest, "it grew: {message:?}");
}

fn encode<M: Message>(message: &M, version: i16) -> Bytes {
    let mut writer = Writer::new();
    message
        .encode(&mut writer, version)
        .expect("what was read is written");
    writer.into_bytes()
}

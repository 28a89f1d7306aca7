//! Plain types by the class that a configuration names: what serde tells of a value is held against what the class takes.

use crate::config::SerializerKind;
use ottla_serialization::builtin::{
    BooleanSerializer, BytesSerializer, DoubleSerializer, Encoding, FloatSerializer, IntegerSerializer,
    ListSerializer, LongSerializer, ShortSerializer, StringSerializer, UuidSerializer,
};
use ottla_serialization::{Output, Payload, SerializeError, Serializer, Target};
use serde::ser::{self, Impossible, Serialize};
use std::fmt::{self, Display};

/// A serializer of a plain kind.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plain {
    pub(super) kind: SerializerKind,
    pub(super) encoding: Encoding,
    /// What a list is of.
    pub(super) elements: Option<SerializerKind>,
}

impl Plain {
    /// Appends the value's bytes; if it is of another type, the error says of which.
    pub(super) fn write<T: Serialize + ?Sized>(
        self,
        target: &Target<'_>,
        value: &T,
        output: &mut Output<'_>,
    ) -> Result<Payload, Misfit> {
        value.serialize(Writer {
            plain: self,
            target,
            output,
        })
    }
}

/// Why a value does not fit.
#[derive(Debug)]
pub(super) enum Misfit {
    /// What it is, where something else was expected.
    Is(String),
    /// An element of a list does not fit.
    Element(usize, Box<Misfit>),
    /// Its type, or the serializer below, says why.
    Error(SerializeError),
}

impl Misfit {
    fn is(what: impl Into<String>) -> Misfit {
        Misfit::Is(what.into())
    }
}

impl Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Misfit::Is(what) => write!(f, "it is {what}"),
            Misfit::Element(index, misfit) => write!(f, "element {index}: {misfit}"),
            Misfit::Error(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Misfit {}

impl ser::Error for Misfit {
    fn custom<T: Display>(message: T) -> Misfit {
        Misfit::Error(SerializeError::value(message.to_string()))
    }
}

impl From<SerializeError> for Misfit {
    fn from(error: SerializeError) -> Misfit {
        Misfit::Error(error)
    }
}

/// Takes one value, and writes it.
struct Writer<'w, 'o> {
    plain: Plain,
    target: &'w Target<'w>,
    output: &'w mut Output<'o>,
}

/// Any number that holds the value, as Rust has it: −0 and fractions are no integers.
fn integer<N: TryFrom<i128>>(value: i128, bits: u32) -> Result<N, Misfit> {
    N::try_from(value).map_err(|_| Misfit::is(format!("{value}, which has not room in {bits} bits")))
}

impl Writer<'_, '_> {
    fn put<T: ?Sized>(self, serializer: &impl Serializer<T>, value: &T) -> Result<Payload, Misfit> {
        Ok(serializer.serialize(self.target, Some(value), self.output)?)
    }

    fn integer(self, value: i128) -> Result<Payload, Misfit> {
        match self.plain.kind {
            SerializerKind::Short => self.put(&ShortSerializer, &integer(value, 16)?),
            SerializerKind::Integer => self.put(&IntegerSerializer, &integer(value, 32)?),
            SerializerKind::Long => self.put(&LongSerializer, &integer(value, 64)?),
            // What is not exact goes no further.
            SerializerKind::Float | SerializerKind::Double => {
                let inexact = || Misfit::is(format!("{value}, which no such number is exactly"));
                let number = i32::try_from(value).map_err(|_| inexact())?;
                self.float(f64::from(number))
            }
            _ => Err(Misfit::is("an integer")),
        }
    }

    fn float(self, value: f64) -> Result<Payload, Misfit> {
        match self.plain.kind {
            SerializerKind::Double => self.put(&DoubleSerializer, &value),
            SerializerKind::Float => {
                #[expect(
                    clippy::cast_possible_truncation,
                    reason = "the next line looks whether anything was lost"
                )]
                let narrow = value as f32;
                if f64::from(narrow) != value && !value.is_nan() {
                    return Err(Misfit::is(format!("{value}, which has not room in 32 bits")));
                }
                self.put(&FloatSerializer, &narrow)
            }
            _ => Err(Misfit::is("a number with a fraction")),
        }
    }

    fn text(self, value: &str) -> Result<Payload, Misfit> {
        let Plain { kind, encoding, .. } = self.plain;
        match kind {
            SerializerKind::String => self.put(&StringSerializer::new(encoding), value),
            SerializerKind::Uuid => match uuid(value) {
                Some(uuid) => self.put(&UuidSerializer::new(encoding), &uuid),
                None => Err(Misfit::is("text that is no UUID")),
            },
            _ => Err(Misfit::is("text")),
        }
    }

    /// Begins a list, of bytes or of what the configuration says.
    fn many(self, what: &'static str) -> Result<Many<Self>, Misfit> {
        let elements = match (self.plain.kind, self.plain.elements) {
            (SerializerKind::Bytes, _) => None,
            (SerializerKind::List, Some(kind)) => Some(Plain {
                kind,
                elements: None,
                ..self.plain
            }),
            _ => return Err(Misfit::is(what)),
        };
        Ok(Many {
            writer: self,
            elements,
            done: Vec::new(),
        })
    }
}

/// The elements so far: of bytes they are written already.
struct Many<W> {
    writer: W,
    elements: Option<Plain>,
    done: Vec<Option<Vec<u8>>>,
}

/// An element that is written already. Java leaves lengths out by the element's type, not by its size.
struct Written {
    is_constant_size: bool,
}

impl Serializer<Vec<u8>> for Written {
    fn serialize(
        &self,
        target: &Target<'_>,
        value: Option<&Vec<u8>>,
        output: &mut Output<'_>,
    ) -> Result<Payload, SerializeError> {
        BytesSerializer.serialize(target, value, output)
    }

    fn is_constant_size(&self) -> bool {
        self.is_constant_size
    }
}

impl Many<Writer<'_, '_>> {
    fn push<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Misfit> {
        let index = self.done.len();
        let place = |misfit| Misfit::Element(index, Box::new(misfit));
        let Some(plain) = self.elements else {
            let byte = value
                .serialize(Byte)
                .map_err(|_| Misfit::is("a list of other things than bytes"))?;
            self.writer.output.bytes.push(byte);
            return Ok(());
        };
        let mut bytes = Vec::new();
        let mut output = Output::new(&mut bytes, self.writer.output.headers);
        let payload = plain
            .write(self.writer.target, value, &mut output)
            .map_err(place)?;
        self.done.push((payload == Payload::Bytes).then_some(bytes));
        Ok(())
    }

    fn finish(self) -> Result<Payload, Misfit> {
        let Some(plain) = self.elements else {
            return Ok(Payload::Bytes);
        };
        let kinds = [
            SerializerKind::Short,
            SerializerKind::Integer,
            SerializerKind::Long,
            SerializerKind::Float,
            SerializerKind::Double,
            SerializerKind::Uuid,
        ];
        let written = Written {
            is_constant_size: kinds.contains(&plain.kind),
        };
        self.writer
            .put(&ListSerializer::new(written), self.done.as_slice())
    }
}

/// Refuses what no plain type is.
macro_rules! refuse {
    ($ok:ty, $error:expr) => {
        type SerializeTupleVariant = Impossible<$ok, Misfit>;
        type SerializeMap = Impossible<$ok, Misfit>;
        type SerializeStruct = Impossible<$ok, Misfit>;
        type SerializeStructVariant = Impossible<$ok, Misfit>;

        fn serialize_newtype_variant<T: Serialize + ?Sized>(
            self,
            name: &'static str,
            _: u32,
            _: &'static str,
            _: &T,
        ) -> Result<$ok, Misfit> {
            Err($error(name))
        }

        fn serialize_tuple_variant(
            self,
            name: &'static str,
            _: u32,
            _: &'static str,
            _: usize,
        ) -> Result<Self::SerializeTupleVariant, Misfit> {
            Err($error(name))
        }

        fn serialize_map(self, _: Option<usize>) -> Result<Self::SerializeMap, Misfit> {
            Err($error(""))
        }

        fn serialize_struct(self, name: &'static str, _: usize) -> Result<Self::SerializeStruct, Misfit> {
            Err($error(name))
        }

        fn serialize_struct_variant(
            self,
            name: &'static str,
            _: u32,
            _: &'static str,
            _: usize,
        ) -> Result<Self::SerializeStructVariant, Misfit> {
            Err($error(name))
        }
    };
}

fn compound(name: &str) -> Misfit {
    match name {
        "" => Misfit::is("a map"),
        name => Misfit::is(format!("a {name}, which has parts")),
    }
}

/// Methods that pass a number on, widened.
macro_rules! numbers {
    ($($method:ident($number:ty) $to:ident($wide:ty);)*) => {$(
        fn $method(self, value: $number) -> Result<Payload, Misfit> {
            self.$to(<$wide>::from(value))
        }
    )*};
}

impl<'w, 'o> ser::Serializer for Writer<'w, 'o> {
    type Ok = Payload;
    type Error = Misfit;
    type SerializeSeq = Many<Writer<'w, 'o>>;
    type SerializeTuple = Many<Writer<'w, 'o>>;
    type SerializeTupleStruct = Many<Writer<'w, 'o>>;

    numbers! {
        serialize_i8(i8) integer(i128);
        serialize_i16(i16) integer(i128);
        serialize_i32(i32) integer(i128);
        serialize_i64(i64) integer(i128);
        serialize_i128(i128) integer(i128);
        serialize_u8(u8) integer(i128);
        serialize_u16(u16) integer(i128);
        serialize_u32(u32) integer(i128);
        serialize_u64(u64) integer(i128);
        serialize_f32(f32) float(f64);
        serialize_f64(f64) float(f64);
    }

    fn serialize_bool(self, value: bool) -> Result<Payload, Misfit> {
        match self.plain.kind {
            SerializerKind::Boolean => self.put(&BooleanSerializer, &value),
            _ => Err(Misfit::is("a boolean")),
        }
    }

    fn serialize_char(self, value: char) -> Result<Payload, Misfit> {
        self.text(value.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, value: &str) -> Result<Payload, Misfit> {
        self.text(value)
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<Payload, Misfit> {
        let Plain { kind, encoding, .. } = self.plain;
        match (kind, <[u8; 16]>::try_from(value)) {
            (SerializerKind::Bytes, _) => self.put(&BytesSerializer, value),
            (SerializerKind::Uuid, Ok(uuid)) => self.put(&UuidSerializer::new(encoding), &uuid),
            _ => Err(Misfit::is("bytes")),
        }
    }

    fn serialize_none(self) -> Result<Payload, Misfit> {
        Ok(Payload::Null)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<Payload, Misfit> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<Payload, Misfit> {
        Ok(Payload::Null)
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<Payload, Misfit> {
        Ok(Payload::Null)
    }

    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<Payload, Misfit> {
        self.text(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<Payload, Misfit> {
        value.serialize(self)
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Self::SerializeSeq, Misfit> {
        self.many("a list")
    }

    fn serialize_tuple(self, _: usize) -> Result<Self::SerializeTuple, Misfit> {
        self.many("a tuple or an array")
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Self::SerializeTupleStruct, Misfit> {
        self.many("a tuple")
    }

    refuse!(Payload, compound);
}

impl ser::SerializeSeq for Many<Writer<'_, '_>> {
    type Ok = Payload;
    type Error = Misfit;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Misfit> {
        self.push(value)
    }

    fn end(self) -> Result<Payload, Misfit> {
        self.finish()
    }
}

impl ser::SerializeTuple for Many<Writer<'_, '_>> {
    type Ok = Payload;
    type Error = Misfit;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Misfit> {
        self.push(value)
    }

    fn end(self) -> Result<Payload, Misfit> {
        self.finish()
    }
}

impl ser::SerializeTupleStruct for Many<Writer<'_, '_>> {
    type Ok = Payload;
    type Error = Misfit;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Misfit> {
        self.push(value)
    }

    fn end(self) -> Result<Payload, Misfit> {
        self.finish()
    }
}

/// Takes one byte: serde tells of most lists of bytes number by number.
struct Byte;

/// Methods that take a number that is a byte.
macro_rules! bytes {
    ($($method:ident($number:ty);)*) => {$(
        fn $method(self, value: $number) -> Result<u8, Misfit> {
            u8::try_from(value).map_err(|_| other(""))
        }
    )*};
}

/// What a list of bytes does not have.
fn other(_name: &str) -> Misfit {
    Misfit::is("no byte")
}

impl ser::Serializer for Byte {
    type Ok = u8;
    type Error = Misfit;
    type SerializeSeq = Impossible<u8, Misfit>;
    type SerializeTuple = Impossible<u8, Misfit>;
    type SerializeTupleStruct = Impossible<u8, Misfit>;

    bytes! {
        serialize_i8(i8);
        serialize_i16(i16);
        serialize_i32(i32);
        serialize_i64(i64);
        serialize_u16(u16);
        serialize_u32(u32);
        serialize_u64(u64);
    }

    fn serialize_u8(self, value: u8) -> Result<u8, Misfit> {
        Ok(value)
    }

    fn serialize_bool(self, _: bool) -> Result<u8, Misfit> {
        Err(other(""))
    }

    fn serialize_f32(self, _: f32) -> Result<u8, Misfit> {
        Err(other(""))
    }

    fn serialize_f64(self, _: f64) -> Result<u8, Misfit> {
        Err(other(""))
    }

    fn serialize_char(self, _: char) -> Result<u8, Misfit> {
        Err(other(""))
    }

    fn serialize_str(self, _: &str) -> Result<u8, Misfit> {
        Err(other(""))
    }

    fn serialize_bytes(self, _: &[u8]) -> Result<u8, Misfit> {
        Err(other(""))
    }

    fn serialize_none(self) -> Result<u8, Misfit> {
        Err(other(""))
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<u8, Misfit> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<u8, Misfit> {
        Err(other(""))
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<u8, Misfit> {
        Err(other(""))
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, _: &'static str) -> Result<u8, Misfit> {
        Err(other(""))
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<u8, Misfit> {
        value.serialize(self)
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Self::SerializeSeq, Misfit> {
        Err(other(""))
    }

    fn serialize_tuple(self, _: usize) -> Result<Self::SerializeTuple, Misfit> {
        Err(other(""))
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Self::SerializeTupleStruct, Misfit> {
        Err(other(""))
    }

    refuse!(u8, other);
}

/// The bytes of a UUID in its usual form: 8, 4, 4, 4 and 12 hexadecimal digits.
fn uuid(text: &str) -> Option<[u8; 16]> {
    let hyphens = [8, 13, 18, 23];
    let is_formed = text.len() == 36
        && text
            .bytes()
            .enumerate()
            .all(|(at, byte)| (byte == b'-') == hyphens.contains(&at));
    if !is_formed {
        return None;
    }
    let digits: String = text.chars().filter(|char| *char != '-').collect();
    // A sign is a digit to nobody but the parser.
    let number = u128::from_str_radix(&digits, 16)
        .ok()
        .filter(|_| !digits.starts_with('+'))?;
    Some(number.to_be_bytes())
}

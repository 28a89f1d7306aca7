//! What the generated code is made of: fields read in place, and structures inside others.
//!
//! There are hundreds of structures with thousands of fields, and all of them are compiled for everyone who depends on
//! this crate. So a field costs one call with one check: what is read goes straight to its place, where nothing has to
//! be dropped on the way out, and nothing is inlined that can be shared.

use bytes::Bytes;

use super::error::{DecodeError, EncodeError, EncodeErrorKind};
use super::{Reader, Scalar, Uuid, Writer};

/// A generated structure: how it is read in place and written.
///
/// Public only because [`crate::Message`] builds on it; the generated code alone implements it.
#[doc(hidden)]
pub trait Structure: Default {
    /// The fewest bytes that a value takes on the wire, over all versions.
    const LEAST_BYTES: usize;

    /// The schema's defaults: a constant, which costs less to compile than a function, and nothing to copy.
    const DEFAULT: Self;

    /// Reads the fields that `version` has into `self`, which holds the defaults.
    fn read(&mut self, reader: &mut Reader<'_>, version: i16) -> Result<(), DecodeError>;

    /// Writes the fields that `version` has.
    fn write(&self, writer: &mut Writer, version: i16) -> Result<(), EncodeError>;
}

macro_rules! fixed {
    ($($method:ident = $read:ident -> $type:ty;)*) => {$(
        #[inline(never)]
        pub(crate) fn $method(&mut self, value: &mut $type, field: &'static str) -> Result<(), DecodeError> {
            *value = self.$read(field)?;
            Ok(())
        }
    )*};
}

macro_rules! sized {
    ($($method:ident = $read:ident -> $type:ty;)*) => {$(
        pub(crate) fn $method(
            &mut self,
            value: &mut $type,
            flexible: bool,
            field: &'static str,
        ) -> Result<(), DecodeError> {
            *value = self.$read(flexible, field)?;
            Ok(())
        }
    )*};
}

/// Reading into fields.
impl Reader<'_> {
    fixed! {
        read_bool = bool -> bool;
        read_i8 = i8 -> i8;
        read_i16 = i16 -> i16;
        read_u16 = u16 -> u16;
        read_i32 = i32 -> i32;
        read_i64 = i64 -> i64;
        read_f64 = f64 -> f64;
        read_uuid = uuid -> Uuid;
    }

    sized! {
        read_string = string -> String;
        read_nullable_string = nullable_string -> Option<String>;
        read_strings = strings -> Vec<String>;
        read_nullable_strings = nullable_strings -> Option<Vec<String>>;
    }

    pub(crate) fn read_bytes(
        &mut self,
        value: &mut Bytes,
        flexible: bool,
        field: &'static str,
    ) -> Result<(), DecodeError> {
        let Some(length) = self.nullable_length(flexible, field)? else {
            return Err(self.unexpected_null(field));
        };
        *value = self.shared(length, field)?;
        Ok(())
    }

    pub(crate) fn read_nullable_bytes(
        &mut self,
        value: &mut Option<Bytes>,
        flexible: bool,
        field: &'static str,
    ) -> Result<(), DecodeError> {
        *value = match self.nullable_length(flexible, field)? {
            Some(length) => Some(self.shared(length, field)?),
            None => None,
        };
        Ok(())
    }

    pub(crate) fn read_scalars<T: Scalar>(
        &mut self,
        values: &mut Vec<T>,
        flexible: bool,
        field: &'static str,
    ) -> Result<(), DecodeError> {
        let count = self.count(flexible, T::BYTES, field)?;
        let bytes = self.take(count * T::BYTES, field)?;
        if count > 0 {
            *values = Vec::with_capacity(count);
            values.extend(bytes.chunks_exact(T::BYTES).map(T::from_wire));
        }
        Ok(())
    }

    pub(crate) fn read_nullable_scalars<T: Scalar>(
        &mut self,
        values: &mut Option<Vec<T>>,
        flexible: bool,
        field: &'static str,
    ) -> Result<(), DecodeError> {
        *values = self.nullable_scalars(flexible, field)?;
        Ok(())
    }

    pub(crate) fn read_array<T: Structure>(
        &mut self,
        values: &mut Vec<T>,
        flexible: bool,
        version: i16,
        field: &'static str,
    ) -> Result<(), DecodeError> {
        let count = self.count(flexible, T::LEAST_BYTES, field)?;
        self.read_elements(values, count, version, field)
    }

    pub(crate) fn read_nullable_array<T: Structure>(
        &mut self,
        values: &mut Option<Vec<T>>,
        flexible: bool,
        version: i16,
        field: &'static str,
    ) -> Result<(), DecodeError> {
        match self.nullable_count(flexible, T::LEAST_BYTES, field)? {
            Some(count) => self.read_elements(values.get_or_insert_default(), count, version, field),
            None => {
                *values = None;
                Ok(())
            }
        }
    }

    /// Reads `count` elements, for which there are bytes enough, into `values`, which is empty.
    fn read_elements<T: Structure>(
        &mut self,
        values: &mut Vec<T>,
        count: usize,
        version: i16,
        field: &'static str,
    ) -> Result<(), DecodeError> {
        self.owed += count * T::LEAST_BYTES;
        values.reserve_exact(count);
        while values.len() < count {
            self.owed -= T::LEAST_BYTES;
            values.push(T::DEFAULT);
            // The one that was just pushed: it is made where it stays, not made elsewhere and moved.
            let Some(value) = values.last_mut() else { break };
            if let Err(error) = value.read(self, version) {
                return Err(error.in_element(field, values.len() - 1));
            }
        }
        Ok(())
    }

    pub(crate) fn read_structure<T: Structure>(
        &mut self,
        value: &mut T,
        version: i16,
        field: &'static str,
    ) -> Result<(), DecodeError> {
        match value.read(self, version) {
            Ok(()) => Ok(()),
            Err(error) => Err(error.in_field(field)),
        }
    }

    /// A byte before the structure tells whether it is there.
    pub(crate) fn read_nullable_structure<T: Structure>(
        &mut self,
        value: &mut Option<T>,
        version: i16,
        field: &'static str,
    ) -> Result<(), DecodeError> {
        *value = None;
        if self.i8(field)? < 0 {
            Ok(())
        } else {
            self.read_structure(value.insert(T::DEFAULT), version, field)
        }
    }
}

/// Writing structures.
impl Writer {
    pub(crate) fn array<T: Structure>(
        &mut self,
        flexible: bool,
        values: &[T],
        version: i16,
        field: &'static str,
    ) -> Result<(), EncodeError> {
        self.count(flexible, values.len(), field)?;
        let mut rest = values;
        while let [value, after @ ..] = rest {
            if let Err(error) = value.write(self, version) {
                return Err(error.in_element(field, values.len() - rest.len()));
            }
            rest = after;
        }
        Ok(())
    }

    pub(crate) fn nullable_array<T: Structure>(
        &mut self,
        flexible: bool,
        nullable: bool,
        values: Option<&[T]>,
        version: i16,
        field: &'static str,
    ) -> Result<(), EncodeError> {
        match values {
            Some(values) => self.array(flexible, values, version, field),
            None => self.null(flexible, nullable, field),
        }
    }

    pub(crate) fn structure<T: Structure>(
        &mut self,
        value: &T,
        version: i16,
        field: &'static str,
    ) -> Result<(), EncodeError> {
        match value.write(self, version) {
            Ok(()) => Ok(()),
            Err(error) => Err(error.in_field(field)),
        }
    }

    /// A byte before the structure tells whether it is there.
    pub(crate) fn nullable_structure<T: Structure>(
        &mut self,
        nullable: bool,
        value: Option<&T>,
        version: i16,
        field: &'static str,
    ) -> Result<(), EncodeError> {
        match value {
            Some(value) => {
                self.i8(1);
                self.structure(value, version, field)
            }
            None if nullable => {
                self.i8(-1);
                Ok(())
            }
            None => Err(EncodeError::new(EncodeErrorKind::UnexpectedNull, field)),
        }
    }
}

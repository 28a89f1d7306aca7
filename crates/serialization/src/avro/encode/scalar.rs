//! Values without parts.

use super::{Encoder, Misfit, long, text};
use crate::avro::default::characters;
use crate::avro::schema::Node;

impl Encoder<'_, '_> {
    /// Integers fit all numbers that hold them; `is_small` ones prefer an int, others a long.
    #[inline]
    pub(super) fn integer(self, value: i64, is_small: bool) -> Result<(), Misfit> {
        /// Whole numbers up to here are all there in a double, and in a float.
        const DOUBLE_MAX: u64 = 1 << 53;
        const FLOAT_MAX: u64 = 1 << 24;
        let fits = |node: &Node| match node {
            Node::Int if i32::try_from(value).is_ok() => Some(u8::from(!is_small)),
            Node::Long => Some(u8::from(is_small)),
            Node::Double if value.unsigned_abs() <= DOUBLE_MAX => Some(2),
            Node::Float if value.unsigned_abs() <= FLOAT_MAX => Some(3),
            _ => None,
        };
        let (node, encoder) = match self.choose("the number", fits) {
            Ok(chosen) => chosen,
            Err(misfit) => return Err(named(misfit, &value)),
        };
        match node {
            Node::Double => encoder.out.extend_from_slice(&(value as f64).to_le_bytes()),
            Node::Float => encoder.out.extend_from_slice(&(value as f32).to_le_bytes()),
            _ => long(value, encoder.out),
        }
        Ok(())
    }

    #[inline]
    pub(super) fn float(self, value: f64, is_small: bool) -> Result<(), Misfit> {
        let fits = |node: &Node| match node {
            Node::Double => Some(u8::from(is_small)),
            // Digits may be lost, but not the number.
            Node::Float if !value.is_finite() || (value as f32).is_finite() => Some(u8::from(!is_small)),
            _ => None,
        };
        let (node, encoder) = match self.choose("the number", fits) {
            Ok(chosen) => chosen,
            Err(misfit) => return Err(named(misfit, &value)),
        };
        match node {
            Node::Float => encoder.out.extend_from_slice(&(value as f32).to_le_bytes()),
            _ => encoder.out.extend_from_slice(&value.to_le_bytes()),
        }
        Ok(())
    }

    #[inline]
    pub(super) fn text(self, value: &str) -> Result<(), Misfit> {
        let fits = |node: &Node| match node {
            Node::String => Some(0),
            Node::Enum(symbols) if symbols.symbols.iter().any(|symbol| symbol == value) => Some(1),
            Node::Bytes if value.chars().all(is_byte) => Some(2),
            Node::Fixed(fixed) if value.chars().count() == fixed.size && value.chars().all(is_byte) => {
                Some(3)
            }
            _ => None,
        };
        let (node, encoder) = match self.choose("the text", fits) {
            Ok(chosen) => chosen,
            Err(misfit) => return Err(named(misfit, &Shortened(value))),
        };
        match node {
            Node::Enum(symbols) => {
                let position = symbols.symbols.iter().position(|symbol| symbol == value);
                // `fits` found it.
                long(position.unwrap_or_default() as i64, encoder.out);
            }
            Node::Bytes => {
                let raw = characters(value).unwrap_or_default();
                long(raw.len() as i64, encoder.out);
                encoder.out.extend_from_slice(&raw);
            }
            Node::Fixed(_) => encoder
                .out
                .extend_from_slice(&characters(value).unwrap_or_default()),
            _ => text(value, encoder.out),
        }
        Ok(())
    }

    pub(super) fn bytes(self, value: &[u8]) -> Result<(), Misfit> {
        let fits = |node: &Node| match node {
            Node::Bytes => Some(0),
            Node::Fixed(fixed) if fixed.size == value.len() => Some(1),
            _ => None,
        };
        let (node, encoder) = match self.choose("bytes", fits) {
            Ok(chosen) => chosen,
            Err(misfit) => return Err(named(misfit, &format!("{} bytes", value.len()))),
        };
        if *node == Node::Bytes {
            long(value.len() as i64, encoder.out);
        }
        encoder.out.extend_from_slice(value);
        Ok(())
    }

    /// An enum's variant without data: a symbol, its name, or null.
    pub(super) fn variant(self, variant: &'static str) -> Result<(), Misfit> {
        let is_null = variant.eq_ignore_ascii_case("null");
        let fits = |node: &Node| match node {
            Node::Enum(symbols) if symbols.symbols.iter().any(|symbol| symbol == variant) => Some(0),
            Node::String => Some(2),
            Node::Null if is_null => Some(1),
            Node::Record(record) if record.fields.is_empty() && node.short_name() == variant => Some(1),
            _ => None,
        };
        let (node, encoder) = match self.choose("the variant", fits) {
            Ok(chosen) => chosen,
            Err(misfit) => return Err(named(misfit, &Shortened(variant))),
        };
        match node {
            Node::Enum(symbols) => {
                let position = symbols.symbols.iter().position(|symbol| symbol == variant);
                // `fits` found it.
                long(position.unwrap_or_default() as i64, encoder.out);
            }
            Node::String => text(variant, encoder.out),
            _ => {}
        }
        Ok(())
    }
}

fn is_byte(char: char) -> bool {
    u32::from(char) <= 0xFF
}

/// Says which value it was.
#[cold]
fn named(misfit: Misfit, value: &impl std::fmt::Debug) -> Misfit {
    let (message, path) = *misfit.0;
    Misfit(Box::new((format!("{message}: {value:?}"), path)))
}

/// A text's beginning: errors are for reading.
struct Shortened<'a>(&'a str);

impl std::fmt::Debug for Shortened<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        const CHARACTERS_MAX: usize = 60;
        match self.0.char_indices().nth(CHARACTERS_MAX) {
            Some((end, _)) => write!(f, "{:?}…", &self.0[..end]),
            None => write!(f, "{:?}", self.0),
        }
    }
}

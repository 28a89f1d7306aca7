//! From serde to Avro's binary form, led by the schema.

mod compound;
mod scalar;

use super::schema::{Graph, Index, Node};
use super::value::UNION;
use crate::SerializeError;
use compound::{Fields, Items};
use serde::ser::{self, Serialize};
use std::fmt;

/// Values inside of values. What is deeper is a mistake, such as a list that links each element to the next, and would
/// end the thread's stack.
const DEPTH_MAX: u32 = 200;

/// Appends the value's bytes.
#[inline]
pub(super) fn write<T: Serialize + ?Sized>(
    graph: &Graph,
    value: &T,
    bytes: &mut Vec<u8>,
) -> Result<(), SerializeError> {
    let encoder = Encoder {
        graph,
        node: graph.root,
        out: bytes,
        depth: Depth(0),
    };
    value.serialize(encoder).map_err(Misfit::into_error)
}

/// A whole number: zigzag, seven bits in each byte.
#[inline]
pub(super) fn long(number: i64, bytes: &mut Vec<u8>) {
    let mut rest = ((number << 1) ^ (number >> 63)) as u64;
    if rest < 0x80 {
        bytes.push(rest as u8);
        return;
    }
    let mut buffer = [0; 10];
    let mut length = 0;
    while rest >= 0x80 {
        buffer[length] = (rest as u8) | 0x80;
        rest >>= 7;
        length += 1;
    }
    buffer[length] = rest as u8;
    bytes.extend_from_slice(&buffer[..=length]);
}

/// Length and bytes of a text.
#[inline]
pub(super) fn text(text: &str, bytes: &mut Vec<u8>) {
    long(text.len() as i64, bytes);
    bytes.extend_from_slice(text.as_bytes());
}

/// Where a value does not fit, and why. The path is collected on the way out, innermost first, so that only errors pay
/// for it.
#[derive(Debug)]
pub(super) struct Misfit(Box<(String, Vec<String>)>);

impl Misfit {
    #[cold]
    fn new(message: impl Into<String>) -> Misfit {
        Misfit(Box::new((message.into(), Vec::new())))
    }

    #[cold]
    fn within(mut self, step: impl Into<String>) -> Misfit {
        self.0.1.push(step.into());
        self
    }

    #[cold]
    fn into_error(self) -> SerializeError {
        let (message, path) = *self.0;
        let mut field = String::new();
        for step in path.iter().rev() {
            if !field.is_empty() && !step.starts_with('[') {
                field.push('.');
            }
            field.push_str(step);
        }
        let error = SerializeError::value(message);
        if field.is_empty() {
            error
        } else {
            error.with_field(field)
        }
    }
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.0)
    }
}

impl std::error::Error for Misfit {}

impl ser::Error for Misfit {
    fn custom<T: fmt::Display>(message: T) -> Misfit {
        Misfit::new(message.to_string())
    }
}

/// Writes one value of one node.
struct Encoder<'s, 'o> {
    graph: &'s Graph,
    node: Index,
    out: &'o mut Vec<u8>,
    depth: Depth,
}

/// How deep a value stands in others, and in the topmost bit whether it came as JSON, so that it may name the branches of
/// unions: each field costs time, because an encoder is made for each value.
#[derive(Clone, Copy)]
struct Depth(u32);

impl Depth {
    const JSON: u32 = 1 << 31;

    fn is_json(self) -> bool {
        self.0 & Depth::JSON != 0
    }

    fn of_json(self) -> Depth {
        Depth(self.0 | Depth::JSON)
    }

    /// For what is inside.
    #[inline]
    fn deeper(self) -> Result<Depth, Misfit> {
        if self.0 & !Depth::JSON >= DEPTH_MAX {
            return Err(Misfit::new(format!("values are nested deeper than {DEPTH_MAX}")));
        }
        Ok(Depth(self.0 + 1))
    }
}

impl<'s, 'o> Encoder<'s, 'o> {
    /// The node to write; of a union, the branch with the lowest rank, which is written first. `None` does not fit.
    #[inline]
    fn choose(
        mut self,
        what: &'static str,
        rank: impl Fn(&'s Node) -> Option<u8>,
    ) -> Result<(&'s Node, Self), Misfit> {
        let node = self.graph.node(self.node);
        let Node::Union(branches) = node else {
            return match rank(node) {
                Some(_) => Ok((node, self)),
                None => Err(misfit(what, node)),
            };
        };
        let ranked = branches
            .iter()
            .enumerate()
            .filter_map(|(position, branch)| Some((rank(self.graph.node(*branch))?, position, *branch)));
        let Some((_, position, branch)) = ranked.min() else {
            return Err(no_branch(what, self.graph, branches));
        };
        long(position as i64, self.out);
        self.node = branch;
        Ok((self.graph.node(branch), self))
    }

    /// The branch of a union by its name.
    fn choose_named(mut self, name: &str) -> Result<(&'s Node, Self), Misfit> {
        let node = self.graph.node(self.node);
        let is_named = |node: &Node| {
            node.name() == name || node.short_name() == name || node.name() == name.to_ascii_lowercase()
        };
        let Node::Union(branches) = node else {
            return if is_named(node) {
                Ok((node, self))
            } else {
                Err(misfit(&format!("the variant {name}"), node))
            };
        };
        let found = branches
            .iter()
            .position(|branch| is_named(self.graph.node(*branch)));
        let Some(position) = found else {
            return Err(no_branch(&format!("the variant {name}"), self.graph, branches));
        };
        long(position as i64, self.out);
        self.node = branches[position];
        Ok((self.graph.node(self.node), self))
    }

    /// The branch of a union by its number.
    fn choose_number(mut self, number: u32) -> Result<Self, Misfit> {
        let node = self.graph.node(self.node);
        let Node::Union(branches) = node else {
            return Err(misfit("a branch of a union", node));
        };
        let Some(branch) = branches.get(number as usize) else {
            return Err(Misfit::new(format!("the union has no branch {number}")));
        };
        long(i64::from(number), self.out);
        self.node = *branch;
        Ok(self)
    }

    fn items(self, length: Option<usize>) -> Result<Items<'s, 'o>, Misfit> {
        let fits = |node: &Node| match node {
            Node::Array(_) => Some(0),
            Node::Bytes => Some(1),
            Node::Fixed(_) => Some(2),
            _ => None,
        };
        let (node, encoder) = self.choose("a sequence", fits)?;
        Items::begin(encoder, node, length)
    }

    fn fields(
        self,
        what: &'static str,
        name: &'static str,
        length: Option<usize>,
    ) -> Result<Fields<'s, 'o>, Misfit> {
        if let Node::Union(branches) = self.graph.node(self.node) {
            if self.depth.is_json() && length == Some(1) {
                return Ok(Fields::undecided(self, branches));
            }
            check_records(self.graph, branches, what, name, self.depth.is_json())?;
        }
        let is_map = name.is_empty();
        let fits = |node: &Node| match node {
            Node::Record(_) if !is_map && node.short_name() == name => Some(0),
            Node::Map(_) if is_map => Some(0),
            Node::Record(_) => Some(1),
            Node::Map(_) => Some(2),
            _ => None,
        };
        let (node, encoder) = self.choose(what, fits)?;
        Fields::begin(encoder, node, length)
    }
}

/// Several records cannot be told apart, unless by their names.
fn check_records(
    graph: &Graph,
    branches: &[Index],
    what: &str,
    name: &str,
    is_json: bool,
) -> Result<(), Misfit> {
    let node = |branch: &Index| graph.node(*branch);
    let records = branches
        .iter()
        .filter(|branch| matches!(node(branch), Node::Record(_)));
    let is_named = branches.iter().any(|branch| node(branch).short_name() == name);
    let has_map = branches.iter().any(|branch| matches!(node(branch), Node::Map(_)));
    if records.count() < 2 || is_named || (name.is_empty() && has_map) {
        return Ok(());
    }
    let advice = match is_json {
        true => "name it, as {\"the branch\": …}",
        false => "use an enum with a variant for each",
    };
    let names = names(graph, branches);
    Err(Misfit::new(format!(
        "{what} fits more than one branch of the union ({names}): {advice}"
    )))
}

#[cold]
fn misfit(what: &str, node: &Node) -> Misfit {
    Misfit::new(format!("{what} is no {}", node.name()))
}

#[cold]
fn no_branch(what: &str, graph: &Graph, branches: &[Index]) -> Misfit {
    Misfit::new(format!(
        "{what} fits no branch of the union ({})",
        names(graph, branches)
    ))
}

fn names(graph: &Graph, branches: &[Index]) -> String {
    let names: Vec<_> = branches.iter().map(|branch| graph.node(*branch).name()).collect();
    names.join(", ")
}

impl<'s, 'o> ser::Serializer for Encoder<'s, 'o> {
    type Ok = ();
    type Error = Misfit;
    type SerializeSeq = Items<'s, 'o>;
    type SerializeTuple = Items<'s, 'o>;
    type SerializeTupleStruct = Items<'s, 'o>;
    type SerializeTupleVariant = ser::Impossible<(), Misfit>;
    type SerializeMap = Fields<'s, 'o>;
    type SerializeStruct = Fields<'s, 'o>;
    type SerializeStructVariant = Fields<'s, 'o>;

    #[inline]
    fn serialize_bool(self, value: bool) -> Result<(), Misfit> {
        let (_, encoder) = self.choose("a boolean", |node| (*node == Node::Boolean).then_some(0))?;
        encoder.out.push(u8::from(value));
        Ok(())
    }

    #[inline]
    fn serialize_i8(self, value: i8) -> Result<(), Misfit> {
        self.serialize_i32(i32::from(value))
    }

    #[inline]
    fn serialize_i16(self, value: i16) -> Result<(), Misfit> {
        self.serialize_i32(i32::from(value))
    }

    #[inline]
    fn serialize_i32(self, value: i32) -> Result<(), Misfit> {
        self.integer(i64::from(value), true)
    }

    #[inline]
    fn serialize_i64(self, value: i64) -> Result<(), Misfit> {
        self.integer(value, false)
    }

    fn serialize_i128(self, value: i128) -> Result<(), Misfit> {
        match i64::try_from(value) {
            Ok(value) => self.integer(value, false),
            Err(_) => Err(Misfit::new(format!("{value} does not fit in 64 bits"))),
        }
    }

    #[inline]
    fn serialize_u8(self, value: u8) -> Result<(), Misfit> {
        self.serialize_i32(i32::from(value))
    }

    #[inline]
    fn serialize_u16(self, value: u16) -> Result<(), Misfit> {
        self.serialize_i32(i32::from(value))
    }

    #[inline]
    fn serialize_u32(self, value: u32) -> Result<(), Misfit> {
        self.integer(i64::from(value), false)
    }

    #[inline]
    fn serialize_u64(self, value: u64) -> Result<(), Misfit> {
        match i64::try_from(value) {
            Ok(value) => self.integer(value, false),
            Err(_) => Err(Misfit::new(format!(
                "{value} does not fit in a long, which has a sign"
            ))),
        }
    }

    fn serialize_u128(self, value: u128) -> Result<(), Misfit> {
        match i64::try_from(value) {
            Ok(value) => self.integer(value, false),
            Err(_) => Err(Misfit::new(format!("{value} does not fit in 64 bits"))),
        }
    }

    #[inline]
    fn serialize_f32(self, value: f32) -> Result<(), Misfit> {
        self.float(f64::from(value), true)
    }

    #[inline]
    fn serialize_f64(self, value: f64) -> Result<(), Misfit> {
        self.float(value, false)
    }

    fn serialize_char(self, value: char) -> Result<(), Misfit> {
        self.serialize_str(value.encode_utf8(&mut [0; 4]))
    }

    #[inline]
    fn serialize_str(self, value: &str) -> Result<(), Misfit> {
        self.text(value)
    }

    #[inline]
    fn serialize_bytes(self, value: &[u8]) -> Result<(), Misfit> {
        self.bytes(value)
    }

    #[inline]
    fn serialize_none(self) -> Result<(), Misfit> {
        self.choose("null", |node| (*node == Node::Null).then_some(0))
            .map(|_| ())
    }

    #[inline]
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Misfit> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), Misfit> {
        self.serialize_none()
    }

    fn serialize_unit_struct(self, name: &'static str) -> Result<(), Misfit> {
        let fits = |node: &Node| match node {
            Node::Record(record) if record.fields.is_empty() && node.short_name() == name => Some(0),
            Node::Null => Some(1),
            _ => None,
        };
        self.choose(name, fits).map(|_| ())
    }

    fn serialize_unit_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
    ) -> Result<(), Misfit> {
        self.variant(variant)
    }

    #[inline]
    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<(), Misfit> {
        let depth = match name {
            crate::JSON_TEXT => self.depth.of_json(),
            _ => self.depth,
        };
        value.serialize(Encoder { depth, ..self })
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), Misfit> {
        if name == UNION {
            return value.serialize(self.choose_number(index)?);
        }
        let (_, encoder) = self.choose_named(variant)?;
        value.serialize(encoder).map_err(|misfit| misfit.within(variant))
    }

    fn serialize_seq(self, length: Option<usize>) -> Result<Items<'s, 'o>, Misfit> {
        self.items(length)
    }

    fn serialize_tuple(self, length: usize) -> Result<Items<'s, 'o>, Misfit> {
        self.items(Some(length))
    }

    fn serialize_tuple_struct(self, _name: &'static str, length: usize) -> Result<Items<'s, 'o>, Misfit> {
        self.items(Some(length))
    }

    fn serialize_tuple_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        _length: usize,
    ) -> Result<Self::SerializeTupleVariant, Misfit> {
        Err(Misfit::new(format!(
            "the variant {variant} has several values without names, which Avro has no type for"
        )))
    }

    fn serialize_map(self, length: Option<usize>) -> Result<Fields<'s, 'o>, Misfit> {
        self.fields("a map", "", length)
    }

    #[inline]
    fn serialize_struct(self, name: &'static str, length: usize) -> Result<Fields<'s, 'o>, Misfit> {
        self.fields("a struct", name, Some(length))
    }

    fn serialize_struct_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        length: usize,
    ) -> Result<Fields<'s, 'o>, Misfit> {
        let (node, encoder) = self.choose_named(variant)?;
        Fields::begin(encoder, node, Some(length))
    }

    fn is_human_readable(&self) -> bool {
        false
    }
}

//! Values with parts.

use super::{Depth, Encoder, Misfit, long, text};
use crate::avro::schema::{Graph, Index, Node, Record};
use serde::ser::{self, Impossible, Serialize};

/// Elements on their way into an array, bytes or a fixed.
pub(super) struct Items<'s, 'o> {
    graph: &'s Graph,
    out: &'o mut Vec<u8>,
    depth: Depth,
    /// `None` for bytes.
    item: Option<Index>,
    /// Of a fixed.
    size: Option<usize>,
    prefix: Prefix,
    count: usize,
}

/// The count in front of elements.
#[derive(Clone, Copy)]
enum Prefix {
    /// It was written, and has to come true.
    Written(usize),
    /// It goes in here when it is known.
    Later(usize),
}

impl Prefix {
    fn begin(length: Option<usize>, out: &mut Vec<u8>) -> Prefix {
        match length {
            // None at all is written as the end only.
            Some(0) => Prefix::Written(0),
            Some(length) => {
                long(length as i64, out);
                Prefix::Written(length)
            }
            None => Prefix::Later(out.len()),
        }
    }

    fn end(self, count: usize, out: &mut Vec<u8>) -> Result<(), Misfit> {
        match self {
            Prefix::Written(length) if length == count => Ok(()),
            Prefix::Written(length) => Err(Misfit::new(format!(
                "{length} elements were announced, and {count} came"
            ))),
            Prefix::Later(_) if count == 0 => Ok(()),
            Prefix::Later(start) => {
                let mut prefix = Vec::new();
                long(count as i64, &mut prefix);
                out.splice(start..start, prefix);
                Ok(())
            }
        }
    }
}

impl<'s, 'o> Items<'s, 'o> {
    pub(super) fn begin(
        encoder: Encoder<'s, 'o>,
        node: &'s Node,
        length: Option<usize>,
    ) -> Result<Items<'s, 'o>, Misfit> {
        let depth = encoder.depth.deeper()?;
        let (item, size) = match node {
            Node::Array(items) => (Some(*items), None),
            Node::Fixed(fixed) => (None, Some(fixed.size)),
            _ => (None, None),
        };
        let prefix = match (item, size, length) {
            (None, Some(_), _) => Prefix::Later(0),
            // The length of no bytes is written, unlike the count of no elements.
            (None, None, Some(0)) => Prefix::Later(encoder.out.len()),
            _ => Prefix::begin(length, encoder.out),
        };
        Ok(Items {
            graph: encoder.graph,
            out: encoder.out,
            depth,
            item,
            size,
            prefix,
            count: 0,
        })
    }

    #[inline]
    fn element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Misfit> {
        let result = match self.item {
            Some(node) => value.serialize(Encoder {
                graph: self.graph,
                node,
                out: self.out,
                depth: self.depth,
            }),
            None => value.serialize(OneByte(self.out)),
        };
        match result {
            Ok(()) => {
                self.count += 1;
                Ok(())
            }
            Err(misfit) => Err(misfit.within(format!("[{}]", self.count))),
        }
    }

    fn finish(self) -> Result<(), Misfit> {
        match (self.item, self.size) {
            (Some(_), _) => {
                self.prefix.end(self.count, self.out)?;
                self.out.push(0);
            }
            (None, Some(size)) if size == self.count => {}
            (None, Some(size)) => {
                return Err(Misfit::new(format!("{} bytes, not {size}", self.count)));
            }
            (None, None) if self.count == 0 => self.out.push(0),
            (None, None) => self.prefix.end(self.count, self.out)?,
        }
        Ok(())
    }
}

impl ser::SerializeSeq for Items<'_, '_> {
    type Ok = ();
    type Error = Misfit;

    #[inline]
    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Misfit> {
        self.element(value)
    }

    fn end(self) -> Result<(), Misfit> {
        self.finish()
    }
}

impl ser::SerializeTuple for Items<'_, '_> {
    type Ok = ();
    type Error = Misfit;

    #[inline]
    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Misfit> {
        self.element(value)
    }

    fn end(self) -> Result<(), Misfit> {
        self.finish()
    }
}

impl ser::SerializeTupleStruct for Items<'_, '_> {
    type Ok = ();
    type Error = Misfit;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Misfit> {
        self.element(value)
    }

    fn end(self) -> Result<(), Misfit> {
        self.finish()
    }
}

/// Named values on their way into a record or a map.
pub(super) struct Fields<'s, 'o> {
    graph: &'s Graph,
    out: &'o mut Vec<u8>,
    depth: Depth,
    place: Place<'s>,
}

enum Place<'s> {
    Record {
        record: &'s Record,
        /// The first field that is not written yet.
        next: usize,
        /// Fields that came before their turn.
        early: Vec<(usize, Vec<u8>)>,
        /// The field whose value comes next, when names and values come apart.
        named: usize,
    },
    Map {
        values: Index,
        prefix: Prefix,
        count: usize,
        /// Only for errors.
        key: String,
    },
    /// One value of a union, whose key says whether it names the branch.
    Undecided { branches: &'s [Index] },
    /// The branch that was named.
    Branch { node: Index, name: &'s str },
}

impl<'s, 'o> Fields<'s, 'o> {
    #[inline]
    pub(super) fn begin(
        encoder: Encoder<'s, 'o>,
        node: &'s Node,
        length: Option<usize>,
    ) -> Result<Fields<'s, 'o>, Misfit> {
        Ok(Fields {
            depth: encoder.depth.deeper()?,
            place: Place::of(node, length, encoder.out)?,
            graph: encoder.graph,
            out: encoder.out,
        })
    }

    /// The one key will tell.
    pub(super) fn undecided(encoder: Encoder<'s, 'o>, branches: &'s [Index]) -> Fields<'s, 'o> {
        Fields {
            graph: encoder.graph,
            out: encoder.out,
            depth: encoder.depth,
            place: Place::Undecided { branches },
        }
    }

    /// The key is the name of a branch; or the first one of a record or a map.
    #[cold]
    fn decide(&mut self, branches: &'s [Index], key: &str) -> Result<(), Misfit> {
        let graph = self.graph;
        let find = |is_it: &dyn Fn(&Node) -> bool| branches.iter().position(|at| is_it(graph.node(*at)));
        if let Some(position) = find(&|node| node.name() == key) {
            long(position as i64, self.out);
            let node = branches[position];
            let name = graph.node(node).name();
            self.place = Place::Branch { node, name };
            return Ok(());
        }
        let has_parts = |node: &Node| matches!(node, Node::Record(_) | Node::Map(_));
        if !branches.iter().any(|branch| has_parts(graph.node(*branch))) {
            let names = super::names(graph, branches);
            return Err(Misfit::new(format!(
                "{key:?} is no branch of the union ({names})"
            )));
        }
        super::check_records(graph, branches, "an object", "", true)?;
        let map = find(&|node| matches!(node, Node::Map(_)));
        // One of them is there.
        let position = map.or_else(|| find(&has_parts)).unwrap_or_default();
        long(position as i64, self.out);
        self.depth = self.depth.deeper()?;
        self.place = Place::of(graph.node(branches[position]), Some(1), self.out)?;
        self.name(key)
    }

    #[inline]
    fn name(&mut self, name: &str) -> Result<(), Misfit> {
        match &mut self.place {
            Place::Record {
                record, next, named, ..
            } => {
                // Mostly they come in the order of the schema.
                let is_next = record.fields.get(*next).is_some_and(|field| field.name == name);
                *named = if is_next { *next } else { position(record, name)? };
            }
            Place::Map { count, key, .. } => {
                text(name, self.out);
                *count += 1;
                key.clear();
                key.push_str(name);
            }
            Place::Undecided { branches } => {
                let branches = *branches;
                return self.decide(branches, name);
            }
            Place::Branch { .. } => return Err(Misfit::new("a branch of a union has one value")),
        }
        Ok(())
    }

    #[inline]
    fn value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Misfit> {
        let (graph, depth) = (self.graph, self.depth);
        match &mut self.place {
            Place::Map { values, key, .. } => {
                let encoder = Encoder {
                    graph,
                    node: *values,
                    out: self.out,
                    depth,
                };
                value.serialize(encoder).map_err(|misfit| misfit.within(&**key))
            }
            Place::Record {
                record,
                next,
                early,
                named,
            } => {
                let field = &record.fields[*named];
                let within = |misfit: Misfit| misfit.within(&*field.name);
                if named != next {
                    if *named < *next || early.iter().any(|(earlier, _)| earlier == named) {
                        return Err(within(Misfit::new("the field is there twice")));
                    }
                    let mut bytes = Vec::new();
                    let encoder = Encoder {
                        graph,
                        node: field.node,
                        out: &mut bytes,
                        depth,
                    };
                    value.serialize(encoder).map_err(within)?;
                    early.push((*named, bytes));
                    return Ok(());
                }
                let encoder = Encoder {
                    graph,
                    node: field.node,
                    out: self.out,
                    depth,
                };
                value.serialize(encoder).map_err(within)?;
                *next += 1;
                while let Some(at) = early.iter().position(|(field, _)| field == next) {
                    self.out.extend_from_slice(&early.swap_remove(at).1);
                    *next += 1;
                }
                Ok(())
            }
            Place::Undecided { branches } => {
                let names = super::names(graph, branches);
                Err(Misfit::new(format!("it names no branch of the union ({names})")))
            }
            Place::Branch { node, name } => {
                let encoder = Encoder {
                    graph,
                    node: *node,
                    out: self.out,
                    depth,
                };
                value.serialize(encoder).map_err(|misfit| misfit.within(*name))
            }
        }
    }

    #[inline]
    fn finish(self) -> Result<(), Misfit> {
        match self.place {
            Place::Map { prefix, count, .. } => {
                prefix.end(count, self.out)?;
                self.out.push(0);
                Ok(())
            }
            Place::Record { record, next, .. } if next == record.fields.len() => Ok(()),
            Place::Record {
                record, next, early, ..
            } => fill(record, next, &early, self.out),
            Place::Branch { .. } => Ok(()),
            Place::Undecided { .. } => Err(Misfit::new("an object without its key")),
        }
    }
}

impl<'s> Place<'s> {
    #[inline]
    fn of(node: &'s Node, length: Option<usize>, out: &mut Vec<u8>) -> Result<Place<'s>, Misfit> {
        Ok(match node {
            Node::Record(record) => Place::Record {
                record,
                next: 0,
                early: Vec::new(),
                named: 0,
            },
            Node::Map(values) => Place::Map {
                values: *values,
                prefix: Prefix::begin(length, out),
                count: 0,
                key: String::new(),
            },
            other => return Err(super::misfit("a value with names", other)),
        })
    }
}

#[cold]
fn position(record: &Record, name: &str) -> Result<usize, Misfit> {
    record
        .fields
        .iter()
        .position(|field| field.name == name)
        .ok_or_else(|| {
            let message = format!("the schema's record {} has no such field", record.name);
            Misfit::new(message).within(name)
        })
}

/// Writes what is left from `next` on: what came early, and what did not come.
fn fill(record: &Record, next: usize, early: &[(usize, Vec<u8>)], out: &mut Vec<u8>) -> Result<(), Misfit> {
    for (number, field) in record.fields.iter().enumerate().skip(next) {
        let came = early
            .iter()
            .find(|(early, _)| *early == number)
            .map(|(_, bytes)| bytes);
        let bytes = came.or(field.default.as_ref()).or(field.absent.as_ref());
        let Some(bytes) = bytes else {
            let message = format!(
                "it is missing, and the record {} has no default for it",
                record.name
            );
            return Err(Misfit::new(message).within(&*field.name));
        };
        out.extend_from_slice(bytes);
    }
    Ok(())
}

impl ser::SerializeMap for Fields<'_, '_> {
    type Ok = ();
    type Error = Misfit;

    #[inline]
    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Misfit> {
        key.serialize(Name(self))
    }

    #[inline]
    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Misfit> {
        self.value(value)
    }

    fn end(self) -> Result<(), Misfit> {
        self.finish()
    }
}

impl ser::SerializeStruct for Fields<'_, '_> {
    type Ok = ();
    type Error = Misfit;

    #[inline]
    fn serialize_field<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Result<(), Misfit> {
        self.name(key)?;
        self.value(value)
    }

    #[inline]
    fn end(self) -> Result<(), Misfit> {
        self.finish()
    }
}

impl ser::SerializeStructVariant for Fields<'_, '_> {
    type Ok = ();
    type Error = Misfit;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Result<(), Misfit> {
        self.name(key)?;
        self.value(value)
    }

    fn end(self) -> Result<(), Misfit> {
        self.finish()
    }
}

/// A serializer that takes only what is listed.
macro_rules! takes_only {
    ($what:literal, $($method:ident($value:ty)),* $(,)?) => {
        type Ok = ();
        type Error = Misfit;
        type SerializeSeq = Impossible<(), Misfit>;
        type SerializeTuple = Impossible<(), Misfit>;
        type SerializeTupleStruct = Impossible<(), Misfit>;
        type SerializeTupleVariant = Impossible<(), Misfit>;
        type SerializeMap = Impossible<(), Misfit>;
        type SerializeStruct = Impossible<(), Misfit>;
        type SerializeStructVariant = Impossible<(), Misfit>;

        $(fn $method(self, _value: $value) -> Result<(), Misfit> {
            Err(Misfit::new($what))
        })*

        fn serialize_none(self) -> Result<(), Misfit> {
            Err(Misfit::new($what))
        }

        fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Misfit> {
            value.serialize(self)
        }

        fn serialize_unit(self) -> Result<(), Misfit> {
            Err(Misfit::new($what))
        }

        fn serialize_unit_struct(self, _name: &'static str) -> Result<(), Misfit> {
            Err(Misfit::new($what))
        }

        fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _name: &'static str, value: &T) -> Result<(), Misfit> {
            value.serialize(self)
        }

        fn serialize_newtype_variant<T: Serialize + ?Sized>(
            self,
            _name: &'static str,
            _index: u32,
            _variant: &'static str,
            _value: &T,
        ) -> Result<(), Misfit> {
            Err(Misfit::new($what))
        }

        fn serialize_seq(self, _length: Option<usize>) -> Result<Self::SerializeSeq, Misfit> {
            Err(Misfit::new($what))
        }

        fn serialize_tuple(self, _length: usize) -> Result<Self::SerializeTuple, Misfit> {
            Err(Misfit::new($what))
        }

        fn serialize_tuple_struct(self, _name: &'static str, _length: usize) -> Result<Self::SerializeTupleStruct, Misfit> {
            Err(Misfit::new($what))
        }

        fn serialize_tuple_variant(
            self,
            _name: &'static str,
            _index: u32,
            _variant: &'static str,
            _length: usize,
        ) -> Result<Self::SerializeTupleVariant, Misfit> {
            Err(Misfit::new($what))
        }

        fn serialize_map(self, _length: Option<usize>) -> Result<Self::SerializeMap, Misfit> {
            Err(Misfit::new($what))
        }

        fn serialize_struct(self, _name: &'static str, _length: usize) -> Result<Self::SerializeStruct, Misfit> {
            Err(Misfit::new($what))
        }

        fn serialize_struct_variant(
            self,
            _name: &'static str,
            _index: u32,
            _variant: &'static str,
            _length: usize,
        ) -> Result<Self::SerializeStructVariant, Misfit> {
            Err(Misfit::new($what))
        }

        fn is_human_readable(&self) -> bool {
            false
        }
    };
}

/// A map's key: text, or what has one obvious text.
struct Name<'f, 's, 'o>(&'f mut Fields<'s, 'o>);

macro_rules! names {
    ($($method:ident($value:ty)),* $(,)?) => {$(
        fn $method(self, value: $value) -> Result<(), Misfit> {
            self.0.name(&value.to_string())
        }
    )*};
}

impl ser::Serializer for Name<'_, '_, '_> {
    takes_only!(
        "the key of a map has to be text",
        serialize_f32(f32),
        serialize_f64(f64),
        serialize_bytes(&[u8]),
    );

    names!(
        serialize_bool(bool),
        serialize_i8(i8),
        serialize_i16(i16),
        serialize_i32(i32),
        serialize_i64(i64),
        serialize_u8(u8),
        serialize_u16(u16),
        serialize_u32(u32),
        serialize_u64(u64),
        serialize_char(char),
    );

    #[inline]
    fn serialize_str(self, value: &str) -> Result<(), Misfit> {
        self.0.name(value)
    }

    fn serialize_unit_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
    ) -> Result<(), Misfit> {
        self.0.name(variant)
    }
}

/// One of the bytes that a sequence gives.
struct OneByte<'o>(&'o mut Vec<u8>);

macro_rules! bytes {
    ($($method:ident($value:ty)),* $(,)?) => {$(
        fn $method(self, value: $value) -> Result<(), Misfit> {
            let byte = u8::try_from(value).map_err(|_| Misfit::new(format!("{value} is no byte")))?;
            self.0.push(byte);
            Ok(())
        }
    )*};
}

impl ser::Serializer for OneByte<'_> {
    takes_only!(
        "an element of bytes is a number from 0 to 255",
        serialize_bool(bool),
        serialize_f32(f32),
        serialize_f64(f64),
        serialize_char(char),
        serialize_str(&str),
        serialize_bytes(&[u8]),
    );

    bytes!(
        serialize_i8(i8),
        serialize_i16(i16),
        serialize_i32(i32),
        serialize_i64(i64),
        serialize_u16(u16),
        serialize_u32(u32),
        serialize_u64(u64),
    );

    #[inline]
    fn serialize_u8(self, value: u8) -> Result<(), Misfit> {
        self.0.push(value);
        Ok(())
    }

    fn serialize_unit_variant(
        self,
        _name: &'static str,
        _index: u32,
        _variant: &'static str,
    ) -> Result<(), Misfit> {
        Err(Misfit::new("an element of bytes is a number from 0 to 255"))
    }
}

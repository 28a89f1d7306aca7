//! From bytes to values; for tests and tools, and bounded as everything that reads foreign bytes.

use super::AvroValue;
use super::schema::{Graph, Index, Node};
use crate::SerializeError;

/// Values inside of values.
const DEPTH_MAX: usize = 200;
/// All parts of a value together: elements of no size (nulls) would otherwise cost memory without costing bytes.
const PARTS_MAX: usize = 1 << 20;

pub(super) fn read(graph: &Graph, bytes: &[u8]) -> Result<AvroValue, SerializeError> {
    let mut reader = Reader {
        graph,
        rest: bytes,
        parts_left: PARTS_MAX,
    };
    let value = reader
        .value(graph.root, 0)
        .map_err(|why| SerializeError::value(format!("no Avro of this schema: {why}")))?;
    if !reader.rest.is_empty() {
        let message = format!("{} bytes follow the Avro value", reader.rest.len());
        return Err(SerializeError::value(message));
    }
    Ok(value)
}

struct Reader<'a> {
    graph: &'a Graph,
    rest: &'a [u8],
    parts_left: usize,
}

type Read<T> = Result<T, &'static str>;

impl<'a> Reader<'a> {
    fn value(&mut self, node: Index, depth: usize) -> Read<AvroValue> {
        self.parts_left = self.parts_left.checked_sub(1).ok_or("too many parts")?;
        if depth > DEPTH_MAX {
            return Err("values are nested too deeply");
        }
        Ok(match self.graph.node(node) {
            Node::Null => AvroValue::Null,
            Node::Boolean => match self.take(1)?[0] {
                0 => AvroValue::Boolean(false),
                1 => AvroValue::Boolean(true),
                _ => return Err("a boolean is 0 or 1"),
            },
            Node::Int => AvroValue::Int(i32::try_from(self.long()?).map_err(|_| "an int has 32 bits")?),
            Node::Long => AvroValue::Long(self.long()?),
            Node::Float => AvroValue::Float(f32::from_le_bytes(self.array()?)),
            Node::Double => AvroValue::Double(f64::from_le_bytes(self.array()?)),
            Node::Bytes => AvroValue::Bytes(self.bytes()?.to_vec()),
            Node::String => AvroValue::String(self.text()?),
            Node::Fixed(fixed) => AvroValue::Fixed(self.take(fixed.size)?.to_vec()),
            Node::Enum(symbols) => {
                let position = usize::try_from(self.long()?).map_err(|_| "a symbol's number is negative")?;
                let symbol = symbols.symbols.get(position).ok_or("there is no such symbol")?;
                AvroValue::Enum(symbol.clone())
            }
            Node::Array(items) => {
                let mut array = Vec::new();
                self.blocks(|reader| {
                    array.push(reader.value(*items, depth + 1)?);
                    Ok(())
                })?;
                AvroValue::Array(array)
            }
            Node::Map(values) => {
                let mut map = Vec::new();
                self.blocks(|reader| {
                    let key = reader.text()?;
                    map.push((key, reader.value(*values, depth + 1)?));
                    Ok(())
                })?;
                AvroValue::Map(map)
            }
            Node::Union(branches) => {
                let branch = u32::try_from(self.long()?).map_err(|_| "there is no such branch")?;
                let node = branches.get(branch as usize).ok_or("there is no such branch")?;
                AvroValue::Union(branch, Box::new(self.value(*node, depth + 1)?))
            }
            Node::Record(record) => {
                let mut fields = Vec::new();
                for field in &record.fields {
                    fields.push((field.name.clone(), self.value(field.node, depth + 1)?));
                }
                AvroValue::Record(fields)
            }
            Node::Pending => return Err("the schema is not finished"),
        })
    }

    /// Calls `item` for each element of an array or a map.
    fn blocks(&mut self, mut item: impl FnMut(&mut Self) -> Read<()>) -> Read<()> {
        loop {
            let mut count = self.long()?;
            if count == 0 {
                return Ok(());
            }
            if count < 0 {
                // The block's size in bytes, for who wants to skip it.
                self.long()?;
                count = count.checked_neg().ok_or("a count is too small")?;
            }
            for _ in 0..count {
                item(self)?;
            }
        }
    }

    fn take(&mut self, count: usize) -> Read<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or("it ends too early")?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Read<[u8; N]> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    fn long(&mut self) -> Read<i64> {
        let mut number = 0_u64;
        for shift in (0..70).step_by(7) {
            let byte = self.take(1)?[0];
            if shift == 63 && byte > 1 {
                break;
            }
            number |= u64::from(byte & 0x7F) << shift;
            if byte & 0x80 == 0 {
                return Ok((number >> 1) as i64 ^ -((number & 1) as i64));
            }
        }
        Err("a number has more than 64 bits")
    }

    fn bytes(&mut self) -> Read<&'a [u8]> {
        let length = usize::try_from(self.long()?).map_err(|_| "a length is negative")?;
        self.take(length)
    }

    fn text(&mut self) -> Read<String> {
        let bytes = self.bytes()?;
        std::str::from_utf8(bytes)
            .map(str::to_owned)
            .map_err(|_| "a string is not UTF-8")
    }
}

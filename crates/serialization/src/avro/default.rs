//! A field's default: Avro's own JSON encoding, where a union's default is of its first branch, or of another that fits
//! (as Java takes it since 1.12).

use super::encode::{long, text};
use super::schema::{Graph, Index, Node};
use serde_json::Value;

/// Appends the bytes of `json` as a value of `node`.
pub(super) fn write(graph: &Graph, node: Index, json: &Value, bytes: &mut Vec<u8>) -> Result<(), String> {
    let node = graph.node(node);
    let misfit = || format!("{json} is no {}", node.name());
    match (node, json) {
        (Node::Null, Value::Null) => {}
        (Node::Boolean, Value::Bool(is)) => bytes.push(u8::from(*is)),
        (Node::Int, Value::Number(number)) => {
            let number = whole(number)
                .filter(|number| i32::try_from(*number).is_ok())
                .ok_or_else(misfit)?;
            long(number, bytes);
        }
        (Node::Long, Value::Number(number)) => long(whole(number).ok_or_else(misfit)?, bytes),
        (Node::Float, Value::Number(number)) => {
            let number = number.as_f64().ok_or_else(misfit)? as f32;
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        (Node::Double, Value::Number(number)) => {
            bytes.extend_from_slice(&number.as_f64().ok_or_else(misfit)?.to_le_bytes());
        }
        (Node::String, Value::String(string)) => text(string, bytes),
        (Node::Bytes, Value::String(string)) => {
            let raw = characters(string).ok_or_else(misfit)?;
            long(raw.len() as i64, bytes);
            bytes.extend_from_slice(&raw);
        }
        (Node::Fixed(fixed), Value::String(string)) => {
            let raw = characters(string).filter(|raw| raw.len() == fixed.size);
            bytes.extend_from_slice(&raw.ok_or_else(misfit)?);
        }
        (Node::Enum(symbols), Value::String(symbol)) => {
            let position = symbols.symbols.iter().position(|known| known == symbol);
            long(position.ok_or_else(misfit)? as i64, bytes);
        }
        (Node::Array(items), Value::Array(list)) => {
            if !list.is_empty() {
                long(list.len() as i64, bytes);
            }
            for item in list {
                write(graph, *items, item, bytes)?;
            }
            bytes.push(0);
        }
        (Node::Map(values), Value::Object(map)) => {
            if !map.is_empty() {
                long(map.len() as i64, bytes);
            }
            for (key, value) in map {
                text(key, bytes);
                write(graph, *values, value, bytes)?;
            }
            bytes.push(0);
        }
        (Node::Union(branches), _) => {
            let start = bytes.len();
            for (position, branch) in branches.iter().enumerate() {
                long(position as i64, bytes);
                if write(graph, *branch, json, bytes).is_ok() {
                    return Ok(());
                }
                bytes.truncate(start);
            }
            return Err(misfit());
        }
        (Node::Record(record), Value::Object(map)) => {
            for field in &record.fields {
                match (map.get(&field.name), &field.default) {
                    (Some(value), _) => write(graph, field.node, value, bytes)?,
                    (None, Some(default)) => bytes.extend_from_slice(default),
                    (None, None) => return Err(format!("the field {} is missing", field.name)),
                }
            }
        }
        _ => return Err(misfit()),
    }
    Ok(())
}

fn whole(number: &serde_json::Number) -> Option<i64> {
    number.as_i64()
}

/// Bytes are written in JSON as the characters of their numbers.
pub(super) fn characters(text: &str) -> Option<Vec<u8>> {
    text.chars()
        .map(|char| u8::try_from(u32::from(char)).ok())
        .collect()
}

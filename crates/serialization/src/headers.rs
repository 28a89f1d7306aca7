//! The headers that a serializer sees, and those that it adds.

use std::borrow::Cow;
use std::ops::Range;

/// A record's headers, as serializers see them.
pub trait Headers {
    /// How many there are.
    fn count(&self) -> usize;

    /// Name and value of one, counted from 0; the value may be null.
    fn header(&self, index: usize) -> Option<(&str, Option<&[u8]>)>;

    /// The value of the last header of that name, as Java's `lastHeader`.
    fn last_header(&self, name: &str) -> Option<Option<&[u8]>> {
        (0..self.count())
            .rev()
            .filter_map(|index| self.header(index))
            .find(|(found, _)| *found == name)
            .map(|(_, value)| value)
    }
}

/// No headers.
impl Headers for () {
    fn count(&self) -> usize {
        0
    }

    fn header(&self, _index: usize) -> Option<(&str, Option<&[u8]>)> {
        None
    }
}

impl Headers for &[(&str, Option<&[u8]>)] {
    fn count(&self) -> usize {
        self.len()
    }

    fn header(&self, index: usize) -> Option<(&str, Option<&[u8]>)> {
        self.get(index).copied()
    }
}

/// The headers that serializers add to a record. It keeps its memory when it is [cleared](AddedHeaders::clear), so that
/// one serves many records.
#[derive(Clone, Debug, Default)]
pub struct AddedHeaders {
    names: Vec<(Cow<'static, str>, Range<usize>)>,
    values: Vec<u8>,
}

impl AddedHeaders {
    /// None yet.
    pub const fn new() -> AddedHeaders {
        AddedHeaders {
            names: Vec::new(),
            values: Vec::new(),
        }
    }

    /// Adds a header behind the others.
    pub fn add(&mut self, name: impl Into<Cow<'static, str>>, value: &[u8]) {
        let start = self.values.len();
        self.values.extend_from_slice(value);
        self.names.push((name.into(), start..self.values.len()));
    }

    /// Forgets them.
    pub fn clear(&mut self) {
        self.names.clear();
        self.values.clear();
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Names and values, in their order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.names
            .iter()
            .map(|(name, range)| (&**name, &self.values[range.clone()]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_of_a_name_counts() {
        let headers: &[(&str, Option<&[u8]>)] = &[("a", Some(b"1")), ("b", None), ("a", Some(b"2"))];
        assert_eq!(headers.last_header("a"), Some(Some(&b"2"[..])));
        assert_eq!(headers.last_header("b"), Some(None));
        assert_eq!(headers.last_header("c"), None);
        assert_eq!(().last_header("a"), None);
    }

    #[test]
    fn added_headers_keep_their_order() {
        let mut added = AddedHeaders::new();
        added.add("first", b"one");
        added.add(String::from("second"), b"");
        let all: Vec<_> = added.iter().collect();
        assert_eq!(all, [("first", &b"one"[..]), ("second", &b""[..])]);
        added.clear();
        assert!(added.is_empty() && added.iter().next().is_none());
    }
}

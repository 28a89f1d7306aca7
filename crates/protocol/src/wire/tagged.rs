//! Tagged fields that this version of the schemas does not know.

use std::fmt;

use bytes::Bytes;

/// The tagged fields of a structure that were not known when the messages were generated.
///
/// A reader keeps them and a writer writes them back, in order of their tags and between the known ones. Nearly always
/// there are none, so the value is one pointer.
#[derive(Clone, Default, PartialEq)]
pub struct TaggedFields(Option<Box<Entries>>);

/// Sorted by tag, without repetition.
#[derive(Clone, Default, PartialEq)]
struct Entries {
    list: Vec<(u32, Bytes)>,
}

impl TaggedFields {
    /// No fields.
    pub const fn new() -> Self {
        Self(None)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.entries().len()
    }

    /// Whether there are none.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.0.as_ref().is_none_or(|entries| entries.list.is_empty())
    }

    /// The content of the field with this tag.
    pub fn find(&self, tag: u32) -> Option<&Bytes> {
        let entries = self.entries();
        let index = entries.binary_search_by_key(&tag, |entry| entry.0).ok()?;
        Some(&entries[index].1)
    }

    /// Sets the field with this tag, and returns what it was before.
    ///
    /// A tag that the schema knows in the version that is written makes encoding fail.
    pub fn insert(&mut self, tag: u32, content: Bytes) -> Option<Bytes> {
        let list = &mut self.0.get_or_insert_default().list;
        match list.binary_search_by_key(&tag, |entry| entry.0) {
            Ok(index) => Some(std::mem::replace(&mut list[index].1, content)),
            Err(index) => {
                list.insert(index, (tag, content));
                None
            }
        }
    }

    /// Removes the field with this tag, and returns what it was.
    pub fn remove(&mut self, tag: u32) -> Option<Bytes> {
        let list = &mut self.0.as_mut()?.list;
        let index = list.binary_search_by_key(&tag, |entry| entry.0).ok()?;
        let (_, content) = list.remove(index);
        if list.is_empty() {
            // Equality with a value that never had a field must hold.
            self.0 = None;
        }
        Some(content)
    }

    /// The fields in order of their tags.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (u32, &Bytes)> {
        self.entries().iter().map(|(tag, content)| (*tag, content))
    }

    /// Appends a field whose tag is above all others; `left` more may follow.
    pub(super) fn push_last(&mut self, tag: u32, content: Bytes, left: usize) {
        let entries = self.0.get_or_insert_default();
        debug_assert!(entries.list.last().is_none_or(|last| last.0 < tag));
        if entries.list.capacity() == 0 {
            // Exact, because a vector's first growth is to four entries, which a hostile peer gets for two bytes.
            entries.list.reserve_exact(left + 1);
        }
        entries.list.push((tag, content));
    }

    pub(super) fn entries(&self) -> &[(u32, Bytes)] {
        self.0.as_ref().map_or(&[], |entries| &entries.list)
    }
}

impl fmt::Debug for TaggedFields {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_map().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_kept_in_order_of_tags() {
        let mut fields = TaggedFields::new();
        for tag in [5, 1, 3] {
            assert_eq!(fields.insert(tag, Bytes::from(vec![tag as u8])), None);
        }
        assert_eq!(fields.iter().map(|(tag, _)| tag).collect::<Vec<_>>(), [1, 3, 5]);
        assert_eq!(
            fields.insert(3, Bytes::from_static(b"x")),
            Some(Bytes::from_static(&[3]))
        );
        assert_eq!(fields.find(3), Some(&Bytes::from_static(b"x")));
        assert_eq!(fields.find(4), None);
        assert_eq!(fields.len(), 3);
    }

    #[test]
    fn removing_the_last_field_leaves_an_empty_value() {
        let mut fields = TaggedFields::new();
        fields.insert(7, Bytes::new());
        assert_eq!(fields.remove(8), None);
        assert_eq!(fields.remove(7), Some(Bytes::new()));
        assert!(fields.is_empty());
        assert_eq!(fields, TaggedFields::new());
    }

    #[test]
    fn a_value_is_one_pointer() {
        assert_eq!(size_of::<TaggedFields>(), size_of::<usize>());
    }
}

//! What can be wrong with bytes that come in, and with values that are to go out.

use std::fmt;

/// Bytes are not the message they should be: the peer's fault, or the version is not the one it was written in.
///
/// It carries what was wrong, the offset of the byte, and the field's path, such as `topics[3].partitions[0].records`.
#[derive(Clone, PartialEq)]
pub struct DecodeError(Box<DecodeParts>);

#[derive(Clone, PartialEq)]
struct DecodeParts {
    kind: DecodeErrorKind,
    offset: usize,
    place: Place,
}

/// What is wrong with the bytes.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum DecodeErrorKind {
    /// The input ends too early.
    Truncated {
        /// How many bytes the field needs.
        needed: usize,
        /// How many there are.
        remaining: usize,
    },
    /// A length below -1, or -1 where null is not a value.
    NegativeLength {
        /// The length.
        length: i64,
    },
    /// A string longer than [`STRING_BYTES_MAX`](super::STRING_BYTES_MAX).
    StringTooLong {
        /// Its length in bytes.
        length: usize,
    },
    /// An array, or the tagged fields of a structure, have more elements than the remaining bytes can hold.
    CountTooLarge {
        /// The count.
        count: usize,
        /// The most that the bytes could hold.
        most: usize,
    },
    /// A varint with more bits than its type.
    VarintOverflow,
    /// A string that is not UTF-8.
    InvalidUtf8,
    /// Null where the version does not allow it.
    UnexpectedNull,
    /// Tagged fields that do not ascend.
    TagOrder {
        /// The tag.
        tag: u32,
        /// The tag before it.
        previous: u32,
    },
    /// Bytes are left behind the last field: of the message, or of a tagged field.
    TrailingBytes {
        /// How many.
        remaining: usize,
    },
    /// The message has no such version: the caller's fault.
    UnsupportedVersion {
        /// The versions that it has.
        supported: crate::VersionRange,
    },
}

impl DecodeError {
    /// An error in `field`, at `offset` from the start of the input.
    #[cold]
    pub fn new(kind: DecodeErrorKind, offset: usize, field: &'static str) -> Self {
        Self(Box::new(DecodeParts {
            kind,
            offset,
            place: Place::new(field),
        }))
    }

    /// What is wrong.
    pub fn kind(&self) -> &DecodeErrorKind {
        &self.0.kind
    }

    /// The offset of the field that is wrong, in bytes from the start of the reader's input.
    pub fn offset(&self) -> usize {
        self.0.offset
    }

    /// The path of the field, such as `topics[3].partitions[0].records`; empty for the message itself.
    pub fn path(&self) -> String {
        self.0.place.path()
    }

    /// The name of the message, if it is one that was read.
    pub fn message(&self) -> Option<&'static str> {
        self.0.place.message.map(|(name, _)| name)
    }

    /// Adds the field that holds the structure which the error is in.
    #[cold]
    #[must_use]
    pub fn in_field(mut self, field: &'static str) -> Self {
        self.0.place.reversed.push(Segment { field, index: None });
        self
    }

    /// Adds the array, and the index in it, of the structure which the error is in.
    #[cold]
    #[must_use]
    pub fn in_element(mut self, field: &'static str, index: usize) -> Self {
        self.0.place.reversed.push(Segment {
            field,
            index: Some(index),
        });
        self
    }

    #[cold]
    pub(crate) fn in_message(mut self, name: &'static str, version: i16) -> Self {
        self.0.place.message = Some((name, version));
        self
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.place.write(formatter, ", ")?;
        write!(formatter, "byte {}: ", self.0.offset)?;
        match &self.0.kind {
            DecodeErrorKind::Truncated { needed, remaining } => {
                write!(formatter, "{needed} bytes are needed, {remaining} remain")
            }
            DecodeErrorKind::NegativeLength { length } => write!(formatter, "a length of {length}"),
            DecodeErrorKind::StringTooLong { length } => {
                write!(
                    formatter,
                    "a string of {length} bytes, {} are allowed",
                    super::STRING_BYTES_MAX
                )
            }
            DecodeErrorKind::CountTooLarge { count, most } => {
                write!(
                    formatter,
                    "{count} elements, the bytes that remain hold at most {most}"
                )
            }
            DecodeErrorKind::VarintOverflow => formatter.write_str("a varint with too many bits"),
            DecodeErrorKind::InvalidUtf8 => formatter.write_str("a string that is not UTF-8"),
            DecodeErrorKind::UnexpectedNull => formatter.write_str("null where a value is required"),
            DecodeErrorKind::TagOrder { tag, previous } => {
                write!(formatter, "tag {tag} after tag {previous}: tags must ascend")
            }
            DecodeErrorKind::TrailingBytes { remaining } => {
                write!(formatter, "{remaining} bytes behind the last field")
            }
            DecodeErrorKind::UnsupportedVersion { supported } => {
                write!(formatter, "no such version, there are {supported}")
            }
        }
    }
}

impl fmt::Debug for DecodeError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("DecodeError")
            .field("kind", &self.0.kind)
            .field("offset", &self.0.offset)
            .field("place", &format_args!("{}", self.0.place))
            .finish()
    }
}

impl std::error::Error for DecodeError {}

/// A value cannot be written in the version that was asked for: the caller's fault.
///
/// It carries what was wrong, the version, and the field's path.
#[derive(Clone, PartialEq)]
pub struct EncodeError(Box<EncodeParts>);

#[derive(Clone, PartialEq)]
struct EncodeParts {
    kind: EncodeErrorKind,
    place: Place,
}

/// Why a value cannot be written.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum EncodeErrorKind {
    /// The field is set, the version has no such field, and its loss would change what the message means.
    FieldNotInVersion,
    /// Null where the version does not allow it.
    UnexpectedNull,
    /// A string longer than [`STRING_BYTES_MAX`](super::STRING_BYTES_MAX), or bytes or an array beyond 2^31 - 1.
    TooLong {
        /// The length.
        length: usize,
        /// The limit.
        limit: usize,
    },
    /// Unknown tagged fields are set, and the version has none.
    TaggedFieldsNotInVersion,
    /// An unknown tagged field has the tag of a known one.
    TagTaken {
        /// The tag.
        tag: u32,
    },
    /// The message has no such version.
    UnsupportedVersion {
        /// The versions that it has.
        supported: crate::VersionRange,
    },
}

impl EncodeError {
    /// An error in `field`.
    #[cold]
    pub fn new(kind: EncodeErrorKind, field: &'static str) -> Self {
        Self(Box::new(EncodeParts {
            kind,
            place: Place::new(field),
        }))
    }

    /// What is wrong.
    pub fn kind(&self) -> &EncodeErrorKind {
        &self.0.kind
    }

    /// The path of the field, such as `topics[3].partitions[0].records`; empty for the message itself.
    pub fn path(&self) -> String {
        self.0.place.path()
    }

    /// The name of the message that was written.
    pub fn message(&self) -> Option<&'static str> {
        self.0.place.message.map(|(name, _)| name)
    }

    /// The version that was asked for.
    pub fn version(&self) -> Option<i16> {
        self.0.place.message.map(|(_, version)| version)
    }

    /// Adds the field that holds the structure which the error is in.
    #[cold]
    #[must_use]
    pub fn in_field(mut self, field: &'static str) -> Self {
        self.0.place.reversed.push(Segment { field, index: None });
        self
    }

    /// Adds the array, and the index in it, of the structure which the error is in.
    #[cold]
    #[must_use]
    pub fn in_element(mut self, field: &'static str, index: usize) -> Self {
        self.0.place.reversed.push(Segment {
            field,
            index: Some(index),
        });
        self
    }

    #[cold]
    pub(crate) fn in_message(mut self, name: &'static str, version: i16) -> Self {
        self.0.place.message = Some((name, version));
        self
    }
}

impl fmt::Display for EncodeError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.place.write(formatter, ": ")?;
        match &self.0.kind {
            EncodeErrorKind::FieldNotInVersion => {
                formatter.write_str("the field is set, and this version does not have it")
            }
            EncodeErrorKind::UnexpectedNull => formatter.write_str("null, and this version requires a value"),
            EncodeErrorKind::TooLong { length, limit } => {
                write!(formatter, "a length of {length}, {limit} are allowed")
            }
            EncodeErrorKind::TaggedFieldsNotInVersion => {
                formatter.write_str("unknown tagged fields are set, and this version has none")
            }
            EncodeErrorKind::TagTaken { tag } => {
                write!(
                    formatter,
                    "tag {tag} is that of a known field, and cannot be an unknown one"
                )
            }
            EncodeErrorKind::UnsupportedVersion { supported } => {
                write!(formatter, "no such version, there are {supported}")
            }
        }
    }
}

impl fmt::Debug for EncodeError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("EncodeError")
            .field("kind", &self.0.kind)
            .field("place", &format_args!("{}", self.0.place))
            .finish()
    }
}

impl std::error::Error for EncodeError {}

/// Where in which message; collected from the inside out, while an error is on its way.
#[derive(Clone, PartialEq)]
struct Place {
    message: Option<(&'static str, i16)>,
    reversed: Vec<Segment>,
}

#[derive(Clone, Copy, PartialEq)]
struct Segment {
    field: &'static str,
    index: Option<usize>,
}

impl Place {
    fn new(field: &'static str) -> Self {
        let reversed = if field.is_empty() {
            Vec::new()
        } else {
            vec![Segment { field, index: None }]
        };
        Self {
            message: None,
            reversed,
        }
    }

    /// Writes it before something else, if there is something to write.
    fn write(&self, formatter: &mut fmt::Formatter<'_>, separator: &str) -> fmt::Result {
        if self.message.is_none() && self.reversed.is_empty() {
            return Ok(());
        }
        write!(formatter, "{self}{separator}")
    }

    fn path(&self) -> String {
        let mut path = String::new();
        for segment in self.reversed.iter().rev() {
            if !path.is_empty() {
                path.push('.');
            }
            path.push_str(segment.field);
            if let Some(index) = segment.index {
                path.push_str(&format!("[{index}]"));
            }
        }
        path
    }
}

/// `ProduceRequest v9, topic_data[0].name`: each part that is known.
impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((name, version)) = self.message {
            let comma = if self.reversed.is_empty() { "" } else { ", " };
            write!(formatter, "{name} v{version}{comma}")?;
        }
        formatter.write_str(&self.path())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decode_error_names_message_path_and_offset() {
        let error = DecodeError::new(
            DecodeErrorKind::Truncated {
                needed: 4,
                remaining: 1,
            },
            17,
            "index",
        )
        .in_element("partitions", 0)
        .in_element("topics", 3)
        .in_message("MetadataResponse", 9);
        assert_eq!(error.path(), "topics[3].partitions[0].index");
        assert_eq!(
            error.to_string(),
            "MetadataResponse v9, topics[3].partitions[0].index, byte 17: 4 bytes are needed, 1 remain"
        );
    }

    #[test]
    fn an_encode_error_names_message_version_and_path() {
        let error = EncodeError::new(EncodeErrorKind::FieldNotInVersion, "group_instance_id")
            .in_field("member")
            .in_message("JoinGroupRequest", 2);
        assert_eq!(error.version(), Some(2));
        assert_eq!(
            error.to_string(),
            "JoinGroupRequest v2, member.group_instance_id: the field is set, and this version does not have it"
        );
    }

    #[test]
    fn errors_are_one_pointer() {
        assert_eq!(size_of::<Result<(), DecodeError>>(), size_of::<usize>());
        assert_eq!(size_of::<Result<(), EncodeError>>(), size_of::<usize>());
    }
}

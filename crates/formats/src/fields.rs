//! A record as input describes it.

use std::borrow::Cow;

/// The name of a header, and its value; none is null.
pub type Header<'a> = (Cow<'a, str>, Option<Cow<'a, [u8]>>);

/// What an input format found of a record. What it does not speak of is absent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields<'a> {
    /// The key; none is null.
    pub key: Option<Cow<'a, [u8]>>,
    /// The value; none is null.
    pub value: Option<Cow<'a, [u8]>>,
    /// Names and values of headers, in their order.
    pub headers: Vec<Header<'a>>,
    /// The partition.
    pub partition: Option<i32>,
    /// The timestamp in milliseconds since 1970-01-01 UTC.
    pub timestamp_ms: Option<i64>,
}

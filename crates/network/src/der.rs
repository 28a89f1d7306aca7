//! As much DER as it takes to look into certificates and encrypted keys.

#[cfg(feature = "tls")]
pub(crate) const BIT_STRING: u8 = 0x03;
pub(crate) const INTEGER: u8 = 0x02;
pub(crate) const OBJECT_IDENTIFIER: u8 = 0x06;
pub(crate) const OCTET_STRING: u8 = 0x04;
pub(crate) const SEQUENCE: u8 = 0x30;

/// Reads one element after the other. Nothing is copied, and every length is checked against what remains.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Der<'a>(pub(crate) &'a [u8]);

impl<'a> Der<'a> {
    pub(crate) fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// The next element: its tag and its content.
    pub(crate) fn any(&mut self) -> Option<(u8, &'a [u8])> {
        let (&tag, rest) = self.0.split_first()?;
        let (&first, rest) = rest.split_first()?;
        let (length, rest) = match first {
            0..=0x7f => (usize::from(first), rest),
            // One to four bytes of length; what is longer is longer than any input.
            0x81..=0x84 => {
                let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
                let length = bytes
                    .iter()
                    .fold(0_usize, |length, &byte| length << 8 | usize::from(byte));
                (length, rest)
            }
            _ => return None,
        };
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((tag, content))
    }

    /// The content of the next element, which has this tag.
    pub(crate) fn expect(&mut self, tag: u8) -> Option<&'a [u8]> {
        match self.any()? {
            (found, content) if found == tag => Some(content),
            _ => None,
        }
    }

    /// The content of the next element, if it has this tag.
    #[cfg(feature = "tls")]
    pub(crate) fn optional(&mut self, tag: u8) -> Option<&'a [u8]> {
        if self.0.first() == Some(&tag) {
            self.expect(tag)
        } else {
            None
        }
    }

    /// The elements of a SEQUENCE.
    pub(crate) fn sequence(&mut self) -> Option<Der<'a>> {
        self.expect(SEQUENCE).map(Der)
    }

    /// A small number that is not negative.
    pub(crate) fn unsigned(&mut self) -> Option<u32> {
        let bytes = self.expect(INTEGER)?;
        let bytes = bytes.strip_prefix(&[0]).unwrap_or(bytes);
        if bytes.len() > 4 {
            return None;
        }
        Some(
            bytes
                .iter()
                .fold(0, |number, &byte| number << 8 | u32::from(byte)),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_checked_against_what_is_there() {
        for bytes in [
            &b""[..],
            b"\x30",
            b"\x30\x01",
            b"\x30\x81",
            b"\x30\x81\x02\0",
            b"\x30\x80",
            b"\x30\x84\xff\xff\xff\xff",
            b"\x30\x85\0\0\0\0\0",
        ] {
            assert!(Der(bytes).any().is_none(), "{bytes:?}");
        }
        let mut der = Der(b"\x30\x81\x05\x02\x01\x07\x04\0\x05\0");
        let mut inner = der.sequence().unwrap();
        assert_eq!(inner.unsigned(), Some(7));
        assert_eq!(inner.expect(OCTET_STRING), Some(&b""[..]));
        assert!(inner.is_empty());
        assert_eq!(der.any(), Some((5, &b""[..])));
    }
}

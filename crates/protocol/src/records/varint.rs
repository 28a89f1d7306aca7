//! The variable-length integers of records: zig-zag, seven bits to a byte, least significant first.

/// Bytes that an integer of `bits` bits takes at most.
pub(super) const fn size_max(bits: u32) -> usize {
    bits.div_ceil(7) as usize
}

/// Maps small negative numbers to small positive ones.
#[inline]
pub(super) const fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

/// The zig-zag form of a length. Lengths are `i32` on the wire; [`super::RecordSize`] holds what keeps them so.
#[inline]
pub(super) const fn zigzag_len(len: usize) -> u64 {
    (len as u64) << 1
}

#[inline]
const fn unzigzag(value: u64) -> i64 {
    ((value >> 1) as i64) ^ -((value & 1) as i64)
}

/// Bytes that `value` takes, which is already in zig-zag form.
#[inline]
pub(super) const fn size(value: u64) -> usize {
    // ceil(bits / 7) without a division: 9/64 is close enough to 1/7 for up to 64 bits.
    let highest_bit = 63 - (value | 1).leading_zeros() as usize;
    (highest_bit * 9 + 73) / 64
}

/// A place for a few integers in a row: the end of the sink's own buffer, or a few bytes of stack.
pub(super) struct Window<'a> {
    bytes: &'a mut [u8; WINDOW_SIZE],
    len: usize,
}

/// A power of two, so that masking an index proves it in bounds; the most that [`super::RecordRef`] writes at once is a
/// length (5), the attributes (1), a timestamp delta (10), an offset delta (5), a null key (1) and a value's length (5).
pub(super) const WINDOW_SIZE: usize = 32;

impl<'a> Window<'a> {
    #[inline]
    pub(super) const fn new(bytes: &'a mut [u8; WINDOW_SIZE]) -> Window<'a> {
        Window { bytes, len: 0 }
    }

    /// The bytes written.
    #[inline]
    pub(super) const fn len(self) -> usize {
        debug_assert!(self.len <= WINDOW_SIZE);
        self.len
    }

    #[inline]
    pub(super) const fn byte(&mut self, byte: u8) {
        self.bytes[self.len & (WINDOW_SIZE - 1)] = byte;
        self.len += 1;
    }

    /// Appends `value`, which is already in zig-zag form.
    #[inline]
    pub(super) const fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.byte(value as u8 | 0x80);
            value >>= 7;
        }
        self.byte(value as u8);
    }
}

/// Up to three integers in a row in one register, first byte lowest: for those below [`SHORT_MAX`], which nearly all are.
#[derive(Clone, Copy)]
pub(super) struct Short {
    bits: u64,
    len: usize,
}

/// Above what three bytes hold.
pub(super) const SHORT_MAX: u64 = 1 << 21;

/// The bytes that [`Short`] writes, of which [`Short::len`] count.
pub(super) const SHORT_WINDOW: usize = 8;

impl Short {
    /// One byte, as it is.
    #[inline]
    pub(super) const fn byte(byte: u8) -> Short {
        Short {
            bits: byte as u64,
            len: 1,
        }
    }

    /// `value`, which is below [`SHORT_MAX`] and already in zig-zag form.
    #[inline]
    pub(super) const fn varint(value: u64) -> Short {
        debug_assert!(value < SHORT_MAX);
        let (bits, len) = if value < 0x80 {
            (value, 1)
        } else if value < 0x4000 {
            (value & 0x7f | 0x80 | value >> 7 << 8, 2)
        } else {
            (value & 0x7f | value << 1 & 0x7f00 | value >> 14 << 16 | 0x8080, 3)
        };
        Short { bits, len }
    }

    /// Both, one after the other: no more than eight bytes.
    #[inline]
    pub(super) const fn then(self, next: Short) -> Short {
        debug_assert!(self.len + next.len <= SHORT_WINDOW);
        Short {
            bits: self.bits | next.bits << (8 * self.len),
            len: self.len + next.len,
        }
    }

    #[inline]
    pub(super) const fn len(self) -> usize {
        self.len
    }

    /// Writes eight bytes at `at`, of which [`Short::len`] count; where the next one goes comes back.
    #[inline]
    pub(super) fn write_at(self, bytes: &mut [u8], at: usize) -> Option<usize> {
        let window = bytes.get_mut(at..)?.first_chunk_mut::<SHORT_WINDOW>()?;
        *window = self.bits.to_le_bytes();
        Some(at + self.len)
    }
}

/// Reads an integer of up to `bits` bits from the front of `bytes`: the value and the bytes it took, or nothing if the
/// bytes end first, or it is longer than `bits` bits take.
#[inline]
pub(super) fn read(bytes: &[u8], bits: u32) -> Option<(i64, usize)> {
    let mut value = 0u64;
    for (index, &byte) in bytes.iter().take(size_max(bits)).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte < 0x80 {
            // Java keeps the low 32 (or 64) bits of the last byte and drops the rest.
            let value = if bits == 32 {
                value & u64::from(u32::MAX)
            } else {
                value
            };
            return Some((unzigzag(value), index + 1));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn write(value: i64) -> Vec<u8> {
        let mut bytes = [0; WINDOW_SIZE];
        let mut window = Window::new(&mut bytes);
        window.varint(zigzag(value));
        let len = window.len();
        bytes[..len].to_vec()
    }

    fn check(value: i64, bytes: &[u8]) {
        let written = write(value);
        assert_eq!(written, bytes, "{value}");
        assert_eq!(size(zigzag(value)), bytes.len(), "{value}");
        assert_eq!(read(&written, 64), Some((value, bytes.len())));
        for end in 0..bytes.len() {
            assert_eq!(read(&written[..end], 64), None);
        }
    }

    #[test]
    fn known_values() {
        check(0, &[0]);
        check(-1, &[1]);
        check(1, &[2]);
        check(63, &[126]);
        check(-64, &[127]);
        check(64, &[128, 1]);
        check(8191, &[254, 127]);
        check(8192, &[128, 128, 1]);
        check(i64::from(i32::MAX), &[254, 255, 255, 255, 15]);
        check(i64::from(i32::MIN), &[255, 255, 255, 255, 15]);
        check(i64::MAX, &[254, 255, 255, 255, 255, 255, 255, 255, 255, 1]);
        check(i64::MIN, &[255, 255, 255, 255, 255, 255, 255, 255, 255, 1]);
    }

    #[test]
    fn short_integers_are_those_of_the_loop() {
        let lengths = [
            0,
            1,
            0x7f,
            0x80,
            0x81,
            0x3fff,
            0x4000,
            0x4001,
            0x12_3456,
            SHORT_MAX - 1,
        ];
        for (first, second) in lengths.iter().flat_map(|&one| lengths.map(|other| (one, other))) {
            let mut expected = [0; WINDOW_SIZE];
            let mut window = Window::new(&mut expected);
            window.varint(first);
            window.byte(7);
            window.varint(second);
            let len = window.len();
            let short = Short::varint(first)
                .then(Short::byte(7))
                .then(Short::varint(second));
            let mut bytes = [0xff; 12];
            assert_eq!(short.write_at(&mut bytes, 1), Some(1 + len));
            assert_eq!(
                (bytes[0], &bytes[1..=len]),
                (0xff, &expected[..len]),
                "{first} {second}"
            );
            assert_eq!(short.len(), len);
            assert_eq!(short.write_at(&mut bytes, 5), None, "eight bytes are written");
            assert_eq!(short.write_at(&mut bytes, 13), None);
        }
    }

    #[test]
    fn overlong_integers_are_refused() {
        assert_eq!(read(&[0x80, 0x80, 0x80, 0x80, 0x80, 0], 32), None);
        assert_eq!(read(&[0x80; 11], 64), None);
        assert_eq!(read(&[0x80, 0x80, 0x80, 0x80, 0], 32), Some((0, 5)));
    }

    #[test]
    fn size_is_exact_at_every_bit() {
        for bit in 0..64 {
            let value = 1u64 << bit;
            assert_eq!(size(value), bit / 7 + 1);
            assert_eq!(size(value - 1), (bit.max(1) - 1) / 7 + 1);
        }
    }

    proptest! {
        #[test]
        fn round_trip(value: i64) {
            let written = write(value);
            prop_assert_eq!(written.len(), size(zigzag(value)));
            prop_assert_eq!(read(&written, 64), Some((value, written.len())));
        }
    }
}

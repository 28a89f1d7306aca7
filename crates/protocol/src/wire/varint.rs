//! Variable-length integers: seven bits to a byte, the least significant first, the top bit says that more follow.
//!
//! Lengths and tags are unsigned; the numbers inside records are signed and zig-zag coded, so that small negative ones
//! stay short.

/// The most bytes that a 32-bit varint takes.
pub const U32_BYTES_MAX: usize = 5;

/// The most bytes that a 64-bit varint takes.
pub const U64_BYTES_MAX: usize = 10;

/// Maps a signed number to an unsigned one with the sign in the lowest bit.
#[inline]
pub const fn zigzag_i32(value: i32) -> u32 {
    ((value << 1) ^ (value >> 31)) as u32
}

/// Maps a signed number to an unsigned one with the sign in the lowest bit.
#[inline]
pub const fn zigzag_i64(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

/// The inverse of [`zigzag_i32`].
#[inline]
pub const fn unzigzag_u32(value: u32) -> i32 {
    (value >> 1) as i32 ^ -((value & 1) as i32)
}

/// The inverse of [`zigzag_i64`].
#[inline]
pub const fn unzigzag_u64(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

/// How many bytes `value` takes: 1 to 5.
#[inline]
pub const fn size_u32(value: u32) -> usize {
    // Bits rounded up to sevens; 9/64 is just above 1/7 for the widths that occur.
    ((38 - (value | 1).leading_zeros()) as usize * 9 + 10) / 64
}

/// How many bytes `value` takes: 1 to 10.
#[inline]
pub const fn size_u64(value: u64) -> usize {
    ((70 - (value | 1).leading_zeros()) as usize * 9 + 10) / 64
}

/// Writes `value` into the front of `out` and returns how many bytes it took.
///
/// `out` has to hold [`size_u32`] bytes: what does not fit is not written.
#[inline]
pub fn put_u32(mut value: u32, out: &mut [u8]) -> usize {
    let mut length = 0;
    for byte in out {
        length += 1;
        if value < 0x80 {
            *byte = value as u8;
            break;
        }
        *byte = value as u8 | 0x80;
        value >>= 7;
    }
    length
}

/// Writes `value` into the front of `out` and returns how many bytes it took.
///
/// `out` has to hold [`size_u64`] bytes: what does not fit is not written.
#[inline]
pub fn put_u64(mut value: u64, out: &mut [u8]) -> usize {
    let mut length = 0;
    for byte in out {
        length += 1;
        if value < 0x80 {
            *byte = value as u8;
            break;
        }
        *byte = value as u8 | 0x80;
        value >>= 7;
    }
    length
}

/// What [`take_u32`] and [`take_u64`] refuse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum VarintError {
    /// The input ends before the number does.
    Truncated,
    /// More bits than the type has.
    Overflow,
}

/// Reads an unsigned 32-bit varint from the front of `input`: the value and the bytes it took.
///
/// Needlessly long forms (`80 00` for 0) are read as Java reads them.
#[inline]
pub fn take_u32(input: &[u8]) -> Result<(u32, usize), VarintError> {
    match input.first() {
        Some(&byte) if byte < 0x80 => Ok((u32::from(byte), 1)),
        _ => {
            let (value, length) = take_long(input, U32_BYTES_MAX)?;
            u32::try_from(value)
                .map(|value| (value, length))
                .map_err(|_| VarintError::Overflow)
        }
    }
}

/// Reads an unsigned 64-bit varint from the front of `input`: the value and the bytes it took.
#[inline]
pub fn take_u64(input: &[u8]) -> Result<(u64, usize), VarintError> {
    match input.first() {
        Some(&byte) if byte < 0x80 => Ok((u64::from(byte), 1)),
        _ => take_long(input, U64_BYTES_MAX),
    }
}

fn take_long(input: &[u8], bytes_max: usize) -> Result<(u64, usize), VarintError> {
    let mut value = 0_u64;
    for (index, &byte) in input.iter().take(bytes_max).enumerate() {
        let bits = u64::from(byte & 0x7f);
        let shift = 7 * index as u32;
        // Only the tenth byte can lose bits here.
        if bits << shift >> shift != bits {
            return Err(VarintError::Overflow);
        }
        value |= bits << shift;
        if byte < 0x80 {
            return Ok((value, index + 1));
        }
    }
    Err(if input.len() < bytes_max {
        VarintError::Truncated
    } else {
        VarintError::Overflow
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_width_has_its_size_and_comes_back() {
        for bits in 0..=64_u32 {
            let base = if bits == 64 { u64::MAX } else { 1_u64 << bits };
            for value in [base.wrapping_sub(1), base, base.wrapping_add(1)] {
                let mut out = [0; U64_BYTES_MAX];
                let length = put_u64(value, &mut out);
                assert_eq!(length, size_u64(value), "{value}");
                assert_eq!(take_u64(&out[..length]), Ok((value, length)));
                for end in 0..length {
                    assert_eq!(take_u64(&out[..end]), Err(VarintError::Truncated));
                }
                if let Ok(value) = u32::try_from(value) {
                    let mut out = [0; U32_BYTES_MAX];
                    let length = put_u32(value, &mut out);
                    assert_eq!(length, size_u32(value), "{value}");
                    assert_eq!(take_u32(&out[..length]), Ok((value, length)));
                }
            }
        }
    }

    #[test]
    fn zigzag_keeps_small_numbers_small() {
        for (value, coded) in [
            (0, 0),
            (-1, 1),
            (1, 2),
            (-2, 3),
            (i32::MAX, u32::MAX - 1),
            (i32::MIN, u32::MAX),
        ] {
            assert_eq!(zigzag_i32(value), coded);
            assert_eq!(unzigzag_u32(coded), value);
        }
        for (value, coded) in [
            (0, 0),
            (-1, 1),
            (1, 2),
            (i64::MAX, u64::MAX - 1),
            (i64::MIN, u64::MAX),
        ] {
            assert_eq!(zigzag_i64(value), coded);
            assert_eq!(unzigzag_u64(coded), value);
        }
    }

    #[test]
    fn too_many_bits_are_refused() {
        assert_eq!(take_u32(&[0xff, 0xff, 0xff, 0xff, 0x0f]), Ok((u32::MAX, 5)));
        assert_eq!(
            take_u32(&[0xff, 0xff, 0xff, 0xff, 0x10]),
            Err(VarintError::Overflow)
        );
        assert_eq!(
            take_u32(&[0x80, 0x80, 0x80, 0x80, 0x80, 0]),
            Err(VarintError::Overflow)
        );
        assert_eq!(take_u32(&[0x80, 0x00]), Ok((0, 2)));
        assert_eq!(take_u64(&[0xff; 10]), Err(VarintError::Overflow));
        let mut widest = [0xff; 10];
        widest[9] = 1;
        assert_eq!(take_u64(&widest), Ok((u64::MAX, 10)));
        widest[9] = 2;
        assert_eq!(take_u64(&widest), Err(VarintError::Overflow));
    }
}

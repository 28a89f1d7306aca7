//! CRC-32C over pieces: appended in order, or joined from the CRCs of the pieces.
//!
//! A batch's CRC covers the tail of its header and its payload. The payload's CRC is computed once, when the batch is
//! sealed; a new identity changes the header alone, and the CRC of the whole follows from the two in constant time.

/// The CRC-32C polynomial with its bits reversed, without the leading term.
const POLYNOMIAL: u32 = 0x82f6_3b78;

/// The polynomial 1 in this bit order.
const ONE: u32 = 1 << 31;

/// `POWERS[n]` is x^(8·2^n) modulo the polynomial: multiplying by it appends 2^n zero bytes.
///
/// The polynomial is (x + 1) times a primitive one of degree 31, so the order of x is 2^31 - 1 and the powers repeat
/// after 31 doublings.
const POWERS: [u32; 31] = powers();

/// The same for each hexadecimal digit of a length below 256 MiB: a multiplication costs 10 ns, and a header should
/// cost few.
static DIGITS: [[u32; 16]; 7] = digits();

/// The CRC-32C of the bytes that `crc` stands for followed by `bytes`; the CRC of nothing is 0.
///
/// ```
/// use ottla_protocol::records::crc32c_append;
/// let whole = crc32c_append(0, b"123456789");
/// assert_eq!(whole, 0xe306_9283);
/// assert_eq!(crc32c_append(crc32c_append(0, b"1234"), b"56789"), whole);
/// ```
#[inline]
pub fn crc32c_append(crc: u32, bytes: &[u8]) -> u32 {
    crc32c::crc32c_append(crc, bytes)
}

/// The CRC-32C of two pieces in a row, from the CRC of each and the length of the second.
///
/// ```
/// use ottla_protocol::records::{crc32c_append, crc32c_combine};
/// let (first, second) = (crc32c_append(0, b"1234"), crc32c_append(0, b"56789"));
/// assert_eq!(crc32c_combine(first, second, 5), 0xe306_9283);
/// ```
pub fn crc32c_combine(first: u32, second: u32, second_len: usize) -> u32 {
    append_zeros(first, second_len) ^ second
}

/// What `crc` contributes to the CRC of a longer piece that goes on for `len` bytes.
fn append_zeros(crc: u32, len: usize) -> u32 {
    let mut product = crc;
    let mut rest = len;
    for digits in &DIGITS {
        if rest & 15 != 0 {
            product = multiply(product, digits[rest & 15]);
        }
        rest >>= 4;
    }
    while rest != 0 {
        let bit = 4 * DIGITS.len() + rest.trailing_zeros() as usize;
        product = multiply(product, POWERS[bit % POWERS.len()]);
        rest &= rest - 1;
    }
    product
}

/// The product of two polynomials modulo the CRC's, branch-free.
const fn multiply(a: u32, b: u32) -> u32 {
    let mut product = 0u32;
    let mut b = b;
    let mut bit = 0;
    while bit < 32 {
        // The highest bit of `a` is its constant term.
        product ^= b & 0u32.wrapping_sub((a >> (31 - bit)) & 1);
        b = (b >> 1) ^ (POLYNOMIAL & 0u32.wrapping_sub(b & 1));
        bit += 1;
    }
    product
}

const fn powers() -> [u32; 31] {
    // x^8, then its squares.
    let mut power = ONE >> 8;
    let mut table = [0; 31];
    let mut n = 0;
    while n < table.len() {
        table[n] = power;
        power = multiply(power, power);
        n += 1;
    }
    table
}

const fn digits() -> [[u32; 16]; 7] {
    let mut table = [[ONE; 16]; 7];
    let mut place = 0;
    while place < table.len() {
        let mut digit = 1;
        while digit < 16 {
            // One more of what the place counts.
            table[place][digit] = multiply(table[place][digit - 1], POWERS[4 * place]);
            digit += 1;
        }
        place += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn combine_at_the_limits() {
        assert_eq!(crc32c_combine(0x1234_5678, 0, 0), 0x1234_5678);
        for len in [
            1usize,
            (1 << 28) - 1,
            1 << 28,
            255,
            1 << 20,
            1 << 31,
            1 << 32,
            (1 << 40) + 12345,
            usize::MAX,
        ] {
            assert_eq!(
                crc32c_combine(0xdead_beef, 7, len),
                crc32c::crc32c_combine(0xdead_beef, 7, len),
                "{len}"
            );
        }
    }

    proptest! {
        #[test]
        fn combine_equals_append(first: Vec<u8>, second in proptest::collection::vec(any::<u8>(), 0..5000)) {
            let (a, b) = (crc32c_append(0, &first), crc32c_append(0, &second));
            prop_assert_eq!(crc32c_combine(a, b, second.len()), crc32c_append(a, &second));
        }
    }
}

//! The hashes that Kafka clients choose partitions with.

/// The seed of murmur2 in the Java client; every client that wants its partitions has to use it.
const MURMUR2_SEED: u32 = 0x9747_b28c;
const MURMUR2_M: u32 = 0x5bd1_e995;
const MURMUR2_R: u32 = 24;

/// The 32-bit murmur2 of the Java client (`Utils.murmur2`), which its partitioner hashes keys with.
///
/// Java takes the result as signed; see [`to_positive`].
///
/// ```
/// assert_eq!(ottla_partitioning::murmur2(b"kafka"), 0xd067_cf64);
/// ```
#[inline]
pub fn murmur2(bytes: &[u8]) -> u32 {
    // Java's length is an int; a key of 4 GiB does not exist.
    let mut hash = MURMUR2_SEED ^ bytes.len() as u32;
    let mut words = bytes.chunks_exact(4);
    for word in &mut words {
        // chunks_exact(4) yields slices of four bytes only, which the compiler sees: no check remains.
        let mut k = u32::from_le_bytes([word[0], word[1], word[2], word[3]]).wrapping_mul(MURMUR2_M);
        k = (k ^ (k >> MURMUR2_R)).wrapping_mul(MURMUR2_M);
        hash = hash.wrapping_mul(MURMUR2_M) ^ k;
    }
    let tail = words.remainder();
    if !tail.is_empty() {
        let rest = tail
            .iter()
            .rev()
            .fold(0, |rest, &byte| rest << 8 | u32::from(byte));
        hash = (hash ^ rest).wrapping_mul(MURMUR2_M);
    }
    hash = (hash ^ (hash >> 13)).wrapping_mul(MURMUR2_M);
    hash ^ (hash >> 15)
}

/// Clears the sign bit, as Java's `Utils.toPositive` does (it is not the absolute value).
#[inline]
pub const fn to_positive(hash: u32) -> u32 {
    hash & 0x7fff_ffff
}

/// The reflected polynomial of CRC-32 (IEEE 802.3).
const CRC32_POLYNOMIAL: u32 = 0xedb8_8320;

/// Table `n` advances a byte by `n` further zero bytes, so that eight bytes are taken at once: keys are short, and a
/// table of 8 KiB is what that is worth.
static CRC32_TABLES: [[u32; 256]; 8] = crc32_tables();

const fn crc32_tables() -> [[u32; 256]; 8] {
    let mut tables = [[0; 256]; 8];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 {
                crc >> 1 ^ CRC32_POLYNOMIAL
            } else {
                crc >> 1
            };
            bit += 1;
        }
        tables[0][byte] = crc;
        byte += 1;
    }
    let mut table = 1;
    while table < 8 {
        let mut byte = 0;
        while byte < 256 {
            let before = tables[table - 1][byte];
            tables[table][byte] = before >> 8 ^ tables[0][(before & 0xff) as usize];
            byte += 1;
        }
        table += 1;
    }
    tables
}

/// CRC-32 as in IEEE 802.3, zlib and librdkafka's `consistent` partitioners (not the CRC-32C of record batches).
///
/// ```
/// assert_eq!(ottla_partitioning::crc32(b"kafka"), 0x5bbc_7517);
/// ```
#[inline]
pub fn crc32(bytes: &[u8]) -> u32 {
    let t = &CRC32_TABLES;
    let mut crc = !0;
    let mut blocks = bytes.chunks_exact(8);
    for block in &mut blocks {
        let low = u32::from_le_bytes([block[0], block[1], block[2], block[3]]) ^ crc;
        let [a, b, c, d] = low.to_le_bytes();
        crc = t[7][usize::from(a)]
            ^ t[6][usize::from(b)]
            ^ t[5][usize::from(c)]
            ^ t[4][usize::from(d)]
            ^ t[3][usize::from(block[4])]
            ^ t[2][usize::from(block[5])]
            ^ t[1][usize::from(block[6])]
            ^ t[0][usize::from(block[7])];
    }
    for &byte in blocks.remainder() {
        crc = crc >> 8 ^ t[0][usize::from(crc as u8 ^ byte)];
    }
    !crc
}

/// 32-bit FNV-1a as in librdkafka's `fnv1a` partitioners and in Sarama: the hash is taken as signed, and negated if it is
/// negative.
///
/// ```
/// assert_eq!(ottla_partitioning::fnv1a(b"kafka"), 0x0d33_c4e1);
/// ```
#[inline]
pub fn fnv1a(bytes: &[u8]) -> u32 {
    let hash = bytes.iter().fold(0x811c_9dc5_u32, |hash, &byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    });
    // The one negative number without a positive counterpart stays 2^31: the caller's modulo is unsigned.
    (hash as i32).unsigned_abs()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Made by `org.apache.kafka.common.utils.Utils.murmur2` of kafka-clients 4.3.1.
    const JAVA_MURMUR2: [(&str, u32); 15] = [
        ("", 0x106e08d9),
        ("a", 0xa2d0b27c),
        ("abc", 0x1c94221b),
        ("abcd", 0xb11ab5f4),
        ("kafka", 0xd067cf64),
        ("hello world", 0x48d0c363),
        ("é", 0x0b24f487),
        ("giberish123456789", 0x8f552b0c),
        ("1234", 0x9fc97b14),
        ("234", 0xe7c009ca),
        ("34", 0x873930da),
        ("4", 0x5a4b5ca1),
        ("PreAmbleWillBeRemoved,ThePrePartThatIs", 0x78424f1c),
        ("user-00000042", 0xe57a0ba8),
        ("日本語のキー", 0xd435bd06),
    ];

    /// The same function over [`sample`] of every length from 0 to 40.
    const JAVA_MURMUR2_BY_LENGTH: [u32; 41] = [
        0x106e08d9, 0x7110448b, 0x72557a66, 0x606ca189, 0x141cbd00, 0xae318285, 0xe9a360d2, 0x7d55e58f,
        0x9e8cb03f, 0x9e19724d, 0xba7cce1d, 0xf1751367, 0xd2869702, 0x5789e68b, 0x7efa3110, 0xe1a6e109,
        0x8bb6eecb, 0x83c38361, 0x01cb212f, 0xbf411daf, 0xd790e606, 0x9d9f5e6d, 0x9c1efb37, 0x139c339f,
        0xd5146d78, 0x9c14747a, 0xb739146f, 0x8c0f8147, 0x7081385a, 0x891eaf6a, 0x8bea8e96, 0xf6597272,
        0x2fd69377, 0x12b245bc, 0xcb1ba30b, 0x5beabfc9, 0xabac7f6e, 0x7d85717b, 0x9ff374ab, 0x84458e34,
        0x6e725383,
    ];

    /// Partitions of 2^31 - 1, by librdkafka 2.0.2's `rd_kafka_msg_partitioner_consistent` over [`sample`] of every
    /// length from 0 to 40.
    const LIBRDKAFKA_CONSISTENT_BY_LENGTH: [u32; 41] = [
        0, 850551129, 637207659, 1690534044, 638765978, 1081513199, 681130399, 244239517, 856487658,
        1990368421, 2144091470, 2136623071, 1843410048, 2104438650, 1410220099, 2030951839, 1901077905,
        1629893776, 2040258884, 1779288224, 526620462, 1531388058, 1933118234, 1413569584, 1903719954,
        114119578, 1202739082, 1454811162, 1406579895, 1354428704, 620269803, 802867350, 276379367,
        367512638, 979724622, 1768126865, 1584509845, 1931590841, 117370115, 1130188972, 455144083,
    ];

    /// The same with `rd_kafka_msg_partitioner_fnv1a`.
    const LIBRDKAFKA_FNV1A_BY_LENGTH: [u32; 41] = [
        2128831035, 1710508882, 431963474, 2010635233, 1283889935, 499878094, 1352205678, 570968265,
        623831715, 146392622, 79725446, 1328721833, 1787900121, 334509646, 300047718, 1043384209, 948750261,
        53706370, 1759736018, 720388689, 2117569825, 1724340226, 405079534, 1747717241, 639108429,
        1651264514, 921210266, 1368793305, 1457058249, 489740354, 2080690182, 1559118527, 389450469,
        1039022030, 17843282, 1709915905, 696107695, 671552622, 1480855534, 1345011863, 114208195,
    ];

    /// Bytes of every value at every place, those above 127 included: Java's bytes are signed.
    fn sample(length: usize) -> Vec<u8> {
        (0..length).map(|i| (length * 31 + i * 73 + 0x80) as u8).collect()
    }

    /// Scenario: the Java murmur2 vectors → equal.
    #[test]
    fn the_java_murmur2_vectors_are_equal() {
        for (key, hash) in JAVA_MURMUR2 {
            assert_eq!(murmur2(key.as_bytes()), hash, "{key:?}");
        }
        for (length, hash) in JAVA_MURMUR2_BY_LENGTH.into_iter().enumerate() {
            assert_eq!(murmur2(&sample(length)), hash, "length {length}");
        }
    }

    /// Scenario: crc32 and fnv1a as librdkafka has them.
    #[test]
    fn crc32_and_fnv1a_are_as_librdkafka_has_them() {
        let modulus = (1 << 31) - 1;
        for length in 0..=40 {
            let bytes = sample(length);
            assert_eq!(
                crc32(&bytes) % modulus,
                LIBRDKAFKA_CONSISTENT_BY_LENGTH[length],
                "length {length}"
            );
            assert_eq!(
                fnv1a(&bytes) % modulus,
                LIBRDKAFKA_FNV1A_BY_LENGTH[length],
                "length {length}"
            );
        }
        // The unit test of librdkafka 2.12.1's fnv1a, whole hashes.
        for (key, hash) in [
            ("kafka", 0x0d33c4e1),
            ("giberish123456789", 0x77a58295),
            ("1234", 0x023bdd03),
            ("", 0x7ee3623b),
        ] {
            assert_eq!(fnv1a(key.as_bytes()), hash, "{key:?}");
        }
        // The check value of the CRC catalogue.
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn to_positive_clears_the_sign_and_nothing_else() {
        for (hash, positive) in [
            (0, 0),
            (1, 1),
            (0x7fff_ffff, 0x7fff_ffff),
            (0x8000_0000, 0),
            (u32::MAX, 0x7fff_ffff),
        ] {
            assert_eq!(to_positive(hash), positive);
        }
    }

    /// Bit by bit, as the standard writes it.
    fn crc32_by_bits(bytes: &[u8]) -> u32 {
        let mut crc = u32::MAX;
        for &byte in bytes {
            crc ^= u32::from(byte);
            for _ in 0..8 {
                crc = if crc & 1 == 1 {
                    crc >> 1 ^ CRC32_POLYNOMIAL
                } else {
                    crc >> 1
                };
            }
        }
        !crc
    }

    proptest! {
        #[test]
        fn crc32_by_tables_equals_crc32_by_bits(bytes: Vec<u8>) {
            prop_assert_eq!(crc32(&bytes), crc32_by_bits(&bytes));
        }

        #[test]
        fn murmur2_depends_on_every_byte(mut bytes in proptest::collection::vec(any::<u8>(), 1..64), at: usize, flip in 1..=255_u8) {
            let before = murmur2(&bytes);
            let at = at % bytes.len();
            bytes[at] ^= flip;
            // One word that differs: every step of murmur2 is a bijection of the hash and of the word.
            prop_assert_ne!(murmur2(&bytes), before);
        }
    }
}

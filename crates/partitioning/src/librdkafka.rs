//! librdkafka's family: what `partitioner` means there.

use crate::{Choice, Partitioner, RecordView, TopicState, TopicView, crc32, fnv1a, murmur2, to_positive};
use std::fmt;
use std::str::FromStr;

/// One of librdkafka's seven partitioners, so that a producer beside one of librdkafka's puts a key where that does.
///
/// | scheme | key | no key | empty key |
/// |---|---|---|---|
/// | `random` | random | keyless | random |
/// | `consistent` | CRC-32 | partition 0 | partition 0 |
/// | `consistent_random` (librdkafka's default) | CRC-32 | keyless | keyless |
/// | `murmur2` | murmur2 | hash of "" | hash of "" |
/// | `murmur2_random` (as Java) | murmur2 | keyless | hash of "" |
/// | `fnv1a` | FNV-1a | hash of "" | hash of "" |
/// | `fnv1a_random` (as Sarama) | FNV-1a | keyless | hash of "" |
///
/// Keyless is what [`Keyless`] says. Random is uniform over all partitions; if the one drawn has no leader, one more is
/// drawn, and that one stays.
///
/// ```
/// use ottla_partitioning::{Choice, Librdkafka, LibrdkafkaScheme, Partitioner, RecordView, TopicState, TopicView};
///
/// let partitioner = Librdkafka::new("consistent_random".parse::<LibrdkafkaScheme>()?);
/// let (topic, state) = (TopicView::new(6, &[0, 1, 2, 3, 4, 5]), TopicState::new(16_384, 1));
/// let record = RecordView::new("topic").key(Some(b"kafka"));
/// assert_eq!(partitioner.partition(&record, &topic, &state), Choice::Partition(5));
/// # Ok::<(), ottla_partitioning::UnknownScheme>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Librdkafka {
    scheme: LibrdkafkaScheme,
    keyless: Keyless,
}

/// Which of librdkafka's partitioners. It is exhaustive: librdkafka has had these for years, and a new one would be a
/// new choice for whoever matches on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum LibrdkafkaScheme {
    /// `random`
    Random,
    /// `consistent`
    Consistent,
    /// `consistent_random`, the default of librdkafka
    #[default]
    ConsistentRandom,
    /// `murmur2`
    Murmur2,
    /// `murmur2_random`
    Murmur2Random,
    /// `fnv1a`
    Fnv1a,
    /// `fnv1a_random`
    Fnv1aRandom,
}

/// Where records go that have no key to hash. It is exhaustive: librdkafka's option is on or off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Keyless {
    /// To the sticky partition. librdkafka's moves by time (`sticky.partitioning.linger.ms`), this one by bytes
    /// (KIP-794); both fill batches.
    #[default]
    Sticky,
    /// Each to a random partition, as with `sticky.partitioning.linger.ms=0`.
    Random,
}

impl Librdkafka {
    /// The partitioner of this scheme, with sticky partitions for records without a key.
    pub const fn new(scheme: LibrdkafkaScheme) -> Librdkafka {
        Librdkafka {
            scheme,
            keyless: Keyless::Sticky,
        }
    }

    /// Sets where records without a key go.
    pub const fn keyless(mut self, keyless: Keyless) -> Librdkafka {
        self.keyless = keyless;
        self
    }
}

impl Partitioner for Librdkafka {
    #[inline]
    fn partition(&self, record: &RecordView<'_>, topic: &TopicView<'_>, state: &TopicState) -> Choice {
        use LibrdkafkaScheme as Scheme;
        let hash = match (self.scheme, record.key) {
            (Scheme::Random, Some(_)) => return random(topic, state),
            (Scheme::ConsistentRandom, Some([])) => return self.without_key(topic, state),
            (
                Scheme::Random | Scheme::ConsistentRandom | Scheme::Murmur2Random | Scheme::Fnv1aRandom,
                None,
            ) => {
                return self.without_key(topic, state);
            }
            (Scheme::Consistent | Scheme::ConsistentRandom, key) => crc32(key.unwrap_or_default()),
            (Scheme::Murmur2 | Scheme::Murmur2Random, key) => to_positive(murmur2(key.unwrap_or_default())),
            (Scheme::Fnv1a | Scheme::Fnv1aRandom, key) => fnv1a(key.unwrap_or_default()),
        };
        Choice::Partition(topic.partition_of_hash(hash))
    }
}

impl Librdkafka {
    fn without_key(&self, topic: &TopicView<'_>, state: &TopicState) -> Choice {
        match self.keyless {
            Keyless::Sticky => Choice::Sticky,
            Keyless::Random => random(topic, state),
        }
    }
}

fn random(topic: &TopicView<'_>, state: &TopicState) -> Choice {
    let draw = || state.random_below(topic.partition_count() as u32) as i32;
    let first = draw();
    Choice::Partition(if topic.is_available(first) { first } else { draw() })
}

impl LibrdkafkaScheme {
    /// All seven.
    pub const ALL: [LibrdkafkaScheme; 7] = [
        LibrdkafkaScheme::Random,
        LibrdkafkaScheme::Consistent,
        LibrdkafkaScheme::ConsistentRandom,
        LibrdkafkaScheme::Murmur2,
        LibrdkafkaScheme::Murmur2Random,
        LibrdkafkaScheme::Fnv1a,
        LibrdkafkaScheme::Fnv1aRandom,
    ];

    /// The value of librdkafka's `partitioner` setting.
    pub const fn name(self) -> &'static str {
        match self {
            LibrdkafkaScheme::Random => "random",
            LibrdkafkaScheme::Consistent => "consistent",
            LibrdkafkaScheme::ConsistentRandom => "consistent_random",
            LibrdkafkaScheme::Murmur2 => "murmur2",
            LibrdkafkaScheme::Murmur2Random => "murmur2_random",
            LibrdkafkaScheme::Fnv1a => "fnv1a",
            LibrdkafkaScheme::Fnv1aRandom => "fnv1a_random",
        }
    }
}

impl fmt::Display for LibrdkafkaScheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for LibrdkafkaScheme {
    type Err = UnknownScheme;

    fn from_str(name: &str) -> Result<LibrdkafkaScheme, UnknownScheme> {
        let scheme = LibrdkafkaScheme::ALL
            .into_iter()
            .find(|scheme| scheme.name() == name);
        scheme.ok_or_else(|| UnknownScheme {
            name: name.chars().take(UNKNOWN_NAME_CHARACTERS_MAX).collect(),
        })
    }
}

/// A name is quoted in an error up to this length: twice the longest that exists.
const UNKNOWN_NAME_CHARACTERS_MAX: usize = 34;

/// A name that none of librdkafka's partitioners has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownScheme {
    name: String,
}

impl fmt::Display for UnknownScheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is none of librdkafka's partitioners:", self.name)?;
        for (scheme, separator) in LibrdkafkaScheme::ALL
            .into_iter()
            .zip([" ", ", ", ", ", ", ", ", ", ", ", " and "])
        {
            write!(f, "{separator}{scheme}")?;
        }
        Ok(())
    }
}

impl std::error::Error for UnknownScheme {}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use LibrdkafkaScheme as Scheme;

    /// Keys, and their partitions of 6 and of 1,000,003, by `rd_kafka_msg_partitioner_{consistent,murmur2,fnv1a}` of
    /// librdkafka 2.0.2.
    const GOLDEN: [(&str, [(i32, i32); 3]); 12] = [
        ("", [(0, 0), (3, 645856), (3, 824651)]),
        ("a", [(3, 344195), (4, 100772), (0, 963672)]),
        ("kafka", [(5, 72782), (4, 976536), (5, 495882)]),
        ("giberish123456789", [(5, 428870), (2, 239049), (5, 329552)]),
        ("1234", [(1, 394814), (0, 296341), (3, 477524)]),
        ("234", [(1, 539782), (2, 633446), (0, 323404)]),
        ("34", [(2, 447393), (0, 188207), (4, 177325)]),
        ("4", [(4, 785744), (1, 883811), (1, 909121)]),
        (
            "PreAmbleWillBeRemoved,ThePrePartThatIs",
            [(2, 100447), (2, 605497), (2, 852443)],
        ),
        ("user-00000042", [(2, 826441), (0, 492086), (1, 986895)]),
        ("日本語のキー", [(3, 431819), (2, 803706), (1, 308035)]),
        // The last line is again the empty key: what `consistent`, `murmur2` and `fnv1a` do with no key at all.
        ("", [(0, 0), (3, 645856), (3, 824651)]),
    ];

    fn choose(scheme: Scheme, key: Option<&[u8]>, count: i32) -> Choice {
        let available: Vec<_> = (0..count.min(10)).collect();
        let record = RecordView::new("t").key(key);
        let state = TopicState::new(16_384, 0);
        Librdkafka::new(scheme).partition(&record, &TopicView::new(count, &available), &state)
    }

    #[test]
    fn keys_go_where_librdkafka_sends_them() {
        let families = [
            [Scheme::Consistent, Scheme::ConsistentRandom],
            [Scheme::Murmur2, Scheme::Murmur2Random],
            [Scheme::Fnv1a, Scheme::Fnv1aRandom],
        ];
        for (key, partitions) in GOLDEN {
            for (schemes, (of_6, of_1000003)) in families.into_iter().zip(partitions) {
                for scheme in schemes {
                    if key.is_empty() && scheme == Scheme::ConsistentRandom {
                        continue;
                    }
                    let key = Some(key.as_bytes());
                    assert_eq!(
                        choose(scheme, key, 6),
                        Choice::Partition(of_6),
                        "{scheme} {key:?}"
                    );
                    assert_eq!(
                        choose(scheme, key, 1_000_003),
                        Choice::Partition(of_1000003),
                        "{scheme} {key:?}"
                    );
                }
            }
        }
    }

    /// The two right columns of the table; `None` is random.
    #[test]
    fn no_key_and_an_empty_key_are_what_the_table_says() {
        let sticky = Some(Choice::Sticky);
        let of = |partition| Some(Choice::Partition(partition));
        for (scheme, no_key, empty_key) in [
            (Scheme::Random, sticky, None),
            (Scheme::Consistent, of(0), of(0)),
            (Scheme::ConsistentRandom, sticky, sticky),
            (Scheme::Murmur2, of(3), of(3)),
            (Scheme::Murmur2Random, sticky, of(3)),
            (Scheme::Fnv1a, of(3), of(3)),
            (Scheme::Fnv1aRandom, sticky, of(3)),
        ] {
            for (key, expected) in [(None, no_key), (Some(&b""[..]), empty_key)] {
                let choice = choose(scheme, key, 6);
                match expected {
                    Some(expected) => assert_eq!(choice, expected, "{scheme} {key:?}"),
                    None => assert!(matches!(choice, Choice::Partition(0..6)), "{scheme} {key:?}"),
                }
            }
        }
    }

    #[test]
    fn random_is_uniform_and_tries_once_more_for_a_leader() {
        let state = TopicState::new(16_384, 9);
        // Half of the partitions have a leader: 3/4 of the records find one.
        let topic = TopicView::new(4, &[0, 2]);
        let mut seen = [0; 4];
        for (keyless, key) in [(Keyless::Random, None), (Keyless::Sticky, Some(&b"k"[..]))] {
            let partitioner = Librdkafka::new(Scheme::Random).keyless(keyless);
            for _ in 0..8_000 {
                match partitioner.partition(&RecordView::new("t").key(key), &topic, &state) {
                    Choice::Partition(partition) => seen[partition as usize] += 1,
                    Choice::Sticky => panic!("not asked for"),
                }
            }
        }
        for (count, expected) in seen.into_iter().zip([6_000_i32, 2_000, 6_000, 2_000]) {
            assert!((count - expected).abs() < 300, "{seen:?}");
        }
    }

    #[test]
    fn names_parse_and_print() {
        for scheme in Scheme::ALL {
            assert_eq!(scheme.to_string().parse(), Ok(scheme));
        }
        let error = "murmur3".parse::<Scheme>().unwrap_err().to_string();
        assert!(
            error.starts_with("\"murmur3\" is none of") && error.contains("fnv1a and fnv1a_random"),
            "{error}"
        );
    }
}

//! "Did you mean": the nearest known name to one that is not known.

/// The name among `candidates` that `unknown` was most likely meant to be, if any is near.
///
/// Case and separators do not count, so that `batch_size` and `batchSize` find `batch.size`.
pub(super) fn nearest<'a>(unknown: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    /// Longer than every name; what is beyond cannot be near to one.
    const LENGTH_MAX: usize = 80;
    let wanted = letters(unknown);
    if wanted.is_empty() || wanted.len() > LENGTH_MAX {
        return None;
    }
    // One slip in a short name, more in a long one.
    let distance_max = 1 + wanted.len() / 6;
    candidates
        .map(|candidate| (distance(&wanted, &letters(candidate)), candidate))
        .filter(|(distance, _)| *distance <= distance_max)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

fn letters(name: &str) -> Vec<char> {
    name.chars()
        .filter(|character| character.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .collect()
}

/// Insertions, deletions, replacements and swaps of neighbours that turn `a` into `b` (optimal string alignment).
fn distance(a: &[char], b: &[char]) -> usize {
    let mut before_last = vec![0; b.len() + 1];
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 0..a.len() {
        let mut current = Vec::with_capacity(b.len() + 1);
        current.push(i + 1);
        for j in 0..b.len() {
            let replaced = last[j] + usize::from(a[i] != b[j]);
            let mut least = replaced.min(last[j + 1] + 1).min(current[j] + 1);
            if i > 0 && j > 0 && a[i] == b[j - 1] && a[i - 1] == b[j] {
                least = least.min(before_last[j - 1] + 1);
            }
            current.push(least);
        }
        before_last = std::mem::replace(&mut last, current);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::super::table::DEFINITIONS;
    use super::*;

    #[track_caller]
    fn check(unknown: &str, expected: Option<&str>) {
        assert_eq!(
            nearest(unknown, DEFINITIONS.iter().map(|definition| definition.name)),
            expected,
            "{unknown}"
        );
    }

    #[test]
    fn finds_what_was_meant() {
        check("lingr.ms", Some("linger.ms"));
        check("lignerms", Some("linger.ms"));
        check("batch_size", Some("batch.size"));
        check("BOOTSTRAP_SERVER", Some("bootstrap.servers"));
        check("compresion.type", Some("compression.type"));
        check("enableIdempotence", Some("enable.idempotence"));
        check("ack", Some("acks"));
        check("group.id", None);
        check("auto.offset.reset", None);
        check("", None);
        check(&"linger.ms".repeat(100), None);
    }

    #[test]
    fn distance_is_symmetric_and_counts_slips() {
        let words = ["", "a", "ab", "ba", "acks", "akcs", "linger", "lingers"];
        for a in words {
            for b in words {
                assert_eq!(
                    distance(&letters(a), &letters(b)),
                    distance(&letters(b), &letters(a)),
                    "{a} {b}"
                );
                assert_eq!(distance(&letters(a), &letters(b)) == 0, a == b, "{a} {b}");
            }
        }
        assert_eq!(distance(&letters("acks"), &letters("akcs")), 1);
    }
}

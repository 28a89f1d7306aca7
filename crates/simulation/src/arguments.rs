//! The command line. `cargo xtask sim` has read it once already, so that this one needs no library for it.

use crate::mutants::SEEDS_MAX;
use std::time::Duration;

/// What to run.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Arguments {
    /// The first seed.
    pub(crate) first: u64,
    /// How many.
    pub(crate) seeds: u64,
    /// No new seed after so long.
    pub(crate) time_max: Option<Duration>,
    /// Print all that happens in the first seed.
    pub(crate) trace: bool,
    /// Plant one bug after the other.
    pub(crate) mutants: bool,
    /// Of those only the ones whose name has this.
    pub(crate) only: Option<String>,
    /// Plant this bug.
    pub(crate) plant: Option<String>,
}

impl Arguments {
    /// Reads the arguments behind the program's name.
    pub(crate) fn parse(words: impl Iterator<Item = String>) -> Result<Arguments, String> {
        let mut first = None;
        let mut seeds = None;
        let mut minutes: Option<f64> = None;
        let (mut trace, mut mutants) = (false, false);
        let (mut only, mut plant) = (None, None);
        let mut words = words;
        while let Some(word) = words.next() {
            match word.as_str() {
                "--seed" => first = Some(number(&word, words.next())?),
                "--seeds" => seeds = Some(number(&word, words.next())?),
                "--minutes" => minutes = Some(number(&word, words.next())?),
                "--trace" => trace = true,
                "--mutants" => mutants = true,
                "--only" => only = words.next(),
                "--plant" => plant = words.next(),
                _ => return Err(format!("unknown argument {word}")),
            }
        }
        let time_max = minutes
            .filter(|minutes| *minutes > 0.0)
            .map(|minutes| Duration::from_secs_f64(minutes * 60.0));
        // One seed that is named is meant alone; a limit of time alone is meant to be used up.
        let default = match (first, time_max) {
            _ if mutants => SEEDS_MAX,
            (_, Some(_)) => u64::MAX,
            (Some(_), None) => 1,
            (None, None) => 100,
        };
        Ok(Arguments {
            first: first.unwrap_or(1),
            seeds: seeds.unwrap_or(default),
            time_max,
            trace,
            mutants,
            only,
            plant,
        })
    }
}

fn number<T: std::str::FromStr>(name: &str, word: Option<String>) -> Result<T, String> {
    let word = word.ok_or_else(|| format!("{name} needs a number"))?;
    word.parse()
        .map_err(|_| format!("{name} needs a number, not {word}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_alone_is_one_seed() {
        let parse = |line: &str| Arguments::parse(line.split_whitespace().map(str::to_owned));
        let all = parse("--seeds 20 --seed 3 --minutes 0.5 --trace").expect("all of them");
        assert_eq!(
            (all.first, all.seeds, all.time_max, all.trace),
            (3, 20, Some(Duration::from_secs(30)), true)
        );
        assert_eq!(
            parse("--seed 9").map(|arguments| (arguments.first, arguments.seeds)),
            Ok((9, 1))
        );
        assert_eq!(
            parse("").map(|arguments| (arguments.first, arguments.seeds)),
            Ok((1, 100))
        );
        assert_eq!(
            parse("--minutes 1").map(|arguments| arguments.seeds),
            Ok(u64::MAX)
        );
        assert_eq!(
            parse("--mutants").map(|arguments| (arguments.mutants, arguments.seeds)),
            Ok((true, SEEDS_MAX))
        );
        assert!(parse("--seed").is_err() && parse("--seeds x").is_err() && parse("--sneeds 1").is_err());
    }
}

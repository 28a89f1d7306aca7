//! The manager against a coordinator that is a model, over many seeds.

#[allow(unreachable_pub, reason = "the fuzz target has this file as a public module")]
mod model;

/// How many seeds; each is some 300 events.
const SEEDS: u64 = 5_000;

#[test]
fn what_a_commit_says_is_true_over_many_seeds() {
    let mut committed = 0;
    for seed in 0..SEEDS {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut input = vec![0; 600];
        random.fill(&mut input);
        let outcome = std::panic::catch_unwind(|| model::run(&input));
        committed += outcome.unwrap_or_else(|_| panic!("seed {seed}"));
    }
    // A model that never gets there proves nothing.
    assert!(
        committed > SEEDS as usize,
        "{committed} transactions were committed"
    );
}

//! Prints docs/metrics.md.

fn main() {
    print!("{}", ottla_metrics::reference());
}

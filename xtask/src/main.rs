//! Everything that builds, checks and tests Ottla.

fn main() {}

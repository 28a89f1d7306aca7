//! See [`ottla_fuzz::accumulator`].
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| ottla_fuzz::accumulator::run(input));

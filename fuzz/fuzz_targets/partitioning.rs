//! See [`ottla_fuzz::partitioning`].
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| ottla_fuzz::partitioning::run(input));

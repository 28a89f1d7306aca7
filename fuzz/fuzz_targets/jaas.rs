//! See [`ottla_fuzz::jaas`].
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| ottla_fuzz::jaas::run(input));

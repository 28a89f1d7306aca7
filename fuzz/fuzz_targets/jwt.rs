//! See [`ottla_fuzz::jwt`].
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| ottla_fuzz::jwt::run(input));

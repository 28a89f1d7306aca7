//! See [`ottla_fuzz::oauth`].
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| ottla_fuzz::oauth::run(input));

//! See [`ottla_fuzz::registry`].
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| ottla_fuzz::registry::run(input));

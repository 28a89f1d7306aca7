//! See [`ottla_fuzz::wire`].
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| ottla_fuzz::wire::run(input));

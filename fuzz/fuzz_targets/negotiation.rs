//! See [`ottla_fuzz::negotiation`].
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| ottla_fuzz::negotiation::run(input));

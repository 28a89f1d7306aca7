//! See [`ottla_fuzz::sasl`].
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| ottla_fuzz::sasl::run(input));

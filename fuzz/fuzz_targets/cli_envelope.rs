//! See [`ottla_fuzz::cli_envelope`].
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| ottla_fuzz::cli_envelope::run(input));

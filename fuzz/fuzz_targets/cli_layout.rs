//! See [`ottla_fuzz::cli_layout`].
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| ottla_fuzz::cli_layout::run(input));

//! See [`ottla_fuzz::decompress`].
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| ottla_fuzz::decompress::run(input));

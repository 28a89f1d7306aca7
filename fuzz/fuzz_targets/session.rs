//! See [`ottla_fuzz::session`].
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| ottla_fuzz::session::run(input));

//! See [`ottla_fuzz::messages`].
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| ottla_fuzz::messages::run(input));

//! See [`ottla_fuzz::hostile_broker`].
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| ottla_fuzz::hostile_broker::run(input));

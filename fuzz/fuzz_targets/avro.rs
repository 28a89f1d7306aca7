//! See [`ottla_fuzz::avro`].
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| ottla_fuzz::avro::run(input));

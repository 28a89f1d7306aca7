//! See [`ottla_fuzz::codec_roundtrip`].
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| ottla_fuzz::codec_roundtrip::run(input));

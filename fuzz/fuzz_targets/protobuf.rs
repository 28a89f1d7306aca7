//! See [`ottla_fuzz::protobuf`].
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| ottla_fuzz::protobuf::run(input));

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| targets::merge_driver::run(input));

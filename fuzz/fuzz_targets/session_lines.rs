#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| targets::session_lines::run(input));

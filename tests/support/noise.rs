//! Text that cannot be stored shorter than it is: the database compresses what repeats itself.

use std::fmt::Write as _;

/// So many bytes of lines that look random; others for another seed.
pub(crate) fn noise(seed: u64, length: usize) -> String {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut text = String::with_capacity(length + 17);
    while text.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let _ = writeln!(text, "{state:016x}");
    }
    text.truncate(length);
    text
}

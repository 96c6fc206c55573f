//! The lines of a file that may be of any size: bounded memory, and a digest of exactly the bytes that were read.

use std::io::{self, BufRead};

use sha2::{Digest as _, Sha256};

/// Longest line that is held, in bytes.
pub(super) const MAX_LINE: usize = 64 << 20;

/// What the buffer may keep between lines.
const KEEP: usize = 1 << 20;

/// A line, without its end.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line<'b> {
    /// A line that was ended.
    Whole(&'b [u8]),
    /// The last one, without an end: the writer may have been in the middle of it.
    Cut(&'b [u8]),
    /// More than is held.
    TooLong,
}

/// Reads lines.
pub(super) struct Lines<R> {
    source: R,
    limit: usize,
    digest: Sha256,
    size: u64,
    number: u64,
    buffer: Vec<u8>,
}

impl<R: BufRead> Lines<R> {
    pub(super) fn new(source: R, limit: usize) -> Self {
        Self { source, limit, digest: Sha256::new(), size: 0, number: 0, buffer: Vec::new() }
    }

    /// The next line and its number, from 1; none at the end.
    pub(super) fn next(&mut self) -> io::Result<Option<(u64, Line<'_>)>> {
        self.buffer.clear();
        self.buffer.shrink_to(KEEP);
        let (mut length, mut ended) = (0_usize, false);
        while !ended {
            let chunk = match self.source.fill_buf() {
                Ok([]) => break,
                Ok(chunk) => chunk,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            let end = chunk.iter().position(|byte| *byte == b'\n');
            let text = &chunk[..end.unwrap_or(chunk.len())];
            length = length.saturating_add(text.len());
            if length <= self.limit {
                self.buffer.extend_from_slice(text);
            } else {
                self.buffer = Vec::new();
            }
            ended = end.is_some();
            let used = text.len() + usize::from(ended);
            self.digest.update(&chunk[..used]);
            self.size += used as u64;
            self.source.consume(used);
        }
        if length == 0 && !ended {
            return Ok(None);
        }
        self.number += 1;
        let line = match ended {
            _ if length > self.limit => Line::TooLong,
            true => Line::Whole(&self.buffer),
            false => Line::Cut(&self.buffer),
        };
        Ok(Some((self.number, line)))
    }

    /// How many bytes were read, and their SHA-256 in hexadecimal digits.
    pub(super) fn finish(self) -> (u64, String) {
        const DIGITS: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
        let digits = |byte: u8| [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]];
        (self.size, self.digest.finalize().into_iter().flat_map(digits).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &[u8], limit: usize) -> (Vec<String>, u64, String) {
        // a tiny buffer, so that lines span several
        let mut lines = Lines::new(io::BufReader::with_capacity(3, text), limit);
        let mut all = Vec::new();
        while let Some((number, line)) = lines.next().unwrap() {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            all.push(match line {
                Line::Whole(bytes) => format!("{number} whole {}", text(bytes)),
                Line::Cut(bytes) => format!("{number} cut {}", text(bytes)),
                Line::TooLong => format!("{number} too long"),
            });
        }
        let (size, digest) = lines.finish();
        (all, size, digest)
    }

    #[test]
    fn lines_are_told_by_their_ends() {
        assert_eq!(lines(b"", 9).0, Vec::<String>::new());
        assert_eq!(lines(b"\n", 9).0, ["1 whole "]);
        assert_eq!(lines(b"abcdef\n\ngh", 9).0, ["1 whole abcdef", "2 whole ", "3 cut gh"]);
    }

    #[test]
    fn a_line_that_is_too_long_is_skipped_and_the_next_is_read() {
        let text = b"0123456789\nabcd\n012345";
        assert_eq!(lines(text, 4).0, ["1 too long", "2 whole abcd", "3 too long"]);
        assert_eq!(lines(text, 4).1, text.len() as u64, "what is skipped is read all the same");
    }

    #[test]
    fn the_digest_is_of_all_bytes() {
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(lines(b"abc", 9), (vec!["1 cut abc".into()], 3, expected.into()));
        assert_eq!(lines(b"abc", 1).2, expected);
    }
}

//! The pairs of a `Cookie:` header. A cookie is a secret if it is named like a session, or drawn at random.

use super::super::Rule;
use super::super::value::{is_placeholder, is_random, reads_as_words};
use super::super::words::is_blank;
use super::Search;

/// Parts of the names of cookies that say who somebody is.
const SESSIONS: [&str; 10] =
    ["sess", "sid", "auth", "token", "jwt", "login", "remember", "ticket", "identity", "credential"];

/// Shortest value that is looked at.
const LEAST: usize = 12;

/// So much of a header is looked at.
const LONGEST: usize = 4096;

impl Search<'_> {
    /// Looks through the pairs after the word `cookie`.
    pub(super) fn cookie(&mut self, start: usize, end: usize) {
        let Some(value) = self.assigned_value(start, end) else { return };
        if value.start < self.done[Rule::Cookie as usize] {
            return;
        }
        let limit = (value.start + LONGEST).min(self.bytes.len());
        let in_header = |b: u8| !matches!(b, b'\n' | b'\r' | b'"' | b'\'' | b'`' | b'\\');
        let header_end = if value.quoted { value.end } else { self.skip(value.start, in_header).min(limit) };
        let mut at = value.start;
        while at < header_end {
            let name = self.skip(at, is_blank);
            let name_end =
                self.skip(name, |b| b.is_ascii_graphic() && !matches!(b, b'=' | b';' | b',')).min(header_end);
            if self.at(name_end) == b'=' && name_end > name && name_end < header_end {
                let first = name_end + 1;
                let last = self.skip(first, |b| b.is_ascii_graphic() && !matches!(b, b';' | b',')).min(header_end);
                if self.is_session(name, name_end, first, last) {
                    self.found(Rule::Cookie, first, last);
                }
                at = last;
            } else if at == value.start {
                // a sentence about cookies
                break;
            } else {
                at = name_end;
            }
            // the next pair; an attribute such as a date may hold blanks
            at = self.skip(at, |b| b != b';' && in_header(b)).min(header_end) + 1;
        }
        self.done[Rule::Cookie as usize] = header_end;
    }

    fn is_session(&self, name: usize, name_end: usize, first: usize, last: usize) -> bool {
        let text = self.judged(first, last.max(first));
        if text.len() < LEAST || is_placeholder(text) || reads_as_words(text) {
            return false;
        }
        let name = self.judged(name, name_end).to_ascii_lowercase();
        SESSIONS.iter().any(|part| name.contains(part)) || (text.len() >= 20 && is_random(text))
    }
}

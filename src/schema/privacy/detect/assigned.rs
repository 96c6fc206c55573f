//! What is assigned to a name, and whether that is a secret.

use super::super::value::{is_identifier, is_member_path, is_placeholder, is_variable_name, reads_as_words};
use super::super::words::{is_blank, is_dashed, is_value_byte, is_word_byte};
use super::Search;

/// A value and how it was written.
pub(super) struct Value {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) quoted: bool,
    pub(super) separator: Separator,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Separator {
    Colon,
    Equals,
    SpacedEquals,
    Comparison,
    /// The bar between a table's cells.
    Cell,
    /// The blank after a `--flag`.
    Flag,
    /// The comma between two items of a list.
    Item,
    /// What stands between a name and its value where each is a field of an object.
    Fields,
}

impl Search<'_> {
    /// What is assigned to a name that ends at `end`.
    pub(super) fn assigned_value(&mut self, start: usize, end: usize) -> Option<Value> {
        let mut at = end;
        if self.bytes[at..].get(..5).is_some_and(|suffix| suffix.eq_ignore_ascii_case(b"_base")) {
            at += 5;
        }
        // API_KEY_2
        let number = at + usize::from(matches!(self.at(at), b'_' | b'-'));
        let number_end = self.skip(number, |b| b.is_ascii_digit());
        if number_end > number {
            at = number_end;
        }
        if is_blank(self.at(at)) && self.is_flag(start) {
            return Some(self.value_from(self.skip(at, is_blank), Separator::Flag));
        }
        if let Some(value) = self.value_beside(start, at) {
            return Some(value);
        }
        at = self.skip(at, |b| matches!(b, b'"' | b'\'' | b'`' | b'*' | b'\\' | b']'));
        let blanks = self.skip(at, is_blank);
        let (mut value, mut separator) = self.separator(at, blanks)?;
        // the `=` after a type: `token: &str = "…"`
        if separator == Separator::Colon {
            let type_end =
                self.skip(value, |b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'&' | b'<' | b'>' | b'\''));
            if type_end - value <= 40 && self.bytes[type_end..].starts_with(b" = ") {
                (value, separator) = (type_end + 3, Separator::SpacedEquals);
            }
        }
        Some(self.value_from(value, separator))
    }

    /// The separator at `at` (blanks before it end at `blanks`) and where the value after it begins.
    fn separator(&self, at: usize, blanks: usize) -> Option<(usize, Separator)> {
        let (separator, len) = match (self.at(blanks), self.at(blanks + 1)) {
            (b':', b':') => return None,
            (b':', b'=') | (b'=', b'>') => (Separator::SpacedEquals, 2),
            (b'=', b'=') => (Separator::Comparison, 2 + usize::from(self.at(blanks + 2) == b'=')),
            (b'=', next) if blanks > at && is_blank(next) => (Separator::SpacedEquals, 1),
            (b'=', _) => (Separator::Equals, 1),
            (b':', _) => (Separator::Colon, 1),
            (b'|', _) => (Separator::Cell, 1),
            _ => return None,
        };
        Some((self.skip(blanks + len, |b| is_blank(b) || b == b'*'), separator))
    }

    /// Whether the name at `start` is the end of a `--flag`.
    fn is_flag(&self, start: usize) -> bool {
        let from = start.saturating_sub(32);
        let name = self.bytes[from..start].iter().rposition(|&b| !is_dashed(b)).map_or(from, |index| from + index + 1);
        self.bytes[name..].starts_with(b"--")
    }

    pub(super) fn value_from(&mut self, mut start: usize, separator: Separator) -> Value {
        const LONGEST_QUOTED: usize = 512;
        if self.at(start) == b'\\' || (matches!(self.at(start), b'r' | b'b' | b'f') && self.at(start + 1) == b'"') {
            start += 1;
        }
        let quote = self.at(start);
        if matches!(quote, b'"' | b'\'' | b'`') {
            start += 1;
            let limit = (start + LONGEST_QUOTED).min(self.bytes.len());
            let end = self.bytes[start..limit].iter().position(|&b| b == quote || b == b'\n').map(|len| start + len);
            if let Some(mut end) = end.filter(|&end| self.bytes[end] == quote) {
                if end > start && self.bytes[end - 1] == b'\\' {
                    end -= 1;
                }
                return Value { start, end, quoted: true, separator };
            }
        }
        let end = self.value_end(start);
        Value { start, end, quoted: false, separator }
    }

    /// The end of the value without quotes at `start`.
    pub(super) fn value_end(&mut self, start: usize) -> usize {
        let (from, to) = self.value_run;
        if !(from..to).contains(&start) {
            self.value_run = (start, self.skip(start, is_value_byte));
        }
        self.value_run.1
    }

    /// As much of a value as is judged, which is enough to tell what it is.
    pub(super) fn judged(&self, start: usize, end: usize) -> &str {
        const MOST: usize = 256;
        let mut end = end.min(start + MOST);
        while !self.text.is_char_boundary(end) {
            end -= 1;
        }
        &self.text[start..end]
    }

    /// The same of a value without quotes, whose end may be a sentence's.
    pub(super) fn judged_bare(&self, start: usize, end: usize) -> &str {
        self.judged(start, end).trim_end_matches(['.', ':', '!', '?', '*'])
    }

    pub(super) fn is_secret(&self, value: &Value) -> bool {
        let whole = self.judged(value.start, value.end);
        let text = if value.quoted { whole } else { self.judged_bare(value.start, value.end) };
        // the ellipsis of an elided value is at its end
        let is_harmless = text.len() < 12
            || is_placeholder(whole)
            || is_placeholder(text)
            || text.contains("://")
            || text.starts_with("data:")
            || (text.contains('/') && reads_as_words(text))
            || is_member_path(text, value.quoted)
            || (value.separator == Separator::Fields && reads_as_words(text))
            || (value.separator == Separator::Item
                && (reads_as_words(text) || !text.bytes().any(|b| b.is_ascii_digit())));
        if is_harmless {
            return false;
        }
        if value.quoted {
            return !text.trim().contains(char::is_whitespace);
        }
        !self.is_code_or_prose(value, text)
    }

    /// Whether a value without quotes reads as a program's expression or as the beginning of a sentence.
    fn is_code_or_prose(&self, value: &Value, text: &str) -> bool {
        let next = self.at(value.end);
        let after_blanks = self.skip(value.end, is_blank);
        let is_name = text.bytes().all(|b| is_word_byte(b) || matches!(b, b'.' | b':' | b'-'));
        let is_called = is_name && matches!(next, b'(' | b'<' | b'[' | b'{');
        let is_argument = is_identifier(text) && matches!(next, b',' | b')');
        let is_statement =
            is_identifier(text) && value.separator == Separator::SpacedEquals && (next == b';' || text.contains('_'));
        let is_prose = reads_as_words(text)
            && matches!(value.separator, Separator::Colon | Separator::SpacedEquals)
            && after_blanks > value.end
            && !matches!(self.at(after_blanks), b'\n' | b'\r' | b'#' | b'/' | b'|');
        let is_word_beside = matches!(value.separator, Separator::Flag | Separator::Cell) && reads_as_words(text);
        value.separator == Separator::Comparison
            || is_called
            || is_argument
            || is_statement
            || is_prose
            || is_word_beside
            || (is_variable_name(text) && value.separator != Separator::Equals)
    }
}

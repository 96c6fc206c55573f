//! Values that are not assigned to their name but stand beside it: as the next item of a list
//! (`["--api-key", "…"]`), or as another field of the same object (`{"name": "API_KEY", "value": "…"}`).
//!
//! Each look goes a bounded way, forwards or backwards.

use super::super::words::{is_blank, is_dashed};
use super::Search;
use super::assigned::{Separator, Value};

/// Longest stretch of blanks and line ends between two items or fields, and longest name.
const NEAR: usize = 96;

/// Longest value that is looked for backwards.
const LONGEST: usize = 512;

const fn is_quote(b: u8) -> bool {
    matches!(b, b'"' | b'\'')
}

impl Search<'_> {
    /// The value beside a name that has a telling word at `start` and ends at `end`.
    pub(super) fn value_beside(&mut self, start: usize, end: usize) -> Option<Value> {
        let name = self.name_start(start);
        if let Some(at) = self.next_item(name, end) {
            return Some(self.value_from(at, Separator::Item));
        }
        let field = self.field_before(name, &["name", "key"])?;
        match self.value_field(end) {
            Some(at) => Some(self.value_from(at, Separator::Fields)),
            None => self.value_before(field),
        }
    }

    fn name_start(&self, start: usize) -> usize {
        let from = start.saturating_sub(NEAR);
        let before = self.bytes[from..start].iter().rposition(|&b| !(is_dashed(b) || matches!(b, b'.' | b' ')));
        before.map_or(from, |index| from + index + 1)
    }

    /// Goes past blanks, line ends and what else `belongs`, but not far.
    fn skip_near(&self, from: usize, belongs: impl Fn(u8) -> bool) -> usize {
        let limit = (from + NEAR).min(self.bytes.len());
        let between = |&&b: &&u8| b.is_ascii_whitespace() || belongs(b);
        from + self.bytes[from..limit].iter().take_while(between).count()
    }

    /// The same backwards.
    fn skip_near_back(&self, end: usize, belongs: impl Fn(u8) -> bool) -> usize {
        let from = end.saturating_sub(NEAR);
        let between = |&&b: &&u8| b.is_ascii_whitespace() || belongs(b);
        end - self.bytes[from..end].iter().rev().take_while(between).count()
    }

    /// Past a quote, which may be escaped.
    fn past_quote(&self, at: usize) -> Option<usize> {
        let quote = at + usize::from(self.at(at) == b'\\');
        is_quote(self.at(quote)).then_some(quote + 1)
    }

    /// Before a quote that ends at `end`, which may be escaped.
    fn before_quote(&self, end: usize) -> Option<usize> {
        let quote = end.checked_sub(1).filter(|&quote| is_quote(self.bytes[quote]))?;
        Some(quote - usize::from(quote > 0 && self.bytes[quote - 1] == b'\\'))
    }

    /// Where the item after a quoted name begins, with its quote. The name is a `--flag`, or it and that item are all of
    /// the list: words stand beside each other in many lists.
    fn next_item(&self, name: usize, end: usize) -> Option<usize> {
        let opened = self.before_quote(name)?;
        let comma = self.skip_near(self.past_quote(end)?, |_| false);
        if self.at(comma) != b',' {
            return None;
        }
        let item = self.skip_near(comma + 1, |_| false);
        let value = self.past_quote(item)?;
        let is_pair = || {
            let first = self.skip_near_back(opened, |_| false);
            let limit = (value + LONGEST).min(self.bytes.len());
            let last = self.bytes[value..limit].iter().position(|&b| is_quote(b)).map(|len| value + len + 1);
            first > 0
                && self.bytes[first - 1] == b'['
                && last.is_some_and(|last| self.at(self.skip_near(last, |_| false)) == b']')
        };
        (self.bytes[name..].starts_with(b"--") || is_pair()).then_some(item)
    }

    /// Where a field begins whose value begins at `value`, if the field has one of these names.
    fn field_before(&self, value: usize, names: &[&str]) -> Option<usize> {
        let value = self.before_quote(value).unwrap_or(value);
        let separator = self.skip_near_back(value, |_| false);
        let separator = separator.checked_sub(1).filter(|&at| matches!(self.bytes[at], b':' | b'='))?;
        let key_end = self.skip_near_back(separator, |_| false);
        let key_end = self.before_quote(key_end).unwrap_or(key_end);
        names.iter().find_map(|name| {
            let start = key_end.checked_sub(name.len())?;
            let is_whole = start == 0 || !is_dashed(self.bytes[start - 1]);
            (is_whole && self.bytes[start..key_end].eq_ignore_ascii_case(name.as_bytes())).then_some(start)
        })
    }

    /// Where the value of the field `value` begins that follows a name.
    fn value_field(&self, end: usize) -> Option<usize> {
        let next = self.skip_near(self.past_quote(end).unwrap_or(end), |b| b == b',');
        let key = self.past_quote(next).unwrap_or(next);
        let key_end = key + "value".len();
        if next == end || !self.bytes.get(key..key_end)?.eq_ignore_ascii_case(b"value") {
            return None;
        }
        let separator = self.skip(self.past_quote(key_end).unwrap_or(key_end), is_blank);
        matches!(self.at(separator), b':' | b'=').then(|| self.skip(separator + 1, is_blank))
    }

    /// The quoted value of the field `value` that stands before the field at `field`.
    fn value_before(&self, field: usize) -> Option<Value> {
        let field = self.before_quote(field).unwrap_or(field);
        let end = self.before_quote(self.skip_near_back(field, |b| b == b','))?;
        let escaped = self.bytes[end] == b'\\';
        let quote = self.bytes[end + usize::from(escaped)];
        let from = end.saturating_sub(LONGEST);
        let start = from + self.bytes[from..end].iter().rposition(|&b| b == quote)? + 1;
        self.field_before(start, &["value"])?;
        Some(Value { start, end, quoted: true, separator: Separator::Fields })
    }
}

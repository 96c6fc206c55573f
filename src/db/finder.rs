//! Finds a text in others, in any case.

use std::sync::OnceLock;

use regex::Regex;

/// Finds a text in others, in any case.
pub(super) struct Finder<'t> {
    text: &'t str,
    /// Whether all of its letters, in all their cases, are ASCII.
    is_simple: bool,
    pattern: OnceLock<Option<Regex>>,
}

impl<'t> Finder<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        // the Kelvin sign and the long s are cases of ASCII letters, the only ones
        let is_simple = text.is_ascii() && !text.contains(['k', 'K', 's', 'S']);
        Self { text, is_simple, pattern: OnceLock::new() }
    }

    /// Whether it is in a text.
    pub(super) fn is_in(&self, text: &str) -> bool {
        let compile = || Regex::new(&in_any_case(self.text)).ok();
        // a text that is too long for it is in nothing that can be stored
        self.pattern.get_or_init(compile).as_ref().is_some_and(|pattern| pattern.is_match(text))
    }

    /// As [`Finder::is_in`], for a short text: in a thousand of them it takes less than to compile a pattern. Nor is it worth
    /// asking what the processor can do, as fast searches do: that takes as long as to look at some hundred titles.
    pub(super) fn is_in_short(&self, text: &[u8]) -> bool {
        let is_simple = self.is_simple || (self.text.is_ascii() && text.is_ascii());
        if !is_simple {
            return std::str::from_utf8(text).is_ok_and(|text| self.is_in(text));
        }
        match self.text.as_bytes() {
            [] => true,
            wanted @ [first, ..] => {
                let begins = |byte: &u8| byte.eq_ignore_ascii_case(first);
                let is_here = |part: &[u8]| begins(&part[0]) && part.eq_ignore_ascii_case(wanted);
                may_have(text, wanted) && text.windows(wanted.len()).any(is_here)
            }
        }
    }
}

/// Whether a text has the first two bytes of another, or two that differ from them in nothing but the bit by which cases
/// differ. There is no early end, so that the compiler makes it look at many bytes at once.
fn may_have(text: &[u8], wanted: &[u8]) -> bool {
    const CASE: u8 = 0x20;
    let (&[first, second, ..], [_, rest @ ..]) = (wanted, text) else { return true };
    let difference = |(one, next): (&u8, &u8)| ((one ^ first) | (next ^ second)) & !CASE;
    text.iter().zip(rest).fold(u8::MAX, |least, pair| least.min(difference(pair))) == 0
}

/// The pattern of a text in any case. That the pattern's own language could say so, too, would cost every command the
/// time in which its table of cases is relocated: 70 KB of addresses.
fn in_any_case(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len() * 4);
    for c in text.chars() {
        let cases = cases(c);
        if cases.chars().nth(1).is_some() {
            pattern.extend(["[", &cases, "]"]);
        } else {
            pattern.push_str(&regex::escape(&cases));
        }
    }
    pattern
}

/// All that are the same character in another case, by Unicode's simple case folding: itself, its lower or upper case, or
/// one of the [`FORMS`] it belongs to.
fn cases(c: char) -> String {
    if let Some(forms) = FORMS.split(' ').find(|forms| forms.contains(c)) {
        return forms.to_owned();
    }
    let lower = only(c.to_lowercase()).filter(|lower| only(lower.to_uppercase()) == Some(c));
    let upper = only(c.to_uppercase()).filter(|upper| only(upper.to_lowercase()) == Some(c));
    let others = [lower, upper].into_iter().flatten().filter(|other| *other != c);
    std::iter::once(c).chain(others).collect()
}

fn only(mut chars: impl Iterator<Item = char>) -> Option<char> {
    chars.next().filter(|_| chars.next().is_none())
}

/// Characters of more than two forms, and those of which the forms do not lead to each other (`CaseFolding.txt` of the
/// Unicode Character Database, status C and S).
const FORMS: &str = "Kk\u{212a} Ss\u{17f} \u{b5}\u{39c}\u{3bc} \u{c5}\u{e5}\u{212b} \u{df}\u{1e9e} \
    \u{1c4}\u{1c5}\u{1c6} \u{1c7}\u{1c8}\u{1c9} \u{1ca}\u{1cb}\u{1cc} \u{1f1}\u{1f2}\u{1f3} \
    \u{345}\u{399}\u{3b9}\u{1fbe} \u{390}\u{1fd3} \u{392}\u{3b2}\u{3d0} \u{395}\u{3b5}\u{3f5} \
    \u{398}\u{3b8}\u{3d1}\u{3f4} \u{39a}\u{3ba}\u{3f0} \u{3a0}\u{3c0}\u{3d6} \u{3a1}\u{3c1}\u{3f1} \
    \u{3a3}\u{3c2}\u{3c3} \u{3a6}\u{3c6}\u{3d5} \u{3a9}\u{3c9}\u{2126} \u{3b0}\u{1fe3} \u{412}\u{432}\u{1c80} \
    \u{414}\u{434}\u{1c81} \u{41e}\u{43e}\u{1c82} \u{421}\u{441}\u{1c83} \u{422}\u{442}\u{1c84}\u{1c85} \
    \u{42a}\u{44a}\u{1c86} \u{462}\u{463}\u{1c87} \u{1c88}\u{a64a}\u{a64b} \u{1e60}\u{1e61}\u{1e9b} \
    \u{1f80}\u{1f88} \u{1f81}\u{1f89} \u{1f82}\u{1f8a} \u{1f83}\u{1f8b} \u{1f84}\u{1f8c} \u{1f85}\u{1f8d} \
    \u{1f86}\u{1f8e} \u{1f87}\u{1f8f} \u{1f90}\u{1f98} \u{1f91}\u{1f99} \u{1f92}\u{1f9a} \u{1f93}\u{1f9b} \
    \u{1f94}\u{1f9c} \u{1f95}\u{1f9d} \u{1f96}\u{1f9e} \u{1f97}\u{1f9f} \u{1fa0}\u{1fa8} \u{1fa1}\u{1fa9} \
    \u{1fa2}\u{1faa} \u{1fa3}\u{1fab} \u{1fa4}\u{1fac} \u{1fa5}\u{1fad} \u{1fa6}\u{1fae} \u{1fa7}\u{1faf} \
    \u{1fb3}\u{1fbc} \u{1fc3}\u{1fcc} \u{1ff3}\u{1ffc} \u{fb05}\u{fb06}";

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use regex_syntax::hir::{ClassUnicode, ClassUnicodeRange};

    use super::*;

    #[test]
    fn the_cases_of_every_character_are_those_of_unicode() {
        let mut cased = 0;
        for c in '\0'..='\u{1ffff}' {
            let mut class = ClassUnicode::new([ClassUnicodeRange::new(c, c)]);
            class.case_fold_simple();
            let expected: BTreeSet<_> = class.iter().flat_map(|range| range.start()..=range.end()).collect();
            let cases: BTreeSet<_> = cases(c).chars().collect();
            // the standard library may know a newer Unicode, in which a character got another case
            if expected.len() > 1 || cases.iter().all(|case| !is_of_a_newer_unicode(*case)) {
                assert_eq!(cases, expected, "{c:?}");
            }
            cased += usize::from(expected.len() > 1);
        }
        assert!(cased > 2_800, "{cased}");
    }

    /// Whether the other library does not know a case of it yet.
    fn is_of_a_newer_unicode(c: char) -> bool {
        matches!(c, '\u{a7ce}'..='\u{a7d5}' | '\u{16ea0}'..='\u{16ed3}')
    }

    #[test]
    fn a_text_is_found_in_short_texts_as_in_long_ones() {
        let texts = "Fix login|fix LOGIN twice|λόγος ΛΌΓΟΣ|Kelvin \u{212a}||x|fi|ſ and s|Fix λόγος|→fix|[x] @X|on|\
                     \u{212a}elvin|ſo";
        let wanted = "fix|LOGIN|k|kelvin|so|o|on|n | l|@|`x|{|s|λόγος|twice ||fix login twice and more|x λ|→FIX";
        for text in wanted.split('|') {
            let finder = Finder::new(text);
            for in_text in texts.split('|') {
                assert_eq!(finder.is_in_short(in_text.as_bytes()), finder.is_in(in_text), "{text:?} in {in_text:?}");
            }
        }
    }

    #[test]
    fn a_text_is_found_in_any_case_and_as_it_is_written() {
        for (text, in_text, is_there) in [
            ("STRASSE", "Straße", false),
            ("straẞe", "Straße", true),
            ("ΣΊΣΥΦΟΣ", "σίσυφος", true),
            ("i", "İ ı", false),
            ("a.c", "abc", false),
            ("[a-c]", "x [A-C] y", true),
            ("\\d^$", "\\D^$", true),
            ("naïve", "NAÏVE", true),
        ] {
            assert_eq!(Finder::new(text).is_in(in_text), is_there, "{text:?} in {in_text:?}");
        }
    }
}

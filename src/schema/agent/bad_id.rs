//! What a text that is no agent's id probably was meant to be, in the original's words.
//!
//! The rules look at shapes only and the first that fits speaks; whether any agent has the id is another question.

use std::fmt::{self, Write as _};

use super::AgentId;

/// A text that is not an agent's id, and what it looks like. Displayed as two lines: what is wrong, and what to type.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadId {
    /// 36 bytes with dashes where a UUID has them.
    Uuid(String),
    /// The id that a server knows an agent by.
    ServerId(String),
    /// Begins as an agent's id does, in any case.
    Misspelled(String),
    /// Anything else.
    Unknown(String),
}

/// What is wrong with an id that somebody gave; none if nothing is.
#[must_use]
pub fn classify(text: &str) -> Option<BadId> {
    let bytes = text.as_bytes();
    let begins_so = bytes.get(..2).is_some_and(|start| start.eq_ignore_ascii_case(b"ox"));
    let is_uuid_like = bytes.len() == 36 && [8, 13, 18, 23].iter().all(|&at| bytes[at] == b'-');
    let kind = match text {
        _ if text.parse::<AgentId>().is_ok() => return None,
        _ if is_uuid_like => BadId::Uuid,
        _ if text.starts_with("oxsid_") => BadId::ServerId,
        _ if begins_so => BadId::Misspelled,
        _ => BadId::Unknown,
    };
    Some(kind(text.to_owned()))
}

impl BadId {
    /// What is wrong, on one line (but for the line feeds of an [`BadId::Unknown`] text, which the original repeats as
    /// they are).
    #[must_use]
    pub fn problem(&self) -> String {
        match self {
            Self::Uuid(text) => format!("{} looks like a UUID, not an ox agent ID", quoted(text)),
            Self::ServerId(text) => format!("{} is a server session ID, not an agent ID", quoted(text)),
            Self::Misspelled(text) => {
                format!("invalid agent ID format {} — expected Ox<4-char> (e.g., OxA1b2)", quoted(text))
            }
            Self::Unknown(text) => format!("unknown command or invalid agent_id: {text}"),
        }
    }

    /// What to type instead, for a program of that name: the original says `ox`.
    #[must_use]
    pub fn remedy(&self, program: &str) -> String {
        match self {
            Self::Uuid(_) | Self::ServerId(_) => {
                format!("Run '{program} agent prime' to get your Ox<4-char> agent ID")
            }
            Self::Misspelled(_) => format!("Run '{program} agent prime' to get your agent ID"),
            Self::Unknown(_) => format!("Run '{program} agent --help' for usage"),
        }
    }
}

impl fmt::Display for BadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n{}", self.problem(), self.remedy("oxi-state"))
    }
}

/// A text between quotes as Go's `%q` writes it: what cannot be printed is escaped, all else stays. Which characters of
/// the newest Unicode versions can be printed depends on the versions that Go and the standard library know.
#[must_use]
pub fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        // writing to a string cannot fail
        let _ = match c {
            '"' | '\\' => write!(out, "\\{c}"),
            '\u{7}' => write!(out, "\\a"),
            '\u{8}' => write!(out, "\\b"),
            '\t' => write!(out, "\\t"),
            '\n' => write!(out, "\\n"),
            '\u{b}' => write!(out, "\\v"),
            '\u{c}' => write!(out, "\\f"),
            '\r' => write!(out, "\\r"),
            c if is_printable(c) => write!(out, "{c}"),
            '\0'..' ' | '\u{7f}' => write!(out, "\\x{:02x}", u32::from(c)),
            c if u32::from(c) <= 0xffff => write!(out, "\\u{:04x}", u32::from(c)),
            c => write!(out, "\\U{:08x}", u32::from(c)),
        };
    }
    out.push('"');
    out
}

/// Whether Go prints a character as it is: letters, marks, numbers, punctuation, symbols, and the ASCII space. The
/// standard library escapes all others when it quotes, and combining marks only where a text begins with one.
fn is_printable(c: char) -> bool {
    let mut buffer = [b'-'; 5];
    let len = c.encode_utf8(&mut buffer[1..]).len();
    let shown = std::str::from_utf8(&buffer[..=len]).unwrap_or_default();
    matches!(c, '\'') || shown.escape_debug().eq(shown.chars())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What the original prints, with its own name in place of ours.
    fn original(text: &str) -> String {
        let bad = classify(text).unwrap();
        format!("{}\n{}", bad.problem(), bad.remedy("ox"))
    }

    #[test]
    fn the_originals_messages_word_for_word() {
        for (text, message) in [
            (
                "123e4567-e89b-12d3-a456-426614174000",
                "\"123e4567-e89b-12d3-a456-426614174000\" looks like a UUID, not an ox agent ID\nRun 'ox agent prime' to get your Ox<4-char> agent ID",
            ),
            (
                "oxsid_01M7X12HVTQR484WZA4CV3ZB4P",
                "\"oxsid_01M7X12HVTQR484WZA4CV3ZB4P\" is a server session ID, not an agent ID\nRun 'ox agent prime' to get your Ox<4-char> agent ID",
            ),
            (
                "oxA1b2",
                "invalid agent ID format \"oxA1b2\" — expected Ox<4-char> (e.g., OxA1b2)\nRun 'ox agent prime' to get your agent ID",
            ),
            ("prime me", "unknown command or invalid agent_id: prime me\nRun 'ox agent --help' for usage"),
            ("", "unknown command or invalid agent_id: \nRun 'ox agent --help' for usage"),
        ] {
            assert_eq!(original(text), message);
            assert_eq!(classify(text).unwrap().to_string(), message.replace("'ox ", "'oxi-state "));
        }
    }

    #[test]
    fn the_first_rule_that_fits_speaks() {
        let uuid_like = "oxsid_--x---x----x----x-------------"; // 36 bytes, and dashes elsewhere, too
        let dashed: String = (0..36).map(|at| if [8, 13, 18, 23].contains(&at) { '-' } else { 'o' }).collect();
        assert!(matches!(classify(&dashed), Some(BadId::Uuid(_))), "hexadecimal digits are not asked for");
        assert_eq!(uuid_like.len(), 36);
        assert!(matches!(classify(uuid_like), Some(BadId::ServerId(_))));
        let both: String = dashed
            .chars()
            .zip("oxsid_ooxxxx".chars().chain(std::iter::repeat('o')))
            .map(|(dash, c)| if dash == '-' { dash } else { c })
            .collect();
        assert!(matches!(classify(&both), Some(BadId::Uuid(_))), "{both}");
        for text in ["oxsid_", "oxsid_x"] {
            assert!(matches!(classify(text), Some(BadId::ServerId(_))), "{text}");
        }
        for text in ["ox", "OX", "oX1234", "Ox", "Ox12345", "Ox12-4", "OXSID_x", "Oxß"] {
            assert!(matches!(classify(text), Some(BadId::Misspelled(_))), "{text}");
        }
        for text in ["o", "ò", "", " OxA1b2", "agent"] {
            assert!(matches!(classify(text), Some(BadId::Unknown(_))), "{text}");
        }
        assert_eq!(classify("OxA1b2"), None);
    }

    #[test]
    fn quoting_is_gos() {
        for (text, written) in [
            ("", r#""""#),
            ("plain 'text'", r#""plain 'text'""#),
            ("say \"hi\" \\", r#""say \"hi\" \\""#),
            ("\u{7}\u{8}\u{c}\n\r\t\u{b}", r#""\a\b\f\n\r\t\v""#),
            ("\0\u{1}\u{1b}\u{7f}", r#""\x00\x01\x1b\x7f""#),
            ("\u{80}\u{a0}\u{ad}", r#""\u0080\u00a0\u00ad""#),
            ("\u{200e}\u{2028}\u{feff}\u{3000}", r#""\u200e\u2028\ufeff\u3000""#),
            ("Zoë ☺ 日本 \u{fffd}", "\"Zoë ☺ 日本 \u{fffd}\""),
            ("\u{301}e\u{301}", "\"\u{301}e\u{301}\""),
            ("\u{1f600}\u{e0001}\u{10ffff}", "\"\u{1f600}\\U000e0001\\U0010ffff\""),
        ] {
            assert_eq!(quoted(text), written);
        }
    }

    proptest! {
        #[test]
        fn every_text_is_an_id_or_has_a_message(text in "(Ox|ox|oxsid_|)[0-9A-Za-z\\-]{0,40}|\\PC*") {
            prop_assert_eq!(classify(&text).is_none(), text.parse::<AgentId>().is_ok());
        }

        #[test]
        fn what_is_quoted_cannot_steer_a_terminal(text in any::<String>()) {
            prop_assert!(!quoted(&text).chars().any(crate::schema::id::is_deceptive));
        }
    }
}

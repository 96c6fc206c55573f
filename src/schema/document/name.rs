//! The names of documents and of their categories, and the one rule for both.
//!
//! The original let through empty names, names of spaces and control characters, `.` and, where it forgot to look, `..`.
//! What passes here can be a key, a file name on any system, and a word in a message. Nothing is mended: a name that
//! breaks the rule is refused, so that one document never answers to two names.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use unicode_normalization::is_nfc;

use crate::schema::id::{is_deceptive, printable};

/// Longest name, and longest part of a category, in bytes.
pub const MAX_SEGMENT: usize = 128;

/// Longest category, in bytes.
pub const MAX_CATEGORY: usize = 255;

/// What a text was to name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Named {
    /// A category.
    Category,
    /// A document in it.
    Document,
}

/// What is wrong with a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// There is nothing.
    #[error("it is empty")]
    Empty,
    /// A part of a category is empty: a slash at an end, or two in a row.
    #[error("it begins or ends with a slash, or has two in a row")]
    EmptyPart,
    /// More bytes than allowed.
    #[error("a name, or a part of a category, has at most {MAX_SEGMENT} bytes, and a category {MAX_CATEGORY}")]
    TooLong,
    /// A slash in a name.
    #[error("it holds a slash")]
    Slash,
    /// A backslash.
    #[error("it holds a backslash")]
    Backslash,
    /// A control character, NUL included, or one that changes the direction of text.
    #[error("it holds a control character")]
    Control,
    /// `.` or `..`
    #[error("`.` and `..` are no names")]
    Dots,
    /// A blank or a dot at an end.
    #[error("it, or a part of it, begins or ends with a space or a dot")]
    Edge,
    /// `C:`
    #[error("it begins like a drive")]
    Drive,
    /// A name that Windows gives to a device, with or without an extension.
    #[error("Windows has a device of that name")]
    Device,
    /// A second spelling of the same characters.
    #[error("it is not in Unicode's composed form (NFC)")]
    NotComposed,
}

/// A text that names no category or no document.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {fault}", said(*.named, .text))]
pub struct InvalidName {
    /// What it was to name.
    pub named: Named,
    /// The text.
    pub text: String,
    /// What is wrong with it.
    pub fault: Fault,
}

/// The original's words.
fn said(named: Named, text: &str) -> String {
    const SHOWN: usize = 40;
    let cut: String = text.chars().take(SHOWN).collect();
    let more = if cut.len() < text.len() { "…" } else { "" };
    let what = match named {
        Named::Category => "category",
        Named::Document => "file",
    };
    format!("invalid {what} name: '{}{more}'", printable(&cut, false))
}

/// What is wrong with a name, or a part of a category; nothing if none.
fn fault(segment: &str) -> Option<Fault> {
    let at_edge = |c: char| c == '.' || c.is_whitespace();
    let bytes = segment.as_bytes();
    // what would split or steer comes first: it must not be mistaken for anything milder
    if segment.is_empty() {
        Some(Fault::Empty)
    } else if segment.contains('/') {
        Some(Fault::Slash)
    } else if segment.contains('\\') {
        Some(Fault::Backslash)
    } else if segment.chars().any(is_deceptive) {
        Some(Fault::Control)
    } else if segment.len() > MAX_SEGMENT {
        Some(Fault::TooLong)
    } else if segment == "." || segment == ".." {
        Some(Fault::Dots)
    } else if segment.starts_with(at_edge) || segment.ends_with(at_edge) {
        Some(Fault::Edge)
    } else if bytes[0].is_ascii_alphabetic() && bytes.get(1) == Some(&b':') {
        Some(Fault::Drive)
    } else if is_device(segment) {
        Some(Fault::Device)
    } else if !is_nfc(segment) {
        Some(Fault::NotComposed)
    } else {
        None
    }
}

/// Whether Windows would open a device, whatever the extension.
fn is_device(segment: &str) -> bool {
    let stem = segment.split_once('.').map_or(segment, |(stem, _)| stem).trim_end().to_ascii_uppercase();
    let is_port = |port: &str| {
        let number = stem.strip_prefix(port).unwrap_or_default();
        matches!(number, "¹" | "²" | "³") || (number.len() == 1 && number.as_bytes()[0].is_ascii_digit())
    };
    matches!(stem.as_str(), "CON" | "PRN" | "AUX" | "NUL" | "CONIN$" | "CONOUT$") || is_port("COM") || is_port("LPT")
}

macro_rules! name {
    ($type:ident) => {
        impl $type {
            /// As text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl From<$type> for String {
            fn from(name: $type) -> Self {
                name.0
            }
        }

        impl TryFrom<String> for $type {
            type Error = InvalidName;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                text.parse()
            }
        }
    };
}

/// Where documents belong: names with slashes between them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Category(String);

name!(Category);

impl FromStr for Category {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fault = if text.is_empty() {
            Some(Fault::Empty)
        } else {
            let faults = text.split('/').filter_map(fault).map(|fault| match fault {
                Fault::Empty => Fault::EmptyPart,
                other => other,
            });
            faults.chain((text.len() > MAX_CATEGORY).then_some(Fault::TooLong)).next()
        };
        match fault {
            None => Ok(Self(text.to_owned())),
            Some(fault) => Err(InvalidName { named: Named::Category, text: text.to_owned(), fault }),
        }
    }
}

impl Category {
    /// Whether this one is `other`, or lies in it.
    #[must_use]
    pub fn is_within(&self, other: &Self) -> bool {
        self.0.strip_prefix(&other.0).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

/// The name of a document in its category.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DocumentName(String);

name!(DocumentName);

impl FromStr for DocumentName {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match fault(text) {
            None => Ok(Self(text.to_owned())),
            Some(fault) => Err(InvalidName { named: Named::Document, text: text.to_owned(), fault }),
        }
    }
}

/// A category and a name in it: `CATEGORY/NAME`. The name is what follows the last slash.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DocumentPath {
    /// Where the document belongs.
    pub category: Category,
    /// Its name there.
    pub name: DocumentName,
}

impl DocumentPath {
    /// The path of a category and a name.
    ///
    /// # Errors
    /// If one of them breaks the rule.
    pub fn new(category: &str, name: &str) -> Result<Self, InvalidName> {
        Ok(Self { category: category.parse()?, name: name.parse()? })
    }
}

impl fmt::Display for DocumentPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.category, self.name)
    }
}

impl FromStr for DocumentPath {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (category, name) = text.rsplit_once('/').unwrap_or(("", text));
        Self::new(category, name)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_that_are_names() {
        for name in [
            "a",
            "v1..v2",
            "plan",
            "Übung",
            "한글",
            "a b",
            "con-text",
            "COMPANY",
            "com10",
            "ab:c",
            "-rf",
            "~",
            &"x".repeat(128),
        ] {
            assert_eq!(name.parse::<DocumentName>().unwrap().as_str(), name);
            assert_eq!(format!("a/{name}").parse::<Category>().unwrap().as_str(), format!("a/{name}"));
        }
        let long = [&"x".repeat(127), "/", &"y".repeat(127)].concat();
        assert_eq!(long.parse::<Category>().unwrap().as_str().len(), MAX_CATEGORY);
        let path: DocumentPath = "a/b/c".parse().unwrap();
        assert_eq!((path.category.as_str(), path.name.as_str()), ("a/b", "c"));
    }

    #[test]
    fn every_weakness_of_the_originals_rule_is_gone() {
        for (name, fault) in [
            ("", Fault::Empty),
            (".", Fault::Dots),
            ("..", Fault::Dots),
            ("../victim/v", Fault::Slash),
            ("/etc/passwd", Fault::Slash),
            ("..\\v", Fault::Backslash),
            ("\\\\server\\share", Fault::Backslash),
            (".hidden", Fault::Edge),
            ("trailing.", Fault::Edge),
            ("trailing ", Fault::Edge),
            (" leading", Fault::Edge),
            ("\u{a0}leading", Fault::Edge),
            ("...", Fault::Edge),
            ("a\nb", Fault::Control),
            ("a\0b", Fault::Control),
            ("a\u{7f}b", Fault::Control),
            ("a\u{85}b", Fault::Control),
            ("a\u{202e}b", Fault::Control),
            ("C:x", Fault::Drive),
            ("c:", Fault::Drive),
            ("CON", Fault::Device),
            ("con.txt", Fault::Device),
            ("nul .x", Fault::Device),
            ("Lpt1", Fault::Device),
            ("com¹", Fault::Device),
            ("e\u{301}", Fault::NotComposed),
        ] {
            assert_eq!(name.parse::<DocumentName>().unwrap_err().fault, fault, "{name:?}");
            let error = name.parse::<Category>().unwrap_err();
            assert_eq!(error.named, Named::Category, "{name:?}");
        }
        assert_eq!("x".repeat(129).parse::<DocumentName>().unwrap_err().fault, Fault::TooLong);
        let long = [&"x".repeat(128), "/", &"y".repeat(127)].concat();
        assert_eq!(long.parse::<Category>().unwrap_err().fault, Fault::TooLong);
        for (category, fault) in [
            (".", Fault::Dots),
            ("a/./b", Fault::Dots),
            ("a/../b", Fault::Dots),
            ("/a", Fault::EmptyPart),
            ("a/", Fault::EmptyPart),
            ("a//b", Fault::EmptyPart),
            ("a/C:x", Fault::Drive),
            ("a/aux/b", Fault::Device),
        ] {
            assert_eq!(category.parse::<Category>().unwrap_err().fault, fault, "{category:?}");
        }
        assert!("plan".parse::<DocumentPath>().is_err(), "without a category");
    }

    #[test]
    fn the_words_are_the_originals_and_cannot_steer_a_terminal() {
        assert_eq!(
            "a\u{1b}[2J".parse::<DocumentName>().unwrap_err().to_string(),
            "invalid file name: 'a\\u{1b}[2J': it holds a control character"
        );
        assert_eq!(
            "a//b".parse::<Category>().unwrap_err().to_string().split_once(": it").unwrap().0,
            "invalid category name: 'a//b'"
        );
        assert!("y".repeat(9999).parse::<DocumentName>().unwrap_err().to_string().len() < 250);
    }

    #[test]
    fn a_category_lies_in_itself_and_in_those_above() {
        let category = |text: &str| text.parse::<Category>().unwrap();
        assert!(category("a/b").is_within(&category("a")) && category("a").is_within(&category("a")));
        assert!(!category("ab").is_within(&category("a")) && !category("a").is_within(&category("a/b")));
    }

    proptest! {
        #[test]
        fn what_passes_is_one_safe_file_name(text in "\\PC{0,12}|[a-c./\\\\ :\u{0}\n]{0,8}|[./a]{1,6}|(con|COM1|a)(\\.[a-z]{1,3})?|e\u{301}{0,2}") {
            if let Ok(name) = text.parse::<DocumentName>() {
                prop_assert_eq!(name.as_str(), &text);
                prop_assert!((1..=MAX_SEGMENT).contains(&text.len()) && !text.contains(['/', '\\', '\0']));
                prop_assert!(!text.starts_with([' ', '.']) && !text.ends_with([' ', '.']));
                prop_assert!(!text.chars().any(char::is_control) && is_nfc(&text));
                let path = std::path::Path::new("root").join(&text);
                prop_assert_eq!(path.components().count(), 2);
                // a part of a category obeys the same rule
                prop_assert!(text.parse::<Category>().is_ok());
            }
            if let Ok(category) = text.parse::<Category>() {
                prop_assert!(text.len() <= MAX_CATEGORY && text.split('/').all(|part| part.parse::<DocumentName>().is_ok()));
                prop_assert_eq!(String::from(category), text.clone());
            }
            if let Ok(path) = text.parse::<DocumentPath>() {
                prop_assert_eq!(path.to_string(), text);
            }
        }
    }
}

//! Reading the table `[state]` of a settings file.
//!
//! The file may come with somebody's branch. The parser bounds the depth of brackets, but not that of dotted keys, and
//! frees what it made of them by recursion: a file with many dots is read on a thread that has room for it.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{Given, Key};
use crate::schema::privacy;

/// The table of a settings file that is this tool's; everything else is the original's.
pub const TABLE: &str = "state";

/// Longest settings file, in bytes.
pub const MAX_BYTES: usize = 64 * 1024;

/// What is wrong with a settings file, and on which line.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{problem}")]
pub struct FileError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong there.
    pub problem: Problem,
}

/// What is wrong with a settings file. Values and names are shown without what looks like a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// It is not TOML.
    #[error("this is not TOML: {0}")]
    NotToml(String),
    /// A key in `[state]` that this tool does not know.
    #[error("no setting {name} is known; the nearest is {nearest}")]
    Unknown {
        /// The key.
        name: String,
        /// The one most like it.
        nearest: Key,
    },
    /// A value that the setting cannot have.
    #[error("{key} cannot be {given}; allowed is {allowed}")]
    Wrong {
        /// The setting.
        key: Key,
        /// What it was given.
        given: String,
        /// What it may be.
        allowed: String,
    },
    /// Something else where a table of settings belongs.
    #[error("{0} is not a table")]
    NotATable(String),
}

impl Problem {
    /// The key that it is about, if it is about one.
    #[must_use]
    pub fn key(&self) -> Option<&str> {
        match self {
            Self::NotToml(_) => None,
            Self::Unknown { name, .. } | Self::NotATable(name) => Some(name),
            Self::Wrong { key, .. } => Some(key.as_str()),
        }
    }
}

/// A setting in a file.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Found {
    pub(super) key: Key,
    pub(super) given: Given,
    /// Where its own name stands, in bytes; for a dotted key the last part.
    pub(super) name_at: Range<usize>,
    /// Where its value stands, in bytes.
    pub(super) value_at: Range<usize>,
}

/// What `[state]` of a file holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Contents {
    /// The settings, in the order they stand in the file.
    pub(super) found: Vec<Found>,
    /// What is there and is no setting, the first of the file first.
    pub(super) problems: Vec<(usize, Problem)>,
}

/// The line on which a byte is, from 1.
pub(super) fn line_of(text: &str, at: usize) -> usize {
    text.get(..at).unwrap_or(text).matches('\n').count() + 1
}

/// Parses a document and hands it to `work`.
pub(super) fn with_document<R: Send>(text: &str, work: impl FnOnce(&DeTable<'_>) -> R + Send) -> Result<R, FileError> {
    /// No more levels than dots, and the parser's own 80; so many fit on any stack.
    const DOTS: usize = 500;
    /// Each byte of a file makes at most one level.
    const STACK: usize = MAX_BYTES * 4096;
    let parse = || match DeTable::parse(text) {
        Ok(document) => Ok(work(document.get_ref())),
        Err(error) => {
            let line = line_of(text, error.span().map_or(0, |span| span.start));
            let message = privacy::redact(error.message(), &privacy::scan(error.message()));
            Err(FileError { line, problem: Problem::NotToml(message) })
        }
    };
    if text.matches('.').nth(DOTS).is_none() {
        return parse();
    }
    let too_deep = || FileError { line: 1, problem: Problem::NotToml("it is nested too deep".to_owned()) };
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(STACK).spawn_scoped(scope, parse);
        thread.map_err(|_| too_deep())?.join().map_err(|_| too_deep())?
    })
}

/// What `[state]` of a document holds.
pub(super) fn contents(document: &DeTable<'_>) -> Contents {
    let mut contents = Contents::default();
    if let Some((name, state)) = document.get_key_value(TABLE) {
        match state.get_ref() {
            DeValue::Table(table) => contents.read(table, None),
            _ => contents.problems.push((name.span().start, Problem::NotATable(TABLE.to_owned()))),
        }
    }
    contents.found.sort_by_key(|found| found.name_at.start);
    contents.problems.sort_by_key(|(at, _)| *at);
    contents
}

impl Contents {
    fn read(&mut self, table: &DeTable<'_>, group: Option<&str>) {
        for (name, value) in table {
            let full = group.map_or_else(|| name.get_ref().to_string(), |group| format!("{group}.{}", name.get_ref()));
            // a dot in a quoted name is a letter of it, and no name of ours has one
            let key = Key::find(&full).filter(|_| !name.get_ref().contains('.'));
            match (key, value.get_ref()) {
                (Some(key), value_there) => self.found.push(Found {
                    key,
                    given: given(value_there),
                    name_at: name.span(),
                    value_at: value.span(),
                }),
                (None, DeValue::Table(inner)) if group.is_none() && Key::is_group(&full) => {
                    self.read(inner, Some(&full));
                }
                (None, _) if group.is_none() && Key::is_group(&full) => {
                    self.problems.push((name.span().start, Problem::NotATable(format!("{TABLE}.{full}"))));
                }
                (None, _) => self.problems.push((name.span().start, unknown(&full))),
            }
        }
    }
}

/// The message about a name that no setting has.
fn unknown(name: &str) -> Problem {
    const MAX: usize = 80;
    let nearest = Key::nearest(name);
    let clean = privacy::redact(name, &privacy::scan(name));
    Problem::Unknown { name: clean.chars().take(MAX).collect(), nearest }
}

fn given(value: &DeValue<'_>) -> Given {
    match value {
        DeValue::String(text) => Given::Text(text.to_string()),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map_or(Given::Other("a number that is too large"), Given::Whole),
        DeValue::Float(number) => {
            number.as_str().parse().map_or(Given::Other("a number that is none"), Given::Fraction)
        }
        DeValue::Boolean(flag) => Given::Flag(*flag),
        DeValue::Datetime(_) => Given::Other("a date"),
        DeValue::Array(items) => Given::List(items.iter().map(given_item).collect()),
        DeValue::Table(_) => Given::Other("a table"),
    }
}

/// An item of a list; no setting is a list of lists.
fn given_item(item: &Spanned<DeValue<'_>>) -> Given {
    match item.get_ref() {
        DeValue::Array(_) => Given::Other("a list"),
        other => given(other),
    }
}

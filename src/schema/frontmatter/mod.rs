//! Issue files: text to record and back.
//!
//! [`parse`] is strict about what it cannot understand and liberal in spelling; [`render`] writes what the original
//! writes, byte for byte; [`patch`] changes only the lines that must change. Everything written is read back and
//! compared by [`render_checked`] and [`patch`] before it is handed out.
//!
//! Files come from other people's branches. They are read by the parser beneath serde-saphyr, event by event, because
//! only events tell a quoted number from a plain one and say where a key begins. Its deserializer's budgets are
//! enforced here instead: size, depth, number of values, no tags, no merge keys, no repeated keys. `serde_yaml` only
//! ever writes.
//!
//! The slug is not part of the text: a parsed issue has none until the caller sets it from the file's name.

mod conflict;
mod node;
mod patch;
mod read;
mod write;

use std::borrow::Cow;

use super::id::printable;
use super::issue::{Extra, Issue};

pub(crate) use conflict::shows_both_sides;
pub use patch::patch;
pub use read::parse;
pub use write::{KEYS, extra, render, render_oxi};

/// Largest issue file, in bytes.
pub const MAX_FILE: usize = 1 << 20;

/// Largest frontmatter, in bytes, delimiters not counted.
pub const MAX_FRONTMATTER: usize = 64 << 10;

/// A file that cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{reason}", .line.map(|line| format!("line {line}: ")).unwrap_or_default())]
pub struct BadFile {
    /// The line in the file, counted from 1, where one can be named.
    pub line: Option<u32>,
    /// What is wrong there.
    pub reason: BadReason,
}

/// What is wrong with a file. Quotes nothing from it but key names.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadReason {
    /// Past [`MAX_FILE`].
    #[error("the file is larger than 1 MiB")]
    TooLarge,
    /// Past [`MAX_FRONTMATTER`].
    #[error("the frontmatter is larger than 64 KiB")]
    FrontmatterTooLarge,
    /// Bytes that are no text.
    #[error("the file is not UTF-8 text")]
    NotUtf8,
    /// The first line does not open a frontmatter.
    #[error("the file does not begin with frontmatter (a line ---)")]
    NoFrontmatter,
    /// The end of the frontmatter is missing, as in a truncated file.
    #[error("the frontmatter has no closing line ---")]
    Unclosed,
    /// Git left a conflict in the file.
    #[error("the file holds a git conflict marker")]
    ConflictMarker,
    /// The frontmatter is not YAML.
    #[error("the frontmatter is not valid YAML: {0}")]
    NotYaml(String),
    /// The frontmatter is nested deeper than anything this tool writes.
    #[error("the frontmatter is nested too deeply")]
    TooDeep,
    /// More values than any honest file has, counting those that aliases repeat.
    #[error("the frontmatter holds too many values")]
    TooMany,
    /// A second YAML document begins.
    #[error("the frontmatter holds more than one YAML document")]
    SeveralDocuments,
    /// Not keys with values.
    #[error("the frontmatter is not a list of keys with values")]
    NotAMap,
    /// A YAML tag such as `!!str`.
    #[error("YAML tags are not accepted")]
    Tag,
    /// The YAML merge key.
    #[error("the YAML merge key << is not accepted")]
    MergeKey,
    /// A key that is a list, a map, an alias or empty.
    #[error("a key must be a word")]
    KeyNotText,
    /// Control or direction-changing characters in a key.
    #[error("the key {} holds control or direction-changing characters", shown(.0))]
    DeceptiveKey(String),
    /// The same key twice in one map.
    #[error("the key {} is there twice", shown(.0))]
    DuplicateKey(String),
    /// A key that must be there.
    #[error("the key {} is missing", shown(.0))]
    MissingKey(&'static str),
    /// A key whose value has the wrong shape.
    #[error("the value of {} must be {expected}", shown(.key))]
    WrongValue {
        /// The key, with the one that holds it in front where it is nested.
        key: Cow<'static, str>,
        /// What is expected, to follow "must be".
        expected: &'static str,
    },
}

/// A key name as it may appear in a message: short and harmless.
fn shown(name: &str) -> String {
    const MAX: usize = 60;
    let short: String = name.chars().take(MAX).collect();
    let more = if short.len() < name.len() { "…" } else { "" };
    format!("{}{more}", printable(&short, false))
}

/// An issue that cannot be written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RenderError {
    /// The text would be refused when read, for instance because the body holds conflict markers.
    #[error("the issue cannot be written, as its file could not be read again: {0}")]
    Unreadable(#[from] BadFile),
    /// The text would be read as something else.
    #[error("the issue cannot be written, as its file would be read as something else")]
    Unfaithful,
}

/// [`render`], read back and compared.
///
/// # Errors
/// When the text would not be read as this very issue.
pub fn render_checked(issue: &Issue) -> Result<String, RenderError> {
    let text = render(issue);
    if says(&parse(text.as_bytes())?, issue) { Ok(text) } else { Err(RenderError::Unfaithful) }
}

/// Whether a file is exactly what the original would write for the issue read from it: then it may be the original
/// that dropped every key it does not know, and their absence does not mean that somebody deleted them.
#[must_use]
pub fn is_oxi_rendering(bytes: &[u8], parsed: &Issue) -> bool {
    bytes == render_oxi(parsed).as_bytes()
}

/// Whether a file is exactly what this program would write for the issue read from it; the empty list that stays where
/// the last foreign key went (see [`patch`]) is part of that.
#[must_use]
pub fn is_our_rendering(bytes: &[u8], parsed: &Issue) -> bool {
    let canonical = render(parsed);
    let with_mark = |key: &&str| {
        let text = canonical.replacen("\n---\n", &format!("\n{key}: []\n---\n"), 1);
        text.as_bytes() == bytes
    };
    canonical.as_bytes() == bytes || ["depends_on", "handoffs", "validations"].iter().any(with_mark)
}

/// Whether a file's content says what an issue says: all but the slug, the spelling of unknown keys and the final line
/// feed, which the file's text does not decide.
fn says(read: &Issue, issue: &Issue) -> bool {
    same_body(&read.body, &issue.body) && same_head(read, issue)
}

fn same_head(a: &Issue, b: &Issue) -> bool {
    let (a, b) = (&a.head, &b.head);
    a.id == b.id
        && a.title == b.title
        && a.status == b.status
        && a.priority == b.priority
        && a.labels == b.labels
        && a.assignee == b.assignee
        && a.created_at == b.created_at
        && a.updated_at == b.updated_at
        && a.closed_at == b.closed_at
        && a.sessions == b.sessions
        && a.assigned_to == b.assigned_to
        && a.github == b.github
        && a.depends_on == b.depends_on
        && a.handoffs == b.handoffs
        && a.validations == b.validations
        && a.extra.keys().eq(b.extra.keys())
        && a.extra.values().map(value_of).eq(b.extra.values().map(value_of))
}

const fn value_of(extra: &Extra) -> &super::value::Value {
    &extra.value
}

/// Equal but for a final line feed, which a stored body always has and a file's may lack.
fn same_body(a: &str, b: &str) -> bool {
    a == b || (!a.is_empty() && !b.is_empty() && a.strip_suffix('\n').unwrap_or(a) == b.strip_suffix('\n').unwrap_or(b))
}

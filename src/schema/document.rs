//! Documents: texts that programs and people keep under a category and a name, in Markdown or in JSON.
//!
//! A category and a name become a key only through [`Category`] and [`DocumentName`], which hold the one rule for both. A
//! [`Document`] says everything about a text but the text itself, so that a list reads no texts.

mod name;
mod session;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::id::ContentHash;
use super::time::Timestamp;

pub use name::{Category, DocumentName, DocumentPath, Fault, InvalidName, MAX_CATEGORY, MAX_SEGMENT, Named};
pub use session::{MAX_METADATA, NotAName, SESSIONS, SessionPointer, SessionSummary};

/// Longest text of a document, in bytes.
pub const MAX_TEXT: usize = 1 << 20;

/// What a document is written in. One name can have one document of each kind, which know nothing of each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DocumentKind {
    /// JSON, stored with an indent of two spaces and no newline at its end.
    Json,
    /// Markdown, or any other text; stored as it is.
    Markdown,
}

impl DocumentKind {
    /// Every kind, in the order in which one is looked for where none is named.
    pub const ALL: [Self; 2] = [Self::Json, Self::Markdown];

    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Markdown => "markdown",
        }
    }
}

impl fmt::Display for DocumentKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that names no kind of document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a document is json or markdown")]
pub struct UnknownDocumentKind;

impl FromStr for DocumentKind {
    type Err = UnknownDocumentKind;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or(UnknownDocumentKind)
    }
}

/// A document without its text. Its key is `category/name/kind`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document {
    /// Where it belongs.
    pub category: Category,
    /// Its name there.
    pub name: DocumentName,
    /// What it is written in.
    pub kind: DocumentKind,
    /// The length of its text in bytes.
    pub size: u64,
    /// The hash of its text.
    #[serde(with = "hexadecimal")]
    pub hash: ContentHash,
    /// When it was first stored.
    pub created_at: Timestamp,
    /// When its text last changed.
    pub updated_at: Timestamp,
}

impl Document {
    /// What there is to say of a text that is stored now, over `old` if there was one.
    #[must_use]
    pub fn of(path: &DocumentPath, kind: DocumentKind, text: &str, now: Timestamp, old: Option<&Self>) -> Self {
        Self {
            category: path.category.clone(),
            name: path.name.clone(),
            kind,
            size: text.len() as u64,
            hash: ContentHash::of(text.as_bytes()),
            created_at: old.map_or(now, |old| old.created_at),
            updated_at: old.map_or(now, |old| Timestamp::after(now, old.updated_at)),
        }
    }

    /// Its category and name.
    #[must_use]
    pub fn path(&self) -> DocumentPath {
        DocumentPath { category: self.category.clone(), name: self.name.clone() }
    }
}

/// The key of a document in the database and in the log.
#[must_use]
pub fn document_key(path: &DocumentPath, kind: DocumentKind) -> String {
    format!("{path}/{kind}")
}

/// Hashes as people see them: JSON numbers of 64 bits lose digits in many programs.
mod hexadecimal {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    use crate::schema::id::ContentHash;

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
    pub(super) fn serialize<S: Serializer>(hash: &ContentHash, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(hash)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ContentHash, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

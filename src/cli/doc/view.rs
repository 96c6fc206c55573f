//! Documents as programs and people see them.

use std::fmt::Write as _;

use anstyle::{Effects, Style};
use schemars::JsonSchema;
use serde::Serialize;

use crate::schema::document::{Document, DocumentKind};
use crate::schema::id::printable;
use crate::schema::time::Timestamp;

const DIM: Style = Style::new().effects(Effects::DIMMED);

/// A document without its text.
#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::cli) struct DocumentHeadJson {
    category: String,
    name: String,
    kind: DocumentKind,
    /// The length of the text in bytes.
    size: u64,
    /// The hash of the text, for `--expect`.
    hash: String,
    created_at: Timestamp,
    updated_at: Timestamp,
}

/// A document.
#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::cli) struct DocumentJson {
    #[serde(flatten)]
    head: DocumentHeadJson,
    /// The text, exactly; JSON, too, as text.
    text: String,
}

impl DocumentHeadJson {
    pub(in crate::cli) fn new(document: Document) -> Self {
        Self {
            category: document.category.into(),
            name: document.name.into(),
            kind: document.kind,
            size: document.size,
            hash: document.hash.to_string(),
            created_at: document.created_at,
            updated_at: document.updated_at,
        }
    }

    fn path(&self) -> String {
        printable(&format!("{}/{}", self.category, self.name), false).into_owned()
    }

    /// What was done to it is said before.
    pub(super) fn line(&self) -> String {
        format!("{} ({}, {}, hash {})", self.path(), self.kind, bytes(self.size), self.hash)
    }
}

impl DocumentJson {
    pub(super) fn new(document: Document, text: String) -> Self {
        Self { head: DocumentHeadJson::new(document), text }
    }
}

fn bytes(size: u64) -> String {
    format!("{size} byte{}", if size == 1 { "" } else { "s" })
}

/// A line for each document.
pub(super) fn list(documents: &[DocumentHeadJson]) -> String {
    if documents.is_empty() {
        return "no documents\n".into();
    }
    let mut text = String::new();
    for document in documents {
        let (kind, size) = (document.kind.as_str(), bytes(document.size));
        let (time, hash) = (document.updated_at, &document.hash);
        // writing to a string cannot fail
        let _ = writeln!(text, "{hash}  {kind:<8}  {size:>13}  {DIM}{time}{DIM:#}  {}", document.path());
    }
    text
}

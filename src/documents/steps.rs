//! The operations as steps of a transaction.

use std::str::FromStr;

use serde::de::DeserializeOwned;

use crate::db::tables::{Readable, Tables};
use crate::db::{Op, StoreError, WriteTxn};
use crate::schema::document::{Document, DocumentKind, DocumentPath, MAX_TEXT, SESSIONS, SessionPointer, document_key};
use crate::schema::id::ContentHash;
use crate::schema::privacy::{self, Policy};

use super::error::DocumentError;
use super::{Loaded, json};

/// What a caller expects to save over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// Whatever there is.
    Anything,
    /// Nothing.
    Nothing,
    /// The text of this hash.
    Hash(ContentHash),
}

/// A text that is no such expectation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a hash is 16 hexadecimal digits, as `doc list` prints it; or `none`, if there is no such document yet")]
pub struct InvalidExpect;

impl FromStr for Expect {
    type Err = InvalidExpect;

    /// Reads a hash, and `none` for nothing.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "none" { Ok(Self::Nothing) } else { text.parse().map(Self::Hash).map_err(|_| InvalidExpect) }
    }
}

/// What became of a text that was to be saved.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Saved {
    /// There was none of that name and kind.
    Created(Document),
    /// It replaced another.
    Changed(Document),
    /// It was there already; nothing was written.
    Unchanged(Document),
    /// What is there is not what the caller expects; nothing was written.
    Stale {
        /// The hash of what is there; none if there is nothing.
        current: Option<ContentHash>,
    },
}

/// What became of a document that was to be deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Deleted {
    /// It is gone; this was it.
    Done(Document),
    /// There is none.
    Missing,
    /// It is not what the caller expects.
    Stale {
        /// The document that is there.
        current: Document,
    },
}

/// A document with its text; none if there is none.
///
/// # Errors
/// If the database fails; so for all functions here.
pub fn load<T: Readable>(
    tables: &Tables<T>,
    path: &DocumentPath,
    kind: DocumentKind,
) -> Result<Option<Loaded>, DocumentError> {
    let Some(document) = tables.document(path, kind)? else { return Ok(None) };
    let text = tables.document_text(&document)?;
    Ok(Some(Loaded { document, text }))
}

/// The document that a name alone means: the JSON one if there is one, else the Markdown one.
///
/// # Errors
/// See [`load`].
pub fn find<T: Readable>(tables: &Tables<T>, path: &DocumentPath) -> Result<Option<Document>, StoreError> {
    for kind in DocumentKind::ALL {
        if let Some(document) = tables.document(path, kind)? {
            return Ok(Some(document));
        }
    }
    Ok(None)
}

/// The value of a JSON document.
///
/// # Errors
/// [`DocumentError::Unreadable`].
pub fn parse<T: DeserializeOwned>(document: &Document, text: &str) -> Result<T, DocumentError> {
    serde_json::from_str(text).map_err(|source| {
        let key = document_key(&document.path(), document.kind);
        DocumentError::Unreadable { key, source }
    })
}

/// Saves a text, if what is there is what the caller expects. Only what the change adds is scrubbed.
///
/// # Errors
/// [`DocumentError::TooLarge`], [`DocumentError::Secret`], [`DocumentError::Malformed`]; under `sessions`
/// [`DocumentError::NotAPointer`], [`DocumentError::NotAName`], [`DocumentError::Misnamed`],
/// [`DocumentError::OtherOwner`]; or see [`load`].
pub fn save(
    txn: &mut WriteTxn<'_>,
    path: &DocumentPath,
    kind: DocumentKind,
    text: &str,
    expect: Expect,
    policy: &Policy,
) -> Result<Saved, DocumentError> {
    if text.len() > MAX_TEXT {
        return Err(DocumentError::TooLarge);
    }
    let old = load(txn, path, kind)?;
    let current = old.as_ref().map(|old| old.document.hash);
    let is_as_expected = match expect {
        Expect::Anything => true,
        Expect::Nothing => current.is_none(),
        Expect::Hash(hash) => current == Some(hash),
    };
    if !is_as_expected {
        return Ok(Saved::Stale { current });
    }
    let before = old.as_ref().map_or("", |old| &old.text);
    let mut clean = match kind {
        DocumentKind::Json => json::admit(before, text, policy)?,
        DocumentKind::Markdown => {
            privacy::check_added(before, text, policy).map_err(DocumentError::Secret)?.into_owned()
        }
    };
    // redacting may have made it longer
    if clean.len() > MAX_TEXT {
        return Err(DocumentError::TooLarge);
    }
    let category = path.category.as_str();
    let below = category.strip_prefix(SESSIONS).is_some_and(|rest| rest.starts_with('/'));
    if below || (kind == DocumentKind::Markdown && category == SESSIONS) {
        // what is kept of sessions are pointers, and nothing beside or below them
        return Err(DocumentError::NotAPointer { line: 1, column: 1 });
    }
    if kind == DocumentKind::Json && category == SESSIONS {
        // the place of a mistake is told by the text as it was given
        pointer(text)?;
        clean = admit_pointer(path, old.as_ref(), &clean)?;
    }
    let op = if old.is_some() { Op::Update } else { Op::Create };
    let (document, changed) = txn.put_document(path, kind, &clean, op)?;
    Ok(match (changed, old) {
        (false, _) => Saved::Unchanged(document),
        (true, None) => Saved::Created(document),
        (true, Some(_)) => Saved::Changed(document),
    })
}

/// A text that must be a pointer to the session of its name, and of the same user as the one that it replaces; spelled
/// anew, since a key that is there twice could hide what was said. One that cannot be read belongs to nobody.
fn admit_pointer(path: &DocumentPath, old: Option<&Loaded>, text: &str) -> Result<String, DocumentError> {
    let pointer = pointer(text)?;
    pointer.check()?;
    if pointer.id != path.name {
        return Err(DocumentError::Misnamed(pointer.id));
    }
    let owner = old.and_then(|old| serde_json::from_str::<SessionPointer>(&old.text).ok()).map(|old| old.user_id);
    if owner.is_some_and(|owner| owner != pointer.user_id) {
        return Err(DocumentError::OtherOwner(pointer.id));
    }
    serde_json::to_string_pretty(&pointer).map_err(DocumentError::NotJson)
}

fn pointer(text: &str) -> Result<SessionPointer, DocumentError> {
    serde_json::from_str(text)
        .map_err(|error| DocumentError::NotAPointer { line: error.line(), column: error.column() })
}

/// Deletes one document: the one of a kind, or the one that [`find`] finds; only if its hash is `expect` where one is
/// given.
///
/// # Errors
/// See [`load`].
pub fn delete(
    txn: &mut WriteTxn<'_>,
    path: &DocumentPath,
    kind: Option<DocumentKind>,
    expect: Option<ContentHash>,
) -> Result<Deleted, StoreError> {
    let found = match kind {
        Some(kind) => txn.document(path, kind)?,
        None => find(txn, path)?,
    };
    let Some(current) = found else { return Ok(Deleted::Missing) };
    if expect.is_some_and(|expect| expect != current.hash) {
        return Ok(Deleted::Stale { current });
    }
    let gone = txn.remove_document(path, current.kind, Op::Delete)?;
    Ok(gone.map_or(Deleted::Missing, Deleted::Done))
}

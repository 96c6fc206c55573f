//! Documents: a keyed record that says everything about a text, and beside it, in a row of its own, the text.
//!
//! A list reads no texts, and the log keeps none: the text that a change replaced lies where superseded bodies of issues
//! do, so that it can be dropped in time, and undo takes it from there. Names are checked by their types; what may be in a
//! text is the business of [`crate::documents`].

use std::ops::Bound;

use crate::schema::codec::DecodeError;
use crate::schema::document::{Category, Document, DocumentKind, DocumentPath, document_key};
use crate::schema::id::{ContentHash, Revision};

use super::error::StoreError;
use super::record::{Change, Kind, Op};
use super::records::{Before, Record as _, entry, row};
use super::tables::{Readable, Tables};
use super::undo::Undone;
use super::write::WriteTxn;

/// What the key of a document's row begins with.
pub(super) const DOCUMENT_PREFIX: &[u8] = b"document\0";
/// What the key of the row of a document's text begins with. No kind of record has this name.
pub(super) const TEXT_PREFIX: &[u8] = b"document.text\0";

/// The row of a text.
fn text_row(key: &str) -> Vec<u8> {
    [TEXT_PREFIX, key.as_bytes()].concat()
}

impl<T: Readable> Tables<T> {
    /// A document without its text.
    ///
    /// # Errors
    /// If the database cannot be read or the row is damaged; so for all functions here.
    pub fn document(&self, path: &DocumentPath, kind: DocumentKind) -> Result<Option<Document>, StoreError> {
        self.record(&document_key(path, kind))
    }

    /// The text of a document.
    ///
    /// # Errors
    /// See [`Tables::document`].
    pub fn document_text(&self, document: &Document) -> Result<String, StoreError> {
        let row = text_row(&document.key());
        self.records.get(&row)?.ok_or_else(|| self.records.corrupt(&row, DecodeError::Damaged))
    }

    /// The documents directly in a category, by name and kind.
    ///
    /// # Errors
    /// See [`Tables::document`].
    pub fn documents_in(&self, category: &Category) -> Result<Vec<Document>, StoreError> {
        let mut documents = self.documents_within(category)?;
        documents.retain(|document| document.category == *category);
        Ok(documents)
    }

    /// The documents in a category and in those below it, by category, name and kind.
    ///
    /// # Errors
    /// See [`Tables::document`].
    pub fn documents_within(&self, category: &Category) -> Result<Vec<Document>, StoreError> {
        Ok(sorted(self.records_from(&format!("{category}/"))?))
    }

    /// All documents, by category, name and kind.
    ///
    /// # Errors
    /// See [`Tables::document`].
    pub fn documents(&self) -> Result<Vec<Document>, StoreError> {
        Ok(sorted(self.records()?))
    }

    /// The last document directly in a category that passes a test, among those whose names begin with a byte from
    /// `first` to before `end`.
    pub(crate) fn last_document(
        &self,
        category: &Category,
        (first, end): (char, char),
        mut test: impl FnMut(&Document) -> bool,
    ) -> Result<Option<Document>, StoreError> {
        let bound = |begin| row(Kind::Document, &format!("{category}/{begin}"));
        let rows = self.records.range::<Document>((Bound::Included(bound(first)), Bound::Excluded(bound(end))))?;
        for row in rows.rev() {
            let (_, document) = row?;
            if document.category == *category && test(&document) {
                return Ok(Some(document));
            }
        }
        Ok(None)
    }

    /// The present text of the document of a key, if it is there.
    pub(super) fn text_of_key(&self, key: &str) -> Result<Option<String>, StoreError> {
        self.records.get(&text_row(key))
    }
}

/// As a tree of categories: in the keys, a slash sorts after some characters that names may have.
fn sorted(mut documents: Vec<Document>) -> Vec<Document> {
    let parts = |document: &Document| document.category.as_str().split('/').map(str::to_owned).collect::<Vec<_>>();
    documents.sort_by_cached_key(|document| (parts(document), document.name.clone(), document.kind));
    documents
}

impl WriteTxn<'_> {
    /// Stores a text, over the one that was there; answers the document, and whether that changed anything.
    ///
    /// # Errors
    /// If the database fails; so for all functions here.
    pub fn put_document(
        &mut self,
        path: &DocumentPath,
        kind: DocumentKind,
        text: &str,
        op: Op,
    ) -> Result<(Document, bool), StoreError> {
        let old = self.document(path, kind)?;
        let old_text = old.as_ref().map(|old| self.document_text(old)).transpose()?;
        if let Some(old) = &old
            && old_text.as_deref() == Some(text)
        {
            return Ok((old.clone(), false));
        }
        let document = Document::of(path, kind, text, self.author().now, old.as_ref());
        self.replace_document(old.as_ref(), old_text.as_deref(), Some((&document, text)), op)?;
        Ok((document, true))
    }

    /// Removes a document, and answers it.
    ///
    /// # Errors
    /// See [`WriteTxn::put_document`].
    pub fn remove_document(
        &mut self,
        path: &DocumentPath,
        kind: DocumentKind,
        op: Op,
    ) -> Result<Option<Document>, StoreError> {
        let Some(old) = self.document(path, kind)? else { return Ok(None) };
        let text = self.document_text(&old)?;
        self.replace_document(Some(&old), Some(&text), None, op)?;
        Ok(Some(old))
    }

    fn replace_document(
        &mut self,
        old: Option<&Document>,
        old_text: Option<&str>,
        new: Option<(&Document, &str)>,
        op: Op,
    ) -> Result<(), StoreError> {
        let Some(key) = new.map(|(new, _)| new).or(old).map(super::records::Record::key) else { return Ok(()) };
        if let Some((document, text)) = new {
            self.tables.records.put(&row(Kind::Document, &key), document)?;
            self.tables.records.put(&text_row(&key), text)?;
        } else {
            self.tables.records.remove(&row(Kind::Document, &key))?;
            self.tables.records.remove(&text_row(&key))?;
        }
        let mut entry = entry(key, op, old, new.map(|(new, _)| new));
        entry.body_changed = old_text != new.map(|(_, text)| text);
        let superseded = old_text.filter(|_| entry.body_changed);
        self.append(entry, superseded)
    }

    /// Undoes one change of a document; none if it was done.
    pub(super) fn undo_document(&mut self, revision: Revision, change: &Change) -> Result<Option<Undone>, StoreError> {
        let before = match self.before::<Document>(revision, change)? {
            Before::Refused(undone) => return Ok(Some(undone)),
            Before::Nothing => None,
            Before::Record(old) => Some(*old),
        };
        let current: Option<Document> = self.record(&change.key)?;
        let current_text = current.as_ref().map(|current| self.document_text(current)).transpose()?;
        let text = if change.body_changed { self.superseded_body(revision)? } else { current_text.clone() };
        let old = match (&before, &text) {
            (None, _) => None,
            (Some(old), Some(text)) if ContentHash::of(text.as_bytes()) == old.hash => Some((old, text.as_str())),
            _ => return Ok(Some(Undone::NotUndoable { revision })),
        };
        self.replace_document(current.as_ref(), current_text.as_deref(), old, Op::Undo)?;
        Ok(None)
    }
}

#[cfg(test)]
mod tests;

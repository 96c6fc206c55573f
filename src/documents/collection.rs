//! Values of one type under ids of their own: append, load, list, delete, load all.
//!
//! A collection is a category, its namespace; each value is a JSON document in it, under its id. Ids are ULIDs that sort
//! as the values were appended, also within one millisecond and on a clock that was set back. Other documents of the
//! category, and those of categories below it, are none of its business.

use std::fmt;
use std::marker::PhantomData;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::db::tables::{Readable, Tables};
use crate::db::{StoreError, WriteTxn};
use crate::schema::document::{Category, Document, DocumentKind, DocumentPath};
use crate::schema::record_id::{InvalidRecordId, RecordId};
use crate::schema::time::Timestamp;

use super::Documents;
use super::error::DocumentError;
use super::steps::{self, Deleted, Expect};

/// The values of one type under a namespace.
#[derive(Clone, Debug)]
pub struct Collection<'s, T> {
    documents: Documents<'s>,
    namespace: Category,
    values: PhantomData<fn() -> T>,
}

impl<'s, T: Serialize + DeserializeOwned> Collection<'s, T> {
    pub(super) fn new(documents: Documents<'s>, namespace: Category) -> Self {
        Self { documents, namespace, values: PhantomData }
    }

    /// Adds a value, and answers its id. `random` fills what it is given with random bytes.
    ///
    /// # Errors
    /// [`DocumentError::NotJson`], [`DocumentError::Secret`], [`DocumentError::TooLarge`], [`DocumentError::Random`],
    /// [`DocumentError::IdsExhausted`], or if the database fails.
    pub fn append<E: fmt::Display>(
        &self,
        value: &T,
        mut random: impl FnMut(&mut [u8]) -> Result<(), E>,
    ) -> Result<RecordId, DocumentError> {
        let text = serde_json::to_string_pretty(value).map_err(DocumentError::NotJson)?;
        let mut bytes = [0; 16];
        random(&mut bytes).map_err(|error| DocumentError::Random(error.to_string()))?;
        let Documents { store, author, policy } = &self.documents;
        store.write(author, |txn| {
            let id = next_id(txn, &self.namespace, author.now, u128::from_le_bytes(bytes))?;
            let _ = steps::save(txn, &self.path(id)?, DocumentKind::Json, &text, Expect::Nothing, policy)?;
            Ok(id)
        })
    }

    /// A value; none if there is none of that id.
    ///
    /// # Errors
    /// [`DocumentError::Id`], [`DocumentError::Unreadable`], or if the database fails.
    pub fn load(&self, id: &str) -> Result<Option<T>, DocumentError> {
        let path = self.path(id.parse()?)?;
        let loaded = steps::load(&*self.documents.store.read()?, &path, DocumentKind::Json)?;
        loaded.map(|loaded| steps::parse(&loaded.document, &loaded.text)).transpose()
    }

    /// The ids that begin with a text, in the order of appending; all for an empty one.
    ///
    /// # Errors
    /// [`DocumentError::Id`] if no id can begin so, or if the database fails.
    pub fn list(&self, prefix: &str) -> Result<Vec<RecordId>, DocumentError> {
        let read = self.documents.store.read()?;
        Ok(values(&*read, &self.namespace, prefix)?.into_iter().map(|(id, _)| id).collect())
    }

    /// Deletes a value; says whether there was one.
    ///
    /// # Errors
    /// [`DocumentError::Id`], or if the database fails.
    pub fn delete(&self, id: &str) -> Result<bool, DocumentError> {
        let path = self.path(id.parse()?)?;
        let Documents { store, author, .. } = &self.documents;
        let deleted = store.write(author, |txn| steps::delete(txn, &path, Some(DocumentKind::Json), None))?;
        Ok(matches!(deleted, Deleted::Done(_)))
    }

    /// The values whose ids begin with a text, in the order of appending, as they all are at one time.
    ///
    /// # Errors
    /// [`DocumentError::Id`], [`DocumentError::Unreadable`] if one of them is not of the type, or if the database fails.
    pub fn load_all(&self, prefix: &str) -> Result<Vec<(RecordId, T)>, DocumentError> {
        let read = self.documents.store.read()?;
        let mut all = Vec::new();
        for (id, document) in values(&*read, &self.namespace, prefix)? {
            all.push((id, steps::parse(&document, &read.document_text(&document)?)?));
        }
        Ok(all)
    }

    fn path(&self, id: RecordId) -> Result<DocumentPath, DocumentError> {
        Ok(DocumentPath { category: self.namespace.clone(), name: id.to_string().parse()? })
    }
}

fn id_of(document: &Document) -> Option<RecordId> {
    document.name.as_str().parse().ok().filter(|_| document.kind == DocumentKind::Json)
}

/// An id for now, after every id of the collection.
fn next_id(txn: &WriteTxn<'_>, namespace: &Category, now: Timestamp, random: u128) -> Result<RecordId, DocumentError> {
    let fresh = RecordId::new(now, random);
    // a ULID begins with a digit up to 7
    let last = txn.last_document(namespace, ('0', '8'), |document| id_of(document).is_some())?;
    match last.as_ref().and_then(id_of) {
        Some(last) if last >= fresh => last.next().ok_or(DocumentError::IdsExhausted),
        _ => Ok(fresh),
    }
}

/// The values of a collection whose ids begin with a text.
fn values<T: Readable>(
    tables: &Tables<T>,
    namespace: &Category,
    prefix: &str,
) -> Result<Vec<(RecordId, Document)>, DocumentError> {
    if !RecordId::can_begin_with(prefix) {
        return Err(InvalidRecordId.into());
    }
    let documents: Result<_, StoreError> = tables.documents_in(namespace);
    let ids = documents?.into_iter().filter_map(|document| Some((id_of(&document)?, document)));
    Ok(ids.filter(|(_, document)| document.name.as_str().starts_with(prefix)).collect())
}

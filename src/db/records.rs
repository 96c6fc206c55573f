//! Keyed records: every kind but issues, which have tables and indexes of their own.
//!
//! The rows of all kinds lie in one table under the name of the kind and the record's key, so that a read opens one table
//! more and not one for each kind. Every change is a row of the audit trail with the fields that changed, and can be
//! undone like a change of an issue. The audit trail and undo spell records as JSON does; so the types have no field that
//! JSON cannot hold, and none that is skipped or flattened, which bincode cannot read back.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::schema::agent::Agent;
use crate::schema::codec;
use crate::schema::document::{Document, document_key};
use crate::schema::fact::Fact;
use crate::schema::handoff::Handoff;
use crate::schema::health::Health;
use crate::schema::id::{ContentHash, Revision};
use crate::schema::keyed::Keyed;
use crate::schema::pointer::Pointer;
use crate::schema::registry::Registration;
use crate::schema::runtime::Runtime;
use crate::schema::session::Session;
use crate::schema::usage::{Telemetry, UsageDay, UsageSource};
use crate::schema::validation::Validation;
use crate::schema::value::Value;

use super::error::StoreError;
use super::record::{Change, Kind, Op};
use super::tables::{Readable, Tables};
use super::trail::Entry;
use super::undo::Undone;
use super::write::WriteTxn;

/// A kind of record that is found by a key.
pub trait Record: Serialize + DeserializeOwned + Clone + PartialEq {
    /// Its kind.
    const KIND: Kind;

    /// Its key; fixed for the life of the record.
    fn key(&self) -> String;
}

impl Record for Session {
    const KIND: Kind = Kind::Session;

    fn key(&self) -> String {
        self.id.to_string()
    }
}

impl Record for Agent {
    const KIND: Kind = Kind::Agent;

    fn key(&self) -> String {
        self.id.to_string()
    }
}

impl Record for Document {
    const KIND: Kind = Kind::Document;

    fn key(&self) -> String {
        document_key(&self.path(), self.kind)
    }
}

/// The small keyed records, which have their keys from their own mechanism.
macro_rules! keyed_records {
    ($($record:ty => $kind:ident),+) => {$(
        impl Record for $record {
            const KIND: Kind = Kind::$kind;

            fn key(&self) -> String {
                Keyed::key(self)
            }
        }
    )+};
}

keyed_records!(
    Pointer => Pointer,
    Fact => Fact,
    Runtime => Runtime,
    Health => Health,
    Registration => Registry,
    Validation => Validation,
    Handoff => Handoff
);

/// The hash of a record, as the log has it and `--expect` compares it.
#[must_use]
pub fn hash_of<R: Record>(record: &R) -> ContentHash {
    Spelled::of(record).hash
}

impl Record for UsageDay {
    const KIND: Kind = Kind::Usage;

    fn key(&self) -> String {
        format!("{}/{}", self.day, self.model)
    }
}

impl Record for UsageSource {
    const KIND: Kind = Kind::UsageSource;

    fn key(&self) -> String {
        self.path.clone()
    }
}

impl Record for Telemetry {
    const KIND: Kind = Kind::Telemetry;

    fn key(&self) -> String {
        format!("{}/{}/{}", self.day, self.measure.as_str(), self.name)
    }
}

/// Whether the bytes of a row say what records of its kind say, and under their own key; none if there is no such kind.
pub(super) fn is_record(kind: &[u8], key: &[u8], value: &[u8]) -> Option<bool> {
    fn of<R: Record>(key: &[u8], value: &[u8]) -> bool {
        codec::decode::<R>(key, value).is_ok_and(|record| row(R::KIND, &record.key()) == key)
    }
    Some(match Kind::ALL.into_iter().find(|known| known.as_str().as_bytes() == kind)? {
        Kind::Session => of::<Session>(key, value),
        Kind::Agent => of::<Agent>(key, value),
        Kind::Document => of::<Document>(key, value),
        Kind::Pointer => of::<Pointer>(key, value),
        Kind::Fact => of::<Fact>(key, value),
        Kind::Runtime => of::<Runtime>(key, value),
        Kind::Health => of::<Health>(key, value),
        Kind::Registry => of::<Registration>(key, value),
        Kind::Usage => of::<UsageDay>(key, value),
        Kind::UsageSource => of::<UsageSource>(key, value),
        Kind::Telemetry => of::<Telemetry>(key, value),
        Kind::Validation => of::<Validation>(key, value),
        Kind::Handoff => of::<Handoff>(key, value),
        Kind::Issue => false,
    })
}

/// The row of a record: its kind, a NUL, its key.
pub(super) fn row(kind: Kind, key: &str) -> Vec<u8> {
    [kind.as_str().as_bytes(), b"\0", key.as_bytes()].concat()
}

impl<T: Readable> Tables<T> {
    /// The record of a key.
    ///
    /// # Errors
    /// If the database cannot be read or the row is damaged; so for all functions here.
    pub fn record<R: Record>(&self, key: &str) -> Result<Option<R>, StoreError> {
        self.records.get(&row(R::KIND, key))
    }

    /// All records of a kind, by key.
    ///
    /// # Errors
    /// See [`Tables::record`].
    pub fn records<R: Record>(&self) -> Result<Vec<R>, StoreError> {
        self.records_from("")
    }

    /// The number of records of a kind.
    ///
    /// # Errors
    /// See [`Tables::record`].
    pub fn count(&self, kind: Kind) -> Result<u64, StoreError> {
        self.records.count(&row(kind, ""))
    }

    /// The records whose keys begin with a text, by key.
    ///
    /// # Errors
    /// See [`Tables::record`].
    pub fn records_from<R: Record>(&self, beginning: &str) -> Result<Vec<R>, StoreError> {
        self.records.with_prefix(&row(R::KIND, beginning))?.map(|row| row.map(|(_, record)| record)).collect()
    }
}

impl WriteTxn<'_> {
    /// Stores a record, over the one of the same key if there is one; says whether that changed anything.
    ///
    /// # Errors
    /// If the database fails.
    pub fn put_record<R: Record>(&mut self, record: &R, op: Op) -> Result<bool, StoreError> {
        let key = record.key();
        let old = self.record::<R>(&key)?;
        if old.as_ref() == Some(record) {
            return Ok(false);
        }
        self.tables.records.put(&row(R::KIND, &key), record)?;
        self.append_record(key, op, old.as_ref(), Some(record))?;
        Ok(true)
    }

    /// Removes a record, and answers it.
    ///
    /// # Errors
    /// If the database fails.
    pub fn remove_record<R: Record>(&mut self, key: &str, op: Op) -> Result<Option<R>, StoreError> {
        let Some(old) = self.record::<R>(key)? else { return Ok(None) };
        self.tables.records.remove(&row(R::KIND, key))?;
        self.append_record(key.to_owned(), op, Some(&old), None)?;
        Ok(Some(old))
    }

    fn append_record<R: Record>(
        &mut self,
        key: String,
        op: Op,
        old: Option<&R>,
        new: Option<&R>,
    ) -> Result<(), StoreError> {
        self.append(entry(key, op, old, new), None)
    }

    /// Undoes one change of a record of any kind but issues; none if it was done.
    pub(super) fn undo_record(&mut self, revision: Revision, change: &Change) -> Result<Option<Undone>, StoreError> {
        match change.kind {
            Kind::Session => self.undo_typed::<Session>(revision, change),
            Kind::Agent => self.undo_typed::<Agent>(revision, change),
            Kind::Document => self.undo_document(revision, change),
            Kind::Pointer => self.undo_typed::<Pointer>(revision, change),
            Kind::Fact => self.undo_typed::<Fact>(revision, change),
            Kind::Runtime => self.undo_typed::<Runtime>(revision, change),
            Kind::Health => self.undo_typed::<Health>(revision, change),
            Kind::Registry => self.undo_typed::<Registration>(revision, change),
            Kind::Usage => self.undo_typed::<UsageDay>(revision, change),
            Kind::UsageSource => self.undo_typed::<UsageSource>(revision, change),
            Kind::Telemetry => self.undo_typed::<Telemetry>(revision, change),
            Kind::Validation => self.undo_typed::<Validation>(revision, change),
            Kind::Handoff => self.undo_typed::<Handoff>(revision, change),
            Kind::Issue => Ok(Some(Undone::NotUndoable { revision })),
        }
    }

    fn undo_typed<R: Record>(&mut self, revision: Revision, change: &Change) -> Result<Option<Undone>, StoreError> {
        match self.before::<R>(revision, change)? {
            Before::Refused(undone) => return Ok(Some(undone)),
            // its entry would stay without it
            Before::Nothing if self.is_listed(change)? => {
                return Ok(Some(self.overtaken(revision, change, change.hash_after)));
            }
            Before::Nothing => drop(self.remove_record::<R>(&change.key, Op::Undo)?),
            Before::Record(old) => drop(self.put_record(&*old, Op::Undo)?),
        }
        Ok(None)
    }

    /// What there was before a change that nothing has overtaken.
    pub(super) fn before<R: Record>(&self, revision: Revision, change: &Change) -> Result<Before<R>, StoreError> {
        let current = self.record::<R>(&change.key)?.as_ref().map(Spelled::of);
        let current_hash = current.as_ref().map(|it| it.hash);
        if current_hash != change.hash_after || !self.later.overwritten(revision, change).is_empty() {
            return Ok(Before::Refused(self.overtaken(revision, change, current_hash)));
        }
        if change.hash_before.is_none() {
            return Ok(Before::Nothing);
        }
        let mut fields = current.map(|it| it.fields).unwrap_or_default();
        let Value::Map(before) = &change.before else { return Ok(Before::Refused(Undone::NotUndoable { revision })) };
        for (name, value) in before {
            fields.insert(name.clone(), serde_json::to_value(value).unwrap_or_default());
        }
        match serde_json::from_value::<R>(serde_json::Value::Object(fields)) {
            Ok(old) if Some(Spelled::of(&old).hash) == change.hash_before => Ok(Before::Record(Box::new(old))),
            _ => Ok(Before::Refused(Undone::NotUndoable { revision })),
        }
    }
}

/// What there was before a change.
pub(super) enum Before<R> {
    /// No record.
    Nothing,
    /// This one.
    Record(Box<R>),
    /// The change cannot be undone.
    Refused(Undone),
}

/// The row of the audit trail for a change of a record.
pub(super) fn entry<R: Record>(key: String, op: Op, old: Option<&R>, new: Option<&R>) -> Entry {
    let (before, after) = (old.map(Spelled::of), new.map(Spelled::of));
    let hashes = (before.as_ref().map(|it| it.hash), after.as_ref().map(|it| it.hash));
    let (before, after) = differences(before, after);
    Entry {
        kind: R::KIND,
        key,
        identity: None,
        op,
        hash_before: hashes.0,
        hash_after: hashes.1,
        before,
        after,
        body_changed: false,
    }
}

/// A record as JSON spells it, and the hash of that.
struct Spelled {
    fields: serde_json::Map<String, serde_json::Value>,
    hash: ContentHash,
}

impl Spelled {
    fn of<R: Record>(record: &R) -> Self {
        // records are structs of plain fields, which always are JSON objects
        let fields = match serde_json::to_value(record) {
            Ok(serde_json::Value::Object(fields)) => fields,
            _ => serde_json::Map::new(),
        };
        let text = serde_json::to_vec(&fields).unwrap_or_default();
        Self { fields, hash: ContentHash::of(&text) }
    }
}

/// The fields that differ, before and after. Where there is only one side, all of it that is not empty.
fn differences(before: Option<Spelled>, after: Option<Spelled>) -> (Value, Value) {
    let (Some(before), Some(after)) = (&before, &after) else {
        return (whole(before), whole(after));
    };
    let (mut old, mut new) = (Vec::new(), Vec::new());
    for (name, field) in &after.fields {
        let was = before.fields.get(name);
        if was != Some(field) {
            old.push((name.clone(), was.map_or(Value::Null, value)));
            new.push((name.clone(), value(field)));
        }
    }
    (Value::Map(old), Value::Map(new))
}

fn whole(side: Option<Spelled>) -> Value {
    let Some(side) = side else { return Value::Null };
    let fields = side.fields.iter().filter(|(_, field)| !field.is_null());
    Value::Map(fields.map(|(name, field)| (name.clone(), value(field))).collect())
}

fn value(json: &serde_json::Value) -> Value {
    // every JSON value is one of ours
    serde_json::from_value(json.clone()).unwrap_or_default()
}

#[cfg(test)]
mod tests;

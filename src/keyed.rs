//! The small keyed records as steps of a transaction: set, remove, read, and by JSON for programs that have no types.
//!
//! One mechanism for pointers, facts, runtime summaries, health and registrations ([`crate::schema::keyed`] says what
//! they are). Setting a record to what it says already writes nothing; a guarded change (`expect`) is made only if the
//! record is still as the caller saw it. Health is changed by what was seen of a call, never field by field; see
//! [`health`].

pub mod facts;
pub mod health;
mod json;
#[cfg(test)]
mod tests;

use serde_json::Map;

use crate::db::record::Op;
use crate::db::records::{Record, hash_of};
use crate::db::tables::{Readable, Tables};
use crate::db::{StoreError, WriteTxn};
use crate::schema::id::{ContentHash, Identity, IssueId};
use crate::schema::keyed::{Keyed, Origin, Problem, admit, same};
use crate::schema::privacy::Policy;

pub use json::{Row, rows, set_json};

/// Why a record was not changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyedError {
    /// What was given cannot be stored.
    #[error(transparent)]
    Problem(#[from] Problem),
    /// There is no such issue to point to.
    #[error("issue #{0} not found")]
    NoIssue(IssueId),
    /// Records of this kind are not set like this.
    #[error("a {0} is no small keyed record")]
    WrongKind(&'static str),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What became of a guarded change.
#[derive(Clone, Debug, PartialEq)]
#[must_use]
pub enum Outcome<K> {
    /// It was made; the record as it is now, or was before it went.
    Changed(K),
    /// There was nothing to change; nothing was written.
    Unchanged(K),
    /// The record is no longer as the caller last saw it; its present hash.
    Stale(ContentHash),
    /// There is no such record.
    Missing,
}

/// Sets a record by a function of the one that is there. `expect` is the hash of that one.
///
/// # Errors
/// What `change` answers, or if the database fails.
pub fn set_by<K: Keyed + Record, E: From<StoreError>>(
    txn: &mut WriteTxn<'_>,
    key: &str,
    expect: Option<ContentHash>,
    op: Option<Op>,
    change: impl FnOnce(Option<&K>) -> Result<K, E>,
) -> Result<Outcome<K>, E> {
    let old = txn.record::<K>(key)?;
    if let Some(refused) = guarded(old.as_ref(), expect) {
        return Ok(refused);
    }
    let new = change(old.as_ref())?;
    match old {
        Some(old) if same(&old, &new) => Ok(Outcome::Unchanged(old)),
        old => {
            txn.put_record(&new, op.unwrap_or(if old.is_some() { Op::Update } else { Op::Create }))?;
            Ok(Outcome::Changed(new))
        }
    }
}

/// Sets fields of a record; it is made if it is not there. Fields that are not given stay as they were.
///
/// # Errors
/// [`KeyedError::Problem`], or if the database fails.
pub fn set<K: Keyed + Record>(
    txn: &mut WriteTxn<'_>,
    key: &str,
    fields: Map<String, serde_json::Value>,
    expect: Option<ContentHash>,
    policy: &Policy,
) -> Result<Outcome<K>, KeyedError> {
    let now = txn.author().now;
    set_by(txn, key, expect, None, |old| Ok(admit(old, fields, Origin::Foreign, now, policy)?))
}

/// Removes a record.
///
/// # Errors
/// If the database fails.
pub fn remove<K: Keyed + Record>(
    txn: &mut WriteTxn<'_>,
    key: &str,
    expect: Option<ContentHash>,
) -> Result<Outcome<K>, StoreError> {
    let old = txn.record::<K>(key)?;
    if let Some(refused) = guarded(old.as_ref(), expect) {
        return Ok(refused);
    }
    Ok(txn.remove_record::<K>(key, Op::Delete)?.map_or(Outcome::Missing, Outcome::Changed))
}

fn guarded<K: Record>(old: Option<&K>, expect: Option<ContentHash>) -> Option<Outcome<K>> {
    let expect = expect?;
    let Some(old) = old else { return Some(Outcome::Missing) };
    let current = hash_of(old);
    (current != expect).then_some(Outcome::Stale(current))
}

/// What an issue is, by its present number.
///
/// # Errors
/// [`KeyedError::NoIssue`], or if the database fails.
pub fn identity<T: Readable>(tables: &Tables<T>, id: IssueId) -> Result<Identity, KeyedError> {
    Ok(tables.head(id)?.ok_or(KeyedError::NoIssue(id))?.head.identity())
}

/// Puts what an issue is in the place of its number, where fields give that.
///
/// # Errors
/// See [`identity`].
pub(crate) fn issue_by_number<T: Readable>(
    tables: &Tables<T>,
    fields: &mut Map<String, serde_json::Value>,
) -> Result<(), KeyedError> {
    if let Some(number) = fields.get("issue").and_then(serde_json::Value::as_u64) {
        let id = IssueId(u32::try_from(number).unwrap_or(u32::MAX));
        fields.insert("issue".into(), serde_json::to_value(identity(tables, id)?).unwrap_or_default());
    }
    Ok(())
}

/// Gives a field a value that has none.
pub(crate) fn or_default(
    fields: &mut Map<String, serde_json::Value>,
    name: &str,
    value: impl FnOnce() -> serde_json::Value,
) {
    if fields.get(name).is_none_or(serde_json::Value::is_null) {
        fields.insert(name.to_owned(), value());
    }
}

/// The fields of a JSON object.
pub(crate) fn object(value: serde_json::Value) -> Map<String, serde_json::Value> {
    match value {
        serde_json::Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

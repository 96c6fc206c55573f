//! Validations as steps of a transaction: note a run, pin it to its issue, and say how the checks stand.
//!
//! A run that is noted dirties no file. Pinned ones stand in the file of their issue, at most
//! [`MAX_PINNED`]; closing an issue pins the latest run of each name.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::db::record::Op;
use crate::db::tables::{Readable, Tables};
use crate::db::{StoreError, WriteTxn};
use crate::keyed::{self, KeyedError};
use crate::schema::frontmatter::RenderError;
use crate::schema::id::{Identity, IssueId};
use crate::schema::keyed::{Keyed as _, admit_with};
use crate::schema::privacy::Policy;
use crate::schema::record_id::RecordId;
use crate::schema::time::Timestamp;
use crate::schema::validation::{self, MAX_PINNED, Pin, Validation};

/// Why a step was not taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ValidationError {
    /// What was given cannot be stored.
    #[error(transparent)]
    Keyed(#[from] KeyedError),
    /// There is no such validation.
    #[error("there is no validation {0}")]
    NotFound(RecordId),
    /// It is about no issue, so there is no file to pin it in.
    #[error("validation {0} is about no issue")]
    NoIssue(RecordId),
    /// The issue's file lists as many as it may.
    #[error("issue #{0} has as many pinned validations as it may: {MAX_PINNED}")]
    Full(IssueId),
    /// The issue's file would become too large.
    #[error("the issue's file has no room for it: {0}")]
    NoRoom(#[source] RenderError),
}

impl From<StoreError> for ValidationError {
    fn from(error: StoreError) -> Self {
        Self::Keyed(error.into())
    }
}

/// Notes a run from fields that somebody gives; `issue` may be a number. It ended now unless they say otherwise. Older
/// runs of its name make room for it, if the store was told how many are kept.
///
/// # Errors
/// [`KeyedError`].
pub fn note(
    txn: &mut WriteTxn<'_>,
    id: RecordId,
    mut given: Map<String, Value>,
    op: Op,
    policy: &Policy,
) -> Result<Validation, KeyedError> {
    keyed::issue_by_number(&**txn, &mut given)?;
    let author = txn.author().clone();
    keyed::or_default(&mut given, "session", || author.session.as_ref().map(ToString::to_string).into());
    let at = after_the_last(&**txn, &given, author.now)?;
    keyed::or_default(&mut given, "at", || at.to_string().into());
    let run: Validation = admit_with(None, given, keyed::object(json!({ "id": id })), author.now, policy)?;
    txn.put_record(&run, op)?;
    txn.expire_runs(&run)?;
    Ok(run)
}

/// The time of a run that ends now: after the last one of its name, so that it is the latest on a clock that was set back,
/// too; but for one that claims to be of another day to come.
fn after_the_last<T: Readable>(
    tables: &Tables<T>,
    given: &Map<String, Value>,
    now: Timestamp,
) -> Result<Timestamp, StoreError> {
    let name = given.get("name").and_then(Value::as_str).unwrap_or_default();
    let believed = now.get().checked_add_signed(chrono::TimeDelta::days(1)).map_or(now, Timestamp::new);
    let runs = tables.records::<Validation>()?.into_iter().filter(|run| run.name == name && run.at <= believed);
    Ok(runs.map(|run| run.at).max().map_or(now, |last| Timestamp::after(now, last)))
}

/// Has a run stand in the file of its issue; says whether it did not.
///
/// # Errors
/// [`ValidationError`].
pub fn pin(txn: &mut WriteTxn<'_>, id: RecordId) -> Result<bool, ValidationError> {
    let (run, issue) = find(txn, id)?;
    let mut added = false;
    let _ = txn.try_update(issue, None, Op::Update, |issue, _| {
        let list = &mut issue.head.validations;
        let place = list.iter().position(|entry| entry.id == run.key());
        let entry = validation::entry(&run, Pin::Hand, place.map(|place| &list[place]));
        match place {
            Some(place) => list[place] = entry,
            None if list.len() >= MAX_PINNED => return Err(ValidationError::Full(issue.head.id)),
            None => {
                list.push(entry);
                added = true;
            }
        }
        crate::schema::frontmatter::render_checked(issue).map(drop).map_err(ValidationError::NoRoom)
    })?;
    Ok(added)
}

/// Takes a run out of the file of its issue; says whether it stood there. The run itself stays.
///
/// # Errors
/// [`ValidationError`].
pub fn unpin(txn: &mut WriteTxn<'_>, id: RecordId) -> Result<bool, ValidationError> {
    let (run, issue) = find(txn, id)?;
    let mut removed = false;
    let _ = txn.try_update(issue, None, Op::Update, |issue, _| {
        let before = issue.head.validations.len();
        issue.head.validations.retain(|entry| entry.id != run.key());
        removed = issue.head.validations.len() < before;
        Ok::<_, ValidationError>(())
    })?;
    Ok(removed)
}

fn find(txn: &WriteTxn<'_>, id: RecordId) -> Result<(Validation, IssueId), ValidationError> {
    let run = txn.record::<Validation>(&id.to_string())?.ok_or(ValidationError::NotFound(id))?;
    let issue = run.issue.as_ref().map(|issue| txn.id_of(issue)).transpose()?.flatten();
    Ok((run, issue.ok_or(ValidationError::NoIssue(id))?))
}

/// Whether a run stands in the file of its issue.
///
/// # Errors
/// If the database cannot be read.
pub fn is_pinned<T: Readable>(tables: &Tables<T>, run: &Validation) -> Result<bool, StoreError> {
    let Some(head) = head_of(tables, run.issue.as_ref())? else { return Ok(false) };
    Ok(head.validations.iter().any(|entry| entry.id == run.key()))
}

fn head_of<T: Readable>(
    tables: &Tables<T>,
    issue: Option<&Identity>,
) -> Result<Option<crate::schema::issue::IssueHead>, StoreError> {
    let Some(id) = issue.map(|issue| tables.id_of(issue)).transpose()?.flatten() else { return Ok(None) };
    Ok(tables.head(id)?.map(|stored| stored.head))
}

/// All runs, newest first.
///
/// # Errors
/// If the database cannot be read.
pub fn newest_first<T: Readable>(tables: &Tables<T>) -> Result<Vec<Validation>, StoreError> {
    let mut runs: Vec<Validation> = tables.records()?;
    runs.sort_by_key(|run| std::cmp::Reverse((run.at, run.id)));
    Ok(runs)
}

/// The latest run of each name, the failing ones first, then by name.
///
/// # Errors
/// If the database cannot be read.
pub fn latest<T: Readable>(tables: &Tables<T>) -> Result<Vec<Validation>, StoreError> {
    let mut latest: BTreeMap<String, Validation> = BTreeMap::new();
    for run in newest_first(tables)? {
        latest.entry(run.name.clone()).or_insert(run);
    }
    let mut runs: Vec<Validation> = latest.into_values().collect();
    runs.sort_by_key(|run| !run.result.is_failing());
    Ok(runs)
}

/// Whether another commit is checked out than when it was run; none if one of the two is unknown.
#[must_use]
pub fn is_stale(run: &Validation, head: Option<&str>) -> Option<bool> {
    let (commit, head) = (run.commit.as_deref()?, head?);
    // one that was given by hand may be short
    Some(!head.starts_with(commit))
}

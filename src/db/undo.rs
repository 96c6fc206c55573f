//! Undoing changes from what the audit trail kept. Undoing is itself a change, and can be undone.

use std::collections::HashMap;

use crate::schema::diff;
use crate::schema::id::{ContentHash, Identity, IssueId, Revision};
use crate::schema::issue::{Issue, IssueHead};
use crate::schema::value::Value;

use super::error::StoreError;
use super::record::{Change, Kind, Op, Versioned};
use super::tables::{Readable, Tables};
use super::write::WriteTxn;

/// What became of an undo.
#[derive(Clone, Debug, PartialEq)]
#[must_use]
pub enum Undone {
    /// These changes were undone, newest first.
    Done(Vec<Revision>),
    /// There is no such change, or none left to undo.
    NothingToUndo,
    /// Something newer would be overwritten.
    Overtaken {
        /// The change that cannot be undone.
        revision: Revision,
        /// The kind of record.
        kind: Kind,
        /// Its key; an issue's number then.
        key: String,
        /// Its present hash; none if it is gone.
        current: Option<ContentHash>,
    },
    /// What the change replaced is no longer kept, or it changed no record.
    NotUndoable {
        /// The change.
        revision: Revision,
    },
}

impl WriteTxn<'_> {
    /// Undoes one change, and with a change of a handoff or a validation that of the entry in its issue's file;
    /// without a revision, all changes of the newest command that was not undone yet, passing over what only notes what
    /// happened by itself (see [`Op::is_observation`]).
    ///
    /// Everything or nothing: if one of the changes cannot be undone, the caller drops the transaction.
    ///
    /// # Errors
    /// If the database fails.
    pub fn undo(&mut self, revision: Option<Revision>) -> Result<Undone, StoreError> {
        let changes = self.to_undo(revision)?;
        if changes.is_empty() {
            return Ok(Undone::NothingToUndo);
        }
        if let Some(revision) = self.incomplete(&changes)? {
            return Ok(Undone::NotUndoable { revision });
        }
        let (mut done, mut restored) = (Vec::new(), std::collections::BTreeMap::new());
        for (revision, change) in changes {
            // rows that only tell of a loss or a conflict changed no record
            if change.hash_before == change.hash_after {
                if self.has_one_change(&change)? {
                    return Ok(Undone::NotUndoable { revision });
                }
                continue;
            }
            self.set_undoes(Some(revision));
            let outcome = match &change.identity {
                Some(identity) => self.undo_issue(revision, &change, identity)?,
                None => self.undo_record(revision, &change)?,
            };
            self.set_undoes(None);
            match outcome {
                None => done.push(revision),
                Some(refused) => return Ok(refused),
            }
            if let Some(identity) = &change.identity {
                restored.insert(identity.key(), identity.clone());
            }
        }
        for identity in restored.values() {
            self.drop_done_entries(identity)?;
        }
        Ok(Undone::Done(done))
    }

    /// The changes that [`WriteTxn::undo`] would undo, newest first.
    ///
    /// # Errors
    /// If the database fails.
    pub fn to_undo(&self, revision: Option<Revision>) -> Result<Vec<(Revision, Change)>, StoreError> {
        match revision {
            Some(revision) => match self.change(revision)? {
                Some(change) => self.with_entries(revision, change),
                None => Ok(Vec::new()),
            },
            None => self.newest_group(),
        }
    }

    /// One of these changes of which the log no longer holds all that belongs to it.
    fn incomplete(&self, changes: &[(Revision, Change)]) -> Result<Option<Revision>, StoreError> {
        let log_from = self.log_from()?;
        for (revision, change) in changes {
            if *revision < log_from || (change.group < log_from && self.is_of_entry(change)?) {
                return Ok(Some(*revision));
            }
        }
        Ok(None)
    }

    fn has_one_change(&self, change: &Change) -> Result<bool, StoreError> {
        let before = Revision(change.group.0.saturating_sub(1));
        let mut of_group = 0;
        for row in self.changes_since(before)? {
            of_group += usize::from(row?.1.group == change.group);
        }
        Ok(of_group == 1)
    }

    /// The changes of the newest command that neither undid something nor was undone, newest first.
    fn newest_group(&self) -> Result<Vec<(Revision, Change)>, StoreError> {
        let mut undone = std::collections::BTreeSet::new();
        let mut group: Option<Revision> = None;
        let mut changes = Vec::new();
        let from = self.born()?.max(Revision(self.log_from()?.0.saturating_sub(1)));
        for row in self.changes_since(from)? {
            let (revision, change) = row?;
            if group.is_some_and(|group| group != change.group) {
                break;
            }
            if let Some(target) = change.undoes {
                undone.insert(target);
            } else if !undone.contains(&revision)
                && change.hash_before != change.hash_after
                && !change.op.is_observation()
            {
                group = Some(change.group);
                changes.push((revision, change));
            }
        }
        Ok(changes)
    }

    fn undo_issue(
        &mut self,
        revision: Revision,
        change: &Change,
        identity: &Identity,
    ) -> Result<Option<Undone>, StoreError> {
        let overtaken = |current| Undone::Overtaken { revision, kind: Kind::Issue, key: change.key.clone(), current };
        let current = self.issue_of(identity)?;
        let current_hash = current.as_ref().map(|current| current.hash);
        if current_hash != change.hash_after {
            return Ok(Some(overtaken(current_hash)));
        }
        let refused = Ok(Some(Undone::NotUndoable { revision }));
        let Some(hash_before) = change.hash_before else {
            if let Some(current) = current {
                self.delete(current.issue.head.id, Op::Undo)?;
            }
            return Ok(None);
        };
        let mut issue = current.map_or_else(|| blank(change, identity), |current| current.issue);
        if diff::apply(&mut issue, &change.before).is_err() {
            return refused;
        }
        if change.body_changed {
            match self.superseded_body(revision)? {
                Some(body) => issue.body = body,
                None => return refused,
            }
        }
        let old = Versioned::new(issue);
        if old.hash != hash_before {
            return refused;
        }
        let id = old.issue.head.id;
        let holder = self.head(id)?.map(|stored| stored.head.identity());
        if holder.is_some_and(|holder| holder != *identity) {
            return Ok(Some(overtaken(current_hash)));
        }
        if change.hash_after.is_some() && self.id_of(identity)? != Some(id) {
            self.renumber(&[(identity.clone(), id)])?;
        }
        self.put(&old, Op::Undo)?;
        Ok(None)
    }
}

/// An issue to which the stored fields of a deleted one are applied.
fn blank(change: &Change, identity: &Identity) -> Issue {
    let number = change.key.parse().unwrap_or(IssueId(0));
    let mut head = IssueHead::new(number, String::new(), identity.created_at);
    head.slug = identity.slug.clone();
    Issue { head, body: String::new() }
}

/// A change as the log shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct LogEntry {
    /// Its place in the order.
    pub revision: Revision,
    /// The change as stored.
    pub change: Change,
    /// The changed fields with their values before, the body included while it is kept.
    pub before: Value,
    /// The changed fields with their values after, the body included while it is kept.
    pub after: Value,
}

impl<T: Readable> Tables<T> {
    /// The changes after a revision that `keep` takes, newest first.
    ///
    /// The body after a change is not stored with it: it is the one that the next change of that issue replaced, or the
    /// present one.
    ///
    /// # Errors
    /// If the database fails.
    pub fn log(
        &self,
        since: Revision,
        limit: usize,
        mut keep: impl FnMut(&Change) -> bool,
    ) -> Result<Vec<LogEntry>, StoreError> {
        // the change that next replaced the body of an issue or a document, seen from the newest change backwards
        let mut replaced: HashMap<Vec<u8>, Revision> = HashMap::new();
        let mut entries = Vec::new();
        for row in self.changes_since(since)? {
            if entries.len() >= limit {
                break;
            }
            let (revision, change) = row?;
            let changes_record = change.hash_before != change.hash_after;
            let identity = change.identity.as_ref();
            let next = if change.body_changed && changes_record {
                let subject = identity.map_or_else(|| change.key.as_bytes().to_vec(), Identity::key);
                replaced.insert(subject, revision)
            } else {
                None
            };
            if !keep(&change) {
                continue;
            }
            let (mut before, mut after) = (for_people(&change.before), for_people(&change.after));
            if change.body_changed {
                add_body(&mut before, self.superseded_body(revision)?);
                let body_after = match next {
                    _ if !changes_record => None,
                    Some(next) => self.superseded_body(next)?,
                    None => match identity {
                        Some(identity) => self.issue_of(identity)?.map(|record| record.issue.body),
                        None => self.text_of_key(&change.key)?,
                    },
                };
                add_body(&mut after, body_after);
            }
            entries.push(LogEntry { revision, change, before, after });
        }
        Ok(entries)
    }
}

/// Unknown keys are stored with their lines, so that undo can bring those back; the log shows what they mean.
fn for_people(fields: &Value) -> Value {
    let Value::Map(fields) = fields else { return fields.clone() };
    let plain = |(name, value): &(String, Value)| {
        let shown = value.get("value").filter(|_| name.starts_with(diff::EXTRA)).unwrap_or(value);
        (name.clone(), shown.clone())
    };
    Value::Map(fields.iter().map(plain).collect())
}

fn add_body(fields: &mut Value, body: Option<String>) {
    if let (Value::Map(fields), Some(body)) = (fields, body) {
        fields.push(("body".into(), body.into()));
    }
}

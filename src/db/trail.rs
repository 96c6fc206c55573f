//! The audit trail: one row for every change of every record, with what undo needs.

use crate::schema::codec::Packed;
use crate::schema::diff;
use crate::schema::id::{ContentHash, Identity, IssueId, Revision};
use crate::schema::issue::{Assignment, Status};
use crate::schema::value::Value;

use super::error::StoreError;
use super::record::{Author, Change, Kind, Op, Versioned};
use super::write::WriteTxn;

/// That an issue got another owner, or none, or another status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StandingChange {
    /// The issue.
    pub identity: Identity,
    /// What was done.
    pub op: Op,
    /// Its owner from now on.
    pub owner: Option<Assignment>,
    /// Its status from now on; none if it was deleted.
    pub status: Option<Status>,
    /// Its status before; none if it is new.
    pub status_before: Option<Status>,
}

impl WriteTxn<'_> {
    pub(super) fn record_change(
        &mut self,
        op: Op,
        old: Option<&Versioned>,
        new: Option<&Versioned>,
    ) -> Result<(), StoreError> {
        self.record_change_with(op, old, new, None)
    }

    /// As [`WriteTxn::record_change`], with the row of a creation if it was prepared before.
    pub(super) fn record_change_with(
        &mut self,
        op: Op,
        old: Option<&Versioned>,
        new: Option<&Versioned>,
        creation: Option<&mut Packed>,
    ) -> Result<(), StoreError> {
        let Some(identity) = new.or(old).map(|version| version.issue.head.identity()) else { return Ok(()) };
        let owner = |version: Option<&Versioned>| version.and_then(|version| version.issue.head.owner().cloned());
        let status = |version: Option<&Versioned>| version.map(|version| version.issue.head.status);
        if (owner(old), status(old)) != (owner(new), status(new)) {
            self.standing_changes.push(StandingChange {
                identity: identity.clone(),
                op,
                owner: owner(new),
                status: status(new),
                status_before: status(old),
            });
        }
        if let (None, Some(row)) = (old, creation) {
            return self.append_row(row).map(drop);
        }
        let (before, after) = diff::fields_but_body(old.map(|old| &old.issue), new.map(|new| &new.issue));
        let body = old.map(|old| old.issue.body.as_str());
        let body_changed = body != new.map(|new| new.issue.body.as_str());
        self.append_issue(op, &identity, (old, new), (before, after), body.filter(|_| body_changed))
    }

    pub(super) fn append_issue(
        &mut self,
        op: Op,
        identity: &Identity,
        (old, new): (Option<&Versioned>, Option<&Versioned>),
        (before, after): (Value, Value),
        body: Option<&str>,
    ) -> Result<(), StoreError> {
        let entry = issue_entry(op, identity, (old, new), (before, after), body.is_some());
        self.append(entry, body)
    }

    /// The first change of the command that is being done.
    #[must_use]
    pub fn group(&self) -> Revision {
        self.group.unwrap_or(Revision(self.first.0 + 1))
    }

    /// Whether there is a row in the audit trail that this transaction wrote.
    #[must_use]
    pub fn has_logged(&self) -> bool {
        self.last > self.first
    }

    /// Goes on with a command that has committed changes already, from this one on: they are undone together.
    pub fn continue_group(&mut self, group: Revision) {
        self.group = Some(group);
    }

    /// Writes a row of the audit trail.
    pub(super) fn append(&mut self, entry: Entry, superseded: Option<&str>) -> Result<(), StoreError> {
        let key = self.append_row(&mut Packed::new(&self.signature().row(entry)))?;
        if let Some(body) = superseded {
            self.tables.superseded.put(&key, body)?;
        }
        Ok(())
    }

    fn append_row(&mut self, row: &mut Packed) -> Result<[u8; 8], StoreError> {
        self.touched = true;
        self.last.0 += 1;
        let key = self.last.0.to_be_bytes();
        self.tables.changes.put_packed(&key, row)?;
        Ok(key)
    }

    /// What all rows of the audit trail say from now on.
    pub(crate) fn signature(&self) -> Signature {
        Signature { author: self.author.clone(), group: self.group(), undoes: self.undoes }
    }
}

/// What all rows of the audit trail say that one command writes.
#[derive(Clone, Debug)]
pub(crate) struct Signature {
    author: Author,
    group: Revision,
    undoes: Option<Revision>,
}

impl Signature {
    fn row(&self, entry: Entry) -> Change {
        Change {
            at: self.author.now,
            actor: self.author.actor.clone(),
            session: self.author.session.as_ref().map(ToString::to_string),
            kind: entry.kind,
            key: entry.key,
            identity: entry.identity,
            op: entry.op,
            hash_before: entry.hash_before,
            hash_after: entry.hash_after,
            body_changed: entry.body_changed,
            before: entry.before,
            after: entry.after,
            group: self.group,
            undoes: self.undoes,
        }
    }

    /// The row of an issue that there was not before.
    pub(super) fn creation(&self, op: Op, new: &Versioned) -> Packed {
        let fields = diff::fields_but_body(None, Some(&new.issue));
        let entry = issue_entry(op, &new.issue.head.identity(), (None, Some(new)), fields, false);
        Packed::new(&self.row(entry))
    }
}

fn issue_entry(
    op: Op,
    identity: &Identity,
    (old, new): (Option<&Versioned>, Option<&Versioned>),
    (before, after): (Value, Value),
    replaces_body: bool,
) -> Entry {
    let id = new.or(old).map_or(IssueId(0), |version| version.issue.head.id);
    Entry {
        kind: Kind::Issue,
        key: id.to_string(),
        identity: Some(identity.clone()),
        op,
        hash_before: old.map(|old| old.hash),
        hash_after: new.map(|new| new.hash),
        body_changed: replaces_body || (old.is_none() && new.is_some_and(|new| !new.issue.body.is_empty())),
        before,
        after,
    }
}

/// What a row of the audit trail says beyond who, when and in which command; see [`Change`].
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) kind: Kind,
    pub(super) key: String,
    pub(super) identity: Option<Identity>,
    pub(super) op: Op,
    pub(super) hash_before: Option<ContentHash>,
    pub(super) hash_after: Option<ContentHash>,
    pub(super) before: Value,
    pub(super) after: Value,
    pub(super) body_changed: bool,
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::db::{PreparedPut, Store};
    use crate::schema::frontmatter;

    #[test]
    fn a_row_that_was_prepared_is_the_row_that_would_have_been_written() {
        let author = Author {
            actor: "test".into(),
            session: Some("s1".parse().unwrap()),
            now: "2026-06-17T12:00:00Z".parse().unwrap(),
        };
        let issues: Vec<_> = ["a body\n", ""]
            .iter()
            .zip(1..)
            .map(|(body, number)| {
                let text = format!(
                    "---\nid: {number}\ntitle: t{number}\nlabels: [b, a]\ncreated_at: 2026-06-17T10:30:0{number}Z\n\
                     updated_at: 2026-06-17T10:30:00Z\nmore: [1, {{x: 2.5}}]\n---\n{body}"
                );
                Versioned::new(frontmatter::parse(text.as_bytes()).unwrap())
            })
            .collect();
        let rows = |is_prepared: bool| {
            let folder = tempfile::tempdir().unwrap();
            let store = Store::open(folder.path(), Duration::from_secs(10)).unwrap();
            store.create_if_missing().unwrap();
            store
                .write(&author, |txn| {
                    let signature = txn.signature();
                    for issue in &issues {
                        if is_prepared {
                            let mut prepared = PreparedPut::of(issue, Op::Import, Some(&signature));
                            txn.put_unmarked(issue, Op::Import, &mut prepared)?;
                        } else {
                            txn.put(issue, Op::Import)?;
                        }
                    }
                    Ok::<_, StoreError>(())
                })
                .unwrap();
            let read = store.read().unwrap();
            let stored = issues.iter().map(|issue| read.issue(issue.issue.head.id).unwrap().unwrap());
            assert_eq!(stored.collect::<Vec<_>>(), issues);
            read.changes_since(Revision(0)).unwrap().collect::<Result<Vec<_>, _>>().unwrap()
        };
        let prepared = rows(true);
        assert_eq!(prepared.len(), 2);
        assert_eq!(prepared, rows(false));
    }
}

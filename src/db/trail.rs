//! The audit trail: one row for every change of every record, with what undo needs.

use crate::schema::diff;
use crate::schema::id::{ContentHash, Identity, IssueId, Revision};
use crate::schema::issue::{Assignment, Status};
use crate::schema::value::Value;

use super::error::StoreError;
use super::record::{Change, Kind, Op, Versioned};
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
        let (before, after) = diff::fields(old.map(|old| &old.issue), new.map(|new| &new.issue));
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
        let id = new.or(old).map_or(IssueId(0), |version| version.issue.head.id);
        let entry = Entry {
            kind: Kind::Issue,
            key: id.to_string(),
            identity: Some(identity.clone()),
            op,
            hash_before: old.map(|old| old.hash),
            hash_after: new.map(|new| new.hash),
            body_changed: body.is_some() || (old.is_none() && new.is_some_and(|new| !new.issue.body.is_empty())),
            before: without_body(before),
            after: without_body(after),
        };
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
        self.touched = true;
        self.last.0 += 1;
        let key = self.last.0.to_be_bytes();
        let change = Change {
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
            group: self.group(),
            undoes: self.undoes,
        };
        self.tables.changes.put(&key, &change)?;
        if let Some(body) = superseded {
            self.tables.superseded.put(&key, body)?;
        }
        Ok(())
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

fn without_body(fields: Value) -> Value {
    match fields {
        Value::Map(mut fields) => {
            fields.retain(|(name, _)| name != "body");
            Value::Map(fields)
        }
        other => other,
    }
}

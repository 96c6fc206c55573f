//! Undoing the end of a conflict: both sides wait for a person again.
//!
//! Beside what it makes of the record, ending a conflict leaves a row in the audit trail whose superseded text is how the
//! mirror stood before: the conflict, the baseline, the merge base. Undoing it puts that back, and leaves such a row, too.
//!
//! Deleting an issue ends its conflict in the same way, so that it comes back with the issue.
//!
//! Where the outcome has been exported since, the file no longer holds the other side. The conflict then stands against
//! the file as it was exported, with the merge base that it always had; an import leaves it alone while the file is that.
//!
//! Nothing here looks at files. Whoever undoes such a change holds the lock that import, export and resolve take.

use serde::{Deserialize, Serialize};

use crate::schema::id::{Identity, Revision};
use crate::schema::issue::Issue;
use crate::schema::value::Value;

use super::error::StoreError;
use super::record::{Baseline, CONFLICT, Change, Conflict, Kind, Op};
use super::trail::Entry;
use super::undo::Undone;
use super::write::WriteTxn;

/// How the mirror stands with an issue.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Stand {
    conflict: Option<Conflict>,
    baseline: Option<Baseline>,
    base: Option<Issue>,
}

impl WriteTxn<'_> {
    /// Notes how the mirror stands with an issue whose conflict is about to end, so that it can be opened again.
    ///
    /// # Errors
    /// If the database fails.
    pub fn note_end_of_conflict(&mut self, identity: &Identity) -> Result<(), StoreError> {
        let Some(conflict) = self.conflict(identity)? else { return Ok(()) };
        self.note_stand(identity, Op::Resolve, (fields(&conflict), Value::Null))
    }

    /// Undoes the end of a conflict, or the undoing of it; none if it was done. The record is already as it was.
    pub(super) fn undo_end_of_conflict(
        &mut self,
        revision: Revision,
        change: &Change,
        identity: &Identity,
    ) -> Result<Option<Undone>, StoreError> {
        let stand: Option<Stand> = match self.superseded_body(revision)? {
            Some(text) => serde_json::from_str(&text).ok(),
            None => None,
        };
        let (Some(stand), Some(id)) = (stand, self.id_of(identity)?) else {
            return Ok(Some(Undone::NotUndoable { revision }));
        };
        let present = self.conflict(identity)?;
        match (present, stand.conflict) {
            (Some(_), Some(_)) => return Ok(Some(Undone::InConflict { revision, id })),
            (None, Some(conflict)) => {
                self.note_stand(identity, Op::Undo, (Value::Null, fields(&conflict)))?;
                self.open_again(identity, conflict, stand.baseline, stand.base)?;
            }
            (Some(conflict), None) => {
                self.note_stand(identity, Op::Undo, (fields(&conflict), Value::Null))?;
                self.remove_conflict(identity)?;
                self.put_base(identity, stand.baseline, stand.base)?;
            }
            // it has ended by itself: an import found that both sides can be merged
            (None, None) => return Ok(Some(self.overtaken(revision, change, change.hash_after))),
        }
        Ok(None)
    }

    fn open_again(
        &mut self,
        identity: &Identity,
        mut conflict: Conflict,
        old: Option<Baseline>,
        base: Option<Issue>,
    ) -> Result<(), StoreError> {
        let now = self.baseline(identity)?;
        let is_same = |a: &Baseline, b: &Baseline| (&a.name, a.file, a.content) == (&b.name, b.file, b.content);
        let nothing_agreed = match (&now, &old) {
            (Some(now), Some(old)) => is_same(now, old) && old.name == conflict.name,
            (None, _) => true,
            _ => false,
        };
        let holds_theirs = |now: &Baseline| now.name == conflict.name && now.file == conflict.theirs_file;
        match now {
            _ if nothing_agreed => {}
            Some(now) if holds_theirs(&now) => self.put_base(identity, old, base)?,
            Some(now) => {
                // the outcome was exported, or the second file is gone
                (conflict.name, conflict.theirs_file) = (now.name.clone(), now.file);
                if let Some(base) = base.or_else(|| conflict.base.clone()) {
                    let content = base.content_hash();
                    self.agree(identity, &Baseline { content, ..now }, &base)?;
                }
            }
            None => {}
        }
        self.tables.conflicts.put(&identity.key(), &(identity, &conflict))
    }

    fn put_base(
        &mut self,
        identity: &Identity,
        baseline: Option<Baseline>,
        base: Option<Issue>,
    ) -> Result<(), StoreError> {
        match (baseline, base) {
            (Some(baseline), Some(base)) => self.agree(identity, &baseline, &base),
            _ => self.forget_baseline(identity),
        }
    }

    fn note_stand(&mut self, identity: &Identity, op: Op, (before, after): (Value, Value)) -> Result<(), StoreError> {
        let Some(record) = self.issue_of(identity)? else { return Ok(()) };
        let (conflict, baseline) = (self.conflict(identity)?, self.baseline(identity)?);
        let stand = Stand { conflict, baseline, base: self.merge_base(identity, Some(&record))? };
        // JSON has no NaN, which an unknown key may hold; then only the record can be put back
        let text = serde_json::to_string(&stand).unwrap_or_default();
        if !serde_json::from_str::<Stand>(&text).is_ok_and(|read| read == stand) {
            return Ok(());
        }
        let hash = Some(record.hash);
        let entry = Entry {
            kind: Kind::Issue,
            key: record.issue.head.id.to_string(),
            identity: Some(identity.clone()),
            op,
            hash_before: hash,
            hash_after: hash,
            before,
            after,
            body_changed: false,
        };
        self.append(entry, Some(&text))
    }
}

fn fields(conflict: &Conflict) -> Value {
    Value::Map(vec![(CONFLICT.into(), Value::from(conflict.fields.as_slice()))])
}

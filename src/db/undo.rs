//! Undoing changes from what the audit trail kept. Undoing is itself a change, and can be undone.
//!
//! Undoing never takes away what a newer change
//! did: where one touched the same fields, it is refused, and the newer ones are named.

mod cycle;

use std::collections::{BTreeMap, BTreeSet};

use crate::schema::diff;
use crate::schema::frontmatter;
use crate::schema::id::{ContentHash, Identity, IssueId, Revision};
use crate::schema::issue::{Issue, IssueHead, Linked};
use crate::schema::time::Timestamp;
use crate::schema::value::Value;

use super::effect::Later;
use super::error::StoreError;
use super::record::{Change, Kind, Op, Versioned};
use super::write::WriteTxn;

/// What is to be undone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// The newest command that was not undone yet, passing over what only notes what happened by itself (see
    /// [`Op::is_observation`]), and over the building of the database.
    Newest,
    /// One change, and with a change of a handoff or a validation that of the entry in its issue's file; with a change of a
    /// number all changes of numbers in its command; of the end of a conflict, all that belongs to it.
    Change(Revision),
    /// All changes of the command that made this one.
    Command(Revision),
}

impl From<Option<Revision>> for Target {
    fn from(revision: Option<Revision>) -> Self {
        revision.map_or(Self::Newest, Self::Change)
    }
}

/// What became of an undo.
#[derive(Clone, Debug, PartialEq)]
#[must_use]
pub enum Undone {
    /// These changes were undone, newest first.
    Done(Vec<Revision>),
    /// There is no such change, or none left to undo.
    NothingToUndo,
    /// It is undone already.
    Already {
        /// The change.
        revision: Revision,
        /// The change that undid it.
        by: Revision,
    },
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
        /// The newer changes that stand in the way, newest first; none if what did was not logged.
        newer: Vec<Revision>,
    },
    /// Another record has the number that the issue would get back.
    NumberTaken {
        /// The change that cannot be undone.
        revision: Revision,
        /// The number.
        id: IssueId,
        /// The change that gave it to the other; none if the log no longer says.
        by: Option<Revision>,
        /// Whether the same command did that.
        same_command: bool,
    },
    /// Issues would wait for each other that never did.
    Cycle {
        /// The change that cannot be undone.
        revision: Revision,
        /// The issues in the order in which they would wait for each other, the last being the first again.
        ids: Vec<IssueId>,
        /// The dependency among these that was not there when the change was made.
        added: (IssueId, IssueId),
        /// The change that added it, if that is known.
        by: Option<Revision>,
    },
    /// The end of a conflict cannot be undone, because the issue is in conflict anew.
    InConflict {
        /// The change that cannot be undone.
        revision: Revision,
        /// The issue.
        id: IssueId,
    },
    /// The change tells of something, and changed no record.
    ChangedNothing {
        /// The change.
        revision: Revision,
        /// The first change of a record that the same command made, if it made one.
        beside: Option<Revision>,
    },
    /// What the change replaced is no longer kept.
    NotUndoable {
        /// The change.
        revision: Revision,
    },
}

/// What an issue was before a change; none if there was none. Or why that cannot be put back.
type Earlier = Result<Option<Versioned>, Undone>;

impl WriteTxn<'_> {
    /// Undoes what `target` names.
    ///
    /// Everything or nothing: if one of the changes cannot be undone, the caller drops the transaction.
    ///
    /// # Errors
    /// If the database fails.
    pub fn undo(&mut self, target: impl Into<Target>) -> Result<Undone, StoreError> {
        let target = target.into();
        if let Target::Change(revision) = target
            && let Some(by) = self.undone_by(revision)?
        {
            return Ok(Undone::Already { revision, by });
        }
        let changes = self.to_undo(target)?;
        if let Some(refused) = self.refusal(target, &changes)? {
            return Ok(refused);
        }
        self.later = self.later_than(&changes)?;
        let waits = self.waits_before(&changes)?;
        let (mut done, mut restored) = (Vec::new(), BTreeMap::new());
        let mut rest = &changes[..];
        while let [(revision, change), others @ ..] = rest {
            let moves = self.moves_at_once(rest)?;
            let (refused, taken) = if moves > 1 {
                (self.undo_moves(&rest[..moves])?, moves)
            } else {
                (self.undo_one(*revision, change)?, 1)
            };
            if let Some(refused) = refused {
                return Ok(refused);
            }
            for (revision, change) in &rest[..taken] {
                if change.changes_record() {
                    done.push(*revision);
                }
                if let Some(identity) = &change.identity {
                    restored.insert(identity.key(), (identity.clone(), *revision));
                }
            }
            rest = if taken == 1 { others } else { &rest[taken..] };
        }
        for (identity, revision) in restored.values() {
            self.set_undoes(Some(*revision));
            self.drop_done_entries(identity)?;
        }
        self.set_undoes(None);
        self.later = Later::default();
        Ok(self.new_cycle(waits, &changes)?.unwrap_or(Undone::Done(done)))
    }

    /// Why these changes cannot be undone, if that can be said before anything is.
    fn refusal(&self, target: Target, changes: &[(Revision, Change)]) -> Result<Option<Undone>, StoreError> {
        let named = match target {
            Target::Newest => None,
            Target::Change(revision) | Target::Command(revision) => Some(revision),
        };
        if let Some(revision) = named
            && changes.iter().all(|(_, change)| !change.changes_record())
            && let Some(change) = self.change(revision)?
        {
            if let Some(by) = self.undone_by(revision)? {
                return Ok(Some(Undone::Already { revision, by }));
            }
            let beside = self.rows_in_effect(Some(change.group))?;
            let beside = beside.iter().rev().find(|(_, change)| change.changes_record());
            return Ok(Some(Undone::ChangedNothing { revision, beside: beside.map(|(revision, _)| *revision) }));
        }
        if changes.is_empty() {
            return Ok(Some(Undone::NothingToUndo));
        }
        // of a change of which the log no longer holds all that belongs to it
        let log_from = self.log_from()?;
        for (revision, change) in changes {
            let whole = !matches!(target, Target::Change(_)) || self.is_of_entry(change)?;
            if *revision < log_from || (whole && change.group < log_from) {
                return Ok(Some(Undone::NotUndoable { revision: *revision }));
            }
        }
        Ok(None)
    }

    fn undo_one(&mut self, revision: Revision, change: &Change) -> Result<Option<Undone>, StoreError> {
        self.set_undoes(Some(revision));
        let refused = match &change.identity {
            Some(identity) if change.is_of_conflict() => self.undo_end_of_conflict(revision, change, identity)?,
            // rows that only tell of a loss or a conflict changed no record
            _ if !change.changes_record() => None,
            Some(identity) => self.undo_issue(revision, change, identity)?,
            None => self.undo_record(revision, change)?,
        };
        self.set_undoes(None);
        Ok(refused)
    }

    fn undo_issue(
        &mut self,
        revision: Revision,
        change: &Change,
        identity: &Identity,
    ) -> Result<Option<Undone>, StoreError> {
        let old = match self.earlier(revision, change, identity)? {
            Err(refused) => return Ok(Some(refused)),
            Ok(Some(old)) => old,
            Ok(None) => {
                if let Some(id) = self.id_of(identity)? {
                    self.delete(id, Op::Undo)?;
                }
                return Ok(None);
            }
        };
        let id = old.issue.head.id;
        if self.head(id)?.is_some_and(|holder| holder.head.identity() != *identity) {
            return self.number_taken(revision, id).map(Some);
        }
        if change.hash_after.is_some() && self.id_of(identity)? != Some(id) {
            self.renumber(&[(identity.clone(), id)])?;
        }
        self.put(&old, Op::Undo)?;
        Ok(None)
    }

    /// How many of the first of some changes are changes of numbers that can only be undone at once: as few as leave no
    /// number to two issues. A command may have moved one issue twice.
    fn moves_at_once(&self, changes: &[(Revision, Change)]) -> Result<usize, StoreError> {
        let (mut movers, mut numbers, mut in_the_way) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        let all = changes.iter().take_while(|(_, change)| renumbers(change)).count();
        for (count, (_, change)) in (1..).zip(&changes[..all]) {
            let number = change.before.get("id").and_then(diff::number);
            let (Some(identity), Some(number)) = (&change.identity, number) else { break };
            if !movers.insert(identity.clone()) || !numbers.insert(number) {
                break;
            }
            in_the_way.remove(identity);
            let holder = self.head(number)?.map(|stored| stored.head.identity());
            in_the_way.extend(holder.filter(|holder| !movers.contains(holder)));
            if in_the_way.is_empty() {
                return Ok(count);
            }
        }
        Ok(all)
    }

    /// Undoes changes of numbers all at once, so that two issues can trade theirs back.
    fn undo_moves(&mut self, changes: &[(Revision, Change)]) -> Result<Option<Undone>, StoreError> {
        let (mut moves, mut old_versions) = (Vec::new(), Vec::new());
        for (revision, change) in changes {
            let Some(identity) = &change.identity else { continue };
            match self.earlier(*revision, change, identity)? {
                Err(refused) => return Ok(Some(refused)),
                Ok(Some(old)) => {
                    moves.push((identity.clone(), old.issue.head.id, Some(*revision)));
                    old_versions.push((*revision, old));
                }
                // a change of number has an issue on both sides
                Ok(None) => return Ok(Some(Undone::NotUndoable { revision: *revision })),
            }
        }
        for (_, id, revision) in &moves {
            let holder = self.head(*id)?.map(|stored| stored.head.identity());
            let moves_away = |holder| moves.iter().any(|(mover, ..)| *mover == holder);
            if let (Some(revision), Some(holder)) = (revision, holder)
                && !moves_away(holder)
            {
                return self.number_taken(*revision, *id).map(Some);
            }
        }
        self.renumber_back(&moves)?;
        for (revision, old) in old_versions {
            self.set_undoes(Some(revision));
            self.put(&old, Op::Undo)?;
        }
        self.set_undoes(None);
        Ok(None)
    }

    fn number_taken(&self, revision: Revision, id: IssueId) -> Result<Undone, StoreError> {
        let holder = self.head(id)?.map(|stored| stored.head.identity());
        let number = Value::from(id.0);
        let mut found = None;
        for row in self.changes_since(Revision(0))? {
            let (by, change) = row?;
            let gives = change.identity == holder && change.after.get("id").is_some_and(|id| diff::same(id, &number));
            // not what this undo did itself
            if gives && by <= self.first {
                found = Some((by, change));
                break;
            }
        }
        let by = found.as_ref().map(|(by, _)| *by);
        // what an undo of an undo did was first done by another
        while let Some((_, change)) = &found
            && let Some(undone) = change.undoes
        {
            found = self.change(undone)?.map(|change| (undone, change));
        }
        let group = self.change(revision)?.map(|change| change.group);
        let same_command = found.is_some_and(|(_, change)| Some(change.group) == group);
        Ok(Undone::NumberTaken { revision, id, by, same_command })
    }

    /// The issue as undoing a change would leave it: exactly as it was before, if nothing was changed since; else with
    /// the fields of that change as they were, if nothing newer touched those.
    fn earlier(&self, revision: Revision, change: &Change, identity: &Identity) -> Result<Earlier, StoreError> {
        let current = self.issue_of(identity)?;
        let current_hash = current.as_ref().map(|current| current.hash);
        let is_as_left = current_hash == change.hash_after
            || current.as_ref().is_some_and(|current| same_but_for_time(&current.issue, change));
        let stands = is_as_left || current.as_ref().is_some_and(|current| fields_stand(change, &current.issue));
        if !stands || !self.later.overwritten(revision, change).is_empty() {
            return Ok(Err(self.overtaken(revision, change, current_hash)));
        }
        let Some(hash_before) = change.hash_before else { return Ok(Ok(None)) };
        let lost = Ok(Err(Undone::NotUndoable { revision }));
        let mut issue = current.map_or_else(|| blank(change, identity), |current| current.issue);
        let present = issue.head.updated_at;
        if diff::apply(&mut issue, &change.before).is_err() {
            return lost;
        }
        if change.body_changed {
            match self.superseded_body(revision)? {
                Some(body) => issue.body = body,
                None => return lost,
            }
        }
        if !is_as_left {
            issue.head.updated_at = Timestamp::after(self.author().now, present);
            return if frontmatter::render_checked(&issue).is_ok() {
                Ok(Ok(Some(Versioned::new(issue))))
            } else {
                lost
            };
        }
        let old = Versioned::new(issue);
        if old.hash == hash_before { Ok(Ok(Some(old))) } else { lost }
    }

    /// That newer changes stand in the way.
    pub(super) fn overtaken(&self, revision: Revision, change: &Change, current: Option<ContentHash>) -> Undone {
        let newer = self.later.overwritten(revision, change);
        Undone::Overtaken { revision, kind: change.kind, key: change.key.clone(), current, newer }
    }
}

/// Whether what a change made of the fields of an issue is still so, the body aside. Entries of handoffs that are done may
/// be missing: an undo that brought the issue back left them out.
fn fields_stand(change: &Change, current: &Issue) -> bool {
    let is_update = change.hash_before.is_some() && change.hash_after.is_some();
    let holds = |except: &[&str]| diff::holds(current, &change.after, except);
    is_update
        && !change.is_end_of_conflict()
        && (holds(&["updated_at"])
            || (holds(&["updated_at", "handoffs"]) && only_drops_entries(&change.after, &current.head.handoffs)))
}

/// Whether a list of entries is what a change made of it, but for some that are missing.
fn only_drops_entries(after: &Value, present: &[Linked]) -> bool {
    let Some(Value::List(left)) = after.get("handoffs") else { return present.is_empty() };
    let mut left = left.iter();
    present.iter().all(|entry| left.any(|other| diff::same(other, &entry.value)))
}

/// Whether a change gave an issue another number.
pub(super) fn renumbers(change: &Change) -> bool {
    change.hash_before.is_some() && change.hash_after.is_some() && change.after.get("id").is_some()
}

/// Whether an issue is as a change left it, but for the time of its last change.
fn same_but_for_time(current: &Issue, change: &Change) -> bool {
    let left_at = change.after.get("updated_at").and_then(Value::as_text).and_then(|time| time.parse().ok());
    left_at.is_some_and(|left_at| {
        let mut issue = current.clone();
        issue.head.updated_at = left_at;
        Some(issue.content_hash()) == change.hash_after
    })
}

/// An issue to which the stored fields of a deleted one are applied.
fn blank(change: &Change, identity: &Identity) -> Issue {
    let number = change.key.parse().unwrap_or(IssueId(0));
    let mut head = IssueHead::new(number, String::new(), identity.created_at);
    head.slug = identity.slug.clone();
    Issue { head, body: String::new() }
}

#[cfg(test)]
mod tests;

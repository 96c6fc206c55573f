//! Which changes are in effect: what a later one undid is not, unless that was undone in turn.

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::schema::id::{Identity, Revision};
use crate::schema::value::Value;

use super::error::StoreError;
use super::record::{Change, Kind, Op};
use super::tables::{Readable, Tables};
use super::undo::{Target, renumbers};

impl<T: Readable> Tables<T> {
    /// The changes that [`WriteTxn::undo`](super::WriteTxn::undo) would undo, newest first.
    ///
    /// # Errors
    /// If the database fails.
    pub fn to_undo(&self, target: impl Into<Target>) -> Result<Vec<(Revision, Change)>, StoreError> {
        let of_command = |revision| -> Result<_, StoreError> {
            let Some(change) = self.change(revision)? else { return Ok(Vec::new()) };
            self.rows_in_effect(Some(change.group))
        };
        match target.into() {
            Target::Newest => self.rows_in_effect(None),
            Target::Command(revision) => of_command(revision),
            Target::Change(revision) => {
                let Some(change) = self.change(revision)? else { return Ok(Vec::new()) };
                if matches!(change.op, Op::Resolve | Op::Undo) {
                    let mut with_conflict = of_command(revision)?;
                    with_conflict.retain(|(_, other)| other.identity == change.identity);
                    if with_conflict.iter().any(|(_, other)| other.is_of_conflict() || change.op == Op::Resolve) {
                        return Ok(with_conflict);
                    }
                }
                // two issues that traded their numbers get them back together, and links follow
                if self.is_of_numbers(&change)? {
                    let numbers = self.numbers_in(of_command(revision)?)?;
                    if numbers.iter().any(|(other, _)| *other == revision) {
                        return Ok(numbers);
                    }
                }
                let deleted = change.identity.clone().filter(|_| change.op == Op::Delete);
                let mut rows = self.with_entries(revision, change)?;
                if let Some(identity) = deleted {
                    // its conflict comes back with it; that row was written first
                    let of_it = |other: &Change| other.identity.as_ref() == Some(&identity) && other.is_of_conflict();
                    rows.extend(of_command(revision)?.into_iter().filter(|(_, other)| of_it(other)));
                    rows.sort_by_key(|(revision, _)| std::cmp::Reverse(*revision));
                    rows.dedup_by_key(|(revision, _)| *revision);
                }
                Ok(rows)
            }
        }
    }

    /// Whether undoing would open a conflict again, or end it again.
    ///
    /// # Errors
    /// If the database fails.
    pub fn ends_conflict(&self, target: impl Into<Target>) -> Result<bool, StoreError> {
        Ok(self.to_undo(target)?.iter().any(|(_, change)| change.is_of_conflict()))
    }

    /// The rows of a command that are in effect, newest first; without one, those of the newest command that neither only
    /// noted what happened nor undid something.
    pub(super) fn rows_in_effect(&self, command: Option<Revision>) -> Result<Vec<(Revision, Change)>, StoreError> {
        let (mut undone, mut group, mut changes) = (BTreeSet::new(), command, Vec::new());
        let from = match command {
            Some(group) => Revision(group.0.saturating_sub(1)),
            None => self.born()?.max(Revision(self.log_from()?.0.saturating_sub(1))),
        };
        for row in self.changes_since(from)? {
            let (revision, change) = row?;
            // others may have changed something between two transactions of one command
            if group.is_some_and(|group| revision < group) {
                break;
            }
            if undone.contains(&revision) {
                continue;
            }
            if let Some(target) = change.undoes {
                undone.insert(target);
            }
            let is_meant = command.is_some() || (change.undoes.is_none() && !change.op.is_observation());
            let is_of_it = group.map_or(change.changes_record(), |group| group == change.group);
            if is_meant && is_of_it && (change.changes_record() || change.is_of_conflict()) {
                group = Some(change.group);
                changes.push((revision, change));
            }
        }
        Ok(changes)
    }

    /// The changes of numbers that a command made, with those of the links that followed; none if it made none.
    fn numbers_in(&self, command: Vec<(Revision, Change)>) -> Result<Vec<(Revision, Change)>, StoreError> {
        let mut rows = Vec::new();
        for (revision, change) in command {
            if self.is_of_numbers(&change)? {
                rows.push((revision, change));
            }
        }
        Ok(if rows.iter().any(|(_, change)| renumbers(change)) { rows } else { Vec::new() })
    }

    /// Whether a change is of a number, or of a link that followed one, or undid such a change.
    pub(super) fn is_of_numbers(&self, change: &Change) -> Result<bool, StoreError> {
        let mut change = change.clone();
        while change.op == Op::Undo
            && let Some(undone) = change.undoes.map(|undone| self.change(undone)).transpose()?.flatten()
        {
            change = undone;
        }
        Ok(renumbers(&change) || change.op == Op::Renumber)
    }

    /// The change that undid this one, if that is in effect.
    pub(super) fn undone_by(&self, revision: Revision) -> Result<Option<Revision>, StoreError> {
        let mut undone = BTreeSet::new();
        for row in self.changes_since(revision)? {
            let (by, change) = row?;
            match change.undoes {
                Some(target) if !undone.contains(&by) => {
                    if target == revision {
                        return Ok(Some(by));
                    }
                    undone.insert(target);
                }
                _ => {}
            }
        }
        Ok(None)
    }

    /// The changes in effect after the oldest of these, of the same records, newest first; these themselves aside.
    pub(super) fn later_than(&self, changes: &[(Revision, Change)]) -> Result<Later, StoreError> {
        let mut later = Later::default();
        let Some((oldest, _)) = changes.last() else { return Ok(later) };
        let subjects: HashSet<_> = changes.iter().map(|(_, change)| subject(change)).collect();
        let own: HashSet<_> = changes.iter().map(|(revision, _)| *revision).collect();
        let relinks = |change: &Change| change.hash_before.is_some() && change.after.get("depends_on").is_some();
        let relinked = changes.iter().filter(|(_, change)| relinks(change));
        later.relinked = relinked.filter_map(|(_, change)| change.identity.clone()).collect();
        let mut undone = BTreeSet::new();
        for row in self.changes_since(*oldest)? {
            let (revision, change) = row?;
            if undone.contains(&revision) || own.contains(&revision) {
                continue;
            }
            undone.extend(change.undoes);
            if change.changes_record() && subjects.contains(&subject(&change)) {
                later.rows.entry(subject(&change)).or_default().push((revision, change));
            }
        }
        Ok(later)
    }
}

/// What a record is found by: its kind, and its key or, of an issue, its identity.
type Subject = (Kind, Vec<u8>);

fn subject(change: &Change) -> Subject {
    let key = change.identity.as_ref().map_or_else(|| change.key.clone().into_bytes(), Identity::key);
    (change.kind, key)
}

/// What was changed after what is being undone.
#[derive(Debug, Default)]
pub(super) struct Later {
    rows: HashMap<Subject, Vec<(Revision, Change)>>,
    /// The issues whose links are put back by themselves, so that they follow no number that is put back.
    pub(super) relinked: HashSet<Identity>,
}

impl Later {
    /// The changes that undoing this one would overwrite, newest first.
    pub(super) fn overwritten(&self, revision: Revision, change: &Change) -> Vec<Revision> {
        let rows = self.rows.get(&subject(change)).map_or(&[][..], Vec::as_slice);
        let is_in_the_way = |(later, other): &&(Revision, Change)| {
            // what undid a later change has gone with it
            *later > revision && other.undoes.is_none_or(|target| target < revision) && touch_the_same(change, other)
        };
        rows.iter().filter(is_in_the_way).map(|(later, _)| *later).collect()
    }
}

/// Whether two changes of one record touched the same field. Making and removing one touches all.
fn touch_the_same(change: &Change, other: &Change) -> bool {
    let whole = |change: &Change| change.hash_before.is_none() || change.hash_after.is_none();
    if change.kind != Kind::Issue || whole(change) || whole(other) || change.is_end_of_conflict() {
        return true;
    }
    let fields = |change: &Change| match &change.after {
        Value::Map(fields) => fields.iter().map(|(name, _)| name.clone()).collect(),
        _ => BTreeSet::new(),
    };
    let (of_one, of_other) = (fields(change), fields(other));
    (change.body_changed && other.body_changed)
        || of_one.intersection(&of_other).any(|name| name.as_str() != "updated_at")
}

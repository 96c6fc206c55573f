//! Changing issues. Every change keeps the indexes, the counters, the pending marks and the audit trail in step; nothing
//! takes effect before the transaction commits.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::schema::codec::Packed;
use crate::schema::diff;
use crate::schema::id::{ContentHash, FileName, Identity, IssueId, Revision};
use crate::schema::issue::{Issue, IssueHead, Status};
use crate::schema::time::Timestamp;
use crate::schema::value::Value;

use super::effect::Later;
use super::error::StoreError;
use super::index::{IndexKeys, id_key};
use super::read::mark;
use super::record::{Author, Counters, Op, StoredHead, Tombstone, Versioned};
use super::retention::Retention;
use super::sums::Sums;
use super::tables::{Keys, Tables, WriteRows};
use super::trail::{Signature, StandingChange};

/// What became of a guarded change.
#[derive(Clone, Debug, PartialEq)]
#[must_use]
pub enum Cas {
    /// It was made; the issue as it is now.
    Changed(Box<Versioned>),
    /// There was nothing to change; nothing was written.
    Unchanged(Box<Versioned>),
    /// The issue is no longer as the caller last saw it.
    Stale {
        /// Its present hash.
        current: ContentHash,
    },
    /// There is no such issue.
    Missing,
}

/// What was made of a version of an issue before it is stored, which no database is needed for.
#[derive(Debug, Default)]
pub(crate) struct PreparedPut {
    body: Option<Packed>,
    /// The row in the log, if it is new.
    creation: Option<Packed>,
}

impl PreparedPut {
    /// Of a version to be put so; of an issue that is new, the log's row says who creates it.
    pub(crate) fn of(version: &Versioned, op: Op, creation: Option<&Signature>) -> Self {
        let creation = creation.map(|signature| signature.creation(op, version));
        Self { body: Some(Packed::new(&version.issue.body)), creation }
    }
}

/// A write transaction: all of it happens, or nothing.
#[derive(Debug)]
pub struct WriteTxn<'t> {
    pub(super) tables: Tables<WriteRows<'t>>,
    pub(super) author: Author,
    counters: Counters,
    stale: BTreeSet<IssueId>,
    pub(super) first: Revision,
    pub(super) last: Revision,
    highest: IssueId,
    /// What is to be added to the sums of baselines.
    pub(super) sums: Sums,
    pub(super) undoes: Option<Revision>,
    pub(super) group: Option<Revision>,
    pub(super) later: Later,
    pub(super) standing_changes: Vec<StandingChange>,
    ended_claims: Vec<Identity>,
    pub(super) copied_entries: Vec<Identity>,
    reopened: Vec<Identity>,
    pub(super) touched: bool,
    pub(super) retention: Option<Arc<Retention>>,
}

impl<'t> std::ops::Deref for WriteTxn<'t> {
    type Target = Tables<WriteRows<'t>>;

    fn deref(&self) -> &Self::Target {
        &self.tables
    }
}

impl<'t> WriteTxn<'t> {
    pub(crate) fn new(
        tables: Tables<WriteRows<'t>>,
        author: Author,
        retention: Option<Arc<Retention>>,
    ) -> Result<Self, StoreError> {
        let (counters, first, highest) = (tables.counters()?, tables.revision()?, tables.high_water()?);
        let (stale, last, undoes) = (BTreeSet::new(), first, None);
        let (standing_changes, ended_claims, reopened) = (Vec::new(), Vec::new(), Vec::new());
        Ok(Self {
            tables,
            author,
            counters,
            stale,
            first,
            last,
            highest,
            sums: Sums::default(),
            undoes,
            group: None,
            later: Later::default(),
            standing_changes,
            ended_claims,
            copied_entries: Vec::new(),
            reopened,
            touched: false,
            retention,
        })
    }

    /// Who makes the changes.
    #[must_use]
    pub fn author(&self) -> &Author {
        &self.author
    }

    /// Whether there is anything to commit.
    #[must_use]
    pub fn has_changes(&self) -> bool {
        self.touched
    }

    /// The issues that got another owner or status, in the order in which that happened.
    #[must_use]
    pub fn standing_changes(&self) -> &[StandingChange] {
        &self.standing_changes
    }

    /// Notes that a claim that no database has as a record any more was given back.
    pub fn end_claim(&mut self, identity: Identity) {
        self.ended_claims.push(identity);
    }

    /// Notes that an issue which another work tree closed is to be done again, though it is open here.
    pub fn reopen_elsewhere(&mut self, identity: Identity) {
        self.reopened.push(identity);
    }

    /// The issues that are to be done again so.
    #[must_use]
    pub fn reopened(&self) -> &[Identity] {
        &self.reopened
    }

    /// The claims that were given back so.
    #[must_use]
    pub fn ended_claims(&self) -> &[Identity] {
        &self.ended_claims
    }

    /// Marks the changes that follow as undoing an earlier one.
    pub fn set_undoes(&mut self, revision: Option<Revision>) {
        self.undoes = revision;
    }

    /// The number that the next issue gets.
    ///
    /// # Errors
    /// [`StoreError::NumbersExhausted`].
    pub fn next_number(&self) -> Result<IssueId, StoreError> {
        self.highest.0.checked_add(1).map(IssueId).ok_or(StoreError::NumbersExhausted)
    }

    /// Creates an issue under the next free number: one above every number ever taken in.
    ///
    /// # Errors
    /// [`StoreError::NumbersExhausted`], or if the database fails.
    pub fn create(&mut self, build: impl FnOnce(IssueId, Timestamp) -> Issue) -> Result<Versioned, StoreError> {
        let id = self.next_number()?;
        let mut issue = build(id, self.author.now);
        // Two issues of one title, created in one tick of the clock, are still two.
        while self.id_of(&issue.head.identity())?.is_some() || self.tombstone(&issue.head.identity())?.is_some() {
            issue.head.created_at = Timestamp::after(issue.head.created_at, issue.head.created_at);
            issue.head.updated_at = issue.head.updated_at.max(issue.head.created_at);
        }
        let created = Versioned::new(issue);
        self.put(&created, Op::Create)?;
        Ok(created)
    }

    /// Changes an issue, provided its hash is `expect` where one is given. A change that changes nothing but the time of
    /// change writes nothing.
    ///
    /// # Errors
    /// If the database fails.
    pub fn update(
        &mut self,
        id: IssueId,
        expect: Option<ContentHash>,
        op: Op,
        change: impl FnOnce(&mut Issue, Timestamp),
    ) -> Result<Cas, StoreError> {
        self.try_update(id, expect, op, |issue, now| {
            change(issue, now);
            Ok(())
        })
    }

    /// As [`WriteTxn::update`], with a change that can be refused.
    ///
    /// # Errors
    /// What `change` answers, or if the database fails.
    pub fn try_update<E: From<StoreError>>(
        &mut self,
        id: IssueId,
        expect: Option<ContentHash>,
        op: Op,
        change: impl FnOnce(&mut Issue, Timestamp) -> Result<(), E>,
    ) -> Result<Cas, E> {
        let Some(old) = self.issue(id)? else { return Ok(Cas::Missing) };
        if expect.is_some_and(|expect| expect != old.hash) {
            return Ok(Cas::Stale { current: old.hash });
        }
        let now = Timestamp::after(self.author.now, old.issue.head.updated_at);
        let mut issue = old.issue.clone();
        change(&mut issue, now)?;
        if (old.issue.head.status, issue.head.status) == (Status::Open, Status::Closed) {
            self.pin_latest(&mut issue)?;
        }
        issue.body = Issue::with_final_newline(issue.body);
        issue.head.updated_at = old.issue.head.updated_at;
        if issue == old.issue {
            return Ok(Cas::Unchanged(Box::new(old)));
        }
        issue.head.updated_at = now;
        let new = Versioned::new(issue);
        self.put(&new, op)?;
        Ok(Cas::Changed(Box::new(new)))
    }

    /// Stores a version of an issue exactly as it is given, over the one of the same identity if there is one.
    ///
    /// # Errors
    /// If the database fails.
    pub fn put(&mut self, new: &Versioned, op: Op) -> Result<(), StoreError> {
        let identity = new.issue.head.identity();
        let old = self.issue_of(&identity)?;
        if old.as_ref().is_none_or(|old| old.hash != new.hash) {
            self.note_pending(&identity, old.as_ref(), Some(new.hash))?;
        }
        self.put_over(old.as_ref(), new, op, &mut PreparedPut::default())
    }

    /// As [`WriteTxn::put`], of an issue that was prepared before, for a caller that goes on to [`WriteTxn::agree_with`] or
    /// [`WriteTxn::forget_baseline`]: these say whether the record is pending.
    pub(crate) fn put_unmarked(
        &mut self,
        new: &Versioned,
        op: Op,
        prepared: &mut PreparedPut,
    ) -> Result<(), StoreError> {
        let old = self.issue_of(&new.issue.head.identity())?;
        self.put_over(old.as_ref(), new, op, prepared)
    }

    fn put_over(
        &mut self,
        old: Option<&Versioned>,
        new: &Versioned,
        op: Op,
        prepared: &mut PreparedPut,
    ) -> Result<(), StoreError> {
        if old.is_some_and(|old| old.hash == new.hash) {
            return Ok(());
        }
        let identity = new.issue.head.identity();
        self.write_rows_with(&identity, old, Some(new), prepared.body.as_mut())?;
        let comes_back = self.tables.tombstones.remove(&identity.key())?;
        self.record_change_with(op, old, Some(new), prepared.creation.as_mut())?;
        // what was undone with it is in the log by itself
        if op == Op::Undo {
            return Ok(());
        }
        if comes_back {
            self.unlink_lost_entries(&new.issue.head)?;
        }
        self.follow_entries(old.map(|old| &old.issue.head), &new.issue.head)
    }

    /// Deletes an issue. Its number stays used.
    ///
    /// # Errors
    /// If the database fails.
    pub fn delete(&mut self, id: IssueId, op: Op) -> Result<bool, StoreError> {
        let Some(old) = self.issue(id)? else { return Ok(false) };
        let identity = old.issue.head.identity();
        if op == Op::Delete {
            // undoing the deletion brings back what it ends
            self.note_end_of_conflict(&identity)?;
        }
        self.note_pending(&identity, Some(&old), None)?;
        self.record_change(op, Some(&old), None)?;
        // before those that wait for it are looked at
        self.tables.tombstones.put(&identity.key(), &Tombstone { id, revision: self.last })?;
        self.write_rows(&identity, Some(&old), None)?;
        self.tables.conflicts.remove(&identity.key())?;
        Ok(true)
    }

    /// Records in the audit trail what a change threw away, so that nothing is lost without a row that holds it.
    ///
    /// # Errors
    /// If the database fails.
    pub fn note_lost(
        &mut self,
        identity: &Identity,
        op: Op,
        before: Value,
        body: Option<&str>,
    ) -> Result<(), StoreError> {
        let record = self.issue_of(identity)?;
        let before = match before {
            Value::Map(mut fields) => {
                fields.retain(|(name, _)| name != diff::BODY);
                Value::Map(fields)
            }
            other => other,
        };
        self.append_issue(op, identity, (record.as_ref(), record.as_ref()), (before, Value::Null), body)
    }

    /// As [`WriteTxn::note_lost`], of a file that a change removes or writes over.
    ///
    /// # Errors
    /// If the database fails.
    pub fn note_lost_file(
        &mut self,
        identity: &Identity,
        op: Op,
        name: &FileName,
        body: Option<&str>,
    ) -> Result<(), StoreError> {
        let file = Value::Map(vec![("file".to_owned(), Value::from(name.to_string()))]);
        self.note_lost(identity, op, file, body)
    }

    /// Brings everything that follows from the changes up to date. Called once, before the commit.
    pub(crate) fn settle(mut self) -> Result<(), StoreError> {
        self.follow_moved_entries()?;
        while let Some(id) = self.stale.pop_first() {
            let Some(stored) = self.head(id)? else { continue };
            let blocked = self.is_blocked(&stored.head)?;
            if blocked != stored.blocked {
                let old = IndexKeys::of(&stored);
                let stored = StoredHead { blocked, ..stored };
                self.replace_index_rows(&old, &IndexKeys::of(&stored))?;
                self.tables.heads.put(&id_key(id), &stored)?;
            }
        }
        self.settle_sums()?;
        if self.high_water()? != self.highest {
            self.tables.meta.put(mark::HIGH_WATER, &self.highest)?;
        }
        self.tables.meta.put(mark::COUNTERS, &self.counters)?;
        self.tables.meta.put(mark::REVISION, &self.last)?;
        let Tables { order, terms, links, .. } = &mut self.tables;
        [order, terms, links].into_iter().try_for_each(Keys::settle)
    }

    fn is_blocked(&self, head: &IssueHead) -> Result<bool, StoreError> {
        Ok(head.status == Status::Open && !self.open_dependencies(&head.depends_on)?.is_empty())
    }

    /// Replaces an issue's rows and those of the indexes and counters. The rows of a number that another issue has taken
    /// since are left alone.
    pub(super) fn write_rows(
        &mut self,
        identity: &Identity,
        old: Option<&Versioned>,
        new: Option<&Versioned>,
    ) -> Result<(), StoreError> {
        self.write_rows_with(identity, old, new, None)
    }

    /// As [`WriteTxn::write_rows`], with the new body if it was packed before.
    fn write_rows_with(
        &mut self,
        identity: &Identity,
        old: Option<&Versioned>,
        new: Option<&Versioned>,
        body: Option<&mut Packed>,
    ) -> Result<(), StoreError> {
        self.touched = true;
        let old_stored = old.map(|old| self.head(old.issue.head.id)).transpose()?.flatten();
        let old_keys = old_stored.as_ref().map_or_else(IndexKeys::none, IndexKeys::of);
        let reshaped = match (old, new) {
            (Some(old), Some(new)) => {
                old.issue.head.status != new.issue.head.status || old.issue.head.id != new.issue.head.id
            }
            _ => true,
        };
        if let Some(stored) = &old_stored {
            self.counters.subtract(&stored.head);
            if new.is_none_or(|new| new.issue.head.id != stored.head.id) {
                self.tables.heads.remove(&id_key(stored.head.id))?;
                self.tables.bodies.remove(&id_key(stored.head.id))?;
            }
            if reshaped {
                let sources = self.dependents(&stored.head.file_name())?;
                self.stale.extend(sources);
            }
        }
        let Some(new) = new else {
            self.tables.identities.remove(&identity.key())?;
            return self.replace_index_rows(&old_keys, &IndexKeys::none());
        };
        let (head, key) = (&new.issue.head, id_key(new.issue.head.id));
        if self.head(head.id)?.is_some_and(|holder| holder.head.identity() != *identity) {
            return Err(StoreError::NumberTaken(head.id));
        }
        let stored = StoredHead { blocked: self.is_blocked(head)?, head: head.clone(), hash: new.hash };
        self.replace_index_rows(&old_keys, &IndexKeys::of(&stored))?;
        self.tables.heads.put(&key, &stored)?;
        if old.is_none_or(|old| old.issue.head.id != head.id || old.issue.body != new.issue.body) {
            match body {
                Some(body) => self.tables.bodies.put_packed(&key, body)?,
                None => self.tables.bodies.put(&key, &new.issue.body)?,
            }
        }
        if old.is_none_or(|old| old.issue.head.id != head.id) {
            self.tables.identities.put(&identity.key(), &head.id)?;
        }
        self.counters.add(head);
        if reshaped {
            let sources = self.dependents(&head.file_name())?;
            self.stale.extend(sources);
            if !head.depends_on.is_empty() {
                self.stale.insert(head.id);
            }
        }
        self.raise_high_water(head.id);
        Ok(())
    }

    pub(super) fn raise_high_water(&mut self, id: IssueId) {
        self.highest = self.highest.max(id);
    }

    fn replace_index_rows(&mut self, old: &IndexKeys, new: &IndexKeys) -> Result<(), StoreError> {
        let Tables { order, terms, links, .. } = &mut self.tables;
        for (table, old, new) in
            [(order, &old.order, &new.order), (terms, &old.terms, &new.terms), (links, &old.links, &new.links)]
        {
            // both are sorted, and a file can hold thousands of labels and links
            for key in old.iter().filter(|key| new.binary_search(key).is_err()) {
                table.remove(key)?;
            }
            for key in new.iter().filter(|key| old.binary_search(key).is_err()) {
                table.put(key)?;
            }
        }
        Ok(())
    }
}

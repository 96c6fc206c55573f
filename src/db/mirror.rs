//! What the mirror keeps in the database: baselines, the merge bases behind them, pending marks, conflicts, and what the
//! issues folder looked like.
//!
//! A record is pending exactly while it is not what its baseline says, and exactly then its merge base is stored.

use crate::schema::id::{ContentHash, Identity};
use crate::schema::issue::Issue;
use crate::schema::value::Value;

use super::error::StoreError;
use super::read::{FolderMark, mark};
use super::record::{Baseline, Conflict, Landing, Op, Pending, Versioned};
use super::write::WriteTxn;

impl WriteTxn<'_> {
    /// Notes what file and record agreed on. If the record is not that (any more), it stays pending, and `content` is
    /// kept to merge against.
    ///
    /// # Errors
    /// If the database fails.
    pub fn agree(&mut self, identity: &Identity, baseline: &Baseline, content: &Issue) -> Result<(), StoreError> {
        let record = self.id_of(identity)?.map(|id| self.head(id)).transpose()?.flatten();
        self.agree_with(identity, record.map(|record| record.hash), baseline, content)
    }

    /// As [`WriteTxn::agree`], where the record's hash is known; none if there is no record.
    pub(crate) fn agree_with(
        &mut self,
        identity: &Identity,
        record: Option<ContentHash>,
        baseline: &Baseline,
        content: &Issue,
    ) -> Result<(), StoreError> {
        let key = identity.key();
        self.put_baseline(&key, baseline)?;
        self.touched = true;
        self.raise_high_water(baseline.name.id);
        match record {
            Some(record) if record == baseline.content => {
                self.tables.bases.remove(&key)?;
                self.tables.pending.remove(&key)?;
            }
            record => {
                self.tables.bases.put(&key, content)?;
                let pending = if record.is_some() { Pending::Changed } else { Pending::Deleted };
                self.tables.pending.put(&key, &(identity, pending))?;
            }
        }
        Ok(())
    }

    /// Replaces a baseline by one that differs only in what the file system says of the file.
    ///
    /// # Errors
    /// If the database fails.
    pub fn refresh_baseline(&mut self, key: &[u8], baseline: &Baseline) -> Result<(), StoreError> {
        self.touched = true;
        self.put_baseline(key, baseline)
    }

    /// Forgets what file and record agreed on: the file is gone.
    ///
    /// # Errors
    /// If the database fails.
    pub fn forget_baseline(&mut self, identity: &Identity) -> Result<(), StoreError> {
        let key = identity.key();
        self.touched = true;
        self.remove_baseline(&key)?;
        self.tables.bases.remove(&key)?;
        match self.id_of(identity)? {
            Some(_) => self.tables.pending.put(&key, &(identity, Pending::New)),
            None => self.tables.pending.remove(&key).map(|_| ()),
        }
    }

    /// Stores a conflict; says whether it is news.
    ///
    /// # Errors
    /// If the database fails.
    pub fn put_conflict(&mut self, identity: &Identity, conflict: &Conflict) -> Result<bool, StoreError> {
        if self.conflict(identity)?.as_ref() == Some(conflict) {
            return Ok(false);
        }
        self.tables.conflicts.put(&identity.key(), &(identity, conflict))?;
        self.touched = true;
        if let Some(record) = self.issue_of(identity)? {
            let after = Value::Map(vec![("conflict".into(), Value::from(conflict.fields.as_slice()))]);
            self.append_issue(Op::Conflict, identity, (Some(&record), Some(&record)), (Value::Null, after), None)?;
        }
        Ok(true)
    }

    /// Ends a conflict, if there is one.
    ///
    /// # Errors
    /// If the database fails.
    pub fn remove_conflict(&mut self, identity: &Identity) -> Result<bool, StoreError> {
        let removed = self.tables.conflicts.remove(&identity.key())?;
        self.touched |= removed;
        Ok(removed)
    }

    /// Notes what an export is about to do to files; nothing once it is done.
    ///
    /// # Errors
    /// If the database fails.
    pub fn set_landings(&mut self, landings: &[Landing]) -> Result<(), StoreError> {
        self.touched = true;
        if landings.is_empty() {
            return self.tables.meta.remove(mark::LANDINGS).map(drop);
        }
        self.tables.meta.put(mark::LANDINGS, landings)
    }

    /// Notes that all changes so far built the database from the files, so that no undo takes them for a person's.
    ///
    /// # Errors
    /// If the database fails.
    pub fn set_born(&mut self) -> Result<(), StoreError> {
        self.touched = true;
        let revision = self.revision()?;
        self.tables.meta.put(mark::BORN, &revision)
    }

    /// Notes what the issues folder looks like now.
    ///
    /// # Errors
    /// If the database fails.
    pub fn set_folder_mark(&mut self, folder: FolderMark) -> Result<(), StoreError> {
        if self.folder_mark()? != Some(folder) {
            self.touched = true;
            self.tables.meta.put(mark::FOLDER, &folder)?;
        }
        Ok(())
    }

    /// Keeps the pending mark true: a record is pending exactly while it is not what its baseline says.
    pub(super) fn note_pending(
        &mut self,
        identity: &Identity,
        old: Option<&Versioned>,
        new: Option<ContentHash>,
    ) -> Result<(), StoreError> {
        let key = identity.key();
        let Some(baseline) = self.tables.baseline.get::<Baseline>(&key)? else {
            return match new {
                Some(_) => self.tables.pending.put(&key, &(identity, Pending::New)),
                None => self.tables.pending.remove(&key).map(|_| ()),
            };
        };
        if new == Some(baseline.content) {
            self.tables.bases.remove(&key)?;
            self.tables.pending.remove(&key)?;
            return Ok(());
        }
        if let Some(old) = old
            && old.hash == baseline.content
        {
            self.tables.bases.put(&key, &old.issue)?;
        }
        let pending = if new.is_some() { Pending::Changed } else { Pending::Deleted };
        self.tables.pending.put(&key, &(identity, pending))
    }
}

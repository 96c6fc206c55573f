//! Making a database, and putting one in the place of another.
//!
//! Whatever is to become the project's database is made under another name, by somebody alone, and renamed when it is
//! whole and synced. Killed at any moment, a process leaves what was there before, and perhaps a file that whoever next
//! takes the lock of imports removes.

use std::ops::RangeInclusive;

use redb::Database;

use crate::fs::{PathError, is_running, maker};
use crate::project::IGNORE_FILE;

use super::backup::AUTOMATIC;
use super::error::StoreError;
use super::gate::Gate;
use super::met::NOTE;
use super::read::mark;
use super::repair::DAMAGED;
use super::storage::{Opened, unborn_cache, with_reason};
use super::tables::Tables;
use super::{DATABASE, SCHEMA_VERSION, Store, begin_write};

/// The length of what the engine writes first.
const HEADER_BYTES: u64 = 4096;

/// Lengths of new files that are made as small as what is in them before they are used. In a smaller one there is little to
/// gain, and it is to grow; for a larger one it would take long.
const TIGHTENED: RangeInclusive<u64> = 4 << 20..=128 << 20;

/// Whether [`Store::create_if_missing`] made a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Birth {
    /// It did; it is empty.
    Created,
    /// There was one.
    Existed,
}

impl Store {
    /// Makes an empty database unless there is one. It appears whole or not at all: made under a temporary name, synced,
    /// renamed.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn create_if_missing(&self) -> Result<Birth, StoreError> {
        self.create_filled(|_| Ok(()))
    }

    /// As [`Store::create_if_missing`], but what `fill` puts into the new database is in it when it appears.
    ///
    /// # Errors
    /// If it cannot be written, or what `fill` answers.
    pub fn create_filled<E: From<StoreError>>(&self, fill: impl FnOnce(&Self) -> Result<(), E>) -> Result<Birth, E> {
        if self.exists()? {
            return Ok(Birth::Existed);
        }
        let unborn = self.unborn();
        let filled = unborn.build().map_err(E::from).and_then(|()| fill(&unborn));
        let filled = filled.and_then(|()| Ok(unborn.tighten()?));
        let born = filled.and_then(|()| Ok(self.give_way_to(&unborn.name, None, || Ok(()))?));
        if !matches!(born, Ok(Some(()))) {
            self.dir.remove(&unborn.name).map_err(StoreError::from)?;
        }
        // another process may have been faster
        Ok(born?.map_or(Birth::Existed, |()| Birth::Created))
    }

    /// Removes what killed processes left of databases that they were making, of notes that one is there, and of the list of
    /// what git is to pass over. The caller holds the lock of all who make databases.
    pub(crate) fn remove_unborn(&self) -> Result<(), StoreError> {
        let prefix = format!("{}.tmp-", self.name);
        let left = |name: &&String| name.starts_with(&prefix);
        // a migration makes such a copy without that lock, and any command such a note
        let others = [AUTOMATIC, DAMAGED, NOTE, IGNORE_FILE].map(|beginning| format!(".{beginning}"));
        let abandoned = |name: &&String| {
            others.iter().any(|beginning| name.starts_with(beginning))
                && maker(name).is_some_and(|pid| !is_running(pid))
        };
        let names = self.dir.names()?;
        for name in names.iter().filter(|name| left(name) || abandoned(name)) {
            self.dir.remove(name)?;
        }
        Ok(())
    }

    /// What a database is called while it is being made.
    pub(super) fn temporary_name() -> String {
        format!("{DATABASE}.tmp-{}", std::process::id())
    }

    /// Whether nobody else knows of this database, so that it need be durable only when it takes another's place.
    pub(super) fn is_unborn(&self) -> bool {
        self.name == Self::temporary_name()
    }

    /// The same database that nobody else knows of yet, to be filled with so many bytes of text.
    pub(crate) fn expecting(&self, text: u64) -> Self {
        Self { unborn_cache: unborn_cache(text), ..self.clone() }
    }

    /// A database that nobody else knows of, to be made and then to take this one's place.
    pub(super) fn unborn(&self) -> Self {
        Self { name: Self::temporary_name(), retention: None, ..self.clone() }
    }

    /// Puts a finished file in the database's place, durably, if that still is the one with this header, or there still is
    /// none; else answers none. `first` runs before, while nobody can write.
    pub(super) fn give_way_to<R>(
        &self,
        name: &str,
        header: Option<&[u8]>,
        first: impl FnOnce() -> Result<R, StoreError>,
    ) -> Result<Option<R>, StoreError> {
        // whoever closed it last may have left its header to others to sync
        let file = self.dir.open_existing(name)?;
        let at = |source| PathError { action: "sync", path: self.dir.path().join(name), source };
        file.sync_all().map_err(at)?;
        let _gate = Gate::exclusive(&self.dir, self.timeout)?;
        if self.header_if_there()?.as_deref() != header {
            return Ok(None);
        }
        let done = first()?;
        self.dir.rename(name, &self.name)?;
        self.dir.sync()?;
        Ok(Some(done))
    }

    /// The engine's header, which every commit changes: it numbers them there.
    pub(super) fn header(&self) -> Result<Vec<u8>, StoreError> {
        Ok(self.dir.read(&self.name, HEADER_BYTES)?.0)
    }

    pub(super) fn header_if_there(&self) -> Result<Option<Vec<u8>>, StoreError> {
        if self.exists()? { self.header().map(Some) } else { Ok(None) }
    }

    /// Gives back the room at the end of a new file. The engine doubles a file that must grow, and keeps that because of the
    /// last block of what it had, which it takes first of all.
    fn tighten(&self) -> Result<(), StoreError> {
        let file = self.dir.open_existing(&self.name)?;
        let at = |source| PathError { action: "read", path: self.path(), source };
        if TIGHTENED.contains(&file.metadata().map_err(at)?.len()) {
            Opened::in_unborn(file, self.unborn_cache)?.compact()?;
        }
        Ok(())
    }

    pub(super) fn build(&self) -> Result<(), StoreError> {
        let database = Opened::in_unborn(self.dir.open_private(&self.name)?, self.unborn_cache)?;
        make_tables(&database)
    }
}

/// Makes the tables of a new database.
pub(super) fn make_tables(database: &Database) -> Result<(), StoreError> {
    let txn = begin_write(database)?;
    {
        let mut tables = Tables::open_to_write(&txn, None)?;
        tables.meta.put(mark::SCHEMA, &SCHEMA_VERSION)?;
        tables.meta.put(mark::STORE_ID, &store_id())?;
    }
    txn.commit().map_err(|error| StoreError::Engine(Box::new(with_reason(error.into()))))
}

/// A name for the database that no other has: tells apart two clones of one project.
pub(super) fn store_id() -> String {
    use std::hash::{BuildHasher as _, Hasher as _};
    let word = || std::collections::hash_map::RandomState::new().build_hasher().finish();
    format!("{:016x}{:016x}", word(), word())
}

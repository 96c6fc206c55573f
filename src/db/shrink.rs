//! Making the file as small as what is in it.
//!
//! The engine can do that in place, but it takes seconds, during which nobody could read or write, and a process that is
//! killed meanwhile leaves a file to be repaired at length. So a copy is made smaller, which nobody waits for, and then
//! takes the database's place by its name, if nobody has written meanwhile. Killed at any moment, a process leaves the
//! old file or the new one, and perhaps a copy that whoever next takes the lock of imports removes.

use crate::fs::PathError;

use super::error::StoreError;
use super::gate::Gate;
use super::tables::NAMES;
use super::{FREE_PAGES, Store, builder};

/// How often a copy is made because somebody wrote meanwhile.
const MAX_TRIES: usize = 5;

/// How often the engine may go over a copy. What it writes when it closes the file leaves room that it finds only when
/// the file is opened again.
const MAX_PASSES: usize = 8;

/// What became of an attempt to make the file smaller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Shrunk {
    /// It is as small as it can be.
    Done {
        /// Its size in bytes before.
        before: u64,
        /// Its size now; not more.
        after: u64,
    },
    /// Others wrote each time; the file is as it was.
    Contended,
}

impl Store {
    /// Makes the file as small as what is in it. It takes room for a second one, and the lock of imports and exports.
    ///
    /// # Errors
    /// If there is no database or it is damaged, a lock is not free in time, or the copy cannot be written. The database
    /// is then as it was.
    pub fn shrink(&self) -> Result<Shrunk, StoreError> {
        let _turn = Gate::sync(&self.dir, self.timeout)?;
        self.remove_unborn()?;
        let copy = Self::temporary_name();
        for _ in 0..MAX_TRIES {
            let outcome = self.shrink_once(&copy);
            if !matches!(outcome, Ok(Some((before, after))) if after < before) {
                self.dir.remove(&copy)?;
            }
            if let Some((before, after)) = outcome? {
                return Ok(Shrunk::Done { before, after });
            }
        }
        Ok(Shrunk::Contended)
    }

    /// The sizes before and after; none if somebody wrote meanwhile.
    fn shrink_once(&self, copy: &str) -> Result<Option<(u64, u64)>, StoreError> {
        let (before, header) = self.copy_to(copy)?;
        // the engine would write what is damaged with checksums that vouch for it, or read where there is nothing
        Self { name: copy.to_owned(), ..self.clone() }.verify()?;
        let after = self.compact_file(copy)?;
        if after >= before {
            return Ok(Some((before, before)));
        }
        let Some(seen) = self.give_way_to(copy, Some(&header), || self.is_met())? else { return Ok(None) };
        if seen {
            // where it cannot be noted, the next command meets it for the first time
            let _ = self.mark_met();
        }
        Ok(Some((before, after)))
    }

    /// Verifies every page, unless the engine has something to repair first.
    fn verify(&self) -> Result<(), StoreError> {
        let Some(witness) = self.witness()? else { return Ok(()) };
        for table in NAMES {
            witness.vouch_for_whole(table).map_err(|doubt| self.doubt(doubt, table))?;
        }
        witness.vouch_for_allocation().map_err(|doubt| self.doubt(doubt, FREE_PAGES))
    }

    /// Copies the database as it is between two transactions; answers its size and its header.
    pub(super) fn copy_to(&self, copy: &str) -> Result<(u64, Vec<u8>), StoreError> {
        let _gate = Gate::shared(&self.dir, self.timeout)?;
        self.require_regular_file()?;
        let header = self.header()?;
        let (mut from, _) = self.dir.open_file(&self.name)?;
        let mut to = self.dir.open_private(copy)?;
        let size = std::io::copy(&mut from, &mut to).map_err(|source| PathError {
            action: "write",
            path: self.dir.path().join(copy),
            source,
        })?;
        Ok((size, header))
    }

    /// Makes a file small that nobody else knows of, durably; answers its size.
    fn compact_file(&self, name: &str) -> Result<u64, StoreError> {
        let mut size = u64::MAX;
        for _ in 0..MAX_PASSES {
            let file = self.dir.open_existing(name)?;
            let mut database = builder().create_file(file)?;
            database.compact()?;
            // closed before it is synced: closing writes, too
            drop(database);
            let file = self.dir.open_existing(name)?;
            let synced = file.sync_all().and_then(|()| file.metadata());
            let at = |source| PathError { action: "sync", path: self.dir.path().join(name), source };
            let now = synced.map_err(at)?.len();
            if now >= size {
                return Ok(now);
            }
            size = now;
        }
        Ok(size)
    }
}

#[cfg(test)]
mod tests;

//! A whole database in the place of a damaged one.
//!
//! As with making the file small, the work is done beside it: the damaged file is copied aside, a new one is made from the
//! copy, filled by the caller with what the files have, looked through, and renamed over the old one if nobody wrote
//! meanwhile. Killed at any moment, a process leaves the damaged file or the new one.

use super::backup::stamp;
use super::error::StoreError;
use super::examine::examination;
use super::gate::Gate;
use super::rescue::{Rescued, TextOf};
use super::salvage::Damage;
use super::{Author, SCHEMA_VERSION, Store};

/// What the name of a damaged file that was put aside begins with.
pub const DAMAGED: &str = "state.redb.damaged-";

/// A damaged file that was copied aside.
#[derive(Debug)]
pub struct Aside {
    /// Its name in the state folder.
    pub name: String,
    /// What was wrong with it.
    pub damage: Vec<Damage>,
    header: Vec<u8>,
}

impl Store {
    /// Copies a damaged database aside; none if nothing is wrong with it and no `other` damage was told to be. The caller
    /// holds the lock of imports.
    ///
    /// # Errors
    /// If it cannot be read or copied, or is of a newer version, which is left as it is.
    pub(crate) fn set_aside(&self, turn: &Gate, mut other: Vec<Damage>) -> Result<Option<Aside>, StoreError> {
        let _gate = Gate::shared(&self.dir, self.timeout)?;
        self.require_regular_file()?;
        let found = self.found_in(&self.name)?;
        let examined = examination(&found);
        if let Some(found) = examined.schema.filter(|schema| *schema > SCHEMA_VERSION) {
            return Err(StoreError::Newer { found, known: SCHEMA_VERSION });
        }
        other.extend(examined.damage);
        if other.is_empty() {
            return Ok(None);
        }
        let header = self.header()?;
        let name = format!("{DAMAGED}{}", stamp(turn.file_system_now(&self.dir)?));
        self.dir.copy(&self.name, &name)?;
        Ok(Some(Aside { name, damage: other, header }))
    }

    /// Makes a new database of what is whole in the one that was set aside, has the caller `fill` it, and puts it in the
    /// place of the old one. None if somebody wrote meanwhile: then nothing was done.
    ///
    /// # Errors
    /// If it cannot be written, or what `fill` answers.
    pub(crate) fn rebuild<E: From<StoreError>>(
        &self,
        aside: &Aside,
        author: &Author,
        text_of: TextOf<'_>,
        fill: impl FnOnce(&Self) -> Result<(), E>,
    ) -> Result<Option<Rescued>, E> {
        let unborn = self.unborn();
        let rebuilt = unborn.rebuild_from(aside, author, text_of, fill).and_then(|rescued| {
            let given = self.give_way_to(&unborn.name, Some(&aside.header), || Ok(rescued))?;
            if given.is_some() {
                // where it cannot be noted, the next command meets it for the first time
                let _ = self.mark_met();
            }
            Ok(given)
        });
        if !matches!(rebuilt, Ok(Some(_))) {
            self.dir.remove(&unborn.name).map_err(StoreError::from)?;
        }
        rebuilt
    }

    fn rebuild_from<E: From<StoreError>>(
        &self,
        aside: &Aside,
        author: &Author,
        text_of: TextOf<'_>,
        fill: impl FnOnce(&Self) -> Result<(), E>,
    ) -> Result<Rescued, E> {
        self.build()?;
        let found = self.found_in(&aside.name)?;
        let rescued = self.write(author, |txn| txn.rescue(&found, text_of))?;
        drop(found);
        fill(self)?;
        Ok(rescued)
    }
}

#[cfg(test)]
mod tests;

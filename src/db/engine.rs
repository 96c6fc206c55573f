//! What the engine itself says of a file. On some kinds of damage it panics, and may even end the process: whoever asks
//! does so in a process of its own.

use super::error::StoreError;
use super::{Store, builder};

/// What the name of a copy begins with that the engine checks; the id of the process follows.
pub const CHECKED: &str = "state.redb.check-";

impl Store {
    /// Has the engine check a copy of the database.
    ///
    /// # Errors
    /// What is wrong with it; or if it cannot be copied.
    pub fn check_engine(&self) -> Result<(), StoreError> {
        let copy = format!("{CHECKED}{}", std::process::id());
        let checked = self.check_copy(&copy);
        let removed = self.dir.remove(&copy);
        checked?;
        Ok(removed?)
    }

    fn check_copy(&self, copy: &str) -> Result<(), StoreError> {
        self.copy_to(copy)?;
        let mut database = builder().create_file(self.dir.open_existing(copy)?)?;
        match database.check_integrity() {
            // false: what a killed process left was put in order, as the next command does
            Ok(_) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

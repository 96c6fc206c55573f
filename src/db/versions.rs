//! The versions that an issue has had since its record and its file last agreed.
//!
//! A file that holds one of them is nobody's edit: an export wrote it and was killed before it could note that. The two
//! then have that version in common, though the baseline is older.

use std::collections::{HashMap, HashSet};

use crate::schema::id::{ContentHash, Identity, Revision};

use super::error::StoreError;
use super::tables::{Readable, Tables};

impl<T: Readable> Tables<T> {
    /// For each of these issues, given with what its record and its file last agreed on (none if they never did), the hashes
    /// of the versions since, as far as the log goes back. One pass over the log for all.
    ///
    /// # Errors
    /// If the database cannot be read or a row is damaged.
    pub fn versions_since(
        &self,
        mut agreed: HashMap<Identity, Option<ContentHash>>,
    ) -> Result<HashMap<Identity, HashSet<ContentHash>>, StoreError> {
        let mut versions: HashMap<Identity, HashSet<ContentHash>> = HashMap::new();
        if agreed.is_empty() {
            return Ok(versions);
        }
        for row in self.changes_since(Revision(0))? {
            let (_, change) = row?;
            let Some(identity) = &change.identity else { continue };
            let (Some(base), true) = (agreed.get(identity), change.changes_record()) else { continue };
            if change.hash_after.is_some() && change.hash_after == *base {
                agreed.remove(identity);
                if agreed.is_empty() {
                    break;
                }
            } else if let Some(hash) = change.hash_after {
                versions.entry(identity.clone()).or_default().insert(hash);
            }
        }
        Ok(versions)
    }
}

//! After an export that was killed: what it did to files and had not noted yet.
//!
//! An export commits what it is about to write or remove before it does, and forgets that in the commit that notes the new
//! baselines. Whoever finds such a note knows that a file with these bytes, or a file that is gone, is the export's doing:
//! record and file agreed on that, whatever became of the record since. Without it the file would be taken for somebody's
//! edit or deletion, and could win over an `undo` that came after it.

use crate::db::record::Landing;
use crate::import::scan;

use super::{Mirror, MirrorError};

/// Older than any file: the stat data that is read with it is not trusted.
const NEVER: (i64, u32) = (i64::MIN, 0);

impl Mirror<'_> {
    /// Notes what a killed export did; whether there was anything, so that files and baselines must be looked at anew.
    pub(super) fn recover_export(&self, landings: &[Landing]) -> Result<bool, MirrorError> {
        if landings.is_empty() || self.options.dry_run {
            return Ok(false);
        }
        self.refuse_tracked_database()?;
        let Some(dir) = self.project.issues()? else { return Ok(false) };
        let (mut written, mut removed) = (Vec::new(), Vec::new());
        for landing in landings {
            match landing.file {
                Some(hash) => {
                    let read = scan::read_file(&dir, &landing.name, NEVER);
                    written.extend(read.ok().filter(|file| file.file == hash));
                }
                None if dir.entry(&landing.name.to_string())?.is_none() => removed.push(&landing.identity),
                None => {}
            }
        }
        self.store.write(&self.author, |txn| {
            for file in &written {
                txn.agree(&file.issue.head.identity(), &file.baseline(), &file.issue)?;
            }
            for identity in removed {
                txn.forget_baseline(identity)?;
            }
            Ok::<_, MirrorError>(txn.set_landings(&[])?)
        })?;
        Ok(true)
    }
}

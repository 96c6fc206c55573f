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
                let identity = file.issue.head.identity();
                // an issue that was neither deleted nor is there was lost with its page, and its file brings it back
                if txn.id_of(&identity)?.is_some() || txn.tombstone(&identity)?.is_some() {
                    txn.agree(&identity, &file.baseline(), &file.issue)?;
                }
            }
            for identity in removed {
                txn.forget_baseline(identity)?;
            }
            Ok::<_, MirrorError>(txn.set_landings(&[])?)
        })?;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::Duration;

    use super::*;
    use crate::db::{Author, Op, Store};
    use crate::project::Project;
    use crate::schema::id::{ContentHash, IssueId};
    use crate::schema::issue::{Issue, IssueHead};
    use crate::sync::Options;

    #[test]
    fn a_file_that_a_killed_export_wrote_brings_back_an_issue_that_was_lost_and_not_one_that_was_deleted() {
        for was_deleted in [false, true] {
            let folder = tempfile::tempdir().unwrap();
            let project = Project::create(folder.path()).unwrap();
            let store = Store::in_dir(project.state().clone(), Duration::from_secs(10));
            let author = Author { actor: "ada".into(), session: None, now: "2026-11-20T12:00:00Z".parse().unwrap() };
            let options = Options { allow_deletes: true, ..Options::default() };
            let mirror =
                Mirror { project: &project, store: &store, author: author.clone(), options, progress: &|_, _, _| {} };
            mirror.ensure_database().unwrap();
            let build = |id, now| Issue { head: IssueHead::new(id, "One".into(), now), body: "text\n".into() };
            let made = store.write(&author, |txn| txn.create(build)).unwrap();
            mirror.export().unwrap();
            let head = made.issue.head;
            let path = folder.path().join(project.issue_path(head.file_name()));
            let bytes = fs::read(&path).unwrap();
            store
                .write(&author, |txn| {
                    txn.delete(head.id, Op::Delete)?;
                    txn.forget_baseline(&head.identity())
                })
                .unwrap();
            if !was_deleted {
                // a database that was saved without the issue
                fs::remove_file(folder.path().join(".oxi/state.redb")).unwrap();
                store.create_if_missing().unwrap();
            }
            let landing =
                Landing { identity: head.identity(), name: head.file_name(), file: Some(ContentHash::of(&bytes)) };
            store.write(&author, |txn| txn.set_landings(&[landing])).unwrap();
            mirror.sync().unwrap();
            assert_eq!(fs::read(&path).is_ok(), !was_deleted);
            assert_eq!(store.read().unwrap().head(IssueId(1)).unwrap().is_some(), !was_deleted);
            assert!(store.read().unwrap().landings().unwrap().is_empty());
        }
    }
}

//! Ending a conflict. What did not overlap is merged as ever; the choice is about the lines that did.

use crate::db::Op;
use crate::db::record::{Conflict, Versioned};
use crate::import::scan::{self, ReadFile};
use crate::schema::frontmatter;
use crate::schema::id::{ContentHash, FileName, Identity, IssueId};
use crate::schema::issue::Issue;
use crate::schema::time::Timestamp;

use super::diff3::{self, Chunk};
use super::merge::merge;
use super::{Mirror, MirrorError};

/// How to end a conflict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// Where both sides changed the same lines, those of the record.
    Ours,
    /// Where both sides changed the same lines, those of the file.
    Theirs,
    /// Both, the record's first.
    Union,
    /// This body.
    Body(String),
}

/// A conflict as a person edits it.
#[derive(Clone, Debug)]
pub struct Draft {
    /// The merged body, with git's conflict markers where the sides overlap.
    pub text: String,
    /// The record's hash.
    pub hash: ContentHash,
}

impl Mirror<'_> {
    /// The body of an issue in conflict, merged as far as it goes, with conflict markers.
    ///
    /// # Errors
    /// [`MirrorError::NotInConflict`], or if the database fails.
    pub fn draft(&self, id: IssueId) -> Result<Draft, MirrorError> {
        let (identity, conflict) = self.conflict(id)?;
        let record = self.store.read()?.issue_of(&identity)?.ok_or(MirrorError::NotInConflict(id))?;
        let (_, chunks) = sides(&conflict, &record.issue);
        Ok(Draft { text: diff3::with_markers(&chunks, "record", "file", diff3::MARKER_SIZE), hash: record.hash })
    }

    /// Ends a conflict. The record takes the outcome at once; the file with the next export.
    ///
    /// # Errors
    /// [`MirrorError::NotInConflict`]; [`MirrorError::RecordMovedOn`] if the record's hash is not the one that is expected,
    /// where one is; [`MirrorError::FileMovedOn`] if the file is no longer as it was noted, so that a
    /// new import must look at it first; [`MirrorError::Unwritable`]; or if the database fails.
    pub fn resolve(&self, id: IssueId, choice: &Choice, expect: Option<ContentHash>) -> Result<Versioned, MirrorError> {
        let (gate, _) = self.lock_and(|_| self.recover_export(&self.store.read()?.landings()?))?;
        let (identity, conflict) = self.conflict(id)?;
        let now = gate.file_system_now(self.store.dir())?;
        let file = self.file_in_conflict(&conflict, now)?;
        let dir = self.project.issues()?;
        let has_file = |name: &FileName| {
            let file = dir.as_ref().and_then(|dir| scan::read_file(dir, name, now).ok());
            file.is_some_and(|file| file.issue.head.identity() == identity)
        };
        let resolved = self.store.write(&self.author, |txn| {
            let record = txn.issue_of(&identity)?.ok_or(MirrorError::NotInConflict(id))?;
            if expect.is_some_and(|expect| expect != record.hash) {
                return Err(MirrorError::RecordMovedOn { id, current: record.hash });
            }
            let own_name = record.issue.head.file_name();
            let second_file = txn.baseline(&identity)?.is_some_and(|baseline| baseline.name != conflict.name)
                || (own_name != conflict.name && has_file(&own_name));
            let mut issue = outcome(&conflict, &record.issue, choice, second_file);
            issue.head.updated_at = Timestamp::after(self.author.now, record.issue.head.updated_at);
            if let Err(error) = frontmatter::render_checked(&issue)
                && frontmatter::render_checked(&record.issue).is_ok()
            {
                return Err(MirrorError::Unwritable { id, error });
            }
            let resolved = Versioned::new(issue);
            if let Some(theirs) = &conflict.theirs {
                txn.note_lost_file(&identity, Op::Resolve, &conflict.name, Some(&theirs.body))?;
            }
            txn.note_end_of_conflict(&identity)?;
            txn.put(&resolved, Op::Resolve)?;
            if let Some(file) = file.as_ref().filter(|_| !second_file) {
                txn.agree(&identity, &file.baseline(), &file.issue)?;
            }
            txn.remove_conflict(&identity)?;
            txn.normalize_links(std::iter::once(&identity))?;
            Ok::<_, MirrorError>((resolved, second_file))
        })?;
        if let ((_, true), Some(file), Some(dir)) = (&resolved, file, &dir) {
            dir.remove(&file.name.to_string())?;
            dir.sync()?;
        }
        Ok(resolved.0)
    }

    fn conflict(&self, id: IssueId) -> Result<(Identity, Conflict), MirrorError> {
        let read = self.store.read()?;
        let head = read.head(id)?.ok_or(MirrorError::NotInConflict(id))?.head;
        let identity = head.identity();
        let conflict = read.conflict(&identity)?.ok_or(MirrorError::NotInConflict(id))?;
        Ok((identity, conflict))
    }

    /// The file of a conflict, which must still be what it was; none if it is gone.
    fn file_in_conflict(&self, conflict: &Conflict, now: (i64, u32)) -> Result<Option<Box<ReadFile>>, MirrorError> {
        let moved_on = || MirrorError::FileMovedOn(self.project.issue_path(&conflict.name));
        let Some(dir) = self.project.issues()? else { return Ok(None) };
        match scan::read_file(&dir, &conflict.name, now) {
            Ok(file) if file.file == conflict.theirs_file => Ok(Some(file)),
            // the path is another issue's by now
            Ok(file)
                if conflict.ours.as_ref().is_some_and(|ours| ours.head.identity() != file.issue.head.identity()) =>
            {
                Ok(None)
            }
            Err(Some(bad)) if bad.marked == Some(conflict.theirs_file) => Ok(conflict.theirs.clone().map(|theirs| {
                Box::new(ReadFile {
                    name: conflict.name.clone(),
                    stat: None,
                    file: conflict.theirs_file,
                    content: theirs.content_hash(),
                    issue: theirs,
                    text: Some(conflict.theirs_text.clone()),
                    dropped_body: None,
                    shows_markers: false,
                    oxi_rendering: false,
                    suspicious: false,
                    unmerged: Some(Box::new(scan::Stages { base: None, ours: None })),
                })
            })),
            Ok(_) | Err(Some(_)) => Err(moved_on()),
            Err(None) => Ok(None),
        }
    }
}

/// The head as merged, and the body in pieces.
fn sides(conflict: &Conflict, record: &Issue) -> (Issue, Vec<Chunk>) {
    let theirs = conflict.theirs.as_ref().unwrap_or(record);
    let merged = merge(conflict.base.as_ref(), record, theirs);
    let chunks = merged.body_conflict.unwrap_or_else(|| vec![Chunk::Stable(merged.issue.body.clone())]);
    (merged.issue, chunks)
}

fn outcome(conflict: &Conflict, record: &Issue, choice: &Choice, second_file: bool) -> Issue {
    let (mut issue, chunks) = sides(conflict, record);
    if second_file {
        // two files of one issue: the choice is between them as wholes
        match (choice, &conflict.theirs) {
            (Choice::Ours, _) => return record.clone(),
            (Choice::Theirs, Some(theirs)) => {
                let mut theirs = theirs.clone();
                theirs.head.id = record.head.id;
                return theirs;
            }
            _ => {}
        }
    }
    let pick = |which: fn(&Chunk) -> &str| chunks.iter().map(which).collect::<String>();
    issue.body = match choice {
        Choice::Ours => pick(|chunk| match chunk {
            Chunk::Stable(text) | Chunk::Conflict { ours: text, .. } => text,
        }),
        Choice::Theirs => pick(|chunk| match chunk {
            Chunk::Stable(text) | Chunk::Conflict { theirs: text, .. } => text,
        }),
        Choice::Union => diff3::union(&chunks),
        Choice::Body(body) => Issue::with_line_ends_of(&record.body, body.clone()),
    };
    issue.body = Issue::with_final_newline(issue.body);
    issue
}

//! Keeping records and files in step, both ways: plan first, apply second.
//!
//! One import, export or sync runs at a time, under a lock of its own. The database gate is held only to read what a
//! plan needs and to commit it; the commit is a compare-and-swap against the records that were planned with. Files are
//! written under temporary names and renamed; the baseline is committed last, so a crash in between leaves record and
//! file equal, which the next run sees as converged.
//!
//! What holds afterwards: nothing that either side held is lost without a row in the audit trail that holds it; a second
//! run does nothing; clones that have exchanged all commits and synced hold the same issues.

mod apply_export;
mod apply_import;
mod batch;
pub mod decide;
pub mod diff3;
pub mod driver;
mod gather;
mod landing;
mod look;
pub mod merge;
pub mod numbers;
pub mod plan;
mod rehearse;
pub mod report;
pub mod resolve;
mod secrets;
mod status;
mod tracked;
mod unmerged;

use crate::cores;
use crate::db::gate::{Gate, GateError};
use crate::db::{Author, Birth, Damage, FolderMark, Rescued, Store, StoreError};
use crate::fs::{Dir, FileStat, PathError};
use crate::git::{Git, GitError};
use crate::import::scan;
use crate::project::Project;
use crate::schema::id::{FileName, Identity};

pub use report::{Problem, Report, Secret, StatusReport};
pub(crate) use tracked::meet;

/// Why an import, export or sync failed as a whole. What is wrong with single files is in the report.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MirrorError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A file or folder could not be used.
    #[error(transparent)]
    Path(#[from] PathError),
    /// git failed.
    #[error(transparent)]
    Git(#[from] GitError),
    /// There is no number left to give.
    #[error(transparent)]
    Numbers(#[from] numbers::AssignError),
    /// Records or files kept changing while they were imported.
    #[error("records or files kept changing while they were imported")]
    Contended,
    /// The outcome of a conflict cannot be written as a file.
    #[error("what issue #{id} would say then cannot be its file: {error}")]
    Unwritable {
        /// The issue.
        id: crate::schema::id::IssueId,
        /// Why not.
        error: crate::schema::frontmatter::RenderError,
    },
    /// An issue in conflict was asked for, and is not.
    #[error("issue #{0} is not in conflict")]
    NotInConflict(crate::schema::id::IssueId),
    /// The record changed while a person was resolving.
    #[error("issue #{id} was changed meanwhile; its hash is now {current}")]
    RecordMovedOn {
        /// The issue.
        id: crate::schema::id::IssueId,
        /// Its present hash.
        current: crate::schema::id::ContentHash,
    },
    /// The file changed after the conflict was noted.
    #[error("{} changed after the conflict was noted", .0)]
    FileMovedOn(String),
}

impl From<GateError> for MirrorError {
    fn from(error: GateError) -> Self {
        Self::Store(error.into())
    }
}

/// How an import, export or sync is to go about it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Say what would be done, and do nothing.
    pub dry_run: bool,
    /// Delete records even if suspiciously many files are gone.
    pub allow_deletes: bool,
    /// Import only if no file has to be moved or removed for it; else do nothing, and say so in the report.
    pub leave_files: bool,
    /// What git is at the end of, and that therefore does not count as going on: a `merge` or `rebase` whose hook runs.
    pub ended: Option<&'static str>,
}

/// A damaged database that was replaced.
#[derive(Debug)]
pub struct Fixed {
    /// The name of the damaged file in the state folder.
    pub aside: String,
    /// What was wrong with it.
    pub damage: Vec<Damage>,
    /// What was saved of it.
    pub rescued: Rescued,
    /// What the files brought in.
    pub report: Report,
}

/// How often it is tried to replace a damaged database because somebody wrote to it meanwhile.
const FIXES: usize = 5;

/// Told how far a long step is: what, how many are done, of how many.
pub type Progress<'a> = &'a (dyn Fn(&'static str, u64, u64) + Sync);

/// The two-way mirror of one project.
pub struct Mirror<'a> {
    /// Where the files are.
    pub project: &'a Project,
    /// Where the records are.
    pub store: &'a Store,
    /// Who changes things.
    pub author: Author,
    /// How.
    pub options: Options,
    /// Told how far it is.
    pub progress: Progress<'a>,
}

impl Mirror<'_> {
    /// Moves what changed in the files into the database, merging where both sides changed.
    ///
    /// # Errors
    /// If the database, the folder or git fails as a whole.
    pub fn import(&self) -> Result<Report, MirrorError> {
        let (gate, snapshot) = self.lock_and(|gate| self.snapshot(gate))?;
        self.import_from(&gate, snapshot)
    }

    /// As [`Mirror::import`], but a file that the database knows is looked at only if a commit since `revision` changed it.
    /// New and missing files are seen in any case; an edit that is not committed is left to the next import.
    ///
    /// # Errors
    /// If there is no such revision, or the database, the folder or git fails as a whole.
    pub fn import_since(&self, revision: &str) -> Result<Report, MirrorError> {
        let (gate, snapshot) = self.lock_and(|gate| self.snapshot_since(gate, Some(revision)))?;
        self.import_from(&gate, snapshot)
    }

    /// Moves what changed in the database into the files. Never writes over an edit that import has not seen.
    ///
    /// # Errors
    /// If the database, the folder or git fails as a whole.
    pub fn export(&self) -> Result<Report, MirrorError> {
        let (gate, absent) = self.lock_and(|_| self.absent())?;
        self.export_all(&gate, absent)
    }

    /// Import, then export.
    ///
    /// # Errors
    /// If the database, the folder or git fails as a whole.
    pub fn sync(&self) -> Result<Report, MirrorError> {
        let (gate, ()) = self.lock_and(|_| Ok(()))?;
        if self.options.dry_run {
            return self.rehearse_sync(&gate);
        }
        let mut report = self.import_from(&gate, self.snapshot(&gate)?)?;
        report.add(self.export_all(&gate, self.absent()?)?);
        Ok(report)
    }

    /// Says how far files and records are apart; changes nothing.
    ///
    /// # Errors
    /// If the database, the folder or git fails as a whole.
    pub fn status(&self) -> Result<StatusReport, MirrorError> {
        let (_gate, snapshot) = self.lock_and(|gate| self.snapshot(gate))?;
        let status = self.status_of(&snapshot);
        cores::free(snapshot);
        status
    }

    /// Makes the database, if there is none, with the files that are there taken in. It appears with its issues or not at
    /// all.
    ///
    /// # Errors
    /// If the database, the folder or git fails as a whole.
    pub fn ensure_database(&self) -> Result<Option<Report>, MirrorError> {
        if self.store.exists()? {
            return Ok(None);
        }
        let gate = self.lock()?;
        // a project that the original program began has none, and git would take the database for a new file
        self.project.write_gitignore()?;
        let mut report = None;
        let birth = self.store.create_filled(|unborn| {
            report = Some(self.import_into(unborn, &gate)?);
            unborn.write(&self.author, |txn| Ok::<_, MirrorError>(txn.set_born()?))
        })?;
        Ok(report.filter(|_| birth == Birth::Created))
    }

    /// Puts a whole database in the place of a damaged one: what is whole in it, and what the files have. None if nothing
    /// is wrong with it, and no `other` damage was told, which only the engine sees.
    ///
    /// # Errors
    /// If the database, the folder or git fails as a whole; the damaged database is then still there.
    pub fn fix(&self, other: &[Damage]) -> Result<Option<Fixed>, MirrorError> {
        let gate = self.lock()?;
        let issues = self.project.issues()?;
        let now = gate.file_system_now(self.store.dir())?;
        let text_of = |name: &FileName, identity: &Identity| {
            let read = scan::read_file(issues.as_ref()?, name, now).ok()?;
            (read.issue.head.identity() == *identity).then_some(read.issue.body)
        };
        for _ in 0..FIXES {
            let Some(aside) = self.store.set_aside(&gate, other.to_vec())? else { return Ok(None) };
            let mut report = Report::default();
            let rescued = self.store.rebuild(&aside, &self.author, &text_of, |unborn| {
                report = self.import_into(unborn, &gate)?;
                Ok::<_, MirrorError>(())
            })?;
            if let Some(rescued) = rescued {
                return Ok(Some(Fixed { aside: aside.name, damage: aside.damage, rescued, report }));
            }
            self.store.dir().remove(&aside.name)?;
        }
        Err(MirrorError::Contended)
    }

    /// Takes the files into a database that nobody else knows of yet.
    fn import_into(&self, unborn: &Store, gate: &Gate) -> Result<Report, MirrorError> {
        let into = |store| Mirror { store, author: self.author.clone(), options: Options::default(), ..*self };
        let snapshot = into(unborn).snapshot(gate)?;
        let text = snapshot.scan.read.iter().filter_map(|file| Some(file.stat?.size)).sum();
        into(&unborn.expecting(text)).import_from(gate, snapshot)
    }

    /// Waits for the turn, for work on a database that may be missing or damaged.
    fn lock(&self) -> Result<Gate, MirrorError> {
        let gate = self.turn()?;
        self.refuse_tracked_database()?;
        Ok(gate)
    }

    fn turn(&self) -> Result<Gate, MirrorError> {
        let gate = Gate::sync(self.store.dir(), self.store.timeout())?;
        self.store.remove_unborn()?;
        Ok(gate)
    }

    /// A database that git tracks could be replaced by any checkout. Where git is not installed there is none.
    ///
    /// # Errors
    /// [`StoreError::TrackedByGit`], or if git cannot be asked.
    pub fn refuse_tracked_database(&self) -> Result<(), MirrorError> {
        tracked::while_git_thinks(self.project, self.store, || ())
    }

    /// Waits for the turn, and refuses it if git tracks the database. While git thinks about that, `look` runs; it must
    /// change nothing but what [`Mirror::recover_export`] does, which asks for itself.
    fn lock_and<R>(&self, look: impl FnOnce(&Gate) -> Result<R, MirrorError>) -> Result<(Gate, R), MirrorError> {
        let gate = self.turn()?;
        let seen = tracked::while_git_thinks(self.project, self.store, || look(&gate))?;
        Ok((gate, seen?))
    }

    /// Notes what the folder looks like now that its files were written or moved; `known` is what is noted.
    fn note_folder(&self, dir: Option<&Dir>, known: Option<FolderMark>) -> Result<(), MirrorError> {
        let mark = folder_mark(dir.map(Dir::stat).transpose()?);
        // a folder that was never imported must still be
        if known.is_none() || known == Some(mark) {
            return Ok(());
        }
        self.store.write(&self.author, |txn| Ok(txn.set_folder_mark(mark)?))
    }

    fn git(&self) -> Option<Git> {
        Git::discover(self.project.root())
    }
}

fn folder_mark(folder: Option<FileStat>) -> FolderMark {
    FolderMark { modified: folder.map(|stat| stat.modified) }
}

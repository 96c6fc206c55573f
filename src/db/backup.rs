//! Copies of the database: those that a person asks for, and those that are made before anything daring.
//!
//! A copy is taken while nobody writes, so it is of one moment. One that a person asked for is looked through before it
//! gets its name, and one that is to take the database's place before it does. The newest three of those made by
//! themselves are kept.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use crate::fs::{Dir, Entry, PathError};
use crate::schema::id::{IssueId, Revision};

use super::birth::store_id;
use super::error::StoreError;
use super::examine::{Examination, examination};
use super::gate::Gate;
use super::pages::Pages;
use super::read::mark;
use super::salvage::{Damage, look_through};
use super::witness::{Doubt, Witness};
use super::{Author, DATABASE, FREE_PAGES, SCHEMA_VERSION, Store};

/// How many copies are kept that were made by themselves.
pub const KEPT: usize = 3;

/// How often it is tried anew because somebody wrote meanwhile.
const MAX_TRIES: usize = 5;

/// What the name of a copy begins with that was made by itself.
pub const AUTOMATIC: &str = "state.redb.backup-";

/// Why there is no backup, or none was restored.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackupError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is something of that name.
    #[error("{} is there already", .0.display())]
    Exists(PathBuf),
    /// That name cannot be a backup's.
    #[error("{} cannot be a backup: {reason}", path.display())]
    Unfit {
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: &'static str,
    },
    /// The folder that it was to lie in cannot be used.
    #[error(transparent)]
    Folder(PathError),
    /// What was to be restored cannot be read.
    #[error(transparent)]
    Unread(PathError),
    /// What was to be restored is not whole, or no backup at all.
    #[error("{} cannot be restored: {}", path.display(), said(damage))]
    Unsound {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        damage: Vec<Damage>,
    },
    /// What was copied is not whole.
    #[error("{} is damaged: {}", path.display(), said(damage))]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        damage: Vec<Damage>,
    },
    /// Others kept writing.
    #[error("other processes kept writing")]
    Contended,
}

impl From<PathError> for BackupError {
    fn from(error: PathError) -> Self {
        Self::Store(error.into())
    }
}

impl From<super::gate::GateError> for BackupError {
    fn from(error: super::gate::GateError) -> Self {
        Self::Store(error.into())
    }
}

fn said(damage: &[Damage]) -> String {
    let Some(first) = damage.first() else { return "no reason is known".into() };
    let more = damage.len() - 1;
    let more = if more > 0 { format!(" (and {more} more)") } else { String::new() };
    format!("{}{}{more}", first.place(), first.message)
}

/// A backup that was written, or restored.
#[derive(Clone, Debug)]
pub struct BackedUp {
    /// Its size in bytes.
    pub bytes: u64,
    /// The last change in it.
    pub revision: Revision,
    /// How many issues are in it.
    pub issues: u64,
    /// The schema that it was written with.
    pub schema: u8,
    /// The copy of what was there before, in the state folder, if there was anything.
    pub before: Option<String>,
}

/// Where a file lies that a person named.
struct Named {
    dir: Dir,
    name: String,
    path: PathBuf,
}

impl Named {
    fn of(path: &Path) -> Result<Self, BackupError> {
        let unfit = |reason| BackupError::Unfit { path: path.to_owned(), reason };
        let name = path.file_name().ok_or_else(|| unfit("it names a folder"))?;
        let name = name.to_str().ok_or_else(|| unfit("its name is not UTF-8"))?.to_owned();
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        Ok(Self { dir: Dir::open(parent).map_err(BackupError::Folder)?, name, path: path.to_owned() })
    }

    fn unfit(&self, reason: &'static str) -> BackupError {
        BackupError::Unfit { path: self.path.clone(), reason }
    }
}

impl Store {
    /// Copies the database to a file that the caller names, over the one of that name with `replace`. Others read and
    /// write meanwhile, but for the moment of the copy. The copy is complete and durable, or not there.
    ///
    /// # Errors
    /// If there is no database or it is damaged, or the file cannot be written or may not be replaced.
    pub fn back_up(&self, path: &Path, replace: bool) -> Result<BackedUp, BackupError> {
        let target = Named::of(path)?;
        let is_ours = target.dir.stat().map_err(StoreError::from)?.inode == self.dir.stat()?.inode;
        if is_ours && (target.name == DATABASE || target.name.starts_with("state.lock")) {
            return Err(target.unfit("the project's own database and locks are not for that"));
        }
        match target.dir.entry(&target.name)? {
            Some(Entry::File(_)) if replace => {}
            Some(Entry::File(_)) => return Err(BackupError::Exists(target.path)),
            Some(_) => return Err(target.unfit("there is something of that name that is no regular file")),
            None => {}
        }
        // repairs what a killed process left, and brings an older schema up to date
        drop(self.read()?);
        target.dir.remove_abandoned(&target.name);
        let copy = target.dir.write_private_temporary(&target.name, &[])?;
        copy.hold();
        let gate = Gate::shared(&self.dir, self.timeout)?;
        self.require_regular_file()?;
        let (mut from, _) = self.dir.open_file(&self.name)?;
        let copied = io::copy(&mut from, &mut copy.file());
        drop(gate);
        let bytes = copied.map_err(|source| PathError { action: "write", path: target.path.clone(), source })?;
        copy.sync()?;
        let examined = look(|| copy.read_back(), &target.path)?;
        copy.publish(&target.name, replace).map_err(|error| match error.source.kind() {
            io::ErrorKind::AlreadyExists => BackupError::Exists(target.path.clone()),
            _ => error.into(),
        })?;
        target.dir.sync()?;
        Ok(BackedUp {
            bytes,
            revision: examined.revision,
            issues: examined.issues,
            schema: examined.schema.unwrap_or(SCHEMA_VERSION),
            before: None,
        })
    }

    /// Puts a backup in the database's place, and a copy of the present database aside. No number is given again that
    /// was given in either. A backup of an older schema is brought up to date.
    ///
    /// # Errors
    /// If the file is no backup, damaged, or of a newer version; or a lock is not free in time. The database is then as
    /// it was.
    pub fn restore(&self, path: &Path, author: &Author) -> Result<BackedUp, BackupError> {
        let source = Named::of(path)?;
        let turn = Gate::sync(&self.dir, self.timeout)?;
        self.remove_unborn()?;
        let copy = self.unborn();
        let restored = self.restore_by(&source, &copy, &turn, author);
        if restored.is_err() {
            self.dir.remove(&copy.name)?;
        }
        restored
    }

    fn restore_by(&self, source: &Named, copy: &Self, turn: &Gate, author: &Author) -> Result<BackedUp, BackupError> {
        let named = |error| BackupError::Unread(PathError { path: source.path.clone(), ..error });
        let (mut from, _) = source.dir.open_file(&source.name).map_err(named)?;
        let mut to = self.dir.open_private(&copy.name)?;
        let copied = io::copy(&mut from, &mut to);
        let bytes = copied.map_err(|source| PathError { action: "write", path: copy.path(), source })?;
        let examined = look(|| Ok(self.dir.open_file(&copy.name)?.0), &source.path).map_err(|error| match error {
            BackupError::Damaged { path, damage } => BackupError::Unsound { path, damage },
            other => other,
        })?;
        let schema = match examined.schema {
            Some(found) if found > SCHEMA_VERSION => {
                return Err(StoreError::Newer { found, known: SCHEMA_VERSION }.into());
            }
            Some(found) => found,
            None => return Err(source.unfit("it does not say of which version it is")),
        };
        for _ in 0..MAX_TRIES {
            let (highest, header) = self.highest_number()?;
            copy.write(author, |txn| {
                txn.raise_high_water(highest);
                // its history is another one from here on
                txn.tables.meta.put(mark::STORE_ID, &store_id())?;
                txn.tables.meta.remove(mark::FOLDER)?;
                txn.touched = true;
                Ok::<_, StoreError>(())
            })?;
            let keep = || header.as_ref().map(|_| self.keep_copy("restore", turn)).transpose();
            let Some(before) = self.give_way_to(&copy.name, header.as_deref(), keep)? else { continue };
            // where it cannot be noted, the next command meets it for the first time
            let _ = self.mark_met();
            return Ok(BackedUp { bytes, revision: examined.revision, issues: examined.issues, schema, before });
        }
        Err(BackupError::Contended)
    }

    /// The highest number ever given, as far as that can be told, and the header it was read under.
    fn highest_number(&self) -> Result<(IssueId, Option<Vec<u8>>), StoreError> {
        let Some(header) = self.header_if_there()? else { return Ok((IssueId(0), None)) };
        let highest = match self.read().and_then(|read| read.high_water()) {
            Ok(highest) => highest,
            Err(error @ (StoreError::Gate(_) | StoreError::Path(_))) => return Err(error),
            // what is damaged is looked through page by page
            Err(_) => self.found_in(&self.name)?.highest_number(),
        };
        Ok((highest, Some(header)))
    }

    /// Copies the database aside under a name that says when and before what, and drops older such copies. The caller
    /// keeps others from writing. Answers the name.
    pub(super) fn keep_copy(&self, before: &str, gate: &Gate) -> Result<String, StoreError> {
        // one that was killed may have left one too many
        self.drop_older_copies()?;
        let name = format!("{AUTOMATIC}{}-{before}", stamp(gate.file_system_now(&self.dir)?));
        self.dir.copy(&self.name, &name)?;
        self.drop_older_copies()?;
        Ok(name)
    }

    fn drop_older_copies(&self) -> Result<(), StoreError> {
        let mut copies = self.automatic_copies()?;
        while copies.len() > KEPT {
            self.dir.remove(&copies.remove(0))?;
        }
        Ok(())
    }

    /// The names of the copies that were made by themselves, oldest first.
    ///
    /// # Errors
    /// If the folder cannot be read.
    pub fn automatic_copies(&self) -> Result<Vec<String>, StoreError> {
        let mut names = self.dir.names()?;
        names.retain(|name| name.starts_with(AUTOMATIC));
        names.sort_unstable();
        Ok(names)
    }
}

/// A time for the name of a file, in UTC; later ones sort after earlier ones.
pub(super) fn stamp((seconds, nanoseconds): (i64, u32)) -> String {
    let time = chrono::DateTime::from_timestamp(seconds, nanoseconds).unwrap_or_default();
    time.format("%Y%m%dT%H%M%S%.3fZ").to_string()
}

/// Looks through a file that must be whole, with the engine's own tables.
fn look(open: impl Fn() -> Result<File, PathError>, path: &Path) -> Result<Examination, BackupError> {
    let at = |source| PathError { action: "read", path: path.to_owned(), source };
    let mut examined = examination(&look_through(&Pages::new(open()?).map_err(at)?).map_err(at)?);
    if examined.damage.is_empty() {
        let witness = Witness::open(open()?);
        match witness.and_then(|witness| witness.as_ref().map_or(Ok(()), Witness::vouch_for_allocation)) {
            Ok(()) => return Ok(examined),
            Err(Doubt::Io(error)) => return Err(at(error).into()),
            Err(Doubt::Damaged { offset }) => examined.damage.push(Damage {
                table: Some(FREE_PAGES.to_owned()),
                key: None,
                offset: Some(offset),
                message: format!("the page at byte {offset} is not what was written"),
            }),
        }
    }
    Err(BackupError::Damaged { path: path.to_owned(), damage: examined.damage })
}

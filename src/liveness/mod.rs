//! Whether the session that claims something is alive.
//!
//! A session holds an exclusive BSD lock on `.alive/<session>` in the issues folder for as long as it lives; the system
//! frees the lock when the process ends, however it ends. Lock files are never unlinked here: whoever had the old file
//! open would hold a lock that nobody else can see. A probe takes a shared lock for an instant, so [`Lease::acquire`]
//! tries again where it met one.
//!
//! The locks are those of the local machine and promise nothing across NFS clients or machines. A session that left no
//! lock file here is unknown, not dead; what is dead may be taken over, so doubt never says so.

#![expect(clippy::disallowed_methods, reason = "one of the two modules that take locks; these are only ever tried")]

use std::cell::RefCell;
use std::collections::HashMap;
use std::fs::{File, TryLockError};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::time::Duration;

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use crate::fs::{Dir, Entry, PathError};
use crate::project::Project;
use crate::schema::id::SessionId;
use crate::schema::issue::Assignment;
use crate::schema::process::Process;
use crate::schema::time::Timestamp;
use crate::worktrees::Shared;

/// The folder of the lock files, within the issues folder; ignored by git.
pub const FOLDER: &str = ".alive";

/// How long a claim by a session that this machine never saw is given the benefit of the doubt, in hours.
pub const REMOTE_CLAIM_HOURS: i64 = 24;

/// Whether a session is alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Liveness {
    /// A process holds its lock.
    Alive,
    /// It had a lock here and holds it no more, or nobody ever saw it and its claim is old.
    Dead,
    /// This machine cannot tell.
    Unknown,
}

impl Liveness {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Alive => "alive",
            Self::Dead => "dead",
            Self::Unknown => "unknown",
        }
    }
}

impl std::fmt::Display for Liveness {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// What a lock file tells.
#[derive(Clone, Copy, PartialEq, Eq)]
enum LockState {
    Held,
    Free,
    /// There is no lock file, or can be none of such a name.
    Absent,
    /// It is there and cannot be asked: no permission, a link, a directory.
    Unusable,
}

/// Whether a session is alive, by its lock file alone: unknown where there is none.
#[must_use]
pub fn probe(issues: &Dir, session: &str) -> Liveness {
    let state = match issues.open_dir(FOLDER) {
        Ok(folder) => lock_state(&folder, session),
        Err(error) if error.is_not_found() => LockState::Absent,
        Err(_) => LockState::Unusable,
    };
    match state {
        LockState::Held => Liveness::Alive,
        LockState::Free => Liveness::Dead,
        LockState::Absent | LockState::Unusable => Liveness::Unknown,
    }
}

/// What the database knows of a session.
#[derive(Clone, Copy, Debug, Default)]
pub struct Known<'a> {
    /// The process that speaks for it.
    pub process: Option<&'a Process>,
    /// Whether it was ended.
    pub ended: bool,
}

/// Tells whether the owners of claims are alive, by the lock files in some folders and what else is known of them. What
/// was found out of a session is remembered, since one session may own many issues.
#[derive(Debug)]
pub struct Watch {
    folders: Vec<Dir>,
    /// Whether a folder is there that cannot be looked into.
    blind: bool,
    now: Timestamp,
    seen: RefCell<HashMap<String, Option<Liveness>>>,
}

impl Watch {
    /// A watch over these folders of lock files, at a time.
    #[must_use]
    pub fn new(folders: Vec<Dir>, now: Timestamp) -> Self {
        Self { folders, blind: false, now, seen: RefCell::default() }
    }

    /// A watch over the folders of lock files that a project has, its own and the one that its work trees share. A folder
    /// that cannot be opened hides who lives, so nobody is dead then.
    #[must_use]
    pub fn of(project: &Project, shared: Option<&Shared>, now: Timestamp) -> Self {
        let own = project.issues().and_then(|issues| match issues.map(|issues| issues.open_dir(FOLDER)) {
            Some(Err(error)) if error.is_not_found() => Ok(None),
            opened => opened.transpose(),
        });
        let mut watch = Self::new(Vec::new(), now);
        for folder in [own, shared.map_or(Ok(None), Shared::leases)] {
            match folder {
                Ok(folder) => watch.folders.extend(folder),
                Err(_) => watch.blind = true,
            }
        }
        watch
    }

    /// Whether the owner of a claim is alive. One whose session was never seen here, such as a teammate's that came by
    /// git, is unknown until [`REMOTE_CLAIM_HOURS`] after it was made, then dead. A session without a name owns nothing
    /// and is dead.
    #[must_use]
    pub fn owner(&self, assignment: &Assignment, known: Known<'_>) -> Liveness {
        if assignment.session.is_empty() {
            return Liveness::Dead;
        }
        self.session(&assignment.session, known)
            .unwrap_or_else(|| if is_old(assignment, self.now) { Liveness::Dead } else { Liveness::Unknown })
    }

    /// Whether a session is alive; none if this machine never saw it.
    #[must_use]
    pub fn session(&self, session: &str, known: Known<'_>) -> Option<Liveness> {
        if let Some(seen) = self.seen.borrow().get(session) {
            return *seen;
        }
        let found = self.look(session, known);
        self.seen.borrow_mut().insert(session.to_owned(), found);
        found
    }

    fn look(&self, session: &str, _known: Known<'_>) -> Option<Liveness> {
        let states: Vec<_> = self.folders.iter().map(|folder| lock_state(folder, session)).collect();
        if states.contains(&LockState::Held) {
            Some(Liveness::Alive)
        } else if self.blind || states.contains(&LockState::Unusable) {
            Some(Liveness::Unknown)
        } else if states.contains(&LockState::Free) {
            Some(Liveness::Dead)
        } else {
            None
        }
    }
}

/// Whether a claim is past the benefit of the doubt. One from the future is not: a clock is wrong, and it may be ours.
fn is_old(assignment: &Assignment, now: Timestamp) -> bool {
    now.get().signed_duration_since(assignment.acquired_at.get()) >= TimeDelta::hours(REMOTE_CLAIM_HOURS)
}

fn lock_state(folder: &Dir, session: &str) -> LockState {
    let Ok(session) = session.parse::<SessionId>() else { return LockState::Absent };
    let file = match folder.open_file(session.as_str()) {
        Ok((file, _)) => file,
        Err(error) if error.is_not_found() => return LockState::Absent,
        Err(_) => return LockState::Unusable,
    };
    match file.try_lock_shared() {
        Ok(()) => {
            // At once and by name: a child that another thread forks just now shares the open file until it executes.
            // That unlocking fails cannot be mended; closing does it then.
            let _ = file.unlock();
            LockState::Free
        }
        Err(TryLockError::WouldBlock) => LockState::Held,
        Err(TryLockError::Error(_)) => LockState::Unusable,
    }
}

/// Proof that a session lives: its lock, held until dropped. The lock file stays.
#[derive(Debug)]
#[must_use = "the session is alive only while this is held"]
pub struct Lease {
    file: File,
    session: SessionId,
}

impl Lease {
    /// Takes the lock of a session, its file and folder made if they are missing; none if somebody holds it already.
    /// Waits for nobody but probes, for 50 ms at most.
    ///
    /// # Errors
    /// If the file or folder cannot be made or opened (as when it is a link), or the file system has no locks.
    pub fn acquire(issues: &Dir, session: &SessionId) -> Result<Option<Self>, PathError> {
        const TRIES: u32 = 50;
        let folder = issues.ensure_dir(FOLDER)?;
        let name = session.as_str();
        let at = |source| PathError { action: "lock", path: folder.path().join(name), source };
        for _ in 0..TRIES {
            let file = folder.open_private(name)?;
            match file.try_lock() {
                // `git clean -fdX` or the original's reaper may have unlinked it just before
                Ok(()) if is_still(&folder, name, &file)? => return Ok(Some(Self { file, session: session.clone() })),
                Ok(()) => continue,
                Err(TryLockError::Error(source)) => return Err(at(source)),
                Err(TryLockError::WouldBlock) => {}
            }
            match file.try_lock_shared() {
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(source)) => return Err(at(source)),
                // it was a probe, and is over or will be
                Ok(()) => _ = file.unlock(),
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Err(at(io::Error::new(io::ErrorKind::WouldBlock, "others keep looking at it")))
    }

    /// Whose it is.
    #[must_use]
    pub fn session(&self) -> &SessionId {
        &self.session
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // see `lock_state`
        let _ = self.file.unlock();
    }
}

fn is_still(folder: &Dir, name: &str, file: &File) -> Result<bool, PathError> {
    let open =
        file.metadata().map_err(|source| PathError { action: "read", path: folder.path().join(name), source })?;
    Ok(matches!(folder.entry(name)?, Some(Entry::File(stat)) if stat.inode == open.ino()))
}

#[cfg(test)]
mod tests;

//! Whether the session that claims something is alive.
//!
//! A session holds an exclusive BSD lock on `.alive/<session>` in the issues folder for as long as it lives; the system
//! frees the lock when the process ends, however it ends. The original does the same, so each sees the other's sessions.
//! A session can also be one that registered a process and holds no lock; it lives as long as that process.
//!
//! | module | what it is |
//! |---|---|
//! | [`lease`] | taking, registering and ending a session; what its lock file says |
//! | [`payload`] | the text in a lock file |
//! | [`process`] | whether one certain process still runs |
//! | [`mod@judge`] | from all of that to alive, dead, unknown, or never seen |
//! | [`mod@reap`] | removing old lock files |
//!
//! The functions there work on a *folder of lock files*, of which a session may have more than one. The locks are those
//! of the local machine and promise nothing across NFS clients or machines. A session that left no lock file here is
//! unknown, not dead; what is dead may be taken over, so doubt never says so.

#![expect(clippy::disallowed_methods, reason = "one of the two modules that take locks; these are only ever tried")]

pub mod judge;
pub mod lease;
pub mod payload;
pub mod process;
pub mod reap;

use std::cell::RefCell;
use std::collections::HashMap;

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use crate::fs::{Dir, PathError};
use crate::project::Project;
use crate::schema::issue::Assignment;
use crate::schema::process::Process;
use crate::schema::session::{Session, SessionState};
use crate::schema::time::Timestamp;
use crate::worktrees::Shared;

pub use judge::{Evidence, LockState, Standing, judge};
pub use lease::{Acquired, Ended, Lease, Registered, end, evidence, forget, read_payload, register};
pub use payload::Payload;
pub use reap::reap;

/// The folder of the lock files, within the issues folder; ignored by git.
pub const FOLDER: &str = ".alive";

/// How long a claim by a session that this machine never saw is given the benefit of the doubt, in hours, unless told
/// otherwise: see [`Watch::with_remote_ttl`].
pub const REMOTE_CLAIM_HOURS: i64 = crate::schema::settings::REMOTE_CLAIM_HOURS;

/// [`REMOTE_CLAIM_HOURS`] as a span of time.
pub const REMOTE_TTL: TimeDelta = TimeDelta::hours(REMOTE_CLAIM_HOURS);

/// Whether a session is alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Liveness {
    /// A process holds its lock, or its process runs.
    Alive,
    /// It had a lock or a process here and has it no more, or nobody ever saw it and its claim is old.
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

/// The folder of lock files in an issues folder; none if there is none yet.
///
/// # Errors
/// If it cannot be opened, as when it is a link.
pub fn folder(issues: &Dir) -> Result<Option<Dir>, PathError> {
    match issues.open_dir(FOLDER) {
        Ok(folder) => Ok(Some(folder)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

/// The folder of lock files in an issues folder, made if it is missing. The issues folder keeps its time of change, by
/// which queries tell whether the files in it changed.
///
/// # Errors
/// If it cannot be made or opened, as when it is a link.
pub fn ensure_folder(issues: &Dir) -> Result<Dir, PathError> {
    if let Some(folder) = folder(issues)? {
        return Ok(folder);
    }
    let before = issues.stat()?;
    let folder = issues.ensure_dir(FOLDER)?;
    issues.set_modified(before.modified)?;
    Ok(folder)
}

/// What the plain lock file of a session says.
fn evidence_in(issues: &Dir, session: &str) -> Evidence {
    match folder(issues) {
        Ok(Some(folder)) => evidence(&folder, session),
        Ok(None) => Evidence::of(LockState::Absent),
        Err(_) => Evidence::of(LockState::Unusable),
    }
}

/// Whether a session is alive, by its lock file alone: unknown where there is none.
#[must_use]
pub fn probe(issues: &Dir, session: &str) -> Liveness {
    judge(&[evidence_in(issues, session)], None, false).with_claim(false)
}

/// What the database knows of a session.
#[derive(Clone, Copy, Debug, Default)]
pub struct Known<'a> {
    /// The process that speaks for it.
    pub process: Option<&'a Process>,
    /// When that process ran, for one whose start nobody noted.
    pub seen_at: Option<Timestamp>,
    /// Whether it was ended.
    pub ended: bool,
}

impl<'a> Known<'a> {
    /// What the record of a session says.
    #[must_use]
    pub fn of(session: &'a Session) -> Self {
        Self {
            process: session.process.as_ref(),
            seen_at: Some(session.last_activity_at),
            ended: session.state == SessionState::Ended,
        }
    }
}

/// Tells whether sessions are alive, by the lock files in some folders and what else is known of them. What was found
/// out of a session is remembered, since one session may own many issues.
#[derive(Debug)]
pub struct Watch {
    folders: Vec<Dir>,
    /// Whether a folder is there that cannot be looked into.
    blind: bool,
    now: Timestamp,
    remote_ttl: TimeDelta,
    seen: RefCell<HashMap<String, Standing>>,
}

impl Watch {
    /// A watch over these folders of lock files, at a time.
    #[must_use]
    pub fn new(folders: Vec<Dir>, now: Timestamp) -> Self {
        Self { folders, blind: false, now, remote_ttl: REMOTE_TTL, seen: RefCell::default() }
    }

    /// The same watch, with another benefit of the doubt for claims by sessions that this machine never saw.
    #[must_use]
    pub fn with_remote_ttl(self, remote_ttl: TimeDelta) -> Self {
        Self { remote_ttl, ..self }
    }

    /// A watch over the folders of lock files that a project has, its own and the one that its work trees share. One that
    /// cannot be opened hides who lives, so nobody is dead then.
    ///
    /// # Errors
    /// If the issues folder itself is there and cannot be opened, as when it is a link.
    pub fn of(project: &Project, shared: Option<&Shared>, now: Timestamp) -> Result<Self, PathError> {
        let own = project.issues()?.map_or(Ok(None), |issues| folder(&issues));
        let mut watch = Self::new(Vec::new(), now);
        for folder in [own, shared.map_or(Ok(None), Shared::leases)] {
            match folder {
                Ok(folder) => watch.folders.extend(folder),
                Err(_) => watch.blind = true,
            }
        }
        Ok(watch)
    }

    /// A watch that knows that it does not see everything, so that nobody is dead.
    #[must_use]
    pub fn blinded(mut self) -> Self {
        self.blind = true;
        self
    }

    /// Whether the owner of a claim is alive. One whose session was never seen here, such as a teammate's that came by
    /// git, is unknown for [`REMOTE_CLAIM_HOURS`] after it was made, or as long as [`Watch::with_remote_ttl`] said, then
    /// dead. A session without a name owns nothing and is dead.
    #[must_use]
    pub fn owner(&self, assignment: &Assignment, known: Known<'_>) -> Liveness {
        if assignment.session.is_empty() {
            return Liveness::Dead;
        }
        self.session(&assignment.session, known).with_claim(self.is_old(assignment))
    }

    /// What [`Watch::owner`] said of the owner's session before, without what is known of it; none if it was not asked.
    #[must_use]
    pub fn owner_again(&self, assignment: &Assignment) -> Option<Liveness> {
        let standing = self.seen.borrow().get(&assignment.session).copied()?;
        Some(standing.with_claim(self.is_old(assignment)))
    }

    /// The process that holds the lock of a session, if somebody does and the file says who.
    #[must_use]
    pub fn holder(&self, session: &str) -> Option<Process> {
        let held = self.folders.iter().map(|folder| evidence(folder, session)).find(|it| it.lock == LockState::Held)?;
        held.payload?.process
    }

    /// Where a session stands.
    #[must_use]
    pub fn session(&self, session: &str, known: Known<'_>) -> Standing {
        if let Some(seen) = self.seen.borrow().get(session) {
            return *seen;
        }
        let process = known.process.map(|process| process::state(process, known.seen_at));
        let mut standing = judge(&[], process, known.ended);
        // any sign of life decides, and that of the process takes the fewest calls
        if standing != Standing::Alive {
            let mut evidence: Vec<_> = self.folders.iter().map(|folder| evidence(folder, session)).collect();
            if self.blind {
                evidence.push(Evidence::of(LockState::Unusable));
            }
            standing = judge(&evidence, process, known.ended);
        }
        self.seen.borrow_mut().insert(session.to_owned(), standing);
        standing
    }

    /// Whether a claim is past the benefit of the doubt. One from the future is not: a clock is wrong, and it may be
    /// ours.
    fn is_old(&self, assignment: &Assignment) -> bool {
        self.now.get().signed_duration_since(assignment.acquired_at.get()) >= self.remote_ttl
    }
}

#[cfg(test)]
mod tests;

//! What the linked work trees of one git repository share: leases and claims.
//!
//! Every work tree has a database of its own, so two of them could give one issue to two sessions. What both must see
//! lies in a folder of git's common directory: the lock files of the sessions (`alive/`), and one file for each claim
//! (`claims/`), named after the issue's identity and the project's place in the repository. Whoever claims holds the lock
//! of that folder from before it reads the claims until its own is durable, and writes the file before it commits: a
//! process that is killed in between leaves a claim too many, never one too few. A claim of this work tree that its own
//! database knows nothing of is such a leftover; it counts for nothing here, and the next turn removes it.
//!
//! An issue that one work tree closed is open in the others until its file is merged there, and would be handed out
//! again. So closings are told, too, in one file (`closed`), for [`CLOSED_DAYS`] days.
//!
//! The database stays the record; the files only tell the other work trees. They hold no path but the
//! project's within the repository. Where the common directory cannot be written, there is nothing to share: whoever
//! works there cannot commit either.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_128;

use crate::db::gate::{Gate, GateError};
use crate::fs::{Dir, PathError};
use crate::git::Git;
use crate::project::Project;
use crate::schema::id::Identity;
use crate::schema::issue::Assignment;
use crate::schema::time::Timestamp;

/// The folder in git's common directory.
pub const FOLDER: &str = "oxi-state";

/// The folder of the sessions' lock files, within it.
pub const LEASES: &str = "alive";

const CLAIMS: &str = "claims";

const CLOSED: &str = "closed";

/// How long a closing is told, in days.
pub const CLOSED_DAYS: i64 = 7;

/// How many closings are told.
const MAX_CLOSED: usize = 500;

/// Longest file of closings that is read, in bytes.
const MAX_CLOSED_FILE: u64 = 1 << 20;

/// Longest claim file that is read, in bytes.
const MAX_CLAIM: u64 = 4096;

/// The shared folder of a repository, as one project in one work tree sees it.
#[derive(Clone, Debug)]
pub struct Shared {
    dir: Arc<Dir>,
    /// The project's place in the repository.
    project: String,
    /// git's name of the work tree; none for the main one.
    worktree: Option<String>,
    git: Git,
}

/// A claim as all work trees see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SharedClaim {
    /// The project's place in the repository, from its top.
    pub project: String,
    /// The issue.
    pub identity: Identity,
    /// The session that has it.
    pub session: String,
    /// Since when.
    pub acquired_at: Timestamp,
    /// git's name of the work tree that it was claimed in; none for the main one.
    pub worktree: Option<String>,
}

/// A closing as all work trees see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SharedClosing {
    /// The project's place in the repository, from its top.
    pub project: String,
    /// The issue.
    pub identity: Identity,
    /// When.
    pub closed_at: Timestamp,
    /// git's name of the work tree that it was closed in; none for the main one.
    pub worktree: Option<String>,
}

impl SharedClosing {
    /// Where it was closed, in words.
    #[must_use]
    pub fn place(&self) -> String {
        place(self.worktree.as_deref())
    }
}

fn place(worktree: Option<&str>) -> String {
    worktree.map_or_else(|| "the main work tree".into(), |name| format!("work tree {name}"))
}

impl SharedClaim {
    /// Where it was claimed, in words.
    #[must_use]
    pub fn place(&self) -> String {
        place(self.worktree.as_deref())
    }

    /// The claim as the record has it.
    #[must_use]
    pub fn assignment(&self) -> Assignment {
        Assignment { session: self.session.clone(), acquired_at: self.acquired_at }
    }
}

/// The claims of one moment.
#[derive(Clone, Debug, Default)]
pub struct Claims {
    project: String,
    worktree: Option<String>,
    by_name: HashMap<String, SharedClaim>,
    closed: Vec<SharedClosing>,
}

impl Claims {
    /// The closing of an issue that another work tree told of.
    #[must_use]
    pub fn closed_elsewhere(&self, identity: &Identity) -> Option<&SharedClosing> {
        self.closed.iter().find(|closing| {
            closing.worktree != self.worktree && closing.project == self.project && closing.identity == *identity
        })
    }

    /// The closings of issues of this project that this work tree told of.
    pub fn closed_here(&self) -> impl Iterator<Item = &SharedClosing> + '_ {
        self.closed.iter().filter(|closing| closing.worktree == self.worktree && closing.project == self.project)
    }

    /// The claim of an issue, whichever work tree made it.
    #[must_use]
    pub fn of(&self, identity: &Identity) -> Option<&SharedClaim> {
        if self.by_name.is_empty() {
            return None;
        }
        self.by_name.get(&name(&self.project, identity))
    }

    /// Whether a claim was made in this work tree.
    #[must_use]
    pub fn is_here(&self, claim: &SharedClaim) -> bool {
        claim.worktree == self.worktree
    }

    /// The issues of this project that other work trees have claimed.
    pub fn elsewhere(&self) -> impl Iterator<Item = Identity> + '_ {
        self.iter().filter(|claim| !self.is_here(claim)).map(|claim| claim.identity.clone())
    }

    /// All claims of issues of this project.
    pub fn iter(&self) -> impl Iterator<Item = &SharedClaim> + '_ {
        self.by_name.values().filter(|claim| claim.project == self.project)
    }

    /// The issues of this project that this work tree has claimed.
    pub fn here(&self) -> impl Iterator<Item = &SharedClaim> + '_ {
        self.iter().filter(|claim| self.is_here(claim))
    }
}

/// The name of a claim's file: 32 hexadecimal digits.
fn name(project: &str, identity: &Identity) -> String {
    let key = [project.as_bytes(), b"\0", &identity.key()].concat();
    format!("{:032x}", xxh3_128(&key))
}

impl Shared {
    /// The shared folder of the repository that a project is in, if there is one by now.
    #[must_use]
    pub fn find(project: &Project) -> Option<Self> {
        Self::at(project, |common| common.open_dir(FOLDER)).ok().flatten()
    }

    /// The shared folder, if there is one by now or there are other work trees to tell something.
    ///
    /// # Errors
    /// See [`Shared::ensure`].
    pub fn find_or_begin(project: &Project) -> Result<Option<Self>, PathError> {
        match Self::find(project) {
            Some(shared) => Ok(Some(shared)),
            None if Git::discover(project.root()).is_some_and(|git| git.has_worktrees()) => Self::ensure(project),
            None => Ok(None),
        }
    }

    /// The shared folder, made if it is missing; none outside of git, or where it may not be made.
    ///
    /// # Errors
    /// If it is there but is no folder, or cannot be made for another reason than lack of permission.
    pub fn ensure(project: &Project) -> Result<Option<Self>, PathError> {
        use std::io::ErrorKind::{NotFound, PermissionDenied, ReadOnlyFilesystem};
        match Self::at(project, |common| common.ensure_dir(FOLDER)) {
            Err(error) if matches!(error.source.kind(), NotFound | PermissionDenied | ReadOnlyFilesystem) => Ok(None),
            found => found,
        }
    }

    fn at(project: &Project, open: impl FnOnce(&Dir) -> Result<Dir, PathError>) -> Result<Option<Self>, PathError> {
        let Some(git) = Git::discover(project.root()) else { return Ok(None) };
        let dir = open(&Dir::open(&git.common_dir())?)?;
        let place = project.root().strip_prefix(git.top()).unwrap_or_else(|_| Path::new(""));
        Ok(Some(Self {
            dir: Arc::new(dir),
            project: place.join(project.folder()).to_string_lossy().into_owned(),
            worktree: git.worktree(),
            git,
        }))
    }

    /// The folder of the sessions' lock files, if there is one.
    ///
    /// # Errors
    /// If it is there and cannot be opened.
    pub fn leases(&self) -> Result<Option<Dir>, PathError> {
        match self.dir.open_dir(LEASES) {
            Ok(dir) => Ok(Some(dir)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The folder of the sessions' lock files, made if it is missing.
    ///
    /// # Errors
    /// If it cannot be made or opened.
    pub fn ensure_leases(&self) -> Result<Dir, PathError> {
        self.dir.ensure_dir(LEASES)
    }

    /// The claims of this moment. A file that is none is passed over.
    ///
    /// # Errors
    /// If the folder is there and cannot be read.
    pub fn claims(&self) -> Result<Claims, PathError> {
        let mut claims = Claims {
            project: self.project.clone(),
            worktree: self.worktree.clone(),
            by_name: HashMap::new(),
            closed: self.closings(),
        };
        let folder = match self.dir.open_dir(CLAIMS) {
            Ok(folder) => folder,
            Err(error) if error.is_not_found() => return Ok(claims),
            Err(error) => return Err(error),
        };
        for name in folder.names()? {
            // taken away since the folder was read, or not ours
            let Ok((bytes, _)) = folder.read(&name, MAX_CLAIM) else { continue };
            if let Ok(claim) = serde_json::from_slice::<SharedClaim>(&bytes)
                && self::name(&claim.project, &claim.identity) == name
                && self.is_there(claim.worktree.as_deref())
            {
                claims.by_name.insert(name, claim);
            }
        }
        Ok(claims)
    }

    /// The closings that are told; none if the file cannot be read, which only means that an issue may be handed out twice.
    fn closings(&self) -> Vec<SharedClosing> {
        let Ok((bytes, _)) = self.dir.read(CLOSED, MAX_CLOSED_FILE) else { return Vec::new() };
        let mut closings: Vec<SharedClosing> = serde_json::from_slice(&bytes).unwrap_or_default();
        closings.retain(|closing| self.is_there(closing.worktree.as_deref()));
        closings
    }

    /// Whether a work tree is still there: what was claimed or closed in one that was removed went with it.
    fn is_there(&self, worktree: Option<&str>) -> bool {
        worktree.is_none_or(|name| self.git.has_worktree(name))
    }

    /// Waits for the turn to claim.
    ///
    /// # Errors
    /// If it does not come in time, or the folder cannot be used.
    pub fn turn(&self, timeout: Duration) -> Result<Turn<'_>, GateError> {
        let gate = Gate::claims(&self.dir, timeout)?;
        Ok(Turn { shared: self, claims: self.claims()?, _gate: gate })
    }
}

/// The turn to claim: nobody else changes a shared claim until it is dropped.
#[derive(Debug)]
pub struct Turn<'a> {
    shared: &'a Shared,
    claims: Claims,
    _gate: Gate,
}

impl Turn<'_> {
    /// The claims as they are in this turn.
    #[must_use]
    pub fn claims(&self) -> &Claims {
        &self.claims
    }

    /// Lets all work trees see a claim. To be called before it is committed.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn publish(&self, identity: &Identity, assignment: &Assignment) -> Result<(), PathError> {
        let claim = SharedClaim {
            project: self.shared.project.clone(),
            identity: identity.clone(),
            session: assignment.session.clone(),
            acquired_at: assignment.acquired_at,
            worktree: self.shared.worktree.clone(),
        };
        let name = name(&self.shared.project, identity);
        let folder = self.shared.dir.ensure_dir(CLAIMS)?;
        // a struct of texts and times always is JSON
        let bytes = serde_json::to_vec(&claim).unwrap_or_default();
        // not synced: after a power failure no session lives
        folder.write_temporary(&name, &bytes)?.publish(&name, true)
    }

    /// Tells all work trees which issues were closed, and which are open again; drops what is old by `now`. To be called
    /// after that was committed.
    ///
    /// # Errors
    /// If it cannot be written. An issue may then be handed out twice.
    pub fn tell_closed(&self, closed: &[Identity], open: &[Identity], now: Timestamp) -> Result<(), PathError> {
        if closed.is_empty() && !self.claims.closed.iter().any(|closing| open.contains(&closing.identity)) {
            return Ok(());
        }
        let young = |closing: &SharedClosing| {
            now.get().signed_duration_since(closing.closed_at.get()) < TimeDelta::days(CLOSED_DAYS)
        };
        let changed = |closing: &SharedClosing| {
            closing.project == self.shared.project
                && (closed.contains(&closing.identity) || open.contains(&closing.identity))
        };
        let mut told: Vec<_> =
            self.claims.closed.iter().filter(|closing| young(closing) && !changed(closing)).cloned().collect();
        told.extend(closed.iter().map(|identity| SharedClosing {
            project: self.shared.project.clone(),
            identity: identity.clone(),
            closed_at: now,
            worktree: self.shared.worktree.clone(),
        }));
        let told = &told[told.len().saturating_sub(MAX_CLOSED)..];
        let bytes = serde_json::to_vec(told).unwrap_or_default();
        self.shared.dir.write_temporary(CLOSED, &bytes)?.publish(CLOSED, true)
    }

    /// Takes a claim away. To be called after its end was committed.
    ///
    /// # Errors
    /// If it cannot be removed. It then counts until its session dies, or the next turn removes it.
    pub fn withdraw(&self, identity: &Identity) -> Result<(), PathError> {
        if self.claims.of(identity).is_none() {
            return Ok(());
        }
        self.shared.dir.open_dir(CLAIMS)?.remove(&name(&self.shared.project, identity))
    }
}

#[cfg(test)]
mod tests;

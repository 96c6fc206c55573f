//! What the linked work trees of one git repository share: leases and claims.
//!
//! Every work tree has a database of its own, so two of them could give one issue to two sessions. What both must see
//! lies in a folder of git's common directory: the lock files of the sessions (`alive/`), and the claims (`claimed`), each
//! known by the issue's identity, the project's place in the repository, the work tree, so that no work tree ends what
//! another told, and the session, so that a claim that takes another's place hides that only once it is committed, when
//! that is told to be over. Whoever claims holds a lock in that folder from before it reads the claims until its own is
//! durable, and tells of it before it commits: a process that is killed in between leaves a claim too many, never one too
//! few. A claim that this very database told of and knows nothing of is such a leftover; it counts for nothing here, and
//! the next turn removes it. A claim whose database is gone (deleted and built anew, or with its work tree) counts as
//! long as its session may live, and is given back anywhere: nobody else could.
//!
//! An issue that one work tree closed is open in the others until its file is merged there, and would be handed out
//! again. So closings are told, too, in one file (`closed`), for [`CLOSED_DAYS`] days.
//!
//! The database stays the record; the files only tell the other work trees. They hold no path but the
//! project's within the repository. Where the common directory cannot be written, there is nothing to share: whoever
//! works there cannot commit either. What is there and cannot be read is an error, not an absence.

use std::cell::OnceCell;
use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use crate::db::gate::{Gate, GateError};
use crate::fs::{Dir, PathError};
use crate::git::Git;
use crate::project::Project;
use crate::schema::id::Identity;
use crate::schema::issue::Assignment;
use crate::schema::time::Timestamp;

use told::{Line, Told};

mod told;

/// The folder in git's common directory.
pub const FOLDER: &str = "oxi-state";

/// The folder of the sessions' lock files, within it.
pub const LEASES: &str = "alive";

const CLOSED: &str = "closed";

/// How long a closing is told, in days.
pub const CLOSED_DAYS: i64 = 7;

/// How many closings are told.
const MAX_CLOSED: usize = 500;

/// Longest file of closings that is read, in bytes.
const MAX_CLOSED_FILE: u64 = 1 << 20;

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
    /// The database that has it as a record.
    #[serde(default)]
    pub store: String,
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
    /// The database that has it as a record.
    #[serde(default)]
    pub store: String,
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
    told: Told,
    closed: Vec<SharedClosing>,
    /// Work trees that were named and are no longer there.
    gone: HashSet<String>,
    /// The id of the database here, once it was asked for.
    store: OnceCell<String>,
}

impl Claims {
    /// The closing of an issue that another work tree told of.
    #[must_use]
    pub fn closed_elsewhere(&self, identity: &Identity) -> Option<&SharedClosing> {
        self.closings().find(|closing| closing.worktree != self.worktree && closing.identity == *identity)
    }

    /// The closings of issues of this project that this work tree told of.
    pub fn closed_here(&self) -> impl Iterator<Item = &SharedClosing> + '_ {
        self.closings().filter(|closing| closing.worktree == self.worktree)
    }

    fn closings(&self) -> impl Iterator<Item = &SharedClosing> + '_ {
        self.closed
            .iter()
            .filter(|closing| closing.project == self.project && !self.is_gone(closing.worktree.as_deref()))
    }

    /// The claims of an issue, by whichever work trees.
    pub fn of<'c>(&'c self, identity: &'c Identity) -> impl Iterator<Item = &'c SharedClaim> + 'c {
        let begin = self.told.claims.partition_point(|claim| claim.identity < *identity);
        let of_issue = self.told.claims[begin..].iter().take_while(move |claim| claim.identity == *identity);
        of_issue.filter(|claim| claim.project == self.project)
    }

    /// Whether a claim is that of a database, which has it as a record if it stands.
    #[must_use]
    pub fn is_of(&self, claim: &SharedClaim, store: &str) -> bool {
        self.is_here(claim) && claim.store == store
    }

    /// The id of the database here; `read` says it the first time. To read it for each claim would take more than all the
    /// rest that is asked of one.
    ///
    /// # Errors
    /// What `read` answers.
    pub fn store<E>(&self, read: impl FnOnce() -> Result<String, E>) -> Result<&str, E> {
        if let Some(store) = self.store.get() {
            return Ok(store);
        }
        let store = read()?;
        Ok(self.store.get_or_init(|| store))
    }

    /// Whether a claim was told in this work tree, by this database or one that was here before it.
    #[must_use]
    pub fn is_here(&self, claim: &SharedClaim) -> bool {
        claim.worktree == self.worktree
    }

    /// Whether the database that has a claim as a record is gone, as far as can be told from here.
    #[must_use]
    pub fn is_detached(&self, claim: &SharedClaim) -> bool {
        self.is_here(claim) || self.is_gone(claim.worktree.as_deref())
    }

    fn is_gone(&self, worktree: Option<&str>) -> bool {
        worktree.is_some_and(|name| self.gone.contains(name))
    }

    /// Whether other work trees, or databases that are gone, claim or closed anything.
    #[must_use]
    pub fn are_empty(&self) -> bool {
        self.iter().next().is_none() && self.closings().next().is_none()
    }

    /// All claims of issues of this project.
    pub fn iter(&self) -> impl Iterator<Item = &SharedClaim> + '_ {
        self.told.claims.iter().filter(|claim| claim.project == self.project)
    }
}

impl SharedClaim {
    /// What it is known by: of two claims of a session that a work tree tells of one issue, the later one counts. One of
    /// another session hides none, for it may never be committed.
    fn key(&self) -> (&Identity, &str, Option<&str>, &str) {
        (&self.identity, &self.project, self.worktree.as_deref(), &self.session)
    }
}

impl Shared {
    /// The shared folder of the repository that a project is in, if there is one by now.
    ///
    /// # Errors
    /// If it is there and cannot be opened: others may have told there what must be known.
    pub fn find(project: &Project) -> Result<Option<Self>, PathError> {
        match Self::at(project, |common| common.open_dir(FOLDER)) {
            Err(error) if error.is_not_found() => Ok(None),
            found => found,
        }
    }

    /// The shared folder, if there is one by now or there are other work trees to tell something.
    ///
    /// # Errors
    /// See [`Shared::ensure`].
    pub fn find_or_begin(project: &Project) -> Result<Option<Self>, PathError> {
        match Self::find(project)? {
            Some(shared) => Ok(Some(shared)),
            None if Git::discover(project.root()).is_some_and(|git| git.has_worktrees()) => Self::ensure(project),
            None => Ok(None),
        }
    }

    /// The shared folder, made if it is missing; none outside of git, or where it may not be made. Whoever may use git's
    /// directory may use it.
    ///
    /// # Errors
    /// If it is there and cannot be opened, or cannot be made for another reason than lack of permission.
    pub fn ensure(project: &Project) -> Result<Option<Self>, PathError> {
        use std::io::ErrorKind::{PermissionDenied, ReadOnlyFilesystem};
        if let Some(shared) = Self::find(project)? {
            return Ok(Some(shared));
        }
        match Self::at(project, |common| common.ensure_dir_like(FOLDER)) {
            Err(error) if matches!(error.source.kind(), PermissionDenied | ReadOnlyFilesystem) => Ok(None),
            made => made,
        }
    }

    fn at(project: &Project, open: impl FnOnce(&Dir) -> Result<Dir, PathError>) -> Result<Option<Self>, PathError> {
        let Some(git) = Git::discover(project.root()).filter(Git::is_repository) else { return Ok(None) };
        let dir = open(&Dir::open(&git.common_dir())?)?;
        // the state folder's own name may differ between branches
        let place = project.root().strip_prefix(git.top()).unwrap_or_else(|_| Path::new(""));
        Ok(Some(Self {
            dir: Arc::new(dir),
            project: place.to_string_lossy().into_owned(),
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
        self.dir.ensure_dir_like(LEASES)
    }

    /// The claims of this moment.
    ///
    /// # Errors
    /// If they are there and cannot be read.
    pub fn claims(&self) -> Result<Claims, PathError> {
        let (told, closed) = (Told::read(&self.dir)?, self.closings());
        let worktrees = told.claims.iter().map(|it| &it.worktree).chain(closed.iter().map(|it| &it.worktree));
        let named: HashSet<_> = worktrees.flatten().cloned().collect();
        let gone = named.into_iter().filter(|name| !self.git.has_worktree(name)).collect();
        let (project, worktree) = (self.project.clone(), self.worktree.clone());
        Ok(Claims { project, worktree, told, closed, gone, store: OnceCell::new() })
    }

    /// The closings that are told; none if the file cannot be read, which only means that an issue may be handed out twice.
    fn closings(&self) -> Vec<SharedClosing> {
        let Ok((bytes, _)) = self.dir.read(CLOSED, MAX_CLOSED_FILE) else { return Vec::new() };
        serde_json::from_slice(&bytes).unwrap_or_default()
    }

    /// Waits for the turn to claim.
    ///
    /// # Errors
    /// If it does not come in time, or the folder cannot be used.
    pub fn turn(&self, timeout: Duration) -> Result<Turn<'_>, GateError> {
        let gate = Gate::claims(&self.dir, timeout)?;
        // fails where the file is another user's, who did it then
        let _ = self.dir.share(Gate::CLAIMS);
        let claims = self.claims()?;
        // what cannot be made shorter is as good as it was
        let _ = claims.told.tidy(&self.dir);
        Ok(Turn { shared: self, claims, _gate: gate })
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
    pub fn publish(&self, identity: &Identity, assignment: &Assignment, store: &str) -> Result<(), PathError> {
        let claim = SharedClaim {
            project: self.shared.project.clone(),
            identity: identity.clone(),
            session: assignment.session.clone(),
            acquired_at: assignment.acquired_at,
            worktree: self.shared.worktree.clone(),
            store: store.to_owned(),
        };
        told::tell(&self.shared.dir, &Line::Claim(claim))
    }

    /// Tells all work trees which issues are closed, before that is committed, or which are open again, after it is;
    /// drops what is old by `now`.
    ///
    /// # Errors
    /// If it cannot be written. An issue may then be handed out twice.
    pub fn tell_closed(
        &self,
        closed: &[Identity],
        open: &[Identity],
        store: &str,
        now: Timestamp,
    ) -> Result<(), PathError> {
        // read anew: this turn may have told something already
        let before = self.shared.closings();
        if closed.is_empty() && !before.iter().any(|closing| open.contains(&closing.identity)) {
            return Ok(());
        }
        let young = |closing: &SharedClosing| {
            now.get().signed_duration_since(closing.closed_at.get()) < TimeDelta::days(CLOSED_DAYS)
        };
        let changed = |closing: &SharedClosing| {
            closing.project == self.shared.project
                && (closed.contains(&closing.identity) || open.contains(&closing.identity))
        };
        let mut told: Vec<_> = before.into_iter().filter(|closing| young(closing) && !changed(closing)).collect();
        told.extend(closed.iter().map(|identity| SharedClosing {
            project: self.shared.project.clone(),
            identity: identity.clone(),
            closed_at: now,
            worktree: self.shared.worktree.clone(),
            store: store.to_owned(),
        }));
        let told = &told[told.len().saturating_sub(MAX_CLOSED)..];
        let bytes = serde_json::to_vec(told).unwrap_or_default();
        self.shared.dir.write_temporary(CLOSED, &bytes)?.publish(CLOSED, true)?;
        self.shared.dir.share(CLOSED)
    }

    /// Takes a claim away. To be called after its end was committed.
    ///
    /// # Errors
    /// If that cannot be told. It then counts until its session dies, or the next turn takes it away.
    pub fn withdraw(&self, claim: &SharedClaim) -> Result<(), PathError> {
        told::tell(&self.shared.dir, &Line::Over(claim.clone()))
    }
}

#[cfg(test)]
mod tests;

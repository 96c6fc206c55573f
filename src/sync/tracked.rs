//! A database that git tracks could be replaced by any checkout, so it is refused. git is asked when its index is not what
//! it was when it last answered (see `db/met.rs`).

use crate::db::{DATABASE, Met, Store, StoreError};
use crate::git::{Asked, Git, GitError};
use crate::project::Project;

use super::MirrorError;

/// Refuses a database that git tracks, before it is used. Where git fails, one that was met before passes, as does any
/// where git is not installed: nobody can check anything out then, or not from here, as where a container lacks the
/// repository of a work tree.
///
/// # Errors
/// [`StoreError::TrackedByGit`], or if git cannot be asked. `missing` is what is to be done if there is no database.
pub(crate) fn meet<E: From<MirrorError> + From<StoreError>>(
    project: &Project,
    store: &Store,
    missing: impl FnOnce() -> Result<(), E>,
) -> Result<(), E> {
    match store.met(index_stat(project))? {
        Met::Unchanged => Ok(()),
        Met::Missing => missing(),
        met => Ok(ask(project, store, |error| met == Met::Before || error.is_not_installed(), || ())?),
    }
}

/// What `work` makes while git thinks about whether it tracks the database.
///
/// # Errors
/// See [`meet`]; but only that git is not installed is passed over.
pub(super) fn while_git_thinks<R>(
    project: &Project,
    store: &Store,
    work: impl FnOnce() -> R,
) -> Result<R, MirrorError> {
    if store.met(index_stat(project))? == Met::Unchanged {
        return Ok(work());
    }
    ask(project, store, GitError::is_not_installed, work)
}

/// Asks git, and notes its answer. Nothing is noted where it has none and that is passed over.
fn ask<R>(
    project: &Project,
    store: &Store,
    passes: impl Fn(&GitError) -> bool,
    work: impl FnOnce() -> R,
) -> Result<R, MirrorError> {
    // where it cannot be noted, git is asked again next time
    let note = store.begin_note().ok().flatten();
    let (index, path) = (index_stat(project), project.state_path(DATABASE));
    let git = Git::discover(project.root());
    let asked = git.map(|git| git.ask_whether_tracked(project.root(), &path)).transpose();
    let asked = match asked {
        Err(error) if passes(&error) => return Ok(work()),
        asked => asked?,
    };
    let result = work();
    // nobody tracks anything outside of git
    match asked.map_or(Ok(false), Asked::is_yes) {
        Ok(true) => return Err(StoreError::TrackedByGit(path.into()).into()),
        Err(error) if !passes(&error) => return Err(error.into()),
        Err(_) => {}
        Ok(false) => {
            if let Some(note) = note {
                let _ = note.keep(index);
            }
        }
    }
    Ok(result)
}

/// What the file system says of git's index.
fn index_stat(project: &Project) -> Option<crate::fs::FileStat> {
    Git::discover(project.root()).and_then(|git| git.index_stat())
}

//! Registering the merge driver and the hooks in a clone, and taking them out again.
//!
//! What is written: a marked section in hooks and in `.gitattributes`, and keys of the clone's own configuration. A hook
//! that is there keeps working: if it is a shell script, the section comes after its first line; if not (another language,
//! a link, or not executable, which git passes over), it is put aside under another name and called. Taking out leaves
//! every file as it was before, to the byte and the mode. Hooks outside of the repository (`core.hooksPath`) are read and
//! never written. What somebody else registered in the place of the driver is left alone. Two at once are not guarded
//! against each other.

mod section;

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use rustix::fs::Access;
use serde::Serialize;

use crate::fs::{Dir, Entry, PathError};
use crate::git::{Git, GitError};
use crate::project::{FOLDERS, Project};

use section::Origin;

/// Largest hook or attributes file that is looked at.
const MAX_FILE: u64 = 1 << 20;

const DRIVER: &str = "merge.oxi-state.driver";
const DRIVER_NAME: &str = "merge.oxi-state.name";
/// What it is called unless somebody named it otherwise.
const NAME: &str = "oxi-state: issues by field and line";
/// Set where this clone's `install` wrote the section in `.gitattributes`, and not a teammate's.
const WROTE_ATTRIBUTES: &str = "merge.oxi-state.wroteAttributes";
const ATTRIBUTES: &str = ".gitattributes";

/// The hooks that are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hook {
    /// Before a commit.
    PreCommit,
    /// After a merge that went through.
    PostMerge,
    /// After a switch of branches, or a checkout of files.
    PostCheckout,
    /// After a rebase or an amended commit.
    PostRewrite,
    /// Before a push.
    PrePush,
}

impl Hook {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::PreCommit, Self::PostMerge, Self::PostCheckout, Self::PostRewrite, Self::PrePush];

    /// Its name, which is its file's.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PreCommit => "pre-commit",
            Self::PostMerge => "post-merge",
            Self::PostCheckout => "post-checkout",
            Self::PostRewrite => "post-rewrite",
            Self::PrePush => "pre-push",
        }
    }

    const fn stops_git(self) -> bool {
        matches!(self, Self::PreCommit | Self::PrePush)
    }

    fn aside(self) -> String {
        format!("{}.before-oxi-state", self.as_str())
    }
}

impl FromStr for Hook {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let names = Self::ALL.map(Self::as_str).join(", ");
        Self::ALL.into_iter().find(|hook| hook.as_str() == name).ok_or_else(|| format!("must be one of {names}"))
    }
}

/// Whether a part is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It is there, as this program would write it.
    Installed,
    /// There is nothing.
    Missing,
    /// There is something of somebody else's, and nothing of this program's.
    Foreign,
    /// It is there, but for another place of the program, or written by another version.
    Outdated,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Installed => "installed",
            Self::Missing => "missing",
            Self::Foreign => "foreign",
            Self::Outdated => "outdated",
        })
    }
}

/// The driver, the attribute, or a hook.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Part {
    /// `driver`, `attributes`, or a hook's name.
    pub name: &'static str,
    /// Whether it is there.
    pub state: State,
    /// The file that it is in, from the top of the work tree if it is beneath it.
    pub path: String,
    /// What else there is to say.
    pub note: Option<String>,
}

/// What is registered in a clone. With `--json` this is the whole output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct HooksReport {
    /// How hooks and driver call this program.
    pub program: String,
    /// The folder that git takes hooks from.
    pub hooks_path: String,
    /// Whether that folder belongs to this repository, so that hooks are written there.
    pub hooks_path_inside: bool,
    /// The driver, the attribute, the hooks.
    pub parts: Vec<Part>,
}

impl HooksReport {
    /// Whether everything is there.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.parts.iter().all(|part| part.state == State::Installed)
    }
}

/// Why nothing could be registered, or not all.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HooksError {
    /// There is no repository.
    #[error("{} is not in a git work tree", .0.display())]
    NoRepository(PathBuf),
    /// git failed.
    #[error(transparent)]
    Git(#[from] GitError),
    /// A file could not be used.
    #[error(transparent)]
    Path(#[from] PathError),
}

/// The clone that a project is in.
#[derive(Debug)]
pub struct Registration<'a> {
    project: &'a Project,
    git: Git,
    /// The project's directory from the top.
    prefix: String,
    program: String,
    folder: PathBuf,
    inside: bool,
}

impl<'a> Registration<'a> {
    /// Looks where things are. `program` is how hooks are to call this program: a path, or a name that the PATH has.
    ///
    /// # Errors
    /// If there is no repository, or git cannot be asked.
    pub fn of(project: &'a Project, program: String) -> Result<Self, HooksError> {
        let no_repository = || HooksError::NoRepository(project.root().to_owned());
        let git = Git::discover(project.root()).filter(Git::is_repository).ok_or_else(no_repository)?;
        let folder = git.hooks_folder()?;
        let inside = is_within(&folder, git.top()) || is_within(&folder, &git.common_dir());
        let prefix = git.prefix(project.root());
        Ok(Self { project, git, prefix, program, folder, inside })
    }

    /// What is registered.
    ///
    /// # Errors
    /// If a file cannot be read or git cannot be asked.
    pub fn status(&self) -> Result<HooksReport, HooksError> {
        let mut parts = vec![self.driver()?, self.attributes()?];
        for hook in Hook::ALL {
            parts.push(self.hook(hook)?);
        }
        Ok(HooksReport {
            program: self.program.clone(),
            hooks_path: self.shown(&self.folder),
            hooks_path_inside: self.inside,
            parts,
        })
    }

    /// Registers all that is missing or outdated.
    ///
    /// # Errors
    /// If a file cannot be written or git refuses; what was done until then stays, and a second run goes on.
    pub fn install(&self) -> Result<HooksReport, HooksError> {
        if matches!(self.driver()?.state, State::Missing | State::Outdated) {
            // a driver that has a name and no command makes git give up every merge
            self.git.set_local_config(DRIVER, &self.driver_command())?;
            if self.git.local_config(DRIVER_NAME)?.is_none() {
                self.git.set_local_config(DRIVER_NAME, NAME)?;
            }
        }
        if self.attributes()?.state == State::Missing {
            self.write_attributes()?;
        }
        if self.inside {
            let failed = |source| PathError { action: "create", path: self.folder.clone(), source };
            std::fs::create_dir_all(&self.folder).map_err(failed)?;
            let dir = Dir::open(&self.folder)?;
            for hook in Hook::ALL {
                self.install_hook(&dir, hook)?;
            }
        }
        self.status()
    }

    /// Takes out all that `install` put in.
    ///
    /// # Errors
    /// As [`Registration::install`].
    pub fn uninstall(&self) -> Result<HooksReport, HooksError> {
        if self.inside && self.folder.is_dir() {
            let dir = Dir::open(&self.folder)?;
            for hook in Hook::ALL {
                self.uninstall_hook(&dir, hook)?;
            }
        }
        if self.git.local_config(WROTE_ATTRIBUTES)?.is_some() {
            self.remove_attributes()?;
            self.git.unset_local_config(WROTE_ATTRIBUTES)?;
        }
        if self.git.local_config(DRIVER)?.is_some_and(|command| is_ours(&command)) {
            if self.git.local_config(DRIVER_NAME)?.as_deref() == Some(NAME) {
                self.git.unset_local_config(DRIVER_NAME)?;
            }
            self.git.unset_local_config(DRIVER)?;
        }
        self.status()
    }

    fn driver_command(&self) -> String {
        let program = section::quoted(&self.program);
        // a program that is gone must not leave ours without a mark that there was another version
        format!(
            "if command -v {program} >/dev/null 2>&1; then {program} merge-driver --marker-size=%L --ours-label=%X \
             --theirs-label=%Y -- %O %A %B %P; else git merge-file -q --marker-size=%L -L ours -L base -L theirs \
             %A %O %B; fi"
        )
    }

    fn driver(&self) -> Result<Part, HooksError> {
        let path = self.shown(&self.git.common_dir().join("config"));
        let (state, note) = match self.git.local_config(DRIVER)? {
            None => (State::Missing, None),
            Some(command) if command == self.driver_command() => (State::Installed, None),
            Some(command) if is_ours(&command) => (State::Outdated, None),
            Some(_) => (State::Foreign, Some(format!("{DRIVER} is another's; it was left"))),
        };
        Ok(Part { name: "driver", state, path, note })
    }

    fn attributes(&self) -> Result<Part, HooksError> {
        let issue = self.project.issue_path("0001-x.md");
        let issue = if self.prefix.is_empty() { issue } else { format!("{}/{issue}", self.prefix) };
        let (state, note) = match self.git.merge_attribute(&issue)?.as_deref() {
            None => (State::Missing, None),
            Some("oxi-state") => (State::Installed, None),
            Some(other) => (
                State::Foreign,
                Some(format!("issue files have the merge attribute {other:?} from elsewhere; it was left")),
            ),
        };
        Ok(Part { name: "attributes", state, path: ATTRIBUTES.to_owned(), note })
    }

    fn write_attributes(&self) -> Result<(), HooksError> {
        let top = Dir::open(self.git.top())?;
        let line = section::attribute_line(&self.prefix, &self.project.issues_path());
        let text = read_attributes(&top)?;
        let text = text.as_deref();
        let origin = match text {
            None => Origin::Made,
            Some(text) if text.is_empty() || text.ends_with(b"\n") => Origin::Found,
            Some(_) => Origin::FoundOpen,
        };
        let section = section::section(origin, &self.prefix, &line);
        let gap: &[u8] = if origin == Origin::FoundOpen { b"\n" } else { b"" };
        let new = [text.unwrap_or_default(), gap, section.as_bytes()].concat();
        self.rewrite_attributes(&top, &new)?;
        Ok(self.git.set_local_config(WROTE_ATTRIBUTES, "true")?)
    }

    fn remove_attributes(&self) -> Result<(), HooksError> {
        let top = Dir::open(self.git.top())?;
        let Some(text) = read_attributes(&top)? else { return Ok(()) };
        let Some(found) = section::find(&text).filter(|found| !self.serves_another(found)) else { return Ok(()) };
        let rest = section::without(&text, &found);
        if found.origin == Origin::Made && rest.is_empty() {
            return Ok(top.remove(ATTRIBUTES)?);
        }
        Ok(self.rewrite_attributes(&top, &rest)?)
    }

    /// git would see what a killed process left at the top of the work tree.
    fn rewrite_attributes(&self, top: &Dir, text: &[u8]) -> Result<(), PathError> {
        self.project.state().sweep(ATTRIBUTES);
        top.rewrite_by_way_of(self.project.state(), ATTRIBUTES, text)
    }

    fn hook(&self, hook: Hook) -> Result<Part, HooksError> {
        let path = self.shown(&self.folder.join(hook.as_str()));
        let part = |state, note: Option<&str>| Part {
            name: hook.as_str(),
            state,
            path: path.clone(),
            note: note.map(str::to_owned),
        };
        let Ok(dir) = Dir::open(&self.folder) else { return Ok(part(State::Missing, None)) };
        let text = match dir.entry(hook.as_str())? {
            None => return Ok(part(State::Missing, None)),
            Some(Entry::File(_)) => read_short(&dir, hook.as_str())?.unwrap_or_default(),
            Some(Entry::Symlink) => return Ok(part(State::Foreign, None)),
            Some(_) => return Ok(part(State::Foreign, Some("it is not a file; it was left"))),
        };
        let Some(found) = section::find(&text) else { return Ok(part(State::Foreign, None)) };
        if self.serves_another(&found) {
            return Ok(part(State::Foreign, Some("it serves another project of this repository")));
        }
        let expected = self.section(hook, found.origin);
        if text[found.range.clone()] != *expected.as_bytes() {
            return Ok(part(State::Outdated, None));
        }
        if !self.is_executable(hook) {
            return Ok(part(State::Outdated, Some("it is not executable")));
        }
        let beside = match found.origin {
            Origin::PutAside => Some("with the hook that was there, under another name"),
            Origin::Found | Origin::FoundOpen => Some("with the hook that was there"),
            Origin::Made => None,
        };
        Ok(part(State::Installed, beside))
    }

    fn is_executable(&self, hook: Hook) -> bool {
        rustix::fs::access(self.folder.join(hook.as_str()), Access::EXEC_OK).is_ok()
    }

    fn section(&self, hook: Hook, origin: Origin) -> String {
        let aside = hook.aside();
        let aside = (origin == Origin::PutAside).then_some(aside.as_str());
        let lines = section::hook_lines(hook.as_str(), hook.stops_git(), &self.program, &self.prefix, aside);
        section::section(origin, &self.prefix, &lines)
    }

    fn install_hook(&self, dir: &Dir, hook: Hook) -> Result<(), HooksError> {
        let name = hook.as_str();
        dir.sweep(name);
        let made = |origin| ["#!/bin/sh\n", &self.section(hook, origin)].concat();
        let text = match dir.entry(name)? {
            // killed after it had put a hook aside
            None if dir.entry(&hook.aside())?.is_some() => {
                return Ok(dir.replace_executable(name, made(Origin::PutAside).as_bytes())?);
            }
            None => return Ok(dir.replace_executable(name, made(Origin::Made).as_bytes())?),
            Some(Entry::File(_)) => read_short(dir, name)?,
            Some(Entry::Symlink) => None,
            // a directory or the like cannot have been a hook
            Some(_) => return Ok(()),
        };
        if let Some(found) = text.as_deref().and_then(section::find) {
            // of another project: it stays
            if self.serves_another(&found) {
                return Ok(());
            }
            let text = text.unwrap_or_default();
            let new = section::replaced(&text, &found, &self.section(hook, found.origin));
            if matches!(found.origin, Origin::Made | Origin::PutAside) && !self.is_executable(hook) {
                dir.replace_executable(name, &new)?;
            } else if new != text {
                dir.rewrite(name, &new)?;
            }
            return Ok(());
        }
        match text.filter(|text| section::is_shell_script(text) && self.is_executable(hook)) {
            Some(text) => {
                dir.rewrite(name, &section::into_script(&text, &self.section(hook, Origin::Found)))?;
            }
            None if dir.entry(&hook.aside())?.is_some() => {
                let source = std::io::Error::other("something has the name under which the hook would be put aside");
                return Err(PathError { action: "rename", path: self.folder.join(hook.aside()), source }.into());
            }
            None => {
                dir.rename(name, &hook.aside())?;
                dir.replace_executable(name, made(Origin::PutAside).as_bytes())?;
            }
        }
        Ok(())
    }

    fn uninstall_hook(&self, dir: &Dir, hook: Hook) -> Result<(), HooksError> {
        let name = hook.as_str();
        if !matches!(dir.entry(name)?, Some(Entry::File(_))) {
            return Ok(());
        }
        let Some(text) = read_short(dir, name)? else { return Ok(()) };
        let Some(found) = section::find(&text).filter(|found| !self.serves_another(found)) else { return Ok(()) };
        let rest = section::without(&text, &found);
        let is_bare = rest == b"#!/bin/sh\n";
        match found.origin {
            Origin::PutAside if is_bare && dir.entry(&hook.aside())?.is_some() => dir.rename(&hook.aside(), name)?,
            Origin::Made | Origin::PutAside if is_bare => dir.remove(name)?,
            // what was written into it since stays, and what was put aside stays where it is
            _ => dir.rewrite(name, &rest)?,
        }
        Ok(())
    }

    /// Whether a section is for another project that is still there: a folder may have been renamed.
    fn serves_another(&self, found: &section::Found) -> bool {
        let folder = self.git.top().join(&found.project);
        found.project != self.prefix && FOLDERS.iter().any(|state| folder.join(state).is_dir())
    }

    /// A path for people: from the top where it is beneath it.
    fn shown(&self, path: &Path) -> String {
        path.strip_prefix(self.git.top()).unwrap_or(path).display().to_string()
    }
}

/// The bytes of a file; none if there are more than is looked at, as in a hook that is a program.
fn read_short(dir: &Dir, name: &str) -> Result<Option<Vec<u8>>, PathError> {
    let (text, _) = dir.read(name, MAX_FILE)?;
    Ok(Some(text).filter(|text| text.len() as u64 <= MAX_FILE))
}

/// The attributes of the work tree; none if there is no such file.
fn read_attributes(top: &Dir) -> Result<Option<Vec<u8>>, PathError> {
    let too_long = || {
        let source = std::io::Error::other("it is larger than 1 MiB");
        PathError { action: "read", path: top.path().join(ATTRIBUTES), source }
    };
    match top.entry(ATTRIBUTES)? {
        None => Ok(None),
        Some(_) => read_short(top, ATTRIBUTES)?.ok_or_else(too_long).map(Some),
    }
}

/// Whether a command for the driver was written by some version of this program.
fn is_ours(command: &str) -> bool {
    command.contains("oxi-state") && command.contains(" merge-driver ")
}

/// Whether a path, which may not be there yet, is beneath a directory, links followed.
fn is_within(path: &Path, directory: &Path) -> bool {
    let Ok(directory) = directory.canonicalize() else { return false };
    let there = path.ancestors().find_map(|ancestor| ancestor.canonicalize().ok());
    let climbs = path.components().any(|part| part == std::path::Component::ParentDir) && !path.exists();
    !climbs && there.is_some_and(|there| there.starts_with(&directory))
}

//! Where a project keeps its state: finding `.oxi/`, and making one.

use std::fmt::{Display, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::fs::{Dir, PathError};

/// The folder's name, and the one that later versions of the original use; same layout.
pub const FOLDERS: [&str; 2] = [".oxi", ".oxicode"];

/// The folder of the issue files, within the state folder.
pub const ISSUES: &str = "issues";

/// The folder of what readers without the database are given and of what they hand in, within the state folder.
pub const STATE: &str = "state";

/// What must never be committed: the database, locks, snapshots, liveness locks, temporary files.
pub const GITIGNORE: &str = "state.redb*\nstate.lock*\nstate/\nissues/.alive/\n*.tmp*\n";

/// The name of the file that says so, within the state folder.
pub(crate) const IGNORE_FILE: &str = ".gitignore";

/// A project: a directory and its state folder.
#[derive(Clone, Debug)]
pub struct Project {
    root: PathBuf,
    folder: &'static str,
    state: Arc<Dir>,
}

/// Why no project was found.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DiscoveryError {
    /// No directory from the start upwards has a state folder.
    #[error("no .oxi folder in {} or the directories above it", .0.display())]
    None(PathBuf),
    /// A directory could not be used.
    #[error(transparent)]
    Path(#[from] PathError),
}

/// Where to look.
#[derive(Clone, Debug)]
pub struct Start {
    /// The first directory to look in; absolute.
    pub directory: PathBuf,
    /// Whether the user named it (`-C`).
    pub named: bool,
    /// The home directory, whose own `.oxi` is the tools' global configuration and no project.
    pub home: Option<PathBuf>,
}

impl Start {
    /// Whether a directory is the home directory, and the user did not name it.
    #[must_use]
    pub fn is_unnamed_home(&self, directory: &Path) -> bool {
        let same = |home: &Path| {
            home == directory
                || home
                    .canonicalize()
                    .is_ok_and(|home| directory.canonicalize().is_ok_and(|directory| home == directory))
        };
        let asked_for = self.named && directory == self.directory;
        !asked_for && self.home.as_deref().is_some_and(same)
    }
}

impl Project {
    /// Finds the project: the nearest directory with a state folder, from the start upwards, not past the top of a git
    /// work tree.
    ///
    /// # Errors
    /// [`DiscoveryError::None`] if there is none; or if one is there but cannot be opened, such as a symbolic link.
    pub fn discover(start: &Start) -> Result<Self, DiscoveryError> {
        for directory in start.directory.ancestors() {
            if !start.is_unnamed_home(directory) {
                for folder in FOLDERS {
                    if directory.join(folder).symlink_metadata().is_ok_and(|metadata| !metadata.is_file()) {
                        return Self::open(directory, folder);
                    }
                }
            }
            if directory.join(".git").symlink_metadata().is_ok() {
                break;
            }
        }
        Err(DiscoveryError::None(start.directory.clone()))
    }

    fn open(root: &Path, folder: &'static str) -> Result<Self, DiscoveryError> {
        let state = Dir::open(root)?.open_dir(folder)?;
        Ok(Self { root: root.to_owned(), folder, state: Arc::new(state) })
    }

    /// Makes the state folder, the issues folder and the ignore file in a directory, unless they are there.
    ///
    /// # Errors
    /// If one of them cannot be made.
    pub fn create(root: &Path) -> Result<Self, DiscoveryError> {
        let dir = Dir::open(root)?;
        let folder = FOLDERS.into_iter().find(|folder| root.join(folder).is_dir()).unwrap_or(FOLDERS[0]);
        let state = dir.ensure_dir(folder)?;
        state.ensure_dir(ISSUES)?;
        state.sync()?;
        let project = Self { root: root.to_owned(), folder, state: Arc::new(state) };
        project.write_gitignore()?;
        Ok(project)
    }

    /// Writes the ignore file, or adds the lines that an existing one lacks.
    ///
    /// # Errors
    /// If it cannot be read or written.
    pub fn write_gitignore(&self) -> Result<(), PathError> {
        let mut text = match self.state.read(IGNORE_FILE, 1 << 20) {
            Ok((bytes, _)) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(error) if error.is_not_found() => String::new(),
            Err(error) => return Err(error),
        };
        let missing: Vec<_> = GITIGNORE.lines().filter(|line| !text.lines().any(|have| have.trim() == *line)).collect();
        if missing.is_empty() {
            return Ok(());
        }
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        for line in missing {
            text.push_str(line);
            text.push('\n');
        }
        self.state.replace(IGNORE_FILE, text.as_bytes())
    }

    /// The directory that holds the state folder.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The state folder's name.
    #[must_use]
    pub fn folder(&self) -> &'static str {
        self.folder
    }

    /// The state folder, open.
    #[must_use]
    pub fn state(&self) -> &Arc<Dir> {
        &self.state
    }

    /// The issues folder, open; none if it is missing.
    ///
    /// # Errors
    /// If it is there but not a directory, or a symbolic link.
    pub fn issues(&self) -> Result<Option<Dir>, PathError> {
        match self.state.open_dir(ISSUES) {
            Ok(dir) => Ok(Some(dir)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A path within the issues folder as people and git see it, relative to the root: `.oxi/issues/NAME`.
    #[must_use]
    pub fn issue_path(&self, name: impl Display) -> String {
        // room for most names, as lists have many
        let mut path = String::with_capacity(128);
        // writing to memory cannot fail
        let _ = write!(path, "{}/{ISSUES}/{name}", self.folder);
        path
    }

    /// The issues folder relative to the root.
    #[must_use]
    pub fn issues_path(&self) -> String {
        format!("{}/{ISSUES}", self.folder)
    }

    /// A path within the state folder, relative to the root.
    #[must_use]
    pub fn state_path(&self, name: &str) -> String {
        format!("{}/{name}", self.folder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(directory: &Path, home: Option<&Path>, named: bool) -> Start {
        Start { directory: directory.to_owned(), named, home: home.map(Path::to_owned) }
    }

    #[test]
    fn the_nearest_folder_upwards_is_the_project_but_not_past_a_git_top_level() {
        let temp = tempfile::tempdir().unwrap();
        let deep = temp.path().join("a/b/c");
        std::fs::create_dir_all(&deep).unwrap();
        std::fs::create_dir(temp.path().join(".oxi")).unwrap();
        assert_eq!(Project::discover(&start(&deep, None, false)).unwrap().root(), temp.path());
        std::fs::create_dir(temp.path().join("a/.git")).unwrap();
        assert!(matches!(Project::discover(&start(&deep, None, false)), Err(DiscoveryError::None(_))));
        std::fs::create_dir(temp.path().join("a/.oxicode")).unwrap();
        assert_eq!(Project::discover(&start(&deep, None, false)).unwrap().issue_path("x"), ".oxicode/issues/x");
    }

    #[test]
    fn the_home_folder_is_a_project_only_when_named() {
        let temp = tempfile::tempdir().unwrap();
        let home = temp.path();
        std::fs::create_dir_all(home.join("work")).unwrap();
        std::fs::create_dir(home.join(".oxi")).unwrap();
        assert!(Project::discover(&start(&home.join("work"), Some(home), false)).is_err());
        assert!(Project::discover(&start(&home.join("work"), Some(home), true)).is_err());
        assert!(Project::discover(&start(home, Some(home), false)).is_err());
        assert_eq!(Project::discover(&start(home, Some(home), true)).unwrap().root(), home);
    }

    #[test]
    fn a_linked_folder_is_refused_by_name() {
        let temp = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/tmp", temp.path().join(".oxi")).unwrap();
        let error = Project::discover(&start(temp.path(), None, false)).unwrap_err().to_string();
        assert!(error.contains(".oxi") && error.contains("symbolic link"), "{error}");
    }

    #[test]
    fn creating_twice_keeps_what_is_there() {
        let temp = tempfile::tempdir().unwrap();
        Project::create(temp.path()).unwrap();
        let ignore = temp.path().join(".oxi/.gitignore");
        assert_eq!(std::fs::read_to_string(&ignore).unwrap(), GITIGNORE);
        std::fs::remove_file(&ignore).unwrap();
        Dir::open(&temp.path().join(".oxi")).unwrap().replace(".gitignore", b"mine\nstate/").unwrap();
        Project::create(temp.path()).unwrap();
        let text = std::fs::read_to_string(&ignore).unwrap();
        assert!(text.starts_with("mine\nstate/\nstate.redb*\n") && text.matches("state/").count() == 1, "{text}");
    }
}

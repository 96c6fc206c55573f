//! What git knows of the issue files. Read only, but for keys of the clone's own configuration (`registered`): no other
//! command that changes anything is ever run.
//!
//! Whether a directory is in a work tree, whether a merge is going on and, mostly, whether the database is tracked is read
//! from files; `git` itself is started only when something is missing from the folder or unmerged.

mod head;
mod registered;
mod staged;
mod tracked;

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::fs::FileStat;

pub use head::CheckedOut;
pub use staged::Staged;
pub use tracked::Asked;

/// Longer than any `.git` file that says where the repository is, in bytes.
const MAX_POINTER: u64 = 1 << 16;

/// A git work tree.
#[derive(Clone, Debug)]
pub struct Git {
    top: PathBuf,
    git_dir: PathBuf,
}

/// git could not answer.
#[derive(Debug, thiserror::Error)]
#[error("git could not say {question}: {detail}")]
pub struct GitError {
    question: &'static str,
    detail: String,
    not_installed: bool,
}

impl GitError {
    /// Whether there is no program of that name.
    #[must_use]
    pub fn is_not_installed(&self) -> bool {
        self.not_installed
    }

    /// Whether it was asked about a revision that a caller named.
    #[must_use]
    pub fn is_of_revision(&self) -> bool {
        self.question == staged::SINCE && !self.not_installed
    }

    fn of_start(question: &'static str, error: &std::io::Error) -> Self {
        let not_installed = error.kind() == std::io::ErrorKind::NotFound;
        Self { question, detail: error.to_string(), not_installed }
    }
}

/// What a hook's environment says of the repository that it runs for, which need not be the one that is asked about.
const HOOK_VARIABLES: [&str; 7] = [
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_COMMON_DIR",
    "GIT_OBJECT_DIRECTORY",
    "GIT_NAMESPACE",
    "GIT_PREFIX",
];

/// A file in git's index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IndexEntry {
    /// Sparse checkout keeps it out of the work tree.
    pub skip_worktree: bool,
    /// A merge left more than one version.
    pub unmerged: bool,
}

impl Git {
    /// The work tree that holds a directory; none outside of git.
    #[must_use]
    pub fn discover(directory: &Path) -> Option<Self> {
        let there = |dir: &Path| dir.join(".git").symlink_metadata().ok();
        let (top, found) = directory.ancestors().find_map(|dir| Some((dir, there(dir)?)))?;
        let dot_git = top.join(".git");
        let git_dir = if found.is_dir() || found.is_symlink() && dot_git.is_dir() {
            dot_git
        } else {
            // a linked work tree or a submodule: a file that says where
            let text = String::from_utf8(crate::fs::read(&dot_git, MAX_POINTER).ok()?).ok()?;
            top.join(text.strip_prefix("gitdir:")?.trim())
        };
        Some(Self { top: top.to_owned(), git_dir })
    }

    /// What the file system says of the work tree's index; none where there is none, or it cannot be reached.
    #[must_use]
    pub fn index_stat(&self) -> Option<FileStat> {
        crate::fs::stat(&self.index_path()).ok()
    }

    /// As git itself has it: what a hook's environment names instead is the index of one commit.
    fn index_path(&self) -> PathBuf {
        self.git_dir.join("index")
    }

    /// The directory at the top of the work tree.
    #[must_use]
    pub fn top(&self) -> &Path {
        &self.top
    }

    /// git's name of a linked work tree; none for the main one.
    #[must_use]
    pub fn worktree(&self) -> Option<String> {
        let linked = self.git_dir.join("commondir").is_file();
        self.git_dir.file_name().filter(|_| linked).map(|name| name.to_string_lossy().into_owned())
    }

    /// Whether what `.git` names looks like a repository: it may be a file that says anything.
    #[must_use]
    pub fn is_repository(&self) -> bool {
        let common = self.common_dir();
        self.git_dir.join("HEAD").symlink_metadata().is_ok() && common.join("objects").is_dir()
    }

    /// Whether the repository has linked work trees.
    #[must_use]
    pub fn has_worktrees(&self) -> bool {
        std::fs::read_dir(self.common_dir().join("worktrees")).is_ok_and(|mut entries| entries.next().is_some())
    }

    /// Whether a linked work tree of that name is still there. One that is locked may be on a disk that is not mounted.
    #[must_use]
    pub fn has_worktree(&self, name: &str) -> bool {
        let folder = self.common_dir().join("worktrees").join(name);
        let path = std::fs::read_to_string(folder.join("gitdir"));
        let is_there = |path: String| folder.join(path.trim()).symlink_metadata().is_ok();
        Path::new(name).components().count() == 1 && (path.is_ok_and(is_there) || folder.join("locked").exists())
    }

    /// The merge, rebase or the like that is going on.
    #[must_use]
    pub fn operation_in_progress(&self) -> Option<&'static str> {
        const SIGNS: [(&str, &str); 6] = [
            ("MERGE_HEAD", "merge"),
            ("rebase-merge", "rebase"),
            ("rebase-apply", "rebase"),
            ("BISECT_LOG", "bisect"),
            ("CHERRY_PICK_HEAD", "cherry-pick"),
            ("REVERT_HEAD", "revert"),
        ];
        SIGNS.into_iter().find(|(sign, _)| self.git_dir.join(sign).exists()).map(|(_, name)| name)
    }

    /// What git's index holds of a folder, by file name.
    ///
    /// # Errors
    /// If git cannot be run or refuses.
    pub fn index(&self, root: &Path, folder: &str) -> Result<HashMap<String, IndexEntry>, GitError> {
        let output = Self::run(root, "which files it tracks", &["ls-files", "-z", "-t", "--stage", "--", folder])?;
        let mut entries: HashMap<String, IndexEntry> = HashMap::new();
        for line in output.split(|&byte| byte == 0).filter(|line| !line.is_empty()) {
            let line = String::from_utf8_lossy(line);
            let Some((facts, path)) = line.split_once('\t') else { continue };
            let Some(name) = path.rsplit('/').next() else { continue };
            let entry = entries.entry(name.to_owned()).or_default();
            entry.skip_worktree |= facts.starts_with('S');
            entry.unmerged |= facts.starts_with('M');
        }
        Ok(entries)
    }

    /// Which of these files, given by path from the root, the history of the current branch ever held.
    ///
    /// # Errors
    /// If git cannot be run or refuses; an unborn branch has no history and is no error.
    pub fn ever_committed(&self, root: &Path, folder: &str, paths: &[String]) -> Result<HashSet<String>, GitError> {
        const QUESTION: &str = "what the branch's history held";
        if Self::run(root, QUESTION, &["rev-parse", "--quiet", "--verify", "HEAD"]).is_err() {
            return Ok(HashSet::new());
        }
        let wanted: HashSet<&str> = paths.iter().map(String::as_str).collect();
        if paths.len() > 20 {
            let arguments = [
                "log",
                "--full-history",
                "--no-renames",
                "-m",
                "--relative",
                "--format=",
                "--name-only",
                "-z",
                "HEAD",
                "--",
                folder,
            ];
            let output = Self::run(root, QUESTION, &arguments)?;
            let seen = output.split(|&byte| byte == 0).map(String::from_utf8_lossy);
            return Ok(seen
                .map(|path| path.trim_start().to_owned())
                .filter(|path| wanted.contains(path.as_str()))
                .collect());
        }
        let mut held = HashSet::new();
        for path in paths {
            let arguments = ["rev-list", "--full-history", "--max-count=1", "HEAD", "--", path];
            if !Self::run(root, QUESTION, &arguments)?.is_empty() {
                held.insert(path.clone());
            }
        }
        Ok(held)
    }

    /// The versions that a merge left of files in a folder, by file name: of the common ancestor, ours, theirs, each by
    /// the name of its object.
    ///
    /// # Errors
    /// If git cannot be run or refuses.
    pub fn unmerged(&self, root: &Path, folder: &str) -> Result<HashMap<String, [Option<String>; 3]>, GitError> {
        let output = Self::run(root, "what is unmerged", &["ls-files", "-z", "--unmerged", "--", folder])?;
        let mut files: HashMap<String, [Option<String>; 3]> = HashMap::new();
        for line in output.split(|&byte| byte == 0) {
            let line = String::from_utf8_lossy(line);
            let Some((facts, path)) = line.split_once('\t') else { continue };
            let [_, object, stage] = facts.split(' ').collect::<Vec<_>>()[..] else { continue };
            let stage = stage.parse().ok().and_then(|stage: usize| stage.checked_sub(1)).filter(|stage| *stage < 3);
            if let (Some(name), Some(stage)) = (path.rsplit('/').next(), stage) {
                files.entry(name.to_owned()).or_default()[stage] = Some(object.to_owned());
            }
        }
        Ok(files)
    }

    /// The bytes of a file in git's object store.
    ///
    /// # Errors
    /// If git cannot be run or has no such object.
    pub fn blob(&self, root: &Path, object: &str) -> Result<Vec<u8>, GitError> {
        Self::run(root, "what a version holds", &["cat-file", "blob", object])
    }

    /// The folder that all work trees of the repository share.
    #[must_use]
    pub fn common_dir(&self) -> PathBuf {
        match std::fs::read_to_string(self.git_dir.join("commondir")) {
            Ok(text) => self.git_dir.join(text.trim()),
            Err(_) => self.git_dir.clone(),
        }
    }

    fn run(root: &Path, question: &'static str, arguments: &[impl AsRef<OsStr>]) -> Result<Vec<u8>, GitError> {
        output(Self::command(root, arguments).output(), question)
    }

    fn command(root: &Path, arguments: &[impl AsRef<OsStr>]) -> Command {
        let mut command = Command::new("git");
        for variable in HOOK_VARIABLES {
            command.env_remove(variable);
        }
        command
            .arg("-C")
            .arg(root)
            // nothing that a repository configures may run, and no path is a pattern
            .args(["--literal-pathspecs", "-c", "core.fsmonitor=false", "-c", "core.quotePath=false"])
            .args(arguments)
            .env("GIT_OPTIONAL_LOCKS", "0")
            .env("LC_ALL", "C")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }
}

fn output(output: std::io::Result<Output>, question: &'static str) -> Result<Vec<u8>, GitError> {
    let output = output.map_err(|error| GitError::of_start(question, &error))?;
    if output.status.success() {
        Ok(output.stdout)
    } else {
        let detail = String::from_utf8_lossy(&output.stderr).lines().next().unwrap_or("no reason given").to_owned();
        Err(GitError { question, detail, not_installed: false })
    }
}

/// `user.name` as git would use it here; none without git or setting.
///
/// Every write asks for it, and starting git costs as much as the write itself. So the configuration files are read
/// directly, and git is asked only where they include others.
#[must_use]
pub fn user_name(root: &Path, home: Option<&Path>) -> Option<String> {
    let repository = Git::discover(root).map(|git| git.common_dir().join("config"));
    let global = home.map(|home| home.join(".gitconfig"));
    let other = home.map(|home| home.join(".config/git/config"));
    for path in [repository, global, other].into_iter().flatten() {
        let Ok(text) = std::fs::read_to_string(path) else { continue };
        match configured_name(&text) {
            Configured::Name(name) => return Some(name),
            Configured::Unset => {}
            Configured::Unclear => {
                let output = Git::run(root, "your name", &["config", "--get", "user.name"]).ok()?;
                let name = String::from_utf8_lossy(&output).trim().to_owned();
                return (!name.is_empty()).then_some(name);
            }
        }
    }
    None
}

enum Configured {
    Name(String),
    Unset,
    /// Something only git itself can work out.
    Unclear,
}

fn configured_name(text: &str) -> Configured {
    let (mut in_user, mut found) = (false, Configured::Unset);
    for line in text.lines().map(str::trim) {
        if let Some(section) = line.strip_prefix('[') {
            let section = section.to_ascii_lowercase();
            if section.starts_with("include") {
                return Configured::Unclear;
            }
            in_user = section.starts_with("user]");
        } else if in_user
            && let Some((key, value)) = line.split_once('=')
            && key.trim().eq_ignore_ascii_case("name")
        {
            let value = value.trim();
            if value.contains(['"', '\\', '#', ';']) {
                return Configured::Unclear;
            }
            found = Configured::Name(value.to_owned());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_is_read_only_where_it_is_plain() {
        let name = |text| match configured_name(text) {
            Configured::Name(name) => Some(name),
            Configured::Unset => None,
            Configured::Unclear => Some("?".into()),
        };
        assert_eq!(name("[core]\n\tname = x\n[user]\n\temail = a@b\n\tname = Ada L\n").as_deref(), Some("Ada L"));
        assert_eq!(name("[user \"work\"]\n\tname = x\n"), None);
        assert_eq!(name("[user]\n\tname = \"Ada # L\"\n").as_deref(), Some("?"));
        assert_eq!(name("[includeIf \"gitdir:~/w/\"]\n\tpath = other\n").as_deref(), Some("?"));
    }
}

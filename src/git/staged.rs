//! What hooks ask: what is about to be committed, what is committed.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::Stdio;

use super::{Git, GitError};

/// What [`Git::changed_since`] asks.
pub(super) const SINCE: &str = "what has changed since that revision";

/// A file that the next commit changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Staged {
    /// Its name in the folder.
    pub name: String,
    /// git's name of its new content.
    pub object: String,
    /// Whether it is a regular file.
    pub is_file: bool,
}

impl Git {
    /// The files of a folder that the next commit adds or changes. `index` is the index that is committed, if it is not the
    /// work tree's own: `git commit -a` and `git commit PATH` have one for the occasion.
    ///
    /// # Errors
    /// If git cannot be run or refuses.
    pub fn staged(&self, root: &Path, folder: &str, index: Option<&OsStr>) -> Result<Vec<Staged>, GitError> {
        const QUESTION: &str = "what is staged";
        let arguments = [
            "diff",
            "--cached",
            "--raw",
            "-z",
            "--no-abbrev",
            "--no-renames",
            "--no-ext-diff",
            "--diff-filter=AMT",
            "--",
            folder,
        ];
        let mut command = Self::command(root, &arguments);
        if let Some(index) = index {
            // the hook's directory is the top of the work tree
            command.env("GIT_INDEX_FILE", self.top().join(index));
        }
        let output = super::output(command.output(), QUESTION)?;
        let mut parts = output.split(|&byte| byte == 0).map(String::from_utf8_lossy);
        let mut staged = Vec::new();
        while let (Some(facts), Some(path)) = (parts.next(), parts.next()) {
            let facts: Vec<_> = facts.split(' ').collect();
            let ([_, mode, _, object, _], Some(name)) = (&facts[..], path.rsplit('/').next()) else { continue };
            staged.push(Staged {
                name: name.to_owned(),
                object: (*object).to_owned(),
                is_file: mode.starts_with("100"),
            });
        }
        Ok(staged)
    }

    /// The bytes of several files in git's object store, in order, by one run of git. Those longer than `limit` are cut one
    /// byte after it.
    ///
    /// # Errors
    /// If git cannot be run or lacks one of them.
    pub fn blobs(&self, root: &Path, objects: &[String], limit: u64) -> Result<Vec<Vec<u8>>, GitError> {
        const QUESTION: &str = "what versions hold";
        let fail = |error: std::io::Error| GitError::of_start(QUESTION, &error);
        let missing = || GitError { question: QUESTION, detail: "an object is missing".into(), not_installed: false };
        let mut command = Self::command(root, &["cat-file", "--batch"]);
        let mut child = command.stdin(Stdio::piped()).stderr(Stdio::null()).spawn().map_err(fail)?;
        let (Some(mut input), Some(output)) = (child.stdin.take(), child.stdout.take()) else { return Err(missing()) };
        let read = std::thread::scope(|scope| {
            // both pipes are short
            let ask = move || objects.iter().try_for_each(|object| writeln!(input, "{object}"));
            std::thread::Builder::new().spawn_scoped(scope, ask)?;
            let mut output = std::io::BufReader::new(output);
            objects.iter().map(|_| read_blob(&mut output, limit)).collect::<std::io::Result<Option<Vec<_>>>>()
        });
        // whatever it still has to say; it ends with its input
        let _ = child.kill();
        let _ = child.wait();
        read.map_err(fail)?.ok_or_else(missing)
    }

    /// The names in a folder of a commit; none if there is no such commit, as before the first.
    ///
    /// # Errors
    /// If git cannot be run or refuses.
    pub fn committed_names(&self, root: &Path, commit: &str, folder: &str) -> Result<Vec<String>, GitError> {
        const QUESTION: &str = "what is committed";
        if Self::run(root, QUESTION, &["rev-parse", "--quiet", "--verify", commit]).is_err() {
            return Ok(Vec::new());
        }
        let output = Self::run(root, QUESTION, &["ls-tree", "-z", "--name-only", commit, "--", &format!("{folder}/")])?;
        let paths = output.split(|&byte| byte == 0).map(String::from_utf8_lossy);
        Ok(paths.filter_map(|path| path.rsplit('/').next().map(str::to_owned)).collect())
    }
}

impl Git {
    /// The names in a folder whose content differs between a revision and the checked-out commit; what was edited since
    /// does not count.
    ///
    /// # Errors
    /// If there is no such revision, or git cannot be run.
    pub fn changed_since(&self, root: &Path, revision: &str, folder: &str) -> Result<BTreeSet<String>, GitError> {
        if revision.starts_with('-') {
            let detail = format!("{revision} is no revision");
            return Err(GitError { question: SINCE, detail, not_installed: false });
        }
        // a tree or a file has a name of that kind, too
        let (commit, folder) = (format!("{revision}^{{commit}}"), format!("{folder}/"));
        let arguments =
            ["diff-tree", "-r", "-z", "--name-only", "--no-renames", "--relative", &commit, "HEAD", "--", &folder];
        let output = Self::run(root, SINCE, &arguments)?;
        let paths = output.split(|&byte| byte == 0).map(String::from_utf8_lossy);
        Ok(paths.filter_map(|path| path.rsplit('/').next().map(str::to_owned)).collect())
    }

    /// The commit that two commits come from, if there is one.
    #[must_use]
    pub fn merge_base(&self, root: &Path, one: &str, other: &str) -> Option<String> {
        let output = Self::run(root, "what two commits come from", &["merge-base", one, other]).ok()?;
        Some(String::from_utf8_lossy(&output).trim().to_owned()).filter(|commit| !commit.is_empty())
    }
}

/// One answer of `cat-file --batch`; none for a missing object.
fn read_blob(output: &mut impl std::io::BufRead, limit: u64) -> std::io::Result<Option<Vec<u8>>> {
    let mut head = String::new();
    output.read_line(&mut head)?;
    let Some(size) = head.trim_end().rsplit(' ').next().and_then(|size| size.parse::<u64>().ok()) else {
        return Ok(None);
    };
    let mut bytes = Vec::new();
    output.by_ref().take(size.min(limit + 1)).read_to_end(&mut bytes)?;
    let rest = size - bytes.len() as u64 + 1;
    std::io::copy(&mut output.by_ref().take(rest), &mut std::io::sink())?;
    Ok(Some(bytes))
}

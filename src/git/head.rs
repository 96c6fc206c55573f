//! What is checked out.

use std::path::Path;

use super::{Git, GitError};

/// What is checked out, and whether it was changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckedOut {
    /// The commit's name, in full; none on a branch without commits.
    pub commit: Option<String>,
    /// The branch; none on a detached head.
    pub branch: Option<String>,
    /// Whether tracked files differ from the commit.
    pub dirty: bool,
}

impl Git {
    /// What is checked out. Changes of files in the folder `except`, given by path from the root, do not count, and
    /// files that git does not track neither.
    ///
    /// # Errors
    /// If git cannot be run or refuses.
    pub fn checked_out(&self, root: &Path, except: &str) -> Result<CheckedOut, GitError> {
        let arguments =
            ["status", "--porcelain=v2", "--branch", "--untracked-files=no", "--ignore-submodules=none", "-z"];
        let output = Self::run(root, "what is checked out", &arguments)?;
        // paths are from the top of the work tree
        let above = root.strip_prefix(self.top()).ok().and_then(Path::to_str).unwrap_or_default();
        let except = if above.is_empty() { format!("{except}/") } else { format!("{above}/{except}/") };
        Ok(read_status(&String::from_utf8_lossy(&output), &except))
    }

    /// The name of the commit that is checked out, in full; none if there is none or git cannot tell.
    ///
    /// Read from git's files where they are plain, because starting git takes longer than a query.
    #[must_use]
    pub fn head_commit(&self, root: &Path) -> Option<String> {
        self.plain_head().or_else(|| {
            let output = Self::run(root, "what is checked out", &["rev-parse", "--quiet", "--verify", "HEAD"]).ok()?;
            object_name(&String::from_utf8_lossy(&output))
        })
    }

    fn plain_head(&self) -> Option<String> {
        let head = std::fs::read_to_string(self.git_dir.join("HEAD")).ok()?;
        let Some(reference) = head.trim_end().strip_prefix("ref: ") else { return object_name(&head) };
        // a branch is the whole repository's business, not the work tree's
        let text = std::fs::read_to_string(self.common_dir().join(reference)).ok()?;
        object_name(&text)
    }
}

fn object_name(text: &str) -> Option<String> {
    let name = text.trim_end();
    let is_name = matches!(name.len(), 40 | 64) && name.bytes().all(|b| b.is_ascii_hexdigit());
    is_name.then(|| name.to_ascii_lowercase())
}

fn read_status(status: &str, except: &str) -> CheckedOut {
    let mut found = CheckedOut::default();
    let mut lines = status.split('\0').filter(|line| !line.is_empty());
    while let Some(line) = lines.next() {
        if let Some(name) = line.strip_prefix("# branch.oid ") {
            found.commit = object_name(name);
        } else if let Some(name) = line.strip_prefix("# branch.head ") {
            found.branch = Some(name.to_owned()).filter(|name| name != "(detached)");
        } else if !line.starts_with('#') {
            // the path is the last of 9 words, 10 where it was renamed from the one in the next record, 11 if unmerged
            let words = match line.as_bytes().first() {
                Some(b'1') => 9,
                Some(b'2') => 10,
                Some(b'u') => 11,
                _ => continue,
            };
            let path = line.splitn(words, ' ').last().unwrap_or_default();
            let from = if words == 10 { lines.next() } else { None };
            let is_outside = |path: &str| !path.starts_with(except);
            found.dirty |= is_outside(path) || from.is_some_and(is_outside);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_is_read_without_the_folder_that_does_not_count() {
        let commit = "d14307f0d14307f0d14307f0d14307f0d14307f0";
        let head =
            format!("# branch.oid {commit}\0# branch.head main\0# branch.upstream origin/main\0# branch.ab +1 -0\0");
        let read = |rest: &str| read_status(&format!("{head}{rest}"), ".oxi/");
        let clean = CheckedOut { commit: Some(commit.into()), branch: Some("main".into()), dirty: false };
        assert_eq!(read(""), clean);
        assert_eq!(read("1 .M N... 100644 100644 100644 a b .oxi/issues/0001 x.md\0"), clean);
        assert!(read("1 .M N... 100644 100644 100644 a b src/a b.rs\0").dirty);
        assert!(read("2 R. N... 100644 100644 100644 a b R100 .oxi/x\0src/x\0").dirty);
        assert!(!read("2 R. N... 100644 100644 100644 a b R100 .oxi/x\0.oxi/y\0").dirty);
        assert!(read("u UU N... 100644 100644 100644 100644 a b c src/x\0").dirty);
        let unborn = read_status("# branch.oid (initial)\0# branch.head (detached)\0", ".oxi/");
        assert_eq!(unborn, CheckedOut::default());
    }
}

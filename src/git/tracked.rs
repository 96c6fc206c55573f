//! Whether git tracks a file: answered from its index, and by git itself where the index alone does not say.
//!
//! Every import asks that of the database, and starting git takes longer than to look at a thousand files.

use std::path::Path;
use std::process::Child;

use super::{Git, GitError, output};

/// A question that git is at work on, or that its index answered.
#[derive(Debug)]
pub struct Asked(Option<Child>);

const QUESTION: &str = "whether it tracks the database";

impl Git {
    /// Asks whether git tracks a file, given by path from the root. The answer may take a while: there is time for other
    /// work until it is wanted.
    ///
    /// # Errors
    /// If git cannot be run.
    pub fn ask_whether_tracked(&self, root: &Path, path: &str) -> Result<Asked, GitError> {
        let name = path.rsplit('/').next().unwrap_or(path);
        if std::fs::read(self.index_path()).is_ok_and(|index| lacks(&index, name) == Some(true)) {
            return Ok(Asked(None));
        }
        let child = Self::command(root, &["ls-files", "-z", "--", path]).spawn();
        child.map(|child| Asked(Some(child))).map_err(|error| GitError::of_start(QUESTION, &error))
    }
}

impl Asked {
    /// Waits for the answer: yes if git printed anything.
    ///
    /// # Errors
    /// If git refuses.
    pub fn is_yes(self) -> Result<bool, GitError> {
        let Some(child) = self.0 else { return Ok(false) };
        Ok(!output(child.wait_with_output(), QUESTION)?.is_empty())
    }
}

/// Whether no path of an index ends with a name; none where the index does not hold all paths, or is not as expected
/// (`Documentation/gitformat-index.adoc` in git's sources), as where object names are longer.
fn lacks(index: &[u8], name: &str) -> Option<bool> {
    const OBJECT_NAME: usize = 20;
    /// Stat data before the object's name.
    const STAT: usize = 40;
    /// The path is longer than the flags can say.
    const LONG: usize = 0xfff;
    const EXTENDED: u16 = 0x4000;
    let number = |at: usize| Some(u32::from_be_bytes(index.get(at..at.checked_add(4)?)?.try_into().ok()?));
    // version 4 leaves out what a path shares with the one before
    if index.get(..4)? != b"DIRC" || !matches!(number(4)?, 2 | 3) {
        return None;
    }
    let mut at = 12;
    for _ in 0..number(8)? {
        let flags_at = at + STAT + OBJECT_NAME;
        let flags = u16::from_be_bytes(index.get(flags_at..flags_at + 2)?.try_into().ok()?);
        let start = flags_at + if flags & EXTENDED == 0 { 2 } else { 4 };
        let length = usize::from(flags) & LONG;
        let end = start + length;
        if length == LONG || *index.get(end)? != 0 {
            return None;
        }
        if index[start..end].ends_with(name.as_bytes()) {
            return Some(false);
        }
        // one to eight NULs, up to a multiple of eight
        at += (end - at + 8) & !7;
    }
    let end = index.len().checked_sub(OBJECT_NAME)?;
    while at < end {
        // with `link` some paths are in another file; with `sdir` a folder may stand for what is in it
        if matches!(index.get(at..at + 4)?, b"link" | b"sdir") {
            return None;
        }
        at = usize::try_from(number(at + 4)?).ok()?.checked_add(at + 8)?;
    }
    (at == end).then_some(true)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// What the index alone says of a repository whose state is made by a script: whether it surely lacks `state.redb`.
    fn surely_lacks(script: &str) -> bool {
        surely_lacks_in("", script)
    }

    fn surely_lacks_in(format: &str, script: &str) -> bool {
        let folder = tempfile::tempdir().unwrap();
        let whole = format!(
            "set -e; git init -q $FORMAT .; git config user.name A; git config user.email a@b; mkdir -p .oxi/issues; \
             echo x > .oxi/issues/0001-a.md; {script}"
        );
        let mut command = Command::new("sh");
        command
            .args(["-c", &whole])
            .current_dir(folder.path())
            .env("FORMAT", format)
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("HOME", folder.path());
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let index = std::fs::read(folder.path().join(".git/index")).unwrap();
        // whatever the index alone says, the answer is git's
        let git = Git::discover(folder.path()).unwrap();
        let listed = Git::run(folder.path(), QUESTION, &["ls-files", "-z", "--", ".oxi/state.redb"]).unwrap();
        let asked = git.ask_whether_tracked(folder.path(), ".oxi/state.redb").unwrap();
        assert_eq!(asked.is_yes().unwrap(), !listed.is_empty(), "{script}");
        lacks(&index, "state.redb") == Some(true)
    }

    #[test]
    fn a_plain_index_answers_by_itself() {
        assert!(surely_lacks("git add ."));
        assert!(surely_lacks(
            "git add .; git commit -qm a; git checkout -qb b; git rm -q .oxi/issues/0001-a.md; git add ."
        ));
        // version 3, which an intended addition needs
        assert!(surely_lacks("git add -N ."));
    }

    #[test]
    fn what_is_tracked_is_never_denied() {
        let database = "echo db > .oxi/state.redb;";
        assert!(!surely_lacks(&format!("{database} git add .")));
        assert!(!surely_lacks(&format!("{database} git add -N .")));
        assert!(!surely_lacks(&format!("{database} git add .; git commit -qm a; echo b > .oxi/state.redb")));
        // beside a name that begins like it, which version 4 leaves out
        let beside = format!("{database} echo x > .oxi/state.r; git add .");
        assert!(!surely_lacks(&beside));
        assert!(!surely_lacks(&format!("git config index.version 4; {beside}")));
        assert!(!surely_lacks(&format!(
            "{database} git add .; git commit -qm a; git update-index --split-index; git add ."
        )));
        // longer names of objects
        assert!(!surely_lacks_in("--object-format=sha256", &format!("{database} git add .")));
        let sparse = "git sparse-checkout set --cone --sparse-index src";
        assert!(!surely_lacks(&format!("mkdir src; echo x > src/x; {database} git add .; git commit -qm a; {sparse}")));
    }

    #[test]
    fn what_is_not_understood_says_nothing() {
        for index in [&b""[..], b"DIRC", b"DIRC\0\0\0\x04\0\0\0\0", b"DIRC\0\0\0\x05", b"\0\0\0\0\0\0\0\x02"] {
            assert_eq!(lacks(index, "state.redb"), None);
        }
        let empty = [b"DIRC\0\0\0\x02\0\0\0\0".as_slice(), &[7; 20]].concat();
        assert_eq!(lacks(&empty, "state.redb"), Some(true));
        for length in 0..empty.len() {
            assert_eq!(lacks(&empty[..length], "state.redb"), None, "{length}");
        }
    }
}

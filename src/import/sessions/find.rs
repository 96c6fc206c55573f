//! Which files to read: those that were named, and those within folders that were named.
//!
//! Links within a folder are not followed, and nothing but regular files is looked at. A link that the user named is the
//! user's own.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use crate::fs::{Dir, Entry, PathError};

/// How deep below a named folder files are looked for.
const MAX_DEPTH: usize = 8;

/// A file to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Where it is, without links.
    pub path: PathBuf,
    /// How the user would name it.
    pub shown: PathBuf,
}

/// What was found.
#[derive(Debug, Default)]
pub struct Found {
    /// The files, each once, in order.
    pub files: Vec<Candidate>,
    /// Folders that could not be read.
    pub unreadable: Vec<PathError>,
}

/// Why there is nothing to read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FindError {
    /// What was named is not there, or cannot be read.
    #[error(transparent)]
    Path(#[from] PathError),
    /// A folder without session files.
    #[error("no session files (*.jsonl) in {}", .0.display())]
    NoSessions(PathBuf),
}

/// Finds session files: a file is one whatever it is called, in a folder those called `*.jsonl`, in its folders too.
///
/// # Errors
/// If something that was named is missing, or a folder that was named holds no session file.
pub fn find(named: &[PathBuf]) -> Result<Found, FindError> {
    let mut found = Found::default();
    let mut seen = HashSet::new();
    for shown in named {
        let path = shown.canonicalize().map_err(|source| PathError { action: "open", path: shown.clone(), source })?;
        let mut files = Vec::new();
        if path.is_dir() {
            let dir = Dir::open(&path)?;
            walk(&dir, shown, 0, &mut files, &mut found.unreadable);
            if files.is_empty() && found.unreadable.is_empty() {
                return Err(FindError::NoSessions(shown.clone()));
            }
        } else {
            files.push(Candidate { path, shown: shown.clone() });
        }
        found.files.extend(files.into_iter().filter(|file| seen.insert(file.path.clone())));
    }
    Ok(found)
}

fn walk(dir: &Dir, shown: &Path, depth: usize, files: &mut Vec<Candidate>, unreadable: &mut Vec<PathError>) {
    let mut names = match dir.names() {
        Ok(names) => names,
        Err(error) => return unreadable.push(error),
    };
    names.sort();
    for name in names {
        // the folder gives what is not UTF-8 with this in its place, and there is no way to open it by that
        if name.contains(char::REPLACEMENT_CHARACTER) && matches!(dir.entry(&name), Ok(None)) {
            unreadable.push(PathError {
                action: "open",
                path: shown.join(&name),
                source: std::io::Error::other("its name is not UTF-8"),
            });
            continue;
        }
        match dir.entry(&name) {
            Ok(Some(Entry::File(_))) if Path::new(&name).extension().is_some_and(|end| end == "jsonl") => {
                files.push(Candidate { path: dir.path().join(&name), shown: shown.join(&name) });
            }
            Ok(Some(Entry::Directory(_))) if depth >= MAX_DEPTH => unreadable.push(PathError {
                action: "look into",
                path: shown.join(&name),
                source: std::io::Error::other(format!("it is more than {MAX_DEPTH} folders deep; name it itself")),
            }),
            Ok(Some(Entry::Directory(_))) => match dir.open_dir(&name) {
                Ok(inner) => walk(&inner, &shown.join(&name), depth + 1, files, unreadable),
                Err(error) => unreadable.push(error),
            },
            Ok(_) => {}
            Err(error) => unreadable.push(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn touch(path: &Path) {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::File::create(path).unwrap();
    }

    #[test]
    fn folders_are_searched_in_order_without_following_links() {
        let temp = tempfile::tempdir().unwrap();
        let root = temp.path().canonicalize().unwrap();
        for name in ["b.jsonl", "a/z.jsonl", "a/notes.txt", "c/d/e/f.jsonl"] {
            touch(&root.join("in").join(name));
        }
        let deep = "d/".repeat(8);
        touch(&root.join("in").join(&deep).join("seen.jsonl"));
        touch(&root.join("in").join(&deep).join("d/unseen.jsonl"));
        touch(&root.join("outside/x.jsonl"));
        std::os::unix::fs::symlink(root.join("outside"), root.join("in/link")).unwrap();
        std::os::unix::fs::symlink(root.join("outside/x.jsonl"), root.join("in/link.jsonl")).unwrap();
        let found = find(&[root.join("in"), root.join("in/b.jsonl")]).unwrap();
        let names: Vec<_> = found.files.iter().map(|file| file.path.strip_prefix(root.join("in")).unwrap()).collect();
        let seen = format!("{deep}seen.jsonl");
        assert_eq!(names, ["a/z.jsonl", "b.jsonl", "c/d/e/f.jsonl", &seen].map(Path::new));
        let unread: Vec<_> = found.unreadable.iter().map(|error| error.path.clone()).collect();
        assert_eq!(unread, [root.join("in").join(&deep).join("d")], "what is left out is said");
        let named = find(&[root.join("in/link.jsonl"), root.join("in/a/notes.txt")]).unwrap();
        assert_eq!(named.files.len(), 2, "what was named is taken, a link too, whatever it is called");
    }

    #[test]
    fn nothing_there_is_an_error_with_the_path() {
        let temp = tempfile::tempdir().unwrap();
        std::fs::create_dir(temp.path().join("empty")).unwrap();
        let error = find(&[temp.path().join("empty")]).unwrap_err();
        assert!(matches!(&error, FindError::NoSessions(_)) && error.to_string().contains("empty"), "{error}");
        assert!(matches!(find(&[temp.path().join("gone")]), Err(FindError::Path(error)) if error.is_not_found()));
    }
}

//! Files for readers that have no database: a table in each, and one that names them all with their digests.
//!
//! Each file is replaced atomically, the one that names the others last. So whoever reads that one first, and compares
//! digests, holds tables of one moment or knows that it does not; a process that is killed leaves files that are whole,
//! each of the old set or of the new one. The caller holds the lock of all who write a snapshot. Nothing is written where
//! a file says already what it should say.

use std::fs::File;
use std::io::{BufRead as _, BufReader};

use sha2::{Digest as _, Sha256};

use crate::fs::{Dir, Entry, PathError, Temporary, is_temporary};

/// The file that names all others.
pub const LATEST: &str = "latest.json";

/// What the shape of [`LATEST`] and of the tables is called. New keys may come without a new number.
pub const SCHEMA: u32 = 1;

/// Most files that are synced one by one.
const MAX_SINGLE_SYNCS: usize = 4;

/// Longest [`LATEST`] that is compared; a longer one is written anew.
const MAX_LATEST: u64 = 64 << 20;

/// A table as lines of JSON.
#[derive(Clone, Debug, Default)]
pub struct Table {
    /// What it holds; its file is called so.
    pub name: &'static str,
    /// How many lines it has.
    pub rows: u64,
    /// The lines.
    pub bytes: Vec<u8>,
}

impl Table {
    /// The name of its file.
    #[must_use]
    pub fn file(&self) -> String {
        format!("{}.jsonl", self.name)
    }

    /// The SHA-256 of its bytes, in hexadecimal digits.
    #[must_use]
    pub fn sha256(&self) -> String {
        use std::fmt::Write as _;
        Sha256::digest(&self.bytes).iter().fold(String::with_capacity(64), |mut text, byte| {
            // writing to a string cannot fail
            let _ = write!(text, "{byte:02x}");
            text
        })
    }
}

/// Writes a set of tables into a folder. `latest` gives the file that names them, for the time that it is to say; it is
/// asked for the time of the present one first, to see whether anything else is new. Answers the names of the files that
/// were written, or would have been.
///
/// # Errors
/// If a file cannot be written, or something else than a regular file has its name. Then no file is changed, unless it is
/// a renaming that failed.
pub fn write(
    folder: &Dir,
    tables: &[Table],
    now: &str,
    latest: impl Fn(&str) -> Vec<u8>,
    dry_run: bool,
) -> Result<Vec<String>, PathError> {
    let files: Vec<(String, &[u8])> = tables.iter().map(|table| (table.file(), table.bytes.as_slice())).collect();
    if !dry_run {
        sweep(folder, &files)?;
    }
    let mut changed = Vec::new();
    for (name, bytes) in &files {
        if !says(folder, name, bytes)? {
            changed.push((name.as_str(), *bytes));
        }
    }
    let before = generated_at(folder)?;
    let same = |time: &String| says(folder, LATEST, &latest(time));
    let is_latest = changed.is_empty() && before.as_ref().map(same).transpose()?.unwrap_or(false);
    let newest = if is_latest { Vec::new() } else { latest(now) };
    if !is_latest {
        require_file(folder, LATEST)?;
        changed.push((LATEST, &newest));
    }
    if !dry_run {
        replace(folder, &changed)?;
    }
    Ok(changed.into_iter().map(|(name, _)| name.to_owned()).collect())
}

/// Removes what killed processes left.
fn sweep(folder: &Dir, files: &[(String, &[u8])]) -> Result<(), PathError> {
    let is_ours = |name: &str| {
        let beginning =
            |file: &str| name.strip_prefix('.').is_some_and(|name| name.starts_with(&format!("{file}.tmp-")));
        is_temporary(name.as_ref()) && (files.iter().any(|(file, _)| beginning(file)) || beginning(LATEST))
    };
    folder.names()?.iter().filter(|name| is_ours(name)).try_for_each(|name| folder.remove(name))
}

fn replace(folder: &Dir, files: &[(&str, &[u8])]) -> Result<(), PathError> {
    let mut written: Vec<(&str, Temporary<'_>)> = Vec::with_capacity(files.len());
    for (name, bytes) in files {
        written.push((name, folder.write_private_temporary(name, bytes)?));
    }
    if written.len() > MAX_SINGLE_SYNCS {
        folder.sync_file_system()?;
    } else {
        written.iter().try_for_each(|(_, temporary)| temporary.sync())?;
    }
    if written.is_empty() {
        return Ok(());
    }
    // quickly after each other, in the order they are in
    for (name, temporary) in written {
        temporary.publish(name, true)?;
    }
    folder.sync()
}

/// That a name is free, or a regular file's.
fn require_file(folder: &Dir, name: &str) -> Result<Option<u64>, PathError> {
    match folder.entry(name)? {
        None => Ok(None),
        Some(Entry::File(stat)) => Ok(Some(stat.size)),
        Some(entry) => {
            let what = if entry == Entry::Symlink { "it is a symbolic link" } else { "it is not a regular file" };
            Err(PathError {
                action: "replace",
                path: folder.path().join(name),
                source: std::io::Error::other(format!("{what}; move it out of the way")),
            })
        }
    }
}

/// Whether a file holds exactly these bytes.
fn says(folder: &Dir, name: &str, bytes: &[u8]) -> Result<bool, PathError> {
    if require_file(folder, name)? != Some(bytes.len() as u64) {
        return Ok(false);
    }
    let (file, _) = folder.open_file(name)?;
    equals(file, bytes).map_err(|source| PathError { action: "read", path: folder.path().join(name), source })
}

fn equals(file: File, mut bytes: &[u8]) -> std::io::Result<bool> {
    let mut reader = BufReader::with_capacity(1 << 17, file);
    loop {
        let block = reader.fill_buf()?;
        if block.is_empty() {
            return Ok(bytes.is_empty());
        }
        let Some(rest) = bytes.strip_prefix(block) else { return Ok(false) };
        bytes = rest;
        let used = block.len();
        reader.consume(used);
    }
}

/// The time that the present file says it is of; none if there is no such file, or if it says anything else.
fn generated_at(folder: &Dir) -> Result<Option<String>, PathError> {
    if require_file(folder, LATEST)?.is_none_or(|size| size > MAX_LATEST) {
        return Ok(None);
    }
    let (bytes, _) = folder.read(LATEST, MAX_LATEST)?;
    let latest: Option<serde_json::Value> = serde_json::from_slice(&bytes).ok();
    Ok(latest.and_then(|latest| latest.get("generated_at")?.as_str().map(str::to_owned)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(name: &'static str, text: &str) -> Table {
        Table { name, rows: text.lines().count() as u64, bytes: text.into() }
    }

    fn latest(tables: &[Table]) -> impl Fn(&str) -> Vec<u8> {
        let digests: Vec<_> = tables.iter().map(Table::sha256).collect();
        move |time| format!("{{\"generated_at\":\"{time}\",\"digests\":{digests:?}}}").into_bytes()
    }

    #[test]
    fn only_what_changed_is_written_and_the_time_stays_that_of_the_last_change() {
        let temp = tempfile::tempdir().unwrap();
        let folder = Dir::open(temp.path()).unwrap();
        let one = [table("a", "1\n"), table("b", "")];
        let put = |tables: &[Table], now: &str| write(&folder, tables, now, latest(tables), false).unwrap();
        assert_eq!(put(&one, "t1"), ["a.jsonl", "b.jsonl", LATEST]);
        assert!(put(&one, "t2").is_empty());
        assert!(std::fs::read_to_string(temp.path().join(LATEST)).unwrap().contains("t1"));
        let two = [table("a", "1\n"), table("b", "2\n")];
        assert_eq!(write(&folder, &two, "t3", latest(&two), true).unwrap(), ["b.jsonl", LATEST]);
        assert_eq!(put(&two, "t3"), ["b.jsonl", LATEST]);
        // one that somebody else changed, of the same length
        folder.replace("a.jsonl", b"7\n").unwrap();
        assert_eq!(put(&two, "t4"), ["a.jsonl", LATEST]);
        folder.replace(LATEST, b"no JSON").unwrap();
        assert_eq!(put(&two, "t5"), [LATEST]);
    }

    #[test]
    fn files_are_the_owners_and_leftovers_go() {
        use std::os::unix::fs::PermissionsExt as _;
        let temp = tempfile::tempdir().unwrap();
        let folder = Dir::open(temp.path()).unwrap();
        for name in [".a.jsonl.tmp-1-0", ".latest.json.tmp-1-0", ".inbox.jsonl.tmp-1-0", "a.jsonl.tmp-1-0"] {
            folder.replace(name, b"x").unwrap();
        }
        let tables = [table("a", "1\n")];
        write(&folder, &tables, "t", latest(&tables), false).unwrap();
        let mut names = folder.names().unwrap();
        names.sort();
        assert_eq!(names, [".inbox.jsonl.tmp-1-0", "a.jsonl", "a.jsonl.tmp-1-0", LATEST]);
        for name in ["a.jsonl", LATEST] {
            let mode = temp.path().join(name).metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{name}");
        }
    }

    #[test]
    fn a_link_is_neither_followed_nor_replaced() {
        let temp = tempfile::tempdir().unwrap();
        let folder = Dir::open(temp.path()).unwrap();
        let tables = [table("a", "1\n")];
        for name in ["a.jsonl", LATEST] {
            std::os::unix::fs::symlink("/etc/hostname", temp.path().join(name)).unwrap();
            let error = write(&folder, &tables, "t", latest(&tables), false).unwrap_err();
            assert!(error.to_string().contains("symbolic link"), "{error}");
            assert_eq!(folder.names().unwrap(), [name], "nothing else was written");
            folder.remove(name).unwrap();
        }
    }
}

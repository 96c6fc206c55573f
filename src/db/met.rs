//! Which database file was met, and what git's index was then.
//!
//! git is asked whether it tracks a database file before the file is used, and again when something may have changed
//! that: another file is in its place, or git wrote its index. So that the steady state costs no process, both are
//! noted beside the database. Whatever is odd about the note makes git be asked: it may be lost, and is not synced.
//!
//! An index that changed in the same tick of the file system's clock as the look at it could change again without a
//! sign (git calls that *racily clean*). Nothing is noted of it then. A change that git does not write to its index is
//! not seen here; there is none that makes it track a file.

use std::io::Write as _;

use crate::fs::{Dir, FileStat, PathError, Temporary};

use super::{Store, StoreError};

/// Says which database file was last seen not to be tracked by git, and what the file system said of git's index then.
pub(super) const NOTE: &str = "state.lock-database";

/// Longer than any note.
const MAX_NOTE: u64 = 256;

/// How the database stands to what was noted of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Met {
    /// There is none.
    Missing,
    /// This file was never met: a checkout or a copy may have put it there.
    Never,
    /// The file was met, but git's index changed since, or nothing is known of it.
    Before,
    /// File and index are what they were when git was asked.
    Unchanged,
}

/// A note in the making, begun before git is asked.
#[derive(Debug)]
pub struct Note<'a> {
    dir: &'a Dir,
    temporary: Temporary<'a>,
    /// The present time by the clock of the file system.
    began: (i64, u32),
    /// The database's inode number.
    inode: u64,
}

impl Store {
    /// How the database stands to what was noted of it; `index` is what the file system says of git's index.
    ///
    /// # Errors
    /// If there is something else of the database's name, such as a link, or the folder cannot be read.
    pub fn met(&self, index: Option<FileStat>) -> Result<Met, StoreError> {
        let Some(stat) = self.stat()? else { return Ok(Met::Missing) };
        let noted = self.noted()?;
        Ok(if noted == note_of(stat.inode, index) {
            Met::Unchanged
        } else if is_of(&noted, stat.inode) {
            Met::Before
        } else {
            Met::Never
        })
    }

    /// Whether the database is a file that was met.
    pub(super) fn is_met(&self) -> Result<bool, StoreError> {
        let Some(stat) = self.stat()? else { return Ok(false) };
        Ok(is_of(&self.noted()?, stat.inode))
    }

    /// Notes that the database is the one that was met, now in another file; git is asked again when it is used.
    ///
    /// # Errors
    /// If the note cannot be written.
    pub fn mark_met(&self) -> Result<(), StoreError> {
        if let Some(stat) = self.stat()? {
            let note = self.dir.write_temporary(NOTE, stat.inode.to_string().as_bytes())?;
            note.publish(NOTE, true)?;
        }
        Ok(())
    }

    /// Begins a note, before git's index is looked at and git is asked; none if there is no database.
    ///
    /// # Errors
    /// If the note cannot be written, as in a folder that is read-only.
    pub fn begin_note(&self) -> Result<Option<Note<'_>>, StoreError> {
        let Some(stat) = self.stat()? else { return Ok(None) };
        let temporary = self.dir.write_temporary(NOTE, &[])?;
        let began = temporary.stat()?.modified;
        Ok(Some(Note { dir: &self.dir, temporary, began, inode: stat.inode }))
    }

    fn noted(&self) -> Result<String, StoreError> {
        match self.dir.read(NOTE, MAX_NOTE) {
            Ok((bytes, _)) => Ok(String::from_utf8(bytes).unwrap_or_default()),
            Err(error) if error.is_not_found() => Ok(String::new()),
            Err(error) => Err(error.into()),
        }
    }
}

impl Note<'_> {
    /// Notes that git does not track the database; `index` is what the file system said of git's index after the note
    /// was begun and before git was asked.
    ///
    /// # Errors
    /// If the note cannot be written.
    pub fn keep(self, index: Option<FileStat>) -> Result<(), StoreError> {
        let is_settled = index.is_none_or(|index| index.changed.max(index.modified) < self.began);
        let text = if is_settled { note_of(self.inode, index) } else { self.inode.to_string() };
        let path = || self.dir.path().join(NOTE);
        let written = self.temporary.file().write_all(text.as_bytes());
        written.map_err(|source| PathError { action: "write", path: path(), source })?;
        Ok(self.temporary.publish(NOTE, true)?)
    }
}

fn note_of(inode: u64, index: Option<FileStat>) -> String {
    let Some(FileStat { modified, changed, size, inode: index }) = index else { return format!("{inode} none") };
    format!("{inode} {}.{:09} {}.{:09} {size} {index}", modified.0, modified.1, changed.0, changed.1)
}

/// Whether a note is of the file with this inode number.
fn is_of(note: &str, inode: u64) -> bool {
    note.split(' ').next() == Some(inode.to_string().as_str())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn store() -> (tempfile::TempDir, Store) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), Duration::from_secs(10)).unwrap();
        store.create_if_missing().unwrap();
        (folder, store)
    }

    /// An index that was last changed so many nanoseconds before or after a note was begun.
    fn index(note: &Note<'_>, nanoseconds: i64) -> FileStat {
        let time = note.began.0 * 1_000_000_000 + i64::from(note.began.1) + nanoseconds;
        let changed = (time.div_euclid(1_000_000_000), u32::try_from(time.rem_euclid(1_000_000_000)).unwrap());
        FileStat { modified: (1, 2), changed, size: 3, inode: 4 }
    }

    #[test]
    fn any_sign_of_another_index_makes_git_be_asked() {
        let (_folder, store) = store();
        assert_eq!(store.met(None).unwrap(), Met::Never);
        let note = store.begin_note().unwrap().unwrap();
        let noted = index(&note, -1);
        assert_eq!(store.met(Some(noted)).unwrap(), Met::Never, "git has not answered yet");
        note.keep(Some(noted)).unwrap();
        assert_eq!(store.met(Some(noted)).unwrap(), Met::Unchanged);
        let others = [
            FileStat { modified: (1, 3), ..noted },
            FileStat { modified: (2, 2), ..noted },
            FileStat { changed: (noted.changed.0, noted.changed.1 ^ 1), ..noted },
            FileStat { size: 4, ..noted },
            FileStat { inode: 5, ..noted },
        ];
        for other in others.map(Some).into_iter().chain([None]) {
            assert_eq!(store.met(other).unwrap(), Met::Before, "{other:?}");
        }
    }

    #[test]
    fn an_index_of_the_same_tick_is_not_trusted() {
        let (_folder, store) = store();
        for nanoseconds in [0, 1, 5_000_000_000] {
            let note = store.begin_note().unwrap().unwrap();
            let index = Some(index(&note, nanoseconds));
            note.keep(index).unwrap();
            assert_eq!(store.met(index).unwrap(), Met::Before);
        }
    }

    #[test]
    fn that_there_is_no_index_is_noted_too() {
        let (_folder, store) = store();
        store.begin_note().unwrap().unwrap().keep(None).unwrap();
        assert_eq!(store.met(None).unwrap(), Met::Unchanged);
    }

    #[test]
    fn another_file_was_never_met() {
        let (folder, store) = store();
        store.begin_note().unwrap().unwrap().keep(None).unwrap();
        let (file, copy) = (folder.path().join(super::super::DATABASE), folder.path().join("copy"));
        std::fs::copy(&file, &copy).unwrap();
        store.dir().rename("copy", super::super::DATABASE).unwrap();
        assert_eq!(store.met(None).unwrap(), Met::Never);
        store.mark_met().unwrap();
        assert!(store.is_met().unwrap());
        assert_eq!(store.met(None).unwrap(), Met::Before);
        store.dir().remove(super::super::DATABASE).unwrap();
        assert_eq!(store.met(None).unwrap(), Met::Missing);
        assert!(store.begin_note().unwrap().is_none());
    }

    #[test]
    fn what_is_no_note_says_nothing() {
        let (_folder, store) = store();
        let inode = store.stat().unwrap().unwrap().inode;
        for text in ["", " ", "none", "\u{0}\u{0}\u{0}", &format!("{inode}0 none"), &format!("0{inode} none")] {
            store.dir().replace(NOTE, text.as_bytes()).unwrap();
            assert_eq!(store.met(None).unwrap(), Met::Never, "{text:?}");
        }
        // as versions before this wrote it; and a power loss in the middle
        for text in [format!("{inode}"), format!("{inode} no"), format!("{inode} none ")] {
            store.dir().replace(NOTE, text.as_bytes()).unwrap();
            assert_eq!(store.met(None).unwrap(), Met::Before, "{text:?}");
        }
        store.dir().replace(NOTE, &[0xff; 1000]).unwrap();
        assert_eq!(store.met(None).unwrap(), Met::Never);
    }
}

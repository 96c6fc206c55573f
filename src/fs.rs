//! Files beneath a directory, without ever following a link.
//!
//! A branch can bring symbolic links, fifos and devices; everything here opens relative to an open directory with
//! `O_NOFOLLOW`, accepts regular files only, and puts the path on every error. Replacing a file is atomic: a temporary
//! file in the same directory, synced, then renamed. What a disk promises but does not keep is out of reach here.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, Timestamps};
use serde::{Deserialize, Serialize};

mod obstacle;
mod temporary;

pub use obstacle::Obstacle;
pub(crate) use temporary::maker;
pub use temporary::{Temporary, Written, is_running, is_temporary};

/// An input or output error and the path it happened at.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {}: {source}", path.display())]
pub struct PathError {
    /// What was tried, as a verb.
    pub action: &'static str,
    /// Where.
    pub path: PathBuf,
    /// Why it failed.
    pub source: io::Error,
}

impl PathError {
    /// Whether the cause is that nothing is there.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.source.kind() == io::ErrorKind::NotFound
    }
}

/// What the file system says of a file; while it stays the same the content has, but for the racily clean (see
/// [`crate::import::scan`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileStat {
    /// Time of the last change of content, in seconds and nanoseconds.
    pub modified: (i64, u32),
    /// Time of the last change of content or inode, in seconds and nanoseconds.
    pub changed: (i64, u32),
    /// Length in bytes.
    pub size: u64,
    /// Inode number.
    pub inode: u64,
}

impl FileStat {
    fn of(stat: &rustix::fs::Stat) -> Self {
        // the widths of these fields differ between platforms
        #[allow(
            clippy::useless_conversion,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::unnecessary_cast
        )]
        Self {
            modified: (stat.st_mtime.into(), stat.st_mtime_nsec as u32),
            changed: (stat.st_ctime.into(), stat.st_ctime_nsec as u32),
            size: stat.st_size as u64,
            inode: stat.st_ino.into(),
        }
    }
}

/// What a directory entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Entry {
    /// A regular file.
    File(FileStat),
    /// A directory.
    Directory(FileStat),
    /// A symbolic link, which is never followed.
    Symlink,
    /// A fifo, socket or device.
    Special,
}

/// An open directory.
#[derive(Debug)]
pub struct Dir {
    fd: OwnedFd,
    path: PathBuf,
}

impl Dir {
    /// Opens a directory that the user named; links in the path to it are the user's own and are followed.
    ///
    /// # Errors
    /// If it cannot be opened or is not a directory.
    pub fn open(path: &Path) -> Result<Self, PathError> {
        let fd = rustix::fs::open(path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
        Ok(Self { fd: fd.map_err(at("open", path))?, path: path.to_owned() })
    }

    /// Opens a directory in this one; a link there is an error.
    ///
    /// # Errors
    /// If it is missing, a link, or not a directory.
    pub fn open_dir(&self, name: &str) -> Result<Self, PathError> {
        let path = self.path.join(name);
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(&self.fd, name, flags, Mode::empty()).map_err(|errno| {
            let link = matches!(self.entry(name), Ok(Some(Entry::Symlink)));
            let source = if link { Obstacle::Link.into() } else { errno.into() };
            PathError { action: "open", path: path.clone(), source }
        })?;
        Ok(Self { fd, path })
    }

    /// Opens a directory in this one, made first if it is missing.
    ///
    /// # Errors
    /// As [`Dir::open_dir`], or if it cannot be made.
    pub fn ensure_dir(&self, name: &str) -> Result<Self, PathError> {
        match rustix::fs::mkdirat(&self.fd, name, Mode::from_raw_mode(0o777)) {
            Ok(()) | Err(rustix::io::Errno::EXIST) => self.open_dir(name),
            Err(errno) => Err(at("create", &self.path.join(name))(errno)),
        }
    }

    /// Opens a directory in this one, made first with mode 0700 if it is missing.
    ///
    /// # Errors
    /// As [`Dir::ensure_dir`].
    pub fn ensure_private_dir(&self, name: &str) -> Result<Self, PathError> {
        match rustix::fs::mkdirat(&self.fd, name, Mode::from_raw_mode(0o700)) {
            Ok(()) | Err(rustix::io::Errno::EXIST) => self.open_dir(name),
            Err(errno) => Err(at("create", &self.path.join(name))(errno)),
        }
    }

    /// Opens a directory in this one, made first if it is missing, for whoever may use this one.
    ///
    /// # Errors
    /// As [`Dir::ensure_dir`].
    pub fn ensure_dir_like(&self, name: &str) -> Result<Self, PathError> {
        let dir = match self.open_dir(name) {
            Err(error) if error.is_not_found() => self.ensure_dir(name)?,
            opened => return opened,
        };
        let like = rustix::fs::fstat(&self.fd).map_err(at("read", &self.path))?;
        // the umask may have taken more away than this directory's own owner meant to
        rustix::fs::fchmod(&dir.fd, Mode::from_raw_mode(like.st_mode & 0o7777)).map_err(at("share", &dir.path))?;
        Ok(dir)
    }

    /// Lets whoever may use this directory read and write a file in it.
    ///
    /// # Errors
    /// If the file is missing, or another user's.
    pub fn share(&self, name: &str) -> Result<(), PathError> {
        let (file, _) = self.open_file(name)?;
        let like = rustix::fs::fstat(&self.fd).map_err(at("read", &self.path))?;
        rustix::fs::fchmod(&file, Mode::from_raw_mode(like.st_mode & 0o666)).map_err(at("share", &self.path.join(name)))
    }

    /// Where it is, for messages.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What the file system says of the directory itself.
    ///
    /// # Errors
    /// If it cannot be asked.
    pub fn stat(&self) -> Result<FileStat, PathError> {
        rustix::fs::fstat(&self.fd).map(|stat| FileStat::of(&stat)).map_err(at("read", &self.path))
    }

    /// What an entry is; nothing if there is none.
    ///
    /// # Errors
    /// If the file system does not answer.
    pub fn entry(&self, name: &str) -> Result<Option<Entry>, PathError> {
        match rustix::fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(match FileType::from_raw_mode(stat.st_mode) {
                FileType::RegularFile => Entry::File(FileStat::of(&stat)),
                FileType::Directory => Entry::Directory(FileStat::of(&stat)),
                FileType::Symlink => Entry::Symlink,
                _ => Entry::Special,
            })),
            Err(rustix::io::Errno::NOENT) => Ok(None),
            Err(errno) => Err(at("read", &self.path.join(name))(errno)),
        }
    }

    /// The names of all entries, in the order of their inodes, in which the file system is quickest to tell more of them.
    /// A name that is not UTF-8 is given with `\u{FFFD}` in place of what is not.
    ///
    /// # Errors
    /// If the directory cannot be read.
    pub fn names(&self) -> Result<Vec<String>, PathError> {
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::read_from(&self.fd).map_err(at("read", &self.path))? {
            let entry = entry.map_err(at("read", &self.path))?;
            let name = entry.file_name();
            if name != c"." && name != c".." {
                let name = String::from_utf8(name.to_bytes().to_vec());
                let name = name.unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned());
                names.push((entry.ino(), name));
            }
        }
        names.sort_unstable_by_key(|(inode, _)| *inode);
        Ok(names.into_iter().map(|(_, name)| name).collect())
    }

    /// Opens a regular file to read it.
    ///
    /// # Errors
    /// If it is missing, a symbolic link, or anything but a regular file.
    pub fn open_file(&self, name: &str) -> Result<(File, FileStat), PathError> {
        // NONBLOCK: opening a fifo must not wait for a writer
        self.open_with(name, OFlags::RDONLY | OFlags::NONBLOCK)
    }

    /// Opens a regular file to read and write it, made with mode 0600 if it is missing.
    ///
    /// # Errors
    /// As [`Dir::open_file`], or if it has a second name.
    pub fn open_private(&self, name: &str) -> Result<File, PathError> {
        match self.open_with(name, OFlags::RDWR | OFlags::CREATE | OFlags::NONBLOCK) {
            Ok((file, _)) => Ok(file),
            // a file system mounted read-only still has locks
            Err(error) if matches!(error.source.kind(), io::ErrorKind::ReadOnlyFilesystem) => {
                let opened = self.open_with(name, OFlags::RDONLY | OFlags::NONBLOCK).map(|(file, _)| file);
                // where there is none, none could be made
                opened.map_err(|other| if other.is_not_found() { error } else { other })
            }
            Err(error) => Err(error),
        }
    }

    /// Opens an existing regular file to read and write it.
    ///
    /// # Errors
    /// As [`Dir::open_private`].
    pub fn open_existing(&self, name: &str) -> Result<File, PathError> {
        self.open_with(name, OFlags::RDWR | OFlags::NONBLOCK).map(|(file, _)| file)
    }

    fn open_with(&self, name: &str, flags: OFlags) -> Result<(File, FileStat), PathError> {
        let path = || self.path.join(name);
        let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(&self.fd, name, flags, Mode::from_raw_mode(0o600)).map_err(|errno| {
            let source = match errno {
                rustix::io::Errno::LOOP => Obstacle::Link.into(),
                errno => errno.into(),
            };
            PathError { action: "open", path: path(), source }
        })?;
        let stat = rustix::fs::fstat(&fd).map_err(|errno| at("read", &path())(errno))?;
        let obstacle = if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            Obstacle::NotRegular
        } else if flags.contains(OFlags::RDWR) && stat.st_nlink > 1 {
            Obstacle::HardLink
        } else {
            return Ok((File::from(fd), FileStat::of(&stat)));
        };
        Err(PathError { action: "open", path: path(), source: obstacle.into() })
    }

    /// Reads a whole file, at most `limit` bytes and one more (so that the caller can tell that there were too many).
    ///
    /// # Errors
    /// As [`Dir::open_file`], or if reading fails.
    pub fn read(&self, name: &str, limit: u64) -> Result<(Vec<u8>, FileStat), PathError> {
        let (file, stat) = self.open_file(name)?;
        let mut bytes = Vec::with_capacity(usize::try_from(stat.size.min(limit) + 1).unwrap_or_default());
        file.take(limit + 1).read_to_end(&mut bytes).map_err(|source| PathError {
            action: "read",
            path: self.path.join(name),
            source,
        })?;
        Ok((bytes, stat))
    }

    /// Writes a file atomically and durably, whatever was there before.
    ///
    /// # Errors
    /// If any step fails; the old file is then untouched.
    pub fn replace(&self, name: &str, bytes: &[u8]) -> Result<(), PathError> {
        let temporary = self.write_temporary(name, bytes)?;
        temporary.sync()?;
        temporary.publish(name, true)?;
        self.sync()
    }

    /// As [`Dir::replace`], with the permissions of the file that was there before, if there was one.
    ///
    /// # Errors
    /// As [`Dir::replace`].
    pub fn rewrite(&self, name: &str, bytes: &[u8]) -> Result<(), PathError> {
        let temporary = self.write_temporary(name, bytes)?;
        if let Ok(stat) = rustix::fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
            let mode = Mode::from_raw_mode(stat.st_mode & 0o777);
            rustix::fs::fchmod(temporary.file(), mode).map_err(at("write", &self.path.join(name)))?;
        }
        temporary.sync()?;
        temporary.publish(name, true)?;
        self.sync()
    }

    /// As [`Dir::replace`], for a file that everybody may read and execute.
    ///
    /// # Errors
    /// As [`Dir::replace`].
    pub fn replace_executable(&self, name: &str, bytes: &[u8]) -> Result<(), PathError> {
        let temporary = self.write_temporary(name, bytes)?;
        let mode = Mode::from_raw_mode(0o755);
        rustix::fs::fchmod(temporary.file(), mode).map_err(at("write", &self.path.join(name)))?;
        temporary.sync()?;
        temporary.publish(name, true)?;
        self.sync()
    }

    /// Copies a file of this directory durably, over an earlier copy if there is one; only the owner may read the copy.
    ///
    /// # Errors
    /// If any step fails; an earlier copy is then untouched.
    pub fn copy(&self, from: &str, to: &str) -> Result<(), PathError> {
        let (mut source, _) = self.open_file(from)?;
        let copy = self.write_temporary(to, &[])?;
        let path = || self.path.join(to);
        rustix::fs::fchmod(copy.file(), Mode::from_raw_mode(0o600)).map_err(at("write", &path()))?;
        io::copy(&mut source, &mut copy.file()).map_err(|source| PathError {
            action: "write",
            path: path(),
            source,
        })?;
        copy.sync()?;
        copy.publish(to, true)?;
        self.sync()
    }

    /// Removes a file; that it was gone already is no error.
    ///
    /// # Errors
    /// If it is there and cannot be removed.
    pub fn remove(&self, name: &str) -> Result<(), PathError> {
        match rustix::fs::unlinkat(&self.fd, name, AtFlags::empty()) {
            Ok(()) | Err(rustix::io::Errno::NOENT) => Ok(()),
            // said of what is not there, too
            Err(rustix::io::Errno::ROFS) if self.entry(name)?.is_none() => Ok(()),
            Err(errno) => Err(at("remove", &self.path.join(name))(errno)),
        }
    }

    /// Renames a file within the directory, never over another: `AlreadyExists` if something has the new name.
    ///
    /// # Errors
    /// If there is something of that name, or the file system refuses.
    pub fn rename_new(&self, from: &str, to: &str) -> Result<(), PathError> {
        temporary::rename_new(self, from, to).map_err(|errno| at("rename", &self.path.join(from))(errno))
    }

    /// Renames a file within the directory; an existing one of the new name is replaced.
    ///
    /// # Errors
    /// If the file system refuses.
    pub fn rename(&self, from: &str, to: &str) -> Result<(), PathError> {
        rustix::fs::renameat(&self.fd, from, &self.fd, to).map_err(at("rename", &self.path.join(from)))
    }

    /// Makes the directory's entries durable.
    ///
    /// # Errors
    /// If the disk does not take them.
    pub fn sync(&self) -> Result<(), PathError> {
        rustix::fs::fsync(&self.fd).map_err(at("sync", &self.path))
    }

    /// Makes everything on the directory's file system durable: one call for many files.
    ///
    /// # Errors
    /// If the disk does not take it.
    pub fn sync_file_system(&self) -> Result<(), PathError> {
        #[cfg(target_os = "linux")]
        rustix::fs::syncfs(&self.fd).map_err(at("sync", &self.path))?;
        #[cfg(not(target_os = "linux"))]
        rustix::fs::sync();
        Ok(())
    }

    /// Sets the directory's time of the last change, in seconds and nanoseconds.
    ///
    /// # Errors
    /// If it cannot be set.
    pub fn set_modified(&self, (seconds, nanoseconds): (i64, u32)) -> Result<(), PathError> {
        let omit = rustix::fs::Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_OMIT };
        let modified = rustix::fs::Timespec { tv_sec: seconds, tv_nsec: nanoseconds.into() };
        let times = Timestamps { last_access: omit, last_modification: modified };
        rustix::fs::futimens(&self.fd, &times).map_err(at("touch", &self.path))
    }

    /// The file system's own present time, taken by touching a file: the clock that its time stamps come from.
    ///
    /// # Errors
    /// If the file cannot be touched.
    pub fn touch(&self, file: &File, name: &str) -> Result<(i64, u32), PathError> {
        let now = rustix::fs::Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_NOW };
        let times = Timestamps { last_access: now, last_modification: now };
        rustix::fs::futimens(file.as_fd(), &times)
            .and_then(|()| rustix::fs::fstat(file.as_fd()))
            .map(|stat| FileStat::of(&stat).modified)
            .map_err(at("touch", &self.path.join(name)))
    }
}

/// Reads a file that the user named, as [`Dir::read`]; links in its path are the user's own and are followed.
///
/// # Errors
/// If it is missing, anything but a regular file, or cannot be read.
pub fn read(path: &Path, limit: u64) -> Result<Vec<u8>, PathError> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let fd = rustix::fs::open(path, flags, Mode::empty()).map_err(at("open", path))?;
    let stat = rustix::fs::fstat(&fd).map_err(at("read", path))?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        let source = io::Error::other("it is not a regular file");
        return Err(PathError { action: "open", path: path.to_owned(), source });
    }
    let size = u64::try_from(stat.st_size).unwrap_or_default();
    let mut bytes = Vec::with_capacity(usize::try_from(size.min(limit) + 1).unwrap_or_default());
    let read = File::from(fd).take(limit + 1).read_to_end(&mut bytes);
    read.map_err(|source| PathError { action: "read", path: path.to_owned(), source })?;
    Ok(bytes)
}

/// What the file system says of a file that the user or another program named; links are followed.
///
/// # Errors
/// If it is missing or cannot be reached.
pub fn stat(path: &Path) -> Result<FileStat, PathError> {
    rustix::fs::stat(path).map(|stat| FileStat::of(&stat)).map_err(at("read", path))
}

/// Writes over a file that the caller names, in place and not atomically: for another program's temporary file.
///
/// # Errors
/// If it is missing or cannot be written.
pub fn overwrite(path: &Path, bytes: &[u8]) -> Result<(), PathError> {
    let fd = rustix::fs::open(path, OFlags::WRONLY | OFlags::TRUNC | OFlags::CLOEXEC, Mode::empty());
    let written = File::from(fd.map_err(at("open", path))?).write_all(bytes);
    written.map_err(|source| PathError { action: "write", path: path.to_owned(), source })
}

fn at(action: &'static str, path: &Path) -> impl FnOnce(rustix::io::Errno) -> PathError {
    let path = path.to_owned();
    move |errno| PathError { action, path, source: errno.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn temp() -> (tempfile::TempDir, Dir) {
        let folder = tempfile::tempdir().unwrap();
        let dir = Dir::open(folder.path()).unwrap();
        (folder, dir)
    }

    #[test]
    fn links_and_fifos_are_never_opened() {
        let (folder, dir) = temp();
        std::os::unix::fs::symlink("/etc/hostname", folder.path().join("link")).unwrap();
        std::os::unix::fs::symlink("/etc", folder.path().join("dirlink")).unwrap();
        rustix::fs::mknodat(&dir.fd, "fifo", FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
        assert!(dir.open_file("link").unwrap_err().to_string().contains("symbolic link"));
        assert!(dir.open_dir("dirlink").unwrap_err().to_string().contains("symbolic link"));
        assert!(dir.open_private("link").is_err());
        assert!(dir.open_file("fifo").unwrap_err().to_string().contains("not a regular file"));
        assert_eq!(dir.entry("link").unwrap(), Some(Entry::Symlink));
        assert_eq!(dir.entry("fifo").unwrap(), Some(Entry::Special));
        assert_eq!(dir.entry("none").unwrap(), None);
    }

    #[test]
    fn a_temporary_file_replaces_only_when_it_may_and_leaves_nothing_behind() {
        let (_folder, dir) = temp();
        dir.replace("a", b"one").unwrap();
        let error = dir.write_temporary("a", b"two").unwrap().publish("a", false).unwrap_err();
        assert_eq!(error.source.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(dir.read("a", 10).unwrap().0, b"one");
        dir.replace("a", b"two").unwrap();
        assert_eq!(dir.read("a", 2).unwrap().0, b"two", "one byte past the limit tells that there is more");
        assert_eq!(dir.names().unwrap(), ["a"]);
    }
}

//! A temporary file and its publication under a name.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::fs::{AtFlags, FlockOperation, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

use super::{Dir, Entry, FileStat, PathError, at};

/// Tells the temporary files of this process apart.
static NUMBER: AtomicU32 = AtomicU32::new(0);

/// A temporary file that is open, removed when dropped unless published.
#[derive(Debug)]
pub struct Temporary<'a> {
    file: File,
    written: Written<'a>,
}

/// A temporary file that is written and closed, removed when dropped unless published. Of these there may be thousands,
/// where a process may have 256 files open.
#[derive(Debug)]
pub struct Written<'a> {
    dir: &'a Dir,
    name: String,
    published: bool,
}

/// As much of a file's name as goes into that of its temporary file: with all that stands around it, that one must stay
/// within the 255 bytes that file systems allow, though a branch may bring names that use up all of them.
fn beginning(name: &str) -> &str {
    const MAX: usize = 200;
    let ends = name.char_indices().map(|(at, letter)| at + letter.len_utf8());
    let end = ends.take_while(|end| *end <= MAX).last().unwrap_or(0);
    &name[..end]
}

/// Renames a file where nothing has the new name.
pub(super) fn rename_new(dir: &Dir, from: &str, to: &str) -> Result<(), Errno> {
    match rustix::fs::renameat_with(&dir.fd, from, &dir.fd, to, RenameFlags::NOREPLACE) {
        // file systems without that flag: a hard link does not replace either
        Err(Errno::INVAL | Errno::NOSYS) => rustix::fs::linkat(&dir.fd, from, &dir.fd, to, AtFlags::empty())
            .and_then(|()| rustix::fs::unlinkat(&dir.fd, from, AtFlags::empty())),
        renamed => renamed,
    }
}

impl<'a> Temporary<'a> {
    /// Makes its content durable.
    ///
    /// # Errors
    /// If the disk does not take it.
    pub fn sync(&self) -> Result<(), PathError> {
        self.file.sync_data().map_err(|source| PathError { action: "sync", path: self.written.path(), source })
    }

    /// Closes it.
    #[must_use]
    pub fn close(self) -> Written<'a> {
        self.written
    }

    /// What the file system says of it; while it is new, its times are the file system's own present.
    ///
    /// # Errors
    /// If the file system does not answer.
    pub fn stat(&self) -> Result<FileStat, PathError> {
        let stat = rustix::fs::fstat(&self.file).map_err(|errno| at("read", &self.written.path())(errno))?;
        Ok(FileStat::of(&stat))
    }

    /// It, open for writing.
    #[must_use]
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Lets whoever may use its directory read and write it.
    ///
    /// # Errors
    /// As [`Dir::share`].
    pub fn share(&self) -> Result<(), PathError> {
        self.written.dir.share(&self.written.name)
    }

    /// Locks it until it is dropped or its process ends, so that [`Dir::remove_abandoned`] leaves it alone. Where the file
    /// system has no locks, that the process runs protects it.
    pub fn hold(&self) {
        let _ = rustix::fs::flock(&self.file, FlockOperation::NonBlockingLockExclusive);
    }

    /// Opens it once more, for reading.
    ///
    /// # Errors
    /// If it cannot be opened.
    pub fn read_back(&self) -> Result<File, PathError> {
        self.written.dir.open_file(&self.written.name).map(|(file, _)| file)
    }

    /// Gives it its name; see [`Written::publish`].
    ///
    /// # Errors
    /// As [`Written::publish`].
    pub fn publish(self, name: &str, replace: bool) -> Result<(), PathError> {
        self.written.publish(name, replace)
    }
}

impl Written<'_> {
    fn path(&self) -> PathBuf {
        self.dir.path.join(&self.name)
    }

    /// Makes its content durable.
    ///
    /// # Errors
    /// If it cannot be opened again, or the disk does not take it.
    pub fn sync(&self) -> Result<(), PathError> {
        let (file, _) = self.dir.open_file(&self.name)?;
        file.sync_data().map_err(|source| PathError { action: "sync", path: self.path(), source })
    }

    /// Gives it its name: over the file of that name if `replace`, else only where there is none.
    ///
    /// # Errors
    /// `AlreadyExists` if it may not replace and something is there; the temporary file is then removed.
    pub fn publish(mut self, name: &str, replace: bool) -> Result<(), PathError> {
        let fd = &self.dir.fd;
        let to = || self.dir.path.join(name);
        if replace {
            rustix::fs::renameat(fd, &self.name, fd, name).map_err(|errno| at("write", &to())(errno))?;
        } else {
            rename_new(self.dir, &self.name, name).map_err(|errno| at("write", &to())(errno))?;
        }
        self.published = true;
        Ok(())
    }
}

impl Dir {
    /// Writes a temporary file beside `name`, not yet synced; see [`Temporary::publish`].
    ///
    /// # Errors
    /// If it cannot be written, by lack of room or permission.
    pub fn write_temporary(&self, name: &str, bytes: &[u8]) -> Result<Temporary<'_>, PathError> {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let temporary = format!(".{}.tmp-{}-{number}", beginning(name), std::process::id());
        let path = self.path.join(&temporary);
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd =
            rustix::fs::openat(&self.fd, &temporary, flags, Mode::from_raw_mode(0o666)).map_err(at("create", &path))?;
        let written = Written { dir: self, name: temporary, published: false };
        let guard = Temporary { file: File::from(fd), written };
        (&guard.file).write_all(bytes).map_err(|source| PathError { action: "write", path, source })?;
        Ok(guard)
    }

    /// As [`Dir::write_temporary`], for a file that nobody but its owner may read.
    ///
    /// # Errors
    /// As [`Dir::write_temporary`].
    pub fn write_private_temporary(&self, name: &str, bytes: &[u8]) -> Result<Temporary<'_>, PathError> {
        let temporary = self.write_temporary(name, &[])?;
        let path = || self.path.join(name);
        // before anything is in it
        rustix::fs::fchmod(&temporary.file, Mode::from_raw_mode(0o600)).map_err(|errno| at("write", &path())(errno))?;
        (&temporary.file).write_all(bytes).map_err(|source| PathError { action: "write", path: path(), source })?;
        Ok(temporary)
    }

    /// As [`Dir::rewrite`], but the temporary file is made in another folder of the same file system: for a folder in which
    /// what a killed process leaves would be in somebody's way. Where the two are of different file systems, it is made
    /// beside the file after all.
    ///
    /// # Errors
    /// As [`Dir::replace`].
    pub fn rewrite_by_way_of(&self, aside: &Self, name: &str, bytes: &[u8]) -> Result<(), PathError> {
        let temporary = aside.write_temporary(name, bytes)?;
        if let Ok(stat) = rustix::fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
            let mode = Mode::from_raw_mode(stat.st_mode & 0o777);
            rustix::fs::fchmod(&temporary.file, mode).map_err(at("write", &self.path.join(name)))?;
        }
        temporary.sync()?;
        let mut written = temporary.close();
        match rustix::fs::renameat(&aside.fd, &written.name, &self.fd, name) {
            Ok(()) => written.published = true,
            Err(Errno::XDEV) => return self.rewrite(name, bytes),
            Err(errno) => return Err(at("write", &self.path.join(name))(errno)),
        }
        self.sync()
    }

    /// Removes what killed processes left of temporary files for a name. One of a process that still writes is taken from
    /// it, which then fails: whoever calls this holds the lock of those who write it, or knows that there are none.
    pub fn sweep(&self, name: &str) {
        let beginning = format!(".{name}.tmp-");
        for left in self.names().unwrap_or_default().iter().filter(|left| left.starts_with(&beginning)) {
            // if it cannot be removed, it is nobody's loss
            let _ = self.remove(left);
        }
    }

    /// Removes what killed processes left of temporary files for a name, in a folder that may be anybody's: regular files
    /// of exactly such a name whose process is gone and that nobody [holds](Temporary::hold). A process of another
    /// container, which cannot be seen from here, holds what it writes.
    pub fn remove_abandoned(&self, name: &str) {
        for left in self.names().unwrap_or_default() {
            if is_temporary_of(&left, name) && maker(&left).is_some_and(|pid| pid > 0 && !is_running(pid)) {
                // if it cannot be removed, it is nobody's loss
                let _ = self.remove_unheld(&left);
            }
        }
    }

    fn remove_unheld(&self, name: &str) -> Result<(), PathError> {
        let Some(Entry::File(stat)) = self.entry(name)? else { return Ok(()) };
        let file = self.open_existing(name)?;
        let path = self.path.join(name);
        let is_same = rustix::fs::fstat(&file).is_ok_and(|opened| opened.st_ino == stat.inode);
        rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).map_err(at("lock", &path))?;
        if is_same { self.remove(name) } else { Ok(()) }
    }
}

/// Whether a name is one that [`Dir::write_temporary`] gives.
#[must_use]
pub fn is_temporary(name: &OsStr) -> bool {
    name.to_str().is_some_and(|name| name.starts_with('.') && name.contains(".tmp-"))
}

/// Whether a name is exactly of the form that [`Dir::write_temporary`] gives to a temporary file for another name.
fn is_temporary_of(left: &str, name: &str) -> bool {
    let is_number = |digits: &str| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let rest = left.strip_prefix('.').and_then(|rest| rest.strip_prefix(beginning(name))?.strip_prefix(".tmp-"));
    rest.and_then(|rest| rest.split_once('-')).is_some_and(|(pid, number)| is_number(pid) && is_number(number))
}

/// The process that made a file under a temporary name, which ends with its number, or with that and one of the file.
pub(crate) fn maker(name: &str) -> Option<i32> {
    let (_, pid) = name.rsplit_once(".tmp-")?;
    pid.split('-').next()?.parse().ok()
}

/// Whether a process of that number runs, as far as can be seen from here.
#[must_use]
pub fn is_running(pid: i32) -> bool {
    let Some(pid) = rustix::process::Pid::from_raw(pid) else { return false };
    rustix::process::test_kill_process(pid) != Err(Errno::SRCH)
}

impl Drop for Written<'_> {
    fn drop(&mut self) {
        if !self.published {
            // the file is nobody's; a later export sweeps what could not be removed
            let _ = self.dir.remove(&self.name);
        }
    }
}

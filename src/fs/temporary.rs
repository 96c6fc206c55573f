//! A temporary file and its publication under a name.

use std::fs::File;
use std::io::Write as _;

use rustix::fs::{AtFlags, Mode, RenameFlags};
use rustix::io::Errno;

use super::{Dir, PathError, at};

/// A temporary file, removed when dropped unless published.
#[derive(Debug)]
pub struct Temporary<'a> {
    pub(super) dir: &'a Dir,
    pub(super) name: String,
    pub(super) file: File,
    pub(super) published: bool,
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

impl Temporary<'_> {
    /// Makes its content durable.
    ///
    /// # Errors
    /// If the disk does not take it.
    pub fn sync(&self) -> Result<(), PathError> {
        let path = || self.dir.path.join(&self.name);
        self.file.sync_data().map_err(|source| PathError { action: "sync", path: path(), source })
    }

    /// It, open for writing.
    #[must_use]
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Opens it once more, for reading.
    ///
    /// # Errors
    /// If it cannot be opened.
    pub fn read_back(&self) -> Result<File, PathError> {
        self.dir.open_file(&self.name).map(|(file, _)| file)
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
}

impl Drop for Temporary<'_> {
    fn drop(&mut self) {
        if !self.published {
            // the file is nobody's; a later export sweeps what could not be removed
            let _ = self.dir.remove(&self.name);
        }
    }
}

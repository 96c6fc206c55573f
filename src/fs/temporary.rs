//! A temporary file and its publication under a name.

use std::fs::File;

use rustix::fs::{AtFlags, RenameFlags};

use super::{Dir, PathError, at};

/// A temporary file, removed when dropped unless published.
#[derive(Debug)]
pub struct Temporary<'a> {
    pub(super) dir: &'a Dir,
    pub(super) name: String,
    pub(super) file: File,
    pub(super) published: bool,
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
            match rustix::fs::renameat_with(fd, &self.name, fd, name, RenameFlags::NOREPLACE) {
                Ok(()) => {}
                // file systems without that flag: a hard link does not replace either
                Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => {
                    rustix::fs::linkat(fd, &self.name, fd, name, AtFlags::empty())
                        .and_then(|()| rustix::fs::unlinkat(fd, &self.name, AtFlags::empty()))
                        .map_err(|errno| at("write", &to())(errno))?;
                }
                Err(errno) => return Err(at("write", &to())(errno)),
            }
        }
        self.published = true;
        Ok(())
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

//! Settings files: where they are, reading one whole, changing one setting in one.
//!
//! The project's file comes with branches, so it is opened beneath the root and never through a link. The user's own
//! may be a link. Either is a regular file of at most [`MAX_BYTES`] bytes. A change replaces the file atomically, one
//! process at a time; an editor that saves in the same instant may still win or lose.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::db::gate::{Gate, GateError};
use crate::fs::{self, Dir, Entry, PathError};
use crate::project::{FOLDERS, Project};
use crate::schema::settings::edit::{self, EditError};
use crate::schema::settings::{FileError, Key, Layer, MAX_BYTES, Settings, Shown};

/// The name of a settings file, within the state folder and within `~/.oxi`.
pub const FILE: &str = "settings.toml";

/// Which settings file.
#[derive(Clone, Copy, Debug)]
pub enum Place<'a> {
    /// The user's, in this home directory.
    Global(&'a Path),
    /// A project's.
    Project(&'a Project),
}

/// Why a settings file could not be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// Something in it is wrong.
    #[error("{file}:{}: {error}", error.line)]
    File {
        /// The file, as [`Place::name`] gives it.
        file: String,
        /// What, and where.
        error: FileError,
    },
    /// It is no regular file; in a project it may not be a link to one either.
    #[error("{file} is not a regular file")]
    NotAFile {
        /// The file.
        file: String,
    },
    /// It is longer than [`MAX_BYTES`].
    #[error("{file} has more than {MAX_BYTES} bytes")]
    TooLong {
        /// The file.
        file: String,
    },
    /// It is not UTF-8.
    #[error("{file}:{line}: this is not UTF-8")]
    NotText {
        /// The file.
        file: String,
        /// The line.
        line: usize,
    },
    /// The setting cannot be changed by a program.
    #[error("{file}: {key} cannot be changed without touching something else in the file")]
    ByHand {
        /// The file.
        file: String,
        /// The setting.
        key: Key,
    },
    /// Another process was changing it for too long.
    #[error(transparent)]
    Gate(#[from] GateError),
    /// It could not be read or written.
    #[error(transparent)]
    Path(#[from] PathError),
}

impl Place<'_> {
    /// Its layer.
    #[must_use]
    pub const fn layer(self) -> Layer {
        match self {
            Self::Global(_) => Layer::Global,
            Self::Project(_) => Layer::Project,
        }
    }

    /// The file relative to the home directory or the project: `~/.oxi/settings.toml`, `.oxi/settings.toml`.
    #[must_use]
    pub fn name(self) -> String {
        match self {
            Self::Global(_) => format!("~/{}/{FILE}", FOLDERS[0]),
            Self::Project(project) => project.state_path(FILE),
        }
    }

    /// The text of the file; none if there is no file.
    ///
    /// # Errors
    /// See [`SettingsError`].
    pub fn read(self) -> Result<Option<String>, SettingsError> {
        let limit = MAX_BYTES as u64;
        let (read, what) = match self {
            Self::Global(home) => (fs::read(&home.join(FOLDERS[0]).join(FILE), limit), None),
            Self::Project(project) => {
                let read = project.state().read(FILE, limit).map(|(bytes, _)| bytes);
                let what = if read.is_err() { project.state().entry(FILE)? } else { None };
                (read, what)
            }
        };
        let bytes = match read {
            Ok(bytes) => bytes,
            Err(error) if is_absent(&error) => return Ok(None),
            Err(_) if what.is_some_and(|entry| !matches!(entry, Entry::File(_))) => {
                return Err(SettingsError::NotAFile { file: self.name() });
            }
            // what the function above says of a device, and of a folder where reading fails
            Err(error) if error.source.raw_os_error().is_none() => {
                return Err(SettingsError::NotAFile { file: self.name() });
            }
            Err(error) => return Err(error.into()),
        };
        if bytes.len() > MAX_BYTES {
            return Err(SettingsError::TooLong { file: self.name() });
        }
        String::from_utf8(bytes).map(Some).map_err(|error| {
            let before = String::from_utf8_lossy(&error.as_bytes()[..error.utf8_error().valid_up_to()]);
            let line = before.matches('\n').count() + 1;
            SettingsError::NotText { file: self.name(), line }
        })
    }

    /// Lays the settings of the file over others. Does nothing if there is no file.
    ///
    /// # Errors
    /// See [`SettingsError`].
    pub fn apply(self, settings: &mut Settings) -> Result<(), SettingsError> {
        let Some(text) = self.read()? else { return Ok(()) };
        settings.set_file(&text, self.layer()).map_err(|error| SettingsError::File { file: self.name(), error })
    }

    /// Sets a key in the file, which is made if it is missing, or takes it out if there is no value. All else in the
    /// file stays byte for byte. Says whether anything was to be done.
    ///
    /// # Errors
    /// See [`SettingsError`]; the file is then what it was.
    pub fn change(self, key: Key, value: &Shown, timeout: Duration) -> Result<bool, SettingsError> {
        if *value == Shown::Nothing && self.read()?.is_none() {
            return Ok(false);
        }
        let (dir, name) = self.folder()?;
        let _gate = Gate::settings(&dir, timeout)?;
        dir.sweep(&name);
        let before = self.read()?.unwrap_or_default();
        let after = edit::edit(&before, key, value).map_err(|error| match error {
            EditError::File(error) => SettingsError::File { file: self.name(), error },
            EditError::ByHand(key) => SettingsError::ByHand { file: self.name(), key },
        })?;
        let Some(after) = after else { return Ok(false) };
        if after.len() > MAX_BYTES {
            return Err(SettingsError::TooLong { file: self.name() });
        }
        dir.rewrite(&name, after.as_bytes())?;
        Ok(true)
    }

    /// The folder that the file is in, made if it is missing, and the file's name there. Where the user's own file is a
    /// link, that is where it leads to.
    fn folder(self) -> Result<(Arc<Dir>, String), SettingsError> {
        let home = match self {
            Self::Project(project) => return Ok((Arc::clone(project.state()), FILE.to_owned())),
            Self::Global(home) => home,
        };
        let folder = home.join(FOLDERS[0]);
        std::fs::create_dir_all(&folder).map_err(|source| PathError {
            action: "create",
            path: folder.clone(),
            source,
        })?;
        let path = folder.join(FILE);
        let path = path.canonicalize().unwrap_or(path);
        match (path.parent(), path.file_name().and_then(|name| name.to_str())) {
            (Some(parent), Some(name)) => Ok((Arc::new(Dir::open(parent)?), name.to_owned())),
            _ => Err(SettingsError::NotAFile { file: self.name() }),
        }
    }
}

/// Whether there is no such file: nothing of that name, or no folder that it could be in.
fn is_absent(error: &PathError) -> bool {
    matches!(error.source.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory)
}

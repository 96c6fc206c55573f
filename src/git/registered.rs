//! Where git looks for hooks, drivers and attributes, and the one thing that is ever changed there: keys of the clone's
//! own configuration.

use std::path::{Path, PathBuf};

use super::{Git, GitError};

impl Git {
    /// The folder that git takes hooks from: `core.hooksPath`, from whatever configuration it comes, else `hooks` in the
    /// common directory.
    ///
    /// # Errors
    /// If git cannot be run.
    pub fn hooks_folder(&self) -> Result<PathBuf, GitError> {
        let arguments = ["config", "--type=path", "--get", "core.hooksPath"];
        let set = Self::ask(&self.top, "where its hooks are", &arguments)?.filter(|path| !path.is_empty());
        // a relative one is relative to where hooks run
        Ok(set.map_or_else(|| self.common_dir().join("hooks"), |path| self.top.join(path)))
    }

    /// A key of the clone's own configuration.
    ///
    /// # Errors
    /// If git cannot be run.
    pub fn local_config(&self, key: &str) -> Result<Option<String>, GitError> {
        Self::ask(&self.top, "what is configured", &["config", "--local", "--get", key])
    }

    /// Sets a key of the clone's own configuration.
    ///
    /// # Errors
    /// If git cannot be run or refuses, for instance because another process has the configuration.
    pub fn set_local_config(&self, key: &str, value: &str) -> Result<(), GitError> {
        Self::run(&self.top, "that the key was set", &["config", "--local", key, value]).map(|_| ())
    }

    /// Takes a key out of the clone's own configuration.
    ///
    /// # Errors
    /// If git cannot be run or refuses; that the key was not there is no error.
    pub fn unset_local_config(&self, key: &str) -> Result<(), GitError> {
        if self.local_config(key)?.is_none() {
            return Ok(());
        }
        Self::run(&self.top, "that the key was taken out", &["config", "--local", "--unset-all", key]).map(|_| ())
    }

    /// The merge attribute of a path given from the top; none if nothing sets it.
    ///
    /// # Errors
    /// If git cannot be run.
    pub fn merge_attribute(&self, path: &str) -> Result<Option<String>, GitError> {
        let output = Self::run(&self.top, "which driver merges a file", &["check-attr", "-z", "merge", "--", path])?;
        let value = output.split(|&byte| byte == 0).nth(2).map(|value| String::from_utf8_lossy(value).into_owned());
        Ok(value.filter(|value| value != "unspecified"))
    }

    /// The project's directory from the top, with slashes and without one at the end; empty for the top itself.
    #[must_use]
    pub fn prefix(&self, root: &Path) -> String {
        let prefix = root.strip_prefix(&self.top).unwrap_or(Path::new(""));
        prefix.to_string_lossy().into_owned()
    }

    /// What git prints, without the line end; none if it says that there is nothing.
    fn ask(root: &Path, question: &'static str, arguments: &[&str]) -> Result<Option<String>, GitError> {
        let output = Self::command(root, arguments).output().map_err(|error| GitError::of_start(question, &error))?;
        if output.status.code() == Some(1) {
            return Ok(None);
        }
        let text = super::output(Ok(output), question)?;
        Ok(Some(String::from_utf8_lossy(&text).trim_end_matches('\n').to_owned()))
    }
}

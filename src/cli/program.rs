//! Finding the program that a command line names, before anything is stored for it.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};

use super::error::{CliError, CliResult, Code};

/// The program of a name: itself if it holds a slash, else the first one that can be executed in the directories of
/// `path` (an empty one is the current directory).
pub(super) fn resolve(name: &OsStr, path: Option<&OsStr>) -> CliResult<PathBuf> {
    let shown = name.to_string_lossy();
    let missing = || {
        CliError::new(Code::NotFound, format!("no command {shown:?} was found"))
            .hint("is it spelled right and in PATH? nothing was begun")
            .detail("command", &shown)
    };
    let unusable = |path: &Path| {
        CliError::new(Code::Error, format!("{} cannot be executed", path.display()))
            .hint("is it a program, and executable (chmod +x)? nothing was begun")
            .detail("command", &shown)
    };
    if name.is_empty() {
        return Err(missing());
    }
    if name.as_encoded_bytes().contains(&b'/') {
        let path = PathBuf::from(name);
        return match look(&path) {
            Candidate::Program => Ok(path),
            Candidate::Other => Err(unusable(&path)),
            Candidate::None => Err(missing()),
        };
    }
    let mut first_unusable = None;
    for folder in std::env::split_paths(path.unwrap_or_else(|| OsStr::new("/bin:/usr/bin"))) {
        let candidate = if folder.as_os_str().is_empty() { Path::new(".").join(name) } else { folder.join(name) };
        match look(&candidate) {
            Candidate::Program => return Ok(candidate),
            Candidate::Other => first_unusable = first_unusable.or(Some(candidate)),
            Candidate::None => {}
        }
    }
    Err(first_unusable.map_or_else(missing, |path| unusable(&path)))
}

/// A program that is there could not be started.
pub(super) fn not_started(program: &Path, error: &std::io::Error) -> CliError {
    let code = if error.kind() == std::io::ErrorKind::NotFound { Code::NotFound } else { Code::Error };
    CliError::new(code, format!("cannot run {}: {error}", program.display()))
        .hint("is it a program of this machine, and the interpreter in its first line there? nothing was begun")
}

enum Candidate {
    Program,
    /// A directory, or not executable.
    Other,
    None,
}

fn look(path: &Path) -> Candidate {
    match path.metadata() {
        Ok(metadata) if metadata.is_file() && access(path, Access::EXEC_OK).is_ok() => Candidate::Program,
        Ok(_) => Candidate::Other,
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => Candidate::Other,
        Err(_) => Candidate::None,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn the_first_program_in_the_path_is_found_and_what_cannot_run_is_told_from_what_is_missing() {
        let temp = tempfile::tempdir().unwrap();
        for (folder, name, mode) in [("a", "plain", 0o644), ("b", "plain", 0o755), ("a", "data", 0o644)] {
            let folder = temp.path().join(folder);
            std::fs::create_dir_all(&folder).unwrap();
            let file = std::fs::File::create(folder.join(name)).unwrap();
            file.set_permissions(std::fs::Permissions::from_mode(mode)).unwrap();
        }
        std::fs::create_dir(temp.path().join("a/folder")).unwrap();
        let path = std::env::join_paths([temp.path().join("a"), temp.path().join("b")]).unwrap();
        let find = |name: &str| resolve(OsStr::new(name), Some(&path)).map_err(|error| error.code);
        assert_eq!(find("plain"), Ok(temp.path().join("b/plain")));
        assert_eq!((find("data"), find("folder")), (Err(Code::Error), Err(Code::Error)));
        assert_eq!((find("nothing"), find("")), (Err(Code::NotFound), Err(Code::NotFound)));
        let direct = |name: &str| find(temp.path().join(name).to_str().unwrap());
        assert_eq!(direct("b/plain"), Ok(temp.path().join("b/plain")));
        assert_eq!((direct("a/plain"), direct("a")), (Err(Code::Error), Err(Code::Error)));
        assert_eq!((direct("a/none"), find("./nothing/x")), (Err(Code::NotFound), Err(Code::NotFound)));
    }
}

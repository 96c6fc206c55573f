//! What is kept of a path: what lies in the project or at home, and no more than that.
//!
//! A path from a file is compared as text; nothing is opened here, only asked for.

use std::path::{Component, Path, PathBuf};

use crate::schema::id::{ContentHash, is_deceptive};
use crate::schema::privacy::{self, Policy};
use crate::schema::session::{Source, is_name};

/// Longest path that is kept, in bytes.
const MAX_PATH: usize = 1024;

/// The project's root and the home folder, each as it was named and as it is without links.
#[derive(Clone, Debug)]
pub struct Places {
    root: Vec<PathBuf>,
    home: Vec<PathBuf>,
}

impl Places {
    /// Of a project and a home, if there is one.
    #[must_use]
    pub fn new(root: &Path, home: Option<&Path>) -> Self {
        let spellings = |path: &Path| {
            let real = path.canonicalize().ok().filter(|real| real != path);
            std::iter::once(path.to_owned()).chain(real).collect()
        };
        Self { root: spellings(root), home: home.map(spellings).unwrap_or_default() }
    }

    /// A session file's path as it is kept: from the root, else from home, else its name; a hash of what cannot be shown.
    pub(in crate::import) fn kept(&self, path: &Path) -> String {
        let from_root = || beneath(&self.root, path).and_then(Path::to_str).map(str::to_owned);
        let from_home = || beneath(&self.home, path).and_then(Path::to_str).map(|path| format!("~/{path}"));
        let name = || path.file_name().and_then(|name| name.to_str()).map(str::to_owned);
        let fit = |path: &String| path.len() <= MAX_PATH && !path.chars().any(is_deceptive) && is_clean(path);
        let hash = || format!("#{}", ContentHash::of(path.as_os_str().as_encoded_bytes()));
        from_root().or_else(from_home).filter(fit).or_else(|| name().filter(fit)).unwrap_or_else(hash)
    }

    /// Whether a file is still where its path, as it was kept, says.
    #[must_use]
    pub fn is_there(&self, kept: &str) -> bool {
        let folders = if kept.starts_with("~/") { &self.home } else { &self.root };
        let beneath = kept.strip_prefix("~/").unwrap_or(kept);
        folders.iter().any(|folder| folder.join(beneath).is_file())
    }

    /// A text that is the path of something in the project or at home, without telling where those are; none for any
    /// other text.
    pub(in crate::import) fn shortened(&self, text: &str) -> Option<String> {
        let path = Path::new(text);
        let from = |folders, place: &str| {
            let rest = beneath(folders, path).and_then(Path::to_str)?;
            Some(if rest.is_empty() { place.to_owned() } else { format!("{place}/{rest}") })
        };
        path.is_absolute().then(|| from(&self.root, ".").or_else(|| from(&self.home, "~")))?
    }

    /// What stands for a file wherever it is: its path from the root, else from home, else a hash of its path. No two
    /// files share it.
    #[must_use]
    pub fn key(&self, path: &Path) -> String {
        let text = |path: &Path| path.to_str().map(str::to_owned);
        let plain = |path: &String| !path.starts_with(['~', '#']);
        let from_root = beneath(&self.root, path).and_then(text).filter(plain);
        let from_home = || beneath(&self.home, path).and_then(text).map(|path| format!("~/{path}"));
        let fit = |path: &String| path.len() <= MAX_PATH && !path.chars().any(is_deceptive) && is_clean(path);
        let hash = || format!("#{}", ContentHash::of(path.as_os_str().as_encoded_bytes()));
        from_root.or_else(from_home).filter(fit).unwrap_or_else(hash)
    }

    /// Where a session worked, and whether that is in the project. A folder of the project whose path is no name is
    /// hashed as one elsewhere is.
    pub(super) fn project(&self, cwd: &str) -> (Option<String>, bool) {
        let cwd = if cwd.len() > 1 { cwd.trim_end_matches('/') } else { cwd };
        if cwd.is_empty() {
            return (None, false);
        }
        let hash = || format!("#{}", ContentHash::of(cwd.as_bytes()));
        let path = Path::new(cwd);
        let Some(beneath) = beneath(&self.root, path) else { return (Some(hash()), false) };
        let beneath = match beneath.to_str() {
            Some("") => ".".into(),
            Some(path) if is_name(path) && is_clean(path) => path.to_owned(),
            _ => hash(),
        };
        (Some(beneath), true)
    }
}

fn beneath<'p>(folders: &[PathBuf], path: &'p Path) -> Option<&'p Path> {
    let plain = !path.components().any(|component| component == Component::ParentDir);
    folders.iter().find_map(|folder| path.strip_prefix(folder).ok()).filter(|_| plain)
}

/// Whether a text holds nothing that looks like a secret.
pub(in crate::import) fn is_clean(text: &str) -> bool {
    privacy::check(text, &Policy::default()).is_ok()
}

/// Whose file it is, by the innermost folder that tells.
pub(super) fn source_of(path: &Path) -> Option<Source> {
    path.parent()?.components().rev().find_map(|component| match component.as_os_str().to_str()? {
        ".oxicode" | "oxicode" => Some(Source::Oxicode),
        ".oxi" => Some(Source::Oxi),
        ".pi" => Some(Source::Pi),
        ".omp" => Some(Source::Omp),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places() -> Places {
        Places::new(Path::new("/home/ada/work"), Some(Path::new("/home/ada")))
    }

    #[test]
    fn a_file_is_kept_by_the_nearest_place_that_holds_it() {
        let kept = |path: &str| places().kept(Path::new(path));
        assert_eq!(kept("/home/ada/work/a b/s.jsonl"), "a b/s.jsonl");
        assert_eq!(kept("/home/ada/.oxi/sessions/s.jsonl"), "~/.oxi/sessions/s.jsonl");
        assert_eq!(kept("/srv/private/s.jsonl"), "s.jsonl");
        assert_eq!(kept("/home/ada/workshop/s.jsonl"), "~/workshop/s.jsonl");
        assert_eq!(kept("/srv/a\u{1b}[2J.jsonl").len(), 17, "what would steer a terminal is hashed");
    }

    #[test]
    fn a_file_elsewhere_is_known_by_a_hash() {
        let key = |path: &str| places().key(Path::new(path));
        assert_eq!(key("/home/ada/work/usage.jsonl"), "usage.jsonl");
        assert_eq!(key("/home/ada/.config/opencode-proxy/usage.jsonl"), "~/.config/opencode-proxy/usage.jsonl");
        assert_eq!(key("/home/ada/work/~/usage.jsonl"), "~/work/~/usage.jsonl");
        assert!(key("/srv/a/usage.jsonl").starts_with('#') && key("/srv/a/u").len() == 17);
        assert_ne!(key("/srv/a/usage.jsonl"), key("/srv/b/usage.jsonl"));
    }

    #[test]
    fn a_secret_in_a_path_is_not_kept() {
        let secret = ["gh", "p_", "0123456789abcdefghijABCDEFGHIJ012345"].concat();
        assert_eq!(places().kept(Path::new(&format!("/home/ada/{secret}/s.jsonl"))), "s.jsonl");
        assert!(places().kept(Path::new(&format!("/home/ada/{secret}.jsonl"))).starts_with('#'));
        let (project, here) = places().project(&format!("/home/ada/work/{secret}"));
        assert!(here && project.is_some_and(|project| project.starts_with('#')));
    }

    #[test]
    fn where_a_session_worked_is_told_only_within_the_project() {
        let project = |cwd: &str| places().project(cwd);
        assert_eq!(project("/home/ada/work/"), (Some(".".into()), true));
        assert_eq!(project("/home/ada/work/api/v2"), (Some("api/v2".into()), true));
        let (elsewhere, here) = project("/home/ada/work/../other");
        assert!(!here && elsewhere.is_some_and(|hash| hash.len() == 17 && hash.starts_with('#')));
        assert_eq!(project("/other").0, project("/other/").0);
        assert_ne!(project("/other").0, project("/others").0);
        assert_eq!(project(""), (None, false));
    }

    #[test]
    fn the_innermost_folder_tells_whose_a_file_is() {
        let source = |path: &str| source_of(Path::new(path));
        assert_eq!(source("/home/ada/.oxi/sessions/s.jsonl"), Some(Source::Oxi));
        assert_eq!(source("/home/ada/.oxi/oxicode/sessions/s.jsonl"), Some(Source::Oxicode));
        assert_eq!(source("/home/ada/oxicode/.pi/agent/s.jsonl"), Some(Source::Pi));
        assert_eq!(source("/home/ada/.omp/s.jsonl"), Some(Source::Omp));
        assert_eq!(source("/home/ada/s/.pi"), None);
    }
}

//! Who was forked from whom, and where.
//!
//! A file names its parent by a path. That becomes an id where the parent is imported together with it, can be read
//! there, or was imported before; where it can be told by none of these, the child has no parent.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};

use crate::schema::id::SessionId;
use crate::schema::session::Session;

use super::tree::Ids;
use super::{Places, SessionFile, id_in, is_shared, read, session_id};

/// Tells the parents and fork points of files that were read together. `known` are the sessions that are stored.
pub fn connect<'s>(files: &mut [SessionFile], known: impl Iterator<Item = &'s Session>, places: &Places) {
    let mut parents = Parents::new(files, known);
    for file in files {
        let Some(said) = &file.parent else { continue };
        let shared = is_shared(file.session.source);
        let Some(parent) = parents.of(&file.path, said, shared, places) else { continue };
        if parent == file.session.id {
            continue;
        }
        let fork_point = if shared {
            file.ids.as_ref().and_then(|ids| last_shared(ids, parents.ids.get(&parent)?))
        } else {
            file.first.clone()
        };
        file.session.parent = Some(parent);
        file.session.fork_point = fork_point.filter(|id| super::may_keep(id));
    }
}

/// The last entry of a child that its parent has, too.
fn last_shared(child: &Ids, parent: &HashSet<u64>) -> Option<String> {
    let index = child.hashes().iter().rposition(|hash| parent.contains(hash))?;
    child.get(index).map(str::to_owned)
}

/// What is known of those who may be parents.
struct Parents {
    by_path: HashMap<PathBuf, SessionId>,
    /// By the name of the file; none where several have it.
    by_name: HashMap<String, Option<SessionId>>,
    /// What was read at a path that a child named.
    visited: HashMap<PathBuf, Option<SessionId>>,
    /// The entries of those that share theirs with their children.
    ids: HashMap<SessionId, HashSet<u64>>,
}

impl Parents {
    fn new<'s>(files: &[SessionFile], known: impl Iterator<Item = &'s Session>) -> Self {
        let mut by_name = HashMap::new();
        let mut note = |name: &str, id: &SessionId| {
            let slot = by_name.entry(name.to_owned()).or_insert_with(|| Some(id.clone()));
            if slot.as_ref() != Some(id) {
                *slot = None;
            }
        };
        for session in known {
            if let Some(file) = &session.file {
                note(last_part(&file.path), &session.id);
            }
        }
        let wanted: HashSet<&str> = files.iter().filter_map(|file| file.parent.as_deref()).map(last_part).collect();
        let (mut by_path, mut ids) = (HashMap::new(), HashMap::new());
        for file in files {
            let id = &file.session.id;
            let name = file.path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            note(name, id);
            by_path.insert(file.path.clone(), id.clone());
            if let Some(entries) = file.ids.as_ref().filter(|_| wanted.contains(name)) {
                ids.insert(id.clone(), entries.hashes().iter().copied().collect());
            }
        }
        Self { by_path, by_name, visited: HashMap::new(), ids }
    }

    /// The parent that a file speaks of.
    fn of(&mut self, child: &Path, said: &str, shared: bool, places: &Places) -> Option<SessionId> {
        let name = last_part(said);
        let there = Path::new(said);
        let beside = child.with_file_name(name);
        if let Some(id) = self.by_path.get(there).or_else(|| self.by_path.get(&beside)) {
            return Some(id.clone());
        }
        let named = self.by_name.get(name).cloned().flatten();
        if let Some(id) = &named
            && (!shared || self.ids.contains_key(id))
        {
            return named;
        }
        for path in [there, &beside] {
            if let Some(id) = self.visit(path, shared, places) {
                return Some(id);
            }
        }
        // some name their parent by its id alone
        let is_id = name == said && there.extension().is_none();
        named.or_else(|| uuid_of(name)).or_else(|| session_id(said).filter(|_| is_id))
    }

    /// Reads the file that a child speaks of, for its id and, where they share them, those of its entries.
    fn visit(&mut self, path: &Path, shared: bool, places: &Places) -> Option<SessionId> {
        // a path from a file may be anything; only what looks like a session file is opened
        let plausible = path.is_absolute() && path.extension().is_some_and(|end| end == "jsonl");
        if !plausible {
            return None;
        }
        if let Some(id) = self.visited.get(path)
            && (!shared || id.as_ref().is_none_or(|id| self.ids.contains_key(id)))
        {
            return id.clone();
        }
        let id = if shared {
            // a file that does not begin as a session is not read to its end
            let file = id_in(path).and_then(|_| read(path, places)).ok();
            let id = file.as_ref().map(|file| file.session.id.clone());
            if let (Some(ids), Some(id)) = (file.and_then(|file| file.ids), &id) {
                self.ids.entry(id.clone()).or_insert_with(|| ids.hashes().iter().copied().collect());
            }
            id
        } else {
            id_in(path).ok()
        };
        self.visited.insert(path.to_owned(), id.clone());
        id
    }
}

/// The last part of a path of any system.
fn last_part(path: &str) -> &str {
    path.rsplit(['/', '\\']).next().unwrap_or_default()
}

/// The id in the name of a file of pi: `STAMP_UUID.jsonl`.
fn uuid_of(name: &str) -> Option<SessionId> {
    let id = name.strip_suffix(".jsonl")?.rsplit('_').next()?;
    let groups: Vec<&str> = id.split('-').collect();
    let is_uuid = groups.iter().map(|group| group.len()).eq([8, 4, 4, 4, 12])
        && groups.iter().all(|group| group.bytes().all(|byte| byte.is_ascii_hexdigit()));
    if is_uuid { session_id(id) } else { None }
}

/// The first session of each one's line, given the parent of each. A parent that is not among them is the first of its
/// line as far as is known; of sessions that are each other's parents, the one with the least id counts as the first.
#[must_use]
pub fn roots(parents: &BTreeMap<SessionId, Option<SessionId>>) -> BTreeMap<SessionId, SessionId> {
    let mut roots: BTreeMap<SessionId, SessionId> = BTreeMap::new();
    for start in parents.keys() {
        let mut way: Vec<&SessionId> = Vec::new();
        let mut on_way = HashMap::new();
        let mut here = start;
        let root = loop {
            if let Some(root) = roots.get(here) {
                break root.clone();
            }
            if let Some(first) = on_way.insert(here, way.len()) {
                break way[first..].iter().min().map_or_else(|| here.clone(), |least| (*least).clone());
            }
            way.push(here);
            match parents.get(here) {
                Some(Some(parent)) => here = parent,
                Some(None) | None => break here.clone(),
            }
        };
        for id in way {
            roots.insert(id.clone(), root.clone());
        }
    }
    roots
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roots_of(pairs: &[(&str, &str)]) -> String {
        let id = |text: &str| text.parse::<SessionId>().ok();
        let parents = pairs.iter().filter_map(|(child, parent)| Some((id(child)?, id(parent)))).collect();
        let roots = roots(&parents);
        pairs.iter().map(|(child, _)| roots[&id(child).unwrap()].to_string()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn roots_are_the_ends_of_the_lines_of_parents() {
        assert_eq!(roots_of(&[("a", ""), ("b", "a"), ("c", "b"), ("d", "gone")]), "a a a gone");
        assert_eq!(roots_of(&[("c", "b"), ("b", "a"), ("a", "")]), "a a a");
    }

    #[test]
    fn sessions_that_are_each_others_parents_agree_on_a_root() {
        assert_eq!(roots_of(&[("b", "c"), ("c", "b"), ("d", "c"), ("e", "e")]), "b b b e");
    }

    #[test]
    fn the_name_of_a_file_of_pi_tells_its_id() {
        let name = "2026-11-20T17-40-36-018Z_95fd1757-4d14-43ac-b738-b7169885caec.jsonl";
        assert_eq!(uuid_of(name).unwrap().as_str(), "95fd1757-4d14-43ac-b738-b7169885caec");
        assert_eq!(uuid_of("2026-11-20-17-40-36-018343923-00-00_95fd1757.jsonl"), None);
    }
}

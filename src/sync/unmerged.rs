//! Files that git left with conflict markers, because a merge changed them on both sides.
//!
//! git keeps both versions, and the one they come from, in its index. They are merged from there by the rules of every
//! other merge; the export then writes the result over the markers, and the person runs `git add`. A file with markers
//! that git no longer knows to be unmerged stays bad.

use crate::git::Git;
use crate::import::scan::{self, BadEntry, Baselines, ReadFile, Scan, Stages};
use crate::schema::frontmatter::{self, BadReason};
use crate::schema::id::{ContentHash, FileName, Identity};
use crate::schema::issue::Issue;

use super::plan::{is_later, without_foreign_keys};
use super::{Mirror, MirrorError};

/// What git calls the commit that it is merging, by what it is doing.
const OTHER_HEADS: [&str; 4] = ["MERGE_HEAD", "REBASE_HEAD", "CHERRY_PICK_HEAD", "stash"];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Ours,
    Theirs,
}

struct Version {
    issue: Issue,
    text: String,
}

impl Mirror<'_> {
    /// Replaces bad files with conflict markers by what git's index holds for them.
    pub(super) fn take_unmerged(&self, scan: &mut Scan, baselines: &Baselines) -> Result<(), MirrorError> {
        let fenced: Vec<_> = scan.read.iter().filter(|file| file.shows_markers).map(|file| file.name.clone()).collect();
        if fenced.is_empty() && scan.bad.iter().all(|bad| bad.marked.is_none()) {
            return Ok(());
        }
        let Some(git) = self.git() else { return Ok(()) };
        let unmerged = git.unmerged(self.project.root(), &self.project.issues_path())?;
        // markers in a code fence are git's own only if git says so
        for name in fenced.into_iter().filter(|name| unmerged.contains_key(&name.to_string())) {
            let at = scan.read.iter().position(|file| file.name == name);
            let known = baselines.of(&name);
            // those that were merged already wait for the export
            let Some(at) = at.filter(|at| known.is_none_or(|(_, known)| known.file != scan.read[*at].file)) else {
                continue;
            };
            let file = scan.read.remove(at);
            let bad = BadEntry::new(name.to_string(), None, BadReason::ConflictMarker.to_string());
            scan.bad.push(BadEntry { marked: Some(file.file), ..bad });
        }
        let (mut taken, mut singles, mut bases) = (Vec::new(), Vec::new(), Vec::new());
        for (path, stages) in &unmerged {
            let Ok(name) = FileName::parse(path) else { continue };
            let mut versions = Vec::with_capacity(3);
            for stage in stages {
                let bytes = stage.as_ref().map(|object| git.blob(self.project.root(), object)).transpose()?;
                versions.push(bytes.and_then(|bytes| read(bytes, &name, baselines)));
            }
            let marked = scan.bad.iter().find(|bad| bad.name == *path).and_then(|bad| bad.marked);
            match (&mut versions[..], marked) {
                ([base, Some(ours), Some(theirs)], Some(marked)) => {
                    taken.extend(virtual_files(&name, marked, base.take(), ours, theirs));
                }
                // a renamed file met another of that name: git puts what it merged of the renamed one, markers and all, there
                ([_, ours, theirs], Some(marked)) if stages[1].is_some() && stages[2].is_some() => {
                    let branches = Branches { mirror: self, git: &git, baselines };
                    let sides = [(Side::Ours, ours.take()), (Side::Theirs, theirs.take())].map(|(side, version)| {
                        let alone = Stages { base: None, ours: None };
                        match version {
                            Some(version) => Some(virtual_file(&name, marked, &version, alone)),
                            None => branches.renamed_onto(&name, marked, side),
                        }
                    });
                    // where one cannot be read, a person must look at both
                    if let [Some(ours), Some(theirs)] = sides {
                        taken.extend([ours, theirs]);
                    }
                }
                (_, Some(marked)) => {
                    // git puts what it merged, markers and all, into the index of both paths; the branches have the versions
                    let (side, heads): (_, &[&str]) = match stages {
                        [_, Some(_), None] => (Side::Ours, &["HEAD"]),
                        _ => (Side::Theirs, &OTHER_HEADS),
                    };
                    let at = |head: &&str| {
                        let object = format!("{head}:./{}", self.project.issue_path(path));
                        git.blob(self.project.root(), &object).ok().and_then(|bytes| read(bytes, &name, baselines))
                    };
                    let version = heads.iter().find_map(at).or_else(|| self.read_side(&name, side, baselines));
                    singles.extend(version.map(|version| (name.clone(), marked, side, version)));
                }
                ([base, ..], None) => bases.extend(base.take()),
                _ => {}
            }
        }
        taken.extend(renamed_apart(&singles, &bases));
        // the other path of an issue that was found on one of several
        for (name, marked, _, version) in &singles {
            let is_same = |file: &ReadFile| file.issue.head.identity() == version.issue.head.identity();
            if taken.iter().any(is_same) && taken.iter().all(|file| file.name != *name) {
                taken.push(virtual_file(name, *marked, version, Stages { base: None, ours: None }));
            }
        }
        scan.bad.retain(|bad| !taken.iter().any(|file| file.name.to_string() == bad.name));
        scan.read.extend(taken.into_iter().map(Box::new));
        Ok(())
    }
}

impl Mirror<'_> {
    /// One side of a file with conflict markers, where no branch has it, as in a squash or a series of patches.
    fn read_side(&self, name: &FileName, side: Side, baselines: &Baselines) -> Option<Version> {
        let dir = self.project.issues().ok().flatten()?;
        let (bytes, _) = dir.read(&name.to_string(), scan::MAX_FILE).ok()?;
        read(side_of(std::str::from_utf8(&bytes).ok()?, side)?.into_bytes(), name, baselines)
    }
}

/// A text with one side of each conflict in it; none if the markers are not in their order.
fn side_of(text: &str, side: Side) -> Option<String> {
    #[derive(PartialEq)]
    enum At {
        Both,
        Ours,
        Base,
        Theirs,
    }
    let (mut at, mut taken) = (At::Both, String::with_capacity(text.len()));
    let is_marker = |line: &str, sign: char| {
        let rest = line.trim_start_matches(sign);
        line.len() - rest.len() >= 7 && rest.chars().next().is_none_or(char::is_whitespace)
    };
    for line in text.split_inclusive('\n') {
        at = match at {
            At::Both if is_marker(line, '<') => At::Ours,
            At::Ours if is_marker(line, '|') => At::Base,
            At::Ours | At::Base if is_marker(line, '=') => At::Theirs,
            At::Theirs if is_marker(line, '>') => At::Both,
            _ if is_marker(line, '<') || is_marker(line, '>') => return None,
            at => {
                if matches!((&at, side), (At::Both, _) | (At::Ours, Side::Ours) | (At::Theirs, Side::Theirs)) {
                    taken.push_str(line);
                }
                at
            }
        };
    }
    (at == At::Both).then_some(taken)
}

/// The branches of a merge that git has not finished.
struct Branches<'a> {
    mirror: &'a Mirror<'a>,
    git: &'a Git,
    baselines: &'a Baselines,
}

impl Branches<'_> {
    /// The issue whose file one side has renamed to this path, as a file to take in: as that side has it, with the other
    /// side's version if there is one.
    fn renamed_onto(&self, name: &FileName, marked: ContentHash, side: Side) -> Option<ReadFile> {
        let other = self.other_head()?;
        let (own_head, far_head) = if side == Side::Ours { ("HEAD", other) } else { (other, "HEAD") };
        let own = self.version(own_head, name)?;
        let Some(far) = self.same_issue(far_head, name, &own) else {
            return Some(virtual_file(name, marked, &own, Stages { base: None, ours: None }));
        };
        let base = self.git.merge_base(self.mirror.project.root(), "HEAD", other);
        let base = base.and_then(|commit| self.same_issue(&commit, name, &own)).map(|base| base.issue);
        let (ours, theirs) = if side == Side::Ours { (own, far) } else { (far, own) };
        Some(virtual_file(name, marked, &theirs, Stages { base, ours: Some((ours.issue, ours.text)) }))
    }

    /// What git calls the commit that it is merging now.
    fn other_head(&self) -> Option<&'static str> {
        let root = self.mirror.project.root();
        OTHER_HEADS.into_iter().find(|head| self.git.merge_base(root, head, head).is_some())
    }

    fn version(&self, commit: &str, name: &FileName) -> Option<Version> {
        let object = format!("{commit}:./{}", self.mirror.project.issue_path(name));
        let bytes = self.git.blob(self.mirror.project.root(), &object).ok()?;
        read(bytes, name, self.baselines)
    }

    /// The version of an issue in a commit, under whatever number: its slug is in the name.
    fn same_issue(&self, commit: &str, name: &FileName, issue: &Version) -> Option<Version> {
        let project = self.mirror.project;
        let names = self.git.committed_names(project.root(), commit, &project.issues_path()).ok()?;
        let names = names.iter().filter_map(|name| FileName::parse(name).ok());
        let mut versions =
            names.filter(|other| other.slug == name.slug).filter_map(|other| self.version(commit, &other));
        versions.find(|version| version.issue.head.created_at == issue.issue.head.created_at)
    }
}

/// One version from the index; none if it is no issue file.
///
/// Its number need not be that of the path: git takes it for a renamed file when an issue was renumbered, and also when
/// one issue was deleted and another like it created. Which issue it is, its number tells, or else its creation time: the
/// one of the path, or another that is known here.
fn read(bytes: Vec<u8>, path: &FileName, baselines: &Baselines) -> Option<Version> {
    if bytes.len() as u64 > scan::MAX_FILE {
        return None;
    }
    let mut issue = frontmatter::parse(&bytes).ok()?;
    let known = baselines.iter().filter_map(|(key, _)| Identity::from_key(key));
    let mut slugs: Vec<_> =
        known.filter(|known| known.created_at == issue.head.created_at).map(|known| known.slug).collect();
    issue.head.slug = match slugs.pop() {
        // where the number is the path's, so is the issue: a copy has its original's time
        Some(only) if slugs.is_empty() && issue.head.id != path.id => only,
        _ => path.slug.clone(),
    };
    if issue.head.slug == path.slug {
        issue.head.id = path.id;
    }
    issue.body = Issue::with_final_newline(issue.body);
    Some(Version { issue, text: String::from_utf8(bytes).ok()? })
}

/// An issue that both branches gave another number: git sees one file renamed in two ways, and leaves each version on a
/// path of its own, with markers in both. The two are merged like any other; one of the files goes.
fn renamed_apart(singles: &[(FileName, ContentHash, Side, Version)], bases: &[Version]) -> Vec<ReadFile> {
    let mut files = Vec::new();
    for (name, marked, _, ours) in singles.iter().filter(|(_, _, side, _)| *side == Side::Ours) {
        let identity = ours.issue.head.identity();
        let is_same = |version: &Version| version.issue.head.identity() == identity;
        let theirs = singles.iter().find(|(_, _, side, version)| *side == Side::Theirs && is_same(version));
        let Some((other_name, other_marked, _, theirs)) = theirs else { continue };
        let base = bases.iter().find(|base| base.issue.head.created_at == identity.created_at);
        for (name, marked) in [(name, *marked), (other_name, *other_marked)] {
            let stages = Stages {
                base: base.map(|base| base.issue.clone()),
                ours: Some((ours.issue.clone(), ours.text.clone())),
            };
            files.push(virtual_file(name, marked, theirs, stages));
        }
    }
    files
}

fn virtual_file(name: &FileName, marked: ContentHash, version: &Version, stages: Stages) -> ReadFile {
    let mut issue = version.issue.clone();
    // an issue that does not belong on this path goes to its own
    let name = if issue.head.slug == name.slug { name.clone() } else { issue.head.file_name() };
    issue.head.id = name.id;
    ReadFile {
        name,
        stat: None,
        file: marked,
        content: issue.content_hash(),
        issue,
        text: Some(version.text.clone()),
        dropped_body: None,
        shows_markers: false,
        oxi_rendering: false,
        suspicious: crate::schema::privacy::is_suspicious(&version.text),
        unmerged: Some(Box::new(stages)),
    }
}

/// The versions as files to take in: one for two versions of an issue, two for two issues that met on one path.
fn virtual_files(
    name: &FileName,
    marked: ContentHash,
    base: Option<Version>,
    ours: &Version,
    theirs: &Version,
) -> Vec<ReadFile> {
    let file = |version, stages| virtual_file(name, marked, version, stages);
    if ours.issue.head.identity() == theirs.issue.head.identity() {
        let base = base.map(|base| base.issue).filter(|base| base.head.created_at == ours.issue.head.created_at);
        // what the original dropped when it rewrote the file was not deleted
        let rewritten = |version: &Version, base: &Issue| {
            is_later(&version.issue, base) && frontmatter::is_oxi_rendering(version.text.as_bytes(), &version.issue)
        };
        let is_rewritten = |base: &Issue| rewritten(ours, base) || rewritten(theirs, base);
        let base = base.map(|base| if is_rewritten(&base) { without_foreign_keys(&base) } else { base });
        let ours = Some((ours.issue.clone(), ours.text.clone()));
        return vec![file(theirs, Stages { base, ours })];
    }
    let alone = |version: &Version| {
        let base = base.as_ref().map(|base| &base.issue);
        let same = base.filter(|base| base.head.created_at == version.issue.head.created_at);
        Stages { base: same.cloned(), ours: None }
    };
    vec![file(ours, alone(ours)), file(theirs, alone(theirs))]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_side_of_a_marked_file_can_be_read() {
        let text = "a\n<<<<<<<< HEAD:x.md\nid: 7\n========\nid: 5\n>>>>>>>> y\nb\n<<<<<<< o\n||||||| base\nc\n=======\nd\n>>>>>>> t\n";
        assert_eq!(side_of(text, Side::Ours).as_deref(), Some("a\nid: 7\nb\n"));
        assert_eq!(side_of(text, Side::Theirs).as_deref(), Some("a\nid: 5\nb\nd\n"));
        for wrong in ["<<<<<<< a\nx\n", "a\n>>>>>>> b\n", "<<<<<<< a\n<<<<<<< b\n=======\n>>>>>>> c\n"] {
            assert_eq!(side_of(wrong, Side::Ours), None, "{wrong}");
        }
        assert_eq!(side_of("=======\nheading\n", Side::Ours).as_deref(), Some("=======\nheading\n"));
    }
}

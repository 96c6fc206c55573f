//! One pass over the issues folder.
//!
//! A file whose stat data is what the baseline says is not read. That is safe but for a change within the same tick of
//! the file system's clock as the last look at the file (git calls such a file *racily clean*): where a file's time of
//! change is not older than the start of the scan, no stat data is kept, and the next scan reads it again.

mod listing;
mod names;

use std::borrow::Cow;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::cores;
use crate::db::record::Baseline;
use crate::fs::{Dir, Entry, FileStat, PathError};
use crate::schema::frontmatter::{self, BadReason};
use crate::schema::id::{ContentHash, FileName, Identity, IssueId, NotAnIssueFile};
use crate::schema::issue::Issue;
use crate::schema::privacy;

use listing::{Listed, younger_twins};

pub use listing::{Listing, list};
pub use names::{Baselines, Names};

/// Largest issue file, in bytes.
pub const MAX_FILE: u64 = 1 << 20;

/// So many files are read while a thread begins.
const FEW: usize = 4;

/// The bodies of new files are kept in memory up to this many bytes in all; the rest is read again when it is stored.
const HELD_BODIES: usize = 32 << 20;

/// A file that was read.
#[derive(Clone, Debug)]
pub struct ReadFile {
    /// Its name.
    pub name: FileName,
    /// What the file system says of it; none if that cannot be trusted next time.
    pub stat: Option<FileStat>,
    /// Hash of its bytes.
    pub file: ContentHash,
    /// What it says, its body with a final line feed.
    pub issue: Issue,
    /// Hash of the canonical rendering of that.
    pub content: ContentHash,
    /// Its text where it is not the canonical rendering.
    pub text: Option<String>,
    /// Where the body begins, if it is not held in memory.
    pub dropped_body: Option<usize>,
    /// Whether its body shows conflict markers, in a code fence: they are git's own only if git says so.
    pub shows_markers: bool,
    /// Whether it is exactly what the original program writes. Not looked at, and false, while there is no baseline at all:
    /// then it is merged with nothing.
    pub oxi_rendering: bool,
    /// Whether something in its text looks like a secret.
    pub suspicious: bool,
    /// Set if the file itself has git's conflict markers and this version comes from git's index; `file` is then the hash
    /// of the file with the markers.
    pub unmerged: Option<Box<Stages>>,
}

/// The other versions of an unmerged file.
#[derive(Clone, Debug)]
pub struct Stages {
    /// The common ancestor.
    pub base: Option<Issue>,
    /// The version of the current branch, with its text; none if the two versions are of different issues.
    pub ours: Option<(Issue, String)>,
}

impl ReadFile {
    /// The baseline that says that the record agrees with this file.
    #[must_use]
    pub fn baseline(&self) -> Baseline {
        Baseline {
            name: self.name.clone(),
            file: self.file,
            stat: self.stat,
            // no record has this hash, so the record stays pending until an export has written over the markers
            content: if self.unmerged.is_some() { ContentHash(!self.content.0) } else { self.content },
            text: self.text.clone(),
        }
    }

    /// Its text, all of which must be in memory (see [`ReadFile::complete`]).
    #[must_use]
    pub fn text_or_rendering(&self) -> Cow<'_, str> {
        self.text.as_deref().map_or_else(|| frontmatter::render(&self.issue).into(), Cow::Borrowed)
    }

    /// Reads again what was not held in memory; answers false if the file is no longer what it was.
    ///
    /// # Errors
    /// If the file is there and cannot be read.
    pub fn complete(&mut self, dir: &Dir) -> Result<bool, PathError> {
        let Some(offset) = self.dropped_body else { return Ok(true) };
        let bytes = match dir.read(&self.name.to_string(), MAX_FILE) {
            Ok((bytes, _)) if ContentHash::of(&bytes) == self.file => bytes,
            Err(error) if !error.is_not_found() => return Err(error),
            _ => return Ok(false),
        };
        let Ok(text) = String::from_utf8(bytes) else { return Ok(false) };
        let Some(body) = text.get(offset..) else { return Ok(false) };
        self.issue.body = Issue::with_final_newline(body.to_owned());
        self.text = self.text.is_some().then_some(text);
        self.dropped_body = None;
        Ok(true)
    }
}

/// A file that is not taken in, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadEntry {
    /// Its name in the folder.
    pub name: String,
    /// The line, from 1.
    pub line: Option<u32>,
    /// One sentence.
    pub reason: String,
    /// The hash of its bytes, if what is wrong is that git left conflict markers.
    pub marked: Option<ContentHash>,
    /// The issue that it holds all the same, if all that is wrong is the number in its name.
    pub identity: Option<Identity>,
}

impl BadEntry {
    /// A bad file.
    #[must_use]
    pub fn new(name: String, line: Option<u32>, reason: String) -> Self {
        Self { name, line, reason, marked: None, identity: None }
    }
}

/// What the folder holds.
#[derive(Debug, Default)]
pub struct Scan {
    /// Files that are not as the baseline says, or have none.
    pub read: Vec<Box<ReadFile>>,
    /// Files that have a baseline and are as it says.
    pub unchanged: Names,
    /// Files to leave alone.
    pub bad: Vec<BadEntry>,
    /// The folder's own stat data; none if it is missing.
    pub folder: Option<FileStat>,
}

/// Looks at every file of a listing; reads those that are new or changed.
#[must_use]
pub fn scan(
    dir: &Dir,
    mut listing: Listing,
    known: &Baselines,
    now: (i64, u32),
    progress: &(dyn Fn(u64, u64) + Sync),
) -> Scan {
    listing.sort();
    let mut scan = Scan { folder: Some(listing.folder), ..Scan::default() };
    let (mut to_read, mut unchanged) = (Vec::new(), Vec::with_capacity(listing.entries.len()));
    let younger = younger_twins(&listing.entries, known);
    for Listed { name, entry, .. } in listing.entries {
        let parsed = match FileName::parse(&name) {
            Ok(parsed) => parsed,
            Err(NotAnIssueFile::Unrelated) => continue,
            Err(reason) => {
                scan.bad.push(BadEntry::new(name, None, reason.to_string()));
                continue;
            }
        };
        let baseline = known.of(&parsed).map(|(_, baseline)| baseline);
        let entry = match entry {
            // without stat data it has to be read in any case
            None if baseline.is_some_and(|known| known.stat.is_some()) && !younger.contains_key(&name) => {
                unchanged.push(parsed);
                continue;
            }
            None => dir.entry(&name),
            Some(entry) => entry,
        };
        match check(&entry, &name, younger.get(&name)) {
            Ok(None) => {}
            Ok(Some(stat)) if baseline.is_some_and(|known| known.stat == Some(stat)) => unchanged.push(parsed),
            Ok(Some(_)) => to_read.push((name, parsed)),
            Err(reason) => scan.bad.push(BadEntry::new(name, None, reason)),
        }
    }
    for result in read_all(dir, &to_read, known, now, progress) {
        match result {
            Ok(file) => scan.read.push(file),
            // gone between the listing and the reading
            Err(None) => {}
            Err(Some(bad)) => scan.bad.push(bad),
        }
    }
    // markers that were merged from git's index already; the export writes over them
    scan.bad.retain(|bad| {
        let name = bad.marked.and_then(|_| FileName::parse(&bad.name).ok());
        let merged = name.filter(|name| known.of(name).map(|(_, baseline)| baseline.file) == bad.marked);
        let is_merged = merged.is_some();
        unchanged.extend(merged);
        !is_merged
    });
    scan.bad.sort_by(|a, b| a.name.cmp(&b.name));
    scan.unchanged = unchanged.into_iter().collect();
    scan
}

/// The stat data of an entry that may be an issue file; nothing if it is gone.
fn check(
    entry: &Result<Option<Entry>, PathError>,
    name: &str,
    elder: Option<&String>,
) -> Result<Option<FileStat>, String> {
    let stat = match entry {
        Err(error) => return Err(unreadable(error)),
        // names come with that sign in place of what is not UTF-8, and there is no such file
        Ok(None) if name.contains('\u{FFFD}') => return Err("its name is not UTF-8".into()),
        Ok(None) => return Ok(None),
        Ok(Some(Entry::File(stat))) => *stat,
        Ok(Some(Entry::Symlink)) => return Err("it is a symbolic link, which is not followed".into()),
        Ok(Some(_)) => return Err("it is not a regular file".into()),
    };
    if stat.size > MAX_FILE {
        return Err("the file is larger than 1 MiB".into());
    }
    match elder {
        Some(elder) => Err(format!("its name differs from {elder} only in case or Unicode form")),
        None => Ok(Some(stat)),
    }
}

type ReadResult = Result<Box<ReadFile>, Option<BadEntry>>;

fn read_all(
    dir: &Dir,
    names: &[(String, FileName)],
    known: &Baselines,
    now: (i64, u32),
    progress: &(dyn Fn(u64, u64) + Sync),
) -> Vec<ReadResult> {
    let held = AtomicUsize::new(0);
    let has_bases = !known.is_empty();
    cores::each(names, names.len().div_ceil(FEW), |place, (name, parsed)| {
        if place % 64 == 0 {
            progress(place as u64, names.len() as u64);
        }
        let mut result = read_one(dir, name, parsed, now, has_bases);
        if let Ok((file, offset)) = &mut result
            && known.of(parsed).is_none()
            && held.fetch_add(file.issue.body.len(), Ordering::Relaxed) > HELD_BODIES
        {
            file.issue.body = String::new();
            file.text = file.text.as_ref().map(|_| String::new());
            file.dropped_body = Some(*offset);
        }
        result.map(|(file, _)| file)
    })
}

fn read_one(
    dir: &Dir,
    name: &str,
    parsed: &FileName,
    now: (i64, u32),
    has_bases: bool,
) -> Result<(Box<ReadFile>, usize), Option<BadEntry>> {
    let bad = |line, reason: String| Some(BadEntry::new(name.to_owned(), line, reason));
    let (bytes, stat) = match dir.read(name, MAX_FILE) {
        Ok(read) => read,
        Err(error) if error.is_not_found() => return Err(None),
        Err(error) => return Err(bad(None, unreadable(&error))),
    };
    // a change after this moment gets a time that is not older than `now`
    let stat = (stat.modified < now && stat.changed < now).then_some(stat);
    let issue = frontmatter::parse(&bytes).map_err(|error| {
        let marked = matches!(error.reason, BadReason::ConflictMarker).then(|| ContentHash::of(&bytes));
        bad(error.line, error.reason.to_string()).map(|bad| BadEntry { marked, ..bad })
    })?;
    if issue.head.id != parsed.id {
        let identity = Identity { created_at: issue.head.created_at, slug: parsed.slug.clone() };
        let bad = bad(id_line(&bytes), id_mismatch(parsed.id, issue.head.id));
        return Err(bad.map(|bad| BadEntry { identity: Some(identity), ..bad }));
    }
    let (file, offset) = measure(&bytes, issue, parsed, has_bases);
    Ok((Box::new(ReadFile { stat, ..file }), offset))
}

fn measure(bytes: &[u8], mut issue: Issue, name: &FileName, has_bases: bool) -> (ReadFile, usize) {
    let file = ContentHash::of(bytes);
    let offset = bytes.len() - issue.body.len();
    issue.head.slug = name.slug.clone();
    let shows_markers = frontmatter::shows_both_sides(&issue.body);
    let oxi_rendering = has_bases && frontmatter::is_oxi_rendering(bytes, &issue);
    issue.body = Issue::with_final_newline(issue.body);
    let rendered = frontmatter::render(&issue);
    let (content, text) = if rendered.as_bytes() == bytes {
        (file, None)
    } else {
        // the parser has checked that it is UTF-8
        (ContentHash::of(rendered.as_bytes()), Some(String::from_utf8_lossy(bytes).into_owned()))
    };
    let read = ReadFile {
        name: name.clone(),
        stat: None,
        file,
        issue,
        content,
        text,
        dropped_body: None,
        shows_markers,
        oxi_rendering,
        suspicious: std::str::from_utf8(bytes).is_ok_and(privacy::is_suspicious),
        unmerged: None,
    };
    (read, offset)
}

/// What is wrong with a file that the file system does not give.
pub(crate) fn unreadable(error: &PathError) -> String {
    match error.obstacle() {
        Some(obstacle) => obstacle.to_string(),
        None => format!("it cannot be read: {}", error.source),
    }
}

/// What is wrong with a file whose name and frontmatter disagree.
pub(crate) fn id_mismatch(name: IssueId, frontmatter: IssueId) -> String {
    format!("its name says issue {name}, its frontmatter says {frontmatter}")
}

/// The line of the `id` key, where it stands at the start of a line.
pub(crate) fn id_line(bytes: &[u8]) -> Option<u32> {
    let line = bytes.split(|&byte| byte == b'\n').position(|line| line.starts_with(b"id:"))?;
    u32::try_from(line + 1).ok()
}

/// Reads one file of the folder, as [`scan`] would.
///
/// # Errors
/// None if it is missing; else what is wrong with it.
pub fn read_file(dir: &Dir, name: &FileName, now: (i64, u32)) -> Result<Box<ReadFile>, Option<BadEntry>> {
    read_one(dir, &name.to_string(), name, now, true).map(|(file, _)| file)
}

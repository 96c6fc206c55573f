//! One pass over the issues folder.
//!
//! A file whose stat data is what the baseline says is not read. That is safe but for a change within the same tick of
//! the file system's clock as the last look at the file (git calls such a file *racily clean*): where a file's time of
//! change is not older than the start of the scan, no stat data is kept, and the next scan reads it again.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};

use unicode_normalization::UnicodeNormalization as _;

use crate::db::record::Baseline;
use crate::fs::{Dir, Entry, FileStat, PathError};
use crate::schema::frontmatter::{self, BadReason};
use crate::schema::id::{ContentHash, FileName, Identity, IssueId, NotAnIssueFile};
use crate::schema::issue::Issue;
use crate::schema::privacy;

/// Largest issue file, in bytes.
pub const MAX_FILE: u64 = 1 << 20;

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
    /// Whether it is exactly what the original program writes.
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

    /// Reads again what was not held in memory.
    ///
    /// # Errors
    /// If the file cannot be read, or is no longer what it was.
    pub fn complete(&mut self, dir: &Dir) -> Result<(), PathError> {
        let Some(offset) = self.dropped_body else { return Ok(()) };
        let name = self.name.to_string();
        let changed = || PathError {
            action: "read",
            path: dir.path().join(&name),
            source: std::io::Error::other("it changed while it was being imported; run the command again"),
        };
        let (bytes, _) = dir.read(&name, MAX_FILE)?;
        if ContentHash::of(&bytes) != self.file {
            return Err(changed());
        }
        let text = String::from_utf8(bytes).map_err(|_| changed())?;
        let body = text.get(offset..).ok_or_else(changed)?.to_owned();
        self.issue.body = Issue::with_final_newline(body);
        self.text = self.text.is_some().then_some(text);
        self.dropped_body = None;
        Ok(())
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

/// Names of issue files, sorted: a folder holds many, from other people's branches, so nothing is hashed.
#[derive(Debug, Default)]
pub struct Names(Vec<FileName>);

impl Names {
    /// Whether a name is among them.
    #[must_use]
    pub fn contains(&self, name: &FileName) -> bool {
        self.0.binary_search(name).is_ok()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<FileName> for Names {
    fn from_iter<I: IntoIterator<Item = FileName>>(names: I) -> Self {
        let mut names: Vec<_> = names.into_iter().collect();
        names.sort_unstable();
        Self(names)
    }
}

/// Baselines with the keys of their identities, sorted by file name.
#[derive(Debug, Default)]
pub struct Baselines(Vec<(Vec<u8>, Baseline)>);

impl Baselines {
    /// Takes them in any order.
    #[must_use]
    pub fn new(mut baselines: Vec<(Vec<u8>, Baseline)>) -> Self {
        sort_by_number(&mut baselines, |(_, baseline)| Some(baseline.name.id), |(_, a), (_, b)| a.name.cmp(&b.name));
        Self(baselines)
    }

    /// The one of a file.
    #[must_use]
    pub fn of(&self, name: &FileName) -> Option<&(Vec<u8>, Baseline)> {
        self.0.binary_search_by(|(_, baseline)| baseline.name.cmp(name)).ok().map(|index| &self.0[index])
    }

    /// All, by file name.
    pub fn iter(&self) -> std::slice::Iter<'_, (Vec<u8>, Baseline)> {
        self.0.iter()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<'a> IntoIterator for &'a Baselines {
    type Item = &'a (Vec<u8>, Baseline);
    type IntoIter = std::slice::Iter<'a, (Vec<u8>, Baseline)>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// The folder as the file system describes it; no file has been opened.
#[derive(Debug)]
pub struct Listing {
    folder: FileStat,
    entries: Vec<Listed>,
}

#[derive(Debug)]
struct Listed {
    name: String,
    parsed: Result<FileName, NotAnIssueFile>,
    /// None if the file system was not asked, because nothing should have changed the file.
    entry: Option<Result<Option<Entry>, PathError>>,
}

impl Listed {
    fn number(&self) -> Option<IssueId> {
        self.parsed.as_ref().ok().map(|name| name.id)
    }
}

/// Lists the folder and asks for the stat data of every issue file, on all cores; where `only` says what may have
/// changed, of no other file that is known.
///
/// # Errors
/// If the folder itself cannot be read.
pub fn list(dir: &Dir, only: Option<&BTreeSet<String>>) -> Result<Listing, PathError> {
    let folder = dir.stat()?;
    let names = dir.names()?;
    let is_asked = |name: &String| only.is_none_or(|only| only.contains(name));
    let described = on_all_cores(&names, |name| {
        let parsed = FileName::parse(name);
        let entry = is_asked(name).then(|| if parsed.is_ok() { dir.entry(name) } else { Ok(None) });
        (parsed, entry)
    });
    let entries = names.into_iter().zip(described).map(|(name, (parsed, entry))| Listed { name, parsed, entry });
    let mut entries: Vec<_> = entries.collect();
    sort_by_number(&mut entries, Listed::number, |a, b| a.name.cmp(&b.name));
    Ok(Listing { folder, entries })
}

/// Sorts by number, and what has the same or none by something else: comparing thousands of long names that begin alike
/// takes longer than to ask the file system for them.
fn sort_by_number<T>(
    items: &mut [T],
    number: impl Fn(&T) -> Option<IssueId>,
    compare: impl Fn(&T, &T) -> std::cmp::Ordering,
) {
    items.sort_by_cached_key(&number);
    for alike in items.chunk_by_mut(|a, b| number(a) == number(b)) {
        alike.sort_unstable_by(&compare);
    }
}

/// What `each` makes of every item, in order.
fn on_all_cores<T: Sync, R: Send>(items: &[T], each: impl Fn(&T) -> R + Sync) -> Vec<R> {
    /// Fewer are not worth a thread.
    const SHARE: usize = 512;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let share = items.len().div_ceil(cores).max(SHARE);
    let Some((first, rest)) = items.split_at_checked(share).filter(|(_, rest)| !rest.is_empty()) else {
        return items.iter().map(each).collect();
    };
    std::thread::scope(|scope| {
        let each = &each;
        let others: Vec<_> =
            rest.chunks(share).map(|chunk| scope.spawn(move || chunk.iter().map(each).collect::<Vec<_>>())).collect();
        let mut results: Vec<R> = Vec::with_capacity(items.len());
        results.extend(first.iter().map(each));
        for other in others {
            match other.join() {
                Ok(more) => results.extend(more),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        results
    })
}

/// Looks at every file of a listing; reads those that are new or changed.
#[must_use]
pub fn scan(
    dir: &Dir,
    listing: Listing,
    known: &Baselines,
    now: (i64, u32),
    progress: &(dyn Fn(u64, u64) + Sync),
) -> Scan {
    let mut scan = Scan { folder: Some(listing.folder), ..Scan::default() };
    let (mut to_read, mut unchanged) = (Vec::new(), Vec::with_capacity(listing.entries.len()));
    let younger = younger_twins(&listing.entries, known);
    for Listed { name, parsed, entry } in listing.entries {
        let parsed = match parsed {
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

/// Names that a file system which folds case or normalises Unicode would take for another's, with that other: one that is
/// known if there is, else the first.
fn younger_twins(entries: &[Listed], known: &Baselines) -> HashMap<String, String> {
    let is_known = |listed: &Listed| listed.parsed.as_ref().is_ok_and(|name| known.of(name).is_some());
    // twins have one number, and few have the number of another
    let alike = entries.chunk_by(|a, b| a.number() == b.number());
    let alike = alike.filter(|alike| alike.len() > 1 && alike[0].number().is_some());
    let mut folded: Vec<_> = alike.flatten().map(|listed| (fold(&listed.name), listed)).collect();
    folded.sort_unstable_by(|(a, x), (b, y)| a.cmp(b).then_with(|| x.name.cmp(&y.name)));
    let mut younger = HashMap::new();
    for twins in folded.chunk_by(|(a, _), (b, _)| a == b).filter(|twins| twins.len() > 1) {
        let elder = twins.iter().position(|(_, listed)| is_known(listed)).unwrap_or(0);
        for (index, (_, listed)) in twins.iter().enumerate() {
            if index != elder {
                younger.insert(listed.name.clone(), twins[elder].1.name.clone());
            }
        }
    }
    younger
}

fn fold(name: &str) -> Cow<'_, str> {
    if !name.is_ascii() {
        name.nfc().flat_map(char::to_lowercase).nfc().collect()
    } else if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        name.to_ascii_lowercase().into()
    } else {
        name.into()
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
    let (next, held) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let work = || {
        let mut results = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some((name, parsed)) = names.get(index) else { return results };
            if index % 64 == 0 {
                progress(index as u64, names.len() as u64);
            }
            let mut result = read_one(dir, name, parsed, now);
            if let Ok((file, offset)) = &mut result
                && known.of(parsed).is_none()
                && held.fetch_add(file.issue.body.len(), Ordering::Relaxed) > HELD_BODIES
            {
                file.issue.body = String::new();
                file.text = file.text.as_ref().map(|_| String::new());
                file.dropped_body = Some(*offset);
            }
            results.push((index, result.map(|(file, _)| file)));
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(names.len().div_ceil(32));
    let mut results = if threads <= 1 {
        work()
    } else {
        std::thread::scope(|scope| {
            let handles: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
            let join = |handle: std::thread::ScopedJoinHandle<'_, Vec<_>>| match handle.join() {
                Ok(results) => results,
                Err(panic) => std::panic::resume_unwind(panic),
            };
            handles.into_iter().flat_map(join).collect()
        })
    };
    results.sort_by_key(|(index, _)| *index);
    results.into_iter().map(|(_, result)| result).collect()
}

fn read_one(
    dir: &Dir,
    name: &str,
    parsed: &FileName,
    now: (i64, u32),
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
    Ok(measure(&bytes, issue, parsed, stat))
}

fn measure(bytes: &[u8], mut issue: Issue, name: &FileName, stat: Option<FileStat>) -> (Box<ReadFile>, usize) {
    let file = ContentHash::of(bytes);
    let offset = bytes.len() - issue.body.len();
    issue.head.slug = name.slug.clone();
    let oxi_rendering = frontmatter::is_oxi_rendering(bytes, &issue);
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
        stat,
        file,
        issue,
        content,
        text,
        dropped_body: None,
        oxi_rendering,
        suspicious: std::str::from_utf8(bytes).is_ok_and(privacy::is_suspicious),
        unmerged: None,
    };
    (Box::new(read), offset)
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
    read_one(dir, &name.to_string(), name, now).map(|(file, _)| file)
}

//! The names in the issues folder and what the file system says of each; no file is opened.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};

use unicode_normalization::UnicodeNormalization as _;

use crate::cores;
use crate::db::sums::{Shard, Sum, Sums};
use crate::fs::{Dir, Entry, FileStat, PathError};
use crate::schema::id::{FileName, IssueId, NotAnIssueFile};

use super::names::{Baselines, sort_by_number};

/// Fewer files are not worth a thread to ask for them.
const SHARE: usize = 512;

/// The folder as the file system describes it; no file has been opened.
#[derive(Debug)]
pub struct Listing {
    pub(super) folder: FileStat,
    pub(super) entries: Vec<Listed>,
    /// The sums of the issue files.
    sums: Sums,
    /// Shards that have entries which could not be looked at, or are no files.
    odd: BTreeSet<Shard>,
}

#[derive(Debug)]
pub(super) struct Listed {
    pub(super) name: String,
    /// The number, where the name is an issue file's.
    pub(super) number: Result<IssueId, NotAnIssueFile>,
    pub(super) entry: Look,
}

/// What the file system says of a name; none if it was not asked, because nothing should have changed the file.
type Look = Option<Result<Option<Entry>, PathError>>;

impl Listed {
    /// The same once more, unless it could not be looked at.
    fn copy(&self) -> Option<Self> {
        let Some(Ok(entry)) = &self.entry else { return None };
        Some(Self { name: self.name.clone(), number: self.number, entry: Some(Ok(*entry)) })
    }
}

/// What the file system says of some names.
#[derive(Default)]
struct Piece {
    seen: Vec<(Result<IssueId, NotAnIssueFile>, Look)>,
    sums: Sums,
    odd: BTreeSet<Shard>,
}

impl Piece {
    fn look_at(&mut self, dir: &Dir, name: &str, is_asked: bool) {
        let parsed = FileName::split(name);
        let entry = is_asked.then(|| if parsed.is_ok() { dir.entry(name) } else { Ok(None) });
        if let Ok((id, slug)) = parsed {
            if let Some(Ok(Some(Entry::File(stat)))) = &entry {
                self.sums.add(id, Sum::of(id, slug, Some(stat)));
            } else {
                self.odd.insert(Shard::of(id));
            }
        }
        self.seen.push((parsed.map(|(id, _)| id), entry));
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
    let mut pieces = cores::pieces(&names, SHARE, |names| {
        let mut piece = Piece { seen: Vec::with_capacity(names.len()), ..Piece::default() };
        for name in names {
            piece.look_at(dir, name, only.is_none_or(|only| only.contains(name)));
        }
        piece
    });
    let (mut sums, mut odd) = (Sums::default(), BTreeSet::new());
    for piece in &mut pieces {
        sums.merge(std::mem::take(&mut piece.sums));
        odd.append(&mut piece.odd);
    }
    let seen = pieces.into_iter().flat_map(|piece| piece.seen);
    let entries = names.into_iter().zip(seen).map(|(name, (number, entry))| Listed { name, number, entry });
    Ok(Listing { folder, entries: entries.collect(), sums, odd })
}

impl Listing {
    /// The shards whose files are not as known.
    #[must_use]
    pub fn differing(&self, known: &Sums) -> BTreeSet<Shard> {
        let mut shards = self.sums.differing(known, Sum::eq);
        shards.extend(&self.odd);
        shards
    }

    /// The files of some shards, and whatever has no number; none if some of them could not be looked at.
    #[must_use]
    pub fn within(&self, shards: &BTreeSet<Shard>) -> Option<Self> {
        if !self.odd.is_empty() {
            return None;
        }
        let is_within = |listed: &&Listed| listed.number.is_ok_and(|number| shards.contains(&Shard::of(number)));
        let counts = |listed: &&Listed| listed.number.is_err() || is_within(listed);
        let entries = self.entries.iter().filter(counts).filter_map(Listed::copy).collect();
        Some(Self { folder: self.folder, entries, sums: Sums::default(), odd: BTreeSet::new() })
    }

    /// The names of the issue files.
    pub fn names(&self) -> impl Iterator<Item = FileName> {
        self.entries.iter().filter(|listed| listed.number.is_ok()).filter_map(|it| FileName::parse(&it.name).ok())
    }

    pub(super) fn sort(&mut self) {
        sort_by_number(&mut self.entries, |listed| listed.number.ok(), |a, b| a.name.cmp(&b.name));
    }
}

/// Names that a file system which folds case or normalises Unicode would take for another's, with that other: one that is
/// known if there is, else the first.
pub(super) fn younger_twins(entries: &[Listed], known: &Baselines) -> HashMap<String, String> {
    let is_known = |listed: &Listed| FileName::parse(&listed.name).is_ok_and(|name| known.of(&name).is_some());
    // twins have one number, and few have the number of another
    let alike = entries.chunk_by(|a, b| a.number == b.number);
    let alike = alike.filter(|alike| alike.len() > 1 && alike[0].number.is_ok());
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

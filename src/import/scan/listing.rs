//! The names in the issues folder and what the file system says of each; no file is opened.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};

use unicode_normalization::UnicodeNormalization as _;

use crate::cores;
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
}

#[derive(Debug)]
pub(super) struct Listed {
    pub(super) name: String,
    pub(super) parsed: Result<FileName, NotAnIssueFile>,
    /// None if the file system was not asked, because nothing should have changed the file.
    pub(super) entry: Option<Result<Option<Entry>, PathError>>,
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
    let described = cores::map(&names, SHARE, |name| {
        let parsed = FileName::parse(name);
        let entry = is_asked(name).then(|| if parsed.is_ok() { dir.entry(name) } else { Ok(None) });
        (parsed, entry)
    });
    let entries = names.into_iter().zip(described).map(|(name, (parsed, entry))| Listed { name, parsed, entry });
    let mut entries: Vec<_> = entries.collect();
    sort_by_number(&mut entries, Listed::number, |a, b| a.name.cmp(&b.name));
    Ok(Listing { folder, entries })
}

/// Names that a file system which folds case or normalises Unicode would take for another's, with that other: one that is
/// known if there is, else the first.
pub(super) fn younger_twins(entries: &[Listed], known: &Baselines) -> HashMap<String, String> {
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

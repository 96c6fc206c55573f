//! How a snapshot comes about: the folder is listed while the database is asked for the sums of what is known. Where few
//! files can have changed only their baselines are read, where nothing has changed none.

use std::collections::HashMap;

use crate::cores::{self, both};
use crate::db::FolderMark;
use crate::db::gate::Gate;
use crate::db::record::{Conflict, Landing, Pending};
use crate::db::sums::Sums;
use crate::fs::Dir;
use crate::import::scan::{self, Baselines, Listing, ReadFile, Scan};
use crate::schema::id::{FileName, Identity, IssueId};

use super::gather::Snapshot;
use super::{Mirror, MirrorError};

#[cfg(test)]
mod tests;

/// Where more than one in so many shards differs, it is quicker to read all baselines than those of some.
const ONE_IN: usize = 4;

/// What the database tells without its baselines.
pub(super) struct Stored {
    sums: Sums,
    high_water: IssueId,
    conflicts: HashMap<Identity, Conflict>,
    pending: HashMap<Identity, Pending>,
    folder_mark: Option<FolderMark>,
    landings: Vec<Landing>,
}

/// When the files are looked at, by the file system's clock.
type Now = (i64, u32);

impl Mirror<'_> {
    pub(super) fn snapshot(&self, gate: &Gate) -> Result<Snapshot, MirrorError> {
        self.snapshot_since(gate, None)
    }

    /// Where a revision is given, files that are known are looked at only if commits since then changed them.
    pub(super) fn snapshot_since(&self, gate: &Gate, revision: Option<&str>) -> Result<Snapshot, MirrorError> {
        let now = gate.file_system_now(self.store.dir())?;
        let dir = self.project.issues()?;
        let (mut stored, mut listing) = self.look(dir.as_ref(), revision)?;
        if self.recover_export(&stored.landings)? {
            (stored, listing) = self.look(dir.as_ref(), revision)?;
        }
        let seen = dir.zip(listing);
        if let Some((dir, listing)) = &seen
            && let Some(snapshot) = self.snapshot_of_few(dir, listing, &stored, now)?
        {
            cores::free(seen);
            return Ok(stored.beside(snapshot));
        }
        let snapshot = self.snapshot_of_all(seen, &stored, now)?;
        Ok(stored.beside(snapshot))
    }

    fn snapshot_of_all(
        &self,
        seen: Option<(Dir, Listing)>,
        stored: &Stored,
        now: Now,
    ) -> Result<Snapshot, MirrorError> {
        let baselines = Baselines::new(self.store.read()?.all_baselines()?);
        let Some((dir, listing)) = seen else { return Ok(Snapshot { baselines, ..Snapshot::default() }) };
        let mut scan = self.scan(&dir, listing, &baselines, now);
        self.take_unmerged(&mut scan, &baselines)?;
        drop_far_numbers(&mut scan, stored.high_water);
        let twins = twins(&dir, &scan, &baselines, stored, now);
        Ok(Snapshot { baselines, scan, twins, ..Snapshot::default() })
    }

    /// A snapshot without what is known of files that are as they were. None if so much differs, or in such a way, that
    /// all of it is needed: a conflict or a file that is gone can have to do with any other file.
    fn snapshot_of_few(
        &self,
        dir: &Dir,
        listing: &Listing,
        stored: &Stored,
        now: Now,
    ) -> Result<Option<Snapshot>, MirrorError> {
        let shards = listing.differing(&stored.sums);
        if !stored.conflicts.is_empty() || shards.len() * ONE_IN > stored.sums.shards() {
            return Ok(None);
        }
        let Some(listing) = listing.within(&shards) else { return Ok(None) };
        let mut baselines = Vec::new();
        if !shards.is_empty() {
            let read = self.store.read()?;
            for name in listing.names() {
                baselines.extend(read.baselines_of(&name)?);
            }
        }
        let known: u64 = shards.iter().map(|shard| stored.sums.of_shard(*shard).files).sum();
        if baselines.len() as u64 != known {
            return Ok(None);
        }
        let baselines = Baselines::new(baselines);
        let mut scan = self.scan(dir, listing, &baselines, now);
        let asks_git =
            scan.bad.iter().any(|bad| bad.marked.is_some()) || scan.read.iter().any(|file| file.shows_markers);
        if asks_git || self.are_elsewhere(&scan, &baselines)? {
            return Ok(None);
        }
        drop_far_numbers(&mut scan, stored.high_water);
        let settled = stored.sums.files() - known;
        Ok(Some(Snapshot { baselines, scan, settled, ..Snapshot::default() }))
    }

    /// Whether an issue that was read has its baseline under another file name.
    fn are_elsewhere(&self, scan: &Scan, baselines: &Baselines) -> Result<bool, MirrorError> {
        let new = displaced(scan, baselines);
        if new.is_empty() {
            return Ok(false);
        }
        let read = self.store.read()?;
        for file in new {
            if read.baseline(&file.issue.head.identity())?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn scan(&self, dir: &Dir, listing: Listing, baselines: &Baselines, now: Now) -> Scan {
        scan::scan(dir, listing, baselines, now, &|done, all| (self.progress)("reading", done, all))
    }

    /// Lists the folder and reads what the database has; neither waits for the other.
    fn look(&self, dir: Option<&Dir>, revision: Option<&str>) -> Result<(Stored, Option<Listing>), MirrorError> {
        let (listing, stored) = both(|| dir.map(|dir| self.list(dir, revision)).transpose(), || self.stored());
        Ok((stored?, listing?))
    }

    fn list(&self, dir: &Dir, revision: Option<&str>) -> Result<Listing, MirrorError> {
        let changed = match (revision, self.git()) {
            (Some(revision), Some(git)) => {
                Some(git.changed_since(self.project.root(), revision, &self.project.issues_path())?)
            }
            // without git there are no commits to go by
            _ => None,
        };
        Ok(scan::list(dir, changed.as_ref())?)
    }

    fn stored(&self) -> Result<Stored, MirrorError> {
        let read = self.store.read()?;
        Ok(Stored {
            sums: read.sums()?,
            high_water: read.high_water()?,
            conflicts: read.all_conflicts()?.into_iter().collect(),
            pending: read.all_pending()?.into_iter().collect(),
            folder_mark: read.folder_mark()?,
            landings: read.landings()?,
        })
    }
}

impl Stored {
    /// Completes what the files and the baselines say.
    fn beside(self, files: Snapshot) -> Snapshot {
        Snapshot { conflicts: self.conflicts, pending: self.pending, folder_mark: self.folder_mark, ..files }
    }
}

/// Files that were read and that have no baseline, or one of another issue.
fn displaced<'s>(scan: &'s Scan, baselines: &Baselines) -> Vec<&'s ReadFile> {
    let is_in_place =
        |file: &ReadFile| baselines.of(&file.name).is_some_and(|(known, _)| *known == file.issue.head.identity().key());
    scan.read.iter().map(AsRef::as_ref).filter(|file| !is_in_place(file)).collect()
}

/// Files that are as they were and count all the same: of issues that came in another file as well, or whose conflict is
/// about another file, which is gone.
fn twins(dir: &Dir, scan: &Scan, baselines: &Baselines, stored: &Stored, now: Now) -> Vec<ReadFile> {
    let is_there = |name: &FileName| {
        scan.unchanged.contains(name)
            || scan.read.iter().any(|file| file.name == *name)
            || scan.bad.iter().any(|bad| bad.name == name.to_string())
    };
    let ended =
        stored.conflicts.iter().filter(|(_, conflict)| !is_there(&conflict.name)).map(|(identity, _)| identity.key());
    // an issue whose baseline is of the very file that was read is in no other that is as it was
    let read = displaced(scan, baselines).into_iter().map(|file| file.issue.head.identity().key());
    let mut keys: Vec<Vec<u8>> = read.chain(ended).collect();
    keys.sort_unstable();
    if keys.is_empty() {
        return Vec::new();
    }
    // few were read, and all are looked at: the cheaper question comes first, and nothing is hashed
    let is_twin = |key: &Vec<u8>, name| keys.binary_search(key).is_ok() && scan.unchanged.contains(name);
    let twins = baselines.iter().filter(|(key, baseline)| is_twin(key, &baseline.name));
    twins.filter_map(|(_, baseline)| Some(*scan::read_file(dir, &baseline.name, now).ok()?)).collect()
}

/// A number far above all others is taken for a mistake, so that it does not end creation.
fn drop_far_numbers(scan: &mut Scan, high_water: IssueId) {
    const FARTHEST: u32 = 100_000;
    let mut numbers: Vec<_> = scan.read.iter().map(|file| file.name.id.0).collect();
    numbers.sort_unstable();
    let mut highest = high_water.0;
    for number in numbers {
        if number > highest && number - highest > FARTHEST {
            break;
        }
        highest = highest.max(number);
    }
    let far = |file: &ReadFile| file.name.id.0 > highest;
    for file in scan.read.iter().filter(|file| far(file)) {
        let reason = format!("the number is more than {FARTHEST} above the highest, {highest}");
        let entry = scan::BadEntry::new(file.name.to_string(), None, reason);
        scan.bad.push(scan::BadEntry { identity: Some(file.issue.head.identity()), ..entry });
    }
    scan.read.retain(|file| !far(file));
}

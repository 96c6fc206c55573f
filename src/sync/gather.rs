//! The snapshot that an import is planned from: the folder, the baselines, the records concerned, what git knows.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::db::gate::Gate;
use crate::db::record::{Baseline, Pending};
use crate::import::scan::{self, ReadFile, Scan};
use crate::schema::id::{FileName, Identity, IssueId};

use super::plan::{Absence, Claims, Known, has_collision};
use super::{Mirror, MirrorError, numbers};

/// More files than this, and more than a third of all, gone at once are not believed to be deleted.
const MANY_GONE: usize = 20;

/// What the files and the baselines say, before any record is looked at.
#[derive(Debug)]
pub(super) struct Snapshot {
    pub(super) baselines: Vec<(Vec<u8>, Baseline)>,
    pub(super) scan: Scan,
    /// Further files of issues that have more than one.
    pub(super) twins: Vec<ReadFile>,
    pub(super) in_conflict: HashSet<Identity>,
    pub(super) pending: HashMap<Identity, Pending>,
}

/// The number of an issue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Number {
    /// The one it is to have.
    pub(super) assigned: IssueId,
    /// The one its record has; none if there is no record.
    pub(super) present: Option<IssueId>,
}

/// The files that are gone, and what to make of it.
#[derive(Debug, Default)]
pub(super) struct Missing {
    pub(super) why: BTreeMap<Identity, Absence>,
    /// What to tell a person when nothing was deleted out of caution.
    pub(super) caution: Option<String>,
    /// Whether that calls for a decision, where a merge in progress only calls for its end.
    pub(super) suspicious: bool,
}

impl Mirror<'_> {
    pub(super) fn snapshot(&self, gate: &Gate) -> Result<Snapshot, MirrorError> {
        let now = gate.file_system_now(self.store.dir())?;
        let (baselines, high_water, in_conflict, pending) = {
            let read = self.store.read()?;
            let in_conflict = read.all_conflicts()?.into_iter().map(|(identity, _)| identity).collect();
            let pending = read.all_pending()?.into_iter().collect();
            (read.all_baselines()?, read.high_water()?, in_conflict, pending)
        };
        let known: HashMap<String, &Baseline> =
            baselines.iter().map(|(_, baseline)| (baseline.name.to_string(), baseline)).collect();
        let dir = self.project.issues()?;
        let mut scan = match &dir {
            Some(dir) => scan::scan(dir, &known, now, &|done, all| (self.progress)("reading", done, all))?,
            None => Scan::default(),
        };
        self.take_unmerged(&mut scan)?;
        drop_far_numbers(&mut scan, high_water);
        let mut twins = Vec::new();
        if let Some(dir) = &dir {
            for (key, baseline) in &baselines {
                let name = baseline.name.to_string();
                if scan.unchanged.contains(&name)
                    && let Some(identity) = Identity::from_key(key)
                    && scan.read.iter().any(|file| file.issue.head.identity() == identity)
                    && let Ok(file) = scan::read_file(dir, &baseline.name, now)
                {
                    twins.push(*file);
                }
            }
        }
        Ok(Snapshot { baselines, scan, twins, in_conflict, pending })
    }

    /// Why the files of these issues are not in the folder. git is asked only if there are any.
    pub(super) fn missing(&self, snapshot: &Snapshot) -> Result<Missing, MirrorError> {
        let (gone, displaced) = snapshot.gone();
        let mut missing = Missing::default();
        missing.why.extend(displaced.into_iter().map(|identity| (identity, Absence::Displaced)));
        if gone.is_empty() {
            return Ok(missing);
        }
        let folder_missing = snapshot.scan.folder.is_none();
        let total = snapshot.baselines.len();
        let is_many = |count: usize| folder_missing || (count > MANY_GONE && count * 3 > total);
        let caution = |count: usize| {
            let what = if folder_missing {
                "the issues folder is missing".into()
            } else {
                format!("{count} of {total} issue files are gone")
            };
            format!("{what}: nothing was deleted. If that is meant, run the command again with --allow-deletes")
        };
        let Some(git) = self.git() else {
            let tripped = is_many(gone.len()) && !self.options.allow_deletes;
            missing.caution = tripped.then(|| caution(gone.len()));
            missing.suspicious = tripped;
            let why = if tripped { Absence::Unsure } else { Absence::Deleted };
            missing.why.extend(gone.into_iter().map(|(identity, _)| (identity, why)));
            return Ok(missing);
        };
        let (root, folder) = (self.project.root(), self.project.issues_path());
        let index = git.index(root, &folder)?;
        let tracked = |name: &FileName| index.get(&name.to_string()).copied();
        let still_tracked =
            gone.iter().filter(|(_, name)| tracked(name).is_some_and(|entry| !entry.skip_worktree)).count();
        let operation = git.operation_in_progress();
        if is_many(still_tracked) && !self.options.allow_deletes {
            missing.caution = Some(caution(still_tracked));
            missing.suspicious = true;
        } else if let Some(operation) = operation {
            missing.caution = Some(format!(
                "a {operation} is going on in git: nothing is deleted before it has ended; then run the command again"
            ));
        }
        let unsure = missing.caution.is_some();
        let untracked: Vec<_> = gone.iter().filter(|(_, name)| tracked(name).is_none()).collect();
        let paths: Vec<_> = untracked.iter().map(|(_, name)| self.project.issue_path(&name.to_string())).collect();
        let held = if unsure || paths.is_empty() { HashSet::new() } else { git.ever_committed(root, &folder, &paths)? };
        for (identity, name) in gone {
            let why = match tracked(&name) {
                Some(entry) if entry.skip_worktree => Absence::Sparse,
                _ if unsure => Absence::Unsure,
                Some(entry) if entry.unmerged => Absence::Unsure,
                Some(_) => Absence::Deleted,
                None if held.contains(&self.project.issue_path(&name.to_string())) => Absence::Deleted,
                None => Absence::NeverCommitted,
            };
            missing.why.insert(identity, why);
        }
        // a merge in progress is not a reason to fail if nothing would have been deleted
        if !missing.why.values().any(|why| *why == Absence::Unsure) {
            missing.caution = None;
            missing.suspicious = false;
        }
        Ok(missing)
    }

    /// The records, bases and files of all issues that something may happen to.
    pub(super) fn known<'s>(
        &self,
        snapshot: &'s Snapshot,
        missing: &Missing,
    ) -> Result<BTreeMap<Identity, Known<'s>>, MirrorError> {
        let mut all: BTreeMap<Identity, Known<'s>> = BTreeMap::new();
        for file in snapshot.changed_files() {
            all.entry(file.issue.head.identity()).or_default().files.push(file);
        }
        for (identity, absence) in &missing.why {
            all.entry(identity.clone()).or_default().absence = Some(*absence);
        }
        let read = self.store.read()?;
        for (identity, known) in &mut all {
            known.files.sort_by_key(|file| file.name.id);
            known.record = read.issue_of(identity)?;
            known.base = read.merge_base(identity)?;
            known.has_conflict = snapshot.in_conflict.contains(identity);
        }
        Ok(all)
    }

    /// The numbers of all issues that something may happen to, and in a collision of all others whose number changes;
    /// `leaving` are records that this import deletes.
    pub(super) fn assign_numbers(
        &self,
        known: &BTreeMap<Identity, Known<'_>>,
        leaving: &HashSet<Identity>,
    ) -> Result<BTreeMap<Identity, Number>, MirrorError> {
        let mut claims = Claims::new();
        for (identity, known) in known {
            let numbers: Vec<_> = if known.files.is_empty() {
                known.record.iter().map(|record| record.issue.head.id).collect()
            } else {
                known.files.iter().map(|file| file.name.id).collect()
            };
            if !numbers.is_empty() && !leaving.contains(identity) {
                claims.insert(identity.clone(), numbers);
            }
        }
        let read = self.store.read()?;
        let mut holders = BTreeMap::new();
        for number in claims.values().flatten() {
            if let Some(stored) = read.head(*number)? {
                holders.insert(*number, stored.head.identity());
            }
        }
        holders.retain(|_, holder| !leaving.contains(holder));
        let mut present: BTreeMap<_, _> = known
            .iter()
            .filter_map(|(identity, known)| Some((identity.clone(), known.record.as_ref()?.issue.head.id)))
            .collect();
        let assigned = if has_collision(&claims, &holders) {
            for stored in read.all_heads()? {
                let head = stored?.head;
                if !leaving.contains(&head.identity()) {
                    present.insert(head.identity(), head.id);
                    claims.entry(head.identity()).or_insert_with(|| vec![head.id]);
                }
            }
            let claimants: Vec<_> =
                claims.into_iter().map(|(identity, numbers)| numbers::Claimant { identity, numbers }).collect();
            numbers::assign(&claimants)?
        } else {
            claims.into_iter().filter_map(|(identity, numbers)| Some((identity, *numbers.first()?))).collect()
        };
        let number = |(identity, assigned): (Identity, IssueId)| {
            let present = present.get(&identity).copied();
            let concerns = known.contains_key(&identity) || present != Some(assigned);
            concerns.then_some((identity, Number { assigned, present }))
        };
        Ok(assigned.into_iter().filter_map(number).collect())
    }
}

impl Snapshot {
    /// Files that say something else than their baseline, or have none, and second files of one issue. A file of an
    /// issue in conflict always counts.
    pub(super) fn changed_files(&self) -> impl Iterator<Item = &ReadFile> {
        let known: HashMap<&FileName, &Baseline> =
            self.baselines.iter().map(|(_, baseline)| (&baseline.name, baseline)).collect();
        let same = move |file: &ReadFile| known.get(&file.name).is_some_and(|baseline| baseline.file == file.file);
        let in_conflict = |file: &ReadFile| self.in_conflict.contains(&file.issue.head.identity());
        self.scan.read.iter().filter(move |file| !same(file) || in_conflict(file)).chain(&self.twins)
    }

    /// Baselines whose file was read again and found to be the same, with fresh stat data.
    pub(super) fn refreshed(&self) -> Vec<(Vec<u8>, Baseline)> {
        let files: HashMap<&FileName, &ReadFile> = self.scan.read.iter().map(|file| (&file.name, file)).collect();
        let refresh = |(key, baseline): &(Vec<u8>, Baseline)| {
            let file = files.get(&baseline.name)?;
            let fresher = file.file == baseline.file && file.stat.is_some() && file.stat != baseline.stat;
            fresher.then(|| (key.clone(), Baseline { stat: file.stat, ..baseline.clone() }))
        };
        self.baselines.iter().filter_map(refresh).collect()
    }

    /// Issues whose file is gone with its name, and issues whose file's name is now another issue's.
    fn gone(&self) -> (Vec<(Identity, FileName)>, Vec<Identity>) {
        let read: HashMap<String, &ReadFile> =
            self.scan.read.iter().map(|file| (file.name.to_string(), file)).collect();
        let present: HashSet<Identity> = self.scan.read.iter().map(|file| file.issue.head.identity()).collect();
        let bad: HashSet<&str> = self.scan.bad.iter().map(|bad| bad.name.as_str()).collect();
        let (mut gone, mut displaced) = (Vec::new(), Vec::new());
        for (key, baseline) in &self.baselines {
            let name = baseline.name.to_string();
            if self.scan.unchanged.contains(&name) || bad.contains(name.as_str()) {
                continue;
            }
            let Some(identity) = Identity::from_key(key).filter(|identity| !present.contains(identity)) else {
                continue;
            };
            if read.contains_key(&name) {
                displaced.push(identity);
            } else {
                gone.push((identity, baseline.name.clone()));
            }
        }
        (gone, displaced)
    }
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
        scan.bad.push(scan::BadEntry { name: file.name.to_string(), line: None, reason, marked: None });
    }
    scan.read.retain(|file| !far(file));
}

//! The snapshot that an import is planned from: the folder, the baselines, the records concerned, what git knows.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::db::record::{Baseline, Conflict, Pending, Versioned};
use crate::db::{FolderMark, ReadTxn};
use crate::import::scan::{Baselines, ReadFile, Scan};
use crate::schema::id::{ContentHash, FileName, Identity, IssueId};
use crate::schema::issue::Issue;

use super::numbers::{self, Claims, has_collision};
use super::plan::{Absence, Action, Known, plan};
use super::{Mirror, MirrorError};

/// More files than this, and more than a third of all, gone at once are not believed to be deleted.
const MANY_GONE: usize = 20;

/// So many records are in memory at once while an import is planned.
const BATCH: usize = 1024;

/// What the files and the baselines say, before any record is looked at.
#[derive(Debug, Default)]
pub(super) struct Snapshot {
    pub(super) baselines: Baselines,
    pub(super) scan: Scan,
    /// How many files more there are, which are as they were; they are in neither of these.
    pub(super) settled: u64,
    /// Further files of issues that have more than one.
    pub(super) twins: Vec<ReadFile>,
    pub(super) conflicts: HashMap<Identity, Conflict>,
    pub(super) pending: HashMap<Identity, Pending>,
    /// What the folder looked like to whoever last noted it.
    pub(super) folder_mark: Option<FolderMark>,
}

/// The number of an issue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Number {
    /// The one it is to have.
    pub(super) assigned: IssueId,
    /// The one its record has; none if there is no record.
    pub(super) present: Option<IssueId>,
}

/// An issue that something may happen to.
#[derive(Debug, Default)]
pub(super) struct Concerned<'s> {
    /// The files that hold it.
    pub(super) files: Vec<&'s ReadFile>,
    /// Why there is none, where there is none but was one.
    absence: Option<Absence>,
    /// The number of its record; none if there is no record.
    present: Option<IssueId>,
    /// Its record and its merge base, where there are so few issues that they were read at once.
    loaded: Option<Box<(Option<Versioned>, Option<Issue>)>>,
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
    /// Why the files of these issues are not in the folder. git is asked only if there are any.
    pub(super) fn missing(&self, snapshot: &Snapshot) -> Result<Missing, MirrorError> {
        let (gone, displaced) = snapshot.gone();
        let mut missing = Missing::default();
        missing.why.extend(displaced.into_iter().map(|identity| (identity, Absence::Displaced)));
        if gone.is_empty() {
            return Ok(missing);
        }
        let folder_missing = snapshot.scan.folder.is_none();
        let total = snapshot.baselines.len() + usize::try_from(snapshot.settled).unwrap_or(usize::MAX);
        let is_many = |count: usize| count > 0 && (folder_missing || (count > MANY_GONE && count * 3 > total));
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
        let untracked: Vec<_> = gone.iter().filter(|(_, name)| tracked(name).is_none()).collect();
        let paths: Vec<_> = untracked.iter().map(|(_, name)| self.project.issue_path(name)).collect();
        let operation = git.operation_in_progress().filter(|operation| self.options.ended != Some(operation));
        // what git does not track any more was never committed here, or a commit deleted it
        if is_many(still_tracked) && !self.options.allow_deletes {
            missing.caution = Some(caution(still_tracked));
            missing.suspicious = true;
        } else if let Some(operation) = operation {
            missing.caution = Some(format!(
                "a {operation} is going on in git: nothing is deleted before it has ended; then run the command again"
            ));
        }
        let unsure = missing.caution.is_some();
        let held = if unsure || paths.is_empty() { HashSet::new() } else { git.ever_committed(root, &folder, &paths)? };
        for (identity, name) in gone {
            let why = match tracked(&name) {
                Some(entry) if entry.skip_worktree => Absence::Sparse,
                _ if unsure => Absence::Unsure,
                Some(entry) if entry.unmerged => Absence::Unsure,
                Some(_) => Absence::Deleted,
                None if held.contains(&self.project.issue_path(name)) => Absence::Deleted,
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

    /// All issues that something may happen to.
    pub(super) fn concerned<'s>(
        &self,
        snapshot: &'s Snapshot,
        missing: &Missing,
    ) -> Result<BTreeMap<Identity, Concerned<'s>>, MirrorError> {
        let mut all: BTreeMap<Identity, Concerned<'s>> = BTreeMap::new();
        for file in snapshot.changed_files() {
            all.entry(file.issue.head.identity()).or_default().files.push(file);
        }
        for (identity, absence) in &missing.why {
            all.entry(identity.clone()).or_default().absence = Some(*absence);
        }
        if all.is_empty() {
            return Ok(all);
        }
        let few = all.len() <= BATCH;
        let read = self.store.read()?;
        for (identity, concerned) in &mut all {
            concerned.files.sort_by_key(|file| file.name.id);
            concerned.present = read.id_of(identity)?;
            concerned.loaded = few.then(|| Self::load(&read, identity).map(Box::new)).transpose()?;
        }
        Ok(all)
    }

    /// Plans for some issues. Their records are read in batches, so that not all are in memory at once, and nothing is
    /// merged while the gate is held.
    pub(super) fn plan_for<'c, 's: 'c>(
        &self,
        snapshot: &'s Snapshot,
        concerned: impl Iterator<Item = (&'c Identity, &'c Concerned<'s>)>,
        actions: &mut Vec<Action<'s>>,
    ) -> Result<(), MirrorError> {
        let mut concerned = concerned.peekable();
        while concerned.peek().is_some() {
            let mut batch = Vec::with_capacity(BATCH);
            let mut read = None;
            for (identity, concerned) in concerned.by_ref().take(BATCH) {
                let (record, base) = match (&concerned.loaded, &read) {
                    (Some(loaded), _) => (**loaded).clone(),
                    (None, Some(read)) => Self::load(read, identity)?,
                    (None, None) => Self::load(read.insert(self.store.read()?), identity)?,
                };
                let known = Known {
                    record,
                    base,
                    conflict: snapshot.conflicts.get(identity),
                    reopened: snapshot.reopened(identity),
                    files: concerned.files.clone(),
                    absence: concerned.absence,
                    file: concerned.files.first().and_then(|file| snapshot.known_bytes(&file.name, identity)),
                };
                batch.push((identity, known));
            }
            drop(read);
            for (identity, known) in &batch {
                let mut action = plan(identity, known);
                if !action.is_nothing() {
                    action.secrets = self.added_secrets(known)?;
                    actions.push(action);
                }
            }
        }
        Ok(())
    }

    /// The record of an issue, and what it is merged with.
    fn load(read: &ReadTxn, identity: &Identity) -> Result<(Option<Versioned>, Option<Issue>), MirrorError> {
        let record = read.issue_of(identity)?;
        let base = read.merge_base(identity, record.as_ref())?;
        Ok((record, base))
    }

    /// The numbers of all issues that something may happen to, and in a collision of all others whose number changes;
    /// `leaving` are records that this import deletes.
    pub(super) fn assign_numbers(
        &self,
        concerned: &BTreeMap<Identity, Concerned<'_>>,
        leaving: &HashSet<Identity>,
    ) -> Result<BTreeMap<Identity, Number>, MirrorError> {
        let mut claims = Claims::new();
        for (identity, concerned) in concerned {
            let numbers: Vec<_> = if concerned.files.is_empty() {
                concerned.present.into_iter().collect()
            } else {
                concerned.files.iter().map(|file| file.name.id).collect()
            };
            if !numbers.is_empty() && !leaving.contains(identity) {
                claims.insert(identity.clone(), numbers);
            }
        }
        // mostly every issue holds the number of its file, and nothing has to be read
        let holds = |identity, number| concerned.get(identity).is_some_and(|issue| issue.present == Some(number));
        let (mut holders, mut others) = (BTreeMap::new(), Vec::new());
        for (identity, number) in
            claims.iter().flat_map(|(identity, numbers)| numbers.iter().map(move |n| (identity, *n)))
        {
            if holds(identity, number) {
                holders.insert(number, identity.clone());
            } else {
                others.push(number);
            }
        }
        if !others.is_empty() {
            let read = self.store.read()?;
            for number in others {
                if let Some(stored) = read.head(number)? {
                    holders.insert(number, stored.head.identity());
                }
            }
        }
        holders.retain(|_, holder| !leaving.contains(holder));
        let mut present: BTreeMap<_, _> =
            concerned.iter().filter_map(|(identity, issue)| Some((identity.clone(), issue.present?))).collect();
        let assigned = if has_collision(&claims, &holders) {
            for stored in self.store.read()?.all_heads()? {
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
            let concerns = concerned.contains_key(&identity) || present != Some(assigned);
            concerns.then_some((identity, Number { assigned, present }))
        };
        Ok(assigned.into_iter().filter_map(number).collect())
    }
}

impl Snapshot {
    /// Files that say something else than their baseline, or have none, and second files of one issue. A file of an
    /// issue in conflict always counts.
    pub(super) fn changed_files(&self) -> impl Iterator<Item = &ReadFile> {
        let same = |file: &ReadFile| self.baselines.of(&file.name).is_some_and(|(_, base)| base.file == file.file);
        let in_conflict = |file: &ReadFile| self.conflicts.contains_key(&file.issue.head.identity());
        let read = || self.scan.read.iter().map(AsRef::as_ref);
        // a file that is as it was counts all the same when its issue has come in another file as well
        let others: HashSet<Identity> =
            read().filter(|file| !same(file)).map(|file| file.issue.head.identity()).collect();
        let counts = move |file: &&ReadFile| {
            !same(file) || in_conflict(file) || (!others.is_empty() && others.contains(&file.issue.head.identity()))
        };
        read().filter(counts).chain(&self.twins)
    }

    /// Hash of the bytes that an issue's file had when it and the record last agreed.
    fn known_bytes(&self, name: &FileName, identity: &Identity) -> Option<ContentHash> {
        self.baselines.of(name).filter(|(key, _)| *key == identity.key()).map(|(_, baseline)| baseline.file)
    }

    /// The file that a conflict is about which was opened again after its outcome had been exported: file and record
    /// agreed on it, and yet there is a conflict.
    fn reopened(&self, identity: &Identity) -> Option<ContentHash> {
        let conflict = self.conflicts.get(identity)?;
        let (key, baseline) = self.baselines.of(&conflict.name)?;
        (baseline.file == conflict.theirs_file && *key == identity.key()).then_some(conflict.theirs_file)
    }

    /// Baselines whose file was read again and found to be the same, with fresh stat data.
    pub(super) fn refreshed(&self) -> Vec<(Vec<u8>, Baseline)> {
        let refresh = |file: &ReadFile| {
            let (key, baseline) = self.baselines.of(&file.name)?;
            let fresher = file.file == baseline.file && file.stat.is_some() && file.stat != baseline.stat;
            fresher.then(|| (key.clone(), Baseline { stat: file.stat, ..baseline.clone() }))
        };
        self.scan.read.iter().filter_map(|file| refresh(file)).collect()
    }

    /// Issues whose file is gone with its name, and issues whose file's name is now another issue's.
    fn gone(&self) -> (Vec<(Identity, FileName)>, Vec<Identity>) {
        // each of these files has a baseline of its own; what git holds of a file is no file
        let in_place = |file: &ReadFile| {
            let baseline = self.baselines.of(&file.name).filter(|_| file.unmerged.is_none());
            baseline.is_some_and(|(key, _)| *key == file.issue.head.identity().key())
        };
        if self.scan.unchanged.len() + self.scan.read.iter().filter(|file| in_place(file)).count()
            == self.baselines.len()
        {
            return (Vec::new(), Vec::new());
        }
        let read: HashSet<&FileName> = self.scan.read.iter().map(|file| &file.name).collect();
        // a bad file that holds the issue keeps its record as it was
        let in_bad = self.scan.bad.iter().filter_map(|bad| bad.identity.clone());
        let present: HashSet<Identity> =
            self.scan.read.iter().map(|file| file.issue.head.identity()).chain(in_bad).collect();
        let bad: HashSet<&str> = self.scan.bad.iter().map(|bad| bad.name.as_str()).collect();
        let (mut gone, mut displaced) = (Vec::new(), Vec::new());
        for (key, baseline) in &self.baselines {
            let name = &baseline.name;
            if self.scan.unchanged.contains(name) || (!bad.is_empty() && bad.contains(name.to_string().as_str())) {
                continue;
            }
            let Some(identity) = Identity::from_key(key).filter(|identity| !present.contains(identity)) else {
                continue;
            };
            if read.contains(name) {
                displaced.push(identity);
            } else {
                gone.push((identity, name.clone()));
            }
        }
        (gone, displaced)
    }
}

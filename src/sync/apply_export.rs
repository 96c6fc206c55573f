//! Export: look at what lies in the way, note what is about to happen, write temporary files, sync, look again, rename,
//! sync, and only then commit the new baselines.

use std::collections::BTreeSet;

use crate::cores::{self, both};
use crate::db::gate::Gate;
use crate::db::record::{Baseline, Landing, Pending, Versioned};
use crate::db::sums::{Sum, Sums};
use crate::db::{Op, ReadTxn};
use crate::export::prepare::{Changed, Prepared, Write, prepare};
use crate::fs::{Dir, Entry, FileStat, PathError, Written, is_temporary};
use crate::import::scan::{Baselines, Names, Scan};
use crate::schema::id::{ContentHash, FileName, Identity, IssueId};
use crate::schema::issue::Issue;

use super::batch::{Batch, FOR_A_THREAD};
use super::gather::Snapshot;
use super::plan::Absence;
use super::report::Renumbered;
use super::{Mirror, MirrorError, Problem, Report};

/// Up to so many files are synced one by one; more are synced with their whole file system.
const FEW: usize = 4;

/// A file that is in its place, to be noted as agreed on.
struct Landed<'c> {
    identity: &'c Identity,
    /// The file and what it says; none if it was removed.
    file: Option<(Baseline, &'c Issue)>,
}

/// A file that is written under a temporary name, for a record.
type Ready<'c> = (&'c Changed, Write, Written<'c>);

impl Mirror<'_> {
    /// Exports some records.
    pub(super) fn export_some(&self, gate: &Gate, only: &BTreeSet<Identity>) -> Result<Report, MirrorError> {
        self.export_locked(gate, Some(only), &BTreeSet::new(), Report::default())
    }

    /// Exports all records; `absent` is what [`Mirror::absent`] found.
    pub(super) fn export_all(&self, gate: &Gate, absent: Option<Snapshot>) -> Result<Report, MirrorError> {
        let mut report = Report::default();
        let hidden = match absent {
            Some(absent) => self.forget_never_committed(&absent, &mut report)?,
            None => BTreeSet::new(),
        };
        self.export_locked(gate, None, &hidden, report)
    }

    fn export_locked(
        &self,
        gate: &Gate,
        only: Option<&BTreeSet<Identity>>,
        hidden: &BTreeSet<Identity>,
        mut report: Report,
    ) -> Result<Report, MirrorError> {
        let read = self.store.read()?;
        tell_conflicts(&read, only, &mut report)?;
        let (mut pending, unchanged) = pending_in(&read, only)?;
        let known = read.folder_mark()?;
        drop(read);
        self.tell_hidden(pending.iter().filter(|identity| hidden.contains(identity)), &mut report)?;
        pending.retain(|identity| !hidden.contains(identity));
        report.unchanged = unchanged;
        let dir = match self.project.issues()? {
            Some(dir) => dir,
            None if pending.is_empty() || self.options.dry_run => return Ok(report),
            None => self.project.state().ensure_dir(crate::project::ISSUES)?,
        };
        if !pending.is_empty() && !self.options.dry_run {
            sweep(&dir);
        }
        let (mut rest, mut batch) = self.next_batch(&pending)?;
        while let Some(now) = batch {
            (self.progress)("writing", (pending.len() - rest.len() - now.changed.len()) as u64, pending.len() as u64);
            (rest, batch) = self.export_batch(gate, &dir, now, rest, &mut report)?;
        }
        if !self.options.dry_run && only.is_none() {
            self.note_folder(Some(&dir), known)?;
        }
        report.sort();
        Ok(report)
    }

    /// Says of changed issues that their files cannot be written.
    fn tell_hidden<'i>(
        &self,
        hidden: impl Iterator<Item = &'i Identity>,
        report: &mut Report,
    ) -> Result<(), MirrorError> {
        let mut hidden = hidden.peekable();
        if hidden.peek().is_none() {
            return Ok(());
        }
        let read = self.store.read()?;
        for identity in hidden {
            let id = read.id_of(identity)?.unwrap_or(IssueId(0));
            report.lines.push(format!(
                "#{id} waits: sparse checkout leaves its file out, which is written when it is there again"
            ));
        }
        Ok(())
    }

    /// The names in the folder beside the baselines, if any file of these is not there.
    pub(super) fn absent(&self) -> Result<Option<Snapshot>, MirrorError> {
        let dir = self.project.issues()?;
        let list = || -> Result<(Vec<FileName>, Sums), MirrorError> {
            let names = dir.as_ref().map_or_else(|| Ok(Vec::new()), Dir::names)?;
            let names: Vec<_> = names.iter().filter_map(|name| FileName::parse(name).ok()).collect();
            let mut sums = Sums::default();
            for name in &names {
                sums.add(name.id, Sum::of(name.id, name.slug.as_str(), None));
            }
            Ok((names, sums))
        };
        let (listed, noted) = both(list, || {
            let read = self.store.read()?;
            Ok::<_, MirrorError>((read.sums()?, read.landings()?))
        });
        let ((names, present), (mut known, landings)) = (listed?, noted?);
        if self.recover_export(&landings)? {
            known = self.store.read()?.sums()?;
        }
        if present.differing(&known, Sum::has_names_of).is_empty() {
            cores::free(names);
            return Ok(None);
        }
        let baselines = Baselines::new(self.store.read()?.all_baselines()?);
        if names.iter().filter(|name| baselines.of(name).is_some()).count() == baselines.len() {
            cores::free((names, baselines));
            return Ok(None);
        }
        let names: Names = names.into_iter().filter(|name| baselines.of(name).is_some()).collect();
        let folder = dir.as_ref().map(Dir::stat).transpose()?;
        let scan = Scan { unchanged: names, folder, ..Scan::default() };
        Ok(Some(Snapshot { baselines, scan, ..Snapshot::default() }))
    }

    /// Files that the branch's history never held and that are gone: stashed or cleaned away, to be written again. Answers
    /// the issues whose files sparse checkout keeps out of the work tree, which are neither written nor removed there.
    fn forget_never_committed(
        &self,
        absent: &Snapshot,
        report: &mut Report,
    ) -> Result<BTreeSet<Identity>, MirrorError> {
        let missing = self.missing(absent)?;
        let is_hidden = |(identity, why): (&Identity, &Absence)| (*why == Absence::Sparse).then(|| identity.clone());
        let hidden = missing.why.iter().filter_map(is_hidden).collect();
        if let Some(caution) = missing.caution.as_ref().filter(|_| missing.suspicious) {
            report.lines.push(caution.clone());
            report.needs_attention = true;
        }
        let never: Vec<_> = missing
            .why
            .iter()
            .filter(|(_, why)| **why == Absence::NeverCommitted)
            .map(|(identity, _)| identity)
            .collect();
        if never.is_empty() {
            return Ok(hidden);
        }
        let read = self.store.read()?;
        for identity in &never {
            // of an issue that was deleted as well, nothing is kept
            let Some(id) = read.id_of(identity)? else { continue };
            report.kept.push(id);
            report
                .lines
                .push(format!("#{id} kept: its file is gone but was never committed on this branch; written again"));
        }
        drop(read);
        if self.options.dry_run {
            return Ok(hidden);
        }
        self.store.write(&self.author, |txn| {
            never.iter().try_for_each(|identity| txn.forget_baseline(identity)).map_err(MirrorError::from)
        })?;
        Ok(hidden)
    }

    /// The first batch of some records, and the others.
    fn next_batch<'p>(&self, pending: &'p [Identity]) -> Result<(&'p [Identity], Option<Batch>), MirrorError> {
        if pending.is_empty() {
            return Ok((pending, None));
        }
        let batch = Batch::read(&self.store.read()?, pending)?;
        Ok((&pending[batch.changed.len()..], Some(batch)))
    }

    /// Exports a batch; answers the next one, which is read while the disk is busy with this one, and what is left.
    fn export_batch<'p>(
        &self,
        gate: &Gate,
        dir: &Dir,
        batch: Batch,
        rest: &'p [Identity],
        report: &mut Report,
    ) -> Result<(&'p [Identity], Option<Batch>), MirrorError> {
        let Batch { changed, texts } = batch;
        let ready = |item: &Changed, text| {
            let prepared = prepare(dir, item, text)?;
            let temporary = match &prepared {
                Prepared::Write(write) if !self.options.dry_run => {
                    Some(dir.write_temporary(&write.name.to_string(), &write.bytes)?.close())
                }
                _ => None,
            };
            Ok::<_, MirrorError>((prepared, temporary))
        };
        // of files that are there, there is much to think about; of new ones that was done
        let known: Vec<_> = changed.iter().filter(|item| !item.is_new()).collect();
        let mut known = cores::map(&known, FOR_A_THREAD, |item| ready(item, None)).into_iter();
        let ready = changed.iter().zip(texts).map(|(item, text)| {
            let done = if item.is_new() { None } else { known.next() };
            (item, done.unwrap_or_else(|| ready(item, text)))
        });
        let (mut landed, mut writes, mut removals) = (Vec::new(), Vec::new(), Vec::new());
        for (item, ready) in ready {
            let (prepared, temporary) = ready?;
            tell(report, item, &prepared, self);
            match (prepared, temporary) {
                (Prepared::Write(write), Some(temporary)) => writes.push((item, write, temporary)),
                (Prepared::Converged { name, bytes, file, stat }, _) => {
                    landed.extend(item.record.as_ref().map(|record| Landed {
                        identity: &item.identity,
                        file: Some((baseline_of(&name, &bytes, file, record, Some(stat)), &record.issue)),
                    }));
                }
                (Prepared::Forget, _) => landed.push(Landed { identity: &item.identity, file: None }),
                (Prepared::Remove { name, stat }, _) => removals.push((item, name, stat)),
                _ => {}
            }
        }
        if self.options.dry_run {
            return self.next_batch(rest);
        }
        let sync = || sync_temporaries(dir, &writes);
        let meanwhile = || Ok::<_, MirrorError>((self.announce(&writes, &removals)?, self.next_batch(rest)?));
        let (synced, meanwhile) = match writes.len() {
            FOR_A_THREAD.. => both(sync, meanwhile),
            _ => (sync(), meanwhile()),
        };
        synced?;
        let (announced, next) = meanwhile?;
        for (item, name, stat) in removals {
            if still(dir, &name, &stat)? {
                dir.remove(&name.to_string())?;
                landed.push(Landed { identity: &item.identity, file: None });
            }
        }
        landed.extend(self.write_files(gate, dir, writes, report)?);
        if landed.is_empty() && !announced {
            return Ok(next);
        }
        dir.sync()?;
        self.store.write(&self.author, |txn| {
            for landed in &landed {
                match &landed.file {
                    Some((baseline, issue)) => txn.agree(landed.identity, baseline, issue)?,
                    None => txn.forget_baseline(landed.identity)?,
                }
            }
            Ok::<_, MirrorError>(txn.set_landings(&[])?)
        })?;
        Ok(next)
    }

    /// Notes what is about to happen to files, so that what a killed export leaves is not taken for anybody's edit or
    /// deletion (see [`super::landing`]), and what is lost of texts that are replaced as a whole. Says whether there is
    /// anything.
    fn announce(&self, writes: &[Ready<'_>], removals: &[(&Changed, FileName, FileStat)]) -> Result<bool, MirrorError> {
        let written = writes.iter().map(|(item, write, _)| Landing {
            identity: item.identity.clone(),
            name: write.name.clone(),
            file: Some(write.file),
        });
        let removed = removals.iter().map(|(item, name, _)| Landing {
            identity: item.identity.clone(),
            name: name.clone(),
            file: None,
        });
        let landings: Vec<_> = written.chain(removed).collect();
        if landings.is_empty() {
            return Ok(false);
        }
        self.store.write(&self.author, |txn| {
            for (item, write, _) in writes {
                if let Some(text) = &write.lost {
                    txn.note_lost_file(&item.identity, Op::Update, &write.name, Some(text))?;
                }
            }
            Ok::<_, MirrorError>(txn.set_landings(&landings)?)
        })?;
        Ok(true)
    }

    fn write_files<'c>(
        &self,
        gate: &Gate,
        dir: &Dir,
        writes: Vec<Ready<'c>>,
        report: &mut Report,
    ) -> Result<Vec<Landed<'c>>, MirrorError> {
        if writes.is_empty() {
            return Ok(Vec::new());
        }
        let now = gate.file_system_now(self.store.dir())?;
        let mut landed = Vec::with_capacity(writes.len());
        for (item, write, temporary) in writes {
            let (Some(record), name) = (&item.record, write.name.to_string()) else { continue };
            let in_place = write.replaces.as_ref().is_some_and(|(old, _)| *old == write.name);
            let fresh = write.replaces.as_ref().map_or(Ok(true), |(old, stat)| still(dir, old, stat))?;
            let published = fresh
                && match temporary.publish(&name, in_place) {
                    Ok(()) => true,
                    Err(error) if error.source.kind() == std::io::ErrorKind::AlreadyExists => false,
                    Err(error) => return Err(error.into()),
                };
            if !published {
                report.needs_attention = true;
                report.conflicts.push(record.issue.head.id);
                report.lines.push(format!(
                    "{} was changed while it was being written; run `oxi-state sync`",
                    self.project.issue_path(&name)
                ));
                continue;
            }
            if let Some((old, _)) = write.replaces.as_ref().filter(|_| !in_place) {
                dir.remove(&old.to_string())?;
            }
            let stat = match dir.entry(&name)? {
                // a change by somebody else after the rename would not be older than `now`
                Some(Entry::File(stat)) if stat.modified < now && stat.size == write.bytes.len() as u64 => Some(stat),
                _ => None,
            };
            let baseline = baseline_of(&write.name, &write.bytes, write.file, record, stat);
            landed.push(Landed { identity: &item.identity, file: Some((baseline, &record.issue)) });
        }
        Ok(landed)
    }
}

/// The records that differ from their baselines, and the number of those that do not.
fn pending_in(read: &ReadTxn, only: Option<&BTreeSet<Identity>>) -> Result<(Vec<Identity>, u64), MirrorError> {
    let counters = read.counters()?;
    let total = crate::schema::issue::Status::ALL.iter().map(|status| counters.with_status(*status)).sum::<u64>();
    let mut pending = read.all_pending()?;
    pending.retain(|(identity, _)| only.is_none_or(|only| only.contains(identity)));
    // a deletion may free the name that another issue's file takes
    pending.sort_by_key(|(_, kind)| *kind != Pending::Deleted);
    let living = pending.iter().filter(|(_, kind)| *kind != Pending::Deleted).count() as u64;
    let pending = pending.into_iter().map(|(identity, _)| identity).collect();
    Ok((pending, total.saturating_sub(living)))
}

/// Conflicts are skipped, and stay until a person ends them.
fn tell_conflicts(read: &ReadTxn, only: Option<&BTreeSet<Identity>>, report: &mut Report) -> Result<(), MirrorError> {
    for (identity, conflict) in read.all_conflicts()? {
        if only.is_none_or(|only| only.contains(&identity)) {
            report.add_conflict(read.id_of(&identity)?.unwrap_or(conflict.id));
        }
    }
    Ok(())
}

/// Whether a file is still the one that was looked at.
fn still(dir: &Dir, name: &FileName, stat: &FileStat) -> Result<bool, MirrorError> {
    Ok(matches!(dir.entry(&name.to_string())?, Some(Entry::File(now)) if now == *stat))
}

/// Makes what is to be published durable.
fn sync_temporaries(dir: &Dir, writes: &[Ready<'_>]) -> Result<(), PathError> {
    match writes {
        [] => Ok(()),
        few if few.len() <= FEW => few.iter().try_for_each(|(_, _, temporary)| temporary.sync()),
        _ => dir.sync_file_system(),
    }
}

/// Removes temporary files that a killed process left; this one holds the lock of all who make them.
fn sweep(dir: &Dir) {
    let Ok(names) = dir.names() else { return };
    for name in names.iter().filter(|name| is_temporary(name.as_ref())) {
        // what cannot be removed now will be another time
        let _ = dir.remove(name);
    }
}

fn baseline_of(
    name: &FileName,
    bytes: &[u8],
    file: ContentHash,
    record: &Versioned,
    stat: Option<FileStat>,
) -> Baseline {
    // the hash of a record is that of its canonical rendering
    let is_canonical = file == record.hash;
    let text = (!is_canonical).then(|| String::from_utf8_lossy(bytes).into_owned());
    Baseline { name: name.clone(), file, stat, content: record.hash, text }
}

fn tell(report: &mut Report, item: &Changed, prepared: &Prepared, mirror: &Mirror<'_>) {
    let id = item
        .record
        .as_ref()
        .map(|record| record.issue.head.id)
        .or(item.baseline.as_ref().map(|baseline| baseline.name.id));
    let id = id.unwrap_or(IssueId(0));
    let path = |name: &FileName| mirror.project.issue_path(name);
    match prepared {
        // told by the list of all conflicts
        Prepared::InConflict => {}
        Prepared::Converged { .. } | Prepared::Forget => report.unchanged += 1,
        Prepared::Write(write) => match &write.replaces {
            None => {
                report.created.push(id);
                report.lines.push(format!("wrote {}", path(&write.name)));
            }
            Some((old, _)) if *old == write.name => {
                report.updated.push(id);
                let note = if write.lost.is_some() {
                    " as a whole: it could not be changed line by line; `oxi-state log` has its old text"
                } else {
                    ""
                };
                report.lines.push(format!("updated {}{note}", path(&write.name)));
            }
            Some((old, _)) => {
                report.renumbered.push(Renumbered { from: old.id, to: id });
                report.lines.push(format!("moved {} to {}", path(old), path(&write.name)));
            }
        },
        Prepared::Remove { name, .. } => {
            report.deleted.push(id);
            report.lines.push(format!("removed {}", path(name)));
        }
        Prepared::Refused { name, reason } => {
            report.needs_attention = true;
            report.conflicts.push(id);
            let done = if item.record.is_some() { "written" } else { "removed" };
            report.lines.push(format!("{} was not {done}: {reason}", path(name)));
        }
        Prepared::Bad { name, line, reason } => {
            report.bad.push(Problem { path: path(name), line: *line, reason: reason.clone() });
        }
    }
}

//! Import: plan from a snapshot, commit in one transaction if the records are still those, then move renumbered files.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use crate::cores;
use crate::db::gate::Gate;
use crate::db::record::{Baseline, Versioned};
use crate::db::{Op, PreparedPut, Signature, StoreError, WriteTxn};
use crate::fs::Dir;
use crate::import::scan::{MAX_FILE, ReadFile};
use crate::schema::id::{ContentHash, FileName, Identity, IssueId};
use crate::schema::issue::Issue;
use crate::schema::value::Value;

use super::gather::{Missing, Number, Snapshot};
use super::plan::{self, Absence, Action, BaselineChange, ConflictChange, Outcome, RecordChange};
use super::report::Renumbered;
use super::{Mirror, MirrorError, Problem, Report, folder_mark};

/// How often a plan is made anew because a record changed under it.
const ATTEMPTS: usize = 8;

/// Everything that an import is about to do.
pub(super) struct ImportPlan<'s> {
    pub(super) actions: Vec<Action<'s>>,
    numbers: BTreeMap<Identity, Number>,
}

impl ImportPlan<'_> {
    /// The number that an issue is to have.
    pub(super) fn number(&self, identity: &Identity) -> Option<IssueId> {
        self.numbers.get(identity).map(|number| number.assigned)
    }
}

impl Mirror<'_> {
    pub(super) fn import_from(&self, gate: &Gate, mut snapshot: Snapshot) -> Result<Report, MirrorError> {
        let imported = self.import_of(gate, &mut snapshot);
        cores::free(snapshot);
        imported
    }

    fn import_of(&self, gate: &Gate, snapshot: &mut Snapshot) -> Result<Report, MirrorError> {
        for attempt in 0..ATTEMPTS {
            if attempt > 0 {
                *snapshot = self.snapshot(gate)?;
            }
            let missing = self.missing(snapshot)?;
            let plan = match self.plan_import(snapshot, &missing) {
                Err(MirrorError::Contended) => continue,
                plan => plan?,
            };
            let mut report = self.report_import(snapshot, &missing, &plan);
            let surplus = || plan.actions.iter().any(|action| !action.surplus.is_empty());
            report.left_undone = self.options.leave_files && (!moved(&plan).is_empty() || surplus());
            if self.options.dry_run || report.left_undone {
                return Ok(report);
            }
            let committed = match self.commit_import(snapshot, &plan) {
                // a record or a file changed, or a number was given, since the plan was made
                Err(MirrorError::Contended | MirrorError::Store(StoreError::NumberTaken(_))) => false,
                other => other.map(|()| true)?,
            };
            if committed {
                self.remove_surplus(&plan)?;
                let moved = moved(&plan);
                if !moved.is_empty() {
                    let moves = self.export_some(gate, &moved)?;
                    report.needs_attention |= moves.needs_attention;
                    report.bad.extend(moves.bad);
                }
                if !moved.is_empty() || plan.actions.iter().any(|action| !action.surplus.is_empty()) {
                    let known = Some(folder_mark(snapshot.scan.folder));
                    self.note_folder(self.project.issues()?.as_ref(), known)?;
                }
                return Ok(report);
            }
        }
        Err(MirrorError::Contended)
    }

    pub(super) fn plan_import<'s>(
        &self,
        snapshot: &'s Snapshot,
        missing: &Missing,
    ) -> Result<ImportPlan<'s>, MirrorError> {
        let mut concerned = self.concerned(snapshot, missing)?;
        let mut actions = Vec::new();
        self.plan_for(snapshot, concerned.iter().filter(|(_, issue)| issue.files.is_empty()), &mut actions)?;
        let leaving: HashSet<_> = actions
            .iter()
            .filter(|action| action.record == RecordChange::Delete)
            .map(|action| action.identity.clone())
            .collect();
        let numbers = self.assign_numbers(&concerned, &leaving)?;
        concerned.retain(|_, issue| !issue.files.is_empty());
        for (identity, issue) in &mut concerned {
            // of several files of one issue, the one that has its number is the one that stays
            let number = numbers.get(identity).map(|number| number.assigned);
            issue.files.sort_by_key(|file| Some(file.name.id) != number);
        }
        self.plan_for(snapshot, concerned.iter(), &mut actions)?;
        Ok(ImportPlan { actions, numbers })
    }

    fn commit_import(&self, snapshot: &Snapshot, plan: &ImportPlan<'_>) -> Result<(), MirrorError> {
        let refreshed = snapshot.refreshed();
        let mark = folder_mark(snapshot.scan.folder);
        let moves = record_moves(plan);
        let nothing = plan.actions.is_empty() && moves.is_empty() && refreshed.is_empty();
        if nothing && snapshot.folder_mark == Some(mark) {
            return Ok(());
        }
        let dir = self.project.issues()?;
        // told before: a terminal may be slow, and nothing slow happens while the gate is held
        let total = plan.actions.len() as u64;
        (self.progress)("storing", total, total);
        self.store.write(&self.author, |txn| {
            for action in &plan.actions {
                let current = txn.id_of(&action.identity)?.map(|id| txn.head(id)).transpose()?.flatten();
                if current.map(|current| current.hash) != action.expected {
                    return Err(MirrorError::Contended);
                }
            }
            for (key, baseline) in &refreshed {
                txn.refresh_baseline(key, baseline)?;
            }
            for action in plan.actions.iter().filter(|action| action.record == RecordChange::Delete) {
                if let Some(id) = txn.id_of(&action.identity)? {
                    txn.delete(id, Op::Import)?;
                }
            }
            txn.renumber(&moves)?;
            let signature = txn.signature();
            let prepare = |action: &Action<'_>| prepare(action, plan, dir.as_ref(), &signature);
            cores::ahead(&plan.actions, prepare, |action, prepared| apply(txn, action, prepared, plan))?;
            txn.normalize_links(plan.actions.iter().map(|action| &action.identity))?;
            txn.set_folder_mark(mark)?;
            Ok(())
        })
    }

    /// Removes the further files of issues, which say the same as the one that stays, and files with conflict markers that
    /// were merged into another. A second import removes what a crash left.
    fn remove_surplus(&self, plan: &ImportPlan<'_>) -> Result<(), MirrorError> {
        // an issue that git left unmerged under a number that it does not keep
        let leaving = |action: &&Action<'_>| {
            action.outcome != Outcome::Conflict
                && action.file.is_some_and(|file| {
                    file.unmerged.is_some() && plan.number(&action.identity).is_some_and(|id| id != file.name.id)
                })
        };
        // where two issues met on one path, it stays with one of them
        let kept: HashSet<_> = plan
            .actions
            .iter()
            .filter(|action| !leaving(action))
            .filter_map(|action| Some(&action.file?.name))
            .collect();
        let left = plan.actions.iter().filter(leaving).filter_map(|action| action.file);
        let surplus = plan.actions.iter().flat_map(|action| action.surplus.iter().copied());
        let mut surplus = surplus.chain(left).filter(|file| !kept.contains(&file.name)).peekable();
        let (Some(_), Some(dir)) = (surplus.peek(), self.project.issues()?) else { return Ok(()) };
        for file in surplus {
            let name = file.name.to_string();
            // whoever edited it since it was read keeps it
            if dir.read(&name, MAX_FILE).is_ok_and(|(bytes, _)| ContentHash::of(&bytes) == file.file) {
                dir.remove(&name)?;
            }
        }
        Ok(dir.sync()?)
    }

    pub(super) fn report_import(&self, snapshot: &Snapshot, missing: &Missing, plan: &ImportPlan<'_>) -> Report {
        let mut report =
            Report { unchanged: snapshot.settled + snapshot.scan.unchanged.len() as u64, ..Report::default() };
        let quiet = snapshot.scan.read.len().saturating_sub(plan.actions.iter().filter(|a| a.file.is_some()).count());
        report.unchanged += quiet as u64;
        for action in &plan.actions {
            let id = plan.number(&action.identity).or(action.present).unwrap_or(IssueId(0));
            describe(&mut report, action, id, self);
        }
        let files: HashMap<&Identity, &ReadFile> =
            plan.actions.iter().filter_map(|action| Some((&action.identity, action.file?))).collect();
        for (identity, Number { assigned, present }) in &plan.numbers {
            let from = present.or_else(|| files.get(identity).map(|file| file.name.id));
            if let Some(from) = from.filter(|from| from != assigned) {
                report.lines.push(format!("renumbered {from} -> {assigned}"));
                report.renumbered.push(Renumbered { from, to: *assigned });
            }
        }
        self.report_secrets(&mut report, plan);
        for bad in &snapshot.scan.bad {
            let path = self.project.issue_path(&bad.name);
            report.bad.push(Problem { path, line: bad.line, reason: bad.reason.clone() });
        }
        if let Some(caution) = &missing.caution {
            report.lines.push(caution.clone());
            report.needs_attention |= missing.suspicious;
        }
        report.sort();
        report
    }
}

/// Records that get another number than they have.
fn record_moves(plan: &ImportPlan<'_>) -> Vec<(Identity, IssueId)> {
    let moves =
        plan.numbers.iter().filter(|(_, number)| number.present.is_some_and(|present| present != number.assigned));
    moves.map(|(identity, number)| (identity.clone(), number.assigned)).collect()
}

/// Issues whose file does not have the name that it should.
fn moved(plan: &ImportPlan<'_>) -> BTreeSet<Identity> {
    let misnamed = |action: &&Action<'_>| {
        action.file.is_some_and(|file| plan.number(&action.identity).is_some_and(|number| number != file.name.id))
    };
    let of_files = plan.actions.iter().filter(misnamed).map(|action| action.identity.clone());
    of_files.chain(record_moves(plan).into_iter().map(|(identity, _)| identity)).collect()
}

fn describe(report: &mut Report, action: &Action<'_>, id: IssueId, mirror: &Mirror<'_>) {
    for file in action.surplus.iter().filter(|file| file.unmerged.is_none()) {
        let path = mirror.project.issue_path(&file.name);
        let same = action.file.is_some_and(|kept| plan::same_but_for_number(&kept.issue, &file.issue));
        let what = if same { "the same but for its number" } else { "as it was before" };
        report.lines.push(format!("#{id} is also in {path}, {what}; that file goes"));
        report.renumbered.push(Renumbered { from: file.name.id, to: id });
    }
    let title = action.file.map(|file| crate::schema::id::printable(&file.issue.head.title, false).into_owned());
    let title = title.map(|title| format!(": {title}")).unwrap_or_default();
    let (list, verb): (&mut Vec<IssueId>, String) = match action.outcome {
        Outcome::Created => (&mut report.created, "imported".into()),
        Outcome::Updated => (&mut report.updated, "updated".into()),
        Outcome::Deleted => {
            (&mut report.deleted, "deleted (its file was deleted; `oxi-state undo` brings it back)".into())
        }
        Outcome::Merged => (&mut report.merged, "merged".into()),
        Outcome::Restored => (&mut report.kept, "restored: it was deleted here, but its file was edited".into()),
        Outcome::Kept(absence) => (&mut report.kept, format!("kept: {}", reason(absence))),
        Outcome::Conflict => return report.add_conflict(id),
        Outcome::Silent => {
            report.unchanged += u64::from(action.file.is_some());
            return;
        }
    };
    list.push(id);
    report.lines.push(format!("#{id} {verb}{title}"));
    for (field, value) in &action.lost {
        let value = serde_json::to_string(value).unwrap_or_default();
        report.lines.push(format!("#{id} {field} was changed on both sides; not taken: {value}"));
    }
}

const fn reason(absence: Absence) -> &'static str {
    match absence {
        Absence::Deleted => "its file was deleted, but the record was edited since; export writes it again",
        Absence::NeverCommitted => "its file is gone but was never committed on this branch; export writes it again",
        Absence::Displaced => "another issue's file took its name; export writes it again",
        Absence::Sparse => "sparse checkout leaves its file out",
        Absence::Unsure => "its file is missing, which is not taken for a deletion now",
    }
}

/// What an action puts into the database, as far as that can be worked out without it.
struct Prepared {
    /// The file with its body, if that was not held in memory.
    loaded: Option<ReadFile>,
    put: Option<(Versioned, Op, PreparedPut)>,
}

/// A file with its body, if that is not held in memory.
pub(super) fn loaded(file: &ReadFile, dir: Option<&Dir>) -> Result<Option<ReadFile>, MirrorError> {
    let (Some(_), Some(dir)) = (file.dropped_body, dir) else { return Ok(None) };
    let mut file = file.clone();
    if file.complete(dir)? { Ok(Some(file)) } else { Err(MirrorError::Contended) }
}

fn prepare(
    action: &Action<'_>,
    plan: &ImportPlan<'_>,
    dir: Option<&Dir>,
    signature: &Signature,
) -> Result<Prepared, MirrorError> {
    let loaded = action.file.map(|file| loaded(file, dir)).transpose()?.flatten();
    let file = loaded.as_ref().or(action.file);
    let issue = match (&action.record, file) {
        (RecordChange::Put(issue, op), _) => Some(((**issue).clone(), *op, None)),
        (RecordChange::TakeFile, Some(file)) => Some((file.issue.clone(), Op::Import, Some(file.content))),
        _ => None,
    };
    let put = issue.map(|(mut issue, op, hash)| {
        let id = plan.number(&action.identity).unwrap_or(issue.head.id);
        let hash = hash.filter(|_| issue.head.id == id);
        issue.head.id = id;
        let version = match hash {
            Some(hash) => Versioned { issue, hash },
            None => Versioned::new(issue),
        };
        let prepared = PreparedPut::of(&version, op, action.expected.is_none().then_some(signature));
        (version, op, prepared)
    });
    Ok(Prepared { loaded, put })
}

/// Applies one action.
fn apply(
    txn: &mut WriteTxn<'_>,
    action: &Action<'_>,
    Prepared { loaded, put }: &mut Prepared,
    plan: &ImportPlan<'_>,
) -> Result<(), MirrorError> {
    let identity = &action.identity;
    let file = loaded.as_ref().or(action.file);
    let number = |issue: &Issue| plan.number(identity).unwrap_or(issue.head.id);
    let mut stored = None;
    if let Some((version, op, prepared)) = put {
        match (action.baseline, file) {
            (BaselineChange::Agree, Some(_)) | (BaselineChange::Forget, _) => {
                txn.put_unmarked(version, *op, prepared)?;
            }
            _ => txn.put(version, *op)?,
        }
        stored = Some(version.hash);
    }
    match (action.baseline, file) {
        // of two issues that met on one path, one moves away
        (BaselineChange::Agree, Some(file)) if file.unmerged.is_some() && number(&file.issue) != file.name.id => {
            txn.forget_baseline(identity)?;
        }
        (BaselineChange::Agree, Some(file)) if file.unmerged.is_some() => {
            let text = action.text.clone().or_else(|| file.text.clone());
            let content = txn.issue_of(identity)?.map_or_else(|| file.issue.clone(), |record| record.issue);
            txn.agree(identity, &Baseline { text, ..file.baseline() }, &content)?;
        }
        (BaselineChange::Agree, Some(file)) => match stored {
            Some(_) => txn.agree_with(identity, stored, &file.baseline(), &file.issue)?,
            None => txn.agree(identity, &file.baseline(), &file.issue)?,
        },
        (BaselineChange::Forget, _) => txn.forget_baseline(identity)?,
        _ => {}
    }
    match &action.conflict {
        ConflictChange::Set(conflict) => {
            // it was planned with the number that the record had then
            let mut conflict = conflict.as_ref().clone();
            conflict.id = plan.number(identity).unwrap_or(conflict.id);
            if let Some(ours) = &mut conflict.ours {
                ours.head.id = conflict.id;
            }
            txn.put_conflict(identity, &conflict)?;
        }
        ConflictChange::Clear => {
            let is_there = |name: &FileName| action.file.iter().chain(&action.surplus).any(|file| file.name == *name);
            let moved = |theirs| action.file.is_some_and(|file| file.file == theirs);
            if let Some(conflict) = txn.conflict(identity)?
                && !is_there(&conflict.name)
                && !moved(conflict.theirs_file)
                && conflict.theirs.is_some()
            {
                // the file that held the other side is gone, and nothing else has it
                txn.note_lost_file(identity, Op::Import, &conflict.name, Some(&conflict.theirs_text))?;
            }
            txn.remove_conflict(identity)?;
        }
        ConflictChange::Keep => {}
    }
    if !action.lost.is_empty() {
        txn.note_lost(identity, Op::Merge, Value::Map(action.lost.clone()), None)?;
    }
    if let Some(file) = file.filter(|_| action.keeps_text) {
        txn.note_lost_file(identity, Op::Import, &file.name, Some(&file.text_or_rendering()))?;
    }
    for surplus in &action.surplus {
        txn.note_lost_file(identity, Op::Renumber, &surplus.name, None)?;
    }
    Ok(())
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "plays a person")]
mod tests {
    use std::fs;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Duration;

    use super::*;
    use crate::db::{Author, Store};
    use crate::project::Project;
    use crate::sync::Options;

    #[test]
    fn files_that_change_or_go_while_they_are_stored_are_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let project = Project::create(folder.path()).unwrap();
        let store = Store::open(&folder.path().join(".oxi"), Duration::from_secs(10)).unwrap();
        let path = |id: u32| folder.path().join(format!(".oxi/issues/{id:04}-i{id}.md"));
        fs::create_dir_all(folder.path().join(".oxi/issues")).unwrap();
        // more than is held in memory until then
        let body = "some text\n".repeat(100_000);
        for id in 1..=50 {
            let text = format!(
                "---\nid: {id}\ntitle: I{id}\ncreated_at: 2026-01-01T00:00:{id:02}Z\nupdated_at: 2026-01-01T00:00:00Z\n---\n{body}"
            );
            fs::write(path(id), text).unwrap();
        }
        let was_told = AtomicBool::new(false);
        let progress = |what: &'static str, _, _| {
            if what == "storing" && !was_told.swap(true, Ordering::Relaxed) {
                fs::remove_file(path(50)).unwrap();
                let longer = fs::read_to_string(path(49)).unwrap() + "one more line\n";
                fs::write(path(49), longer).unwrap();
            }
        };
        let author = Author { actor: "test".into(), session: None, now: "2026-06-17T12:00:00Z".parse().unwrap() };
        let mirror =
            Mirror { project: &project, store: &store, author, options: Options::default(), progress: &progress };
        let report = mirror.ensure_database().unwrap().unwrap();
        assert!(was_told.load(Ordering::Relaxed));
        assert_eq!(report.created.len(), 49);
        let read = store.read().unwrap();
        let stored = |id| read.issue(IssueId(id)).unwrap().map(|found| found.issue.body);
        assert_eq!(stored(50), None);
        assert_eq!(stored(49), Some(format!("{body}one more line\n")));
        assert_eq!(stored(1), Some(body.clone()));
    }
}

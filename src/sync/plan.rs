//! What an import is to do, decided from a snapshot of records and files. Pure: applying it comes later, and checks that
//! the records are still those that were planned with.

mod several;

use crate::db::Op;
use crate::db::record::{Conflict, Versioned};
use crate::import::scan::ReadFile;
use crate::schema::frontmatter;
use crate::schema::id::{ContentHash, FileName, Identity, IssueId};
use crate::schema::issue::{Issue, Linked};
use crate::schema::privacy::Rule;
use crate::schema::value::Value;

use super::decide::{Side, Step, decide};
use super::driver::{Versions, merge_files};
use super::merge;
use several::{is_version, plan_others};

/// Why an issue's file is not in the folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absence {
    /// Somebody deleted it.
    Deleted,
    /// The branch's history never held it: it was stashed or cleaned away.
    NeverCommitted,
    /// Another issue's file took its name.
    Displaced,
    /// Sparse checkout keeps it out of the work tree.
    Sparse,
    /// It cannot be told now: in the middle of a merge, or too many are gone at once.
    Unsure,
}

/// All that is known of one issue.
#[derive(Clone, Debug, Default)]
pub struct Known<'a> {
    /// The record.
    pub record: Option<Versioned>,
    /// The merge base; none if file and record never agreed.
    pub base: Option<Issue>,
    /// The open conflict, if there is one.
    pub conflict: Option<&'a Conflict>,
    /// The file that it is about, if it was ended, exported, and opened again by an undo: while the file is that one, it
    /// tells nothing new.
    pub reopened: Option<ContentHash>,
    /// The files that hold it, lowest number first; more than one only after a merge or a copy.
    pub files: Vec<&'a ReadFile>,
    /// Why there is none, where there is none but was one.
    pub absence: Option<Absence>,
    /// Hash of the file's bytes when both last agreed.
    pub file: Option<ContentHash>,
}

/// What happens to the record.
#[derive(Clone, Debug, PartialEq)]
pub enum RecordChange {
    /// Nothing.
    Keep,
    /// It becomes this.
    Put(Box<Issue>, Op),
    /// It becomes what the file says.
    TakeFile,
    /// It is deleted.
    Delete,
}

/// What happens to the baseline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BaselineChange {
    /// Nothing.
    Keep,
    /// The first of the issue's files has been taken in.
    Agree,
    /// The file is gone.
    Forget,
}

/// What happens to the conflict.
#[derive(Clone, Debug, PartialEq)]
pub enum ConflictChange {
    /// Nothing.
    Keep,
    /// There is one.
    Set(Box<Conflict>),
    /// There is none any more.
    Clear,
}

/// How an import reports an issue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A new record.
    Created,
    /// The record follows the file.
    Updated,
    /// The record is gone as the file is.
    Deleted,
    /// Both sides went in.
    Merged,
    /// Kept against a deletion or a disappearance.
    Kept(Absence),
    /// A deleted record is back, because its file was edited.
    Restored,
    /// Waits for a person.
    Conflict,
    /// Nothing to tell.
    Silent,
}

/// What is to happen with one issue.
#[derive(Clone, Debug)]
pub struct Action<'a> {
    /// The issue.
    pub identity: Identity,
    /// The record's hash when this was planned; it must still be that.
    pub expected: Option<ContentHash>,
    /// The record's number when this was planned.
    pub present: Option<IssueId>,
    /// The file it is about.
    pub file: Option<&'a ReadFile>,
    /// More files of the same issue and content, to be removed.
    pub surplus: Vec<&'a ReadFile>,
    /// What happens to the record.
    pub record: RecordChange,
    /// What happens to the baseline.
    pub baseline: BaselineChange,
    /// What happens to the conflict.
    pub conflict: ConflictChange,
    /// The text whose comments and order the next export keeps, where that is not the file's own.
    pub text: Option<String>,
    /// Values that a merge decided against, by field.
    pub lost: Vec<(String, Value)>,
    /// Whether the log is to keep the file's text, because the next export removes it with something that is nowhere else.
    pub keeps_text: bool,
    /// What in its files looks like a secret, and was neither in the base nor in the record: the file, the rule, the line.
    pub secrets: Vec<(FileName, Rule, usize)>,
    /// How it is reported.
    pub outcome: Outcome,
}

impl Action<'_> {
    /// Whether nothing at all is to happen.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        self.record == RecordChange::Keep
            && self.baseline == BaselineChange::Keep
            && self.conflict == ConflictChange::Keep
            && self.surplus.is_empty()
            && self.outcome == Outcome::Silent
    }
}

/// Whether two versions differ in their number only.
#[must_use]
pub fn same_but_for_number(a: &Issue, b: &Issue) -> bool {
    if a.head.id == b.head.id {
        return a == b;
    }
    let mut a = a.clone();
    a.head.id = b.head.id;
    a == *b
}

/// Whether two versions are alike in everything that a person edits.
fn same_to_a_person(a: &Issue, b: &Issue) -> bool {
    let (x, y) = (&a.head, &b.head);
    x.title == y.title
        && a.body == b.body
        && x.status == y.status
        && x.priority == y.priority
        && x.labels == y.labels
        && x.assignee == y.assignee
        && x.depends_on == y.depends_on
}

/// Whether a file has keys, handoffs or validations that the base has not, or has otherwise: nobody edits them in the
/// record, but a person or another clone can have written them.
fn adds_to(base: &Issue, file: &Issue) -> bool {
    let (old, new) = (&base.head, &file.head);
    let entries = |old: &[Linked], new: &[Linked]| new.iter().any(|entry| !old.contains(entry));
    new.extra.iter().any(|(name, extra)| old.extra.get(name) != Some(extra))
        || entries(&old.handoffs, &new.handoffs)
        || entries(&old.validations, &new.validations)
}

/// One side of an issue relative to its base.
#[must_use]
pub fn side(base: Option<&Issue>, version: Option<&Issue>) -> Side {
    match (base, version) {
        (_, None) => Side::Absent,
        (Some(base), Some(version)) if same_but_for_number(base, version) => Side::Same,
        (Some(base), Some(version)) if same_to_a_person(base, version) => Side::Touched,
        _ => Side::Changed,
    }
}

/// Whether a version can be the original program's rewriting of a base: what is older is a version from before the base,
/// as after a revert or a switch to another branch, in which a key that is absent was not there yet.
pub(super) fn is_later(version: &Issue, base: &Issue) -> bool {
    version.head.updated_at >= base.head.updated_at
}

/// Takes out of a base what the original program drops when it rewrites a file.
pub(super) fn without_foreign_keys(base: &Issue) -> Issue {
    let mut base = base.clone();
    base.head.extra.clear();
    base.head.depends_on.clear();
    base.head.handoffs.clear();
    base.head.validations.clear();
    base
}

/// What is to happen with one issue.
#[must_use]
pub fn plan<'a>(identity: &Identity, known: &Known<'a>) -> Action<'a> {
    let mut action = Action {
        identity: identity.clone(),
        expected: known.record.as_ref().map(|record| record.hash),
        present: known.record.as_ref().map(|record| record.issue.head.id),
        file: known.files.first().copied(),
        surplus: Vec::new(),
        record: RecordChange::Keep,
        baseline: BaselineChange::Keep,
        conflict: if known.conflict.is_some() { ConflictChange::Clear } else { ConflictChange::Keep },
        text: None,
        lost: Vec::new(),
        keeps_text: false,
        secrets: Vec::new(),
        outcome: Outcome::Silent,
    };
    let record = known.record.as_ref().map(|record| &record.issue);
    if known.files.is_empty() {
        plan_absent(&mut action, known, record);
        return action;
    }
    let (versions, mut files): (Vec<_>, Vec<_>) = known.files.iter().copied().partition(|file| is_version(file));
    let mut versions = versions.into_iter();
    if files.is_empty() {
        files.extend(versions.next());
    }
    let file = files[0];
    action.file = Some(file);
    let versions: Vec<_> = versions.collect();
    if plan_others(&mut action, known, file, &files[1..], &versions) {
        return action;
    }
    // what was not taken of a version that git held is in no file
    let is_noted = |conflict: &Conflict| {
        file.unmerged.is_none()
            && conflict.theirs_file == file.file
            && conflict.theirs.as_ref().is_some_and(|theirs| !same_but_for_number(theirs, &file.issue))
    };
    if known.conflict.is_some_and(is_noted) {
        action.conflict = ConflictChange::Keep;
        return action;
    }
    if let Some((stages, (ours, ours_text))) =
        file.unmerged.as_ref().and_then(|stages| Some((stages, stages.ours.as_ref()?)))
    {
        plan_unmerged(&mut action, known, file, (stages.base.as_ref(), ours, ours_text));
        return action;
    }
    if known.reopened == Some(file.file) && action.surplus.is_empty() {
        action.conflict = ConflictChange::Keep;
        return action;
    }
    // A file that the original rewrote lacks the keys it does not know; they were not deleted.
    let rewritten = |base: &&Issue| file.oxi_rendering && is_later(&file.issue, base);
    let stripped = known.base.as_ref().filter(rewritten).map(without_foreign_keys);
    let base = stripped.as_ref().or(known.base.as_ref());
    let equal = record.is_some_and(|record| same_but_for_number(record, &file.issue));
    let step = decide(base.is_some(), side(base, record), side(base, Some(&file.issue)), equal);
    action.baseline = BaselineChange::Agree;
    match (step, record) {
        (Step::CreateRecord, _) => {
            action.record = RecordChange::TakeFile;
            action.outcome = Outcome::Created;
        }
        (Step::RestoreRecord, _) => {
            action.record = RecordChange::TakeFile;
            action.outcome = Outcome::Restored;
        }
        (Step::TakeFile, _) => {
            action.record = RecordChange::TakeFile;
            action.outcome = Outcome::Updated;
        }
        (Step::Merge, Some(record)) => merge_sides(&mut action, known, base, record, file),
        // the record was deleted; what the file holds beside what it held then would be in no record and no row
        (Step::DeleteFile, _) if base.is_some_and(|base| adds_to(base, &file.issue)) => {
            action.record = RecordChange::TakeFile;
            action.outcome = Outcome::Restored;
        }
        (Step::DeleteFile, _) if known.file.is_some_and(|known| known != file.file) => action.keeps_text = true,
        // converged, or the export's work; what text the file has now is what the next export patches
        _ => {}
    }
    action
}

/// Both sides of a merge in git changed the file: their versions are merged with each other and with the record.
fn plan_unmerged<'a>(
    action: &mut Action<'a>,
    known: &Known<'_>,
    file: &'a ReadFile,
    (base, ours, ours_text): (Option<&Issue>, &Issue, &str),
) {
    let record = known.record.as_ref().map(|record| &record.issue);
    // which of the two the record is, or came from: theirs in a rebase, ours in a merge
    let came_from = |version: &Issue| {
        [record, known.base.as_ref()].into_iter().flatten().any(|known| same_but_for_number(known, version))
    };
    let (base, mine, other) = match record {
        None => (base.cloned(), ours.clone(), file.issue.clone()),
        Some(record) if came_from(ours) => (base.cloned(), record.clone(), file.issue.clone()),
        Some(record) if came_from(&file.issue) => (base.cloned(), record.clone(), ours.clone()),
        Some(record) => (known.base.clone(), record.clone(), both(base, ours, &file.issue)),
    };
    let merged = merge::merge(base.as_ref(), &mine, &other);
    if merged.body_conflict.is_some() {
        conflict_of(action, known, file, file, vec!["body".into()]);
        if record.is_none() {
            action.record = RecordChange::Put(Box::new(mine.clone()), Op::Merge);
        }
        if let ConflictChange::Set(conflict) = &mut action.conflict {
            // its comments and order are what the file keeps
            conflict.theirs_text = match &file.text {
                Some(text) if other == file.issue => text.clone(),
                _ if other == *ours => ours_text.to_owned(),
                _ => frontmatter::render(&other),
            };
            (conflict.base, conflict.ours, conflict.theirs) = (base, Some(mine), Some(other));
        }
        action.baseline = BaselineChange::Keep;
        return;
    }
    action.lost.extend(merged.lost.into_iter().map(|lost| (lost.field, lost.value)));
    action.text = with_comments_of_both(base.as_ref(), file, ours_text);
    if action.text.is_none() && merged.winner == merge::Side::Ours {
        action.text = Some(ours_text.to_owned());
    }
    action.record = RecordChange::Put(Box::new(merged.issue), Op::Merge);
    action.baseline = BaselineChange::Agree;
    action.outcome = Outcome::Merged;
}

/// The text that the merge driver would make of both versions, for what only text carries; none if it could not.
fn with_comments_of_both(base: Option<&Issue>, file: &ReadFile, ours: &str) -> Option<String> {
    let base = base.map(frontmatter::render).unwrap_or_default();
    let merged = merge_files(&Versions {
        base: base.as_bytes(),
        ours: ours.as_bytes(),
        theirs: file.text.as_ref()?.as_bytes(),
        path: &file.name.to_string(),
        marker_size: super::diff3::MARKER_SIZE,
        ours_label: "",
        theirs_label: "",
    });
    String::from_utf8(merged.bytes).ok().filter(|_| merged.unsettled.is_none())
}

/// Two versions as one, for a record that came from neither: where their bodies overlap, the lines of both.
fn both(base: Option<&Issue>, ours: &Issue, theirs: &Issue) -> Issue {
    let merged = merge::merge(base, ours, theirs);
    let mut issue = merged.issue;
    if let Some(chunks) = merged.body_conflict {
        issue.body = super::diff3::union(&chunks);
    }
    issue
}

fn plan_absent(action: &mut Action<'_>, known: &Known<'_>, record: Option<&Issue>) {
    let base = known.base.as_ref();
    match (decide(base.is_some(), side(base, record), Side::Absent, false), known.absence) {
        // a file that sparse checkout keeps out of sight cannot be removed yet
        (Step::Forget, Some(why)) if why != Absence::Sparse => action.baseline = BaselineChange::Forget,
        (Step::DeleteRecord, Some(Absence::Deleted)) => {
            action.record = RecordChange::Delete;
            action.baseline = BaselineChange::Forget;
            action.outcome = Outcome::Deleted;
        }
        (_, Some(Absence::Sparse) | None) => action.conflict = ConflictChange::Keep,
        (Step::DeleteRecord | Step::KeepRecord, Some(Absence::Unsure)) => {
            action.conflict = ConflictChange::Keep;
            action.outcome = Outcome::Kept(Absence::Unsure);
        }
        // without a baseline the next export creates the file again
        (Step::DeleteRecord | Step::KeepRecord, Some(absence)) => {
            action.baseline = BaselineChange::Forget;
            action.outcome = Outcome::Kept(absence);
        }
        _ => {}
    }
}

fn merge_sides<'a>(
    action: &mut Action<'a>,
    known: &Known<'_>,
    base: Option<&Issue>,
    record: &Issue,
    file: &'a ReadFile,
) {
    let merged = merge::merge(base, record, &file.issue);
    if merged.body_conflict.is_some() {
        conflict_of(action, known, file, file, vec!["body".into()]);
        return;
    }
    for lost in merged.lost {
        action.lost.push((lost.field, lost.value));
    }
    if merged.issue == *record {
        // the file holds nothing that the record takes; the export's work, but what was not taken is told
        if !action.lost.is_empty() {
            action.outcome = Outcome::Merged;
        }
        return;
    }
    action.record = if same_but_for_number(&merged.issue, &file.issue) {
        RecordChange::TakeFile
    } else {
        RecordChange::Put(Box::new(merged.issue), Op::Merge)
    };
    action.outcome = Outcome::Merged;
}

fn conflict_of<'a>(
    action: &mut Action<'a>,
    known: &Known<'_>,
    ours: &'a ReadFile,
    theirs: &'a ReadFile,
    fields: Vec<String>,
) {
    let record = known.record.as_ref().map(|record| &record.issue);
    // two files of a new issue: the first becomes the record
    if record.is_none() {
        action.record = RecordChange::TakeFile;
        action.baseline = BaselineChange::Agree;
    } else {
        action.baseline = BaselineChange::Keep;
    }
    let ours = record.unwrap_or(&ours.issue);
    action.surplus.clear();
    action.outcome = Outcome::Conflict;
    action.conflict = ConflictChange::Set(Box::new(Conflict {
        id: ours.head.id,
        name: theirs.name.clone(),
        fields,
        base: known.base.clone(),
        ours: Some(ours.clone()),
        theirs: Some(theirs.issue.clone()),
        theirs_file: theirs.file,
        theirs_text: theirs.text_or_rendering().into_owned(),
    }));
}

//! What an import, export or sync did.

use serde::Serialize;

use crate::schema::id::IssueId;

/// An issue that got another number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, schemars::JsonSchema)]
pub struct Renumbered {
    /// The old number.
    pub from: IssueId,
    /// The new one.
    pub to: IssueId,
}

/// A file that was left alone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, schemars::JsonSchema)]
pub struct Problem {
    /// Its path from the project's root.
    pub path: String,
    /// The line, from 1, where one can be named.
    pub line: Option<u32>,
    /// One sentence.
    pub reason: String,
}

/// A place in a file that was taken in, where something looks like a secret. What it is is not repeated.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, schemars::JsonSchema)]
pub struct Secret {
    /// The file's path from the project's root.
    pub path: String,
    /// The line, from 1.
    pub line: u64,
    /// The rule that it was recognised by, as `--allow` takes it.
    pub rule: String,
}

/// What was done, by issue number. With `--json` this is the whole output.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Report {
    /// New records (import) or files (export).
    pub created: Vec<IssueId>,
    /// Records or files that follow the other side.
    pub updated: Vec<IssueId>,
    /// Records or files that are gone as the other side is.
    pub deleted: Vec<IssueId>,
    /// Issues into which both sides went.
    pub merged: Vec<IssueId>,
    /// Issues that got another number.
    pub renumbered: Vec<Renumbered>,
    /// Issues kept against a deletion or a disappearance.
    pub kept: Vec<IssueId>,
    /// Issues that wait for a person.
    pub conflicts: Vec<IssueId>,
    /// Files that were left alone.
    pub bad: Vec<Problem>,
    /// Places that look like secrets, in what files brought in; absent if there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<Secret>,
    /// Issues with nothing to do.
    pub unchanged: u64,
    /// What a person is told: one line each.
    #[serde(skip)]
    pub lines: Vec<String>,
    /// Whether something was left undone that calls for a person (exit 4).
    #[serde(skip)]
    pub needs_attention: bool,
    /// Whether nothing of this was done, because files would have had to be moved (see
    /// [`Options::leave_files`](super::Options::leave_files)).
    #[serde(skip)]
    pub left_undone: bool,
}

impl Report {
    /// Adds what a second step did.
    pub fn add(&mut self, later: Self) {
        fn join<T: Ord>(all: &mut Vec<T>, more: Vec<T>) {
            all.extend(more);
            all.sort();
            all.dedup();
        }
        join(&mut self.created, later.created);
        join(&mut self.updated, later.updated);
        join(&mut self.deleted, later.deleted);
        join(&mut self.merged, later.merged);
        join(&mut self.renumbered, later.renumbered);
        join(&mut self.kept, later.kept);
        join(&mut self.conflicts, later.conflicts);
        join(&mut self.bad, later.bad);
        join(&mut self.secrets, later.secrets);
        self.unchanged = self.unchanged.min(later.unchanged);
        // a conflict is told by both halves of a sync
        let news: Vec<_> = later.lines.into_iter().filter(|line| !self.lines.contains(line)).collect();
        self.lines.extend(news);
        self.needs_attention |= later.needs_attention;
        self.left_undone |= later.left_undone;
    }

    /// Tells of an issue that waits for a person.
    pub(super) fn add_conflict(&mut self, id: IssueId) {
        self.needs_attention = true;
        self.conflicts.push(id);
        self.lines.push(Self::conflict_line(id));
    }

    /// How many issues a first import took in, those included that wait for a person.
    #[must_use]
    pub fn taken_in(&self) -> usize {
        self.created.len() + self.conflicts.len()
    }

    /// What is said of an issue that waits for a person.
    #[must_use]
    pub fn conflict_line(id: IssueId) -> String {
        format!("#{id} is in conflict: run `oxi-state resolve {id} --ours|--theirs|--union|--edit`")
    }

    /// Whether nothing was done and nothing is wrong.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        let Self { created, updated, deleted, merged, renumbered, kept, conflicts, bad, .. } = self;
        [created, updated, deleted, merged, kept, conflicts].iter().all(|ids| ids.is_empty())
            && renumbered.is_empty()
            && bad.is_empty()
    }

    pub(super) fn sort(&mut self) {
        let mut taken = std::mem::take(self);
        let lines = std::mem::take(&mut taken.lines);
        self.unchanged = taken.unchanged;
        self.add(taken);
        self.lines = lines;
    }
}

/// How far files and records are apart. With `--json` this is the whole output.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct StatusReport {
    /// Whether nothing is left to import, export or resolve, and no file is bad.
    pub in_step: bool,
    /// Issues that an import would change.
    pub to_import: u64,
    /// Issues that an export would write or delete.
    pub to_export: u64,
    /// Issues in conflict.
    pub conflicts: u64,
    /// Files that are left alone.
    pub bad: Vec<Problem>,
    /// What a person is told: one line each.
    #[serde(skip)]
    pub lines: Vec<String>,
}

//! What the tables hold, beside the issue itself.

use serde::{Deserialize, Serialize};

use crate::fs::FileStat;
use crate::schema::id::{ContentHash, FileName, Identity, IssueId, Revision, SessionId};
use crate::schema::issue::{Issue, IssueHead, Priority, Status};
use crate::schema::time::Timestamp;
use crate::schema::value::Value;

/// An issue's head as stored, with what was worked out when it was written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StoredHead {
    /// Everything but the body.
    pub head: IssueHead,
    /// Hash of the canonical rendering of head and body.
    pub hash: ContentHash,
    /// Whether it is open and an issue it depends on is open too.
    pub blocked: bool,
}

/// An issue and the hash of its canonical rendering.
#[derive(Clone, Debug, PartialEq)]
pub struct Versioned {
    /// The issue.
    pub issue: Issue,
    /// Its hash.
    pub hash: ContentHash,
}

impl Versioned {
    /// Works out the hash.
    #[must_use]
    pub fn new(issue: Issue) -> Self {
        let hash = issue.content_hash();
        Self { issue, hash }
    }
}

/// What can be done with an issue: the first part of every list index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// Open, and every issue it depends on is closed or gone.
    Ready = 0,
    /// Open, and not ready.
    Blocked = 1,
    /// Closed.
    Closed = 2,
}

impl StoredHead {
    /// Its class.
    #[must_use]
    pub fn class(&self) -> Class {
        match self.head.status {
            Status::Closed => Class::Closed,
            Status::Open if self.blocked => Class::Blocked,
            Status::Open => Class::Ready,
        }
    }
}

/// What the file and the record of an issue last agreed on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Baseline {
    /// The file.
    pub name: FileName,
    /// Hash of its bytes.
    pub file: ContentHash,
    /// What the file system said of it; none if it was too fresh to be trusted (racily clean).
    pub stat: Option<FileStat>,
    /// Hash of the canonical rendering of the issue they agreed on.
    pub content: ContentHash,
    /// The file's text where it is not the canonical rendering: it may hold comments, order and quoting.
    pub text: Option<String>,
}

/// What an export is about to do to a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Landing {
    /// The issue.
    pub identity: Identity,
    /// The file.
    pub name: FileName,
    /// Hash of the bytes that it gets; none if it is removed.
    pub file: Option<ContentHash>,
}

/// How a record differs from its baseline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Pending {
    /// It has none: never written to a file.
    New,
    /// It was changed since.
    Changed,
    /// It was deleted since.
    Deleted,
}

/// A deleted issue, so that its number is never given again and its file is not taken for a new one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tombstone {
    /// The number it had.
    pub id: IssueId,
    /// The change that deleted it.
    pub revision: Revision,
}

/// Two versions of one issue that no rule can merge.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Conflict {
    /// The issue.
    pub id: IssueId,
    /// The file that holds the other version.
    pub name: FileName,
    /// The fields in conflict.
    pub fields: Vec<String>,
    /// What both came from.
    pub base: Option<Issue>,
    /// The record.
    pub ours: Option<Issue>,
    /// The file, by meaning.
    pub theirs: Option<Issue>,
    /// The hash of the file's bytes.
    pub theirs_file: ContentHash,
    /// The text of that version.
    pub theirs_text: String,
}

/// What kind of record a change is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// An issue.
    Issue,
    /// A session.
    Session,
    /// An agent.
    Agent,
    /// A document.
    Document,
    /// A pointer.
    Pointer,
    /// A configuration fact.
    Fact,
    /// The summary of something that runs.
    Runtime,
    /// How a model of a provider is.
    Health,
    /// An extension or a package.
    Registry,
    /// What was used of a model on a day.
    Usage,
    /// A file that usage is taken from.
    #[serde(rename = "usage-source")]
    UsageSource,
    /// A counter of a day.
    Telemetry,
    /// A run of a check.
    Validation,
    /// A note to whoever goes on.
    Handoff,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 14] = [
        Self::Issue,
        Self::Session,
        Self::Agent,
        Self::Document,
        Self::Pointer,
        Self::Fact,
        Self::Runtime,
        Self::Health,
        Self::Registry,
        Self::Usage,
        Self::UsageSource,
        Self::Telemetry,
        Self::Validation,
        Self::Handoff,
    ];

    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Issue => "issue",
            Self::Session => "session",
            Self::Agent => "agent",
            Self::Document => "document",
            Self::Pointer => "pointer",
            Self::Fact => "fact",
            Self::Runtime => "runtime",
            Self::Health => "health",
            Self::Registry => "registry",
            Self::Usage => "usage",
            Self::UsageSource => "usage-source",
            Self::Telemetry => "telemetry",
            Self::Validation => "validation",
            Self::Handoff => "handoff",
        }
    }
}

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Op {
    /// A new record.
    Create,
    /// Fields were changed.
    Update,
    /// A session took the issue.
    Start,
    /// A session gave the issue back.
    Release,
    /// The issue was closed.
    Close,
    /// The issue was opened again.
    Reopen,
    /// A session was linked to it.
    Link,
    /// The record was deleted.
    Delete,
    /// A deleted record came back.
    Restore,
    /// The record was taken from its file.
    Import,
    /// File and record were merged.
    Merge,
    /// The issue got another number.
    Renumber,
    /// File and record could not be merged, and wait for a person.
    Conflict,
    /// A conflict was ended.
    Resolve,
    /// An earlier change was undone.
    Undo,
    /// A session began.
    Begin,
    /// A session ended.
    End,
    /// A session goes on from an entry of another.
    Fork,
    /// An agent was primed.
    Prime,
    /// What an agent was told was counted.
    Count,
    /// An agent was forgotten, its time being over.
    Prune,
    /// A session was found dead.
    Reap,
    /// How a call went was noted.
    Observe,
    /// A check was run.
    Run,
    /// Somebody took up a handoff.
    Accept,
    /// A handoff, or one of its next actions, is done.
    Done,
    /// A record was dropped, its time being over.
    Expire,
}

impl Op {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Start => "start",
            Self::Release => "release",
            Self::Close => "close",
            Self::Reopen => "reopen",
            Self::Link => "link",
            Self::Delete => "delete",
            Self::Restore => "restore",
            Self::Import => "import",
            Self::Merge => "merge",
            Self::Renumber => "renumber",
            Self::Conflict => "conflict",
            Self::Resolve => "resolve",
            Self::Undo => "undo",
            Self::Begin => "begin",
            Self::End => "end",
            Self::Fork => "fork",
            Self::Prime => "prime",
            Self::Count => "count",
            Self::Prune => "prune",
            Self::Reap => "reap",
            Self::Observe => "observe",
            Self::Run => "run",
            Self::Accept => "accept",
            Self::Done => "done",
            Self::Expire => "expire",
        }
    }
}

impl Op {
    /// Whether it notes what happened by itself, so that nobody who asks for the last change to be undone means it.
    #[must_use]
    pub const fn is_observation(self) -> bool {
        matches!(
            self,
            Self::Begin
                | Self::End
                | Self::Prime
                | Self::Count
                | Self::Prune
                | Self::Reap
                | Self::Observe
                | Self::Run
                | Self::Expire
        )
    }
}

/// Who changes something, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Author {
    /// A person's or a tool's name.
    pub actor: String,
    /// The session that speaks, if one does.
    pub session: Option<SessionId>,
    /// The present time.
    pub now: Timestamp,
}

/// One change of one record. The body it replaced lies in a table of its own, so that it can be dropped in time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// When, by the clock of the machine; the order comes from the revision.
    pub at: Timestamp,
    /// Who.
    pub actor: String,
    /// In which session.
    pub session: Option<String>,
    /// Of what kind of record.
    pub kind: Kind,
    /// The record's key; an issue's number at the time.
    pub key: String,
    /// The issue, whatever its number became; none for other kinds.
    pub identity: Option<Identity>,
    /// What was done.
    pub op: Op,
    /// Hash before; none if there was no record.
    pub hash_before: Option<ContentHash>,
    /// Hash after; none if there is no record.
    pub hash_after: Option<ContentHash>,
    /// The changed fields with their values before, without the body.
    pub before: Value,
    /// The changed fields with their values after, without the body.
    pub after: Value,
    /// Whether the body changed.
    pub body_changed: bool,
    /// The first change of the command that this one belongs to.
    pub group: Revision,
    /// The change that this one undid.
    pub undoes: Option<Revision>,
}

impl Change {
    /// Whether it changed a record. Others only tell of something: a value that a merge did not take, a conflict.
    #[must_use]
    pub fn changes_record(&self) -> bool {
        self.hash_before != self.hash_after
    }

    /// Whether it tells that a conflict was ended, or was opened again by an undo.
    #[must_use]
    pub fn is_of_conflict(&self) -> bool {
        let names_conflict = [&self.before, &self.after].iter().any(|fields| fields.get(CONFLICT).is_some());
        !self.changes_record() && matches!(self.op, Op::Resolve | Op::Undo) && names_conflict
    }

    /// Whether it is what ending a conflict made of the record.
    #[must_use]
    pub fn is_end_of_conflict(&self) -> bool {
        self.op == Op::Resolve && self.changes_record()
    }
}

/// The name under which a row of the log has the fields that were in conflict.
pub(super) const CONFLICT: &str = "conflict";

/// Where the issue of an old number went.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Moved {
    /// The issue.
    pub identity: Identity,
    /// The number it got.
    pub to: IssueId,
}

/// Numbers kept up to date with every change, so that a summary need not count.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    counts: [[[u64; 2]; Priority::ALL.len()]; Status::ALL.len()],
}

impl Counters {
    fn slot(&mut self, head: &IssueHead) -> &mut u64 {
        &mut self.counts[head.status as usize][head.priority as usize][usize::from(head.owner().is_some())]
    }

    pub(crate) fn add(&mut self, head: &IssueHead) {
        *self.slot(head) += 1;
    }

    pub(crate) fn subtract(&mut self, head: &IssueHead) {
        let slot = self.slot(head);
        *slot = slot.saturating_sub(1);
    }

    /// The number of issues of a status.
    #[must_use]
    pub fn with_status(&self, status: Status) -> u64 {
        self.counts[status as usize].iter().flatten().sum()
    }

    /// The number of open issues that a session is assigned to, alive or not.
    #[must_use]
    pub fn open_and_assigned(&self) -> u64 {
        self.counts[Status::Open as usize].iter().map(|[_, assigned]| assigned).sum()
    }

    /// The highest priority of the open issues, or of those that nobody is assigned to.
    #[must_use]
    pub fn top_priority(&self, only_unassigned: bool) -> Option<Priority> {
        Priority::ALL.into_iter().rev().find(|&priority| {
            let [free, assigned] = self.counts[Status::Open as usize][priority as usize];
            free > 0 || (assigned > 0 && !only_unassigned)
        })
    }

    /// The number of open issues of a priority.
    #[must_use]
    pub fn open_of(&self, priority: Priority) -> u64 {
        self.counts[Status::Open as usize][priority as usize].iter().sum()
    }
}

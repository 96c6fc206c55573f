//! The original's types, and the way between them and the records.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::schema::id::IssueId;
use crate::schema::issue::{Assignment, GithubRef, Issue as Record, IssueHead, Priority, Status};
use crate::schema::time::Timestamp;

/// An issue.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Issue {
    /// Its frontmatter.
    pub meta: IssueMeta,
    /// Markdown.
    pub body: String,
    /// Its file; none for one that came from text alone.
    pub path: Option<PathBuf>,
}

impl Issue {
    /// The status as a list shows it: with a mark in front while a session claims the issue.
    #[must_use]
    pub fn badge(&self) -> String {
        let is_claimed = self.meta.assigned_to.as_ref().is_some_and(|owner| !owner.session.is_empty());
        let mark = if is_claimed { "▣ " } else { "" };
        format!("{mark}{}", self.meta.status)
    }
}

/// The frontmatter of an issue: the original's twelve keys. In JSON, too, what is none is left out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct IssueMeta {
    /// Its number.
    pub id: u32,
    /// One line, usually.
    pub title: String,
    /// Open or closed.
    #[serde(default)]
    pub status: Status,
    /// Low to critical.
    #[serde(default)]
    pub priority: Priority,
    /// In file order.
    #[serde(default)]
    pub labels: Vec<String>,
    /// The person meant to do it; informational.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assignee: Option<String>,
    /// Never changes.
    pub created_at: Timestamp,
    /// The last change.
    pub updated_at: Timestamp,
    /// Set while closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed_at: Option<Timestamp>,
    /// Ids of all sessions that worked on it, oldest first.
    #[serde(default)]
    pub sessions: Vec<String>,
    /// The session that works on it now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assigned_to: Option<Assignment>,
    /// Its twin on GitHub.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub github: Option<GithubRef>,
}

/// What [`super::FileIssueStore::apply_patch`] replaces: whatever is given. An empty list of labels clears them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IssuePatch {
    /// The title; the file keeps its name.
    pub title: Option<String>,
    /// The whole body.
    pub body: Option<String>,
    /// The status. To close sets the time of closing and ends the claim, to open clears both; the present status changes
    /// nothing.
    pub status: Option<Status>,
    /// The priority.
    pub priority: Option<Priority>,
    /// All labels.
    pub labels: Option<Vec<String>>,
}

/// What [`super::FileIssueStore::list`] takes in: all that is given must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IssueFilter {
    /// This status.
    pub status: Option<Status>,
    /// Exactly this priority.
    pub priority: Option<Priority>,
    /// Exactly this label among others.
    pub label: Option<String>,
    /// Claimed by this session, alive or not.
    pub assigned_to_session: Option<String>,
    /// Part of the title, in any case.
    pub text: Option<String>,
}

/// Open issues at a glance.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IssueSummary {
    /// How many are open.
    pub open_count: usize,
    /// How many of them are claimed, by sessions alive or not.
    pub locked_open_count: usize,
    /// The highest priority of the open ones.
    pub top_priority: Option<Priority>,
    /// The highest priority of the open ones that nobody claims.
    pub top_free_priority: Option<Priority>,
    /// The title of the open one that changed last.
    pub latest_open_title: Option<String>,
}

impl IssueSummary {
    /// Whether no issue is open.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.open_count == 0
    }
}

pub(super) fn from_record(record: Record, path: Option<PathBuf>) -> Issue {
    let head = record.head;
    let meta = IssueMeta {
        id: head.id.0,
        title: head.title,
        status: head.status,
        priority: head.priority,
        labels: head.labels,
        assignee: head.assignee,
        created_at: head.created_at,
        updated_at: head.updated_at,
        closed_at: head.closed_at,
        sessions: head.sessions,
        assigned_to: head.assigned_to,
        github: head.github,
    };
    Issue { meta, body: record.body, path }
}

/// A record with the original's keys alone.
pub(super) fn to_record(issue: &Issue) -> Record {
    let head = IssueHead::new(IssueId(issue.meta.id), issue.meta.title.clone(), issue.meta.created_at);
    let mut record = Record { head, body: String::new() };
    record.head.status = issue.meta.status;
    record.head.closed_at = issue.meta.closed_at;
    record.head.assigned_to.clone_from(&issue.meta.assigned_to);
    record.head.updated_at = issue.meta.updated_at;
    take_plain(&mut record, issue);
    record
}

/// Takes over everything but number, times, status and claim.
pub(super) fn take_plain(record: &mut Record, issue: &Issue) {
    let (head, meta) = (&mut record.head, issue.meta.clone());
    head.title = meta.title;
    head.priority = meta.priority;
    head.labels = meta.labels;
    head.assignee = meta.assignee;
    head.sessions = meta.sessions;
    head.github = meta.github;
    record.body.clone_from(&issue.body);
}

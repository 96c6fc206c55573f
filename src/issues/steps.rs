//! The steps of the store's functions: guards, outcomes in the original's errors, and patches.

use crate::claims::{self, Claimed, Owner, Refusal};
use crate::db::WriteTxn;
use crate::db::record::Versioned;
use crate::db::tables::{Readable, Tables};
use crate::schema::frontmatter;
use crate::schema::id::{ContentHash, IssueId};
use crate::schema::issue::{Issue as Record, Status};
use crate::schema::time::Timestamp;

use super::error::IssueError;
use super::types::{Issue, IssuePatch, take_plain};

/// The present hash of an issue, if what the caller saw is still so: it may have hashed the record, the file, or what the
/// original would write.
pub(super) fn seen<T: Readable>(
    tables: &Tables<T>,
    id: u32,
    expected: Option<&str>,
) -> Result<Option<ContentHash>, IssueError> {
    let Some(expected) = expected else { return Ok(None) };
    let current = tables.issue(IssueId(id))?.ok_or(IssueError::NotFound { id })?;
    let expected: ContentHash = expected.parse().map_err(|_| IssueError::Conflict { id })?;
    let is_file = |hash: ContentHash| -> Result<bool, IssueError> {
        let baseline = tables.baseline(&current.issue.head.identity())?;
        Ok(baseline.is_some_and(|baseline| baseline.content == current.hash && baseline.file == hash))
    };
    let is_current = expected == current.hash
        || is_file(expected)?
        || expected == ContentHash::of(frontmatter::render_oxi(&current.issue).as_bytes());
    if is_current { Ok(Some(current.hash)) } else { Err(IssueError::Conflict { id }) }
}

/// What a step of [`claims`] means to the caller, whoever the transaction's author says it is.
pub(super) fn settled(txn: &WriteTxn<'_>, id: u32, claimed: Claimed) -> Result<Versioned, IssueError> {
    let caller = txn.author().session.as_ref().map(ToString::to_string);
    match (claimed, caller) {
        (Claimed::Done(done), _) => require_writable(&done.version.issue).map(|()| done.version),
        (Claimed::Stale { .. }, _) => Err(IssueError::Conflict { id }),
        (Claimed::Missing, _) => Err(IssueError::NotFound { id }),
        (Claimed::Refused(Refusal::Closed), _) => {
            Err(IssueError::other(format!("issue #{id} is closed; reopen it first")))
        }
        (Claimed::Refused(Refusal::ClosedElsewhere(closing)), _) => {
            Err(IssueError::other(format!("issue #{id} was closed in {}; merge that first", closing.place())))
        }
        (Claimed::Refused(Refusal::Owned(_) | Refusal::Elsewhere(_) | Refusal::NotOwner), Some(caller)) => {
            Err(IssueError::NotAssigned { id, caller })
        }
        (
            Claimed::Refused(Refusal::Owned(Owner { assignment, .. }) | Refusal::Elsewhere(Owner { assignment, .. })),
            None,
        ) => Err(IssueError::Assigned { id, owner: assignment.session, acquired_at: assignment.acquired_at }),
        (Claimed::Refused(Refusal::NotOwner | Refusal::NoSession), _) => {
            Err(IssueError::other(format!("issue #{id} can only be taken or given back by a session")))
        }
    }
}

/// Refuses an issue that could not be read again from its file.
pub(super) fn require_writable(record: &Record) -> Result<(), IssueError> {
    frontmatter::render_checked(record).map(|_| ()).map_err(|error| IssueError::Other(Box::new(error)))
}

pub(super) fn take_patch(record: &mut Record, patch: &IssuePatch, now: Timestamp) {
    let head = &mut record.head;
    if let Some(title) = &patch.title {
        head.title.clone_from(title);
    }
    if let Some(priority) = patch.priority {
        head.priority = priority;
    }
    if let Some(labels) = &patch.labels {
        head.labels.clone_from(labels);
    }
    if let Some(status) = patch.status {
        claims::set_status(head, status, now);
    }
    if let Some(body) = &patch.body {
        record.body.clone_from(body);
    }
}

/// Takes over what a function made of an issue; a change of status brings with it what belongs to it.
pub(super) fn take_all(record: &mut Record, after: &Issue, now: Timestamp) {
    take_plain(record, after);
    let (head, meta) = (&mut record.head, &after.meta);
    let stays_open = head.status == Status::Open && meta.status == Status::Open;
    claims::set_status(head, meta.status, now);
    head.assigned_to = meta.assigned_to.clone().filter(|owner| stays_open && !owner.session.is_empty());
    head.closed_at = match meta.status {
        Status::Open => None,
        Status::Closed => meta.closed_at.or(head.closed_at).or(Some(now)),
    };
}

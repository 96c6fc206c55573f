//! Who may change an issue: the ownership rules, as decisions over data and as steps of a write transaction.
//!
//! The caller is the session of the transaction's author; without one it is a person. A live owner stops everybody else.
//! One that may be alive stops other sessions but no person; a dead one stops nobody. A claim without a session's name is
//! no claim. `force` gets past any owner, and the audit trail says who used it.
//!
//! Every step takes the hash that the caller last saw; that the issue moved on since, is gone, or belongs to somebody
//! else is a value. What is decided is decided on the record within the transaction, so two callers cannot both win, and
//! in the turn that linked work trees take (see [`crate::worktrees`]), so two work trees cannot either. An owner that
//! dies or wakes up an instant later is not waited for.
//!
//! ```
//! use oxi_state::claims::{self, Access, Claimed, Refusal, Scope};
//! use oxi_state::db::{Author, Store, WriteTxn};
//! use oxi_state::liveness::Watch;
//! use oxi_state::schema::issue::{Issue, IssueHead};
//!
//! let folder = tempfile::tempdir()?;
//! let store = Store::open(folder.path(), std::time::Duration::from_secs(10))?;
//! store.create_if_missing()?;
//! let author = |session: &str| -> Result<Author, Box<dyn std::error::Error>> {
//!     Ok(Author { actor: "ada".into(), session: Some(session.parse()?), now: "2026-11-20T12:00:00Z".parse()? })
//! };
//! let id = store
//!     .write(&author("a")?, |txn| {
//!         txn.create(|id, now| Issue { head: IssueHead::new(id, "Fix login".into(), now), body: String::new() })
//!     })?
//!     .issue
//!     .head
//!     .id;
//! // no folder of lock files: nobody can tell whether a session lives
//! let watch = Watch::new(Vec::new(), author("a")?.now);
//! let start = |session: &str| -> Result<Claimed, Box<dyn std::error::Error>> {
//!     let work = |txn: &mut WriteTxn<'_>, access: Access<'_>| claims::start(txn, id, None, access);
//!     Ok(claims::write(&store, &author(session)?, Scope { watch: &watch, shared: None, force: false }, work)?)
//! };
//! assert!(matches!(start("a")?, Claimed::Done(_)));
//! assert!(matches!(start("b")?, Claimed::Refused(Refusal::Owned(owner)) if owner.assignment.session == "a"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod scope;

use crate::db::record::Versioned;
use crate::db::{Cas, Op, StoreError, WriteTxn};
use crate::liveness::Liveness;
use crate::schema::id::{ContentHash, IssueId, SessionId};
use crate::schema::issue::{Assignment, Issue, IssueHead, Status};
use crate::schema::session::{Session, Source};
use crate::schema::time::Timestamp;
use crate::worktrees::SharedClosing;

pub use scope::{Access, Owner, Scope, settle, write};

/// What somebody wants to do with an issue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Take it.
    Start,
    /// Give it back.
    Release,
    /// Close it, which also gives it back.
    Close,
    /// Open it again.
    Reopen,
    /// Link a session to it.
    Link,
    /// Change its fields.
    Update,
}

/// Who has an issue, as seen by the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holder {
    /// Nobody.
    Nobody,
    /// The caller's own session.
    Caller,
    /// Another session.
    Other(Liveness),
}

/// All that a decision depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Who has the issue.
    pub holder: Holder,
    /// Whether the caller is a session; else a person.
    pub is_session: bool,
    /// Whether the caller insists.
    pub force: bool,
    /// The issue's status.
    pub status: Status,
    /// Whether another work tree closed it.
    pub closed_elsewhere: bool,
}

/// A decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Do it; there may turn out to be nothing to change.
    Allowed,
    /// It is so already: leave the issue exactly as it is.
    AlreadySo,
    /// Another session has it.
    Owned,
    /// The caller would have to own it, and nobody does.
    NotOwner,
    /// It is closed.
    Closed,
    /// Another work tree closed it, which this one has not merged yet.
    ClosedElsewhere,
    /// Only a session can do that.
    NoSession,
}

/// Decides.
#[must_use]
pub const fn decide(action: Action, standing: Standing) -> Verdict {
    let Standing { holder, is_session, force, status, closed_elsewhere } = standing;
    match (action, holder) {
        (Action::Start, _) if !is_session => Verdict::NoSession,
        (Action::Start, _) if matches!(status, Status::Closed) => Verdict::Closed,
        (Action::Start, Holder::Nobody | Holder::Other(_)) if closed_elsewhere && !force => Verdict::ClosedElsewhere,
        (Action::Close, _) if matches!(status, Status::Closed) => Verdict::AlreadySo,
        (Action::Reopen, _) if matches!(status, Status::Open) => Verdict::AlreadySo,
        (Action::Release, Holder::Nobody) if is_session && !force => Verdict::NotOwner,
        // a claim without a session's name may still stand in the record, so this is not `AlreadySo`
        (Action::Reopen | Action::Link, _) | (_, Holder::Nobody | Holder::Caller) => Verdict::Allowed,
        (_, Holder::Other(liveness)) if !force && stops(liveness, is_session) => Verdict::Owned,
        (_, Holder::Other(_)) => Verdict::Allowed,
    }
}

/// Whether an owner stops somebody else.
const fn stops(owner: Liveness, is_session: bool) -> bool {
    match owner {
        Liveness::Alive => true,
        Liveness::Unknown => is_session,
        Liveness::Dead => false,
    }
}

/// What became of a step.
#[derive(Clone, Debug, PartialEq)]
#[must_use]
pub enum Claimed {
    /// The issue is as was asked for.
    Done(Box<Done>),
    /// The rules do not allow it.
    Refused(Refusal),
    /// The issue is no longer as the caller last saw it.
    Stale {
        /// Its present hash.
        current: ContentHash,
    },
    /// There is no such issue.
    Missing,
}

/// A step that was allowed.
#[derive(Clone, Debug, PartialEq)]
pub struct Done {
    /// The issue as it is now.
    pub version: Versioned,
    /// Whether anything changed.
    pub changed: bool,
    /// The claim of another session that this ended: a dead one's, or one taken by force.
    pub displaced: Option<Assignment>,
}

/// Why a step was not allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// Another session has the issue, and is alive or may be.
    Owned(Owner),
    /// The caller has the issue in another work tree, and only there can it be given back.
    Elsewhere(Owner),
    /// Another work tree closed the issue, and this one has not merged that yet.
    ClosedElsewhere(SharedClosing),
    /// The caller does not have the issue, and nobody else does.
    NotOwner,
    /// A closed issue cannot be started.
    Closed,
    /// A person cannot start an issue: a claim needs a session.
    NoSession,
}

/// Takes an issue for the caller's session: a free one, its own, or a dead owner's. The session is linked to it.
///
/// # Errors
/// If the database fails; so for all functions here.
pub fn start(
    txn: &mut WriteTxn<'_>,
    id: IssueId,
    expect: Option<ContentHash>,
    access: Access<'_>,
) -> Result<Claimed, StoreError> {
    note_seen(txn, access)?;
    // the wall clock, not the stamp of the change: a claim grows old by it
    let (session, acquired_at) = (txn.author().session.clone(), txn.author().now);
    step(txn, id, expect, Action::Start, access, |issue, _| {
        let Some(session) = session else { return };
        link_to(&mut issue.head, &session);
        if issue.head.owner().is_none_or(|owner| owner.session != session.as_str()) {
            issue.head.assigned_to = Some(Assignment { session: session.as_str().to_owned(), acquired_at });
        }
    })
}

/// Writes down a session that lives and has no record, as the original's do: its lock file goes when it ends, and what
/// was seen of it here tells then that it is dead.
fn note_seen(txn: &mut WriteTxn<'_>, access: Access<'_>) -> Result<(), StoreError> {
    let (Some(id), now) = (txn.author().session.clone(), txn.author().now) else { return Ok(()) };
    if txn.record::<Session>(id.as_str())?.is_none()
        && let Some(process) = access.watch.holder(id.as_str())
    {
        // the original's files do not say when the process started
        let source = if process.started.is_some() { Source::OxiState } else { Source::Oxi };
        let seen = Session { source, process: Some(process), ..Session::begin(id, now) };
        txn.put_record(&seen, Op::Begin)?;
    }
    Ok(())
}

/// Gives an issue back. A session gives back its own or a dead owner's; a person what no live session has. To give back
/// what nobody has is an error for a session, which believed to have it, and nothing for a person.
///
/// # Errors
/// See [`start`].
pub fn release(
    txn: &mut WriteTxn<'_>,
    id: IssueId,
    expect: Option<ContentHash>,
    access: Access<'_>,
) -> Result<Claimed, StoreError> {
    step(txn, id, expect, Action::Release, access, |issue, _| issue.head.assigned_to = None)
}

/// Closes an issue, started or not, and ends its claim. To close a closed one changes nothing, not even its time.
///
/// # Errors
/// See [`start`].
pub fn close(
    txn: &mut WriteTxn<'_>,
    id: IssueId,
    expect: Option<ContentHash>,
    access: Access<'_>,
) -> Result<Claimed, StoreError> {
    step(txn, id, expect, Action::Close, access, |issue, now| set_status(&mut issue.head, Status::Closed, now))
}

/// Opens an issue again, whoever had it; nobody has it then. To open an open one changes nothing.
///
/// # Errors
/// See [`start`].
pub fn reopen(
    txn: &mut WriteTxn<'_>,
    id: IssueId,
    expect: Option<ContentHash>,
    access: Access<'_>,
) -> Result<Claimed, StoreError> {
    step(txn, id, expect, Action::Reopen, access, |issue, now| set_status(&mut issue.head, Status::Open, now))
}

/// Links a session to an issue, once. Anybody may.
///
/// # Errors
/// See [`start`].
pub fn link(
    txn: &mut WriteTxn<'_>,
    id: IssueId,
    expect: Option<ContentHash>,
    session: &SessionId,
    access: Access<'_>,
) -> Result<Claimed, StoreError> {
    step(txn, id, expect, Action::Link, access, |issue, _| link_to(&mut issue.head, session))
}

/// Changes fields of an issue. A change of status belongs in [`set_status`].
///
/// # Errors
/// See [`start`].
pub fn update(
    txn: &mut WriteTxn<'_>,
    id: IssueId,
    expect: Option<ContentHash>,
    access: Access<'_>,
    change: impl FnOnce(&mut Issue, Timestamp),
) -> Result<Claimed, StoreError> {
    step(txn, id, expect, Action::Update, access, change)
}

/// Whether the caller may change fields of an issue now: what [`update`] would say. None if it may, or if there is no
/// such issue.
///
/// # Errors
/// See [`start`].
pub fn may_change(txn: &WriteTxn<'_>, id: IssueId, access: Access<'_>) -> Result<Option<Refusal>, StoreError> {
    let Some(stored) = txn.head(id)? else { return Ok(None) };
    Ok(rule(txn, &stored.head, Action::Update, access)?.err().flatten())
}

/// Sets the status with all that belongs to it, if it is another: closing notes the time and ends the claim, opening
/// takes both away.
pub fn set_status(head: &mut IssueHead, status: Status, now: Timestamp) {
    if head.status != status {
        head.status = status;
        head.closed_at = (status == Status::Closed).then_some(now);
        head.assigned_to = None;
    }
}

fn link_to(head: &mut IssueHead, session: &SessionId) {
    if !head.sessions.iter().any(|linked| linked == session.as_str()) {
        head.sessions.push(session.as_str().to_owned());
    }
}

/// The rule for one record: `Err(None)` if there is nothing to do.
fn rule(
    txn: &WriteTxn<'_>,
    head: &IssueHead,
    action: Action,
    access: Access<'_>,
) -> Result<Result<Option<Assignment>, Option<Refusal>>, StoreError> {
    let caller = txn.author().session.as_ref();
    let owner = access.owner(txn, head)?;
    let holder = match &owner {
        None => Holder::Nobody,
        Some(owner) if caller.is_some_and(|caller| caller.as_str() == owner.assignment.session) => Holder::Caller,
        Some(owner) => Holder::Other(owner.liveness),
    };
    let closing = access.closed_elsewhere(head);
    // who has it here and there, gives it back here and there
    let is_callers_here = head.owner().is_some_and(|own| caller.is_some_and(|caller| caller.as_str() == own.session));
    let standing = Standing {
        holder,
        is_session: caller.is_some(),
        force: access.force,
        status: head.status,
        closed_elsewhere: closing.is_some(),
    };
    Ok(match (decide(action, standing), owner) {
        (Verdict::Allowed, Some(owner))
            if action == Action::Release && owner.elsewhere.is_some() && !owner.detached && !is_callers_here =>
        {
            Err(Some(Refusal::Elsewhere(owner)))
        }
        (Verdict::Allowed, owner) => Ok(owner.filter(|_| holder != Holder::Caller).map(|owner| owner.assignment)),
        (Verdict::Owned, Some(owner)) => Err(Some(Refusal::Owned(owner))),
        (Verdict::Owned | Verdict::NotOwner, _) => Err(Some(Refusal::NotOwner)),
        (Verdict::ClosedElsewhere, _) => Err(closing.cloned().map(Refusal::ClosedElsewhere)),
        (Verdict::Closed, _) => Err(Some(Refusal::Closed)),
        (Verdict::NoSession, _) => Err(Some(Refusal::NoSession)),
        (Verdict::AlreadySo, _) => Err(None),
    })
}

fn step(
    txn: &mut WriteTxn<'_>,
    id: IssueId,
    expect: Option<ContentHash>,
    action: Action,
    access: Access<'_>,
    change: impl FnOnce(&mut Issue, Timestamp),
) -> Result<Claimed, StoreError> {
    let Some(stored) = txn.head(id)? else { return Ok(Claimed::Missing) };
    if expect.is_some_and(|expect| expect != stored.hash) {
        return Ok(Claimed::Stale { current: stored.hash });
    }
    let identity = stored.head.identity();
    let detached = access.owner(txn, &stored.head)?.filter(|owner| owner.detached);
    let other = match rule(txn, &stored.head, action, access)? {
        Ok(other) => other,
        Err(Some(refusal)) => return Ok(Claimed::Refused(refusal)),
        Err(None) => {
            let reopened = action == Action::Reopen && access.closed_elsewhere(&stored.head).is_some();
            if reopened {
                txn.reopen_elsewhere(identity);
            }
            let version = Versioned { hash: stored.hash, issue: Issue { body: txn.body(id)?, head: stored.head } };
            return Ok(Claimed::Done(Box::new(Done { version, changed: reopened, displaced: None })));
        }
    };
    if action == Action::Start && access.closed_elsewhere(&stored.head).is_some() {
        txn.reopen_elsewhere(identity.clone());
    }
    Ok(match txn.update(id, expect, op_of(action), change)? {
        Cas::Missing => Claimed::Missing,
        Cas::Stale { current } => Claimed::Stale { current },
        Cas::Unchanged(version) => {
            let changed = action == Action::Release && detached.is_some();
            if changed {
                txn.end_claim(identity);
            }
            Claimed::Done(Box::new(Done { version: *version, changed, displaced: None }))
        }
        Cas::Changed(version) => {
            if detached.is_some() && version.issue.head.assigned_to.is_none() {
                txn.end_claim(identity);
            }
            let displaced = other.filter(|other| version.issue.head.assigned_to.as_ref() != Some(other));
            Claimed::Done(Box::new(Done { version: *version, changed: true, displaced }))
        }
    })
}

const fn op_of(action: Action) -> Op {
    match action {
        Action::Start => Op::Start,
        Action::Release => Op::Release,
        Action::Close => Op::Close,
        Action::Reopen => Op::Reopen,
        Action::Link => Op::Link,
        Action::Update => Op::Update,
    }
}

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;

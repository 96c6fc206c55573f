//! Handoffs as steps of a transaction: write one, take it up, end it.
//!
//! An open handoff about an issue stands in the issue's file; every step here changes the record first and then, in the
//! same transaction, the list in the issue. What changes the list otherwise has the record follow (see
//! [`crate::schema::handoff`]).

#[cfg(test)]
mod tests;

use serde_json::{Map, Value, json};

use crate::db::record::Op;
use crate::db::records::Record as _;
use crate::db::tables::{Readable, Tables};
use crate::db::{StoreError, WriteTxn};
use crate::keyed::{self, KeyedError, Outcome, set_by};
use crate::schema::frontmatter::RenderError;
use crate::schema::handoff::{self, Handoff, HandoffState};
use crate::schema::id::ContentHash;
use crate::schema::keyed::admit_with;
use crate::schema::privacy::Policy;
use crate::schema::record_id::RecordId;
use crate::schema::session::Session;
use crate::schema::time::Timestamp;

/// Why a step was not taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HandoffError {
    /// What was given cannot be stored.
    #[error(transparent)]
    Keyed(#[from] KeyedError),
    /// Somebody else took it up.
    #[error("it was taken up by {by}")]
    Accepted {
        /// Who.
        by: String,
    },
    /// There is nothing left to do about it.
    #[error("it is done already")]
    Done,
    /// It has fewer next actions.
    #[error("it has no next action {number}; it has {len}")]
    NoAction {
        /// The number that was given.
        number: usize,
        /// How many there are.
        len: usize,
    },
    /// The issue's file would become too large.
    #[error("the issue's file has no room for it: {0}")]
    NoRoom(#[source] RenderError),
}

impl From<StoreError> for HandoffError {
    fn from(error: StoreError) -> Self {
        Self::Keyed(error.into())
    }
}

impl From<crate::schema::keyed::Problem> for HandoffError {
    fn from(problem: crate::schema::keyed::Problem) -> Self {
        Self::Keyed(problem.into())
    }
}

/// What may leave the database.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exports {
    /// Session ids.
    pub session_ids: bool,
}

/// Writes a handoff from fields that somebody gives; `issue` may be a number. It is from the caller unless they say
/// otherwise.
///
/// # Errors
/// [`HandoffError::Keyed`], [`HandoffError::NoRoom`].
pub fn add(
    txn: &mut WriteTxn<'_>,
    id: RecordId,
    mut given: Map<String, Value>,
    policy: &Policy,
    exports: Exports,
) -> Result<Handoff, HandoffError> {
    keyed::issue_by_number(&**txn, &mut given)?;
    let author = txn.author().clone();
    keyed::or_default(&mut given, "from", || author.actor.as_str().into());
    keyed::or_default(&mut given, "session", || author.session.as_ref().map(ToString::to_string).into());
    let added = json!({ "id": id, "state": HandoffState::Pending, "created_at": author.now });
    let handoff: Handoff = admit_with(None, given, keyed::object(added), author.now, policy)?;
    txn.put_record(&handoff, Op::Create)?;
    list(txn, &handoff, exports)?;
    Ok(handoff)
}

/// Takes a handoff up. Who has done so already changes nothing; another has to insist.
///
/// # Errors
/// [`HandoffError::Done`], [`HandoffError::Accepted`], or as [`add`].
pub fn accept(
    txn: &mut WriteTxn<'_>,
    id: RecordId,
    expect: Option<ContentHash>,
    force: bool,
    exports: Exports,
) -> Result<Outcome<Handoff>, HandoffError> {
    let author = txn.author().clone();
    step(txn, id, expect, Op::Accept, exports, |old, now| {
        let is_callers = match (&old.accepted_session, &author.session) {
            (Some(session), Some(caller)) => session == caller,
            _ => old.accepted_by.as_ref() == Some(&author.actor),
        };
        match old.state {
            HandoffState::Done => return Err(HandoffError::Done),
            HandoffState::Accepted if !force && !is_callers => {
                let session = old.accepted_session.as_ref().map(ToString::to_string);
                let by = session.or_else(|| old.accepted_by.clone()).unwrap_or_else(|| "somebody".into());
                return Err(HandoffError::Accepted { by });
            }
            HandoffState::Accepted if is_callers => return Ok(old.clone()),
            HandoffState::Accepted | HandoffState::Pending => {}
        }
        Ok(Handoff {
            state: HandoffState::Accepted,
            accepted_by: Some(author.actor.clone()),
            accepted_session: author.session.clone(),
            updated_at: now,
            ..old.clone()
        })
    })
}

/// Ends a handoff, or one of its next actions, by its number from 1; with the last of them the handoff ends, too. What
/// is done already stays so.
///
/// # Errors
/// [`HandoffError::NoAction`], or as [`add`].
pub fn finish(
    txn: &mut WriteTxn<'_>,
    id: RecordId,
    action: Option<usize>,
    expect: Option<ContentHash>,
    exports: Exports,
) -> Result<Outcome<Handoff>, HandoffError> {
    step(txn, id, expect, Op::Done, exports, |old, now| {
        let mut new = old.clone();
        if let Some(number) = action {
            let no_action = HandoffError::NoAction { number, len: old.next.len() };
            new.next.get_mut(number.wrapping_sub(1)).ok_or(no_action)?.done = true;
        }
        if action.is_none() || new.left().next().is_none() {
            new.state = HandoffState::Done;
        }
        if new == *old {
            return Ok(new);
        }
        if new.state == HandoffState::Done && old.state.is_open() {
            new.done_at = Some(now);
        }
        Ok(Handoff { updated_at: now, ..new })
    })
}

fn step(
    txn: &mut WriteTxn<'_>,
    id: RecordId,
    expect: Option<ContentHash>,
    op: Op,
    exports: Exports,
    change: impl FnOnce(&Handoff, Timestamp) -> Result<Handoff, HandoffError>,
) -> Result<Outcome<Handoff>, HandoffError> {
    let key = id.to_string();
    let Some(old) = txn.record::<Handoff>(&key)? else { return Ok(Outcome::Missing) };
    let now = Timestamp::after(txn.author().now, old.updated_at);
    let outcome = set_by(txn, &key, expect, Some(op), |_| change(&old, now))?;
    if let Outcome::Changed(handoff) = &outcome {
        list(txn, handoff, exports)?;
    }
    Ok(outcome)
}

/// Brings the list in the handoff's issue up to date: there while it is open, gone once it is done.
fn list(txn: &mut WriteTxn<'_>, handoff: &Handoff, exports: Exports) -> Result<(), HandoffError> {
    let Some(id) = handoff.issue.as_ref().map(|issue| txn.id_of(issue)).transpose()?.flatten() else { return Ok(()) };
    let hide_to = !exports.session_ids && is_session(txn, handoff.to.as_deref())?;
    // the issue is there, and no hash was expected
    let _ = txn.try_update(id, None, Op::Update, |issue, _| {
        let key = handoff.key();
        let place = issue.head.handoffs.iter().position(|entry| entry.id == key);
        let entry = handoff::entry(handoff, hide_to, place.map(|place| &issue.head.handoffs[place]));
        // by hand an entry may have come in twice
        issue.head.handoffs.retain(|other| other.id != key);
        if handoff.state.is_open() {
            let end = issue.head.handoffs.len();
            issue.head.handoffs.insert(place.unwrap_or(end).min(end), entry);
        }
        // a merge may have left more than fits, and what is there must be ended all the same
        if place.is_some() {
            return Ok(());
        }
        crate::schema::frontmatter::render_checked(issue).map(drop).map_err(HandoffError::NoRoom)
    })?;
    Ok(())
}

/// Whether a name is the id of a session that is known here, or the caller's.
fn is_session(txn: &WriteTxn<'_>, name: Option<&str>) -> Result<bool, StoreError> {
    let Some(name) = name else { return Ok(false) };
    let is_callers = txn.author().session.as_ref().is_some_and(|session| session.as_str() == name);
    Ok(is_callers || txn.record::<Session>(name)?.is_some())
}

/// The open handoffs: those taken up by the caller first, then those that are for one of these names, then those for
/// anybody, then the others; within these the oldest first.
///
/// # Errors
/// If the database cannot be read.
pub fn open<T: Readable>(tables: &Tables<T>, names: &[&str]) -> Result<Vec<Handoff>, StoreError> {
    let mut open: Vec<Handoff> = tables.records()?;
    open.retain(|handoff| handoff.state.is_open());
    let rank = |handoff: &Handoff| match (is_taken_up_by(handoff, names), handoff.state, &handoff.to) {
        (true, ..) => 0,
        (_, HandoffState::Pending, Some(_)) if handoff.is_for(names) => 1,
        (_, HandoffState::Pending, None) => 2,
        _ => 3,
    };
    open.sort_by_key(|handoff| (rank(handoff), handoff.created_at, handoff.id));
    Ok(open)
}

/// Whether somebody who goes by these names, a session or an actor, has taken a handoff up and not ended it.
#[must_use]
pub fn is_taken_up_by(handoff: &Handoff, names: &[&str]) -> bool {
    let by = match &handoff.accepted_session {
        Some(session) => Some(session.as_str()),
        None => handoff.accepted_by.as_deref(),
    };
    handoff.state == HandoffState::Accepted && by.is_some_and(|by| names.contains(&by))
}

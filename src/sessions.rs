//! Sessions that are registered here: how they begin, end, and are found dead.
//!
//! A session that goes on has two sides: its lock files, by which others see whether it lives (see [`crate::liveness`]),
//! and its record, which says what it is. Lock files are taken before the record is written and freed after it is ended,
//! so that a record never claims a life that nobody can see. A process that is killed leaves an active record behind;
//! [`dead`] finds it.

use std::time::Duration;

use chrono::TimeDelta;

use crate::claims::{self, Access, Claimed};
use crate::db::query::{Classes, Query, Sort};
use crate::db::record::StoredHead;
use crate::db::tables::{Readable, Tables};
use crate::db::{Op, StoreError, WriteTxn};
use crate::fs::{Dir, PathError};
use crate::liveness::{
    self, Acquired, Ended, Evidence, Lease, Liveness, LockState, Payload, Registered, Standing, process,
};
use crate::project::{ISSUES, Project};
use crate::schema::id::{IssueId, SessionId};
use crate::schema::process::Process;
use crate::schema::session::{Session, SessionState};
use crate::schema::time::Timestamp;
use crate::worktrees::Shared;

/// The folders of lock files in which a session of a project leaves its traces, made if they are missing: the
/// project's own, then the one that its work trees share.
///
/// # Errors
/// If one cannot be made or opened, as when it is a link.
pub fn folders(project: &Project) -> Result<Vec<Dir>, PathError> {
    let issues = project.state().ensure_dir(ISSUES)?;
    let mut folders = vec![liveness::ensure_folder(&issues)?];
    if let Some(shared) = Shared::ensure(project)? {
        folders.push(shared.ensure_leases()?);
    }
    Ok(folders)
}

/// Those of [`folders`] that are there.
///
/// # Errors
/// If one is there and cannot be opened.
pub fn existing_folders(project: &Project) -> Result<Vec<Dir>, PathError> {
    let own = project.issues()?.map(|issues| liveness::folder(&issues)).transpose()?.flatten();
    let shared = Shared::find(project)?.map(|shared| shared.leases()).transpose()?.flatten();
    Ok(own.into_iter().chain(shared).collect())
}

/// Whether all that is to be seen of a session, beside its record, is in the folder that work trees share: another one
/// registered it.
///
/// # Errors
/// See [`existing_folders`].
pub fn is_of_another_tree(project: &Project, session: &SessionId) -> Result<bool, PathError> {
    // a refused attempt to take it leaves an empty file here
    let speaks = |folder: Option<Dir>| {
        folder.is_some_and(|folder| {
            let evidence = liveness::evidence(&folder, session.as_str());
            let names = evidence.payload.is_some_and(|payload| payload.process.is_some());
            evidence.lock == LockState::Held || names
        })
    };
    let own = project.issues()?.map(|issues| liveness::folder(&issues)).transpose()?.flatten();
    let shared = Shared::find(project)?.map(|shared| shared.leases()).transpose()?.flatten();
    Ok(!speaks(own) && speaks(shared))
}

/// The locks of one session, in every folder.
#[derive(Debug)]
#[must_use = "the session is alive only while these are held"]
pub struct Leases(Vec<Lease>);

/// What became of an attempt to begin a session.
#[derive(Debug)]
#[must_use]
pub enum Begun {
    /// It is the caller's.
    Held(Leases),
    /// Another lives under that name; what is known of it.
    Taken(Option<Payload>),
}

impl Leases {
    /// Takes the locks of a session, all or none.
    ///
    /// # Errors
    /// See [`Lease::acquire`].
    pub fn acquire(folders: &[Dir], session: &SessionId, process: Process, now: Timestamp) -> Result<Begun, PathError> {
        let payload = Payload::begin(process, now);
        let mut leases = Vec::with_capacity(folders.len());
        for folder in folders {
            match Lease::acquire(folder, session, &payload)? {
                Acquired::Held(lease) => leases.push(lease),
                Acquired::Taken(holder) => return Ok(Begun::Taken(holder)),
            }
        }
        Ok(Begun::Held(Self(leases)))
    }

    /// See [`Lease::share_with_children`].
    ///
    /// # Errors
    /// If the system refuses.
    pub fn share_with_children(&self, share: bool) -> Result<(), PathError> {
        self.0.iter().try_for_each(|lease| lease.share_with_children(share))
    }

    /// See [`Lease::name`]. The text is advice: what cannot be written stays as it was.
    pub fn name(&mut self, process: &Process) {
        for lease in &mut self.0 {
            let _ = lease.name(process.clone());
        }
    }

    /// See [`Lease::end`].
    pub fn end(self, now: Timestamp) {
        self.0.into_iter().for_each(|lease| lease.end(now));
    }
}

/// Notes in every folder which process a session lives as long as; without one, that nothing is known of it.
///
/// # Errors
/// See [`liveness::register`].
pub fn register(
    folders: &[Dir],
    session: &SessionId,
    process: Option<&Process>,
    now: Timestamp,
) -> Result<Registered, PathError> {
    // what work trees share comes first: who is refused there must leave nothing here
    let mut done: Vec<(&Dir, bool)> = Vec::new();
    for folder in folders.iter().rev() {
        let was_absent = liveness::evidence(folder, session.as_str()).lock == LockState::Absent;
        let taken = if let Some(process) = process {
            match liveness::register(folder, session, &Payload::begin(process.clone(), now))? {
                Registered::Done => None,
                Registered::Taken(holder) => Some(holder),
            }
        } else {
            match liveness::forget(folder, session)? {
                Ended::Done | Ended::Absent => None,
                Ended::Held(holder) => Some(holder),
            }
        };
        let Some(holder) = taken else {
            done.push((folder, was_absent));
            continue;
        };
        for (folder, was_absent) in done.into_iter().filter(|_| process.is_some()) {
            let _ = if was_absent { liveness::forget(folder, session)? } else { liveness::end(folder, session, now)? };
        }
        return Ok(Registered::Taken(holder));
    }
    Ok(Registered::Done)
}

/// Notes in every folder that a session is over.
///
/// # Errors
/// See [`liveness::end`].
pub fn end(folders: &[Dir], session: &SessionId, now: Timestamp) -> Result<Ended, PathError> {
    let mut ended = Ended::Absent;
    for folder in folders {
        match liveness::end(folder, session, now)? {
            Ended::Done => ended = Ended::Done,
            held @ Ended::Held(_) => return Ok(held),
            Ended::Absent => {}
        }
    }
    Ok(ended)
}

/// What the lock files of a session tell.
#[must_use]
pub fn evidence(folders: &[Dir], session: &str) -> Vec<Evidence> {
    folders.iter().map(|folder| liveness::evidence(folder, session)).collect()
}

/// Whether somebody holds a lock of the session.
#[must_use]
pub fn is_held(evidence: &[Evidence]) -> bool {
    evidence.iter().any(|evidence| evidence.lock == LockState::Held)
}

/// Who holds a lock of the session; none if nobody does, or it is not known who.
#[must_use]
pub fn holder(evidence: &[Evidence]) -> Option<&Process> {
    let mut held = evidence.iter().filter(|evidence| evidence.lock == LockState::Held);
    held.find_map(|evidence| evidence.payload.as_ref()?.process.as_ref())
}

/// Where a session stands, by its lock files and its record.
#[must_use]
pub fn standing(evidence: &[Evidence], record: &Session) -> Standing {
    let registered = record.process.as_ref().map(|process| process::state(process, Some(record.last_activity_at)));
    liveness::judge(evidence, registered, record.state == SessionState::Ended)
}

/// Whether a session lives. One that left no trace but its record is unknown for `remote_ttl` after it last did
/// something, by default [`liveness::REMOTE_TTL`].
#[must_use]
pub fn liveness(evidence: &[Evidence], record: &Session, now: Timestamp, remote_ttl: TimeDelta) -> Liveness {
    let quiet = now.get().signed_duration_since(record.last_activity_at.get());
    standing(evidence, record).with_claim(quiet >= remote_ttl)
}

/// A session to begin.
#[derive(Clone, Debug)]
pub struct Beginning {
    /// Its id.
    pub id: SessionId,
    /// Its name, if it gets one.
    pub name: Option<String>,
    /// The process that it lives as long as.
    pub process: Option<Process>,
    /// Where it works, as in [`Session::project`].
    pub project: Option<String>,
}

/// What became of the record of a session that begins.
#[derive(Clone, Debug, PartialEq)]
#[must_use]
pub enum Noted {
    /// It is active.
    Begun {
        /// The record before, if there was one.
        before: Option<Box<Session>>,
    },
    /// Its record names another process, and that lives.
    Taken(Process),
}

/// Writes the record of a session that begins: a new one, or one that was there before, with what is known of it.
///
/// # Errors
/// If the database fails; so for all functions here that take a transaction.
pub fn note_begin(txn: &mut WriteTxn<'_>, beginning: &Beginning) -> Result<Noted, StoreError> {
    let now = txn.author().now;
    let before = txn.record::<Session>(beginning.id.as_str())?;
    let other = before.as_ref().filter(|old| old.state == SessionState::Active && old.process != beginning.process);
    if let Some(old) = other
        && let Some(process) = &old.process
        && process::state(process, Some(old.last_activity_at)) == Liveness::Alive
    {
        return Ok(Noted::Taken(process.clone()));
    }
    let mut session = before.clone().unwrap_or_else(|| Session::begin(beginning.id.clone(), now));
    let goes_on = session.state == SessionState::Active && session.process == beginning.process;
    if let Some(name) = &beginning.name {
        session.name = Some(name.clone());
    }
    session.state = SessionState::Active;
    session.process.clone_from(&beginning.process);
    session.project = session.project.or_else(|| beginning.project.clone());
    session.ended_at = None;
    if !goes_on {
        session.last_activity_at = now.max(session.last_activity_at);
    }
    txn.put_record(&session, Op::Begin)?;
    Ok(Noted::Begun { before: before.map(Box::new) })
}

/// Takes back what [`note_begin`] wrote, for a session that came to nothing.
///
/// # Errors
/// See [`note_begin`].
pub fn withdraw(txn: &mut WriteTxn<'_>, id: &SessionId, before: Option<&Session>) -> Result<(), StoreError> {
    match before {
        Some(before) => txn.put_record(before, Op::End).map(|_| ()),
        None => txn.remove_record::<Session>(id.as_str(), Op::End).map(|_| ()),
    }
}

/// Writes that a session is over, if its record says that it goes on; says whether it did.
///
/// # Errors
/// See [`note_begin`].
pub fn note_end(txn: &mut WriteTxn<'_>, id: &SessionId, op: Op) -> Result<bool, StoreError> {
    let Some(mut session) = txn.record::<Session>(id.as_str())? else { return Ok(false) };
    if session.state != SessionState::Active {
        return Ok(false);
    }
    let now = txn.author().now;
    session.state = SessionState::Ended;
    session.ended_at = Some(now);
    session.process = None;
    if op == Op::End {
        session.last_activity_at = now.max(session.last_activity_at);
    }
    txn.put_record(&session, op)
}

/// Gives back every issue that a session has in this work tree; answers which. Whether the caller may is asked before:
/// `access` must be with force.
///
/// # Errors
/// See [`note_begin`].
pub fn release_all(
    txn: &mut WriteTxn<'_>,
    session: &SessionId,
    access: Access<'_>,
) -> Result<Vec<IssueId>, StoreError> {
    let mut released = Vec::new();
    for id in owned(txn, session)? {
        if let Claimed::Done(_) = claims::release(txn, id, None, access)? {
            released.push(id);
        }
    }
    Ok(released)
}

/// The sessions that died unnoticed, by id (`remote_ttl` as in [`liveness()`]): those whose records say that they go on, and those that have no record, but
/// a lock file and an issue. Once the file is gone, nobody could tell any more that they are dead.
///
/// # Errors
/// See [`note_begin`].
pub fn dead<T: Readable>(
    tables: &Tables<T>,
    folders: &[Dir],
    now: Timestamp,
    remote_ttl: TimeDelta,
) -> Result<Vec<SessionId>, StoreError> {
    let mut sessions = tables.records::<Session>()?;
    sessions.retain(|session| {
        session.state == SessionState::Active
            && liveness(&evidence(folders, session.id.as_str()), session, now, remote_ttl) == Liveness::Dead
    });
    let mut dead: Vec<_> = sessions.into_iter().map(|session| session.id).collect();
    let names = folders.iter().map(Dir::names).collect::<Result<Vec<_>, _>>()?.concat();
    for id in names.iter().filter_map(|name| name.parse::<SessionId>().ok()) {
        if tables.record::<Session>(id.as_str())?.is_none()
            && liveness::judge(&evidence(folders, id.as_str()), None, false) == Standing::Dead
            && !owned(tables, &id)?.is_empty()
        {
            dead.push(id);
        }
    }
    dead.sort();
    dead.dedup();
    Ok(dead)
}

/// Writes down that the [`dead`] are dead; answers who.
///
/// # Errors
/// See [`note_begin`].
pub fn note_dead(txn: &mut WriteTxn<'_>, folders: &[Dir], remote_ttl: TimeDelta) -> Result<Vec<SessionId>, StoreError> {
    let dead = dead(txn, folders, txn.author().now, remote_ttl)?;
    for id in &dead {
        if !note_end(txn, id, Op::Reap)? {
            note_unrecorded(txn, id, Op::Reap)?;
        }
    }
    Ok(dead)
}

/// Writes that a session which has no record is over, so that it stays so once nothing else tells; says whether it did.
///
/// # Errors
/// See [`note_begin`].
pub fn note_unrecorded(txn: &mut WriteTxn<'_>, id: &SessionId, op: Op) -> Result<bool, StoreError> {
    if txn.record::<Session>(id.as_str())?.is_some() {
        return Ok(false);
    }
    let now = txn.author().now;
    let ended = Session { state: SessionState::Ended, ended_at: Some(now), ..Session::begin(id.clone(), now) };
    txn.put_record(&ended, op)
}

/// The issues that a session has in this work tree, by number.
///
/// # Errors
/// See [`note_begin`].
pub fn owned<T: Readable>(tables: &Tables<T>, session: &SessionId) -> Result<Vec<IssueId>, StoreError> {
    let query =
        Query { classes: Classes::ALL, session: Some(session.as_str().to_owned()), sort: Sort::Id, ..Query::default() };
    let owned = |stored: &StoredHead| Ok(stored.head.owner().is_some_and(|owner| owner.session == session.as_str()));
    Ok(tables.list(&query, owned)?.into_iter().map(|stored| stored.head.id).collect())
}

/// Removes old lock files from every folder, or says which it would; answers whose they were.
///
/// # Errors
/// If a folder cannot be read.
pub fn reap_locks(
    folders: &[Dir],
    now: Timestamp,
    min_age: Duration,
    dry_run: bool,
) -> Result<Vec<SessionId>, PathError> {
    let mut removed = Vec::new();
    for folder in folders {
        removed.extend(liveness::reap(folder, now, min_age, dry_run)?.removed);
    }
    removed.sort();
    removed.dedup();
    Ok(removed)
}

/// What a text that is an id, or the beginning of one, stands for.
#[derive(Clone, Debug, PartialEq)]
pub enum Found {
    /// This session.
    One(Box<Session>),
    /// None that has a record.
    None,
    /// More than one.
    Several(Vec<SessionId>),
}

/// Finds a session by its id, or by the beginning of its id if no other begins so.
///
/// # Errors
/// See [`note_begin`].
pub fn find<T: Readable>(tables: &Tables<T>, text: &str) -> Result<Found, StoreError> {
    if let Some(session) = tables.record::<Session>(text)? {
        return Ok(Found::One(Box::new(session)));
    }
    if text.is_empty() {
        return Ok(Found::None);
    }
    let mut sessions = tables.records_from::<Session>(text)?;
    Ok(match sessions.len() {
        0 => Found::None,
        1 => Found::One(Box::new(sessions.remove(0))),
        _ => Found::Several(sessions.into_iter().map(|session| session.id).collect()),
    })
}

#[cfg(test)]
mod tests;

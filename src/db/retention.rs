//! Dropping what a policy does not keep (see [`crate::schema::retention`]): all of it at once, or a little beside every
//! change.
//!
//! What is dropped is not logged: a row for each would keep in the log what is to be forgotten, and nobody means it by
//! `undo`. Issues, documents, pointers, facts, runtime summaries, health, registrations, tombstones, conflicts and what
//! the mirror keeps are never dropped.
//!
//! A sweep goes once a day over the log, its texts, handoffs and sessions, a few rows in each transaction that commits
//! anyway; it remembers its place in `meta`. What it finds damaged it leaves to others.
//!
//! Ages are not counted up to what the clock says but up to [`Tables::believed`], which a clock far ahead moves by a week
//! only. It is stored when a day's sweep ends.

mod sweep;

use std::collections::HashSet;
use std::fmt;
use std::ops::Bound;
use std::sync::Arc;

use crate::schema::agent::Agent;
use crate::schema::codec::DecodeError;
use crate::schema::day::Day;
use crate::schema::handoff::Handoff;
use crate::schema::id::{Identity, Revision, SessionId};
use crate::schema::pointer::{Pointer, PointerKind};
use crate::schema::retention::{Belief, Policy};
use crate::schema::session::Session;
use crate::schema::time::Timestamp;
use crate::schema::validation::Validation;

use super::error::StoreError;
use super::index::revision_of;
use super::query::{Classes, Query};
use super::read::mark;
use super::record::{Kind, StoredHead};
use super::records::{Record, row};
use super::tables::{Readable, Tables};
use super::write::WriteTxn;

/// What a store keeps, and who knows whether a session lives.
#[derive(Clone)]
pub struct Retention {
    policy: Policy,
    is_alive: Arc<dyn Fn(&SessionId) -> bool + Send + Sync>,
}

impl Retention {
    /// Keeps what a policy keeps, and every session that lives.
    pub fn new(policy: Policy, is_alive: impl Fn(&SessionId) -> bool + Send + Sync + 'static) -> Self {
        Self { policy, is_alive: Arc::new(is_alive) }
    }

    /// The policy.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.policy
    }
}

impl fmt::Debug for Retention {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Retention").field("policy", &self.policy).finish_non_exhaustive()
    }
}

/// What is not kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expired {
    /// Records, by kind: their keys, in order.
    pub records: Vec<(Kind, Vec<String>)>,
    /// How many digests of requests that were counted.
    pub digests: u64,
    /// Rows of the log, oldest first.
    pub changes: Vec<Revision>,
    /// Rows whose texts, which were replaced or deleted, the log no longer holds; those that go with their rows too.
    pub texts: Vec<Revision>,
    /// The first row of the log from which on all are kept.
    log_from: Revision,
    /// The first day of usage that is kept.
    first_day: Option<Day>,
}

impl Expired {
    /// The keys of the records of a kind.
    #[must_use]
    pub fn of(&self, kind: Kind) -> &[String] {
        self.records.iter().find(|(of, _)| *of == kind).map_or(&[], |(_, keys)| keys)
    }

    /// Whether all is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let records = self.records.iter().all(|(_, keys)| keys.is_empty());
        records && self.digests == 0 && self.changes.is_empty() && self.texts.is_empty()
    }
}

impl<T: Readable> Tables<T> {
    /// The time up to which ages are counted where the clock says `now`; see [`Belief`]. Where nothing was dropped by its
    /// age yet, the last change tells what time it may be.
    ///
    /// # Errors
    /// If the database cannot be read. A damaged row is as good as none: a change must not fail for it.
    pub fn believed(&self, now: Timestamp) -> Result<Timestamp, StoreError> {
        Ok(self.belief()?.map_or(now, |belief| belief.at(now)))
    }

    fn belief(&self) -> Result<Option<Belief>, StoreError> {
        let stored = unless_damaged(self.meta.get(mark::BELIEF))?.flatten();
        if stored.is_some() {
            return Ok(stored);
        }
        let last = unless_damaged(self.revision().and_then(|revision| self.change(revision)))?.flatten();
        Ok(last.map(|change| Belief::new(change.at)))
    }

    /// All that is not kept at a time, which should be [one that is believed](Tables::believed).
    ///
    /// # Errors
    /// If the database cannot be read or a row is damaged; so for all functions here.
    pub fn expired(&self, retention: &Retention, now: Timestamp) -> Result<Expired, StoreError> {
        let policy = &retention.policy;
        let first_day = policy.first_usage_day(now);
        let runs = self.records::<Validation>()?;
        let pinned = self.pinned(&runs)?;
        let mut agents = self.records::<Agent>()?;
        agents.sort_by_key(|agent| (agent.created_at, agent.id));
        let saved = self.saved_sessions()?;
        let mut sessions = Vec::new();
        for session in self.records::<Session>()? {
            if self.session_is_past(&session, retention, &saved, now)? {
                sessions.push(session.id.to_string());
            }
        }
        let handoffs = self.records::<Handoff>()?.into_iter().filter(|handoff| policy.drops_handoff(handoff, now));
        let surplus = policy.surplus_runs(&runs, |run| pinned.contains(&Record::key(run)));
        let mut validations: Vec<String> = surplus.iter().map(ToString::to_string).collect();
        validations.sort_unstable();
        let records = vec![
            (Kind::Usage, self.keys_before(Kind::Usage, first_day)?),
            (Kind::Telemetry, self.keys_before(Kind::Telemetry, first_day)?),
            (Kind::Validation, validations),
            (Kind::Session, sessions),
            (Kind::Agent, policy.surplus_agents(&agents, now, None).iter().map(ToString::to_string).collect()),
            (Kind::Handoff, handoffs.map(|handoff| Record::key(&handoff)).collect()),
        ];
        let log_from = self.first_change(policy)?;
        let mut changes = Vec::new();
        for key in self.changes.keys_within((Bound::Unbounded, Bound::Excluded(log_from.0.to_be_bytes().into())))? {
            let revision = self.revision_of(&key?)?;
            if !self.row_is_needed(revision)? {
                changes.push(revision);
            }
        }
        let texts = self.past_texts(policy, &changes, now)?;
        let digests = self.counted_before(first_day)?;
        Ok(Expired { records, digests, changes, texts, log_from, first_day: Some(first_day) })
    }

    /// The keys of the sums or counters of days before one. They begin with the day.
    fn keys_before(&self, kind: Kind, day: Day) -> Result<Vec<String>, StoreError> {
        let prefix = row(kind, "");
        let range = (Bound::Included(prefix.clone()), Bound::Excluded(row(kind, &day.to_string())));
        let text = |key: Vec<u8>| String::from_utf8_lossy(&key[prefix.len()..]).into_owned();
        self.records.keys_within(range)?.map(|key| key.map(text)).collect()
    }

    /// Those of these runs that stand in the files of their issues, by key.
    fn pinned(&self, runs: &[Validation]) -> Result<HashSet<String>, StoreError> {
        let mut pinned = HashSet::new();
        let issues: HashSet<&Identity> = runs.iter().filter_map(|run| run.issue.as_ref()).collect();
        for issue in issues {
            let Some(id) = self.id_of(issue)? else { continue };
            let listed = self.head(id)?.map(|stored| stored.head.validations).unwrap_or_default();
            pinned.extend(listed.into_iter().map(|entry| entry.id));
        }
        Ok(pinned)
    }

    /// The sessions that somebody saved under a name.
    fn saved_sessions(&self) -> Result<HashSet<String>, StoreError> {
        let pointers = self.records_from::<Pointer>(&format!("{}/", PointerKind::Session.as_str()))?;
        Ok(pointers.into_iter().filter_map(|pointer| pointer.target).collect())
    }

    /// Whether a session's time is past, and nothing needs it: no issue is its own, nobody saved it, it does not live.
    /// Forks of it name it by its id, which they keep; if they held it, a line of forks would be kept for ever.
    fn session_is_past(
        &self,
        session: &Session,
        retention: &Retention,
        saved: &HashSet<String>,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        if !retention.policy.drops_session(session, now) || saved.contains(session.id.as_str()) {
            return Ok(false);
        }
        let linked = Query { classes: Classes::ALL, session: Some(session.id.as_str().to_owned()), ..Query::default() };
        let owns =
            |stored: &StoredHead| Ok(stored.head.owner().is_some_and(|owner| owner.session == session.id.as_str()));
        Ok(self.list(&Query { limit: Some(1), ..linked }, owns)?.is_empty() && !(retention.is_alive)(&session.id))
    }

    fn first_change(&self, policy: &Policy) -> Result<Revision, StoreError> {
        policy.first_change(self.revision()?, self.born()?, |revision| {
            Ok(self.change(revision)?.map(|change| change.group))
        })
    }

    fn revision_of(&self, key: &[u8]) -> Result<Revision, StoreError> {
        revision_of(key).ok_or_else(|| self.changes.corrupt(key, DecodeError::Damaged))
    }

    /// Whether a row of the log tells what an issue lost in a merge or a conflict that is still open: one that is not
    /// exported yet, or waits for a person.
    fn row_is_needed(&self, revision: Revision) -> Result<bool, StoreError> {
        let Some(change) = self.change(revision)?.filter(|change| change.hash_before == change.hash_after) else {
            return Ok(false);
        };
        let Some(key) = change.identity.map(|identity| identity.key()) else { return Ok(false) };
        Ok(self.pending.contains(&key)? || self.conflicts.contains(&key)?)
    }

    /// The texts that go: with their rows, or for their age.
    fn past_texts(&self, policy: &Policy, changes: &[Revision], now: Timestamp) -> Result<Vec<Revision>, StoreError> {
        let mut past = Vec::new();
        for key in self.superseded.keys_within((Bound::Unbounded, Bound::Unbounded))? {
            let revision = self.revision_of(&key?)?;
            if changes.binary_search(&revision).is_ok() || self.text_is_past(policy, revision, now)? {
                past.push(revision);
            }
        }
        Ok(past)
    }

    fn text_is_past(&self, policy: &Policy, revision: Revision, now: Timestamp) -> Result<bool, StoreError> {
        Ok(self.change(revision)?.is_none_or(|change| policy.drops_text(change.at, now)))
    }
}

impl WriteTxn<'_> {
    /// What is to be kept, if that was said.
    #[must_use]
    pub fn policy(&self) -> Option<&Policy> {
        self.retention.as_deref().map(Retention::policy)
    }

    /// Believes the clock, however far it is from what was believed: whoever asks for it has looked.
    ///
    /// # Errors
    /// If the database fails.
    pub fn trust_clock(&mut self) -> Result<(), StoreError> {
        self.touched = true;
        self.tables.meta.put(mark::BELIEF, &Belief::new(self.author.now))
    }

    /// Drops all that is not kept, and answers it. Without a retention that is nothing.
    ///
    /// # Errors
    /// If the database fails.
    pub fn expire(&mut self) -> Result<Expired, StoreError> {
        let Some(retention) = self.retention.clone() else { return Ok(Expired::default()) };
        let expired = self.expired(&retention, self.believed(self.author.now)?)?;
        for (kind, keys) in &expired.records {
            for key in keys {
                self.drop_record(*kind, key)?;
            }
        }
        if let Some(day) = expired.first_day {
            self.drop_counted(day, !expired.of(Kind::Usage).is_empty())?;
        }
        for revision in &expired.texts {
            self.touched |= self.tables.superseded.remove(&revision.0.to_be_bytes())?;
        }
        for revision in &expired.changes {
            self.touched |= self.tables.changes.remove(&revision.0.to_be_bytes())?;
        }
        if !expired.changes.is_empty() {
            self.raise_log_from(expired.log_from)?;
        }
        Ok(expired)
    }

    fn first_usage_day(&self) -> Result<Option<Day>, StoreError> {
        let Some(policy) = self.policy().copied() else { return Ok(None) };
        Ok(Some(policy.first_usage_day(self.believed(self.author.now)?)))
    }

    /// Drops the sums and counters of days that are not kept, and what their requests are known by.
    ///
    /// # Errors
    /// If the database fails.
    pub fn expire_usage(&mut self) -> Result<(), StoreError> {
        let Some(day) = self.first_usage_day()? else { return Ok(()) };
        let sums = self.drop_days(Kind::Usage, day)?;
        self.drop_days(Kind::Telemetry, day)?;
        self.drop_counted(day, sums).map(drop)
    }

    /// Drops the counters of days that are not kept.
    ///
    /// # Errors
    /// If the database fails.
    pub fn expire_telemetry(&mut self) -> Result<(), StoreError> {
        let Some(day) = self.first_usage_day()? else { return Ok(()) };
        self.drop_days(Kind::Telemetry, day).map(drop)
    }

    /// Drops the runs of a name beyond those that are kept, but never the one that was just noted.
    ///
    /// # Errors
    /// If the database fails.
    pub fn expire_runs(&mut self, noted: &Validation) -> Result<(), StoreError> {
        let Some(policy) = self.policy().copied() else { return Ok(()) };
        let mut runs = self.records::<Validation>()?;
        runs.retain(|run| run.name == noted.name);
        let pinned = self.pinned(&runs)?;
        for id in policy.surplus_runs(&runs, |run| pinned.contains(&Record::key(run))) {
            if id != noted.id {
                self.drop_record(Kind::Validation, &id.to_string())?;
            }
        }
        Ok(())
    }

    fn drop_days(&mut self, kind: Kind, day: Day) -> Result<bool, StoreError> {
        let keys = self.keys_before(kind, day)?;
        for key in &keys {
            self.drop_record(kind, key)?;
        }
        Ok(!keys.is_empty())
    }

    fn drop_record(&mut self, kind: Kind, key: &str) -> Result<(), StoreError> {
        self.touched |= self.tables.records.remove(&row(kind, key))?;
        Ok(())
    }

    fn raise_log_from(&mut self, first: Revision) -> Result<(), StoreError> {
        if self.log_from()? < first {
            self.tables.meta.put(mark::LOG_FROM, &first)?;
        }
        Ok(())
    }
}

/// What was found; none if it is damaged.
fn unless_damaged<T>(found: Result<T, StoreError>) -> Result<Option<T>, StoreError> {
    match found {
        Err(error) if error.is_damage() => Ok(None),
        found => found.map(Some),
    }
}

#[cfg(test)]
mod tests;

//! The sweep: once a day over the log, its texts, handoffs and sessions, a few rows beside each change.

use std::ops::Bound;

use serde::{Deserialize, Serialize};

use crate::schema::day::Day;
use crate::schema::handoff::Handoff;
use crate::schema::retention::Belief;
use crate::schema::session::Session;
use crate::schema::time::Timestamp;

use super::super::error::StoreError;
use super::super::read::mark;
use super::super::record::Kind;
use super::super::records::{Record, row};
use super::super::tables::{Readable, Tables};
use super::super::write::WriteTxn;
use super::{Retention, unless_damaged};

/// How many rows a sweep looks at in one transaction: more than most changes add to the log, so that it ends; few enough
/// that nobody notices: 64 made the creation of an issue 6 % longer where writing costs nothing, and 16 make it 1.5 %.
const ROWS: usize = 16;

/// What is looked at, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Stage {
    Log,
    Texts,
    Handoffs,
    Sessions,
}

impl Stage {
    const fn next(self) -> Option<Self> {
        match self {
            Self::Log => Some(Self::Texts),
            Self::Texts => Some(Self::Handoffs),
            Self::Handoffs => Some(Self::Sessions),
            Self::Sessions => None,
        }
    }
}

/// How far a sweep has come.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Sweep {
    /// The day in UTC on which the last one ended.
    ended: Option<Day>,
    /// What the present one looks at.
    stage: Option<Stage>,
    /// The key of the row that it saw last.
    after: Vec<u8>,
}

/// What a stage saw.
enum Seen {
    /// So many rows, and that was all.
    All(usize),
    /// As many as it might; the key of the last.
    UpTo(Vec<u8>),
}

impl Seen {
    fn of(mut keys: Vec<Vec<u8>>, most: usize) -> Self {
        match keys.pop() {
            Some(last) if keys.len() + 1 >= most => Self::UpTo(last),
            Some(_) => Self::All(keys.len() + 1),
            None => Self::All(0),
        }
    }
}

impl WriteTxn<'_> {
    /// Goes on with the sweep, unless it ended today or nothing was said of what to keep.
    ///
    /// # Errors
    /// If the database fails. What is damaged stays, and but for a row of the log it ends the sweep: a change must not
    /// fail for a row that it does not touch.
    pub(crate) fn sweep(&mut self) -> Result<(), StoreError> {
        let Some(retention) = self.retention.clone() else { return Ok(()) };
        let today = Day::of(self.author.now);
        let sweep = unless_damaged(self.tables.meta.get::<Sweep>(mark::SWEEP))?.flatten().unwrap_or_default();
        if sweep.stage.is_none() && sweep.ended == Some(today) {
            return Ok(());
        }
        let ended = Sweep { ended: Some(today), ..Sweep::default() };
        let sweep = unless_damaged(self.go_on(&retention, sweep, ended.clone()))?.unwrap_or_else(|| ended.clone());
        if sweep == ended {
            let belief = self.belief()?.unwrap_or_else(|| Belief::new(self.author.now));
            self.tables.meta.put(mark::BELIEF, &belief.after_sweep(self.author.now))?;
        }
        self.tables.meta.put(mark::SWEEP, &sweep)
    }

    fn go_on(&mut self, retention: &Retention, from: Sweep, ended: Sweep) -> Result<Sweep, StoreError> {
        let (mut stage, mut after, mut left) = (from.stage.unwrap_or(Stage::Log), from.after, ROWS);
        let now = self.believed(self.author.now)?;
        loop {
            let seen = match stage {
                Stage::Log => self.sweep_log(retention, &after, left),
                Stage::Texts => self.sweep_texts(retention, left, now),
                Stage::Handoffs => self.sweep_handoffs(retention, &after, left, now),
                Stage::Sessions => self.sweep_sessions(retention, &after, left, now),
            }?;
            match (seen, stage.next()) {
                (Seen::UpTo(after), _) => return Ok(Sweep { stage: Some(stage), after, ..from_day(from.ended) }),
                (Seen::All(_), None) => return Ok(ended),
                (Seen::All(rows), Some(next)) => {
                    (stage, left) = (next, left.saturating_sub(rows).max(1));
                    after.clear();
                }
            }
        }
    }

    fn sweep_log(&mut self, retention: &Retention, after: &[u8], most: usize) -> Result<Seen, StoreError> {
        let first = self.first_change(&retention.policy)?;
        let range = (beyond(after, Vec::new()), Bound::Excluded(first.0.to_be_bytes().into()));
        let keys = self.changes.keys_within(range)?.take(most).collect::<Result<Vec<_>, _>>()?;
        if !keys.is_empty() {
            self.raise_log_from(first)?;
        }
        for key in &keys {
            let revision = self.revision_of(key)?;
            let is_needed = unless_damaged(self.row_is_needed(revision))?.unwrap_or(true);
            if !is_needed {
                self.tables.changes.remove(key)?;
                self.tables.superseded.remove(key)?;
            }
        }
        Ok(Seen::of(keys, most))
    }

    /// Ends with the first text that is kept: those after it are younger, unless the clock was set back, and then
    /// `compact` finds them.
    fn sweep_texts(&mut self, retention: &Retention, most: usize, now: Timestamp) -> Result<Seen, StoreError> {
        let keys = self.superseded.keys_within((Bound::Unbounded, Bound::Unbounded))?;
        let keys = keys.take(most).collect::<Result<Vec<_>, _>>()?;
        for (rows, key) in keys.iter().enumerate() {
            if !self.text_is_past(&retention.policy, self.revision_of(key)?, now)? {
                return Ok(Seen::All(rows + 1));
            }
            self.tables.superseded.remove(key)?;
        }
        Ok(Seen::of(keys, most))
    }

    fn sweep_handoffs(
        &mut self,
        retention: &Retention,
        after: &[u8],
        most: usize,
        now: Timestamp,
    ) -> Result<Seen, StoreError> {
        let rows = self.window::<Handoff>(after, most)?;
        for (_, handoff) in &rows {
            if retention.policy.drops_handoff(handoff, now) {
                self.drop_record(Kind::Handoff, &Record::key(handoff))?;
            }
        }
        Ok(Seen::of(rows.into_iter().map(|(key, _)| key).collect(), most))
    }

    fn sweep_sessions(
        &mut self,
        retention: &Retention,
        after: &[u8],
        most: usize,
        now: Timestamp,
    ) -> Result<Seen, StoreError> {
        let rows = self.window::<Session>(after, most)?;
        if rows.iter().any(|(_, session)| retention.policy.drops_session(session, now)) {
            let saved = self.saved_sessions()?;
            for (_, session) in &rows {
                if self.session_is_past(session, retention, &saved, now)? {
                    self.drop_record(Kind::Session, session.id.as_str())?;
                }
            }
        }
        Ok(Seen::of(rows.into_iter().map(|(key, _)| key).collect(), most))
    }
}

impl<T: Readable> Tables<T> {
    /// The next records of a kind.
    fn window<R: Record>(&self, after: &[u8], most: usize) -> Result<Vec<(Vec<u8>, R)>, StoreError> {
        // a key is followed by what is not NUL
        let end = [R::KIND.as_str().as_bytes(), b"\x01"].concat();
        let range = (beyond(after, row(R::KIND, "")), Bound::Excluded(end));
        self.records.range(range)?.take(most).collect()
    }
}

/// From the row after one, or from the first one.
fn beyond(after: &[u8], first: Vec<u8>) -> Bound<Vec<u8>> {
    if after.is_empty() { Bound::Included(first) } else { Bound::Excluded(after.to_vec()) }
}

fn from_day(ended: Option<Day>) -> Sweep {
    Sweep { ended, ..Sweep::default() }
}

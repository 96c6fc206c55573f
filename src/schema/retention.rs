//! Retention: which records a policy does not keep. Pure: the records and the time go in, and what is to go comes out.
//!
//! A span of days is so many times 24 hours before now, and what is exactly that old is still kept; days of usage are
//! whole days in UTC. What a policy drops, it drops at any later time, too, and dropping twice is dropping once.
//! What a record is needed for besides (an issue that its session has, a list that it is pinned in) is asked of the
//! caller. Which time to go by is [`Belief`]'s to say.

mod belief;

use std::collections::HashMap;

use chrono::TimeDelta;

use super::agent::{Agent, AgentId};
use super::day::Day;
use super::handoff::{Handoff, HandoffState};
use super::id::Revision;
use super::record_id::RecordId;
use super::session::{Session, SessionState};
use super::settings;
use super::time::Timestamp;
use super::validation::Validation;

pub use belief::{Belief, STEP_DAYS};

/// How much is kept of what. The settings `retention.*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Days of usage and telemetry, today in UTC included; with 0 not even that.
    pub usage_days: u32,
    /// Runs of each name of a validation, beside those that are pinned.
    pub validations_per_name: u32,
    /// Rows of the log.
    pub changes: u32,
    /// Texts that were replaced or deleted, in days.
    pub superseded_days: u32,
    /// Sessions after their end, in days.
    pub sessions_days: u32,
    /// Agents after they were primed first, in hours. It is set when they are primed.
    pub agents_hours: u32,
    /// Agents.
    pub agents: u32,
    /// Handoffs after they are done, in days.
    pub handoffs_days: u32,
}

impl Policy {
    /// What holds unless somebody says otherwise.
    pub const DEFAULT: Self = Self {
        usage_days: 30,
        validations_per_name: 20,
        changes: 10_000,
        superseded_days: 90,
        sessions_days: 90,
        agents_hours: 24,
        agents: 500,
        handoffs_days: 90,
    };

    /// The first day whose usage is kept.
    #[must_use]
    pub fn first_usage_day(&self, now: Timestamp) -> Day {
        let today = Day::of(now);
        match self.usage_days {
            0 => today.next(),
            days => today.before(u64::from(days) - 1),
        }
    }

    /// Whether a session is over and its time past. One that was imported is not: its file would bring it back.
    #[must_use]
    pub fn drops_session(&self, session: &Session, now: Timestamp) -> bool {
        let ended = session.ended_at.unwrap_or(session.last_activity_at);
        session.state == SessionState::Ended && session.file.is_none() && is_past(ended, self.sessions_days, now)
    }

    /// Whether a handoff is done and its time past.
    #[must_use]
    pub fn drops_handoff(&self, handoff: &Handoff, now: Timestamp) -> bool {
        let done = handoff.done_at.unwrap_or(handoff.updated_at);
        handoff.state == HandoffState::Done && is_past(done, self.handoffs_days, now)
    }

    /// Whether the log no longer holds the text that a change replaced at a time.
    #[must_use]
    pub fn drops_text(&self, replaced_at: Timestamp, now: Timestamp) -> bool {
        is_past(replaced_at, self.superseded_days, now)
    }

    /// The runs beyond the newest of each name. One that is pinned is kept and does not count.
    #[must_use]
    pub fn surplus_runs(&self, runs: &[Validation], is_pinned: impl Fn(&Validation) -> bool) -> Vec<RecordId> {
        let mut newest_first: Vec<&Validation> = runs.iter().filter(|run| !is_pinned(run)).collect();
        newest_first.sort_by_key(|run| std::cmp::Reverse((run.at, run.id)));
        let mut seen: HashMap<&str, u32> = HashMap::new();
        newest_first.retain(|run| {
            let count = seen.entry(&run.name).or_default();
            *count = count.saturating_add(1);
            *count > self.validations_per_name
        });
        newest_first.into_iter().map(|run| run.id).collect()
    }

    /// The agents that have expired and, beyond the number that is kept, the oldest; but for `keep`. `agents` are all,
    /// oldest first.
    #[must_use]
    pub fn surplus_agents(&self, agents: &[Agent], now: Timestamp, keep: Option<AgentId>) -> Vec<AgentId> {
        let (expired, active): (Vec<&Agent>, Vec<&Agent>) =
            agents.iter().filter(|agent| Some(agent.id) != keep).partition(|agent| agent.is_expired(now));
        let kept = agents.len() - expired.len() - active.len();
        let most = usize::try_from(self.agents).unwrap_or(usize::MAX);
        let beyond = (active.len() + kept).saturating_sub(most);
        expired.iter().chain(active.iter().take(beyond)).map(|agent| agent.id).collect()
    }

    /// The first row of the log that is kept, where the last one is `last`; `group_of` gives the first change of the
    /// command that a row belongs to, if the row is there.
    ///
    /// A command is kept as a whole, because it is undone as a whole; so a few rows more may stay. The import that a
    /// database was born with, up to `born`, is nothing that anybody undoes, and is cut anywhere.
    ///
    /// # Errors
    /// What `group_of` answers.
    pub fn first_change<E>(
        &self,
        last: Revision,
        born: Revision,
        group_of: impl FnOnce(Revision) -> Result<Option<Revision>, E>,
    ) -> Result<Revision, E> {
        let newest = Revision((last.0 + 1).saturating_sub(self.changes.into()));
        if newest <= born || newest.0 <= 1 {
            return Ok(newest);
        }
        let group = group_of(newest)?.unwrap_or(newest);
        Ok(group.clamp(Revision(born.0 + 1), newest))
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl From<&settings::Retention> for Policy {
    fn from(settings: &settings::Retention) -> Self {
        Self {
            usage_days: settings.usage_days.value,
            validations_per_name: settings.validations_per_name.value,
            changes: settings.changes.value,
            superseded_days: settings.superseded_days.value,
            sessions_days: settings.sessions_days.value,
            agents_hours: settings.agents_hours.value,
            agents: settings.agents.value,
            handoffs_days: settings.handoffs_days.value,
        }
    }
}

/// Whether a time is more than so many days ago.
fn is_past(at: Timestamp, days: u32, now: Timestamp) -> bool {
    let first_kept = now.get().checked_sub_signed(TimeDelta::days(days.into()));
    first_kept.is_some_and(|first_kept| at.get() < first_kept)
}

#[cfg(test)]
mod tests;

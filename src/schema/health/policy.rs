//! The policy of the breaker. Pure: the row, what was seen, the time.
//!
//! | the breaker is | and then | so it is |
//! |---|---|---|
//! | closed | a call goes well | closed |
//! | closed | an error, and the upstream says when to come back | open until then |
//! | closed | the fifth error on end | open for 60 s |
//! | closed | another error | closed |
//! | open | its time is over | half-open: one call is let through |
//! | open or half-open | a call goes well | closed |
//! | open or half-open | an error | open again, from now on |
//!
//! Beside the breaker, a call that went well may say that none is left before the limit ends; that is waited for, too.

use chrono::TimeDelta;

use super::super::time::Timestamp;
use super::{Breaker, ErrorClass, Health, HealthState};

/// When the breaker opens, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// How many failures on end open it.
    pub open_after: u64,
    /// How many seconds it stays open where the upstream does not say, and how long others wait for a trial's outcome.
    pub cool_down: u32,
}

impl Default for Policy {
    fn default() -> Self {
        Self { open_after: 5, cool_down: 60 }
    }
}

impl Policy {
    fn after(self, time: Timestamp) -> Timestamp {
        time.get().checked_add_signed(TimeDelta::seconds(self.cool_down.into())).map_or(time, Timestamp::new)
    }
}

/// How a call went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Well.
    Ok,
    /// It failed.
    Failed(ErrorClass),
}

/// What was seen of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Observed {
    /// How it went.
    pub outcome: Outcome,
    /// When the upstream's limit ends, by the clock of this machine.
    pub resets_at: Option<Timestamp>,
    /// Calls that the upstream allows in its period.
    pub limit: Option<u64>,
    /// Calls that are left of them.
    pub remaining: Option<u64>,
}

/// Whether a call may be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permit {
    /// It may.
    Now,
    /// One may, to see how it goes: whoever makes it takes it first, by [`take_trial`].
    Trial,
    /// Not before this time.
    Wait(Timestamp),
}

impl Permit {
    /// How many seconds to wait, rounded up; none if a call may be made.
    #[must_use]
    pub fn seconds(self, now: Timestamp) -> Option<u64> {
        let Self::Wait(until) = self else { return None };
        let wait = until.get() - now.get();
        let whole = wait.num_seconds() + i64::from(wait.subsec_nanos() > 0);
        Some(u64::try_from(whole).unwrap_or(0))
    }
}

/// The row after a call, from the row before it.
#[must_use]
pub fn observe(before: &Health, seen: Observed, policy: Policy, now: Timestamp) -> Health {
    let ahead = seen.resets_at.filter(|end| *end > now);
    let mut row = Health { remaining: seen.remaining, trial_at: None, checked_at: now, ..before.clone() };
    row.limit = seen.limit.or(row.limit);
    match seen.outcome {
        Outcome::Ok => {
            let exhausted = seen.remaining == Some(0) && ahead.is_some();
            row.state = if exhausted { HealthState::Limited } else { HealthState::Available };
            row.consecutive_failures = 0;
            row.breaker = Breaker::Closed;
            row.opened_at = None;
            row.resets_at = ahead;
        }
        Outcome::Failed(class) => {
            row.last_error = Some(class);
            row.last_error_at = Some(now);
            row.consecutive_failures = row.consecutive_failures.saturating_add(1);
            // the upstream's last word counts; without one, what it said before still does
            row.resets_at = ahead.or(before.resets_at.filter(|end| *end > now));
            let opens =
                ahead.is_some() || before.breaker != Breaker::Closed || row.consecutive_failures >= policy.open_after;
            if opens {
                row.breaker = Breaker::Open;
                row.opened_at = Some(now);
            }
            row.state = match class {
                _ if ahead.is_some() => HealthState::Limited,
                ErrorClass::RateLimit => HealthState::Limited,
                ErrorClass::Http4xx => HealthState::Error,
                _ if row.breaker == Breaker::Open => HealthState::Error,
                _ => HealthState::Retry,
            };
        }
    }
    row
}

/// Whether a call may be made now. A model without a row may be called.
#[must_use]
pub fn permit(row: Option<&Health>, policy: Policy, now: Timestamp) -> Permit {
    let Some(row) = row else { return Permit::Now };
    // on a clock that was set back, nobody waits for longer than from now on
    let cooled = |from: Timestamp| policy.after(from.min(now));
    let wait = |until: Timestamp| (until > now).then_some(Permit::Wait(until));
    match row.breaker {
        Breaker::Closed if row.state == HealthState::Limited && row.remaining == Some(0) => {
            row.resets_at.and_then(wait).unwrap_or(Permit::Now)
        }
        Breaker::Closed => Permit::Now,
        Breaker::Open => {
            let until = row.resets_at.or(row.opened_at.map(cooled));
            until.and_then(wait).unwrap_or(Permit::Trial)
        }
        Breaker::HalfOpen => row.trial_at.map(cooled).and_then(wait).unwrap_or(Permit::Trial),
    }
}

/// The row after somebody took the one call that may be made: others wait for its outcome.
#[must_use]
pub fn take_trial(row: &Health, now: Timestamp) -> Health {
    Health { breaker: Breaker::HalfOpen, trial_at: Some(now), ..row.clone() }
}

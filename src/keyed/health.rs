//! Recording calls, and asking whether one may be made. The policy is [`crate::schema::health`]'s.

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::db::record::Op;
use crate::db::tables::{Readable, Tables};
use crate::db::{StoreError, WriteTxn};
use crate::schema::health::{
    ErrorClass, Health, Observed, Outcome as Went, Permit, Policy, observe, permit, take_trial,
};
use crate::schema::id::ContentHash;
use crate::schema::keyed::{Origin, Problem, admit};
use crate::schema::privacy;
use crate::schema::time::Timestamp;

use super::{KeyedError, Outcome, set_by};

/// The furthest end of a limit that is believed, in seconds from now: what is later is a mistake of units.
const MAX_AHEAD: f64 = 400.0 * 86_400.0;

/// What somebody reports of one call: that it went well, or the class of the error; and what the upstream said.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Report {
    /// The provider.
    pub provider: String,
    /// The model.
    pub model: String,
    /// That it went well.
    pub ok: bool,
    /// The class of the error; one of [`ErrorClass::WORDS`].
    pub error: Option<String>,
    /// In how many seconds to come back.
    pub retry_after_seconds: Option<f64>,
    /// When the limit ends.
    pub resets_at: Option<Timestamp>,
    /// Calls that the upstream allows in its period.
    pub limit: Option<u64>,
    /// Calls that are left of them.
    pub remaining: Option<u64>,
}

impl Report {
    pub(super) const EXPECTED: &str = "an object of provider, model, either ok: true or error: CLASS, and as known \
                                       retry_after_seconds, resets_at, limit and remaining";

    fn observed(&self, now: Timestamp) -> Result<Observed, Problem> {
        let outcome = match (self.ok, self.error.as_deref()) {
            (true, None) => Went::Ok,
            (false, Some(word)) => Went::Failed(
                ErrorClass::of(word)
                    .ok_or_else(|| Problem::invalid("error", format!("one of {}", ErrorClass::WORDS.join(", "))))?,
            ),
            _ => return Err(Problem::invalid("health", "either ok, or an error's class")),
        };
        let ahead = |seconds: f64| {
            let nanos = chrono::TimeDelta::from_std(std::time::Duration::from_secs_f64(seconds)).ok()?;
            now.get().checked_add_signed(nanos).map(Timestamp::new)
        };
        let latest = ahead(MAX_AHEAD);
        let resets_at = match (self.retry_after_seconds, self.resets_at) {
            (Some(_), Some(_)) => {
                return Err(Problem::invalid("retry_after_seconds", "left out where resets_at is given"));
            }
            (Some(seconds), None) if (0.0..=MAX_AHEAD).contains(&seconds) => ahead(seconds),
            (Some(_), None) => {
                return Err(Problem::invalid("retry_after_seconds", "a number of seconds from 0 to 400 days"));
            }
            (None, at) => at,
        };
        if resets_at > latest {
            return Err(Problem::invalid("resets_at", "at most 400 days ahead"));
        }
        Ok(Observed { outcome, resets_at, limit: self.limit, remaining: self.remaining })
    }
}

/// A row for a model that nobody has called, if its name may be stored.
fn untested(provider: &str, model: &str, now: Timestamp, scrub: &privacy::Policy) -> Result<Health, Problem> {
    let fields = [("provider", provider), ("model", model)].map(|(name, text)| (name.to_owned(), Value::from(text)));
    admit(None, Map::from_iter(fields), Origin::Foreign, now, scrub)
}

/// Records a call. Each is counted, however many are recorded at once.
///
/// # Errors
/// [`KeyedError::Problem`], or if the database fails.
pub fn record(
    txn: &mut WriteTxn<'_>,
    report: &Report,
    expect: Option<ContentHash>,
    policy: Policy,
    scrub: &privacy::Policy,
) -> Result<Outcome<Health>, KeyedError> {
    let now = txn.author().now;
    let first = untested(&report.provider, &report.model, now, scrub)?;
    let seen = report.observed(now)?;
    let key = crate::schema::keyed::Keyed::key(&first);
    set_by(txn, &key, expect, Some(Op::Observe), |old| Ok(observe(old.unwrap_or(&first), seen, policy, now)))
}

/// Forgets what was met: the model is untested again. What the upstream said of its limit is forgotten, too.
///
/// # Errors
/// If the database fails.
pub fn reset(txn: &mut WriteTxn<'_>, key: &str, expect: Option<ContentHash>) -> Result<Outcome<Health>, KeyedError> {
    let now = txn.author().now;
    if txn.record::<Health>(key)?.is_none() {
        return Ok(Outcome::Missing);
    }
    set_by(txn, key, expect, None, |old: Option<&Health>| {
        let old = old.ok_or(KeyedError::WrongKind("health"))?;
        Ok(Health::untested(old.provider.clone(), old.model.clone(), now))
    })
}

/// Asks whether a call may be made, and takes the one call that a half-open breaker lets through.
///
/// # Errors
/// If the database fails.
pub fn check(txn: &mut WriteTxn<'_>, key: &str, policy: Policy) -> Result<(Option<Health>, Permit), StoreError> {
    let now = txn.author().now;
    let Some(row) = txn.record::<Health>(key)? else { return Ok((None, Permit::Now)) };
    let answer = permit(Some(&row), policy, now);
    if answer != Permit::Trial {
        return Ok((Some(row), answer));
    }
    let taken = take_trial(&row, now);
    txn.put_record(&taken, Op::Observe)?;
    Ok((Some(taken), answer))
}

/// Asks whether a call may be made, and takes nothing.
///
/// # Errors
/// If the database fails.
pub fn peek<T: Readable>(
    tables: &Tables<T>,
    key: &str,
    policy: Policy,
    now: Timestamp,
) -> Result<(Option<Health>, Permit), StoreError> {
    let row = tables.record::<Health>(key)?;
    let answer = permit(row.as_ref(), policy, now);
    Ok((row, answer))
}

//! The sums of the last days, arranged as the proxy arranges them.
//!
//! Days are the source's local ones and are used as they are, while the present time is told in UTC. So *today* is the
//! day in UTC, or the day after it if there is something of it already: then it has begun where the source is.

use std::collections::BTreeMap;

use crate::db::StoreError;
use crate::db::tables::{Readable, Tables};
use crate::schema::day::Day;
use crate::schema::time::Timestamp;
use crate::schema::usage::{ModelName, Sums, UsageDay, UsageSource};

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// How far ahead the source's clock may be.
const AHEAD_MS: i64 = 60_000;

/// Sums of the last days.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// The last day that is summed up.
    pub today: Day,
    /// All of these days.
    pub totals: Sums,
    /// Each of them, the last one first, also those without a request.
    pub days: Vec<ByDay>,
    /// The models of these days, the most used first.
    pub models: Vec<(ModelName, Sums)>,
    /// The models of today, the most used first.
    pub today_models: Vec<(ModelName, Sums)>,
    /// The models of the last 24 hours, as far as day sums tell.
    pub recent: Vec<Recent>,
    /// The files that were taken in.
    pub sources: Vec<UsageSource>,
}

/// One day.
#[derive(Clone, Debug, PartialEq)]
pub struct ByDay {
    /// The day.
    pub day: Day,
    /// All of it.
    pub sums: Sums,
    /// Its models, the most used first.
    pub models: Vec<(ModelName, Sums)>,
}

/// A model in the last 24 hours.
#[derive(Clone, Debug, PartialEq)]
pub struct Recent {
    /// The model.
    pub model: ModelName,
    /// The days of which something is within the 24 hours, each as a whole.
    pub sums: Sums,
    /// Whether all of them is: if not, the sums are of too many requests.
    pub exact: bool,
}

/// Sums up the last `days` days.
///
/// # Errors
/// If the database fails.
pub fn summary<T: Readable>(tables: &Tables<T>, now: Timestamp, days: u64) -> Result<Summary, StoreError> {
    Ok(arrange(tables.records()?, tables.records()?, now, days))
}

fn arrange(rows: Vec<UsageDay>, sources: Vec<UsageSource>, now: Timestamp, days: u64) -> Summary {
    let utc = Day::of(now);
    let tomorrow = utc.next();
    let today = if rows.iter().any(|row| row.day == tomorrow) { tomorrow } else { utc };
    let first = today.before(days.saturating_sub(1));
    let millis = now.get().timestamp_millis();
    let mut recent: BTreeMap<ModelName, (Sums, bool)> = BTreeMap::new();
    let mut by_day: BTreeMap<Day, BTreeMap<ModelName, Sums>> = BTreeMap::new();
    let mut models: BTreeMap<ModelName, Sums> = BTreeMap::new();
    for row in rows {
        if let Some(exact) = is_recent(&row.sums, millis) {
            let (sums, all) = recent.entry(row.model.clone()).or_insert((Sums::default(), true));
            sums.add(&row.sums);
            *all &= exact;
        }
        if (first..=today).contains(&row.day) {
            models.entry(row.model.clone()).or_default().add(&row.sums);
            by_day.entry(row.day).or_default().insert(row.model, row.sums);
        }
    }
    let mut recent: Vec<_> = recent.into_iter().map(|(model, (sums, exact))| Recent { model, sums, exact }).collect();
    recent.sort_by_key(|recent| std::cmp::Reverse(recent.sums.requests));
    let mut listed: Vec<ByDay> = Vec::new();
    let mut day = today;
    loop {
        let models = sorted(by_day.remove(&day).unwrap_or_default());
        listed.push(ByDay { day, sums: total(&models), models });
        if day <= first {
            break;
        }
        day = day.before(1);
    }
    let models = sorted(models);
    Summary {
        today,
        totals: total(&models),
        models,
        today_models: listed.first().map(|day| day.models.clone()).unwrap_or_default(),
        days: listed,
        recent,
        sources,
    }
}

/// Whether something of a day is within the last 24 hours, and if so, whether all of it is.
fn is_recent(sums: &Sums, now: i64) -> Option<bool> {
    let (first, last) = (sums.first_ms?, sums.last_ms?);
    let within = now.saturating_sub(DAY_MS)..=now.saturating_add(AHEAD_MS);
    let some = last >= *within.start() && first <= *within.end();
    some.then(|| within.contains(&first) && within.contains(&last))
}

/// The most used first; those that are used alike by name.
fn sorted(models: BTreeMap<ModelName, Sums>) -> Vec<(ModelName, Sums)> {
    let mut models: Vec<_> = models.into_iter().collect();
    models.sort_by_key(|(_, sums)| std::cmp::Reverse(sums.requests));
    models
}

fn total(models: &[(ModelName, Sums)]) -> Sums {
    let mut all = Sums::default();
    for (_, sums) in models {
        all.add(sums);
    }
    all
}

#[cfg(test)]
mod tests;

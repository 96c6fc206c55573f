//! Counters that programs keep, per day: names and numbers, and never what happened.

use crate::db::records::Record as _;
use crate::db::tables::{Readable, Tables};
use crate::db::{Op, StoreError, WriteTxn};
use crate::schema::day::Day;
use crate::schema::usage::{CounterName, Measure, Telemetry};

/// Adds to a counter: so many, which took so many milliseconds. Answers the counter as it is then. Counters of days that
/// are past go, if the store was told how many days are kept.
///
/// # Errors
/// If the database fails.
pub fn record(
    txn: &mut WriteTxn<'_>,
    day: Day,
    measure: Measure,
    name: &CounterName,
    count: u64,
    millis: u64,
) -> Result<Telemetry, StoreError> {
    add(txn, &Telemetry { day, measure, name: name.clone(), count, total_ms: millis, max_ms: millis })
}

/// Adds what somebody counted to the counter of its day, measure and name. Answers the counter as it is then.
///
/// # Errors
/// If the database fails.
pub fn add(txn: &mut WriteTxn<'_>, more: &Telemetry) -> Result<Telemetry, StoreError> {
    txn.expire_telemetry()?;
    let nothing = || Telemetry { count: 0, total_ms: 0, max_ms: 0, ..more.clone() };
    let mut counter = txn.record(&more.key())?.unwrap_or_else(nothing);
    counter.count = counter.count.saturating_add(more.count);
    counter.total_ms = counter.total_ms.saturating_add(more.total_ms);
    counter.max_ms = counter.max_ms.max(more.max_ms);
    txn.put_record(&counter, Op::Count)?;
    Ok(counter)
}

/// The counters from a day on, by day.
///
/// # Errors
/// If the database fails.
pub fn counters<T: Readable>(tables: &Tables<T>, from: Day) -> Result<Vec<Telemetry>, StoreError> {
    let mut counters: Vec<Telemetry> = tables.records()?;
    counters.retain(|counter| counter.day >= from);
    Ok(counters)
}

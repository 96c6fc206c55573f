//! What a row does to the database: exactly what the command of its kind would do.

use serde_json::{Map, Value};

use crate::db::record::{Kind, Op};
use crate::db::records::Record as _;
use crate::db::{StoreError, WriteTxn};
use crate::handoffs::{self, HandoffError};
use crate::import::inbox::Row;
use crate::keyed::{self, KeyedError};
use crate::schema::day::Day;
use crate::schema::inbox::RowKind;
use crate::schema::keyed::Problem;
use crate::schema::privacy::{self, Policy};
use crate::schema::record_id::RecordId;
use crate::schema::usage::{CounterName, InvalidCounter, Measure, Telemetry};
use crate::{usage, validations};

use super::{Inbox, Reason};

/// Why a row was not stored.
pub(super) enum Refused {
    /// Nothing of it was written.
    Before(Reason),
    /// Something of it may have been written.
    Halfway(Reason),
    /// The database failed.
    Store(StoreError),
}

impl From<KeyedError> for Refused {
    fn from(error: KeyedError) -> Self {
        match error {
            KeyedError::Problem(problem) => Self::Before(problem.into()),
            KeyedError::NoIssue(id) => Self::Before(Reason::NoIssue(id)),
            // every kind of row is a kind of record
            KeyedError::WrongKind(noun) => Self::Before(Problem::invalid(noun, "a small keyed record").into()),
            KeyedError::Store(error) => Self::Store(error),
        }
    }
}

impl From<HandoffError> for Refused {
    fn from(error: HandoffError) -> Self {
        match error {
            HandoffError::Keyed(error) => error.into(),
            HandoffError::NoRoom(_) => Self::Halfway(Reason::NoRoom),
            // a new handoff is neither taken up nor done
            _ => Self::Halfway(Problem::invalid("handoff", "a new one").into()),
        }
    }
}

impl From<Problem> for Refused {
    fn from(problem: Problem) -> Self {
        Self::Before(problem.into())
    }
}

/// Stores a row; a record that gets an id gets this one. Answers the record's key.
pub(super) fn store(txn: &mut WriteTxn<'_>, row: &Row, id: RecordId, inbox: &Inbox<'_>) -> Result<String, Refused> {
    let (data, policy) = (row.data.clone(), &inbox.policy);
    let kind = match row.kind {
        RowKind::Handoff => {
            handoffs::add(txn, id, data, policy, inbox.exports)?;
            return Ok(id.to_string());
        }
        RowKind::Validation => {
            validations::note(txn, id, data, Op::Run, policy)?;
            return Ok(id.to_string());
        }
        RowKind::Telemetry => {
            let more = counter(data, Day::of(txn.author().now), policy)?;
            return Ok(usage::add(txn, &more).map_err(Refused::Store)?.key());
        }
        RowKind::Pointer => Kind::Pointer,
        RowKind::Fact => Kind::Fact,
        RowKind::Runtime => Kind::Runtime,
        RowKind::Health => Kind::Health,
        RowKind::Registry => Kind::Registry,
    };
    Ok(keyed::set_json(txn, kind, data, policy)?.key)
}

/// What a row of telemetry counts.
fn counter(mut data: Map<String, Value>, today: Day, policy: &Policy) -> Result<Telemetry, Refused> {
    const FIELDS: [&str; 6] = ["day", "measure", "name", "count", "total_ms", "max_ms"];
    if data.keys().any(|name| !FIELDS.contains(&name.as_str())) {
        return Err(Problem::UnknownField { noun: "telemetry", fields: FIELDS.to_vec() }.into());
    }
    data.retain(|_, value| !value.is_null());
    let text = |field: &'static str| data.get(field).map(|value| value.as_str().unwrap_or_default());
    let number = |field: &'static str, otherwise: u64| match data.get(field) {
        None => Ok(otherwise),
        Some(value) => value.as_u64().ok_or_else(|| Problem::invalid(field, "a whole number from 0 on")),
    };
    let measure = match text("measure") {
        None => return Err(Problem::Missing("measure").into()),
        Some("count") => Measure::Count,
        Some("tool") => Measure::Tool,
        Some("error") => Measure::Error,
        Some(_) => return Err(Problem::invalid("measure", "one of count, tool, error").into()),
    };
    let name = text("name").ok_or(Problem::Missing("name"))?;
    let strict = Policy { redact: false, ..policy.clone() };
    privacy::check(name, &strict).map_err(|refused| Refused::Before(Reason::Secret { field: "name", refused }))?;
    let name: CounterName = name.parse().map_err(|InvalidCounter| {
        Problem::invalid("name", format!("1 to {} letters, digits and . _ - / :", crate::schema::usage::MAX_COUNTER))
    })?;
    let day = text("day").map_or(Ok(today), |day| {
        day.parse::<Day>().map_err(|_| Problem::invalid("day", "a date such as 2026-06-17"))
    })?;
    let (count, total_ms) = (number("count", 1)?, number("total_ms", 0)?);
    // of one call the longest is the only one
    let max_ms = number("max_ms", if count == 1 { total_ms } else { 0 })?;
    if measure != Measure::Tool && (total_ms > 0 || max_ms > 0) {
        return Err(Problem::NotFor { field: "total_ms", word: measure.as_str().to_owned() }.into());
    }
    Ok(Telemetry { day, measure, name, count, total_ms, max_ms })
}

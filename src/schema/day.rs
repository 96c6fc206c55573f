//! Calendar days, as `usage.jsonl` and day sums name them: `YYYY-MM-DD`, without a time zone.
//!
//! Whose day it is (the source's local one, or UTC) is said by whoever stores it.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Datelike as _, Days, NaiveDate};
use serde::{Deserialize, Serialize};

use super::time::Timestamp;

/// A day of the years 1 to 9999.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Day(NaiveDate);

/// A text that is no day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a day is YYYY-MM-DD, such as 2026-06-25")]
pub struct InvalidDay;

impl Day {
    /// The day in UTC.
    #[must_use]
    pub fn of(time: Timestamp) -> Self {
        Self::clamped(time.get().date_naive())
    }

    /// The day in UTC of so many milliseconds since 1970; none if that is no day of the years 1 to 9999.
    #[must_use]
    pub fn of_millis(millis: i64) -> Option<Self> {
        let date = DateTime::from_timestamp_millis(millis)?.date_naive();
        (1..=9999).contains(&date.year()).then_some(Self(date))
    }

    /// So many days earlier; the first day there is, if there are not so many.
    #[must_use]
    pub fn before(self, days: u64) -> Self {
        Self::clamped(self.0.checked_sub_days(Days::new(days)).unwrap_or(NaiveDate::MIN))
    }

    /// The next day; the last day there is has none after it.
    #[must_use]
    pub fn next(self) -> Self {
        Self::clamped(self.0.checked_add_days(Days::new(1)).unwrap_or(NaiveDate::MAX))
    }

    fn clamped(date: NaiveDate) -> Self {
        let end = |year, month, day| NaiveDate::from_ymd_opt(year, month, day).unwrap_or(date);
        Self(date.clamp(end(1, 1, 1), end(9999, 12, 31)))
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.0.year(), self.0.month(), self.0.day())
    }
}

impl FromStr for Day {
    type Err = InvalidDay;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let shape = |(at, byte): (usize, &u8)| if matches!(at, 4 | 7) { *byte == b'-' } else { byte.is_ascii_digit() };
        if text.len() != 10 || !text.as_bytes().iter().enumerate().all(shape) {
            return Err(InvalidDay);
        }
        let number = |range: std::ops::Range<usize>| text[range].parse::<u32>().map_err(|_| InvalidDay);
        let year = i32::try_from(number(0..4)?).map_err(|_| InvalidDay)?;
        let date = NaiveDate::from_ymd_opt(year, number(5..7)?, number(8..10)?).filter(|_| year > 0);
        date.map(Self).ok_or(InvalidDay)
    }
}

impl From<Day> for String {
    fn from(day: Day) -> Self {
        day.to_string()
    }
}

impl TryFrom<String> for Day {
    type Error = InvalidDay;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl schemars::JsonSchema for Day {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Day".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "format": "date" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_has_one_spelling() {
        for good in ["0001-01-01", "2024-02-29", "2026-06-25", "9999-12-31"] {
            assert_eq!(good.parse::<Day>().unwrap().to_string(), good);
        }
        for bad in [
            "",
            "2026-6-25",
            "2026-02-29",
            "2026-13-01",
            "0000-01-01",
            "2026/06/25",
            "2026-06-25 ",
            "+026-06-25",
            "é026-06-2",
        ] {
            assert_eq!(bad.parse::<Day>(), Err(InvalidDay), "{bad}");
        }
    }

    #[test]
    fn days_are_counted_within_what_can_be_written() {
        let day = |text: &str| text.parse::<Day>().unwrap();
        assert_eq!(day("2026-03-01").before(1), day("2026-02-28"));
        assert_eq!(day("2026-12-31").next(), day("2027-01-01"));
        assert_eq!(day("2026-03-01").before(u64::MAX), day("0001-01-01"));
        assert_eq!(day("9999-12-31").next(), day("9999-12-31"));
        assert_eq!(Day::of("2026-06-25T23:59:59.9Z".parse().unwrap()), day("2026-06-25"));
        assert_eq!(Day::of_millis(1_782_379_800_123), Some(day("2026-06-25")));
        assert_eq!((Day::of_millis(i64::MAX), Day::of_millis(253_402_300_800_000)), (None, None));
    }
}

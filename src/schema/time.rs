//! Points in time, exactly as the issue files spell them.
//!
//! Written as RFC 3339 in UTC with `Z` and the shortest of 0, 3, 6 or 9 fraction digits that is exact; a leap second
//! and years past 9999 survive. Read as liberally as the original does: any offset, `T`, `t` or a space, and any number
//! of fraction digits (cut at nine); but never without an offset. The clock is not read here: callers pass the time in.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A point in time in UTC, exact to the nanosecond.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(DateTime<Utc>);

/// A text that is not a point in time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a date and time with an offset (such as 2026-06-17T10:30:00Z): {0}")]
pub struct InvalidTimestamp(String);

impl Timestamp {
    /// Length in bytes of [`Timestamp::sort_key`].
    pub const KEY_LEN: usize = 12;

    /// Wraps a chrono time.
    #[must_use]
    pub const fn new(time: DateTime<Utc>) -> Self {
        Self(time)
    }

    /// The chrono time.
    #[must_use]
    pub const fn get(self) -> DateTime<Utc> {
        self.0
    }

    fn text(self) -> String {
        self.0.to_rfc3339_opts(SecondsFormat::AutoSi, true)
    }

    /// Whether RFC 3339 can spell it: years 0 to 9999.
    #[must_use]
    pub fn is_rfc3339(self) -> bool {
        use chrono::Datelike as _;
        (0..=9999).contains(&self.0.year())
    }

    /// `now`, or one nanosecond past `previous` where the clock has not moved past it: the stamp of a change, which
    /// therefore always grows, also on a clock that was set back.
    #[must_use]
    pub fn after(now: Self, previous: Self) -> Self {
        now.max(previous.0.checked_add_signed(TimeDelta::nanoseconds(1)).map_or(previous, Self))
    }

    /// Big-endian bytes that sort as the times do: seconds with the sign bit flipped, then the fraction in nanoseconds
    /// (up to 1,999,999,999 within a leap second).
    #[must_use]
    pub fn sort_key(self) -> [u8; Self::KEY_LEN] {
        let mut key = [0; Self::KEY_LEN];
        let seconds = self.0.timestamp().cast_unsigned() ^ (1 << 63);
        key[..8].copy_from_slice(&seconds.to_be_bytes());
        key[8..].copy_from_slice(&self.0.timestamp_subsec_nanos().to_be_bytes());
        key
    }

    /// The time of a sort key; none if the bytes are none.
    #[must_use]
    pub fn from_sort_key(key: [u8; Self::KEY_LEN]) -> Option<Self> {
        let (seconds, nanos) = key.split_last_chunk()?;
        let seconds = u64::from_be_bytes(seconds.try_into().ok()?) ^ (1 << 63);
        DateTime::from_timestamp(seconds.cast_signed(), u32::from_be_bytes(*nanos)).map(Self)
    }
}

/// What a clock says, whatever that is: also before 1970, where chrono's own reading of the clock panics, and past the
/// years that can be written down.
impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        let (since, sign) = match time.duration_since(SystemTime::UNIX_EPOCH) {
            Ok(after) => (after, 1),
            Err(before) => (before.duration(), -1),
        };
        let delta = |since: Duration| TimeDelta::from_std(since).ok().map(|delta| delta * sign);
        let far = if sign < 0 { DateTime::<Utc>::MIN_UTC } else { DateTime::<Utc>::MAX_UTC };
        Self(delta(since).and_then(|delta| DateTime::UNIX_EPOCH.checked_add_signed(delta)).unwrap_or(far))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

impl FromStr for Timestamp {
    type Err = InvalidTimestamp;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // the strict reading takes half the time of the liberal one
        let strict = DateTime::parse_from_rfc3339(text).map(|time| time.to_utc());
        let time = strict.or_else(|_| text.parse::<DateTime<Utc>>());
        time.map(Self).map_err(|error| InvalidTimestamp(error.to_string()))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.serialize_str(&self.text())
        } else {
            (self.0.timestamp(), self.0.timestamp_subsec_nanos()).serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error;
        if deserializer.is_human_readable() {
            String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
        } else {
            let (seconds, nanos) = <(i64, u32)>::deserialize(deserializer)?;
            DateTime::from_timestamp(seconds, nanos).map(Self).ok_or_else(|| D::Error::custom("time out of range"))
        }
    }
}

impl schemars::JsonSchema for Timestamp {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Timestamp".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "format": "date-time" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn writes_the_shortest_exact_fraction() {
        for (read, written) in [
            ("2026-06-17T10:30:00.000Z", "2026-06-17T10:30:00Z"),
            ("2026-06-17T10:30:00.1Z", "2026-06-17T10:30:00.100Z"),
            ("2026-06-17t19:30:00+0900", "2026-06-17T10:30:00Z"),
            ("2026-06-17 10:30:00 UTC", "2026-06-17T10:30:00Z"),
            ("2026-06-17T10:30:00.1234567891Z", "2026-06-17T10:30:00.123456789Z"),
            ("2026-06-30T23:59:60Z", "2026-06-30T23:59:60Z"),
            ("+12026-06-17T10:30:00Z", "+12026-06-17T10:30:00Z"),
        ] {
            assert_eq!(time(read).to_string(), written, "{read}");
        }
    }

    proptest::proptest! {
        #[test]
        fn what_is_read_strictly_is_what_the_liberal_reading_says(
            text in "[0-9]{4}-[01][0-9]-[0-3][0-9][Tt ][0-2][0-9]:[0-6][0-9]:[0-6][0-9](\\.[0-9]{0,12})?\
                     (Z|z|[+-][0-2][0-9]:?[0-6][0-9]| UTC|)"
        ) {
            let liberal = text.parse::<DateTime<Utc>>().ok().map(Timestamp);
            proptest::prop_assert_eq!(text.parse().ok(), liberal);
        }
    }

    #[test]
    fn refuses_times_without_an_offset() {
        for text in ["", "2026-06-17", "2026-06-17T10:30:00", "2026-06-17T10:30Z", "1781692200"] {
            assert!(text.parse::<Timestamp>().is_err(), "{text}");
        }
    }

    #[test]
    fn sort_keys_order_as_the_times_do() {
        let times = ["-0044-03-15T12:00:00Z", "1969-12-31T23:59:59Z", "1970-01-01T00:00:00Z", "2026-06-30T23:59:59.9Z"];
        let mut times: Vec<_> = times.map(time).into();
        times.extend([time("2026-06-30T23:59:60Z"), time("2026-07-01T00:00:00Z"), time("+12026-01-01T00:00:00Z")]);
        assert!(times.is_sorted() && times.is_sorted_by_key(|time| time.sort_key()));
        assert!(times.iter().all(|time| Timestamp::from_sort_key(time.sort_key()) == Some(*time)));
    }

    #[test]
    fn a_change_is_always_stamped_later_than_the_one_before() {
        let (old, new) = (time("2026-06-17T10:30:00Z"), time("2026-06-17T10:30:01Z"));
        assert_eq!(Timestamp::after(new, old), new);
        assert_eq!(Timestamp::after(old, new), time("2026-06-17T10:30:01.000000001Z"));
    }

    #[test]
    fn a_clock_before_1970_is_read_as_well() {
        let at = |seconds: u64, back: bool| {
            let delta = Duration::new(seconds, 500_000_000);
            let time = SystemTime::UNIX_EPOCH;
            Timestamp::from(if back { time.checked_sub(delta) } else { time.checked_add(delta) }.unwrap())
        };
        assert_eq!(at(1_781_692_200, false), time("2026-06-17T10:30:00.500Z"));
        assert_eq!(at(9, true), time("1969-12-31T23:59:50.500Z"));
        // nothing that a clock can say is too much
        let far = u64::try_from(i64::MAX / 4).unwrap();
        assert!(at(far, true) < at(9, true) && at(far, false) > at(9, false));
    }
}

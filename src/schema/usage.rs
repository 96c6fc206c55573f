//! Usage: sums per day and model of what a proxy noted of its requests, how far each of its files was read, and counters
//! that programs keep per day.
//!
//! There is no field for a request: sums, names and positions only. All sums are whole numbers, so that the order in
//! which requests are added makes no difference; they stay at the largest number there is rather than pass it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::day::Day;
use super::id::is_deceptive;
use super::time::Timestamp;

/// Longest name of a model: the source cuts it after this many UTF-16 units.
pub const MAX_MODEL: usize = 120;

/// Longest name of a counter, in bytes.
pub const MAX_COUNTER: usize = 120;

/// What a cost is stored in: millionths of a millionth.
pub const COST_UNIT: f64 = 1e12;

/// Largest cost of one request.
pub const MAX_COST: f64 = 1e6;

/// The name of a model: not empty, at most [`MAX_MODEL`] UTF-16 units, no control or direction-changing characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ModelName(String);

/// The name of a counter, tool or class of errors: 1 to [`MAX_COUNTER`] of `A`-`Z`, `a`-`z`, `0`-`9` and `. _ - / :`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CounterName(String);

/// A text that does not name a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a model's name is 1 to {MAX_MODEL} characters, none of which controls a terminal")]
pub struct InvalidModel;

/// A text that does not name a counter. The text itself is not repeated: it may be anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a name is 1 to {MAX_COUNTER} letters, digits and . _ - / :")]
pub struct InvalidCounter;

macro_rules! name {
    ($name:ident, $error:ident, $is_name:expr) => {
        impl $name {
            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = $error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                if $is_name(text) { Ok(Self(text.to_owned())) } else { Err($error) }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = $error;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                text.parse()
            }
        }
    };
}

name!(ModelName, InvalidModel, |text: &str| {
    (1..=MAX_MODEL).contains(&text.encode_utf16().count()) && !text.chars().any(is_deceptive)
});

name!(CounterName, InvalidCounter, |text: &str| {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/:".contains(&byte);
    (1..=MAX_COUNTER).contains(&text.len()) && text.bytes().all(fits)
});

/// How requests failed, by the source's classes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Errors {
    /// Refused for the time being.
    pub rate_limit: u64,
    /// No answer in time.
    pub timeout: u64,
    /// No connection.
    pub network: u64,
    /// An answer of 500 or more.
    pub http_5xx: u64,
    /// An answer of 400 to 499.
    pub http_4xx: u64,
    /// Of no class, or of one that is not listed here.
    pub unknown: u64,
}

impl Errors {
    /// The words for the classes.
    pub const CLASSES: [&str; 6] = ["rate_limit", "timeout", "network", "http_5xx", "http_4xx", "unknown"];

    /// The count of each class, in the order of [`Errors::CLASSES`].
    #[must_use]
    pub const fn counts(&self) -> [u64; 6] {
        [self.rate_limit, self.timeout, self.network, self.http_5xx, self.http_4xx, self.unknown]
    }

    /// One error of a class; a word that is none of [`Errors::CLASSES`] counts as unknown.
    #[must_use]
    pub fn one(class: &str) -> Self {
        let mut errors = Self::default();
        let count = match class {
            "rate_limit" => &mut errors.rate_limit,
            "timeout" => &mut errors.timeout,
            "network" => &mut errors.network,
            "http_5xx" => &mut errors.http_5xx,
            "http_4xx" => &mut errors.http_4xx,
            _ => &mut errors.unknown,
        };
        *count = 1;
        errors
    }
}

/// Sums over requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sums {
    /// Requests.
    pub requests: u64,
    /// Those that were answered well; all others are in [`Sums::errors`].
    pub ok: u64,
    /// The others.
    pub errors: Errors,
    /// Tokens in all.
    pub total_tokens: u64,
    /// Tokens that were sent.
    pub prompt_tokens: u64,
    /// Tokens that came back.
    pub completion_tokens: u64,
    /// Requests whose tokens were told.
    pub usage_reported: u64,
    /// Requests whose tokens were estimated.
    pub usage_estimated: u64,
    /// The cost, in millionths of a millionth.
    #[serde(with = "wide")]
    pub cost_e12: i128,
    /// Requests that were limited.
    pub rate_limited: u64,
    /// The time that all took together, in milliseconds.
    pub latency_ms_sum: u64,
    /// The longest time that one took, in milliseconds.
    pub latency_ms_max: u64,
    /// When the first began, in milliseconds since 1970; none if no row told.
    pub first_ms: Option<i64>,
    /// When the last began.
    pub last_ms: Option<i64>,
}

impl Sums {
    /// Adds other requests.
    pub fn add(&mut self, more: &Self) {
        let (errors, added) = (&mut self.errors, &more.errors);
        for (sum, more) in [
            (&mut self.requests, more.requests),
            (&mut self.ok, more.ok),
            (&mut errors.rate_limit, added.rate_limit),
            (&mut errors.timeout, added.timeout),
            (&mut errors.network, added.network),
            (&mut errors.http_5xx, added.http_5xx),
            (&mut errors.http_4xx, added.http_4xx),
            (&mut errors.unknown, added.unknown),
            (&mut self.total_tokens, more.total_tokens),
            (&mut self.prompt_tokens, more.prompt_tokens),
            (&mut self.completion_tokens, more.completion_tokens),
            (&mut self.usage_reported, more.usage_reported),
            (&mut self.usage_estimated, more.usage_estimated),
            (&mut self.rate_limited, more.rate_limited),
            (&mut self.latency_ms_sum, more.latency_ms_sum),
        ] {
            *sum = sum.saturating_add(more);
        }
        self.cost_e12 = self.cost_e12.saturating_add(more.cost_e12);
        self.latency_ms_max = self.latency_ms_max.max(more.latency_ms_max);
        self.first_ms = [self.first_ms, more.first_ms].into_iter().flatten().min();
        self.last_ms = self.last_ms.max(more.last_ms);
    }

    /// The average time that a request took, in whole milliseconds; half of one is rounded up.
    #[must_use]
    pub const fn latency_ms_avg(&self) -> u64 {
        match self.requests {
            0 => 0,
            requests => {
                self.latency_ms_sum / requests + (self.latency_ms_sum % requests >= requests - requests / 2) as u64
            }
        }
    }

    /// The cost, rounded to six digits.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a cost that has no exact number has none in JSON either")]
    pub fn cost(&self) -> f64 {
        let half = if self.cost_e12 < 0 { -500_000 } else { 500_000 };
        (self.cost_e12.saturating_add(half) / 1_000_000) as f64 / 1e6
    }
}

/// A sum as text for people where JSON has no such number. The bytes in the database are those of an `i64` wherever one
/// would do, which is what older programs stored.
mod wide {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Spelled {
        Number(i64),
        Text(String),
    }

    pub(super) fn serialize<S: Serializer>(value: &i128, serializer: S) -> Result<S::Ok, S::Error> {
        match i64::try_from(*value) {
            Ok(number) => number.serialize(serializer),
            Err(_) if serializer.is_human_readable() => value.to_string().serialize(serializer),
            Err(_) => value.serialize(serializer),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i128, D::Error> {
        if !deserializer.is_human_readable() {
            return i128::deserialize(deserializer);
        }
        match Spelled::deserialize(deserializer)? {
            Spelled::Number(number) => Ok(number.into()),
            Spelled::Text(text) => text.parse().map_err(|_| de::Error::custom("not a whole number")),
        }
    }
}

/// What was used of one model on one day. Its key is the day, `/`, the model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageDay {
    /// The source's local day, as the source wrote it.
    pub day: Day,
    /// The model that was asked for.
    pub model: ModelName,
    /// What was used.
    pub sums: Sums,
}

/// How far a file was read, and by what it is known again. Its key is the path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageSource {
    /// Its path: from the project's root, or from home (`~/`), or a hash (`#`) of one elsewhere.
    pub path: String,
    /// How far it was read, and what was there.
    pub mark: Mark,
    /// How many imports changed anything; digests of an import beyond this were undone.
    pub imports: u64,
    /// How many of its rows were counted.
    pub rows: u64,
    /// How many rows that were read from it once are not in it any more.
    pub absent: u64,
    /// The import that found that out.
    pub absent_at: u64,
    /// When it was last read with a change.
    pub imported_at: Timestamp,
}

/// A position in a file, and digests of what lies before it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// The position, in bytes.
    pub offset: u64,
    /// How many lines end before it.
    pub lines: u64,
    /// xxh3-128 of all bytes before it, in hexadecimal digits.
    pub digest: String,
    /// Where the last line before it begins.
    pub last_start: u64,
    /// xxh3-128 of that line.
    pub last_digest: String,
}

/// What a counter counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Measure {
    /// Anything: sessions, messages, tokens.
    Count,
    /// The calls of a tool, and their time.
    Tool,
    /// Errors of a class.
    Error,
}

impl Measure {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Count => "count",
            Self::Tool => "tool",
            Self::Error => "error",
        }
    }
}

/// A counter of one day. Its key is the day, `/`, what it counts, `/`, its name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Telemetry {
    /// The day; in UTC unless the caller named another.
    pub day: Day,
    /// What it counts.
    pub measure: Measure,
    /// Its name.
    pub name: CounterName,
    /// How many.
    pub count: u64,
    /// The time that all calls took together, in milliseconds; tools only.
    pub total_ms: u64,
    /// The longest time that a call took; tools only.
    pub max_ms: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_names_and_not_text() {
        for good in ["sessions", "tokens.in", "mcp:server/tool", "A-b_c9"] {
            assert_eq!(good.parse::<CounterName>().unwrap().as_str(), good);
        }
        for bad in ["", "two words", "größe", "a\n", "a\0", &"x".repeat(MAX_COUNTER + 1)] {
            assert_eq!(bad.parse::<CounterName>(), Err(InvalidCounter), "{bad}");
        }
        assert!("größtes Modell (neu)".parse::<ModelName>().is_ok());
        assert!("😀".repeat(60).parse::<ModelName>().is_ok(), "each is two UTF-16 units");
        for bad in ["", "a\u{1b}[2J", "a\u{202e}b", &"😀".repeat(61)] {
            assert_eq!(bad.parse::<ModelName>(), Err(InvalidModel), "{bad}");
        }
    }

    #[test]
    fn averages_and_costs_are_rounded_as_the_source_rounds() {
        let sums = |requests, latency_ms_sum, cost_e12| Sums { requests, cost_e12, latency_ms_sum, ..Sums::default() };
        for (requests, sum, average) in [(0, 7, 0), (2, 3, 2), (3, 4, 1), (3, 5, 2), (4, 33_232, 8308), (1, 9, 9)] {
            assert_eq!(sums(requests, sum, 0).latency_ms_avg(), average, "{sum} / {requests}");
        }
        assert!((sums(1, 0, 12_300_000).cost() - 0.000_012).abs() < 1e-12);
        assert!((sums(1, 0, -1_500_000).cost() + 0.000_002).abs() < 1e-12);
    }

    #[test]
    fn a_cost_is_stored_as_it_always_was_and_a_larger_one_too() {
        #[derive(serde::Serialize)]
        struct Old(i64);
        #[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
        struct New(#[serde(with = "wide")] i128);
        let config = bincode::config::standard();
        for cost in [0, 1, -1, 250, 251, 70_000, -5_000_000_000, i64::MAX, i64::MIN] {
            let old = bincode::serde::encode_to_vec(Old(cost), config).unwrap();
            assert_eq!(old, bincode::serde::encode_to_vec(New(cost.into()), config).unwrap(), "{cost}");
            let (read, _) = bincode::serde::decode_from_slice::<New, _>(&old, config).unwrap();
            assert_eq!(read, New(cost.into()));
        }
        for cost in [i128::from(i64::MAX) + 1, 7 * i128::from(i64::MAX), -i128::from(i64::MAX) * 2, 5] {
            let stored = bincode::serde::encode_to_vec(New(cost), config).unwrap();
            assert_eq!(bincode::serde::decode_from_slice::<New, _>(&stored, config).unwrap().0, New(cost));
            let shown = serde_json::to_value(New(cost)).unwrap();
            assert_eq!(serde_json::from_value::<New>(shown).unwrap(), New(cost));
        }
        let million = Sums { cost_e12: 20_000_000 * 1_000_000_000_000, ..Sums::default() };
        assert!((million.cost() - 2e7).abs() < 1.0);
    }

    #[test]
    fn sums_stay_at_the_largest_number() {
        let mut sums = Sums { total_tokens: u64::MAX - 1, cost_e12: i128::MAX, ..Sums::default() };
        sums.add(&Sums { total_tokens: 7, cost_e12: 1, first_ms: Some(3), ..Sums::default() });
        sums.add(&Sums { first_ms: Some(9), last_ms: Some(9), ..Sums::default() });
        assert_eq!(
            (sums.total_tokens, sums.cost_e12, sums.first_ms, sums.last_ms),
            (u64::MAX, i128::MAX, Some(3), Some(9))
        );
    }
}

//! One line of a `usage.jsonl`: the 23 keys, what is used of them, and what a request is known again by.
//!
//! Keys that are not among the 23 are dropped unseen. Missing ones, and those that are null, have the source's defaults.
//! Nothing is worked out anew: what a row says is what counts. A value of another type makes the line bad.
//!
//! When the proxy drops old days it writes every row anew, and two keys may change thereby: `error_class` (its reason is
//! not stored, so `timeout` and `network` become `unknown`) and `day` (worked out in the time zone of whoever writes). So
//! a request is known again by all keys but these and `v`, with the source's own defaults and cuts applied, which leave a
//! row that the source wrote as it is.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{self, IgnoredAny, MapAccess, SeqAccess, Visitor};
use sha2::{Digest as _, Sha256};

use crate::schema::day::Day;
use crate::schema::privacy::{self, Policy};
use crate::schema::usage::{COST_UNIT, Errors, MAX_COST, MAX_MODEL, ModelName, Sums};

/// How many models are told apart in one reading.
const MAX_MODELS: usize = 1000;

/// Largest whole number that the source can write exactly.
const MAX_WHOLE: f64 = 9_007_199_254_740_991.0;

/// Furthest time in JavaScript, in milliseconds before or after 1970.
const MAX_MILLIS: f64 = 8.64e15;

/// One request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// What it is known again by: the first eight bytes of a SHA-256.
    pub key: u64,
    /// The source's local day.
    pub day: Day,
    /// The model that was asked for.
    pub model: ModelName,
    /// The request as sums over itself.
    pub sums: Sums,
}

/// What is wrong with a line. It never holds the line's text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    /// More than [`super::MAX_LINE`] bytes.
    #[error("the line is longer than {} KiB", super::MAX_LINE >> 10)]
    TooLong,
    /// Not a JSON object.
    #[error("the line is no JSON object")]
    NotJson,
    /// A key comes twice.
    #[error("a key comes twice")]
    Twice,
    /// A row of another format.
    #[error("v is not 1")]
    Version,
    /// A value is not what it should be.
    #[error("{key} is not {expected}")]
    Invalid {
        /// The key.
        key: &'static str,
        /// What its value should be.
        expected: &'static str,
    },
    /// Neither a day nor a time, so it belongs nowhere.
    #[error("it has neither day nor ts")]
    NoDay,
    /// The name of the model must not be stored.
    #[error("model looks like a secret ({0})")]
    Secret(privacy::Rule),
    /// There are more than are told apart.
    #[error("more than {MAX_MODELS} models")]
    TooManyModels,
    /// There are more than are kept.
    #[error("more days and models than are taken in at once")]
    TooManyDays,
}

/// A value that is no list and no map.
#[derive(Default)]
enum Scalar<'l> {
    #[default]
    Null,
    Bool(bool),
    Number(f64),
    Text(Cow<'l, str>),
    Other,
}

struct ScalarVisitor;

impl<'de> Visitor<'de> for ScalarVisitor {
    type Value = Scalar<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Scalar::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
        Ok(Scalar::Bool(value))
    }

    #[expect(clippy::cast_precision_loss, reason = "the source's numbers are of this kind")]
    fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
        Ok(Scalar::Number(value as f64))
    }

    #[expect(clippy::cast_precision_loss, reason = "the source's numbers are of this kind")]
    fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
        Ok(Scalar::Number(value as f64))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Self::Value, E> {
        Ok(Scalar::Number(value))
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Scalar::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Scalar::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Scalar::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Scalar::Other)
    }
}

impl<'de: 'l, 'l> Deserialize<'de> for Scalar<'l> {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ScalarVisitor)
    }
}

macro_rules! line {
    ($($key:ident),* $(,)?) => {
        /// The 23 keys.
        #[derive(Deserialize)]
        struct Line<'l> {
            $(#[serde(borrow, default)] $key: Scalar<'l>,)*
        }
    };
}

line! {
    v, ts, day, model, returned_model, status, ok, latency_ms, total_tokens, prompt_tokens, completion_tokens,
    usage_reported, usage_estimated, usage_source, cost, rate_limited, retry_after_seconds, limit_reset_at,
    limit_reset_at_ts, limit_source, rate_limit_remaining, rate_limit_limit, error_class,
}

impl Scalar<'_> {
    fn flag(&self, key: &'static str) -> Result<bool, Reason> {
        match self {
            Self::Null => Ok(false),
            Self::Bool(value) => Ok(*value),
            _ => Err(Reason::Invalid { key, expected: "true or false" }),
        }
    }

    fn number(&self, key: &'static str) -> Result<Option<f64>, Reason> {
        match self {
            Self::Null => Ok(None),
            Self::Number(value) if value.is_finite() => Ok(Some(*value)),
            _ => Err(Reason::Invalid { key, expected: "a number" }),
        }
    }

    /// A whole number from 0 on.
    fn whole(&self, key: &'static str) -> Result<u64, Reason> {
        let expected = "a whole number from 0 to 9007199254740991";
        match self.number(key).map_err(|_| Reason::Invalid { key, expected })?.unwrap_or(0.0) {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is whole and in range")]
            value if value.fract() == 0.0 && (0.0..=MAX_WHOLE).contains(&value) => Ok(value as u64),
            _ => Err(Reason::Invalid { key, expected }),
        }
    }

    fn millis(&self, key: &'static str) -> Result<Option<i64>, Reason> {
        let expected = "a time in whole milliseconds";
        match self.number(key).map_err(|_| Reason::Invalid { key, expected })? {
            None => Ok(None),
            #[expect(clippy::cast_possible_truncation, reason = "it is whole and in range")]
            Some(value) if value.fract() == 0.0 && value.abs() <= MAX_MILLIS => Ok(Some(value as i64)),
            Some(_) => Err(Reason::Invalid { key, expected }),
        }
    }

    /// A text as the source would write it: on one line, at most `limit` UTF-16 units.
    fn text(&self, key: &'static str, limit: usize) -> Result<Cow<'_, str>, Reason> {
        let text: &str = match self {
            Self::Null => "",
            Self::Text(text) => text,
            _ => return Err(Reason::Invalid { key, expected: "a text" }),
        };
        if text.len() <= limit && !text.contains(['\r', '\n', '\t']) {
            return Ok(Cow::Borrowed(text));
        }
        let mut units = 0;
        let fits = |letter: &char| {
            units += letter.len_utf16();
            units <= limit
        };
        let clean = |letter| if matches!(letter, '\r' | '\n' | '\t') { ' ' } else { letter };
        Ok(Cow::Owned(text.chars().map(clean).take_while(fits).collect()))
    }
}

impl Scalar<'_> {
    /// The name of a model that was cut, made unmistakable; the source cuts its own, so that only other writers' are long.
    fn whole_name<'c>(&self, cut: Cow<'c, str>) -> Cow<'c, str> {
        match self {
            Self::Text(whole) if whole.encode_utf16().count() > MAX_MODEL => told_apart(&cut, whole).into(),
            _ => cut,
        }
    }
}

/// What stands for the rest of a name that was cut: the beginning of its digest.
const SUFFIX: usize = "~01234567".len();

/// A name cut so that it stays another than that of every other long name.
fn told_apart(cut: &str, whole: &str) -> String {
    let mut units = 0;
    let fits = |letter: &char| {
        units += letter.len_utf16();
        units <= MAX_MODEL - SUFFIX
    };
    let kept: String = cut.chars().take_while(fits).collect();
    let digest = xxhash_rust::xxh3::xxh3_64(whole.as_bytes()) >> 32;
    format!("{kept}~{digest:08x}")
}

/// What requests are told apart by; each value is preceded by what it is, so that no two lists look alike.
struct Identity(Sha256);

impl Identity {
    fn number(&mut self, value: Option<f64>) {
        // -0 and 0 are one number
        let bits = value.map(|value| (value + 0.0).to_bits().to_le_bytes());
        self.0.update([u8::from(bits.is_some())]);
        self.0.update(bits.unwrap_or_default());
    }

    fn text(&mut self, text: &str) {
        self.0.update((text.len() as u64).to_le_bytes());
        self.0.update(text);
    }

    fn finish(self) -> u64 {
        let digest = self.0.finalize();
        digest.iter().take(8).fold(0, |key, byte| key << 8 | u64::from(*byte))
    }
}

/// Makes rows of lines.
#[derive(Debug)]
pub struct Parser {
    policy: Policy,
    models: HashMap<String, Result<ModelName, Reason>>,
}

impl Parser {
    /// Under a policy for names that look like secrets: those are refused, or let pass, and never replaced.
    #[must_use]
    pub fn new(policy: &Policy) -> Self {
        Self { policy: Policy { redact: false, ..policy.clone() }, models: HashMap::new() }
    }

    /// The row of a line; none if the line is empty.
    ///
    /// # Errors
    /// What is wrong with the line.
    pub fn row(&mut self, line: &[u8]) -> Result<Option<Row>, Reason> {
        match line.first() {
            None => return Ok(None),
            Some(b'{') => {}
            Some(_) => return Err(Reason::NotJson),
        }
        let line: Line<'_> = serde_json::from_slice(line)
            .map_err(|error| if error.is_data() { Reason::Twice } else { Reason::NotJson })?;
        if !matches!(line.v.number("v"), Ok(None | Some(1.0))) {
            return Err(Reason::Version);
        }
        self.known(&line).map(Some)
    }

    fn known(&mut self, line: &Line<'_>) -> Result<Row, Reason> {
        let millis = line.ts.millis("ts")?;
        let day = day(line, millis)?;
        let model = line.model.text("model", MAX_MODEL)?;
        let model = if model.is_empty() { Cow::Borrowed("unknown") } else { model };
        let status = line.status.whole("status")?;
        let (ok, limited) = (line.ok.flag("ok")?, line.rate_limited.flag("rate_limited")? || status == 429);
        let (reported, estimated) =
            (line.usage_reported.flag("usage_reported")?, line.usage_estimated.flag("usage_estimated")?);
        let latency = line.latency_ms.whole("latency_ms")?;
        let tokens = [
            line.total_tokens.whole("total_tokens")?,
            line.prompt_tokens.whole("prompt_tokens")?,
            line.completion_tokens.whole("completion_tokens")?,
        ];
        let cost = line.cost.number("cost")?;
        if cost.is_some_and(|cost| !(0.0..=MAX_COST).contains(&cost)) {
            return Err(Reason::Invalid { key: "cost", expected: "a number from 0 to 1000000" });
        }
        let class = line.error_class.text("error_class", 40)?;

        let mut identity = Identity(Sha256::new());
        #[expect(clippy::cast_precision_loss, reason = "they came from such numbers")]
        for whole in [status, latency].into_iter().chain(tokens) {
            identity.number(Some(whole as f64));
        }
        #[expect(clippy::cast_precision_loss, reason = "it came from such a number")]
        identity.number(millis.map(|millis| millis as f64));
        for flag in [ok, limited, reported, estimated] {
            identity.number(Some(f64::from(u8::from(flag))));
        }
        identity.number(cost);
        identity.number(line.retry_after_seconds.number("retry_after_seconds")?.map(|seconds| seconds.max(0.0)));
        identity.number(line.limit_reset_at_ts.number("limit_reset_at_ts")?);
        identity.number(line.rate_limit_remaining.number("rate_limit_remaining")?);
        identity.number(line.rate_limit_limit.number("rate_limit_limit")?);
        identity.text(&model);
        identity.text(&line.returned_model.text("returned_model", MAX_MODEL)?);
        identity.text(&line.usage_source.text("usage_source", 40)?);
        identity.text(&line.limit_reset_at.text("limit_reset_at", 64)?);
        identity.text(&line.limit_source.text("limit_source", 40)?);

        let [total_tokens, prompt_tokens, completion_tokens] = tokens;
        #[expect(clippy::cast_possible_truncation, reason = "a cost is far below the largest number")]
        let cost_e12 = (cost.unwrap_or(0.0) * COST_UNIT).round() as i128;
        let sums = Sums {
            requests: 1,
            ok: u64::from(ok),
            errors: if ok { Errors::default() } else { Errors::one(class_of(&class, status, limited)) },
            total_tokens,
            prompt_tokens,
            completion_tokens,
            usage_reported: u64::from(reported),
            usage_estimated: u64::from(estimated),
            cost_e12,
            rate_limited: u64::from(limited),
            latency_ms_sum: latency,
            latency_ms_max: latency,
            first_ms: millis,
            last_ms: millis,
        };
        Ok(Row { key: identity.finish(), day, model: self.model(&line.model.whole_name(model))?, sums })
    }

    /// The name of a model; each is looked at once.
    fn model(&mut self, text: &str) -> Result<ModelName, Reason> {
        if let Some(known) = self.models.get(text) {
            return known.clone();
        }
        if self.models.len() >= MAX_MODELS {
            return Err(Reason::TooManyModels);
        }
        let name = match privacy::check(text, &self.policy) {
            Err(refused) => Err(Reason::Secret(refused.rule)),
            Ok(_) => text.parse().map_err(|_| Reason::Invalid {
                key: "model",
                expected: "a name: it has characters that control a terminal",
            }),
        };
        self.models.insert(text.to_owned(), name.clone());
        name
    }
}

/// The class of a failure; where a row names none, the one that the source would give it.
fn class_of(named: &str, status: u64, limited: bool) -> &str {
    match (named, status) {
        ("", _) if limited => "rate_limit",
        ("", 408 | 504) => "timeout",
        ("", 500..) => "http_5xx",
        ("", 400..) => "http_4xx",
        _ => named,
    }
}

/// The day that a row names; else the day of its time in UTC.
fn day(line: &Line<'_>, millis: Option<i64>) -> Result<Day, Reason> {
    let invalid = Reason::Invalid { key: "day", expected: "a day (YYYY-MM-DD)" };
    match (&line.day, millis) {
        (Scalar::Text(text), _) if !text.is_empty() => text.parse().map_err(|_| invalid),
        (Scalar::Null | Scalar::Text(_), Some(millis)) => Day::of_millis(millis).ok_or(invalid),
        (Scalar::Null | Scalar::Text(_), None) => Err(Reason::NoDay),
        _ => Err(invalid),
    }
}
